//! The whole pipeline: events in, rows out, checked against an oracle that shares no code with it.

#![expect(clippy::expect_used, reason = "a test that cannot be set up has failed")]

mod agreement;
mod figures;
mod killed;
mod lake;
mod notebooks;
mod oracle;
mod order;
#[expect(dead_code, reason = "the tests of the alarms use the rest")]
mod place;
mod proc;
mod topics;
mod watched;
