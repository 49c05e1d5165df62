//! Applies versioned SQL to the database from inside its network, so that nothing outside needs a way to it.
//!
//! Each migration runs in a transaction of its own, under a lock, once. What was applied is never edited, skipped or
//! overtaken: such a list is refused as a whole, with the difference.

mod apply;
mod count;
mod error;
mod history;
mod migration;
mod status;
mod structure;

use database::{Database, postgres::Client};
use serde::{Deserialize, Serialize};

pub use count::Counts;
pub use error::Error;
pub use migration::{Migration, checksum, normalise};
pub use status::{Entry, Status};
pub use structure::Drift;

/// Settings of `PostgreSQL` that every connection starts with.
pub const OPTIONS: [(&str, &str); 3] =
    [("search_path", "public"), ("lock_timeout", "30s"), ("idle_in_transaction_session_timeout", "60s")];

/// What is asked for.
#[derive(Debug, Deserialize)]
pub struct Request {
    /// What to do.
    pub action: Action,
    /// The name the migrations go by; a database may hold those of several names.
    pub schema: String,
    /// All migrations, applied ones included. Only `apply` looks at them.
    #[serde(default)]
    pub migrations: Vec<Migration>,
}

/// What the function can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Tell what is applied. Writes nothing.
    Status,
    /// Tell how many rows there are besides. Writes nothing, and may take as long as reading them all.
    Count,
    /// Apply what is pending.
    Apply,
    /// Remove what the migrations made, data included.
    Drop,
}

/// What was done, and the state afterwards.
#[derive(Debug, Serialize)]
pub struct Answer {
    /// Versions that this invocation applied.
    pub ran: Vec<String>,
    /// Objects that this invocation removed.
    pub dropped: Vec<String>,
    /// The state of the database now.
    #[serde(flatten)]
    pub status: Status,
    /// What the tables hold, where that was asked for.
    #[serde(flatten)]
    pub counts: Option<Counts>,
}

/// Does what the request asks for, over a connection of its own.
pub async fn handle(database: &mut Database, request: &Request) -> Result<Answer, Error> {
    let mut connection = database.connect().await?;
    let result = act(connection.client_mut(), request).await;
    connection.close().await;
    result
}

async fn act(client: &mut Client, request: &Request) -> Result<Answer, Error> {
    let schema = request.schema.as_str();
    let (mut ran, mut dropped, mut counts) = (Vec::new(), Vec::new(), None);
    match request.action {
        Action::Status => {}
        Action::Count => counts = Some(count::count(client).await?),
        Action::Apply => ran = apply::apply(client, schema, &request.migrations).await?,
        Action::Drop => dropped = apply::drop(client, schema).await?,
    }
    Ok(Answer { ran, dropped, status: status::status(client, schema).await?, counts })
}
