//! What Databricks says when it refuses: several shapes of body, one error.

use reqwest::{StatusCode, header::HeaderMap};
use serde_json::Value;

use super::SERVICE;
use crate::client::{Error, Reason};

/// How much of an answer that is no JSON is shown.
const SHOWN: usize = 300;

/// What the code of an answer means, whatever its status: as the API reference lists them.
const CODES: &[(&str, Reason)] = &[
    ("RESOURCE_DOES_NOT_EXIST", Reason::Missing),
    ("NOT_FOUND", Reason::Missing),
    ("RESOURCE_ALREADY_EXISTS", Reason::Exists),
    ("ALREADY_EXISTS", Reason::Exists),
    ("PERMISSION_DENIED", Reason::Denied),
    ("CUSTOMER_UNAUTHORIZED", Reason::Denied),
    ("UNAUTHENTICATED", Reason::Denied),
    ("INVALID_TOKEN", Reason::Denied),
    ("INVALID_PARAMETER_VALUE", Reason::Invalid),
    ("MALFORMED_REQUEST", Reason::Invalid),
    ("INVALID_STATE", Reason::Invalid),
    ("DIRECTORY_NOT_EMPTY", Reason::Invalid),
    ("MAX_NOTEBOOK_SIZE_EXCEEDED", Reason::Invalid),
    ("MAX_BLOCK_SIZE_EXCEEDED", Reason::Invalid),
    // Comes with 403, and has nothing to do with who asks.
    ("MAX_CHILD_NODE_SIZE_EXCEEDED", Reason::Invalid),
    // A limit that waiting does not lift.
    ("RESOURCE_LIMIT_EXCEEDED", Reason::Invalid),
    ("QUOTA_EXCEEDED", Reason::Invalid),
    ("RESOURCE_EXHAUSTED", Reason::Throttled),
    ("REQUEST_LIMIT_EXCEEDED", Reason::Throttled),
    ("ABORTED", Reason::Busy),
    ("RESOURCE_CONFLICT", Reason::Busy),
    ("TEMPORARILY_UNAVAILABLE", Reason::Unavailable),
    ("DEADLINE_EXCEEDED", Reason::Unavailable),
];

/// Answers that say "not there" in other words: the operation, and what its message begins and ends with.
const MISSING: &[(&str, &str, &str)] = &[
    ("jobs/get", "Job ", " does not exist"),
    ("jobs/reset", "Job ", " does not exist"),
    ("jobs/delete", "Job ", " does not exist"),
    ("jobs/runs/get", "Run ", " does not exist"),
    ("jobs/runs/cancel", "Run ", " does not exist"),
    ("clusters/get", "Cluster ", " does not exist"),
];

/// Describes an answer that is no success.
pub(super) fn describe(operation: &'static str, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Error {
    let (code, message) = parse(body);
    let reason = classify(operation, status, code.as_deref(), &message);
    let message = match (code, message) {
        (Some(code), it) if it.is_empty() => format!("{code} ({status})"),
        (Some(code), it) => format!("{code}: {it}"),
        (None, it) if it.is_empty() => status.to_string(),
        (None, it) => format!("{it} ({status})"),
    };
    let request_id = headers.get("x-request-id").and_then(|it| it.to_str().ok()).map(str::to_owned);
    Error { request_id, ..Error::new(SERVICE, operation, reason, message) }
}

/// Takes the code and the text out of a body, whichever of its shapes it has.
fn parse(body: &[u8]) -> (Option<String>, String) {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    let Ok(json) = serde_json::from_str::<Value>(text) else { return plain(text) };
    let word = |key: &str| match json.get(key) {
        Some(Value::String(it)) if !it.is_empty() => Some(it.clone()),
        Some(Value::Number(it)) => Some(it.to_string()),
        _ => None,
    };
    // The common shape, that of 1.2, and that of SCIM. The last has a number for a code, which says no more than the status.
    let scim = word("scimType").filter(|it| it != "null");
    let code = word("error_code").filter(|it| !it.bytes().all(|it| it.is_ascii_digit())).or(scim);
    let message = word("message").or_else(|| word("error_description")).or_else(|| word("error"));
    let message = message.or_else(|| word("detail").filter(|it| it != "null")).unwrap_or_default();
    (code, message)
}

/// Reads `CODE: text`, or a page of HTML with the text within `<pre>`.
fn plain(text: &str) -> (Option<String>, String) {
    let inner = text.split_once("<pre>").and_then(|it| it.1.split_once("</pre>")).map(|it| it.0.trim());
    let text = inner.unwrap_or(text);
    if text.starts_with('<') {
        return (None, String::new());
    }
    let is_code = |it: &str| it.len() > 2 && it.chars().all(|it| it.is_ascii_uppercase() || it == '_');
    match text.split_once(": ").filter(|it| is_code(it.0)) {
        Some((code, message)) => (Some(code.to_owned()), message.chars().take(SHOWN).collect()),
        None => (None, text.chars().take(SHOWN).collect()),
    }
}

