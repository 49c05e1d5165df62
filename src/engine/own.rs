//! Whose a live resource is. Pure.

use serde_json::{Value, json};

use crate::{
    address::{Address, Name},
    resource::{Cause, Change, Observation, Ownership},
    state::{Record, Status},
};

/// By what right a run deals with a resource.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Claim<'a> {
    /// What is recorded of it.
    pub(super) record: Option<&'a Record>,
    /// The address that it had before, where the stack file says that it had one.
    pub(super) former: Option<&'a Address>,
    /// Whether the user asks for it to be taken over.
    pub(super) adopts: bool,
}

/// Says why a live resource is not this stack's; `None` where it is, or where it is nobody's and may be taken over.
pub(super) fn stranger(live: &Observation, name: &Name, claim: Claim<'_>) -> Option<String> {
    let stack = &name.owner.stack;
    match &live.identity.ownership {
        Ownership::Tagged(owner) if owner.stack == *stack => {
            let known = owner.address == name.owner.address || Some(&owner.address) == claim.former;
            let ours = known || owner.nonce == name.owner.nonce;
            (!ours).then(|| format!("it belongs to {} of this stack", owner.address))
        }
        Ownership::Tagged(owner) => Some(format!("it belongs to the stack {}", owner.stack)),
        Ownership::Inherited(Some(parent)) if parent == stack => None,
        // It was ours and somebody removed its tags; or we were killed before it had any: nothing had this name when the
        // intent was recorded.
        Ownership::Inherited(_) | Ownership::Foreign if claim.record.is_some() => None,
        Ownership::Inherited(Some(parent)) => Some(format!("what holds it belongs to the stack {parent}")),
        Ownership::Inherited(None) | Ownership::Foreign if claim.adopts => None,
        Ownership::Foreign | Ownership::Inherited(None) => Some("it carries no tag of this stack".to_owned()),
    }
}

/// Says what to do about it. Nothing that another made is ever taken over by itself.
pub(super) fn advice(live: &Observation, name: &Name) -> String {
    let other = "give this resource another name in the stack's file, or remove the other if nobody needs it";
    match &live.identity.ownership {
        Ownership::Foreign | Ownership::Inherited(None) => {
            let (stack, address) = (&name.owner.stack, &name.owner.address);
            format!("it is left alone; to take it over: ecomctl adopt {stack} {address}; else {other}")
        }
        Ownership::Tagged(owner) if owner.stack == name.owner.stack => format!(
            "it is left alone; if {} is this resource's former address, say `renamed_from: {}`; else {other}",
            owner.address, owner.address
        ),
        Ownership::Tagged(_) | Ownership::Inherited(_) => format!("it is left alone; {other}"),
    }
}

/// Returns the change that makes the tags of what is ours say so, where they do not: kinds write the owner's with any
/// change of tags.
pub(super) fn mark(live: &Observation, name: &Name, claim: Claim<'_>) -> Option<Change> {
    let change = |tag: &str, from: Value, to: Value, cause| Change {
        field: format!("tags.{tag}"),
        from,
        to,
        cause,
        waits_for: None,
    };
    match &live.identity.ownership {
        Ownership::Foreign => {
            let was_marked = claim.record.is_some_and(|it| it.status == Status::Ready);
            let cause = if was_marked { Cause::Drift } else { Cause::Edit };
            Some(change("ecomctl:stack", Value::Null, json!(name.owner.stack), cause))
        }
        Ownership::Tagged(owner) if owner.address != name.owner.address => {
            Some(change("ecomctl:address", json!(owner.address), json!(name.owner.address), Cause::Edit))
        }
        Ownership::Tagged(_) | Ownership::Inherited(_) => None,
    }
}
