//! Asks for the alarms of a stack, and for the last hour of what they measure.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::{
    primitives::DateTime,
    types::{
        AlarmType, ComparisonOperator, CompositeAlarm, Metric, MetricAlarm, MetricDataQuery, MetricStat, ScanBy,
        StateValue,
    },
};
use futures::future::try_join_all;
use jiff::{SignedDuration, Timestamp};

use crate::{
    address::Address,
    client::{Error, aws::Aws},
    command::run::Run,
    report::alarms::{Alarm, Alarms, State, Unit, limit},
    resource::{alarm::RUN, metric},
    state::Document,
};

/// How far back values are shown.
const BACK: SignedDuration = SignedDuration::from_hours(1);
/// The most names in one `DescribeAlarms`, and the most queries in one `GetMetricData`: their API references.
const NAMES: usize = 100;
const QUERIES: usize = 500;

/// Returns the alarms of a stack as they are.
///
/// # Errors
/// That of a request.
pub(in crate::command) async fn look(run: &Run, document: &Document) -> Result<Alarms, Error> {
    let recorded = document.resources.iter().filter(|it| it.0.kind == "alarm");
    let names: BTreeMap<&str, &Address> = recorded.map(|(address, it)| (it.physical.as_str(), address)).collect();
    let aws = &run.cx.aws;
    let physical: Vec<&str> = names.keys().copied().collect();
    let pages = try_join_all(physical.chunks(NAMES).map(|it| describe(aws, it))).await?;
    let (metric, composite): (Vec<_>, Vec<_>) = pages.into_iter().unzip();
    let metric: Vec<MetricAlarm> = metric.into_iter().flatten().collect();
    let mut hours = hours(aws, &metric, Timestamp::now()).await?;
    let name = |physical: Option<&str>| names.get(physical?).map(|it| it.name.clone());
    let mut alarms: Vec<Alarm> = metric
        .iter()
        .zip(hours.drain(..))
        .filter_map(|(it, points)| Some(Alarm { points, ..measuring(name(it.alarm_name())?, it) }))
        .collect();
    alarms.extend(composite.iter().flatten().filter_map(|it| Some(following(name(it.alarm_name())?, it))));
    let wanted = run.stack.resources.keys().filter(|it| it.kind == "alarm").map(|it| it.name.as_str());
    let known = names.values().map(|it| it.name.as_str());
    let all: std::collections::BTreeSet<&str> = wanted.chain(known).collect();
    let absent: Vec<_> =
        all.into_iter().filter(|it| alarms.iter().all(|there| there.name != *it)).map(absent).collect();
    alarms.extend(absent);
    Ok(Alarms::new(run.stack.name.clone(), alarms))
}

async fn describe(aws: &Aws, names: &[&str]) -> Result<(Vec<MetricAlarm>, Vec<CompositeAlarm>), Error> {
    let names = names.iter().map(|it| (*it).to_owned()).collect();
    let request = aws.cloudwatch().describe_alarms().set_alarm_names(Some(names)).max_records(100);
    let request = request.alarm_types(AlarmType::MetricAlarm).alarm_types(AlarmType::CompositeAlarm);
    let found = request.send().await.map_err(Error::aws("cloudwatch", "DescribeAlarms"))?;
    Ok((found.metric_alarms.unwrap_or_default(), found.composite_alarms.unwrap_or_default()))
}

/// Reads the last hour of each alarm's value, in one request for as many as there fit.
async fn hours(aws: &Aws, alarms: &[MetricAlarm], now: Timestamp) -> Result<Vec<Vec<Option<f64>>>, Error> {
    let mut batches: Vec<Vec<MetricDataQuery>> = Vec::new();
    for (n, alarm) in alarms.iter().enumerate() {
        let queries = queries(n, alarm);
        match batches.last_mut().filter(|it| it.len() + queries.len() <= QUERIES) {
            Some(batch) => batch.extend(queries),
            None => batches.push(queries),
        }
    }
    let found = try_join_all(batches.into_iter().map(|it| values(aws, it, now))).await?;
    let mut found: BTreeMap<String, Vec<(i64, f64)>> = found.into_iter().flatten().collect();
    let start = now.as_second() - BACK.as_secs();
    let hour = |(n, alarm): (usize, &MetricAlarm)| {
        let values = found.remove(&id(n)).unwrap_or_default();
        spread(&values, start, period(alarm))
    };
    Ok(alarms.iter().enumerate().map(hour).collect())
}

