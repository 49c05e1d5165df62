//! Mistakes in values.

use super::*;

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
"), @r#"
      × stack `local` has 11 mistakes

    Error: stack::wrong_type

      × `account` of the `stack` section must be an AWS account: 12 digits in quotes, such as `"123456789012"`, not the
      │ number `123456789012`
       ╭─[stacks/local.yaml:3:12]
     2 │ stack:
     3 │   account: 123456789012
       ·            ──────┬─────
       ·                  ╰── expected an AWS account: 12 digits in quotes, such as `"123456789012"`
     4 │   region: frankfurt
       ╰────
      help: put it in quotes: "123456789012"

    Error: stack::invalid_value

      × `frankfurt` is not an AWS region such as `eu-central-1`
       ╭─[stacks/local.yaml:4:11]
     3 │   account: 123456789012
     4 │   region: frankfurt
       ·           ────┬────
       ·               ╰── `region` of the `stack` section
     5 │ resources:
       ╰────
      help: `region`: The AWS region. Default: `us-east-1`.

    Error: stack::wrong_type

      × `partitions` of topic.orders must be a whole number, not the text `6`
       ╭─[stacks/local.yaml:8:19]
     7 │     orders:
     8 │       partitions: "6"
       ·                   ─┬─
       ·                    ╰── expected a whole number
     9 │       retention: 7
       ╰────
      help: leave out the quotes: 6

    Error: stack::wrong_type

      × `retention` of topic.orders must be a duration such as `500ms`, `30s`, `5m`, `12h` or `7d`, not the number `7`
        ╭─[stacks/local.yaml:9:18]
      8 │       partitions: "6"
      9 │       retention: 7
        ·                  ┬
        ·                  ╰── expected a duration such as `500ms`, `30s`, `5m`, `12h` or `7d`
     10 │       cluster: [events]
        ╰────
      help: `retention`: How long events are kept.

    Error: stack::wrong_type

      × `cluster` of topic.orders must be the name of a cluster of this stack, not a list
        ╭─[stacks/local.yaml:10:16]
      9 │       retention: 7
     10 │       cluster: [events]
        ·                ────┬───
        ·                    ╰── expected the name of a cluster of this stack
     11 │   function:
        ╰────
      help: `cluster`: The cluster that holds it.

    Error: stack::wrong_type

      × `code` of function.ingest must be text, not a map
        ╭─[stacks/local.yaml:13:13]
     12 │     ingest:
     13 │       code: {}
        ·             ─┬
        ·              ╰── expected text
     14 │       tracing: yes
        ╰────
      help: `code`: The crate that holds its code.

    Error: stack::wrong_type

      × `tracing` of function.ingest must be `true` or `false`, not the text `yes`
        ╭─[stacks/local.yaml:14:16]
     13 │       code: {}
     14 │       tracing: yes
        ·                ─┬─
        ·                 ╰── expected `true` or `false`
     15 │       environment: { DEBUG: true, LEVEL: 3 }
        ╰────
      help: write `true`

    Error: stack::wrong_type

      × `environment.DEBUG` of function.ingest must be text, not `true`
        ╭─[stacks/local.yaml:15:29]
     14 │       tracing: yes
     15 │       environment: { DEBUG: true, LEVEL: 3 }
        ·                             ──┬─
        ·                               ╰── expected text
     16 │       writes: orders
        ╰────
      help: put it in quotes: "true"

    Error: stack::wrong_type

      × `environment.LEVEL` of function.ingest must be text, not the number `3`
        ╭─[stacks/local.yaml:15:42]
     14 │       tracing: yes
     15 │       environment: { DEBUG: true, LEVEL: 3 }
        ·                                          ┬
        ·                                          ╰── expected text
     16 │       writes: orders
        ╰────
      help: put it in quotes: "3"

    Error: stack::wrong_type

      × `writes` of function.ingest must be a list, not the text `orders`
        ╭─[stacks/local.yaml:16:15]
     15 │       environment: { DEBUG: true, LEVEL: 3 }
     16 │       writes: orders
        ·               ───┬──
        ·                  ╰── expected a list
     17 │   table:
        ╰────
      help: write a list, also of one: [orders]

    Error: stack::wrong_type

      × table.orders must be a map
        ╭─[stacks/local.yaml:18:13]
     17 │   table:
     18 │     orders: []
        ·             ─┬
        ·              ╰── expected keys
        ╰────
    "#);
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
    orders: { cleanup: compct, retention: soon }
    payments: { partitions: 400 }
    late: { cluster: events, partitions: 5000000000 }
  function:
    ingest: { memory: 256MB, architecture: arm, after: [orders], renamed_from: x }
  table:
    orders: { columns: [], source: { query: { templat: x } } }
    late: { columns: [{ name: a }], source: { qery: {} } }
