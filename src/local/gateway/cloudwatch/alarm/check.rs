//! What an alarm may say, before it is kept. Pure.
//!
//! Rules: the CloudWatch API reference, `PutMetricAlarm` and `PutCompositeAlarm`. Anomaly detection and PromQL are
//! refused: the local cloud has neither.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Common, CompositeRule, MetricRule};
use crate::local::gateway::{
    call::Fault,
    cloudwatch::{
        invalid, invalid_value,
        math::{Expr, Outcome, Scope, Series, Source, Term},
        metric::{self, Query},
        query,
    },
};

/// How a value is compared with the threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::local::gateway::cloudwatch) enum Comparison {
    /// More than the threshold.
    Greater,
    /// At least the threshold.
    AtLeast,
    /// Less than the threshold.
    Less,
    /// At most the threshold.
    AtMost,
}

impl Comparison {
    /// Reads CloudWatch's word.
    pub(in crate::local::gateway::cloudwatch) fn parse(text: &str) -> Option<Self> {
        match text {
            "GreaterThanThreshold" => Some(Self::Greater),
            "GreaterThanOrEqualToThreshold" => Some(Self::AtLeast),
            "LessThanThreshold" => Some(Self::Less),
            "LessThanOrEqualToThreshold" => Some(Self::AtMost),
            _ => None,
        }
    }

    /// Says whether a value is beyond the threshold.
    pub(in crate::local::gateway::cloudwatch) fn is_breached(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::Greater => value > threshold,
            Self::AtLeast => value >= threshold,
            Self::Less => value < threshold,
            Self::AtMost => value <= threshold,
        }
    }

    /// Returns the words of a reason.
    pub(in crate::local::gateway::cloudwatch) fn words(self) -> &'static str {
        match self {
            Self::Greater => "greater than",
            Self::AtLeast => "greater than or equal to",
            Self::Less => "less than",
            Self::AtMost => "less than or equal to",
        }
    }
}

/// A tag, as the API writes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::local::gateway::cloudwatch) struct Tag {
    key: String,
    #[serde(default)]
    value: String,
}

/// Reads tags.
pub(in crate::local::gateway::cloudwatch) fn tags(list: &[Tag]) -> Result<BTreeMap<String, String>, Fault> {
    for it in list {
        if it.key.is_empty() || it.key.len() > 128 || it.value.len() > 256 || it.key.starts_with("aws:") {
            return Err(invalid_value(format!("The tag {:?} = {:?} is not valid.", it.key, it.value)));
        }
    }
    let tags: BTreeMap<_, _> = list.iter().map(|it| (it.key.clone(), it.value.clone())).collect();
    if tags.len() < list.len() {
        return Err(invalid_value("Duplicate tag keys found. Please note that tag keys are case insensitive."));
    }
    few(&tags)?;
    Ok(tags)
}

/// Refuses more tags than a resource may have.
pub(in crate::local::gateway::cloudwatch) fn few(tags: &BTreeMap<String, String>) -> Result<(), Fault> {
    if tags.len() <= 50 { Ok(()) } else { Err(invalid_value("A resource can have at most 50 tags.")) }
}

fn common(it: &Common, region: &str) -> Result<(), Fault> {
    let name = &it.alarm_name;
    if name.is_empty() || name.chars().count() > 255 || name.chars().any(|it| it.is_ascii_control()) {
        return Err(invalid("The parameter AlarmName must have between 1 and 255 printable characters."));
    }
    if it.alarm_description.as_ref().is_some_and(|it| it.chars().count() > 1024) {
        return Err(invalid("The parameter AlarmDescription must have at most 1024 characters."));
    }
    for actions in [&it.ok_actions, &it.alarm_actions, &it.insufficient_data_actions] {
        if actions.len() > 5 {
            return Err(invalid("An alarm can have at most 5 actions for each state."));
        }
        for arn in actions {
            let parts: Vec<_> = arn.split(':').collect();
            let ["arn", _, service, at, ..] = parts[..] else {
                return Err(invalid(format!("Invalid arn syntax: {arn}")));
            };
            if !["sns", "lambda", "automate", "swf", "autoscaling", "ssm", "ssm-incidents", "aiops"].contains(&service)
            {
                return Err(invalid(format!("Unsupported alarm action: {arn}")));
            }
            if ["sns", "lambda"].contains(&service) && (at != region || parts.len() < 6) {
                return Err(invalid(format!("Invalid region {at} specified. Only {region} is supported.")));
            }
        }
    }
    Ok(())
}