async fn values(
    aws: &Aws,
    queries: Vec<MetricDataQuery>,
    now: Timestamp,
) -> Result<BTreeMap<String, Vec<(i64, f64)>>, Error> {
    let (start, end) = (now.as_second() - BACK.as_secs(), now.as_second());
    let mut all: BTreeMap<String, Vec<(i64, f64)>> = BTreeMap::new();
    let request = aws.cloudwatch().get_metric_data().set_metric_data_queries(Some(queries));
    let request = request.start_time(DateTime::from_secs(start)).end_time(DateTime::from_secs(end));
    let mut pages = request.scan_by(ScanBy::TimestampAscending).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(Error::aws("cloudwatch", "GetMetricData"))?;
        for it in page.metric_data_results() {
            let points = it.timestamps().iter().map(DateTime::secs).zip(it.values().iter().copied());
            all.entry(it.id().unwrap_or_default().to_owned()).or_default().extend(points);
        }
    }
    Ok(all)
}

/// Lays values out over the hour, a place for each point that there may be.
fn spread(values: &[(i64, f64)], start: i64, period: i64) -> Vec<Option<f64>> {
    if values.is_empty() {
        return Vec::new();
    }
    let places = usize::try_from(BACK.as_secs() / period).unwrap_or(1).max(1);
    let mut points = vec![None; places];
    for (at, value) in values {
        let place = usize::try_from((at - start).div_euclid(period)).unwrap_or_default();
        points[place.min(places - 1)] = Some(*value);
    }
    points
}

fn period(alarm: &MetricAlarm) -> i64 {
    let period = alarm.period().or_else(|| alarm.metrics().iter().find_map(|it| it.metric_stat()?.period()));
    i64::from(period.unwrap_or(60).max(1))
}

fn id(n: usize) -> String {
    format!("a{n}")
}

/// Asks for what an alarm measures, under names that differ from all other alarms'.
fn queries(n: usize, alarm: &MetricAlarm) -> Vec<MetricDataQuery> {
    if alarm.metrics().is_empty() {
        let metric = Metric::builder().set_namespace(alarm.namespace().map(str::to_owned));
        let metric = metric.set_metric_name(alarm.metric_name().map(str::to_owned));
        let metric = metric.set_dimensions(Some(alarm.dimensions().to_vec())).build();
        let statistic = alarm.statistic().map(|it| it.as_str()).or(alarm.extended_statistic()).unwrap_or("Average");
        let stat = MetricStat::builder().metric(metric).set_period(alarm.period()).stat(statistic).build();
        return vec![MetricDataQuery::builder().id(id(n)).metric_stat(stat).build()];
    }
    let own: Vec<&str> = alarm.metrics().iter().filter_map(MetricDataQuery::id).collect();
    let query = |it: &MetricDataQuery| {
        let shown = it.return_data() != Some(false);
        let name = if shown { id(n) } else { format!("{}_{}", id(n), it.id().unwrap_or_default()) };
        MetricDataQuery::builder()
            .id(name)
            .set_metric_stat(it.metric_stat().cloned())
            .set_expression(it.expression().map(|it| renamed(it, &own, n)))
            .set_period(it.period())
            .return_data(shown)
            .build()
    };
    alarm.metrics().iter().map(query).collect()
}

/// Renames the metrics within an expression.
fn renamed(expression: &str, own: &[&str], n: usize) -> String {
    let is_word = |it: char| it.is_ascii_alphanumeric() || it == '_';
    let mut text = String::new();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let same = |it: char| is_word(it) == is_word(first);
        let (piece, after) = rest.split_at(rest.find(|it| !same(it)).unwrap_or(rest.len()));
        match own.contains(&piece) {
            true => text.extend([id(n).as_str(), "_", piece]),
            false => text.push_str(piece),
        }
        rest = after;
    }
    text
}

