//! How far the runs of a job lie apart. Pure.

use jiff::Timestamp;

use super::{
    Job,
    start::{Schedule, Unit},
};
use crate::{quantity::Span, quartz::Quartz};

impl Job {
    /// Returns the longest time between two runs that begin by themselves; `None` where none do so regularly, or the job
    /// rests.
    pub fn period(&self) -> Option<Span> {
        let by_schedule = self.schedule.as_ref().filter(|it| !it.paused).and_then(gap);
        let trigger = self.trigger.as_ref().filter(|it| !it.paused);
        let by_trigger = trigger.and_then(|it| it.periodic.as_ref()).map(|it| {
            let unit = match it.unit {
                Unit::Hours => 3600,
                Unit::Days => 86_400,
                Unit::Weeks => 7 * 86_400,
            };
            Span::seconds(u64::from(it.interval) * unit)
        });
        by_schedule.or(by_trigger)
    }
}

fn gap(schedule: &Schedule) -> Option<Span> {
    let quartz = Quartz::parse(&schedule.cron, &schedule.timezone).ok()?;
    // Any moment will do, and one that is always the same gives the same answer.
    quartz.longest_gap(Timestamp::UNIX_EPOCH).map(Span::seconds)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_begins_regularly_has_a_period() {
        let period = |field: &str, how: Value| {
            let job: Job = serde_json::from_value(json!({ "tasks": {}, (field): how })).expect("a spec");
            job.period().map(|it| it.to_string())
        };
        assert_eq!(period("schedule", json!({ "cron": "0 5/15 * * * ?" })).as_deref(), Some("15m"));
        assert_eq!(period("schedule", json!({ "cron": "0 5/15 * * * ?", "paused": true })), None);
        let every = json!({ "periodic": { "interval": 4, "unit": "hours" } });
        assert_eq!(period("trigger", every).as_deref(), Some("4h"));
        assert_eq!(period("trigger", json!({ "file_arrival": { "url": "s3://b/" } })), None);
    }
}
