//! The verbs of the command line: one file each, with its arguments and one function.
//!
//! A verb loads, connects, asks, reports; what is done, and in which order, is the engine's to decide.

pub mod access;
pub mod adopt;
pub mod alarms;
pub mod audit;
pub mod build;
pub mod choice;
pub mod completions;
pub mod consent;
pub mod cost;
pub mod dashboard;
pub mod diff;
pub mod doctor;
pub mod error;
pub mod exit;
pub mod explain;
pub mod fault;
pub mod graph;
pub mod init;
pub mod local;
pub mod lock;
pub mod logs;
pub mod place;
pub mod produce;
pub mod project;
pub mod protect;
pub mod query;
pub mod run;
pub mod run_now;
pub mod schema;
pub mod state;
pub mod status;
pub mod teardown;
pub mod unprotect;
pub mod up;
pub mod validate;
pub mod value;
pub mod who;

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use crate::resource::{KINDS, Kind};

pub use error::{Error, Failed};
pub use exit::Exit;

pub use crate::report::Terminal;

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
    /// As whom AWS is asked.
    #[command(flatten)]
    pub access: access::Access,
}

/// Runs a verb that only reads the project's files, and prints what it writes, also when it fails.
///
/// # Errors
/// Says that there is no project; or the verb's own.
pub fn read<E: Into<Error>>(
    global: &Global,
    verb: impl FnOnce(&Path, &[&dyn Kind], &mut dyn Write) -> Result<(), E>,
) -> Result<Exit> {
    let project = project::Project::open(global)?;
    let mut text = Vec::new();
    let result = verb(&project.root, KINDS, &mut text);
    if !text.is_empty() {
        global.terminal().print(&String::from_utf8_lossy(&text));
    }
    result.map(|()| Exit::Done).map_err(Into::into)
}

impl Global {
    /// Says how to write to the terminal.
    pub fn terminal(&self) -> Terminal {
        Terminal::detect(self.json, self.no_color)
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, CommandFactory as _, FromArgMatches as _, Parser};

    use super::*;

    #[derive(Parser)]
    struct Outer {
        /// As the program has it.
        #[arg(long, global = true)]
        json: bool,
    }

    /// The verbs have a `--json` of their own; it must get along with one that holds everywhere.
    #[test]
    fn json_may_be_asked_for_before_and_after_the_verb() {
        let verb = graph::GraphArgs::augment_args(clap::Command::new("graph"));
        let command = Outer::command().subcommand(verb);
        command.clone().debug_assert();
        for line in ["x --json graph local", "x graph local --json", "x graph --json local"] {
            let found = command.clone().get_matches_from(line.split(' '));
            let (_, found) = found.subcommand().expect("a verb");
            assert!(graph::GraphArgs::from_arg_matches(found).expect("fits").json, "{line}");
        }
    }
}
