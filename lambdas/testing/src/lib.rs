//! Real parts for the tests of the Lambdas: a `PostgreSQL` server of their own, a stand-in for Secrets Manager, and
//! an HTTP server that answers as the test says.

mod postgres;
mod programs;
mod secrets;
mod web;

pub use postgres::{PASSWORD_ROLE, Server};
pub use secrets::{SecretsApi, secret_json};
pub use web::{Answer, Request, Web};

/// What went wrong, in the words of the part that failed.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
