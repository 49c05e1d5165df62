//! Checks what lies between resources: references, cycles, renames.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{
    check::{Contents, Found, place},
    mistake::{Code, Mistake},
    near::{list, nearest},
    source::Place,
};
use crate::{
    address::{Address, Need},
    resource::{Kind, kind},
};

/// Finds the mistakes between the resources of a stack.
pub(super) fn mistakes(contents: &Contents<'_>, kinds: &[&dyn Kind]) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for (address, found) in &contents.resources {
        // Another mistake may hide what a reference points at: then it is not to blame.
        let hidden = |to: &Address| contents.meant.contains(to) || contents.unread.contains(&to.kind);
        let unknown = found.needs.iter().filter(|it| !contents.resources.contains_key(&it.to) && !hidden(&it.to));
        mistakes.extend(unknown.map(|it| missing(address, found, it, contents, kinds)));
        let there = found.needs.iter().filter(|it| contents.resources.contains_key(&it.to));
        mistakes.extend(there.filter_map(|it| no_output(found, it, kinds)));
    }
    mistakes.extend(cycles(contents));
    mistakes.extend(renames(contents));
    mistakes
}

/// Says that a reference points at nothing, and what may have been meant.
fn missing(from: &Address, found: &Found<'_>, need: &Need, contents: &Contents<'_>, kinds: &[&dyn Kind]) -> Mistake {
    let to = &need.to;
    let message = format!("{from} refers to {to}, which is not in this stack");
    let mistake = Mistake::new(Code::UnknownReference, message);
    let at = place(found.entry, &need.at);
    if kind(kinds, &to.kind).is_none() {
        let near = nearest(&to.kind, kinds.iter().map(|it| it.name()));
        let help = near.map(|it| format!("did you mean `{it}.{}`?", to.name));
        return mistake.at(&at, format!("there is no kind `{}`", to.kind)).help(help);
    }
    if let Some(removed) = contents.removed.get(to) {
        return mistake.at(&at, format!("this {} is removed", to.kind)).at(removed, format!("{to} is removed here"));
    }
    let mistake = mistake.at(&at, format!("no {} has this name", to.kind));
    let same: Vec<&str> =
        contents.resources.keys().filter(|it| it.kind == to.kind).map(|it| it.name.as_str()).collect();
    let other = contents.resources.keys().find(|it| it.name == to.name);
    let mistake = mistake.help(other.map(|it| format!("there is {it}, but a {} is needed here", to.kind)));
    mistake.help(match nearest(&to.name, same.iter().copied()) {
        Some(it) => format!("did you mean `{it}`?"),
        None if same.is_empty() => format!("this stack has no {}: define it under `resources.{}`", to.kind, to.kind),
        None => format!("resources of kind {}: {}", to.kind, list(&same)),
    })
}

/// Says that what is referred to has no such output.
fn no_output(found: &Found<'_>, need: &Need, kinds: &[&dyn Kind]) -> Option<Mistake> {
    let (output, to) = (need.output.as_ref()?, &need.to);
    let there = kind(kinds, &to.kind)?.outputs();
    if there.contains(&output.as_str()) {
        return None;
    }
    let mistake = Mistake::new(Code::UnknownReference, format!("{to} has no output `{output}`"));
    let help = match nearest(output, there.iter().copied()) {
        Some(it) => format!("did you mean `{to}.{it}`?"),
        None if there.is_empty() => format!("a {} has no outputs", to.kind),
        None => format!("outputs of a {}: {}", to.kind, list(there)),
    };
    Some(mistake.at(&place(found.entry, &need.at), "no such output").help(help))
}

/// Who needs whom to be ready, and where it says so.
type Edges<'a> = BTreeMap<&'a Address, BTreeMap<&'a Address, Place>>;

