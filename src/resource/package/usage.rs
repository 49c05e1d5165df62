//! What of the workspace uses a package: any job, whoever made it, and any run under way.

use futures::future::try_join_all;
use serde_json::Value;

use super::{Cx, Error, Result, try_join};

/// Who uses what lies in a folder.
pub(super) struct Usage {
    /// The jobs, as they are told.
    pub(super) jobs: Vec<String>,
    /// The numbers of the runs under way.
    pub(super) runs: Vec<i64>,
    /// Every text of theirs that names something in the folder.
    texts: Vec<String>,
}

impl Usage {
    /// Says whether something at this path may be in use. A run under way may use what its job no longer names: while
    /// there is one, everything may.
    pub(super) fn names(&self, path: &str) -> bool {
        let within = format!("{path}/");
        !self.runs.is_empty() || self.texts.iter().any(|it| it.contains(&within))
    }
}

/// Looks for what uses a folder.
pub(super) async fn of(cx: &Cx, folder: &str) -> Result<Usage> {
    let (jobs, runs) = try_join(cx.databricks.jobs(), cx.databricks.active_runs()).await?;
    // A list holds the first hundred tasks of a job.
    let whole = jobs.into_iter().map(|job| async {
        match job.has_more {
            true => Ok(Error::missing_is_none(cx.databricks.job(job.job_id).await)?.unwrap_or(job)),
            false => Ok::<_, Error>(job),
        }
    });
    let within = format!("{folder}/");
    let mut usage = Usage { jobs: Vec::new(), runs: Vec::new(), texts: Vec::new() };
    let mut users = Vec::new();
    for job in try_join_all(whole).await? {
        let before = usage.texts.len();
        texts(&job.settings, &within, &mut usage.texts);
        if usage.texts.len() > before {
            let name = job.settings["name"].as_str().unwrap_or("without a name");
            usage.jobs.push(format!("job {} ({name})", job.job_id));
            users.push(job.job_id);
        }
    }
    for run in &runs {
        let before = usage.texts.len();
        texts(run, &within, &mut usage.texts);
        let of_user = run["job_id"].as_i64().is_some_and(|it| users.contains(&it));
        if usage.texts.len() > before || of_user {
            usage.runs.push(run["run_id"].as_i64().unwrap_or_default());
        }
    }
    Ok(usage)
}

/// Collects the texts within a value that hold a word.
fn texts(value: &Value, word: &str, found: &mut Vec<String>) {
    match value {
        Value::String(it) if it.contains(word) => found.push(it.clone()),
        Value::Array(items) => items.iter().for_each(|it| texts(it, word, found)),
        Value::Object(map) => map.values().for_each(|it| texts(it, word, found)),
        _ => (),
    }
}
