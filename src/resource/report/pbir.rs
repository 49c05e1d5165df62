//! The files of a report in PBIR, Power BI's enhanced report format: typed, and the same bytes for the same report.
//!
//! Versions of the schemas are pinned: those that Microsoft's report authoring tool 0.1.4 knows.

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::{Value, json};

const ROOT: &str = "https://developer.microsoft.com/json-schemas/fabric/item/report/definition";

/// Returns the address of a schema of report definitions, such as `page/2.1.0`.
pub(super) fn schema(name: &str) -> String {
    format!("{ROOT}/{name}/schema.json")
}

/// `definition/pages/<page>/page.json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PageFile<'a> {
    #[serde(rename = "$schema")]
    pub(super) schema: String,
    pub(super) name: &'a str,
    pub(super) display_name: &'a str,
    pub(super) display_option: &'static str,
    pub(super) height: i32,
    pub(super) width: i32,
}

/// `definition/pages/<page>/visuals/<visual>/visual.json`.
#[derive(Debug, Serialize)]
pub(super) struct VisualFile<'a> {
    #[serde(rename = "$schema")]
    pub(super) schema: String,
    pub(super) name: &'a str,
    pub(super) position: Position,
    pub(super) visual: Shown,
}

/// Where a visual stands; `z` and the order of the tabulator follow the file's.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Position {
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) z: i32,
    pub(super) width: i32,
    pub(super) height: i32,
    pub(super) tab_order: i32,
}

/// What a visual shows.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shown {
    pub(super) visual_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) query: Option<Query>,
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub(super) objects: IndexMap<&'static str, [Object; 1]>,
    pub(super) visual_container_objects: IndexMap<&'static str, [Object; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sync_group: Option<SyncGroup>,
    pub(super) drill_filter_other_visuals: bool,
}

/// Slicers that are one: what is chosen in the one is chosen in all of the group.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SyncGroup {
    pub(super) group_name: String,
    pub(super) field_changes: bool,
    pub(super) filter_changes: bool,
}

/// Settings of one part of a visual.
#[derive(Debug, Serialize)]
pub(super) struct Object {
    pub(super) properties: IndexMap<&'static str, Value>,
}

/// Which fields in which roles.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Query {
    pub(super) query_state: IndexMap<String, Role>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sort_definition: Option<SortDefinition>,
}

/// The fields of one role.
#[derive(Debug, Serialize)]
pub(super) struct Role {
    pub(super) projections: Vec<Projection>,
}

/// A field, and what the query calls it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Projection {
    pub(super) field: Field,
    pub(super) query_ref: String,
    pub(super) native_query_ref: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) active: Option<bool>,
}

/// By what rows are sorted.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SortDefinition {
    pub(super) sort: [Sort; 1],
    pub(super) is_default_sort: bool,
}

/// A field, and in which direction.
#[derive(Debug, Serialize)]
pub(super) struct Sort {
    pub(super) field: Field,
    pub(super) direction: &'static str,
}

/// A field of the model.
#[derive(Clone, Debug, Serialize)]
pub(super) enum Field {
    Measure(Property),
    Column(Property),
}

/// A name within a table.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Property {
    expression: Expression,
    property: String,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Expression {
    source_ref: SourceRef,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct SourceRef {
    entity: String,
}

impl Property {
    pub(super) fn new(table: &str, name: &str) -> Self {
        let source_ref = SourceRef { entity: table.to_owned() };
        Self { expression: Expression { source_ref }, property: name.to_owned() }
    }
}

/// A literal text.
pub(super) fn text(it: &str) -> Value {
    json!({ "expr": { "Literal": { "Value": format!("'{}'", it.replace('\'', "''")) } } })
}

/// A literal truth.
pub(super) fn truth(it: bool) -> Value {
    json!({ "expr": { "Literal": { "Value": it.to_string() } } })
}

impl Object {
    pub(super) fn of<const N: usize>(properties: [(&'static str, Value); N]) -> [Self; 1] {
        [Self { properties: properties.into_iter().collect() }]
    }
}
