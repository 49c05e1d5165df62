//! What every kind promises, checked on the local cloud with no code per kind: the fixtures say what to make.
//!
//! `tests/fixtures/<kind>.yaml` is a whole stack with the kind in it; `<kind>.update.yaml`, where there is one, the same
//! addresses with other values.
//!
//! What answers: ministack for networks, parameter groups, keys, roles, functions, buckets, secrets, log groups, notifications and
//! Glue; the local cloud's own gateway for clusters, topics, triggers, databases, alarms, dashboards, workgroups, schedules
//! and, on PostgreSQL, schemas of Redshift; its own workspace for Databricks. States that these pass over (a NAT gateway that is pending or failed, a
//! database that fails) are proven beside the kinds, without any peer.

#![expect(
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test that cannot be set up has failed; what it measures is told"
)]

mod hold;
mod place;
mod rollout;

use std::{collections::BTreeSet, path::Path, time::Instant};

use ecomctl::{
    address::Address,
    engine::{Action, Plan},
    resource::{Cause, Change, Field, KINDS, Kind},
    stack::Stack,
};
use place::{Place, Stage};
use serde_json::Value;

/// Fields whose drift cannot be set back, each with the reason. This list may only shrink.
const ONE_WAY: &[(&str, &str)] = &[
    ("cluster.kafka_version", "MSK upgrades a cluster and never goes back; the plan refuses"),
    ("database.engine_version", "RDS upgrades an instance and never goes back; the plan refuses"),
];

/// Fields that show what they mean in other fields, too: who opens a way to the internet changes routes and rules by it.
const TOGETHER: &[(&str, &[&str])] = &[("network.internet", &["internet", "routes", "security"])];

