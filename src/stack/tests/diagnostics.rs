//! What is said of many mistakes at once, in text and as JSON.

use super::*;

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
    insta::assert_snapshot!(text, @r#"
      × stack `local` has 5 mistakes

    Error: stack::wrong_type

      × `partitions` of topic.orders must be a whole number, not the text `six`
        ╭─[stacks/local.yaml:10:19]
      9 │       cluster: events
     10 │       partitions: six
        ·                   ─┬─
        ·                    ╰── expected a whole number
     11 │       retention: 7 days
        ╰────
      help: `partitions`: How many partitions it has. Can only grow.

    Error: stack::invalid_value

      × `7 days` is not a duration such as `500ms`, `30s`, `5m`, `12h` or `7d`
        ╭─[stacks/local.yaml:11:18]
     10 │       partitions: six
     11 │       retention: 7 days
        ·                  ───┬──
        ·                     ╰── `retention` of topic.orders
     12 │     payments:
        ╰────
      help: did you mean `7d`?

    Error: stack::unknown_reference

      × topic.payments refers to cluster.event, which is not in this stack
        ╭─[stacks/local.yaml:13:16]
     12 │     payments:
     13 │       cluster: event
        ·                ──┬──
        ·                  ╰── no cluster has this name
     14 │       partitions: 6
        ╰────
      help: did you mean `events`?

    Error: stack::duplicate_key

      × `partitions` stands twice in one map
        ╭─[stacks/local.yaml:15:7]
     13 │       cluster: event
     14 │       partitions: 6
        ·       ─────┬────
        ·            ╰── the first
     15 │       partitions: 12
        ·       ─────┬────
        ·            ╰── the second
     16 │   function:
        ╰────
      help: keep one of them

    Error: stack::unknown_field

      × function.ingest has no field `memroy`
        ╭─[stacks/local.yaml:19:7]
     18 │       code: ingest
     19 │       memroy: 256MiB
        ·       ───┬──
        ·          ╰── no such field
        ╰────
      help: did you mean `memory`?
    "#);
    assert_eq!(text.matches("stacks/local.yaml:").count(), 5);
}

#[test]
fn more_mistakes_than_are_shown() {
    let many: Vec<String> = (0..60).map(|i| format!("  kind{i}: {{}}\n")).collect();
    let rejected = local(&[("local.yaml", &format!("resources:\n{}", many.concat()))]).expect_err("mistakes");
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
    insta::assert_snapshot!(serde_json::to_string_pretty(&rejected).expect("JSON"), @r#"
    {
      "message": "stack `local` has a mistake",
      "stacks": [
        "local"
      ],
      "mistakes": [
        {
          "code": "stack::unknown_kind",
          "message": "there is no kind of resource called `tpic`",
          "help": "did you mean `topic`?",
          "labels": [
            {
              "file": "stacks/local.yaml",
              "line": 1,
              "column": 14,
              "offset": 13,
              "length": 4,
              "label": "no such kind"
            }
          ]
        }
      ],
      "hidden": 0
    }
    "#);
}

#[test]
fn a_line_as_long_as_a_file_is_shown_in_part() {
    let long = "é".repeat(200_000);
    for text in
        [format!("stack: {{ tags: {{ a: {long} }}, target: moon }}\n"), format!("stack: {{ target: {long} }}\n")]
    {
        let shown = mistakes(&text);
        assert!(shown.len() < 4_000 && shown.contains("target"), "{} bytes: {:.3000}", shown.len(), shown);
    }
    let around = format!("# {long}\nstack: {{ target: moon }}\n# {long}\n");
    let shown = mistakes(&around);
    assert!(shown.len() < 4_000 && shown.contains("stacks/local.yaml:2:"), "{} bytes: {:.3000}", shown.len(), shown);
}

#[test]
fn very_many_mistakes_are_counted() {
    let lines: String = (0..20_000).map(|it| format!("    t{it}: 1\n")).collect();
    let text = mistakes(&format!("resources:\n  topic:\n{lines}"));
    assert!(text.contains("stack `local` has 20000 mistakes"), "{text:.300}");
}
