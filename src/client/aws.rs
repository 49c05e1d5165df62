//! The AWS clients: one per service, built when first used, over one HTTP pool and one load of the credentials.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use aws_config::{
    BehaviorVersion, Region, SdkConfig,
    environment::EnvironmentVariableRegionProvider,
    meta::region::RegionProviderChain,
    profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider},
    provider_config::ProviderConfig,
    retry::RetryConfig,
    sts::AssumeRoleProvider,
    timeout::TimeoutConfig,
};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_smithy_http_client::{
    Builder,
    tls::{self, rustls_provider::CryptoMode},
};

use super::{
    ec2,
    fence::{Fence, Gate, LONGEST},
    glue, kms,
    objects::Objects,
    patience, redshift,
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

/// As whom AWS is asked, where the AWS CLI's own way of finding that is not enough.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// The profile of `~/.aws/config` and `~/.aws/credentials`; `None` for the one that the environment names.
    pub profile: Option<String>,
    /// The role that is taken on with the credentials found.
    pub role: Option<String>,
}

/// Returns the region that the AWS CLI would use: of the environment, else of the profile.
pub async fn region(profile: Option<&str>) -> Option<String> {
    let file = ProfileFileRegionProvider::builder();
    let file = if let Some(name) = profile { file.profile_name(name) } else { file };
    let chain = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new()).or_else(file.build());
    chain.region().await.map(|it| it.to_string())
}

/// Clients for the services that the kinds use.
#[derive(Debug)]
pub struct Aws {
    config: SdkConfig,
    gate: Gate,
    athena: OnceLock<aws_sdk_athena::Client>,
    cloudwatch: OnceLock<aws_sdk_cloudwatch::Client>,
    ec2: OnceLock<ec2::Client>,
    glue: OnceLock<glue::Client>,
    iam: OnceLock<aws_sdk_iam::Client>,
    kafka: OnceLock<aws_sdk_kafka::Client>,
    kms: OnceLock<kms::Client>,
    lambda: OnceLock<aws_sdk_lambda::Client>,
    logs: OnceLock<aws_sdk_cloudwatchlogs::Client>,
    rds: OnceLock<aws_sdk_rds::Client>,
    redshift: OnceLock<redshift::Client>,
    s3: OnceLock<aws_sdk_s3::Client>,
    scheduler: OnceLock<aws_sdk_scheduler::Client>,
    secrets: OnceLock<aws_sdk_secretsmanager::Client>,
    sns: OnceLock<aws_sdk_sns::Client>,
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
    /// Connects as whom the AWS CLI would; see [`Aws::connect_as`].
    pub async fn connect(target: &Target) -> Self {
        Self::connect_as(target, &Identity::default()).await
    }

