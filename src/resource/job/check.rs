//! What is wrong with a job: what the API would refuse, and what it would take and mean otherwise. Pure.

use std::{collections::BTreeMap, fmt::Display};

use super::{
    Cluster, Flaw, Job, TAGS, Task, cron,
    notice::{Metric, Rule},
    start::{Principal, Trigger},
};
use crate::quantity::Span;

mod graph;
mod text;

/// The most tasks of a job.
const TASKS: usize = 1000;
/// The longest key of a task, a cluster or an environment.
const KEY: usize = 100;
/// The most webhooks for one event.
const WEBHOOKS: usize = 3;
/// The shortest time that triggers take.
const SHORTEST: Span = Span::seconds(60);

/// Collects flaws.
#[derive(Default)]
pub(super) struct Flaws(Vec<Flaw>);

impl Flaws {
    fn add(&mut self, at: impl Into<String>, message: impl Into<String>, help: impl Into<String>) {
        self.0.push(Flaw::new(at, message).help(help));
    }
}

/// Lists everything that is wrong.
pub(super) fn flaws(job: &Job) -> Vec<Flaw> {
    let mut flaws = Flaws::default();
    whole(job, &mut flaws);
    started(job, &mut flaws);
    people(job, &mut flaws);
    tags(job, &mut flaws);
    for (key, it) in &job.job_clusters {
        let at = step("/job_clusters", key);
        named(key, &at, "cluster", &mut flaws);
        used(&at, key, job.tasks.values().map(|it| it.job_cluster.as_ref()), &job.job_clusters, &mut flaws);
        cluster(it, &at, &mut flaws);
    }
    for (key, it) in &job.environments {
        let at = step("/environments", key);
        named(key, &at, "environment", &mut flaws);
        used(&at, key, job.tasks.values().map(|it| it.environment.as_ref()), &job.environments, &mut flaws);
        if !it.environment_version.bytes().all(|it| it.is_ascii_digit()) || it.environment_version.is_empty() {
            let message = format!("`{}` is no version of an environment", it.environment_version);
            flaws.add(format!("{at}/environment_version"), message, "a number in quotes, such as `\"4\"`");
        }
    }
    for (key, it) in &job.tasks {
        let at = step("/tasks", key);
        named(key, &at, "task", &mut flaws);
        task(job, it, &at, &mut flaws);
    }
    graph::check(job, &mut flaws);
    text::check(job, &mut flaws);
    flaws.0
}

/// What concerns the job as such.
fn whole(job: &Job, flaws: &mut Flaws) {
    match job.tasks.len() {
        0 => flaws.add("/tasks", "a job without tasks does nothing", "define at least one"),
        it if it > TASKS => {
            flaws.add("/tasks", format!("a job has at most {TASKS} tasks, not {it}"), "make it two jobs")
        }
        _ => (),
    }
    match job.max_concurrent_runs {
        0 => flaws.add(
            "/max_concurrent_runs",
            "with 0 every run would be skipped",
            "to let the job rest, write `paused: true` in its schedule",
        ),
        it if it > 1000 => {
            flaws.add(
                "/max_concurrent_runs",
                format!("{it} runs at once are more than Databricks allows"),
                "1 to 1000",
            );
        }
        _ => (),
    }
    timeout(job.timeout, "/timeout", flaws);
    health(&job.health, "", job.email_notifications.is_some() || job.webhook_notifications.is_some(), flaws);
    notices(job.email_notifications.as_ref().map(|it| it.events()), "/email_notifications", &job.health, flaws, |it| {
        (!it.contains('@')).then(|| format!("`{it}` is no address"))
    });
    let hooks = job.webhook_notifications.as_ref().map(|it| it.events());
    notices(hooks, "/webhook_notifications", &job.health, flaws, |_| None);
    for (name, at) in job.outputs.keys().map(|it| (it, step("/outputs", it))) {
        if job.parameters.contains_key(name) {
            flaws.add(at, format!("`{name}` is a parameter already"), "give one of them another name");
        }
    }
    for (field, name) in
        job.parameters.keys().map(|it| ("/parameters", it)).chain(job.outputs.keys().map(|it| ("/outputs", it)))
    {
        if name.is_empty() || !name.chars().all(|it| it.is_ascii_alphanumeric() || "_-.".contains(it)) {
            let message = format!("`{name}` is no name for a parameter");
            flaws.add(step(field, name), message, "letters, digits, `_`, `-` and `.`");
        }
    }
}

