//! The lease: who may take it, who lost it, and what is written of it.

use super::*;
use crate::state::{Status, store::FileStore};

fn holder(pid: u32, host: &str) -> Holder {
    let (user, run) = ("u".into(), uuid::Uuid::new_v4());
    Holder { user, host: host.into(), pid, start: None, boot: None, run, ci: None, commit: None }
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
    let puts =
        (0..500).map(|i| session.record(vec![Edit::Put(Address::new("topic", format!("t{i}")), Box::new(record()))]));
    futures::future::try_join_all(puts).await.expect("all written");
    let (document, _) = store(&folder).load().await.expect("readable").expect("there");
    assert_eq!(document.resources.len(), 500);
    assert!(document.serial - before <= 3, "{} writes", document.serial - before);
}
