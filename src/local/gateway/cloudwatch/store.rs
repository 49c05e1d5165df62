//! The values of all metrics, in memory: three hours of them, by the minute, or by the second where that was asked for.
//!
//! Nothing of it is written to disk: after a start there are no values, as after three hours of silence.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    metric::{Metric, Point},
    series::{Stat, Summary},
};

/// How long values are kept, in seconds.
pub(crate) const KEPT: i64 = 3 * 3600;
/// The most metrics that are kept in one region; the one that was silent the longest makes room.
const MOST: usize = 5000;

/// Values, by the time they begin at.
pub(crate) type Points = BTreeMap<i64, Sample>;

/// One value, and of how many it was made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sample {
    /// The statistic.
    pub(crate) value: f64,
    /// How many values it sums up.
    pub(crate) count: f64,
}

/// What is read: one statistic of a metric, in steps of equal length.
#[derive(Clone, Debug)]
pub(crate) struct Window<'a> {
    /// The metric.
    pub(crate) metric: &'a Metric,
    /// The unit; `None` for all.
    pub(crate) unit: Option<&'a str>,
    /// The statistic.
    pub(crate) stat: Stat,
    /// The length of a step, in seconds.
    pub(crate) period: i64,
    /// Where the first step begins.
    pub(crate) start: i64,
    /// Where the last one must have begun.
    pub(crate) end: i64,
}

/// All values.
#[derive(Debug, Default)]
pub(crate) struct Store(Mutex<HashMap<String, BTreeMap<Metric, Track>>>);

/// The values of one metric.
#[derive(Debug, Default)]
struct Track {
    latest: i64,
    /// By unit, then by time.
    units: BTreeMap<String, BTreeMap<i64, Summary>>,
}

impl Store {
    /// Adds values. Those that are too old to be kept are left out.
    pub(crate) fn put(&self, region: &str, points: impl IntoIterator<Item = Point>, now: i64) {
        let mut all = self.lock();
        let metrics = all.entry(region.to_owned()).or_default();
        for point in points {
            if point.at < now - KEPT {
                continue;
            }
            if metrics.len() >= MOST && !metrics.contains_key(&point.metric) {
                let silent = metrics.iter().min_by_key(|it| it.1.latest).map(|it| it.0.clone());
                silent.iter().for_each(|it| drop(metrics.remove(it)));
            }
            let track = metrics.entry(point.metric).or_default();
            track.latest = track.latest.max(point.at);
            let at = if point.fine { point.at } else { point.at.div_euclid(60) * 60 };
            track.units.entry(point.unit).or_default().entry(at).or_default().merge(&point.values);
        }
    }

    /// Makes a value the only one of its time.
    pub(crate) fn set(&self, region: &str, point: Point, now: i64) {
        let at = if point.fine { point.at } else { point.at.div_euclid(60) * 60 };
        if let Some(track) = self.lock().get_mut(region).and_then(|it| it.get_mut(&point.metric)) {
            track.units.values_mut().for_each(|it| drop(it.remove(&at)));
        }
        self.put(region, [point], now);
    }

    /// Forgets what is too old.
    pub(crate) fn prune(&self, now: i64) {
        for metrics in self.lock().values_mut() {
            for track in metrics.values_mut() {
                for steps in track.units.values_mut() {
                    *steps = steps.split_off(&(now - KEPT));
                }
                track.units.retain(|_, it| !it.is_empty());
            }
            metrics.retain(|_, it| !it.units.is_empty());
        }
    }

    /// Reads values; steps without any are left out.
    pub(crate) fn read(&self, region: &str, wanted: &Window<'_>) -> Points {
        let sums = self.sums(region, wanted);
        let sample = |(at, it): (i64, Summary)| Some((at, Sample { value: it.get(wanted.stat)?, count: it.count() }));
        sums.into_iter().filter_map(sample).collect()
    }

    /// Reads values with all that they sum up; the statistic does not matter.
    pub(crate) fn sums(&self, region: &str, wanted: &Window<'_>) -> BTreeMap<i64, Summary> {
        let all = self.lock();
        let mut found: BTreeMap<i64, Summary> = BTreeMap::new();
        let Some(track) = all.get(region).and_then(|it| it.get(wanted.metric)) else { return found };
        let last = wanted.start + (wanted.end - wanted.start).max(0).div_euclid(wanted.period) * wanted.period;
        let end = if last < wanted.end { last + wanted.period } else { last };
        for (unit, steps) in &track.units {
            if end <= wanted.start || wanted.unit.is_some_and(|it| it != unit) {
                continue;
            }
            for (at, summary) in steps.range(wanted.start..end) {
                let step = wanted.start + (at - wanted.start).div_euclid(wanted.period) * wanted.period;
                found.entry(step).or_default().merge(summary);
            }
        }
        found
    }

