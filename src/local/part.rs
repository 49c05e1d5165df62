//! The parts of the local cloud: how each is started, and how it shows that it is ready. Never decides when.

pub(crate) mod cloud;
pub(crate) mod kafka;
pub(crate) mod postgres;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::{error::Result, exec::Identity, home::Home, ports::Ports};

/// A part that is a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The broker.
    Kafka,
    /// The database.
    Postgres,
    /// The control plane of AWS.
    Cloud,
}

/// What the parts are started with.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    /// Where everything is.
    pub(crate) home: Home,
    /// Where each listens.
    pub(crate) ports: Ports,
    /// The programs that `ensure` found.
    pub(crate) programs: Programs,
}

/// The programs of this machine that the parts are.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Programs {
    /// Java.
    pub(crate) java: PathBuf,
    /// The directory of `postgres` and `initdb`.
    pub(crate) postgres: PathBuf,
    /// As whom these run.
    pub(crate) identity: Identity,
}

impl Part {
    /// As it is called in commands, logs and status.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::Postgres => "postgres",
            Self::Cloud => "ministack",
        }
    }

    /// The port that clients know.
    pub(crate) fn port(self, ports: Ports) -> u16 {
        match self {
            Self::Kafka => ports.kafka,
            Self::Postgres => ports.postgres,
            Self::Cloud => ports.cloud,
        }
    }

    /// The signal that asks it to end cleanly and soon.
    pub(crate) fn end(self) -> Signal {
        match self {
            // PostgreSQL's "fast shutdown"; at SIGTERM it would wait for its clients to leave.
            Self::Postgres => Signal::INT,
            Self::Kafka | Self::Cloud => Signal::TERM,
        }
    }

    /// The longest that a part is given to become ready: it may have to recover what a crash left.
    pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

    /// Prepares its data, the first time, and clears away what a crash left; then says how to start it.
    pub(crate) async fn command(self, parts: &Parts) -> Result<Command> {
        match self {
            Self::Kafka => kafka::command(parts).await,
            Self::Postgres => postgres::command(parts).await,
            Self::Cloud => cloud::command(parts),
        }
    }

    /// Says whether it answers, in its own protocol.
    pub(crate) async fn is_ready(self, parts: &Parts) -> bool {
        match self {
            Self::Kafka => kafka::is_ready(parts.ports.kafka).await,
            Self::Postgres => postgres::is_ready(parts).await,
            Self::Cloud => cloud::is_ready(parts.ports.cloud).await,
        }
    }
}

/// A command without this program's own environment.
fn bare(identity: Identity, end: Signal, program: &Path) -> Command {
    // This very program, even when another build has taken its place on disk since.
    let mut command = identity.command(Path::new("/proc/self/exe"), end, program);
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LANG", "C.UTF-8").env("TZ", "UTC");
    command
}
