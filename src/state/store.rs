//! Where a state document lies: two calls, load and compare-and-swap. Holds no policy.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use futures::future::BoxFuture;
use miette::Diagnostic;
use sha2::{Digest as _, Sha256};

use super::record::{Document, SCHEMA};

/// A document's version at its store: what a later write must name to succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Etag(pub String);

/// A place for one stack's state.
pub trait Store: Send + Sync {
    /// Reads the document; `None` where there is none yet.
    fn load(&self) -> BoxFuture<'_, Result<Option<(Document, Etag)>, Error>>;

    /// Writes the document durably if the stored one is still the expected one (`None`: if there is none).
    ///
    /// # Errors
    /// [`Error::Conflict`] when it is not, with nothing written.
    fn swap<'a>(&'a self, document: &'a Document, expected: Option<&'a Etag>) -> BoxFuture<'a, Result<Etag, Error>>;

    /// Says where that is, for people.
    fn place(&self) -> String;
}

/// Why a state could not be read or written.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum Error {
    /// Somebody else wrote in between.
    #[error("the state was changed by another run")]
    #[diagnostic(code(state::conflict))]
    Conflict,
    /// The system refused.
    #[error("cannot {verb} the state {place}")]
    #[diagnostic(code(state::unreachable))]
    Io {
        /// What was tried.
        verb: &'static str,
        /// Where.
        place: String,
        /// The system's words.
        #[source]
        cause: std::io::Error,
    },
    /// The text is no state.
    #[error("the state {place} is damaged: {message}")]
    #[diagnostic(
        code(state::damaged),
        help(
            "restore it from {history}; or move it away: what the stack's file names is found again by its name and tags, \
             what the file no longer names is not"
        )
    )]
    Damaged {
        /// Where.
        place: String,
        /// What is wrong with it.
        message: String,
        /// Where earlier ones lie.
        history: String,
    },
    /// A newer program wrote it.
    #[error("the state {place} was written by a newer ecomctl (format {found}, this one reads up to {SCHEMA})")]
    #[diagnostic(code(state::newer), help("use that version of ecomctl, or a later one"))]
    Newer {
        /// Where.
        place: String,
        /// The format it has.
        found: u64,
    },
}

/// A state in a file: written to a temporary one, flushed, and renamed, under a lock.
#[derive(Debug)]
pub struct FileStore {
    path: PathBuf,
}

/// How many earlier documents are kept.
const HISTORY: usize = 50;

impl FileStore {
    /// Keeps the state in this file. Creates nothing yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Returns where the document lies in truth: what a link points at is written, and the link stays. All that lies
    /// beside it, the lock included, lies there.
    fn real(&self, verb: &'static str) -> Result<PathBuf, Error> {
        match fs::symlink_metadata(&self.path) {
            Ok(it) if it.is_symlink() => fs::canonicalize(&self.path).map_err(self.io(verb)),
            _ => Ok(self.path.clone()),
        }
    }

    fn io(&self, verb: &'static str) -> impl Fn(std::io::Error) -> Error {
        let place = self.place();
        move |cause| Error::Io { verb, place: place.clone(), cause }
    }

    fn read(&self) -> Result<Option<(Document, Etag)>, Error> {
        let path = self.real("read")?;
        let bytes = match fs::read(&path) {
            Ok(it) => it,
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(err) => return Err(self.io("read")(err)),
        };
        let damaged = |message: String| Error::Damaged {
            place: self.place(),
            message,
            history: history(&path).display().to_string(),
        };
        let json: serde_json::Value = serde_json::from_slice(&bytes).map_err(|err| damaged(err.to_string()))?;
        match json.get("schema").and_then(serde_json::Value::as_u64) {
            Some(found) if found > u64::from(SCHEMA) => return Err(Error::Newer { place: self.place(), found }),
            Some(_) => (),
            None => return Err(damaged("it names no format".to_owned())),
        }
        let document = serde_json::from_value(json).map_err(|err| damaged(err.to_string()))?;
        Ok(Some((document, etag(&bytes))))
    }

    fn write(&self, document: &Document, expected: Option<&Etag>) -> Result<Etag, Error> {
        let path = self.real("write")?;
        fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).map_err(self.io("write"))?;
        let lock = File::create(path.with_extension("lock")).map_err(self.io("lock"))?;
        lock.lock().map_err(self.io("lock"))?;
        let current = self.read()?;
        if current.as_ref().map(|it| &it.1) != expected {
            return Err(Error::Conflict);
        }
        // The first write of a run is the one that takes the lease: what was there before it is kept.
        if let Some((before, _)) = &current
            && before.lease.as_ref().map(|it| it.epoch) != document.lease.as_ref().map(|it| it.epoch)
            && document.lease.is_some()
        {
            keep(&path, before.serial).map_err(self.io("keep a copy of"))?;
        }
        let mut bytes = serde_json::to_vec_pretty(document).map_err(|err| self.io("write")(err.into()))?;
        bytes.push(b'\n');
        replace(&path, &bytes).map_err(self.io("write"))?;
        Ok(etag(&bytes))
    }
}

fn history(path: &Path) -> PathBuf {
    path.with_extension("history")
}

