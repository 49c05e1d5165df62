//! The program: parses, runs, prints the report, exits.

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    ecomctl::cli::main(&args)
}
