//! Functions, as their invocations pass by: how many, how long, how they ended.
//!
//! Source: "Types of metrics for Lambda functions" in the Lambda developer guide. Of asynchronous invocations nothing
//! but their number is known here.

use std::time::Instant;

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;

use super::Meter;
use crate::local::gateway::{cloudwatch::metric::Metric, trigger};

/// An invocation under way.
#[derive(Debug)]
pub(crate) struct Running {
    meter: Meter,
    region: String,
    name: String,
    version: Option<String>,
    at: i64,
    began: Instant,
}

/// Returns the function that a request invokes and the version or alias, where it does.
pub(crate) fn invoked(method: &Method, path: &str) -> Option<String> {
    let rest = path.strip_prefix("/2015-03-31/functions/")?;
    let function = rest.strip_suffix('/').unwrap_or(rest).strip_suffix("/invocations")?;
    (method == Method::POST && !function.contains('/'))
        .then(|| percent_decode_str(function).decode_utf8_lossy().into_owned())
}

impl Meter {
    /// Notes that an invocation begins. The function is given by name or ARN.
    pub(crate) fn begin(&self, region: &str, function: &str) -> Running {
        let (name, version) = trigger::function(function);
        let mut running = self.lock();
        let count = running.entry((region.to_owned(), name.clone())).or_default();
        *count += 1;
        let count = f64::from(*count);
        drop(running);
        self.add(region, Metric::new("AWS/Lambda", "ConcurrentExecutions", [("FunctionName", &*name)]), "Count", count);
        let at = Timestamp::now().as_second();
        Running { meter: self.clone(), region: region.to_owned(), name, version, at, began: Instant::now() }
    }
}

impl Running {
    /// Notes how it ended: with this answer of Lambda's.
    pub(crate) fn end(self, status: StatusCode, headers: &HeaderMap) {
        let failed = headers.contains_key("x-amz-function-error");
        match status {
            StatusCode::OK => {
                self.put("Invocations", "Count", 1.0);
                self.put("Errors", "Count", if failed { 1.0 } else { 0.0 });
                self.put("Throttles", "Count", 0.0);
                self.put("Duration", "Milliseconds", self.began.elapsed().as_secs_f64() * 1000.0);
            }
            StatusCode::ACCEPTED => self.put("Invocations", "Count", 1.0),
            StatusCode::TOO_MANY_REQUESTS => self.put("Throttles", "Count", 1.0),
            _ => (),
        }
    }

    /// Notes how a call at its address ended: Lambda tells with a status of its own that it failed or did not run; any other is
    /// the function's.
    pub(crate) fn end_call(self, status: StatusCode) {
        let mut headers = HeaderMap::new();
        if status == StatusCode::BAD_GATEWAY {
            headers.insert("x-amz-function-error", HeaderValue::from_static("Unhandled"));
        }
        let throttled = status == StatusCode::TOO_MANY_REQUESTS;
        self.end(if throttled { status } else { StatusCode::OK }, &headers);
    }

    fn put(&self, metric: &str, unit: &str, value: f64) {
        let add = |metric| self.meter.add_at(&self.region, metric, unit, value, self.at);
        add(Metric::new("AWS/Lambda", metric, [("FunctionName", &*self.name)]));
        if let Some(version) = &self.version {
            let resource = format!("{}:{version}", self.name);
            add(Metric::new("AWS/Lambda", metric, [("FunctionName", &*self.name), ("Resource", &resource)]));
        }
    }
}

/// However an invocation ends, also when nobody waits for it any more, it is under way no longer.
impl Drop for Running {
    fn drop(&mut self) {
        self.meter.invoked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut running = self.meter.lock();
        let key = (self.region.clone(), self.name.clone());
        let left = running.get(&key).map_or(0, |it| it.saturating_sub(1));
        if left > 0 {
            running.insert(key, left)
        } else {
            running.remove(&key)
        };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::local::gateway::cloudwatch::{
        series::Stat,
        store::{Store, Window},
    };

    fn sum(store: &Store, name: &str, stat: Stat) -> Option<f64> {
        let metric = Metric::new("AWS/Lambda", name, [("FunctionName", "f")]);
        let now = Timestamp::now().as_second();
        let window = Window { metric: &metric, unit: None, stat, period: 3600, start: now - 1800, end: now + 60 };
        store.read("r", &window).values().next().map(|it| it.value)
    }

    #[test]
    fn invocations_are_told_by_their_path() {
        let post = |path| invoked(&Method::POST, path);
        assert_eq!(post("/2015-03-31/functions/f/invocations"), Some("f".into()));
        assert_eq!(
            post("/2015-03-31/functions/arn%3Aaws%3Alambda%3Ar%3A0%3Afunction%3Af%3Alive/invocations/"),
            Some("arn:aws:lambda:r:0:function:f:live".into())
        );
        assert_eq!(post("/2015-03-31/functions/f/versions"), None);
        assert_eq!(invoked(&Method::GET, "/2015-03-31/functions/f/invocations"), None);
    }

    #[test]
    fn what_an_answer_says_is_counted() {
        let store = Arc::new(Store::default());
        let meter = Meter::new(Arc::clone(&store));
        let mut failed = HeaderMap::new();
        failed.insert("x-amz-function-error", HeaderValue::from_static("Unhandled"));
        let (one, two) = (meter.begin("r", "f"), meter.begin("r", "arn:aws:lambda:r:0:function:f:live"));
        one.end(StatusCode::OK, &HeaderMap::new());
        two.end(StatusCode::OK, &failed);
        meter.begin("r", "f").end(StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new());
        drop(meter.begin("r", "f"));
        assert_eq!(sum(&store, "Invocations", Stat::Sum), Some(2.0));
        assert_eq!(sum(&store, "Errors", Stat::Sum), Some(1.0));
        assert_eq!(sum(&store, "Throttles", Stat::Sum), Some(1.0));
        assert_eq!(sum(&store, "Duration", Stat::SampleCount), Some(2.0));
        assert_eq!(sum(&store, "ConcurrentExecutions", Stat::Maximum), Some(2.0));
        assert!(meter.lock().is_empty() && meter.counter() == 4);
        let alias = Metric::new("AWS/Lambda", "Errors", [("FunctionName", "f"), ("Resource", "f:live")]);
        assert!(store.metrics("r", 0).contains(&alias));
    }
}
