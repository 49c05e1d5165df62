//! Mistakes in what is there: kinds, names, fields.

use super::*;

#[test]
fn unknown_field() {
    insta::assert_snapshot!(over("resources:\n  function:\n    ingest:\n      kode: ingest\n      protct: true\n      zzz: 1\n"), @r#"
      × stack `local` has 3 mistakes

    Error: stack::unknown_field

      × function.ingest has no field `kode`
       ╭─[stacks/local.yaml:5:7]
     4 │     ingest:
     5 │       kode: ingest
       ·       ──┬─
       ·         ╰── no such field
     6 │       protct: true
       ╰────
      help: did you mean `code`?

    Error: stack::unknown_field

      × function.ingest has no field `protct`
       ╭─[stacks/local.yaml:6:7]
     5 │       kode: ingest
     6 │       protct: true
       ·       ───┬──
       ·          ╰── no such field
     7 │       zzz: 1
       ╰────
      help: did you mean `protect`?

    Error: stack::unknown_field

      × function.ingest has no field `zzz`
       ╭─[stacks/local.yaml:7:7]
     6 │       protct: true
     7 │       zzz: 1
       ·       ─┬─
       ·        ╰── no such field
       ╰────
      help: the fields of function.ingest are: `code`, `memory`, `tracing`, `architecture`, `environment`, `role`,
            `writes`, `calls`, `protect`, `renamed_from` and `after`
    "#);
}

#[test]
fn unknown_kind_and_section() {
    insta::assert_snapshot!(over("topic: {}\nresorces: {}\nresources:\n  tpoic:\n    late: {}\n  queue: {}\n  table:\n    late:\n      columns: [{name: a, type: b}]\n      source: {topic: late}\n"), @r#"
      × stack `local` has 4 mistakes

    Error: stack::unknown_section

      × a stack file has no section `topic`
       ╭─[stacks/local.yaml:2:1]
     1 │ extends: base.yaml
     2 │ topic: {}
       · ──┬──
       ·   ╰── no such section
     3 │ resorces: {}
       ╰────
      help: kinds stand under `resources:`

    Error: stack::unknown_section

      × a stack file has no section `resorces`
       ╭─[stacks/local.yaml:3:1]
     2 │ topic: {}
     3 │ resorces: {}
       · ────┬───
       ·     ╰── no such section
     4 │ resources:
       ╰────
      help: did you mean `resources`?

    Error: stack::unknown_kind

      × there is no kind of resource called `tpoic`
       ╭─[stacks/local.yaml:5:3]
     4 │ resources:
     5 │   tpoic:
       ·   ──┬──
       ·     ╰── no such kind
     6 │     late: {}
       ╰────
      help: did you mean `topic`?

    Error: stack::unknown_kind

      × there is no kind of resource called `queue`
       ╭─[stacks/local.yaml:7:3]
     6 │     late: {}
     7 │   queue: {}
       ·   ──┬──
       ·     ╰── no such kind
     8 │   table:
       ╰────
      help: the kinds are: `cluster`, `function`, `role`, `table` and `topic`
    "#);
}

#[test]
fn missing_field() {
    insta::assert_snapshot!(over("resources:\n  topic:\n    late:\n      partitions: 1\n    orders:\n      partitions: null\n    payments:\n      cluster:\n"), @r#"
      × stack `local` has 3 mistakes

    Error: stack::missing_field

      × topic.late lacks `cluster`
       ╭─[stacks/local.yaml:4:5]
     3 │   topic:
     4 │     late:
       ·     ──┬─
       ·       ╰── `cluster` is missing
     5 │       partitions: 1
       ╰────
      help: `cluster`: The cluster that holds it.

    Error: stack::missing_field

      × topic.orders lacks `partitions`
       ╭─[stacks/local.yaml:7:19]
     6 │     orders:
     7 │       partitions: null
       ·                   ──┬─
       ·                     ╰── removed here
     8 │     payments:
       ╰────
      help: `partitions`: How many partitions it has. Can only grow.

    Error: stack::missing_field

      × topic.payments lacks `cluster`
       ╭─[stacks/local.yaml:9:7]
     8 │     payments:
     9 │       cluster:
       ·       ───┬───
       ·          ╰── removed here
       ╰────
      help: `cluster`: The cluster that holds it.
    "#);
}

#[test]
fn empty_resource() {
    insta::assert_snapshot!(over("resources:\n  cluster:\n    late:\n"), @r#"
      × stack `local` has a mistake

    Error: stack::empty_resource

      × cluster.late is empty, and there is nothing that it could remove
       ╭─[stacks/local.yaml:4:5]
     3 │   cluster:
     4 │     late:
       ·     ──┬─
       ·       ╰── empty
       ╰────
      help: write `late: {}` for one with nothing but defaults
    "#);
}

#[test]
fn invalid_name() {
    insta::assert_snapshot!(over("resources:\n  cluster:\n    Events-2: {}\n    a__b: {}\n    b23456789012345678901234567890123456789012: {}\n"), @r#"
      × stack `local` has 3 mistakes

    Error: stack::invalid_name

      × `Events-2` cannot be the name of a cluster
       ╭─[stacks/local.yaml:4:5]
     3 │   cluster:
     4 │     Events-2: {}
       ·     ────┬───
       ·         ╰── this name
     5 │     a__b: {}
       ╰────
      help: did you mean `events_2`? a name has lower-case letters, digits and single underscores, and at most 40 of them

    Error: stack::invalid_name

      × `a__b` cannot be the name of a cluster
       ╭─[stacks/local.yaml:5:5]
     4 │     Events-2: {}
     5 │     a__b: {}
       ·     ──┬─
       ·       ╰── this name
     6 │     b23456789012345678901234567890123456789012: {}
       ╰────
      help: a name has lower-case letters, digits and single underscores, and at most 40 of them

    Error: stack::invalid_name

      × `b234567890123456789012345678901234567890…` cannot be the name of a cluster
       ╭─[stacks/local.yaml:6:5]
     5 │     a__b: {}
     6 │     b23456789012345678901234567890123456789012: {}
       ·     ─────────────────────┬────────────────────
       ·                          ╰── too long
       ╰────
      help: a name has lower-case letters, digits and single underscores, and at most 40 of them
    "#);
}
