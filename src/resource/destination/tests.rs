use std::{collections::BTreeMap, sync::Arc};

use super::*;
use crate::{
    address::{Address, Owner},
    client::databricks::destinations::Destination as Listed,
    resource::{KINDS, Observation, Phase, kind, testing},
};

const ADDRESS: &str = "destination.watch";

fn owner(nonce: &str) -> Owner {
    Owner { stack: "s".into(), address: ADDRESS.parse().expect("an address"), nonce: nonce.into() }
}

fn name(id: Option<&str>) -> Name {
    Name { physical: "s-watch".into(), owner: owner("new"), id: id.map(str::to_owned) }
}

fn listed(id: &str, title: &str) -> Listed {
    serde_json::from_value(json!({ "id": id, "display_name": title, "destination_type": "WEBHOOK" }))
        .expect("as listed")
}

fn ours(id: &str, version: &str) -> Listed {
    listed(id, &Mark { owner: owner("old"), version: Some(version.into()) }.title("s-watch"))
}

#[test]
fn one_is_found_by_identifier_then_by_owner_then_by_name() {
    let all = [listed("theirs", "s-watch"), ours("first", "1"), ours("second", "2"), listed("far", "s-watch-2")];
    let found = |id| find(&all, &name(id)).expect("there is one");
    assert_eq!((found(None).id, found(None).twins), ("first".to_owned(), vec!["second".to_owned()]));
    assert_eq!(
        (found(Some("second")).id, found(Some("second")).twins),
        ("second".to_owned(), vec!["first".to_owned()])
    );
    assert_eq!(Destination::observed(&found(None)), json!({ "version": "1", "duplicates": ["second"] }));
    let stranger = find(&all[..1], &name(None)).expect("there is one of this name");
    assert_eq!(Destination::identity(&stranger).ownership, Ownership::Foreign);
    assert!(find(&all[3..], &name(None)).is_none());
    assert_eq!(
        find(&all[1..2], &name(Some("gone"))).map(|it| it.id).as_deref(),
        Some("first"),
        "made anew by another run"
    );
}

/// A context in which the function of a destination is there, with these outputs.
fn cx(function: Value, outputs: &[(&'static str, &str)]) -> Cx {
    let specs = [("function.webhook", function), ("secret.webhook", json!({ "value_from": { "public": "open" } }))];
    let specs = specs.into_iter().map(|(address, spec)| {
        let address: Address = address.parse().expect("an address");
        let spec = kind(KINDS, &address.kind).expect("a kind").parse(spec).expect("a spec");
        (address, spec)
    });
    let cx = Cx { specs: Arc::new(specs.collect::<BTreeMap<_, _>>()), ..testing::cx() };
    let observation = Observation {
        observed: Value::Null,
        identity: Identity { id: None, ownership: Ownership::Foreign },
        phase: Phase::Ready,
        outputs: outputs.iter().map(|(key, it)| (*key, (*it).to_owned())).collect(),
        live: Arc::new(()),
    };
    cx.lives.set(&"function.webhook".parse().expect("an address"), Some(observation));
    cx
}

fn spec(username: &str) -> Destination {
    serde_json::from_value(json!({ "function": "webhook", "username": username, "password": "webhook" }))
        .expect("a spec")
}

#[test]
fn whatever_is_put_makes_another_version_and_shows_nowhere() {
    let function = json!({ "package": "watch", "role": "r", "log_group": "l", "url": "anybody" });
    let desired = |username: &str, url: &str| {
        spec(username).desired(&cx(function.clone(), &[("url", url)])).expect("known").spec["version"].clone()
    };
    let first = desired("databricks", "https://a/");
    assert_eq!(first, desired("databricks", "https://a/"));
    assert_ne!(first, desired("other", "https://a/"));
    assert_ne!(first, desired("databricks", "https://b/"));
    assert_eq!(first.as_str().map(str::len), Some(16), "{first}");
}

#[test]
fn an_address_that_comes_in_this_run_is_waited_for() {
    let function = json!({ "package": "watch", "role": "r", "log_group": "l", "url": "anybody" });
    let desired = spec("databricks").desired(&cx(function, &[("arn", "a")])).expect("a plan");
    assert_eq!(desired.unknown["version"].to_string(), "function.webhook");
    assert!(desired.spec.get("version").is_none());
    for closed in [
        json!({ "package": "watch", "role": "r", "log_group": "l" }),
        json!({ "package": "watch", "role": "r", "log_group": "l", "url": "iam" }),
    ] {
        let refused = spec("databricks").desired(&cx(closed, &[])).expect_err("Databricks could not call it");
        assert_eq!(refused.to_string(), "Databricks cannot call function.webhook");
    }
}

#[test]
fn flaws() {
    let at = |username: &str| spec(username).check().into_iter().map(|it| it.at).collect::<Vec<_>>();
    assert!(at("databricks").is_empty());
    assert_eq!(at("data:bricks"), ["/username"]);
    assert_eq!(at(""), ["/username"]);
}
