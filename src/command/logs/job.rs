//! A job's log: what the tasks of its runs printed.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{AGAIN, Filter};
use crate::{
    address::Address,
    client::{
        Reason,
        databricks::{
            Databricks,
            runs::{self, LifeCycle, Output, Task},
        },
    },
    command::{Exit, Result, run::Run, run_now},
    state::Document,
};

/// How many of the latest runs are looked at.
const RUNS: usize = 100;
/// How much of what was shown is remembered to find one's place again, in bytes.
const TAIL: usize = 4096;

/// What was shown of each task's output.
type All = BTreeMap<i64, Shown>;

/// What was shown of a task's output.
#[derive(Debug, Default)]
struct Shown {
    /// Where it ended, in bytes.
    at: usize,
    /// Its end.
    tail: String,
    /// Whether nothing more will come.
    over: bool,
}

/// Shows what the tasks of runs printed: those since a time, or else the run that is under way, or the latest.
pub(super) async fn show(
    run: &Run,
    document: &Document,
    address: &Address,
    mut filter: Filter,
    since: Option<Timestamp>,
) -> Result<Exit> {
    let (_, id) = run_now::job(run, document, &address.to_string())?;
    let databricks = &run.cx.databricks;
    let (mut shown, mut last) = (All::new(), None);
    loop {
        // One that ends after this look was not over before it.
        let listed = databricks.runs(id, false, RUNS).await?;
        let next = match (last, since) {
            (None, Some(since)) => first_since(&listed, since.as_millisecond()),
            (None, None) => at_hand(&listed, filter.follow),
            (Some(last), _) => after(&listed, last),
        };
        if let Some(it) = next {
            if last.replace(it.run_id) != Some(it.run_id) {
                shown.clear();
                run.terminal.remark("run", &format!("run {} of {address}", it.run_id));
            }
            let over = it.state.life_cycle_state.is_over();
            let tasks = in_order(databricks.run(it.run_id).await?.tasks);
            filter.width = tasks.iter().map(|it| it.task_key.chars().count()).max().unwrap_or_default();
            for task in &tasks {
                more(databricks, task, &mut shown, &filter).await?;
            }
            // The next one, if there is one, is shown at once.
            if over
                && (filter.follow || since.is_some())
                && after(&listed, it.run_id).is_some_and(|next| next.run_id != it.run_id)
            {
                continue;
            }
        } else if !filter.follow {
            let when = if since.is_some() { " since then" } else { " yet" };
            run.terminal.remark("empty", &format!("{address} has not run{when}"));
        }
        if !filter.follow {
            return Ok(Exit::Done);
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Says whether a run has left the queue.
fn has_begun(it: &runs::Run) -> bool {
    !matches!(it.state.life_cycle_state, LifeCycle::Queued | LifeCycle::Blocked)
}

/// The run that is shown first, of runs of which the newest come first: of those under way, the one that began first; or
/// else the latest. One that waits for others has printed nothing.
fn at_hand(listed: &[runs::Run], follow: bool) -> Option<&runs::Run> {
    let under_way = listed.iter().rev().find(|it| has_begun(it) && !it.state.life_cycle_state.is_over());
    let latest = listed.iter().find(|it| has_begun(it)).or(listed.first());
    if follow { under_way.or(latest) } else { latest }
}

/// The first run that went on after a time, in milliseconds since 1970.
fn first_since(listed: &[runs::Run], since: i64) -> Option<&runs::Run> {
    listed.iter().rev().find(|it| has_begun(it) && (it.end_time == 0 || it.end_time >= since))
}

/// The run that is shown after another: the same until it is over, then the next one that has begun.
fn after(listed: &[runs::Run], last: i64) -> Option<&runs::Run> {
    let at = listed.iter().position(|it| it.run_id == last)?;
    let next = listed[..at].iter().rev().find(|it| has_begun(it));
    if listed[at].state.life_cycle_state.is_over() { next.or(Some(&listed[at])) } else { Some(&listed[at]) }
}

/// Puts tasks in the order in which they began; those that did not come last.
fn in_order(mut tasks: Vec<Task>) -> Vec<Task> {
    tasks.sort_by_key(|it| (it.start_time == 0, it.start_time, it.attempt_number));
    tasks
}

/// Shows what a task printed since the last look. The last line of a task that goes on may be half printed: it is left
/// for the next look.
async fn more(databricks: &Databricks, task: &Task, all: &mut All, filter: &Filter) -> Result<()> {
    let shown = all.entry(task.run_id).or_default();
    let over = task.state.life_cycle_state.is_over();
    if shown.over || matches!(task.state.life_cycle_state, LifeCycle::Blocked | LifeCycle::Pending | LifeCycle::Queued)
    {
        return Ok(());
    }
    let output = match databricks.run_output(task.run_id).await {
        Ok(it) => it,
        // A task that has only begun may have no output yet.
        Err(err) if err.reason == Reason::Missing && !over => return Ok(()),
        Err(err) => return Err(err.into()),
    };
    let new = shown.news(output.logs.as_deref().unwrap_or_default(), over);
    if new.lost {
        filter.show(&task.task_key, "[some of what was printed is not kept]");
    }
    new.text.lines().for_each(|it| filter.show(&task.task_key, it));
    if over {
        ended(task, &output, filter);
        shown.over = true;
    }
    Ok(())
}

/// What is new in an output.
#[derive(Debug, PartialEq, Eq)]
struct News<'a> {
    text: &'a str,
    /// Whether something before it was not seen.
    lost: bool,
}

impl Shown {
    /// Finds what is new, in whole lines. A long output loses its beginning, so places in it do not last.
    fn news<'a>(&mut self, text: &'a str, over: bool) -> News<'a> {
        let same = text.get(..self.at).is_some_and(|it| it.ends_with(&self.tail));
        let moved = || text.rfind(&self.tail).map(|it| it + self.tail.len());
        let found = if same { Some(self.at) } else { moved() };
        let (from, lost) = (found.unwrap_or(0), found.is_none());
        let new = &text[from..];
        let whole = if over { new } else { new.rfind('\n').map_or("", |it| &new[..=it]) };
        self.at = from + whole.len();
        let least = (self.at.saturating_sub(TAIL)..=self.at).find(|it| text.is_char_boundary(*it));
        text[least.unwrap_or(self.at)..self.at].clone_into(&mut self.tail);
        News { text: whole, lost }
    }
}

