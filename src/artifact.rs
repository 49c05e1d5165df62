//! Artifacts: what is built from the project's sources before it can be deployed, known by the hash of its content.
//!
//! Builds what is asked for and remembers from which inputs, so that asking again with nothing changed starts no
//! process. Uploads nothing, prints nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    fs::{self, File},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

mod archive;
mod cargo;
mod elf;
mod error;
mod file;
mod index;
mod lambda;
mod toolchain;
mod wheel;
mod zig;

use crate::turn;

pub use elf::{GLIBC, Unsuited, Version};
pub use error::Error;

/// A request to build something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Build {
    /// A Lambda's zip, with the binary as `bootstrap`.
    Lambda {
        /// The workspace member below `lambdas/`.
        package: String,
        /// What it runs on.
        architecture: Architecture,
    },
    /// A Python wheel, of a project that hatchling builds.
    Wheel {
        /// The folder that holds its `pyproject.toml`, relative to the project's root.
        project: PathBuf,
    },
    /// A file as it is.
    File {
        /// Where it lies, relative to the project's root.
        path: PathBuf,
    },
}

impl fmt::Display for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lambda { package, architecture } => write!(f, "lambdas/{package} ({architecture})"),
            Self::Wheel { project } => write!(f, "the wheel of {}", project.display()),
            Self::File { path } => write!(f, "{}", path.display()),
        }
    }
}

/// A processor architecture, as Lambda spells it.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// Graviton.
    #[default]
    Arm64,
    /// Intel and AMD.
    #[serde(rename = "x86_64")]
    X86,
}

impl Architecture {
    /// The target of rustc that runs on it.
    pub const fn triple(self) -> &'static str {
        match self {
            Self::Arm64 => "aarch64-unknown-linux-gnu",
            Self::X86 => "x86_64-unknown-linux-gnu",
        }
    }

    /// The architecture of this machine, where Lambda has it.
    pub fn host() -> Option<Self> {
        [Self::Arm64, Self::X86].into_iter().find(|it| it.triple().starts_with(std::env::consts::ARCH))
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Arm64 => "arm64",
            Self::X86 => "x86_64",
        })
    }
}

/// Something that was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Where it lies.
    pub path: PathBuf,
    /// The SHA-256 of its content, base64: what Lambda calls `CodeSha256`.
    pub sha256: String,
    /// Its size, in bytes.
    pub size: u64,
    /// Whether it had to be built, rather than being there already.
    pub fresh: bool,
}

/// What was built, by request.
pub type Artifacts = BTreeMap<Build, Artifact>;

/// Something to tell while a build runs.
#[derive(Clone, Debug)]
pub enum Progress {
    /// What cargo or pip is busy with when no crate is being compiled, in its words, such as `Updating index`.
    Status(String),
    /// One more crate is compiled.
    Compiled {
        /// The crate.
        name: String,
        /// How many are done.
        done: usize,
        /// How many there are, as far as is known.
        total: usize,
    },
    /// A build begins of what has changed.
    Begun {
        /// What is built, together.
        builds: Vec<Build>,
    },
    /// A build came to its end.
    Built {
        /// What was built, together.
        builds: Vec<Build>,
        /// How long that took.
        elapsed: Duration,
    },
    /// A request is served.
    Done {
        /// What was asked for.
        build: Build,
        /// The size of what is packed within, in bytes.
        binary: u64,
        /// How long the build took that it was part of, to which others may belong; `None` when its inputs had not
        /// changed.
        elapsed: Option<Duration>,
    },
}

