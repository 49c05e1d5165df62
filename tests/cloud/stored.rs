//! What a write of a state says: which lease, which records, and how far they are.

use std::collections::BTreeSet;

use axum::http::{Method, request::Parts};
use serde_json::Value;

/// Returns the state that a request writes to a bucket; `None` where it is no such request.
pub(crate) fn of_request(head: &Parts, body: &[u8]) -> Option<Value> {
    let is_state = head.method == Method::PUT && head.uri.path().ends_with("/state.json");
    is_state.then(|| serde_json::from_slice(body).expect("a state is JSON"))
}

/// Says which shelf of a bucket a request writes to, beside the state.
pub(crate) fn shelf(head: &Parts) -> Option<&str> {
    let folder = head.uri.path().rsplit('/').nth(1).filter(|_| head.method == Method::PUT);
    folder.filter(|it| ["history", "journal"].contains(it))
}

/// Says whether a request that writes a state makes the first one.
pub(crate) fn is_first(head: &Parts) -> bool {
    head.headers.contains_key("if-none-match")
}

/// Says what one state has that the one before had not.
pub(crate) fn said(before: &Value, after: &Value) -> Vec<String> {
    let mut said = Vec::new();
    match (before["lease"]["epoch"].as_u64(), after["lease"]["epoch"].as_u64()) {
        (_, None) => said.push("the lease given back".to_owned()),
        (then, now) if then != now => said.push("the lease taken".to_owned()),
        _ => (),
    }
    if before["definition"] != after["definition"] {
        said.push("the definition".to_owned());
    }
    let records = |it: &Value| it["resources"].as_object().cloned().unwrap_or_default();
    let (before, after) = (records(before), records(after));
    for address in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        if before.get(address) != after.get(address) {
            let now = after.get(address);
            let status = now.and_then(|it| it["status"].as_str()).unwrap_or("forgotten");
            let known = now.is_some_and(|it| !it["id"].is_null());
            said.push(format!("{address} {status}{}", if known { ", known" } else { "" }));
        }
    }
    said
}
