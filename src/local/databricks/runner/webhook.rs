//! Webhooks: what a job's notification destinations are told, in the shape that Databricks gives it.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{
    Request,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use http_body_util::Full;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::Inner;
use crate::local::databricks::{
    auth::WORKSPACE,
    destination::Webhook,
    job::settings::{Settings, Task, WebhookNotifications},
    run::{
        graph::is_failure,
        record::{Ending, Run},
    },
};

/// The longest that a destination may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pauses before each attempt.
const PAUSES: [Duration; 3] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(5)];

/// The event that tells of an ending.
pub(super) fn event_of(result: Option<Ending>) -> &'static str {
    if result.is_none_or(is_failure) { "on_failure" } else { "on_success" }
}

/// Tells of a run.
pub(super) async fn tell(inner: &Inner, run: &Run, settings: &Settings, event: &str) {
    let body = json!({
        "event_type": format!("jobs.{event}"),
        "workspace_id": WORKSPACE,
        "run": { "run_id": run.id },
        "job": { "job_id": run.job, "name": run.name() },
    });
    send(inner, settings.webhook_notifications.as_ref(), event, &body).await;
}

/// Tells of one task of a run.
pub(super) async fn tell_of_task(inner: &Inner, run: &Run, task: &Task, event: &str) {
    let own = run.tasks.iter().find(|it| it.key == task.task_key).and_then(|it| it.last());
    let body = json!({
        "event_type": format!("jobs.{event}"),
        "workspace_id": WORKSPACE,
        "run": { "run_id": own.map(|it| it.id), "parent_run_id": run.id },
        "task": { "task_key": task.task_key },
        "job": { "job_id": run.job, "name": run.name() },
    });
    send(inner, task.webhook_notifications.as_ref(), event, &body).await;
}

async fn send(inner: &Inner, webhooks: Option<&WebhookNotifications>, event: &str, body: &Value) {
    let events = webhooks.map(WebhookNotifications::events);
    for it in events.iter().flatten().filter(|it| it.0 == event).flat_map(|it| it.1) {
        let Some(webhook) = inner.destinations.find(&it.id) else { continue };
        let mut told = Err(String::new());
        for pause in PAUSES {
            sleep(pause).await;
            told = post(&webhook, body).await;
            if told.is_ok() {
                break;
            }
        }
        if let Err(why) = told {
            inner.place.log.write(&format!("destination {} was not told of {event}: {why}", it.id));
        }
    }
}

async fn post(webhook: &Webhook, body: &Value) -> Result<(), String> {
    let url = webhook.url.as_deref().unwrap_or_default();
    let mut request = Request::post(url).header(CONTENT_TYPE, "application/json");
    if let (Some(user), Some(password)) = (&webhook.username, &webhook.password) {
        let credentials = BASE64_STANDARD.encode(format!("{user}:{password}"));
        request = request.header(AUTHORIZATION, format!("Basic {credentials}"));
    }
    let request = request.body(Full::new(Bytes::from(body.to_string()))).map_err(|err| err.to_string())?;
    // Destinations of a local cloud are on this machine, without TLS.
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    match timeout(PATIENCE, client.request(request)).await {
        Ok(Ok(it)) if it.status().is_success() => Ok(()),
        Ok(Ok(it)) => Err(it.status().to_string()),
        Ok(Err(err)) => Err(err.to_string()),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}