/// Builds what is asked for, or finds that it is there already.
///
/// `root` is the project, `home` the folder that the tool writes to (`.ecomctl`); what is built lies in `home/artifacts`,
/// named by the SHA-256 of its content, compiled code in cargo's own target folder.
///
/// # Errors
/// [`Error`], before anything is deployed.
pub async fn build(
    root: &Path,
    home: &Path,
    requests: &BTreeSet<Build>,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Artifacts, Error> {
    build_in(None, root, home, requests, progress).await
}

/// Does so, with compiled code in the folder `target`; `None` for where cargo puts it.
async fn build_in(
    target: Option<&Path>,
    root: &Path,
    home: &Path,
    requests: &BTreeSet<Build>,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Artifacts, Error> {
    if requests.is_empty() {
        return Ok(Artifacts::new());
    }
    let folder = home.join("artifacts");
    let mut found = Artifacts::new();
    let mut lambdas = BTreeSet::new();
    for request in requests {
        let started = Instant::now();
        let (artifact, built) = match request {
            Build::Lambda { package, architecture } => {
                lambdas.insert((package.as_str(), *architecture));
                continue;
            }
            Build::Wheel { project } => {
                let folder = folder.join("wheels");
                std::fs::create_dir_all(&folder).map_err(Error::disk("create", &folder))?;
                wheel::Shop { root, home, folder: &folder, progress }.build(project).await?
            }
            Build::File { path } => (file::take(root, &folder.join("files"), path)?, false),
        };
        let elapsed = built.then(|| started.elapsed());
        if let Some(elapsed) = elapsed {
            progress(Progress::Built { builds: vec![request.clone()], elapsed });
        }
        progress(Progress::Done { build: request.clone(), binary: artifact.size, elapsed });
        found.insert(request.clone(), artifact);
    }
    if lambdas.is_empty() {
        return Ok(found);
    }
    let mut index = index::Index::load(&folder);
    let toolchain = toolchain::identify(root, &mut index).await?;
    let mut missing: BTreeMap<Architecture, BTreeSet<String>> = BTreeMap::new();
    for (package, architecture) in lambdas {
        match index.find(root, &toolchain, package, architecture) {
            Some((artifact, binary)) => {
                let build = Build::Lambda { package: package.to_owned(), architecture };
                progress(Progress::Done { build: build.clone(), binary, elapsed: None });
                found.insert(build, artifact);
            }
            None => {
                missing.entry(architecture).or_default().insert(package.to_owned());
            }
        }
    }
    let warm = missing.is_empty();
    for (architecture, packages) in missing {
        let started = Instant::now();
        let builds: Vec<Build> =
            packages.iter().map(|it| Build::Lambda { package: it.clone(), architecture }).collect();
        progress(Progress::Begun { builds: builds.clone() });
        let shop = lambda::Shop { root, home, target, folder: &folder, toolchain: &toolchain, progress };
        let all = shop.build(&mut index, architecture, &packages).await?;
        let elapsed = started.elapsed();
        progress(Progress::Built { builds, elapsed });
        for (package, built) in all {
            let build = Build::Lambda { package, architecture };
            progress(Progress::Done { build: build.clone(), binary: built.binary, elapsed: Some(elapsed) });
            found.insert(build, built.artifact);
        }
    }
    if !warm {
        index.save()?;
        index.prune();
    }
    Ok(found)
}

/// Waits until no other process works in a folder, which is created.
async fn take_turn(folder: &Path, progress: &(dyn Fn(Progress) + Sync)) -> Result<File, Error> {
    fs::create_dir_all(folder).map_err(Error::disk("create", folder))?;
    let path = folder.join("lock");
    let waiting = || progress(Progress::Status("waiting for another ecomctl that installs the same".into()));
    turn::take(&path, waiting).await.map_err(Error::disk("lock", &path))
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Mutex};

    use super::*;

    /// A project with a Lambda that uses a package beside it, and nothing else.
    fn project() -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        let manifest = |name| format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n");
        let workspace = "[workspace]\nmembers = [\"lambdas/*\"]\nresolver = \"3\"\n\
                         [profile.lambda]\ninherits = \"release\"\nstrip = \"symbols\"\n";
        for (path, text) in [
            ("Cargo.toml", workspace.to_owned()),
            ("lambdas/greet/Cargo.toml", manifest("greet") + "[dependencies]\nwords = { path = \"../words\" }\n"),
            ("lambdas/greet/src/main.rs", "fn main() { println!(\"{}\", words::hello()); }\n".into()),
            ("lambdas/words/Cargo.toml", manifest("words")),
            ("lambdas/words/src/lib.rs", "pub fn hello() -> &'static str { include_str!(\"hello.txt\") }\n".into()),
            ("lambdas/words/src/hello.txt", "hello".into()),
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("in a folder")).expect("created");
            fs::write(path, text).expect("written");
        }
        root
    }

    async fn run(root: &Path, package: &str) -> Result<(Artifact, bool), Error> {
        let request = Build::Lambda {
            package: package.into(),
            architecture: Architecture::host().expect("tests run where Lambda could"),
        };
        let called = Mutex::new(false);
        let progress = |it| {
            if let Progress::Done { elapsed, .. } = it {
                *called.lock().expect("nobody panicked") = elapsed.is_some();
            }
        };
        // A target folder of its own: these projects would overwrite each other's programs.
        let (target, home) = (root.join("target"), root.join(".ecomctl"));
        let mut built = build_in(Some(&target), root, &home, &BTreeSet::from([request.clone()]), &progress).await?;
        let artifact = built.remove(&request).expect("what was asked for");
        Ok((artifact, called.into_inner().expect("nobody panicked")))
    }

    #[tokio::test]
    async fn cargo_is_called_only_when_an_input_changed() {
        let project = project();
        let root = project.path();
        let (first, called) = run(root, "greet").await.expect("built");
        assert!(called && first.fresh);
        let (again, called) = run(root, "greet").await.expect("there");
        assert!(!called && !again.fresh);
        assert_eq!((&again.path, &again.sha256, again.size), (&first.path, &first.sha256, first.size));

        fs::write(
            root.join("lambdas/words/src/lib.rs"),
            "//! Words.\npub fn hello() -> &'static str { include_str!(\"hello.txt\") }\n",
        )
        .expect("written");
        let (comment, called) = run(root, "greet").await.expect("built");
        assert!(called, "a source changed");
        assert_eq!((comment.sha256, comment.fresh), (first.sha256.clone(), false), "but not the program");

        fs::write(root.join("lambdas/words/src/hello.txt"), "goodbye").expect("written");
        let (other, called) = run(root, "greet").await.expect("built");
        assert!(called && other.fresh);
        assert_ne!(other.sha256, first.sha256, "what is included counts");

        fs::write(root.join("lambdas/words/src/hello.txt"), "hello").expect("written");
        let (back, called) = run(root, "greet").await.expect("there");
        assert_eq!((back.sha256, called), (first.sha256, false), "earlier builds are remembered");
    }

    #[tokio::test]
    async fn one_build_is_told_once_for_all_that_it_builds() {
        let project = project();
        let root = project.path();
        for (path, text) in [
            ("Cargo.toml", "[package]\nname = \"part\"\nversion = \"0.1.0\"\nedition = \"2024\"\n"),
            ("src/main.rs", "fn main() {}\n"),
        ] {
            let path = root.join("lambdas/part").join(path);
            fs::create_dir_all(path.parent().expect("in a folder")).expect("created");
            fs::write(path, text).expect("written");
        }
        let architecture = Architecture::host().expect("tests run where Lambda could");
        let wanted: Vec<Build> =
            ["greet", "part"].map(|it| Build::Lambda { package: it.to_owned(), architecture }).into();
        let told = Mutex::new(Vec::new());
        let progress = |it| match it {
            Progress::Begun { builds } => told.lock().expect("nobody panicked").push(("begun", builds)),
            Progress::Built { builds, .. } => told.lock().expect("nobody panicked").push(("built", builds)),
            Progress::Status(_) | Progress::Compiled { .. } | Progress::Done { .. } => (),
        };
        let (target, home) = (root.join("target"), root.join(".ecomctl"));
        let requests = wanted.iter().cloned().collect();
        build_in(Some(&target), root, &home, &requests, &progress).await.expect("built");
        build_in(Some(&target), root, &home, &requests, &progress).await.expect("there");
        assert_eq!(told.into_inner().expect("nobody panicked"), [("begun", wanted.clone()), ("built", wanted)]);
    }

    #[tokio::test]
    async fn same_sources_elsewhere_give_the_same_zip() {
        let (here, there) = (project(), project());
        let (here, there) = (run(here.path(), "greet").await, run(there.path(), "greet").await);
        assert_eq!(here.expect("built").0.sha256, there.expect("built").0.sha256);
    }

    #[tokio::test]
    async fn mistakes_are_shown_as_the_compiler_has_them() {
        let project = project();
        fs::write(project.path().join("lambdas/greet/src/main.rs"), "fn main() { wrong }\n").expect("written");
        let err = run(project.path(), "greet").await.expect_err("it does not compile");
        let Error::Compile { packages, output, .. } = &err else { panic!("{err}") };
        assert_eq!(packages, "lambdas/greet");
        assert!(output.starts_with("error[E0425]: cannot find value `wrong` in this scope\n"), "{output}");
        assert!(output.contains("--> lambdas/greet/src/main.rs:1:13"), "{output}");
        assert!(!output.contains("Compiling"), "{output}");
    }

    #[tokio::test]
    async fn packages_that_are_no_programs_are_refused() {
        let project = project();
        let err = run(project.path(), "gret").await.expect_err("there is none");
        assert!(matches!(err, Error::Unknown { help, .. } if help == "below `lambdas/` there is: greet"));
        let err = run(project.path(), "words").await.expect_err("a library");
        assert!(matches!(err, Error::NoProgram { package } if package == "words"));
    }
}
