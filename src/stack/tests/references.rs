//! Mistakes between resources.

use super::*;

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
"), @r#"
      × stack `local` has 6 mistakes

    Error: stack::unknown_reference

      × topic.late refers to cluster.evnts, which is not in this stack
       ╭─[stacks/local.yaml:4:22]
     3 │   topic:
     4 │     late: { cluster: evnts, partitions: 1 }
       ·                      ──┬──
       ·                        ╰── no cluster has this name
     5 │   function:
       ╰────
      help: did you mean `events`?

    Error: stack::unknown_reference

      × function.ingest refers to table.payments, which is not in this stack
       ╭─[stacks/local.yaml:7:16]
     6 │     ingest:
     7 │       writes: [payments]
       ·                ────┬───
       ·                    ╰── no table has this name
     8 │       calls: [query]
       ╰────
      help: there is topic.payments, but a table is needed here
            resources of kind table: `orders`

    Error: stack::unknown_reference

      × function.ingest refers to function.query, which is not in this stack
       ╭─[stacks/local.yaml:8:15]
     7 │       writes: [payments]
     8 │       calls: [query]
       ·               ──┬──
       ·                 ╰── no function has this name
     9 │       role: ingest
       ╰────
      help: resources of kind function: `ingest`

    Error: stack::unknown_reference

      × function.ingest refers to role.ingest, which is not in this stack
        ╭─[stacks/local.yaml:9:13]
      8 │       calls: [query]
      9 │       role: ingest
        ·             ───┬──
        ·                ╰── no role has this name
     10 │       after: [topik.orders, topic.order]
        ╰────
      help: there is function.ingest, but a role is needed here
            this stack has no role: define it under `resources.role`

    Error: stack::unknown_reference

      × function.ingest refers to topik.orders, which is not in this stack
        ╭─[stacks/local.yaml:10:15]
      9 │       role: ingest
     10 │       after: [topik.orders, topic.order]
        ·               ──────┬─────
        ·                     ╰── there is no kind `topik`
        ╰────
      help: did you mean `topic.orders`?

    Error: stack::unknown_reference

      × function.ingest refers to topic.order, which is not in this stack
        ╭─[stacks/local.yaml:10:29]
      9 │       role: ingest
     10 │       after: [topik.orders, topic.order]
        ·                             ─────┬─────
        ·                                  ╰── no topic has this name
        ╰────
      help: did you mean `orders`?
    "#);
}

