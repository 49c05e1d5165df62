//! Runs: what happens when a job is run, as the API tells of it. The running itself is elsewhere.

pub(super) mod graph;
pub(super) mod record;
pub(super) mod render;
pub(super) mod store;
pub(super) mod value;

use std::{collections::BTreeMap, sync::Arc};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    auth::Caller,
    call::{self, Answer, done, id, input, invalid, new_id, no_such_api, now, ok, page, parameter},
    job::{self, Jobs},
    runner::Runner,
};
use crate::local::gateway::call::{Call, Fault};
use record::{Attempt, Ending, Life, Overrides, Run, State, TaskRun, Trigger};
use store::Runs;

/// The most runs in one answer.
const MOST_LISTED: usize = 25;
/// How much of a log is answered, in bytes.
const LONGEST_LOG: usize = 5 << 20;
const LONGEST_TOKEN: usize = 64;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RunNow {
    job_id: i64,
    idempotency_token: Option<String>,
    job_parameters: BTreeMap<String, String>,
    python_params: Option<Vec<String>>,
    notebook_params: BTreeMap<String, String>,
    python_named_params: BTreeMap<String, String>,
    queue: Option<Map<String, Value>>,
    only: Vec<String>,
    performance_target: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Of {
    run_id: i64,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CancelAll {
    job_id: Option<i64>,
    all_queued_runs: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Repair {
    run_id: i64,
    latest_repair_id: Option<i64>,
    #[serde(default)]
    rerun_tasks: Vec<String>,
    #[serde(default)]
    rerun_all_failed_tasks: bool,
    #[serde(default)]
    rerun_dependent_tasks: bool,
    #[serde(default)]
    job_parameters: BTreeMap<String, String>,
}

/// What a run is made of.
pub(super) struct New {
    job: i64,
    creator: String,
    submitted: bool,
    trigger: Trigger,
    settings: Map<String, Value>,
    parameters: BTreeMap<String, String>,
    overrides: Overrides,
    token: Option<String>,
}

impl New {
    /// A run that a schedule begins.
    pub(super) fn scheduled(id: i64, job: job::Job, trigger: Trigger) -> Self {
        let parameters = defaults(&job.settings);
        let overrides = Overrides::default();
        Self {
            job: id,
            creator: job.creator,
            submitted: false,
            trigger,
            settings: job.settings,
            parameters,
            overrides,
            token: None,
        }
    }

    /// The same run as any other with this token.
    pub(super) fn once(self, token: String) -> Self {
        Self { token: Some(token), ..self }
    }
}

/// The API of runs.
pub(super) struct RunApi {
    jobs: Arc<Jobs>,
    runs: Arc<Runs>,
    runner: Runner,
    address: String,
}

impl RunApi {
    /// Answers from what was kept; what is begun goes to the runner.
    pub(super) fn new(jobs: Arc<Jobs>, runs: Arc<Runs>, runner: Runner, address: String) -> Self {
        Self { jobs, runs, runner, address }
    }

    /// Answers a call beneath `/api/<version>/jobs` that concerns runs; none when it concerns none.
    pub(super) async fn answer(&self, version: &str, path: &[&str], call: &Call, caller: Caller) -> Option<Answer> {
        Some(match (call.method.as_str(), path) {
            ("POST", ["run-now"]) => self.run_now(call, caller).await,
            ("POST", ["runs", "submit"]) => self.submit(call, caller).await,
            ("GET", ["runs", "get"]) => self.get(version, call),
            ("GET", ["runs", "list"]) => self.list(call),
            ("GET", ["runs", "get-output"]) => self.output(call),
            ("POST", ["runs", "cancel"]) => self.cancel(call).await,
            ("POST", ["runs", "cancel-all"]) => self.cancel_all(call).await,
            ("POST", ["runs", "delete"]) => self.delete(call).await,
            ("POST", ["runs", "repair"]) => self.repair(call).await,
            (_, ["runs", ..]) => Err(no_such_api(call)),
            _ => return None,
        })
    }

    async fn run_now(&self, call: &Call, caller: Caller) -> Answer {
        let it: RunNow = input(call)?;
        check_token(it.idempotency_token.as_deref())?;
        let mut job = self.jobs.find(it.job_id).ok_or_else(|| job::no_job(it.job_id))?;
        if !it.only.is_empty() {
            job.settings = only(job.settings, &it.only)?;
        }
        if let Some(queue) = it.queue {
            job.settings.insert("queue".to_owned(), queue.into());
        }
        let mut parameters = defaults(&job.settings);
        parameters.extend(it.job_parameters);
        let overrides = Overrides {
            python_params: it.python_params,
            notebook_params: it.notebook_params,
            python_named_params: it.python_named_params,
        };
        let run = New {
            job: it.job_id,
            creator: caller.name().to_owned(),
            submitted: false,
            trigger: Trigger::OneTime,
            settings: job.settings,
            parameters,
            overrides,
            token: it.idempotency_token,
        };
        let run = begin(&self.runs, run).await?;
        self.runner.wake();
        ok(json!({ "run_id": run.id, "number_in_job": run.number }))
    }

    async fn submit(&self, call: &Call, caller: Caller) -> Answer {
        let mut settings: Map<String, Value> = input(call)?;
        let name = settings.shift_remove("run_name");
        settings.insert("name".to_owned(), name.unwrap_or_else(|| "Untitled".into()));
        let token = match settings.shift_remove("idempotency_token") {
            None => None,
            Some(Value::String(it)) => Some(it),
            Some(it) => return Err(invalid(format!("idempotency_token cannot be {it}"))),
        };
        check_token(token.as_deref())?;
        settings.shift_remove("access_control_list");
        self.jobs.check(&settings)?;
        let run = New {
            job: new_id(),
            creator: caller.name().to_owned(),
            submitted: true,
            trigger: Trigger::OneTime,
            parameters: BTreeMap::new(),
            overrides: Overrides::default(),
            settings,
            token,
        };
        let run = begin(&self.runs, run).await?;
        self.runner.wake();
        ok(json!({ "run_id": run.id }))
    }

    fn find(&self, id: i64) -> Result<Arc<Run>, Fault> {
        self.runs.find(id).ok_or_else(|| no_run(id))
    }

    fn get(&self, version: &str, call: &Call) -> Answer {
        let id = id(call, "run_id")?;
        if let Some((run, task, attempt)) = self.runs.find_attempt(id) {
            let mut it = render::run(&run, &self.address, false);
            let task = &run.tasks[task];
            let shown = render::task(&run, task, &task.attempts[attempt], &self.address);
            if let (Some(it), Value::Object(shown)) = (it.as_object_mut(), shown) {
                it.extend(shown);
            }
            return ok(it);
        }
        let mut it = render::run(&*self.find(id)?, &self.address, true);
        if version == "2.2"
            && let Some(next) = job::cut(&mut it, call.parameter("page_token"))?
        {
            it["has_more"] = true.into();
            it["next_page_token"] = next.into();
        }
        ok(it)
    }

    fn list(&self, call: &Call) -> Answer {
        let limit: usize = parameter(call, "limit")?.unwrap_or(20);
        // The SDK asks for 0 when it wants the default.
        let limit = if limit == 0 { 20 } else { limit };
        if limit > MOST_LISTED {
            return Err(invalid(format!("The limit must be between 1 and {MOST_LISTED}, but is {limit}.")));
        }
        let job: Option<i64> = parameter(call, "job_id")?;
        let (from, to): (Option<i64>, Option<i64>) =
            (parameter(call, "start_time_from")?, parameter(call, "start_time_to")?);
        let flag = |name: &str| call.parameter(name) == Some("true");
        let (active, completed) = (flag("active_only"), flag("completed_only"));
        if active && completed {
            return Err(invalid("Only one of active_only and completed_only may be true."));
        }
        let kind = call.parameter("run_type");
        let found: Vec<_> = self
            .runs
            .all()
            .into_iter()
            .filter(|it| job.is_none_or(|job| it.job == job))
            .filter(|it| from.is_none_or(|from| it.created >= from) && to.is_none_or(|to| it.created <= to))
            .filter(|it| if it.state.life.is_over() { !active } else { !completed })
            .filter(|it| kind.is_none_or(|kind| (kind == "SUBMIT_RUN") == it.submitted))
            .collect();
        let (found, next) = page(found, call.parameter("page_token"), limit)?;
        let expand = flag("expand_tasks");
        let render = |it: &Arc<Run>| {
            let mut it = render::run(it, &self.address, expand);
            if job::cut(&mut it, None)?.is_some() {
                it["has_more"] = true.into();
            }
            Ok(it)
        };
        let found = found.iter().map(render).collect::<Result<Vec<_>, Fault>>()?;
        let mut answer = json!({ "has_more": next.is_some() });
        if !found.is_empty() {
            answer["runs"] = found.into();
        }
        if let Some(next) = next {
            answer["next_page_token"] = next.into();
        }
        ok(answer)
    }

    fn output(&self, call: &Call) -> Answer {
        let id = id(call, "run_id")?;
        let (run, task, attempt) = if let Some(it) = self.runs.find_attempt(id) {
            it
        } else {
            let run = self.find(id)?;
            let last = match &run.tasks[..] {
                [one] => one.attempts.len().checked_sub(1),
                _ => None,
            };
            let message = "Retrieving the output of runs with multiple tasks is not supported. \
                           Please retrieve the output of each individual task run instead.";
            (run, 0, last.ok_or_else(|| invalid(message))?)
        };
        let task = &run.tasks[task];
        let attempt = &task.attempts[attempt];
        let shown = render::task(&run, task, attempt, &self.address);
        let is_notebook = shown.get("notebook_task").is_some();
        let mut metadata = render::run(&run, &self.address, false);
        if let (Some(it), Value::Object(shown)) = (metadata.as_object_mut(), shown) {
            it.extend(shown);
        }
        let mut answer = json!({ "metadata": metadata });
        if is_notebook {
            let (output, truncated) = (attempt.outcome.notebook_output.as_ref(), attempt.outcome.truncated);
            answer["notebook_output"] =
                output.map_or_else(|| json!({}), |it| json!({ "result": it, "truncated": truncated }));
        }
        let path = self.runs.folder(run.id).join(attempt.id.to_string()).join("log");
        if let Ok(log) = std::fs::read(path) {
            // What failed stands at the end.
            let cut = log.len() > LONGEST_LOG;
            let log = &log[log.len().saturating_sub(LONGEST_LOG)..];
            let from = if cut { log.iter().position(|it| *it == b'\n').map_or(0, |it| it + 1) } else { 0 };
            answer["logs"] = String::from_utf8_lossy(&log[from..]).into();
            answer["logs_truncated"] = cut.into();
        }
        for (name, text) in [("error", &attempt.outcome.error), ("error_trace", &attempt.outcome.error_trace)] {
            if let Some(text) = text {
                answer[name] = text.clone().into();
            }
        }
        ok(answer)
    }

    async fn cancel(&self, call: &Call) -> Answer {
        let id = input::<Of>(call)?.run_id;
        let run = match self.runs.find_attempt(id) {
            Some((run, ..)) => run,
            None => self.find(id)?,
        };
        self.runner.cancel(run.id).await;
        done()
    }

    async fn cancel_all(&self, call: &Call) -> Answer {
        let it: CancelAll = input(call)?;
        if it.job_id.is_none() && !it.all_queued_runs {
            return Err(invalid("Either job_id or all_queued_runs is needed."));
        }
        for run in self.runs.all() {
            let is_meant =
                it.job_id.is_none_or(|job| run.job == job) && (!it.all_queued_runs || run.state.life == Life::Queued);
            if is_meant && !run.state.life.is_over() {
                self.runner.cancel(run.id).await;
            }
        }
        done()
    }

    async fn delete(&self, call: &Call) -> Answer {
        let run = self.find(input::<Of>(call)?.run_id)?;
        if !run.state.life.is_over() {
            let message = format!("Run {} is under way: cancel it first.", run.id);
            return Err(Fault::new(400, "INVALID_STATE", message));
        }
        self.runs.remove(run.id).await;
        done()
    }

    async fn repair(&self, call: &Call) -> Answer {
        let it: Repair = input(call)?;
        let run = self.find(it.run_id)?;
        if !run.state.life.is_over() {
            return Err(Fault::new(400, "INVALID_STATE", format!("Run {} is under way.", run.id)));
        }
        if !run.repairs.is_empty() && it.latest_repair_id != run.repairs.last().copied() {
            return Err(invalid("latest_repair_id is not that of the latest repair."));
        }
        let settings = run.read()?;
        let failed = |task: &&TaskRun| task.state().and_then(|it| it.result).is_none_or(graph::is_failure);
        let mut keys: Vec<String> = it.rerun_tasks;
        if it.rerun_all_failed_tasks {
            keys.extend(run.tasks.iter().filter(failed).map(|it| it.key.clone()));
        }
        if let Some(it) = keys.iter().find(|key| !run.tasks.iter().any(|it| it.key == **key)) {
            return Err(invalid(format!("Task {it} does not exist in run {}.", run.id)));
        }
        loop {
            let dependent = settings.tasks.iter().find(|task| {
                !keys.contains(&task.task_key) && task.depends_on.iter().any(|it| keys.contains(&it.task_key))
            });
            let Some(task) = dependent.filter(|_| it.rerun_dependent_tasks) else { break };
            keys.push(task.task_key.clone());
        }
        if keys.is_empty() {
            return Err(invalid("There is nothing to repair: name tasks, or rerun_all_failed_tasks."));
        }
        let (repair, known, mut taken) = (new_id(), run.repairs.len(), false);
        let change = |run: &mut Run| {
            // Another one may have come first.
            if !run.state.life.is_over() || run.repairs.len() != known {
                return;
            }
            taken = true;
            run.parameters.extend(it.job_parameters);
            run.repairs.push(repair);
            run.ended = None;
            run.state = State::new(Life::Queued, "It waits for its turn.");
            for task in run.tasks.iter_mut().filter(|it| keys.contains(&it.key)) {
                task.attempts.push(Attempt::new(Life::Blocked));
            }
        };
        self.runs.change(run.id, change).await;
        if !taken {
            return Err(Fault::new(400, "INVALID_STATE", format!("Run {} is being repaired.", run.id)));
        }
        self.runner.wake();
        ok(json!({ "repair_id": repair }))
    }
}

/// Makes a run: in the queue, or skipped at once when its job has as many as it may have, and no queue.
pub(super) async fn begin(runs: &Runs, new: New) -> Result<Arc<Run>, Fault> {
    let settings: job::settings::Settings = call::read(new.settings.clone().into())?;
    let made = runs
        .decide(|all| {
            // The same token means the same run, of the same job.
            let same = |it: &&Arc<Run>| it.submitted == new.submitted && (new.submitted || it.job == new.job);
            if let Some(token) = &new.token
                && let Some(run) = all.values().filter(same).find(|it| it.token.as_ref() == Some(token))
            {
                return Ok(Run::clone(run));
            }
            let of_job = || all.values().filter(|it| it.job == new.job);
            let active = of_job().filter(|it| !it.state.life.is_over()).count();
            let most = settings.max_concurrent_runs.unwrap_or(1) as usize;
            let tasks = settings
                .tasks
                .iter()
                .map(|it| TaskRun { key: it.task_key.clone(), attempts: vec![Attempt::new(Life::Blocked)] });
            let mut run = Run {
                id: new_id(),
                job: new.job,
                number: of_job().map(|it| it.number).max().unwrap_or(0) + 1,
                creator: new.creator,
                submitted: new.submitted,
                trigger: new.trigger,
                parameters: new.parameters,
                overrides: new.overrides,
                token: new.token,
                created: now(),
                started: None,
                ended: None,
                state: State::new(Life::Queued, "It waits for its turn."),
                tasks: tasks.collect(),
                settings: new.settings,
                repairs: Vec::new(),
            };
            let has_queue = settings.queue.is_some_and(|it| it.enabled);
            if !new.submitted && (most == 0 || active >= most && !has_queue) {
                let message = format!("The maximum number of concurrent runs of the job, {most}, has been reached.");
                run.end(&State::over(Life::Skipped, Ending::MaximumConcurrentRunsReached, message));
            }
            Ok::<_, Fault>(run)
        })
        .await?;
    made.map_err(|err| Fault::new(500, "INTERNAL_ERROR", format!("cannot write the run: {err}")))
}

/// The job's parameters with their defaults.
fn defaults(settings: &Map<String, Value>) -> BTreeMap<String, String> {
    let all = settings.get("parameters").and_then(Value::as_array);
    let text = |it: &Value, name: &str| it.get(name).and_then(Value::as_str).map(str::to_owned);
    all.into_iter().flatten().filter_map(|it| Some((text(it, "name")?, text(it, "default")?))).collect()
}

/// Leaves some tasks only; they no longer wait for the others.
fn only(mut settings: Map<String, Value>, keys: &[String]) -> Result<Map<String, Value>, Fault> {
    let is_kept = |it: &Value| keys.iter().any(|key| it["task_key"] == key.as_str());
    if let Some(tasks) = settings.get_mut("tasks").and_then(Value::as_array_mut) {
        if let Some(it) = keys.iter().find(|key| !tasks.iter().any(|it| it["task_key"] == key.as_str())) {
            return Err(invalid(format!("Task {it} does not exist in the job.")));
        }
        tasks.retain(is_kept);
        for needs in tasks.iter_mut().filter_map(|it| it.get_mut("depends_on")?.as_array_mut()) {
            needs.retain(is_kept);
        }
    }
    Ok(settings)
}

fn check_token(token: Option<&str>) -> Result<(), Fault> {
    match token {
        Some(it) if it.len() > LONGEST_TOKEN => {
            Err(invalid(format!("The idempotency_token cannot be longer than {LONGEST_TOKEN} characters.")))
        }
        _ => Ok(()),
    }
}

fn no_run(id: i64) -> Fault {
    invalid(format!("Run {id} does not exist."))
}