/// What starts the job.
fn started(job: &Job, flaws: &mut Flaws) {
    let starts = [
        ("schedule", job.schedule.is_some()),
        ("trigger", job.trigger.is_some()),
        ("continuous", job.continuous.is_some()),
    ];
    let there: Vec<&str> = starts.iter().filter(|it| it.1).map(|it| it.0).collect();
    if let [first, others @ ..] = there.as_slice() {
        for it in others {
            let message =
                format!("a job has one of `schedule`, `trigger` and `continuous`, and this has `{first}` already");
            flaws.add(format!("/{it}"), message, "remove one of them, or make it two jobs");
        }
    }
    if let Some(it) = &job.schedule {
        if let Some((message, help)) = cron::mistake(&it.cron) {
            flaws.add("/schedule/cron", message, help);
        }
        // Where this machine knows no time zones, nobody can tell.
        if !jiff::tz::db().is_definitively_empty() && jiff::tz::TimeZone::get(&it.timezone).is_err() {
            flaws.add(
                "/schedule/timezone",
                format!("there is no time zone `{}`", it.timezone),
                "such as `Europe/Berlin`",
            );
        }
    }
    if let Some(it) = &job.trigger {
        trigger(it, flaws);
    }
    if job.continuous.is_some() {
        if job.max_concurrent_runs != 1 {
            flaws.add("/max_concurrent_runs", "a continuous job has one run at a time", "leave it out");
        }
        for (key, task) in job.tasks.iter().filter(|it| it.1.max_retries != 0) {
            let at = format!("{}/max_retries", step("/tasks", key));
            let message = format!("a task of a continuous job cannot be tried {} times again", task.max_retries);
            flaws.add(at, message, "write `task_retry_mode: on_failure` in `continuous` instead");
        }
    }
}

fn trigger(it: &Trigger, flaws: &mut Flaws) {
    let sorts = [it.file_arrival.is_some(), it.periodic.is_some(), it.table_update.is_some()];
    if sorts.iter().filter(|it| **it).count() != 1 {
        let message = "a trigger has exactly one of `file_arrival`, `periodic` and `table_update`";
        flaws.add("/trigger", message, "keep one of them");
    }
    let mut waits = Vec::new();
    if let Some(it) = &it.file_arrival {
        waits.extend([
            ("file_arrival/min_time_between_triggers", it.min_time_between_triggers),
            ("file_arrival/wait_after_last_change", it.wait_after_last_change),
        ]);
        let known = it.url.contains("://") || it.url.starts_with("/Volumes/");
        if !known || !it.url.ends_with('/') {
            let message = format!("`{}` is no folder to watch", it.url);
            flaws.add("/trigger/file_arrival/url", message, "such as `s3://bucket/folder/`, with a slash at its end");
        }
    }
    if let Some(it) = &it.table_update {
        waits.extend([
            ("table_update/min_time_between_triggers", it.min_time_between_triggers),
            ("table_update/wait_after_last_change", it.wait_after_last_change),
        ]);
        if it.table_names.is_empty() {
            flaws.add("/trigger/table_update/table_names", "no table is named", "such as `catalog.schema.table`");
        }
        for (i, name) in it.table_names.iter().enumerate().filter(|it| it.1.split('.').count() != 3) {
            let at = format!("/trigger/table_update/table_names/{i}");
            flaws.add(at, format!("`{name}` is no full name of a table"), "`catalog.schema.table`");
        }
    }
    for (at, wait) in waits.into_iter().filter_map(|(at, it)| Some((at, it?))) {
        if wait < SHORTEST || !is_whole(wait) {
            flaws.add(
                format!("/trigger/{at}"),
                format!("{wait} is not what triggers take"),
                "`60s` or more, in seconds",
            );
        }
    }
    if it.periodic.as_ref().is_some_and(|it| it.interval == 0) {
        flaws.add("/trigger/periodic/interval", "an interval of 0 never ends", "1 or more");
    }
}

/// Owner, permissions, and as whom it runs.
fn people(job: &Job, flaws: &mut Flaws) {
    if let Some(Principal::Group(it)) = &job.owner {
        flaws.add("/owner", format!("the group {it} cannot own a job"), "name a user or a service principal");
    }
    let mut seen = BTreeMap::new();
    for (level, i, grant) in job.permissions.iter().flat_map(|it| it.grants()) {
        let at = format!("/permissions/{level}/{i}");
        if job.owner.as_ref().is_some_and(|it| grant.to == it.into()) {
            flaws.add(at, format!("{} owns the job, and may do everything", grant.to), "leave it out");
        } else if let Some(first) = seen.insert(grant.to.clone(), level) {
            let message = format!("{} has `{first}` already, and can have one level", grant.to);
            flaws.add(at, message, "keep the higher one");
        }
    }
}

