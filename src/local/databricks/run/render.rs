//! Runs and attempts, as the Jobs API shows them. Pure.

use serde_json::{Map, Value, json};

use super::record::{Attempt, Run, TaskRun, Trigger};

/// The fields of a task's settings that do not belong in a run.
const NOT_IN_RUNS: [&str; 1] = ["health"];

/// Shows a run; `tasks` says whether with them, with all of them.
pub(crate) fn run(run: &Run, address: &str, tasks: bool) -> Value {
    let mut it = json!({
        "job_id": run.job,
        "run_id": run.id,
        "job_run_id": run.id,
        "number_in_job": run.number,
        "original_attempt_run_id": run.id,
        "attempt_number": 0,
        "creator_user_name": run.creator,
        "run_name": run.name(),
        "run_page_url": format!("{address}/?o={}#job/{}/run/{}", super::super::auth::WORKSPACE, run.job, run.id),
        "run_type": if run.submitted { "SUBMIT_RUN" } else { "JOB_RUN" },
        "trigger": run.trigger,
        "format": "MULTI_TASK",
        "state": run.state.render(),
        "status": run.state.render_status(),
        "start_time": run.created,
        "setup_duration": 0,
        "execution_duration": 0,
        "cleanup_duration": 0,
    });
    if let Some(ended) = run.ended {
        it["end_time"] = ended.into();
        it["run_duration"] = (ended - run.started.unwrap_or(run.created)).into();
    }
    if let Some(started) = run.started {
        it["queue_duration"] = (started - run.created).into();
    }
    if run.trigger == Trigger::Periodic
        && let Some(schedule) = run.settings.get("schedule")
    {
        it["schedule"] = schedule.clone();
    }
    if !run.parameters.is_empty() {
        it["job_parameters"] = parameters(run);
    }
    let given = &run.overrides;
    let mut overriding = Map::new();
    if let Some(it) = &given.python_params {
        overriding.insert("python_params".to_owned(), json!(it));
    }
    for (name, map) in
        [("notebook_params", &given.notebook_params), ("python_named_params", &given.python_named_params)]
    {
        if !map.is_empty() {
            overriding.insert(name.to_owned(), json!(map));
        }
    }
    if !overriding.is_empty() {
        it["overriding_parameters"] = overriding.into();
    }
    if !run.repairs.is_empty() {
        let items = run.repairs.iter().map(|id| json!({ "type": "REPAIR", "id": id }));
        it["repair_history"] = std::iter::once(json!({ "type": "ORIGINAL" })).chain(items).collect();
    }
    if tasks {
        // Each attempt is listed, as the service does.
        let shown = run.tasks.iter().flat_map(|it| it.attempts.iter().map(move |attempt| (it, attempt)));
        it["tasks"] = shown.map(|(it, attempt)| task(run, it, attempt, address)).collect();
        if let Some(clusters) = run.settings.get("job_clusters") {
            it["job_clusters"] = clusters.clone();
        }
    }
    it
}

fn parameters(run: &Run) -> Value {
    let defaults = run.settings.get("parameters").and_then(Value::as_array).cloned().unwrap_or_default();
    let default = |name: &str| {
        let it = defaults.iter().find(|it| it["name"] == name)?;
        it.get("default").cloned()
    };
    let shown = run.parameters.iter().map(|(name, value)| {
        let mut it = json!({ "name": name, "value": value });
        if let Some(default) = default(name) {
            it["default"] = default;
        }
        it
    });
    shown.collect()
}

/// Shows an attempt at a task.
pub(crate) fn task(run: &Run, task: &TaskRun, attempt: &Attempt, address: &str) -> Value {
    let all = run.settings.get("tasks").and_then(Value::as_array);
    let settings = all.into_iter().flatten().find(|it| it["task_key"] == task.key.as_str());
    let mut it = settings.cloned().unwrap_or_else(|| json!({ "task_key": task.key }));
    if let Some(fields) = it.as_object_mut() {
        NOT_IN_RUNS.iter().for_each(|name| drop(fields.shift_remove(*name)));
    }
    let number = task.attempts.iter().position(|it| it.id == attempt.id).unwrap_or(0);
    it["run_id"] = attempt.id.into();
    it["attempt_number"] = number.into();
    it["run_page_url"] =
        format!("{address}/?o={}#job/{}/run/{}", super::super::auth::WORKSPACE, run.job, attempt.id).into();
    it["state"] = attempt.state.render();
    it["status"] = attempt.state.render_status();
    it["start_time"] = attempt.started.unwrap_or(0).into();
    let setup = attempt.started.zip(attempt.running.or(attempt.ended)).map_or(0, |(from, to)| to - from);
    it["setup_duration"] = setup.into();
    it["execution_duration"] = attempt.running.zip(attempt.ended).map_or(0, |(from, to)| to - from).into();
    it["cleanup_duration"] = 0.into();
    it["end_time"] = attempt.ended.unwrap_or(0).into();
    it
}
