//! The real binary, as a user runs it: what it prints, and how it ends.

#![expect(clippy::expect_used, reason = "a test that cannot be set up has failed")]

mod account;
mod broken;
mod fuzzed;
mod harness;
mod help;
mod init;
mod stacks;
mod state;
mod unprotect;
mod usage;
