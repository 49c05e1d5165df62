//! What the service refuses in a job's settings beyond their types. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::settings::{Pause, Settings, Task, WebhookNotifications};
use crate::{
    local::{
        databricks::{call::invalid, runner::arrival::place},
        gateway::call::Fault,
    },
    quartz::Quartz,
};

const MOST_TASKS: usize = 1000;
const MOST_TAGS: usize = 25;
const MOST_RUNS: u32 = 1000;
const MOST_WEBHOOKS: usize = 3;
const LONGEST_NAME: usize = 4096;
const LONGEST_KEY: usize = 100;
/// The least of both times of a file trigger, in seconds.
const LEAST_WAIT: u64 = 60;

/// Checks settings; `knows` says whether there is a notification destination.
pub(crate) fn check(settings: &Settings, knows: &dyn Fn(&str) -> bool) -> Result<(), Fault> {
    check_sizes(settings)?;
    check_triggers(settings)?;
    check_run_as(settings)?;
    let parameters: Vec<_> = settings.parameters.iter().map(|it| it.name.as_str()).collect();
    unique("parameter", &parameters)?;
    let clusters: Vec<_> = settings.job_clusters.iter().map(|it| it.job_cluster_key.as_str()).collect();
    unique("job_cluster_key", &clusters)?;
    let environments: Vec<_> = settings.environments.iter().map(|it| it.environment_key.as_str()).collect();
    unique("environment_key", &environments)?;
    let keys: Vec<_> = settings.tasks.iter().map(|it| it.task_key.as_str()).collect();
    unique("task_key", &keys)?;
    check_webhooks(settings.webhook_notifications.as_ref(), knows)?;
    for task in &settings.tasks {
        check_task(task, &clusters, &environments)?;
        check_webhooks(task.webhook_notifications.as_ref(), knows)?;
        for it in &task.depends_on {
            if !keys.contains(&it.task_key.as_str()) {
                let message = format!(
                    "Invalid dependency: task {} depends on {}, which does not exist.",
                    task.task_key, it.task_key
                );
                return Err(invalid(message));
            }
        }
    }
    check_cycles(&settings.tasks)
}

fn check_sizes(settings: &Settings) -> Result<(), Fault> {
    let counts = [
        ("name", settings.name.as_deref().map_or(0, str::len), LONGEST_NAME, "bytes"),
        ("tags", settings.tags.len(), MOST_TAGS, "entries"),
        ("tasks", settings.tasks.len(), MOST_TASKS, "entries"),
    ];
    if let Some((what, found, most, unit)) = counts.into_iter().find(|it| it.1 > it.2) {
        return Err(invalid(format!("The field {what} has {found} {unit}; at most {most} are allowed.")));
    }
    if settings.max_concurrent_runs.is_some_and(|it| it > MOST_RUNS) {
        return Err(invalid(format!("max_concurrent_runs cannot exceed {MOST_RUNS}.")));
    }
    Ok(())
}

fn check_triggers(settings: &Settings) -> Result<(), Fault> {
    let all = [
        ("schedule", settings.schedule.is_some()),
        ("continuous", settings.continuous.is_some()),
        ("trigger", settings.trigger.is_some()),
    ];
    let given: Vec<_> = all.iter().filter(|it| it.1).map(|it| it.0).collect();
    if given.len() > 1 {
        return Err(invalid(format!("Only one of {} may be given.", given.join(" and "))));
    }
    if let Some(it) = &settings.schedule {
        let read = Quartz::parse(&it.quartz_cron_expression, &it.timezone_id);
        read.map_err(|it| invalid(format!("Invalid quartz cron expression or time zone: {it}")))?;
    }
    if settings.continuous.is_some() && settings.max_concurrent_runs.is_some_and(|it| it != 1) {
        return Err(invalid("max_concurrent_runs must be 1 for a continuous job."));
    }
    let Some(trigger) = &settings.trigger else { return Ok(()) };
    let kinds = [
        trigger.periodic.is_some(),
        trigger.file_arrival.is_some(),
        trigger.table_update.is_some(),
        trigger.model.is_some(),
    ];
    if kinds.iter().filter(|it| **it).count() != 1 {
        return Err(invalid("Exactly one of periodic, file_arrival, table_update and model is needed in trigger."));
    }
    if trigger.periodic.is_some_and(|it| it.interval == 0) {
        return Err(invalid("The interval of a periodic trigger must be at least 1."));
    }
    if let Some(it) = &trigger.file_arrival {
        let times = [it.min_time_between_triggers_seconds, it.wait_after_last_change_seconds];
        if times.into_iter().flatten().any(|it| it < LEAST_WAIT) {
            return Err(invalid(format!("The times of a file_arrival trigger must be at least {LEAST_WAIT} seconds.")));
        }
        if it.url.is_empty() {
            return Err(invalid("The url of a file_arrival trigger must be given."));
        }
    }
    if trigger.pause_status == Pause::Paused {
        return Ok(());
    }
    if trigger.table_update.is_some() || trigger.model.is_some() {
        return Err(invalid("The local Databricks fires no table_update and model triggers: pause it here."));
    }
    if let Some(it) = trigger.file_arrival.as_ref().filter(|it| place(&it.url).is_none()) {
        return Err(invalid(format!(
            "The local Databricks sees files in S3 arrive, and not in {}: pause it here.",
            it.url
        )));
    }
    Ok(())
}

