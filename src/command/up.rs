//! `ecomctl up`: makes the world as the stack's file says.

use crate::{
    command::{
        Exit, Global, Result,
        consent::Consent,
        lock::Waiting,
        project::StackArg,
        run::{Needs, Run},
    },
    engine::Goal,
};

/// Make the world as the stack's file says
///
/// Builds what must be built, shows the plan, and applies it. With nothing to change it changes nothing; after an
/// interruption or a failure the same command continues. It asks only when data would be lost. For a stack of the
/// local cloud it starts that first.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ecomctl up local             the whole pipeline on this machine
  ecomctl up staging           on AWS, with the credentials that the AWS CLI uses
  ecomctl up staging --json    the result on standard output, progress on standard error
")]
pub struct Args {
    #[command(flatten)]
    stack: StackArg,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    waiting: Waiting,
}

/// Plans and applies.
///
/// # Errors
/// Says what went wrong, and what to run next.
pub async fn run(args: Args, global: &Global) -> Result<Exit> {
    let run = Run::begin(&args.stack.stack, Needs { start: true, build: true }, global).await?.waiting(args.waiting);
    run.change(Goal::Up, &args.consent).await
}
