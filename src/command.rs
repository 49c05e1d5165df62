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
