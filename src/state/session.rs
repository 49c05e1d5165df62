//! A run's hold on a stack: the lease, and one task that writes all records, together where they come together.
//!
//! Decides nothing about resources.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use miette::Diagnostic;
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    record::{Definition, Document, Holder, Lease, Record},
    store::{self, Etag, Store},
};
use crate::address::Address;

/// How long a lease lives without being renewed. Longer than any request may take (see [`DEADLINE`]), so that nothing
/// that a dead run sent can still take effect when another takes over.
pub const TTL: Duration = Duration::from_secs(90);
/// The longest that one request to a provider may take, its retries included.
pub const DEADLINE: Duration = Duration::from_secs(45);
/// How often the lease is renewed.
const BEAT: Duration = Duration::from_secs(15);
/// How long a lease from the future is watched: for as long as it would live without being renewed.
const WATCH: Duration = if cfg!(test) { Duration::from_millis(200) } else { TTL };
/// How often it is looked at meanwhile.
const AGAIN: Duration = if cfg!(test) { Duration::from_millis(5) } else { Duration::from_secs(1) };

/// A change to the document.
#[derive(Clone, Debug)]
pub enum Edit {
    /// Records what is known of a resource.
    Put(Address, Box<Record>),
    /// Forgets a resource that is gone.
    Remove(Address),
    /// Records the definition that is applied.
    Define(Definition),
}

