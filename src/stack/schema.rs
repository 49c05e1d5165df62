//! The schema of stack files: what the checks use, and what editors use.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{Settings, tree::steps};
use crate::{address::AnyRef, resource::Kind};

/// The fields that resources of all kinds have.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(default)]
pub struct Meta {
    /// Refuses to delete the resource, even when it leaves the file. Default: `false`.
    pub protect: bool,
    /// The address that the resource had before, so that it is kept instead of made anew.
    #[schemars(with = "Option<Former>")]
    pub renamed_from: Option<String>,
    /// Resources that must be ready first, although no field refers to them.
    pub after: Vec<AnyRef>,
}

/// An address such as `topic.orders`.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Former(#[schemars(regex(pattern = r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$"))] String);

/// The names of the fields of [`Meta`].
pub const META: [&str; 3] = ["protect", "renamed_from", "after"];

/// The schemas of every kind and of the settings, strict: what is not named is refused.
pub struct Catalog {
    definitions: Map<String, Value>,
    kinds: Vec<(&'static str, Value)>,
    settings: Value,
}

impl Catalog {
    /// Collects the schemas of the kinds.
    pub fn new(kinds: &[&dyn Kind]) -> Self {
        let mut generator = SchemaSettings::draft2020_12().into_generator();
        let specs: Vec<_> = kinds.iter().map(|it| (it.name(), it.schema(&mut generator).to_value())).collect();
        let meta = inline::<Meta>(&mut generator);
        let mut settings = inline::<Settings>(&mut generator);
        let mut definitions = generator.take_definitions(true);
        definitions.values_mut().chain([&mut settings]).for_each(strict);
        let full = |(name, spec): (&'static str, Value)| {
            let mut spec = target(&definitions, &spec).clone();
            strict(&mut spec);
            let fields = spec.as_object_mut().map(|it| it.entry("properties").or_insert_with(|| json!({})));
            if let (Some(Value::Object(fields)), Some(meta)) = (fields, meta["properties"].as_object()) {
                fields.extend(meta.clone());
            }
            (name, spec)
        };
        let kinds = specs.into_iter().map(full).collect();
        Self { definitions, kinds, settings }
    }

    /// Returns the schema of one resource of a kind, complete in itself.
    pub fn kind(&self, name: &str) -> Option<Value> {
        self.kinds.iter().find(|it| it.0 == name).map(|it| self.whole(&it.1))
    }

    /// Follows a reference into the named types.
    #[cfg(test)]
    pub fn definition<'a>(&'a self, schema: &'a Value) -> &'a Value {
        target(&self.definitions, schema)
    }

    /// Returns the schema of the settings, complete in itself.
    pub fn settings(&self) -> Value {
        self.whole(&self.settings)
    }

    fn whole(&self, schema: &Value) -> Value {
        let mut schema = schema.clone();
        schema["$defs"] = Value::Object(self.definitions.clone());
        schema
    }

    /// Returns the schema of a whole file.
    ///
    /// It is milder than the checks, because a file shows only its own part: what another file sets may be missing,
    /// and `null` removes.
    fn document(&self) -> Value {
        let mut definitions = self.definitions.clone();
        let mut sections = Map::new();
        for (name, spec) in &self.kinds {
            let about = spec.get("description").cloned().unwrap_or_default();
            definitions.insert((*name).to_owned(), spec.clone());
            let section = json!({
                "description": about, "type": "object", "propertyNames": { "pattern": super::NAME, "maxLength": super::LONGEST },
                "additionalProperties": { "$ref": format!("#/$defs/{name}") },
            });
            sections.insert((*name).to_owned(), section);
        }
        let mut settings = self.settings.clone();
        settings["description"] = "Where and how the stack is deployed.".into();
        let mut root = json!({
            "type": "object",
            "properties": {
                "stack": settings,
                "resources": {
                    "description": "What the stack consists of: kind by kind, name by name.",
                    "type": "object", "properties": sections, "additionalProperties": false,
                },
            },
            "additionalProperties": false,
            "$defs": definitions,
        });
        lenient(&mut root, false);
        for (name, _) in &self.kinds {
            nullable(&mut root["$defs"][name]);
            root["properties"]["resources"]["properties"][name]["additionalProperties"] =
                json!({ "$ref": format!("#/$defs/{name}") });
        }
        root["properties"]["extends"] = json!({
            "description": "The file that this one extends, such as `base.yaml`: maps merge by key, everything else \
                            replaces, `null` removes.",
            "type": "string",
        });
        let mut document = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "A stack of ecomctl",
            "description": "One real-time data pipeline: where it is deployed and what it consists of.",
        });
        merge(&mut document, root);
        document
    }
}

/// Returns the JSON Schema of stack files, as `stacks/stack.schema.json` holds it.
pub fn text(kinds: &[&dyn Kind]) -> String {
    format!("{:#}\n", Catalog::new(kinds).document())
}

