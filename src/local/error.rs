//! What can go wrong with the local cloud, in words that say what to do next.

use std::{fmt::Display, io};

use miette::Diagnostic;

use super::doctor::Check;

/// What the local cloud's functions return.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure to set up, start, stop or reach the local cloud. Holds no secret.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum Error {
    /// Software that the machine must have is missing or too old.
    #[error("this machine lacks what the local cloud needs:{}", list(.0))]
    #[diagnostic(
        code(local::prerequisites),
        help("install it, then run the same command again; `ecomctl doctor` checks everything")
    )]
    Prerequisites(Vec<Check>),

    /// A command of another program failed.
    #[error("cannot {what}: `{command}` failed ({status}){}", indented(.output))]
    #[diagnostic(code(local::command), help("{help}"))]
    Command {
        /// What it was run for.
        what: String,
        /// The command line.
        command: String,
        /// How it ended.
        status: String,
        /// The end of what it wrote.
        output: String,
        /// What to do next.
        help: String,
    },

    /// Somebody else listens on a port.
    #[error("port {port}, for {what}, is taken{}", holder.as_ref().map(|it| format!(" by {it}")).unwrap_or_default())]
    #[diagnostic(
        code(local::port_taken),
        help(
            "end that program, or let the local cloud choose free ports: set ECOMCTL_PORTS=free and run the same command again"
        )
    )]
    PortTaken {
        /// Which port of 127.0.0.1.
        port: u16,
        /// What it is needed for.
        what: String,
        /// Who has it, when that can be told.
        holder: Option<String>,
    },

    /// A part that had started ended by itself.
    #[error("{part} crashed: {message}{}", indented(.log))]
    #[diagnostic(code(local::part), help("`ecomctl local logs {part}` shows its whole log"))]
    Crashed {
        /// Which part.
        part: String,
        /// What happened.
        message: String,
        /// The end of its log.
        log: String,
    },

    /// A part did not start.
    #[error("{part} did not start: {message}{}", indented(.log))]
    #[diagnostic(code(local::part), help("`ecomctl local logs {part}` shows its whole log"))]
    Part {
        /// Which part.
        part: String,
        /// What happened.
        message: String,
        /// The end of its log.
        log: String,
    },

    /// The supervisor did not start, or does not answer.
    #[error("the local cloud's supervisor {message}{}", indented(.log))]
    #[diagnostic(code(local::supervisor), help("`ecomctl local logs supervisor` shows its whole log"))]
    Supervisor {
        /// What happened.
        message: String,
        /// The end of its log.
        log: String,
    },

    /// The supervisor said why the start failed.
    #[error("{message}")]
    #[diagnostic(code(local::start), help("{help}"))]
    Start {
        /// What happened.
        message: String,
        /// What to do next.
        help: String,
    },

    /// `PostgreSQL` refuses to run as root, and there is no way around it here.
    #[error("postgres cannot run as root here: {reason}")]
    #[diagnostic(
        code(local::root),
        help("run ecomctl as an ordinary user, or set ECOMCTL_HOME to a directory that every user may enter")
    )]
    Root {
        /// Why neither a user namespace nor another user will do.
        reason: String,
    },

    /// A file or a process could not be reached.
    #[error("cannot {action} {path}: {source}")]
    #[diagnostic(code(local::io))]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On what.
        path: String,
        /// Why not.
        source: io::Error,
    },
}

impl Error {
    /// Describes a failed access to a file.
    pub(crate) fn io(action: &'static str, path: impl Display, source: io::Error) -> Self {
        Self::Io { action, path: path.to_string(), source }
    }
}

fn list(checks: &[Check]) -> String {
    checks.iter().map(|it| format!("\n  {it}")).collect()
}

/// Sets the lines of a program's output off from the message before them.
fn indented(text: &str) -> String {
    text.lines().map(|line| format!("\n  | {line}")).collect()
}
