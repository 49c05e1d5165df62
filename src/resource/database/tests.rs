//! The kind `database`, without RDS.

use super::*;
use crate::address::{Address, Owner};

fn spec(value: Value) -> Database {
    let mut whole = json!({ "engine_version": "17", "instance_class": "db.m7g.large", "name": "shop" });
    for (key, it) in value.as_object().into_iter().flatten() {
        whole[key] = it.clone();
    }
    serde_json::from_value(whole).expect("a spec")
}

fn live(instance: types::builders::DbInstanceBuilder) -> LiveDatabase {
    let password = Password { version: Version::Known("v".into()), key: None };
    LiveDatabase { instance: instance.build(), tags: Tags::default(), password }
}

#[test]
fn minor_versions_are_left_to_rds() {
    assert_eq!(Database::observed(&live(DbInstance::builder().engine_version("17.4")))["engine_version"], "17");
    let flaws = spec(json!({ "engine_version": "17.4" })).check();
    assert_eq!(flaws[0].at, "/engine_version");
}

#[test]
fn what_is_under_way_counts_as_there() {
    let pending = types::PendingModifiedValues::builder().allocated_storage(50).multi_az(true).build();
    let there = DbInstance::builder().allocated_storage(20).multi_az(false).pending_modified_values(pending);
    let observed = Database::observed(&live(there));
    assert_eq!((&observed["storage"], &observed["multi_az"]), (&json!("50GiB"), &json!(true)));
}

#[test]
fn ready_means_that_functions_can_connect() {
    let there = DbInstance::builder().db_instance_status("available").db_name("shop");
    assert!(matches!(Database::phase(&live(there.clone())), Phase::Pending(_)));
    let endpoint = types::Endpoint::builder().address("h").port(5432).build();
    let secret = types::MasterUserSecret::builder().secret_arn("arn:s").build();
    let whole = live(there.endpoint(endpoint).master_user_secret(secret));
    assert_eq!(Database::phase(&whole), Phase::Ready);
    let outputs = Database::outputs(&whole);
    assert_eq!((&*outputs["secret_arn"], &*outputs["jdbc_url"]), ("arn:s", "jdbc:postgresql://h:5432/shop"));
    let unseen = LiveDatabase { password: Password::UNSEEN, ..whole };
    assert!(matches!(Database::phase(&unseen), Phase::Pending(_)), "its password cannot be seen");
    assert!(!Database::outputs(&unseen).contains_key("secret_version"));
    let denied = Error::new("secretsmanager", "DescribeSecret", Reason::Denied, "AccessDeniedException");
    let hidden = LiveDatabase { password: Password { version: Version::Hidden(denied), key: None }, ..unseen };
    assert_eq!(Database::phase(&hidden), Phase::Ready, "functions can connect, whoever deploys");
    let told = hidden.secret_version(Address::new("database", "shop"));
    assert!(matches!(told, Err(KindError::Client(it)) if it.reason == Reason::Denied), "who needs it is told why not");
    assert_eq!(Database::phase(&live(DbInstance::builder().db_instance_status("deleting"))), Phase::Deleting);
    assert!(matches!(Database::phase(&live(DbInstance::builder().db_instance_status("modifying"))), Phase::Pending(_)));
    assert!(matches!(Database::phase(&live(DbInstance::builder().db_instance_status("failed"))), Phase::Failed(_)));
}

#[test]
fn flaws() {
    let at = |value| spec(value).check().into_iter().map(|it| it.at).collect::<Vec<_>>();
    assert_eq!(at(json!({})), Vec::<String>::new());
    assert_eq!(at(json!({ "storage": "10GiB", "backup_retention": "36d" })), ["/storage", "/backup_retention"]);
    assert_eq!(at(json!({ "name": "Shop", "username": "rdsadmin" })), ["/name", "/username"]);
    assert_eq!(Database::check_name("local-shop"), []);
    assert_eq!(Database::check_name("7-shop").len(), 1);
}

#[test]
fn the_last_snapshot_is_named_alike_on_every_try() {
    let owner = Owner { stack: "s".into(), address: Address::new("database", "shop"), nonce: "0193-abcdef".into() };
    let name = Name { physical: "s-shop".into(), owner, id: None };
    assert_eq!(snapshot(&name), "s-shop-final-0193abcd");
}

#[test]
fn a_volume_that_grows_by_itself_is_left_to_rds() {
    let cx = crate::resource::testing::cx();
    let growing = spec(json!({ "storage": "20GiB", "max_storage": "100GiB" }));
    let wanted = growing.desired(&cx).expect("wanted").spec;
    assert_eq!((wanted.get("storage"), &wanted["max_storage"]), (None, &json!("100GiB")));
    assert_eq!(spec(json!({})).desired(&cx).expect("wanted").spec["storage"], "20GiB");
    let at = |value| spec(value).check().into_iter().map(|it| it.at).collect::<Vec<_>>();
    assert_eq!(at(json!({ "storage": "20GiB", "max_storage": "21GiB" })), ["/max_storage"]);
    assert_eq!(at(json!({ "backup_window": "2-3", "maintenance_window": "02:00-03:00" })).len(), 2);
}

#[test]
fn a_network_waits_until_it_is_complete() {
    let inside = spec(json!({ "network": "main" }));
    let wanted = inside.desired(&crate::resource::testing::cx()).expect("wanted");
    let waits: Vec<_> = wanted.unknown.iter().map(|(field, on)| format!("{field} for {on}")).collect();
    assert_eq!(waits, ["security_groups for network.main", "subnet_group for network.main"]);
    let flaws = spec(json!({ "network": "main", "subnet_group": "own" })).check();
    assert_eq!(flaws[0].at, "/network");
}

#[test]
fn the_last_snapshot_is_told_before_anything_is_deleted() {
    let owner = Owner { stack: "s".into(), address: Address::new("database", "shop"), nonce: "0193-abcdef".into() };
    let name = Name { physical: "s-shop".into(), owner, id: None };
    let instance = |kept: &str| LiveDatabase {
        tags: [(FINAL_SNAPSHOT, kept)].into_iter().collect(),
        ..live(DbInstance::builder())
    };
    let told = Database::leaves_behind(&name, &instance("true"));
    assert!(told.is_some_and(|it| it.contains("s-shop-final-0193abcd")));
    assert_eq!(Database::leaves_behind(&name, &instance("false")), None);
}
