//! Zips that depend on nothing but the binary within: a fixed time, mode, order, method and level.
//!
//! The same binary gives the same bytes on any machine, so that an unchanged function is not deployed again.

use std::{
    fs,
    io::{Cursor, Write as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha2::{Digest as _, Sha256};
use zip::{CompressionMethod, DateTime, System, ZipWriter, result::ZipResult, write::SimpleFileOptions};

use super::{Artifact, Error};

/// Packs a binary as Lambda wants it, and stores it under the hash of the zip.
pub(super) fn store(folder: &Path, binary: &[u8]) -> Result<Artifact, Error> {
    let bytes = pack(binary).map_err(|err| Error::disk("pack", Path::new("bootstrap"))(err.into()))?;
    let digest = Sha256::digest(&bytes);
    let path = path(folder, &digest);
    let size = bytes.len() as u64;
    let fresh = !is_there(&path, size);
    if fresh {
        fs::create_dir_all(folder).map_err(Error::disk("create", folder))?;
        write(&path, &bytes).map_err(Error::disk("write", &path))?;
    }
    Ok(Artifact { path, sha256: BASE64_STANDARD.encode(digest), size, fresh })
}

/// Says whether a file of this size is there. Its content is what its name says, as files are put in place whole.
pub(super) fn is_there(path: &Path, size: u64) -> bool {
    fs::metadata(path).is_ok_and(|it| it.len() == size)
}

/// The place of a zip with this SHA-256.
pub(super) fn path(folder: &Path, digest: &[u8]) -> PathBuf {
    folder.join(format!("{}.zip", hex(digest)))
}

/// Adds a named content to a hash. Lengths come first, so that no two inputs run together into the same bytes.
pub(super) fn feed(hash: &mut Sha256, name: &str, content: &[u8]) {
    for part in [name.as_bytes(), content] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
}

/// Writes bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Puts a file in place whole or not at all, whoever else writes it and whenever the machine stops.
pub(super) fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

fn pack(binary: &[u8]) -> ZipResult<Vec<u8>> {
    // The epoch of the format, 1980-01-01: there is no earlier one, and no clock or time zone in it.
    let options = SimpleFileOptions::default()
        .last_modified_time(DateTime::default())
        .unix_permissions(0o755)
        .system(System::Unix)
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(6));
    let mut zip = ZipWriter::new(Cursor::new(Vec::with_capacity(binary.len() / 2)));
    zip.start_file("bootstrap", options)?;
    zip.write_all(binary)?;
    Ok(zip.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    /// Pinned, so that a dependency that changes the bytes is noticed: every function would be deployed again.
    #[test]
    fn same_binary_same_zip() {
        let binary: Vec<u8> = (0..100_000_u32).flat_map(|it| (it / 7).to_le_bytes()).collect();
        let folder = tempfile::tempdir().expect("a folder");
        let first = store(folder.path(), &binary).expect("stored");
        assert_eq!(first.sha256, "RbdRfSTJt/16hOxQymNheVhVJ0AUgif846ReZbfZHKY=");
        let again = store(folder.path(), &binary).expect("stored");
        assert_eq!((first.fresh, again.fresh), (true, false));
        assert_eq!(first.path, again.path);
        assert_eq!(fs::metadata(&first.path).expect("it is there").len(), first.size);
    }

    #[test]
    fn holds_one_executable() {
        let bytes = pack(b"\x7fELF").expect("packed");
        let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).expect("a zip");
        assert_eq!(zip.len(), 1);
        let mut entry = zip.by_name("bootstrap").expect("the entry");
        assert_eq!(entry.unix_mode().map(|it| it & 0o777), Some(0o755));
        assert_eq!(entry.last_modified(), Some(DateTime::default()));
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("readable");
        assert_eq!(content, b"\x7fELF");
    }
}
