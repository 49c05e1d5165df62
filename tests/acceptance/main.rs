//! The real binary, as a user runs it: what it prints, and how it ends.

#![expect(clippy::expect_used, reason = "a test that cannot be set up has failed")]

// The fuzzer's targets are compiled and run here, too, where nothing but the compiler is needed.
extern crate self as libfuzzer_sys;

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

/// Makes a function of a target's body, which `cargo fuzz` makes a program of.
#[macro_export]
macro_rules! fuzz_target {
    (|$input:ident: $type:ty| $body:block) => {
        pub(crate) fn run($input: $type) $body
    };
}
