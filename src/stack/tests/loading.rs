//! What is read from files without mistakes.

use serde_json::json;

use super::{super::Target, *};
use crate::address::Address;

const BASE: &str = "\
stack:
  tags: { team: data, cost: low }
resources:
  cluster:
    events: {}
    spare: {}
  role:
    ingest: { uses: [topic.orders] }
  topic:
    orders: { cluster: events, partitions: 6, retention: 168h, cleanup: compact }
  function:
    ingest:
      code: ingest
      environment: { LEVEL: info, MODE: fast }
      role: ingest
      after: [topic.orders]
";

const LOCAL: &str = "\
extends: base.yaml
stack:
  target: local
  tags: { cost: none }
resources:
  cluster:
    spare: null
  topic:
    orders: { partitions: 1, cleanup: null, protect: true, renamed_from: topic.old }
  function:
    ingest:
      environment: { LEVEL: debug, MODE: ~ }
";

#[test]
fn files_are_laid_over_each_other() {
    let root = project(&[("base.yaml", BASE), ("local.yaml", LOCAL)]);
    let stack = sound(root.path(), "local");
    assert_eq!(stack.settings.target, Target::Local);
    assert_eq!(json!(stack.settings.tags), json!({ "team": "data", "cost": "none" }));
    let names: Vec<String> = stack.resources.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["cluster.events", "function.ingest", "role.ingest", "topic.orders"]);

    let topic = &stack.resources[&Address::new("topic", "orders")];
    let spec = json!({
        "cluster": { "$ref": "cluster.events" }, "partitions": 1, "retention": "7d", "cleanup": "delete",
    });
    assert_eq!(topic.spec, spec);
    assert!(topic.protect);
    assert_eq!(topic.renamed_from, Some(Address::new("topic", "old")));
    assert_eq!(topic.origin.to_string(), "stacks/base.yaml:10:5");

    let function = &stack.resources[&Address::new("function", "ingest")];
    assert_eq!(function.spec["environment"], json!({ "LEVEL": "debug" }));
    let needs: Vec<_> = function.needs.iter().map(|it| (it.to.to_string(), it.weak, it.at.as_str())).collect();
    assert_eq!(needs, [("role.ingest".into(), true, "/role"), ("topic.orders".into(), false, "/after/0")]);
}

#[test]
fn the_hash_is_of_what_is_meant() {
    let hash =
        |base: &str, local: &str| sound(project(&[("base.yaml", base), ("local.yaml", local)]).path(), "local").hash;
    let first = hash(BASE, LOCAL);
    assert_eq!(first.len(), 64);
    let reworded = BASE
        .replace("168h", "7d")
        .replace("  topic:\n", "  # a comment\n  topic:\n")
        .replace("{ team: data, cost: low }", "{ cost: low, team: data }");
    assert_eq!(hash(&reworded, LOCAL), first);
    for changed in [
        LOCAL.replace("partitions: 1", "partitions: 2"),
        LOCAL.replace("protect: true", "protect: false"),
        LOCAL.replace("target: local", "target: aws"),
        LOCAL.replace("    spare: null\n", "    other: {}\n"),
    ] {
        assert_ne!(hash(BASE, &changed), first, "{changed}");
    }
    assert_ne!(hash(&BASE.replace("      after: [topic.orders]\n", ""), LOCAL), first);
}

#[test]
fn empty_files_and_sections_are_no_mistake() {
    for text in [
        "",
        "# nothing\n",
        "---\n",
        "resources:\n",
        "resources:\n  topic:\n",
        "stack:\n",
        "stack: {}\n...\n",
        "extends:\n",
    ] {
        assert!(local(&[("local.yaml", text)]).expect(text).resources.is_empty());
    }
}

#[test]
fn weak_references_make_no_cycle() {
    let text = "resources:\n  role:\n    a: { uses: [function.a] }\n  function:\n    a: { code: a, role: a }\n";
    assert_eq!(local(&[("local.yaml", text)]).expect("no cycle").resources.len(), 2);
}

#[test]
fn chains_merge_from_the_far_end() {
    let files = [
        ("a.yaml", "resources: { cluster: { events: { brokers: 1 }, gone: {} } }\n"),
        ("b.yaml", "extends: a.yaml\nresources: { cluster: { events: { brokers: 2 }, gone: null } }\n"),
        ("local.yaml", "extends: b.yaml\nresources: { cluster: { gone: { brokers: 3 } } }\n"),
    ];
    let stack = local(&files).expect("no mistake");
    let brokers: Vec<_> = stack.resources.values().map(|it| it.spec["brokers"].clone()).collect();
    assert_eq!(brokers, [2, 3]);
}

#[test]
fn names_are_those_that_can_be_brought_up() {
    let root = project(&[
        ("base.yaml", ""),
        ("local.yaml", "extends: base.yaml"),
        ("preview.yaml", "extends: local.yaml"),
        ("alone.yaml", ""),
        ("broken.yaml", "a: ["),
        ("notes.txt", ""),
    ]);
    assert_eq!(super::super::names(root.path()).expect("names"), ["alone", "broken", "local", "preview"]);
    assert_eq!(super::super::root(&root.path().join("stacks")).expect("above"), root.path());
    assert!(super::super::root(Path::new("/")).expect_err("none").is_usage());
}

/// What happens to lie in `stacks/` and is no file is told for what it is, and never waited for.
#[test]
fn what_is_no_file_is_told_for_what_it_is() {
    let root = project(&[("good.yaml", ""), ("local.yaml", "extends: ../stacks\n")]);
    let stacks = root.path().join("stacks");
    fs::create_dir(stacks.join("adir.yaml")).expect("created");
    std::os::unix::fs::symlink("loop.yaml", stacks.join("loop.yaml")).expect("a link");
    std::os::unix::fs::symlink("/dev/zero", stacks.join("zero.yaml")).expect("a link");
    let made = std::process::Command::new("mkfifo").arg(stacks.join("pipe.yaml")).status().expect("started");
    assert!(made.success());
    for (name, told) in [
        ("adir", "stacks/adir.yaml is a directory, not a file"),
        ("zero", "stacks/zero.yaml is a pipe or a device, not a file"),
        ("pipe", "stacks/pipe.yaml is a pipe or a device, not a file"),
        ("local", "stacks is a directory, not a file"),
        ("loop", "stacks/loop.yaml cannot be read: "),
    ] {
        let err = load(root.path(), name, kinds::KINDS).expect_err("no stack");
        assert!(!err.is_usage() && render(&err).contains(told), "{name}: {}", render(&err));
    }
    let names = super::super::names(root.path()).expect("listed");
    assert_eq!(names, ["adir", "good", "local", "loop", "pipe", "zero"], "none is passed over");
}

#[test]
fn a_file_under_a_name_that_is_passed_over_is_pointed_at() {
    let root = project(&[("Staging.yaml", ""), ("x.yml", "")]);
    for (name, help) in [
        ("Staging", "there is stacks/Staging.yaml: rename it to `staging.yaml`"),
        ("staging", "there is stacks/Staging.yaml: rename it to `staging.yaml`"),
        ("x", "there is stacks/x.yml: rename it to `x.yaml`"),
    ] {
        let err = load(root.path(), name, kinds::KINDS).expect_err("no stack");
        assert!(err.is_usage() && render(&err).contains(help), "{name}: {}", render(&err));
    }
}
