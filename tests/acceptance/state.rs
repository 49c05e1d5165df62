//! What is recorded of a stack, who holds it, and what was before: without any cloud.

use std::{fs, path::PathBuf};

use serde_json::Value;

use crate::harness::Ecomctl;

const STACK: &str = "stack: { target: local }\n";
const FORMER: &str = include_str!("../fixtures/state/1.json");
const TODAY: &str = include_str!("../fixtures/state/2.json");

fn project(state: &str) -> Ecomctl {
    Ecomctl::in_project([("stacks/local.yaml", STACK), (".ecomctl/state/local.json", state)])
}

fn path(project: &Ecomctl) -> PathBuf {
    project.root().join(".ecomctl/state/local.json")
}

fn state(project: &Ecomctl) -> Value {
    serde_json::from_slice(&fs::read(path(project)).expect("a state")).expect("JSON")
}

#[test]
fn a_newer_state_is_refused_by_every_verb_and_stays_as_it_is() {
    let newer = "{\"schema\": 99, \"what\": [\"no program of today knows\"]}";
    let project = project(newer);
    let verbs = [
        &["state", "show", "local"][..],
        &["state", "repair", "local", "--yes"],
        &["lock", "status", "local"],
        &["lock", "break", "local", "--yes"],
        &["unprotect", "local", "topic.orders"],
    ];
    for args in verbs {
        let ended = project.run(args.iter().copied()).exits(5).without_result();
        assert!(ended.err.contains("newer ecomctl (format 99"), "{args:?}: {ended:#?}");
        assert_eq!(fs::read_to_string(path(&project)).expect("a state"), newer, "{args:?}");
    }
}

#[test]
fn a_state_of_the_former_format_is_upgraded_by_the_next_change() {
    let project = project(FORMER);
    project.run(["state", "show", "local"]).exits(0);
    assert_eq!(fs::read_to_string(path(&project)).expect("a state"), FORMER, "who only looks writes nothing");
    project.run(["unprotect", "local", "cluster.events"]).exits(0);
    let (now, then) = (state(&project), serde_json::from_str::<Value>(FORMER).expect("JSON"));
    assert_eq!((now["schema"].as_u64(), &now["lineage"]), (Some(2), &then["lineage"]));
    assert_eq!(now["resources"]["topic.orders"], then["resources"]["topic.orders"]);
    assert!(now["serial"].as_u64() > then["serial"].as_u64());
}

#[test]
fn a_change_is_told_in_the_history_and_can_be_taken_back() {
    let project = project(TODAY);
    project.run(["unprotect", "local", "cluster.events"]).exits(0);
    let shown = project.run(["state", "history", "local", "--json"]).exits(0).out;
    let history: Value = serde_json::from_str(&shown).expect("JSON");
    let run = &history["runs"][0];
    assert_eq!((run["verb"].as_str(), run["before"].as_u64()), (Some("unprotect"), Some(41)), "{history}");
    assert_eq!(run["steps"][0]["address"], "cluster.events", "{history}");
    assert_eq!(history["kept"], serde_json::json!([41, 44]), "what it found, and what it left");

    let refused = project.run(["state", "rollback", "local", "41"]).exits(9);
    assert!(refused.out.contains("cluster.events") && refused.err.contains("--yes"), "{refused:#?}");
    assert_eq!(state(&project)["resources"]["cluster.events"]["protect"], false, "nothing was changed");
    let unknown = project.run(["state", "rollback", "local", "40", "--yes"]).exits(2).without_result();
    assert!(unknown.err.contains("these are: 41"), "{unknown:#?}");
    let serial = state(&project)["serial"].as_u64();
    project.run(["state", "rollback", "local", "41", "--yes"]).exits(0);
    assert_eq!(state(&project)["resources"]["cluster.events"]["protect"], true);
    assert!(state(&project)["serial"].as_u64() > serial, "a serial is never taken back");
    let again = project.run(["state", "rollback", "local", "41", "--yes"]).exits(0);
    assert!(again.out.contains("nothing was changed"), "{again:#?}");
}

