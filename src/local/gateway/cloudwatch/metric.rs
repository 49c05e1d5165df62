//! What a metric is, and what a client may say about one. Pure.
//!
//! Shapes and limits: the CloudWatch API reference, as aws-sdk-cloudwatch reads it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    invalid_value,
    series::{Stat, Summary},
};
use crate::local::gateway::call::Fault;

/// The units that CloudWatch knows.
const UNITS: [&str; 27] = [
    "Seconds",
    "Microseconds",
    "Milliseconds",
    "Bytes",
    "Kilobytes",
    "Megabytes",
    "Gigabytes",
    "Terabytes",
    "Bits",
    "Kilobits",
    "Megabits",
    "Gigabits",
    "Terabits",
    "Percent",
    "Count",
    "Bytes/Second",
    "Kilobytes/Second",
    "Megabytes/Second",
    "Gigabytes/Second",
    "Terabytes/Second",
    "Bits/Second",
    "Kilobits/Second",
    "Megabits/Second",
    "Gigabits/Second",
    "Terabits/Second",
    "Count/Second",
    "None",
];

/// A metric: a namespace, a name, and what tells it from its namesakes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Metric {
    /// The namespace.
    pub(crate) namespace: String,
    /// The name.
    pub(crate) name: String,
    /// The dimensions, by name.
    pub(crate) dimensions: BTreeMap<String, String>,
}

impl Metric {
    /// Names a metric.
    pub(crate) fn new<'a>(
        namespace: &str,
        name: &str,
        dimensions: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let dimensions = dimensions.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self { namespace: namespace.to_owned(), name: name.to_owned(), dimensions: dimensions.collect() }
    }
}

/// A dimension, as the API writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Dimension {
    pub(super) name: String,
    pub(super) value: String,
}

/// Reads dimensions.
pub(super) fn dimensions(list: &[Dimension]) -> Result<BTreeMap<String, String>, Fault> {
    if list.len() > 30 {
        return Err(invalid_value("The parameter Dimensions must have at most 30 entries."));
    }
    for it in list {
        let fits = |text: &str, most: usize| (1..=most).contains(&text.len()) && !text.trim().is_empty();
        if !fits(&it.name, 255) || !fits(&it.value, 1024) || it.name.starts_with(':') {
            return Err(invalid_value(format!("The dimension {:?} = {:?} is not valid.", it.name, it.value)));
        }
    }
    let map: BTreeMap<_, _> = list.iter().map(|it| (it.name.clone(), it.value.clone())).collect();
    if map.len() < list.len() {
        return Err(invalid_value("The parameter Dimensions must not name a dimension twice."));
    }
    Ok(map)
}

/// Writes dimensions as the API does.
pub(super) fn listed(dimensions: &BTreeMap<String, String>) -> Vec<Dimension> {
    dimensions.iter().map(|(name, value)| Dimension { name: name.clone(), value: value.clone() }).collect()
}

/// A metric, as the API writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Named {
    pub(super) namespace: String,
    pub(super) metric_name: String,
    #[serde(default)]
    pub(super) dimensions: Vec<Dimension>,
}

impl Named {
    /// Reads it.
    pub(super) fn metric(&self) -> Result<Metric, Fault> {
        name("MetricName", &self.metric_name)?;
        name("Namespace", &self.namespace)?;
        Ok(Metric {
            namespace: self.namespace.clone(),
            name: self.metric_name.clone(),
            dimensions: dimensions(&self.dimensions)?,
        })
    }
}

/// A metric and how its values are summed up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MetricStat {
    pub(super) metric: Named,
    pub(super) period: i64,
    pub(super) stat: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unit: Option<String>,
}

/// One of several metrics or expressions that belong together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Query {
    pub(super) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) metric_stat: Option<MetricStat>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expression: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) return_data: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) period: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) account_id: Option<String>,
}

/// A datum that a client publishes.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Datum {
    metric_name: String,
    #[serde(default)]
    dimensions: Vec<Dimension>,
    timestamp: Option<f64>,
    value: Option<f64>,
    statistic_values: Option<StatisticSet>,
    values: Option<Vec<f64>>,
    counts: Option<Vec<f64>>,
    unit: Option<String>,
    storage_resolution: Option<i64>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StatisticSet {
    sample_count: f64,
    sum: f64,
    minimum: f64,
    maximum: f64,
}

/// A datum, ready to be kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Point {
    /// The metric.
    pub(crate) metric: Metric,
    /// When it was measured, in seconds since 1970.
    pub(crate) at: i64,
    /// Whether it is kept by the second rather than by the minute.
    pub(crate) fine: bool,
    /// The unit.
    pub(crate) unit: String,
    /// The values.
    pub(crate) values: Summary,
}

impl Datum {
    /// Reads a datum of a namespace.
    pub(super) fn point(&self, namespace: &str, now: i64) -> Result<Point, Fault> {
        name("MetricName", &self.metric_name)?;
        let metric = Metric {
            namespace: namespace.to_owned(),
            name: self.metric_name.clone(),
            dimensions: dimensions(&self.dimensions)?,
        };
        let unit = self.unit.clone().unwrap_or_else(|| "None".to_owned());
        check_unit(&unit)?;
        let given = [self.value.is_some(), self.statistic_values.is_some(), self.values.is_some()];
        let values = match given.iter().filter(|it| **it).count() {
            0 => {
                return Err(Fault::new(
                    400,
                    "MissingRequiredParameterException",
                    "At least one of the parameters must be specified: Value, Values, StatisticValues.",
                ));
            }
            1 => self.summary()?,
            _ => {
                return Err(Fault::new(
                    400,
                    "InvalidParameterCombinationException",
                    "The parameters Value, Values and StatisticValues are mutually exclusive.",
                ));
            }
        };
        let at = self.timestamp.map_or(now, whole);
        // Two weeks back, two hours ahead.
        if at < now - 14 * 86_400 || at > now + 2 * 3600 {
            return Err(invalid_value(
                "The parameter MetricData.member.Timestamp must specify a time no more than two weeks in the past and \
                 no more than two hours in the future.",
            ));
        }
        match self.storage_resolution {
            None | Some(1 | 60) => Ok(Point { metric, at, fine: self.storage_resolution == Some(1), unit, values }),
            Some(it) => Err(invalid_value(format!("The parameter StorageResolution must be 1 or 60, not {it}."))),
        }
    }

