//! The project's own stacks: sound files, and what staging and production promise in them.

use std::{collections::BTreeSet, path::Path};

use ecomctl::{
    address::Address,
    resource::{KINDS, kind},
    stack::{self, Definition, Stack},
};

use crate::harness::Ecomctl;

const PROJECT: &str = env!("CARGO_MANIFEST_DIR");

fn load(name: &str) -> Stack {
    stack::load(Path::new(PROJECT), name, KINDS).unwrap_or_else(|err| panic!("{name}: {err:?}"))
}

fn of<'a>(stack: &'a Stack, kind: &'a str) -> impl Iterator<Item = (&'a Address, &'a Definition)> {
    stack.resources.iter().filter(move |it| it.0.kind == kind)
}

#[test]
fn every_stack_is_sound_and_can_be_drawn() {
    let program = Ecomctl::nowhere();
    let checked = program.run(["--project", PROJECT, "validate"]);
    assert_eq!(checked.code, 0, "{}{}", checked.out, checked.err);
    for name in ["local", "staging", "production"] {
        assert!(checked.out.contains(name), "{}", checked.out);
        let drawn = program.run(["--project", PROJECT, "graph", name]);
        assert_eq!(drawn.code, 0, "{}", drawn.err);
        assert!(drawn.out.contains("function__ingest"), "{}", drawn.out);
    }
}

#[test]
fn on_aws_everything_lies_in_the_network_and_here_nothing_does() {
    let main = Address::new("network", "main");
    let lies = |stack: &Stack| {
        let inside = stack.resources.iter().filter(|it| it.1.needs.iter().any(|need| need.to == main));
        inside.map(|it| it.0.to_string()).collect::<BTreeSet<_>>()
    };
    for name in ["staging", "production"] {
        let inside = lies(&load(name));
        for of in ["cluster.events", "database.shop", "function.ingest", "function.migrate", "function.watch"] {
            assert!(inside.contains(of), "{name}: {of} lies outside: {inside:?}");
        }
    }
    assert_eq!(lies(&load("local")), BTreeSet::new());
}

#[test]
fn production_loses_nothing_and_tells_people() {
    let stack = load("production");
    for (address, it) in &stack.resources {
        let bears = kind(KINDS, &address.kind).is_some_and(ecomctl::resource::Kind::data_bearing);
        // Migrations and what Databricks is asked with can be made again.
        let kept = ["topic", "bucket", "database", "cluster", "key"].contains(&address.kind.as_str());
        assert!(!kept || (bears && it.protect), "{address} is not protected");
    }
    let database = &stack.resources[&Address::new("database", "shop")].spec;
    assert_eq!((&database["multi_az"], &database["backup_retention"]), (&true.into(), &"35d".into()));
    assert_eq!((&database["deletion_protection"], &database["final_snapshot"]), (&true.into(), &true.into()));
    let people = &stack.resources[&Address::new("notification", "people")].spec["subscriptions"];
    assert_eq!(people.as_object().map(serde_json::Map::len), Some(2), "{people}");
    assert!(of(&stack, "alarm").count() > 30);
    assert_eq!(stack.resources[&Address::new("network", "main")].spec["internet"], "gateway_per_zone");
}

#[test]
fn staging_has_all_that_production_has_and_keeps_nothing() {
    let (staging, production) = (load("staging"), load("production"));
    let names = |it: &Stack| it.resources.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&staging), names(&production));
    assert!(staging.resources.values().all(|it| !it.protect), "a teardown would be refused");
    let database = &staging.resources[&Address::new("database", "shop")].spec;
    assert_eq!((&database["deletion_protection"], &database["final_snapshot"]), (&false.into(), &false.into()));
}
