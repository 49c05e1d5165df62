//! The AWS clients: one per service, built when first used, over one HTTP pool and one load of the credentials.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::Credentials;
use aws_smithy_http_client::{
    Builder,
    tls::{self, rustls_provider::CryptoMode},
};

use super::{
    fence::{Fence, Gate, LONGEST},
    glue,
    objects::Objects,
};

/// The longest that one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(35);

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
    gate: Gate,
    athena: OnceLock<aws_sdk_athena::Client>,
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
                self.$name.get_or_init(|| {
                    let config = $crate_::config::Builder::from(&self.config).interceptor(self.gate.clone());
                    $crate_::Client::from_conf(config.build())
                })
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
            .operation_attempt_timeout(ATTEMPT)
            .operation_timeout(LONGEST)
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
            gate: Gate::default(),
            athena: OnceLock::new(),
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
        iam: aws_sdk_iam, "Identity and Access Management.";
        kafka: aws_sdk_kafka, "Managed Streaming for Apache Kafka (MSK).";
        lambda: aws_sdk_lambda, "Lambda.";
        logs: aws_sdk_cloudwatchlogs, "CloudWatch Logs.";
        rds: aws_sdk_rds, "Relational Database Service.";
        secrets: aws_sdk_secretsmanager, "Secrets Manager.";
        sts: aws_sdk_sts, "Security Token Service.";
    }

    /// Simple Storage Service.
    pub fn s3(&self) -> &aws_sdk_s3::Client {
        self.s3.get_or_init(|| aws_sdk_s3::Client::from_conf(self.by_path().interceptor(self.gate.clone()).build()))
    }

    /// Glue's Data Catalog.
    pub fn glue(&self) -> &glue::Client {
        self.glue.get_or_init(|| glue::Client::new(&self.config, self.gate.clone()))
    }

    /// Returns the objects below a prefix of a bucket, through a client of their own that obeys no fence: by them the
    /// fence is moved.
    pub fn objects(&self, bucket: &str, prefix: &str) -> Objects {
        Objects::new(&aws_sdk_s3::Client::from_conf(self.by_path().build()), bucket, prefix)
    }

    /// Prepares a client that addresses buckets by path where they have no host of their own, as on loopback.
    fn by_path(&self) -> aws_sdk_s3::config::Builder {
        aws_sdk_s3::config::Builder::from(&self.config).force_path_style(self.config.endpoint_url().is_some())
    }

    /// Sends from now on nothing that changes anything unless the fence lets it through.
    pub fn obey(&self, fence: Arc<Fence>) {
        self.gate.obey(fence);
    }

    /// The region that requests go to.
    pub fn region(&self) -> &str {
        self.config.region().map_or("us-east-1", AsRef::as_ref)
    }
}
