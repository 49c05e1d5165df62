//! What other rooms do not offer yet, with the signature that is agreed. Goes away with them.

use std::path::Path;

use crate::command::{Result, error};

/// Finds the local cloud's endpoint, such as `http://127.0.0.1:14566`, and starts it where `start` says so.
///
/// # Errors
/// Says which part would not start, or that it is not running.
#[expect(clippy::unused_async, reason = "as it will be")]
pub async fn local(_root: &Path, _home: &Path, _start: bool, _tell: &(dyn Fn(String) + Sync)) -> Result<String> {
    Err(error::internal("this build of ecomctl cannot start the local cloud yet"))
}
