//! What is remembered from one look to the next, and the decision which runs are news. Pure.
//!
//! Looks overlap: those of the schedule, those that a webhook asks for, and repeated ones. Each run must count once. So
//! what has been counted is kept in one small object in S3, which changes only under the tag that was read: of two looks
//! that find the same run, one claims it, and the other sees that when it reads again. A claim lasts some minutes: when
//! whoever made it dies before the metric is written, a later look takes the run over. So a run is counted twice only if
//! a function dies in the moment between the two, and never not at all.
//!
//! Nothing could be derived from the time of the invocation instead: an hour in which Databricks does not answer must be
//! made up for afterwards, and a webhook comes at any time.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::run::{Ending, Run};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
/// How long a run that is over may take to appear in lists, at most.
const LATENESS: i64 = HOUR;
/// How far back runs are always listed, so that one that was repaired is seen again.
const LOOKBACK: i64 = 2 * HOUR;
/// How long before the first look a run may have ended and still be news.
const FIRST: i64 = 2 * MINUTE;
/// How far clocks may disagree. What is remembered of a later time was written while a clock was ahead.
const AHEAD: i64 = 5 * MINUTE;
/// How long a claim lasts: longer than an invocation can.
const CLAIM: i64 = 5 * MINUTE;

/// What is remembered of all jobs, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Jobs {
    pub(crate) jobs: BTreeMap<String, Memory>,
}

/// What is remembered of one job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// The job's number: under the name there may be another job one day.
    pub(crate) id: i64,
    /// Runs that were triggered before are not listed, in milliseconds since 1970; so are the others.
    pub(crate) from: i64,
    /// Runs that ended before are no news.
    pub(crate) until: i64,
    /// When the last success ended, or the job was made.
    pub(crate) success: i64,
    /// When the last run began of which all went well; 0 for none. What the job writes is as of then.
    #[serde(default)]
    pub(crate) as_of: i64,
    /// The endings at or after `until` that have been told.
    pub(crate) told: BTreeSet<String>,
    /// Those that somebody is about to tell.
    pub(crate) claims: BTreeMap<String, Claim>,
}

/// A run that somebody is about to tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    /// All that is to be told, so that it need not be found again.
    run: Run,
    /// Until when nobody else does.
    until: i64,
}

/// What one look at a job found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    /// Runs that are not over. Listed before the others, so that none can slip through between.
    pub(crate) active: Vec<Run>,
    /// Runs that are over; some perhaps twice.
    pub(crate) completed: Vec<Run>,
}

impl Memory {
    /// Begins to watch a job at `now`.
    pub(crate) fn new(id: i64, success: i64, now: i64) -> Self {
        let (told, claims) = (BTreeSet::new(), BTreeMap::new());
        Self { id, from: now - LOOKBACK, until: now - FIRST, success, as_of: 0, told, claims }
    }

    /// Takes note of what was found at `now`, claims what is news, and returns it.
    pub(crate) fn note(&mut self, found: &Listing, now: i64) -> Vec<Run> {
        // Else nothing would be news until that time comes.
        if self.until > now + AHEAD {
            self.until = now - LATENESS;
        }
        for it in [&mut self.success, &mut self.as_of] {
            if *it > now + AHEAD {
                *it = now;
            }
        }
        self.claims.values_mut().for_each(|it| it.until = it.until.min(now + CLAIM));
        for run in &found.completed {
            let Some(ending) = run.ending().filter(|_| run.job_id == self.id && run.end_time > 0) else { continue };
            if ending.is_success() {
                self.success = self.success.max(run.end_time);
            }
            if ending == Ending::Success {
                self.as_of = self.as_of.max(run.start_time);
            }
            if run.end_time >= self.until && !self.told.contains(&run.key()) {
                self.claims.entry(run.key()).or_insert_with(|| Claim { run: run.clone(), until: now });
            }
        }
        let mut news = Vec::new();
        for claim in self.claims.values_mut().filter(|it| it.until <= now) {
            claim.until = now + CLAIM;
            news.push(claim.run.clone());
        }
        let oldest = found.active.iter().map(|it| it.start_time).min();
        self.from = oldest.unwrap_or(i64::MAX).min(now - LOOKBACK);
        self.until = self.until.max(now - LATENESS);
        let until = self.until;
        self.told.retain(|it| ended(it) >= until);
        news
    }

