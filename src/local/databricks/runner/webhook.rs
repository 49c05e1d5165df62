//! Webhooks: what a job's notification destinations are told, in the shape that Databricks gives it. No run waits for that:
//! each destination has a queue of its own, with a bound.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{
    Request,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use http_body_util::Full;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::{Value, json};
use tokio::{
    select,
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::Inner;
use crate::local::databricks::{
    auth::WORKSPACE,
    destination::{Destinations, Webhook, is_here},
    job::settings::{Settings, Task, WebhookNotifications},
    log::Log,
    run::{
        graph::is_failure,
        record::{Ending, Run},
    },
};

/// The longest that a destination may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pauses before each attempt.
const PAUSES: [Duration; 3] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(5)];

/// How many messages may wait for one destination; more are noted in the log, and lost.
const WAITING: usize = 64;

/// A message on its way: which event it tells of, and the body.
type Message = (String, Value);

/// Sends messages, in order for each destination.
pub(super) struct Outbox {
    destinations: Arc<Destinations>,
    log: Arc<Log>,
    queues: Mutex<BTreeMap<String, mpsc::Sender<Message>>>,
    stop: CancellationToken,
    senders: TaskTracker,
}

impl Outbox {
    /// Begins with nothing to send.
    pub(super) fn new(destinations: Arc<Destinations>, log: Arc<Log>) -> Self {
        Self {
            destinations,
            log,
            queues: Mutex::default(),
            stop: CancellationToken::new(),
            senders: TaskTracker::new(),
        }
    }

    /// Takes a message to send.
    fn put(&self, id: &str, event: &str, body: &Value) {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = queues.entry(id.to_owned()).or_insert_with(|| {
            let (queue, messages) = mpsc::channel(WAITING);
            let (destinations, log, stop) = (Arc::clone(&self.destinations), Arc::clone(&self.log), self.stop.clone());
            let id = id.to_owned();
            self.senders.spawn(async move {
                select! {
                    () = serve(&id, messages, &destinations, &log) => {}
                    () = stop.cancelled() => {}
                }
            });
            queue
        });
        if queue.try_send((event.to_owned(), body.clone())).is_err() {
            self.log.write(&format!("destination {id} was not told of {event}: too many messages wait for it"));
        }
    }

    /// Sends nothing more.
    pub(super) async fn close(&self) {
        self.stop.cancel();
        self.senders.close();
        self.senders.wait().await;
    }
}

/// Sends the messages of one destination, one after the other.
async fn serve(id: &str, mut messages: mpsc::Receiver<Message>, destinations: &Destinations, log: &Log) {
    while let Some((event, body)) = messages.recv().await {
        let Some(webhook) = destinations.find(id) else { continue };
        let mut told = Err(String::new());
        for pause in PAUSES {
            sleep(pause).await;
            told = post(&webhook, &body).await;
            if told.is_ok() {
                break;
            }
        }
        if let Err(why) = told {
            log.write(&format!("destination {id} was not told of {event}: {why}"));
        }
    }
}

/// The event that tells of an ending.
pub(super) fn event_of(result: Option<Ending>) -> &'static str {
    if result.is_none_or(is_failure) { "on_failure" } else { "on_success" }
}

/// Tells of a run.
pub(super) fn tell(inner: &Inner, run: &Run, settings: &Settings, event: &str) {
    let body = json!({
        "event_type": format!("jobs.{event}"),
        "workspace_id": WORKSPACE,
        "run": { "run_id": run.id },
        "job": { "job_id": run.job, "name": run.name() },
    });
    send(inner, settings.webhook_notifications.as_ref(), event, &body);
}

/// Tells of one task of a run.
pub(super) fn tell_of_task(inner: &Inner, run: &Run, task: &Task, event: &str) {
    let own = run.tasks.iter().find(|it| it.key == task.task_key).and_then(|it| it.last());
    let body = json!({
        "event_type": format!("jobs.{event}"),
        "workspace_id": WORKSPACE,
        "run": { "run_id": own.map(|it| it.id), "parent_run_id": run.id },
        "task": { "task_key": task.task_key },
        "job": { "job_id": run.job, "name": run.name() },
    });
    send(inner, task.webhook_notifications.as_ref(), event, &body);
}

fn send(inner: &Inner, webhooks: Option<&WebhookNotifications>, event: &str, body: &Value) {
    let events = webhooks.map(WebhookNotifications::events);
    for it in events.iter().flatten().filter(|it| it.0 == event).flat_map(|it| it.1) {
        inner.outbox.put(&it.id, event, body);
    }
}

async fn post(webhook: &Webhook, body: &Value) -> Result<(), String> {
    let url = webhook.url.as_deref().unwrap_or_default();
    // One that an earlier version took.
    if !is_here(url) {
        return Err(format!("{url} is not on this machine"));
    }
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

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::net::TcpListener;

    use super::*;
    use crate::local::gateway::record::Records;

    #[tokio::test]
    async fn a_destination_that_never_answers_holds_nobody_up_and_takes_no_more_than_its_share() {
        let dir = tempfile::tempdir().expect("directory");
        let silent = TcpListener::bind("127.0.0.1:0").await.expect("a server that says nothing");
        let url = format!("http://{}/", silent.local_addr().expect("address"));
        let kept = json!({ "a": { "name": "a", "webhook": { "url": url } } });
        std::fs::write(dir.path().join("d.json"), kept.to_string()).expect("written");
        let destinations = Destinations::new(Records::open(dir.path().join("d.json")).expect("records"));
        let log = Arc::new(Log::open(&dir.path().join("log")).expect("a log"));
        let outbox = Outbox::new(Arc::new(destinations), log);
        let began = Instant::now();
        for _ in 0..2 * WAITING {
            outbox.put("a", "on_start", &json!({}));
        }
        // The first is on its way, as the server sees.
        let _first = silent.accept().await.expect("a message");
        outbox.close().await;
        assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
        let log = std::fs::read_to_string(dir.path().join("log")).expect("a log");
        assert!(log.lines().count() >= WAITING - 1, "{log}");
        assert!(log.contains("too many messages wait for it"), "{log}");
    }
}
