//! `ecomctl alarms`: which alarms of a stack go off, and what to look at next.

mod look;

use jiff::Timestamp;

use crate::{
    command::{
        Exit, Global, Result,
        project::StackArg,
        run::{Needs, Run},
    },
    report,
};

pub(super) use look::look;

/// Show which alarms go off, since when and why, and what to look at next
///
/// Those that go off come first, with the provider's reason, a drawing of the last hour, and the command that shows more;
/// then the others. Nothing is changed, and an alarm that goes off is no failure of this command.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ecomctl alarms local
  ecomctl alarms staging --json
")]
pub struct Args {
    #[command(flatten)]
    stack: StackArg,
}

/// Looks and shows.
///
/// # Errors
/// Says what could not be read.
pub async fn run(args: Args, global: &Global) -> Result<Exit> {
    let run = Run::begin(&args.stack.stack, Needs::default(), global).await?;
    let document = run.document().await?;
    let alarms = look(&run, &document).await?;
    run.terminal.print(&match global.json {
        true => report::alarms::json(&alarms).to_string(),
        false => report::alarms::text(&alarms, Timestamp::now(), run.terminal.out),
    });
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests;