#[test]
fn reference_to_what_a_file_removes() {
    insta::assert_snapshot!(over("resources:\n  cluster:\n    events: null\n  topic:\n    payments: null\n"), @r#"
      × stack `local` has a mistake

    Error: stack::unknown_reference

      × topic.orders refers to cluster.events, which is not in this stack
       ╭─[stacks/base.yaml:5:24]
     4 │   topic:
     5 │     orders: { cluster: events, partitions: 6, retention: 7d }
       ·                        ───┬──
       ·                           ╰── this cluster is removed
     6 │     payments: { cluster: events, partitions: 6 }
       ╰────
      help: stacks/local.yaml:4:13: cluster.events is removed here
    "#);
}

#[test]
fn references_of_a_resource_with_other_mistakes() {
    insta::assert_snapshot!(over("resources:\n  function:\n    ingest:\n      tracing: maybe\n      writes: [order]\n"), @r#"
      × stack `local` has 2 mistakes

    Error: stack::wrong_type

      × `tracing` of function.ingest must be `true` or `false`, not the text `maybe`
       ╭─[stacks/local.yaml:5:16]
     4 │     ingest:
     5 │       tracing: maybe
       ·                ──┬──
       ·                  ╰── expected `true` or `false`
     6 │       writes: [order]
       ╰────
      help: `tracing`: Whether it is traced.

    Error: stack::unknown_reference

      × function.ingest refers to table.order, which is not in this stack
       ╭─[stacks/local.yaml:6:16]
     5 │       tracing: maybe
     6 │       writes: [order]
       ·                ──┬──
       ·                  ╰── no table has this name
       ╰────
      help: did you mean `orders`?
    "#);
}

#[test]
fn cycle() {
    insta::assert_snapshot!(over("\
resources:
  function:
    ingest: { writes: [orders] }
    second: { code: x, after: [function.ingest] }
    self: { code: x, calls: [self, ingest] }
  table:
    orders: { filled_by: second }
  topic:
    payments: { after: [function.self] }
  role:
    outside: { uses: [function.ingest] }
"), @r#"
      × stack `local` has 2 mistakes

    Error: stack::cycle

      × these need each other, so that none can be first: function.ingest → table.orders → function.second →
      │ function.ingest
       ╭─[stacks/local.yaml:4:24]
     3 │   function:
     4 │     ingest: { writes: [orders] }
       ·                        ───┬──
       ·                           ╰── function.ingest needs table.orders
     5 │     second: { code: x, after: [function.ingest] }
       ·                                ───────┬───────
       ·                                       ╰── function.second needs function.ingest
     6 │     self: { code: x, calls: [self, ingest] }
     7 │   table:
     8 │     orders: { filled_by: second }
       ·                          ───┬──
       ·                             ╰── table.orders needs function.second
     9 │   topic:
       ╰────
      help: remove one of these references

    Error: stack::cycle

      × function.self needs itself
       ╭─[stacks/local.yaml:6:30]
     5 │     second: { code: x, after: [function.ingest] }
     6 │     self: { code: x, calls: [self, ingest] }
       ·                              ──┬─
       ·                                ╰── function.self needs function.self
     7 │   table:
       ╰────
      help: remove one of these references
    "#);
}

#[test]
fn cycle_over_two_files() {
    let base = BASE.replace("code: ingest\n", "code: ingest\n      writes: [orders]\n");
    let local = "extends: base.yaml\nresources:\n  table:\n    orders:\n      filled_by: ingest\n  role:\n    ingest: { uses: [function.ingest] }\n  function:\n    ingest: { role: ingest }\n";
    insta::assert_snapshot!(shown(&[("base.yaml", &base), ("local.yaml", local)]), @r#"
      × stack `local` has a mistake

    Error: stack::cycle

      × these need each other, so that none can be first: function.ingest → table.orders → function.ingest
        ╭─[stacks/base.yaml:10:16]
      9 │       code: ingest
     10 │       writes: [orders]
        ·                ───┬──
        ·                   ╰── function.ingest needs table.orders
     11 │   table:
        ╰────
      help: remove one of these references
            stacks/local.yaml:5:18: table.orders needs function.ingest
    "#);
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
"), @r#"
      × stack `local` has 4 mistakes

    Error: stack::renamed_from

      × topic.a is said to be renamed from topic.orders, which is still there
       ╭─[stacks/local.yaml:4:56]
     3 │   topic:
     4 │     a: { cluster: events, partitions: 1, renamed_from: topic.orders }
       ·                                                        ──────┬─────
       ·                                                              ╰── still there
     5 │     b: { cluster: events, partitions: 1, renamed_from: topic.old }
       ╰────
      help: remove topic.orders, or this line
            stacks/base.yaml:5:5: here

    Error: stack::renamed_from

      × topic.c and topic.b are both said to be renamed from topic.old
       ╭─[stacks/local.yaml:6:56]
     4 │     a: { cluster: events, partitions: 1, renamed_from: topic.orders }
     5 │     b: { cluster: events, partitions: 1, renamed_from: topic.old }
       ·                                                        ────┬────
       ·                                                            ╰── the first
     6 │     c: { cluster: events, partitions: 1, renamed_from: topic.old }
       ·                                                        ────┬────
       ·                                                            ╰── the second
     7 │     d: { cluster: events, partitions: 1, renamed_from: topic.d }
       ╰────

    Error: stack::renamed_from

      × topic.d is said to be renamed from itself
       ╭─[stacks/local.yaml:7:56]
     6 │     c: { cluster: events, partitions: 1, renamed_from: topic.old }
     7 │     d: { cluster: events, partitions: 1, renamed_from: topic.d }
       ·                                                        ───┬───
       ·                                                           ╰── its own address
     8 │     e: { cluster: events, partitions: 1, renamed_from: table.old }
       ╰────

    Error: stack::renamed_from

      × topic.e cannot have been table.old: a resource keeps its kind
       ╭─[stacks/local.yaml:8:56]
     7 │     d: { cluster: events, partitions: 1, renamed_from: topic.d }
     8 │     e: { cluster: events, partitions: 1, renamed_from: table.old }
       ·                                                        ────┬────
       ·                                                            ╰── another kind
       ╰────
    "#);
}
