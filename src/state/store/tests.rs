//! What files do that no other place has: locks, links, leftovers; and what is kept beside a document.

use std::{fs, path::Path};

use super::*;
use crate::state::{
    journal::{End, Entry},
    record::Holder,
};

fn store() -> (tempfile::TempDir, FileStore) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = FileStore::new(folder.path().join("state/local.json"));
    (folder, store)
}

fn entries(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).expect("a folder").map(|it| it.expect("an entry").file_name());
    let mut names: Vec<_> = names.map(|it| it.to_string_lossy().into_owned()).collect();
    names.sort();
    names
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
async fn a_writer_that_stands_still_is_not_waited_for_for_ever() {
    let (folder, store) = store();
    let first = store.swap(&Document::new(), None).await.expect("written");
    let lock = folder.path().join("state/local.lock");
    let other = fs::File::create(&lock).expect("opened");
    other.lock().expect("free");
    let refused = store.swap(&Document::new(), Some(&first)).await;
    assert!(matches!(&refused, Err(Error::Standing { path }) if *path == lock), "{refused:?}");
    drop(other);
    store.swap(&Document { serial: 1, ..Document::new() }, Some(&first)).await.expect("written");
}

#[tokio::test]
async fn what_a_kill_left_behind_does_not_pile_up() {
    let (folder, store) = store();
    let folder = folder.path().join("state");
    fs::create_dir(&folder).expect("created");
    fs::write(folder.join("local.json.new"), "{\"half").expect("left behind");
    store.swap(&Document::new(), None).await.expect("written");
    assert_eq!(entries(&folder), ["local.json", "local.lock"]);
}

#[tokio::test]
async fn earlier_documents_are_kept_once_and_the_oldest_forgotten() {
    let (folder, store) = store();
    let archive = store.archive().expect("it keeps some");
    assert_eq!(archive.serials().await.expect("readable"), [0; 0]);
    let at = |serial| Document { serial, ..Document::new() };
    let first = at(7);
    archive.keep(&first).await.expect("kept");
    archive.keep(&at(7)).await.expect("kept already");
    assert_eq!(archive.earlier(7).await.expect("readable"), Some(first));
    assert_eq!(archive.earlier(8).await.expect("readable"), None);
    let kept = u64::try_from(HISTORY).expect("a number");
    for serial in 8..8 + kept {
        archive.keep(&at(serial)).await.expect("kept");
    }
    assert_eq!(archive.serials().await.expect("readable"), (8..8 + kept).collect::<Vec<_>>());
    assert_eq!(entries(&folder.path().join("state/local.history")).len(), HISTORY);
}

#[tokio::test]
async fn copies_that_cannot_be_removed_keep_nothing_from_being_kept() {
    let (folder, store) = store();
    let archive = store.archive().expect("it keeps some");
    let at = |serial| Document { serial, ..Document::new() };
    // A folder has the name of the oldest copy: it cannot be removed as a file is.
    fs::create_dir_all(folder.path().join("state/local.history/0000000001.json")).expect("in the way");
    let most = u64::try_from(HISTORY).expect("a number");
    for serial in 2..most + 4 {
        archive.keep(&at(serial)).await.expect("kept");
    }
    assert_eq!(archive.newest().await.expect("readable").map(|it| it.serial), Some(most + 3));
}

#[tokio::test]
async fn a_lock_that_somebody_takes_away_lets_nobody_else_in() {
    let (folder, store) = store();
    store.swap(&Document::new(), None).await.expect("written");
    let path = folder.path().join("state/local.lock");
    let held = fs::File::create(&path).expect("a lock");
    held.lock().expect("free");
    fs::remove_file(&path).expect("taken away");
    let (document, etag) = store.load().await.expect("readable").expect("there");
    store.swap(&Document { serial: 1, ..document }, Some(&etag)).await.expect("through a lock of its own");
    assert!(path.exists());
}

fn entry(epoch: u64, verb: &str) -> Entry {
    let (user, host, run, now) = ("u".into(), "h".into(), uuid::Uuid::nil(), jiff::Timestamp::UNIX_EPOCH);
    let by = Holder { user, host, pid: 1, start: None, boot: None, run, ci: None, commit: None };
    let (lineage, verb) = (run, verb.to_owned());
    Entry {
        epoch,
        lineage,
        verb,
        by,
        since: now,
        until: now,
        before: 0,
        after: 9,
        end: End::Complete,
        steps: [].into(),
    }
}

