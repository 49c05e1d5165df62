//! Many runs on one stack at once.

use std::{collections::BTreeSet, fs, path::PathBuf};

use ecomctl::state::{End, Entry};
use futures::future::join_all;

use crate::place::{Ended, Place};

/// The longest that any of the runs may take.
const WAIT: &str = "3m";

/// Ten `up`s, each from a checkout of its own that wants something else: one works at a time, and those that do not wait
/// say that another does.
pub(crate) async fn ten_at_once_work_one_by_one(place: &Place, bucket: &str) {
    for (stack, state) in [("ten-file", "file".to_owned()), ("ten-s3", format!("s3://{bucket}/team"))] {
        let days = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150];
        let checkouts: Vec<PathBuf> = days.iter().map(|it| checkout(place, stack, &state, *it)).collect();
        let runs = checkouts.iter().enumerate().map(|(i, checkout)| async move {
            let patient = i % 2 == 0;
            let args: &[&str] = if patient { &["up", stack, "--lock-wait", WAIT] } else { &["up", stack] };
            (patient, place.run_in(checkout, args).await)
        });
        let ended: Vec<(bool, Ended)> = join_all(runs).await;
        let mut done = 0;
        for (patient, ended) in ended {
            match ended.code {
                Some(0) => done += 1,
                Some(7) if !patient => {
                    assert!(ended.asked.iter().all(|it| !it.mutating || it.service == "s3"), "{:#?}", ended.asked);
                    assert!(ended.err.contains("another run holds this stack"), "{}", ended.err);
                }
                code => panic!("{stack}: ended with {code:?}\n{}\n{}", ended.out, ended.err),
            }
        }
        assert!((5..=10).contains(&done), "those that wait all get their turn: {done}");
        let history = history(place, stack).await;
        // A run that found what it wanted, as the one before it wanted the same, would tell nothing; none wants the same.
        assert_eq!(history.len(), done, "{history:#?}");
        assert!(history.iter().all(|it| it.end == End::Complete && it.verb == "up"), "{history:#?}");
        is_linear(&history);
        let runs: BTreeSet<_> = history.iter().map(|it| it.by.run).collect();
        assert_eq!(runs.len(), done);
        place.run_in(&checkouts[0], &["lock", "status", stack, "--json"]).await.exits(0).says("\"held\":false");
        eprintln!("{stack}: of ten runs at once, {done} worked one by one, {} ended with 7", 10 - done);
    }
}

/// Checks that runs follow each other: each found what one before it left.
pub(crate) fn is_linear(history: &[Entry]) {
    for pair in history.windows(2) {
        let [one, next] = pair else { continue };
        assert_eq!(one.lineage, next.lineage);
        assert!(one.before < one.epoch && one.epoch <= one.after, "{one:#?}");
        assert!(one.after <= next.before && one.epoch < next.epoch, "{pair:#?}");
    }
}

/// Reads a stack's journal, the oldest run first.
pub(crate) async fn history(place: &Place, stack: &str) -> Vec<Entry> {
    let shown = place.run(&["state", "history", stack, "--json", "--last", "100"]).await.exits(0).out;
    let mut shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    serde_json::from_value(shown["runs"].take()).expect("entries")
}

fn checkout(place: &Place, stack: &str, state: &str, days: u32) -> PathBuf {
    let text = format!(
        "stack:\n  state: {state}\nresources:\n  log_group:\n    one:\n      retention: {days}d\n    two:\n      retention: {days}d\n"
    );
    place.define(stack, &text);
    let project = place.project().with_file_name(format!("checkout-{stack}-{days}"));
    fs::create_dir_all(project.join("stacks")).expect("created");
    fs::write(project.join(format!("stacks/{stack}.yaml")), text).expect("written");
    project
}
