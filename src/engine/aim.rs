//! What a run is asked for. Pure data.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    address::Address,
    stack::{Definition, Stack},
    state::Document,
};

/// What the plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Everything is as the stack file says.
    Up,
    /// Nothing is left.
    Teardown,
}

/// A goal, and what of the stack the run is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aim {
    /// What the plan is for.
    pub goal: Goal,
    /// The resources that alone are planned, with all that they need; every one where none is named.
    pub only: BTreeSet<Address>,
    /// The resources that are left as others changed them: their drift is shown, and not set back.
    pub keep_drift: BTreeSet<Address>,
    /// The resource that is taken over, whosoever it is not; nothing else is planned then.
    pub adopt: Option<Address>,
    /// Why nothing may be deleted that the stack file does not name: it is older than what was applied.
    pub older: Option<Older>,
    /// Whether the user lets it be deleted all the same.
    pub allow_older: bool,
}

/// A definition that is older than the one that was applied last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Older {
    /// Why it is taken for older, as the end of a sentence that begins with "this definition".
    pub why: String,
    /// What to do about it.
    pub help: String,
}

impl From<Goal> for Aim {
    fn from(goal: Goal) -> Self {
        let (only, keep_drift) = (BTreeSet::new(), BTreeSet::new());
        Self { goal, only, keep_drift, adopt: None, older: None, allow_older: false }
    }
}

impl Aim {
    /// Takes over one resource, and does nothing else.
    pub fn adopt(address: Address) -> Self {
        Self { adopt: Some(address), ..Self::from(Goal::Up) }
    }

    /// Says whether the run is about the whole stack.
    pub fn is_whole(&self) -> bool {
        self.only.is_empty() && self.adopt.is_none()
    }

    /// Lists the resources that the run is about; `None` where it is about all.
    pub(super) fn chosen(&self, stack: &Stack, document: &Document) -> Option<BTreeSet<Address>> {
        match &self.adopt {
            Some(it) => Some([it.clone()].into()),
            None if self.only.is_empty() => None,
            None => Some(with_needs(&self.only, &stack.resources, document)),
        }
    }
}

/// Adds all that is needed, by name only included, and what that needs; and of what the stack file no longer names, all that
/// is recorded to use it: nothing is deleted while it is used.
fn with_needs(
    chosen: &BTreeSet<Address>,
    resources: &BTreeMap<Address, Definition>,
    document: &Document,
) -> BTreeSet<Address> {
    let mut open: Vec<Address> = chosen.iter().cloned().collect();
    let mut found = BTreeSet::new();
    while let Some(it) = open.pop() {
        if found.insert(it.clone()) {
            match resources.get(&it) {
                Some(definition) => open.extend(definition.needed()),
                None => {
                    let users = document.resources.iter().filter(|(_, record)| record.refs.contains(&it));
                    open.extend(users.map(|(address, _)| address.clone()));
                }
            }
        }
    }
    found
}
