//! Turns between processes: whoever holds a file's lock works alone. Knows nothing of the work.

use std::{
    fs::{File, TryLockError},
    io,
    path::Path,
    time::Duration,
};

use tokio::time::sleep;

/// How often it is looked whether the turn has come.
const AGAIN: Duration = Duration::from_millis(100);

/// Opens a file that is locked.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    File::options().create(true).truncate(false).write(true).open(path)
}

/// Waits until no other process holds the lock, and calls `waiting` once where one does. The turn ends with the file, or
/// with the process. The file's folder must exist.
pub(crate) async fn take(path: &Path, waiting: impl FnOnce()) -> io::Result<File> {
    let file = open(path)?;
    let mut waiting = Some(waiting);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(err)) => return Err(err),
            Err(TryLockError::WouldBlock) => {
                if let Some(tell) = waiting.take() {
                    tell();
                }
            }
        }
        sleep(AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_turn_is_waited_for_and_that_is_told_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lock");
        let told = AtomicUsize::new(0);
        let tell = || {
            told.fetch_add(1, Ordering::SeqCst);
        };
        let first = take(&path, tell).await.expect("free");
        assert_eq!(told.load(Ordering::SeqCst), 0, "nobody is waited for");
        let second = take(&path, tell);
        let other = async {
            // Long enough for several looks.
            sleep(AGAIN * 3).await;
            drop(first);
        };
        tokio::join!(async { second.await.expect("free at last") }, other);
        assert_eq!(told.load(Ordering::SeqCst), 1);
    }
}
