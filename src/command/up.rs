//! `ecomctl up`: makes the world as the stack's file says.

use std::path::PathBuf;

use crate::{
    command::{
        Exit, Global, Result,
        choice::{self, Choice, Order},
        consent::Consent,
        lock::Waiting,
        project::StackArg,
        run::{Needs, Run},
    },
    engine::Aim,
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
  ecomctl up staging --plan plan.json        exactly what `ecomctl diff staging --out plan.json` showed, or nothing
  ecomctl up staging --only function.ingest  that, and what it needs
")]
pub struct Args {
    #[command(flatten)]
    stack: StackArg,
    #[command(flatten)]
    choice: Choice,
    /// Apply exactly this plan, which `diff --out` saved; refused when anything that it was made from has moved
    #[arg(long, value_name = "FILE", conflicts_with_all = ["only", "keep_drift"])]
    plan: Option<PathBuf>,
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
    let stack = &args.stack.stack;
    let saved = match args.plan {
        Some(path) => Some((Box::new(choice::read(&path, stack)?), path)),
        None => None,
    };
    let run = Run::begin(stack, Needs { start: true, build: true }, global).await?.waiting(args.waiting);
    let aim = match &saved {
        Some((it, _)) => Aim { allow_older: args.choice.allow_older, ..it.aim() },
        None => args.choice.aim(),
    };
    let order = Order { aim, saved: saved.map(|(saved, path)| (path, saved)), consent: args.consent };
    run.change(&order).await
}
