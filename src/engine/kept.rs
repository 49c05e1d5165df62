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