fn tags(job: &Job, flaws: &mut Flaws) {
    if job.tags.len() > TAGS - 3 {
        let message =
            format!("a job has at most {TAGS} tags, three of which are ecomctl's, and these are {}", job.tags.len());
        flaws.add("/tags", message, format!("keep {} at most, with the stack's", TAGS - 3));
    }
    // Clusters pass them on to EC2, whose rules these are.
    let fits = |it: char| it.is_alphanumeric() || " +-=._:/@".contains(it);
    for (key, value) in &job.tags {
        let at = step("/tags", key);
        if key.is_empty() || key.chars().count() > 127 || !key.chars().all(fits) {
            flaws.add(
                &at,
                format!("`{key}` cannot be the key of a tag"),
                "1 to 127 letters, digits, spaces and `+-=._:/@`",
            );
        } else if key.starts_with("ecomctl:") || key.to_lowercase().starts_with("aws:") {
            flaws.add(&at, format!("the tag `{key}` is reserved"), "give it another name");
        }
        if value.chars().count() > 255 || !value.chars().all(fits) {
            flaws.add(
                &at,
                format!("`{value}` cannot be the value of a tag"),
                "up to 255 letters, digits, spaces and `+-=._:/@`",
            );
        }
    }
}

fn cluster(it: &Cluster, at: &str, flaws: &mut Flaws) {
    let wrong = |it: &str| it.is_empty() || it.contains(char::is_whitespace);
    if wrong(&it.spark_version) {
        let message = format!("`{}` is no version of the runtime", it.spark_version);
        flaws.add(format!("{at}/spark_version"), message, "such as `17.3.x-scala2.13`");
    }
    if it.node_type_id.is_none() && it.instance_pool_id.is_none() && it.policy_id.is_none() {
        flaws.add(at, "it is open on which machines the cluster runs", "set `node_type_id`, such as `m7g.large`");
    }
    if it.instance_pool_id.is_some() && it.node_type_id.is_some() {
        flaws.add(format!("{at}/node_type_id"), "the pool says which machines there are", "leave it out");
    }
    match (&it.num_workers, &it.autoscale) {
        (Some(_), Some(_)) => {
            flaws.add(format!("{at}/autoscale"), "`num_workers` and `autoscale` exclude each other", "keep one");
        }
        (None, None) if it.policy_id.is_none() => {
            flaws.add(
                at,
                "it is open how many workers the cluster has",
                "set `num_workers` (0 for one machine) or `autoscale`",
            );
        }
        (_, Some(range)) if range.min_workers > range.max_workers => {
            let message = format!("the least, {}, is more than the most, {}", range.min_workers, range.max_workers);
            flaws.add(format!("{at}/autoscale/min_workers"), message, "turn them round");
        }
        _ => (),
    }
    if it.single_user_name.is_some() && it.data_security_mode != Some(super::compute::SecurityMode::SingleUser) {
        flaws.add(
            format!("{at}/single_user_name"),
            "the cluster is not for one user",
            "set `data_security_mode: single_user`",
        );
    }
    for name in it.secrets.keys().filter(|name| it.spark_env_vars.contains_key(*name)) {
        flaws.add(step(&format!("{at}/secrets"), name), format!("`{name}` stands in `spark_env_vars` too"), "keep one");
    }
    for (field, name) in
        it.spark_env_vars.keys().map(|it| ("spark_env_vars", it)).chain(it.secrets.keys().map(|it| ("secrets", it)))
    {
        let fits = |it: char| it.is_ascii_alphanumeric() || it == '_';
        if name.is_empty() || !name.chars().all(fits) || name.starts_with(|it: char| it.is_ascii_digit()) {
            let message = format!("`{name}` is no name of a variable");
            flaws.add(
                step(&format!("{at}/{field}"), name),
                message,
                "letters, digits and `_`, beginning with a letter",
            );
        }
    }
    let price = it.aws_attributes.as_ref().and_then(|it| it.spot_bid_price_percent);
    if price.is_some_and(|it| !(1..=10_000).contains(&it)) {
        flaws.add(format!("{at}/aws_attributes/spot_bid_price_percent"), "no such price", "1 to 10000 percent");
    }
}