"), @r#"
      × stack `local` has 15 mistakes

    Error: stack::invalid_value

      × `target` of the `stack` section cannot be `lokal`
       ╭─[stacks/local.yaml:2:18]
     1 │ extends: base.yaml
     2 │ stack: { target: lokal, tags: { 'ecomctl:stack': x } }
       ·                  ──┬──
       ·                    ╰── not one of those allowed
     3 │ resources:
       ╰────
      help: did you mean `local`? it is one of `aws` and `local`

    Error: stack::invalid_value

      × `brokers` of cluster.events must be at least 1, not 0
       ╭─[stacks/local.yaml:5:24]
     4 │   cluster:
     5 │     events: { brokers: 0 }
       ·                        ┬
       ·                        ╰── less than 1
     6 │     big: { brokers: 300 }
       ╰────
      help: `brokers`: How many brokers it has. Default: 3.

    Error: stack::invalid_value

      × `brokers` of cluster.big must be at most 15, not 300
       ╭─[stacks/local.yaml:6:21]
     5 │     events: { brokers: 0 }
     6 │     big: { brokers: 300 }
       ·                     ─┬─
       ·                      ╰── more than 15
     7 │   topic:
       ╰────
      help: `brokers`: How many brokers it has. Default: 3.

    Error: stack::invalid_value

      × `cleanup` of topic.orders cannot be `compct`
       ╭─[stacks/local.yaml:8:24]
     7 │   topic:
     8 │     orders: { cleanup: compct, retention: soon }
       ·                        ───┬──
       ·                           ╰── not one of those allowed
     9 │     payments: { partitions: 400 }
       ╰────
      help: did you mean `compact`? it is one of `delete` and `compact`

    Error: stack::invalid_value

      × `soon` is not a duration such as `500ms`, `30s`, `5m`, `12h` or `7d`
       ╭─[stacks/local.yaml:8:43]
     7 │   topic:
     8 │     orders: { cleanup: compct, retention: soon }
       ·                                           ──┬─
       ·                                             ╰── `retention` of topic.orders
     9 │     payments: { partitions: 400 }
       ╰────
      help: `retention`: How long events are kept.

    Error: stack::invalid_value

      × 400 partitions are more than one broker carries
        ╭─[stacks/local.yaml:9:29]
      8 │     orders: { cleanup: compct, retention: soon }
      9 │     payments: { partitions: 400 }
        ·                             ─┬─
        ·                              ╰── `partitions` of topic.payments
     10 │     late: { cluster: events, partitions: 5000000000 }
        ╰────
      help: use 100 at most

    Error: stack::invalid_value

      × `partitions` of topic.late must be at most 4294967295, not 5000000000
        ╭─[stacks/local.yaml:10:42]
      9 │     payments: { partitions: 400 }
     10 │     late: { cluster: events, partitions: 5000000000 }
        ·                                          ─────┬────
        ·                                               ╰── more than 4294967295
     11 │   function:
        ╰────
      help: `partitions`: How many partitions it has. Can only grow.

    Error: stack::invalid_value

      × `256MB` is not a size such as `512KiB`, `256MiB` or `20GiB`
        ╭─[stacks/local.yaml:12:23]
     11 │   function:
     12 │     ingest: { memory: 256MB, architecture: arm, after: [orders], renamed_from: x }
        ·                       ──┬──
        ·                         ╰── `memory` of function.ingest
     13 │   table:
        ╰────
      help: did you mean `256MiB`?

    Error: stack::invalid_value

      × `architecture` of function.ingest cannot be `arm`
        ╭─[stacks/local.yaml:12:44]
     11 │   function:
     12 │     ingest: { memory: 256MB, architecture: arm, after: [orders], renamed_from: x }
        ·                                            ─┬─
        ·                                             ╰── not one of those allowed
     13 │   table:
        ╰────
      help: did you mean `arm64`? it is one of `x86_64` and `arm64`

    Error: stack::invalid_value

      × `orders` is not the address of a resource of this stack, such as `topic.orders`
        ╭─[stacks/local.yaml:12:57]
     11 │   function:
     12 │     ingest: { memory: 256MB, architecture: arm, after: [orders], renamed_from: x }
        ·                                                         ───┬──
        ·                                                            ╰── `after[0]` of function.ingest
     13 │   table:
        ╰────

    Error: stack::invalid_value

      × `x` is not an address such as `topic.orders`
        ╭─[stacks/local.yaml:12:80]
     11 │   function:
     12 │     ingest: { memory: 256MB, architecture: arm, after: [orders], renamed_from: x }
        ·                                                                                ┬
        ·                                                                                ╰── `renamed_from` of function.ingest
     13 │   table:
        ╰────
      help: `renamed_from`: The address that the resource had before, so that it is kept instead of made anew.

    Error: stack::invalid_value

      × `columns` of table.orders must not be empty
        ╭─[stacks/local.yaml:14:24]
     13 │   table:
     14 │     orders: { columns: [], source: { query: { templat: x } } }
        ·                        ─┬
        ·                         ╰── empty
     15 │     late: { columns: [{ name: a }], source: { qery: {} } }
        ╰────
      help: `columns`: Its columns.

    Error: stack::unknown_field

      × `source.query` of table.orders has no field `templat`
        ╭─[stacks/local.yaml:14:47]
     13 │   table:
     14 │     orders: { columns: [], source: { query: { templat: x } } }
        ·                                               ───┬───
        ·                                                  ╰── no such field
     15 │     late: { columns: [{ name: a }], source: { qery: {} } }
        ╰────
      help: did you mean `template`?

    Error: stack::missing_field

      × `columns[0]` of table.late lacks `type`
        ╭─[stacks/local.yaml:15:23]
     14 │     orders: { columns: [], source: { query: { templat: x } } }
     15 │     late: { columns: [{ name: a }], source: { qery: {} } }
        ·                       ─────┬─────
        ·                            ╰── `type` is missing
        ╰────
      help: `type`: Its type.

    Error: stack::unknown_field

      × `source` of table.late cannot be `qery`
        ╭─[stacks/local.yaml:15:47]
     14 │     orders: { columns: [], source: { query: { templat: x } } }
     15 │     late: { columns: [{ name: a }], source: { qery: {} } }
        ·                                               ──┬─
        ·                                                 ╰── not one of those allowed
        ╰────
      help: did you mean `query`? it is one of `query` and `topic`
    "#);
}
