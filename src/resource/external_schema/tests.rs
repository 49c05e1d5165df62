use super::*;
use crate::{
    address::{Address, Owner},
    resource::{Ownership, testing},
};

fn spec(spec: Value) -> ExternalSchema {
    serde_json::from_value(spec).expect("a spec")
}

fn name(physical: &str, id: Option<&str>) -> Name {
    let owner = Owner { stack: "s".into(), address: Address::new("external_schema", "gold"), nonce: "n".into() };
    Name { physical: physical.into(), owner, id: id.map(str::to_owned) }
}

fn live(kind: Option<&str>, comment: &str) -> LiveSchema {
    let place = Place::read("workgroup/sales/dev/gold").expect("a place");
    let session =
        Session { warehouse: place.warehouse.clone(), database: place.database.clone(), login: Login::Identity };
    let source = kind.map(|_| "s_spectrum".to_owned());
    LiveSchema { place, session, kind: kind.map(str::to_owned), source, role: None, comment: comment.into() }
}

#[test]
fn a_place_says_all_that_must_be_known_to_ask() {
    let scope = Scope { stack: "pr-7".into(), account: "0".into(), region: "eu-west-1".into() };
    let it = spec(json!({ "catalog": "gold", "warehouse": { "workgroup": "sales" } }));
    assert_eq!(it.physical_name(&scope, "gold"), "workgroup/sales/dev/pr_7_gold");
    let it = spec(json!({ "catalog": "gold", "warehouse": { "cluster": "main" }, "database": "shop", "name": "gold" }));
    assert_eq!(it.physical_name(&scope, "x"), "cluster/main/shop/gold");
    let place = Place::read("cluster/main/shop/gold").expect("a place");
    assert_eq!(place.warehouse, redshift::Warehouse::Cluster("main".into()));
    assert_eq!((place.database.as_str(), place.schema.as_str()), ("shop", "gold"));
}

#[test]
fn what_left_the_file_is_asked_for_as_it_was_last() {
    let cx = testing::cx();
    let login = |id| session(&cx, &name("workgroup/sales/dev/gold", id)).expect("a place").1.login;
    assert_eq!(login(None), Login::Identity);
    assert_eq!(login(Some("identity")), Login::Identity);
    assert_eq!(login(Some("secret s-redshift")), Login::Secret("s-redshift".into()));
    assert_eq!(login(Some("user awsuser")), Login::User("awsuser".into()));
}

#[test]
fn the_comment_says_whose_it_is_and_what_it_is_for() {
    let mut it = spec(json!({ "catalog": "gold", "warehouse": { "workgroup": "sales" } }));
    let place = Place::read("workgroup/sales/dev/gold").expect("a place");
    let sql = |it: &ExternalSchema| it.comment(&place, &name("", None));
    assert_eq!(sql(&it), "COMMENT ON SCHEMA \"gold\" IS '[ecomctl s external_schema.gold n]'");
    it.description = Some("the shop's numbers".into());
    assert_eq!(sql(&it), "COMMENT ON SCHEMA \"gold\" IS 'the shop''s numbers [ecomctl s external_schema.gold n]'");
    let own = live(Some("1"), "the shop's numbers [ecomctl s external_schema.gold n]");
    assert!(matches!(ExternalSchema::identity(&own).ownership, Ownership::Tagged(it) if it.nonce == "n"));
    assert_eq!(ExternalSchema::observed(&own)["description"], "the shop's numbers");
    let foreign = live(Some("1"), "somebody's");
    assert_eq!(ExternalSchema::identity(&foreign).ownership, Ownership::Foreign);
    assert_eq!(ExternalSchema::observed(&foreign)["description"], "somebody's");
}

#[test]
fn what_is_no_schema_over_glue_does_not_pass_for_one() {
    let catalog = |kind| ExternalSchema::observed(&live(kind, ""))["catalog"].clone();
    assert_eq!(catalog(Some("1")), "s_spectrum");
    assert_eq!(catalog(Some("3")), "s_spectrum (not of Glue: kind 3)");
    assert_eq!(catalog(None), "none: it is no external schema");
}

#[test]
fn mistakes_are_told_where_they_stand() {
    let at = |more: Value| {
        let mut all = json!({ "catalog": "gold", "warehouse": { "workgroup": "sales" } });
        all.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
        spec(all).check().into_iter().map(|it| it.at).collect::<Vec<_>>()
    };
    assert!(at(json!({})).is_empty());
    assert_eq!(at(json!({ "name": "Gold" })), ["/name"]);
    assert_eq!(at(json!({ "name": "pg_gold" })), ["/name"]);
    assert_eq!(at(json!({ "database": "My DB" })), ["/database"]);
    assert_eq!(at(json!({ "warehouse": { "cluster": "a/b" } })), ["/warehouse/cluster"]);
    assert_eq!(at(json!({ "credentials": { "user": "awsuser" } })), ["/credentials/user"]);
    assert_eq!(at(json!({ "description": "a\\b" })), ["/description"]);
}
