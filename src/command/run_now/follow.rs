//! Following a run until nothing more will happen to it.

use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio_util::sync::CancellationToken;

use super::view::{TaskFailure, View, is_tried_again};
use crate::client::{
    Reason, Result,
    databricks::{
        Databricks,
        runs::{LifeCycle, Outcome, Run},
    },
};

/// How long a workspace that does not answer is asked again.
const PATIENCE: Duration = Duration::from_mins(10);

/// Looks until the run is over, and shows what changes. Once `cancel` is, asks for the run to be stopped, and goes on
/// looking.
///
/// # Errors
/// That of a request that failed for good. The run itself goes on then.
pub(super) async fn follow(
    databricks: &Databricks,
    number: i64,
    view: &mut View,
    cancel: &CancellationToken,
) -> Result<Run> {
    let (begun, mut asked_to_stop) = (Instant::now(), false);
    let mut away: Option<Instant> = None;
    loop {
        let run = match databricks.run(number).await {
            Ok(it) => it,
            // The run goes on meanwhile.
            Err(err) if matches!(err.reason, Reason::Unavailable | Reason::Throttled) && !cancel.is_cancelled() => {
                if away.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                    return Err(err);
                }
                view.away();
                tokio::time::sleep(pause(begun.elapsed())).await;
                continue;
            }
            Err(err) => return Err(err),
        };
        away = None;
        view.update(&run);
        if run.state.life_cycle_state.is_over() {
            return Ok(run);
        }
        if cancel.is_cancelled() && !asked_to_stop {
            asked_to_stop = true;
            databricks.cancel_run(number).await?;
            view.cancelling();
        }
        tokio::select! {
            () = tokio::time::sleep(pause(begun.elapsed())) => (),
            () = cancel.cancelled(), if !asked_to_stop => (),
        }
    }
}

/// Looks often at first, when somebody waits for the first sign; a long run changes seldom.
fn pause(elapsed: Duration) -> Duration {
    match elapsed.as_secs() {
        0..30 => Duration::from_millis(500),
        30..300 => Duration::from_secs(2),
        _ => Duration::from_secs(5),
    }
}

/// Fetches the errors of the tasks that failed by themselves. Those that an earlier one took along have none.
pub(super) async fn failures(databricks: &Databricks, run: &Run) -> Vec<TaskFailure> {
    let failed = run.tasks.iter().filter(|it| !is_tried_again(run, it)).filter(|it| match it.state.result_state {
        Some(Outcome::Failed | Outcome::Timedout | Outcome::SuccessWithFailures | Outcome::Unknown) => true,
        None => it.state.life_cycle_state == LifeCycle::InternalError,
        Some(
            Outcome::Success
            | Outcome::Canceled
            | Outcome::Excluded
            | Outcome::Disabled
            | Outcome::MaximumConcurrentRunsReached
            | Outcome::UpstreamFailed
            | Outcome::UpstreamCanceled,
        ) => false,
    });
    join_all(failed.map(|task| async move {
        let output = databricks.run_output(task.run_id).await;
        TaskFailure::new(task, output.as_ref().map_err(ToString::to_string))
    }))
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_ever_less_often() {
        let pauses: Vec<_> = [0, 29, 30, 400].map(|it| pause(Duration::from_secs(it))).into();
        assert!(pauses.is_sorted());
    }
}
