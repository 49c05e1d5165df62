//! Turns between processes: whoever installs a tool of the builds does so alone. Installs nothing itself.

use std::{
    fs::{self, File, TryLockError},
    path::Path,
    time::Duration,
};

use tokio::time::sleep;

use super::{Error, Progress};

/// Waits until no other process works in a folder, which is created. The turn ends with the file, or with the process.
pub(super) async fn take(folder: &Path, progress: &(dyn Fn(Progress) + Sync)) -> Result<File, Error> {
    fs::create_dir_all(folder).map_err(Error::disk("create", folder))?;
    let path = folder.join("lock");
    let open = File::options().create(true).truncate(false).write(true).open(&path);
    let file = open.map_err(Error::disk("open", &path))?;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(err)) => return Err(Error::disk("lock", &path)(err)),
            Err(TryLockError::WouldBlock) if !told => {
                told = true;
                progress(Progress::Status("waiting for another ecomctl that installs the same".into()));
            }
            Err(TryLockError::WouldBlock) => (),
        }
        sleep(Duration::from_millis(100)).await;
    }
}
