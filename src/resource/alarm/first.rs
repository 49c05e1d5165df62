//! The first points of an alarm that goes off on silence.
//!
//! CloudWatch evaluates a new alarm at once, over points from before it was made. Where a missing one counts as bad, it would go
//! off in its first minute although all is well, and call people for it. So it begins as if all had been well until now: good
//! points for the periods that it looks at. From then on its silence counts.

use std::time::{Duration, SystemTime};

use aws_sdk_cloudwatch::{
    primitives::DateTime,
    types::{self, MetricDataQuery, MetricDatum, MetricStat, StandardUnit},
};

use super::{
    Result,
    definition::{Compare, Measure, Metric, Missing},
    request::dimensions,
};
use crate::{
    client::{Error, Reason},
    resource::{Cx, metric},
};

/// Makes sure that there is a point for an alarm that is about to be made. Where there was none, it puts some, and says "not now",
/// as CloudWatch takes a while to show them.
pub(super) async fn ensure(cx: &Cx, measure: &Measure) -> Result<()> {
    // Nobody can put points of AWS's own metrics, and a computed value has none.
    let needed = measure.missing == Missing::Breaching && measure.value.is_none();
    let Some(metric) = measure.metrics.values().next().filter(|it| needed && it.namespace == metric::OWN) else {
        return Ok(());
    };
    let (period, now) = (Duration::from_secs(measure.period.as_secs()), SystemTime::now());
    let at = |ago: u32| DateTime::from(now.checked_sub(period * ago).unwrap_or(now));
    let what = types::Metric::builder().namespace(&metric.namespace).metric_name(&metric.name);
    let what = what.set_dimensions(Some(dimensions(metric))).build();
    let seconds = i32::try_from(measure.period.as_secs()).unwrap_or(i32::MAX);
    let stat = MetricStat::builder().metric(what).period(seconds).stat(&metric.statistic).build();
    let asked = cx.aws.cloudwatch().get_metric_data().start_time(at(measure.points.of + 1)).end_time(at(0));
    let asked = asked.metric_data_queries(MetricDataQuery::builder().id("first").metric_stat(stat).build());
    let found = asked.send().await.map_err(Error::aws("cloudwatch", "GetMetricData"))?;
    if found.metric_data_results().iter().any(|it| !it.values().is_empty()) {
        return Ok(());
    }
    let points = (0..=measure.points.of).map(|ago| point(metric, good(measure)).timestamp(at(ago)).build());
    let put = cx.aws.cloudwatch().put_metric_data().namespace(&metric.namespace);
    let put = put.set_metric_data(Some(points.collect()));
    put.send().await.map_err(Error::aws("cloudwatch", "PutMetricData"))?;
    let message = format!("CloudWatch does not show the first points of {} yet", metric.name);
    Err(Error::new("cloudwatch", "PutMetricAlarm", Reason::Busy, message).into())
}

/// In another unit than that of those that follow, points would be of another series.
fn point(metric: &Metric, value: f64) -> types::builders::MetricDatumBuilder {
    let unit = metric::unit(&metric.name).map_or(StandardUnit::None, StandardUnit::from);
    let point = MetricDatum::builder().metric_name(&metric.name).set_dimensions(Some(dimensions(metric)));
    point.value(value).unit(unit)
}

/// Returns a value that is not bad: none at all where that is good, else the nearest.
fn good(measure: &Measure) -> f64 {
    let limit = measure.threshold;
    match measure.compare {
        Compare::Above => limit.min(0.0),
        Compare::AtLeast => (limit - 1.0).min(0.0),
        Compare::Below => limit.max(0.0),
        Compare::AtMost => (limit + 1.0).max(0.0),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{quantity::Span, resource::alarm::definition::Points};

    #[test]
    fn the_first_points_are_good() {
        let measure = |compare, threshold| Measure {
            metrics: BTreeMap::new(),
            value: None,
            compare,
            threshold,
            period: Span::seconds(60),
            points: Points { bad: 3, of: 3 },
            missing: Missing::Breaching,
        };
        for (compare, threshold, wanted) in [
            (Compare::Above, 1800.0, 0.0),
            (Compare::Above, -5.0, -5.0),
            (Compare::AtLeast, 1.0, 0.0),
            (Compare::AtLeast, 0.0, -1.0),
            (Compare::Below, 1.0, 1.0),
            (Compare::AtMost, 0.0, 1.0),
        ] {
            assert!((good(&measure(compare, threshold)) - wanted).abs() < f64::EPSILON, "{compare:?} {threshold}");
        }
    }
}
