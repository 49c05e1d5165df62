//! Jobs: what is to be run, and when. Runs are elsewhere.

pub(super) mod check;
pub(super) mod settings;

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use super::{
    auth::Caller,
    call::{self, Answer, done, id, input, invalid, new_id, no_such_api, now, ok, page, parameter},
    destination::Destinations,
    permission::{Entry, Level},
};
use crate::local::gateway::{
    call::{Call, Fault},
    record::Records,
};
use settings::Settings;

/// How many entries of a list in a job's settings come in one answer.
pub(super) const PAGE: usize = 100;
/// The lists that come in pages.
pub(super) const PAGED: [&str; 4] = ["tasks", "job_clusters", "environments", "parameters"];

/// All jobs.
pub(super) type All = BTreeMap<i64, Job>;

/// A job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Job {
    /// Who made it.
    pub(super) creator: String,
    /// When.
    pub(super) created: i64,
    /// Since when its schedule is what it is.
    pub(super) scheduled: i64,
    /// Its settings, as they are answered.
    pub(super) settings: Map<String, Value>,
}

impl Job {
    /// Reads its settings.
    pub(super) fn read(&self) -> Result<Settings, Fault> {
        call::read(self.settings.clone().into())
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        self.settings.get("name").and_then(Value::as_str).unwrap_or("Untitled")
    }

