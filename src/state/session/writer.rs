//! The one task that writes a stack's state, and the one function that finds out what became of a write.

use std::{sync::Arc, time::Instant};

use jiff::Timestamp;
use tokio::{sync::mpsc, time::Duration};
use uuid::Uuid;

use super::{BEAT, Edit, Error, PATIENCE, Request, TTL};
use crate::{
    client::{
        Reason,
        fence::{Fence, Moment},
    },
    state::{
        journal::{Account, Entry},
        record::{Document, Lease},
        store::{self, Etag, Store},
    },
};

/// The one task that writes a stack's state.
pub(super) struct Writer {
    store: Arc<dyn Store>,
    document: Document,
    etag: Etag,
    fence: Arc<Fence>,
    /// The document as the run found it, until the first change of it, which must not be the end of it.
    unkept: Option<Document>,
    /// Its serial.
    found: u64,
}

impl Writer {
    pub(super) fn new(store: Arc<dyn Store>, documents: (Document, Document), etag: Etag, fence: Arc<Fence>) -> Self {
        let (before, document) = documents;
        Self { store, document, etag, fence, found: before.serial, unkept: Some(before) }
    }

    pub(super) async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Request>) {
        let mut batch = Vec::new();
        loop {
            batch.clear();
            if let Ok(0) = tokio::time::timeout(BEAT, inbox.recv_many(&mut batch, usize::MAX)).await {
                return;
            }
            let release = batch.iter().any(|it| it.release);
            let account = batch.iter_mut().find_map(|it| it.account.take());
            let edits: Vec<_> = batch.iter_mut().flat_map(|it| std::mem::take(&mut it.edits)).collect();
            let result = self.turn(edits, account, release).await;
            let lost = matches!(result, Err(store::Error::Conflict));
            if lost || release {
                // Whoever still waits with a request in hand must not send it.
                self.fence.close();
            }
            for request in batch.drain(..) {
                let answer = result.clone().map_err(|err| match err {
                    store::Error::Conflict => Error::Lost,
                    err => Error::Store(err),
                });
                // Nobody waits for an answer any more when the run was aborted.
                request.done.send(answer).ok();
            }
            if lost || release {
                return;
            }
        }
    }

    /// Writes once, what is to be kept beside the document and what is to be told before it.
    async fn turn(&mut self, edits: Vec<Edit>, account: Option<Account>, release: bool) -> Result<(), store::Error> {
        let kept = if edits.is_empty() { Ok(()) } else { self.keep().await };
        if kept.is_ok() {
            edits.into_iter().for_each(|it| self.apply(it));
        } else if !release {
            return kept;
        }
        // Told first: a run that is killed in between is told of all the same, as whoever comes next finds it told already.
        let told = match (account, self.document.lease.clone()) {
            (Some(account), Some(lease)) if release && self.unkept.is_none() => self.tell(lease, account).await,
            _ => Ok(()),
        };
        self.write(release).await?;
        kept.and(told)?;
        match self.store.archive().filter(|_| release && self.unkept.is_none()) {
            // What a run leaves is kept as well as what it finds: if the document is lost or damaged, this is what is left.
            Some(it) => it.keep(&self.document).await,
            None => Ok(()),
        }
    }

    async fn keep(&mut self) -> Result<(), store::Error> {
        if let (Some(before), Some(archive)) = (&self.unkept, self.store.archive()) {
            archive.keep(&Document { lease: None, ..before.clone() }).await?;
        }
        self.unkept = None;
        Ok(())
    }

    async fn tell(&self, lease: Lease, account: Account) -> Result<(), store::Error> {
        let Some(archive) = self.store.archive() else { return Ok(()) };
        let lease = Lease { beat: Timestamp::now(), ..lease };
        // The lease is given back by the next write.
        let serials = (self.found, self.document.serial + 1);
        archive.tell(&Entry::new(&lease, self.document.lineage, serials, account)).await
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
            Edit::Lie(cloud, preview_of) => {
                self.document.cloud = Some(cloud);
                self.document.preview_of = preview_of;
            }
            Edit::Restore(earlier) => {
                self.document.definition = earlier.definition;
                self.document.resources = earlier.resources;
            }
        }
    }

    async fn write(&mut self, release: bool) -> Result<(), store::Error> {
        let asked = Moment::now();
        let run = self.document.lease.as_ref().map(|it| it.holder.run).unwrap_or_default();
        self.document.serial += 1;
        match &mut self.document.lease {
            Some(lease) if !release => lease.beat = Timestamp::now(),
            lease => *lease = None,
        }
        self.etag = write(&*self.store, &self.document, Some(self.etag.clone()), run).await?;
        self.fence.extend(asked, TTL);
        Ok(())
    }
}

/// Writes a document of this run's. What became of a write whose answer was lost is for the stored document to say: it is
/// the one that was to be written, or one that this run wrote before, or untouched; or there is none any more; or it is another
/// run's, and nothing is written.
///
/// # Errors
/// [`store::Error::Conflict`] when another run wrote.
pub(super) async fn write(
    store: &dyn Store,
    document: &Document,
    mut expected: Option<Etag>,
    run: Uuid,
) -> Result<Etag, store::Error> {
    let (begun, mut pause) = (Instant::now(), Duration::from_millis(if cfg!(test) { 1 } else { 50 }));
    loop {
        let err = match store.swap(document, expected.as_ref()).await {
            Ok(it) => return Ok(it),
            Err(err) => err,
        };
        match store.load().await {
            Ok(Some((stored, etag))) if is_same(&stored, document) => return Ok(etag),
            Ok(Some((stored, etag))) => {
                let own = stored.lease.is_some_and(|it| it.holder.run == run);
                if !own && Some(&etag) != expected.as_ref() {
                    return Err(store::Error::Conflict);
                }
                expected = Some(etag);
            }
            // Somebody took it away, who is no run: it is put back with all that this run knows. One that began anew in the
            // meantime has put another there.
            Ok(None) => expected = None,
            Err(worse @ (store::Error::Damaged { .. } | store::Error::Newer { .. })) => return Err(worse),
            Err(_) => (),
        }
        let passing = match &err {
            store::Error::Conflict => true,
            store::Error::Request { cause, .. } => {
                matches!(cause.reason, Reason::Unavailable | Reason::Throttled | Reason::Busy)
            }
            _ => false,
        };
        if !passing || begun.elapsed() > PATIENCE {
            return Err(err);
        }
        tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.5))).await;
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}

/// Says whether a stored document is the one that was to be written. Another run's write of that serial would be the one
/// that takes the lease, so what it holds need not be compared.
fn is_same(stored: &Document, document: &Document) -> bool {
    (stored.lineage, stored.serial, &stored.lease) == (document.lineage, document.serial, &document.lease)
}
