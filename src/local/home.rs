//! The directory that holds everything of one project's local cloud, and the paths in it.

use std::{
    env,
    path::{Path, PathBuf},
};

use super::error::{Error, Result};

/// The tool's directory of a project (`.ecomctl`), as far as the local cloud uses it: only its `local/`.
#[derive(Clone, Debug)]
pub struct Home {
    local: PathBuf,
    program: PathBuf,
}

impl Home {
    /// Describes the local cloud beneath a tool's directory, run by this very program. Touches nothing on disk.
    pub fn new(root: &Path) -> Result<Self> {
        let program = env::current_exe().map_err(|err| Error::io("find", "the running program", err))?;
        Self::with_program(root, program)
    }

    /// The same, run by another `ecomctl`: for tests, whose own program is not `ecomctl`.
    pub fn with_program(root: &Path, program: impl Into<PathBuf>) -> Result<Self> {
        let root = std::path::absolute(root).map_err(|err| Error::io("find", root.display(), err))?;
        Ok(Self { local: root.join("local"), program: program.into() })
    }

    /// The `ecomctl` that runs in the background.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// The directory that holds everything of the local cloud.
    pub fn local(&self) -> &Path {
        &self.local
    }

    /// The Python environment of ministack.
    pub fn venv(&self) -> PathBuf {
        self.local.join("venv")
    }

    /// Kafka's jars.
    pub fn kafka(&self) -> PathBuf {
        self.local.join("kafka")
    }

    /// The packaged `PostgreSQL`; there only when the system has none.
    pub fn postgres(&self) -> PathBuf {
        self.local.join("postgres")
    }

    /// The data of all parts: what `reset` removes.
    pub fn data(&self) -> PathBuf {
        self.local.join("data")
    }

    /// Files that are made anew at each start, and those of a running supervisor.
    pub(crate) fn run(&self) -> PathBuf {
        self.local.join("run")
    }

    /// The logs, one file per part.
    pub fn logs(&self) -> PathBuf {
        self.local.join("log")
    }

    /// The log of a part, or of the `supervisor`.
    pub fn log(&self, part: &str) -> PathBuf {
        self.logs().join(format!("{part}.log"))
    }

    /// The password of `PostgreSQL`'s superuser `postgres`; readable by its owner only.
    pub fn postgres_password(&self) -> PathBuf {
        self.data().join("postgres.password")
    }

    /// The ports, when they are not the defaults.
    pub(crate) fn ports(&self) -> PathBuf {
        self.local.join("ports.json")
    }

    /// Held by the supervisor for as long as it lives.
    pub(crate) fn supervisor_lock(&self) -> PathBuf {
        self.local.join("supervisor.lock")
    }

    /// Held by whoever downloads software.
    pub(crate) fn setup_lock(&self) -> PathBuf {
        self.local.join("setup.lock")
    }

    /// The processes of the supervisor that runs, or ran last.
    pub(crate) fn record(&self) -> PathBuf {
        self.run().join("supervisor.json")
    }

    /// Why the last start failed.
    pub(crate) fn failure(&self) -> PathBuf {
        self.run().join("failure.json")
    }
}
