//! The function, asked once with one event, and what its answer means for the batch.

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::local::gateway::{
    cloudwatch::source::Meter,
    upstream::{self, Upstream},
};

/// What became of one invocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All records are done.
    Done,
    /// These records, by partition name and offset, are not; the earlier ones of their partitions are.
    Partly(Vec<(String, i64)>),
    /// The function failed.
    Failed(Failure),
    /// The function was not asked, or its answer is lost: says nothing about the records.
    Unasked(String),
}

/// How the function failed, as Lambda reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Failure {
    /// `Handled` or `Unhandled`.
    pub(super) error: String,
    /// The version that ran.
    pub(super) version: String,
    /// The request.
    pub(super) request: String,
    /// The beginning of what it answered.
    pub(super) message: String,
}

/// Something that takes events.
pub(super) trait Target: Send + Sync {
    /// Sends one event and waits for the answer.
    fn invoke(&self, event: Bytes) -> BoxFuture<'_, Verdict>;
}

/// A function behind the gateway.
#[derive(Debug)]
pub(super) struct Function {
    upstream: Upstream,
    path: String,
    region: String,
    reports_items: bool,
    arn: String,
    meter: Meter,
}

impl Function {
    /// Points at a function by its ARN, with a version or alias behind it or not.
    pub(super) fn new(upstream: Upstream, arn: &str, region: &str, reports_items: bool, meter: Meter) -> Self {
        let path = format!("/2015-03-31/functions/{}/invocations", upstream::segment(arn));
        Self { upstream, path, region: region.to_owned(), reports_items, arn: arn.to_owned(), meter }
    }
}

impl Target for Function {
    fn invoke(&self, event: Bytes) -> BoxFuture<'_, Verdict> {
        Box::pin(async move {
            let request = self
                .upstream
                .request("POST", &self.path, "lambda", &self.region)
                .header("content-type", "application/json")
                .header("x-amz-invocation-type", "RequestResponse");
            let running = self.meter.begin(&self.region, &self.arn);
            match self.upstream.send(request, event).await {
                Ok(it) => {
                    running.end(it.status, &it.headers);
                    judge(it.status, &it.headers, &it.body, self.reports_items)
                }
                Err(err) => Verdict::Unasked(err.to_string()),
            }
        })
    }
}

/// Reads an answer of Lambda's Invoke.
fn judge(status: StatusCode, headers: &HeaderMap, body: &[u8], reports_items: bool) -> Verdict {
    let text = || String::from_utf8_lossy(body).chars().take(300).collect::<String>();
    let header = |name: &str| headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default().to_owned();
    if !status.is_success() {
        return Verdict::Unasked(format!("{status}: {}", text()));
    }
    let failure = |error: String, message: String| Failure {
        error,
        version: Some(header("x-amz-executed-version")).filter(|it| !it.is_empty()).unwrap_or("$LATEST".into()),
        request: header("x-amzn-requestid"),
        message,
    };
    if headers.contains_key("x-amz-function-error") {
        return Verdict::Failed(failure(header("x-amz-function-error"), text()));
    }
    if !reports_items {
        return Verdict::Done;
    }
    match failed_items(body) {
        Some(items) if items.is_empty() => Verdict::Done,
        Some(items) => Verdict::Partly(items),
        None => Verdict::Failed(failure("Handled".into(), format!("not a list of failed items: {}", text()))),
    }
}

/// Reads `{"batchItemFailures":[{"itemIdentifier":{"partition":"orders-0","offset":15}}]}`; `None` when an item is not of
/// that form. No answer, and an answer without the list, mean that nothing failed.
fn failed_items(body: &[u8]) -> Option<Vec<(String, i64)>> {
    if body.trim_ascii().is_empty() {
        return Some(Vec::new());
    }
    let answer: Value = serde_json::from_slice(body).ok()?;
    let items = match answer.get("batchItemFailures") {
        None | Some(Value::Null) => return Some(Vec::new()),
        Some(it) => it.as_array()?,
    };
    let item = |it: &Value| {
        let id = it.get("itemIdentifier")?;
        Some((id.get("partition")?.as_str()?.to_owned(), id.get("offset")?.as_i64()?))
    };
    items.iter().map(item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, error: Option<&str>, body: &str, reports: bool) -> Verdict {
        let mut headers = HeaderMap::new();
        if let Some(it) = error {
            headers.insert("x-amz-function-error", it.parse().expect("a header"));
        }
        judge(StatusCode::from_u16(status).expect("a status"), &headers, body.as_bytes(), reports)
    }

    #[test]
    fn only_the_function_itself_can_fail_a_batch() {
        assert_eq!(judged(200, None, "null", false), Verdict::Done);
        assert!(
            matches!(judged(200, Some("Unhandled"), "{}", false), Verdict::Failed(it) if it.error == "Unhandled" && it.version == "$LATEST")
        );
        for status in [404, 429, 500, 503] {
            assert!(matches!(judged(status, None, "{}", true), Verdict::Unasked(_)), "{status}");
        }
    }

    #[test]
    fn reported_items_are_read_when_asked_for() {
        let body = r#"{"batchItemFailures":[{"itemIdentifier":{"partition":"orders-0","offset":15}}]}"#;
        assert_eq!(judged(200, None, body, true), Verdict::Partly(vec![("orders-0".into(), 15)]));
        assert_eq!(judged(200, None, body, false), Verdict::Done);
        for done in ["", "null", "{}", r#"{"batchItemFailures":[]}"#, r#"{"batchItemFailures":null}"#] {
            assert_eq!(judged(200, None, done, true), Verdict::Done, "{done}");
        }
        for bad in [r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#, r#"{"batchItemFailures":{}}"#, "x"] {
            assert!(matches!(judged(200, None, bad, true), Verdict::Failed(_)), "{bad}");
        }
    }
}
