//! What others changed, and the user wants left as it is: laid over what the stack file says, for one run. Pure.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    address,
    resource::{Cause, Change, Desired},
};

/// Parts changes into those that are made and those that are left as they are: a field is left as it is when nobody but
/// others changed it. Returns the first field that others changed and the file, too.
pub(super) fn part(changes: Vec<Change>) -> Result<(Vec<Change>, Vec<Change>), String> {
    let drifted = |it: &Change| it.cause == Cause::Drift && it.waits_for.is_none();
    let field = |it: &Change| it.field.split('.').next().unwrap_or_default().to_owned();
    let edited: BTreeSet<String> = changes.iter().filter(|it| !drifted(it)).map(field).collect();
    match changes.iter().find(|it| drifted(it) && edited.contains(&field(it))) {
        Some(both) => Err(both.field.clone()),
        None => Ok(changes.into_iter().partition(|it| !drifted(it))),
    }
}

/// Finds a plain value that others changed, and the file changes to yet another: that cannot be left as it is.
pub(super) fn overwritten(changes: &[Change], applied: &Value) -> Option<String> {
    let is_plain = |it: &Value| !it.is_null() && !it.is_object() && !it.is_array();
    let both = changes.iter().find(|it| {
        let before = get(applied, &it.field);
        it.cause == Cause::Edit
            && it.waits_for.is_none()
            && is_plain(&it.from)
            && before.is_some_and(|was| is_plain(was) && *was != it.from)
    });
    both.map(|it| it.field.clone())
}

/// Returns a field by its path. A key may have dots in it.
fn get<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let map = value.as_object()?;
    map.get(path).or_else(|| {
        let inner = |(key, it): (&String, &'a Value)| get(it, path.strip_prefix(key.as_str())?.strip_prefix('.')?);
        map.iter().find_map(inner)
    })
}

/// Lays what is kept over what is wanted, and returns the spec with it: a kind that sends several fields in one request
/// reads them from there. A field that the kind computes from something else in the file is only laid over what is
/// compared.
pub(super) fn within(spec: &Value, desired: &mut Desired, kept: &[Change]) -> Value {
    let mut over = spec.clone();
    for change in kept {
        let field = change.field.split('.').next().unwrap_or_default();
        if spec.get(field).is_some_and(|it| Some(&address::plain(it)) == desired.spec.get(field)) {
            set(&mut over, &change.field, &change.from);
        }
    }
    kept.iter().for_each(|it| set(&mut desired.spec, &it.field, &it.from));
    over
}

/// Sets a field by its path; nothing removes it. A key may have dots in it.
pub(super) fn set(value: &mut Value, path: &str, to: &Value) {
    let Some(map) = value.as_object_mut() else { return };
    let inner = |key: &&String| path.strip_prefix(key.as_str()).is_some_and(|it| it.starts_with('.'));
    let key = map.iter().filter(|it| it.1.is_object()).map(|it| it.0).find(inner).cloned();
    if let Some(key) = key {
        set(&mut map[&key], &path[key.len() + 1..], to);
    } else if to.is_null() {
        map.shift_remove(path);
    } else {
        map.insert(path.to_owned(), to.clone());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn change(field: &str, from: Value, to: Value, cause: Cause) -> Change {
        Change { field: field.to_owned(), from, to, cause, waits_for: None }
    }

    #[test]
    fn what_others_changed_is_told_from_what_the_file_changed() {
        let memory = change("memory", json!(1), json!(2), Cause::Drift);
        let timeout = change("timeout", json!(1), json!(2), Cause::Edit);
        let parted = part(vec![memory.clone(), timeout.clone()]).expect("told apart");
        assert_eq!(parted, (vec![timeout.clone()], vec![memory]));
        let both = vec![
            change("config.a", json!(1), json!(2), Cause::Drift),
            change("config.b", json!(1), json!(2), Cause::Edit),
        ];
        assert_eq!(part(both), Err("config.a".to_owned()));
    }

    #[test]
    fn what_the_file_writes_over_is_found() {
        let applied = json!({ "memory": 1, "config": { "min.bytes": "2" }, "list": [1] });
        let edit = |field: &str, from: Value, to: Value| overwritten(&[change(field, from, to, Cause::Edit)], &applied);
        assert_eq!(edit("memory", json!(7), json!(2)).as_deref(), Some("memory"));
        assert_eq!(edit("config.min.bytes", json!("7"), json!("3")).as_deref(), Some("config.min.bytes"));
        assert_eq!(edit("memory", json!(1), json!(2)), None, "nobody else changed it");
        assert_eq!(edit("timeout", json!(7), json!(2)), None, "nothing is known of before");
        assert_eq!(edit("list", json!([2]), json!([3])), None, "how lists compare is the kind's to say");
        assert_eq!(overwritten(&[change("memory", json!(7), json!(1), Cause::Drift)], &applied), None);
    }

    #[test]
    fn what_is_kept_lies_over_the_spec_where_the_spec_has_it() {
        let spec = json!({ "memory": 2, "policies": ["a.json"], "config": { "min.bytes": "2", "z": "1" } });
        let wanted =
            json!({ "memory": 2, "policies": { "a": 1 }, "config": { "min.bytes": "2", "z": "1" }, "code": "x" });
        let mut desired = Desired { spec: wanted, unknown: [].into() };
        let kept = [
            change("memory", json!(7), json!(2), Cause::Drift),
            change("policies.a", json!(9), json!(1), Cause::Drift),
            change("config.min.bytes", json!("5"), json!("2"), Cause::Drift),
            change("config.z", Value::Null, json!("1"), Cause::Drift),
        ];
        let spec = within(&spec, &mut desired, &kept);
        assert_eq!(spec, json!({ "memory": 7, "policies": ["a.json"], "config": { "min.bytes": "5" } }));
        let seen = json!({ "memory": 7, "policies": { "a": 9 }, "config": { "min.bytes": "5" }, "code": "x" });
        assert_eq!(desired.spec, seen);
        kept.iter().for_each(|it| set(&mut desired.spec, &it.field, &it.to));
        assert_eq!(desired.spec["config"], json!({ "min.bytes": "2", "z": "1" }), "and what the file says is put back");
    }
}
