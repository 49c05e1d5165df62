//! A model's definition as plans show it: a line for each table, column, measure, join and parameter. Reads as much of TMDL
//! as that takes, so that what the service wrote in its own way compares with what was sent.
//!
//! Left out is what changes nothing that readers see: identifiers of lineage, annotations, the order of things.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::Part;

/// What of an object's properties counts, by what it is called.
const SHOWN: [(&str, &[&str]); 4] = [
    ("column", &["dataType", "sourceColumn", "formatString", "dataCategory", "isHidden", "isKey"]),
    ("measure", &["formatString", "isHidden"]),
    ("partition", &["mode", "source"]),
    ("relationship", &["fromColumn", "toColumn", "isActive", "crossFilteringBehavior"]),
];

/// One object: what it is, its name, the expression behind its `=`, its description, its properties.
#[derive(Debug, Default)]
struct Object {
    sort: String,
    name: String,
    value: String,
    about: String,
    properties: BTreeMap<String, String>,
    table: String,
}

/// Shows a definition.
pub(super) fn shown(parts: &[Part]) -> Value {
    let mut shown: BTreeMap<&str, Map<String, Value>> =
        ["columns", "joins", "measures", "parameters", "tables"].into_iter().map(|it| (it, Map::new())).collect();
    let mut objects: Vec<Object> = Vec::new();
    for part in parts.iter().filter(|it| it.is("tmdl")) {
        objects.extend(read(&part.text));
    }
    let mut put = |section: &'static str, name: String, text: String| {
        shown.entry(section).or_default().insert(name, text.into());
    };
    for it in &objects {
        match it.sort.as_str() {
            "table" => put("tables", it.name.clone(), it.about.clone()),
            "partition" => put("tables", format!("{} rows", it.table), line(it)),
            "column" => put("columns", format!("{}[{}]", it.table, it.name), line(it)),
            "measure" => put("measures", it.name.clone(), line(it)),
            "relationship" => {
                let side = |key: &str| it.properties.get(key).cloned().unwrap_or_default();
                put("joins", format!("{} → {}", side("fromColumn"), side("toColumn")), line(it));
            }
            "expression" => put("parameters", it.name.clone(), value_of(&it.value)),
            _ => (),
        }
    }
    let sorted = |it: Map<String, Value>| it.into_iter().collect::<BTreeMap<_, _>>();
    json!(shown.into_iter().map(|(key, it)| (key, sorted(it))).collect::<BTreeMap<_, _>>())
}

/// Identifies the data of a definition: what a refresh would load. How values are written, what they are called for readers
/// and the measures over them are no part of it.
pub(super) fn data(parts: &[Part]) -> String {
    let found: Vec<Object> = parts.iter().filter(|it| it.is("tmdl")).flat_map(|it| read(&it.text)).collect();
    let property = |it: &Object, key: &str| it.properties.get(key).cloned().unwrap_or_default();
    let loaded = |it: &Object| {
        let told: Vec<String> = match it.sort.as_str() {
            "column" => ["dataType", "sourceColumn"].iter().map(|key| property(it, key)).collect(),
            "partition" => ["mode", "source"].iter().map(|key| property(it, key)).collect(),
            "expression" => vec![value_of(&it.value)],
            "relationship" => ["fromColumn", "toColumn"].iter().map(|key| property(it, key)).collect(),
            _ => return None,
        };
        // A relationship has no name of its own: the service may give it another.
        let name = if it.sort == "relationship" { "" } else { it.name.as_str() };
        Some(json!([it.sort, it.table, name, told]).to_string())
    };
    let mut lines: Vec<String> = found.iter().filter_map(loaded).collect();
    lines.sort();
    let digest = Sha256::digest(lines.join("\n"));
    digest.iter().take(6).map(|it| format!("{it:02x}")).collect()
}

