//! Where a stack's state lies: load and compare-and-swap, and beside it earlier documents and the journal. Holds no policy.
//!
//! What a place must be able to do is little ([`Objects`]): named objects, each replaced on a condition. What the objects
//! are is the same for all places ([`Kept`]).

mod file;
mod s3;
#[cfg(test)]
mod tests;

use std::{future::Future, path::PathBuf, sync::Arc};

use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture};
use miette::Diagnostic;

use super::{
    format,
    journal::Entry,
    record::{Document, SCHEMA},
};
use crate::client;

pub use file::FileStore;
pub use s3::S3Store;

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
    /// [`Error::Conflict`] when it is not, with nothing written by this call; a call before it, whose answer was lost, may
    /// have written the very same. After any other error it may be written or not.
    fn swap<'a>(&'a self, document: &'a Document, expected: Option<&'a Etag>) -> BoxFuture<'a, Result<Etag, Error>>;

    /// Says where that is, for people.
    fn place(&self) -> String;

    /// Returns what is kept beside the document, where anything is.
    fn archive(&self) -> Option<&dyn Archive> {
        None
    }
}

/// Reads a stack's document; where it was lost, the newest copy that is kept of it, and says which of the two it is.
///
/// # Errors
/// Says why neither can be read.
pub async fn current(store: &dyn Store) -> Result<Option<(Document, Source)>, Error> {
    if let Some((document, _)) = store.load().await? {
        return Ok(Some((document, Source::Stored)));
    }
    let newest = match store.archive() {
        Some(it) => it.newest().await?,
        None => None,
    };
    Ok(newest.map(|it| (it, Source::Kept)))
}

/// Where a document comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// It is the stack's own.
    Stored,
    /// There is none any more: it is the newest copy in the history.
    Kept,
}

/// Earlier documents and the journal of a stack: bounded, and never rewritten.
pub trait Archive: Send + Sync {
    /// Keeps a document under its serial, and forgets the oldest. One that is kept already stays as it is.
    fn keep<'a>(&'a self, document: &'a Document) -> BoxFuture<'a, Result<(), Error>>;

    /// Lists the serials of the documents that are kept, the oldest first.
    fn serials(&self) -> BoxFuture<'_, Result<Vec<u64>, Error>>;

    /// Returns the newest serial that there was, as far as anything that is kept says.
    fn last(&self) -> BoxFuture<'_, Result<Option<u64>, Error>> {
        Box::pin(async move {
            let (serials, entries) = futures::try_join!(self.serials(), self.entries(1))?;
            Ok(serials.last().copied().into_iter().chain(entries.last().map(|it| it.after)).max())
        })
    }

    /// Reads the newest document that is kept and can be read.
    fn newest(&self) -> BoxFuture<'_, Result<Option<Document>, Error>> {
        Box::pin(async move {
            for serial in self.serials().await?.into_iter().rev() {
                match self.earlier(serial).await {
                    Ok(Some(it)) => return Ok(Some(it)),
                    Ok(None) | Err(Error::Damaged { .. }) => (),
                    Err(err) => return Err(err),
                }
            }
            Ok(None)
        })
    }

    /// Reads a document that is kept.
    fn earlier(&self, serial: u64) -> BoxFuture<'_, Result<Option<Document>, Error>>;

    /// Writes what a run did into the journal, and forgets the oldest. What is told of a run first is kept.
    fn tell<'a>(&'a self, entry: &'a Entry) -> BoxFuture<'a, Result<(), Error>>;

    /// Reads the newest entries of the journal, the oldest of them first.
    fn entries(&self, most: usize) -> BoxFuture<'_, Result<Vec<Entry>, Error>>;

    /// Puts a document in the place of one that is damaged, of which a copy is kept, and says where. Its serial is one that
    /// none had before.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the stored one is whole.
    fn mend<'a>(&'a self, document: &'a Document) -> BoxFuture<'a, Result<String, Error>>;
}

