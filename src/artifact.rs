//! Artifacts: what is built from the project's sources before it can be deployed, known by the hash of its content.
//!
//! Uploads nothing.

use std::{collections::BTreeMap, fmt, path::PathBuf};

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
