//! How a verb fails: a diagnostic that says what happened and what to run next, and the exit code that goes with it.

use std::{fmt, path::Path};

use miette::Diagnostic;

use crate::{
    address::Address,
    client::{self, Reason},
    command::Exit,
    report::{self, Terminal},
    stack::Rejected,
};

/// What went wrong, and with which code the program ends.
pub struct Error {
    exit: Exit,
    cause: Box<dyn Diagnostic + Send + Sync>,
}

impl Error {
    /// Ends the program with this code and this diagnostic.
    pub fn new(exit: Exit, cause: impl Diagnostic + Send + Sync + 'static) -> Self {
        Self { exit, cause: Box::new(cause) }
    }

    /// The code with which the program ends.
    pub const fn exit(&self) -> Exit {
        self.exit
    }

    /// What went wrong.
    pub fn diagnostic(&self) -> &dyn Diagnostic {
        &*self.cause
    }

    /// Writes it to standard error: for people, or as a line of JSON.
    pub fn show(&self, terminal: &Terminal) {
        if terminal.json {
            terminal.note(&report::error::json(&*self.cause, self.exit.code()).to_string());
        } else {
            terminal.note(&report::error::text(&*self.cause, terminal.err));
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error").field("exit", &self.exit).field("cause", &self.cause.to_string()).finish()
    }
}

/// Why a verb that only reads stack files did not do what it was asked.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum Failed {
    /// A stack file holds mistakes, or the command line names what is not there.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Rejected(#[from] Rejected),
    /// The result could not be written.
    #[error("the result could not be written")]
    #[diagnostic(code(ecomctl::unwritten))]
    Unwritten(#[from] std::io::Error),
}

impl From<Failed> for Error {
    fn from(it: Failed) -> Self {
        match it {
            Failed::Rejected(it) => it.into(),
            it @ Failed::Unwritten(_) => Self::new(Exit::Unreachable, it),
        }
    }
}

impl From<Rejected> for Error {
    fn from(it: Rejected) -> Self {
        Self::new(if it.is_usage() { Exit::Usage } else { Exit::Rejected }, it)
    }
}

impl From<Problem> for Error {
    fn from(it: Problem) -> Self {
        Self::new(it.exit(), it)
    }
}

impl From<client::Error> for Error {
    fn from(it: client::Error) -> Self {
        Problem::from(it).into()
    }
}

/// What can go wrong between the rooms; what goes wrong within one is that room's own diagnostic.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum Problem {
    /// Something that cannot happen.
    #[error("{message}")]
    #[diagnostic(code(ecomctl::internal))]
    Internal {
        /// What happened.
        message: String,
    },
    /// The arguments do not make sense.
    #[error("{message}")]
    #[diagnostic(code(ecomctl::usage))]
    Usage {
        /// What is wrong with them.
        message: String,
        /// What to do.
        #[help]
        help: Option<String>,
    },
    /// A file of the project or of the tool's own cannot be read or written.
    #[error("cannot {verb} {path}")]
    #[diagnostic(code(ecomctl::file))]
    File {
        /// What was tried.
        verb: &'static str,
        /// Which file.
        path: String,
        /// The system's words.
        #[source]
        cause: std::io::Error,
    },
    /// A request outside of the plan failed.
    #[error("a request failed; nothing was changed by it")]
    #[diagnostic(code(ecomctl::request))]
    Request {
        /// Which, and why.
        #[source]
        cause: client::Error,
        /// What to do.
        #[help]
        help: Option<String>,
    },
    /// The local cloud does not run, and this verb does not start it.
    #[error("the local cloud does not run")]
    #[diagnostic(code(ecomctl::asleep), help("start it: ecomctl local start"))]
    Asleep,
    /// The credentials belong to another account than the stack.
    #[error("the credentials belong to account {found}, but stack `{stack}` belongs to {wanted}; nothing was changed")]
    #[diagnostic(
        code(ecomctl::account),
        help("use credentials of account {wanted}: `aws sts get-caller-identity` tells whose are in use")
    )]
    WrongAccount {
        /// The stack.
        stack: String,
        /// The stack's account.
        wanted: String,
        /// The credentials' account.
        found: String,
    },
    /// A region is asked for that is not the stack's.
    #[error("--region says {found}, but stack `{stack}` belongs to {wanted}; nothing was asked or changed")]
    #[diagnostic(code(ecomctl::region), help("leave --region out, or change `region` in the stack's file"))]
    WrongRegion {
        /// The stack.
        stack: String,
        /// The stack's region.
        wanted: String,
        /// The region that was asked for.
        found: String,
    },
}