/// Why a state could not be read or written.
#[derive(Clone, Debug, thiserror::Error, Diagnostic)]
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
        cause: Arc<std::io::Error>,
    },
    /// The store's service refused, or did not answer.
    #[error("cannot {verb} the state {place}")]
    #[diagnostic(code(state::unreachable))]
    Request {
        /// What was tried.
        verb: &'static str,
        /// Where.
        place: String,
        /// Which request, and why.
        #[source]
        cause: client::Error,
        /// What to do.
        #[help]
        help: Option<String>,
    },
    /// Another process of this machine began to write and does not go on.
    #[error("another run stands still while it writes the state; it holds {path}")]
    #[diagnostic(
        code(state::standing),
        help("let it go on or end it (`fuser {path}` names its process), and run the same command again", path = .path.display())
    )]
    Standing {
        /// The lock that it holds.
        path: PathBuf,
    },
    /// The text is no state.
    #[error("the state {place} is damaged: {message}")]
    #[diagnostic(
        code(state::damaged),
        help(
            "`ecomctl state repair` puts back the newest copy from {history}; where there is none, `up` finds what the \
             stack's file names again by its name and tags, but not what the file no longer names"
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

/// Which object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// The document.
    State,
    /// An earlier one, by its serial.
    Earlier(u64),
    /// What a run did, by its epoch.
    Run(u64),
    /// A damaged document, by the microsecond at which it was put aside.
    Damaged(u64),
}

/// Objects that are numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shelf {
    /// Earlier documents.
    History,
    /// What runs did.
    Journal,
}

/// A place of named objects.
pub trait Objects: Send + Sync {
    /// Reads an object and its version; `None` where there is none.
    fn get(&self, name: Name) -> impl Future<Output = Result<Option<(Vec<u8>, Etag)>, Error>> + Send;

    /// Writes an object durably if it is still the expected one (`None`: if there is none).
    fn put(
        &self,
        name: Name,
        bytes: Vec<u8>,
        expected: Option<&Etag>,
    ) -> impl Future<Output = Result<Etag, Error>> + Send;

    /// Lists the numbers of the objects on a shelf, in order.
    fn list(&self, shelf: Shelf) -> impl Future<Output = Result<Vec<u64>, Error>> + Send;

    /// Removes an object; one that is not there is fine.
    fn remove(&self, name: Name) -> impl Future<Output = Result<(), Error>> + Send;

    /// Says where an object lies, for people.
    fn place(&self, name: Name) -> String;

    /// Says where the objects of a shelf lie, for people.
    fn shelf(&self, shelf: Shelf) -> String;
}

/// How many earlier documents are kept.
const HISTORY: usize = 50;
/// How many runs the journal tells of.
const JOURNAL: usize = 200;
/// How many objects are read or removed at a time.
const WIDTH: usize = 16;

impl Shelf {
    const fn name(self, number: u64) -> Name {
        match self {
            Self::History => Name::Earlier(number),
            Self::Journal => Name::Run(number),
        }
    }

    const fn most(self) -> usize {
        match self {
            Self::History => HISTORY,
            Self::Journal => JOURNAL,
        }
    }
}

/// A state, its history and its journal, as objects of a place.
#[derive(Clone, Debug)]
pub struct Kept<O>(O);

impl<O: Objects> Kept<O> {
    fn read(&self, name: Name, bytes: &[u8]) -> Result<Document, Error> {
        let place = self.0.place(name);
        format::read(bytes).map_err(|err| match err {
            format::Fault::Damaged(message) => Error::Damaged { place, message, history: self.0.shelf(Shelf::History) },
            format::Fault::Newer(found) => Error::Newer { place, found },
        })
    }

    /// Writes a numbered object once, and removes the oldest on its shelf.
    async fn put_once(&self, shelf: Shelf, number: u64, bytes: Vec<u8>) -> Result<(), Error> {
        match self.0.put(shelf.name(number), bytes, None).await {
            Ok(_) | Err(Error::Conflict) => (),
            Err(err) => return Err(err),
        }
        // It is written. Where the oldest cannot be removed, as in a bucket that lets nothing be deleted, they stay.
        self.prune(shelf, number).await.ok();
        Ok(())
    }

