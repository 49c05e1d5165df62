//! The program: parses, runs, prints the report, exits.

use std::process::ExitCode;

fn main() -> ExitCode {
    ecomctl::cli::main(std::env::args_os().collect())
}
