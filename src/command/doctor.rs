//! `ecomctl doctor`: what this machine has and lacks.

use std::process::ExitCode;

use comfy_table::{ContentArrangement, Table, presets};

use super::local::home;
use crate::local::doctor::{Check, check};

/// Checks what this machine needs, and says how to install what is missing.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Print the checks as JSON.
    #[arg(long)]
    json: bool,
}

/// Prints the checks. Exit code 5 when something that is needed is missing.
#[expect(clippy::print_stdout, reason = "a command prints its result")]
pub async fn run(args: Args) -> miette::Result<ExitCode> {
    let checks = check(&home()?).await;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&checks).map_err(|err| miette::miette!("{err}"))?);
    } else {
        println!("{}", table(&checks));
    }
    Ok(if checks.iter().any(Check::blocks) { ExitCode::from(5) } else { ExitCode::SUCCESS })
}

fn table(checks: &[Check]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["", "what", "found", "for"]);
    for it in checks {
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
        table.add_row([mark, it.name, &found, it.purpose]);
    }
    table
}