#[tokio::test]
async fn what_is_told_of_a_run_first_is_kept() {
    let (folder, store) = store();
    let archive = store.archive().expect("it keeps some");
    for (epoch, verb) in [(2, "teardown"), (1, "up"), (1, "another")] {
        archive.tell(&entry(epoch, verb)).await.expect("told");
    }
    let verbs = |it: Vec<Entry>| it.into_iter().map(|it| it.verb).collect::<Vec<_>>();
    assert_eq!(verbs(archive.entries(9).await.expect("readable")), ["up", "teardown"]);
    assert_eq!(verbs(archive.entries(1).await.expect("readable")), ["teardown"]);
    fs::write(folder.path().join("state/local.journal/0000000001.json"), "{\"half").expect("damaged");
    assert_eq!(verbs(archive.entries(9).await.expect("readable")), ["teardown"], "one hides no other");
}

#[tokio::test]
async fn a_link_stays_a_link_and_what_it_points_at_is_written() {
    let (folder, store) = store();
    let path = folder.path().join("state/local.json");
    let real = folder.path().join("elsewhere/shared.json");
    fs::create_dir_all(real.parent().expect("a folder")).expect("created");
    fs::create_dir(folder.path().join("state")).expect("created");
    std::os::unix::fs::symlink(&real, &path).expect("a link");
    assert!(matches!(store.load().await, Err(Error::Io { .. })), "a link to nothing is no empty state");
    FileStore::new(&real).swap(&Document::new(), None).await.expect("written");
    let (document, etag) = store.load().await.expect("readable").expect("there");
    store.swap(&Document { serial: 1, ..document }, Some(&etag)).await.expect("written");
    assert!(fs::symlink_metadata(&path).expect("there").is_symlink());
    let stored = FileStore::new(&real).load().await.expect("readable").expect("there").0;
    assert_eq!(stored.serial, 1);
}

#[tokio::test]
async fn damage_and_newer_formats_are_told_apart_and_neither_is_written_over() {
    let (folder, store) = store();
    let path = folder.path().join("state/local.json");
    store.swap(&Document::new(), None).await.expect("written");
    for text in ["{\"schema\":1,", "{\"schema\":99}"] {
        fs::write(&path, text).expect("written");
        match store.load().await {
            Err(Error::Damaged { .. }) if !text.contains("99") => (),
            Err(Error::Newer { found: 99, .. }) => (),
            other => panic!("{other:?}"),
        }
        assert!(matches!(store.swap(&Document::new(), None).await, Err(Error::Conflict)));
        assert_eq!(fs::read(&path).expect("readable"), text.as_bytes());
    }
    assert!(matches!(store.archive().expect("one").mend(&Document::new()).await, Err(Error::Newer { .. })));
    assert_eq!(fs::read(&path).expect("readable"), b"{\"schema\":99}");
}

#[tokio::test]
async fn what_is_damaged_is_put_aside_and_what_is_whole_stays() {
    let (folder, store) = store();
    let path = folder.path().join("state/local.json");
    let archive = store.archive().expect("it keeps some");
    let whole = Document { serial: 4, ..Document::new() };
    store.swap(&whole, None).await.expect("written");
    assert!(matches!(archive.mend(&Document::new()).await, Err(Error::Conflict)));
    assert_eq!(store.load().await.expect("readable").expect("there").0, whole);
    fs::write(&path, "{\"serial\": 70, \"half").expect("damaged");
    archive.keep(&Document { serial: 90, ..whole.clone() }).await.expect("kept");
    for (serial, text) in [(91, "{\"serial\": 70, \"half"), (124, "{\"serial\": 123,")] {
        fs::write(&path, text).expect("damaged");
        let aside = archive.mend(&whole).await.expect("mended");
        assert_eq!(fs::read(aside).expect("kept"), text.as_bytes());
        let stored = store.load().await.expect("readable").expect("there").0;
        assert_eq!(stored, Document { serial, ..whole.clone() }, "a serial that none had before");
    }
}