/// Why a run may not go on.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum Error {
    /// Another run is at work.
    #[error("{}", describe(.holder, .since))]
    #[diagnostic(code(state::locked), help("wait for it to finish; if it died, its lease expires in {} s and the next run takes over by itself", .expires_in.as_secs()))]
    Locked {
        /// Who holds the lease.
        holder: Box<Holder>,
        /// Since when.
        since: Timestamp,
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

fn describe(holder: &Holder, since: &Timestamp) -> String {
    let ci = holder.ci.as_ref().map(|it| format!(", {it}")).unwrap_or_default();
    let since = since.strftime("%Y-%m-%d %H:%M:%S UTC");
    format!("another run holds this stack: {}@{} (process {}{ci}) since {since}", holder.user, holder.host, holder.pid)
}

/// A run's hold on a stack.
#[derive(Debug)]
pub struct Session {
    requests: mpsc::UnboundedSender<Request>,
    writer: tokio::task::JoinHandle<()>,
    held: watch::Receiver<Held>,
    started: Document,
}

/// What the writer last knew about the lease.
#[derive(Clone, Copy, Debug)]
struct Held {
    until: Instant,
    lost: bool,
}

struct Request {
    edits: Vec<Edit>,
    release: bool,
    done: oneshot::Sender<Result<(), Error>>,
}

impl Session {
    /// Takes the lease, if it is free, expired, or held by a process of this machine that is no more. One that was
    /// renewed in a future that no clock explains is watched for [`TTL`]; it is dead unless somebody renews it.
    ///
    /// # Errors
    /// [`Error::Locked`] when another run is at work.
    pub async fn acquire(store: Arc<dyn Store>, holder: Holder) -> Result<Self, Error> {
        let mut watched: Option<(Etag, Instant)> = None;
        loop {
            let asked = Instant::now();
            let (mut document, etag) = match store.load().await? {
                Some((document, etag)) => (document, Some(etag)),
                None => (Document::new(), None),
            };
            if let Some(lease) = &document.lease
                && let Some(expires_in) = remaining(lease)
                && !lease.holder.is_dead(&holder.host)
                && !watched.as_ref().is_some_and(|(it, since)| Some(it) == etag.as_ref() && since.elapsed() >= WATCH)
            {
                if expires_in > TTL * 2 && watched.as_ref().is_none_or(|it| Some(&it.0) == etag.as_ref()) {
                    watched = watched.or_else(|| etag.map(|it| (it, asked)));
                    tokio::time::sleep(AGAIN).await;
                    continue;
                }
                let expires_in = expires_in.min(TTL * 2);
                let (holder, since) = (Box::new(lease.holder.clone()), lease.since);
                return Err(Error::Locked { holder, since, expires_in });
            }
            let now = Timestamp::now();
            document.lease = Some(Lease {
                epoch: document.lease.as_ref().map_or(document.serial, |it| it.epoch) + 1,
                holder: holder.clone(),
                since: now,
                beat: now,
                ttl_seconds: TTL.as_secs(),
            });
            document.serial += 1;
            env!("CARGO_PKG_VERSION").clone_into(&mut document.writer);
            match store.swap(&document, etag.as_ref()).await {
                Ok(etag) => return Ok(Self::start(store, document, etag, asked)),
                Err(store::Error::Conflict) => (),
                Err(err) => return Err(err.into()),
            }
        }
    }

    fn start(store: Arc<dyn Store>, document: Document, etag: Etag, asked: Instant) -> Self {
        let (requests, inbox) = mpsc::unbounded_channel();
        let (held, watcher) = watch::channel(Held { until: asked + TTL, lost: false });
        let started = document.clone();
        let writer = tokio::spawn(Writer { store, document, etag, held }.run(inbox));
        Self { requests, writer, held: watcher, started }
    }

    /// Returns the document as it was when the lease was taken.
    pub fn document(&self) -> &Document {
        &self.started
    }

    /// Writes changes durably; returns once they are. Changes that come while a write is under way share the next.
    ///
    /// # Errors
    /// [`Error::Lost`] when another run took over.
    pub async fn record(&self, edits: Vec<Edit>) -> Result<(), Error> {
        self.ask(edits, false).await
    }

    /// Makes sure that the lease outlives a request that is about to be sent; renews it where it does not.
    ///
    /// # Errors
    /// [`Error::Lost`] when another run took over.
    pub async fn check(&self) -> Result<(), Error> {
        let held = *self.held.borrow();
        if held.lost {
            return Err(Error::Lost);
        }
        if held.until.saturating_duration_since(Instant::now()) < DEADLINE {
            self.ask(Vec::new(), false).await?;
        }
        Ok(())
    }

    /// Gives the lease back.
    ///
    /// # Errors
    /// [`Error::Lost`] when there was nothing to give back.
    pub async fn release(self) -> Result<(), Error> {
        let result = self.ask(Vec::new(), true).await;
        // The writer ends with the release; an abort could not be told apart from it.
        self.writer.await.ok();
        result
    }

    async fn ask(&self, edits: Vec<Edit>, release: bool) -> Result<(), Error> {
        let (done, answer) = oneshot::channel();
        self.requests.send(Request { edits, release, done }).map_err(|_| Error::Lost)?;
        answer.await.map_err(|_| Error::Lost)?
    }
}

/// The one task that writes a stack's state.
struct Writer {
    store: Arc<dyn Store>,
    document: Document,
    etag: Etag,
    held: watch::Sender<Held>,
}

impl Writer {
    async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Request>) {
        let mut batch = Vec::new();
        loop {
            batch.clear();
            if let Ok(0) = tokio::time::timeout(BEAT, inbox.recv_many(&mut batch, usize::MAX)).await {
                return;
            }
            let release = batch.iter().any(|it| it.release);
            for edit in batch.iter_mut().flat_map(|it| std::mem::take(&mut it.edits)) {
                self.apply(edit);
            }
            let result = self.write(release).await;
            let lost = matches!(result, Err(store::Error::Conflict));
            for request in batch.drain(..) {
                let answer = match &result {
                    Ok(()) => Ok(()),
                    Err(store::Error::Conflict) => Err(Error::Lost),
                    Err(err) => Err(Error::Store(again(err))),
                };
                // Nobody waits for an answer any more when the run was aborted.
                request.done.send(answer).ok();
            }
            if lost || release {
                return;
            }
        }
    }

    fn apply(&mut self, edit: Edit) {
        match edit {
            Edit::Put(address, record) => {
                self.document.resources.insert(address, *record);
            }
            Edit::Remove(address) => {
                self.document.resources.remove(&address);
            }
            Edit::Define(definition) => self.document.definition = Some(definition),
        }
    }

    async fn write(&mut self, release: bool) -> Result<(), store::Error> {
        let asked = Instant::now();
        self.document.serial += 1;
        match &mut self.document.lease {
            Some(lease) if !release => lease.beat = Timestamp::now(),
            lease => *lease = None,
        }
        let result = self.store.swap(&self.document, Some(&self.etag)).await;
        match &result {
            Ok(etag) => {
                self.etag = etag.clone();
                self.held.send_replace(Held { until: asked + TTL, lost: false });
            }
            Err(store::Error::Conflict) => {
                self.held.send_replace(Held { until: asked, lost: true });
            }
            Err(_) => (),
        }
        result.map(|_| ())
    }
}

