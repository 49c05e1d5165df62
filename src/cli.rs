//! What is typed on the command line.

use std::process::ExitCode;

use clap::Parser;

use crate::command::{doctor, local};

/// Provisions and deploys a real-time e-commerce data pipeline.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub enum Cli {
    /// The local cloud.
    #[command(subcommand)]
    Local(local::Args),
    /// Check what this machine has.
    Doctor(doctor::Args),
}

/// Runs what was typed.
pub fn run() -> miette::Result<ExitCode> {
    let cli = Cli::parse();
    if let Cli::Local(args) = &cli
        && let Some(code) = args.exec()
    {
        return Ok(code);
    }
    let runtime = tokio::runtime::Runtime::new().map_err(|err| miette::miette!("cannot start: {err}"))?;
    runtime.block_on(async {
        match cli {
            Cli::Local(args) => local::run(args).await,
            Cli::Doctor(args) => doctor::run(args).await,
        }
    })
}
