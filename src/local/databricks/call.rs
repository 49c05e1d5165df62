//! Bodies and errors in the shapes of Databricks' REST API: `{"error_code": …, "message": …}`.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::local::gateway::call::{Call, Fault};

/// What a call is answered with.
#[derive(Debug, PartialEq)]
pub(super) enum Reply {
    /// A JSON document.
    Json(Value),
    /// A file's content.
    Bytes(Bytes),
    /// A JSON document that is no success, in a shape of its own.
    Refusal(u16, Value),
}

/// What a call comes to.
pub(super) type Answer = Result<Reply, Fault>;

/// Answers with a document.
#[expect(clippy::unnecessary_wraps, reason = "it ends functions that may also refuse")]
pub(super) fn ok(document: Value) -> Answer {
    Ok(Reply::Json(document))
}

/// Answers that it was done.
pub(super) fn done() -> Answer {
    ok(json!({}))
}

/// Refuses a value.
pub(super) fn invalid(message: impl Into<String>) -> Fault {
    Fault::new(400, "INVALID_PARAMETER_VALUE", message)
}

/// Says that something is not there.
pub(super) fn missing(message: impl Into<String>) -> Fault {
    Fault::new(404, "RESOURCE_DOES_NOT_EXIST", message)
}

/// Says that something is there already.
pub(super) fn exists(message: impl Into<String>) -> Fault {
    Fault::new(400, "RESOURCE_ALREADY_EXISTS", message)
}

/// Says that there is no such API here.
pub(super) fn no_such_api(call: &Call) -> Fault {
    let message = format!("No API found for '{} /{}'", call.method, call.path.join("/"));
    Fault::new(404, "ENDPOINT_NOT_FOUND", message)
}

/// Reads the body. Fields that the API does not know are refused, with their place.
pub(super) fn input<T: DeserializeOwned>(call: &Call) -> Result<T, Fault> {
    let body = if call.body.is_empty() { b"{}".as_slice() } else { &call.body };
    let value: Value = serde_json::from_slice(body).map_err(|err| malformed(&err))?;
    read(value)
}

/// Reads a document, as [`input`] does.
pub(super) fn read<T: DeserializeOwned>(value: Value) -> Result<T, Fault> {
    serde_path_to_error::deserialize(value).map_err(|err| malformed(&err))
}

fn malformed(err: &dyn std::fmt::Display) -> Fault {
    Fault::new(400, "MALFORMED_REQUEST", format!("Could not parse request object: {err}"))
}

/// Reads a parameter that must be given.
pub(super) fn required<'a>(call: &'a Call, name: &str) -> Result<&'a str, Fault> {
    call.parameter(name).ok_or_else(|| invalid(format!("Missing required field: {name}")))
}

/// Reads a parameter of another type than text.
pub(super) fn parameter<T: std::str::FromStr>(call: &Call, name: &str) -> Result<Option<T>, Fault> {
    let parsed = call.parameter(name).map(|it| it.parse().map_err(|_| invalid(format!("{name} cannot be {it:?}"))));
    parsed.transpose()
}

/// Reads an identifier that must be given.
pub(super) fn id(call: &Call, name: &str) -> Result<i64, Fault> {
    parameter(call, name)?.ok_or_else(|| invalid(format!("Missing required field: {name}")))
}

/// A part of a list, from a page's token on, and the token of the next page.
pub(super) fn page<T>(all: Vec<T>, token: Option<&str>, size: usize) -> Result<(Vec<T>, Option<String>), Fault> {
    let from: usize = match token {
        None => 0,
        Some(it) => it.strip_prefix("at-").and_then(|it| it.parse().ok()).ok_or_else(|| {
            invalid(format!("Invalid page token {it:?}: take it from the answer before, and change nothing else"))
        })?,
    };
    let end = from.saturating_add(size);
    let next = (all.len() > end).then(|| format!("at-{end}"));
    Ok((all.into_iter().skip(from).take(size).collect(), next))
}

/// Now, as the API writes times: milliseconds since 1970.
pub(super) fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// A new identifier: positive, and larger than a floating point number can hold exactly, as the real ones are.
pub(super) fn new_id() -> i64 {
    use rand::RngExt;
    rand::rng().random_range(1 << 54..i64::MAX)
}

/// Renders what a call came to.
pub(super) fn render(answer: Answer) -> Response<Body> {
    let (status, kind, body) = match answer {
        Ok(Reply::Json(it)) => (200, "application/json", Bytes::from(it.to_string())),
        Ok(Reply::Refusal(status, it)) => (status, "application/json", Bytes::from(it.to_string())),
        Ok(Reply::Bytes(it)) => (200, "application/octet-stream", it),
        Err(fault) => {
            let body = json!({ "error_code": fault.code, "message": fault.message });
            (fault.status, "application/json", Bytes::from(body.to_string()))
        }
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert("x-databricks-org-id", HeaderValue::from_static(super::auth::WORKSPACE));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_to_the_end() {
        let all: Vec<u32> = (0..230).collect();
        let (first, next) = page(all.clone(), None, 100).expect("page");
        assert_eq!((first.len(), next.as_deref()), (100, Some("at-100")));
        let (last, next) = page(all.clone(), Some("at-200"), 100).expect("page");
        assert_eq!((last.len(), next), (30, None));
        let far = format!("at-{}", usize::MAX);
        assert_eq!(page(all.clone(), Some(&far), 100).expect("page"), (Vec::new(), None));
        assert_eq!(page(all, Some("x"), 100).expect_err("token").code, "INVALID_PARAMETER_VALUE");
    }

    #[test]
    fn identifiers_are_too_large_for_a_floating_point_number() {
        assert!((0..100).map(|_| new_id()).all(|it| it > 1 << 53));
    }
}
