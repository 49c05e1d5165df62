//! The embedded metric format: log lines that are metrics. Pure.
//!
//! Format: "Specification: Embedded metric format" in the CloudWatch user guide. A line that is not of it is no metric,
//! and no error either.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::local::gateway::cloudwatch::{
    metric::{Metric, Point, check_unit},
    series::Summary,
};

/// What every line of the format holds.
pub(super) const MARK: &str = "CloudWatchMetrics";
/// The most values of one metric in one line.
const VALUES: usize = 100;
/// The most dimensions of one metric.
const DIMENSIONS: usize = 30;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Meta {
    timestamp: i64,
    cloud_watch_metrics: Vec<Directive>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Directive {
    namespace: String,
    #[serde(default)]
    dimensions: Vec<Vec<String>>,
    #[serde(default)]
    metrics: Vec<Definition>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Definition {
    name: String,
    unit: Option<String>,
    storage_resolution: Option<i64>,
}

/// Reads the metrics of a line.
pub(super) fn points(line: &str) -> Vec<Point> {
    let Some(members) = line.contains(MARK).then(|| serde_json::from_str::<Map<String, Value>>(line).ok()).flatten()
    else {
        return Vec::new();
    };
    let meta = members.get("_aws").cloned().and_then(|it| serde_json::from_value::<Meta>(it).ok());
    let Some(meta) = meta else { return Vec::new() };
    let mut points = Vec::new();
    for directive in &meta.cloud_watch_metrics {
        for definition in &directive.metrics {
            let Some(values) = members.get(&definition.name).and_then(values) else { continue };
            let unit = definition.unit.clone().filter(|it| check_unit(it).is_ok()).unwrap_or_else(|| "None".to_owned());
            let none = Vec::new();
            let sets =
                if directive.dimensions.is_empty() { vec![&none] } else { directive.dimensions.iter().collect() };
            for set in sets {
                let named: Option<Vec<_>> =
                    set.iter().map(|name| Some((name.as_str(), members.get(name)?.as_str()?))).collect();
                let Some(named) = named.filter(|it| it.len() <= DIMENSIONS) else { continue };
                points.push(Point {
                    metric: Metric::new(&directive.namespace, &definition.name, named),
                    at: meta.timestamp.div_euclid(1000),
                    fine: definition.storage_resolution == Some(1),
                    unit: unit.clone(),
                    values: values.clone(),
                });
            }
        }
    }
    points
}

fn values(value: &Value) -> Option<Summary> {
    let one = |it: &Value| it.as_f64().filter(|it| it.is_finite());
    match value {
        Value::Array(all) if (1..=VALUES).contains(&all.len()) => {
            all.iter().try_fold(Summary::default(), |mut sum, it| {
                sum.add(one(it)?, 1.0);
                Some(sum)
            })
        }
        it => one(it).map(Summary::one),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::gateway::cloudwatch::series::Stat;

    #[test]
    fn a_line_of_ingest_is_metrics() {
        let line = r#"{"_aws":{"Timestamp":60500,"CloudWatchMetrics":[{"Namespace":"ecomctl",
            "Dimensions":[["Stack","Function"],["Stack"]],
            "Metrics":[{"Name":"Records","Unit":"Count"},{"Name":"Latency","Unit":"Milliseconds"},{"Name":"Gone"}]}]},
            "Stack":"dev","Function":"dev-ingest","Records":5,"Latency":[3,4,8]}"#;
        let points = points(line);
        let of = |name: &str| points.iter().filter(|it| it.metric.name == name).collect::<Vec<_>>();
        assert_eq!((points.len(), of("Gone").len()), (4, 0));
        let records = of("Records")[0];
        assert_eq!(records.metric, Metric::new("ecomctl", "Records", [("Stack", "dev"), ("Function", "dev-ingest")]));
        assert_eq!((records.at, records.unit.as_str(), records.fine), (60, "Count", false));
        assert_eq!(of("Latency")[1].metric.dimensions.len(), 1);
        assert_eq!((of("Latency")[0].values.get(Stat::Sum), of("Latency")[0].values.count()), (Some(15.0), 3.0));
    }

    #[test]
    fn other_lines_are_no_metrics() {
        for line in [
            "START RequestId: 1",
            "CloudWatchMetrics",
            r#"{"_aws":{"CloudWatchMetrics":[]}}"#,
            r#"{"_aws":{"Timestamp":1,"CloudWatchMetrics":[{"Namespace":"n","Dimensions":[["d"]],"Metrics":[{"Name":"m"}]}]},"m":1}"#,
            r#"{"_aws":{"Timestamp":1,"CloudWatchMetrics":[{"Namespace":"n","Metrics":[{"Name":"m"}]}]},"m":"x"}"#,
        ] {
            assert_eq!(points(line), [], "{line}");
        }
    }
}
