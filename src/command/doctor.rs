//! `ecomctl doctor`: what this machine has and lacks.

mod powerbi;

use crate::{
    command::{Exit, Global, Result, error, local, project::Project},
    local::doctor::{Check, check},
    report::{self, Terminal},
};

/// Check what this machine needs, and say how to install what is missing
///
/// With a stack, also what its Power BI models and reports need of Fabric. Exits with 5 when something that is needed is
/// missing.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ecomctl doctor
  ecomctl doctor staging              also the workspace and the connection of its Power BI model
  ecomctl doctor --json
")]
pub struct Args {
    /// The stack whose needs are checked besides
    #[arg(value_name = "STACK", add = clap_complete::ArgValueCompleter::new(super::completions::stacks))]
    stack: Option<String>,
}

/// Shows the checks.
///
/// # Errors
/// Says that there is no project.
pub async fn run(args: Args, global: &Global) -> Result<Exit> {
    let terminal = global.terminal();
    let project = Project::open(global)?;
    let stack = args.stack.as_deref().map(|it| project.load(it)).transpose()?;
    let mut checks = check(&local::home(&project.home)?).await;
    if let Some(it) = &stack {
        checks.extend(powerbi::checks(it).await);
    }
    if terminal.json {
        terminal.print(&serde_json::to_string(&checks).map_err(error::internal)?);
    } else {
        terminal.print(&table(&checks, terminal));
    }
    Ok(if checks.iter().any(Check::blocks) { Exit::Unreachable } else { Exit::Done })
}

fn table(checks: &[Check], terminal: Terminal) -> String {
    let rows = checks.iter().map(|it| {
        let mark = match (it.problem.is_some(), it.needed) {
            (false, _) => "ok",
            (true, true) => "MISSING",
            (true, false) => "none",
        };
        let found = match (&it.problem, &it.fix) {
            (Some(problem), Some(fix)) => format!("{problem}\n{fix}"),
            (Some(problem), None) => problem.clone(),
            (None, _) => it.found.clone().unwrap_or_default(),
        };
        vec![mark.to_owned(), it.name.to_string(), found, it.purpose.to_string()]
    });
    report::terminal::table(&["", "what", "found", "for"], rows, terminal.out)
}