/// Follows a `$ref` into the definitions, once or more.
pub fn target<'a>(definitions: &'a Map<String, Value>, schema: &'a Value) -> &'a Value {
    let mut schema = schema;
    // Definitions do not lead in circles: schemars names each type once. The bound keeps a bug from hanging.
    for _ in 0..8 {
        let name = schema.get("$ref").and_then(Value::as_str).and_then(|it| it.strip_prefix("#/$defs/"));
        match name.and_then(|it| definitions.get(it)) {
            Some(it) => schema = it,
            None => break,
        }
    }
    schema
}

/// Finds the schema of a field, as it stands within its parent: with the field's own description.
pub fn field<'a>(root: &'a Value, pointer: &str) -> Option<&'a Value> {
    let definitions = root.get("$defs")?.as_object()?;
    steps(pointer).try_fold(root, |schema, step| child(definitions, schema, &step))
}

/// Finds the schema of what lies under a key or index.
fn child<'a>(definitions: &'a Map<String, Value>, schema: &'a Value, step: &str) -> Option<&'a Value> {
    let schema = target(definitions, schema);
    let direct = schema.get("properties").and_then(|it| it.get(step));
    let items = || schema.get("items").filter(|it| it.is_object() && step.parse::<usize>().is_ok());
    let others = || schema.get("additionalProperties").filter(|it| it.is_object());
    direct.or_else(items).or_else(others).or_else(|| {
        let mut branches = ["anyOf", "oneOf", "allOf"].iter().filter_map(|it| schema.get(it)?.as_array()).flatten();
        branches.find_map(|it| child(definitions, it, step))
    })
}

fn inline<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    T::json_schema(generator).to_value()
}

/// Refuses fields that an object's schema does not name, and numbers that its type cannot hold.
fn strict(schema: &mut Value) {
    if let Value::Object(map) = schema {
        if map.contains_key("properties") && !map.contains_key("additionalProperties") {
            map.insert("additionalProperties".into(), false.into());
        }
        let most = match map.get("format").and_then(Value::as_str) {
            Some("uint16") => Some(u64::from(u16::MAX)),
            Some("uint32") => Some(u64::from(u32::MAX)),
            Some("int32") => Some(u64::from(i32::MAX.unsigned_abs())),
            _ => None,
        };
        if let Some(most) = most.filter(|_| !map.contains_key("maximum")) {
            map.insert("maximum".into(), most.into());
        }
        map.iter_mut().filter(|it| it.0 != "default" && it.0 != "examples").for_each(|it| strict(it.1));
    } else if let Value::Array(items) = schema {
        items.iter_mut().for_each(strict);
    }
}

/// Allows every field to be missing and to be `null`. The variants of an enum keep what tells them apart.
fn lenient(schema: &mut Value, variant: bool) {
    let Value::Object(map) = schema else { return };
    if !variant {
        map.shift_remove("required");
    }
    for key in ["oneOf", "anyOf", "allOf"] {
        let branches = map.get_mut(key).and_then(Value::as_array_mut);
        branches.into_iter().flatten().for_each(|it| lenient(it, true));
    }
    for key in ["items", "additionalProperties"] {
        map.get_mut(key).into_iter().for_each(|it| lenient(it, false));
    }
    let definitions = map.get_mut("$defs").and_then(Value::as_object_mut);
    definitions.into_iter().flat_map(Map::values_mut).for_each(|it| lenient(it, false));
    if let Some(fields) = map.get_mut("properties").and_then(Value::as_object_mut) {
        for field in fields.values_mut() {
            lenient(field, false);
            if !variant {
                nullable(field);
            }
        }
    }
    if let Some(others) = map.get_mut("additionalProperties").filter(|it| it.is_object()) {
        nullable(others);
    }
}

/// Allows `null` beside what a schema allows. Its description stays outside, where editors look for it.
fn nullable(schema: &mut Value) {
    let allows =
        |it: &Value| it["type"] == "null" || it["type"].as_array().is_some_and(|it| it.contains(&"null".into()));
    let already = schema["anyOf"].as_array().is_some_and(|it| it.iter().any(allows));
    if already || allows(schema) {
        return;
    }
    let Value::Object(map) = schema else { return };
    // Editors say more about a value that fits one schema badly than about one that fits none of two.
    let simple = ["enum", "const", "$ref", "anyOf", "oneOf"].iter().all(|it| !map.contains_key(*it));
    if let Some(Value::String(only)) = map.get("type").filter(|_| simple) {
        let both = json!([only, "null"]);
        map.insert("type".into(), both);
        return;
    }
    let outside: Map<_, _> =
        ["description", "default"].iter().filter_map(|it| Some(((*it).to_owned(), map.shift_remove(*it)?))).collect();
    let inner = std::mem::take(map);
    *map = outside;
    map.insert("anyOf".into(), json!([inner, { "type": "null" }]));
}

fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}