fn check_run_as(settings: &Settings) -> Result<(), Fault> {
    let Some(it) = &settings.run_as else { return Ok(()) };
    match [&it.user_name, &it.service_principal_name, &it.group_name].into_iter().flatten().count() {
        1 => Ok(()),
        _ => Err(invalid("Exactly one of user_name, service_principal_name and group_name is needed in run_as.")),
    }
}

fn check_webhooks(it: Option<&WebhookNotifications>, knows: &dyn Fn(&str) -> bool) -> Result<(), Fault> {
    for (event, ids) in it.iter().flat_map(|it| it.events()) {
        if ids.len() > MOST_WEBHOOKS {
            return Err(invalid(format!("{event} has {} webhooks; at most {MOST_WEBHOOKS} are allowed.", ids.len())));
        }
        if let Some(it) = ids.iter().find(|it| !knows(&it.id)) {
            return Err(invalid(format!("Notification destination {} does not exist.", it.id)));
        }
    }
    Ok(())
}

fn check_task(task: &Task, clusters: &[&str], environments: &[&str]) -> Result<(), Fault> {
    let key = &task.task_key;
    let wrong = |why: String| invalid(format!("Invalid task {key:?}: {why}"));
    let is_fine = |it: char| it.is_ascii_alphanumeric() || "-_".contains(it);
    if key.is_empty() || key.len() > LONGEST_KEY || !key.chars().all(is_fine) {
        return Err(wrong(format!("a task_key has 1 to {LONGEST_KEY} letters, digits, `-` and `_`.")));
    }
    let kind = match task.kinds()[..] {
        [it] => it,
        [] => return Err(wrong("it does not say what to do.".to_owned())),
        ref many => return Err(wrong(format!("only one of {} may be given.", many.join(" and ")))),
    };
    let compute = [
        ("job_cluster_key", task.job_cluster_key.is_some()),
        ("new_cluster", task.new_cluster.is_some()),
        ("existing_cluster_id", task.existing_cluster_id.is_some()),
        ("environment_key", task.environment_key.is_some()),
    ];
    let given: Vec<_> = compute.iter().filter(|it| it.1).map(|it| it.0).collect();
    if given.len() > 1 {
        return Err(wrong(format!("only one of {} may be given.", given.join(" and "))));
    }
    if given.is_empty() && ["spark_python_task", "python_wheel_task"].contains(&kind) {
        return Err(wrong(format!("a {kind} needs a cluster, or an environment_key to be serverless.")));
    }
    if let Some(it) = task.job_cluster_key.as_deref().filter(|it| !clusters.contains(it)) {
        return Err(wrong(format!("job_cluster_key {it:?} does not exist in job_clusters.")));
    }
    if let Some(it) = task.environment_key.as_deref().filter(|it| !environments.contains(it)) {
        return Err(wrong(format!("environment_key {it:?} does not exist in environments.")));
    }
    if let Some(it) = &task.existing_cluster_id {
        return Err(wrong(format!("Cluster {it} does not exist.")));
    }
    if task.environment_key.is_some() && !task.libraries.is_empty() {
        return Err(wrong("libraries are for clusters; a serverless task has them in its environment.".to_owned()));
    }
    if let Some(it) = &task.python_wheel_task
        && !it.parameters.is_empty()
        && !it.named_parameters.is_empty()
    {
        return Err(wrong("only one of parameters and named_parameters may be given.".to_owned()));
    }
    if task.max_retries.is_some_and(|it| it < -1) {
        return Err(wrong("max_retries must be -1 (without end), 0 or more.".to_owned()));
    }
    Ok(())
}

fn unique(what: &str, names: &[&str]) -> Result<(), Fault> {
    let mut seen = BTreeSet::new();
    match names.iter().find(|it| !seen.insert(**it)) {
        Some(it) => Err(invalid(format!("The {what} {it:?} is given twice."))),
        None => Ok(()),
    }
}

