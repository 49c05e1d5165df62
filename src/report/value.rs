//! Values of fields, and what became of them, in few characters.
//!
//! Digests are cut, units are written once, long texts are counted instead of shown, list elements go by their key.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Map, Value};
use similar::{ChangeTag, TextDiff};

/// Texts up to so many characters are shown as they are.
const SHORT: usize = 48;
/// So many elements of a list, or fields of an object, are shown.
const FEW: usize = 3;
/// Quantities of stack files: the units that `crate::quantity` knows.
const UNITS: [&str; 10] = ["ms", "s", "m", "h", "d", "B", "KiB", "MiB", "GiB", "TiB"];

/// Writes one value.
pub fn show(value: &Value) -> String {
    match value {
        Value::Null => "unset".to_owned(),
        Value::Bool(it) => it.to_string(),
        Value::Number(it) => it.to_string(),
        Value::String(it) => text(it),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => match key_of(&[items]) {
            Some(key) => few(items.iter().map(|it| show(&it[key]))),
            None if items.iter().any(|it| it.is_object() || it.is_array()) => format!("{} elements", items.len()),
            None => few(items.iter().map(show)),
        },
        Value::Object(map) if map.is_empty() => "empty".to_owned(),
        Value::Object(map) => few(map.iter().map(|(key, it)| match it {
            Value::Object(_) | Value::Array(_) => key.clone(),
            it => format!("{key} {}", show(it)),
        })),
    }
}

/// Writes what became of a value: `256→512 MiB`, `9f2c→41aa`, `+reader −writer`, `+2 −1 lines`.
pub fn became(from: &Value, to: &Value) -> String {
    match (from, to) {
        (from, Value::Null) => format!("{}→default", show(from)),
        (Value::Array(from), Value::Array(to)) => list(from, to),
        (Value::Object(from), Value::Object(to)) => object(from, to),
        (Value::String(old), Value::String(new)) => match (digest(old), digest(new)) {
            (Some(old), Some(new)) => {
                let cut = [4, 6].into_iter().find(|it| old[..*it] != new[..*it]).unwrap_or(8);
                format!("{}→{}", &old[..cut], &new[..cut])
            }
            _ => match (quantity(old), quantity(new)) {
                (Some((old, unit)), Some((new, same))) if unit == same => format!("{old}→{new} {unit}"),
                _ if is_long(old) || is_long(new) => lines(old, new),
                _ => arrow(from, to),
            },
        },
        _ => arrow(from, to),
    }
}

fn arrow(from: &Value, to: &Value) -> String {
    format!("{}→{}", show(from), show(to))
}

fn text(it: &str) -> String {
    if it.is_empty() {
        return "\"\"".to_owned();
    }
    if let Some(it) = digest(it) {
        return it[..8].to_owned();
    }
    if let Some((number, unit)) = quantity(it) {
        return format!("{number} {unit}");
    }
    if it.trim_start().starts_with(['{', '[']) && serde_json::from_str::<Value>(it).is_ok() {
        return format!("a document of {} characters", it.chars().count());
    }
    match (it.lines().count(), it.chars().count()) {
        (lines @ 2.., _) => format!("{lines} lines"),
        (_, ..=SHORT) => it.to_owned(),
        // Both ends tell: an ARN begins with the service and ends with the name.
        (_, length) => {
            let head: String = it.chars().take(SHORT / 2).collect();
            let tail: String = it.chars().skip(length - SHORT / 2 + 1).collect();
            format!("{head}…{tail}")
        }
    }
}

fn is_long(it: &str) -> bool {
    it.lines().nth(1).is_some() || it.chars().count() > 2 * SHORT
}

/// Reads a digest as lower-case hexadecimal: hexadecimal of 32 digits or more, also behind `sha256:`, or the base64 of
/// 32 bytes, as Lambda writes its `CodeSha256`.
fn digest(it: &str) -> Option<String> {
    let hex = it.strip_prefix("sha256:").unwrap_or(it);
    if hex.len() >= 32 && hex.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f')) {
        return Some(hex.to_owned());
    }
    let bytes = (it.len() == 44).then(|| BASE64_STANDARD.decode(it).ok()).flatten().filter(|it| it.len() == 32)?;
    let hex = bytes.iter().flat_map(|it| [it >> 4, it & 15]).filter_map(|it| char::from_digit(it.into(), 16));
    Some(hex.collect())
}

fn quantity(it: &str) -> Option<(&str, &str)> {
    let (number, unit) = it.split_at(it.find(|it: char| !it.is_ascii_digit())?);
    (!number.is_empty() && UNITS.contains(&unit)).then_some((number, unit))
}

/// Counts the lines that differ. Documents in JSON are compared in their tidy form, so that layout does not count.
fn lines(from: &str, to: &str) -> String {
    let tidy = |it: &str| {
        let parsed: Option<Value> = serde_json::from_str(it).ok();
        parsed.and_then(|it| serde_json::to_string_pretty(&it).ok()).unwrap_or_else(|| it.to_owned())
    };
    let (from, to) = (tidy(from), tidy(to));
    let diff = TextDiff::from_lines(&from, &to);
    let count = |tag| diff.iter_all_changes().filter(|it| it.tag() == tag).count();
    match (count(ChangeTag::Insert), count(ChangeTag::Delete)) {
        (0, 0) => "layout only".to_owned(),
        (1, 1) if !from.contains('\n') => arrow(&from.into(), &to.into()),
        (new, 0) => format!("+{new} lines"),
        (0, old) => format!("−{old} lines"),
        (new, old) => format!("+{new} −{old} lines"),
    }
}

