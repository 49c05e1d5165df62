//! How far the runs of a job lie apart. Pure.

use super::{
    Job,
    start::{Schedule, Unit},
};
use crate::{
    quantity::Span,
    quartz::{Mistake, Quartz},
};

impl Job {
    /// Returns the longest time between two runs that begin by themselves; `None` where none do so regularly, or the job
    /// rests.
    ///
    /// # Errors
    /// Says what is wrong with its schedule.
    pub fn period(&self) -> Result<Option<Span>, Mistake> {
        let schedule = self.schedule.as_ref().filter(|it| !it.paused);
        let by_schedule = schedule.map(gap).transpose()?.flatten();
        let trigger = self.trigger.as_ref().filter(|it| !it.paused);
        let by_trigger = trigger.and_then(|it| it.periodic.as_ref()).map(|it| {
            let unit = match it.unit {
                Unit::Hours => 3600,
                Unit::Days => 86_400,
                Unit::Weeks => 7 * 86_400,
            };
            Span::seconds(u64::from(it.interval) * unit)
        });
        Ok(by_schedule.or(by_trigger))
    }
}

fn gap(schedule: &Schedule) -> Result<Option<Span>, Mistake> {
    let quartz = Quartz::parse(&schedule.cron, &schedule.timezone)?;
    Ok(quartz.longest_gap().map(Span::seconds))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_schedule_that_cannot_be_read_says_why() {
        let job = json!({ "tasks": {}, "schedule": { "cron": "0 0 25 * * ?" } });
        let job: Job = serde_json::from_value(job).expect("a spec");
        assert!(job.period().expect_err("no hour").message.contains("`25` is no hour"));
    }

    #[test]
    fn what_begins_regularly_has_a_period() {
        let period = |field: &str, how: Value| {
            let job: Job = serde_json::from_value(json!({ "tasks": {}, (field): how })).expect("a spec");
            job.period().expect("a period").map(|it| it.to_string())
        };
        assert_eq!(period("schedule", json!({ "cron": "0 5/15 * * * ?" })).as_deref(), Some("15m"));
        assert_eq!(period("schedule", json!({ "cron": "0 5/15 * * * ?", "paused": true })), None);
        let office = json!({ "cron": "0 0/10 9-17 ? * MON-FRI" });
        assert_eq!(period("schedule", office).as_deref(), Some("3790m"), "over the weekend");
        let every = json!({ "periodic": { "interval": 4, "unit": "hours" } });
        assert_eq!(period("trigger", every).as_deref(), Some("4h"));
        assert_eq!(period("trigger", json!({ "file_arrival": { "url": "s3://b/" } })), None);
    }
}
