//! Files that somebody spoilt: stack files, states and saved plans. Each is read, or refused with a word on where it is
//! wrong; never a panic, a hang, or more memory than the file could call for.
//!
//! The same three readers are targets of `cargo fuzz`, in `fuzz/`: each of these files goes through them as well.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use ecomctl::{
    engine::{Damaged, Saved},
    resource::KINDS,
    stack,
    state::{FileStore, Store as _, StoreError},
};
use proptest::prelude::*;

#[expect(unused_attributes, reason = "what makes a program of it")]
#[path = "../../fuzz/fuzz_targets"]
mod target {
    pub(super) mod plan;
    pub(super) mod stack;
    pub(super) mod state;
}

/// The longest that one file may take.
const PATIENCE: Duration = Duration::from_secs(5);

const STATE: &str = r#"{
  "schema": 1, "lineage": "6f1b1c64-7d0c-4c53-9f0b-5a3a4f4f3f10", "serial": 3, "writer": "0.1.0",
  "lease": { "epoch": 2, "since": "2026-01-01T00:00:00Z", "beat": "2026-01-01T00:00:10Z", "ttl_seconds": 90,
    "holder": { "user": "u", "host": "h", "pid": 7, "run": "6f1b1c64-7d0c-4c53-9f0b-5a3a4f4f3f10", "ci": null, "commit": null } },
  "definition": { "hash": "ab", "commit": null, "at": "2026-01-01T00:00:00Z", "by": "u@h" },
  "resources": { "topic.orders": { "status": "ready", "physical": "s-events/orders", "id": null, "nonce": "n",
    "applied": { "partitions": 6, "config": { "a": [1, { "b": null }] } }, "refs": ["cluster.events"], "protect": true } }
}
"#;

const PLAN: &str = include_str!("../fixtures/plan.json");

/// One way to spoil a text.
#[derive(Clone, Debug)]
enum Spoil {
    Cut(f64),
    Drop(f64, usize),
    Put(f64, Vec<u8>),
    Repeat(f64, usize, usize),
}

fn any_spoil() -> impl Strategy<Value = Spoil> {
    let at = || 0.0..1.0f64;
    let words = prop_oneof![
        proptest::collection::vec(any::<u8>(), 1..8),
        proptest::sample::select(vec![
            "null",
            "{",
            "}",
            "[",
            "]",
            "\"",
            ",",
            ":",
            "-1",
            "1e999",
            "99999999999999999999",
            "\u{0}",
            "&a",
            "*a",
            "!!x",
            "\n\t",
            "- ",
            "\u{feff}",
            "{{",
            "true",
            "\\ud800",
        ])
        .prop_map(|it| it.as_bytes().to_vec()),
    ];
    prop_oneof![
        at().prop_map(Spoil::Cut),
        (at(), 1..20usize).prop_map(|(at, length)| Spoil::Drop(at, length)),
        (at(), words).prop_map(|(at, bytes)| Spoil::Put(at, bytes)),
        (at(), 1..40usize, 2..200usize).prop_map(|(at, length, times)| Spoil::Repeat(at, length, times)),
    ]
}

fn spoilt(text: &str, ways: &[Spoil]) -> Vec<u8> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place")]
    let place = |bytes: &[u8], at: f64| (bytes.len() as f64 * at) as usize;
    ways.iter().fold(text.as_bytes().to_vec(), |mut bytes, way| {
        match way {
            Spoil::Cut(at) => bytes.truncate(place(&bytes, *at)),
            Spoil::Drop(at, length) => {
                let from = place(&bytes, *at);
                bytes.drain(from..(from + length).min(bytes.len()));
            }
            Spoil::Put(at, put) => {
                let at = place(&bytes, *at);
                bytes.splice(at..at, put.iter().copied());
            }
            Spoil::Repeat(at, length, times) => {
                let from = place(&bytes, *at);
                let part = bytes[from..(from + length).min(bytes.len())].repeat(*times);
                bytes.splice(from..from, part);
            }
        }
        bytes
    })
}

fn any_ways() -> impl Strategy<Value = Vec<Spoil>> {
    proptest::collection::vec(any_spoil(), 1..4)
}

fn fixtures() -> Vec<String> {
    let mut found: Vec<String> = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"))
        .expect("listed")
        .map(|it| it.expect("an entry").path())
        .filter(|it| it.extension().is_some_and(|it| it == "yaml"))
        .map(|it| fs::read_to_string(it).expect("text"))
        .collect();
    found.sort();
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plan(ways in any_ways()) {
        let begun = Instant::now();
        let bytes = spoilt(PLAN, &ways);
        match std::str::from_utf8(&bytes).map(Saved::read) {
            Ok(Err(Damaged::At { line, message, .. })) => prop_assert!(line > 0 && !message.is_empty()),
            Ok(Ok(it)) => prop_assert_eq!(Saved::read(&it.text().expect("JSON")), Ok(it)),
            Ok(Err(Damaged::Format { .. })) | Err(_) => (),
        }
        std::str::from_utf8(&bytes).map(target::plan::run).ok();
        prop_assert!(begun.elapsed() < PATIENCE);
    }

    #[test]
    fn a_state(ways in any_ways()) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s.json");
        let bytes = spoilt(STATE, &ways);
        fs::write(&path, &bytes).expect("written");
        let begun = Instant::now();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        match runtime.block_on(FileStore::new(&path).load()) {
            Ok(it) => prop_assert!(it.is_some()),
            Err(StoreError::Damaged { message, place, .. }) => prop_assert!(!message.is_empty() && !place.is_empty()),
            Err(StoreError::Newer { found, .. }) => prop_assert!(found > 1),
            Err(err) => prop_assert!(false, "{err}"),
        }
        target::state::run(&bytes);
        prop_assert_eq!(fs::read(&path).expect("there"), bytes, "what cannot be read is left as it is");
        prop_assert!(begun.elapsed() < PATIENCE);
    }

    #[test]
    fn a_stack(which in any::<proptest::sample::Index>(), ways in any_ways()) {
        let fixtures = fixtures();
        let bytes = spoilt(which.get::<String>(&fixtures), &ways);
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("stacks")).expect("created");
        fs::write(folder.path().join("stacks/x.yaml"), &bytes).expect("written");
        let begun = Instant::now();
        if let Err(err) = stack::load(folder.path(), "x", KINDS) {
            prop_assert!(!err.to_string().is_empty());
            let related = miette::Diagnostic::related(&err);
            prop_assert!(related.is_some_and(|mut it| it.next().is_some()), "it says what is wrong: {err}");
        }
        prop_assert!(begun.elapsed() < PATIENCE);
        target::stack::run(&bytes);
    }
}
