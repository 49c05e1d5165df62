//! Runs of a Databricks job, and what each way in which they end means here. Pure.
//!
//! The states are those of the Jobs API 2.2 (`runs/list`, field `state`).

use serde::{Deserialize, Serialize};

/// A run as `runs/list` and `runs/get` show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names are those of the API")]
pub(crate) struct Run {
    pub(crate) run_id: i64,
    pub(crate) job_id: i64,
    /// When it was triggered, in milliseconds since 1970.
    pub(crate) start_time: i64,
    /// When it was over; 0 while it is not.
    #[serde(default)]
    pub(crate) end_time: i64,
    /// How long it ran, in milliseconds, without its time in the queue.
    #[serde(default)]
    pub(crate) run_duration: i64,
    pub(crate) state: State,
}

/// How far along a run is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    pub(crate) life_cycle_state: String,
    pub(crate) result_state: Option<String>,
}

/// How a run ended, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// All went well.
    Success,
    /// The tasks at the end of the graph succeeded, another one failed. Databricks tells its destinations that this is a
    /// success. Here it is both: the job is not late, and somebody must look at what failed.
    Partly,
    /// It failed, or ran out of time, or ended in a way that is not known here.
    Failed,
    /// A person took it back. Whoever did so knows; if nothing succeeds after it, the job is late.
    Canceled,
    /// It never ran: the job had as many runs as it may have, or was switched off. The run that was in its way shows by
    /// its age, and if nothing succeeds, the job is late.
    Skipped,
}

impl Ending {
    /// Says whether it counts as a failed run.
    pub(crate) fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::Partly)
    }

    /// Says whether the job has done its work with it.
    pub(crate) fn is_success(self) -> bool {
        matches!(self, Self::Success | Self::Partly)
    }

    /// Says whether it ran to an end of its own, so that its duration means something.
    pub(crate) fn has_duration(self) -> bool {
        !matches!(self, Self::Skipped | Self::Canceled)
    }
}

impl Run {
    /// Says how the run ended; `None` while it has not.
    pub(crate) fn ending(&self) -> Option<Ending> {
        match self.state.life_cycle_state.as_str() {
            "BLOCKED" | "PENDING" | "QUEUED" | "RUNNING" | "TERMINATING" | "WAITING_FOR_RETRY" => return None,
            "SKIPPED" => return Some(Ending::Skipped),
            _ => {}
        }
        Some(match self.state.result_state.as_deref().unwrap_or_default() {
            "SUCCESS" => Ending::Success,
            "SUCCESS_WITH_FAILURES" => Ending::Partly,
            "CANCELED" | "UPSTREAM_CANCELED" => Ending::Canceled,
            "MAXIMUM_CONCURRENT_RUNS_REACHED" | "EXCLUDED" | "DISABLED" => Ending::Skipped,
            // FAILED, TIMEDOUT, UPSTREAM_FAILED, none at all (INTERNAL_ERROR), and what the API may add.
            _ => Ending::Failed,
        })
    }

    /// How long it ran, in milliseconds.
    pub(crate) fn duration(&self) -> i64 {
        if self.run_duration > 0 { self.run_duration } else { (self.end_time - self.start_time).max(0) }
    }

    /// What tells one ending from another: a run that is repaired ends once more.
    pub(crate) fn key(&self) -> String {
        format!("{}@{}", self.run_id, self.end_time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(life: &str, result: &str) -> Option<Ending> {
        let state = State {
            life_cycle_state: life.to_owned(),
            result_state: Some(result.to_owned()).filter(|it| !it.is_empty()),
        };
        Run { run_id: 1, job_id: 2, start_time: 3, end_time: 4, run_duration: 0, state }.ending()
    }

    #[test]
    fn every_ending_is_a_decision() {
        for life in ["BLOCKED", "PENDING", "QUEUED", "RUNNING", "TERMINATING", "WAITING_FOR_RETRY"] {
            assert_eq!(ending(life, ""), None, "{life}");
        }
        for (life, result, wanted) in [
            ("TERMINATED", "SUCCESS", Ending::Success),
            ("TERMINATED", "SUCCESS_WITH_FAILURES", Ending::Partly),
            ("TERMINATED", "FAILED", Ending::Failed),
            ("INTERNAL_ERROR", "FAILED", Ending::Failed),
            ("INTERNAL_ERROR", "", Ending::Failed),
            ("TERMINATED", "TIMEDOUT", Ending::Failed),
            ("TERMINATED", "UPSTREAM_FAILED", Ending::Failed),
            ("TERMINATED", "NEW_WORD", Ending::Failed),
            ("NEW_LIFE", "", Ending::Failed),
            ("TERMINATED", "CANCELED", Ending::Canceled),
            ("TERMINATED", "UPSTREAM_CANCELED", Ending::Canceled),
            ("SKIPPED", "MAXIMUM_CONCURRENT_RUNS_REACHED", Ending::Skipped),
            ("SKIPPED", "", Ending::Skipped),
            ("TERMINATED", "MAXIMUM_CONCURRENT_RUNS_REACHED", Ending::Skipped),
            ("TERMINATED", "EXCLUDED", Ending::Skipped),
            ("TERMINATED", "DISABLED", Ending::Skipped),
        ] {
            assert_eq!(ending(life, result), Some(wanted), "{life} {result}");
        }
    }

    #[test]
    fn what_each_ending_means() {
        use Ending::{Canceled, Failed, Partly, Skipped, Success};
        let those = |fits: fn(Ending) -> bool| {
            [Success, Partly, Failed, Canceled, Skipped].into_iter().filter(|it| fits(*it)).collect::<Vec<_>>()
        };
        assert_eq!(those(Ending::is_failure), [Partly, Failed]);
        assert_eq!(those(Ending::is_success), [Success, Partly]);
        assert_eq!(those(Ending::has_duration), [Success, Partly, Failed]);
    }
}