fn ended(task: &Task, output: &Output, filter: &Filter) {
    let error = output.error_trace.iter().chain(&output.error);
    error.flat_map(|it| it.lines()).for_each(|it| filter.show(&task.task_key, it));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn listed(states: &[(i64, &str, i64)]) -> Vec<runs::Run> {
        let run = |(id, state, end): &(i64, &str, i64)| json!({ "run_id": id, "state": { "life_cycle_state": state }, "end_time": end });
        let runs: Vec<_> = states.iter().map(run).collect();
        serde_json::from_value(runs.into()).expect("runs")
    }

    #[test]
    fn the_run_that_is_under_way_is_followed_and_then_those_after_it() {
        let id = |it: Option<&runs::Run>| it.map(|it| it.run_id);
        let now = listed(&[
            (5, "QUEUED", 0),
            (4, "RUNNING", 0),
            (3, "RUNNING", 0),
            (2, "TERMINATED", 9),
            (1, "TERMINATED", 5),
        ]);
        assert_eq!((id(at_hand(&now, true)), id(at_hand(&now, false))), (Some(3), Some(4)));
        assert_eq!(id(after(&now, 3)), Some(3), "until it is over");
        let now = listed(&[(5, "QUEUED", 0), (4, "TERMINATED", 12), (3, "TERMINATED", 11)]);
        assert_eq!((id(after(&now, 3)), id(after(&now, 4))), (Some(4), Some(4)), "the next waits");
        let now = listed(&[(5, "RUNNING", 0), (4, "TERMINATED", 12)]);
        assert_eq!(id(after(&now, 4)), Some(5));
        let now = listed(&[(5, "QUEUED", 0)]);
        assert_eq!(id(at_hand(&now, true)), Some(5));
        assert_eq!(id(at_hand(&[], true)), None);
    }

    #[test]
    fn runs_that_went_on_since_a_time_are_shown_from_the_first() {
        let now = listed(&[(4, "QUEUED", 0), (3, "RUNNING", 0), (2, "TERMINATED", 9), (1, "TERMINATED", 5)]);
        let id = |since| first_since(&now, since).map(|it| it.run_id);
        assert_eq!([id(4), id(6), id(10)], [Some(1), Some(2), Some(3)]);
        assert_eq!(first_since(&listed(&[(1, "TERMINATED", 5)]), 6).map(|it| it.run_id), None);
    }

    #[test]
    fn nothing_is_shown_twice_and_what_was_lost_is_told() {
        let mut shown = Shown::default();
        assert_eq!(shown.news("one\ntw", false), News { text: "one\n", lost: false });
        assert_eq!(shown.news("one\ntwo\nthree\n", false), News { text: "two\nthree\n", lost: false });
        assert_eq!(shown.news("one\ntwo\nthree\n", false), News { text: "", lost: false });
        // The output has lost its beginning.
        let cut = format!("[cut]\n{}four\n", "one\ntwo\nthree\n");
        assert_eq!(shown.news(&cut, false), News { text: "four\n", lost: false });
        assert_eq!(shown.news("[cut]\nnine\nten", true), News { text: "[cut]\nnine\nten", lost: true });
    }

    #[test]
    fn tasks_come_in_the_order_in_which_they_began() {
        let tasks = json!([
            { "run_id": 1, "task_key": "bronze", "start_time": 1_000 },
            { "run_id": 2, "task_key": "gold", "start_time": 3_000 },
            { "run_id": 3, "task_key": "never" },
            { "run_id": 4, "task_key": "silver", "start_time": 2_000 },
        ]);
        let tasks = in_order(serde_json::from_value(tasks).expect("tasks"));
        let keys: Vec<_> = tasks.iter().map(|it| it.task_key.as_str()).collect();
        assert_eq!(keys, ["bronze", "silver", "gold", "never"]);
    }
}
