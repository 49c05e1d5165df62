//! The lease: who may take it, who lost it, and what is written of it.

use std::sync::Mutex;

use futures::future::BoxFuture;

use super::*;
use crate::state::{Status, store::FileStore};

fn holder(pid: u32, host: &str) -> Holder {
    let (user, run) = ("u".into(), uuid::Uuid::new_v4());
    Holder { user, host: host.into(), pid, start: None, boot: Some("b".into()), run, ci: None, commit: None }
}

/// Leaves a lease behind as a run that did not end would.
async fn leave(store: &dyn Store, change: impl FnOnce(&mut Lease)) {
    let now = Timestamp::now();
    let holder = holder(1, "elsewhere");
    let mut lease = Lease { epoch: 1, holder, verb: String::new(), since: now, beat: now, ttl_seconds: TTL.as_secs() };
    change(&mut lease);
    let document = Document { lease: Some(lease), ..Document::new() };
    store.swap(&document, None).await.expect("written");
}

#[tokio::test]
async fn another_process_with_the_holders_number_is_not_the_holder() {
    let own = crate::process::Process::find(std::process::id()).expect("own process");
    let own = Holder { start: Some(own.start), boot: crate::process::boot(), ..holder(own.pid, "here") };
    assert!(!own.is_dead(&own));
    let reused = Holder { start: own.start.map(|it| it + 1), ..own.clone() };
    assert!(reused.is_dead(&own), "the number was reused");
    let folder = tempfile::tempdir().expect("a folder");
    leave(&*store(&folder), |it| it.holder = reused).await;
    Session::acquire(store(&folder), own).await.expect("succeeded at once");
}

#[test]
fn where_a_number_means_another_process_nobody_is_called_dead() {
    let own = Holder { boot: crate::process::boot(), ..holder(2, "here") };
    assert!(own.boot.is_some());
    let gone = Holder { pid: i32::MAX as u32, ..own.clone() };
    assert!(gone.is_dead(&own));
    let elsewhere = Holder { boot: Some("another kernel, or another table of its processes".into()), ..gone.clone() };
    assert!(!elsewhere.is_dead(&own), "it has the name of this machine, and may be another, or a container");
    assert!(!Holder { boot: None, ..gone.clone() }.is_dead(&Holder { boot: None, ..own.clone() }), "nobody knows");
    assert!(!gone.is_dead(&Holder { host: "there".into(), ..own }));
}

#[tokio::test]
async fn a_lease_that_expired_by_another_clock_is_watched_before_it_is_taken() {
    let late = |it: &mut Lease| it.beat -= TTL * 4;
    let folder = tempfile::tempdir().expect("a folder");
    leave(&*store(&folder), late).await;
    let begun = Instant::now();
    Session::acquire(store(&folder), holder(2, "here")).await.expect("nobody renews it");
    assert!(begun.elapsed() >= QUIET, "taken without having been watched");

    // Its clock is slow, and it lives.
    let folder = tempfile::tempdir().expect("a folder");
    let held = store(&folder);
    leave(&*held, late).await;
    let refused = tokio::select! {
        it = Session::acquire(store(&folder), holder(2, "here")) => it.expect_err("somebody renews it"),
        () = renew(&*held) => unreachable!("it never ends"),
    };
    assert!(matches!(refused, Error::Locked { .. }), "{refused}");

    // The same clock says so on the machine itself.
    let folder = tempfile::tempdir().expect("a folder");
    let stopped = holder(std::process::id(), "here");
    leave(&*store(&folder), |it| {
        late(it);
        it.holder = stopped;
    })
    .await;
    let begun = Instant::now();
    Session::acquire(store(&folder), holder(2, "here")).await.expect("expired");
    assert!(begun.elapsed() < QUIET, "there is nothing to watch");
}

/// Renews a lease again and again, and nothing else.
async fn renew(held: &dyn Store) {
    loop {
        tokio::time::sleep(AGAIN).await;
        let (mut document, etag) = held.load().await.expect("readable").expect("there");
        document.serial += 1;
        held.swap(&document, Some(&etag)).await.expect("renewed");
    }
}

