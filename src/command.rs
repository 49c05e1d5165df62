//! The verbs of the command line: one file each, with its arguments and one function. Results go to standard output,
//! progress and errors to standard error.

pub mod doctor;
pub mod local;
