//! A report as the files of PBIR, made of the pages of a model's layout. Pure.

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::json;

use super::pbir::{
    Field, Object, PageFile, Position, Projection, Property, Query, Role, Shown, Sort, SortDefinition, SyncGroup,
    VisualFile, schema, text, truth,
};
use crate::{
    figures::{
        dax::{self, Target},
        layout::{CANVAS, Form, Page, Visual},
    },
    resource::model::{Design, Part},
};

/// What a report says of its model.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound<'a> {
    /// It lies beside it, in this folder.
    Path(&'a str),
    /// It is published, under this identifier.
    Model(&'a str),
}

/// Writes a report as the parts that a workspace takes: the pages with these names, in this order.
pub(crate) fn parts(design: &Design, pages: &[String], bound: Bound<'_>) -> Vec<Part> {
    let mut parts = vec![definition(bound)];
    let shown: Vec<&Page> = pages.iter().filter_map(|it| design.page(it)).collect();
    parts.push(Part::json(
        "definition/pages/pages.json",
        &json!({
            "$schema": schema("pagesMetadata/1.1.0"),
            "pageOrder": pages,
            "activePageName": pages.first(),
        }),
    ));
    for page in shown {
        let folder = format!("definition/pages/{}", page.name.as_ref());
        parts.push(Part::json(
            format!("{folder}/page.json"),
            &PageFile {
                schema: schema("page/2.1.0"),
                name: page.name.as_ref(),
                display_name: page.title.as_ref(),
                display_option: "FitToPage",
                height: CANVAS[1],
                width: CANVAS[0],
            },
        ));
        for (i, it) in page.visuals.iter().enumerate() {
            let path = format!("{folder}/visuals/{}/visual.json", it.name.as_ref());
            parts.push(Part::json(path, &visual(design, i, it)));
        }
    }
    parts.push(Part::json(
        "definition/report.json",
        &json!({
            "$schema": schema("report/3.3.0"),
            "themeCollection": {},
            "settings": {
                "useStylableVisualContainerHeader": true,
                "defaultDrillFilterOtherVisuals": true,
                "useEnhancedTooltips": true,
            },
        }),
    ));
    parts.push(Part::json(
        "definition/version.json",
        &json!({
            "$schema": schema("versionMetadata/1.0.0"),
            "version": "2.0.0",
        }),
    ));
    parts.sort_by(|a, b| a.path.cmp(&b.path));
    parts
}

/// `definition.pbir`: on disk a report names its model's folder; a workspace takes the model's identifier alone.
fn definition(bound: Bound<'_>) -> Part {
    let reference = match bound {
        Bound::Path(folder) => json!({ "byPath": { "path": format!("../{folder}") } }),
        Bound::Model(id) => json!({ "byConnection": { "connectionString": format!("semanticmodelid={id}") } }),
    };
    Part::json(
        "definition.pbir",
        &json!({
            "$schema": "https://developer.microsoft.com/json-schemas/fabric/item/report/definitionProperties/2.0.0/schema.json",
            "version": "4.0",
            "datasetReference": reference,
        }),
    )
}

fn visual<'a>(design: &Design, order: usize, it: &'a Visual) -> impl Serialize + use<'a> {
    let form = *it.kind.as_ref();
    let ([x, y], [width, height]) = (*it.at.as_ref(), *it.size.as_ref());
    let level = i32::try_from(order + 1).unwrap_or(i32::MAX / 1000) * 1000;
    let title = Object::of([("show", truth(true)), ("text", text(it.title.as_ref()))]);
    VisualFile {
        schema: schema("visualContainer/2.9.0"),
        name: it.name.as_ref(),
        position: Position { x, y, z: level, width, height, tab_order: level },
        visual: Shown {
            visual_type: form.visual_type(),
            query: query(design, it),
            objects: objects(design, it),
            visual_container_objects: [("title", title)].into(),
            sync_group: (form == Form::Slicer).then(|| SyncGroup {
                group_name: it.name.as_ref().clone(),
                field_changes: true,
                filter_changes: true,
            }),
            drill_filter_other_visuals: true,
        },
    }
}

fn query(design: &Design, it: &Visual) -> Option<Query> {
    // Roles in the order that the kind of visual has them, whatever the file's.
    let roles = it.kind.as_ref().roles().iter().filter_map(|role| it.fields.get_key_value(role.0));
    let role = |(role, fields): (&String, &Vec<toml::Spanned<String>>)| {
        let groups = role == "Category" || role == "Rows" || role == "Columns" || *it.kind.as_ref() == Form::Slicer;
        let projection = |field: &toml::Spanned<String>| {
            let (field, table, name) = field_of(design, field.as_ref())?;
            let query_ref = format!("{table}.{name}");
            Some(Projection { field, query_ref, native_query_ref: name, active: groups.then_some(true) })
        };
        (role.clone(), Role { projections: fields.iter().filter_map(projection).collect() })
    };
    let query_state: IndexMap<String, Role> = roles.map(role).collect();
    if query_state.is_empty() {
        return None;
    }
    let sort = it.sort.as_ref().and_then(|sort| {
        let direction = if sort.descending { "Descending" } else { "Ascending" };
        Some(Sort { field: field_of(design, sort.by.as_ref())?.0, direction })
    });
    let sort_definition = sort.map(|it| SortDefinition { sort: [it], is_default_sort: true });
    Some(Query { query_state, sort_definition })
}

fn field_of(design: &Design, field: &str) -> Option<(Field, String, String)> {
    match dax::field(field)? {
        Target::Measure(name) => Some((Field::Measure(Property::new(&design.home, &name)), design.home.clone(), name)),
        Target::Column(table, name) => Some((Field::Column(Property::new(&table, &name)), table, name)),
        Target::Table(_) => None,
    }
}

fn objects(design: &Design, it: &Visual) -> IndexMap<&'static str, [Object; 1]> {
    match it.kind.as_ref() {
        Form::Slicer if it.single => [("selection", Object::of([("strictSingleSelect", truth(true))]))].into(),
        Form::Absent => {
            let paragraph = |it: &crate::figures::Absent| {
                json!({ "textRuns": [
                    { "value": it.title, "textStyle": { "fontWeight": "bold" } },
                    { "value": format!(": {}.", it.reason) },
                ] })
            };
            let paragraphs = design.absent.iter().map(paragraph).collect::<Vec<_>>();
            [("general", Object::of([("paragraphs", json!(paragraphs))]))].into()
        }
        _ => IndexMap::new(),
    }
}
