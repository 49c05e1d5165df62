//! Metrics in `CloudWatch`'s embedded format: JSON lines in the log, which `CloudWatch` turns into metrics by itself, so
//! that the function needs no permission for that. Format: "`CloudWatch` embedded metric format specification" in the
//! `CloudWatch` user guide.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

const NAMESPACE: &str = "ecomctl";
/// Values that one metric of a line may have.
const MOST_VALUES: usize = 100;

/// One metric: its name, its unit, its values.
type Metric = (&'static str, &'static str, Vec<i64>);

/// Lines under way to the log, all of one stack and one moment.
#[derive(Debug)]
pub(crate) struct Lines {
    stack: String,
    at: i64,
    json: Vec<String>,
}

impl Lines {
    /// Begins; `at` is in milliseconds since 1970.
    pub(crate) fn new(stack: &str, at: i64) -> Self {
        Self { stack: stack.to_owned(), at, json: Vec::new() }
    }

    /// Adds metrics that have the dimension `Stack`, and one more where there is one. Without values there is no metric.
    pub(crate) fn add(&mut self, dimension: Option<(&str, &str)>, metrics: &[Metric]) {
        let longest = metrics.iter().map(|it| it.2.len()).max().unwrap_or(0);
        for begin in (0..longest).step_by(MOST_VALUES) {
            let part = |values: &Vec<i64>| values.iter().copied().skip(begin).take(MOST_VALUES).collect::<Vec<_>>();
            let parts = metrics.iter().map(|(name, unit, values)| (*name, *unit, part(values)));
            let parts: Vec<Metric> = parts.filter(|it| !it.2.is_empty()).collect();
            self.json.push(self.line(dimension, &parts));
        }
    }

    fn line(&self, dimension: Option<(&str, &str)>, metrics: &[Metric]) -> String {
        let dimensions: Vec<&str> = std::iter::once("Stack").chain(dimension.map(|it| it.0)).collect();
        let directives: Vec<Value> =
            metrics.iter().map(|(name, unit, _)| json!({ "Name": name, "Unit": unit })).collect();
        let about = json!({ "Timestamp": self.at, "CloudWatchMetrics": [
            { "Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": directives }
        ]});
        let mut members = Map::from_iter([("_aws".to_owned(), about), ("Stack".to_owned(), json!(self.stack))]);
        members.extend(dimension.map(|(name, value)| (name.to_owned(), json!(value))));
        for (name, _, values) in metrics {
            let value = if let [one] = values.as_slice() { json!(one) } else { json!(values) };
            members.insert((*name).to_owned(), value);
        }
        Value::Object(members).to_string()
    }

    /// Writes them all.
    pub(crate) fn write(self, mut out: impl Write) -> io::Result<()> {
        let text: String = self.json.iter().map(|it| format!("{it}\n")).collect();
        out.write_all(text.as_bytes())?;
        out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(lines: Lines) -> Vec<Value> {
        let mut out = Vec::new();
        lines.write(&mut out).unwrap();
        String::from_utf8(out).unwrap().lines().map(|it| serde_json::from_str(it).unwrap()).collect()
    }

    #[test]
    fn a_line_says_what_cloudwatch_is_to_count() {
        let mut lines = Lines::new("staging", 7);
        let metrics = [
            ("RunsFailed", "Count", vec![2]),
            ("RunDuration", "Seconds", vec![]),
            ("ActiveRunAge", "Seconds", vec![0]),
        ];
        lines.add(Some(("Job", "staging-medallion")), &metrics);
        lines.add(None, &[("Heartbeat", "Count", vec![1])]);
        let directive = |dimensions: Value, metrics: Value| {
            json!({ "Timestamp": 7, "CloudWatchMetrics": [
                { "Namespace": "ecomctl", "Dimensions": [dimensions], "Metrics": metrics }
            ]})
        };
        let count = |name| json!({ "Name": name, "Unit": "Count" });
        let age = json!({ "Name": "ActiveRunAge", "Unit": "Seconds" });
        assert_eq!(
            written(lines),
            [
                json!({ "_aws": directive(json!(["Stack", "Job"]), json!([count("RunsFailed"), age])),
                "Stack": "staging", "Job": "staging-medallion", "RunsFailed": 2, "ActiveRunAge": 0 }),
                json!({ "_aws": directive(json!(["Stack"]), json!([count("Heartbeat")])), "Stack": "staging", "Heartbeat": 1 }),
            ]
        );
    }

    #[test]
    fn more_than_a_hundred_values_are_more_than_one_line() {
        let mut lines = Lines::new("s", 7);
        lines.add(None, &[("RunsFailed", "Count", vec![0]), ("RunDuration", "Seconds", (0..150).collect())]);
        let written = written(lines);
        let lengths: Vec<_> = written.iter().map(|it| it["RunDuration"].as_array().map_or(0, Vec::len)).collect();
        assert_eq!(lengths, [100, 50]);
        assert_eq!((&written[0]["RunsFailed"], &written[1]["RunsFailed"]), (&json!(0), &Value::Null), "counted once");
    }
}