/// Checks an alarm on a metric.
pub(in crate::local::gateway::cloudwatch) fn metric_rule(it: &MetricRule, region: &str) -> Result<(), Fault> {
    common(&it.common, region)?;
    if it.evaluation_criteria.is_some() {
        return Err(invalid("EvaluationCriteria (PromQL) is not supported by the local cloud."));
    }
    if it.threshold_metric_id.is_some() {
        return Err(invalid("ThresholdMetricId (anomaly detection) is not supported by the local cloud."));
    }
    let comparison = it.comparison_operator.as_deref();
    let comparison = comparison.ok_or_else(|| invalid("The parameter ComparisonOperator is required."))?;
    Comparison::parse(comparison)
        .ok_or_else(|| invalid(format!("The ComparisonOperator {comparison} is not one of a static threshold.")))?;
    if it.threshold.is_none() {
        return Err(invalid("The parameter Threshold is required for an alarm with a static threshold."));
    }
    let periods = it.evaluation_periods.unwrap_or_default();
    if periods < 1 {
        return Err(invalid("The parameter EvaluationPeriods must be at least 1."));
    }
    if it.datapoints_to_alarm.is_some_and(|it| it < 1 || it > periods) {
        return Err(invalid("The parameter DatapointsToAlarm must be between 1 and EvaluationPeriods."));
    }
    let period = match (it.metric_name.is_some(), it.metrics.is_empty()) {
        (true, true) => one_metric(it)?,
        (false, false) => several(it)?,
        _ => return Err(invalid("Exactly one of the parameters MetricName and Metrics must be given.")),
    };
    let longest = if period < 3600 { 86_400 } else { 604_800 };
    if period.saturating_mul(periods) > longest {
        return Err(invalid(format!(
            "Metrics cannot be checked across more than {longest} seconds (EvaluationPeriods * Period must be <= {longest})."
        )));
    }
    let missing = it.treat_missing_data.as_deref().unwrap_or("missing");
    if !["missing", "ignore", "breaching", "notBreaching"].contains(&missing) {
        return Err(invalid(format!("The value {missing} is unsupported for parameter TreatMissingData.")));
    }
    match it.evaluate_low_sample_count_percentile.as_deref() {
        None => Ok(()),
        Some("evaluate" | "ignore") if it.extended_statistic.is_some() => Ok(()),
        Some(text) => Err(invalid(format!(
            "The value {text} for parameter EvaluateLowSampleCountPercentile is not valid: it is evaluate or ignore, and \
             for percentiles only."
        ))),
    }
}

/// Returns the period.
fn one_metric(it: &MetricRule) -> Result<i64, Fault> {
    let namespace = it.namespace.clone().ok_or_else(|| invalid("The parameter Namespace is required."))?;
    let period = it.period.ok_or_else(|| invalid("The parameter Period is required."))?;
    alarm_period(period)?;
    let stat = match (&it.statistic, &it.extended_statistic) {
        (Some(it), None) if metric::stat(it).is_ok() && !it.starts_with(['p', 't']) => it,
        (None, Some(it)) if it.starts_with(['p', 't']) => it,
        (Some(it), None) => return Err(invalid(format!("The Statistic {it} is not valid."))),
        (None, Some(it)) => {
            return Err(invalid(format!("The ExtendedStatistic {it} is not valid, or not one of the local cloud.")));
        }
        _ => return Err(invalid("Exactly one of Statistic and ExtendedStatistic must be given.")),
    };
    metric::stat(stat)?;
    it.unit.iter().try_for_each(|it| metric::check_unit(it))?;
    let named = metric::Named {
        namespace,
        metric_name: it.metric_name.clone().unwrap_or_default(),
        dimensions: it.dimensions.clone(),
    };
    named.metric().map(|_| period)
}

fn alarm_period(period: i64) -> Result<(), Fault> {
    if matches!(period, 10 | 20 | 30) || (period > 0 && period % 60 == 0) {
        return Ok(());
    }
    Err(invalid(format!("The value {period} for parameter Period must be 10, 20, 30 or a multiple of 60.")))
}

/// Returns the longest period.
fn several(it: &MetricRule) -> Result<i64, Fault> {
    let alone = it.namespace.is_none()
        && it.statistic.is_none()
        && it.extended_statistic.is_none()
        && it.dimensions.is_empty()
        && it.period.is_none()
        && it.unit.is_none();
    if !alone {
        return Err(invalid(
            "Metrics must not be given together with Namespace, Dimensions, Period, Unit, Statistic or ExtendedStatistic.",
        ));
    }
    query::check(&it.metrics)?;
    if it.metrics.len() > 20 {
        return Err(invalid("An alarm can have at most 20 metrics and expressions."));
    }
    let mut returned = it.metrics.iter().filter(|it| it.return_data != Some(false));
    let (Some(watched), None) = (returned.next(), returned.next()) else {
        return Err(invalid("Exactly one element of the metrics list should return data."));
    };
    let stats = it.metrics.iter().filter_map(|it| it.metric_stat.as_ref());
    let periods: Vec<i64> = stats.map(|it| it.period).collect();
    periods.iter().try_for_each(|it| alarm_period(*it))?;
    // Which series there will be does not depend on their values.
    let term = |query: &Query| {
        let source = match &query.expression {
            Some(text) => Source::Math(Expr::parse(text).map_err(|err| err.to_string())?),
            None => Source::Metric(Series::new()),
        };
        Ok(Term { id: query.id.clone(), source, period: query.metric_stat.as_ref().map_or(60, |it| it.period) })
    };
    let terms: Result<Vec<_>, String> = it.metrics.iter().map(term).collect();
    let scope = Scope { terms: terms.map_err(invalid)?, start: 0, end: 0 };
    for query in &it.metrics {
        let value = scope.value(&query.id);
        let value = value.map_err(|err| invalid(format!("Error in expression '{}': {err}", query.id)))?;
        if query.id == watched.id && !matches!(value, Outcome::Series(_)) {
            return Err(invalid(format!("The expression '{}' must give a single time series.", query.id)));
        }
    }
    periods.into_iter().max().ok_or_else(|| invalid("An alarm needs at least one metric."))
}

/// Checks an alarm on other alarms, but for its rule.
pub(in crate::local::gateway::cloudwatch) fn composite_rule(it: &CompositeRule, region: &str) -> Result<(), Fault> {
    common(&it.common, region)?;
    let periods = [it.actions_suppressor_wait_period, it.actions_suppressor_extension_period];
    if it.actions_suppressor.is_some() != periods.iter().all(Option::is_some) {
        return Err(invalid(
            "ActionsSuppressor, ActionsSuppressorWaitPeriod and ActionsSuppressorExtensionPeriod belong together.",
        ));
    }
    Ok(())
}
