//! Mistakes in values.

use super::*;

#[test]
fn settings() {
    insta::assert_snapshot!(over("\
stack:
  target: lokal
  account: 123456789012
  region: frankfurt
"), @r#"
      × stack `local` has 3 mistakes

    Error: stack::invalid_value

      × `target` of the `stack` section cannot be `lokal`
       ╭─[stacks/local.yaml:3:11]
     2 │ stack:
     3 │   target: lokal
       ·           ──┬──
       ·             ╰── not one of those allowed
     4 │   account: 123456789012
       ╰────
      help: did you mean `local`? it is one of `aws` and `local`

    Error: stack::wrong_type

      × `account` of the `stack` section must be an AWS account: 12 digits in quotes, such as `"123456789012"`, not the
      │ number `123456789012`
       ╭─[stacks/local.yaml:4:12]
     3 │   target: lokal
     4 │   account: 123456789012
       ·            ──────┬─────
       ·                  ╰── expected an AWS account: 12 digits in quotes, such as `"123456789012"`
     5 │   region: frankfurt
       ╰────
      help: put it in quotes: "123456789012"

    Error: stack::invalid_value

      × `frankfurt` is not an AWS region such as `eu-central-1`
       ╭─[stacks/local.yaml:5:11]
     4 │   account: 123456789012
     5 │   region: frankfurt
       ·           ────┬────
       ·               ╰── `region` of the `stack` section
       ╰────
      help: `region`: The only AWS region that this stack may be deployed to. Default: the one that the AWS CLI would use,
            else `us-east-1`.
    "#);
    insta::assert_snapshot!(over("stack:\n  tags: { 'ecomctl:stack': x }\n"), @r#"
      × stack `local` has a mistake

    Error: stack::invalid_value

      × the tag `'ecomctl:stack'` is reserved
       ╭─[stacks/local.yaml:3:11]
     2 │ stack:
     3 │   tags: { 'ecomctl:stack': x }
       ·           ───────┬───────
       ·                  ╰── reserved
       ╰────
      help: tags that begin with `ecomctl:` or `aws:` are set by ecomctl and AWS
    "#);
}

#[test]
fn wrong_type() {
    insta::assert_snapshot!(over("\
resources:
  topic:
    orders:
      partitions: \"6\"
      retention: 7
      cluster: [events]
  function:
    ingest:
      tracing: yes
      environment: { DEBUG: true, LEVEL: 3 }
"), @r#"
      × stack `local` has 6 mistakes

    Error: stack::wrong_type

      × `partitions` of topic.orders must be a whole number, not the text `6`
       ╭─[stacks/local.yaml:5:19]
     4 │     orders:
     5 │       partitions: "6"
       ·                   ─┬─
       ·                    ╰── expected a whole number
     6 │       retention: 7
       ╰────
      help: leave out the quotes: 6

    Error: stack::wrong_type

      × `retention` of topic.orders must be a duration such as `500ms`, `30s`, `5m`, `12h` or `7d`, not the number `7`
       ╭─[stacks/local.yaml:6:18]
     5 │       partitions: "6"
     6 │       retention: 7
       ·                  ┬
       ·                  ╰── expected a duration such as `500ms`, `30s`, `5m`, `12h` or `7d`
     7 │       cluster: [events]
       ╰────
      help: `retention`: How long events are kept.

    Error: stack::wrong_type

      × `cluster` of topic.orders must be the name of a cluster of this stack, not a list
       ╭─[stacks/local.yaml:7:16]
     6 │       retention: 7
     7 │       cluster: [events]
       ·                ────┬───
       ·                    ╰── expected the name of a cluster of this stack
     8 │   function:
       ╰────
      help: `cluster`: The cluster that holds it.

    Error: stack::wrong_type

      × `tracing` of function.ingest must be `true` or `false`, not the text `yes`
        ╭─[stacks/local.yaml:10:16]
      9 │     ingest:
     10 │       tracing: yes
        ·                ─┬─
        ·                 ╰── expected `true` or `false`
     11 │       environment: { DEBUG: true, LEVEL: 3 }
        ╰────
      help: write `true`

    Error: stack::wrong_type

      × `environment.DEBUG` of function.ingest must be text, not `true`
        ╭─[stacks/local.yaml:11:29]
     10 │       tracing: yes
     11 │       environment: { DEBUG: true, LEVEL: 3 }
        ·                             ──┬─
        ·                               ╰── expected text
        ╰────
      help: put it in quotes: "true"

    Error: stack::wrong_type

      × `environment.LEVEL` of function.ingest must be text, not the number `3`
        ╭─[stacks/local.yaml:11:42]
     10 │       tracing: yes
     11 │       environment: { DEBUG: true, LEVEL: 3 }
        ·                                          ┬
        ·                                          ╰── expected text
        ╰────
      help: put it in quotes: "3"
    "#);
}

#[test]
fn wrong_type_of_maps_and_lists() {
    insta::assert_snapshot!(over("\
resources:
  function:
    ingest: { code: {}, writes: orders }
  table:
    orders: []
  cluster: x
"), @r#"
      × stack `local` has 4 mistakes

    Error: stack::wrong_type

      × `code` of function.ingest must be text, not a map
       ╭─[stacks/local.yaml:4:21]
     3 │   function:
     4 │     ingest: { code: {}, writes: orders }
       ·                     ─┬
       ·                      ╰── expected text
     5 │   table:
       ╰────
      help: `code`: The crate that holds its code.

    Error: stack::wrong_type

      × `writes` of function.ingest must be a list, not the text `orders`
       ╭─[stacks/local.yaml:4:33]
     3 │   function:
     4 │     ingest: { code: {}, writes: orders }
       ·                                 ───┬──
       ·                                    ╰── expected a list
     5 │   table:
       ╰────
      help: write a list, also of one: [orders]

    Error: stack::wrong_type

      × table.orders must be a map
       ╭─[stacks/local.yaml:6:13]
     5 │   table:
     6 │     orders: []
       ·             ─┬
       ·              ╰── expected keys
     7 │   cluster: x
       ╰────

    Error: stack::wrong_type

      × `cluster` must be a map
       ╭─[stacks/local.yaml:7:12]
     6 │     orders: []
     7 │   cluster: x
       ·            ┬
       ·            ╰── expected keys
       ╰────
    "#);
}

#[test]
fn outside_of_what_is_allowed() {
    insta::assert_snapshot!(over("\
resources:
  cluster:
    events: { brokers: 0 }
    big: { brokers: 300 }
  topic:
    payments: { partitions: 400 }
    late: { cluster: events, partitions: 5000000000 }
  table:
    orders: { columns: [] }
"), @r#"
      × stack `local` has 5 mistakes

    Error: stack::invalid_value

      × `brokers` of cluster.events must be at least 1, not 0
       ╭─[stacks/local.yaml:4:24]
     3 │   cluster:
     4 │     events: { brokers: 0 }
       ·                        ┬
       ·                        ╰── less than 1
     5 │     big: { brokers: 300 }
       ╰────
      help: `brokers`: How many brokers it has. Default: 3.

    Error: stack::invalid_value

      × `brokers` of cluster.big must be at most 15, not 300
       ╭─[stacks/local.yaml:5:21]
     4 │     events: { brokers: 0 }
     5 │     big: { brokers: 300 }
       ·                     ─┬─
       ·                      ╰── more than 15
     6 │   topic:
       ╰────
      help: `brokers`: How many brokers it has. Default: 3.

    Error: stack::invalid_value

      × 400 partitions are more than one broker carries
       ╭─[stacks/local.yaml:7:29]
     6 │   topic:
     7 │     payments: { partitions: 400 }
       ·                             ─┬─
       ·                              ╰── `partitions` of topic.payments
     8 │     late: { cluster: events, partitions: 5000000000 }
       ╰────
      help: use 100 at most

    Error: stack::invalid_value

      × `partitions` of topic.late must be at most 4294967295, not 5000000000
       ╭─[stacks/local.yaml:8:42]
     7 │     payments: { partitions: 400 }
     8 │     late: { cluster: events, partitions: 5000000000 }
       ·                                          ─────┬────
       ·                                               ╰── more than 4294967295
     9 │   table:
       ╰────
      help: `partitions`: How many partitions it has. Can only grow.

    Error: stack::invalid_value

      × `columns` of table.orders must not be empty
        ╭─[stacks/local.yaml:10:24]
      9 │   table:
     10 │     orders: { columns: [] }
        ·                        ─┬
        ·                         ╰── empty
        ╰────
      help: `columns`: Its columns.
    "#);
}

#[test]
fn none_of_those_allowed() {
    insta::assert_snapshot!(over("\
resources:
  topic:
    orders: { cleanup: compct }
  function:
    ingest: { architecture: sparc }
  table:
    orders: { source: { qery: {} } }
    late: { columns: [{ name: a }], source: { query: { templat: x } } }
"), @r#"
      × stack `local` has 5 mistakes

    Error: stack::invalid_value

      × `cleanup` of topic.orders cannot be `compct`
       ╭─[stacks/local.yaml:4:24]
     3 │   topic:
     4 │     orders: { cleanup: compct }
       ·                        ───┬──
       ·                           ╰── not one of those allowed
     5 │   function:
       ╰────
      help: did you mean `compact`? it is one of `delete` and `compact`

    Error: stack::invalid_value

      × `architecture` of function.ingest cannot be `sparc`
       ╭─[stacks/local.yaml:6:29]
     5 │   function:
     6 │     ingest: { architecture: sparc }
       ·                             ──┬──
       ·                               ╰── not one of those allowed
     7 │   table:
       ╰────
      help: it is one of `x86_64` and `arm64`

    Error: stack::unknown_field

      × `source` of table.orders cannot be `qery`
       ╭─[stacks/local.yaml:8:25]
     7 │   table:
     8 │     orders: { source: { qery: {} } }
       ·                         ──┬─
       ·                           ╰── not one of those allowed
     9 │     late: { columns: [{ name: a }], source: { query: { templat: x } } }
       ╰────
      help: did you mean `query`? it is one of `query` and `topic`

    Error: stack::missing_field

      × `columns[0]` of table.late lacks `type`
       ╭─[stacks/local.yaml:9:23]
     8 │     orders: { source: { qery: {} } }
     9 │     late: { columns: [{ name: a }], source: { query: { templat: x } } }
       ·                       ─────┬─────
       ·                            ╰── `type` is missing
       ╰────
      help: `type`: Its type.

    Error: stack::unknown_field

      × `source.query` of table.late has no field `templat`
       ╭─[stacks/local.yaml:9:56]
     8 │     orders: { source: { qery: {} } }
     9 │     late: { columns: [{ name: a }], source: { query: { templat: x } } }
       ·                                                        ───┬───
       ·                                                           ╰── no such field
       ╰────
      help: did you mean `template`?
    "#);
}

#[test]
fn not_of_the_form() {
    insta::assert_snapshot!(over("\
resources:
  topic:
    orders: { retention: soon }
    payments: { retention: 2 weeks }
  function:
    ingest: { memory: 256MB, after: [orders], renamed_from: x }
"), @r#"
      × stack `local` has 5 mistakes

    Error: stack::invalid_value

      × `soon` is not a duration such as `500ms`, `30s`, `5m`, `12h` or `7d`
       ╭─[stacks/local.yaml:4:26]
     3 │   topic:
     4 │     orders: { retention: soon }
       ·                          ──┬─
       ·                            ╰── `retention` of topic.orders
     5 │     payments: { retention: 2 weeks }
       ╰────
      help: `retention`: How long events are kept.

    Error: stack::invalid_value

      × `2 weeks` is not a duration such as `500ms`, `30s`, `5m`, `12h` or `7d`
       ╭─[stacks/local.yaml:5:28]
     4 │     orders: { retention: soon }
     5 │     payments: { retention: 2 weeks }
       ·                            ───┬───
       ·                               ╰── `retention` of topic.payments
     6 │   function:
       ╰────
      help: did you mean `14d`?

    Error: stack::invalid_value

      × `256MB` is not a size such as `512KiB`, `256MiB` or `20GiB`
       ╭─[stacks/local.yaml:7:23]
     6 │   function:
     7 │     ingest: { memory: 256MB, after: [orders], renamed_from: x }
       ·                       ──┬──
       ·                         ╰── `memory` of function.ingest
       ╰────
      help: did you mean `256MiB`?

    Error: stack::invalid_value

      × `orders` is not the address of a resource of this stack, such as `topic.orders`
       ╭─[stacks/local.yaml:7:38]
     6 │   function:
     7 │     ingest: { memory: 256MB, after: [orders], renamed_from: x }
       ·                                      ───┬──
       ·                                         ╰── `after[0]` of function.ingest
       ╰────

    Error: stack::invalid_value

      × `x` is not an address such as `topic.orders`
       ╭─[stacks/local.yaml:7:61]
     6 │   function:
     7 │     ingest: { memory: 256MB, after: [orders], renamed_from: x }
       ·                                                             ┬
       ·                                                             ╰── `renamed_from` of function.ingest
       ╰────
      help: `renamed_from`: The address that the resource had before, so that it is kept instead of made anew.
    "#);
}