    /// Returns the unit that a metric was published with, where it was one.
    pub(crate) fn unit(&self, region: &str, metric: &Metric) -> Option<String> {
        let all = self.lock();
        let units = &all.get(region)?.get(metric)?.units;
        units.keys().next().filter(|_| units.len() == 1).cloned()
    }

    /// Lists the metrics of a region that had a value since then.
    pub(crate) fn metrics(&self, region: &str, since: i64) -> Vec<Metric> {
        let all = self.lock();
        let metrics = all.get(region).into_iter().flatten();
        metrics.filter(|it| it.1.latest >= since).map(|it| it.0.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, BTreeMap<Metric, Track>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const R: &str = "us-east-1";

    fn point(metric: &Metric, at: i64, value: f64, fine: bool) -> Point {
        Point { metric: metric.clone(), at, fine, unit: "Count".into(), values: Summary::one(value) }
    }

    fn sums(store: &Store, metric: &Metric, period: i64, start: i64, end: i64) -> Vec<(i64, f64)> {
        let window = Window { metric, unit: None, stat: Stat::Sum, period, start, end };
        store.read(R, &window).into_iter().map(|(at, it)| (at, it.value)).collect()
    }

    #[test]
    fn values_are_summed_up_by_step() {
        let (store, metric) = (Store::default(), Metric::new("Shop", "Orders", [("Stack", "dev")]));
        store.put(
            R,
            [point(&metric, 61, 1.0, false), point(&metric, 119, 2.0, false), point(&metric, 120, 4.0, false)],
            200,
        );
        assert_eq!(sums(&store, &metric, 60, 0, 180), [(60, 3.0), (120, 4.0)]);
        assert_eq!(sums(&store, &metric, 60, 0, 120), [(60, 3.0)], "the end is left out");
        assert_eq!(sums(&store, &metric, 60, 0, 121), [(60, 3.0), (120, 4.0)]);
        assert_eq!(sums(&store, &metric, 120, 60, 180), [(60, 7.0)], "steps are counted from the start");
        assert_eq!(sums(&store, &metric, 10, 60, 70), [(60, 3.0)], "a minute's value stands at its beginning");
        assert_eq!(sums(&store, &metric, 60, 180, 60), []);
        assert_eq!(sums(&store, &Metric::new("Shop", "Orders", []), 60, 0, 180), []);
    }

    #[test]
    fn fine_values_keep_their_second_and_units_stay_apart() {
        let (store, metric) = (Store::default(), Metric::new("Shop", "Orders", []));
        store.put(R, [point(&metric, 61, 1.0, true), point(&metric, 75, 2.0, true)], 200);
        store.put(R, [Point { unit: "Bytes".into(), ..point(&metric, 62, 9.0, true) }], 200);
        assert_eq!(sums(&store, &metric, 10, 60, 80), [(60, 10.0), (70, 2.0)]);
        let bytes = Window { metric: &metric, unit: Some("Bytes"), stat: Stat::Sum, period: 60, start: 60, end: 120 };
        assert_eq!(store.read(R, &bytes).values().map(|it| it.value).collect::<Vec<_>>(), [9.0]);
        assert_eq!(store.unit(R, &metric), None);
    }

    #[test]
    fn a_value_that_is_set_is_the_only_one_of_its_minute() {
        let (store, metric) = (Store::default(), Metric::new("AWS/RDS", "DatabaseConnections", []));
        store.set(R, point(&metric, 61, 1.0, false), 200);
        store.set(R, point(&metric, 90, 5.0, false), 200);
        store.set(R, point(&metric, 121, 2.0, false), 200);
        assert_eq!(sums(&store, &metric, 60, 60, 180), [(60, 5.0), (120, 2.0)]);
    }

    #[test]
    fn old_values_go() {
        let (store, metric) = (Store::default(), Metric::new("Shop", "Orders", []));
        store.put(R, [point(&metric, 0, 1.0, false), point(&metric, KEPT, 1.0, false)], KEPT);
        store.prune(KEPT + 60);
        assert_eq!(sums(&store, &metric, 60, 0, KEPT + 60).len(), 1);
        assert_eq!(store.metrics(R, KEPT), std::slice::from_ref(&metric));
        store.prune(3 * KEPT);
        assert_eq!(store.metrics(R, 0), []);
        store.put(R, [point(&metric, 0, 1.0, false)], 3 * KEPT);
        assert_eq!(store.metrics(R, 0), [], "too old to be kept at all");
    }

    #[test]
    fn the_number_of_metrics_is_bounded() {
        let store = Store::default();
        for i in 0..=MOST {
            let metric = Metric::new("Shop", &format!("m{i}"), []);
            store.put(R, [point(&metric, 1000 + i64::try_from(i).expect("small"), 1.0, false)], 2000);
        }
        let all = store.metrics(R, 0);
        assert_eq!(all.len(), MOST);
        assert!(!all.iter().any(|it| it.name == "m0"), "the most silent one made room");
    }
}
