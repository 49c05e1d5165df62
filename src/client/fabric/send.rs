//! One request to Fabric or Power BI: which API it is for, and what it carries.

use reqwest::{Client, Method, RequestBuilder, StatusCode, header::HeaderMap};
use serde_json::{Value, json};

use super::{SERVICE, auth::Tokens, config::Config, fault, unusable};
use crate::client::{
    Error, Result,
    fence::Gate,
    http::{self, Answer, Ask, Hidden, Terms},
};

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

/// A tenant that can be spoken to.
#[derive(Debug)]
pub(super) struct Connection {
    http: Client,
    config: Config,
    tokens: Tokens,
}

impl Connection {
    pub(super) fn new(config: Config) -> Result<Self> {
        let http = http::client(&[&config.authority, &config.fabric, &config.powerbi]).map_err(unusable)?;
        Ok(Self { http, config, tokens: Tokens::default() })
    }

    /// Sends a call and returns its answer. A 202 may come without a body, or with the word `null`.
    pub(super) async fn send(&self, call: &Call<'_>, gate: &Gate) -> Result<Answer> {
        http::send(&Sending { connection: self, call }, gate).await
    }
}

/// A call to one tenant.
struct Sending<'a> {
    connection: &'a Connection,
    call: &'a Call<'a>,
}

impl Ask for Sending<'_> {
    fn terms(&self) -> Terms {
        let Call { operation, twice, reads, .. } = *self.call;
        Terms { service: SERVICE, operation, whom: "the service", twice, reads }
    }

    async fn request(&self) -> Result<RequestBuilder> {
        let (Connection { http, config, tokens }, call) = (self.connection, self.call);
        let Hidden(token) = tokens.get(http, config, call.api).await?;
        let root = match call.api {
            Api::Fabric => &config.fabric,
            Api::PowerBi => &config.powerbi,
        };
        let request = http.request(call.method.clone(), format!("{root}{}", call.path)).bearer_auth(token);
        Ok(match &call.body {
            Some(it) => request.json(it),
            // A POST without a body must say so.
            None if call.method == Method::POST => request.json(&json!({})),
            None => request,
        })
    }

    fn refusal(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Error {
        fault::describe(self.call.operation, status, headers, body)
    }

    async fn forget(&self) -> bool {
        self.connection.tokens.forget(self.call.api).await;
        true
    }
}
