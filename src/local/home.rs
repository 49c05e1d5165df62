//! The directory that holds everything of one project's local cloud, and the paths in it.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::error::{Error, Result};

/// The tool's directory of a project (`.ecomctl`), as far as the local cloud uses it: only its `local/`.
#[derive(Clone, Debug)]
pub struct Home {
    local: PathBuf,
    software: PathBuf,
    program: PathBuf,
    free_ports: bool,
}

impl Home {
    /// Describes the local cloud beneath a tool's directory, run by this very program. Touches nothing on disk.
    ///
    /// The environment may say that software is shared with other projects (`ECOMCTL_SOFTWARE`, a directory), and that
    /// free ports are to be chosen instead of the usual ones (`ECOMCTL_PORTS=free`).
    pub fn new(root: &Path) -> Result<Self> {
        let program = env::current_exe().map_err(|err| Error::io("find", "the running program", err))?;
        let mut home = Self::with_program(root, &program)?;
        if let Some(software) = env::var_os("ECOMCTL_SOFTWARE") {
            home = home.with_software(Path::new(&software))?;
        }
        home.free_ports = env::var("ECOMCTL_PORTS").is_ok_and(|it| it == "free");
        Ok(home)
    }

    /// The same, run by another `ecomctl`, whatever the environment says: for tests, whose own program is not `ecomctl`.
    pub fn with_program(root: &Path, program: &Path) -> Result<Self> {
        let local = absolute(root)?.join("local");
        Ok(Self { software: local.clone(), local, program: program.to_owned(), free_ports: false })
    }

    /// The same, with software that is shared with other homes.
    pub fn with_software(self, software: &Path) -> Result<Self> {
        Ok(Self { software: absolute(software)?, ..self })
    }

    /// The same, with free ports, chosen at the first start.
    #[must_use]
    pub fn with_free_ports(self) -> Self {
        Self { free_ports: true, ..self }
    }

    /// The environment that makes [`Home::new`] describe this one.
    pub(crate) fn environment(&self) -> Vec<(&'static str, OsString)> {
        let root = self.local.parent().unwrap_or(&self.local);
        let ports = if self.free_ports { "free" } else { "" };
        vec![
            ("ECOMCTL_HOME", root.into()),
            ("ECOMCTL_SOFTWARE", self.software.clone().into()),
            ("ECOMCTL_PORTS", ports.into()),
        ]
    }

    /// Whether free ports are to be chosen.
    pub(crate) fn wants_free_ports(&self) -> bool {
        self.free_ports
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
        self.software.join("venv")
    }

    /// The Python environment of Spark and SQL: its interpreter is `bin/python`, Spark's server `bin/sail`.
    pub fn spark(&self) -> PathBuf {
        self.software.join("spark")
    }

    /// Apache `ECharts`, an ES module: `index.js`, and what it loads.
    pub fn echarts(&self) -> PathBuf {
        self.software.join("echarts")
    }

    /// Kafka's jars.
    pub fn kafka(&self) -> PathBuf {
        self.software.join("kafka")
    }

    /// Kafka's classes as Java reads them fastest; empty where they could not be made so.
    pub(crate) fn kafka_classes(&self) -> PathBuf {
        self.software.join("kafka.jsa")
    }

    /// The packaged `PostgreSQL`; there only when the system has none.
    pub fn postgres(&self) -> PathBuf {
        self.software.join("postgres")
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
        self.software.join("setup.lock")
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

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|err| Error::io("find", path.display(), err))
}
