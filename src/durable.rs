//! The replacement of a file at once, durably. Every file that must survive a crash is written through here.
//!
//! Knows nothing of what is written.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// Replaces a file: after a crash at any instant it is the old one or the new one, and once this returns the new one.
/// Only its owner may read it. Its folder must exist.
///
/// The text is written beside it first, under one name that writers take turns at: what a killed one leaves behind is
/// overwritten by the next, so that nothing piles up.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_by(&beside(path), path, bytes)
}

/// Does so for a file whose own name may never come again, through what is written beside another one.
pub(crate) fn replace_through(other: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_by(&beside(other), path, bytes)
}

fn replace_by(temporary: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = locked(temporary)?;
    let mut write = || {
        file.set_len(0)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(temporary, path)?;
        flush_names(path)
    };
    let written = write();
    if written.is_err() {
        // Where the disk is full, half a file takes up the space; the first error is the one to tell.
        fs::remove_file(temporary).ok();
    }
    written
}

/// Makes a file's name durable, or that it has none any more: that is written in its folder.
fn flush_names(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

/// Opens the temporary file for one writer alone. The writer before may have given it its final name in the meantime.
fn locked(path: &Path) -> io::Result<File> {
    loop {
        let file = File::options().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        file.lock()?;
        if is_at(&file, path)? {
            return Ok(file);
        }
    }
}

/// Says whether a file that is open is still the one that has this name.
pub(crate) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let own = file.metadata()?;
    match fs::metadata(path) {
        Ok(it) => Ok((it.dev(), it.ino()) == (own.dev(), own.ino())),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(err) => Err(err),
    }
}

/// Makes a folder, and those above it, where they are not there, durably.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    if let Some(above) = path.parent() {
        create_folder(above)?;
    }
    match fs::create_dir(path) {
        Ok(()) => flush_names(path),
        // Another writer was faster.
        Err(err) if err.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => flush_names(path),
        Err(err) => Err(err),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).expect("a folder").map(|it| it.expect("an entry").file_name());
        let mut names: Vec<_> = names.map(|it| it.to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_whole_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.json");
        replace(&path, b"a long text").expect("written");
        replace(&path, b"short").expect("written");
        assert_eq!(fs::read(&path).expect("readable"), b"short");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(names(folder.path()), ["a.json"]);
    }

    #[test]
    fn what_a_killed_writer_left_behind_is_swept() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.json");
        fs::write(beside(&path), "{\"half of something much longer than what comes next").expect("left behind");
        replace(&path, b"new").expect("written");
        assert_eq!(fs::read(&path).expect("readable"), b"new");
        assert_eq!(names(folder.path()), ["a.json"]);
    }

    #[test]
    fn what_a_killed_writer_of_a_name_that_never_comes_again_left_is_swept_by_the_next() {
        let folder = tempfile::tempdir().expect("a folder");
        let (state, first, second) = (folder.path().join("s.json"), folder.path().join("1"), folder.path().join("2"));
        replace_through(&state, &first, b"one").expect("written");
        fs::write(beside(&state), "half of the sec").expect("left behind");
        replace_through(&state, &second, b"two").expect("written");
        assert_eq!(
            (fs::read(&first).expect("readable"), fs::read(&second).expect("readable")),
            (b"one".into(), b"two".into())
        );
        assert_eq!(names(folder.path()), ["1", "2"]);
    }

    #[test]
    fn a_failure_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        fs::create_dir(&path).expect("a folder is in the way");
        replace(&path, b"new").expect_err("a file does not replace a folder");
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[test]
    fn folders_are_made_down_to_the_last_and_a_file_is_told_from_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let deep = folder.path().join("a/b/c");
        create_folder(&deep).expect("created");
        create_folder(&deep).expect("there already");
        assert!(deep.is_dir());
        let path = deep.join("file");
        create_folder(&path.join("x")).map(|()| fs::remove_dir_all(&path)).expect("created").expect("removed");
        let file = File::create(&path).expect("created");
        assert!(is_at(&file, &path).expect("looked"));
        fs::remove_file(&path).expect("removed");
        assert!(!is_at(&file, &path).expect("looked"));
        create_folder(&PathBuf::from("/dev/null/x")).expect_err("no folder");
    }

    #[test]
    fn writers_take_turns() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        let texts: Vec<Vec<u8>> = (0..8_u8).map(|it| vec![b'a' + it; 10_000 * usize::from(it + 1)]).collect();
        std::thread::scope(|scope| {
            for text in &texts {
                let path = &path;
                scope.spawn(move || (0..20).for_each(|_| replace(path, text).expect("written")));
            }
        });
        let last = fs::read(&path).expect("readable");
        assert!(texts.contains(&last), "{} bytes of more than one text", last.len());
        assert_eq!(names(folder.path()), ["a"]);
    }
}
