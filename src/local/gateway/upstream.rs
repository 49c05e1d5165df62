//! The cloud behind the gateway: requests passed on as they came, and the gateway's own.
//!
//! Own requests carry a credential scope, so that the cloud can tell account, region and service, but no signature: the
//! cloud is on this machine and checks none.

use axum::body::Body;
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode, Uri,
    header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, ETAG, EXPECT, HeaderName, TRANSFER_ENCODING, UPGRADE},
    uri::{Authority, PathAndQuery, Scheme},
};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// The headers that concern one connection and are not passed on.
const HOP: [HeaderName; 4] = [CONNECTION, UPGRADE, EXPECT, TRANSFER_ENCODING];
/// What may stand in a path segment as it is.
const SEGMENT: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The cloud behind the gateway.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    passing: Client<HttpConnector, Body>,
    own: Client<HttpConnector, Full<Bytes>>,
    authority: Authority,
    account: String,
}

/// Why the cloud could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("the cloud at {authority} does not answer: {cause}")]
pub(crate) struct Unreachable {
    authority: Authority,
    cause: Box<dyn std::error::Error + Send + Sync>,
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: StatusCode,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: Bytes,
}

impl Answer {
    /// Reads the body as JSON; `null` where it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The tag of the object that it is about; empty where it is about none.
    pub(crate) fn tag(&self) -> String {
        self.headers.get(ETAG).and_then(|it| it.to_str().ok()).unwrap_or_default().to_owned()
    }

    /// Describes a refusal: the status and the beginning of the body.
    pub(crate) fn refusal(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        format!("{}: {}", self.status, text.chars().take(300).collect::<String>())
    }
}

impl Upstream {
    /// Prepares connections to `http://host:port`. Sends nothing yet.
    ///
    /// # Errors
    /// Fails when the text is not such a URL.
    pub(crate) fn new(url: &str, account: &str) -> Result<Self, http::uri::InvalidUri> {
        let authority = url.trim_start_matches("http://").trim_end_matches('/').parse()?;
        let client = || {
            let mut builder = Client::builder(TokioExecutor::new());
            builder.pool_timer(TokioTimer::new()).pool_idle_timeout(std::time::Duration::from_secs(20));
            builder
        };
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(std::time::Duration::from_secs(5)));
        Ok(Self {
            passing: client().build(connector.clone()),
            own: client().build(connector),
            authority,
            account: account.to_owned(),
        })
    }

    /// Passes a request on: same method, path, query, headers and body, streaming both ways.
    pub(crate) async fn pass(&self, mut request: Request<Body>) -> Result<Response<Body>, Unreachable> {
        let target = request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        *request.uri_mut() = self.uri(target);
        for it in &HOP {
            request.headers_mut().remove(it);
        }
        let mut response = self.passing.request(request).await.map_err(|err| self.unreachable(err))?;
        for it in &HOP {
            response.headers_mut().remove(it);
        }
        Ok(response.map(Body::new))
    }

    /// Starts a request of the gateway's own. `path` is encoded already.
    pub(crate) fn request(&self, method: &str, path: &str, service: &str, region: &str) -> http::request::Builder {
        let scope = format!(
            "AWS4-HMAC-SHA256 Credential={}/19700101/{region}/{service}/aws4_request, SignedHeaders=host, Signature=0",
            self.account
        );
        let target = path.parse().unwrap_or(PathAndQuery::from_static("/"));
        Request::builder().method(method).uri(self.uri(target)).header(AUTHORIZATION, scope)
    }

    /// Sends a request of the gateway's own and reads the answer to its end.
    pub(crate) async fn send(&self, request: http::request::Builder, body: Bytes) -> Result<Answer, Unreachable> {
        let request = request.body(Full::new(body)).map_err(|err| self.unreachable(err))?;
        let response = self.own.request(request).await.map_err(|err| self.unreachable(err))?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(|err| self.unreachable(err))?.to_bytes();
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    /// Sends a request to a service that speaks AWS's JSON protocol.
    pub(crate) async fn ask(
        &self,
        service: &str,
        region: &str,
        target: &str,
        input: &Value,
    ) -> Result<Answer, Unreachable> {
        let request = self
            .request("POST", "/", service, region)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1"))
            .header("x-amz-target", target);
        self.send(request, Bytes::from(input.to_string())).await
    }

    fn uri(&self, target: PathAndQuery) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(target);
        // All three parts are there, which is all that can be missing.
        Uri::from_parts(parts).unwrap_or_default()
    }

    fn unreachable(&self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Unreachable {
        Unreachable { authority: self.authority.clone(), cause: cause.into() }
    }
}

/// Encodes one segment of a path.
pub(crate) fn segment(text: &str) -> String {
    utf8_percent_encode(text, &SEGMENT).to_string()
}
