//! What must be there before a stack can be looked at: the local cloud, and what is built from sources.

use std::{collections::BTreeSet, path::Path};

use crate::{
    artifact::{self, Artifacts, Build},
    command::{Error, Exit, Result, error, local::told},
    local::{self, Home},
    report::human,
};

impl From<artifact::Error> for Error {
    fn from(it: artifact::Error) -> Self {
        Self::new(Exit::Build, it)
    }
}

/// Builds what is asked for, and tells what is being compiled.
///
/// # Errors
/// What the compiler says.
pub async fn build(
    root: &Path,
    home: &Path,
    requests: &BTreeSet<Build>,
    tell: &(dyn Fn(String) + Sync),
) -> Result<Artifacts> {
    let progress = |it| match it {
        artifact::Progress::Status(text) => tell(format!("build: {text}")),
        // Every crate would be a line of its own.
        artifact::Progress::Compiled { done, total, .. } if done % 25 == 0 => {
            tell(format!("build: {done} of {total} crates compiled"));
        }
        artifact::Progress::Done { build, elapsed: Some(elapsed), .. } => {
            tell(format!("build: {build} built in {}", human::duration(elapsed)));
        }
        artifact::Progress::Compiled { .. } | artifact::Progress::Done { .. } => (),
    };
    Ok(artifact::build(root, home, requests, &progress).await?)
}

/// Finds where the local cloud answers, and starts it where `start` says so.
///
/// # Errors
/// Says which part would not start, or that it is not running.
pub async fn local(home: &Path, start: bool, tell: &(dyn Fn(String) + Sync)) -> Result<String> {
    let home = Home::new(home)?;
    if start {
        return Ok(local::ensure(&home, &|it| tell(told(&it))).await?.gateway);
    }
    match local::running(&home).await? {
        Some(it) => Ok(it.gateway),
        None => Err(error::Problem::Asleep.into()),
    }
}
