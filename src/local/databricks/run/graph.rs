//! Which tasks of a run come next, and how the run ended: pure.

use std::collections::BTreeMap;

use super::{
    super::job::settings::{RunIf, Settings, Task},
    record::{Ending, Life, State},
};

/// How the tasks that are over ended.
pub(crate) type Endings<'a> = BTreeMap<&'a str, Ending>;

/// What is to be done with a task whose dependencies are over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Start,
    Skip(State),
}

/// Decides on each task that is neither over nor begun, as soon as what it depends on is over.
pub(crate) fn next<'a>(
    settings: &'a Settings,
    endings: &Endings,
    begun: &dyn Fn(&str) -> bool,
) -> Vec<(&'a Task, Next)> {
    let open = settings.tasks.iter().filter(|it| !endings.contains_key(it.task_key.as_str()) && !begun(&it.task_key));
    open.filter_map(|task| Some((task, decide(task, endings)?))).collect()
}

fn decide(task: &Task, endings: &Endings) -> Option<Next> {
    let before: Option<Vec<Ending>> =
        task.depends_on.iter().map(|it| endings.get(it.task_key.as_str()).copied()).collect();
    let before = before?;
    let skip = |ending, message: &str| Some(Next::Skip(State::over(Life::Terminated, ending, message)));
    if task.disabled {
        return skip(Ending::Disabled, "The task is disabled.");
    }
    let count = |wanted: fn(Ending) -> bool| before.iter().filter(|it| wanted(**it)).count();
    let (failed, succeeded) = (count(is_failure), count(|it| it == Ending::Success));
    let (excluded, all) = (count(is_left_out), before.len());
    if all > 0 && excluded == all {
        return skip(Ending::Excluded, "All tasks before it were left out.");
    }
    let met = match task.run_if {
        RunIf::AllSuccess | RunIf::NoneFailed => failed == 0,
        RunIf::AllDone => true,
        RunIf::AtLeastOneSuccess => all == 0 || succeeded > 0,
        RunIf::AtLeastOneFailed => failed > 0,
        RunIf::AllFailed => all > 0 && failed == all,
    };
    if met {
        return Some(Next::Start);
    }
    let canceled = before.iter().any(|it| matches!(it, Ending::Canceled | Ending::UpstreamCanceled));
    match task.run_if {
        RunIf::AllSuccess | RunIf::NoneFailed | RunIf::AtLeastOneSuccess if canceled => {
            skip(Ending::UpstreamCanceled, "A task before it was canceled.")
        }
        RunIf::AllSuccess | RunIf::NoneFailed | RunIf::AtLeastOneSuccess => {
            skip(Ending::UpstreamFailed, "A task before it failed. This caused all downstream tasks to get skipped.")
        }
        _ => skip(Ending::Excluded, "No task before it failed."),
    }
}

/// Tasks that were left out count as successful to those after them.
fn is_left_out(it: Ending) -> bool {
    matches!(it, Ending::Excluded | Ending::Disabled)
}

/// Says whether something ended in any other way than it should have.
pub(crate) fn is_failure(it: Ending) -> bool {
    match it {
        Ending::Success | Ending::SuccessWithFailures | Ending::Excluded | Ending::Disabled => false,
        Ending::Failed
        | Ending::TimedOut
        | Ending::Canceled
        | Ending::MaximumConcurrentRunsReached
        | Ending::UpstreamFailed
        | Ending::UpstreamCanceled => true,
    }
}

