//! The AWS clients: one per service, built when first used, over one HTTP pool and one load of the credentials.

use std::sync::OnceLock;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::Credentials;
use aws_smithy_http_client::{
    Builder,
    tls::{self, rustls_provider::CryptoMode},
};

use super::glue;

/// Where the clients send their requests, and as whom.
#[derive(Clone, Debug)]
pub struct Target {
    /// The AWS region, such as `eu-central-1`.
    pub region: String,
    /// An endpoint that takes all services' requests, such as the local cloud's; `None` for AWS itself.
    pub endpoint: Option<String>,
    /// Static credentials as (access key, secret key); `None` for what the AWS CLI would use.
    pub keys: Option<(String, String)>,
}

/// Clients for the services that the kinds use.
#[derive(Debug)]
pub struct Aws {
    config: SdkConfig,
    athena: OnceLock<aws_sdk_athena::Client>,
    cloudwatch: OnceLock<aws_sdk_cloudwatch::Client>,
    glue: OnceLock<glue::Client>,
    iam: OnceLock<aws_sdk_iam::Client>,
    kafka: OnceLock<aws_sdk_kafka::Client>,
    lambda: OnceLock<aws_sdk_lambda::Client>,
    logs: OnceLock<aws_sdk_cloudwatchlogs::Client>,
    rds: OnceLock<aws_sdk_rds::Client>,
    s3: OnceLock<aws_sdk_s3::Client>,
    secrets: OnceLock<aws_sdk_secretsmanager::Client>,
    sts: OnceLock<aws_sdk_sts::Client>,
}

macro_rules! services {
    ($($name:ident: $crate_:ident, $doc:literal;)+) => {
        $(
            #[doc = $doc]
            pub fn $name(&self) -> &$crate_::Client {
                self.$name.get_or_init(|| $crate_::Client::new(&self.config))
            }
        )+
    };
}

impl Aws {
    /// Loads the credentials once and prepares the shared HTTP pool. Sends no request.
    pub async fn connect(target: &Target) -> Self {
        let http = Builder::new().tls_provider(tls::Provider::Rustls(CryptoMode::Ring)).build_https();
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(5))
            .operation_attempt_timeout(Duration::from_secs(60))
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(target.region.clone()))
            .http_client(http)
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(5));
        if let Some(endpoint) = &target.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        if let Some((access, secret)) = &target.keys {
            loader = loader.credentials_provider(Credentials::new(access, secret, None, None, "stack"));
        }
        Self {
            config: loader.load().await,
            athena: OnceLock::new(),
            cloudwatch: OnceLock::new(),
            glue: OnceLock::new(),
            iam: OnceLock::new(),
            kafka: OnceLock::new(),
            lambda: OnceLock::new(),
            logs: OnceLock::new(),
            rds: OnceLock::new(),
            s3: OnceLock::new(),
            secrets: OnceLock::new(),
            sts: OnceLock::new(),
        }
    }

    services! {
        athena: aws_sdk_athena, "Athena.";
        cloudwatch: aws_sdk_cloudwatch, "CloudWatch: metrics, alarms and dashboards.";
        iam: aws_sdk_iam, "Identity and Access Management.";
        kafka: aws_sdk_kafka, "Managed Streaming for Apache Kafka (MSK).";
        lambda: aws_sdk_lambda, "Lambda.";
        logs: aws_sdk_cloudwatchlogs, "CloudWatch Logs.";
        rds: aws_sdk_rds, "Relational Database Service.";
        secrets: aws_sdk_secretsmanager, "Secrets Manager.";
        sts: aws_sdk_sts, "Security Token Service.";
    }

    /// Simple Storage Service. Addressed by path, as virtual hosts do not resolve on loopback.
    pub fn s3(&self) -> &aws_sdk_s3::Client {
        self.s3.get_or_init(|| {
            let path_style = self.config.endpoint_url().is_some();
            let config = aws_sdk_s3::config::Builder::from(&self.config).force_path_style(path_style).build();
            aws_sdk_s3::Client::from_conf(config)
        })
    }

    /// Glue's Data Catalog.
    pub fn glue(&self) -> &glue::Client {
        self.glue.get_or_init(|| glue::Client::new(&self.config))
    }

    /// The region that requests go to.
    pub fn region(&self) -> &str {
        self.config.region().map_or("us-east-1", AsRef::as_ref)
    }
}
