//! The Lambda function `watch`. Environment: see `watch::Settings`.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use tokio::time::Instant;
use watch::{Error, Settings, Watch};

/// What is kept of the time of an invocation to tell how it went.
const SPARE: Duration = Duration::from_millis(1500);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    tracing_subscriber::fmt().with_ansi(false).without_time().with_writer(std::io::stderr).init();
    let watch = Arc::new(Watch::new(Settings::from_env()?, &|name| std::env::var(name).ok()));
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| {
        let watch = Arc::clone(&watch);
        async move { invoke(&watch, event).await }
    }))
    .await
}

async fn invoke(watch: &Watch, event: LambdaEvent<Value>) -> Result<Value, Error> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
    let end = Instant::now() + left.saturating_sub(SPARE);
    let now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
    let result = Box::pin(watch.handle(&event.payload, now, end, std::io::stdout())).await;
    if let Err(error) = &result {
        tracing::error!("{error}");
    }
    result
}
