//! The schema that editors use.

use serde_json::{Value, json};

use super::*;
use crate::stack::{explain, schema};

fn document() -> Value {
    serde_json::from_str(&schema::text(kinds::KINDS)).expect("a schema is JSON")
}

/// Says whether an editor would be content with a file, given as JSON.
fn fits(file: &Value) -> bool {
    jsonschema::draft202012::new(&document()).expect("a schema").is_valid(file)
}

#[test]
fn it_is_a_schema_and_always_the_same() {
    jsonschema::draft202012::meta::validate(&document()).expect("it fits the metaschema");
    assert_eq!(schema::text(kinds::KINDS), schema::text(kinds::KINDS));
    assert!(schema::text(kinds::KINDS).ends_with("}\n"));
}

#[test]
fn parts_of_a_stack_and_removals_fit() {
    for file in [
        json!({ "extends": "base.yaml" }),
        json!({ "resources": { "topic": { "orders": { "partitions": 3 }, "late": null }, "table": null } }),
        json!({ "resources": { "topic": { "orders": { "retention": null, "protect": true, "after": ["role.a"] } } } }),
        json!({ "resources": { "function": { "f": { "environment": { "LEVEL": null }, "role": null } } } }),
        json!({ "resources": { "table": { "t": { "source": { "query": { "template": "x" } } } } } }),
        json!({ "stack": { "target": "local", "account": null, "tags": null } }),
        json!({ "stack": null, "resources": null }),
    ] {
        assert!(fits(&file), "{file}");
    }
}

#[test]
fn mistakes_that_an_editor_can_see_do_not_fit() {
    for file in [
        json!({ "resorces": {} }),
        json!({ "resources": { "queue": {} } }),
        json!({ "resources": { "topic": { "Orders": {} } } }),
        json!({ "resources": { "topic": { "orders": { "partitons": 3 } } } }),
        json!({ "resources": { "topic": { "orders": { "retention": "7 days" } } } }),
        json!({ "resources": { "topic": { "orders": { "protect": "yes" } } } }),
        json!({ "resources": { "table": { "t": { "source": { "qery": {} } } } } }),
        json!({ "resources": { "table": { "t": { "columns": [null] } } } }),
        json!({ "stack": { "target": "lokal" } }),
    ] {
        assert!(!fits(&file), "{file}");
    }
}

#[test]
fn everything_is_described() {
    let document = document();
    let described = |pointer: &str| document.pointer(pointer).and_then(|it| it["description"].as_str());
    assert_eq!(described("/properties/resources/properties/topic"), Some("A Kafka topic."));
    assert_eq!(described("/$defs/topic/properties/retention"), Some("How long events are kept."));
    assert!(described("/$defs/topic/properties/protect").is_some());
    assert!(described("/properties/stack/properties/region").is_some());
}

#[test]
fn the_products_kinds_leave_the_common_fields_alone() {
    let catalog = schema::Catalog::new(crate::resource::KINDS);
    for kind in crate::resource::KINDS {
        let name = kind.name();
        let schema = kind.schema(&mut schemars::SchemaGenerator::default()).to_value();
        let own = catalog.definition(&schema)["properties"].as_object().cloned().unwrap_or_default();
        assert!(schema::META.iter().all(|it| !own.contains_key(*it)), "{name}");
        let whole = catalog.kind(name).expect("every kind has a schema");
        jsonschema::draft202012::new(&whole).unwrap_or_else(|err| panic!("{name}: {err}"));
        assert_eq!(whole["type"], "object", "{name}");
        for (field, about) in whole["properties"].as_object().expect(name) {
            assert!(about["description"].is_string(), "{name}.{field} has no doc comment");
        }
    }
}

#[test]
fn every_field_of_a_resource_can_be_explained() {
    let root = project(&[("base.yaml", BASE), ("local.yaml", "extends: base.yaml\n")]);
    for target in ["topic.orders", "table.orders", "function.ingest"] {
        for it in explain(root.path(), "local", target, kinds::KINDS).expect(target).fields {
            let again = explain(root.path(), "local", &format!("{target}.{}", it.field), kinds::KINDS);
            assert!(!again.expect("a field that was listed").fields.is_empty());
            assert!(it.about.is_some(), "{target}.{}", it.field);
        }
    }
}
