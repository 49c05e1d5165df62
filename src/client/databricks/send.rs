//! One request: authorized, within a deadline, sent again only where that does no harm.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{
    Client, Method, RequestBuilder, StatusCode,
    multipart::{Form, Part},
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{Hidden, SERVICE, auth::Authority, config::Config, fault, unusable};
use crate::client::{
    Error, Reason, Result,
    fence::{self, Gate},
    http, patience,
};

/// The longest that one attempt may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The most attempts.
const ATTEMPTS: u32 = 5;

/// A request to be sent.
pub(super) struct Call<'a> {
    /// What errors call it, such as `jobs/create`.
    pub(super) operation: &'static str,
    pub(super) method: Method,
    pub(super) path: &'a str,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Body,
    /// Whether it does no harm when it arrives twice.
    pub(super) twice: bool,
}

/// What a request carries.
pub(super) enum Body {
    None,
    Json(Value),
    /// Fields of a form, and the file that follows them.
    File(Vec<(&'static str, String)>, Bytes),
}

/// A workspace that can be spoken to.
#[derive(Debug)]
pub(super) struct Connection {
    http: Client,
    config: Config,
    authority: Authority,
}

/// What one attempt came to.
enum Attempt {
    Done(Value),
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
        let http = http::client(&[&config.host]).map_err(unusable)?;
        Ok(Self { http, authority: Authority::new(&config), config })
    }

    pub(super) fn host(&self) -> &str {
        &self.config.host
    }

    /// Sends a call and returns its answer; nothing is `null`.
    pub(super) async fn send(&self, call: &Call<'_>, gate: &Gate) -> Result<Value> {
        let end = Instant::now() + fence::LONGEST;
        let mut attempts = 0;
        loop {
            attempts += 1;
            if call.method != Method::GET {
                gate.pass().map_err(|it| Error::new(SERVICE, call.operation, Reason::Unavailable, it.to_string()))?;
            }
            let (err, pause, sent) = match self.attempt(call, end).await {
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

    async fn attempt(&self, call: &Call<'_>, end: Instant) -> Attempt {
        let (Hidden(token), workspace) = match self.authority.token(&self.http, &self.config.host).await {
            Ok(it) => it,
            // Nothing of the call itself was sent.
            Err(err) if err.reason == Reason::Unavailable => return Attempt::Again { err, pause: None, sent: false },
            Err(err) => return Attempt::Failed(err),
        };
        let mut request = self.request(call).bearer_auth(token);
        if let Some(id) = self.config.workspace_id.as_deref().or(workspace) {
            request = request.header("X-Databricks-Workspace-Id", id);
        }
        let left = end.saturating_duration_since(Instant::now()).min(patience::limit(PATIENCE));
        let answer = match request.timeout(left).send().await {
            Ok(it) => it,
            Err(err) => {
                let sent = !err.is_connect();
                return Attempt::Again { err: unsent(call.operation, err), pause: None, sent };
            }
        };
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = match answer.bytes().await {
            Ok(it) => it,
            Err(err) => return Attempt::Again { err: unsent(call.operation, err), pause: None, sent: true },
        };
        if status.is_success() {
            return parsed(call.operation, &body);
        }
        let err = fault::describe(call.operation, status, &headers, &body);
        match (err.reason, status) {
            // The service did not take it.
            (_, StatusCode::TOO_MANY_REQUESTS) | (Reason::Throttled, _) => {
                Attempt::Again { err, pause: http::retry_after(&headers), sent: false }
            }
            (Reason::Unavailable, _) => Attempt::Again { err, pause: http::retry_after(&headers), sent: true },
            _ => Attempt::Failed(err),
        }
    }

    fn request(&self, call: &Call<'_>) -> RequestBuilder {
        let request = self.http.request(call.method.clone(), format!("{}{}", self.config.host, call.path));
        let request = if call.query.is_empty() { request } else { request.query(&call.query) };
        match &call.body {
            Body::None => request,
            Body::Json(it) => request.json(it),
            Body::File(fields, content) => {
                let form = fields.iter().fold(Form::new(), |form, (key, value)| form.text(*key, value.clone()));
                // A reader of forms takes a part for a file only where it has a file's name.
                let part = Part::stream_with_length(content.clone(), content.len() as u64).file_name("content");
                request.multipart(form.part("content", part))
            }
        }
    }
}

fn parsed(operation: &'static str, body: &[u8]) -> Attempt {
    if body.is_empty() {
        return Attempt::Done(json!({}));
    }
    match serde_json::from_slice(body) {
        Ok(it) => Attempt::Done(it),
        // Such as the page of a login, or of a proxy. Whether the call took effect is open.
        Err(_) => Attempt::Again {
            err: Error::new(SERVICE, operation, Reason::Unavailable, "the answer is no JSON: is this a workspace?"),
            pause: None,
            sent: true,
        },
    }
}

/// Describes a request without an answer.
pub(super) fn unsent(operation: &'static str, err: reqwest::Error) -> Error {
    Error::new(SERVICE, operation, Reason::Unavailable, http::unsent(err, "the workspace"))
}