#[test]
fn a_damaged_state_is_replaced_by_its_newest_copy_or_by_none() {
    let project = project(TODAY);
    let whole = project.run(["state", "repair", "local"]).exits(0);
    assert!(whole.out.contains("is whole"), "{whole:#?}");
    project.run(["unprotect", "local", "cluster.events"]).exits(0);
    fs::write(path(&project), "{\"schema\": 2, \"serial\": 77, ").expect("damaged");
    let told = project.run(["state", "show", "local"]).exits(5).without_result();
    assert!(told.err.contains("ecomctl state repair"), "{told:#?}");
    project.run(["state", "repair", "local"]).exits(9).without_result();
    project.run(["state", "repair", "local", "--yes"]).exits(0);
    let mended = state(&project);
    assert!(mended["resources"]["topic.orders"].is_object() && mended["serial"].as_u64() > Some(77), "{mended}");

    let folder = path(&project).with_extension("history");
    fs::remove_dir_all(folder).expect("lost, too");
    fs::write(path(&project), "{\"schema\": 2, ").expect("damaged");
    let told = project.run(["state", "repair", "local", "--yes"]).exits(0);
    assert!(told.err.contains("finds everything again"), "{told:#?}");
    assert_eq!(state(&project)["resources"], serde_json::json!({}));
}

#[test]
fn a_state_that_is_lost_or_damaged_loses_no_protection() {
    let protected = |project: &Ecomctl| state(project)["resources"]["topic.orders"]["protect"].as_bool();
    let project = project(TODAY);
    project.run(["protect", "local", "topic.orders"]).exits(0);
    fs::write(path(&project), "{\"schema\": 2, ").expect("damaged");
    project.run(["state", "repair", "local", "--yes"]).exits(0);
    assert_eq!(protected(&project), Some(true), "damaged");

    fs::remove_file(path(&project)).expect("lost");
    let shown = project.run(["state", "show", "local"]).exits(0);
    assert!(shown.out.contains("ready, protected") && shown.err.contains("newest copy"), "{shown:#?}");
    let told = project.run(["state", "repair", "local"]).exits(0);
    assert!(told.out.contains("newest copy"), "{told:#?}");
    assert!(!path(&project).exists(), "who only looks writes nothing");
    let told = project.run(["unprotect", "local", "cluster.events"]).exits(0);
    assert!(told.err.contains("newest copy"), "{told:#?}");
    assert_eq!(protected(&project), Some(true), "lost");
}

#[test]
fn who_holds_a_stack_is_told_and_a_hold_is_broken_only_with_consent() {
    let now = jiff::Timestamp::now().to_string();
    let held = TODAY.replace("2026-03-01T10:00:30Z", &now).replace("2026-03-01T10:00:00Z", &now);
    let project = project(&held);
    let told = project.run(["lock", "status", "local"]).exits(0);
    assert!(told.out.contains("held by ada@build-7") && told.out.contains("for up"), "{told:#?}");
    assert!(told.out.contains("begun   updating topic.orders"), "{told:#?}");
    let told = project.run(["lock", "status", "local", "--json"]).exits(0).out;
    assert_eq!(serde_json::from_str::<Value>(&told).expect("JSON")["held"], true, "{told}");
    let locked = project.run(["unprotect", "local", "cluster.events"]).exits(7).without_result();
    assert!(locked.err.contains("ada@build-7") && locked.err.contains("--lock-wait"), "{locked:#?}");
    let waited = project.run(["unprotect", "local", "cluster.events", "--lock-wait", "1s"]).exits(7).without_result();
    assert!(waited.err.contains("waiting for up to"), "{waited:#?}");
    project.run(["lock", "break", "local"]).exits(9).without_result();
    assert!(state(&project)["lease"].is_object(), "nothing was changed");
    let broken = project.run(["lock", "break", "local", "--yes"]).exits(0).out;
    assert!(broken.contains("not recorded as done: updating topic.orders. `ecomctl up local`"), "{broken}");
    assert!(state(&project)["lease"].is_null());
    let free = project.run(["lock", "status", "local"]).exits(0).out;
    insta::assert_snapshot!(free, @"Nobody holds `local`.");
    project.run(["unprotect", "local", "cluster.events"]).exits(0);
}