    /// As whom it runs.
    fn run_as(&self) -> String {
        let of = |name: &str| self.settings.get("run_as")?.get(name)?.as_str().map(str::to_owned);
        of("user_name").or_else(|| of("service_principal_name")).unwrap_or_else(|| self.creator.clone())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reset {
    job_id: i64,
    new_settings: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Update {
    job_id: i64,
    #[serde(default)]
    new_settings: Map<String, Value>,
    #[serde(default)]
    fields_to_remove: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delete {
    job_id: i64,
}

/// The API of jobs.
pub(super) struct Jobs {
    records: Records<All>,
    destinations: Arc<Destinations>,
    /// Told whenever a job changes.
    pub(super) changed: Notify,
}

/// What `jobs/create` brings: settings, and who may do what.
type NewJob = (Map<String, Value>, Option<Vec<Entry<Level>>>);

/// Takes apart what `jobs/create` brings.
pub(super) fn new_settings(call: &Call) -> Result<NewJob, Fault> {
    let mut settings: Map<String, Value> = input(call)?;
    let entries = settings.remove("access_control_list").map(call::read).transpose()?;
    Ok((settings, entries))
}

impl Jobs {
    /// Answers from what was kept.
    pub(super) fn new(records: Records<All>, destinations: Arc<Destinations>) -> Self {
        Self { records, destinations, changed: Notify::new() }
    }

    /// Looks a job up.
    pub(super) fn find(&self, id: i64) -> Option<Job> {
        self.records.now().get(&id).cloned()
    }

    /// All jobs.
    pub(super) fn all(&self) -> Arc<All> {
        self.records.now()
    }

    /// Makes a job of settings.
    pub(super) async fn create(&self, settings: &mut Map<String, Value>, caller: Caller) -> Result<i64, Fault> {
        let mut settings = std::mem::take(settings);
        self.check(&settings)?;
        settings.entry("name").or_insert_with(|| "Untitled".into());
        complete(&mut settings);
        let (id, now) = (new_id(), now());
        let job = Job { creator: caller.name().to_owned(), created: now, scheduled: now, settings };
        self.records.change(|all| Ok(all.insert(id, job))).await?;
        self.changed.notify_one();
        Ok(id)
    }

    /// Answers a call beneath `/api/<version>/jobs` that concerns no run.
    pub(super) async fn answer(&self, version: &str, verb: &str, call: &Call) -> Answer {
        match (call.method.as_str(), verb) {
            ("GET", "get") => self.get(version, call),
            ("GET", "list") => self.list(call),
            ("POST", "reset") => {
                let it: Reset = input(call)?;
                let change = |before: &Map<String, Value>| {
                    let mut after = it.new_settings;
                    // One who resets a job without saying as whom it runs does not change that.
                    if let Some(run_as) = before.get("run_as") {
                        after.entry("run_as").or_insert_with(|| run_as.clone());
                    }
                    Ok(after)
                };
                self.change(it.job_id, change).await
            }
            ("POST", "update") => {
                let it: Update = input(call)?;
                self.change(it.job_id, |before| update(before.clone(), it.new_settings, &it.fields_to_remove)).await
            }
            _ => Err(no_such_api(call)),
        }
    }

    /// Deletes a job. Its runs stay.
    pub(super) async fn delete(&self, call: &Call) -> Answer {
        let id = input::<Delete>(call)?.job_id;
        self.records.change(|all| all.remove(&id).ok_or_else(|| no_job(id))).await?;
        self.changed.notify_one();
        done()
    }

    /// Refuses settings that the service would refuse.
    pub(super) fn check(&self, settings: &Map<String, Value>) -> Result<Settings, Fault> {
        let typed: Settings = call::read(settings.clone().into())?;
        check::check(&typed, &|id| self.destinations.find(id).is_some())?;
        Ok(typed)
    }

    async fn change(
        &self,
        id: i64,
        change: impl FnOnce(&Map<String, Value>) -> Result<Map<String, Value>, Fault>,
    ) -> Answer {
        let change = |all: &mut All| {
            let job = all.get_mut(&id).ok_or_else(|| no_job(id))?;
            let mut settings = change(&job.settings)?;
            self.check(&settings)?;
            complete(&mut settings);
            if ["schedule", "continuous", "trigger"].iter().any(|it| settings.get(*it) != job.settings.get(*it)) {
                job.scheduled = now();
            }
            job.settings = settings;
            Ok(())
        };
        self.records.change(change).await?;
        self.changed.notify_one();
        done()
    }

    fn get(&self, version: &str, call: &Call) -> Answer {
        let id = id(call, "job_id")?;
        let job = self.find(id).ok_or_else(|| no_job(id))?;
        let mut answer = json!({
            "job_id": id,
            "creator_user_name": job.creator,
            "run_as_user_name": job.run_as(),
            "run_as_owner": job.run_as() == job.creator,
            "created_time": job.created,
        });
        let mut settings = Value::Object(job.settings);
        if version == "2.2" {
            let next = cut(&mut settings, call.parameter("page_token"))?;
            if let Some(next) = next {
                answer["has_more"] = true.into();
                answer["next_page_token"] = next.into();
            }
        }
        answer["settings"] = settings;
        ok(answer)
    }

    fn list(&self, call: &Call) -> Answer {
        let limit: usize = parameter(call, "limit")?.unwrap_or(20);
        if !(1..=100).contains(&limit) {
            return Err(invalid(format!("The limit must be between 1 and 100, but is {limit}.")));
        }
        let expand = call.parameter("expand_tasks") == Some("true");
        let name = call.parameter("name").map(str::to_lowercase);
        let all = self.records.now();
        let mut found: Vec<(&i64, &Job)> =
            all.iter().filter(|it| name.as_ref().is_none_or(|name| it.1.name().to_lowercase() == *name)).collect();
        // The newest first.
        found.sort_by_key(|(id, it)| std::cmp::Reverse((it.created, **id)));
        let token = call.parameter("page_token").or_else(|| call.parameter("offset").filter(|it| *it != "0"));
        let (found, next) = page(found, token, limit)?;
        let render = |(id, job): (&i64, &Job)| {
            let mut settings = Value::Object(job.settings.clone());
            let mut it = json!({ "job_id": id, "creator_user_name": job.creator, "created_time": job.created });
            if expand {
                if cut(&mut settings, None)?.is_some() {
                    it["has_more"] = true.into();
                }
            } else if let Some(settings) = settings.as_object_mut() {
                PAGED.iter().for_each(|it| drop(settings.shift_remove(*it)));
            }
            it["settings"] = settings;
            Ok(it)
        };
        let jobs = found.into_iter().map(render).collect::<Result<Vec<_>, Fault>>()?;
        let mut answer = json!({ "has_more": next.is_some() });
        if !jobs.is_empty() {
            answer["jobs"] = jobs.into();
        }
        if let Some(next) = next {
            answer["next_page_token"] = next.into();
        }
        ok(answer)
    }
}

/// Leaves one page of each long list in a document; returns the token of the next page.
pub(super) fn cut(document: &mut Value, token: Option<&str>) -> Result<Option<String>, Fault> {
    let mut next = None;
    for name in PAGED {
        let Some(Value::Array(list)) = document.get_mut(name) else { continue };
        let (part, more) = page(std::mem::take(list), token, PAGE)?;
        *list = part;
        next = next.or(more);
    }
    Ok(next)
}

/// Says what the service says without having been told.
fn complete(settings: &mut Map<String, Value>) {
    settings.entry("email_notifications").or_insert_with(|| json!({}));
    settings.entry("webhook_notifications").or_insert_with(|| json!({}));
    settings.entry("timeout_seconds").or_insert_with(|| 0.into());
    settings.entry("max_concurrent_runs").or_insert_with(|| 1.into());
    settings.entry("format").or_insert_with(|| "MULTI_TASK".into());
    for name in ["schedule", "continuous", "trigger"] {
        if let Some(it) = settings.get_mut(name).and_then(Value::as_object_mut) {
            it.entry("pause_status").or_insert_with(|| "UNPAUSED".into());
        }
    }
    for task in settings.get_mut("tasks").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(task) = task.as_object_mut() else { continue };
        task.entry("run_if").or_insert_with(|| "ALL_SUCCESS".into());
        task.entry("timeout_seconds").or_insert_with(|| 0.into());
        task.entry("email_notifications").or_insert_with(|| json!({}));
        for name in ["notebook_task", "spark_python_task"] {
            if let Some(it) = task.get_mut(name).and_then(Value::as_object_mut) {
                it.entry("source").or_insert_with(|| "WORKSPACE".into());
            }
        }
        if let Some(cluster) = task.get_mut("new_cluster") {
            complete_cluster(cluster);
        }
    }
    for it in settings.get_mut("job_clusters").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(cluster) = it.get_mut("new_cluster") {
            complete_cluster(cluster);
        }
    }
}

fn complete_cluster(cluster: &mut Value) {
    let Some(cluster) = cluster.as_object_mut() else { return };
    cluster.shift_remove("apply_policy_default_values");
    cluster.entry("enable_elastic_disk").or_insert_with(|| false.into());
    cluster.entry("data_security_mode").or_insert_with(|| "SINGLE_USER".into());
    cluster
        .entry("aws_attributes")
        .or_insert_with(|| json!({ "first_on_demand": 1, "availability": "SPOT_WITH_FALLBACK", "zone_id": "auto" }));
}

/// Replaces what new settings name; lists of things with keys are merged by these.
fn update(
    mut settings: Map<String, Value>,
    new: Map<String, Value>,
    remove: &[String],
) -> Result<Map<String, Value>, Fault> {
    let key_of = |list: &str| match list {
        "tasks" => Some("task_key"),
        "job_clusters" => Some("job_cluster_key"),
        "environments" => Some("environment_key"),
        _ => None,
    };
    for it in remove {
        match it.split_once('/') {
            None => drop(settings.shift_remove(it)),
            Some((list, key)) => {
                let name = key_of(list).ok_or_else(|| invalid(format!("{list} has no entries with keys.")))?;
                if let Some(Value::Array(entries)) = settings.get_mut(list) {
                    entries.retain(|it| it.get(name).and_then(Value::as_str) != Some(key));
                }
            }
        }
    }
    for (field, value) in new {
        match (key_of(&field), settings.get_mut(&field), value) {
            (Some(key), Some(Value::Array(before)), Value::Array(after)) => {
                for entry in after {
                    match before.iter_mut().find(|it| it.get(key) == entry.get(key)) {
                        Some(it) => *it = entry,
                        None => before.push(entry),
                    }
                }
            }
            (_, _, value) => drop(settings.insert(field, value)),
        }
    }
    Ok(settings)
}

/// Says that there is no such job, with the status that the real service gives: 400.
pub(super) fn no_job(id: i64) -> Fault {
    invalid(format!("Job {id} does not exist."))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Method;

    use super::{super::call::Reply, *};

    fn jobs() -> (Jobs, tempfile::TempDir) {
        let dir = tempfile::tempdir().expect("directory");
        let destinations = Records::open(dir.path().join("d.json")).expect("records");
        let records = Records::open(dir.path().join("jobs.json")).expect("records");
        (Jobs::new(records, Arc::new(Destinations::new(destinations))), dir)
    }

    async fn ask(jobs: &Jobs, method: &str, target: &str, input: Value) -> Answer {
        let (verb, query) = target.split_once('?').unwrap_or((target, ""));
        let method: Method = method.parse().expect("method");
        jobs.answer("2.2", verb, &Call::new(method, verb, query, Bytes::from(input.to_string()), String::new())).await
    }

    fn object(it: Value) -> Map<String, Value> {
        it.as_object().cloned().expect("object")
    }

    fn task(key: usize) -> Value {
        json!({ "task_key": format!("t{key}"), "notebook_task": { "notebook_path": "/Shared/n" } })
    }

    #[tokio::test]
    async fn a_job_of_many_tasks_comes_in_pages() {
        let (jobs, _dir) = jobs();
        let tasks: Vec<_> = (0..230).map(task).collect();
        let id = jobs.create(&mut object(json!({ "name": "big", "tasks": tasks })), Caller::User).await.expect("job");
        let (mut target, mut sizes) = (format!("get?job_id={id}"), Vec::new());
        loop {
            let Ok(Reply::Json(it)) = ask(&jobs, "GET", &target, json!({})).await else { panic!("{target}") };
            sizes.push(it["settings"]["tasks"].as_array().expect("tasks").len());
            let Some(next) = it["next_page_token"].as_str() else { break };
            target = format!("get?job_id={id}&page_token={next}");
        }
        assert_eq!(sizes, [100, 100, 30]);
    }

    #[tokio::test]
    async fn jobs_are_found_by_their_whole_name_in_any_case() {
        let (jobs, _dir) = jobs();
        for name in ["Shop", "shop", "shop-2"] {
            jobs.create(&mut object(json!({ "name": name })), Caller::User).await.expect("job");
        }
        let Ok(Reply::Json(it)) = ask(&jobs, "GET", "list?name=SHOP&limit=1", json!({})).await else { panic!() };
        assert_eq!((it["jobs"].as_array().map(Vec::len), &it["has_more"]), (Some(1), &true.into()));
        let target = format!("list?name=SHOP&limit=1&page_token={}", it["next_page_token"].as_str().expect("token"));
        let Ok(Reply::Json(it)) = ask(&jobs, "GET", &target, json!({})).await else { panic!() };
        assert_eq!((it["jobs"].as_array().map(Vec::len), &it["has_more"]), (Some(1), &false.into()));
    }

    #[tokio::test]
    async fn reset_replaces_all_but_whom_it_runs_as() {
        let (jobs, _dir) = jobs();
        let first = json!({ "name": "a", "tags": { "x": "1" }, "run_as": { "user_name": "somebody" } });
        let id = jobs.create(&mut object(first), Caller::User).await.expect("job");
        let reset = json!({ "job_id": id, "new_settings": { "name": "b" } });
        ask(&jobs, "POST", "reset", reset).await.expect("reset");
        let job = jobs.find(id).expect("job");
        assert_eq!((job.name(), job.run_as().as_str(), job.settings.get("tags")), ("b", "somebody", None));
        let fault = ask(&jobs, "POST", "reset", json!({ "job_id": 1, "new_settings": {} })).await.expect_err("none");
        assert_eq!((fault.status, fault.message.as_str()), (400, "Job 1 does not exist."));
    }

    #[tokio::test]
    async fn update_merges_tasks_by_their_keys() {
        let (jobs, _dir) = jobs();
        let first = json!({ "name": "a", "tasks": [task(0), task(1)], "tags": { "x": "1" } });
        let id = jobs.create(&mut object(first), Caller::User).await.expect("job");
        let mut changed = task(1);
        changed["description"] = "new".into();
        let new = json!({ "tasks": [changed, task(2)] });
        let update = json!({ "job_id": id, "new_settings": new, "fields_to_remove": ["tags", "tasks/t0"] });
        ask(&jobs, "POST", "update", update).await.expect("update");
        let settings = Value::Object(jobs.find(id).expect("job").settings);
        let keys: Vec<_> = settings["tasks"].as_array().expect("tasks").iter().map(|it| &it["task_key"]).collect();
        assert_eq!(keys, ["t1", "t2"]);
        assert_eq!((&settings["tasks"][0]["description"], &settings["tags"]), (&"new".into(), &Value::Null));
    }
}
