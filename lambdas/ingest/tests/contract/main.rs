//! The data contract, proved against a real PostgreSQL and the published schemas.

mod concurrency;
mod failures;
mod invariance;
mod rejects;
mod rows;
mod schemas;
mod support;