/// Tells a store's error once more, to each who waits for the same write.
fn again(err: &store::Error) -> store::Error {
    match err {
        store::Error::Io { verb, place, cause } => {
            store::Error::Io { verb, place: place.clone(), cause: std::io::Error::new(cause.kind(), cause.to_string()) }
        }
        store::Error::Damaged { place, message, history } => {
            store::Error::Damaged { place: place.clone(), message: message.clone(), history: history.clone() }
        }
        store::Error::Newer { place, found } => store::Error::Newer { place: place.clone(), found: *found },
        store::Error::Conflict => store::Error::Conflict,
    }
}

/// How long a lease still lives, whatever it claims of its own lifetime; `None` once it has expired.
fn remaining(lease: &Lease) -> Option<Duration> {
    let lease = Lease { ttl_seconds: lease.ttl_seconds.min(TTL.as_secs()), ..lease.clone() };
    Duration::try_from(lease.expires().duration_since(Timestamp::now())).ok().filter(|it| !it.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{record::Status, store::FileStore};

    fn holder(pid: u32, host: &str) -> Holder {
        let (user, run) = ("u".into(), uuid::Uuid::new_v4());
        Holder { user, host: host.into(), pid, start: None, boot: None, run, ci: None, commit: None }
    }

    /// Leaves a lease behind as a run that did not end would.
    async fn leave(store: &dyn Store, change: impl FnOnce(&mut Lease)) {
        let now = Timestamp::now();
        let holder = holder(1, "elsewhere");
        let mut lease = Lease { epoch: 1, holder, since: now, beat: now, ttl_seconds: TTL.as_secs() };
        change(&mut lease);
        let document = Document { lease: Some(lease), ..Document::new() };
        store.swap(&document, None).await.expect("written");
    }

    #[tokio::test]
    async fn another_process_with_the_holders_number_or_after_a_restart_is_not_the_holder() {
        let own = crate::process::Process::find(std::process::id()).expect("own process");
        let own = Holder { start: Some(own.start), boot: crate::process::boot(), ..holder(own.pid, "here") };
        assert!(!own.is_dead("here"));
        assert!(Holder { start: own.start.map(|it| it + 1), ..own.clone() }.is_dead("here"), "the number was reused");
        let restarted = Holder { boot: Some("another".into()), ..own.clone() };
        assert!(restarted.is_dead("here") && !restarted.is_dead("elsewhere"));
        let folder = tempfile::tempdir().expect("a folder");
        leave(&*store(&folder), |it| it.holder = restarted).await;
        Session::acquire(store(&folder), own).await.expect("succeeded at once");
    }

    #[test]
    fn a_holder_of_an_older_program_still_loads() {
        let old =
            r#"{"user":"u","host":"h","pid":7,"run":"6f1b1c64-7d0c-4c53-9f0b-5a3a4f4f3f10","ci":null,"commit":null}"#;
        let holder: Holder = serde_json::from_str(old).expect("read");
        assert_eq!((holder.start, holder.boot), (None, None));
    }

    #[tokio::test]
    async fn a_lease_lives_no_longer_than_any_lease_may() {
        let folder = tempfile::tempdir().expect("a folder");
        leave(&*store(&folder), |it| {
            it.ttl_seconds = u64::MAX;
            it.beat -= TTL;
        })
        .await;
        Session::acquire(store(&folder), holder(2, "here")).await.expect("expired, whatever it says");
    }

    #[tokio::test]
    async fn a_lease_from_the_future_is_dead_unless_somebody_renews_it() {
        let years = jiff::SignedDuration::from_hours(24 * 365 * 10);
        let folder = tempfile::tempdir().expect("a folder");
        leave(&*store(&folder), |it| it.beat += years).await;
        let begun = Instant::now();
        Session::acquire(store(&folder), holder(2, "here")).await.expect("nobody renews it");
        assert!(begun.elapsed() >= WATCH, "taken without having been watched");

        let folder = tempfile::tempdir().expect("a folder");
        let held = store(&folder);
        leave(&*held, |it| it.beat += years).await;
        let renew = async {
            loop {
                tokio::time::sleep(AGAIN).await;
                let (mut document, etag) = held.load().await.expect("readable").expect("there");
                document.serial += 1;
                held.swap(&document, Some(&etag)).await.expect("renewed");
            }
        };
        let refused = tokio::select! {
            it = Session::acquire(store(&folder), holder(2, "here")) => it.expect_err("somebody renews it"),
            () = renew => unreachable!("it never ends"),
        };
        assert!(matches!(refused, Error::Locked { .. }), "{refused}");
    }

    fn record() -> Record {
        Record {
            status: Status::Ready,
            physical: "s-a".into(),
            id: None,
            nonce: "n".into(),
            applied: serde_json::Value::Null,
            refs: Default::default(),
            protect: false,
        }
    }

    fn store(folder: &tempfile::TempDir) -> Arc<dyn Store> {
        Arc::new(FileStore::new(folder.path().join("s.json")))
    }

    #[tokio::test]
    async fn two_runs_exclude_each_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = Session::acquire(store(&folder), holder(std::process::id(), "here")).await.expect("free");
        let second = Session::acquire(store(&folder), holder(1, "elsewhere")).await;
        assert!(matches!(second, Err(Error::Locked { .. })));
        first.release().await.expect("still held");
        let third = Session::acquire(store(&folder), holder(1, "elsewhere")).await.expect("free again");
        third.release().await.expect("still held");
    }

    #[tokio::test]
    async fn a_dead_holder_of_this_machine_is_succeeded_at_once_and_fenced_off() {
        let folder = tempfile::tempdir().expect("a folder");
        // The largest process number that Linux can give is far below this.
        let zombie = Session::acquire(store(&folder), holder(i32::MAX as u32, "here")).await.expect("free");
        let heir = Session::acquire(store(&folder), holder(2, "here")).await.expect("the holder is dead");
        let address = Address::new("topic", "a");
        let late = zombie.record(vec![Edit::Put(address.clone(), Box::new(record()))]).await;
        assert!(matches!(late, Err(Error::Lost)));
        assert!(matches!(zombie.check().await, Err(Error::Lost)));
        heir.record(vec![Edit::Put(address.clone(), Box::new(record()))]).await.expect("the heir writes");
        heir.release().await.expect("still held");
        let (document, _) = store(&folder).load().await.expect("readable").expect("there");
        assert!(document.lease.is_none());
        assert!(document.resources.contains_key(&address));
    }

    #[tokio::test]
    async fn records_that_come_together_are_written_together() {
        let folder = tempfile::tempdir().expect("a folder");
        let session = Session::acquire(store(&folder), holder(2, "here")).await.expect("free");
        let before = session.document().serial;
        let puts = (0..500)
            .map(|i| session.record(vec![Edit::Put(Address::new("topic", format!("t{i}")), Box::new(record()))]));
        futures::future::try_join_all(puts).await.expect("all written");
        let (document, _) = store(&folder).load().await.expect("readable").expect("there");
        assert_eq!(document.resources.len(), 500);
        assert!(document.serial - before <= 3, "{} writes", document.serial - before);
    }
}