    async fn prune(&self, shelf: Shelf, number: u64) -> Result<(), Error> {
        let numbers: Vec<u64> = self.0.list(shelf).await?.into_iter().filter(|it| *it != number).collect();
        let surplus = (numbers.len() + 1).saturating_sub(shelf.most());
        let removals = numbers.into_iter().take(surplus).map(|it| self.0.remove(shelf.name(it)));
        futures::stream::iter(removals).buffer_unordered(WIDTH).try_collect().await
    }
}

impl<O: Objects> Store for Kept<O> {
    fn load(&self) -> BoxFuture<'_, Result<Option<(Document, Etag)>, Error>> {
        Box::pin(async move {
            let Some((bytes, etag)) = self.0.get(Name::State).await? else { return Ok(None) };
            Ok(Some((self.read(Name::State, &bytes)?, etag)))
        })
    }

    fn swap<'a>(&'a self, document: &'a Document, expected: Option<&'a Etag>) -> BoxFuture<'a, Result<Etag, Error>> {
        Box::pin(async move { self.0.put(Name::State, format::write(document), expected).await })
    }

    fn place(&self) -> String {
        self.0.place(Name::State)
    }

    fn archive(&self) -> Option<&dyn Archive> {
        Some(self)
    }
}

impl<O: Objects> Archive for Kept<O> {
    fn keep<'a>(&'a self, document: &'a Document) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.put_once(Shelf::History, document.serial, format::write(document)))
    }

    fn serials(&self) -> BoxFuture<'_, Result<Vec<u64>, Error>> {
        Box::pin(self.0.list(Shelf::History))
    }

    fn earlier(&self, serial: u64) -> BoxFuture<'_, Result<Option<Document>, Error>> {
        Box::pin(async move {
            let name = Name::Earlier(serial);
            self.0.get(name).await?.map(|it| self.read(name, &it.0)).transpose()
        })
    }

    fn tell<'a>(&'a self, entry: &'a Entry) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.put_once(Shelf::Journal, entry.epoch, format::write(entry)))
    }

    fn entries(&self, most: usize) -> BoxFuture<'_, Result<Vec<Entry>, Error>> {
        Box::pin(async move {
            let numbers = self.0.list(Shelf::Journal).await?;
            let newest = numbers[numbers.len().saturating_sub(most)..].to_vec();
            let reads = newest.into_iter().map(|it| self.0.get(Name::Run(it)));
            let found: Vec<_> = futures::stream::iter(reads).buffered(WIDTH).try_collect().await?;
            // One that cannot be read, or is of a newer format, hides no other.
            Ok(found.into_iter().flatten().filter_map(|it| serde_json::from_slice(&it.0).ok()).collect())
        })
    }

    fn mend<'a>(&'a self, document: &'a Document) -> BoxFuture<'a, Result<String, Error>> {
        Box::pin(async move {
            let Some((bytes, etag)) = self.0.get(Name::State).await? else { return Err(Error::Conflict) };
            match self.read(Name::State, &bytes) {
                Err(Error::Damaged { .. }) => (),
                Err(err) => return Err(err),
                Ok(_) => return Err(Error::Conflict),
            }
            let salvaged = format::serial(&bytes);
            let aside = Name::Damaged(u64::try_from(jiff::Timestamp::now().as_microsecond()).unwrap_or_default());
            match self.0.put(aside, bytes, None).await {
                Ok(_) | Err(Error::Conflict) => (),
                Err(err) => return Err(err),
            }
            let known = self.last().await?.max(salvaged);
            let document = Document { serial: document.serial.max(known.unwrap_or_default()) + 1, ..document.clone() };
            self.0.put(Name::State, format::write(&document), Some(&etag)).await?;
            Ok(self.0.place(aside))
        })
    }
}
