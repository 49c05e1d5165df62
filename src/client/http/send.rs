//! One request to a REST API: authorized, within a deadline, sent again only where that does no harm. Which request, and what
//! a refusal means, is each client's own.

use std::time::Duration;

use reqwest::{RequestBuilder, StatusCode, header::HeaderMap};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{backoff, retry_after, unsent};
use crate::client::{
    Error, Reason, Result,
    fence::{self, Gate},
    patience,
};

/// The longest that one attempt may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The most attempts.
const ATTEMPTS: u32 = 5;
/// How long a request that changes nothing waits where the service has no time for it: services count by the minute.
const QUEUE: Duration = Duration::from_secs(90);

/// What a request is, whatever it asks for.
#[derive(Clone, Copy, Debug)]
pub(in crate::client) struct Terms {
    /// What errors call the service.
    pub(in crate::client) service: &'static str,
    /// What errors call the request, as the API's reference does.
    pub(in crate::client) operation: &'static str,
    /// Who answers, for people: `the workspace`.
    pub(in crate::client) whom: &'static str,
    /// Whether it does no harm when it arrives twice.
    pub(in crate::client) twice: bool,
    /// Whether it changes nothing.
    pub(in crate::client) reads: bool,
}

/// A request of one client.
pub(in crate::client) trait Ask: Sync {
    /// Returns what it is.
    fn terms(&self) -> Terms;
    /// Makes it, for one attempt: with a token, and without a deadline.
    fn request(&self) -> impl Future<Output = Result<RequestBuilder>> + Send;
    /// Describes an answer that is no success.
    fn refusal(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Error;
    /// Forgets the token that was refused; says whether there will be another one.
    fn forget(&self) -> impl Future<Output = bool> + Send;
}

/// An answer.
#[derive(Clone, Debug)]
pub(in crate::client) struct Answer {
    pub(in crate::client) status: StatusCode,
    pub(in crate::client) headers: HeaderMap,
    /// Nothing is `null`.
    pub(in crate::client) body: Value,
}

/// What one attempt came to.
enum Attempt {
    Done(Answer),
    /// It failed for good.
    Failed(Error),
    /// It may pass when sent again, after the pause that was asked for. `sent` says whether it may have taken effect.
    Again {
        err: Error,
        pause: Option<Duration>,
        sent: bool,
    },
}

/// Sends a request and returns its answer.
///
/// # Errors
/// The refusal, or that there is no answer.
pub(in crate::client) async fn send(ask: &impl Ask, gate: &Gate) -> Result<Answer> {
    let terms = ask.terms();
    let begun = Instant::now();
    let (mut end, mut attempts, mut renewed) = (begun + longest(terms, None), 0, false);
    loop {
        attempts += 1;
        if !terms.reads {
            gate.pass().map_err(|it| error(terms, it.to_string()))?;
        }
        let (err, pause, sent) = match attempt(ask, terms, end, &mut renewed).await {
            Attempt::Done(it) => return Ok(it),
            Attempt::Failed(err) => return Err(err),
            Attempt::Again { err, pause, sent } => (err, pause, sent),
        };
        end = end.max(begun + longest(terms, Some(err.reason)));
        let pause = pause.unwrap_or_else(|| backoff(attempts));
        if sent && !terms.twice || attempts == ATTEMPTS || Instant::now() + pause >= end {
            return Err(err);
        }
        sleep(pause).await;
    }
}

/// How long a request may take, with all attempts and pauses: what changes something is over within the time that a run's hold
/// on its stack allows for.
pub(super) fn longest(terms: Terms, failure: Option<Reason>) -> Duration {
    if terms.reads && failure == Some(Reason::Throttled) { QUEUE } else { fence::LONGEST }
}

async fn attempt(ask: &impl Ask, terms: Terms, end: Instant, renewed: &mut bool) -> Attempt {
    let request = match ask.request().await {
        Ok(it) => it,
        // Nothing of the request itself was sent.
        Err(err) if matches!(err.reason, Reason::Unavailable | Reason::Throttled) => {
            return Attempt::Again { err, pause: None, sent: false };
        }
        Err(err) => return Attempt::Failed(err),
    };
    let left = end.saturating_duration_since(Instant::now()).min(patience::limit(PATIENCE));
    let answer = match request.timeout(left).send().await {
        Ok(it) => it,
        Err(err) => {
            let sent = !err.is_connect();
            return Attempt::Again { err: error(terms, unsent(err, terms.whom)), pause: None, sent };
        }
    };
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = match answer.bytes().await {
        Ok(it) => it,
        Err(err) => return Attempt::Again { err: error(terms, unsent(err, terms.whom)), pause: None, sent: true },
    };
    if status.is_success() {
        let body = if body.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&body) };
        return match body {
            Ok(body) => Attempt::Done(Answer { status, headers, body }),
            // Such as the page of a login, or of a proxy. Whether the request took effect is open.
            Err(_) => {
                let text = format!("the answer is no JSON: is this {}?", terms.whom);
                Attempt::Again { err: error(terms, text), pause: None, sent: true }
            }
        };
    }
    let err = ask.refusal(status, &headers, &body);
    if status == StatusCode::UNAUTHORIZED && !*renewed && ask.forget().await {
        // The token may have been taken back: one more, once.
        *renewed = true;
        return Attempt::Again { err, pause: Some(Duration::ZERO), sent: false };
    }
    let pause = retry_after(&headers);
    match (err.reason, status) {
        // The service did not take it.
        (_, StatusCode::TOO_MANY_REQUESTS) | (Reason::Throttled, _) => Attempt::Again { err, pause, sent: false },
        (Reason::Unavailable, _) => Attempt::Again { err, pause, sent: true },
        _ => Attempt::Failed(err),
    }
}

fn error(terms: Terms, text: String) -> Error {
    Error::new(terms.service, terms.operation, Reason::Unavailable, text)
}
