//! The Lambda function `migrate`. Environment: see `database::Settings`.

use std::sync::Arc;

use database::{Database, Settings};
use lambda_runtime::{LambdaEvent, service_fn};
use migrate::{Answer, Error, OPTIONS};
use serde_json::Value;
use tokio::sync::Mutex;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    tracing_subscriber::fmt().with_ansi(false).without_time().with_writer(std::io::stderr).init();
    let database = Arc::new(Mutex::new(Database::new(Settings::from_env()?, "ecomctl-migrate", &OPTIONS)));
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| {
        let database = Arc::clone(&database);
        async move { invoke(&database, event.payload).await }
    }))
    .await
}

async fn invoke(database: &Mutex<Database>, request: Value) -> Result<Answer, Error> {
    let result = match serde_json::from_value(request) {
        Ok(request) => Box::pin(migrate::handle(&mut *database.lock().await, &request)).await,
        Err(error) => Err(Error::Malformed(format!("the request makes no sense: {error}"))),
    };
    if let Err(error) = &result {
        tracing::error!("{error}");
    }
    result
}
