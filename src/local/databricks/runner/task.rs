//! The tasks of a run: each as soon as those before it are over, again when it failed and may be retried.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::{StreamExt, stream::FuturesUnordered};
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};

use super::{Inner, attempt, spark::Server, webhook};
use crate::local::databricks::{
    call::now,
    job::settings::{Settings, Task},
    run::{
        graph::{self, Next},
        record::{Attempt, Ending, Life, Outcome, Run, State},
    },
};

/// Runs all tasks of a run that are not over yet, and tells how the run ended.
pub(super) async fn all(inner: &Inner, id: i64, settings: &Settings) -> State {
    let running = |it: &mut Run| {
        // Somebody may have asked for its end meanwhile.
        if it.state.life == Life::Pending {
            it.state = State::new(Life::Running, "");
        }
    };
    inner.runs.change(id, running).await;
    let server = Server::new(inner, id, settings);
    let turns = Semaphore::new(inner.place.cores);
    let mut begun = BTreeSet::new();
    let mut under_way = FuturesUnordered::new();
    loop {
        let Some(run) = inner.runs.find(id) else {
            return State::over(Life::InternalError, Ending::Failed, "The run's record is gone.");
        };
        let over = run.tasks.iter().filter_map(|it| {
            let state = it.state().filter(|it| it.life.is_over())?;
            Some((it.key.as_str(), state.result.unwrap_or(Ending::Failed)))
        });
        let endings: BTreeMap<_, _> = over.collect();
        let next = graph::next(settings, &endings, &|it| begun.contains(it));
        let mut skipped = false;
        for (task, what) in next {
            match what {
                Next::Start => {
                    begun.insert(task.task_key.clone());
                    under_way.push(one(inner, id, settings, task, &server, &turns));
                }
                Next::Skip(state) => {
                    skipped = true;
                    change(inner, id, task, |it| it.end(state)).await;
                }
            }
        }
        if skipped {
            continue;
        }
        if under_way.next().await.is_none() {
            return graph::conclude(settings, &endings);
        }
    }
}

/// Runs one task, as often as its retries allow.
async fn one(inner: &Inner, id: i64, settings: &Settings, task: &Task, server: &Server<'_>, turns: &Semaphore) {
    // The semaphore is never closed.
    let _turn = turns.acquire().await.ok();
    let most = task.max_retries.unwrap_or(0);
    let mut retries = 0;
    loop {
        let begin = |it: &mut Attempt| {
            it.state = State::new(Life::Pending, "");
            it.started = Some(now());
        };
        change(inner, id, task, begin).await;
        let limit = task.timeout_seconds.filter(|it| *it > 0).map_or(Duration::MAX, Duration::from_secs);
        let (state, outcome) = match timeout(limit, attempt::run(inner, id, settings, task, server)).await {
            Ok(outcome) if outcome.error.is_none() => (State::over(Life::Terminated, Ending::Success, ""), outcome),
            Ok(outcome) => {
                let message = "Workload failed, see run output for details";
                (State::over(Life::Terminated, Ending::Failed, message), outcome)
            }
            Err(_) => {
                let message = format!("Run timed out after {} s.", limit.as_secs());
                let outcome = Outcome { error: Some(message.clone()), ..Outcome::default() };
                (State::over(Life::Terminated, Ending::TimedOut, message), outcome)
            }
        };
        let may_retry = match state.result {
            Some(Ending::Failed) => true,
            Some(Ending::TimedOut) => task.retry_on_timeout.unwrap_or(false),
            _ => false,
        };
        let retry = may_retry && (most < 0 || retries < most);
        let result = state.result;
        let end = |run: &mut Run| {
            let Some(task) = run.tasks.iter_mut().find(|it| it.key == task.task_key) else { return };
            if let Some(it) = task.attempts.last_mut() {
                it.outcome = outcome;
                it.end(state);
            }
            if retry {
                task.attempts.push(Attempt::new(Life::WaitingForRetry));
            }
        };
        let run = inner.runs.change(id, end).await;
        if !retry {
            if let Some(run) = run {
                webhook::tell_of_task(inner, &run, task, webhook::event_of(result));
            }
            return;
        }
        retries += 1;
        sleep(Duration::from_millis(task.min_retry_interval_millis.unwrap_or(0))).await;
    }
}

/// Changes the attempt at a task that counts.
pub(super) async fn change(inner: &Inner, id: i64, task: &Task, change: impl FnOnce(&mut Attempt)) {
    let change = |run: &mut Run| {
        let task = run.tasks.iter_mut().find(|it| it.key == task.task_key);
        if let Some(it) = task.and_then(|it| it.attempts.last_mut()) {
            change(it);
        }
    };
    inner.runs.change(id, change).await;
}
