use serde_json::json;

use super::*;
use crate::{
    address::{Address, Owner},
    resource::{Ownership, testing},
};

fn spec(value: Value) -> SecretScope {
    serde_json::from_value(value).expect("a spec")
}

fn live(keys: &[(&str, i64)], acls: &[(&str, &str)]) -> LiveScope {
    let key = |it: &(&str, i64)| Key { key: it.0.to_owned(), last_updated_timestamp: it.1 };
    let acl = |it: &(&str, &str)| Acl { principal: it.0.to_owned(), permission: it.1.to_owned() };
    LiveScope { name: "s-pipeline".into(), keys: keys.iter().map(key).collect(), acls: acls.iter().map(acl).collect() }
}

#[test]
fn a_value_that_somebody_puts_is_drift() {
    let observed = |value: i64| {
        SecretScope::observed(&live(&[("token", value), ("ecomctl.version.token.abc", 20), ("theirs", 1)], &[]))["keys"]
            .clone()
    };
    assert_eq!(observed(20), json!({ "token": "abc" }));
    assert_eq!(observed(19), json!({ "token": "abc" }));
    assert_eq!(observed(21), json!({}), "younger than what tells its version");
    let gone = live(&[("ecomctl.version.token.abc", 20)], &[]);
    assert_eq!(SecretScope::observed(&gone)["keys"], json!({}), "the value is gone");
}

#[test]
fn a_scope_tells_whose_it_is() {
    let owner = Owner { stack: "s".into(), address: Address::new("secret_scope", "pipeline"), nonce: "n".into() };
    let mark = Mark::Owner(owner.clone()).to_string();
    let identity = SecretScope::identity(&live(&[(&mark, 1), ("token", 2)], &[]));
    assert_eq!(identity.ownership, Ownership::Tagged(owner));
    assert_eq!(SecretScope::identity(&live(&[("token", 2)], &[])).ownership, Ownership::Foreign);
}

#[test]
fn levels_are_told_apart() {
    let acls = [("b", "READ"), ("a", "READ"), ("c", "WRITE"), ("me", "MANAGE")];
    let observed = SecretScope::observed(&live(&[], &acls));
    assert_eq!(observed["readers"], json!(["a", "b"]));
    assert_eq!((&observed["writers"], &observed["managers"]), (&json!(["c"]), &json!({ "me": true })));
}

#[test]
fn values_show_nowhere() {
    // The one variable that every machine has.
    let value = std::env::var("PATH").expect("set");
    let spec = spec(json!({ "keys": { "path": { "env": "PATH" } } }));
    let cx = testing::cx();
    let wanted = spec.desired(&cx).expect("known");
    let version = wanted.spec["keys"]["path"].as_str().expect("a version").to_owned();
    assert_eq!(version.len(), 32);
    assert!(!format!("{wanted:?} {spec:?}").contains(&value));
    let elsewhere = Cx { scope: crate::resource::Scope { stack: "t".into(), ..cx.scope.clone() }, ..cx };
    assert_ne!(spec.desired(&elsewhere).expect("known").spec["keys"]["path"], json!(version), "salted");
}

#[test]
fn versions_wait_for_what_they_name() {
    let spec = spec(json!({ "keys": { "password": { "database": "shop" } } }));
    let wanted = spec.desired(&testing::cx()).expect("known later");
    assert_eq!(wanted.unknown["keys"], Address::new("database", "shop"));
}

#[tokio::test]
async fn what_others_put_there_is_not_deleted() {
    let cx = tokio::task::spawn_blocking(testing::cx).await.expect("no panic");
    let owner = Owner { stack: "s".into(), address: Address::new("secret_scope", "pipeline"), nonce: "n".into() };
    let name = Name { physical: "s-pipeline".into(), owner, id: None };
    let keys = [("token", 9), ("ecomctl.version.token.abc", 1), ("theirs", 1), ("ecomctl.owner.s.secret_scope.p.n", 1)];
    let err = SecretScope::delete(&cx, &name, &live(&keys, &[])).await.expect_err("refused");
    let told = "the scope s-pipeline holds what somebody else put there: theirs";
    assert_eq!(err.to_string(), told, "a value of ours that was changed by hand is not theirs");
}

#[test]
fn flaws() {
    let at = |value| spec(value).check().into_iter().map(|it| it.at).collect::<Vec<_>>();
    assert_eq!(at(json!({ "keys": { "a.b-c_1": { "env": "A" } }, "readers": ["x"] })), Vec::<String>::new());
    assert_eq!(at(json!({ "keys": { "a b": { "env": "A" } } })), ["/keys/a b"]);
    assert_eq!(at(json!({ "keys": { "a/b": { "env": "A=" } } })), ["/keys/a~1b", "/keys/a~1b/env"]);
    assert_eq!(at(json!({ "keys": { "ecomctl.version.a.b": { "env": "A" } } })), ["/keys/ecomctl.version.a.b"]);
    assert_eq!(at(json!({ "keys": {}, "readers": ["x"], "managers": ["x"] })), ["/managers/0"]);
}
