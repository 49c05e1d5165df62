//! Metrics in `CloudWatch`'s embedded format: JSON lines in the log, which `CloudWatch` turns into metrics by itself.
//! Format: "`CloudWatch` embedded metric format specification" in the `CloudWatch` user guide.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{batch::Batch, moment::Moment, reject::Reason};

const NAMESPACE: &str = "ecomctl";
/// Values that one metric of a line may have.
const MOST_VALUES: usize = 100;

/// Whose metrics these are.
#[derive(Clone, Debug)]
pub struct Source {
    /// The stack, for the dimension `Stack`.
    pub stack: String,
    /// The function's own name, for the dimension `Function`.
    pub function: String,
}

/// Figures of one invocation.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) records: usize,
    pub(crate) rejected: BTreeMap<Reason, usize>,
    pub(crate) waiting: i64,
    /// Milliseconds from each record's Kafka timestamp to the commit; at most 100, evenly spread from least to most.
    pub(crate) latencies: Vec<i64>,
}

impl Figures {
    pub(crate) fn new(batch: &Batch<'_>, timestamps: impl Iterator<Item = i64>, waiting: i64, now: Moment) -> Self {
        let mut rejected = BTreeMap::new();
        for reject in &batch.rejects {
            *rejected.entry(reject.fault.reason).or_insert(0) += 1;
        }
        let passed = timestamps.filter(|timestamp| *timestamp >= 0);
        let latencies = spread(passed.map(|timestamp| (now.millis() - timestamp).max(0)).collect());
        Self { records: batch.records, rejected, waiting, latencies }
    }

    pub(crate) fn rejected(&self) -> usize {
        self.rejected.values().sum()
    }

    /// The lines for the log, each a JSON object: one of the invocation, and one for each reason of rejects.
    pub(crate) fn lines(&self, source: &Source, at: Moment) -> Vec<String> {
        let mut metrics = vec![
            ("Records", "Count", json!(self.records)),
            ("Accepted", "Count", json!(self.records - self.rejected())),
            ("Rejected", "Count", json!(self.rejected())),
            ("Waiting", "Count", json!(self.waiting)),
        ];
        if !self.latencies.is_empty() {
            metrics.push(("EventToCommitLatency", "Milliseconds", json!(self.latencies)));
        }
        let mut lines = vec![line(source, None, &metrics, at)];
        for (reason, count) in &self.rejected {
            lines.push(line(source, Some(reason.as_str()), &[("Rejected", "Count", json!(count))], at));
        }
        lines
    }
}

fn line(source: &Source, reason: Option<&str>, metrics: &[(&str, &str, Value)], at: Moment) -> String {
    let mut dimensions = vec!["Stack", "Function"];
    dimensions.extend(reason.map(|_| "Reason"));
    let directives: Vec<Value> = metrics.iter().map(|(name, unit, _)| json!({"Name": name, "Unit": unit})).collect();
    let mut members = Map::new();
    members.insert(
        "_aws".to_owned(),
        json!({"Timestamp": at.millis(), "CloudWatchMetrics": [
            {"Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": directives}
        ]}),
    );
    members.insert("Stack".to_owned(), json!(source.stack));
    members.insert("Function".to_owned(), json!(source.function));
    members.extend(reason.map(|reason| ("Reason".to_owned(), json!(reason))));
    members.extend(metrics.iter().map(|(name, _, value)| ((*name).to_owned(), value.clone())));
    Value::Object(members).to_string()
}

/// At most 100 of the values: the least, the most, and evenly spaced ranks between.
fn spread(mut values: Vec<i64>) -> Vec<i64> {
    values.sort_unstable();
    if values.len() <= MOST_VALUES {
        return values;
    }
    let last = values.len() - 1;
    (0..MOST_VALUES).filter_map(|rank| values.get(rank * last / (MOST_VALUES - 1)).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_what_cloudwatch_is_to_count() {
        let source = Source { stack: "staging".to_owned(), function: "staging-ingest".to_owned() };
        let figures = Figures {
            records: 5,
            rejected: BTreeMap::from([(Reason::NotJson, 2), (Reason::EmptyValue, 1)]),
            waiting: 7,
            latencies: vec![3, 4],
        };
        let lines: Vec<Value> =
            figures.lines(&source, Moment(1_000)).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(
            lines[0],
            json!({
                "_aws": {"Timestamp": 1, "CloudWatchMetrics": [{
                    "Namespace": "ecomctl", "Dimensions": [["Stack", "Function"]],
                    "Metrics": [
                        {"Name": "Records", "Unit": "Count"}, {"Name": "Accepted", "Unit": "Count"},
                        {"Name": "Rejected", "Unit": "Count"}, {"Name": "Waiting", "Unit": "Count"},
                        {"Name": "EventToCommitLatency", "Unit": "Milliseconds"},
                    ],
                }]},
                "Stack": "staging", "Function": "staging-ingest",
                "Records": 5, "Accepted": 2, "Rejected": 3, "Waiting": 7, "EventToCommitLatency": [3, 4],
            })
        );
        let reasons: Vec<_> = lines[1..].iter().map(|line| (&line["Reason"], &line["Rejected"])).collect();
        assert_eq!(reasons, [(&json!("empty_value"), &json!(1)), (&json!("not_json"), &json!(2))]);
        assert_eq!(lines[1]["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["Stack", "Function", "Reason"]]));
    }

    #[test]
    fn many_latencies_keep_their_ends() {
        let kept = spread((0..5_000).rev().collect());
        assert_eq!((kept.len(), kept[0], kept[99]), (100, 0, 4_999));
        assert!(kept.is_sorted());
    }
}