fn list(from: &[Value], to: &[Value]) -> String {
    let Some(key) = key_of(&[from, to]) else {
        let added = to.iter().filter(|it| !from.contains(it)).map(|it| format!("+{}", show(it)));
        let gone = from.iter().filter(|it| !to.contains(it)).map(|it| format!("−{}", show(it)));
        let parts: Vec<_> = added.chain(gone).collect();
        return match parts.len() {
            0 if from.len() == to.len() => "order changed".to_owned(),
            0 => format!("{}→{} elements", from.len(), to.len()),
            _ => few(parts.into_iter()),
        };
    };
    let find = |items: &'_ [Value], it: &Value| items.iter().find(|other| other[key] == it[key]).cloned();
    let mut parts = Vec::new();
    for new in to {
        match find(from, new) {
            None => parts.push(format!("+{}", show(&new[key]))),
            Some(old) if old != *new => parts.push(format!("{} ({})", show(&new[key]), became(&old, new))),
            Some(_) => (),
        }
    }
    parts.extend(from.iter().filter(|it| find(to, it).is_none()).map(|it| format!("−{}", show(&it[key]))));
    if parts.is_empty() { "order changed".to_owned() } else { few(parts.into_iter()) }
}

fn object(from: &Map<String, Value>, to: &Map<String, Value>) -> String {
    let mut parts = Vec::new();
    for (key, new) in to {
        match from.get(key) {
            None => parts.push(format!("+{key} {}", show(new))),
            Some(old) if old != new => parts.push(format!("{key} {}", became(old, new))),
            Some(_) => (),
        }
    }
    parts.extend(from.keys().filter(|it| !to.contains_key(*it)).map(|it| format!("−{it}")));
    few(parts.into_iter())
}

/// Finds the field that tells the elements of lists apart: a scalar in each of them, and different in each.
fn key_of<'a>(lists: &[&'a [Value]]) -> Option<&'a str> {
    let first = lists.iter().find_map(|it| it.first())?.as_object()?;
    let known = ["name", "key", "id", "sid"];
    let usual = first.keys().filter(|it| known.contains(&it.to_lowercase().as_str()));
    usual.chain(first.keys()).map(String::as_str).find(|key| {
        lists.iter().all(|items| {
            let values: Vec<_> = items.iter().filter_map(|it| it.get(key)).filter(|it| is_scalar(it)).collect();
            values.len() == items.len() && values.iter().enumerate().all(|(i, it)| !values[..i].contains(it))
        })
    })
}

fn is_scalar(it: &Value) -> bool {
    it.is_string() || it.is_number()
}

/// Joins a few parts, and counts the rest.
fn few(parts: impl ExactSizeIterator<Item = String>) -> String {
    let total = parts.len();
    // Naming one more takes no more room than saying that there is one more.
    let shown = if total == FEW + 1 { total } else { FEW };
    let text = parts.take(shown).collect::<Vec<_>>().join(", ");
    if total > shown { format!("{text} and {} more", total - shown) } else { text }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values() {
        let arn = "arn:aws:lambda:eu-central-1:123456789012:function:staging-ingest";
        let cases = [
            (json!(null), "unset"),
            (json!(6), "6"),
            (json!(""), "\"\""),
            (json!("7d"), "7 d"),
            (json!("256MiB"), "256 MiB"),
            (json!("7 days"), "7 days"),
            (json!("one\ntwo\n"), "2 lines"),
            (json!(arn), "arn:aws:lambda:eu-centra…function:staging-ingest"),
            (json!("{\"Version\": 1}"), "a document of 14 characters"),
            (json!(["a", "b", "c", "d"]), "a, b, c, d"),
            (json!(["a", "b", "c", "d", "e"]), "a, b, c and 2 more"),
            (json!([{ "rate": 1, "name": "x" }, { "rate": 1, "name": "y" }]), "x, y"),
            (json!({ "LOG": "info", "nested": {} }), "LOG info, nested"),
        ];
        for (value, text) in cases {
            assert_eq!(show(&value), text);
        }
    }

    #[test]
    fn changes() {
        let hex = |it: &str| json!(it.repeat(64).split_at(64).0);
        let cases = [
            (json!(12), json!(8), "12→8"),
            (json!("256MiB"), json!("512MiB"), "256→512 MiB"),
            (json!("36h"), json!("2d"), "36 h→2 d"),
            (json!(null), json!("info"), "unset→info"),
            (json!("info"), json!(null), "info→default"),
            (hex("9f2c"), hex("41aa"), "9f2c→41aa"),
            (hex("9f2c10"), hex("9f2c12"), "9f2c10→9f2c12"),
            (json!(["a", "b"]), json!(["b", "c"]), "+c, −a"),
            (json!(["a", "b"]), json!(["b", "a"]), "order changed"),
            (
                json!([{ "name": "x", "n": 1 }]),
                json!([{ "name": "x", "n": 2 }, { "name": "y", "n": 1 }]),
                "x (n 1→2), +y",
            ),
            (json!({ "a": 1, "b": 1 }), json!({ "a": 2, "c": 1 }), "a 1→2, +c 1, −b"),
            (json!("a\nb\nc\n"), json!("a\nx\nc\nd\n"), "+2 −1 lines"),
        ];
        for (from, to, text) in cases {
            assert_eq!(became(&from, &to), text);
        }
    }

    #[test]
    fn a_document_laid_out_anew_is_no_change_of_substance() {
        let value = json!({ "Statement": [{ "Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "*" }] });
        let (tight, wide) = (value.to_string(), serde_json::to_string_pretty(&value).expect("JSON"));
        assert_eq!(became(&json!(tight), &json!(wide)), "layout only");
    }

    #[test]
    fn lambda_digests_are_shown_in_hexadecimal() {
        let digest = BASE64_STANDARD.encode([0x9f; 32]);
        assert_eq!(show(&json!(digest)), "9f9f9f9f");
    }
}