/// Finds resources that need each other to be ready first: one mistake for each knot.
fn cycles(contents: &Contents<'_>) -> Vec<Mistake> {
    let mut edges = Edges::new();
    for (from, found) in &contents.resources {
        for need in found.needs.iter().filter(|it| !it.weak) {
            if let Some((to, _)) = contents.resources.get_key_value(&need.to) {
                edges.entry(from).or_default().entry(to).or_insert_with(|| place(found.entry, &need.at));
            }
        }
    }
    let mut mistakes = Vec::new();
    loop {
        trim(&mut edges);
        let Some(cycle) = edges.keys().filter_map(|it| shortest(&edges, it)).min_by_key(Vec::len) else {
            return mistakes;
        };
        mistakes.push(knot(&edges, &cycle));
        edges.retain(|it, _| !cycle.contains(it));
        for it in edges.values_mut() {
            it.retain(|it, _| !cycle.contains(it));
        }
    }
}

/// Drops whoever needs nobody, and then those who needed only them.
fn trim(edges: &mut Edges<'_>) {
    loop {
        let before = edges.len();
        edges.retain(|_, to| !to.is_empty());
        let left: BTreeSet<&Address> = edges.keys().copied().collect();
        for it in edges.values_mut() {
            it.retain(|it, _| left.contains(it));
        }
        if edges.len() == before && edges.values().all(|it| !it.is_empty()) {
            return;
        }
    }
}

/// Finds the shortest way from a resource back to itself.
fn shortest<'a>(edges: &Edges<'a>, start: &'a Address) -> Option<Vec<&'a Address>> {
    let mut came: BTreeMap<&Address, &Address> = BTreeMap::new();
    let mut next = VecDeque::from([start]);
    while let Some(here) = next.pop_front() {
        for to in edges.get(here).into_iter().flat_map(BTreeMap::keys).copied() {
            if to == start {
                let back = std::iter::successors(Some(here), |it| came.get(it).copied());
                let mut cycle: Vec<&Address> = back.collect();
                cycle.reverse();
                return Some(cycle);
            }
            came.entry(to).or_insert_with(|| {
                next.push_back(to);
                here
            });
        }
    }
    None
}

fn knot(edges: &Edges<'_>, cycle: &[&Address]) -> Mistake {
    let around: Vec<&Address> = cycle.iter().chain(cycle.first()).copied().collect();
    let names: Vec<String> = around.iter().map(ToString::to_string).collect();
    let message = match cycle {
        [it] => format!("{it} needs itself"),
        _ => format!("these need each other, so that none can be first: {}", names.join(" → ")),
    };
    let mut mistake = Mistake::new(Code::Cycle, message);
    for pair in around.windows(2) {
        if let [from, to] = pair
            && let Some(at) = edges.get(*from).and_then(|it| it.get(*to))
        {
            mistake = mistake.at(at, format!("{from} needs {to}"));
        }
    }
    mistake.help("remove one of these references".to_owned())
}

fn renames(contents: &Contents<'_>) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let mut taken: BTreeMap<&Address, (&Address, Place)> = BTreeMap::new();
    for (address, found) in &contents.resources {
        let Some(old) = &found.renamed_from else { continue };
        let at = place(found.entry, "/renamed_from");
        let wrong = |message: String, label: &str| Mistake::new(Code::Renamed, message).at(&at, label);
        if old == address {
            mistakes.push(wrong(format!("{address} is said to be renamed from itself"), "its own address"));
        } else if old.kind != address.kind {
            let message = format!("{address} cannot have been {old}: a resource keeps its kind");
            mistakes.push(wrong(message, "another kind"));
        } else if let Some(still) = contents.resources.get(old) {
            let message = format!("{address} is said to be renamed from {old}, which is still there");
            let help = format!("remove {old}, or this line");
            mistakes.push(wrong(message, "still there").at(&still.entry.key, "here").help(help));
        } else if let Some((other, first)) = taken.get(old) {
            let message = format!("{address} and {other} are both said to be renamed from {old}");
            mistakes.push(wrong(message, "the second").at(first, "the first"));
        } else {
            taken.insert(old, (address, at));
        }
    }
    mistakes
}
