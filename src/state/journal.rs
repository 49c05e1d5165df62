//! The journal: who changed a stack, when, from where, and what became of each step. It holds no values, so no secret.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::record::{Holder, Lease};
use crate::address::Address;

/// What one run did. Its epoch tells it from all others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Which lease it had.
    pub epoch: u64,
    /// Of which chain of states.
    pub lineage: Uuid,
    /// What it was for, such as `up`.
    pub verb: String,
    /// Who ran it, and where.
    pub by: Holder,
    /// When it began.
    pub since: Timestamp,
    /// When it ended, or was last heard of.
    pub until: Timestamp,
    /// The serial of the document that it found.
    pub before: u64,
    /// The serial of the document that it left.
    pub after: u64,
    /// How it ended.
    pub end: End,
    /// What it did, or tried to.
    pub steps: Vec<Done>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// All that was planned is done.
    Complete,
    /// Some of it is.
    Incomplete,
    /// It gave no lease back: it was killed, or lost touch. Another run took over, and did not see what it did last.
    Died,
}

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// Whose step it is.
    pub address: Address,
    /// What was to be done, such as `create`.
    pub action: String,
    /// What became of it.
    pub outcome: Outcome,
    /// How long it took, where it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Done and recorded.
    Done,
    /// It failed.
    Failed,
    /// It was under way when the run was interrupted.
    Unfinished,
    /// It was not begun.
    Skipped,
    /// It was recorded by a run that died; how far it got is for the provider to say.
    Recorded,
}

/// What a run tells of itself before it gives its lease back.
#[derive(Clone, Debug)]
pub struct Account {
    /// How it ended.
    pub end: End,
    /// What it did.
    pub steps: Vec<Done>,
}

impl Entry {
    /// Describes a run by the lease that it had, and by what it tells of itself.
    pub(super) fn new(lease: &Lease, lineage: Uuid, serials: (u64, u64), account: Account) -> Self {
        Self {
            epoch: lease.epoch,
            lineage,
            verb: lease.verb.clone(),
            by: lease.holder.clone(),
            since: lease.since,
            until: lease.beat,
            before: serials.0,
            after: serials.1,
            end: account.end,
            steps: account.steps,
        }
    }
}
