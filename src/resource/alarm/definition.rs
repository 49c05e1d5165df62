//! What a template of an alarm says: what is measured, when that is too much, and three texts for people. Pure.

use std::{collections::BTreeMap, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{quantity::Span, resource::metric};

/// The most letters of a description: `PutMetricAlarm` in CloudWatch's API reference.
const LONGEST: usize = 1024;
/// How the last line of a description begins; the rest of it is a command.
pub const RUN: &str = "Run: ";

/// A template of an alarm, rendered.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Definition {
    /// The kinds that it can watch. None where it stands for other alarms.
    #[serde(default)]
    pub(super) of: Vec<String>,
    /// What is wrong, in few words.
    pub(super) title: String,
    /// What that means for the pipeline.
    pub(super) means: String,
    /// The command that shows more.
    pub(super) run: String,
    /// What is measured, by names that `value` may use.
    #[serde(default)]
    pub(super) metrics: BTreeMap<String, Metric>,
    /// The value to compare, computed from the metrics; CloudWatch's metric math. Default: the one metric itself.
    pub(super) value: Option<String>,
    /// How it is compared with the threshold.
    pub(super) compare: Option<Compare>,
    /// The threshold.
    pub(super) threshold: Option<f64>,
    /// How long one point is.
    pub(super) period: Option<Span>,
    /// How many points must be bad.
    pub(super) points: Option<Points>,
    /// What a point is that is not there.
    pub(super) missing: Option<Missing>,
}

/// One metric of CloudWatch, and what is taken of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Metric {
    pub(super) namespace: String,
    pub(super) name: String,
    /// `Sum`, `Maximum`, `Average`, `Minimum`, `SampleCount`, or a percentile such as `p99`.
    pub(super) statistic: String,
    pub(super) dimensions: BTreeMap<String, String>,
}

/// How a value is compared with the threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) enum Compare {
    #[serde(rename = ">")]
    Above,
    #[serde(rename = ">=")]
    AtLeast,
    #[serde(rename = "<")]
    Below,
    #[serde(rename = "<=")]
    AtMost,
}

/// What a point is that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// Good: what is counted only when it happens.
    NotBreaching,
    /// Bad: what must always come, such as a sign of life.
    Breaching,
    /// The state stays as it is.
    Ignore,
    /// The state becomes unknown (`INSUFFICIENT_DATA`).
    Missing,
}

/// How many of the latest points must be bad, such as `3 of 5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Points {
    /// How many must be bad.
    pub bad: u32,
    /// Out of how many.
    pub of: u32,
}

/// What a metric alarm does, in full.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Measure {
    pub(super) metrics: BTreeMap<String, Metric>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) value: Option<String>,
    pub(super) compare: Compare,
    pub(super) threshold: f64,
    pub(super) period: Span,
    pub(super) points: Points,
    pub(super) missing: Missing,
}

/// The name of the one metric of an alarm that computes nothing: CloudWatch keeps none for it.
pub(super) const PLAIN: &str = "metric";

impl Definition {
    /// Reads a rendered template.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|err| err.to_string().trim_end().to_owned())
    }

    /// Returns the text that goes with every notification. Its last line is the command.
    pub(super) fn description(&self) -> Result<String, String> {
        let means = self.means.split_whitespace().collect::<Vec<_>>().join(" ");
        let text = format!("{}\n{means}\n{RUN}{}", self.title, self.run);
        match text.chars().count() {
            0..=LONGEST => Ok(text),
            many => Err(format!("its texts have {many} letters, and CloudWatch takes {LONGEST}")),
        }
    }

    /// Returns what the alarm does. Says what is wrong with it, and what to do.
    pub(super) fn measure(&self, set: &Overrides) -> Result<Measure, String> {
        fn need<T>(it: Option<T>, what: &str) -> Result<T, String> {
            it.ok_or_else(|| format!("it does not say `{what}`, and neither does the stack's file"))
        }
        for it in self.metrics.values() {
            let names = it.dimensions.keys().map(String::as_str);
            if let Some((message, help)) = metric::mistake(&it.namespace, &it.name, names) {
                return Err(format!("{message}: {help}"));
            }
        }
        let mut metrics = self.metrics.clone();
        if self.value.is_none() {
            let (_, only) = metrics.pop_first().ok_or("it names no metric")?;
            if !metrics.is_empty() {
                return Err("it names several metrics, and no `value` that is computed from them".to_owned());
            }
            metrics.insert(PLAIN.to_owned(), only);
        }
        Ok(Measure {
            metrics,
            value: self.value.as_ref().map(|it| it.split_whitespace().collect::<Vec<_>>().join(" ")),
            compare: need(self.compare, "compare")?,
            threshold: need(set.threshold.or(self.threshold), "threshold")?,
            period: need(set.period.or(self.period), "period")?,
            points: need(set.points.or(self.points), "points")?,
            missing: need(set.missing.or(self.missing), "missing")?,
        })
    }
}

