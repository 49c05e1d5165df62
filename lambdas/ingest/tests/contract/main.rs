//! The data contract, proved against a real `PostgreSQL` and the published schemas.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod concurrency;
mod failures;
mod invariance;
mod rejects;
mod rows;
mod schemas;
mod support;
