use super::*;
use crate::{address::Owner, resource::testing};

fn spec(value: Value) -> Key {
    serde_json::from_value(value).expect("a spec")
}

fn name(id: Option<&str>) -> Name {
    let owner = Owner { stack: "s".into(), address: "key.data".parse().expect("an address"), nonce: "n".into() };
    Name { physical: "s-data".into(), owner, id: id.map(str::to_owned) }
}

fn live(state: &str) -> LiveKey {
    let cx = testing::cx();
    let key = spec(json!({ "services": ["logs"], "description": "the lake" }));
    LiveKey {
        key: kms::Key {
            id: "1".into(),
            arn: "arn:aws:kms:us-east-1:000000000000:key/1".into(),
            description: "the lake".into(),
            state: state.into(),
        },
        aliased: true,
        policy: Some(key.policy(&cx)),
        rotation: kms::Rotation { enabled: true, days: Some(365) },
        tags: Tags(key.tags(&name(None), cx.tags(&name(None).owner))),
    }
}

#[test]
fn what_is_wanted_is_observed() {
    let wanted =
        spec(json!({ "services": ["logs"], "description": "the lake" })).desired(&testing::cx()).expect("known");
    assert_eq!(Key::observed(&live("Enabled")), wanted.spec);
    let off = Key::observed(&live("Disabled"));
    assert_eq!(off["enabled"], false, "one that was switched off is switched on again");
    let mut still = live("Enabled");
    still.rotation.enabled = false;
    assert_eq!(Key::observed(&still)["rotation"], Value::Null);
}

#[test]
fn one_that_is_to_be_deleted_is_gone() {
    assert!(usable(Some(live(LEAVING))).is_none());
    assert!(usable(Some(live("Disabled"))).is_some());
    assert_eq!(Key::phase(&live("PendingImport")), Phase::Failed("PendingImport".into()));
    let told = Key::leaves_behind(&name(None), &live("Enabled")).expect("told");
    assert!(told.starts_with("the key itself for 30 days"), "{told}");
}

#[test]
fn it_is_found_by_what_is_recorded_or_by_its_alias() {
    let alias = |name: &str, key: &str| Alias { name: format!("alias/{name}"), key: Some(key.to_owned()) };
    let aliases = [alias("s-database", "2"), alias("s-data", "1")];
    assert_eq!(known(&aliases, &name(None)), Some(("1".into(), true)));
    assert_eq!(known(&aliases, &name(Some("arn:aws:kms:r:0:key/1"))), Some(("1".into(), true)));
    assert_eq!(
        known(&aliases, &name(Some("arn:aws:kms:r:0:key/3"))),
        Some(("3".into(), false)),
        "its alias is another's"
    );
    assert_eq!(known(&aliases[..1], &name(None)), None);
}

#[test]
fn services_are_let_in_one_by_one() {
    let cx = testing::cx();
    let principals = |it: &Key| it.policy(&cx)["Statement"].as_array().expect("statements").len();
    assert_eq!(principals(&spec(json!({}))), 1, "the account alone");
    assert_eq!(principals(&spec(json!({ "services": ["logs", "cloudwatch"] }))), 3);
    let policy = spec(json!({ "services": ["logs"] })).policy(&cx);
    assert_eq!(policy["Statement"][1]["Principal"]["Service"], "logs.us-east-1.amazonaws.com");
    assert!(policy["Statement"].as_array().expect("statements").iter().all(|it| it["Principal"] != "*"));
}

#[test]
fn a_key_that_does_not_let_the_service_in_is_refused() {
    let mut cx = testing::cx();
    let key = Ref::<Key>::new("data");
    let specs = |it: Value| std::sync::Arc::new(BTreeMap::from([(key.address(), it)]));
    cx.specs = specs(json!({ "services": ["cloudwatch"] }));
    lets_in(&cx, Some(&key), Service::Cloudwatch).expect("let in");
    let err = lets_in(&cx, Some(&key), Service::Logs).expect_err("refused").to_string();
    assert_eq!(err, "key.data does not let logs use it, so that nothing could be encrypted with it");
    lets_in(&cx, None, Service::Logs).expect("no key, no need");
}

#[test]
fn flaws() {
    let at = |value| spec(value).check().into_iter().map(|it| it.at).collect::<Vec<_>>();
    assert_eq!(at(json!({})), Vec::<String>::new());
    assert_eq!(at(json!({ "rotation": "30d", "deletion_window": "36h" })), ["/rotation", "/deletion_window"]);
    assert_eq!(Key::check_name("s-data"), []);
    assert_eq!(Key::check_name("aws-data").len(), 1);
}
