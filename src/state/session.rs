//! A run's hold on a stack: the lease, and one task that writes all records, together where they come together.
//!
//! Decides nothing about resources.

mod writer;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use miette::Diagnostic;
use tokio::sync::{mpsc, oneshot};

use super::{
    journal::{self, Account, Done, Entry, Outcome},
    record::{Definition, Document, Holder, Lease, Record},
    store::{self, Archive, Etag, Store},
};
use crate::{
    address::Address,
    client::fence::{Fence, LONGEST, Moment},
};
use writer::Writer;

/// How long a lease lives without being renewed. Longer than any request may take (see [`DEADLINE`]), so that nothing
/// that a dead run sent can still take effect when another takes over.
pub const TTL: Duration = Duration::from_secs(90);
/// How long a lease must still live for a request to be sent: a little longer than that may take.
pub const DEADLINE: Duration = Duration::from_secs(LONGEST.as_secs() + 5);
/// How often the lease is renewed.
pub const BEAT: Duration = Duration::from_secs(15);
/// How long a lease from the future is watched: for as long as it would live without being renewed.
const WATCH: Duration = if cfg!(test) { Duration::from_millis(200) } else { TTL };
/// How often it is looked at meanwhile.
const AGAIN: Duration = if cfg!(test) { Duration::from_millis(5) } else { Duration::from_secs(1) };
/// How long it is tried to find out whether a write took effect, and to write again where it did not.
const PATIENCE: Duration = Duration::from_secs(30);

/// A change to the document.
#[derive(Clone, Debug)]
pub enum Edit {
    /// Records what is known of a resource.
    Put(Address, Box<Record>),
    /// Forgets a resource that is gone.
    Remove(Address),
    /// Records the definition that is applied.
    Define(Definition),
    /// Takes definition and records of another document: an earlier one of the same stack.
    Restore(Box<Document>),
}

/// Why a run may not go on.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum Error {
    /// Another run is at work.
    #[error("{}", .lease.describe())]
    #[diagnostic(
        code(state::locked),
        help(
            "wait for it with `--lock-wait 10m`; if it died, its lease expires in {} s and the next run takes over by itself",
            .expires_in.as_secs()
        )
    )]
    Locked {
        /// What it holds.
        lease: Box<Lease>,
        /// When the lease expires if it is not renewed.
        expires_in: Duration,
    },
    /// Another run took over while this one was not answering.
    #[error("another run took over this stack; nothing more was changed by this one")]
    #[diagnostic(code(state::lost), help("run the same command again once the other run has finished"))]
    Lost,
    /// The store failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] store::Error),
}

/// A run's hold on a stack.
#[derive(Debug)]
pub struct Session {
    requests: mpsc::UnboundedSender<Request>,
    writer: tokio::task::JoinHandle<()>,
    fence: Arc<Fence>,
    started: Document,
    account: Mutex<Option<Account>>,
}

/// How a lease is taken.
#[derive(Clone, Copy, Debug, Default)]
pub struct Claim<'a> {
    /// What for, such as `up`.
    pub verb: &'a str,
    /// The lease that is taken from whoever holds it, by its epoch.
    pub breaks: Option<u64>,
}

struct Request {
    edits: Vec<Edit>,
    account: Option<Account>,
    release: bool,
    done: oneshot::Sender<Result<(), Error>>,
}

impl Session {
    /// Takes the lease for nothing in particular (see [`Session::claim`]).
    ///
    /// # Errors
    /// [`Error::Locked`] when another run is at work.
    pub async fn acquire(store: Arc<dyn Store>, holder: Holder) -> Result<Self, Error> {
        Self::claim(store, holder, Claim::default()).await
    }

    /// Takes the lease, if it is free, expired, or held by a process of this machine that is no more. One that was
    /// renewed in a future that no clock explains is watched for [`TTL`]; it is dead unless somebody renews it.
    ///
    /// # Errors
    /// [`Error::Locked`] when another run is at work.
    pub async fn claim(store: Arc<dyn Store>, holder: Holder, claim: Claim<'_>) -> Result<Self, Error> {
        let mut watched: Option<(Etag, Instant)> = None;
        loop {
            let asked = Moment::now();
            let looked = Instant::now();
            let (before, etag) = match store.load().await? {
                Some((document, etag)) => (document, Some(etag)),
                None => (anew(store.archive()).await?, None),
            };
            if let Some(lease) = &before.lease
                && let Some(expires_in) = lease.remaining()
                && !lease.holder.is_dead(&holder.host)
                && claim.breaks != Some(lease.epoch)
                && !watched.as_ref().is_some_and(|(it, since)| Some(it) == etag.as_ref() && since.elapsed() >= WATCH)
            {
                if expires_in > TTL * 2 && watched.as_ref().is_none_or(|it| Some(&it.0) == etag.as_ref()) {
                    watched = watched.or_else(|| etag.map(|it| (it, looked)));
                    tokio::time::sleep(AGAIN).await;
                    continue;
                }
                let expires_in = expires_in.min(TTL * 2);
                return Err(Error::Locked { lease: Box::new(lease.clone()), expires_in });
            }
            let (now, mut document) = (Timestamp::now(), before.clone());
            document.serial += 1;
            document.lease = Some(Lease {
                // The serial of the write that takes it: no two are the same.
                epoch: document.serial,
                holder: holder.clone(),
                verb: claim.verb.to_owned(),
                since: now,
                beat: now,
                ttl_seconds: TTL.as_secs(),
            });
            env!("CARGO_PKG_VERSION").clone_into(&mut document.writer);
            match writer::write(&*store, &document, etag, holder.run).await {
                Ok(etag) => {
                    let session = Self::start(Arc::clone(&store), (before.clone(), document), etag, asked);
                    if let Some(lease) = &before.lease
                        && let Err(err) = bury(store.archive(), &before, lease).await
                    {
                        session.release().await?;
                        return Err(err.into());
                    }
                    return Ok(session);
                }
                Err(store::Error::Conflict) => (),
                Err(err) => return Err(err.into()),
            }
        }
    }