    fn summary(&self) -> Result<Summary, Fault> {
        let summary = match (&self.statistic_values, &self.values) {
            (Some(it), _) => {
                if it.sample_count <= 0.0 || it.minimum > it.maximum {
                    return Err(invalid_value(
                        "The parameter StatisticValues must have a positive SampleCount, and a Minimum of at most its \
                         Maximum.",
                    ));
                }
                Summary::of_set(it.sample_count, it.sum, it.minimum, it.maximum)
            }
            (None, Some(values)) => {
                let counts = self.counts.clone().unwrap_or_else(|| vec![1.0; values.len()]);
                if counts.len() != values.len() || values.is_empty() || values.len() > 150 {
                    return Err(invalid_value(
                        "The parameters Values and Counts must be of the same size, of at most 150 entries.",
                    ));
                }
                if counts.iter().any(|it| *it <= 0.0) {
                    return Err(invalid_value("The parameter Counts must hold positive numbers."));
                }
                values.iter().zip(counts).fold(Summary::default(), |mut all, (value, count)| {
                    all.add(*value, count);
                    all
                })
            }
            (None, None) => {
                let mut one = Summary::default();
                one.add(self.value.unwrap_or_default(), 1.0);
                one
            }
        };
        Ok(summary)
    }
}

/// Cuts a time down to whole seconds.
pub(super) fn whole(seconds: f64) -> i64 {
    jiff::SignedDuration::try_from_secs_f64(seconds.floor()).map_or(0, |it| it.as_secs())
}

/// Checks the name of a metric or a namespace.
pub(super) fn name(what: &str, text: &str) -> Result<(), Fault> {
    if (1..=255).contains(&text.len()) && text.chars().all(|it| !it.is_control()) {
        return Ok(());
    }
    Err(invalid_value(format!("The parameter {what} must have between 1 and 255 printable characters.")))
}

/// Checks a unit.
pub(super) fn check_unit(unit: &str) -> Result<(), Fault> {
    if UNITS.contains(&unit) { Ok(()) } else { Err(invalid_value(format!("The unit {unit} is not valid."))) }
}

/// Checks a period.
pub(super) fn check_period(period: i64) -> Result<(), Fault> {
    if matches!(period, 1 | 5 | 10 | 20 | 30) || (period > 0 && period % 60 == 0) {
        return Ok(());
    }
    Err(invalid_value(format!("The period {period} must be 1, 5, 10, 20, 30 or a multiple of 60.")))
}

/// Reads a statistic.
pub(super) fn stat(text: &str) -> Result<Stat, Fault> {
    Stat::parse(text)
        .ok_or_else(|| invalid_value(format!("The statistic {text} is not valid, or not one of the local cloud.")))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn point(document: Value) -> Result<Point, Fault> {
        serde_json::from_value::<Datum>(document).expect("a datum").point("Shop", 1_000_000)
    }

    #[test]
    fn a_datum_says_its_values_in_one_of_three_ways() {
        let one = point(json!({ "MetricName": "Orders", "Value": 3.0 })).expect("a point");
        assert_eq!((one.at, one.fine, one.unit.as_str()), (1_000_000, false, "None"));
        let many = json!({ "MetricName": "Orders", "Values": [1, 5], "Counts": [2, 1], "StorageResolution": 1 });
        let many = point(many).expect("a point");
        assert_eq!((many.values.get(Stat::Sum), many.fine), (Some(7.0), true));
        let set = json!({ "SampleCount": 4, "Sum": 10, "Minimum": 1, "Maximum": 4 });
        let set = point(json!({ "MetricName": "Orders", "StatisticValues": set })).expect("a point");
        assert_eq!(set.values.get(Stat::Average), Some(2.5));
    }

    #[test]
    fn what_cloudwatch_refuses_is_refused() {
        let code = |it| point(it).expect_err("refused").code;
        assert_eq!(code(json!({ "MetricName": "A" })), "MissingRequiredParameterException");
        assert_eq!(
            code(json!({ "MetricName": "A", "Value": 1, "Values": [1] })),
            "InvalidParameterCombinationException"
        );
        for wrong in [
            json!({ "MetricName": "", "Value": 1 }),
            json!({ "MetricName": "A", "Value": 1, "Unit": "Orders" }),
            json!({ "MetricName": "A", "Value": 1, "StorageResolution": 5 }),
            json!({ "MetricName": "A", "Value": 1, "Timestamp": 1_000_000 + 3 * 3600 }),
            json!({ "MetricName": "A", "Values": [1, 2], "Counts": [1] }),
            json!({ "MetricName": "A", "Value": 1, "Dimensions": [{ "Name": "a", "Value": "" }] }),
            json!({ "MetricName": "A", "Value": 1, "Dimensions": [{ "Name": "a", "Value": "1" }, { "Name": "a", "Value": "2" }] }),
        ] {
            assert_eq!(code(wrong.clone()), "InvalidParameterValueException", "{wrong}");
        }
    }
}