/// Tells how a run ended, all of whose tasks are over: the tasks that no other waits for decide.
pub(crate) fn conclude(settings: &Settings, endings: &Endings) -> State {
    let failed = |it: &&str| endings.get(*it).copied().is_some_and(is_failure);
    let leaves = settings.leaves();
    let culprits: Vec<&str> = settings
        .tasks
        .iter()
        .map(|it| it.task_key.as_str())
        .filter(|it| matches!(endings.get(it), Some(Ending::Failed | Ending::TimedOut | Ending::Canceled)))
        .collect();
    if leaves.iter().any(failed) {
        let message = match culprits.first() {
            Some(it) => format!(
                "Task {it} failed with message: {}.{}",
                match endings.get(it) {
                    Some(Ending::TimedOut) => "Timed out",
                    Some(Ending::Canceled) => "Canceled",
                    _ => "Workload failed, see run output for details",
                },
                if leaves.contains(it) { "" } else { " This caused all downstream tasks to get skipped." }
            ),
            None => "Some tasks were skipped.".to_owned(),
        };
        return State::over(Life::InternalError, Ending::Failed, message);
    }
    if culprits.is_empty() {
        return State::over(Life::Terminated, Ending::Success, "");
    }
    State::over(
        Life::Terminated,
        Ending::SuccessWithFailures,
        format!("Failed, but not decisive: {}.", culprits.join(", ")),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// a → b → d, a → c → d, with one condition for d.
    fn diamond(run_if: &str) -> Settings {
        let task = |key: &str, needs: &[&str]| {
            let needs: Vec<_> = needs.iter().map(|it| json!({ "task_key": it })).collect();
            json!({ "task_key": key, "depends_on": needs, "notebook_task": { "notebook_path": "/n" } })
        };
        let mut last = task("d", &["b", "c"]);
        last["run_if"] = run_if.into();
        let tasks = json!({ "tasks": [task("a", &[]), task("b", &["a"]), task("c", &["a"]), last] });
        serde_json::from_value(tasks).expect("settings")
    }

    fn decided(run_if: &str, endings: &[(&'static str, Ending)]) -> Vec<(String, Option<Ending>)> {
        let endings: Endings = endings.iter().copied().collect();
        let ending = |it: Next| match it {
            Next::Start => None,
            Next::Skip(it) => it.result,
        };
        next(&diamond(run_if), &endings, &|_| false)
            .into_iter()
            .map(|(it, n)| (it.task_key.clone(), ending(n)))
            .collect()
    }

    #[test]
    fn tasks_begin_when_what_they_need_is_over() {
        use Ending::{Failed, Success};
        assert_eq!(decided("ALL_SUCCESS", &[]), [("a".to_owned(), None)]);
        let both = [("b".to_owned(), None), ("c".to_owned(), None)];
        assert_eq!(decided("ALL_SUCCESS", &[("a", Success)]), both);
        let skipped = [("b".to_owned(), Some(Ending::UpstreamFailed)), ("c".to_owned(), Some(Ending::UpstreamFailed))];
        assert_eq!(decided("ALL_SUCCESS", &[("a", Failed)]), skipped);
    }

    #[test]
    fn each_condition_is_as_documented() {
        use Ending::{Canceled, Excluded, Failed, Success, UpstreamCanceled, UpstreamFailed};
        let cases = [
            ("ALL_SUCCESS", Success, Failed, Some(UpstreamFailed)),
            ("ALL_SUCCESS", Success, Canceled, Some(UpstreamCanceled)),
            ("ALL_SUCCESS", Success, Excluded, None),
            ("NONE_FAILED", Success, Excluded, None),
            ("NONE_FAILED", Success, Failed, Some(UpstreamFailed)),
            ("AT_LEAST_ONE_SUCCESS", Success, Failed, None),
            ("AT_LEAST_ONE_SUCCESS", Failed, Failed, Some(UpstreamFailed)),
            ("AT_LEAST_ONE_FAILED", Success, Failed, None),
            ("AT_LEAST_ONE_FAILED", Success, Success, Some(Excluded)),
            ("ALL_FAILED", Failed, Failed, None),
            ("ALL_FAILED", Success, Failed, Some(Excluded)),
            ("ALL_DONE", Failed, UpstreamFailed, None),
            ("ALL_DONE", Excluded, Excluded, Some(Excluded)),
        ];
        for (run_if, b, c, wanted) in cases {
            let found = decided(run_if, &[("a", Success), ("b", b), ("c", c)]);
            assert_eq!(found, [("d".to_owned(), wanted)], "{run_if} {b:?} {c:?}");
        }
    }

    #[test]
    fn the_last_tasks_decide_how_a_run_ended() {
        use Ending::{Failed, Success, SuccessWithFailures, UpstreamFailed};
        let conclusion = |endings: [Ending; 4]| {
            let endings: Endings = ["a", "b", "c", "d"].into_iter().zip(endings).collect();
            conclude(&diamond("ALL_DONE"), &endings)
        };
        assert_eq!(conclusion([Success; 4]).result, Some(Success));
        assert_eq!(conclusion([Success, Failed, Success, Success]).result, Some(SuccessWithFailures));
        let failed = conclusion([Failed, UpstreamFailed, UpstreamFailed, UpstreamFailed]);
        assert_eq!((failed.life, failed.result), (Life::InternalError, Some(Failed)));
        assert!(failed.message.starts_with("Task a failed with message: Workload failed"), "{}", failed.message);
    }
}