#[test]
fn a_holder_of_an_older_program_still_loads() {
    let old = r#"{"user":"u","host":"h","pid":7,"run":"6f1b1c64-7d0c-4c53-9f0b-5a3a4f4f3f10","ci":null,"commit":null}"#;
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
    let refused = tokio::select! {
        it = Session::acquire(store(&folder), holder(2, "here")) => it.expect_err("somebody renews it"),
        () = renew(&*held) => unreachable!("it never ends"),
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
    assert!(heir.clear_at().is_some(), "something of it may be under way");
    heir.release().await.expect("still held");
    let (document, _) = store(&folder).load().await.expect("readable").expect("there");
    assert!(document.lease.is_none());
    assert!(document.resources.contains_key(&address));
    let next = Session::acquire(store(&folder), holder(2, "here")).await.expect("free");
    assert_eq!(next.clear_at(), None, "nobody died");
    next.release().await.expect("held");
}

#[tokio::test]
async fn records_that_come_together_are_written_together() {
    let folder = tempfile::tempdir().expect("a folder");
    let session = Session::acquire(store(&folder), holder(2, "here")).await.expect("free");
    let before = session.document().serial;
    let puts =
        (0..500).map(|i| session.record(vec![Edit::Put(Address::new("topic", format!("t{i}")), Box::new(record()))]));
    futures::future::try_join_all(puts).await.expect("all written");
    let (document, _) = store(&folder).load().await.expect("readable").expect("there");
    assert_eq!(document.resources.len(), 500);
    assert!(document.serial - before <= 3, "{} writes", document.serial - before);
}

/// What becomes of a write.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Passes,
    /// It never arrives.
    Lost,
    /// It takes effect, and its answer is lost.
    Kept,
    /// It takes effect, its answer is lost, and the client underneath sends it again.
    Twice,
}

/// A store behind a bad network: each write has a fate, and then all pass.
struct Far {
    store: Arc<dyn Store>,
    fates: Mutex<Vec<Fate>>,
}

impl Far {
    fn new(folder: &tempfile::TempDir, fates: &[Fate]) -> Arc<Self> {
        let fates = Mutex::new(fates.iter().rev().copied().collect());
        Arc::new(Self { store: store(folder), fates })
    }
}

impl Store for Far {
    fn load(&self) -> BoxFuture<'_, Result<Option<(Document, Etag)>, store::Error>> {
        self.store.load()
    }

    fn swap<'a>(
        &'a self,
        document: &'a Document,
        expected: Option<&'a Etag>,
    ) -> BoxFuture<'a, Result<Etag, store::Error>> {
        let fate = self.fates.lock().expect("not poisoned").pop().unwrap_or(Fate::Passes);
        Box::pin(async move {
            let unclear = || store::Error::Request {
                verb: "write",
                place: "far away".to_owned(),
                cause: crate::client::Error::new("s3", "PutObject", crate::client::Reason::Unavailable, "no answer"),
                help: None,
            };
            if fate == Fate::Lost {
                return Err(unclear());
            }
            let written = self.store.swap(document, expected).await?;
            match fate {
                Fate::Kept => Err(unclear()),
                Fate::Twice => self.store.swap(document, expected).await,
                _ => Ok(written),
            }
        })
    }

    fn place(&self) -> String {
        "far away".to_owned()
    }

    fn archive(&self) -> Option<&dyn Archive> {
        self.store.archive()
    }
}

