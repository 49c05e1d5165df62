//! A run of a job as people follow it: a line for each task that begins or ends, and the result.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    time::{Duration, Instant},
};

use miette::Diagnostic;
use serde_json::json;

use crate::{
    address::Address,
    client::databricks::runs::{LifeCycle, Outcome, Output, Run, Task},
    report::{Terminal, Tone, human, preparing::Preparing, terminal::harmless},
};

/// So many of the last lines of a trace are shown.
const TRACE: usize = 20;
/// So many characters of a line are shown.
const LINE: usize = 2000;

/// Shows a run while it goes on.
#[derive(Debug)]
pub(super) struct View {
    terminal: Terminal,
    job: Address,
    spinner: Option<Preparing>,
    seen: BTreeMap<(String, i64), LifeCycle>,
    begun: Instant,
    told: bool,
}

impl View {
    /// Begins to show the run of a job.
    pub(super) fn new(terminal: Terminal, job: Address) -> Self {
        let spinner = Some(Preparing::new(terminal));
        Self { terminal, job, spinner, seen: BTreeMap::new(), begun: Instant::now(), told: false }
    }

    /// Shows what has changed since the last look.
    pub(super) fn update(&mut self, run: &Run) {
        if !self.told {
            self.told = true;
            let page = run.run_page_url.as_deref().map(|it| format!(" · {it}")).unwrap_or_default();
            self.say(&format!("run {} of {}{page}", run.run_id, self.job), "run", run.run_id.into());
        }
        for News { text, task, state, .. } in self.news(run) {
            self.say(&text, "task", json!({ "task": task.task_key, "attempt": task.attempt_number, "state": state }));
        }
        if let (Some(it), Some(doing)) = (&self.spinner, doing(run)) {
            it.busy(&doing);
        }
    }

    /// Returns what happened to the tasks since the last look, in the order in which it did.
    fn news<'a>(&mut self, run: &'a Run) -> Vec<News<'a>> {
        let mut news = Vec::new();
        for task in &run.tasks {
            let state = task.state.life_cycle_state;
            let before = self.seen.insert((task.task_key.clone(), task.attempt_number), state);
            if before != Some(state) {
                // It may have begun and ended between two looks.
                news.extend(News::begun(task).filter(|_| !before.is_some_and(has_begun)));
                news.extend(News::ended(run, task));
            }
        }
        // A task begins as soon as the one before it has ended.
        news.sort_by_key(|it| (it.at, it.rank));
        news
    }

    /// Shows that nothing is known of the run for a while.
    pub(super) fn away(&self) {
        if let Some(it) = &self.spinner {
            it.busy("Databricks does not answer; the run goes on");
        }
    }

    /// Shows that the run was asked to stop.
    pub(super) fn cancelling(&self) {
        self.say("asked to stop; interrupt again to leave it to itself", "cancelling", json!(null));
    }

    fn say(&self, text: &str, event: &str, about: serde_json::Value) {
        if self.terminal.json {
            self.terminal.note(&json!({ "event": event, "message": text, "about": about }).to_string());
        } else if let Some(it) = &self.spinner {
            it.say(text);
        }
    }

    /// Ends what is drawn in place.
    pub(super) fn finish(&mut self) {
        self.spinner = None;
    }

    /// Says that a run is accepted that is not followed.
    pub(super) fn accepted(&mut self, run: i64) -> String {
        self.finish();
        match self.terminal.json {
            true => json!({ "job": self.job, "run_id": run }).to_string(),
            false => format!("run {run} of {} is accepted", self.job),
        }
    }

    /// Writes how a run ended, with its tasks.
    pub(super) fn result(&self, run: &Run) -> String {
        let took = took(run.start_time, run.end_time).unwrap_or_else(|| self.begun.elapsed());
        let outcome = run.state.result_state;
        if self.terminal.json {
            let tasks = run.tasks.iter().map(|it| {
                let seconds = self::took(it.start_time, it.end_time).map(|it| it.as_secs_f64());
                json!({ "task": it.task_key, "run_id": it.run_id, "result": it.state.result_state, "seconds": seconds })
            });
            return json!({
                "job": self.job, "run_id": run.run_id, "result": outcome, "message": run.state.state_message,
                "seconds": took.as_secs_f64(), "tasks": tasks.collect::<Vec<_>>(),
            })
            .to_string();
        }
        let tone = if outcome == Some(Outcome::Success) { Tone::Good } else { Tone::Bad };
        let word = outcome.map_or("without a result", word);
        let style = self.terminal.out;
        style.paint(tone, &format!("run {} of {} ended {word} in {}", run.run_id, self.job, human::duration(took)))
    }
}

