//! What every place of a state promises, asked of each in the same words.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use ecomctl::state::{Document, Etag, FileStore, S3Store, Store, StoreError};
use futures::future::join_all;

use crate::place::Place;

/// Makes the bucket that states are kept in, as the program does, and returns its name.
pub(crate) async fn bucket(place: &Place) -> String {
    let (bucket, stack) = ("company-state".to_owned(), "init");
    place.define(stack, &format!("stack:\n  state: s3://{bucket}/team\n"));
    let refused = place.run(&["up", stack]).await.exits(5);
    assert!(refused.err.contains("ecomctl state init"), "{}", refused.err);
    place.run(&["state", "init", stack]).await.exits(0);
    place.run(&["state", "init", stack]).await.exits(0);
    let aws = &place.aws;
    let versions = aws.s3().get_bucket_versioning().bucket(&bucket).send().await.expect("told");
    assert_eq!(versions.status().map(|it| it.as_str()), Some("Enabled"));
    aws.s3().delete_public_access_block().bucket(&bucket).send().await.expect("opened");
    let refused = place.run(&["up", stack]).await.exits(9);
    assert!(refused.err.contains("ecomctl state init"), "{}", refused.err);
    // It may be somebody's who wants it public.
    let refused = place.run(&["state", "init", stack]).await.exits(9).changes_nothing("state init of another's bucket");
    assert!(refused.err.contains("ecomctl state init init --yes"), "{}", refused.err);
    place.run(&["state", "init", stack, "--yes"]).await.exits(0);
    place.run(&["up", stack]).await.exits(0);
    bucket
}

/// A state goes along when the stack's file names another place, and what this machine holds is never passed over.
pub(crate) async fn a_state_can_be_moved(place: &Place, bucket: &str) {
    let text = |state: &str| format!("stack:\n  state: {state}\nresources:\n  log_group:\n    only: {{}}\n");
    let (stack, there) = ("moved", format!("s3://{bucket}/team"));
    place.define(stack, &text("file"));
    place.run(&["up", stack]).await.exits(0);
    place.define(stack, &text(&there));
    let refused = place.run(&["up", stack]).await.exits(9);
    assert!(refused.err.contains(&format!("ecomctl state move {stack} --from file")), "{}", refused.err);
    place.run(&["state", "move", stack]).await.exits(9);
    place.run(&["state", "move", stack, "--yes"]).await.exits(0).says("state.json");
    place.run(&["state", "show", stack]).await.exits(0).says("log_group.only");
    place.run(&["up", stack]).await.exits(0).changes_nothing_but("state.json");
    place.define(stack, &text("file"));
    place.run(&["state", "move", stack, "--from", &there, "--yes"]).await.exits(0);
    place.run(&["up", stack]).await.exits(0).changes_nothing_but("state.json");
    place.run(&["teardown", stack, "--yes"]).await.exits(0);
}

pub(crate) async fn both_stores_conform(place: &Place, bucket: &str) {
    let name = AtomicUsize::new(0);
    let next = || format!("conform-{}", name.fetch_add(1, Ordering::SeqCst));
    let file = || Arc::new(FileStore::new(place.home().join("state").join(next() + ".json"))) as Arc<dyn Store>;
    let s3 = || Arc::new(S3Store::new(place.aws.objects(bucket, &next()))) as Arc<dyn Store>;
    for fresh in [&file as &dyn Fn() -> Arc<dyn Store>, &s3] {
        a_write_names_what_it_replaces(&*fresh()).await;
        one_of_many_writers_wins(&fresh()).await;
        what_is_kept_stays(&*fresh()).await;
    }
    let path = place.home().join("state/conform-newer.json");
    let object = place.aws.objects(bucket, "conform-newer");
    std::fs::write(&path, NEWER).expect("written");
    object.put("state.json", NEWER.to_vec(), ecomctl::client::objects::Only::IfNone).await.expect("written");
    a_newer_state_is_refused(&FileStore::new(&path)).await;
    a_newer_state_is_refused(&S3Store::new(object.clone())).await;
    assert_eq!(std::fs::read(&path).expect("readable"), NEWER, "it is as it was");
    assert_eq!(object.get("state.json").await.expect("readable").expect("there").0, NEWER, "it is as it was");
}

