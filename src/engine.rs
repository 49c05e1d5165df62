//! The engine: compares, orders, waits, and records. Knows no kind, no cloud, and no terminal.
//!
//! [`Engine::observe`] reads the live world; [`Engine::plan`] is pure; [`Engine::apply`] does what the plan says and tells
//! what happens as events.

mod aim;
mod apply;
mod decide;
mod diff;
mod event;
mod kept;
mod observe;
mod order;
mod own;
mod plan;
mod saved;
mod step;
mod twin;

pub use aim::{Aim, Goal, Older};
pub use apply::{GRACE, Mandate, Summary};
pub use event::{Cause, Event, Failure};
pub use observe::{Error, Observed};
pub use plan::{Action, Plan, Refusal, Step};
pub use saved::{Damaged, FORMAT, Saved};

use crate::{
    resource::{Cx, Kind},
    stack::Stack,
};

/// What all of a run's phases share: the kinds there are, what they are handed, and the stack.
#[derive(Clone, Copy)]
pub struct Engine<'a> {
    /// The kinds there are.
    pub kinds: &'a [&'a dyn Kind],
    /// What kinds are handed.
    pub cx: &'a Cx,
    /// The stack, as its file defines it.
    pub stack: &'a Stack,
}

impl Engine<'_> {
    fn kind(&self, address: &crate::address::Address) -> Result<&dyn Kind, Error> {
        crate::resource::kind(self.kinds, &address.kind).ok_or_else(|| Error::UnknownKind(address.clone()))
    }
}

#[cfg(test)]
mod tests;
