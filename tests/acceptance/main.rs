//! The real binary, as a user runs it: what it prints, and how it ends.

mod harness;
mod help;
mod usage;
