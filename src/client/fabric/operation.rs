//! What takes long: operations of Fabric, and refreshes of models. Each is followed to its end.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    Fabric, SERVICE, fault,
    send::{Answer, Api, Call},
};
use crate::client::{Error, Reason, Result, http};

/// How long an operation is followed.
const OPERATION: Duration = Duration::from_mins(10);
/// How long a refresh is followed: as long as the service itself lets one of a small model take.
const REFRESH: Duration = Duration::from_hours(2);
/// The longest pause between two looks.
const LONGEST: Duration = Duration::from_mins(1);

impl Fabric {
    /// Sends what may take long, and returns its result; `null` where there is none, or where the service does not say
    /// how to ask for it.
    pub(super) async fn operate(&self, call: Call<'_>) -> Result<Value> {
        let name = call.operation;
        let connection = self.connection().await?;
        let answer = connection.send(&call, &self.gate).await?;
        if answer.status.as_u16() != 202 {
            return Ok(answer.body);
        }
        // Its address may be on another host, which is not to see the token: the identifier suffices.
        let Some(id) = header(&answer, "x-ms-operation-id").or_else(|| last_part(&answer)) else {
            return Ok(Value::Null);
        };
        let path = format!("/v1/operations/{id}");
        let (end, mut looks, mut before) = (Instant::now() + OPERATION, 0, answer);
        loop {
            looks += 1;
            sleep(pause(&before, looks)).await;
            let state = connection.send(&Call::again(name, Method::GET, Api::Fabric, &path), &self.gate).await?;
            match state.body["status"].as_str() {
                Some("Succeeded") => break,
                Some("Failed" | "Undefined") => return Err(fault::of_operation(name, &state.body["error"])),
                _ if Instant::now() > end => {
                    let text = format!("operation {id} did not end within {} minutes", OPERATION.as_secs() / 60);
                    return Err(Error::new(SERVICE, name, Reason::Unavailable, text));
                }
                _ => before = state,
            }
        }
        let path = format!("{path}/result");
        match connection.send(&Call::again(name, Method::GET, Api::Fabric, &path), &self.gate).await {
            Ok(it) => Ok(it.body),
            // Not every operation has a result.
            Err(err) if matches!(err.reason, Reason::Missing | Reason::Invalid) => Ok(Value::Null),
            Err(err) => Err(err),
        }
    }

    /// Loads a model's data anew and waits for the end; returns why it failed, where it did.
    ///
    /// # Errors
    /// [`Reason::Busy`] while another refresh runs; or why it cannot be asked for.
    pub async fn refresh(&self, workspace: &str, model: &str) -> Result<Option<String>> {
        const NAME: &str = "RefreshDataset";
        let path = format!("/v1.0/myorg/groups/{workspace}/datasets/{model}/refreshes");
        let connection = self.connection().await?;
        // No notification: that setting must be left out of refreshes that can be asked about.
        let body = json!({ "type": "Full", "commitMode": "Transactional", "retryCount": 1 });
        let call = Call::once(NAME, Method::POST, Api::PowerBi, &path).body(body);
        let answer = match connection.send(&call, &self.gate).await {
            Ok(it) => it,
            // Without a capacity of its own, a workspace takes plain refreshes alone.
            Err(err) if err.reason == Reason::Invalid => {
                let body = json!({ "notifyOption": "NoNotification" });
                let call = Call::once(NAME, Method::POST, Api::PowerBi, &path).body(body);
                connection.send(&call, &self.gate).await?
            }
            Err(err) => return Err(err),
        };
        let id = last_part(&answer).or_else(|| header(&answer, "requestid"));
        let (end, mut looks, mut before) = (Instant::now() + REFRESH, 0, answer);
        loop {
            looks += 1;
            sleep(pause(&before, looks)).await;
            let history = format!("{path}?$top=10");
            let state = connection.send(&Call::again(NAME, Method::GET, Api::PowerBi, &history), &self.gate).await?;
            let all = state.body["value"].as_array().cloned().unwrap_or_default();
            let ours = |it: &&Value| id.as_deref().is_none_or(|id| it["requestId"].as_str() == Some(id));
            // While it is not listed yet, or runs, its status is `Unknown`.
            match all.iter().find(ours).and_then(|it| Some((it["status"].as_str()?, it))) {
                Some(("Completed", _)) => return Ok(None),
                Some((status @ ("Failed" | "Disabled" | "Cancelled"), it)) => return Ok(Some(why(status, it))),
                _ if Instant::now() > end => {
                    let text = format!("the refresh did not end within {} minutes", REFRESH.as_secs() / 60);
                    return Err(Error::new(SERVICE, NAME, Reason::Unavailable, text));
                }
                _ => before = state,
            }
        }
    }
}

/// What the history says of a refresh that failed: JSON within JSON.
fn why(status: &str, it: &Value) -> String {
    let told = it["serviceExceptionJson"].as_str().unwrap_or_default();
    let inner: Value = serde_json::from_str(told).unwrap_or_default();
    let words = [inner["errorCode"].as_str(), inner["errorDescription"].as_str()];
    let words: Vec<&str> = words.into_iter().flatten().filter(|it| !it.is_empty()).collect();
    if words.is_empty() { status.to_lowercase() } else { words.join(": ") }
}

fn header(answer: &Answer, name: &str) -> Option<String> {
    let text = answer.headers.get(name)?.to_str().ok()?;
    (!text.is_empty()).then(|| text.to_owned())
}

/// The identifier at the end of the address that an answer names.
fn last_part(answer: &Answer) -> Option<String> {
    let location = header(answer, "location")?;
    let path = location.split('?').next().unwrap_or_default().trim_end_matches('/');
    path.rsplit('/').next().filter(|it| !it.is_empty()).map(str::to_owned)
}

/// How long to wait before the next look: what the service asks for, else ever longer.
fn pause(answer: &Answer, looks: u32) -> Duration {
    http::retry_after(&answer.headers).unwrap_or_else(|| http::backoff(looks)).min(LONGEST)
}
