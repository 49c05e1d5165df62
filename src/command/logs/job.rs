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
};

/// How much of each task's output was shown already, in bytes.
type Shown = BTreeMap<i64, usize>;

pub(super) async fn show(run: &Run, address: &Address, filter: &Filter) -> Result<Exit> {
    let (_, id) = run_now::job(run, &run.document().await?, &address.to_string())?;
    let databricks = &run.cx.databricks;
    let (mut shown, mut last) = (Shown::new(), None);
    loop {
        let latest = databricks.runs(id, false, 1).await?;
        match latest.first() {
            Some(it) => {
                if last.replace(it.run_id) != Some(it.run_id) {
                    shown.clear();
                    run.terminal.note(&format!("run {} of {address}", it.run_id));
                }
                let whole = databricks.run(it.run_id).await?;
                for task in &whole.tasks {
                    more(databricks, task, &mut shown, filter).await?;
                }
            }
            None if filter.follow => (),
            None => run.terminal.note(&format!("{address} has not run yet")),
        }
        if !filter.follow {
            return Ok(Exit::Done);
        }
        tokio::time::sleep(AGAIN).await;
    }
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
