//! A model as text in TMDL, the tabular model definition language: the same bytes for the same model, whenever and wherever.
//!
//! Tabs indent; what a property holds in several lines stands one level deeper than the property. The order of files and
//! lines is that of the model. Identifiers of lineage are made of names, so that they stay as long as the names do.

use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{
    Part,
    design::{Column, Design, Measure, Rows, Table},
};

/// The version of the engine that the model is made for: what Power BI Desktop writes.
const LEVEL: u32 = 1605;

/// Writes a model as the parts that a workspace takes, in the order of their paths.
pub(crate) fn parts(design: &Design) -> Vec<Part> {
    let mut parts = vec![
        Part::json(
            "definition.pbism",
            &json!({
                "$schema": "https://developer.microsoft.com/json-schemas/fabric/item/semanticModel/definitionProperties/1.0.0/schema.json",
                "version": "4.2",
                "settings": {},
            }),
        ),
        Part::new(
            "definition/database.tmdl",
            format!("database {}\n\tcompatibilityLevel: {LEVEL}\n\tcompatibilityMode: powerBI\n", quoted(&design.name)),
        ),
        Part::new("definition/expressions.tmdl", expressions(design)),
        Part::new("definition/model.tmdl", model(design)),
        Part::new("definition/relationships.tmdl", relationships(design)),
    ];
    let mut tables: Vec<Part> = design
        .tables
        .iter()
        .map(|it| Part::new(format!("definition/tables/{}.tmdl", it.name), table(design, it)))
        .collect();
    tables.sort_by(|a, b| a.path.cmp(&b.path));
    parts.append(&mut tables);
    parts
}

/// Makes an identifier of what it stands for.
pub(crate) fn lineage(of: &[&str]) -> String {
    let mut hash = Sha256::new();
    for it in of {
        hash.update((it.len() as u64).to_be_bytes());
        hash.update(it.as_bytes());
    }
    let digest = hash.finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
}

/// A name as TMDL has it: in quotes where it is more than one plain word.
fn quoted(name: &str) -> String {
    let plain = !name.is_empty() && name.chars().all(|it| it.is_ascii_alphanumeric() || it == '_');
    if plain { name.to_owned() } else { format!("'{}'", name.replace('\'', "''")) }
}

fn expressions(design: &Design) -> String {
    let one = |(name, value, what): &(&str, String, &str)| {
        let value = value.replace('"', "\"\"");
        let lineage = lineage(&["expression", name]);
        format!(
            "/// {what}\nexpression {name} = \"{value}\" meta [IsParameterQuery=true, Type=\"Text\", \
             IsParameterQueryRequired=true]\n\tlineageTag: {lineage}\n"
        )
    };
    design.parameters.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// Adds to a text.
fn put(text: &mut String, more: String) {
    text.push_str(&more);
}

fn model(design: &Design) -> String {
    let mut text = "model Model\n\tculture: en-US\n\tdefaultPowerBIDataSourceVersion: powerBI_V3\n\
                    \tdiscourageImplicitMeasures\n\tsourceQueryCulture: en-US\n\n\
                    annotation __PBI_TimeIntelligenceEnabled = 0\n\n"
        .to_owned();
    for it in &design.tables {
        put(&mut text, format!("ref table {}\n", quoted(&it.name)));
    }
    text
}

fn relationships(design: &Design) -> String {
    let one = |[from, to]: &[(String, String); 2]| {
        let column = |it: &(String, String)| format!("{}.{}", quoted(&it.0), quoted(&it.1));
        let id = lineage(&["relationship", &from.0, &from.1, &to.0, &to.1]);
        format!("relationship {id}\n\tfromColumn: {}\n\ttoColumn: {}\n", column(from), column(to))
    };
    design.joins.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn table(design: &Design, it: &Table) -> String {
    let mut text = described("", &it.description);
    put(&mut text, format!("table {}\n\tlineageTag: {}\n", quoted(&it.name), lineage(&["table", &it.name])));
    if it.dates {
        text += "\tdataCategory: Time\n";
    }
    if it.name == design.home {
        for it in &design.measures {
            put(&mut text, measure(it));
        }
    }
    for column in &it.columns {
        put(&mut text, self::column(it, column));
    }
    let (how, mode, source) = match &it.rows {
        Rows::Query { m, direct } => ("m", if *direct { "directQuery" } else { "import" }, m),
        Rows::Formula(dax) => ("calculated", "import", dax),
    };
    put(
        &mut text,
        format!(
            "\n\tpartition {} = {how}\n\t\tmode: {mode}\n\t\tsource ={}\n",
            quoted(&it.name),
            expression(source, 4)
        ),
    );
    text
}

fn measure(it: &Measure) -> String {
    let mut text = format!("\n{}", described("\t", &it.description));
    put(&mut text, format!("\tmeasure {} ={}\n", quoted(&it.name), expression(&it.dax, 3)));
    if let Some(format) = it.format {
        put(&mut text, format!("\t\tformatString: {format}\n"));
    }
    text + &format!("\t\tlineageTag: {}\n", lineage(&["measure", &it.name]))
}

fn column(table: &Table, it: &Column) -> String {
    let mut text = format!("\n{}", described("\t", it.description.as_deref().unwrap_or_default()));
    put(&mut text, format!("\tcolumn {}\n\t\tdataType: {}\n", quoted(&it.name), it.data_type));
    let mut flag = |set: bool, name: &str| {
        if set {
            put(&mut text, format!("\t\t{name}\n"));
        }
    };
    flag(it.hidden, "isHidden");
    flag(matches!(table.rows, Rows::Formula(_)), "isNameInferred");
    flag(it.key, "isKey");
    if let Some(category) = &it.category {
        put(&mut text, format!("\t\tdataCategory: {category}\n"));
    }
    if let Some(format) = &it.format {
        put(&mut text, format!("\t\tformatString: {format}\n"));
    }
    put(&mut text, format!("\t\tlineageTag: {}\n", lineage(&["column", &table.name, &it.name])));
    text + &format!("\t\tsummarizeBy: none\n\t\tsourceColumn: {}\n", it.source)
}

fn described(indent: &str, text: &str) -> String {
    text.lines().map(|it| format!("{indent}/// {it}\n")).collect()
}

/// An expression behind its `=`: on the same line, or each line on its own this deep.
fn expression(text: &str, depth: usize) -> String {
    let text = text.trim();
    if !text.contains('\n') {
        return format!(" {text}");
    }
    let indent = "\t".repeat(depth);
    let line = |it: &str| if it.is_empty() { "\n".to_owned() } else { format!("\n{indent}{}", it.trim_end()) };
    text.lines().map(line).collect()
}
