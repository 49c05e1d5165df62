//! One request to the workspace: what it carries, and what comes back.

use bytes::Bytes;
use reqwest::{
    Client, Method, RequestBuilder, StatusCode,
    header::HeaderMap,
    multipart::{Form, Part},
};
use serde_json::{Value, json};

use super::{SERVICE, WHOM, auth::Authority, config::Config, fault, unusable};
use crate::client::{
    Error, Result,
    fence::Gate,
    http::{self, Ask, Hidden, Terms},
};

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

impl Connection {
    pub(super) fn new(config: Config) -> Result<Self> {
        let http = http::client(&[&config.host]).map_err(unusable)?;
        Ok(Self { http, authority: Authority::new(&config), config })
    }

    pub(super) fn host(&self) -> &str {
        &self.config.host
    }

    /// Sends a call and returns its answer; nothing is an empty object.
    pub(super) async fn send(&self, call: &Call<'_>, gate: &Gate) -> Result<Value> {
        let body = http::send(&Sending { connection: self, call }, gate).await?.body;
        Ok(if body.is_null() { json!({}) } else { body })
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

/// A call to one workspace.
struct Sending<'a> {
    connection: &'a Connection,
    call: &'a Call<'a>,
}

impl Ask for Sending<'_> {
    fn terms(&self) -> Terms {
        let Call { operation, twice, .. } = *self.call;
        Terms { service: SERVICE, operation, whom: WHOM, twice, reads: self.call.method == Method::GET }
    }

    async fn request(&self) -> Result<RequestBuilder> {
        let Connection { http, config, authority } = self.connection;
        let (Hidden(token), workspace) = authority.token(http, &config.host).await?;
        let request = self.connection.request(self.call).bearer_auth(token);
        Ok(match config.workspace_id.as_deref().or(workspace) {
            Some(id) => request.header("X-Databricks-Workspace-Id", id),
            None => request,
        })
    }

    fn refusal(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Error {
        fault::describe(self.call.operation, status, headers, body)
    }

    async fn forget(&self) -> bool {
        self.connection.authority.forget().await
    }
}
