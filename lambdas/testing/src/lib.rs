//! Real parts for the tests of the Lambdas: a `PostgreSQL` server of their own, and a stand-in for Secrets Manager.

mod postgres;
mod programs;
mod secrets;

pub use postgres::{PASSWORD_ROLE, Server};
pub use secrets::{SecretsApi, secret_json};

/// What went wrong, in the words of the part that failed.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