const NEWER: &[u8] = b"{\"schema\":99,\"serial\":7,\"what\":[\"no program of today knows\"]}";

async fn load(store: &dyn Store) -> (Document, Etag) {
    store.load().await.expect("readable").expect("there")
}

fn at(document: &Document, serial: u64) -> Document {
    Document { serial, ..document.clone() }
}

async fn a_write_names_what_it_replaces(store: &dyn Store) {
    let document = Document::new();
    assert!(store.load().await.expect("readable").is_none(), "{}", store.place());
    let first = store.swap(&document, None).await.expect("the first write");
    assert_eq!(load(store).await, (document.clone(), first.clone()));
    let refused = store.swap(&at(&document, 1), None).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "there is one already: {refused:?}");
    let second = store.swap(&at(&document, 2), Some(&first)).await.expect("a write in order");
    let refused = store.swap(&at(&document, 3), Some(&first)).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "it was replaced: {refused:?}");
    assert_eq!(load(store).await, (at(&document, 2), second));
}

/// Many writers, each of whom takes what it read one serial further: of those that read the same, one wins.
async fn one_of_many_writers_wins(store: &Arc<dyn Store>) {
    const WRITERS: usize = 16;
    const ROUNDS: u64 = 10;
    let first = Document::new();
    let firsts = join_all((0..WRITERS).map(|_| store.swap(&first, None))).await;
    assert_eq!(firsts.iter().filter(|it| it.is_ok()).count(), 1, "{firsts:?}");
    let write = |writer: usize| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            let mut won = Vec::new();
            loop {
                let (document, etag) = load(&*store).await;
                if document.serial == ROUNDS {
                    return won;
                }
                let next = Document { writer: writer.to_string(), ..at(&document, document.serial + 1) };
                match store.swap(&next, Some(&etag)).await {
                    Ok(_) => won.push(next.serial),
                    Err(StoreError::Conflict) => (),
                    Err(err) => panic!("{err:?}"),
                }
            }
        })
    };
    let won = join_all((0..WRITERS).map(write)).await.into_iter().flat_map(|it| it.expect("no panic"));
    let won: Vec<u64> = won.collect();
    assert_eq!(won.len() as u64, ROUNDS, "each serial was written once: {won:?}");
    assert_eq!(won.into_iter().collect::<BTreeSet<_>>(), (1..=ROUNDS).collect());
}

async fn what_is_kept_stays(store: &dyn Store) {
    let archive = store.archive().expect("it keeps some");
    let document = Document::new();
    for serial in [12, 3, 12] {
        archive.keep(&at(&document, serial)).await.expect("kept");
    }
    archive.keep(&Document { serial: 3, ..Document::new() }).await.expect("kept already");
    assert_eq!(archive.serials().await.expect("readable"), [3, 12]);
    assert_eq!(archive.earlier(3).await.expect("readable"), Some(at(&document, 3)));
    assert_eq!(archive.earlier(4).await.expect("readable"), None);
    assert!(store.load().await.expect("readable").is_none(), "a copy is no state");
    for serial in 13..70 {
        archive.keep(&at(&document, serial)).await.expect("kept");
    }
    assert_eq!(archive.serials().await.expect("readable"), (20..70).collect::<Vec<_>>(), "the oldest are forgotten");
}

async fn a_newer_state_is_refused(store: &dyn Store) {
    let refused = store.load().await;
    assert!(matches!(refused, Err(StoreError::Newer { found: 99, .. })), "{refused:?}");
    assert!(store.swap(&Document::new(), None).await.is_err());
    assert!(store.archive().expect("one").mend(&Document::new()).await.is_err());
}
