//! A plan that was saved: what it says, and what it was made from, so that it is applied exactly or refused as stale.
//!
//! ```json
//! {
//!   "format": 1, "tool": "0.1.0", "stack": "staging", "cloud": "123456789012/eu-central-1",
//!   "lineage": "<uuid>" | null, "serial": 12, "records": "<sha256>", "definition": "<sha256>",
//!   "only": ["<address>"], "keep_drift": ["<address>"],
//!   "artifacts": { "lambdas/ingest (arm64)": "<sha256>" },
//!   "live": { "<address>": { "<field>": "<fingerprint>" } },
//!   "steps": [ … ]
//! }
//! ```
//!
//! The file is never trusted with what to do: whoever applies it plans anew, and goes on only where both agree. So a
//! file that somebody changed can be refused, and do nothing else. It holds no secret, as no plan does; what is live is
//! there as fingerprints only.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{Aim, Engine, Goal, Observed, Plan};
use crate::{
    address::Address,
    resource::{Observation, Ownership, Phase},
    state::Document,
};

/// The version of the format that this program writes, and the only one that it reads.
pub const FORMAT: u32 = 1;
/// The parts of a fingerprint that are no fields.
const PHASE: &str = "(phase)";
const IDENTITY: &str = "(identity)";

/// A plan, and what it was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    /// The version of this format.
    pub format: u32,
    /// The version of the program that made it.
    pub tool: String,
    /// The stack.
    pub stack: String,
    /// The account and the region.
    pub cloud: String,
    /// The chain of states; none where there was no state yet.
    pub lineage: Option<Uuid>,
    /// The state it was made from. It moves with each run that only looks, too; what counts is what is recorded.
    pub serial: u64,
    /// The hash of what was recorded.
    pub records: String,
    /// The hash of the merged definition.
    pub definition: String,
    /// What the plan was confined to.
    pub only: BTreeSet<Address>,
    /// Whose drift it leaves as it is.
    pub keep_drift: BTreeSet<Address>,
    /// The hashes of what was built.
    pub artifacts: BTreeMap<String, String>,
    /// What was there: a fingerprint of each field.
    pub live: BTreeMap<Address, BTreeMap<String, String>>,
    /// What is to be done.
    pub steps: Vec<Value>,
}

/// Why a text is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damaged {
    /// It does not read as one.
    #[error("line {line}, column {column}: {message}")]
    At {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What is wrong there.
        message: String,
    },
    /// Another program's format.
    #[error("it has format {found}, and this ecomctl reads format {FORMAT} only")]
    Format {
        /// The format it has.
        found: u64,
    },
}

impl Engine<'_> {
    /// Returns a plan with what it was made from.
    pub fn saved(&self, document: &Document, observed: &Observed, plan: &Plan, aim: &Aim) -> Saved {
        let scope = &self.cx.scope;
        let artifacts = self.cx.artifacts.iter().map(|(build, it)| (build.to_string(), it.sha256.clone()));
        let live = observed.found.iter().map(|(address, it)| (address.clone(), fingerprint(it)));
        Saved {
            format: FORMAT,
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            stack: scope.stack.clone(),
            cloud: format!("{}/{}", scope.account, scope.region),
            lineage: Some(document.lineage).filter(|_| document.serial > 0),
            serial: document.serial,
            records: hash(json!({ "definition": document.definition, "resources": document.resources })),
            definition: self.stack.hash.clone(),
            only: aim.only.clone(),
            keep_drift: aim.keep_drift.clone(),
            artifacts: artifacts.collect(),
            live: live.collect(),
            steps: plan.steps.iter().map(step).collect(),
        }
    }
}

