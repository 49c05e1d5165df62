//! The local cloud: real parts on one machine, on loopback only, that answer as AWS does. No kind knows of it.
//!
//! One background process, the supervisor, runs the parts and restarts those that crash. Commands talk to it over a
//! socket in the project's own directory. Software comes through its ordinary clients; see `setup`. Nothing here writes
//! to the terminal.

mod board;
mod control;
pub mod dashboard;
mod databricks;
pub mod doctor;
mod error;
pub mod exec;
mod files;
pub mod gateway;
mod guard;
mod home;
mod part;
pub mod poller;
mod ports;
mod process;
mod run;
mod setup;
mod socket;
mod starter;
mod supervisor;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::{
    control::{Follow, ensure, logs, reset, running, status, stop},
    error::{Error, Result},
    home::Home,
    setup::echarts::echarts,
    supervisor::serve,
};

/// The account that everything local belongs to.
pub const ACCOUNT: &str = "000000000000";

/// The region of requests that name none.
pub const REGION: &str = "us-east-1";

/// The parts, and the supervisor, as `logs` names them.
pub const PARTS: [&str; 6] = ["supervisor", "postgres", "kafka", "ministack", "gateway", "databricks"];

/// Where a local cloud answers. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    /// URL of the one endpoint of all AWS services.
    pub gateway: String,
    /// URL of the Databricks workspace.
    pub databricks: String,
    /// Kafka's bootstrap address, `host:port`.
    pub kafka: String,
    /// `PostgreSQL`, `host:port`; the user is `postgres`, the password is in [`Home::postgres_password`].
    pub postgres: String,
    /// The account that everything belongs to.
    pub account: String,
    /// The region of requests that name none.
    pub region: String,
}

/// How far the local cloud has come.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Which part, or `setup`.
    pub part: &'static str,
    /// What is done, such as `installing with pip`.
    pub message: String,
    /// How long it took, once it is done.
    pub done: Option<Duration>,
}

/// How a part does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It does not run.
    Stopped,
    /// It runs, and does not answer yet.
    Starting,
    /// It answers.
    Ready,
    /// It crashed, and is about to be started again.
    Crashed,
}

/// A part, as it is now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PartStatus {
    /// Its name, as `logs` takes it.
    pub name: String,
    /// How it does.
    pub state: State,
    /// Its process.
    pub pid: Option<u32>,
    /// Its port of 127.0.0.1.
    pub port: u16,
    /// How often it was started again after a crash.
    pub restarts: u32,
    /// When it came into this state.
    pub since: Option<Timestamp>,
    /// The memory of all its processes, in bytes.
    pub memory: Option<u64>,
    /// Why it crashed last.
    pub crash: Option<String>,
}

/// The local cloud, as it is now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Whether all parts answer.
    pub ready: bool,
    /// The supervisor's process; none when the local cloud does not run.
    pub pid: Option<u32>,
    /// When it was started.
    pub since: Option<Timestamp>,
    /// Which build of `ecomctl` the supervisor is.
    pub build: String,
    /// Where it answers.
    pub endpoints: Endpoints,
    /// Its parts.
    pub parts: Vec<PartStatus>,
}
