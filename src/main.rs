//! The program: parse, run, exit.

use std::process::ExitCode;

fn main() -> miette::Result<ExitCode> {
    ecomctl::cli::run()
}
