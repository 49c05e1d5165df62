//! Artifacts: what is built from the project's sources before it can be deployed, known by the hash of its content.
//!
//! Builds what is asked for and remembers from which inputs, so that asking again with nothing changed starts no
//! process. Uploads nothing, prints nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

mod archive;
mod cargo;
mod elf;
mod error;
mod index;
mod lambda;
mod toolchain;
mod zig;

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
}

impl fmt::Display for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lambda { package, architecture } => write!(f, "lambdas/{package} ({architecture})"),
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
    /// A request is served.
    Done {
        /// What was asked for.
        build: Build,
        /// The size of the binary within, in bytes.
        binary: u64,
        /// How long the build took that it was part of; `None` when its inputs had not changed.
        elapsed: Option<Duration>,
    },
}

/// Builds what is asked for, or finds that it is there already.
///
/// `root` is the project, `home` the folder that the tool writes to (`.ecomctl`); zips lie in `home/artifacts`, named
/// by the SHA-256 of their content, compiled code in cargo's own target folder.
///
/// # Errors
/// [`Error`], before anything is deployed.
pub async fn build(
    root: &Path,
    home: &Path,
    requests: &BTreeSet<Build>,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Artifacts, Error> {
    if requests.is_empty() {
        return Ok(Artifacts::new());
    }
    let folder = home.join("artifacts");
    let mut index = index::Index::load(&folder);
    let toolchain = toolchain::identify(root, &mut index).await?;
    let mut found = Artifacts::new();
    let mut missing: BTreeMap<Architecture, BTreeSet<String>> = BTreeMap::new();
    for request in requests {
        let Build::Lambda { package, architecture } = request;
        match index.find(root, &toolchain, package, *architecture) {
            Some((artifact, binary)) => {
                progress(Progress::Done { build: request.clone(), binary, elapsed: None });
                found.insert(request.clone(), artifact);
            }
            None => {
                missing.entry(*architecture).or_default().insert(package.clone());
            }
        }
    }
    let warm = missing.is_empty();
    for (architecture, packages) in missing {
        let started = Instant::now();
        let shop = lambda::Shop { root, home, folder: &folder, toolchain: &toolchain, progress };
        for (package, built) in shop.build(&mut index, architecture, &packages).await? {
            let build = Build::Lambda { package, architecture };
            progress(Progress::Done { build: build.clone(), binary: built.binary, elapsed: Some(started.elapsed()) });
            found.insert(build, built.artifact);
        }
    }
    if !warm {
        index.save()?;
        index.prune();
    }
    Ok(found)
}
