//! The record format. Changes here need an upgrade path: documents outlive the program that wrote them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::session::TTL;
use crate::{address::Address, process};

/// The version of the record format that this program writes, and the newest that it reads.
pub const SCHEMA: u32 = 2;

/// The state of one stack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// The version of this format.
    pub schema: u32,
    /// Which chain of states this is; a new one begins when the state was lost.
    pub lineage: Uuid,
    /// Grows by one with each write.
    pub serial: u64,
    /// The version of the program that wrote it.
    pub writer: String,
    /// The account and the region that everything recorded lies in, as `<account>/<region>`; none where nothing was recorded
    /// yet, or by a program that did not write it down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud: Option<String>,
    /// The stack whose file a preview was made from; none for a stack with a file of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview_of: Option<String>,
    /// Who may write now.
    pub lease: Option<Lease>,
    /// The definition that was applied last.
    pub definition: Option<Definition>,
    /// What is ours.
    pub resources: BTreeMap<Address, Record>,
}

/// The right to change a stack, for a while.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// Which lease this is; grows with each holder.
    pub epoch: u64,
    /// Who holds it.
    pub holder: Holder,
    /// What for, such as `up`; empty where that is not told.
    pub verb: String,
    /// Since when.
    pub since: Timestamp,
    /// When it was last renewed.
    pub beat: Timestamp,
    /// How many seconds after the last renewal it expires.
    pub ttl_seconds: u64,
}

impl Lease {
    /// Says how long it still lives, whatever it claims of its own lifetime; `None` once it has expired.
    pub fn remaining(&self) -> Option<Duration> {
        let lease = Self { ttl_seconds: self.ttl_seconds.min(TTL.as_secs()), ..self.clone() };
        Duration::try_from(lease.expires().duration_since(Timestamp::now())).ok().filter(|it| !it.is_zero())
    }

    /// Says who holds it since when, for people.
    pub(super) fn describe(&self) -> String {
        let Holder { user, host, pid, ci, .. } = &self.holder;
        let ci = ci.as_ref().map(|it| format!(", {it}")).unwrap_or_default();
        let verb = if self.verb.is_empty() { String::new() } else { format!("`{}`, ", self.verb) };
        let since = self.since.strftime("%Y-%m-%d %H:%M:%S UTC");
        format!("another run holds this stack: {user}@{host} ({verb}process {pid}{ci}) since {since}")
    }

    /// Says when the lease expires if nobody renews it.
    pub fn expires(&self) -> Timestamp {
        let ttl = jiff::SignedDuration::from_secs(i64::try_from(self.ttl_seconds).unwrap_or(i64::MAX));
        self.beat.saturating_add(ttl).unwrap_or(Timestamp::MAX)
    }
}

/// Who holds a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holder {
    /// The user's name.
    pub user: String,
    /// The machine's name.
    pub host: String,
    /// The process on that machine.
    pub pid: u32,
    /// When that process began, in clock ticks since the machine did; none where that is not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<u64>,
    /// Which run of that machine it was, and which of its tables of processes; none where that is not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<String>,
    /// Tells two runs apart, whatever their process numbers.
    pub run: Uuid,
    /// The page of the CI run, where there is one.
    pub ci: Option<String>,
    /// The commit that is deployed.
    pub commit: Option<String>,
}

/// The definition that was applied last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// The SHA-256 of the merged definition, in hexadecimal.
    pub hash: String,
    /// The commit it came from.
    pub commit: Option<String>,
    /// When it was applied.
    pub at: Timestamp,
    /// By whom, as `user@host`.
    pub by: String,
}

/// What is known of one resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// How far its last change got.
    pub status: Status,
    /// The name at the provider.
    pub physical: String,
    /// The provider's identifier, once known.
    pub id: Option<String>,
    /// The attempt to create it: written into its tags, so that it is found whatever happens.
    pub nonce: String,
    /// Our own fields, as last applied; [`Value::Null`] before the first success.
    pub applied: Value,
    /// What it needs, so that deletion finds its order without any file.
    pub refs: BTreeSet<Address>,
    /// Whether it may not be deleted, whatever the file says.
    pub protect: bool,
}

/// How far the last change of a resource got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The intent is recorded; whether it exists is for the provider to say.
    Creating,
    /// It exists and is as applied.
    Ready,
    /// A change was sent, or was about to be.
    Updating,
    /// It is being deleted to be created anew.
    Replacing,
    /// A deletion was sent, or was about to be.
    Deleting,
}

impl Status {
    /// Returns its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Ready => "ready",
            Self::Updating => "updating",
            Self::Replacing => "replacing",
            Self::Deleting => "deleting",
        }
    }
}

impl Holder {
    /// Says whether the holder is certainly no more: it ran where this other one runs, and its process is gone. The name of a
    /// machine says nothing: containers share it, and so do machines that are made of one image.
    pub fn is_dead(&self, by: &Self) -> bool {
        self.is_here(by) && process::is_gone(self.pid, self.start)
    }

    /// Says whether it certainly runs, or ran, where this other one does: the same machine, not started anew since, and the
    /// same table of processes. Then both have the same clock.
    pub fn is_here(&self, by: &Self) -> bool {
        self.host == by.host && self.boot.is_some() && self.boot == by.boot
    }
}

impl Document {
    /// Starts a chain of states.
    pub fn new() -> Self {
        Self {
            schema: SCHEMA,
            lineage: Uuid::new_v4(),
            serial: 0,
            writer: env!("CARGO_PKG_VERSION").to_owned(),
            cloud: None,
            preview_of: None,
            lease: None,
            definition: None,
            resources: BTreeMap::new(),
        }
    }
}

impl Document {
    /// Says whether nothing was ever recorded in it.
    pub fn is_new(&self) -> bool {
        self.definition.is_none() && self.resources.is_empty()
    }
}

impl Default for Document {
    fn default() -> Self {
        Self::new()
    }
}