/// Something that happened to a task.
struct News<'a> {
    /// When, in milliseconds since 1970.
    at: i64,
    /// What comes first of what happened at the same time.
    rank: u8,
    text: String,
    task: &'a Task,
    state: LifeCycle,
}

impl<'a> News<'a> {
    fn begun(task: &'a Task) -> Option<Self> {
        let ran = match task.state.result_state {
            Some(Outcome::Success | Outcome::Failed | Outcome::Timedout | Outcome::SuccessWithFailures) => true,
            _ => has_begun(task.state.life_cycle_state),
        };
        let text = format!("{} began", named(task));
        ran.then_some(Self { at: task.start_time, rank: 1, text, task, state: LifeCycle::Running })
    }

    fn ended(run: &Run, task: &'a Task) -> Option<Self> {
        let (name, state) = (named(task), task.state.life_cycle_state);
        let before = |it: &&Task| it.task_key == task.task_key && it.attempt_number == task.attempt_number - 1;
        let text = match state {
            it if it.is_over() && is_tried_again(run, task) => format!("{name} failed, and is tried again"),
            // It is the next attempt that waits; where the one before is listed, that one tells.
            LifeCycle::WaitingForRetry if run.tasks.iter().any(|it| before(&it)) => return None,
            LifeCycle::WaitingForRetry => {
                let failed = Task { attempt_number: (task.attempt_number - 1).max(0), ..task.clone() };
                format!("{} failed, and is tried again", named(&failed))
            }
            it if it.is_over() => {
                let took = took(task.start_time, task.end_time).map(|it| format!(" after {}", human::duration(it)));
                format!("{name} ended {}{}", ended(task), took.unwrap_or_default())
            }
            // Waiting is how each begins; nobody needs to be told.
            _ => return None,
        };
        // What has no time of its own is a consequence of the rest.
        let at = if task.end_time > 0 { task.end_time } else { i64::MAX };
        let rank = if task.end_time > task.start_time { 0 } else { 2 };
        Some(Self { at, rank, text, task, state })
    }
}

fn named(task: &Task) -> String {
    match task.attempt_number {
        ..1 => task.task_key.clone(),
        it => format!("{} (attempt {})", task.task_key, it + 1),
    }
}

/// Says whether there is a later attempt at a task.
pub(super) fn is_tried_again(run: &Run, task: &Task) -> bool {
    run.tasks.iter().any(|it| it.task_key == task.task_key && it.attempt_number > task.attempt_number)
}

/// Says whether a task is at work or was, and is not over.
const fn has_begun(state: LifeCycle) -> bool {
    matches!(state, LifeCycle::Running | LifeCycle::Terminating)
}

/// Says what a run is doing; nothing, once it is over.
fn doing(run: &Run) -> Option<String> {
    let state = |it: &Task| it.state.life_cycle_state;
    let mut running: Vec<_> = run.tasks.iter().filter(|it| state(it) == LifeCycle::Running).collect();
    running.sort_by_key(|it| it.start_time);
    let names = running.iter().map(|it| it.task_key.as_str()).collect::<Vec<_>>().join(", ");
    let some = match run.state.life_cycle_state {
        it if it.is_over() => return None,
        _ if !names.is_empty() => return Some(format!("{names} running")),
        LifeCycle::Queued => "queued: waiting for its turn",
        _ if !run.tasks.is_empty() && run.tasks.iter().all(|it| state(it).is_over()) => "ending",
        _ if run.tasks.iter().any(|it| has_begun(state(it)) || state(it).is_over()) => "waiting for the next task",
        _ => "waiting for its cluster",
    };
    Some(some.to_owned())
}

/// How a task failed, with the end of its trace.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("task {task} {how}{}", trace.as_ref().map(|it| format!("\n{it}")).unwrap_or_default())]
#[diagnostic(code(run::task))]
pub(super) struct TaskFailure {
    task: String,
    how: String,
    trace: Option<String>,
}

impl TaskFailure {
    /// Puts together what a task's state and output say. Without output, says why there is none.
    pub(super) fn new(task: &Task, output: Result<&Output, String>) -> Self {
        let message = Some(task.state.state_message.clone()).filter(|it| !it.is_empty());
        let (error, trace) = match output {
            Ok(it) => (it.error.clone().or(message), it.error_trace.as_deref().or(it.logs.as_deref()).map(end)),
            Err(why) => (message, Some(format!("its output could not be read: {why}"))),
        };
        // Whatever the task wrote, it does not steer a terminal.
        let why = error.map(|it| format!(": {}", harmless(&beginning(&it)))).unwrap_or_default();
        let trace = trace.filter(|it| !it.is_empty()).map(|it| harmless(&it).into_owned());
        Self { task: task.task_key.clone(), how: format!("ended {}{why}", ended(task)), trace }
    }
}

