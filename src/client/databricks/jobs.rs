//! Jobs: definitions that run when asked or by themselves. API 2.2.

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Databricks, read};
use crate::client::Result;

/// The most jobs that one page of a list holds.
const PAGE: usize = 100;
/// The lists within settings that come in pages.
const PAGED: [&str; 4] = ["tasks", "job_clusters", "environments", "parameters"];

/// A job as the workspace has it.
#[derive(Clone, Debug, Deserialize)]
pub struct Job {
    /// Its number: up to 2^63, beyond what a float holds.
    pub job_id: i64,
    /// When it was made, in milliseconds since 1970.
    #[serde(default)]
    pub created_time: i64,
    /// Who made it.
    #[serde(default)]
    pub creator_user_name: Option<String>,
    /// As whom it runs.
    #[serde(default)]
    pub run_as_user_name: Option<String>,
    /// Whether a list left out some of its tasks.
    #[serde(default)]
    pub has_more: bool,
    /// Its settings, as the API spells them.
    #[serde(default)]
    pub settings: Value,
}

#[derive(Deserialize)]
struct Created {
    job_id: i64,
}

impl Databricks {
    /// Makes a job, sending the request once. The API has no token that would make a second one harmless.
    ///
    /// # Errors
    /// After [`Reason::Unavailable`](crate::client::Reason) the job may be there or not: look it up by its tags.
    pub async fn create_job(&self, settings: Value) -> Result<i64> {
        const OPERATION: &str = "jobs/create";
        let answer = self.post_once(OPERATION, "/api/2.2/jobs/create", settings).await?;
        Ok(read::<Created>(OPERATION, answer)?.job_id)
    }

    /// Returns a job with all its tasks, however many pages they take.
    ///
    /// # Errors
    /// [`Reason::Missing`](crate::client::Reason) when there is none.
    pub async fn job(&self, id: i64) -> Result<Job> {
        const OPERATION: &str = "jobs/get";
        let mut whole: Option<Job> = None;
        let mut token: Option<String> = None;
        loop {
            let page = token.take().map(|it| ("page_token", it));
            let query = [("job_id", id.to_string())].into_iter().chain(page).collect();
            let answer = self.get(OPERATION, "/api/2.2/jobs/get", query).await?;
            token =
                answer.get("next_page_token").and_then(Value::as_str).map(str::to_owned).filter(|it| !it.is_empty());
            let next: Job = read(OPERATION, answer)?;
            let mut job = match whole.take() {
                Some(job) => merged(job, next),
                None => next,
            };
            if token.is_none() {
                job.has_more = false;
                return Ok(job);
            }
            whole = Some(job);
        }
    }

    /// Lists the jobs of exactly this name, without their tasks. Names need not be unique.
    ///
    /// # Errors
    /// That of the request.
    pub async fn jobs_named(&self, name: &str) -> Result<Vec<Job>> {
        let query = [("name", name.to_owned()), ("limit", PAGE.to_string())];
        let mut found: Vec<Job> = self.pages("jobs/list", "/api/2.2/jobs/list", &query, "jobs").await?;
        // The service does not tell upper case from lower.
        found.retain(|it| it.settings["name"] == name);
        Ok(found)
    }

    /// Lists all jobs of the workspace, with up to 100 of the tasks of each.
    ///
    /// # Errors
    /// That of the request.
    pub async fn jobs(&self) -> Result<Vec<Job>> {
        let query = [("expand_tasks", "true".to_owned()), ("limit", PAGE.to_string())];
        self.pages("jobs/list", "/api/2.2/jobs/list", &query, "jobs").await
    }

    /// Replaces all settings of a job; but without `run_as`, the old one stays.
    ///
    /// # Errors
    /// That of the request.
    pub async fn reset_job(&self, id: i64, settings: Value) -> Result<()> {
        let body = json!({ "job_id": id, "new_settings": settings });
        self.put("jobs/reset", Method::POST, "/api/2.2/jobs/reset", body).await.map(drop)
    }

    /// Deletes a job. Its runs are cancelled.
    ///
    /// # Errors
    /// [`Reason::Missing`](crate::client::Reason) when there is none.
    pub async fn delete_job(&self, id: i64) -> Result<()> {
        self.put("jobs/delete", Method::POST, "/api/2.2/jobs/delete", json!({ "job_id": id })).await.map(drop)
    }
}

/// Appends the lists of a later page.
fn merged(mut job: Job, mut next: Job) -> Job {
    for list in PAGED {
        let Some(Value::Array(more)) = next.settings.get_mut(list).map(Value::take) else { continue };
        match job.settings.get_mut(list) {
            Some(Value::Array(there)) => there.extend(more),
            _ => job.settings[list] = Value::Array(more),
        }
    }
    job
}
