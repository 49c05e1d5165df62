//! The state of a stack: what is ours and what was last applied. It mirrors nothing and holds no secret.

pub mod record;

pub use record::{Document, Record, Status};