/// Returns the first lines of a text.
fn beginning(text: &str) -> String {
    let lines: Vec<_> = text.trim_end().lines().collect();
    let left_out = lines.len().saturating_sub(TRACE);
    let more = if left_out > 0 { format!("\n… {} more", human::plural(left_out, "line")) } else { String::new() };
    lines.iter().take(TRACE).map(|it| shortened(it)).collect::<Vec<_>>().join("\n") + &more
}

/// Returns the last lines of a text.
fn end(text: &str) -> String {
    let lines: Vec<_> = text.trim_end().lines().collect();
    let left_out = lines.len().saturating_sub(TRACE);
    let more = if left_out > 0 { format!("… {} before\n", human::plural(left_out, "line")) } else { String::new() };
    more + &lines[left_out..].iter().map(|it| shortened(it)).collect::<Vec<_>>().join("\n")
}

/// Returns the beginning of a line that nobody would read to its end.
fn shortened(line: &str) -> Cow<'_, str> {
    match line.char_indices().nth(LINE) {
        Some((at, _)) => Cow::Owned(format!("{} … {} more bytes", &line[..at], line.len() - at)),
        None => Cow::Borrowed(line),
    }
}

fn ended(task: &Task) -> &'static str {
    match (task.state.result_state, task.state.life_cycle_state) {
        (Some(it), _) => word(it),
        (None, LifeCycle::Skipped) => "without having begun",
        (None, _) => "with an internal error",
    }
}

/// Says how something ended, to be put after "ended".
pub(super) const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success => "well",
        Outcome::Failed => "with an error",
        Outcome::Timedout => "because it took too long",
        Outcome::Canceled => "because it was cancelled",
        Outcome::Excluded => "without having begun: its condition was not met",
        Outcome::Disabled => "without having begun: it is disabled",
        Outcome::MaximumConcurrentRunsReached => "without having begun: too many runs of the job are under way",
        Outcome::UpstreamFailed => "without having begun: what it depends on failed",
        Outcome::UpstreamCanceled => "without having begun: what it depends on was cancelled",
        Outcome::SuccessWithFailures => "with some of its tasks failed",
        Outcome::Unknown => "in a way that this ecomctl does not know",
    }
}