fn task(job: &Job, it: &Task, at: &str, flaws: &mut Flaws) {
    let kinds = [
        ("python_wheel_task", it.python_wheel_task.is_some()),
        ("spark_python_task", it.spark_python_task.is_some()),
        ("notebook_task", it.notebook_task.is_some()),
    ];
    let kinds: Vec<&str> = kinds.iter().filter(|it| it.1).map(|it| it.0).collect();
    match kinds.as_slice() {
        [] => {
            let help = "set `python_wheel_task`, `spark_python_task` or `notebook_task`";
            return flaws.add(at, "the task does nothing", help);
        }
        [_] => (),
        [first, others @ ..] => {
            for other in others {
                flaws.add(format!("{at}/{other}"), format!("the task does `{first}` already"), "make it two tasks");
            }
        }
    }
    place(job, it, at, flaws);
    if let Some(wheel) = &it.python_wheel_task
        && !wheel.parameters.is_empty()
        && !wheel.named_parameters.is_empty()
    {
        let at = format!("{at}/python_wheel_task/named_parameters");
        flaws.add(at, "`parameters` and `named_parameters` exclude each other", "keep one");
    }
    let either = |field: &str, other: &str, package: bool, path: bool, flaws: &mut Flaws| match (package, path) {
        (true, true) => flaws.add(
            format!("{at}/{field}/{other}"),
            format!("`package` and `{other}` exclude each other"),
            "keep one",
        ),
        (false, false) => {
            flaws.add(format!("{at}/{field}"), "it is open what to run", format!("set `package` or `{other}`"))
        }
        _ => (),
    };
    if let Some(it) = &it.spark_python_task {
        either("spark_python_task", "python_file", it.package.is_some(), it.python_file.is_some(), flaws);
    }
    if let Some(it) = &it.notebook_task {
        either("notebook_task", "notebook_path", it.package.is_some(), it.notebook_path.is_some(), flaws);
    }
    timeout(it.timeout, &format!("{at}/timeout"), flaws);
    if let (Some(own), Some(all)) = (it.timeout, job.timeout)
        && all.as_secs() > 0
        && own > all
    {
        let message = format!("the task may take {own}, but the whole job {all}");
        flaws.add(format!("{at}/timeout"), message, "the job's ends it first: make that longer, or this shorter");
    }
    if it.max_retries < -1 {
        flaws.add(
            format!("{at}/max_retries"),
            format!("{} is no number of retries", it.max_retries),
            "0 or more, or -1 for ever",
        );
    }
    if it.max_retries == 0 {
        let idle = [("min_retry_interval", it.min_retry_interval.is_some()), ("retry_on_timeout", it.retry_on_timeout)];
        for (field, _) in idle.iter().filter(|it| it.1) {
            flaws.add(format!("{at}/{field}"), "the task is never tried again", "set `max_retries`, or leave this out");
        }
    }
    if it.retry_on_timeout && it.timeout.is_none() && it.max_retries != 0 {
        flaws.add(format!("{at}/retry_on_timeout"), "the task has no `timeout`", "set one, or leave this out");
    }
    health(&it.health, at, it.email_notifications.is_some() || it.webhook_notifications.is_some(), flaws);
    let mails = it.email_notifications.as_ref().map(|it| it.events());
    notices(mails, &format!("{at}/email_notifications"), &it.health, flaws, |it| {
        (!it.contains('@')).then(|| format!("`{it}` is no address"))
    });
    let hooks = it.webhook_notifications.as_ref().map(|it| it.events());
    notices(hooks, &format!("{at}/webhook_notifications"), &it.health, flaws, |_| None);
}

/// What a task runs on.
fn place(job: &Job, it: &Task, at: &str, flaws: &mut Flaws) {
    let places = [
        ("job_cluster", it.job_cluster.is_some()),
        ("environment", it.environment.is_some()),
        ("existing_cluster_id", it.existing_cluster_id.is_some()),
    ];
    let there: Vec<&str> = places.iter().filter(|it| it.1).map(|it| it.0).collect();
    match there.as_slice() {
        // A notebook brings its own environment.
        [] if it.notebook_task.is_some() && it.libraries.is_empty() => (),
        [] => flaws.add(
            at,
            "it is open what the task runs on",
            "set `job_cluster`, `environment` or `existing_cluster_id`",
        ),
        [_] => (),
        [first, others @ ..] => {
            for other in others {
                flaws.add(format!("{at}/{other}"), format!("the task has a `{first}` already"), "keep one of them");
            }
        }
    }
    if let Some(key) = it.job_cluster.as_ref().filter(|key| !job.job_clusters.contains_key(*key)) {
        let help = known("job_clusters", job.job_clusters.keys());
        flaws.add(format!("{at}/job_cluster"), format!("there is no cluster `{key}` in this job"), help);
    }
    if let Some(key) = it.environment.as_ref().filter(|key| !job.environments.contains_key(*key)) {
        let help = known("environments", job.environments.keys());
        flaws.add(format!("{at}/environment"), format!("there is no environment `{key}` in this job"), help);
    }
    if it.environment.is_some() && !it.libraries.is_empty() {
        let help = "write them as `dependencies` of the environment";
        flaws.add(format!("{at}/libraries"), "a serverless task takes no libraries", help);
    }
}

