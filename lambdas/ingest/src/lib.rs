//! Turns batches of Kafka records into rows of the core tables, as the data contract says: cleans, validates, keeps
//! rejects byte for byte, lets the newest event win, and lets rows wait for their parents in the database.
//!
//! An invocation is one transaction. It fails when the database does, and may then be repeated: any number of
//! deliveries of a record, in any order, gives the same tables.

mod batch;
mod codes;
mod entity;
mod event;
mod field;
mod metrics;
mod moment;
mod object;
mod reject;
mod store;

use std::io::{self, Write};

use database::{
    Database,
    postgres::{self, error::Severity},
};
use lambda_runtime::Diagnostic;
use serde::Serialize;

pub use metrics::Source;
pub use moment::Moment;
pub use reject::{Fault, Reason};
pub use store::OPTIONS;

use crate::{
    batch::Batch,
    entity::{Customer, Entity, Line, Order, Payment},
    event::Event,
    metrics::Figures,
    store::Store,
};

/// The function between invocations: where the database is, and the connection to it while there is one.
pub struct Ingest {
    database: Database,
    store: Option<Store>,
    prefix: String,
    source: Source,
}

/// What an invocation did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Records taken.
    pub records: usize,
    /// Those that are events.
    pub accepted: usize,
    /// Those kept in `rejected_events`.
    pub rejected: usize,
    /// Rows of all invocations that wait for a parent now, counted up to 10,000 per table.
    pub waiting: i64,
}

/// Why an invocation failed. Nothing of it was written, or all of it was; it may be repeated either way.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The payload is not what a Kafka event source sends.
    #[error("the payload is not a Kafka event: {0}")]
    Event(#[from] serde_json::Error),
    /// There is no connection to the database.
    #[error(transparent)]
    Connect(#[from] database::Error),
    /// The database refused the batch or went away.
    #[error("write the batch: {}", database::reason(.0))]
    Write(#[from] postgres::Error),
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        let error_type = match error {
            Error::Event(_) => "EventMalformed",
            Error::Connect(_) => "DatabaseUnreachable",
            Error::Write(_) => "DatabaseFailed",
        };
        Self { error_type: error_type.to_owned(), error_message: error.to_string() }
    }
}

impl Ingest {
    /// Prepares for invocations; connects at the first. Topics are named after their tables, behind `prefix`.
    pub fn new(database: Database, prefix: String, source: Source) -> Self {
        Self { database, store: None, prefix, source }
    }

    /// Writes one invocation's records, then their metrics.
    pub async fn handle(&mut self, event: &str, metrics: impl Write) -> Result<Summary, Error> {
        let event = Event::parse(event)?;
        let batch = Batch::sort(&event, &self.prefix, Moment::now());
        let waiting = self.write(&batch).await?;
        let now = Moment::now();
        let figures = Figures::new(&batch, event.records().map(|record| record.timestamp), waiting, now);
        if let Err(error) = print(metrics, &figures.lines(&self.source, now)) {
            // The rows are committed: lost metrics are no reason to write them again.
            tracing::warn!("metrics were not written: {error}");
        }
        let rejected = figures.rejected();
        Ok(Summary { records: figures.records, accepted: figures.records - rejected, rejected, waiting })
    }

    /// Writes the batch. A connection left from an earlier invocation may have died since; its batch is then tried
    /// once more over a new one.
    async fn write(&mut self, batch: &Batch<'_>) -> Result<i64, Error> {
        if let Some(store) = self.store.take() {
            match self.write_over(store, batch).await {
                Err((true, error)) => {
                    tracing::info!("the connection was gone ({}); connecting again", database::reason(&error));
                }
                result => return result.map_err(|(_, error)| error.into()),
            }
        }
        let store = Store::prepare(self.database.connect().await?).await?;
        self.write_over(store, batch).await.map_err(|(_, error)| error.into())
    }

    /// Writes the batch over a connection, which is kept when all went well. An error comes with whether the
    /// connection was lost.
    async fn write_over(&mut self, store: Store, batch: &Batch<'_>) -> Result<i64, (bool, postgres::Error)> {
        match store.write(batch).await {
            Ok(waiting) => {
                self.store = Some(store);
                Ok(waiting)
            }
            Err(error) => {
                let is_lost = store.is_closed() || is_fatal(&error);
                store.close().await;
                Err((is_lost, error))
            }
        }
    }
}

/// Checks the value of a record on one of the four topics, as an invocation at `now` would. Writes nothing.
pub fn check(topic: &str, payload: &[u8], now: Moment) -> Result<(), Fault> {
    match topic {
        "customers" => Customer::parse(payload, now).map(drop),
        "orders" => Order::parse(payload, now).map(drop),
        "order_details" => Line::parse(payload, now).map(drop),
        "payments" => Payment::parse(payload, now).map(drop),
        _ => Err(Fault::new(Reason::UnknownTopic, "no table takes the records of this topic")),
    }
}

/// Whether the error ended the session: the server says so of a shutdown, or nobody answers any more.
fn is_fatal(error: &postgres::Error) -> bool {
    let severity = error.as_db_error().map(postgres::error::DbError::parsed_severity);
    error.is_closed() || matches!(severity, Some(Some(Severity::Fatal | Severity::Panic)))
}

fn print(mut out: impl Write, lines: &[String]) -> io::Result<()> {
    let mut text = lines.join("\n");
    text.push('\n');
    out.write_all(text.as_bytes())?;
    out.flush()
}