impl Saved {
    /// Reads a saved plan.
    ///
    /// # Errors
    /// Says where it is damaged, or that it is of another format.
    pub fn read(text: &str) -> Result<Self, Damaged> {
        #[derive(Deserialize)]
        struct Format {
            format: u64,
        }
        let at = |err: serde_json::Error| {
            let (line, column) = (err.line(), err.column());
            let message = err.to_string();
            let message = message.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&message);
            Damaged::At { line, column, message: message.to_owned() }
        };
        let Format { format: found } = serde_json::from_str(text).map_err(at)?;
        if found != u64::from(FORMAT) {
            return Err(Damaged::Format { found });
        }
        serde_json::from_str(text).map_err(at)
    }

    /// Writes it, as it is kept in a file.
    ///
    /// # Errors
    /// None: a plan is plain data.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Returns what the plan was asked for.
    pub fn aim(&self) -> Aim {
        Aim { only: self.only.clone(), keep_drift: self.keep_drift.clone(), ..Goal::Up.into() }
    }

    /// Says what moved between this plan and the same plan made now; nothing where it can be applied as it is.
    pub fn moved(&self, now: &Self) -> Vec<String> {
        let mut moved = Vec::new();
        let mut differs = |what: &str, then: &str, now: &str| {
            if then != now {
                moved.push(format!("{what}: {} then, {} now", short(then), short(now)));
            }
        };
        differs("the stack", &self.stack, &now.stack);
        differs("the version of ecomctl", &self.tool, &now.tool);
        differs("the account and region", &self.cloud, &now.cloud);
        differs("the definition in the stack's files", &self.definition, &now.definition);
        for what in self.artifacts.keys().chain(now.artifacts.keys()).collect::<BTreeSet<_>>() {
            let of = |it: &Self| it.artifacts.get(what).cloned().unwrap_or_else(|| "not built".to_owned());
            differs(what, &of(self), &of(now));
        }
        if let (Some(then), now) = (self.lineage, now.lineage.unwrap_or_default()) {
            differs("the chain of states", &then.to_string(), &now.to_string());
        }
        if self.records != now.records {
            moved.push(format!("what the state records: serial {} then, {} now", self.serial, now.serial));
        }
        moved.extend(self.moved_live(now));
        if moved.is_empty() && self.steps != now.steps {
            moved.extend(self.moved_steps(now));
        }
        moved
    }

    fn moved_live(&self, now: &Self) -> Vec<String> {
        let addresses: BTreeSet<&Address> = self.live.keys().chain(now.live.keys()).collect();
        let moved = addresses.into_iter().filter_map(|address| match (self.live.get(address), now.live.get(address)) {
            (Some(then), Some(now)) if then == now => None,
            (Some(then), Some(now)) => {
                let fields: BTreeSet<&String> = then.keys().chain(now.keys()).collect();
                let differ = fields.into_iter().filter(|it| then.get(*it) != now.get(*it));
                let names: Vec<&str> = differ.map(|it| it.trim_matches(['(', ')'])).collect();
                Some(format!("{address} was changed at the provider: {}", names.join(", ")))
            }
            (None, _) => Some(format!("{address} exists now")),
            (_, None) => Some(format!("{address} exists no more")),
        });
        moved.collect()
    }

    /// Names the steps that are others now, where nothing that the plan was made from says why.
    fn moved_steps(&self, now: &Self) -> Vec<String> {
        let by_address = |it: &Self| -> BTreeMap<String, Value> {
            it.steps.iter().map(|it| (it["address"].as_str().unwrap_or("?").to_owned(), it.clone())).collect()
        };
        let (then, now) = (by_address(self), by_address(now));
        let addresses: BTreeSet<&String> = then.keys().chain(now.keys()).collect();
        let differ = addresses.into_iter().filter(|it| then.get(*it) != now.get(*it)).map(|it| {
            let action = |all: &BTreeMap<String, Value>| match all.get(it) {
                Some(step) => step["action"].as_str().unwrap_or("?").to_owned(),
                None => "nothing".to_owned(),
            };
            format!("what is to be done to {it}: {} then, {} now", action(&then), action(&now))
        });
        let mut told: Vec<String> = differ.collect();
        if told.is_empty() {
            told.push("the order of the steps".to_owned());
        }
        told
    }
}

/// Returns a step without what differs each time it is planned. What is wanted in full is there as a hash.
fn step(it: &super::Step) -> Value {
    // Steps are plain data, which always serializes.
    let mut step = serde_json::to_value(it).unwrap_or_default();
    if let Some(map) = step.as_object_mut() {
        map.shift_remove("nonce");
        map.insert("desired".to_owned(), Value::String(hash(it.desired.clone())));
    }
    step.sort_all_objects();
    step
}

/// Describes what was seen of a resource, field by field, without saying it.
fn fingerprint(it: &Observation) -> BTreeMap<String, String> {
    let fields = it.observed.as_object().into_iter().flatten();
    let mut found: BTreeMap<String, String> = fields.map(|(field, it)| (field.clone(), brief(it.clone()))).collect();
    let whose = match &it.identity.ownership {
        Ownership::Tagged(owner) => json!([owner.stack, owner.address]),
        Ownership::Foreign => Value::Null,
        Ownership::Inherited(parent) => json!(parent),
    };
    found.insert(IDENTITY.to_owned(), brief(json!([it.identity.id, whose])));
    let phase = match &it.phase {
        Phase::Ready => "ready",
        Phase::Pending(_) => "pending",
        Phase::Failed(_) => "failed",
        Phase::Deleting => "deleting",
        Phase::OnTrial { .. } => "on trial",
        Phase::Regressed(_) => "regressed",
        Phase::Unreadable(_) => "unreadable",
    };
    found.insert(PHASE.to_owned(), phase.to_owned());
    found
}

fn brief(it: Value) -> String {
    hash(it).chars().take(16).collect()
}

/// Hashes what a value means, whatever the order of its keys.
fn hash(mut it: Value) -> String {
    it.sort_all_objects();
    Sha256::digest(it.to_string()).iter().fold(String::new(), |hex, it| hex + &format!("{it:02x}"))
}

/// Shortens a hash, and nothing else.
fn short(it: &str) -> &str {
    let is_hash = it.len() >= 40 && !it.contains([' ', '-']);
    it.get(..8).filter(|_| is_hash).unwrap_or(it)
}
