//! Every sort of mistake, as the user sees it.

use super::*;

/// A stack without mistakes, to put mistakes into.
const BASE: &str = "\
resources:
  cluster:
    events: {}
  topic:
    orders: { cluster: events, partitions: 6, retention: 7d }
    payments: { cluster: events, partitions: 6 }
  function:
    ingest:
      code: ingest
  table:
    orders:
      columns: [{ name: id, type: bigint }]
";

#[test]
fn five_different_mistakes_are_five_diagnostics() {
    let text = mistakes(
        "\
# yaml-language-server: $schema=stack.schema.json
stack:
  target: local
resources:
  cluster:
    events: {}
  topic:
    orders:
      cluster: events
      partitions: six
      retention: 7 days
    payments:
      cluster: event
      partitions: 6
      partitions: 12
  function:
    ingest:
      code: ingest
      memroy: 256MiB
",
    );
    insta::assert_snapshot!(text, @"");
    assert_eq!(text.matches("stacks/local.yaml:").count(), 5);
}

/// Loads [`BASE`] with a file on top.
fn over(text: &str) -> String {
    shown(&[("base.yaml", BASE), ("local.yaml", &format!("extends: base.yaml\n{text}"))])
}

#[test]
fn unknown_field() {
    insta::assert_snapshot!(over("resources:\n  function:\n    ingest:\n      kode: ingest\n      protct: true\n      zzz: 1\n"), @"");
}

#[test]
fn unknown_kind_and_section() {
    insta::assert_snapshot!(over("topic: {}\nresorces: {}\nresources:\n  tpoic:\n    late: {}\n  queue: {}\n  table:\n    late:\n      columns: [{name: a, type: b}]\n      source: {topic: late}\n"), @"");
}

#[test]
fn missing_field() {
    insta::assert_snapshot!(over("resources:\n  topic:\n    late:\n      partitions: 1\n    orders:\n      partitions: null\n    payments:\n      cluster:\n"), @"");
}