    /// Prepares to load the credentials once, and the shared HTTP pool. Sends no request.
    pub async fn connect_as(target: &Target, identity: &Identity) -> Self {
        let http = Builder::new().tls_provider(tls::Provider::Rustls(CryptoMode::Ring)).build_https();
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(5))
            .operation_attempt_timeout(patience::limit(ATTEMPT))
            .operation_timeout(LONGEST)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(target.region.clone()))
            .http_client(http.clone())
            .timeout_config(timeouts)
            // Adaptive: a service that throttles is asked more slowly from then on, each service for itself, and faster again
            // as it lets. A create that is sent again finds what the first one made, by its name or its token.
            .retry_config(RetryConfig::adaptive().with_max_attempts(5));
        if let Some(endpoint) = &target.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        if let Some((access, secret)) = &target.keys {
            loader = loader.credentials_provider(Credentials::new(access, secret, None, None, "stack"));
        }
        if let Some(profile) = &identity.profile {
            // Who names a profile means that one, whatever keys lie around in the environment: as the AWS CLI has it.
            let files = ProviderConfig::without_region().with_region(Some(Region::new(target.region.clone())));
            let files = files.with_http_client(http);
            let named = ProfileFileCredentialsProvider::builder().profile_name(profile).configure(&files).build();
            loader = loader.profile_name(profile).credentials_provider(named);
        }
        let mut config = loader.load().await;
        if let Some(role) = &identity.role {
            let role = AssumeRoleProvider::builder(role).session_name("ecomctl").configure(&config).build().await;
            config = config.into_builder().credentials_provider(SharedCredentialsProvider::new(role)).build();
        }
        Self {
            config,
            gate: Gate::default(),
            athena: OnceLock::new(),
            cloudwatch: OnceLock::new(),
            ec2: OnceLock::new(),
            glue: OnceLock::new(),
            iam: OnceLock::new(),
            kafka: OnceLock::new(),
            kms: OnceLock::new(),
            lambda: OnceLock::new(),
            logs: OnceLock::new(),
            rds: OnceLock::new(),
            redshift: OnceLock::new(),
            s3: OnceLock::new(),
            scheduler: OnceLock::new(),
            secrets: OnceLock::new(),
            sns: OnceLock::new(),
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
        scheduler: aws_sdk_scheduler, "EventBridge Scheduler.";
        secrets: aws_sdk_secretsmanager, "Secrets Manager.";
        sns: aws_sdk_sns, "Simple Notification Service.";
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

    /// SQL in Redshift, by its Data API.
    pub fn redshift(&self) -> &redshift::Client {
        self.redshift.get_or_init(|| redshift::Client::new(&self.config, self.gate.clone()))
    }

    /// Key Management Service.
    pub fn kms(&self) -> &kms::Client {
        self.kms.get_or_init(|| kms::Client::new(&self.config, self.gate.clone()))
    }

    /// The networks of the Elastic Compute Cloud.
    pub fn ec2(&self) -> &ec2::Client {
        self.ec2.get_or_init(|| ec2::Client::new(&self.config, self.gate.clone()))
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;
    use crate::client::{Reason, fence::Moment, objects::Only};

    /// Answers every request in the same words, and counts them.
    async fn server() -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let heard = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !request.windows(4).any(|it| it == b"\r\n\r\n") {
                    if stream.read_buf(&mut request).await.expect("a request") == 0 {
                        break;
                    }
                }
                count.fetch_add(1, Ordering::SeqCst);
                let body = "<ListAllMyBucketsResult/>";
                let head = format!("etag: \"v\"\r\nconnection: close\r\ncontent-length: {}", body.len());
                stream.write_all(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}").as_bytes()).await.ok();
            }
        });
        (endpoint, heard)
    }

    #[tokio::test]
    async fn what_the_fence_does_not_let_through_is_not_sent() {
        let (endpoint, heard) = server().await;
        let keys = Some(("a".to_owned(), "b".to_owned()));
        let aws = Aws::connect(&Target { region: "us-east-1".into(), endpoint: Some(endpoint), keys }).await;
        let make = || aws.s3().create_bucket().bucket("things").send();
        make().await.expect("no fence is set");
        let fence = Arc::new(Fence::new(Moment::now(), LONGEST * 2));
        aws.obey(Arc::clone(&fence));
        make().await.expect("the fence is far off");
        assert_eq!(heard.load(Ordering::SeqCst), 2);
        fence.close();
        let refused = super::super::Error::aws("s3", "CreateBucket")(make().await.expect_err("the fence is closed"));
        assert_eq!(refused.reason, Reason::Unavailable, "{refused}");
        assert!(refused.message.contains("was not sent"), "{refused}");
        let catalog = glue::Database { name: "gold".into(), ..glue::Database::default() };
        aws.glue().create_database(&catalog).await.expect_err("the fence is closed");
        assert_eq!(heard.load(Ordering::SeqCst), 2, "nothing was sent");
        aws.s3().list_buckets().send().await.expect("who reads changes nothing");
        let state = aws.objects("states", "team");
        state.put("state.json", b"{}".to_vec(), Only::IfNone).await.expect("the state is what moves the fence");
        assert_eq!(heard.load(Ordering::SeqCst), 4);
    }
}