/// What a stack's file says instead of the template.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Overrides {
    pub(super) threshold: Option<f64>,
    pub(super) period: Option<Span>,
    pub(super) points: Option<Points>,
    pub(super) missing: Option<Missing>,
}

impl fmt::Display for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.bad, self.of)
    }
}

impl FromStr for Points {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once(" of ").and_then(|(bad, of)| Some((bad.parse().ok()?, of.parse().ok()?)));
        let (bad, of) = parts.ok_or_else(|| format!("`{text}` is no count of points such as `3 of 5`"))?;
        match 1 <= bad && bad <= of {
            true => Ok(Self { bad, of }),
            false => Err(format!("`{text}`: that many of the points cannot be bad")),
        }
    }
}

impl Serialize for Points {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Points {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Points {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Points".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "pattern": "^[0-9]+ of [0-9]+$",
            "description": "How many of the latest points must be bad, such as `3 of 5`."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ERRORS: &str = r#"
        of = ["function"]
        title = "function.ingest fails"
        means = """
            Batches fail,
            and are tried again."""
        run = "ecomctl logs s function.ingest"
        compare = ">="
        threshold = 1
        period = "1m"
        points = "3 of 5"
        missing = "not_breaching"
        [metrics.errors]
        namespace = "AWS/Lambda"
        name = "Errors"
        statistic = "Sum"
        dimensions = { FunctionName = "s-ingest" }
    "#;

    #[test]
    fn a_template_says_what_is_measured_and_what_to_do() {
        let read = Definition::read(ERRORS).expect("a definition");
        let text = read.description().expect("short enough");
        assert_eq!(
            text,
            "function.ingest fails\nBatches fail, and are tried again.\nRun: ecomctl logs s function.ingest"
        );
        let measure = read.measure(&Overrides::default()).expect("complete");
        assert_eq!(measure.metrics[PLAIN].name, "Errors");
        assert_eq!((measure.threshold, measure.points), (1.0, Points { bad: 3, of: 5 }));
        let set = Overrides { threshold: Some(9.0), missing: Some(Missing::Breaching), ..Overrides::default() };
        let measure = read.measure(&set).expect("complete");
        assert_eq!((measure.threshold, measure.missing), (9.0, Missing::Breaching));
    }

    #[test]
    fn what_is_missing_or_unknown_is_told() {
        let wrong = |from: &str, to: &str| {
            let read = Definition::read(&ERRORS.replace(from, to)).expect("readable");
            read.measure(&Overrides::default()).expect_err(to)
        };
        assert!(wrong("threshold = 1", "").contains("`threshold`"));
        assert!(wrong("\"Errors\"", "\"Error\"").starts_with("nothing emits a metric Error in AWS/Lambda"));
        assert!(wrong("FunctionName", "Function").contains("does not come with the dimensions Function"));
        let twice = format!("{ERRORS}\n[metrics.more]\n{}", ERRORS.split_once("[metrics.errors]").expect("there").1);
        let read = Definition::read(&twice).expect("readable");
        assert!(read.measure(&Overrides::default()).expect_err("two").contains("several metrics"));
        assert!(Definition::read("of = 3").expect_err("a number").contains("line 1"));
        let long = Definition::read(&ERRORS.replace("Batches", &"x".repeat(1000))).expect("readable");
        assert!(long.description().expect_err("too long").contains("CloudWatch takes 1024"));
    }

    #[test]
    fn points() {
        assert_eq!("3 of 5".parse::<Points>(), Ok(Points { bad: 3, of: 5 }));
        for wrong in ["0 of 5", "6 of 5", "3/5", "of", "-1 of 2", ""] {
            assert!(wrong.parse::<Points>().is_err(), "{wrong}");
        }
    }
}
