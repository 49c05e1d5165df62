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
/// How long a lease that has expired is watched, where only its holder's clock and this machine's say so: nobody who lives
/// lets so much time pass without renewing it.
pub const QUIET: Duration =
    if cfg!(test) { Duration::from_millis(100) } else { Duration::from_secs(BEAT.as_secs() + 5) };
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
    /// Records the account and the region that it is applied to, and the stack that it is a preview of, if it is one.
    Lie(String, Option<String>),
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
    restored: Option<u64>,
    clear_at: Option<Instant>,
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

    /// Takes the lease, if it is free, expired, or held by a process of this machine that is no more. Clocks of two machines
    /// may differ: a lease of elsewhere that has expired is watched for [`QUIET`], and one that was renewed in a future that
    /// no clock explains for [`TTL`]; it is dead unless somebody renews it.
    ///
    /// # Errors
    /// [`Error::Locked`] when another run is at work.
    pub async fn claim(store: Arc<dyn Store>, holder: Holder, claim: Claim<'_>) -> Result<Self, Error> {
        let mut watched: Option<(Etag, Instant)> = None;
        loop {
            let asked = Moment::now();
            let looked = Instant::now();
            let (before, etag) = match store.load().await? {
                Some((document, etag)) => (Some(document), Some(etag)),
                None => (None, None),
            };
            let lease = before.as_ref().and_then(|it| it.lease.as_ref());
            if let Some(lease) = lease.filter(|it| claim.breaks != Some(it.epoch)) {
                let same = watched.as_ref().is_none_or(|it| Some(&it.0) == etag.as_ref());
                let unmoved = watched.as_ref().filter(|_| same).map_or(Duration::ZERO, |it| it.1.elapsed());
                match Hold::of(lease, &holder) {
                    Hold::Over => (),
                    Hold::Doubtful(watch) if unmoved >= watch => (),
                    Hold::Doubtful(_) if same => {
                        watched = watched.or_else(|| etag.map(|it| (it, looked)));
                        tokio::time::sleep(AGAIN).await;
                        continue;
                    }
                    // It was renewed while it was watched.
                    Hold::Doubtful(_) | Hold::Firm => {
                        let expires_in = lease.remaining().unwrap_or(TTL).min(TTL * 2);
                        return Err(Error::Locked { lease: Box::new(lease.clone()), expires_in });
                    }
                }
            }
            let (before, restored) = begin(before, store.archive()).await?;
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
                    let heir = before.lease.as_ref().filter(|_| claim.breaks.is_none());
                    let clear_at = heir.and_then(Lease::remaining).map(|left| Instant::now() + left.min(lingers()));
                    let session = Self { restored, clear_at, ..session };
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
        let writer = tokio::spawn(writer.run(inbox));
        Self { requests, writer, fence, started, restored: None, clear_at: None, account: Mutex::default() }
    }

    /// Returns the document as it was when the lease was taken.
    pub fn document(&self) -> &Document {
        &self.started
    }

    /// Returns the serial of the copy that the document was made of, where there was none any more.
    pub fn restored(&self) -> Option<u64> {
        self.restored
    }

    /// Returns when nothing of a run that died can be under way any more, where this one took over from it before its lease
    /// had expired.
    pub fn clear_at(&self) -> Option<Instant> {
        self.clear_at
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

/// How long what a run sent that is dead may still take effect.
#[cfg(not(test))]
const fn lingers() -> Duration {
    LONGEST
}

#[cfg(test)]
fn lingers() -> Duration {
    LINGERS.get()
}

#[cfg(test)]
thread_local! {
    /// The same for the tests of one thread.
    pub(crate) static LINGERS: std::cell::Cell<Duration> = const { std::cell::Cell::new(Duration::from_millis(1)) };
}

/// What a lease that was found is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    /// Somebody has it.
    Firm,
    /// Nobody has it any more.
    Over,
    /// So it seems, by clocks that may be wrong: nobody has it unless it is renewed within this time.
    Doubtful(Duration),
}

impl Hold {
    fn of(lease: &Lease, by: &Holder) -> Self {
        match lease.remaining() {
            _ if lease.holder.is_dead(by) => Self::Over,
            None if lease.holder.is_here(by) => Self::Over,
            None => Self::Doubtful(QUIET),
            Some(it) if it > TTL * 2 => Self::Doubtful(WATCH),
            Some(_) => Self::Firm,
        }
    }
}

/// Returns what a run begins with: the stored document; where it was lost, the newest copy of it, with that one's serial; else
/// a new chain of states. Serials go on from the last that is known of, also where somebody put an older document back.
async fn begin(
    stored: Option<Document>,
    archive: Option<&dyn Archive>,
) -> Result<(Document, Option<u64>), store::Error> {
    let Some(archive) = archive else { return Ok((stored.unwrap_or_default(), None)) };
    let last = archive.last().await?;
    let (document, restored) = match stored {
        Some(it) => (it, None),
        None => match archive.newest().await? {
            Some(it) => (Document { lease: None, ..it.clone() }, Some(it.serial)),
            None => (Document::new(), None),
        },
    };
    let serial = last.filter(|it| *it > document.serial || restored.is_some()).map_or(document.serial, |it| it + 1);
    Ok((Document { serial, ..document }, restored))
}

/// Tells the journal of a run that never gave its lease back, as far as its records say what it did.
async fn bury(archive: Option<&dyn Archive>, left: &Document, lease: &Lease) -> Result<(), store::Error> {
    let before = lease.epoch.saturating_sub(1);
    let Some(archive) = archive else { return Ok(()) };
    // Without a copy of what it found, it changed nothing.
    let found = match archive.earlier(before).await {
        Ok(Some(it)) => it,
        Ok(None) => return Ok(()),
        // What it changed cannot be told any more; that it ran can.
        Err(store::Error::Damaged { .. }) => left.clone(),
        Err(err) => return Err(err),
    };
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
