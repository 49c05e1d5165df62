//! Python environments from pinned and hashed requirements: ministack's, and the one that runs Spark and SQL.
//!
//! They are two because ministack pins libraries that the other wants newer.

use std::path::PathBuf;

use super::{Draft, PATIENCE, is_made_from, tool};
use crate::local::{
    doctor::Tools,
    error::Result,
    files,
    home::Home,
    run::{Run, ask},
};

/// An environment of Python's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Python {
    /// ministack's.
    Cloud,
    /// That of Spark (Sail and its client), Delta and DuckDB, and of what builds wheels.
    Spark,
}

impl Python {
    /// As it is called in the progress of a set-up.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cloud => "ministack",
            Self::Spark => "spark",
        }
    }

    fn requirements(self) -> &'static str {
        match self {
            Self::Cloud => include_str!("../requirements.txt"),
            Self::Spark => include_str!("../spark-requirements.txt"),
        }
    }

    /// Loads what is of use only when the interpreter is still the one that it was built for.
    fn probe(self) -> &'static str {
        match self {
            Self::Cloud => "import cbor2, ministack",
            Self::Spark => "import connectorx, duckdb, pysail",
        }
    }

    fn path(self, home: &Home) -> PathBuf {
        match self {
            Self::Cloud => home.venv(),
            Self::Spark => home.spark(),
        }
    }

    /// Says whether there is nothing to do.
    pub(super) async fn is_complete(self, home: &Home) -> bool {
        // Its interpreter is a link to the system's, which may have gone, or become another version, since.
        let path = self.path(home);
        is_made_from(&path, self.requirements())
            && ask(&path.join("bin/python"), &["-I", "-c", self.probe()]).await.is_some()
    }

    /// Makes it with `venv` and `pip`, whose own configuration says where packages come from.
    pub(super) async fn make(self, home: &Home, tools: &Tools) -> Result<()> {
        let draft = Draft::begin(self.path(home))?;
        let help = "check that Python's venv module and pip work, and that pip reaches its index; then run the same command again";
        let what = format!("make a Python environment for {}", self.name());
        let run = Run { what: &what, help, patience: PATIENCE };
        run.run(tool(home, &tools.python).args(["-m", "venv"]).arg(&draft.path)).await?;

        let requirements = draft.path.join("requirements.txt");
        files::write(&requirements, self.requirements().as_bytes())?;
        let python = draft.path.join("bin/python");
        let what = format!("install {}", self.name());
        let run = Run { what: &what, ..run };
        let pip = [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-input",
            "--disable-pip-version-check",
            "--require-hashes",
            "--requirement",
        ];
        run.run(tool(home, &python).args(pip).arg(&requirements)).await?;

        draft.complete(self.requirements())
    }
}