/// Every fate of every write of a run: taking the lease, two records, and giving it back.
#[tokio::test]
async fn whatever_becomes_of_an_answer_each_change_is_written_once_and_in_order() {
    let fates = [Fate::Passes, Fate::Lost, Fate::Kept, Fate::Twice];
    let all = fates.iter().flat_map(|a| fates.iter().map(move |b| (*a, *b)));
    for (fate, next) in all {
        for at in 0..4 {
            let folder = tempfile::tempdir().expect("a folder");
            let mut sequence = vec![Fate::Passes; at];
            sequence.extend([fate, next]);
            let far = Far::new(&folder, &sequence);
            let session = Session::acquire(far.clone(), holder(2, "here")).await.expect("free");
            let (a, b) = (Address::new("topic", "a"), Address::new("topic", "b"));
            session.record(vec![Edit::Put(a.clone(), Box::new(record()))]).await.expect("written");
            session
                .record(vec![Edit::Remove(a.clone()), Edit::Put(b.clone(), Box::new(record()))])
                .await
                .expect("written");
            session.release().await.expect("still held");
            let (document, _) = far.load().await.expect("readable").expect("there");
            assert_eq!(document.resources.keys().collect::<Vec<_>>(), [&b], "{sequence:?}");
            assert_eq!((document.serial, document.lease), (4, None), "{sequence:?}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_was_lost_hides_no_takeover() {
    for fate in [Fate::Passes, Fate::Lost, Fate::Kept, Fate::Twice] {
        let folder = tempfile::tempdir().expect("a folder");
        let far = Far::new(&folder, &[Fate::Passes, Fate::Passes, fate]);
        let zombie = Session::acquire(far.clone(), holder(i32::MAX as u32, "here")).await.expect("free");
        let heir = Session::acquire(store(&folder), holder(2, "here")).await.expect("the holder is dead");
        let edit = || vec![Edit::Put(Address::new("topic", "late"), Box::new(record()))];
        assert!(matches!(zombie.record(edit()).await, Err(Error::Lost)), "{fate:?}");
        assert_eq!(zombie.fence().remaining(), None, "nothing more is sent");
        heir.release().await.expect("still held");
        let (document, _) = far.load().await.expect("readable").expect("there");
        assert!(document.resources.is_empty(), "{fate:?}");
    }
}

#[tokio::test]
async fn a_lease_is_broken_by_its_epoch_and_its_holder_is_fenced_off() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = Session::acquire(store(&folder), holder(1, "elsewhere")).await.expect("free");
    let lease = first.document().lease.clone().expect("held");
    let wrong = Claim { verb: "lock break", breaks: Some(lease.epoch + 1) };
    let refused = Session::claim(store(&folder), holder(2, "here"), wrong).await;
    assert!(matches!(refused, Err(Error::Locked { .. })), "it was another that was looked at");
    let right = Claim { breaks: Some(lease.epoch), ..wrong };
    let second = Session::claim(store(&folder), holder(2, "here"), right).await.expect("broken");
    second.release().await.expect("held");
    let edit = Edit::Remove(Address::new("topic", "a"));
    assert!(matches!(first.record(vec![edit]).await, Err(Error::Lost)));
    assert!(first.fence().remaining().is_none());
}

async fn told(folder: &tempfile::TempDir) -> (Vec<Entry>, Vec<u64>) {
    let store = store(folder);
    let archive = store.archive().expect("it keeps some");
    (archive.entries(99).await.expect("readable"), archive.serials().await.expect("readable"))
}

#[tokio::test]
async fn the_journal_tells_of_runs_that_changed_something_also_of_those_that_died() {
    let folder = tempfile::tempdir().expect("a folder");
    let put = |name: &str| vec![Edit::Put(Address::new("topic", name), Box::new(record()))];
    let claim = |verb| Claim { verb, breaks: None };
    let idle = Session::claim(store(&folder), holder(2, "here"), claim("up")).await.expect("free");
    idle.release().await.expect("held");
    assert_eq!(told(&folder).await, (Vec::new(), Vec::new()), "it changed nothing");

    let dies = Session::claim(store(&folder), holder(i32::MAX as u32, "here"), claim("up")).await.expect("free");
    dies.record(put("a")).await.expect("written");
    let heir = Session::claim(store(&folder), holder(2, "here"), claim("teardown")).await.expect("it is dead");
    heir.record(put("b")).await.expect("written");
    let done = Done {
        address: Address::new("topic", "b"),
        action: "create".into(),
        outcome: Outcome::Done,
        seconds: Some(0.5),
    };
    heir.account(Account { end: journal::End::Complete, steps: vec![done.clone()] });
    heir.release().await.expect("held");
    // Too late, and of a run that was told of already.
    dies.account(Account { end: journal::End::Complete, steps: Vec::new() });
    assert!(matches!(dies.release().await, Err(Error::Lost)));

    let (entries, serials) = told(&folder).await;
    let seen: Vec<_> = entries.iter().map(|it| (it.verb.as_str(), it.end, it.before, it.after)).collect();
    assert_eq!(seen, [("up", journal::End::Died, 2, 4), ("teardown", journal::End::Complete, 4, 7)]);
    let recorded =
        Done { address: Address::new("topic", "a"), action: "ready".into(), outcome: Outcome::Recorded, seconds: None };
    assert_eq!((&entries[0].steps, &entries[1].steps), (&vec![recorded], &vec![done]));
    assert_eq!(serials, [2, 4, 7], "what each of them found, and the last one left");

    std::fs::remove_file(folder.path().join("s.json")).expect("lost");
    let again = Session::acquire(store(&folder), holder(2, "here")).await.expect("free");
    assert_eq!(
        (again.document().serial, again.restored()),
        (9, Some(7)),
        "serials go on from the last that is known of"
    );
    assert_eq!(again.document().resources.len(), 2, "and so does what was recorded");
    again.release().await.expect("held");
}

#[tokio::test]
async fn a_document_that_is_taken_away_under_a_lease_is_put_back_unless_another_run_began() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("s.json");
    let put = |name: &str| vec![Edit::Put(Address::new("topic", name), Box::new(record()))];
    let session = Session::acquire(store(&folder), holder(1, "elsewhere")).await.expect("free");
    session.record(put("a")).await.expect("written");
    std::fs::remove_file(&path).expect("taken away");
    session.record(put("b")).await.expect("put back");
    let document = store(&folder).load().await.expect("readable").expect("there").0;
    assert_eq!((document.resources.len(), document.lease.is_some()), (2, true));
    std::fs::remove_file(&path).expect("taken away");
    let other = Session::acquire(store(&folder), holder(2, "here")).await.expect("there is no lease");
    assert!(matches!(session.record(put("c")).await, Err(Error::Lost)));
    other.release().await.expect("held");
}

#[tokio::test]
async fn an_older_document_that_somebody_puts_back_takes_no_serial_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("s.json");
    let run = async |name: &str| {
        let session = Session::acquire(store(&folder), holder(2, "here")).await.expect("free");
        session.record(vec![Edit::Put(Address::new("topic", name), Box::new(record()))]).await.expect("written");
        session.account(Account { end: journal::End::Complete, steps: Vec::new() });
        session.release().await.expect("held");
    };
    run("a").await;
    let old = std::fs::read(&path).expect("a state");
    run("b").await;
    run("c").await;
    std::fs::write(&path, old).expect("put back");
    run("d").await;
    let (entries, serials) = told(&folder).await;
    let seen: Vec<_> = entries.iter().map(|it| (it.before, it.after)).collect();
    assert_eq!(seen, [(0, 3), (3, 6), (6, 9), (10, 13)], "no run is hidden by another");
    let newest = store(&folder).archive().expect("one").newest().await.expect("readable").expect("kept");
    assert_eq!((serials.last(), newest.serial), (Some(&13), 13));
    assert_eq!(newest.resources.keys().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["a", "d"]);
}