#[test]
fn wrong_type() {
    insta::assert_snapshot!(over("\
stack:
  account: 123456789012
  region: frankfurt
resources:
  topic:
    orders:
      partitions: \"6\"
      retention: 7
      cluster: [events]
  function:
    ingest:
      code: {}
      tracing: yes
      environment: { DEBUG: true, LEVEL: 3 }
      writes: orders
  table:
    orders: []
"), @"");
}

#[test]
fn invalid_value() {
    insta::assert_snapshot!(over("\
stack: { target: lokal, tags: { 'ecomctl:stack': x } }
resources:
  cluster:
    events: { brokers: 0 }
    big: { brokers: 300 }
  topic:
    orders: { partitions: 400, cleanup: compct, retention: soon }
    payments: { partitions: 5000000000 }
  function:
    ingest: { memory: 256MB, architecture: arm, after: [orders], renamed_from: x }
  table:
    orders: { columns: [], source: { query: { templat: x } } }
    late: { columns: [{ name: a }], source: { qery: {} } }
"), @"");
}

#[test]
fn invalid_name() {
    insta::assert_snapshot!(over("resources:\n  cluster:\n    Events-2: {}\n    a__b: {}\n    b23456789012345678901234567890123456789012: {}\n"), @"");
}

#[test]
fn empty_resource() {
    insta::assert_snapshot!(over("resources:\n  cluster:\n    late:\n"), @"");
}

#[test]
fn unknown_reference() {
    insta::assert_snapshot!(over("\
resources:
  topic:
    late: { cluster: evnts, partitions: 1 }
  function:
    ingest:
      writes: [payments]
      calls: [query]
      role: ingest
      after: [topik.orders, topic.order]
"), @"");
}

#[test]
fn reference_to_what_a_file_removes() {
    insta::assert_snapshot!(over("resources:\n  cluster:\n    events: null\n  topic:\n    payments: null\n"), @"");
}

#[test]
fn references_of_a_resource_with_other_mistakes() {
    insta::assert_snapshot!(over("resources:\n  function:\n    ingest:\n      tracing: maybe\n      writes: [order]\n"), @"");
}

#[test]
fn cycle() {
    insta::assert_snapshot!(over("\
resources:
  function:
    ingest: { writes: [orders] }
    self: { code: x, calls: [self] }
  table:
    orders: { filled_by: second }
  topic:
    orders: { after: [function.first] }
  function_: {}
").replace("function_", "function_"), @"");
}

#[test]
fn cycle_over_two_files() {
    let base = BASE.replace("code: ingest\n", "code: ingest\n      writes: [orders]\n");
    let local = "extends: base.yaml\nresources:\n  table:\n    orders:\n      filled_by: ingest\n  role:\n    ingest: { uses: [function.ingest] }\n  function:\n    ingest: { role: ingest }\n";
    insta::assert_snapshot!(shown(&[("base.yaml", &base), ("local.yaml", local)]), @"");
}

#[test]
fn renamed_from() {
    insta::assert_snapshot!(over("\
resources:
  topic:
    a: { cluster: events, partitions: 1, renamed_from: topic.orders }
    b: { cluster: events, partitions: 1, renamed_from: topic.old }
    c: { cluster: events, partitions: 1, renamed_from: topic.old }
    d: { cluster: events, partitions: 1, renamed_from: topic.d }
    e: { cluster: events, partitions: 1, renamed_from: table.old }
"), @"");
}

#[test]
fn duplicate_key() {
    insta::assert_snapshot!(over("resources:\n  cluster:\n    events: {}\n    other: {}\n    events: { brokers: 5 }\n"), @"");
}

#[test]
fn unsupported_yaml() {
    insta::assert_snapshot!(over("\
resources:
  cluster:
    one: &one { brokers: 1 }
    two: *one
    three: { <<: *one }
    four: !big {}
    ? [five]
    : {}
    six: { brokers: .inf }
---
stack: {}
"), @"");
}

#[test]
fn no_yaml() {
    for (text, said) in [
        ("a:\n\t- x\n", "a tab indents this line"),
        ("a: b: c\n", "a `:` stands where no key can be"),
        ("a:\n  - 1\n b: 2\n", "the indentation fits nothing above"),
        ("a: @x\n", "a value cannot begin with `@`"),
        ("a: \"x\n", "this quote is never closed"),
        ("a: x\n\u{7}\n", "a control character stands here"),
        ("a: [1\n", "this `[` is never closed"),
        ("- a\n", "a stack file must be a map"),
    ] {
        let shown = mistakes(text);
        assert!(shown.contains(said), "{text:?}: {shown}");
        assert!(!shown.contains('\u{7}'), "{shown:?}");
    }
    let deep = format!("a: {}{}\n", "[".repeat(40), "]".repeat(40));
    assert!(mistakes(&deep).contains("this nests more than 32 levels deep"));
    insta::assert_snapshot!(mistakes("resources:\n  topic:\n    orders: {partitions: 6\n"), @"");
}

#[test]
fn extends() {
    insta::assert_snapshot!(shown(&[("local.yaml", "extends: bse.yaml\n"), ("base.yaml", "")]), @"");
    insta::assert_snapshot!(shown(&[("local.yaml", "extends: base.yaml\n"), ("base.yaml", "extends: ./local.yaml\n")]), @"");
    for (to, said) in [("../../x.yaml", "leads out of the project"), ("/x.yaml", "leads out"), ("[a]", "must be the name of a file")] {
        let shown = mistakes(&format!("extends: {to}\n"));
        assert!(shown.contains(said), "{shown}");
    }
    let chain: Vec<(String, String)> =
        (0..20).map(|i| (format!("s{i}.yaml"), format!("extends: s{}.yaml\n", i + 1))).collect();
    let mut files: Vec<(&str, &str)> = chain.iter().map(|it| (it.0.as_str(), it.1.as_str())).collect();
    files.push(("local.yaml", "extends: s0.yaml\n"));
    assert!(shown(&files).contains("more than 16 files extend each other"));
}

#[test]
fn no_such_stack() {
    let root = project(&[("base.yaml", ""), ("staging.yaml", "extends: base.yaml"), ("production.yaml", "extends: base.yaml")]);
    let said = |name| render(&load(root.path(), name, kinds::KINDS).expect_err("there is none"));
    insta::assert_snapshot!(said("stagign"), @"");
    insta::assert_snapshot!(said("../x\u{1b}"), @"");
    insta::assert_snapshot!(said("staging.yaml"), @"");
}

#[test]
fn unreadable_files() {
    let root = project(&[("base.yaml", "")]);
    let path = root.path().join("stacks/local.yaml");
    fs::write(&path, b"a: 1\nb: \xff\n").expect("written");
    let said = || render(&load(root.path(), "local", kinds::KINDS).expect_err("it cannot be read"));
    insta::assert_snapshot!(said(), @"");
    fs::write(&path, "#".repeat((1 << 20) + 1)).expect("written");
    insta::assert_snapshot!(said(), @"");
}

#[test]
fn more_mistakes_than_are_shown() {
    let many: String = (0..60).map(|i| format!("  kind{i}: {{}}\n")).collect();
    let rejected = local(&[("local.yaml", &format!("resources:\n{many}"))]).expect_err("mistakes");
    assert_eq!(rejected.mistakes().len(), 50);
    assert_eq!(rejected.to_string(), "stack `local` has 60 mistakes");
    assert!(render(&rejected).contains("the first 50 are shown, and 10 more"), "{}", render(&rejected));
}

#[test]
fn stacks_that_share_a_file_say_its_mistakes_once() {
    let root = project(&[
        ("base.yaml", "resources:\n  cluster:\n    events: { brokers: 0 }\n"),
        ("a.yaml", "extends: base.yaml\n"),
        ("b.yaml", "extends: base.yaml\nresources: { cluster: { other: { brokers: x } } }\n"),
    ]);
    let all = ["a", "b"].map(|it| load(root.path(), it, kinds::KINDS).expect_err("mistakes"));
    let joined = Rejected::join(all).expect("some");
    assert_eq!(joined.to_string(), "stacks `a` and `b` have 2 mistakes");
    assert!(Rejected::join([]).is_none());
}

#[test]
fn mistakes_as_json() {
    let rejected = local(&[("local.yaml", "resources: { tpic: {} }\n")]).expect_err("a mistake");
    assert_eq!(rejected.exit_code(), 4);
    insta::assert_snapshot!(serde_json::to_string_pretty(&rejected).expect("JSON"), @"");
}
