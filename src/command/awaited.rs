//! What other rooms do not offer yet, with the signatures that they are agreed to have. Goes away with them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use crate::{
    artifact::{Artifacts, Build},
    command::{Error, Result, error},
};

fn missing(what: &str) -> Error {
    error::internal(format!("this build of ecomctl cannot {what} yet"))
}

/// Builds what is asked for: `artifact::build`, with `progress` told what cargo does.
///
/// # Errors
/// What the compiler says.
#[expect(clippy::unused_async, reason = "as it will be")]
pub async fn build(
    _root: &Path,
    _home: &Path,
    requests: &BTreeSet<Build>,
    _progress: &(dyn Fn(String) + Sync),
) -> Result<Artifacts> {
    if requests.is_empty() { Ok(Artifacts::new()) } else { Err(missing("build Lambdas")) }
}

/// Finds the local cloud's endpoint, such as `http://127.0.0.1:14566`, and starts it where `start` says so.
///
/// # Errors
/// Says which part would not start, or that it is not running.
#[expect(clippy::unused_async, reason = "as it will be")]
pub async fn local(_root: &Path, _home: &Path, _start: bool, _progress: &(dyn Fn(String) + Sync)) -> Result<String> {
    Err(missing("start the local cloud"))
}

/// How far a consumer group is: `client::kafka::Kafka::connect` and `progress`.
#[derive(Clone, Debug, Default)]
pub struct Lag {
    /// Records appended, by topic.
    pub end: BTreeMap<String, i64>,
    /// Records not read yet, by topic.
    pub lag: BTreeMap<String, i64>,
}

/// Asks the brokers.
///
/// # Errors
/// Says why they do not answer.
#[expect(clippy::unused_async, reason = "as it will be")]
pub async fn lag(_brokers: &str, _group: &str, _topics: &[&str]) -> Result<Lag, String> {
    Err("the brokers cannot be reached from here".to_owned())
}
