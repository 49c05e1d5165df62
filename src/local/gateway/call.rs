//! One request to an API that the gateway answers itself, and what it is answered with. Knows no service.

use axum::{
    body::Body,
    http::{HeaderValue, Method, Response, StatusCode, header::CONTENT_TYPE},
};
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

/// The header in which AWS names the error of a JSON API.
const ERROR_TYPE: &str = "x-amzn-errortype";
/// The header in which AWS identifies a request.
const REQUEST_ID: &str = "x-amzn-requestid";

/// A request, taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// The method.
    pub(crate) method: Method,
    /// The segments of the path, decoded one by one: an ARN within a path is one segment.
    pub(crate) path: Vec<String>,
    /// The query, decoded, in order.
    pub(crate) query: Vec<(String, String)>,
    /// The body.
    pub(crate) body: Bytes,
    /// The region that the request was signed for.
    pub(crate) region: String,
}

impl Call {
    /// Takes a path and a query apart.
    pub(crate) fn new(method: Method, path: &str, query: &str, body: Bytes, region: String) -> Self {
        let segments = path.trim_matches('/').split('/');
        Self {
            method,
            path: segments.map(|it| percent_decode_str(it).decode_utf8_lossy().into_owned()).collect(),
            query: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            body,
            region,
        }
    }

    /// Returns the method and the path, to match on.
    pub(crate) fn route(&self) -> (&str, Vec<&str>) {
        (self.method.as_str(), self.path.iter().map(String::as_str).collect())
    }

    /// Reads the body as JSON; an empty one counts as `{}`.
    pub(crate) fn input<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        let body = if self.body.is_empty() { b"{}".as_slice() } else { &self.body };
        serde_json::from_slice(body).map_err(|err| Fault::new(400, "BadRequestException", err.to_string()))
    }

    /// Returns a query parameter; an empty one counts as absent.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// Returns all values of a query parameter.
    pub(crate) fn parameters(&self, name: &str) -> Vec<&str> {
        self.query.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }
}

/// What a call is answered with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    /// A JSON document.
    Json(u16, Value),
    /// An XML document.
    Xml(u16, String),
    /// Nothing but a status.
    Empty(u16),
    /// It is not the gateway's: the request goes on as it came.
    Pass,
}

impl Reply {
    /// Answers with a JSON document and 200.
    pub(crate) fn ok(document: Value) -> Self {
        Self::Json(200, document)
    }

    /// Renders the answer; `None` for [`Reply::Pass`].
    pub(crate) fn render(self) -> Option<Response<Body>> {
        let (status, kind, body) = match self {
            Self::Json(status, document) => (status, "application/json", document.to_string()),
            Self::Xml(status, document) => (status, "text/xml", document),
            Self::Empty(status) => (status, "", String::new()),
            Self::Pass => return None,
        };
        Some(response(status, kind, body))
    }
}

/// A refusal, as the API that was called would put it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct Fault {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The error's name in the API.
    pub(crate) code: &'static str,
    /// What is wrong, in words.
    pub(crate) message: String,
}

impl Fault {
    /// Describes a refusal.
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// Renders it for a JSON API.
    pub(crate) fn json(&self) -> Response<Body> {
        // Services disagree on the spelling; the SDKs read both.
        let body = json!({ "__type": self.code, "message": self.message, "Message": self.message }).to_string();
        let mut response = response(self.status, "application/json", body);
        response.headers_mut().insert(ERROR_TYPE, HeaderValue::from_static(self.code));
        response
    }
}

fn response(status: u16, kind: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if !kind.is_empty() {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    if let Ok(id) = HeaderValue::from_str(&Uuid::new_v4().to_string()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_in_a_path_is_one_segment() {
        let path = "/v1/clusters/arn%3Aaws%3Akafka%3Aus-east-1%3A0%3Acluster%2Fa%2Fb-1/topics";
        let call = Call::new(Method::GET, path, "topicNameFilter=a%2Bb&maxResults=", Bytes::new(), String::new());
        assert_eq!(call.route(), ("GET", vec!["v1", "clusters", "arn:aws:kafka:us-east-1:0:cluster/a/b-1", "topics"]));
        assert_eq!(call.parameter("topicNameFilter"), Some("a+b"));
        assert_eq!(call.parameter("maxResults"), None);
        assert!(call.input::<Value>().is_ok_and(|it| it == json!({})));
    }
}
