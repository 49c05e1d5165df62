//! One batch, brought to its end: done, or given up and kept at the on-failure destination. Nothing is committed before.
//!
//! Rules: the Lambda documentation for Kafka. Only failures of the function count as attempts; throttling and outages are
//! waited out. Splitting a batch costs no attempt. With a destination, "for ever" means ten retries. Where the real poller
//! would drop what its destination refuses, this one waits and tries again.

use std::time::Duration;

use futures::future::BoxFuture;

use super::{
    batch::{Batch, Piece},
    invoke::{Failure, Target, Verdict},
};

/// How often a function is asked again where a destination is set and no number is.
const RETRIES_WITH_DESTINATION: u32 = 10;

/// How failures are dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Policy {
    /// The most retries; `None` for ever.
    pub(super) retries: Option<u32>,
    /// The age beyond which a failed record is not tried again.
    pub(super) age: Option<Duration>,
    /// Whether a failed batch is split in two.
    pub(super) bisect: bool,
    /// Whether there is a destination for what is given up.
    pub(super) destination: bool,
}

/// Why records are given up, in Lambda's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// All attempts failed.
    Attempts,
    /// The records are too old.
    Age,
}

impl Cause {
    /// Returns the word of the invocation record.
    pub(super) fn condition(self) -> &'static str {
        match self {
            Self::Attempts => "RetryAttemptsExhausted",
            Self::Age => "RecordAgeExceeded",
        }
    }
}

/// What surrounds a delivery: where results go.
pub(super) trait Outlet: Send + Sync {
    /// Makes progress last: the next offset per partition. `false` when the records are no longer this poller's.
    fn commit(&self, next: Vec<(i32, i64)>) -> BoxFuture<'_, bool>;
    /// Keeps records that are given up. Returns the reason when the destination did not take them.
    fn keep<'a>(
        &'a self,
        batch: &'a Batch,
        piece: &'a Piece,
        given_up: &'a GivenUp,
    ) -> BoxFuture<'a, Result<(), String>>;
    /// Waits; `false` when the poller shall end, or when the records are no longer its own.
    fn pause(&self, wait: Duration) -> BoxFuture<'_, bool>;
    /// Takes note of how the latest attempt went.
    fn note(&self, result: Noted<'_>);
}

/// How an attempt went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noted<'a> {
    /// So many records are done.
    Done(usize),
    /// The function failed for so many records.
    Failed(usize, &'a str),
    /// The function could not be asked about so many records; none, where it is the destination that did not take them.
    Stuck(usize, &'a str),
    /// So many records were given up.
    GivenUp(usize),
}

/// Records that are given up, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GivenUp {
    /// Why.
    pub(super) cause: Cause,
    /// How often the function was asked.
    pub(super) attempts: u32,
    /// How it failed last.
    pub(super) failure: Failure,
}

/// Delivers a batch; `false` when it was left unfinished and will come again.
pub(super) async fn deliver(batch: &Batch, policy: Policy, target: &dyn Target, outlet: &dyn Outlet) -> bool {
    let retries = policy.retries.or(policy.destination.then_some(RETRIES_WITH_DESTINATION));
    let mut outages = 0;
    // The last one is next: the earlier half of a split batch lies on top.
    let mut todo = vec![(batch.whole(), 0)];
    while let Some((piece, failures)) = todo.pop() {
        match target.invoke(batch.event(&piece)).await {
            Verdict::Done => {
                outages = 0;
                outlet.note(Noted::Done(piece.len()));
                if !outlet.commit(batch.next(&piece)).await {
                    return false;
                }
            }
            Verdict::Unasked(reason) => {
                outlet.note(Noted::Stuck(piece.len(), &reason));
                if !outlet.pause(backoff(outages, Duration::from_secs(2))).await {
                    return false;
                }
                outages += 1;
                todo.push((piece, failures));
            }
            verdict => {
                let (rest, failure) = match verdict {
                    Verdict::Partly(items) => match batch.without(&piece, &items) {
                        Some((done, rest)) => {
                            if done.len() > 0 {
                                outlet.note(Noted::Done(done.len()));
                                if !outlet.commit(batch.next(&done)).await {
                                    return false;
                                }
                            }
                            (
                                rest,
                                Failure {
                                    error: "Handled".into(),
                                    message: format!("{} items failed", items.len()),
                                    ..Failure::default()
                                },
                            )
                        }
                        None => (
                            piece.clone(),
                            Failure {
                                error: "Handled".into(),
                                message: "an item is not of the batch".into(),
                                ..Failure::default()
                            },
                        ),
                    },
                    Verdict::Failed(it) => (piece.clone(), it),
                    Verdict::Done | Verdict::Unasked(_) => (piece.clone(), Failure::default()),
                };
                outlet.note(Noted::Failed(rest.len(), &failure.message));
                // What got smaller starts counting anew.
                let failures = if rest == piece { failures + 1 } else { 1 };
                let too_old = policy.age.is_some_and(|age| is_older(batch.oldest(&rest), age));
                let cause = if too_old {
                    Some(Cause::Age)
                } else {
                    retries.filter(|it| failures > *it).map(|_| Cause::Attempts)
                };
                if policy.bisect && rest.len() > 1 && !too_old {
                    let (first, second) = Batch::halves(&rest);
                    todo.push((second, failures - 1));
                    todo.push((first, failures - 1));
                } else if let Some(cause) = cause {
                    let given_up = GivenUp { cause, attempts: failures, failure };
                    if !give_up(batch, &rest, &given_up, policy.destination, outlet).await {
                        return false;
                    }
                } else {
                    if !outlet.pause(backoff(failures - 1, Duration::from_secs(30))).await {
                        return false;
                    }
                    todo.push((rest, failures));
                }
            }
        }
    }
    true
}

