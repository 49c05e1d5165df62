//! Two addresses of one kind that mean one thing at the provider. What cannot carry tags has no other sign of whose it is
//! than its name, so one address alone may have it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{Engine, Refusal, Step, observe::Observed};
use crate::{address::Address, state::Document};

/// The addresses that share a name at the provider with another of their kind.
pub(super) struct Twins<'a>(BTreeMap<&'a Address, Vec<&'a Address>>);

impl Engine<'_> {
    /// Finds them among all that the stack defines or owns. What is known by an identifier may share its name.
    pub(super) fn twins<'a>(&self, observed: &'a Observed) -> Twins<'a> {
        let mut by_name: BTreeMap<(&str, &str), Vec<&Address>> = BTreeMap::new();
        for (address, name) in &observed.names {
            if !name.physical.is_empty() && self.kind(address).is_ok_and(|it| !it.renames()) {
                by_name.entry((&address.kind, &name.physical)).or_default().push(address);
            }
        }
        let shared = by_name.into_values().filter(|it| it.len() > 1);
        let each = shared.flat_map(|all| {
            let others = |own: &&'a Address| all.iter().copied().filter(|it| it != own).collect::<Vec<_>>();
            all.iter().map(|own| (*own, others(own))).collect::<Vec<_>>()
        });
        Twins(each.collect())
    }
}

impl Twins<'_> {
    /// Refuses a step that would make a second owner of something: that is whichever is not recorded, or comes later.
    pub(super) fn refuse(&self, step: &mut Step, document: &Document) {
        let rank = |it: &Address| (!document.resources.contains_key(it), it.clone());
        let own = rank(step.moved_from.as_ref().unwrap_or(&step.address));
        let first = self.0.get(&step.address).into_iter().flatten().find(|it| rank(it) < own);
        if let (Some(other), None) = (first, &step.refused) {
            step.refused = Some(Refusal {
                field: None,
                reason: format!("{} is {other} of this stack already", step.physical),
                help: format!("give {} another name; what is there, and {other}, stay as they are", step.address),
            });
        }
    }

    /// Makes a deletion of what stays another's forget it instead, and says so. Of two that leave, one deletes it.
    pub(super) fn forget(&self, step: &mut Step, kept: &BTreeSet<Address>, notes: &mut Vec<String>) {
        let outlives = |it: &&&Address| kept.contains(**it) || **it < &step.address;
        let Some(other) = self.0.get(&step.address).and_then(|all| all.iter().find(outlives)) else { return };
        notes.push(format!("{} is {other}, too, as {}: it is forgotten, not deleted", step.address, step.physical));
        (step.forgets, step.loses_data, step.refused) = (true, false, None);
    }
}
