//! What is wrong with a job: what the API would refuse, and what it would take and mean otherwise. Pure.

use std::{collections::BTreeMap, fmt::Display};

use super::{
    Cluster, Flaw, Job, TAGS, Task,
    start::{Principal, Trigger},
};
use crate::{quantity::Span, quartz};

mod compute;
mod graph;
mod notice;
mod task;
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
        compute::cluster(it, &at, &mut flaws);
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
        task::task(job, it, &at, &mut flaws);
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
            flaws.add("/tasks", format!("a job has at most {TASKS} tasks, not {it}"), "make it two jobs");
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
    notice::health(&job.health, "", job.email_notifications.is_some() || job.webhook_notifications.is_some(), flaws);
    notice::mails(job.email_notifications.as_ref(), "/email_notifications", &job.health, flaws);
    notice::webhooks(job.webhook_notifications.as_ref(), "/webhook_notifications", &job.health, flaws);
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
        if let Err(it) = quartz::Quartz::parse(&it.cron, "UTC") {
            flaws.add("/schedule/cron", it.message, it.help);
        }
        if let Err(it) = quartz::zone(&it.timezone) {
            flaws.add("/schedule/timezone", it.message, it.help);
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
    if let Some(it) = &it.periodic {
        let most = it.most();
        if it.interval == 0 {
            flaws.add("/trigger/periodic/interval", "an interval of 0 never ends", format!("1 to {most}"));
        } else if it.interval > most {
            let message = format!("an interval of {} is more than a year", it.interval);
            flaws.add("/trigger/periodic/interval", message, format!("1 to {most}, or a `schedule`"));
        }
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
