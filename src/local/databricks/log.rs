//! The log of the local Databricks, which `ecomctl local logs databricks` shows. Never holds a request's body: that may
//! be a secret.

use std::{
    fs::File,
    io::Write,
    path::Path,
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;

use crate::local::{error::Result, files};

/// A file that lines are appended to.
pub(super) struct Log(Mutex<File>);

impl Log {
    /// Opens it.
    pub(super) fn open(path: &Path) -> Result<Self> {
        Ok(Self(Mutex::new(files::open_log(path)?)))
    }

    /// Writes a line, with the time.
    pub(super) fn write(&self, message: &str) {
        let line = format!("{:.3} {message}\n", Timestamp::now());
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // There is no better place to say that the log cannot be written.
        file.write_all(line.as_bytes()).ok();
    }
}