fn classify(operation: &str, status: StatusCode, code: Option<&str>, message: &str) -> Reason {
    if status == StatusCode::BAD_REQUEST {
        let missing = |it: &&(&str, &str, &str)| {
            let rest = message.find(it.1).map(|at| &message[at..]);
            it.0 == operation && rest.is_some_and(|rest| rest.contains(it.2))
        };
        if MISSING.iter().any(|it| missing(&it)) {
            return Reason::Missing;
        }
        // A notebook that is there already is refused without a code.
        if operation == "workspace/import" && message.trim_end_matches('.').ends_with("already exists") {
            return Reason::Exists;
        }
    }
    if let Some((_, reason)) = CODES.iter().find(|it| code == Some(it.0)) {
        return *reason;
    }
    match status.as_u16() {
        401 | 403 => Reason::Denied,
        404 => Reason::Missing,
        409 if operation == "workspace/import" => Reason::Exists,
        409 => Reason::Busy,
        429 => Reason::Throttled,
        408 | 499 => Reason::Unavailable,
        400..=499 | 501 => Reason::Invalid,
        _ => Reason::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(operation: &'static str, status: u16, body: &str) -> (Reason, String) {
        let status = StatusCode::from_u16(status).expect("a status");
        let err = describe(operation, status, &HeaderMap::new(), body.as_bytes());
        (err.reason, err.message)
    }

    #[test]
    fn every_shape_of_body_is_read() {
        for (status, body, reason, message) in [
            (
                404,
                r#"{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"no such scope"}"#,
                Reason::Missing,
                "RESOURCE_DOES_NOT_EXIST: no such scope",
            ),
            (
                400,
                r#"{"error_code":"INVALID_PARAMETER_VALUE"}"#,
                Reason::Invalid,
                "INVALID_PARAMETER_VALUE (400 Bad Request)",
            ),
            (403, r#"{"error":"no"}"#, Reason::Denied, "no (403 Forbidden)"),
            (409, r#"{"detail":"taken","status":"409","scimType":"uniqueness"}"#, Reason::Busy, "uniqueness: taken"),
            (401, r#"{"error_code":401,"message":"bad token"}"#, Reason::Denied, "bad token (401 Unauthorized)"),
            (400, "MALFORMED_REQUEST: vertex is missing", Reason::Invalid, "MALFORMED_REQUEST: vertex is missing"),
            (
                500,
                "<html><body><pre>INTERNAL_ERROR: sorry</pre></body></html>",
                Reason::Unavailable,
                "INTERNAL_ERROR: sorry",
            ),
            (502, "<html><h1>Bad gateway</h1></html>", Reason::Unavailable, "502 Bad Gateway"),
            (503, "", Reason::Unavailable, "503 Service Unavailable"),
            (429, "{}", Reason::Throttled, "429 Too Many Requests"),
        ] {
            assert_eq!(error("jobs/list", status, body), (reason, message.to_owned()), "{body}");
        }
    }

    #[test]
    fn the_code_goes_before_the_status() {
        let with = |status, code: &str| error("jobs/get", status, &format!(r#"{{"error_code":"{code}"}}"#)).0;
        assert_eq!(with(400, "RESOURCE_DOES_NOT_EXIST"), Reason::Missing);
        assert_eq!(with(400, "RESOURCE_ALREADY_EXISTS"), Reason::Exists);
        assert_eq!(with(400, "REQUEST_LIMIT_EXCEEDED"), Reason::Throttled);
        assert_eq!(with(403, "MAX_CHILD_NODE_SIZE_EXCEEDED"), Reason::Invalid);
        assert_eq!(with(404, "PERMISSION_DENIED"), Reason::Denied, "forbidden is never gone");
        assert_eq!(with(403, "SOMETHING_NEW"), Reason::Denied);
        assert_eq!(with(500, "TEMPORARILY_UNAVAILABLE"), Reason::Unavailable);
    }

    #[test]
    fn missing_in_other_words() {
        let gone = r#"{"error_code":"INVALID_PARAMETER_VALUE","message":"Job 8812 does not exist."}"#;
        assert_eq!(error("jobs/get", 400, gone).0, Reason::Missing);
        assert_eq!(error("jobs/create", 400, gone).0, Reason::Invalid, "only where it is asked for");
        let run = r#"{"error_code":"INVALID_PARAMETER_VALUE","message":"Run 7 does not exist."}"#;
        assert_eq!(error("jobs/runs/get", 400, run).0, Reason::Missing);
        assert_eq!(error("jobs/get", 400, run).0, Reason::Invalid);
        let there = r#"{"message":"Path (/Shared/a) already exists."}"#;
        assert_eq!(error("workspace/import", 400, there).0, Reason::Exists);
        assert_eq!(error("workspace/import", 409, "").0, Reason::Exists);
    }
}
