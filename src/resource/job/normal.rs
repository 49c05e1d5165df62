//! The form in which a job compares: what the service adds by itself is left out, and what has keys is a map.

use serde_json::{Map, Value, json};

use super::render::lean;

/// What the service fills in where a request does not say it, as `(path, value)`: the same as if it were not there. `*`
/// stands for any step, and a value of `*` for whatever is there. Seen in answers of `jobs/get`.
const NOISE: &[(&str, &str)] = &[
    ("timeout_seconds", "0"),
    ("email_notifications.no_alert_for_skipped_runs", "false"),
    ("notification_settings.no_alert_for_skipped_runs", "false"),
    ("notification_settings.no_alert_for_canceled_runs", "false"),
    ("continuous.pause_status", r#""UNPAUSED""#),
    ("continuous.task_retry_mode", r#""NEVER""#),
    ("schedule.pause_status", r#""UNPAUSED""#),
    ("trigger.pause_status", r#""UNPAUSED""#),
    ("trigger.file_arrival.min_time_between_triggers_seconds", "0"),
    ("trigger.file_arrival.wait_after_last_change_seconds", "0"),
    ("trigger.table_update.condition", r#""ANY_UPDATED""#),
    ("trigger.table_update.min_time_between_triggers_seconds", "0"),
    ("trigger.table_update.wait_after_last_change_seconds", "0"),
    ("tasks.*.run_if", r#""ALL_SUCCESS""#),
    ("tasks.*.timeout_seconds", "0"),
    ("tasks.*.max_retries", "0"),
    ("tasks.*.min_retry_interval_millis", "0"),
    ("tasks.*.retry_on_timeout", "false"),
    ("tasks.*.disabled", "false"),
    ("tasks.*.disable_auto_optimization", "false"),
    ("tasks.*.email_notifications.no_alert_for_skipped_runs", "false"),
    ("tasks.*.notification_settings.no_alert_for_skipped_runs", "false"),
    ("tasks.*.notification_settings.no_alert_for_canceled_runs", "false"),
    ("tasks.*.notification_settings.alert_on_last_attempt", "false"),
    ("tasks.*.notebook_task.source", r#""WORKSPACE""#),
    ("tasks.*.spark_python_task.source", r#""WORKSPACE""#),
    // The older name of `environment_version`.
    ("environments.*.client", "*"),
    ("job_clusters.*.apply_policy_default_values", "*"),
];

/// The fields that are compared. Others, such as `format`, are the service's own; these two are nobody's of ours, and
/// show when somebody sets them.
const FOREIGN: [&str; 2] = ["git_source", "budget_policy_id"];
/// The fields that are compared as they are, once the noise is out.
const PLAIN: [&str; 6] =
    ["description", "trigger", "continuous", "email_notifications", "webhook_notifications", "notification_settings"];

/// Brings settings, sent or received, into the form in which they compare: the fields of the spec.
pub(super) fn normal(settings: &Value) -> Map<String, Value> {
    let keyed = |list: &str, key: &str, inner: Option<&str>| {
        let items = settings[list].as_array().into_iter().flatten();
        let entries = items.filter_map(|it| {
            let mut it = it.clone();
            let name = it.as_object_mut()?.shift_remove(key)?.as_str()?.to_owned();
            Some((name, inner.map_or(it.clone(), |inner| it[inner].take())))
        });
        Value::Object(entries.collect())
    };
    let mut whole = json!({
        "tasks": keyed("tasks", "task_key", None),
        "job_clusters": keyed("job_clusters", "job_cluster_key", Some("new_cluster")),
        "environments": keyed("environments", "environment_key", Some("spec")),
        "parameters": keyed("parameters", "name", Some("default")),
        "schedule": settings["schedule"],
        "timeout_seconds": settings["timeout_seconds"],
        "health": settings["health"]["rules"],
    });
    for field in PLAIN.iter().chain(&FOREIGN) {
        whole[*field] = settings[*field].clone();
    }
    let parameters = whole["parameters"].take();
    let mut whole = lean(quiet(sorted(whole), &mut Vec::new()));
    // A parameter may well be empty.
    whole["parameters"] = parameters;
    let mut fields = match whole {
        Value::Object(it) => it,
        _ => Map::new(),
    };
    // The words of the file where they are not the API's, and what is always said.
    if let Some(it) = fields.shift_remove("timeout_seconds") {
        fields.insert("timeout".to_owned(), it);
    }
    fields.insert("queue".to_owned(), json!(settings["queue"]["enabled"].as_bool().unwrap_or_default()));
    fields.insert("max_concurrent_runs".to_owned(), json!(settings["max_concurrent_runs"].as_u64().unwrap_or(1)));
    fields
}

/// Takes the noise out.
fn quiet(value: Value, path: &mut Vec<String>) -> Value {
    match value {
        Value::Object(map) => {
            let mut kept = Map::new();
            for (key, it) in map {
                path.push(key);
                let it = quiet(it, path);
                let noise = is_noise(path, &it);
                if let Some(key) = path.pop().filter(|_| !noise) {
                    kept.insert(key, it);
                }
            }
            Value::Object(kept)
        }
        it => it,
    }
}

fn is_noise(path: &[String], value: &Value) -> bool {
    let fits = |pattern: &str| {
        let steps: Vec<&str> = pattern.split('.').collect();
        steps.len() == path.len() && steps.iter().zip(path).all(|(step, it)| *step == "*" || step == it)
    };
    let text = value.to_string();
    NOISE.iter().any(|(pattern, default)| (*default == "*" || *default == text) && fits(pattern))
}

/// Puts lists whose order means nothing into one order. Command lines keep theirs.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let each = |(key, it): (String, Value)| {
                let it = match (key.as_str(), sorted(it)) {
                    ("parameters" | "init_scripts", it) => it,
                    (_, Value::Array(mut items)) => {
                        items.sort_by_cached_key(ToString::to_string);
                        Value::Array(items)
                    }
                    (_, it) => it,
                };
                (key, it)
            };
            Value::Object(map.into_iter().map(each).collect())
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        it => it,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_service_adds_is_no_difference() {
        let sent = json!({
            "name": "s-medallion",
            "tasks": [
                { "task_key": "b", "depends_on": [{ "task_key": "a" }, { "task_key": "c" }], "job_cluster_key": "main",
                  "python_wheel_task": { "package_name": "p", "entry_point": "e", "parameters": ["z", "a"] } },
                { "task_key": "a", "notebook_task": { "notebook_path": "/n" } },
            ],
            "job_clusters": [{ "job_cluster_key": "main", "new_cluster": { "spark_version": "17" } }],
            "parameters": [{ "name": "as_of", "default": "" }],
            "schedule": { "quartz_cron_expression": "0 0 3 * * ?", "timezone_id": "UTC" },
            "email_notifications": { "on_failure": ["b@x", "a@x"] },
        });
        let echoed = json!({
            "name": "s-medallion", "format": "MULTI_TASK", "max_concurrent_runs": 1, "timeout_seconds": 0,
            "queue": { "enabled": false }, "webhook_notifications": {},
            "tasks": [
                { "task_key": "a", "notebook_task": { "notebook_path": "/n", "source": "WORKSPACE" },
                  "run_if": "ALL_SUCCESS", "timeout_seconds": 0, "email_notifications": {} },
                { "task_key": "b", "depends_on": [{ "task_key": "c" }, { "task_key": "a" }], "job_cluster_key": "main",
                  "python_wheel_task": { "package_name": "p", "entry_point": "e", "parameters": ["z", "a"] },
                  "max_retries": 0, "webhook_notifications": {}, "run_if": "ALL_SUCCESS" },
            ],
            "job_clusters": [{ "job_cluster_key": "main", "new_cluster": { "spark_version": "17" } }],
            "parameters": [{ "name": "as_of", "default": "" }],
            "schedule": { "quartz_cron_expression": "0 0 3 * * ?", "timezone_id": "UTC", "pause_status": "UNPAUSED" },
            "email_notifications": { "on_failure": ["a@x", "b@x"], "no_alert_for_skipped_runs": false },
        });
        assert_eq!(Value::Object(normal(&sent)), Value::Object(normal(&echoed)));
        assert_eq!(normal(&sent)["parameters"], json!({ "as_of": "" }));
    }

    #[test]
    fn what_somebody_changed_is_one() {
        let settings = |it: Value| Value::Object(normal(&it));
        for (field, changed) in [
            ("schedule", json!({ "schedule": { "quartz_cron_expression": "0 0 3 * * ?", "pause_status": "PAUSED" } })),
            ("tasks", json!({ "tasks": [{ "task_key": "a", "run_if": "ALL_DONE" }] })),
            ("git_source", json!({ "git_source": { "git_url": "https://x" } })),
            ("timeout", json!({ "timeout_seconds": 60 })),
        ] {
            assert!(!settings(changed)[field].is_null(), "{field}");
        }
        assert_eq!(settings(json!({ "queue": { "enabled": true } }))["queue"], true);
        assert_eq!(settings(json!({ "max_concurrent_runs": 3 }))["max_concurrent_runs"], 3);
        let order =
            |it: [&str; 2]| json!({ "tasks": [{ "task_key": "a", "python_wheel_task": { "parameters": it } }] });
        assert_ne!(settings(order(["a", "b"])), settings(order(["b", "a"])), "a command line keeps its order");
    }
}
