//! Small files of the local cloud, written at once or not at all.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use serde::{Serialize, de::DeserializeOwned};

use super::error::{Error, Result};
use crate::durable;

/// Creates a directory and those above it.
pub(crate) fn create_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|err| Error::io("create", path.display(), err))
}

/// Removes a file or a directory with all in it; one that is not there is fine.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(it) if it.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(err) => Err(err),
    };
    match removed {
        Err(err) if err.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path.display(), err)),
        _ => Ok(()),
    }
}

/// Gives something a new name at once.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|err| Error::io("rename", from.display(), err))
}

/// Replaces a file at once. Only its owner may read it.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<()> {
    create_dir(path.parent().unwrap_or(Path::new(".")))?;
    durable::replace(path, content).map_err(|err| Error::io("write", path.display(), err))
}

/// Replaces a file with a value's JSON.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let text = serde_json::to_vec_pretty(value).map_err(|err| Error::io("write", path.display(), err.into()))?;
    write(path, &text)
}

/// Reads a value's JSON; none when the file is not there.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match fs::read(path) {
        Ok(text) => {
            serde_json::from_slice(&text).map(Some).map_err(|err| Error::io("read", path.display(), err.into()))
        }
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(err) => Err(Error::io("read", path.display(), err)),
    }
}

/// Reads a note of what a process left: one that a crash damaged tells as little as none.
pub(crate) fn read_note<T: DeserializeOwned>(path: &Path) -> Option<T> {
    read_json(path).ok().flatten()
}

/// The last lines of a text file; empty when there is no such file.
pub(crate) fn tail(path: &Path, lines: usize) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(path)?;
        // Enough for the lines that anybody reads, and quick for a log of any size.
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub((lines as u64).saturating_mul(256).saturating_add(4096))))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(last_lines(&String::from_utf8_lossy(&bytes), lines))
    };
    read().unwrap_or_default()
}

/// The last lines of a text.
pub(crate) fn last_lines(text: &str, lines: usize) -> String {
    let all: Vec<_> = text.trim_end().lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// Opens a log to append to; one that has grown too large is kept under another name first.
pub(crate) fn open_log(path: &Path) -> Result<File> {
    const LARGEST: u64 = 16 << 20;
    if let Some(dir) = path.parent() {
        create_dir(dir)?;
    }
    if fs::metadata(path).is_ok_and(|it| it.len() > LARGEST) {
        rename(path, &path.with_extension("log.1"))?;
    }
    File::options().create(true).append(true).open(path).map_err(|err| Error::io("open", path.display(), err))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_written_file_is_whole_and_its_owners_alone() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("a/b");
        write(&path, b"one").expect("write");
        write(&path, b"two").expect("replace");
        assert_eq!(fs::read(&path).expect("read"), b"two");
        assert_eq!(fs::metadata(&path).expect("metadata").permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn the_tail_is_the_last_lines() {
        assert_eq!(last_lines("a\nb\nc\n\n", 2), "b\nc");
        assert_eq!(last_lines("a", 5), "a");
        assert_eq!(tail(Path::new("/nonexistent"), 3), "");
    }
}