/// The time between two moments in milliseconds since 1970; none before both are known.
fn took(start: i64, end: i64) -> Option<Duration> {
    (start > 0).then(|| u64::try_from(end - start).ok().map(Duration::from_millis)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Style;

    fn run() -> Run {
        let task = |key: &str, state: &str, result: &str| {
            json!({
                "run_id": 2, "task_key": key, "start_time": 1_000, "end_time": 3_500,
                "state": { "life_cycle_state": state, "result_state": result },
            })
        };
        serde_json::from_value(json!({
            "run_id": 1, "start_time": 1_000, "end_time": 43_000,
            "state": { "life_cycle_state": "TERMINATED", "result_state": "FAILED" },
            "tasks": [task("bronze", "TERMINATED", "SUCCESS"), task("silver", "TERMINATED", "FAILED"),
                      task("gold", "SKIPPED", "UPSTREAM_FAILED")],
        }))
        .expect("a run")
    }

    fn view(json: bool) -> View {
        let (out, err) = (Style::PLAIN, Style::PLAIN);
        let terminal = Terminal { json, out, err, live: false, interactive: false };
        View::new(terminal, "job.medallion".parse().expect("an address"))
    }

    #[test]
    fn the_result_is_one_line_or_one_object() {
        assert_eq!(view(false).result(&run()), "run 1 of job.medallion ended with an error in 42 s");
        let object: serde_json::Value = serde_json::from_str(&view(true).result(&run())).expect("JSON");
        assert_eq!((&object["result"], &object["tasks"][0]["seconds"]), (&json!("FAILED"), &json!(2.5)));
    }

    #[test]
    fn a_failed_task_shows_its_error_and_the_end_of_its_trace() {
        let trace: String = (1..=30).map(|it| format!("line {it}\n")).collect();
        let output = Output { error: Some("ValueError: no".into()), error_trace: Some(trace), ..Output::default() };
        let text = TaskFailure::new(&run().tasks[1], Ok(&output)).to_string();
        assert!(
            text.starts_with("task silver ended with an error: ValueError: no\n… 10 lines before\nline 11\n"),
            "{text}"
        );
        assert!(text.ends_with("line 30"), "{text}");
        let long =
            Output { error: Some("é".repeat(30_000)), error_trace: Some("x".repeat(1 << 20)), ..Output::default() };
        let text = TaskFailure::new(&run().tasks[1], Ok(&long)).to_string();
        assert!(
            text.contains("é … 56000 more bytes\nxx") && text.ends_with(&format!(" … {} more bytes", (1 << 20) - LINE))
        );
        let text = TaskFailure::new(&run().tasks[1], Err("denied".into())).to_string();
        assert_eq!(text, "task silver ended with an error\nits output could not be read: denied");
    }

    /// A run under way, of tasks with their states, results, beginnings and ends.
    fn under_way(tasks: &[(&str, &str, &str, i64, i64)]) -> Run {
        let task = |&(key, state, result, start, end): &(&str, &str, &str, i64, i64)| {
            let mut it = json!({
                "run_id": 2, "task_key": key, "start_time": start, "end_time": end,
                "state": { "life_cycle_state": state },
            });
            if !result.is_empty() {
                it["state"]["result_state"] = result.into();
            }
            it
        };
        serde_json::from_value(json!({
            "run_id": 1, "start_time": 1_000, "state": { "life_cycle_state": "RUNNING" },
            "tasks": tasks.iter().map(task).collect::<Vec<_>>(),
        }))
        .expect("a run")
    }

    #[test]
    fn tasks_are_told_in_the_order_of_what_happened() {
        let mut view = view(false);
        let mut look = |tasks: &[(&str, &str, &str, i64, i64)]| {
            let run = under_way(tasks);
            let news = view.news(&run).into_iter().map(|it| it.text).collect::<Vec<_>>();
            (news, doing(&run).expect("it goes on"))
        };
        let pending = |key| (key, "BLOCKED", "", 0, 0);
        let bronze = ("bronze", "TERMINATED", "SUCCESS", 1_000, 4_000);
        let silver = ("silver", "TERMINATED", "SUCCESS", 4_000, 7_000);
        let (news, doing) = look(&[pending("bronze"), pending("gold"), pending("silver")]);
        assert_eq!((news, doing.as_str()), (vec![], "waiting for its cluster"));
        let (news, doing) = look(&[bronze, pending("gold"), ("silver", "PENDING", "", 4_000, 0)]);
        assert_eq!(news, ["bronze began", "bronze ended well after 3.0 s"]);
        assert_eq!(doing, "waiting for the next task");
        let (news, doing) = look(&[bronze, ("gold", "RUNNING", "", 7_000, 0), silver]);
        assert_eq!(news, ["silver began", "silver ended well after 3.0 s", "gold began"]);
        assert_eq!(doing, "gold running");
        let (news, doing) = look(&[bronze, ("gold", "TERMINATED", "SUCCESS", 7_000, 8_000), silver]);
        assert_eq!(news, ["gold ended well after 1.0 s"]);
        assert_eq!(doing, "ending");
    }

    #[test]
    fn attempts_are_told_as_they_came() {
        let attempt = |number: i64, state: &str, start: i64, end: i64| {
            let mut it = json!({
                "run_id": number, "task_key": "one", "attempt_number": number, "start_time": start, "end_time": end,
                "state": { "life_cycle_state": state },
            });
            if end > 0 {
                it["state"]["result_state"] = "FAILED".into();
            }
            it
        };
        let run = |tasks: Vec<serde_json::Value>| -> Run {
            let state = json!({ "life_cycle_state": "RUNNING" });
            serde_json::from_value(json!({ "run_id": 1, "state": state, "tasks": tasks })).expect("a run")
        };
        let looks = [
            vec![attempt(0, "RUNNING", 1_000, 0)],
            vec![attempt(0, "TERMINATED", 1_000, 2_000), attempt(1, "WAITING_FOR_RETRY", 0, 0)],
            vec![attempt(0, "TERMINATED", 1_000, 2_000), attempt(1, "RUNNING", 5_000, 0)],
            vec![attempt(0, "TERMINATED", 1_000, 2_000), attempt(1, "TERMINATED", 5_000, 6_000)],
        ];
        let told = [
            "one began",
            "one failed, and is tried again",
            "one (attempt 2) began",
            "one (attempt 2) ended with an error after 1.0 s",
        ];
        let mut all = view(false);
        let news = |view: &mut View, run: &Run| view.news(run).into_iter().map(|it| it.text).collect::<Vec<_>>();
        let found: Vec<String> = looks.iter().flat_map(|it| news(&mut all, &run(it.clone()))).collect();
        assert_eq!(found, told);
        let mut latest = view(false);
        let found: Vec<String> =
            looks.iter().flat_map(|it| news(&mut latest, &run(it.last().cloned().into_iter().collect()))).collect();
        assert_eq!(found, told, "where only the last attempt is listed");
    }

    #[test]
    fn each_task_is_told_once() {
        let mut view = view(false);
        view.update(&run());
        assert_eq!(view.seen.len(), 3);
        assert_eq!(view.seen[&("gold".to_owned(), 0)], LifeCycle::Skipped);
    }
}
