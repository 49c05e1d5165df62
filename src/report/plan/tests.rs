use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::*;
use crate::{engine::Refusal, report::Style};

fn step(address: &str, action: Action) -> Step {
    let address: Address = address.parse().expect("an address");
    Step {
        physical: format!("staging-{}", address.name),
        address,
        action,
        id: None,
        nonce: String::new(),
        changes: Vec::new(),
        desired: Value::Null,
        unknown: [].into(),
        after: [].into(),
        refs: [].into(),
        resumes: false,
        found: false,
        adopts: false,
        forgets: false,
        moved_from: None,
        kept: Vec::new(),
        awaits: None,
        unreadable: None,
        protect: false,
        protects: false,
        loses_data: false,
        refused: None,
    }
}

fn change(field: &str, from: Value, to: Value, cause: Cause) -> Change {
    Change { field: field.to_owned(), from, to, cause, waits_for: None }
}

fn plan(steps: Vec<Step>) -> Plan {
    let (stack, definition) = ("staging".to_owned(), "d".repeat(64));
    Plan { stack, lineage: uuid::Uuid::nil(), serial: 12, definition, steps, notes: Vec::new() }
}

/// One of everything that a plan can say.
fn everything() -> Plan {
    let hex = |it: &str| json!(it.repeat(16));
    let mut ingest = step("function.ingest", Action::Update);
    ingest.changes = vec![
        change("code", hex("9f2c"), hex("41aa"), Cause::Edit),
        change("memory", json!("256MiB"), json!("512MiB"), Cause::Edit),
        change("environment.LOG_LEVEL", json!("debug"), json!("info"), Cause::Drift),
    ];
    let mut refunds = step("topic.refunds", Action::Create);
    refunds.desired = json!({ "cluster": "events", "partitions": 6, "retention": "7d", "config": {} });
    (refunds.protect, refunds.protects) = (true, true);
    let mut orders = step("topic.orders", Action::Update);
    orders.changes = vec![change("partitions", json!(12), json!(8), Cause::Edit)];
    orders.refused = Some(Refusal {
        field: Some("partitions".to_owned()),
        reason: "Kafka cannot shrink a topic".to_owned(),
        help: "Keep 12".to_owned(),
    });
    let mut shop = step("database.shop", Action::Update);
    shop.changes = vec![change("backup_retention", json!(1), json!(7), Cause::Drift)];
    let mut trigger = step("trigger.refunds", Action::Create);
    trigger.desired = json!({ "topic": "refunds", "function": "ingest" });
    trigger.unknown = [("broker", "cluster.events"), ("source", "cluster.events")]
        .map(|(field, on)| (field.to_owned(), on.parse().expect("an address")))
        .into();
    let mut role = step("role.ingest", Action::Replace);
    role.changes = vec![change("path", json!("/"), json!("/ecomctl/"), Cause::Edit)];
    let mut alarm = step("log_group.ingest", Action::Update);
    alarm.resumes = true;
    let mut lake = step("bucket.old-lake", Action::Delete);
    lake.loses_data = true;
    let gone = step("role.old", Action::Delete);
    let kept = step("topic.payments", Action::Noop);
    let mut plan = plan(vec![alarm, ingest, refunds, orders, shop, trigger, role, kept, lake, gone]);
    plan.notes.push("bucket staging-scratch carries this stack's tags and is in neither file nor state".to_owned());
    plan
}

fn view(plan: &Plan) -> View<'_> {
    let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 365);
    let last = Last {
        at: now - SignedDuration::from_hours(2),
        by: "ci@runner".to_owned(),
        commit: Some("a1b2c3d4e5f60718293a4b5c6d7e8f9001122334".to_owned()),
    };
    View { plan, last: Some(last), now, next: Some("ecomctl up staging".to_owned()), exactly: false, verbose: false }
}

