//! The engine: compares, orders, waits, and records. Knows no kind, no cloud, and no terminal.
//!
//! `observe` reads the live world; `plan` is pure; `apply` does what the plan says and tells what happens as events.

pub mod event;
pub mod plan;

pub use event::{Event, Failure};
pub use plan::{Action, Plan, Refusal, Step};