/// An object in one line.
fn line(it: &Object) -> String {
    let keys = SHOWN.iter().find(|known| known.0 == it.sort).map(|it| it.1).unwrap_or_default();
    let property = |key: &&str| {
        let value = it.properties.get(*key)?;
        // Flags may be written with their value or without.
        let value = match (key.starts_with("is"), value.as_str()) {
            (true, "false") => return None,
            (true, _) => (*key).to_owned(),
            (false, value) => value.to_owned(),
        };
        Some(value)
    };
    let all = [Some(it.value.clone()).filter(|value| !value.is_empty() && it.sort == "measure")];
    let about = Some(it.about.clone()).filter(|it| !it.is_empty());
    all.into_iter().flatten().chain(keys.iter().filter_map(property)).chain(about).collect::<Vec<_>>().join(" · ")
}

/// The text of a parameter, without what else is said of it.
fn value_of(expression: &str) -> String {
    let text = expression.split(" meta [").next().unwrap_or_default().trim();
    text.trim_matches('"').replace("\"\"", "\"")
}

/// Reads the objects of one file.
fn read(text: &str) -> Vec<Object> {
    let mut found: Vec<Object> = Vec::new();
    let (mut about, mut table) = (Vec::new(), String::new());
    // Where lines go that are deeper than this: to the value of the last object, or to one of its properties.
    let mut open: Option<(usize, Option<String>)> = None;
    for line in text.lines() {
        let depth = line.len() - line.trim_start_matches('\t').len();
        let content = line.trim();
        if content.is_empty() {
            continue;
        }
        if let (Some((above, property)), Some(last)) = (&open, found.last_mut())
            && depth > *above + 1
        {
            let to = match property {
                Some(key) => last.properties.entry(key.clone()).or_default(),
                None => &mut last.value,
            };
            join(to, content);
            continue;
        }
        if let Some(it) = content.strip_prefix("///") {
            about.push(it.trim().to_owned());
            continue;
        }
        let (word, rest) = content.split_once([' ', '=', ':']).map_or((content, ""), |it| (it.0, it.1));
        let begins = ["table", "measure", "column", "partition", "relationship", "expression"].contains(&word)
            && content[word.len()..].starts_with(' ');
        if begins {
            let (name, value) = named(rest);
            if word == "table" {
                table.clone_from(&name);
            }
            open = Some((depth, None));
            let (sort, about) = (word.to_owned(), std::mem::take(&mut about).join(" "));
            // What a partition says behind its `=` is how its source is written.
            let value = if word == "partition" { String::new() } else { value };
            let table = table.clone();
            found.push(Object { sort, name, value, about, table, ..Object::default() });
            continue;
        }
        about.clear();
        let Some(last) = found.last_mut() else { continue };
        let (key, value) = match content.split_once([':', '=']) {
            Some((key, value)) => (key.trim(), value.trim()),
            None => (content, "true"),
        };
        last.properties.insert(key.to_owned(), unquoted_reference(key, value));
        open = Some((depth.saturating_sub(1), None));
        if content.contains('=') && value.is_empty() || key == "source" {
            open = Some((depth, Some(key.to_owned())));
        }
    }
    found
}

/// Columns of joins in one spelling: `Table[Column]`.
fn unquoted_reference(key: &str, value: &str) -> String {
    if key != "fromColumn" && key != "toColumn" {
        return value.to_owned();
    }
    let (table, rest) = named_until(value, '.');
    let (column, _) = named_until(rest, '\0');
    format!("{table}[{column}]")
}

/// Parts `'a name' = value` at the sign.
fn named(rest: &str) -> (String, String) {
    let (name, rest) = named_until(rest.trim(), '=');
    (name, rest.trim().to_owned())
}

fn named_until(text: &str, end: char) -> (String, &str) {
    if let Some(inner) = text.strip_prefix('\'') {
        let mut name = String::new();
        let mut signs = inner.char_indices().peekable();
        while let Some((at, it)) = signs.next() {
            if it != '\'' {
                name.push(it);
            } else if signs.peek().is_some_and(|it| it.1 == '\'') {
                signs.next();
                name.push('\'');
            } else {
                return (name, inner[at + 1..].trim_start().trim_start_matches(end));
            }
        }
        return (name, "");
    }
    match text.split_once(end) {
        Some((name, rest)) => (name.trim().to_owned(), rest),
        None => (text.trim().to_owned(), ""),
    }
}

/// Puts lines of an expression into one: how they are laid out means nothing.
fn join(to: &mut String, line: &str) {
    if !to.is_empty() {
        to.push(' ');
    }
    to.push_str(line);
}
