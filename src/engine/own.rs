//! Whose a live resource is. Pure.

use crate::{
    address::Name,
    resource::{Observation, Ownership},
    state::Record,
};

/// What to do about it. Nothing that another made is ever taken over by itself.
pub(super) const LEFT_ALONE: &str =
    "it is left alone; give this resource another name in the stack's file, or remove the other if nobody needs it";

/// Says why a live resource is not this stack's; `None` where it is.
pub(super) fn stranger(live: &Observation, name: &Name, record: Option<&Record>) -> Option<String> {
    let stack = &name.owner.stack;
    match &live.identity.ownership {
        Ownership::Tagged(owner) if owner.stack == *stack => {
            let ours = owner.address == name.owner.address || owner.nonce == name.owner.nonce;
            (!ours).then(|| format!("it belongs to {} of this stack", owner.address))
        }
        Ownership::Tagged(owner) => Some(format!("it belongs to the stack {}", owner.stack)),
        Ownership::Inherited(Some(parent)) if parent == stack => None,
        // It was ours and somebody removed its tags; or we were killed before it had any: nothing had this name when the
        // intent was recorded.
        Ownership::Inherited(_) | Ownership::Foreign if record.is_some() => None,
        Ownership::Foreign | Ownership::Inherited(_) => Some("it carries no tag of this stack".to_owned()),
    }
}
