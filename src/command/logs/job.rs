//! A job's log: what the tasks of its runs printed.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{AGAIN, Filter};
use crate::{
    address::Address,
    client::{
        self, Reason,
        databricks::{
            Databricks,
            runs::{self, LifeCycle, Output, Task},
        },
    },
    command::{Exit, Result, run::Run, run_now},
    state::Document,
};

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
    let since = since.map(Timestamp::as_millisecond);
    let (mut shown, mut last) = (All::new(), None);
    loop {
        // One that ends after this look was not over before it.
        let listed = match databricks.runs(id, |it| is_far_enough(it, last, since)).await {
            Err(err) if filter.follow && passes(&err) => {
                tokio::time::sleep(AGAIN).await;
                continue;
            }
            it => it?,
        };
        let next = match (last, since) {
            (None, Some(since)) => first_since(&listed, since),
            (None, None) => at_hand(&listed, filter.follow),
            (Some(last), _) => after(&listed, last),
        };
        if let Some(it) = next {
            if last.replace(Place::of(it)).map(|it| it.run) != Some(it.run_id) {
                shown.clear();
                run.terminal.remark("run", &format!("run {} of {address}", it.run_id));
            }
            let over = it.state.life_cycle_state.is_over();
            match news(databricks, it.run_id, &mut shown, &mut filter).await {
                Err(err) if filter.follow && passes(&err) => {
                    tokio::time::sleep(AGAIN).await;
                    continue;
                }
                it => it?,
            }
            // The next one, if there is one, is shown at once.
            if over
                && (filter.follow || since.is_some())
                && after(&listed, Place::of(it)).is_some_and(|next| next.run_id != it.run_id)
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

/// Says whether a workspace may answer when it is asked again: nothing is missed meanwhile.
fn passes(err: &client::Error) -> bool {
    matches!(err.reason, Reason::Unavailable | Reason::Throttled)
}

/// Shows what the tasks of a run printed since the last look.
async fn news(databricks: &Databricks, run: i64, shown: &mut All, filter: &mut Filter) -> client::Result<()> {
    let tasks = in_order(databricks.run(run).await?.tasks);
    filter.width = tasks.iter().map(|it| it.task_key.chars().count()).max().unwrap_or_default();
    for task in &tasks {
        more(databricks, task, shown, filter).await?;
    }
    Ok(())
}

/// A run, and its place among the others even when it is no longer there.
#[derive(Clone, Copy, Debug)]
struct Place {
    run: i64,
    /// When it began, in milliseconds since 1970.
    began: i64,
}

impl Place {
    fn of(run: &runs::Run) -> Self {
        Self { run: run.run_id, began: run.start_time }
    }
}

/// Says whether runs from before this one matter no more: it was shown last, or was over before the time that is asked for.
fn is_far_enough(it: &runs::Run, last: Option<Place>, since: Option<i64>) -> bool {
    match (last, since) {
        (Some(last), _) => it.run_id == last.run || it.start_time < last.began,
        (None, Some(since)) => it.end_time != 0 && it.end_time < since,
        (None, None) => true,
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

/// The run that is shown after another: the same until it is over, then the next one that has begun. One that was deleted
/// is over.
fn after(listed: &[runs::Run], last: Place) -> Option<&runs::Run> {
    let Some(at) = listed.iter().position(|it| it.run_id == last.run) else {
        return listed.iter().rev().find(|it| it.start_time > last.began && has_begun(it));
    };
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
async fn more(databricks: &Databricks, task: &Task, all: &mut All, filter: &Filter) -> client::Result<()> {
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
        Err(err) => return Err(err),
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
    untold(output).into_iter().flat_map(str::lines).for_each(|it| filter.show(&task.task_key, it));
}

/// What a task's log does not end with already: the trace of its error, and the error. Most tasks print both.
fn untold(output: &Output) -> Vec<&str> {
    let mut told = output.logs.as_deref().unwrap_or_default().trim_end();
    let mut more = Vec::new();
    for it in output.error_trace.iter().chain(&output.error).map(|it| it.trim_end()).filter(|it| !it.is_empty()) {
        if !told.ends_with(it) {
            more.push(it);
            told = it;
        }
    }
    more
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn listed(states: &[(i64, &str, i64)]) -> Vec<runs::Run> {
        let run = |(id, state, end): &(i64, &str, i64)| json!({ "run_id": id, "state": { "life_cycle_state": state }, "start_time": id * 100, "end_time": end });
        let runs: Vec<_> = states.iter().map(run).collect();
        serde_json::from_value(runs.into()).expect("runs")
    }

    #[test]
    fn the_run_that_is_under_way_is_followed_and_then_those_after_it() {
        let id = |it: Option<&runs::Run>| it.map(|it| it.run_id);
        let after = |listed: &[runs::Run], last: i64| after(listed, Place { run: last, began: last * 100 }).cloned();
        let next = |listed: &[runs::Run], last| after(listed, last).map(|it| it.run_id);
        let now = listed(&[
            (5, "QUEUED", 0),
            (4, "RUNNING", 0),
            (3, "RUNNING", 0),
            (2, "TERMINATED", 9),
            (1, "TERMINATED", 5),
        ]);
        assert_eq!((id(at_hand(&now, true)), id(at_hand(&now, false))), (Some(3), Some(4)));
        assert_eq!(next(&now, 3), Some(3), "until it is over");
        let now = listed(&[(5, "QUEUED", 0), (4, "TERMINATED", 12), (3, "TERMINATED", 11)]);
        assert_eq!((next(&now, 3), next(&now, 4)), (Some(4), Some(4)), "the next waits");
        let now = listed(&[(5, "RUNNING", 0), (4, "TERMINATED", 12)]);
        assert_eq!(next(&now, 4), Some(5));
        let now = listed(&[(6, "RUNNING", 0), (5, "TERMINATED", 13), (2, "TERMINATED", 9)]);
        assert_eq!(next(&now, 3), Some(5), "the one that was shown was deleted");
        assert_eq!(next(&now, 7), None, "and nothing came after it");
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
    fn runs_are_listed_back_to_where_the_log_goes_on() {
        let all = listed(&[(4, "RUNNING", 0), (3, "TERMINATED", 330), (2, "TERMINATED", 230), (1, "TERMINATED", 130)]);
        let enough = |last: Option<i64>, since| {
            let last = last.map(|run| Place { run, began: run * 100 });
            all.iter().find(|it| is_far_enough(it, last, since)).map(|it| it.run_id)
        };
        assert_eq!(enough(None, None), Some(4), "the first page tells what is at hand");
        assert_eq!(enough(None, Some(230)), Some(1));
        assert_eq!(enough(None, Some(100)), None, "all of them");
        assert_eq!(enough(Some(2), Some(100)), Some(2));
        assert_eq!(enough(Some(0), None), None);
        let gone: Vec<_> = all.iter().filter(|it| it.run_id != 2).cloned().collect();
        let last = Some(Place { run: 2, began: 200 });
        assert_eq!(gone.iter().find(|it| is_far_enough(it, last, None)).map(|it| it.run_id), Some(1), "it was deleted");
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
    fn an_error_that_the_log_ends_with_is_not_told_again() {
        let output = |logs: &str, trace: &str, error: &str| -> Vec<String> {
            let output = json!({ "logs": logs, "error_trace": trace, "error": error });
            let output: Output = serde_json::from_value(output).expect("an output");
            untold(&output).into_iter().map(str::to_owned).collect()
        };
        let trace = "Traceback:\n  line 1\nValueError: no\n";
        assert!(output(&format!("before\n{trace}"), trace, "ValueError: no").is_empty());
        assert_eq!(output("before\n", trace, "ValueError: no"), [trace.trim_end()], "the trace ends with the error");
        assert_eq!(output("before\n", "", "killed"), ["killed"]);
        assert_eq!(output("", trace, "another"), [trace.trim_end(), "another"]);
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
