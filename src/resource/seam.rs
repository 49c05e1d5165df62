//! The parts of the seam between the engine and the kinds. Holds no kind.

mod context;
mod kind;
mod tags;
mod value;

pub use context::{Cx, Lives, Scope};
pub use kind::{Kind, Observation, Of, kind, touched};
pub use tags::{Tags, shared_prefix};
pub use value::{Cause, Change, Desired, Field, Flaw, Identity, Objection, Outputs, Ownership, Phase};
