//! `ecomctl doctor`: what this machine has and lacks.

use crate::{
    command::{Exit, Global, Result, error, local, project::Project},
    local::doctor::{Check, check},
    report::{self, Terminal},
};

/// Check what this machine needs, and say how to install what is missing
///
/// Exits with 5 when something that is needed is missing.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ecomctl doctor
  ecomctl doctor --json
")]
pub struct Args {}

/// Shows the checks.
///
/// # Errors
/// Says that there is no project.
pub async fn run(_: Args, global: &Global) -> Result<Exit> {
    let terminal = global.terminal();
    let checks = check(&local::home(&Project::open(global)?.home)?).await;
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
