//! What is wrong with a task.

use super::{
    Flaws, Job, Task, known,
    notice::{health, mails, webhooks},
    timeout,
};

/// Finds what is wrong with a task.
pub(super) fn task(job: &Job, it: &Task, at: &str, flaws: &mut Flaws) {
    let kinds = [
        ("python_wheel_task", it.python_wheel_task.is_some()),
        ("spark_python_task", it.spark_python_task.is_some()),
        ("notebook_task", it.notebook_task.is_some()),
    ];
    let kinds: Vec<&str> = kinds.iter().filter(|it| it.1).map(|it| it.0).collect();
    match kinds.as_slice() {
        [] => {
            let help = "set `python_wheel_task`, `spark_python_task` or `notebook_task`";
            flaws.add(at, "the task does nothing", help);
            return;
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
            flaws.add(format!("{at}/{field}"), "it is open what to run", format!("set `package` or `{other}`"));
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
    mails(it.email_notifications.as_ref(), &format!("{at}/email_notifications"), &it.health, flaws);
    webhooks(it.webhook_notifications.as_ref(), &format!("{at}/webhook_notifications"), &it.health, flaws);
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
