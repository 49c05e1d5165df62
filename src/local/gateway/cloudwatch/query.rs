//! Reading metrics: `GetMetricData` with metric math, `GetMetricStatistics`, `ListMetrics`; and `PutMetricData`.
//!
//! Labels are plain: what `${…}` would stand for in them is not filled in.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    CloudWatch, input, invalid, invalid_value,
    math::{Expr, Outcome, Scope, Series, Source, Term},
    metric::{self, Datum, Dimension, Query},
    seconds,
    store::{Store, Window},
};
use crate::local::gateway::call::Fault;

/// The most values of one answer.
const MOST_VALUES: usize = 100_800;
/// The most metrics on one page.
const PAGE: usize = 500;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Put {
    namespace: String,
    #[serde(default)]
    metric_data: Vec<Datum>,
    #[serde(default)]
    entity_metric_data: Vec<OfEntity>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OfEntity {
    #[serde(default)]
    metric_data: Vec<Datum>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Get {
    metric_data_queries: Vec<Query>,
    start_time: f64,
    end_time: f64,
    next_token: Option<String>,
    scan_by: Option<String>,
    max_datapoints: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetStatistics {
    namespace: String,
    metric_name: String,
    #[serde(default)]
    dimensions: Vec<Dimension>,
    start_time: f64,
    end_time: f64,
    period: i64,
    #[serde(default)]
    statistics: Vec<String>,
    #[serde(default)]
    extended_statistics: Vec<String>,
    unit: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct List {
    namespace: Option<String>,
    metric_name: Option<String>,
    #[serde(default)]
    dimensions: Vec<Filter>,
    next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Filter {
    name: String,
    value: Option<String>,
}

impl CloudWatch {
    /// `PutMetricData`: keeps values, all or none.
    pub(super) fn put_data(&self, asked: Value, region: &str) -> Result<Value, Fault> {
        let put: Put = input(asked)?;
        metric::name("Namespace", &put.namespace)?;
        if put.namespace.starts_with("AWS/") {
            return Err(invalid_value("The value AWS/ for parameter Namespace is invalid: it is AWS's own."));
        }
        let now = Timestamp::now().as_second();
        let data = put.metric_data.iter().chain(put.entity_metric_data.iter().flat_map(|it| &it.metric_data));
        let points: Vec<_> = data.map(|it| it.point(&put.namespace, now)).collect::<Result<_, _>>()?;
        match points.len() {
            0 => {
                return Err(Fault::new(
                    400,
                    "MissingRequiredParameterException",
                    "The parameter MetricData is required.",
                ));
            }
            1..=1000 => self.store.put(region, points, now),
            _ => return Err(invalid_value("The collection MetricData must not have a size greater than 1000.")),
        }
        Ok(json!({}))
    }

    /// `GetMetricData`.
    pub(super) fn get_data(&self, asked: Value, region: &str) -> Result<Value, Fault> {
        let get: Get = input(asked)?;
        let (start, end) = range(get.start_time, get.end_time)?;
        let most = get.max_datapoints.unwrap_or(MOST_VALUES).clamp(1, MOST_VALUES);
        let from = match &get.next_token {
            None => 0,
            Some(token) => {
                token.parse().map_err(|_| Fault::new(400, "InvalidNextToken", "The NextToken is not valid."))?
            }
        };
        check(&get.metric_data_queries)?;
        let scope = scope(&self.store, region, &get.metric_data_queries, |it| start.div_euclid(it) * it, end)?;
        let mut found: Vec<(&Query, Series)> = Vec::new();
        for query in get.metric_data_queries.iter().filter(|it| it.return_data != Some(false)) {
            match scope.value(&query.id).map_err(|err| wrong(query, &err.to_string()))? {
                Outcome::Series(it) => found.push((query, it)),
                Outcome::Many(all) => found.extend(all.into_iter().map(|it| (query, it))),
                Outcome::Scalar(_) => {
                    return Err(wrong(query, "it gives a number, not a time series"));
                }
            }
        }
        let descending = get.scan_by.as_deref() != Some("TimestampAscending");
        let mut page = Page { skip: from, room: most, cut: false };
        let results: Vec<_> = found.into_iter().map(|(query, it)| page.result(query, it, descending)).collect();
        let mut answer = json!({ "MetricDataResults": results, "Messages": [] });
        if page.cut {
            answer["NextToken"] = json!((from + most).to_string());
        }
        Ok(answer)
    }

    /// `GetMetricStatistics`.
    pub(super) fn statistics(&self, asked: Value, region: &str) -> Result<Value, Fault> {
        let asked: GetStatistics = input(asked)?;
        let named = metric::Named {
            namespace: asked.namespace,
            metric_name: asked.metric_name.clone(),
            dimensions: asked.dimensions,
        };
        let wanted = named.metric()?;
        metric::check_period(asked.period)?;
        let (start, end) = range(asked.start_time, asked.end_time)?;
        if asked.statistics.is_empty() && asked.extended_statistics.is_empty() {
            return Err(Fault::new(
                400,
                "InvalidParameterCombinationException",
                "At least one of Statistics and ExtendedStatistics must be given.",
            ));
        }
        if (end - start) / asked.period > 1440 {
            return Err(Fault::new(
                400,
                "InvalidParameterCombinationException",
                "You have requested more than the limit of 1440 datapoints. You may reduce the datapoints requested by \
                 increasing Period, or decreasing the time range.",
            ));
        }
        let stats: Vec<_> = asked
            .statistics
            .iter()
            .chain(&asked.extended_statistics)
            .map(|it| metric::stat(it).map(|stat| (it, stat)))
            .collect::<Result<_, _>>()?;
        let start = start.div_euclid(asked.period) * asked.period;
        let unit = asked.unit.or_else(|| self.store.unit(region, &wanted));
        // The statistic of the window does not matter for sums.
        let stat = super::series::Stat::Sum;
        let window = Window { metric: &wanted, unit: unit.as_deref(), stat, period: asked.period, start, end };
        let points = self.store.sums(region, &window).into_iter().map(|(at, sums)| {
            let mut point = Map::from_iter([("Timestamp".to_owned(), seconds(at))]);
            point.insert("Unit".to_owned(), json!(unit.as_deref().unwrap_or("None")));
            let mut extended = Map::new();
            for (name, stat) in &stats {
                let Some(value) = sums.get(*stat) else { continue };
                let place = if asked.statistics.contains(name) { &mut point } else { &mut extended };
                place.insert((*name).clone(), json!(value));
            }
            if !extended.is_empty() {
                point.insert("ExtendedStatistics".to_owned(), Value::Object(extended));
            }
            Value::Object(point)
        });
        Ok(json!({ "Label": asked.metric_name, "Datapoints": points.collect::<Vec<_>>() }))
    }

    /// `ListMetrics`: those with a value in the last three hours.
    pub(super) fn list(&self, asked: Value, region: &str) -> Result<Value, Fault> {
        let asked: List = input(asked)?;
        let from: usize = match &asked.next_token {
            None => 0,
            Some(token) => token.parse().map_err(|_| invalid_value("The NextToken is not valid."))?,
        };
        let since = Timestamp::now().as_second() - super::store::KEPT;
        let all = self.store.metrics(region, since).into_iter().filter(|it| {
            asked.namespace.as_ref().is_none_or(|namespace| *namespace == it.namespace)
                && asked.metric_name.as_ref().is_none_or(|name| *name == it.name)
                && asked.dimensions.iter().all(|filter| {
                    let value = it.dimensions.get(&filter.name);
                    value.is_some_and(|it| filter.value.as_ref().is_none_or(|wanted| wanted == it))
                })
        });
        let all: Vec<_> = all.collect();
        let page = all.iter().skip(from).take(PAGE).map(|it| {
            json!({
                "Namespace": it.namespace,
                "MetricName": it.name,
                "Dimensions": metric::listed(&it.dimensions),
            })
        });
        let mut answer = json!({ "Metrics": page.collect::<Vec<_>>() });
        if all.len() > from + PAGE {
            answer["NextToken"] = json!((from + PAGE).to_string());
        }
        Ok(answer)
    }
}

/// What is left of an answer's room.
struct Page {
    skip: usize,
    room: usize,
    cut: bool,
}

impl Page {
    fn result(&mut self, query: &Query, series: Series, descending: bool) -> Value {
        let mut all: Vec<(i64, f64)> = series.into_iter().collect();
        if descending {
            all.reverse();
        }
        let skipped = self.skip.min(all.len());
        self.skip -= skipped;
        let taken: Vec<_> = all.iter().skip(skipped).take(self.room).collect();
        self.room -= taken.len();
        let rest = skipped + taken.len() < all.len();
        self.cut |= rest;
        let name = query.metric_stat.as_ref().map(|it| &it.metric.metric_name);
        json!({
            "Id": query.id,
            "Label": query.label.as_ref().or(name).unwrap_or(&query.id),
            "Timestamps": taken.iter().map(|it| seconds(it.0)).collect::<Vec<_>>(),
            "Values": taken.iter().map(|it| json!(it.1)).collect::<Vec<_>>(),
            "StatusCode": if rest { "PartialData" } else { "Complete" },
        })
    }
}

fn range(start: f64, end: f64) -> Result<(i64, i64), Fault> {
    if start < end {
        return Ok((metric::whole(start), metric::whole(end.ceil())));
    }
    Err(invalid("The parameter StartTime must be less than the parameter EndTime."))
}

fn wrong(query: &Query, what: &str) -> Fault {
    invalid(format!("Error in expression '{}': {what}", query.id))
}

/// Checks queries that belong together.
pub(super) fn check(queries: &[Query]) -> Result<(), Fault> {
    if queries.is_empty() || queries.len() > 500 {
        return Err(invalid("The parameter MetricDataQueries must have between 1 and 500 entries."));
    }
    let mut ids = BTreeSet::new();
    for query in queries {
        let mut letters = query.id.chars();
        let starts = letters.next().is_some_and(|it| it.is_ascii_lowercase());
        if !starts || !letters.all(|it| it.is_ascii_alphanumeric() || it == '_') || query.id.len() > 255 {
            return Err(invalid(format!(
                "The value '{}' for parameter Id is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$.",
                query.id
            )));
        }
        if !ids.insert(&query.id) {
            return Err(invalid(format!("The value '{}' for parameter Id is given twice.", query.id)));
        }
        match (&query.metric_stat, &query.expression) {
            (Some(it), None) => {
                it.metric.metric()?;
                metric::check_period(it.period)?;
                metric::stat(&it.stat)?;
                it.unit.iter().try_for_each(|it| metric::check_unit(it))?;
            }
            (None, Some(text)) => {
                Expr::parse(text).map_err(|err| wrong(query, &err.to_string()))?;
                query.period.iter().try_for_each(|it| metric::check_period(*it))?;
            }
            _ => {
                return Err(invalid(format!(
                    "The query {} must have exactly one of MetricStat and Expression.",
                    query.id
                )));
            }
        }
    }
    if queries.iter().all(|it| it.return_data == Some(false)) {
        return Err(invalid("At least one query must return data."));
    }
    Ok(())
}

/// Reads the metrics of queries. `start` says where the first step of a period begins.
pub(super) fn scope(
    store: &Store,
    region: &str,
    queries: &[Query],
    start: impl Fn(i64) -> i64,
    end: i64,
) -> Result<Scope, Fault> {
    let mut terms = Vec::new();
    for query in queries {
        let (source, period) = match (&query.metric_stat, &query.expression) {
            (Some(it), _) => {
                let (metric, stat) = (it.metric.metric()?, metric::stat(&it.stat)?);
                let (period, start, unit) = (it.period, start(it.period), it.unit.as_deref());
                let points = store.read(region, &Window { metric: &metric, unit, stat, period, start, end });
                (Source::Metric(points.into_iter().map(|(at, it)| (at, it.value)).collect()), it.period)
            }
            (None, text) => {
                let text = text.as_deref().unwrap_or_default();
                let expr = Expr::parse(text).map_err(|err| wrong(query, &err.to_string()))?;
                (Source::Math(expr), query.period.unwrap_or(60))
            }
        };
        terms.push(Term { id: query.id.clone(), source, period });
    }
    let shortest = queries.iter().filter_map(|it| it.metric_stat.as_ref()).map(|it| it.period).min().unwrap_or(60);
    Ok(Scope { terms, start: start(shortest), end })
}