fn measuring(name: String, it: &MetricAlarm) -> Alarm {
    let compare = it.comparison_operator().map(|it| match it {
        ComparisonOperator::GreaterThanThreshold => ">",
        ComparisonOperator::GreaterThanOrEqualToThreshold => ">=",
        ComparisonOperator::LessThanThreshold => "<",
        ComparisonOperator::LessThanOrEqualToThreshold => "<=",
        other => other.as_str(),
    });
    let (title, next) = texts(it.alarm_description());
    let unit = it.metric_name().and_then(unit);
    Alarm {
        name,
        state: state(it.state_value()),
        since: moment(it.state_transitioned_timestamp().or(it.state_updated_timestamp())),
        composite: false,
        title,
        reason: it.state_reason().unwrap_or_default().to_owned(),
        next,
        limit: compare.zip(it.threshold()).map(|(compare, it)| limit(compare, it, unit)),
        unit,
        points: Vec::new(),
        threshold: it.threshold(),
    }
}

/// What the values of an alarm on one metric are; a computed value may be anything.
fn unit(metric: &str) -> Option<Unit> {
    match metric::unit(metric)? {
        "Seconds" => Some(Unit::Seconds),
        "Milliseconds" => Some(Unit::Milliseconds),
        "Bytes" => Some(Unit::Bytes),
        "Percent" => Some(Unit::Percent),
        _ => None,
    }
}

fn following(name: String, it: &CompositeAlarm) -> Alarm {
    let (title, next) = texts(it.alarm_description());
    Alarm {
        name,
        state: state(it.state_value()),
        since: moment(it.state_transitioned_timestamp().or(it.state_updated_timestamp())),
        composite: true,
        title,
        reason: it.state_reason().unwrap_or_default().to_owned(),
        next,
        limit: None,
        unit: None,
        points: Vec::new(),
        threshold: None,
    }
}

fn absent(name: &str) -> Alarm {
    Alarm {
        name: name.to_owned(),
        state: State::Absent,
        since: None,
        composite: false,
        title: String::new(),
        reason: String::new(),
        next: None,
        limit: None,
        unit: None,
        points: Vec::new(),
        threshold: None,
    }
}

/// Takes the title and the command out of what goes with every notification.
fn texts(description: Option<&str>) -> (String, Option<String>) {
    let mut lines = description.unwrap_or_default().lines();
    let title = lines.next().unwrap_or_default().to_owned();
    (title, lines.find_map(|it| it.strip_prefix(RUN)).map(str::to_owned))
}

fn state(it: Option<&StateValue>) -> State {
    match it {
        Some(StateValue::Alarm) => State::Alarm,
        Some(StateValue::Ok) => State::Ok,
        _ => State::Unknown,
    }
}

fn moment(it: Option<&DateTime>) -> Option<Timestamp> {
    Timestamp::from_second(it?.secs()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_renamed_word_by_word() {
        let own = ["a", "lag1", "records"];
        let text = "IF(FILL(a, 0) < 1, MAX([lag1, FILL(lag10, 0)]), 100 * records)";
        let renamed = renamed(text, &own, 7);
        assert_eq!(renamed, "IF(FILL(a7_a, 0) < 1, MAX([a7_lag1, FILL(lag10, 0)]), 100 * a7_records)");
    }

    #[test]
    fn only_what_is_compared_is_shown() {
        let stat = MetricStat::builder().period(60).stat("Sum").build();
        let alarm = MetricAlarm::builder()
            .metrics(MetricDataQuery::builder().id("lag").metric_stat(stat).return_data(false).build())
            .metrics(MetricDataQuery::builder().id("value").expression("lag / 2").return_data(true).build())
            .build();
        let asked = queries(3, &alarm);
        let told: Vec<_> = asked.iter().map(|it| (it.id(), it.expression(), it.return_data())).collect();
        assert_eq!(told, [(Some("a3_lag"), None, Some(false)), (Some("a3"), Some("a3_lag / 2"), Some(true))]);
        assert_eq!(period(&alarm), 60);
    }

    #[test]
    fn values_keep_their_places() {
        let points = spread(&[(0, 1.0), (3599, 2.0), (1800, 3.0)], 0, 1200);
        assert_eq!(points, [Some(1.0), Some(3.0), Some(2.0)]);
        assert_eq!(spread(&[], 0, 60), []);
        assert_eq!(spread(&[(-5, 1.0), (9999, 2.0)], 0, 3600), [Some(2.0)], "clocks differ");
    }

    #[test]
    fn texts_are_taken_apart() {
        let (title, next) = texts(Some("Ingest is down\nEvents wait.\nRun: ecomctl alarms s"));
        assert_eq!((title.as_str(), next.as_deref()), ("Ingest is down", Some("ecomctl alarms s")));
        assert_eq!(texts(None), (String::new(), None));
    }
}
