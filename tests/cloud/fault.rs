//! What a cloud answers that is not at its best, in each service's own words.

use std::fmt::Write as _;

use axum::{
    body::Body,
    http::{Response, StatusCode, header},
};
use http_body_util::BodyExt as _;
use serde_json::json;

use crate::asked::Asked;

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Fault {
    /// Too many requests, in the service's own code; no effect.
    Throttled,
    /// A mistake of the service's, without a word; no effect.
    Internal,
    /// The service is away; no effect.
    Unavailable,
    /// The connection is closed before anything happened.
    Closed,
    /// It took effect, and the connection is closed instead of an answer.
    AnswerLost,
    /// It took effect, and the answer ends in the middle.
    CutShort,
    /// It took effect, and no answer comes for as long as anybody waits.
    Silent,
    /// It is not allowed.
    Denied,
    /// A look that does not see what is there.
    Stale,
}

impl Fault {
    pub(crate) const ALL: [Self; 9] = [
        Self::Closed,
        Self::Internal,
        Self::Unavailable,
        Self::Throttled,
        Self::AnswerLost,
        Self::CutShort,
        Self::Denied,
        Self::Stale,
        Self::Silent,
    ];

    /// Says whether such a request can fail like this.
    pub(crate) fn concerns(self, asked: &Asked) -> bool {
        // Who asks is always somebody.
        self != Self::Stale || !asked.mutating && asked.service != "sts"
    }

    pub(crate) const fn takes_effect(self) -> bool {
        matches!(self, Self::AnswerLost | Self::CutShort | Self::Silent)
    }

    /// Returns what is left of an answer; `None` where the connection is closed.
    pub(crate) async fn cut(self, answer: Response<Body>) -> Option<Response<Body>> {
        if self == Self::AnswerLost {
            return None;
        }
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map(|it| it.to_bytes()).unwrap_or_default();
        let half = body.slice(..body.len() / 2);
        let mut answer = Response::from_parts(head, Body::from_stream(Half(Some(half))));
        answer.headers_mut().insert(header::CONTENT_LENGTH, body.len().into());
        Some(answer)
    }

    /// Returns the answer; `None` where the connection is closed.
    pub(crate) fn answer(self, asked: &Asked) -> Option<Response<Body>> {
        let service = asked.service.as_str();
        let (status, code) = match (self, service) {
            (Self::Internal, _) => (500, ""),
            (Self::Unavailable, _) => (503, ""),
            (Self::Throttled, "s3") => (503, "SlowDown"),
            (Self::Throttled, "iam" | "monitoring" | "rds" | "sns" | "sts") => (400, "Throttling"),
            (Self::Throttled, "lambda" | "kafka") => (429, "TooManyRequestsException"),
            (Self::Throttled, "athena") => (400, "TooManyRequestsException"),
            (Self::Throttled, "databricks") => (429, "REQUEST_LIMIT_EXCEEDED"),
            (Self::Throttled, _) => (400, "ThrottlingException"),
            (Self::Denied, "s3" | "iam" | "monitoring" | "rds" | "sns" | "sts") => (403, "AccessDenied"),
            (Self::Denied, "databricks") => (403, "PERMISSION_DENIED"),
            (Self::Denied, _) => (403, "AccessDeniedException"),
            (Self::Stale, "s3") => (404, "NoSuchBucket"),
            (Self::Stale, "iam") => (404, "NoSuchEntity"),
            (Self::Stale, "rds") => (404, "DBInstanceNotFound"),
            (Self::Stale, "sns") => (404, "NotFound"),
            (Self::Stale, "kafka") => (404, "NotFoundException"),
            (Self::Stale, "glue") => (400, "EntityNotFoundException"),
            (Self::Stale, "athena") => (400, "InvalidRequestException"),
            (Self::Stale, "databricks") => (404, "RESOURCE_DOES_NOT_EXIST"),
            (Self::Stale, _) => (404, "ResourceNotFoundException"),
            (Self::Closed | Self::AnswerLost | Self::CutShort | Self::Silent, _) => return None,
        };
        let message = if self == Self::Stale { "it is not found" } else { "so it is today" };
        let answer = Response::builder().status(StatusCode::from_u16(status).expect("a status"));
        let answer = match service {
            _ if code.is_empty() => answer.body(Body::empty()),
            "monitoring" => {
                let answer = answer.header("smithy-protocol", "rpc-v2-cbor");
                answer.header(header::CONTENT_TYPE, "application/cbor").body(Body::from(cbor(code, message)))
            }
            "s3" | "iam" | "rds" | "sns" | "sts" => {
                let mut error = String::new();
                let kind = if status < 500 { "Sender" } else { "Receiver" };
                write!(error, "<Error><Type>{kind}</Type><Code>{code}</Code><Message>{message}</Message></Error>")
                    .expect("written");
                let text = if service == "s3" { error } else { format!("<ErrorResponse>{error}</ErrorResponse>") };
                answer.header(header::CONTENT_TYPE, "text/xml").body(Body::from(text))
            }
            "databricks" => {
                let text = json!({ "error_code": code, "message": message }).to_string();
                answer.header(header::CONTENT_TYPE, "application/json").body(Body::from(text))
            }
            _ => {
                let text = json!({ "__type": code, "message": message, "Message": message }).to_string();
                let answer = answer.header("x-amzn-errortype", code);
                answer.header(header::CONTENT_TYPE, "application/json").body(Body::from(text))
            }
        };
        Some(answer.expect("an answer"))
    }
}

/// An error as CBOR (RFC 8949): a map of two short texts.
fn cbor(code: &str, message: &str) -> Vec<u8> {
    let mut bytes = vec![0xa2];
    for text in ["__type", code, "message", message] {
        bytes.extend([0x78, u8::try_from(text.len()).expect("it is short")]);
        bytes.extend(text.as_bytes());
    }
    bytes
}

/// A body that breaks off.
struct Half(Option<bytes::Bytes>);

impl futures::Stream for Half {
    type Item = std::io::Result<bytes::Bytes>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        let end = || Err(std::io::Error::other("it breaks off"));
        std::task::Poll::Ready(Some(self.0.take().filter(|it| !it.is_empty()).map_or_else(end, Ok)))
    }
}