/// Keeps a copy of the document, whole or not at all, and forgets the oldest.
fn keep(path: &Path, serial: u64) -> std::io::Result<()> {
    let folder = history(path);
    fs::create_dir_all(&folder)?;
    replace(&folder.join(format!("{serial:010}.json")), &fs::read(path)?)?;
    let mut kept: Vec<_> = fs::read_dir(&folder)?.filter_map(|it| it.ok().map(|it| it.path())).collect();
    kept.sort();
    let surplus = kept.len().saturating_sub(HISTORY);
    kept.iter().take(surplus).try_for_each(fs::remove_file)
}

/// Replaces a file at once, durably; only its owner may read it. The temporary file has one name, for one process at a
/// time holds the lock: what a kill leaves behind is overwritten by the next write.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let temporary = path.with_extension("new");
    let write = || {
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    let written = write();
    if written.is_err() {
        // Where the disk is full, half a file is in the way of the next attempt; the first error is the one to tell.
        fs::remove_file(&temporary).ok();
    }
    written
}

impl Store for FileStore {
    fn load(&self) -> BoxFuture<'_, Result<Option<(Document, Etag)>, Error>> {
        Box::pin(async move { self.read() })
    }

    fn swap<'a>(&'a self, document: &'a Document, expected: Option<&'a Etag>) -> BoxFuture<'a, Result<Etag, Error>> {
        Box::pin(async move { self.write(document, expected) })
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }
}

fn etag(bytes: &[u8]) -> Etag {
    Etag(Sha256::digest(bytes).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::record::{Holder, Lease};

    fn store() -> (tempfile::TempDir, FileStore) {
        let folder = tempfile::tempdir().expect("a folder");
        let store = FileStore::new(folder.path().join("state/local.json"));
        (folder, store)
    }

    #[tokio::test]
    async fn a_stale_write_changes_nothing() {
        let (_folder, store) = store();
        let mut document = Document::new();
        assert!(store.load().await.expect("readable").is_none());
        let first = store.swap(&document, None).await.expect("the first write");
        assert!(matches!(store.swap(&document, None).await, Err(Error::Conflict)));
        document.serial = 1;
        let second = store.swap(&document, Some(&first)).await.expect("a write in order");
        document.serial = 2;
        assert!(matches!(store.swap(&document, Some(&first)).await, Err(Error::Conflict)));
        let (stored, etag) = store.load().await.expect("readable").expect("there");
        assert_eq!((stored.serial, etag), (1, second));
    }

    fn entries(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).expect("a folder").map(|it| it.expect("an entry").file_name());
        let mut names: Vec<_> = names.map(|it| it.to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn what_a_kill_left_behind_does_not_pile_up() {
        let (folder, store) = store();
        let folder = folder.path().join("state");
        fs::create_dir(&folder).expect("created");
        fs::write(folder.join("local.new"), "{\"half").expect("left behind");
        store.swap(&Document::new(), None).await.expect("written");
        assert_eq!(entries(&folder), ["local.json", "local.lock"]);
    }

    #[tokio::test]
    async fn a_copy_is_kept_whole_or_not_at_all() {
        let (folder, store) = store();
        let (holder, now) = (holder(), jiff::Timestamp::now());
        let lease = |epoch| Some(Lease { epoch, holder: holder.clone(), since: now, beat: now, ttl_seconds: 9 });
        let first = Document { serial: 1, lease: lease(1), ..Document::new() };
        let etag = store.swap(&first, None).await.expect("written");
        let second = Document { serial: 2, lease: lease(2), ..first.clone() };
        store.swap(&second, Some(&etag)).await.expect("written");
        let history = folder.path().join("state/local.history");
        assert_eq!(entries(&history), ["0000000001.json"]);
        let kept = FileStore::new(history.join("0000000001.json"));
        assert_eq!(kept.load().await.expect("readable").expect("there").0, first);
    }

    fn holder() -> Holder {
        let (user, host, run) = ("u".into(), "h".into(), uuid::Uuid::nil());
        Holder { user, host, pid: 1, start: None, boot: None, run, ci: None, commit: None }
    }

    #[tokio::test]
    async fn a_link_stays_a_link_and_what_it_points_at_is_written() {
        let (folder, store) = store();
        let real = folder.path().join("elsewhere/shared.json");
        fs::create_dir_all(real.parent().expect("a folder")).expect("created");
        fs::create_dir(folder.path().join("state")).expect("created");
        std::os::unix::fs::symlink(&real, &store.path).expect("a link");
        assert!(matches!(store.load().await, Err(Error::Io { .. })), "a link to nothing is no empty state");
        FileStore::new(&real).swap(&Document::new(), None).await.expect("written");
        let (document, etag) = store.load().await.expect("readable").expect("there");
        store.swap(&Document { serial: 1, ..document }, Some(&etag)).await.expect("written");
        assert!(fs::symlink_metadata(&store.path).expect("there").is_symlink());
        let stored = FileStore::new(&real).load().await.expect("readable").expect("there").0;
        assert_eq!(stored.serial, 1);
    }

    #[tokio::test]
    async fn damage_and_newer_formats_are_told_apart() {
        let (_folder, store) = store();
        store.swap(&Document::new(), None).await.expect("written");
        fs::write(&store.path, "{\"schema\":1,").expect("damaged");
        assert!(matches!(store.load().await, Err(Error::Damaged { .. })));
        fs::write(&store.path, "{\"schema\":99}").expect("newer");
        assert!(matches!(store.load().await, Err(Error::Newer { found: 99, .. })));
        // A damaged state is never overwritten.
        assert!(matches!(store.swap(&Document::new(), None).await, Err(Error::Newer { .. })));
    }
}