/// A run that is killed between telling and giving the lease back is told of, and once.
#[tokio::test]
async fn a_run_is_told_of_before_its_lease_is_free() {
    let folder = tempfile::tempdir().expect("a folder");
    let claim = Claim { verb: "up", breaks: None };
    // The write that gives the lease back never arrives, as if the run were killed before it.
    let far = Far::new(&folder, &[Fate::Passes, Fate::Passes, Fate::Lost]);
    let dies = Session::claim(far, holder(i32::MAX as u32, "here"), claim).await.expect("free");
    dies.record(vec![Edit::Put(Address::new("topic", "a"), Box::new(record()))]).await.expect("written");
    dies.account(Account { end: journal::End::Complete, steps: Vec::new() });
    let told = async {
        while told(&folder).await.0.is_empty() {
            tokio::time::sleep(AGAIN).await;
        }
    };
    tokio::select! {
        it = dies.release() => it.expect("it may get through"),
        () = told => (),
    }
    let heir = Session::claim(store(&folder), holder(2, "here"), claim).await.expect("the other is dead, or done");
    heir.release().await.expect("held");
    let entries = self::told(&folder).await.0;
    let seen: Vec<_> = entries.iter().map(|it| (it.end, it.before, it.after)).collect();
    assert_eq!(seen, [(journal::End::Complete, 0, 3)]);
}

#[tokio::test]
async fn what_was_recorded_before_is_recorded_again_under_a_new_serial() {
    let folder = tempfile::tempdir().expect("a folder");
    let session = Session::acquire(store(&folder), holder(2, "here")).await.expect("free");
    session.record(vec![Edit::Put(Address::new("topic", "a"), Box::new(record()))]).await.expect("written");
    session.release().await.expect("held");
    let before = store(&folder).load().await.expect("readable").expect("there").0;
    let session = Session::acquire(store(&folder), holder(2, "here")).await.expect("free");
    session.record(vec![Edit::Remove(Address::new("topic", "a"))]).await.expect("written");
    session.record(vec![Edit::Restore(Box::new(before.clone()))]).await.expect("written");
    session.release().await.expect("held");
    let after = store(&folder).load().await.expect("readable").expect("there").0;
    assert_eq!((after.resources, after.lineage), (before.resources, before.lineage));
    assert!(after.serial > before.serial);
}
