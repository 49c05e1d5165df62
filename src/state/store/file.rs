//! A state in a file of this machine, under a lock; its history and its journal in folders beside it.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use sha2::{Digest as _, Sha256};

use super::{Error, Etag, Kept, Name, Objects, Shelf};
use crate::durable;

/// How long another process may take over its write, which is a matter of milliseconds unless it stands still.
const PATIENCE: Duration = if cfg!(test) { Duration::from_millis(200) } else { Duration::from_secs(20) };

/// A state in a file.
pub type FileStore = Kept<Files>;

/// Files beside each other.
#[derive(Clone, Debug)]
pub struct Files {
    path: PathBuf,
}

impl Kept<Files> {
    /// Keeps the state in this file. Creates nothing yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(Files { path: path.into() })
    }
}

impl Files {
    /// Returns where the document lies in truth: what a link points at is written, and the link stays. All that lies
    /// beside it, the lock included, lies there.
    fn real(&self, verb: &'static str) -> Result<PathBuf, Error> {
        match fs::symlink_metadata(&self.path) {
            Ok(it) if it.is_symlink() => fs::canonicalize(&self.path).map_err(self.io(verb)),
            _ => Ok(self.path.clone()),
        }
    }

    fn io(&self, verb: &'static str) -> impl Fn(io::Error) -> Error + use<> {
        self.of(verb, Name::State)
    }

    fn of(&self, verb: &'static str, name: Name) -> impl Fn(io::Error) -> Error + use<> {
        failed(verb, self.place(name))
    }

    fn read(&self, name: Name) -> Result<Option<(Vec<u8>, Etag)>, Error> {
        let bytes = found(fs::read(file(&self.real("read")?, name))).map_err(self.of("read", name))?;
        Ok(bytes.map(|it| (etag(&it), it)).map(|(etag, bytes)| (bytes, etag)))
    }

    fn write(&self, name: Name, bytes: &[u8], expected: Option<&Etag>) -> Result<Etag, Error> {
        let real = self.real("write")?;
        let path = file(&real, name);
        for it in [real.parent(), path.parent()] {
            durable::create_folder(it.unwrap_or(Path::new("."))).map_err(self.of("write", name))?;
        }
        let _turn = self.turn(real.with_extension("lock"))?;
        if self.read(name)?.map(|it| it.1).as_ref() != expected {
            return Err(Error::Conflict);
        }
        // All through one name: that of a copy that nobody finished would stay for good.
        durable::replace_through(&real, &path, bytes).map_err(self.of("write", name))?;
        Ok(etag(bytes))
    }

    /// Waits until no other process writes. The turn ends with the file, or with the process.
    fn turn(&self, path: PathBuf) -> Result<File, Error> {
        loop {
            let file = self.locked(&path)?;
            // Somebody may have taken the file away while it was awaited: then others lock another one.
            if durable::is_at(&file, &path).map_err(self.io("lock"))? {
                return Ok(file);
            }
        }
    }

    fn locked(&self, path: &Path) -> Result<File, Error> {
        let file = File::create(path).map_err(self.io("lock"))?;
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(err)) => return Err(self.io("lock")(err)),
            Err(TryLockError::WouldBlock) => (),
        }
        // The system's wait has no limit, so it is left to a thread that nobody waits for.
        let (done, wait) = mpsc::channel();
        thread::spawn(move || done.send(file.lock().map(|()| file)));
        match wait.recv_timeout(PATIENCE) {
            Ok(locked) => locked.map_err(self.io("lock")),
            Err(_) => Err(Error::Standing { path: path.to_owned() }),
        }
    }

    fn numbers(&self, shelf: Shelf) -> Result<Vec<u64>, Error> {
        let folder = folder(&self.real("read")?, shelf);
        let Some(entries) = found(fs::read_dir(folder)).map_err(failed("read", self.shelf(shelf)))? else {
            return Ok(Vec::new());
        };
        let mut numbers = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed("read", self.shelf(shelf)))?.file_name();
            // Anything else is not ours, or half written.
            numbers.extend(name.to_str().and_then(|it| it.strip_suffix(".json")?.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Does what may take a disk's while where it keeps nothing else waiting.
    async fn aside<T: Send + 'static>(
        &self,
        verb: &'static str,
        work: impl FnOnce(&Self) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let own = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&own)).await;
        done.map_err(|err| self.io(verb)(io::Error::other(err)))?
    }
}

/// Says what failed, and where.
fn failed(verb: &'static str, place: String) -> impl Fn(io::Error) -> Error {
    move |cause| Error::Io { verb, place: place.clone(), cause: Arc::new(cause) }
}

/// Turns "is not there" into `None`.
fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(it) => Ok(Some(it)),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(err) => Err(err),
    }
}

fn folder(state: &Path, shelf: Shelf) -> PathBuf {
    state.with_extension(match shelf {
        Shelf::History => "history",
        Shelf::Journal => "journal",
    })
}

fn file(state: &Path, name: Name) -> PathBuf {
    match name {
        Name::State => state.to_owned(),
        Name::Earlier(it) => folder(state, Shelf::History).join(format!("{it:010}.json")),
        Name::Run(it) => folder(state, Shelf::Journal).join(format!("{it:010}.json")),
        Name::Damaged(it) => state.with_extension(format!("damaged-{it}")),
    }
}

fn etag(bytes: &[u8]) -> Etag {
    Etag(Sha256::digest(bytes).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}")))
}

impl Objects for Files {
    async fn get(&self, name: Name) -> Result<Option<(Vec<u8>, Etag)>, Error> {
        self.aside("read", move |it| it.read(name)).await
    }

    async fn put(&self, name: Name, bytes: Vec<u8>, expected: Option<&Etag>) -> Result<Etag, Error> {
        let expected = expected.cloned();
        self.aside("write", move |it| it.write(name, &bytes, expected.as_ref())).await
    }

    async fn list(&self, shelf: Shelf) -> Result<Vec<u64>, Error> {
        self.aside("read", move |it| it.numbers(shelf)).await
    }

    async fn remove(&self, name: Name) -> Result<(), Error> {
        let remove = move |it: &Self| {
            let path = file(&it.real("write")?, name);
            found(fs::remove_file(path)).map(|_| ()).map_err(it.of("write", name))
        };
        self.aside("write", remove).await
    }

    fn place(&self, name: Name) -> String {
        file(&self.path, name).display().to_string()
    }

    fn shelf(&self, shelf: Shelf) -> String {
        folder(&self.path, shelf).display().to_string()
    }
}
