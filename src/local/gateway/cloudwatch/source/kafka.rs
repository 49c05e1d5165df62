//! How far consumer groups are behind: the metrics of MSK, and those of event source mappings that tell of lag.
//!
//! Source: "Monitor consumer lags" in the MSK developer guide. The groups are those of the mappings of this machine.
//! The time that a partition is behind is its lag at the speed of its latest progress; where there is none, how long
//! that is so.

use std::{collections::HashMap, time::Instant};

use super::Meter;
use crate::{
    client::kafka::Progress,
    local::gateway::{broker::Brokers, cloudwatch::metric::Metric},
};

/// A mapping whose lag is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Watched {
    /// The region.
    pub(crate) region: String,
    /// The mapping.
    pub(crate) uuid: String,
    /// The function's name.
    pub(crate) function: String,
    /// The cluster's name.
    pub(crate) cluster: String,
    /// The consumer group.
    pub(crate) group: String,
    /// The topic.
    pub(crate) topic: String,
    /// Whether it was asked to count its events, and does so now.
    pub(crate) counts: bool,
}

/// How far each partition of each group was.
#[derive(Debug, Default)]
pub(super) struct Lags(HashMap<(String, String, i32), Mark>);

#[derive(Clone, Copy, Debug)]
struct Mark {
    /// The next offset to be read.
    at: i64,
    /// When it moved last, or there was nothing left to read.
    moved: Instant,
    /// Records in a second, at the latest progress.
    speed: f64,
}

impl Lags {
    /// Asks for one group's progress and tells it. Brokers that are away tell nothing.
    pub(super) async fn sample(&mut self, of: &Watched, brokers: &Brokers, meter: &Meter) {
        let progress = match brokers.kafka().await {
            Ok(kafka) => kafka.progress(&of.group, &[&of.topic]).await,
            Err(err) => Err(err),
        };
        let progress = match progress {
            Ok(it) if !it.is_empty() => it,
            Ok(_) => return,
            Err(err) => {
                tracing::debug!("lag of {}: {err}", of.group);
                return;
            }
        };
        let lags: Vec<f64> = progress.iter().map(|it| number(it.lag())).collect();
        let (sum, most) = (lags.iter().sum(), lags.iter().copied().fold(0.0, f64::max));
        let now = Instant::now();
        let times = progress.iter().map(|it| self.seconds(of, it, now));
        let longest = times.fold(0.0, f64::max);
        let set = |name: &str, unit: &str, value: f64| {
            let dimensions = [("Cluster Name", &*of.cluster), ("Consumer Group", &*of.group), ("Topic", &*of.topic)];
            meter.set(&of.region, Metric::new("AWS/Kafka", name, dimensions), unit, value);
        };
        set("SumOffsetLag", "Count", sum);
        set("MaxOffsetLag", "Count", most);
        set("EstimatedMaxTimeLag", "Seconds", longest);
        let of_mapping = [("EventSourceMappingUUID", &*of.uuid), ("FunctionName", &*of.function)];
        meter.set(&of.region, Metric::new("AWS/Lambda", "OffsetLag", of_mapping), "Count", sum);
        // A function may have several mappings: this one's lag is one value among theirs.
        let of_function = Metric::new("AWS/Lambda", "OffsetLag", [("FunctionName", &*of.function)]);
        meter.add(&of.region, of_function, "Count", sum);
        if of.counts {
            // Nothing happened: that is a value, too.
            for name in ["PolledEventCount", "InvokedEventCount", "FailedInvokeEventCount", "DroppedEventCount"] {
                meter.events(&of.region, &of.uuid, name, 0);
            }
        }
    }

    /// Estimates how long a partition takes to catch up.
    fn seconds(&mut self, of: &Watched, progress: &Progress, now: Instant) -> f64 {
        let at = progress.committed.unwrap_or(progress.start);
        let key = (of.group.clone(), progress.topic.clone(), progress.partition);
        let fresh = Mark { at, moved: now, speed: 0.0 };
        let mark = self.0.entry(key).or_insert(fresh);
        let lag = number(progress.lag());
        if lag <= 0.0 {
            *mark = fresh;
            return 0.0;
        }
        let waited = now.duration_since(mark.moved).as_secs_f64();
        match u64::try_from(at - mark.at) {
            Ok(moved) if moved > 0 => {
                *mark = Mark { at, moved: now, speed: number(moved) / waited.max(0.001) };
                lag / mark.speed
            }
            // Its speed counts for as long as it would have taken to move on.
            Ok(_) if mark.speed > 0.0 => waited.max(lag / mark.speed),
            Ok(_) => waited,
            // The group was set back.
            Err(_) => {
                *mark = fresh;
                0.0
            }
        }
    }
}

fn number(it: u64) -> f64 {
    f64::from(u32::try_from(it).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_stopped_group_ages_and_a_moving_one_catches_up() {
        let of = Watched {
            region: "r".into(),
            uuid: "u".into(),
            function: "f".into(),
            cluster: "c".into(),
            group: "g".into(),
            topic: "t".into(),
            counts: false,
        };
        let mut lags = Lags::default();
        let began = Instant::now();
        let mut sample = |seconds: u64, committed: i64, end: i64| {
            let progress = Progress { topic: "t".into(), partition: 0, committed: Some(committed), end, start: 0 };
            lags.seconds(&of, &progress, began + Duration::from_secs(seconds)).round()
        };
        let close = |found: f64, wanted: f64| assert!((found - wanted).abs() < 0.5, "{found}, not {wanted}");
        close(sample(0, 10, 10), 0.0);
        close(sample(15, 10, 110), 15.0);
        close(sample(75, 10, 110), 75.0);
        // Sixty records in fifteen seconds: the forty that are left take ten.
        close(sample(90, 70, 110), 40.0 / (60.0 / 90.0));
        close(sample(105, 100, 110), 5.0);
        close(sample(120, 110, 110), 0.0);
        close(sample(125, 0, 110), 0.0);
    }
}
