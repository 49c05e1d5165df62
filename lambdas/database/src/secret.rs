//! The database's credentials in Secrets Manager, in the form RDS keeps them.

use std::{fmt, time::Duration};

use aws_config::{
    BehaviorVersion, Region,
    environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider},
    retry::RetryConfig,
    timeout::TimeoutConfig,
};
use aws_credential_types::Credentials;
use aws_sdk_secretsmanager::{Client, error::ProvideErrorMetadata};
use aws_smithy_http_client::{
    Builder,
    tls::{self, rustls_provider::CryptoMode},
};
use serde::Deserialize;

use crate::Error;

/// Who connects. Its `Debug` form hides the password.
#[derive(Clone, Deserialize)]
pub(crate) struct Login {
    pub(crate) username: String,
    pub(crate) password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Login").field("username", &self.username).finish_non_exhaustive()
    }
}

/// A client from the environment Lambda gives (region, credentials, `AWS_ENDPOINT_URL`). Looks nowhere else, such as
/// the instance metadata that the default chain would wait for. A test's `endpoint` gets made-up credentials.
pub(crate) async fn client(endpoint: Option<&str>) -> Client {
    let http = Builder::new().tls_provider(tls::Provider::Rustls(CryptoMode::Ring)).build_https();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(Duration::from_secs(10))
        .build();
    let loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(4));
    let loader = match endpoint {
        None => loader
            .region(EnvironmentVariableRegionProvider::new())
            .credentials_provider(EnvironmentVariableCredentialsProvider::new()),
        Some(endpoint) => {
            let made_up = Credentials::new("test", "test", None, None, "test");
            loader.region(Region::from_static("us-east-1")).credentials_provider(made_up).endpoint_url(endpoint)
        }
    };
    Client::new(&loader.load().await)
}

/// Reads the current version of the secret.
pub(crate) async fn read(client: &Client, arn: &str) -> Result<Login, Error> {
    let answer = client.get_secret_value().secret_id(arn).send().await.map_err(|error| {
        let problem = match (error.code(), error.message()) {
            (Some(code), message) => format!("{code}: {}", message.unwrap_or("no message")),
            (None, _) => chain(&error),
        };
        Error::Secret { arn: arn.to_owned(), problem }
    })?;
    // The parser's own error could quote the secret, so it is dropped.
    serde_json::from_str(answer.secret_string().unwrap_or_default())
        .map_err(|_| Error::SecretShape { arn: arn.to_owned() })
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", chain(cause)),
        None => error.to_string(),
    }
}
