//! `ecomctl state history`: the journal of a stack.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::{
    command::{Global, Result, fault::of_store, project::Project, project::StackArg, value, who},
    report, stack,
    state::{End, Entry, Outcome},
};

/// What is shown.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    stack: StackArg,
    /// Show this many runs, the newest
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = value::number::<usize>)]
    last: usize,
}

/// Lists the newest runs that changed anything, the newest first.
pub(super) async fn run(args: Args, project: &Project, global: &Global) -> Result<()> {
    let (terminal, stack) = (global.terminal(), args.stack.stack);
    let store = project.find_store(&stack).await?;
    let (runs, kept) = match store.archive() {
        Some(it) => futures::try_join!(it.entries(args.last), it.serials()).map_err(of_store)?,
        None => Default::default(),
    };
    if runs.is_empty() && kept.is_empty() {
        stack::find(&project.root, &stack)?;
    }
    if terminal.json {
        terminal.print(&json!({ "runs": runs, "kept": kept }).to_string());
        return Ok(());
    }
    if runs.is_empty() {
        terminal.print(&format!("The journal of `{stack}` is empty: nothing was changed yet."));
        return Ok(());
    }
    let kept: BTreeSet<_> = kept.into_iter().collect();
    let rows = runs.iter().rev().map(|it| row(it, &kept));
    let heads = ["before", "after", "when", "by", "what", "steps"];
    terminal.print(&report::terminal::table(&heads, rows, terminal.out));
    if global.verbose {
        for run in runs.iter().rev() {
            terminal.print(&format!("\n{} · {} to {}", what(run), run.before, run.after));
            let steps =
                run.steps.iter().map(|it| vec![it.address.to_string(), it.action.clone(), outcome(it.outcome).into()]);
            terminal.print(&report::terminal::table(&["resource", "step", "outcome"], steps, terminal.out));
        }
    }
    terminal.print(&format!(
        "\nA serial before a run, unless it is in parentheses, can be put back: ecomctl state rollback {stack} SERIAL"
    ));
    Ok(())
}

fn row(run: &Entry, kept: &BTreeSet<u64>) -> Vec<String> {
    let before = if kept.contains(&run.before) { run.before.to_string() } else { format!("({})", run.before) };
    let when = run.until.strftime("%Y-%m-%d %H:%M:%S").to_string();
    let commit = run.by.commit.as_ref().map(|it| format!(" at {}", it.get(..7).unwrap_or(it))).unwrap_or_default();
    let by = match &run.by.ci {
        Some(page) => format!("{}, {page}{commit}", who::name(&run.by)),
        None => format!("{}{commit}", who::name(&run.by)),
    };
    vec![before, run.after.to_string(), when, by, what(run), steps(run)]
}

fn what(run: &Entry) -> String {
    let end = match run.end {
        End::Complete => "",
        End::Incomplete => ", incomplete",
        End::Died => ", died",
    };
    format!("{}{end}", if run.verb.is_empty() { "?" } else { &run.verb })
}

/// Counts steps by outcome, such as `12 done, 1 failed`.
fn steps(run: &Entry) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for it in &run.steps {
        *counts.entry(outcome(it.outcome)).or_default() += 1;
    }
    let counts: Vec<_> = counts.into_iter().map(|(outcome, number)| format!("{number} {outcome}")).collect();
    if counts.is_empty() { "none".to_owned() } else { counts.join(", ") }
}

const fn outcome(it: Outcome) -> &'static str {
    match it {
        Outcome::Done => "done",
        Outcome::Failed => "failed",
        Outcome::Unfinished => "left unfinished",
        Outcome::Skipped => "not begun",
        Outcome::Recorded => "recorded",
    }
}
