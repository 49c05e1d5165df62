//! What happens while a plan is applied, as a stream of events. A report consumes them; nothing depends on that.

use std::time::Duration;

use miette::Diagnostic;

use crate::{address::Address, engine::plan::Action, resource, state};

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
        /// What is awaited, in the provider's words, such as `CREATING`.
        on: String,
        /// For how long already.
        elapsed: Duration,
        /// The longest that it is awaited.
        patience: Duration,
        /// How long it usually takes, where that is known.
        usual: Option<Duration>,
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
    /// The run was interrupted before the step was done. What was sent is recorded, and finished by the next run.
    Unfinished {
        /// Whose step it is.
        address: Address,
        /// What was being done.
        action: Action,
        /// What was awaited.
        on: String,
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
    pub cause: Cause,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum Cause {
    /// The kind could not do it.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Resource(#[from] resource::Error),
    /// The run may not go on.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Session(#[from] state::SessionError),
    /// It took longer than it ever should.
    #[error("still {on} after {}", humantime::format_duration(*.patience))]
    #[diagnostic(help("run the same command again to go on waiting"))]
    TimedOut {
        /// What was awaited.
        on: String,
        /// For how long.
        patience: Duration,
    },
    /// The provider gave up.
    #[error("the provider reports that it failed: {0}")]
    ProviderFailed(String),
    /// What was changed did harm, and was taken back.
    #[error("taken back, as {0}")]
    #[diagnostic(help(
        "what was there before is in use again; find out what went wrong and mend it. Running the same command again tries \
         the same change again"
    ))]
    Reverted(String),
    /// It is there, and somebody else's.
    #[error("{physical} exists already and is not ours: {why}")]
    #[diagnostic(help("{help}"))]
    NotOurs {
        /// Its name at the provider.
        physical: String,
        /// Whose it is.
        why: String,
        /// What to do about it.
        help: String,
    },
    /// It still cannot be asked what it is like.
    #[error("cannot tell what it is like: {0}")]
    #[diagnostic(help("mend that, then run the same command again; nothing was sent to it"))]
    Unreadable(String),
    /// It was to be looked at only, and turned out to differ.
    #[error("`{0}` differs from what is wanted, which could not be seen when the plan was made; nothing was sent")]
    #[diagnostic(help("run the same command again: its plan shows what will change"))]
    Unplanned(String),
    /// The run was interrupted while the provider was at work: no failure, and told as [`Event::Unfinished`]. What was
    /// sent is recorded.
    #[error("interrupted while it was {0}")]
    Interrupted(String),
}