impl Problem {
    /// Says that a resource was never applied from here, so that nothing can be asked of it.
    pub(super) fn not_deployed(stack: &str, address: &Address) -> Self {
        let message = format!("{address} was not deployed from here");
        Self::Usage { message, help: Some(format!("run `ecomctl up {stack}` first")) }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Internal { .. } => Exit::Internal,
            Self::Usage { .. } => Exit::Usage,
            Self::Request { cause, .. } => of_reason(cause.reason),
            Self::Asleep | Self::File { .. } => Exit::Unreachable,
            Self::WrongAccount { .. } | Self::WrongRegion { .. } => Exit::Refused,
        }
    }
}

impl From<client::Error> for Problem {
    fn from(cause: client::Error) -> Self {
        let help = match cause.reason {
            Reason::Denied => Some("check the credentials: `aws sts get-caller-identity` tells whose are in use"),
            Reason::Unavailable => Some("check the network, then run the same command again"),
            Reason::Throttled | Reason::Busy => Some("wait a minute, then run the same command again"),
            Reason::Missing | Reason::Exists | Reason::Invalid | Reason::Other => None,
        };
        Self::Request { cause, help: help.map(str::to_owned) }
    }
}

/// Returns the code for a request that failed before anything was changed.
pub const fn of_reason(reason: Reason) -> Exit {
    match reason {
        Reason::Denied | Reason::Unavailable | Reason::Throttled | Reason::Busy => Exit::Unreachable,
        Reason::Missing | Reason::Exists | Reason::Invalid | Reason::Other => Exit::Internal,
    }
}

/// Describes something that cannot happen, or the machine's fault.
pub fn internal(message: impl fmt::Display) -> Error {
    Problem::Internal { message: message.to_string() }.into()
}

/// Describes arguments that do not make sense.
pub fn usage(message: &str) -> Error {
    let message = message.trim().strip_prefix("error: ").unwrap_or(message.trim()).to_owned();
    Problem::Usage { message, help: None }.into()
}

/// Describes a file that cannot be read or written; for `map_err`.
pub fn file(verb: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.display().to_string();
    move |cause| Problem::File { verb, path, cause }.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Style;

    #[test]
    fn a_failed_request_says_which_and_what_to_do() {
        let mut cause = client::Error::new("sts", "GetCallerIdentity", Reason::Denied, "ExpiredToken: it has expired");
        cause.request_id = Some("0f3a-77".to_owned());
        let error = Error::from(cause);
        assert_eq!(error.exit(), Exit::Unreachable);
        insta::assert_snapshot!(report::error::text(error.diagnostic(), Style::PLAIN), @r"
        ecomctl::request

          × a request failed; nothing was changed by it
          ╰─▶ sts GetCallerIdentity: ExpiredToken: it has expired (request 0f3a-77)
          help: check the credentials: `aws sts get-caller-identity` tells whose are in use
        ");
        insta::assert_snapshot!(report::error::json(error.diagnostic(), error.exit().code()), @r#"{"error":{"code":"ecomctl::request","message":"a request failed; nothing was changed by it","causes":["sts GetCallerIdentity: ExpiredToken: it has expired (request 0f3a-77)"],"help":"check the credentials: `aws sts get-caller-identity` tells whose are in use","labels":[],"related":[],"exit":5}}"#);
    }

    #[test]
    fn an_error_is_coloured_only_where_wanted() {
        let error = usage("error: no such thing");
        let coloured = report::error::text(error.diagnostic(), Style { color: true, width: Some(60) });
        assert!(coloured.contains("\u{1b}["));
        assert!(!report::error::text(error.diagnostic(), Style::PLAIN).contains('\u{1b}'));
    }
}