#[test]
fn everything_as_text() {
    insta::assert_snapshot!(text(&view(&everything()), Style::PLAIN), @r"
    staging · 3 to change, 2 to create, 1 to replace, 2 to delete, 1 refused (1 unchanged) · last applied 2 h ago by ci@runner (a1b2c3d)
      ~ log_group.ingest  finishes what an earlier run began
      ~ function.ingest   code 9f2c→41aa · memory 256→512 MiB
      ≠ function.ingest   environment.LOG_LEVEL info→debug changed outside ecomctl · will be set back to info
      + topic.refunds     cluster events · 6 partitions · retention 7 d · protected
      ! topic.orders      partitions 12→8  REFUSED: Kafka cannot shrink a topic. Keep 12.
      ≠ database.shop     backup_retention 7→1 changed outside ecomctl · will be set back to 7
      + trigger.refunds   topic refunds · function ingest · broker, source known once cluster.events is ready
      ± role.ingest       deleted and created anew · path /→/ecomctl/
      - bucket.old-lake   DATA LOSS · staging-old-lake
      - role.old          staging-old
    note: bucket staging-scratch carries this stack's tags and is in neither file nor state
    DATA LOSS: the data of bucket.old-lake cannot be brought back.
    Nothing is applied while anything is refused: mend the lines marked `!` first.
    ");
}

#[test]
fn everything_as_text_on_a_narrow_terminal() {
    let style = Style { color: false, width: Some(72) };
    let narrow = text(&view(&everything()), style);
    insta::assert_snapshot!(narrow, @r"
    staging · 3 to change, 2 to create, 1 to replace, 2 to delete, 1
    refused (1 unchanged) · last applied 2 h ago by ci@runner (a1b2c3d)
      ~ log_group.ingest  finishes what an earlier run began
      ~ function.ingest   code 9f2c→41aa · memory 256→512 MiB
      ≠ function.ingest   environment.LOG_LEVEL info→debug changed outside
                          ecomctl · will be set back to info
      + topic.refunds     cluster events · 6 partitions · retention 7 d ·
                          protected
      ! topic.orders      partitions 12→8  REFUSED: Kafka cannot shrink a
                          topic. Keep 12.
      ≠ database.shop     backup_retention 7→1 changed outside ecomctl ·
                          will be set back to 7
      + trigger.refunds   topic refunds · function ingest · broker, source
                          known once cluster.events is ready
      ± role.ingest       deleted and created anew · path /→/ecomctl/
      - bucket.old-lake   DATA LOSS · staging-old-lake
      - role.old          staging-old
    note: bucket staging-scratch carries this stack's tags and is in
    neither file nor state
    DATA LOSS: the data of bucket.old-lake cannot be brought back.
    Nothing is applied while anything is refused: mend the lines marked
    `!` first.
    ");
    assert!(narrow.lines().all(|it| it.chars().count() <= 72), "no line is wider than the terminal");
    let tiny = text(&view(&everything()), Style { color: false, width: Some(40) });
    assert!(tiny.lines().all(|it| it.chars().count() <= 40), "{tiny}");
}

#[test]
fn everything_as_markdown() {
    insta::assert_snapshot!(markdown(&view(&everything())), @r"
    <!-- ecomctl diff staging -->
    ### `staging` · 3 to change, 2 to create, 1 to replace, 2 to delete, 1 refused (1 unchanged)

    last applied 2 h ago by ci@&#8203;runner (a1b2c3d)

    > [!CAUTION]
    > Refused:
    > - `topic.orders`: Kafka cannot shrink a topic

    > [!WARNING]
    > DATA LOSS: this data cannot be brought back.
    > - `bucket.old-lake`

    *note:* bucket staging-scratch carries this stack's tags and is in neither file nor state

    | | resource | change |
    |:-:|---|---|
    | - | `bucket.old-lake` | DATA LOSS · staging-old-lake |
    | ! | `topic.orders` | partitions 12→8  REFUSED: Kafka cannot shrink a topic. Keep 12. |
    | - | `role.old` | staging-old |
    | ± | `role.ingest` | deleted and created anew · path /→/ecomctl/ |
    | ~ | `log_group.ingest` | finishes what an earlier run began |
    | ~ | `function.ingest` | code 9f2c→41aa · memory 256→512 MiB |
    | ≠ | `function.ingest` | environment.LOG\_LEVEL info→debug changed outside ecomctl · will be set back to info |
    | ≠ | `database.shop` | backup\_retention 7→1 changed outside ecomctl · will be set back to 7 |
    | + | `topic.refunds` | cluster events · 6 partitions · retention 7 d · protected |
    | + | `trigger.refunds` | topic refunds · function ingest · broker, source known once cluster.events is ready |

    <details><summary>1 unchanged</summary>

    `topic.payments`

    </details>

    Nothing is applied while anything is refused: mend the lines marked `!` first.
    ");
}

#[test]
fn everything_as_json() {
    let json = json(&view(&everything()));
    let mut short = json.clone();
    short["steps"] = short["steps"].as_array().into_iter().flatten().take(2).cloned().collect();
    insta::assert_snapshot!(serde_json::to_string_pretty(&short).expect("JSON"), @r#"
    {
      "schema": 1,
      "stack": "staging",
      "lineage": "00000000-0000-0000-0000-000000000000",
      "serial": 12,
      "definition": "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd",
      "last_applied": {
        "at": "1970-12-31T22:00:00Z",
        "by": "ci@runner",
        "commit": "a1b2c3d4e5f60718293a4b5c6d7e8f9001122334"
      },
      "changes": true,
      "counts": {
        "create": 2,
        "update": 3,
        "settle": 0,
        "replace": 1,
        "delete": 2,
        "refused": 1,
        "unchanged": 1
      },
      "steps": [
        {
          "address": "log_group.ingest",
          "action": "update",
          "physical": "staging-ingest",
          "id": null,
          "changes": [],
          "unknown": {},
          "after": [],
          "resumes": true,
          "found": false,
          "adopts": false,
          "forgets": false,
          "moved_from": null,
          "kept": [],
          "awaits": null,
          "unreadable": null,
          "protect": false,
          "protects": false,
          "loses_data": false,
          "refused": null
        },
        {
          "address": "function.ingest",
          "action": "update",
          "physical": "staging-ingest",
          "id": null,
          "changes": [
            {
              "field": "code",
              "from": "9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c",
              "to": "41aa41aa41aa41aa41aa41aa41aa41aa41aa41aa41aa41aa41aa41aa41aa41aa",
              "cause": "edit"
            },
            {
              "field": "memory",
              "from": "256MiB",
              "to": "512MiB",
              "cause": "edit"
            },
            {
              "field": "environment.LOG_LEVEL",
              "from": "debug",
              "to": "info",
              "cause": "drift"
            }
          ],
          "unknown": {},
          "after": [],
          "resumes": false,
          "found": false,
          "adopts": false,
          "forgets": false,
          "moved_from": null,
          "kept": [],
          "awaits": null,
          "unreadable": null,
          "protect": false,
          "protects": false,
          "loses_data": false,
          "refused": null
        }
      ],
      "unchanged": [
        "topic.payments"
      ],
      "notes": [
        "bucket staging-scratch carries this stack's tags and is in neither file nor state"
      ]
    }
    "#);
    assert_eq!(json["steps"].as_array().map(Vec::len), Some(9));
}

#[test]
fn a_plan_that_only_creates_says_how_to_apply_it() {
    let mut shop = step("database.shop", Action::Create);
    shop.desired = json!({ "engine": "17.4", "class": "db.t4g.small", "storage": "20GiB", "backup_retention": "7d",
        "public": false, "ca": "rds-ca-rsa2048-g1" });
    let plan = plan(vec![shop]);
    let view = View { last: None, ..view(&plan) };
    let verbose = text(&View { verbose: true, ..view.clone() }, Style::PLAIN);
    assert!(verbose.contains("public false · ca rds-ca-rsa2048-g1\n"), "{verbose}");
    insta::assert_snapshot!(text(&view, Style::PLAIN), @r"
    staging · 0 to change, 1 to create, 0 to delete (0 unchanged) · never applied
      + database.shop  engine 17.4 · class db.t4g.small · storage 20 GiB · backup_retention 7 d · 2 more fields
    Apply this: ecomctl up staging
    ");
}

#[test]
fn an_update_without_changes_says_why_it_is_there() {
    let mut role = step("role.ingest", Action::Replace);
    role.changes = vec![change("path", json!("/"), json!("/ecomctl/"), Cause::Edit)];
    let mut ingest = step("function.ingest", Action::Update);
    ingest.after = [role.address.clone()].into();
    let plan = plan(vec![role, ingest, step("topic.orders", Action::Settle)]);
    insta::assert_snapshot!(text(&view(&plan), Style::PLAIN), @r"
    staging · 1 to change, 0 to create, 1 to settle, 1 to replace, 0 to delete (0 unchanged) · last applied 2 h ago by ci@runner (a1b2c3d)
      ± role.ingest      deleted and created anew · path /→/ecomctl/
      ~ function.ingest  looked at again, as role.ingest is replaced
      … topic.orders     recorded anew; nothing is sent
    Apply this: ecomctl up staging
    ");
}

#[test]
fn what_is_only_looked_at_says_why() {
    let mut shop = step("database.shop", Action::Settle);
    shop.awaits = Some("backing-up".to_owned());
    let mut schema = step("schema.shop", Action::Settle);
    schema.unreadable = Some("s-migrate failed: no connection\nto the database".to_owned());
    let mut orders = step("topic.orders", Action::Settle);
    orders.found = true;
    let mut payments = step("topic.payments", Action::Settle);
    (payments.protect, payments.protects) = (true, true);
    let plan = plan(vec![shop, schema, orders, payments]);
    insta::assert_snapshot!(text(&view(&plan), Style::PLAIN), @r"
    staging · 0 to change, 0 to create, 4 to settle, 0 to delete (0 unchanged) · last applied 2 h ago by ci@runner (a1b2c3d)
      … database.shop   waits until it is ready: it is backing-up now
      ? schema.shop     cannot be read, looked at again once what it needs is done: s-migrate failed: no connection to the database
      … topic.orders    found by its name and tags, and recorded
      … topic.payments  protected from now on
    Apply this: ecomctl up staging
    ");
    assert_eq!(json(&view(&plan))["changes"], true);
}

#[test]
fn what_is_gone_from_the_file_has_no_default_and_no_second_full_stop() {
    let refused = |field: &str, reason: &str, help: &str| {
        Some(Refusal { field: Some(field.to_owned()), reason: reason.to_owned(), help: help.to_owned() })
    };
    let mut topic = step("topic.orders", Action::Update);
    topic.changes = vec![change("partitions", json!(6), json!(3), Cause::Edit)];
    topic.refused = refused("partitions", "Keep 6.", "");
    let mut schema = step("schema.shop", Action::Update);
    schema.changes = vec![
        change("migrations.0003", json!("3e216eb6"), Value::Null, Cause::Edit),
        change("structure.table public.payments", json!("it is gone"), Value::Null, Cause::Drift),
    ];
    schema.refused = refused("structure.table public.payments", "it is not as the migrations left it", "undo that");
    let mut ingest = step("function.ingest", Action::Update);
    ingest.changes = vec![change("environment.DEBUG", json!("1"), Value::Null, Cause::Drift)];
    let plan = plan(vec![topic, schema, ingest]);
    insta::assert_snapshot!(text(&view(&plan), Style::PLAIN), @r"
    staging · 1 to change, 0 to create, 0 to delete, 2 refused (0 unchanged) · last applied 2 h ago by ci@runner (a1b2c3d)
      ! topic.orders     partitions 6→3  REFUSED: Keep 6.
      ! schema.shop      migrations.0003 3e216eb6→removed · structure.table public.payments  REFUSED: it is not as the migrations left it. undo that.
      ≠ function.ingest  environment.DEBUG unset→1 changed outside ecomctl · will be removed
    Nothing is applied while anything is refused: mend the lines marked `!` first.
    ");
}

#[test]
fn nothing_to_change() {
    let plan = plan(vec![step("topic.orders", Action::Noop), step("topic.payments", Action::Noop)]);
    insta::assert_snapshot!(text(&view(&plan), Style::PLAIN), @"staging · nothing to change (2 resources as defined) · last applied 2 h ago by ci@runner (a1b2c3d)");
    insta::assert_snapshot!(markdown(&view(&plan)), @r"
    <!-- ecomctl diff staging -->
    ### `staging` · nothing to change (2 resources as defined)

    last applied 2 h ago by ci@&#8203;runner (a1b2c3d)

    <details><summary>2 unchanged</summary>

    `topic.orders` · `topic.payments`

    </details>
    ");
    assert_eq!(json(&view(&plan))["changes"], false);
    let verbose = text(&View { verbose: true, ..view(&plan) }, Style::PLAIN);
    assert!(verbose.contains("\n  = topic.payments\n"), "{verbose}");
}

#[test]
fn colour_adds_nothing_that_cannot_be_read_without_it() {
    let coloured = text(&view(&everything()), Style { color: true, width: None });
    assert!(coloured.contains("\u{1b}["));
    let mut plain = String::new();
    let mut escape = false;
    for it in coloured.chars() {
        match (escape, it) {
            (false, '\u{1b}') => escape = true,
            (false, it) => plain.push(it),
            (true, 'm') => escape = false,
            (true, _) => (),
        }
    }
    assert_eq!(plain, text(&view(&everything()), Style::PLAIN));
}

#[test]
fn markdown_fits_into_a_comment() {
    let steps = (0..3000).map(|it| {
        let mut step = step(&format!("topic.t{it}"), Action::Create);
        step.desired = json!({ "partitions": 6, "retention": "7d" });
        step
    });
    let text = markdown(&view(&plan(steps.collect())));
    assert!(text.len() < 65_536, "{}", text.len());
    assert!(text.contains("more lines, which do not fit here"));
    assert!(text.contains("<details><summary>3000 to create</summary>"), "what is new is folded away");

    let doomed = (0..3000).map(|it| {
        let mut step = step(&format!("bucket.b{it}"), Action::Delete);
        step.loses_data = true;
        step.physical = "x".repeat(5000);
        step
    });
    let mut plan = plan(doomed.collect());
    plan.notes = (0..3000).map(|it| format!("note {it}")).collect();
    let text = markdown(&view(&plan));
    assert!(text.len() < 65_536, "{}", text.len());
    assert!(text.contains("> - and 2980 more") && text.contains("*and 2980 more notes*"), "{text}");
}
