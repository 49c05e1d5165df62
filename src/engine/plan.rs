//! The plan: what will be done, in which order, and why. Pure data; made by [`super`], shown by a report.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::Serialize;
use serde_json::Value;

use crate::{address::Address, resource::Change};

/// What is done to a resource, by severity: the most severe change decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing.
    Noop,
    /// Looked at until it is ready, and recorded; nothing is sent. What differs then is left to the next plan.
    Settle,
    /// Changed in place, or brought to the end of what a run before began.
    Update,
    /// Deleted and created anew.
    Replace,
    /// Created.
    Create,
    /// Deleted.
    Delete,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Noop => "keep",
            Self::Settle => "settle",
            Self::Update => "update",
            Self::Replace => "replace",
            Self::Create => "create",
            Self::Delete => "delete",
        })
    }
}

/// One resource's part of a plan.
#[derive(Clone, Debug, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a remark of its own, and any may go with any other")]
pub struct Step {
    /// Whose step it is.
    pub address: Address,
    /// What is done.
    pub action: Action,
    /// The name at the provider.
    pub physical: String,
    /// The provider's identifier, where the resource exists.
    pub id: Option<String>,
    /// The attempt to create it.
    pub nonce: String,
    /// The fields that differ.
    pub changes: Vec<Change>,
    /// What is wanted in full, as far as known when planned. [`Value::Null`] for a deletion.
    pub desired: Value,
    /// Fields that will be known once another resource is ready.
    pub unknown: BTreeMap<String, Address>,
    /// Steps that must have finished before this one begins.
    pub after: BTreeSet<Address>,
    /// Everything the resource refers to; recorded, so that deletion finds its order without any file.
    pub refs: BTreeSet<Address>,
    /// Whether this finishes what a run before began.
    pub resumes: bool,
    /// Whether it exists as this stack's without a record of it, and is recorded.
    pub found: bool,
    /// Whether it exists as nobody's, and is taken over because the user asked for that.
    pub adopts: bool,
    /// Whether it is another's by now, and only its record goes.
    pub forgets: bool,
    /// The address under which it is recorded, where the stack file now gives it another.
    pub moved_from: Option<Address>,
    /// What others changed and the user wants left as it is.
    pub kept: Vec<Change>,
    /// What the provider is doing with it, where that must be awaited first.
    pub awaits: Option<String>,
    /// Why it cannot be told what it is like, where it cannot: nothing is known to differ, nor to be the same.
    pub unreadable: Option<String>,
    /// Whether the resource shall be protected from now on.
    pub protect: bool,
    /// Whether it was not protected before.
    pub protects: bool,
    /// Whether the step destroys data.
    pub loses_data: bool,
    /// Why the step will not be done.
    pub refused: Option<Refusal>,
}

/// Why a step will not be done, and what to do instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// The field that asks for it, where one does.
    pub field: Option<String>,
    /// Why not.
    pub reason: String,
    /// What to do instead.
    pub help: String,
}

/// All steps of a stack, needs before what needs them, deletions last. [`Step::after`] says when each may begin.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// The stack.
    pub stack: String,
    /// The chain of states it was made from.
    pub lineage: uuid::Uuid,
    /// The state it was made from.
    pub serial: u64,
    /// The SHA-256 of the merged definition, in hexadecimal.
    pub definition: String,
    /// The steps, those with nothing to do included.
    pub steps: Vec<Step>,
    /// Things the user should know, such as strays that carry the stack's tags.
    pub notes: Vec<String>,
}

impl Plan {
    /// Says whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.iter().all(|it| it.action == Action::Noop)
    }

    /// Counts the steps with this action.
    pub fn count(&self, action: Action) -> usize {
        self.steps.iter().filter(|it| it.action == action).count()
    }

    /// Lists the steps that will not be done.
    pub fn refused(&self) -> impl Iterator<Item = (&Step, &Refusal)> {
        self.steps.iter().filter_map(|it| it.refused.as_ref().map(|why| (it, why)))
    }
}