fn health(rules: &[Rule], at: &str, told: bool, flaws: &mut Flaws) {
    for (i, rule) in rules.iter().enumerate() {
        let here = format!("{at}/health/{i}");
        if rule.greater_than <= 0 {
            flaws.add(format!("{here}/greater_than"), format!("{} is always exceeded", rule.greater_than), "1 or more");
        }
        if rules[..i].iter().any(|it| it.metric == rule.metric) {
            flaws.add(format!("{here}/metric"), "there is a rule for this already", "keep one");
        }
    }
    if !rules.is_empty() && !told {
        flaws.add(
            format!("{at}/health"),
            "nobody is told of it",
            "set `email_notifications` or `webhook_notifications`",
        );
    }
}

fn notices(
    events: Option<[(&'static str, &[String]); 5]>,
    at: &str,
    rules: &[Rule],
    flaws: &mut Flaws,
    wrong: impl Fn(&str) -> Option<String>,
) {
    let webhooks = at.ends_with("webhook_notifications");
    for (event, to) in events.into_iter().flatten() {
        let here = format!("{at}/{event}");
        if webhooks && to.len() > WEBHOOKS {
            flaws.add(
                &here,
                format!("{} webhooks are more than Databricks calls", to.len()),
                "3 at most for each event",
            );
        }
        for (i, it) in to.iter().enumerate() {
            if let Some(message) = wrong(it) {
                flaws.add(format!("{here}/{i}"), message, "such as `team@example.com`");
            } else if to[..i].contains(it) {
                flaws.add(format!("{here}/{i}"), format!("`{it}` stands here twice"), "keep one");
            }
        }
        let measured = |wanted: fn(Metric) -> bool| rules.iter().any(|it| wanted(it.metric));
        let (ready, rule) = match event {
            "on_duration_warning_threshold_exceeded" => {
                (measured(|it| it == Metric::RunDurationSeconds), "run_duration_seconds")
            }
            "on_streaming_backlog_exceeded" => {
                (measured(|it| it != Metric::RunDurationSeconds), "streaming_backlog_seconds")
            }
            _ => (true, ""),
        };
        if !to.is_empty() && !ready {
            let help = format!("add to `health`: `{{metric: {rule}, greater_than: …}}`");
            flaws.add(here, "no rule says when that is", help);
        }
    }
}

fn timeout(it: Option<Span>, at: &str, flaws: &mut Flaws) {
    if let Some(it) = it.filter(|it| it.as_secs() == 0 || !is_whole(*it)) {
        flaws.add(
            at,
            format!("Databricks does not know a timeout of {it}"),
            "whole seconds, such as `30m`; leave it out for none",
        );
    }
}

fn named(key: &str, at: &str, what: &str, flaws: &mut Flaws) {
    let fits = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == '-';
    if key.is_empty() || key.len() > KEY || !key.chars().all(fits) {
        let help = format!("letters, digits, `_` and `-`, at most {KEY} of them");
        flaws.add(at, format!("`{key}` cannot be the key of a {what}"), help);
    }
}

/// Makes sure that something is named by a task; a name that is misspelled there is a mistake of its own.
fn used<'a, T>(
    at: &str,
    key: &String,
    mut names: impl Iterator<Item = Option<&'a String>>,
    all: &BTreeMap<String, T>,
    flaws: &mut Flaws,
) {
    if !names.any(|it| it.is_some_and(|it| it == key || !all.contains_key(it))) {
        flaws.add(at, "no task uses it", "name it in a task, or remove it");
    }
}

fn known(field: &str, keys: impl Iterator<Item = impl Display>) -> String {
    let keys: Vec<String> = keys.map(|it| it.to_string()).collect();
    match keys.len() {
        0 => format!("`{field}` defines none"),
        _ => format!("`{field}` defines: {}", keys.join(", ")),
    }
}

fn is_whole(it: Span) -> bool {
    it == Span::seconds(it.as_secs())
}

/// Extends a JSON pointer.
fn step(at: &str, key: &str) -> String {
    format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"))
}
