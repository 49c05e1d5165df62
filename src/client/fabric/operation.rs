//! What takes long: operations of Fabric, each followed to its end.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{
    Fabric, SERVICE, fault,
    send::{Api, Call},
};
use crate::client::{
    Error, Reason, Result,
    http::{self, Answer},
};

/// How long an operation is followed.
const OPERATION: Duration = Duration::from_mins(10);
/// The longest pause between two looks.
const LONGEST: Duration = Duration::from_mins(1);

impl Fabric {
    /// Sends what may take long, and returns its result, which may be `null`; nothing where the service does not say how to
    /// ask for it, so that the end is not known.
    pub(super) async fn operate(&self, call: Call<'_>) -> Result<Option<Value>> {
        let name = call.operation;
        let connection = self.connection().await?;
        let answer = connection.send(&call, &self.gate).await?;
        if answer.status.as_u16() != 202 {
            return Ok(Some(answer.body));
        }
        // Its address may be on another host, which is not to see the token: the identifier suffices.
        let Some(id) = header(&answer, "x-ms-operation-id").or_else(|| last_part(&answer)) else {
            return Ok(None);
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
            Ok(it) => Ok(Some(it.body)),
            // Not every operation has a result.
            Err(err) if matches!(err.reason, Reason::Missing | Reason::Invalid) => Ok(Some(Value::Null)),
            Err(err) => Err(err),
        }
    }
}

pub(super) fn header(answer: &Answer, name: &str) -> Option<String> {
    let text = answer.headers.get(name)?.to_str().ok()?;
    (!text.is_empty()).then(|| text.to_owned())
}

/// The identifier at the end of the address that an answer names.
pub(super) fn last_part(answer: &Answer) -> Option<String> {
    let location = header(answer, "location")?;
    let path = location.split('?').next().unwrap_or_default().trim_end_matches('/');
    path.rsplit('/').next().filter(|it| !it.is_empty()).map(str::to_owned)
}

/// How long to wait before the next look: what the service asks for, else ever longer.
pub(super) fn pause(answer: &Answer, looks: u32) -> Duration {
    http::retry_after(&answer.headers).unwrap_or_else(|| http::backoff(looks)).min(LONGEST)
}
