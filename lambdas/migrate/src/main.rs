//! The Lambda function `migrate`. Environment: see `database::Settings`.

use std::sync::Arc;

use database::{Database, Settings};
use lambda_runtime::{LambdaEvent, service_fn};
use migrate::{Answer, Error, OPTIONS, Request};
use tokio::sync::Mutex;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    tracing_subscriber::fmt().with_ansi(false).without_time().with_writer(std::io::stderr).init();
    let database = Arc::new(Mutex::new(Database::new(Settings::from_env()?, "ecomctl-migrate", &OPTIONS)));
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Request>| {
        let database = Arc::clone(&database);
        async move { invoke(&database, &event.payload).await }
    }))
    .await
}

async fn invoke(database: &Mutex<Database>, request: &Request) -> Result<Answer, Error> {
    let mut database = database.lock().await;
    let result = Box::pin(migrate::handle(&mut database, request)).await;
    if let Err(error) = &result {
        tracing::error!("{error}");
    }
    result
}