    fn start(store: Arc<dyn Store>, documents: (Document, Document), etag: Etag, asked: Moment) -> Self {
        let (requests, inbox) = mpsc::unbounded_channel();
        let fence = Arc::new(Fence::new(asked, TTL));
        let started = documents.1.clone();
        let writer = Writer::new(store, documents, etag, Arc::clone(&fence));
        Self { requests, writer: tokio::spawn(writer.run(inbox)), fence, started, account: Mutex::default() }
    }

    /// Returns the document as it was when the lease was taken.
    pub fn document(&self) -> &Document {
        &self.started
    }

    /// Returns the limit that clients obey, so that they send nothing that the lease may not outlive.
    pub fn fence(&self) -> Arc<Fence> {
        Arc::clone(&self.fence)
    }

    /// Writes changes durably; returns once they are. Changes that come while a write is under way share the next.
    ///
    /// # Errors
    /// [`Error::Lost`] when another run took over.
    pub async fn record(&self, edits: Vec<Edit>) -> Result<(), Error> {
        self.ask(edits, None, false).await
    }

    /// Makes sure that the lease outlives a request that is about to be sent; renews it where it does not.
    ///
    /// # Errors
    /// [`Error::Lost`] when another run took over.
    pub async fn check(&self) -> Result<(), Error> {
        match self.fence.remaining() {
            None => Err(Error::Lost),
            Some(it) if it >= DEADLINE => Ok(()),
            Some(_) => self.ask(Vec::new(), None, false).await,
        }
    }

    /// Says what the journal is to be told when the lease is given back. Where nothing was recorded, nothing is told.
    pub fn account(&self, account: Account) {
        *self.account.lock().unwrap_or_else(PoisonError::into_inner) = Some(account);
    }

    /// Gives the lease back, and tells the journal what was done.
    ///
    /// # Errors
    /// [`Error::Lost`] when there was nothing to give back; or why the journal could not be written.
    pub async fn release(self) -> Result<(), Error> {
        let account = self.account.lock().unwrap_or_else(PoisonError::into_inner).take();
        let result = self.ask(Vec::new(), account, true).await;
        // The writer ends with the release; an abort could not be told apart from it.
        self.writer.await.ok();
        result
    }

    async fn ask(&self, edits: Vec<Edit>, account: Option<Account>, release: bool) -> Result<(), Error> {
        let (done, answer) = oneshot::channel();
        self.requests.send(Request { edits, account, release, done }).map_err(|_| Error::Lost)?;
        answer.await.map_err(|_| Error::Lost)?
    }
}

/// Starts a chain of states, where there is none or it was lost. Serials go on from the last that is known of.
async fn anew(archive: Option<&dyn Archive>) -> Result<Document, store::Error> {
    let Some(archive) = archive else { return Ok(Document::new()) };
    let (serials, entries) = futures::try_join!(archive.serials(), archive.entries(1))?;
    let known = serials.last().copied().into_iter().chain(entries.last().map(|it| it.after)).max();
    Ok(Document { serial: known.map_or(0, |it| it + 1), ..Document::new() })
}

/// Tells the journal of a run that never gave its lease back, as far as its records say what it did.
async fn bury(archive: Option<&dyn Archive>, left: &Document, lease: &Lease) -> Result<(), store::Error> {
    let before = lease.epoch.saturating_sub(1);
    let Some(archive) = archive else { return Ok(()) };
    // Without a copy of what it found, it changed nothing.
    let Some(found) = archive.earlier(before).await? else { return Ok(()) };
    let addresses = left.resources.keys().chain(found.resources.keys().filter(|it| !left.resources.contains_key(*it)));
    let changed = addresses.filter(|it| left.resources.get(*it) != found.resources.get(*it));
    let steps = changed.map(|address| Done {
        address: address.clone(),
        action: left.resources.get(address).map_or("delete", |it| it.status.name()).to_owned(),
        outcome: Outcome::Recorded,
        seconds: None,
    });
    let account = Account { end: journal::End::Died, steps: steps.collect() };
    archive.tell(&Entry::new(lease, left.lineage, (before, left.serial), account)).await
}

#[cfg(test)]
mod tests;
