//! The verbs of the command line: one file each, with its arguments and one function.

pub mod explain;
pub mod graph;
pub mod schema;
pub mod validate;

use std::io;

use crate::stack::Rejected;

/// Why a command that only reads stack files did not do what it was asked.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum Failed {
    /// A stack file holds mistakes, or the command line names what is not there.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Rejected(#[from] Rejected),
    /// The result could not be written.
    #[error("the result could not be written")]
    Unwritten(#[from] io::Error),
}

impl Failed {
    /// Returns the exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Rejected(it) => it.exit_code(),
            Self::Unwritten(_) => 1,
        }
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
