//! The comparison of one resource, three ways: what is wanted, what was last applied, what the provider has. Pure.

use std::{cmp::Ordering, collections::BTreeSet};

use serde_json::{Map, Value};

use super::plan::Action;
use crate::resource::{Cause, Change, Desired, Field};

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Difference {
    /// The fields that differ.
    pub(super) changes: Vec<Change>,
    /// A field that only grows and would have to shrink: its name, and the kind's text with the live number in place.
    pub(super) shrinks: Option<(String, String)>,
    /// Whether a field that cannot be changed in place differs.
    pub(super) replaces: Option<String>,
}

impl Difference {
    /// The action that the changes call for.
    pub(super) fn action(&self) -> Action {
        match (&self.replaces, self.changes.is_empty()) {
            (Some(_), _) => Action::Replace,
            (None, false) => Action::Update,
            (None, true) => Action::Noop,
        }
    }
}

/// How the values of one field are compared.
#[derive(Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a promise of its own that a kind makes of a field")]
struct Rules {
    immutable: bool,
    defaulted: bool,
    write_only: bool,
    unordered: bool,
    key: Option<&'static str>,
    grows: Option<&'static str>,
}

impl Rules {
    fn of(fields: &[(&'static str, Field)], name: &str) -> Self {
        let mut rules = Self::default();
        for (_, field) in fields.iter().filter(|it| it.0 == name) {
            match field {
                Field::Immutable => rules.immutable = true,
                Field::Defaulted => rules.defaulted = true,
                Field::WriteOnly => rules.write_only = true,
                Field::Unordered => rules.unordered = true,
                Field::Keyed(key) => rules.key = Some(key),
                Field::Grows(text) => rules.grows = Some(text),
            }
        }
        rules
    }
}

/// Compares field by field. `applied` is null before anything was.
pub(super) fn diff(
    fields: &[(&'static str, Field)],
    desired: &Desired,
    applied: &Value,
    observed: &Value,
) -> Difference {
    let mut found = Difference::default();
    let empty = Map::new();
    let want = desired.spec.as_object().unwrap_or(&empty);
    let before = applied.as_object().unwrap_or(&empty);
    let seen = observed.as_object().unwrap_or(&empty);
    let names: BTreeSet<&str> = want.keys().chain(before.keys()).chain(seen.keys()).map(String::as_str).collect();
    for name in names {
        let rules = Rules::of(fields, name);
        if let Some(on) = desired.unknown.get(name) {
            found.changes.push(Change {
                field: name.to_owned(),
                from: seen.get(name).or(before.get(name)).cloned().unwrap_or_default(),
                to: Value::Null,
                cause: Cause::Edit,
                waits_for: Some(on.clone()),
            });
            continue;
        }
        let base = before.get(name).unwrap_or(&Value::Null);
        let goal = want.get(name).unwrap_or(&Value::Null);
        // What the provider does not echo can only be compared with what was applied.
        let have = if rules.write_only { base } else { seen.get(name).unwrap_or(base) };
        if goal.is_null() && base.is_null() && (rules.defaulted || !want.contains_key(name) && !seen.contains_key(name))
        {
            continue;
        }
        let already = found.changes.len();
        compare(name, rules, goal, base, have, &mut found.changes);
        if found.changes.len() == already {
            continue;
        }
        // What was neither echoed nor applied is not known to differ.
        if rules.immutable && (seen.contains_key(name) || !base.is_null()) {
            found.replaces.get_or_insert_with(|| name.to_owned());
        }
        if let Some(text) = rules.grows
            && shrinks(have, goal)
        {
            found.shrinks = Some((name.to_owned(), text.replace("{live}", &show(have))));
        }
    }
    found
}

/// Compares two values, and descends into maps so that each entry is a change of its own.
fn compare(path: &str, rules: Rules, want: &Value, base: &Value, have: &Value, found: &mut Vec<Change>) {
    let empty = Map::new();
    let entries = |it: &Value| it.as_object().cloned().or_else(|| it.is_null().then(|| empty.clone()));
    if let (Some(goal), Some(live)) = (entries(want), entries(have))
        && !(goal.is_empty() && live.is_empty())
    {
        let own = base.as_object();
        let keys: BTreeSet<&String> = goal.keys().chain(live.keys()).collect();
        for key in keys {
            let was = own.and_then(|it| it.get(key)).unwrap_or(&Value::Null);
            let wanted = goal.get(key).unwrap_or(&Value::Null);
            if rules.defaulted && wanted.is_null() && was.is_null() {
                continue;
            }
            let nested = Rules { defaulted: rules.defaulted, ..Rules::default() };
            compare(&format!("{path}.{key}"), nested, wanted, was, live.get(key).unwrap_or(&Value::Null), found);
        }
        return;
    }
    if same(rules, want, have) {
        return;
    }
    let cause = if same(rules, want, base) { Cause::Drift } else { Cause::Edit };
    found.push(Change { field: path.to_owned(), from: have.clone(), to: want.clone(), cause, waits_for: None });
}

/// Says whether two values mean the same. Nothing, an empty list and an empty map do.
fn same(rules: Rules, a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(left), Value::Array(right)) if rules.unordered || rules.key.is_some() => {
            sorted(rules.key, left) == sorted(rules.key, right)
        }
        (Value::Number(left), Value::Number(right)) => {
            left == right || left.as_f64().zip(right.as_f64()).is_some_and(|(l, r)| l.total_cmp(&r) == Ordering::Equal)
        }
        _ => a == b || is_nothing(a) && is_nothing(b),
    }
}

fn is_nothing(it: &Value) -> bool {
    match it {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

fn sorted(key: Option<&str>, items: &[Value]) -> Vec<Value> {
    let mut items = items.to_vec();
    items.sort_by_cached_key(|it| match key {
        Some(key) => it[key].to_string(),
        None => it.to_string(),
    });
    items
}

/// Compares numbers, and quantities such as `20GiB` by their size.
#[expect(clippy::cast_precision_loss, reason = "no quantity comes near 2^53 bytes without being a round number")]
fn shrinks(have: &Value, want: &Value) -> bool {
    let size = |it: &Value| {
        it.as_f64().or_else(|| it.as_str()?.parse::<crate::quantity::Size>().ok().map(|it| it.as_bytes() as f64))
    };
    size(have).zip(size(want)).is_some_and(|(have, want)| want < have)
}

fn show(it: &Value) -> String {
    it.as_str().map_or_else(|| it.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::address::Address;

    const FIELDS: &[(&str, Field)] = &[
        ("name", Field::Immutable),
        ("class", Field::Defaulted),
        ("password", Field::WriteOnly),
        ("config", Field::Defaulted),
        ("subnets", Field::Unordered),
        ("rules", Field::Keyed("id")),
        ("partitions", Field::Grows("Keep {live}.")),
    ];

    /// Compares, and writes each change as `field: from -> to (cause)`.
    fn check(want: Value, applied: Value, seen: Value) -> Vec<String> {
        let desired = Desired { spec: want, unknown: Default::default() };
        let found = diff(FIELDS, &desired, &applied, &seen);
        found.changes.iter().map(|it| format!("{}: {} -> {} ({:?})", it.field, it.from, it.to, it.cause)).collect()
    }

    #[test]
    fn edit_and_drift_are_told_apart() {
        let same = json!({ "memory": 256 });
        assert!(check(same.clone(), same.clone(), same.clone()).is_empty());
        assert_eq!(check(json!({ "memory": 512 }), same.clone(), same.clone()), ["memory: 256 -> 512 (Edit)"]);
        assert_eq!(check(same.clone(), same.clone(), json!({ "memory": 128 })), ["memory: 128 -> 256 (Drift)"]);
        // Somebody already set it to what the file now says.
        assert!(check(json!({ "memory": 512 }), same, json!({ "memory": 512 })).is_empty());
    }

    #[test]
    fn what_the_file_leaves_out() {
        // The provider's default is no change; what was once set goes back to it; what is not defaulted is drift.
        assert!(check(json!({}), json!({}), json!({ "class": "standard" })).is_empty());
        assert_eq!(
            check(json!({}), json!({ "class": "fast" }), json!({ "class": "fast" })),
            ["class: \"fast\" -> null (Edit)"]
        );
        assert_eq!(check(json!({}), json!({}), json!({ "key": "k" })), ["key: \"k\" -> null (Drift)"]);
        assert!(check(json!({}), json!({}), json!({ "key": null, "list": [] })).is_empty());
    }

    #[test]
    fn what_the_provider_does_not_echo() {
        assert!(check(json!({ "password": "a" }), json!({ "password": "a" }), json!({})).is_empty());
        assert_eq!(
            check(json!({ "password": "b" }), json!({ "password": "a" }), json!({ "password": "***" })),
            ["password: \"a\" -> \"b\" (Edit)"]
        );
    }

    #[test]
    fn maps_are_compared_by_entry() {
        let config = |it: Value| json!({ "config": it });
        assert!(
            check(config(json!({ "a": "1" })), config(json!({ "a": "1" })), config(json!({ "a": "1", "z": "9" })))
                .is_empty()
        );
        assert_eq!(
            check(config(json!({})), config(json!({ "a": "1" })), config(json!({ "a": "1", "z": "9" }))),
            ["config.a: \"1\" -> null (Edit)"]
        );
        let environment = |it: Value| json!({ "environment": it });
        assert_eq!(
            check(environment(json!({ "A": "1" })), environment(json!({ "A": "1" })), environment(json!({ "B": "2" }))),
            ["environment.A: null -> \"1\" (Drift)", "environment.B: \"2\" -> null (Drift)"]
        );
    }

    #[test]
    fn lists_are_compared_as_the_kind_says() {
        let lists = |subnets: Value, rules: Value| json!({ "subnets": subnets, "rules": rules });
        let want = lists(json!(["a", "b"]), json!([{ "id": 1, "x": 1 }, { "id": 2 }]));
        let seen = lists(json!(["b", "a"]), json!([{ "id": 2 }, { "id": 1, "x": 1 }]));
        assert!(check(want.clone(), want.clone(), seen).is_empty());
        let seen = lists(json!(["b", "a"]), json!([{ "id": 2 }, { "id": 1, "x": 7 }]));
        assert_eq!(check(want.clone(), want, seen).len(), 1);
    }

    #[test]
    fn severity() {
        let diff =
            |want: Value, seen: Value| diff(FIELDS, &Desired { spec: want, unknown: Default::default() }, &seen, &seen);
        assert_eq!(
            diff(json!({ "name": "b", "memory": 1 }), json!({ "name": "a", "memory": 2 })).action(),
            Action::Replace
        );
        let shrink = diff(json!({ "partitions": 8 }), json!({ "partitions": 12 }));
        assert_eq!(shrink.shrinks, Some(("partitions".to_owned(), "Keep 12.".to_owned())));
        assert_eq!(diff(json!({ "partitions": 16 }), json!({ "partitions": 12 })).shrinks, None);
    }

    #[test]
    fn what_is_not_known_yet() {
        let on = Address::new("database", "shop");
        let desired = Desired { spec: json!({}), unknown: [("policy".to_owned(), on.clone())].into() };
        let found = diff(FIELDS, &desired, &json!({ "policy": "p" }), &json!({ "policy": "p" }));
        assert_eq!(found.changes.len(), 1);
        assert_eq!(found.changes[0].waits_for, Some(on));
        assert_eq!(found.action(), Action::Update);
    }
}
