//! One request: authorized for its API, within a deadline, sent again only where that does no harm.

use std::time::Duration;

use reqwest::{Client, Method, StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    SERVICE,
    auth::Tokens,
    config::{Config, Hidden},
    fault, unusable,
};
use crate::client::{
    Error, Reason, Result,
    fence::{self, Gate},
    http, patience,
};

/// The longest that one attempt may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The most attempts.
const ATTEMPTS: u32 = 5;

/// Which API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    Fabric,
    PowerBi,
}

impl Api {
    /// What a token must be asked for.
    pub(super) const fn scope(self) -> &'static str {
        match self {
            Self::Fabric => "https://api.fabric.microsoft.com/.default",
            Self::PowerBi => "https://analysis.windows.net/powerbi/api/.default",
        }
    }
}

/// A request to be sent.
pub(super) struct Call<'a> {
    /// What errors call it, as the API's reference does.
    pub(super) operation: &'static str,
    pub(super) method: Method,
    pub(super) api: Api,
    /// With its query.
    pub(super) path: &'a str,
    pub(super) body: Option<Value>,
    /// Whether it does no harm when it arrives twice.
    pub(super) twice: bool,
    /// Whether it changes nothing.
    pub(super) reads: bool,
}

impl<'a> Call<'a> {
    /// What does no harm when it arrives twice.
    pub(super) fn again(operation: &'static str, method: Method, api: Api, path: &'a str) -> Self {
        let reads = method == Method::GET;
        Self { operation, method, api, path, body: None, twice: true, reads }
    }

    /// What must not arrive twice.
    pub(super) fn once(operation: &'static str, method: Method, api: Api, path: &'a str) -> Self {
        Self { twice: false, ..Self::again(operation, method, api, path) }
    }

    pub(super) fn body(self, it: Value) -> Self {
        Self { body: Some(it), ..self }
    }

    /// Says that it changes nothing, whatever its method.
    pub(super) fn reading(self) -> Self {
        Self { reads: true, ..self }
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Nothing is `null`.
    pub(super) body: Value,
}

/// A tenant that can be spoken to.
#[derive(Debug)]
pub(super) struct Connection {
    http: Client,
    config: Config,
    tokens: Tokens,
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

impl Connection {
    pub(super) fn new(config: Config) -> Result<Self> {
        let http = http::client(&[&config.authority, &config.fabric, &config.powerbi]).map_err(unusable)?;
        Ok(Self { http, config, tokens: Tokens::default() })
    }

    /// Sends a call and returns its answer.
    pub(super) async fn send(&self, call: &Call<'_>, gate: &Gate) -> Result<Answer> {
        let end = Instant::now() + fence::LONGEST;
        let (mut attempts, mut renewed) = (0, false);
        loop {
            attempts += 1;
            if !call.reads {
                gate.pass().map_err(|it| Error::new(SERVICE, call.operation, Reason::Unavailable, it.to_string()))?;
            }
            let (err, pause, sent) = match self.attempt(call, end, &mut renewed).await {
                Attempt::Done(it) => return Ok(it),
                Attempt::Failed(err) => return Err(err),
                Attempt::Again { err, pause, sent } => (err, pause, sent),
            };
            let pause = pause.unwrap_or_else(|| http::backoff(attempts));
            if sent && !call.twice || attempts == ATTEMPTS || Instant::now() + pause >= end {
                return Err(err);
            }
            sleep(pause).await;
        }
    }

    async fn attempt(&self, call: &Call<'_>, end: Instant, renewed: &mut bool) -> Attempt {
        let Hidden(token) = match self.tokens.get(&self.http, &self.config, call.api).await {
            Ok(it) => it,
            // Nothing of the call itself was sent.
            Err(err) if matches!(err.reason, Reason::Unavailable | Reason::Throttled) => {
                return Attempt::Again { err, pause: None, sent: false };
            }
            Err(err) => return Attempt::Failed(err),
        };
        let root = match call.api {
            Api::Fabric => &self.config.fabric,
            Api::PowerBi => &self.config.powerbi,
        };
        let request = self.http.request(call.method.clone(), format!("{root}{}", call.path)).bearer_auth(token);
        let request = match &call.body {
            Some(it) => request.json(it),
            // A POST without a body must say so.
            None if call.method == Method::POST => request.json(&json!({})),
            None => request,
        };
        let unsent = |err| Error::new(SERVICE, call.operation, Reason::Unavailable, http::unsent(err, "the service"));
        let left = end.saturating_duration_since(Instant::now()).min(patience::limit(PATIENCE));
        let answer = match request.timeout(left).send().await {
            Ok(it) => it,
            Err(err) => {
                let sent = !err.is_connect();
                return Attempt::Again { err: unsent(err), pause: None, sent };
            }
        };
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = match answer.bytes().await {
            Ok(it) => it,
            Err(err) => return Attempt::Again { err: unsent(err), pause: None, sent: true },
        };
        if status.is_success() {
            // A 202 may come without a body, or with the word `null`.
            let body = if body.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&body) };
            return match body {
                Ok(body) => Attempt::Done(Answer { status, headers, body }),
                Err(_) => {
                    let text = "the answer is no JSON: is this the API?";
                    let err = Error::new(SERVICE, call.operation, Reason::Unavailable, text);
                    Attempt::Again { err, pause: None, sent: true }
                }
            };
        }
        let err = fault::describe(call.operation, status, &headers, &body);
        if status == StatusCode::UNAUTHORIZED && !*renewed {
            // The token may have been taken back: one more, once.
            *renewed = true;
            self.tokens.forget(call.api).await;
            return Attempt::Again { err, pause: Some(Duration::ZERO), sent: false };
        }
        let pause = http::retry_after(&headers);
        match (err.reason, status) {
            // The service did not take it.
            (_, StatusCode::TOO_MANY_REQUESTS) | (Reason::Throttled, _) => Attempt::Again { err, pause, sent: false },
            (Reason::Unavailable, _) => Attempt::Again { err, pause, sent: true },
            _ => Attempt::Failed(err),
        }
    }
}
