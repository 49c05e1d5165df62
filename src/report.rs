//! Plans, progress and mistakes as text, JSON and Markdown.
//!
//! Results go to standard output; progress and errors go to standard error. Decides nothing about stacks.

pub mod alarms;
pub mod error;
pub mod human;
pub mod plan;
pub mod preparing;
pub mod progress;
pub mod rows;
pub mod status;
pub mod summary;
pub mod terminal;
pub mod value;

pub use terminal::{Style, Terminal, Tone};