/// Keeps records at the destination, however long that takes, and goes on behind them.
async fn give_up(batch: &Batch, piece: &Piece, given_up: &GivenUp, destination: bool, outlet: &dyn Outlet) -> bool {
    let mut refusals = 0;
    while destination && let Err(reason) = outlet.keep(batch, piece, given_up).await {
        outlet.note(Noted::Stuck(0, &reason));
        if !outlet.pause(backoff(refusals, Duration::from_secs(5))).await {
            return false;
        }
        refusals += 1;
    }
    outlet.note(Noted::GivenUp(piece.len()));
    outlet.commit(batch.next(piece)).await
}

/// Doubles from 100 ms up to `most`, shortened at random so that many pollers do not come at once.
fn backoff(before: u32, most: Duration) -> Duration {
    let full = Duration::from_millis(100).saturating_mul(1 << before.min(12)).min(most);
    full.mul_f64(rand::random_range(0.5..=1.0))
}

fn is_older(oldest: Option<i64>, age: Duration) -> bool {
    let now = jiff::Timestamp::now().as_millisecond();
    oldest.is_some_and(|it| u128::try_from(now - it).is_ok_and(|it| it > age.as_millis()))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use bytes::Bytes;

    use super::*;
    use crate::local::poller::batch::tests::{gathered, offsets};

    /// A function that fails whenever it sees a poisoned record, and remembers what it took.
    struct Fake {
        poison: Vec<(i32, i64)>,
        outages: Mutex<u32>,
        reports: bool,
        taken: Mutex<Vec<(i32, i64)>>,
        calls: Mutex<u32>,
        committed: Mutex<Vec<(i32, i64)>>,
        kept: Mutex<Vec<((i32, i64), GivenUp)>>,
        refusals: Mutex<u32>,
        pauses: Mutex<u32>,
    }

    fn fake(poison: &[(i32, i64)]) -> Fake {
        Fake {
            poison: poison.to_vec(),
            outages: Mutex::default(),
            reports: false,
            taken: Mutex::default(),
            calls: Mutex::default(),
            committed: Mutex::default(),
            kept: Mutex::default(),
            refusals: Mutex::default(),
            pauses: Mutex::default(),
        }
    }

    fn bump(counter: &Mutex<u32>) -> u32 {
        let mut it = counter.lock().expect("a counter");
        *it += 1;
        *it
    }

    /// Counts one down; says whether there was one.
    fn take(counter: &Mutex<u32>) -> bool {
        let mut it = counter.lock().expect("a counter");
        let there = *it > 0;
        *it = it.saturating_sub(1);
        there
    }

    impl Target for Fake {
        fn invoke(&self, event: Bytes) -> BoxFuture<'_, Verdict> {
            bump(&self.calls);
            let seen = offsets(&event);
            let bad: Vec<_> = seen.iter().copied().filter(|it| self.poison.contains(it)).collect();
            let verdict = if take(&self.outages) {
                Verdict::Unasked("503".into())
            } else if bad.is_empty() {
                self.taken.lock().expect("a list").extend(seen);
                Verdict::Done
            } else if self.reports {
                let named = bad.iter().map(|(partition, offset)| (format!("orders-{partition}"), *offset)).collect();
                self.taken.lock().expect("a list").extend(
                    seen.into_iter().filter(|it| bad.iter().filter(|bad| bad.0 == it.0).all(|bad| it.1 < bad.1)),
                );
                Verdict::Partly(named)
            } else {
                Verdict::Failed(Failure { error: "Unhandled".into(), ..Failure::default() })
            };
            Box::pin(async { verdict })
        }
    }

    impl Outlet for Fake {
        fn commit(&self, next: Vec<(i32, i64)>) -> BoxFuture<'_, bool> {
            self.committed.lock().expect("a list").extend(next);
            Box::pin(async { true })
        }

        fn keep<'a>(
            &'a self,
            batch: &'a Batch,
            piece: &'a Piece,
            given_up: &'a GivenUp,
        ) -> BoxFuture<'a, Result<(), String>> {
            Box::pin(async move {
                if take(&self.refusals) {
                    return Err("no such bucket".into());
                }
                let all = offsets(&batch.event(piece)).into_iter().map(|it| (it, given_up.clone()));
                self.kept.lock().expect("a list").extend(all);
                Ok(())
            })
        }

        fn pause(&self, _: Duration) -> BoxFuture<'_, bool> {
            let endless = bump(&self.pauses) > 200;
            Box::pin(async move { !endless })
        }

        fn note(&self, _: Noted<'_>) {}
    }

    const POLICY: Policy = Policy { retries: Some(2), age: None, bisect: false, destination: true };
    const RECORDS: [(i32, i64); 8] = [(0, 1), (1, 1), (0, 2), (1, 2), (0, 3), (1, 3), (0, 4), (1, 4)];

    async fn run(fake: &Fake, policy: Policy) -> bool {
        deliver(&gathered(&RECORDS), policy, fake, fake).await
    }

    fn sorted(list: &Mutex<Vec<(i32, i64)>>) -> Vec<(i32, i64)> {
        let mut it = list.lock().expect("a list").clone();
        it.sort_unstable();
        it.dedup();
        it
    }

    fn kept(fake: &Fake) -> Vec<(i32, i64)> {
        fake.kept.lock().expect("a list").iter().map(|(it, _)| *it).collect()
    }

    #[tokio::test]
    async fn a_batch_that_always_fails_is_kept_whole_after_its_retries() {
        let it = fake(&[(0, 3)]);
        assert!(run(&it, POLICY).await);
        assert_eq!(*it.calls.lock().expect("a counter"), 3, "one attempt and two retries");
        assert_eq!(kept(&it).len(), 8);
        assert_eq!(
            it.kept.lock().expect("a list").first().map(|(_, it)| (it.attempts, it.cause)),
            Some((3, Cause::Attempts))
        );
        assert_eq!(sorted(&it.committed), [(0, 5), (1, 5)]);
    }

    #[tokio::test]
    async fn splitting_isolates_the_poisoned_record() {
        let it = fake(&[(0, 3)]);
        assert!(run(&it, Policy { bisect: true, ..POLICY }).await);
        assert_eq!(kept(&it), [(0, 3)]);
        let mut others = RECORDS.to_vec();
        others.retain(|it| *it != (0, 3));
        others.sort_unstable();
        assert_eq!(sorted(&it.taken), others);
    }

    #[tokio::test]
    async fn a_partition_never_goes_back() {
        let it = fake(&[(0, 2), (1, 4)]);
        assert!(run(&it, Policy { bisect: true, ..POLICY }).await);
        for partition in 0..2 {
            let committed = it.committed.lock().expect("a list");
            let offsets: Vec<_> = committed.iter().filter(|it| it.0 == partition).map(|it| it.1).collect();
            assert!(offsets.is_sorted(), "{offsets:?}");
            assert_eq!(offsets.last(), Some(&5));
        }
    }

    #[tokio::test]
    async fn reported_items_are_retried_from_the_first_and_the_rest_is_done() {
        let it = Fake { reports: true, ..fake(&[(1, 3)]) };
        assert!(run(&it, Policy { retries: Some(0), ..POLICY }).await);
        assert_eq!(sorted(&it.taken), [(0, 1), (0, 2), (0, 3), (0, 4), (1, 1), (1, 2)]);
        assert_eq!(kept(&it), [(1, 3), (1, 4)]);
    }

    #[tokio::test]
    async fn outages_cost_no_attempt() {
        let it = Fake { outages: Mutex::new(50), ..fake(&[]) };
        assert!(run(&it, Policy { retries: Some(0), ..POLICY }).await);
        assert_eq!((sorted(&it.taken).len(), kept(&it).len()), (8, 0));
    }

    #[tokio::test]
    async fn for_ever_means_ten_retries_with_a_destination_and_no_end_without() {
        let it = fake(&[(0, 1)]);
        assert!(run(&it, Policy { retries: None, ..POLICY }).await);
        assert_eq!(*it.calls.lock().expect("a counter"), 11);
        let it = fake(&[(0, 1)]);
        assert!(
            !run(&it, Policy { retries: None, destination: false, ..POLICY }).await,
            "it went on until it was ended"
        );
        assert!(*it.calls.lock().expect("a counter") > 100 && it.committed.lock().expect("a list").is_empty());
    }

    #[tokio::test]
    async fn nothing_is_committed_before_the_destination_took_it() {
        let it = Fake { refusals: Mutex::new(3), ..fake(&[(0, 1)]) };
        assert!(run(&it, POLICY).await);
        assert_eq!(kept(&it).len(), 8);
        let it = Fake { refusals: Mutex::new(u32::MAX), ..fake(&[(0, 1)]) };
        assert!(!run(&it, POLICY).await);
        assert!(it.committed.lock().expect("a list").is_empty());
    }

    #[tokio::test]
    async fn records_beyond_their_age_are_not_tried_again() {
        let it = fake(&[(0, 1)]);
        assert!(run(&it, Policy { retries: None, age: Some(Duration::from_secs(60)), ..POLICY }).await);
        assert_eq!(*it.calls.lock().expect("a counter"), 1);
        assert!(it.kept.lock().expect("a list").iter().all(|(_, it)| it.cause == Cause::Age));
    }
}
