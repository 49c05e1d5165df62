//! What Fabric, Power BI and the authority say when they refuse: three shapes of body, one error.

use reqwest::{StatusCode, header::HeaderMap};
use serde_json::Value;

use super::SERVICE;
use crate::client::{Error, Reason};

/// What a code means, whatever the status: as Fabric's and Power BI's references list them.
const CODES: &[(&str, Reason)] = &[
    ("ItemNotFound", Reason::Missing),
    ("EntityNotFound", Reason::Missing),
    ("WorkspaceNotFound", Reason::Missing),
    ("OperationNotFound", Reason::Missing),
    ("PowerBIEntityNotFound", Reason::Missing),
    ("ItemDisplayNameAlreadyInUse", Reason::Exists),
    ("ItemDisplayNameNotAvailableYet", Reason::Busy),
    ("ItemHasProtectedLabel", Reason::Denied),
    ("InsufficientPrivileges", Reason::Denied),
    ("InsufficientScopes", Reason::Denied),
    ("TokenExpired", Reason::Denied),
    ("RequestBlocked", Reason::Throttled),
    ("OperationInProgress", Reason::Busy),
    ("DatasetRefreshInProgress", Reason::Busy),
    // What a refresh is answered with while another one runs.
    ("RefreshInProgressException", Reason::Busy),
];

/// Describes an answer that is no success.
pub(super) fn describe(operation: &'static str, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Error {
    let parsed: Value = serde_json::from_slice(body).unwrap_or_default();
    let (code, message) = words(&parsed);
    let message = match (&code, message) {
        (Some(code), Some(it)) => format!("{code}: {it}"),
        (Some(code), None) => format!("{code} ({status})"),
        (None, Some(it)) => format!("{it} ({status})"),
        (None, None) => status.to_string(),
    };
    let reason = reason(code.as_deref(), status);
    let header = |name: &str| headers.get(name).and_then(|it| it.to_str().ok()).map(str::to_owned);
    let request_id = header("requestid").or_else(|| header("x-ms-request-id"));
    Error { request_id, ..Error::new(SERVICE, operation, reason, message) }
}

/// Describes what an operation that failed says of itself.
pub(super) fn of_operation(operation: &'static str, error: &Value) -> Error {
    let (code, message) = words(error);
    let reason = reason(code.as_deref(), StatusCode::BAD_REQUEST);
    let text = [code, message].into_iter().flatten().collect::<Vec<_>>().join(": ");
    let text = if text.is_empty() { "the operation failed, and does not say why".to_owned() } else { text };
    Error::new(SERVICE, operation, reason, text)
}

/// Takes code and text out of a body: Fabric's, Power BI's (within `error`), or OAuth's (where `error` is the code).
fn words(body: &Value) -> (Option<String>, Option<String>) {
    let inner = if body["error"].is_object() { &body["error"] } else { body };
    let word = |key: &str| inner[key].as_str().filter(|it| !it.is_empty()).map(str::to_owned);
    let code = word("errorCode").or_else(|| word("code")).or_else(|| word("error"));
    let details = inner["moreDetails"].as_array().into_iter().flatten().filter_map(|it| it["message"].as_str());
    let details: Vec<&str> = details.collect();
    let message = word("message").or_else(|| word("error_description"));
    let message = match (message, details.is_empty()) {
        (Some(it), false) => Some(format!("{it} {}", details.join(" "))),
        (it, true) => it,
        (None, false) => Some(details.join(" ")),
    };
    (code, message)
}

fn reason(code: Option<&str>, status: StatusCode) -> Reason {
    if let Some((_, reason)) = CODES.iter().find(|it| code == Some(it.0)) {
        return *reason;
    }
    match status.as_u16() {
        401 | 403 => Reason::Denied,
        404 => Reason::Missing,
        409 => Reason::Busy,
        429 => Reason::Throttled,
        408 => Reason::Unavailable,
        400..=499 => Reason::Invalid,
        _ => Reason::Unavailable,
    }
}
