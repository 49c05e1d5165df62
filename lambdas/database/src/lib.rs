//! The Lambdas' way to their `PostgreSQL` database: settings from the environment, credentials from Secrets Manager, a
//! connection with or without TLS. Knows no table; does not pool or retry.

mod connect;
mod secret;
mod settings;
mod tls;

pub use connect::{Connection, Database};
pub use settings::{Settings, Tls};
pub use tokio_postgres as postgres;

/// Why there is no connection. Never holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An environment variable is missing or makes no sense.
    #[error("environment variable {name}: {problem}")]
    Setting {
        /// The variable.
        name: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// Secrets Manager did not give the secret. Holds its answer.
    #[error("read database secret {arn}: {problem}")]
    Secret {
        /// The secret asked for.
        arn: String,
        /// Its code and message, or what went wrong on the way.
        problem: String,
    },
    /// The secret came, and is not a JSON object with `username` and `password`.
    #[error("database secret {arn} is not a JSON object with the strings `username` and `password`")]
    SecretShape {
        /// The secret asked for.
        arn: String,
    },
    /// The certificate authorities cannot be used.
    #[error("certificate authorities for the database: {0}")]
    Certificates(String),
    /// `PostgreSQL` refused the connection or could not be reached.
    #[error("connect to database {name} at {host}:{port}: {}", reason(.source))]
    Connect {
        /// Host as configured.
        host: String,
        /// Port as configured.
        port: u16,
        /// Database as configured.
        name: String,
        /// The error of the driver.
        source: postgres::Error,
    },
}

impl Error {
    /// Says whether `PostgreSQL` was reached, and has no database of this name.
    pub fn is_missing(&self) -> bool {
        let Self::Connect { source, .. } = self else { return false };
        source.code() == Some(&postgres::error::SqlState::INVALID_CATALOG_NAME)
    }
}

/// The whole story of a driver's error on one line: the server's words, or the chain of causes.
pub fn reason(error: &postgres::Error) -> String {
    if let Some(server) = error.as_db_error() {
        return format!("{} (SQLSTATE {})", server.message(), server.code().code());
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
