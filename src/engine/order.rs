//! Orders: what is needed comes before what needs it. Pure, and the same for the same graph.

use std::collections::{BTreeMap, BTreeSet};

use crate::{address::Address, stack::Definition};

/// Sorts definitions so that needs come first, those by name only included. Ties keep the order of the addresses.
pub(super) fn sorted(resources: &BTreeMap<Address, Definition>) -> Vec<Address> {
    by_needs(&resources.iter().map(|(address, it)| (address.clone(), it.needed())).collect())
}

/// Sorts nodes so that each comes after those it names. What is named but not listed is passed over; members of a
/// cycle, which a checked stack does not have, come in the order of their addresses.
pub(super) fn by_needs(graph: &BTreeMap<Address, BTreeSet<Address>>) -> Vec<Address> {
    fn visit<'a>(
        at: &'a Address,
        graph: &'a BTreeMap<Address, BTreeSet<Address>>,
        seen: &mut BTreeSet<&'a Address>,
        sorted: &mut Vec<Address>,
    ) {
        let Some(needs) = graph.get(at).filter(|_| seen.insert(at)) else { return };
        needs.iter().for_each(|it| visit(it, graph, seen, sorted));
        sorted.push(at.clone());
    }
    let (mut seen, mut sorted) = (BTreeSet::new(), Vec::new());
    graph.keys().for_each(|it| visit(it, graph, &mut seen, &mut sorted));
    sorted
}
