//! `ecomctl teardown`: deletes everything that a stack owns.

use crate::{
    command::{
        Exit, Global, Result,
        choice::Order,
        consent::Consent,
        lock::Waiting,
        project::StackArg,
        run::{Needs, Run},
    },
    engine::Goal,
};

/// Delete everything that a stack owns, after asking
///
/// Names the data that dies and asks for the stack's name. Without a terminal, consent is given beforehand: by --yes,
/// and on AWS also by --allow-data-loss for each resource that holds data. What is protected is never deleted.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ecomctl teardown local
  ecomctl teardown local --yes
  ecomctl teardown staging --yes --allow-data-loss topic.orders --allow-data-loss database.shop
")]
pub struct Args {
    #[command(flatten)]
    stack: StackArg,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    waiting: Waiting,
}

/// Asks and deletes.
///
/// # Errors
/// Says what went wrong, and what to run next.
pub async fn run(args: Args, global: &Global) -> Result<Exit> {
    // What is to be deleted may live in the local cloud's files, which only the running cloud can reach.
    let run = Run::begin(&args.stack.stack, Needs { start: true, build: false }, global).await?.waiting(args.waiting);
    run.change(&Order { aim: Goal::Teardown.into(), saved: None, consent: args.consent }).await
}