/// Kinds whose deletion can be taken back for a while: what is made again is what was there.
const COMES_BACK: &[&str] = &["key"];

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_keeps_the_contract() {
    let place = Place::start().await;
    let mut broken = Vec::new();
    // One kind by itself, while somebody works on it.
    let only = std::env::var("KIND").ok();
    for kind in KINDS.iter().filter(|it| only.as_ref().is_none_or(|only| only == it.name())) {
        let begun = Instant::now();
        let offences = keeps_the_contract(&place, *kind).await;
        eprintln!("{:<10} {:>5.1} s", kind.name(), begun.elapsed().as_secs_f32());
        offences.iter().for_each(|it| eprintln!("  {it}"));
        broken.extend(offences.into_iter().map(|it| format!("{}: {it}", kind.name())));
    }
    drop(place);
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

/// Takes one kind through its life and returns what was not as promised.
async fn keeps_the_contract(place: &Place, kind: &dyn Kind) -> Vec<String> {
    let mut offences = Vec::new();
    let base = format!("tests/fixtures/{}.yaml", kind.name());
    let update = format!("tests/fixtures/{}.update.yaml", kind.name());
    let mut stage = place.stage(kind.name(), &[&base, &update]).await;

    offences.extend(stage.up().await.map_err(|err| format!("create: {err}")).err());
    offences.extend(no_drift(&stage, "after creation").await);
    if !offences.is_empty() {
        // What follows would only repeat it; but nothing may be left behind.
        offences.extend(stage.down().await.err());
        return offences;
    }

    if Path::new(&update).is_file() {
        let other = place.load(kind.name(), &update);
        offences.extend(drift_each_field(&stage, kind, &other).await);
        stage.switch(other);
        offences.extend(stage.up().await.map_err(|err| format!("update: {err}")).err());
        offences.extend(no_drift(&stage, "after the update").await);
    }

    offences.extend(hold::holds_on(&mut stage, kind).await);

    stage.forget();
    let plan = stage.plan().await;
    let made: Vec<_> = plan.steps.iter().filter(|it| it.action == Action::Create || it.refused.is_some()).collect();
    offences.extend((!made.is_empty()).then(|| format!("a lost state is not found again: {made:#?}")));
    offences.extend(stage.up().await.map_err(|err| format!("after the state was lost: {err}")).err());
    offences.extend(no_drift(&stage, "after the state was lost").await);
    offences.extend(holds_no_secret(&stage, &plan));

    let before = stage.observe().await;
    for (address, live) in before.found.iter().filter(|it| it.0.kind == kind.name()) {
        let unnamed = live.outputs.keys().filter(|it| !kind.outputs().contains(*it));
        offences.extend(unnamed.map(|it| format!("{address}: `OUTPUTS` does not name {it}")));
    }
    offences.extend(stage.down().await.map_err(|err| format!("teardown: {err}")).err());
    let after = stage.observe().await;
    offences.extend(after.found.keys().map(|it| format!("teardown leaves {it}")));
    if COMES_BACK.contains(&kind.name()) {
        offences.extend(stage.up().await.map_err(|err| format!("coming back: {err}")).err());
        offences.extend(no_drift(&stage, "after it came back").await);
        let again = stage.observe().await;
        for (address, live) in before.found.iter().filter(|it| it.0.kind == kind.name()) {
            let same = again.found.get(address).is_some_and(|it| it.identity.id == live.identity.id);
            offences.extend((!same).then(|| format!("{address} did not come back: it is another one")));
        }
        offences.extend(stage.down().await.map_err(|err| format!("the second teardown: {err}")).err());
    }
    for (address, live) in before.found.iter().filter(|it| it.0.kind == kind.name()) {
        let again = kind.delete(&stage.cx, &before.names[address], live).await;
        offences.extend(again.err().map(|err| format!("deleting {address} again fails: {err}")));
    }
    offences
}

/// Says what a plan would still do.
async fn no_drift(stage: &Stage, when: &str) -> Option<String> {
    let plan = stage.plan().await;
    let open: Vec<_> = plan.steps.iter().filter(|it| it.action != Action::Noop).collect();
    (!open.is_empty()).then(|| {
        let told = open.iter().map(|it| format!("{} {} {:?} {:?}", it.action, it.address, it.changes, it.refused));
        format!("{when} there is still to do: {}", told.collect::<Vec<_>>().join("; "))
    })
}

/// Changes each updatable field behind the engine's back: it must be seen as drift, alone, and set back.
async fn drift_each_field(stage: &Stage, kind: &dyn Kind, other: &Stack) -> Vec<String> {
    let mut offences = Vec::new();
    let addresses = stage.stack.resources.keys().filter(|it| it.kind == kind.name());
    for address in addresses.cloned().collect::<Vec<_>>() {
        let (own, foreign) = (&stage.stack.resources[&address].spec, &other.resources[&address].spec);
        for field in foreign.as_object().expect("a spec is a map").keys() {
            let lives = |it: &Field| kind.fields().iter().any(|known| known.0 == field && known.1 == *it);
            let one_way = kind.fields().iter().any(|it| it.0 == field && matches!(it.1, Field::Grows(_)));
            let id = format!("{}.{field}", kind.name());
            let skipped = own.get(field) == foreign.get(field)
                || lives(&Field::Immutable)
                || lives(&Field::WriteOnly)
                || one_way
                // Left out of the file, the provider's value stands, whatever it is.
                || lives(&Field::Defaulted) && is_nothing(own.get(field))
                || ONE_WAY.iter().any(|it| it.0 == id);
            if skipped {
                continue;
            }
            let mut spec = own.clone();
            spec[field] = foreign[field].clone();
            if let Err(err) = meddle(stage, kind, &address, &spec).await {
                offences.push(format!("{address}: {field} cannot be changed by hand: {err}"));
                continue;
            }
            let plan = stage.plan().await;
            let step = plan.steps.iter().find(|it| it.address == address).expect("planned");
            let seen: BTreeSet<&str> = step.changes.iter().filter_map(|it| it.field.split('.').next()).collect();
            if step.changes.is_empty() || step.changes.iter().any(|it| it.cause != Cause::Drift) {
                offences.push(format!("{address}: drift of {field} is not seen as such: {:?}", step.changes));
            } else if seen.len() > 1
                && !TOGETHER.iter().any(|it| it.0 == id && seen.iter().all(|field| it.1.contains(field)))
            {
                offences.push(format!("{address}: drift of {field} shows as {seen:?}"));
            }
            offences.extend(stage.up().await.map_err(|err| format!("{address}: setting {field} back: {err}")).err());
            offences.extend(no_drift(stage, &format!("{address}: after setting {field} back")).await);
        }
    }
    offences
}

fn is_nothing(it: Option<&Value>) -> bool {
    it.is_none_or(|it| it.is_null() || it.as_object().is_some_and(serde_json::Map::is_empty))
}

/// Makes one resource as `spec` says, without any record of it, as somebody at a console would.
async fn meddle(stage: &Stage, kind: &dyn Kind, address: &Address, spec: &Value) -> Result<(), String> {
    for _ in 0..12 {
        let observed = stage.observe().await;
        let (name, live) = (&observed.names[address], &observed.found[address]);
        let desired = kind.desired(spec, &stage.cx).map_err(|err| err.to_string())?;
        let changes = differences(kind, &desired.spec, &live.observed);
        if changes.is_empty() {
            return Ok(());
        }
        kind.update(&stage.cx, name, spec, live, &changes).await.map_err(|err| err.to_string())?;
        stage.settle(kind, name).await?;
        // One update at a time is enough to differ; what is left out shows as no drift at all.
        let now = stage.observe().await;
        let left = differences(kind, &desired.spec, &now.found[address].observed);
        // What only the updates themselves brought up is brought to its end.
        let is_old = |it: &Change| changes.iter().any(|was| was.field == it.field);
        if left.len() < changes.len() && left.iter().all(is_old) {
            return Ok(());
        }
    }
    Err("it does not change".to_owned())
}

/// Lists the echoed fields that differ, entry by entry within maps, as the engine would.
fn differences(kind: &dyn Kind, want: &Value, have: &Value) -> Vec<Change> {
    let mut found = Vec::new();
    for (field, to) in want.as_object().into_iter().flatten() {
        if let Some(from) = have.get(field) {
            let defaulted = kind.fields().iter().any(|it| it.0 == field && it.1 == Field::Defaulted);
            differ(field, defaulted, from, to, &mut found);
        }
    }
    found
}

fn differ(field: &str, defaulted: bool, from: &Value, to: &Value, found: &mut Vec<Change>) {
    match (from.as_object(), to.as_object()) {
        (Some(old), Some(new)) => {
            // What the provider adds by itself is nobody's difference.
            let keys: BTreeSet<&String> = old.keys().filter(|_| !defaulted).chain(new.keys()).collect();
            for key in keys {
                let side = |it: &serde_json::Map<String, Value>| it.get(key).cloned().unwrap_or_default();
                differ(&format!("{field}.{key}"), defaulted, &side(old), &side(new), found);
            }
        }
        _ if from == to => (),
        _ => found.push(Change {
            field: field.to_owned(),
            from: from.clone(),
            to: to.clone(),
            cause: Cause::Edit,
            waits_for: None,
        }),
    }
}

/// Says whether a secret of the fixtures stands in the state or in the plan.
fn holds_no_secret(stage: &Stage, plan: &Plan) -> Option<String> {
    let state = stage.state();
    let plan = serde_json::to_string(plan).expect("a plan is JSON");
    let secrets = ["tests/fixtures/secret.txt", "tests/fixtures/secret.update.txt"];
    let held = secrets.into_iter().find(|it| {
        let secret = std::fs::read_to_string(it).expect("readable");
        state.contains(secret.trim()) || plan.contains(secret.trim())
    });
    held.map(|it| format!("the value of {it} stands in the state or in the plan"))
}
