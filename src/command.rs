//! The verbs of the command line: one file each, with its arguments and one function.
//!
//! A verb loads, connects, asks, reports; what is done, and in which order, is the engine's to decide.

pub mod awaited;
pub mod completions;
pub mod consent;
pub mod diff;
pub mod error;
pub mod exit;
pub mod project;
pub mod run;
pub mod state;
pub mod status;
pub mod teardown;
pub mod up;
pub mod who;

use std::path::PathBuf;

use crate::report::Terminal;

pub use error::Error;
pub use exit::Exit;

/// What a verb returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What holds for every verb.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// Write results as JSON, and progress and errors as one JSON object per line
    #[arg(long, global = true)]
    pub json: bool,
    /// Use no colours; so does the environment variable `NO_COLOR`
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Show plans in full: what is left alone, and every field of what is new
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Work on the project in DIR instead of the one around the working directory
    #[arg(short = 'C', long, value_name = "DIR", global = true, value_hint = clap::ValueHint::DirPath)]
    pub project: Option<PathBuf>,
}

impl Global {
    /// Says how to write to the terminal.
    pub fn terminal(&self) -> Terminal {
        Terminal::detect(self.json, self.no_color)
    }
}
