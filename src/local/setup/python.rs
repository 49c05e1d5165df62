//! Python environments from pinned and hashed requirements: ministack's, and the one that runs Spark and SQL.
//!
//! They are two because ministack pins libraries that the other wants newer.

use std::path::PathBuf;

use super::{Draft, PATIENCE, is_made_from, tool};
use crate::local::{
    Progress,
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
    pub(super) async fn make(self, home: &Home, tools: &Tools, progress: &(dyn Fn(Progress) + Sync)) -> Result<()> {
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
            "--no-input",
            "--disable-pip-version-check",
            "--progress-bar=off",
            "--require-hashes",
            "--requirement",
        ];
        let tell = |line: &str| {
            if let Some(message) = told(line) {
                progress(Progress { part: self.name(), message, done: None });
            }
        };
        run.follow(tool(home, &python).args(pip).arg(&requirements), tell).await?;

        draft.complete(self.requirements())
    }
}

/// Packages that are smaller come without a word.
const LARGE: f64 = 10.0;

/// What a line of pip's says that takes long, such as `Downloading pysail-0.7.2-….whl (130.5 MB)`.
fn told(line: &str) -> Option<String> {
    if let Some(packages) = line.strip_prefix("Installing collected packages: ") {
        return Some(format!("installing {} packages", packages.split(", ").count()));
    }
    let (file, size) = line.strip_prefix("Downloading ")?.rsplit_once(" (")?;
    let megabytes: f64 = size.strip_suffix(" MB)")?.parse().ok()?;
    let name = file.rsplit('/').next().unwrap_or(file).split('-').next()?;
    (megabytes >= LARGE).then(|| format!("downloading {name} ({megabytes:.0} MB)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_pip_says_only_what_takes_long_is_told() {
        let large = "Downloading pysail-0.7.2-cp39-abi3-manylinux_2_28_x86_64.whl (130.5 MB)";
        assert_eq!(told(large).as_deref(), Some("downloading pysail (130 MB)"));
        assert_eq!(told("Downloading six-1.17.0-py2.py3-none-any.whl (11 kB)"), None);
        assert_eq!(told("Downloading pytz-2026.1-py2.py3-none-any.whl (0.5 MB)"), None);
        assert_eq!(told("Collecting pysail[jdbc]==0.7.2 (from -r requirements.txt (line 5))"), None);
        let all = told("Installing collected packages: pytz, six, pysail");
        assert_eq!(all.as_deref(), Some("installing 3 packages"));
    }
}
