//! Lambdas: compiled with the profile `lambda`, checked against what Lambda offers, and packed.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::{
    Architecture, Artifact, Error, Progress, archive,
    cargo::{self, Call},
    elf::{self, Unsuited},
    index::{Entry, Index},
    toolchain, zig,
};

pub(super) mod inputs;

/// The profile of the workspace that Lambdas are compiled with.
pub(super) const PROFILE: &str = "lambda";

/// Where Lambdas are built, and with what.
pub(super) struct Shop<'a> {
    /// The project.
    pub(super) root: &'a Path,
    /// Where the tool keeps what it installs.
    pub(super) home: &'a Path,
    /// Where compiled code goes; `None` for where cargo puts it.
    pub(super) target: Option<&'a Path>,
    /// Where zips go.
    pub(super) folder: &'a Path,
    /// What rustc says of itself.
    pub(super) toolchain: &'a str,
    /// Whom to tell.
    pub(super) progress: &'a (dyn Fn(Progress) + Sync),
}

/// A Lambda that was built.
pub(super) struct Built {
    /// The zip.
    pub(super) artifact: Artifact,
    /// The size of the binary within, in bytes.
    pub(super) binary: u64,
}

impl Shop<'_> {
    /// Builds the packages for one architecture: with the machine's own linker where that gives something that Lambda
    /// can run, with zig otherwise.
    pub(super) async fn build(
        &self,
        index: &mut Index,
        architecture: Architecture,
        packages: &BTreeSet<String>,
    ) -> Result<Vec<(String, Built)>, Error> {
        packages.iter().try_for_each(|it| self.must_exist(it))?;
        self.must_have_std(architecture).await?;
        let native = Architecture::host() == Some(architecture);
        let (mut with_zig, own): (BTreeSet<String>, BTreeSet<String>) =
            packages.iter().cloned().partition(|it| !native || index.needs_zig(it, architecture));
        let mut built = Vec::new();
        let mut refused = None;
        if !own.is_empty() {
            let started = SystemTime::now();
            for (package, executable) in self.compile(architecture, &own, None).await? {
                let binary = fs::read(&executable).map_err(Error::disk("read", &executable))?;
                match elf::check(&binary, architecture) {
                    Ok(()) => {
                        let it = self.pack(index, architecture, &package, &executable, &binary, started, false)?;
                        built.push((package, it));
                    }
                    Err(cause @ Unsuited::Glibc { .. }) => {
                        with_zig.insert(package);
                        refused = Some(cause);
                    }
                    Err(cause) => return Err(unsuited(package, architecture, cause)),
                }
            }
        }
        if with_zig.is_empty() {
            return Ok(built);
        }
        let zig = match (zig::install(self.home, self.progress).await, refused) {
            (Ok(it), _) => it,
            (Err(err), None) => return Err(err),
            (Err(err), Some(cause)) => {
                let help = format!("{}; linking with zig would do, but: {err}", way_out(&cause));
                let package = with_zig.into_iter().collect::<Vec<_>>().join(", lambdas/");
                return Err(Error::Unsuited { package, architecture, cause, help });
            }
        };
        let started = SystemTime::now();
        for (package, executable) in self.compile(architecture, &with_zig, Some(&zig)).await? {
            let binary = fs::read(&executable).map_err(Error::disk("read", &executable))?;
            elf::check(&binary, architecture).map_err(|cause| unsuited(package.clone(), architecture, cause))?;
            let it = self.pack(index, architecture, &package, &executable, &binary, started, true)?;
            built.push((package, it));
        }
        Ok(built)
    }

    async fn compile(
        &self,
        architecture: Architecture,
        packages: &BTreeSet<String>,
        zig: Option<&zig::Zig>,
    ) -> Result<Vec<(String, PathBuf)>, Error> {
        let call = Call { root: self.root, target: self.target, architecture, packages, zig, progress: self.progress };
        let programs = cargo::build(&call).await?;
        let program = |package: &String| {
            let manifest = self.manifest(package);
            let found = programs.iter().find(|it| it.manifest == manifest && it.name == *package);
            let executable = found.ok_or_else(|| Error::NoProgram { package: package.clone() })?.executable.clone();
            Ok((package.clone(), executable))
        };
        packages.iter().map(program).collect()
    }

    #[expect(clippy::too_many_arguments, reason = "what is known of one build, used once for each linker")]
    fn pack(
        &self,
        index: &mut Index,
        architecture: Architecture,
        package: &str,
        executable: &Path,
        binary: &[u8],
        started: SystemTime,
        zig: bool,
    ) -> Result<Built, Error> {
        let artifact = archive::store(self.folder, binary)?;
        let size = binary.len() as u64;
        let inputs = inputs::of(self.root, executable);
        // What changed while it was being compiled may or may not be in it: then nothing is remembered.
        let steady = |it: &PathBuf| {
            fs::metadata(self.root.join(it)).and_then(|it| it.modified()).is_ok_and(|modified| modified < started)
        };
        if !inputs.is_empty()
            && inputs.iter().all(steady)
            && let Some(key) = inputs::key(self.root, self.toolchain, package, architecture, &inputs)
        {
            index.learn(Entry {
                package: package.to_owned(),
                architecture,
                key,
                inputs,
                sha256: artifact.sha256.clone(),
                size: artifact.size,
                binary: size,
                zig,
            });
        }
        Ok(Built { artifact, binary: size })
    }

    fn manifest(&self, package: &str) -> PathBuf {
        self.root.join("lambdas").join(package).join("Cargo.toml")
    }

    fn must_exist(&self, package: &str) -> Result<(), Error> {
        let manifest = self.manifest(package);
        if manifest.is_file() {
            return Ok(());
        }
        let mut names: Vec<String> = fs::read_dir(self.root.join("lambdas"))
            .into_iter()
            .flatten()
            .flatten()
            .filter(|it| it.path().join("src/main.rs").is_file())
            .map(|it| it.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        let help = match names.as_slice() {
            [] => "there is no package with a `src/main.rs` below `lambdas/`".to_owned(),
            names => format!("below `lambdas/` there is: {}", names.join(", ")),
        };
        Err(Error::Unknown { package: package.to_owned(), manifest, help })
    }

    async fn must_have_std(&self, architecture: Architecture) -> Result<(), Error> {
        let triple = architecture.triple();
        let folder = toolchain::ask(self.root, &["--print", "target-libdir", "--target", triple]).await?;
        if Path::new(&folder).is_dir() { Ok(()) } else { Err(Error::Target { triple, architecture }) }
    }
}

fn unsuited(package: String, architecture: Architecture, cause: Unsuited) -> Error {
    let help = way_out(&cause).to_owned();
    Error::Unsuited { package, architecture, cause, help }
}

fn way_out(cause: &Unsuited) -> &'static str {
    match cause {
        Unsuited::Glibc { .. } => {
            "build where glibc is 2.34 or older (Amazon Linux 2023, Debian 11), or avoid what needs those symbols"
        }
        Unsuited::Libraries(_) => {
            "link these statically: most `-sys` crates have a feature `vendored` or `bundled` for that"
        }
        Unsuited::Machine { .. } | Unsuited::Unreadable(_) => {
            "see whether `.cargo/config.toml` or RUSTFLAGS choose another target or linker"
        }
    }
}
