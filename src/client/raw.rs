//! Requests that are written by hand, sent by the SDK's own runtime: signing, retries, timeouts, connections and the fence
//! are those of every other service. For services whose SDK costs more to compile than its few operations are worth.

use aws_config::SdkConfig;
use aws_runtime::{
    auth::{
        SigV4OperationSigningConfig,
        sigv4::{SCHEME_ID, SigV4AuthScheme},
    },
    retries::classifiers::AwsErrorCodeClassifier,
};
use aws_smithy_runtime::client::{
    orchestrator::operation::Operation,
    retries::classifiers::{HttpStatusCodeClassifier, TransientErrorClassifier},
};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        auth::{
            AuthSchemeOptionResolverParams, SharedAuthScheme, SharedAuthSchemeOptionResolver,
            static_resolver::StaticAuthSchemeOptionResolver,
        },
        identity::SharedIdentityResolver,
        orchestrator::{HttpRequest, HttpResponse, OrchestratorError},
        result::SdkError,
        runtime_components::RuntimeComponentsBuilder,
        runtime_plugin::StaticRuntimePlugin,
    },
};
use aws_smithy_types::{
    body::SdkBody,
    config_bag::Layer,
    error::{ErrorMetadata, metadata::ProvideErrorMetadata},
};

use super::{Error, Result, fence::Gate};

/// A service in one region.
#[derive(Debug)]
pub(super) struct Service {
    name: &'static str,
    config: SdkConfig,
    endpoint: String,
    gate: Gate,
}

/// What is sent: always a POST to `/`.
#[derive(Debug)]
pub(super) struct Sent {
    /// What distinguishes the protocol.
    pub(super) headers: Vec<(&'static str, String)>,
    /// The body.
    pub(super) body: String,
}

/// How an answer is read: its body, or the service's refusal.
pub(super) type Read = fn(&HttpResponse) -> std::result::Result<Vec<u8>, OrchestratorError<Refusal>>;

/// Whether the runtime may send a request again by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// As for every other service: doing it twice does no harm.
    Yes,
    /// Never: whoever asked must look first whether it took effect.
    No,
}

/// A refusal, in the service's words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Refusal(ErrorMetadata);

impl Refusal {
    /// Takes over what the service says.
    pub(super) fn new(code: &str, message: &str) -> Self {
        Self(ErrorMetadata::builder().code(code).message(message).build())
    }
}

impl ProvideErrorMetadata for Refusal {
    fn meta(&self) -> &ErrorMetadata {
        &self.0
    }
}

impl Service {
    /// Prepares a client of this service. Sends nothing.
    pub(super) fn new(name: &'static str, config: &SdkConfig, gate: Gate) -> Self {
        let region = config.region().map_or("us-east-1", AsRef::as_ref);
        // The endpoints of the AWS General Reference: China's have a domain of their own.
        let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let own = || format!("https://{name}.{region}.{domain}");
        Self { name, config: config.clone(), endpoint: config.endpoint_url().map_or_else(own, str::to_owned), gate }
    }

    /// Sends a request and returns the body of the answer.
    pub(super) async fn call(&self, operation: &'static str, sent: Sent, read: Read, again: Again) -> Result<Vec<u8>> {
        let answer = self.operation(operation, read, again).invoke(sent).await;
        answer.map_err(|err: SdkError<Refusal, HttpResponse>| Error::aws(self.name, operation)(err))
    }

    /// Describes an operation to the SDK's runtime.
    fn operation(&self, name: &'static str, read: Read, again: Again) -> Operation<Sent, Vec<u8>, Refusal> {
        let mut builder = Operation::builder()
            .service_name(self.name)
            .operation_name(name)
            .endpoint_url(&self.endpoint)
            .runtime_plugin(self.signed())
            .interceptor(self.gate.clone())
            .retry_classifier(TransientErrorClassifier::<Refusal>::new())
            .retry_classifier(AwsErrorCodeClassifier::<Refusal>::new())
            .retry_classifier(HttpStatusCodeClassifier::default())
            .with_connection_poisoning();
        if let Some(http) = self.config.http_client() {
            builder = builder.http_client(http);
        }
        if let Some(version) = self.config.behavior_version() {
            builder = builder.behavior_version(version);
        }
        builder = match (again, self.config.retry_config()) {
            (Again::No, _) => builder.no_retry(),
            (Again::Yes, Some(retry)) => builder.standard_retry(retry),
            (Again::Yes, None) => builder,
        };
        if let Some(timeouts) = self.config.timeout_config() {
            builder = builder.timeout_config(timeouts.clone());
        }
        if let Some(sleep) = self.config.sleep_impl() {
            builder = builder.sleep_impl(sleep);
        }
        builder.serializer(request).deserializer(read).build()
    }

    /// Signs requests with the credentials and for the region of the other services.
    fn signed(&self) -> StaticRuntimePlugin {
        let mut config = Layer::new(self.name);
        config.store_put(AuthSchemeOptionResolverParams::new(()));
        config.store_put(SigV4OperationSigningConfig {
            name: Some(self.name.into()),
            region: self.config.region().cloned().map(Into::into),
            ..SigV4OperationSigningConfig::default()
        });
        let mut components = RuntimeComponentsBuilder::new(self.name);
        let sigv4 = SharedAuthSchemeOptionResolver::new(StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID]));
        components.set_auth_scheme_option_resolver(Some(sigv4));
        components.push_auth_scheme(SharedAuthScheme::new(SigV4AuthScheme::new()));
        components.set_identity_cache(self.config.identity_cache());
        if let Some(credentials) = self.config.credentials_provider() {
            components.set_identity_resolver(SCHEME_ID, SharedIdentityResolver::new(credentials));
        }
        StaticRuntimePlugin::new().with_config(config.freeze()).with_runtime_components(components)
    }
}

fn request(sent: Sent) -> std::result::Result<HttpRequest, BoxError> {
    let mut request = HttpRequest::new(SdkBody::empty());
    request.set_method("POST")?;
    for (name, value) in sent.headers {
        request.headers_mut().insert(name, value);
    }
    request.headers_mut().insert("content-length", sent.body.len().to_string());
    *request.body_mut() = sent.body.into();
    Ok(request)
}