/// Takes tasks away whose dependencies are all gone, until none is left; what cannot be taken away waits for itself.
fn check_cycles(tasks: &[Task]) -> Result<(), Fault> {
    let mut left: BTreeMap<&str, BTreeSet<&str>> = tasks
        .iter()
        .map(|it| (it.task_key.as_str(), it.depends_on.iter().map(|it| it.task_key.as_str()).collect()))
        .collect();
    loop {
        let free: Vec<&str> = left.iter().filter(|it| it.1.is_empty()).map(|it| *it.0).collect();
        if free.is_empty() {
            break;
        }
        for it in free {
            left.remove(it);
            left.values_mut().for_each(|needs| needs.retain(|need| *need != it));
        }
    }
    match left.keys().copied().collect::<Vec<_>>() {
        it if it.is_empty() => Ok(()),
        it => Err(invalid(format!("The graph of tasks has a cycle among {}.", it.join(", ")))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn good() -> Value {
        json!({
            "name": "medallion",
            "tags": { "team": "shop" },
            "max_concurrent_runs": 1,
            "schedule": { "quartz_cron_expression": "0 0 6 * * ?", "timezone_id": "UTC", "pause_status": "PAUSED" },
            "job_clusters": [{ "job_cluster_key": "main", "new_cluster": { "spark_version": "16.4.x-scala2.12" } }],
            "environments": [{ "environment_key": "default", "spec": { "environment_version": "3" } }],
            "webhook_notifications": { "on_failure": [{ "id": "known" }] },
            "tasks": [
                { "task_key": "a", "job_cluster_key": "main", "libraries": [{ "whl": "/Shared/a.whl" }],
                  "python_wheel_task": { "package_name": "p", "entry_point": "a", "parameters": ["--x"] } },
                { "task_key": "b", "depends_on": [{ "task_key": "a" }], "environment_key": "default",
                  "spark_python_task": { "python_file": "/Shared/b.py" } },
                { "task_key": "c", "depends_on": [{ "task_key": "b" }], "notebook_task": { "notebook_path": "/Shared/c" } },
            ],
        })
    }

    fn verdict(settings: Value) -> Result<(), String> {
        let settings = crate::local::databricks::call::read(settings).map_err(|it| it.to_string())?;
        check(&settings, &|id| id == "known").map_err(|it| it.to_string())
    }

    #[test]
    fn a_sound_job_is_taken() {
        assert_eq!(verdict(good()), Ok(()));
        assert_eq!(verdict(json!({})), Ok(()));
        assert_eq!(verdict(json!({ "trigger": { "file_arrival": { "url": "s3://b/in/" } } })), Ok(()));
        let elsewhere = json!({ "url": "abfss://c@a.dfs.core.windows.net/in/" });
        assert_eq!(verdict(json!({ "trigger": { "file_arrival": elsewhere, "pause_status": "PAUSED" } })), Ok(()));
    }

    #[test]
    fn each_mistake_is_refused_with_words_that_name_it() {
        let task = |i: usize, name: &str, value: Value| {
            let mut it = good();
            it["tasks"][i][name] = value;
            it
        };
        let top = |name: &str, value: Value| {
            let mut it = good();
            it[name] = value;
            it
        };
        let alone = |name: &str, value: Value| {
            let mut it = good();
            it["schedule"] = Value::Null;
            it[name] = value;
            it
        };
        let tags: BTreeMap<String, String> = (0..26).map(|it| (it.to_string(), String::new())).collect();
        let bad = [
            (top("nonsense", json!(1)), "unknown field `nonsense`"),
            (task(0, "nonsense", json!(1)), "tasks[0]"),
            (top("tags", json!(tags)), "26 entries"),
            (top("name", json!("x".repeat(5000))), "5000 bytes"),
            (top("max_concurrent_runs", json!(1001)), "1000"),
            (top("continuous", json!({})), "schedule and continuous"),
            (top("schedule", json!({ "quartz_cron_expression": "0 6 * * *", "timezone_id": "UTC" })), "5 fields"),
            (top("schedule", json!({ "quartz_cron_expression": "0 0 6 * * ?", "timezone_id": "X" })), "time zone"),
            (top("run_as", json!({ "user_name": "a", "group_name": "b" })), "run_as"),
            (top("webhook_notifications", json!({ "on_start": [{ "id": "x" }] })), "x does not exist"),
            (top("queue", json!({})), "enabled"),
            (alone("trigger", json!({ "table_update": { "table_names": ["a.b.c"] } })), "no table_update"),
            (alone("trigger", json!({ "file_arrival": { "url": "/Volumes/a/b/c/" } })), "not in /Volumes/a/b/c/"),
            (alone("trigger", json!({ "file_arrival": { "url": "" } })), "url of a file_arrival"),
            (
                alone(
                    "trigger",
                    json!({ "file_arrival": { "url": "s3://b/", "min_time_between_triggers_seconds": 5 } }),
                ),
                "60",
            ),
            (task(0, "job_cluster_key", json!("gone")), "job_cluster_key \"gone\""),
            (task(1, "environment_key", json!("gone")), "environment_key \"gone\""),
            (task(1, "libraries", json!([{ "whl": "x" }])), "libraries"),
            (task(1, "job_cluster_key", json!("main")), "only one of"),
            (task(0, "depends_on", json!([{ "task_key": "z" }])), "depends on z"),
            (task(0, "depends_on", json!([{ "task_key": "c" }])), "cycle among a, b, c"),
            (task(1, "task_key", json!("a")), "given twice"),
            (task(1, "task_key", json!("a b")), "task_key"),
            (task(2, "notebook_task", json!(null)), "what to do"),
            (task(2, "sql_task", json!({})), "only one of"),
            (task(0, "max_retries", json!(-2)), "max_retries"),
            (task(0, "run_if", json!("SOMETIMES")), "SOMETIMES"),
        ];
        for (settings, words) in bad {
            let told = verdict(settings).expect_err(words);
            assert!(told.contains(words), "{told}\nlacks: {words}");
        }
    }
}
