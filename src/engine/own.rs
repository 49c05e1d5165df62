//! Whose a live resource is. Pure.

use crate::{
    address::Name,
    resource::{Observation, Ownership},
    state::{Record, Status},
};

/// Says why a live resource is not this stack's; `None` where it is.
pub(super) fn stranger(live: &Observation, name: &Name, record: Option<&Record>) -> Option<String> {
    let recorded = record.is_some_and(|it| it.status != Status::Creating || it.id.is_some());
    let stack = &name.owner.stack;
    match &live.identity.ownership {
        Ownership::Tagged(owner) if owner.stack == *stack => {
            let ours = owner.address == name.owner.address || owner.nonce == name.owner.nonce;
            (!ours).then(|| format!("it belongs to {} of this stack", owner.address))
        }
        Ownership::Tagged(owner) => Some(format!("it belongs to the stack {}", owner.stack)),
        Ownership::Inherited(Some(parent)) if parent == stack => None,
        // An intent is as good as a tag where there are no tags: nobody else makes things in our name.
        Ownership::Inherited(_) if record.is_some() => None,
        // It was ours, and somebody removed its tags.
        Ownership::Foreign if recorded => None,
        Ownership::Foreign | Ownership::Inherited(_) => Some("it carries no tag of this stack".to_owned()),
    }
}
