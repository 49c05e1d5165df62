//! When jobs are due: cron schedules, periods, and jobs that always run. What was due while nothing ran is not made up.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tokio::{select, time::sleep};

use super::{Inner, Runner};
use crate::{
    local::databricks::{
        job::{
            Job,
            settings::{Pause, Periodic, Settings, Unit},
        },
        run::{self, New, graph::is_failure, record::Trigger, store::Runs},
    },
    quartz::Quartz,
};

/// The longest sleep: the clock may be set meanwhile.
const LONGEST: Duration = Duration::from_secs(30);
/// The longest pause before a continuous job that keeps failing runs again.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_secs(60);

/// Begins runs when they are due, for as long as it is polled.
pub(super) async fn serve(inner: &Arc<Inner>, runner: &Runner) {
    let mut since = Timestamp::now();
    loop {
        let now = Timestamp::now();
        let mut soonest = now + LONGEST;
        for (id, job) in inner.jobs.all().iter() {
            let Ok(settings) = job.read() else { continue };
            let Some((due, trigger)) = due(*id, job, &settings, since, &inner.runs) else { continue };
            if due > now {
                soonest = soonest.min(due);
                continue;
            }
            match run::begin(&inner.runs, New::scheduled(*id, job.clone(), trigger)).await {
                Ok(_) => runner.wake(),
                Err(fault) => inner.place.log.write(&format!("job {id} is due, but: {fault}")),
            }
        }
        since = now;
        let pause = Duration::try_from(soonest.duration_since(Timestamp::now())).unwrap_or_default();
        select! {
            () = sleep(pause.max(Duration::from_millis(20))) => {}
            () = inner.jobs.changed.notified() => {}
            () = inner.ended.notified() => {}
        }
    }
}

/// When a job is due next, after a time; none when it never is.
fn due(id: i64, job: &Job, settings: &Settings, since: Timestamp, runs: &Runs) -> Option<(Timestamp, Trigger)> {
    let born = Timestamp::from_millisecond(job.scheduled).ok()?;
    if let Some(it) = settings.schedule.as_ref().filter(|it| it.pause_status == Pause::Unpaused) {
        let quartz = Quartz::parse(&it.quartz_cron_expression, &it.timezone_id).ok()?;
        return Some((quartz.after(since.max(born))?, Trigger::Periodic));
    }
    if let Some(it) = settings.trigger.as_ref().filter(|it| it.pause_status == Pause::Unpaused) {
        return Some((after(born, it.periodic?, since.max(born))?, Trigger::Periodic));
    }
    settings.continuous.as_ref().filter(|it| it.pause_status == Pause::Unpaused)?;
    let own: Vec<_> = runs.all().into_iter().filter(|it| it.job == id).collect();
    if own.iter().any(|it| !it.state.life.is_over()) {
        return None;
    }
    let Some(last) = own.first().and_then(|it| it.ended) else { return Some((born, Trigger::Continuous)) };
    let failed = own.iter().take_while(|it| it.state.result.is_none_or(is_failure)).count();
    let failed = u32::try_from(failed).unwrap_or(u32::MAX);
    let pause = SignedDuration::from_secs(1).saturating_mul(2_i32.saturating_pow(failed)).min(LONGEST_PAUSE);
    Some((Timestamp::from_millisecond(last).ok()? + pause, Trigger::Continuous))
}

/// The first multiple of a period, counted from a time, that lies after another.
///
/// None when that is later than times can be told.
fn after(born: Timestamp, it: Periodic, since: Timestamp) -> Option<Timestamp> {
    let unit = match it.unit {
        Unit::Minutes => 60,
        Unit::Hours => 3600,
        Unit::Days => 24 * 3600,
        Unit::Weeks => 7 * 24 * 3600,
    };
    let period = (i64::from(it.interval) * unit).max(1);
    let passed = since.duration_since(born).as_secs() / period;
    let next = (passed + 1).checked_mul(period)?;
    born.checked_add(SignedDuration::from_secs(next)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_count_from_when_they_were_set() {
        let born: Timestamp = "2026-11-09T10:00:30Z".parse().expect("time");
        let next = |since: &str| {
            let period = Periodic { interval: 2, unit: Unit::Hours };
            after(born, period, since.parse().expect("time")).expect("a time").to_string()
        };
        assert_eq!(next("2026-11-09T10:00:30Z"), "2026-11-09T12:00:30Z");
        assert_eq!(next("2026-11-09T12:00:30Z"), "2026-11-09T14:00:30Z");
        assert_eq!(next("2026-11-10T11:59:00Z"), "2026-11-10T12:00:30Z");
        let never = Periodic { interval: u32::MAX, unit: Unit::Weeks };
        assert_eq!(after(born, never, born), None);
    }
}
