//! The Lambda function `ingest`. Environment: see `database::Settings`, and `STACK` and `TOPIC_PREFIX`.

use std::sync::Arc;

use database::{Database, Settings};
use ingest::{Error, Ingest, OPTIONS, Source, Summary};
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::value::RawValue;
use tokio::sync::Mutex;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    tracing_subscriber::fmt().with_ansi(false).without_time().with_writer(std::io::stderr).init();
    let variable = |name| std::env::var(name).unwrap_or_default();
    let source = Source { stack: variable("STACK"), function: variable("AWS_LAMBDA_FUNCTION_NAME") };
    let database = Database::new(Settings::from_env()?, "ecomctl-ingest", &OPTIONS);
    let ingest = Arc::new(Mutex::new(Ingest::new(database, variable("TOPIC_PREFIX"), source)));
    // Borrowed from the request's body: a batch is megabytes of base64.
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Box<RawValue>>| {
        let ingest = Arc::clone(&ingest);
        async move { invoke(&ingest, &event.payload).await }
    }))
    .await
}

async fn invoke(ingest: &Mutex<Ingest>, payload: &RawValue) -> Result<Summary, Error> {
    let result = ingest.lock().await.handle(payload.get(), std::io::stdout()).await;
    if let Err(error) = &result {
        tracing::error!("{error}");
    }
    result
}