    /// Takes note that these runs have been told.
    pub(crate) fn told(&mut self, runs: &[Run]) {
        for run in runs {
            self.claims.remove(&run.key());
            self.told.insert(run.key());
        }
    }

    /// Says whether this should be written in place of `old`. Most looks find nothing, and write nothing: where to list
    /// from may lag behind, as long as it does not lie.
    pub(crate) fn is_worth_writing(&self, old: &Self) -> bool {
        let success = self.success != old.success || self.as_of != old.as_of;
        let news = self.id != old.id || success || self.claims != old.claims;
        news || self.from < old.from || self.from > old.from + HOUR || self.until < old.until
    }
}

/// Reads when a run ended out of its key.
fn ended(key: &str) -> i64 {
    key.rsplit_once('@').and_then(|it| it.1.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::run;

    const NOW: i64 = 1_800_000_000_000;

    fn over(id: i64, start: i64, end: i64, result: &str) -> Run {
        let state = run::State { life_cycle_state: "TERMINATED".to_owned(), result_state: Some(result.to_owned()) };
        Run { run_id: id, job_id: 7, start_time: start, end_time: end, run_duration: 0, state }
    }

    fn running(id: i64, start: i64) -> Run {
        let state = run::State { life_cycle_state: "RUNNING".to_owned(), result_state: None };
        Run { end_time: 0, state, ..over(id, start, 0, "") }
    }

    fn ids(runs: &[Run]) -> Vec<i64> {
        runs.iter().map(|it| it.run_id).collect()
    }

    #[test]
    fn what_ended_before_anybody_looked_is_no_news() {
        let mut memory = Memory::new(7, 0, NOW);
        let completed = vec![
            over(3, NOW - HOUR, NOW - MINUTE, "FAILED"),
            over(2, NOW - HOUR, NOW - 3 * MINUTE, "SUCCESS"),
            over(1, NOW - HOUR, NOW - 4 * MINUTE, "FAILED"),
        ];
        let news = memory.note(&Listing { completed, ..Listing::default() }, NOW);
        assert_eq!((ids(&news), memory.success), (vec![3], NOW - 3 * MINUTE));
    }

    #[test]
    fn a_run_of_another_job_or_without_an_end_is_no_news() {
        let mut memory = Memory::new(7, 0, NOW);
        let foreign = Run { job_id: 8, ..over(1, NOW, NOW, "FAILED") };
        let completed = vec![foreign, over(2, NOW, 0, "FAILED"), running(3, NOW)];
        assert_eq!(memory.note(&Listing { completed, ..Listing::default() }, NOW), []);
    }

    #[test]
    fn a_repaired_run_ends_once_more() {
        let mut memory = Memory::new(7, 0, NOW);
        let see = |memory: &mut Memory, end, now| {
            let news =
                memory.note(&Listing { completed: vec![over(1, NOW, end, "FAILED")], ..Listing::default() }, now);
            memory.told(&news);
            news.len()
        };
        assert_eq!(see(&mut memory, NOW + 1, NOW + 2), 1);
        assert_eq!(see(&mut memory, NOW + 1, NOW + 3), 0);
        assert_eq!(see(&mut memory, NOW + 9 * HOUR, NOW + 9 * HOUR), 1);
        assert_eq!(see(&mut memory, NOW + 9 * HOUR, NOW + 30 * HOUR), 0, "forgotten, and too old to be news");
        assert!(memory.told.is_empty());
    }

    #[test]
    fn a_claim_that_nobody_honours_is_taken_over() {
        let mut memory = Memory::new(7, 0, NOW);
        let found = Listing { completed: vec![over(1, NOW, NOW + 1, "FAILED")], ..Listing::default() };
        assert_eq!(memory.note(&found, NOW + 2).len(), 1, "and dies");
        assert_eq!(memory.note(&found, NOW + 2 + CLAIM - 1).len(), 0);
        let news = memory.note(&found, NOW + 2 + CLAIM);
        assert_eq!(news.len(), 1);
        memory.told(&news);
        assert_eq!(memory.note(&found, NOW + 3 * CLAIM).len(), 0);
    }

    #[test]
    fn the_list_begins_with_the_oldest_run_that_is_not_over() {
        let mut memory = Memory::new(7, 0, NOW);
        memory.note(&Listing { active: vec![running(1, NOW - 30 * HOUR)], ..Listing::default() }, NOW);
        assert_eq!(memory.from, NOW - 30 * HOUR);
        memory.note(&Listing::default(), NOW + HOUR);
        assert_eq!(memory.from, NOW - HOUR);
    }

    #[test]
    fn a_clock_that_was_ahead_blinds_nobody() {
        const MONTH: i64 = 30 * 24 * HOUR;
        let mut memory = Memory::new(7, NOW, NOW);
        let end = NOW + MONTH;
        memory.note(&Listing { completed: vec![over(1, end - 1, end, "SUCCESS")], ..Listing::default() }, end + 1);
        let ahead = memory.clone();
        let completed = vec![over(2, NOW + HOUR, NOW + HOUR + 1, "FAILED")];
        let news = memory.note(&Listing { completed, ..Listing::default() }, NOW + HOUR + MINUTE);
        assert!(ids(&news).contains(&2), "{news:?}");
        assert_eq!(memory.success, NOW + HOUR + MINUTE, "late from now on, at the latest");
        assert!(memory.is_worth_writing(&ahead) && memory.from < NOW + HOUR);
    }

    #[test]
    fn quiet_looks_write_nothing() {
        let old = Memory::new(7, 0, NOW);
        let look = |now| {
            let mut new = old.clone();
            new.note(&Listing::default(), now);
            new.is_worth_writing(&old)
        };
        assert!(!look(NOW + MINUTE) && !look(NOW + 59 * MINUTE));
        assert!(look(NOW + 61 * MINUTE));
    }

    /// A look in the simulation: when it lists, and how much later it writes; whether it dies before it tells.
    #[derive(Clone, Debug)]
    struct Look {
        at: i64,
        takes: i64,
        dies: bool,
    }

    fn looks() -> impl Strategy<Value = Vec<Look>> {
        let one = (0..6 * HOUR, 0..MINUTE, prop::bool::weighted(0.1));
        prop::collection::vec(one.prop_map(|(at, takes, dies)| Look { at, takes, dies }), 1..40)
    }

    fn runs() -> impl Strategy<Value = Vec<Run>> {
        let one = (0..6 * HOUR, 0..3 * HOUR).prop_map(|(start, takes)| (NOW + start, NOW + start + takes + 1));
        prop::collection::vec(one, 1..30).prop_map(|them| {
            let runs = them.into_iter().zip(1..);
            runs.map(|((start, end), id)| over(id, start, end, "FAILED")).collect()
        })
    }

    proptest! {
        /// Looks overlap, and some die before they tell; when a last one has looked after every claim ended, each run has
        /// been told once.
        #[test]
        fn every_run_counts_once(runs in runs(), mut looks in looks()) {
            looks.sort_by_key(|it| it.at + it.takes);
            looks.push(Look { at: 10 * HOUR, takes: 0, dies: false });
            let mut shared = Memory::new(7, 0, NOW);
            // What each version of the memory was, by when it was written: a look lists by the one it reads.
            let mut versions = vec![(i64::MIN, shared.clone())];
            let mut told = BTreeMap::<i64, u32>::new();
            for look in looks {
                let listed = NOW + look.at;
                let from = versions.iter().rfind(|it| it.0 <= listed).map_or(0, |it| it.1.from);
                let visible = |it: &&Run| it.start_time <= listed;
                let found = Listing {
                    active: runs.iter().filter(visible).filter(|it| it.end_time > listed)
                        .map(|it| running(it.run_id, it.start_time)).collect(),
                    completed: runs.iter().filter(visible).filter(|it| it.end_time <= listed && it.start_time >= from)
                        .cloned().collect(),
                };
                let written = listed + look.takes;
                let mut next = shared.clone();
                let news = next.note(&found, listed);
                if !next.is_worth_writing(&shared) {
                    continue;
                }
                shared = next;
                versions.push((written, shared.clone()));
                if look.dies {
                    continue;
                }
                news.iter().for_each(|it| *told.entry(it.run_id).or_default() += 1);
                shared.told(&news);
                versions.push((written, shared.clone()));
            }
            for run in &runs {
                let times = told.get(&run.run_id).copied().unwrap_or_default();
                prop_assert_eq!(times, 1, "run {}", run.run_id);
            }
        }
    }
}
