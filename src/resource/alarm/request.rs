//! Alarms in CloudWatch's shapes, to and fro.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::{
    operation::put_metric_alarm::builders::PutMetricAlarmFluentBuilder,
    types::{self, AlarmType, ComparisonOperator, Dimension, MetricAlarm, MetricDataQuery, MetricStat, Statistic},
};
use serde_json::{Map, Value, json};

use super::{
    Either, KindError, Result,
    definition::{Compare, Measure, Metric, Missing, PLAIN, Points},
};
use crate::{
    client::{self, Error},
    quantity::Span,
    resource::Cx,
};

/// What the computed value is called within an alarm.
const VALUE: &str = "value";

/// Asks for up to a hundred alarms of both sorts, and returns them with their names and ARNs.
pub(super) async fn describe(cx: &Cx, names: &[&str]) -> client::Result<Vec<(String, String, Either)>> {
    let names = names.iter().map(|it| (*it).to_owned()).collect();
    let request = cx.aws.cloudwatch().describe_alarms().set_alarm_names(Some(names)).max_records(100);
    // Those that stand for others are left out unless they are asked for.
    let request = request.alarm_types(AlarmType::MetricAlarm).alarm_types(AlarmType::CompositeAlarm);
    let found = request.send().await.map_err(Error::aws("cloudwatch", "DescribeAlarms"))?;
    let metric =
        found.metric_alarms.unwrap_or_default().into_iter().filter_map(|it| {
            Some((it.alarm_name()?.to_owned(), it.alarm_arn()?.to_owned(), Either::Metric(Box::new(it))))
        });
    let composite = found.composite_alarms.unwrap_or_default().into_iter().filter_map(|it| {
        Some((it.alarm_name()?.to_owned(), it.alarm_arn()?.to_owned(), Either::Composite(Box::new(it))))
    });
    Ok(metric.chain(composite).collect())
}

/// Whether an alarm is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// Its name at the provider.
    pub(crate) name: String,
    /// Whether it is on.
    pub(crate) on: bool,
    /// Since when, in seconds since 1970.
    pub(crate) since: i64,
}

/// Asks how up to a hundred alarms are; those that are not there are left out.
pub(crate) async fn states(cx: &Cx, names: &[String]) -> client::Result<Vec<State>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let found = describe(cx, &names.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    let state = |(name, _, it): (String, String, Either)| {
        let (value, since) = match &it {
            Either::Metric(it) => {
                (it.state_value(), it.state_transitioned_timestamp().or_else(|| it.state_updated_timestamp()))
            }
            Either::Composite(it) => {
                (it.state_value(), it.state_transitioned_timestamp().or_else(|| it.state_updated_timestamp()))
            }
        };
        State { name, on: value == Some(&types::StateValue::Alarm), since: since.map_or(0, |it| it.secs()) }
    };
    Ok(found.into_iter().map(state).collect())
}

/// Says in a request what is measured.
pub(super) fn measuring(request: PutMetricAlarmFluentBuilder, it: &Measure) -> PutMetricAlarmFluentBuilder {
    let request = request
        .comparison_operator(operator(it.compare))
        .threshold(it.threshold)
        .evaluation_periods(number(it.points.of))
        .datapoints_to_alarm(number(it.points.bad))
        .treat_missing_data(word(it.missing));
    let period = i32::try_from(it.period.as_secs()).unwrap_or(i32::MAX);
    let Some(value) = &it.value else {
        let Some(metric) = it.metrics.values().next() else { return request };
        let request = request.namespace(&metric.namespace).metric_name(&metric.name).period(period);
        let request = request.set_dimensions(Some(dimensions(metric)));
        return match Statistic::try_parse(&metric.statistic) {
            Ok(known) => request.statistic(known),
            Err(_) => request.extended_statistic(&metric.statistic),
        };
    };
    let metrics = it.metrics.iter().map(|(id, metric)| {
        let what = types::Metric::builder().namespace(&metric.namespace).metric_name(&metric.name);
        let what = what.set_dimensions(Some(dimensions(metric))).build();
        let stat = MetricStat::builder().metric(what).period(period).stat(&metric.statistic).build();
        MetricDataQuery::builder().id(id).metric_stat(stat).return_data(false).build()
    });
    let value = MetricDataQuery::builder().id(VALUE).expression(value).label(VALUE).return_data(true).build();
    request.set_metrics(Some(metrics.chain([value]).collect()))
}

/// Returns what is wanted as fields of the resource.
pub(super) fn fields(it: &Measure) -> Result<Map<String, Value>> {
    match serde_json::to_value(it) {
        Ok(Value::Object(map)) => Ok(map),
        other => Err(KindError::Unusable(format!("an alarm cannot be written: {other:?}"))),
    }
}

