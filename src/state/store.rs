//! Where a state document lies: two calls, load and compare-and-swap. Holds no policy.

use std::{
    fs::{self, File},
    io::Write as _,
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
        help("restore it from {history}, or move it away: what carries the stack's tags is found again")
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

    fn history(&self) -> PathBuf {
        self.path.with_extension("history")
    }

    fn io(&self, verb: &'static str) -> impl Fn(std::io::Error) -> Error {
        let place = self.place();
        move |cause| Error::Io { verb, place: place.clone(), cause }
    }

    fn read(&self) -> Result<Option<(Document, Etag)>, Error> {
        let bytes = match fs::read(&self.path) {
            Ok(it) => it,
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(err) => return Err(self.io("read")(err)),
        };
        let damaged = |message: String| Error::Damaged {
            place: self.place(),
            message,
            history: self.history().display().to_string(),
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
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(self.io("write"))?;
        let lock = File::create(self.path.with_extension("lock")).map_err(self.io("lock"))?;
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
            self.keep(before.serial).map_err(self.io("keep a copy of"))?;
        }
        let mut bytes = serde_json::to_vec_pretty(document).map_err(|err| self.io("write")(err.into()))?;
        bytes.push(b'\n');
        let mut temporary = tempfile::NamedTempFile::new_in(folder).map_err(self.io("write"))?;
        temporary.write_all(&bytes).map_err(self.io("write"))?;
        temporary.as_file().sync_all().map_err(self.io("write"))?;
        temporary.persist(&self.path).map_err(|err| self.io("write")(err.error))?;
        File::open(folder).and_then(|it| it.sync_all()).map_err(self.io("write"))?;
        Ok(etag(&bytes))
    }

    fn keep(&self, serial: u64) -> std::io::Result<()> {
        let folder = self.history();
        fs::create_dir_all(&folder)?;
        fs::copy(&self.path, folder.join(format!("{serial:010}.json")))?;
        let mut kept: Vec<_> = fs::read_dir(&folder)?.filter_map(|it| it.ok().map(|it| it.path())).collect();
        kept.sort();
        let surplus = kept.len().saturating_sub(HISTORY);
        kept.iter().take(surplus).try_for_each(fs::remove_file)
    }
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
