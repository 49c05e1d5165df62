//! What other rooms do not offer yet, with the signatures that they are agreed to have. Goes away with them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use crate::{
    artifact::{Artifacts, Build},
    command::{Error, Result, error},
    resource::Kind,
    stack::Stack,
};

fn missing(what: &str) -> Error {
    error::internal(format!("this build of ecomctl cannot {what} yet"))
}

/// Finds the project: the nearest directory, from here upwards, that holds `stacks/`.
///
/// # Errors
/// Says that there is none.
pub fn root(from: &Path) -> Result<PathBuf> {
    let found = from.ancestors().find(|it| it.join("stacks").is_dir());
    found.map(Path::to_path_buf).ok_or_else(|| {
        let message = "neither this directory nor one above it holds `stacks/`".to_owned();
        error::Problem::Usage { message, help: Some("go to the project, or name it: --project <DIR>".into()) }.into()
    })
}

/// Lists the stacks of a project.
///
/// # Errors
/// Says that the directory cannot be read.
pub fn stacks(root: &Path) -> Result<Vec<String>> {
    let folder = root.join("stacks");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(error::file("read", &folder))?.flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|it| it == "yaml")
            && let Some(stem) = path.file_stem().and_then(|it| it.to_str())
            && stem != "base"
        {
            names.push(stem.to_owned());
        }
    }
    names.sort();
    Ok(names)
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
