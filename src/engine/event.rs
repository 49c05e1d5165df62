//! What happens while a plan is applied, as a stream of events. A report consumes them; nothing depends on that.

use std::time::Duration;

use miette::Diagnostic;

use crate::{address::Address, engine::plan::Action, resource};

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A step's needs are met, and its request is about to be sent.
    Started {
        /// Whose step it is.
        address: Address,
        /// What is done.
        action: Action,
    },
    /// The provider is not done yet.
    Waiting {
        /// Whose step it is.
        address: Address,
        /// What is awaited, in the provider's words, such as `CREATING`, or `IAM to propagate`.
        on: String,
        /// For how long already.
        elapsed: Duration,
        /// The longest that it is awaited.
        patience: Duration,
    },
    /// A step is done and recorded.
    Finished {
        /// Whose step it is.
        address: Address,
        /// What was done.
        action: Action,
        /// How long it took.
        elapsed: Duration,
    },
    /// A step failed. Those that do not need it go on.
    Failed {
        /// Whose step it is.
        address: Address,
        /// What was to be done.
        action: Action,
        /// The cause, in full.
        message: String,
    },
    /// A step was not begun, because one that it needs failed, or because the run was interrupted.
    Skipped {
        /// Whose step it is.
        address: Address,
        /// What was to be done.
        action: Action,
        /// The step that failed; `None` when the run was interrupted.
        because_of: Option<Address>,
    },
}

/// A step that failed: what, on what, and why.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("cannot {action} {address}")]
#[diagnostic(code(apply::failed))]
pub struct Failure {
    /// What was to be done.
    pub action: Action,
    /// To what.
    pub address: Address,
    /// Why not.
    #[source]
    #[diagnostic_source]
    pub cause: resource::Error,
}
