//! A job's log: what the tasks of its runs printed.

use std::collections::BTreeMap;

use super::{AGAIN, Filter};
use crate::{
    address::Address,
    client::{
        Reason,
        databricks::{
            Databricks,
            runs::{LifeCycle, Output, Task},
        },
    },
    command::{Exit, Result, run::Run, run_now},
    state::Document,
};

/// How much of each task's output was shown already, in bytes.
type Shown = BTreeMap<i64, usize>;

pub(super) async fn show(run: &Run, document: &Document, address: &Address, mut filter: Filter) -> Result<Exit> {
    let (_, id) = run_now::job(run, document, &address.to_string())?;
    let databricks = &run.cx.databricks;
    let (mut shown, mut last) = (Shown::new(), None);
    loop {
        let latest = databricks.runs(id, false, 1).await?;
        match latest.first() {
            Some(it) => {
                if last.replace(it.run_id) != Some(it.run_id) {
                    shown.clear();
                    run.terminal.remark("run", &format!("run {} of {address}", it.run_id));
                }
                let tasks = in_order(databricks.run(it.run_id).await?.tasks);
                filter.width = tasks.iter().map(|it| it.task_key.chars().count()).max().unwrap_or_default();
                for task in &tasks {
                    more(databricks, task, &mut shown, &filter).await?;
                }
            }
            None if filter.follow => (),
            None => run.terminal.remark("empty", &format!("{address} has not run yet")),
        }
        if !filter.follow {
            return Ok(Exit::Done);
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Puts tasks in the order in which they began; those that did not come last.
fn in_order(mut tasks: Vec<Task>) -> Vec<Task> {
    tasks.sort_by_key(|it| (it.start_time == 0, it.start_time, it.attempt_number));
    tasks
}

/// Shows what a task printed since the last look. The last line of a task that goes on may be half printed: it is left
/// for the next look.
async fn more(databricks: &Databricks, task: &Task, shown: &mut Shown, filter: &Filter) -> Result<()> {
    let before = shown.get(&task.run_id).copied().unwrap_or_default();
    let over = task.state.life_cycle_state.is_over();
    if before == usize::MAX
        || matches!(task.state.life_cycle_state, LifeCycle::Blocked | LifeCycle::Pending | LifeCycle::Queued)
    {
        return Ok(());
    }
    let output = match databricks.run_output(task.run_id).await {
        Ok(it) => it,
        // A task that has only begun may have no output yet.
        Err(err) if err.reason == Reason::Missing && !over => return Ok(()),
        Err(err) => return Err(err.into()),
    };
    let text = output.logs.as_deref().unwrap_or_default();
    let new = text.get(before..).unwrap_or_default();
    let whole = if over { new } else { new.rfind('\n').map_or("", |it| &new[..=it]) };
    whole.lines().for_each(|it| filter.show(&task.task_key, it));
    shown.insert(task.run_id, before + whole.len());
    if over {
        ended(task, &output, filter);
        shown.insert(task.run_id, usize::MAX);
    }
    Ok(())
}

fn ended(task: &Task, output: &Output, filter: &Filter) {
    let error = output.error_trace.iter().chain(&output.error);
    error.flat_map(|it| it.lines()).for_each(|it| filter.show(&task.task_key, it));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