/// Returns an alarm's fields, as they are.
pub(super) fn observed(it: &Either) -> Value {
    let (mut fields, description, enabled, alarm, ok) = match it {
        Either::Metric(it) => {
            (measured(it), it.alarm_description(), it.actions_enabled(), it.alarm_actions(), it.ok_actions())
        }
        Either::Composite(it) => (
            json!({ "type": "composite", "rule": it.alarm_rule() }),
            it.alarm_description(),
            it.actions_enabled(),
            it.alarm_actions(),
            it.ok_actions(),
        ),
    };
    fields["description"] = json!(description);
    fields["enabled"] = json!(enabled.unwrap_or(true));
    let sorted = |them: &[String]| {
        let mut them = them.to_vec();
        them.sort();
        them
    };
    let (alarm, ok) = (sorted(alarm), sorted(ok));
    fields["notify"] = if alarm == ok { json!(alarm) } else { json!({ "alarm": alarm, "ok": ok }) };
    fields
}

/// Whatever cannot be said in our words is said in CloudWatch's, so that it differs.
fn measured(it: &MetricAlarm) -> Value {
    let queries = it.metrics();
    let value = queries.iter().find(|it| it.return_data() != Some(false)).and_then(|it| it.expression());
    let metrics: BTreeMap<String, Metric> = match queries.is_empty() {
        true => BTreeMap::from([(PLAIN.to_owned(), plain(it))]),
        false => queries.iter().filter_map(|it| Some((it.id()?.to_owned(), stat(it.metric_stat()?)?))).collect(),
    };
    let period = it.period().or_else(|| queries.iter().find_map(|it| it.metric_stat()?.period()));
    let period = period.and_then(|it| u64::try_from(it).ok()).map(Span::seconds);
    let count = |it: i32| u32::try_from(it).unwrap_or_default();
    let of = count(it.evaluation_periods().unwrap_or(1));
    let points = Points { bad: it.datapoints_to_alarm().map_or(of, count), of };
    let compare = it.comparison_operator().map(|it| compared(it).map_or_else(|| json!(it.as_str()), |it| json!(it)));
    let missing = it.treat_missing_data().unwrap_or("missing");
    json!({
        "type": "metric",
        "metrics": metrics,
        "value": value,
        "compare": compare,
        "threshold": it.threshold(),
        "period": period,
        "points": points,
        "missing": MISSING.iter().find(|it| it.1 == missing).map_or_else(|| json!(missing), |it| json!(it.0)),
    })
}

fn plain(it: &MetricAlarm) -> Metric {
    let statistic = it.statistic().map(Statistic::as_str).or(it.extended_statistic());
    Metric {
        namespace: it.namespace().unwrap_or_default().to_owned(),
        name: it.metric_name().unwrap_or_default().to_owned(),
        statistic: statistic.unwrap_or_default().to_owned(),
        dimensions: pairs(it.dimensions()),
    }
}

fn stat(it: &MetricStat) -> Option<Metric> {
    let metric = it.metric()?;
    Some(Metric {
        namespace: metric.namespace()?.to_owned(),
        name: metric.metric_name()?.to_owned(),
        statistic: it.stat()?.to_owned(),
        dimensions: pairs(metric.dimensions()),
    })
}

fn pairs(them: &[Dimension]) -> BTreeMap<String, String> {
    them.iter().filter_map(|it| Some((it.name()?.to_owned(), it.value()?.to_owned()))).collect()
}

/// Returns a metric's dimensions.
pub(super) fn dimensions(it: &Metric) -> Vec<Dimension> {
    it.dimensions.iter().map(|(name, value)| Dimension::builder().name(name).value(value).build()).collect()
}

const OPERATORS: [(Compare, ComparisonOperator); 4] = [
    (Compare::Above, ComparisonOperator::GreaterThanThreshold),
    (Compare::AtLeast, ComparisonOperator::GreaterThanOrEqualToThreshold),
    (Compare::Below, ComparisonOperator::LessThanThreshold),
    (Compare::AtMost, ComparisonOperator::LessThanOrEqualToThreshold),
];

fn operator(it: Compare) -> ComparisonOperator {
    OPERATORS.into_iter().find(|known| known.0 == it).map_or(ComparisonOperator::GreaterThanThreshold, |it| it.1)
}

fn compared(it: &ComparisonOperator) -> Option<Compare> {
    OPERATORS.into_iter().find(|known| known.1 == *it).map(|it| it.0)
}

const MISSING: [(Missing, &str); 4] = [
    (Missing::NotBreaching, "notBreaching"),
    (Missing::Breaching, "breaching"),
    (Missing::Ignore, "ignore"),
    (Missing::Missing, "missing"),
];

fn word(it: Missing) -> &'static str {
    MISSING.iter().find(|known| known.0 == it).map_or("missing", |it| it.1)
}

fn number(it: u32) -> i32 {
    i32::try_from(it).unwrap_or(i32::MAX)
}
