//! The contract of a layer: which columns its tables have, as the jobs that write them and the catalog both read it.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;

use crate::{
    client::glue::Column,
    resource::{Error, Result, catalog},
    template::Templates,
};

/// The types without parameters that Athena and Spark spell alike.
const TYPES: [&str; 11] =
    ["boolean", "tinyint", "smallint", "int", "bigint", "float", "double", "string", "binary", "date", "timestamp"];

/// What a table is promised to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Contract {
    /// What it holds.
    pub(super) comment: Option<String>,
    /// The columns, those of partitions excepted, in order.
    pub(super) columns: Vec<Column>,
    /// The columns by which it is partitioned, in order.
    pub(super) partitions: Vec<Column>,
}

#[derive(Debug, Deserialize)]
struct Promise {
    comment: Option<String>,
    columns: Vec<Promised>,
    #[serde(default)]
    partitioned_by: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Promised {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    comment: Option<String>,
}

/// Reads the contract of one table.
///
/// # Errors
/// Says what is missing from the file, or wrong in it.
pub(super) fn read(templates: &Templates, file: &str, table: &str) -> Result<Contract> {
    let wrong = |message: String, help: &str| Error::Refused { message, help: help.to_owned() };
    // Templates and notebooks lie beside each other in the project.
    let text = templates.read(&Path::new("..").join(file)).map_err(|err| {
        wrong(
            format!("cannot read the contract {file}: {}", cause(&err)),
            "its path is relative to the project's directory",
        )
    })?;
    let all: BTreeMap<String, serde_json::Value> = serde_json::from_str(&text)
        .map_err(|err| wrong(format!("the contract {file} is no JSON object: {err}"), "correct it at that place"))?;
    let Some(promise) = all.get(table) else {
        let names: Vec<_> = all.keys().map(String::as_str).collect();
        let help = format!("it has {}; the last part of the prefix names the table", names.join(", "));
        return Err(wrong(format!("the contract {file} has no table `{table}`"), &help));
    };
    let promise: Promise = serde_json::from_value(promise.clone())
        .map_err(|err| wrong(format!("the contract {file} is wrong in `{table}`: {err}"), "correct it there"))?;
    Contract::of(promise).map_err(|message| {
        let help = "columns are of the types that Athena, Hive and Spark spell alike, such as `decimal(18,2)`";
        wrong(format!("the contract {file} is wrong in `{table}`: {message}"), help)
    })
}

impl Contract {
    fn of(promise: Promise) -> Result<Self, String> {
        let mut columns = Vec::new();
        for it in promise.columns {
            if !catalog::flaws("", &it.name).is_empty() {
                return Err(format!("`{}` is no name of a column: small letters, digits and underscores", it.name));
            }
            if columns.iter().any(|known: &Column| known.name == it.name) {
                return Err(format!("there are two columns `{}`", it.name));
            }
            let kind = normal(&it.kind).ok_or_else(|| format!("`{}` of `{}` is no type", it.kind, it.name))?;
            columns.push(Column { name: it.name, kind, comment: it.comment.filter(|it| !it.is_empty()) });
        }
        let mut partitions = Vec::new();
        for name in promise.partitioned_by {
            let at = columns.iter().position(|it| it.name == name);
            partitions.push(columns.remove(at.ok_or_else(|| format!("there is no column `{name}` to partition by"))?));
        }
        Ok(Self { comment: promise.comment.filter(|it| !it.is_empty()), columns, partitions })
    }
}

/// Spells a type as Glue keeps it; `None` where it is none.
fn normal(kind: &str) -> Option<String> {
    let kind: String = kind.to_lowercase().split_whitespace().collect();
    let nested = ["array<", "map<", "struct<"].iter().any(|it| kind.starts_with(it)) && kind.ends_with('>');
    let decimal = || {
        let (precision, scale) = kind.strip_prefix("decimal(")?.strip_suffix(')')?.split_once(',')?;
        let (precision, scale): (u8, u8) = (precision.parse().ok()?, scale.parse().ok()?);
        Some(precision <= 38 && precision > 0 && scale <= precision)
    };
    (TYPES.contains(&kind.as_str()) || nested || decimal() == Some(true)).then_some(kind)
}

fn cause(err: &crate::template::Error) -> String {
    match err {
        crate::template::Error::Unreadable { cause, .. } => cause.to_string(),
        it @ crate::template::Error::Render { .. } => it.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn contract(promise: Value) -> Result<Contract, String> {
        Contract::of(serde_json::from_value(promise).expect("a promise"))
    }

    #[test]
    fn partitions_are_columns_apart() {
        let found = contract(json!({
            "comment": "",
            "columns": [
                { "name": "day", "type": "DATE", "comment": "of the order", "nullable": false },
                { "name": "net", "type": "decimal(18, 2)" },
            ],
            "partitioned_by": ["day"],
        }));
        let found = found.expect("a contract");
        assert_eq!((found.columns.len(), found.partitions.len(), found.comment), (1, 1, None));
        assert_eq!(found.columns[0].kind, "decimal(18,2)");
        assert_eq!(found.partitions[0].comment.as_deref(), Some("of the order"));
    }

    #[test]
    fn what_athena_cannot_read_is_refused() {
        for (column, text) in [
            (json!({ "name": "Net", "type": "int" }), "`Net` is no name of a column"),
            (json!({ "name": "net", "type": "money" }), "`money` of `net` is no type"),
            (json!({ "name": "net", "type": "decimal(39,2)" }), "is no type"),
            (json!({ "name": "day", "type": "date" }), "there are two columns `day`"),
        ] {
            let err = contract(json!({ "columns": [{ "name": "day", "type": "date" }, column] })).expect_err("refused");
            assert!(err.contains(text), "{err}");
        }
        let err = contract(json!({ "columns": [], "partitioned_by": ["day"] })).expect_err("refused");
        assert!(err.contains("no column `day`"), "{err}");
    }

    #[test]
    fn nested_types_are_kept() {
        assert_eq!(normal("array<struct<a: int>>").as_deref(), Some("array<struct<a:int>>"));
        assert_eq!(normal("array<int"), None);
    }
}
