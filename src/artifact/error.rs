//! Why something could not be built. Every case says what to do next.

use std::path::{Path, PathBuf};

use miette::Diagnostic;

use super::{Architecture, elf::Unsuited};

/// Why something could not be built.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum Error {
    /// There is no such package.
    #[error("there is no Lambda `{package}`: {} is not there", manifest.display())]
    #[diagnostic(code(build::unknown), help("{help}"))]
    Unknown {
        /// The package asked for.
        package: String,
        /// Where its manifest was looked for.
        manifest: PathBuf,
        /// What there is.
        help: String,
    },
    /// The package has no program.
    #[error("lambdas/{package} builds no program of its own name")]
    #[diagnostic(
        code(build::program),
        help("a Lambda is a package below `lambdas/` with a `src/main.rs`, named like its folder")
    )]
    NoProgram {
        /// The package.
        package: String,
    },
    /// A program that the build needs cannot be started.
    #[error("cannot start `{program}`: {cause}")]
    #[diagnostic(code(build::tool), help("{help}"))]
    Start {
        /// The program.
        program: String,
        /// The system's words.
        cause: std::io::Error,
        /// How to get it.
        help: &'static str,
    },
    /// The sources do not compile.
    #[error("cannot compile {packages} for {architecture}\n\n{output}")]
    #[diagnostic(code(build::compile), help("mend the errors above; nothing was changed anywhere"))]
    Compile {
        /// The packages that were being built.
        packages: String,
        /// For what.
        architecture: Architecture,
        /// What the compiler says, verbatim.
        output: String,
    },
    /// Rust's standard library is not there for the target.
    #[error("rustc has no standard library for {triple}, which {architecture} Lambdas need")]
    #[diagnostic(
        code(build::target),
        help("run `rustup target add {triple}`, or set `architecture` to this machine's own in the stack file")
    )]
    Target {
        /// The target of rustc.
        triple: &'static str,
        /// For what.
        architecture: Architecture,
    },
    /// What came out would not start on Lambda.
    #[error("lambdas/{package} would not start on Lambda ({architecture}, provided.al2023): {cause}")]
    #[diagnostic(code(build::unsuited), help("{help}"))]
    Unsuited {
        /// The package.
        package: String,
        /// For what.
        architecture: Architecture,
        /// Why it would not.
        cause: Unsuited,
        /// The way out.
        help: String,
    },
    /// The cross-linker cannot be installed.
    #[error("cannot install the linker zig, which this build needs: {reason}")]
    #[diagnostic(
        code(build::zig),
        help(
            "needs Python 3 with venv and pip, and a Python package index; or build on a machine of that architecture with glibc 2.34 or older"
        )
    )]
    Zig {
        /// What went wrong, in pip's words.
        reason: String,
    },
    /// There is no Python project.
    #[error("there is no Python project in {}: it has no pyproject.toml", project.display())]
    #[diagnostic(code(build::project), help("name the folder that holds it, relative to the project's root"))]
    NoProject {
        /// The folder asked for.
        project: PathBuf,
    },
    /// The Python project is built by something else.
    #[error("{}/pyproject.toml does not name the build backend hatchling", project.display())]
    #[diagnostic(
        code(build::backend),
        help("write `[build-system]` with `requires = [\"hatchling\"]` and `build-backend = \"hatchling.build\"`")
    )]
    Backend {
        /// The folder asked for.
        project: PathBuf,
    },
    /// What builds wheels cannot be installed.
    #[error("cannot install hatchling, which builds wheels: {reason}")]
    #[diagnostic(
        code(build::python),
        help(
            "needs Python 3.9 or later with venv and pip (Debian: `apt-get install python3-venv`), and a Python package index"
        )
    )]
    Python {
        /// What went wrong, in pip's words.
        reason: String,
    },
    /// The wheel cannot be built.
    #[error("cannot build the wheel of {}\n\n{output}", project.display())]
    #[diagnostic(code(build::wheel), help("mend the error above; nothing was changed anywhere"))]
    Wheel {
        /// The folder asked for.
        project: PathBuf,
        /// What hatchling says, verbatim.
        output: String,
    },
    /// A file cannot be read or written.
    #[error("cannot {action} {}: {cause}", path.display())]
    #[diagnostic(code(build::disk))]
    Disk {
        /// What was to be done.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// The system's words.
        cause: std::io::Error,
    },
}

impl Error {
    /// Returns an adapter for `map_err` that says what was to be done with which file.
    pub(super) fn disk(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |cause| Self::Disk { action, path, cause }
    }
}
