//! `ecomctl diff`: shows what `up` would do, and does nothing.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::{
    command::{
        Exit, Global, Result,
        choice::{self, Choice, Order},
        consent::Consent,
        project::StackArg,
        run::{Needs, Run},
    },
    report::{self, plan::View},
};

/// Show what `up` would change, and change nothing
///
/// Compares the stack's file with what was applied last and with what is there now. Sends no request that changes
/// anything, and works while another run is at work.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ecomctl diff staging
  ecomctl diff staging --exit-code             for scripts: 0 when there is nothing to change, 3 when there is
  ecomctl diff staging --format markdown       for a comment on a pull request
  ecomctl diff staging --out plan.json         save it, for `ecomctl up staging --plan plan.json`
")]
pub struct Args {
    #[command(flatten)]
    stack: StackArg,
    /// End with code 3 when there is anything to change
    #[arg(long)]
    exit_code: bool,
    /// How to write the plan; --json means json
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Save the plan to a file, so that exactly it can be applied
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    choice: Choice,
}

/// How a plan is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
    /// For pull requests
    Markdown,
}

/// Plans and shows.
///
/// # Errors
/// Says what could not be read.
pub async fn run(args: Args, global: &Global) -> Result<Exit> {
    let run = Run::begin(&args.stack.stack, Needs { start: false, build: true }, global).await?;
    let document = run.document().await?;
    let aim = args.choice.aim();
    choice::check(&aim, &run.stack, &document)?;
    let (plan, saved) = run.plan(&document, &aim).await?;
    let order = Order { aim, saved: args.out.clone().map(|it| (it, Box::new(saved))), consent: Consent::default() };
    let exactly = args.out.is_some();
    let view = View { exactly, ..run.view(&plan, &document, Some(order.command(&run.stack.name))) };
    let text = match args.format {
        _ if global.json => report::plan::json(&view).to_string(),
        Format::Text => report::plan::text(&view, run.terminal.out),
        Format::Json => report::plan::json(&view).to_string(),
        Format::Markdown => report::plan::markdown(&view),
    };
    run.terminal.print(&text);
    if let Some((path, saved)) = &order.saved {
        // What is refused would be refused again.
        run.whole(&plan)?;
        choice::write(path, saved)?;
    }
    let changes = !plan.is_empty() || plan.refused().next().is_some();
    Ok(if args.exit_code && changes { Exit::Changes } else { Exit::Done })
}
