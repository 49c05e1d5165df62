//! `ecomctl protect`: keeps resources from being deleted. Changes nothing at the provider.

use crate::command::{Exit, Global, Result, unprotect};

/// Keep resources of a stack from being deleted, whatever its file says
///
/// Recorded in the state, as `protect: true` in the stack's file is: neither `up` nor `teardown` deletes or replaces them
/// until `ecomctl unprotect` says otherwise. Nothing is changed at the provider.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ecomctl protect staging topic.orders
  ecomctl protect staging topic.orders bucket.lake
")]
pub struct Args {
    #[command(flatten)]
    named: unprotect::Named,
}

/// Protects all that are named, or none.
///
/// # Errors
/// Says which is not recorded, or who holds the stack.
pub async fn run(args: Args, global: &Global) -> Result<Exit> {
    unprotect::set(args.named, true, global).await
}
