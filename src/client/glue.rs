//! A client for the few operations of AWS Glue's Data Catalog that are used here.
//!
//! The SDK's own crate has over 250 operations and takes longer to compile than everything else here together, for ten
//! that are needed. So requests and answers are declared here, as the AWS Glue API reference has them; signing, retries,
//! timeouts and connections are the SDK's own runtime's, as for every other service. Reads catalogs and tables; no policy.

use std::{borrow::Cow, collections::BTreeMap};

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
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{Error, Reason, Result, fence::Gate};

/// A client for Glue.
#[derive(Debug)]
pub struct Client {
    config: SdkConfig,
    endpoint: String,
    gate: Gate,
}

/// A database, as `GetDatabases` answers and `CreateDatabase` takes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Database {
    /// Its name: small letters, digits and underscores.
    pub name: String,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where new tables lie unless they say otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location_uri: Option<String>,
    /// Free properties.
    #[serde(deserialize_with = "or_default")]
    pub parameters: BTreeMap<String, String>,
}

/// A table, as `GetTable` answers and `CreateTable` takes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Table {
    /// Its name within its database.
    pub name: String,
    /// What it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `EXTERNAL_TABLE`, or `VIRTUAL_VIEW`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table_type: Option<String>,
    /// Free properties; engines tell the format by them.
    #[serde(deserialize_with = "or_default")]
    pub parameters: BTreeMap<String, String>,
    /// Where and how the data lies.
    #[serde(deserialize_with = "or_default")]
    pub storage_descriptor: Storage,
    /// The columns by which it is partitioned. Athena needs the list even when it is empty.
    #[serde(deserialize_with = "or_default")]
    pub partition_keys: Vec<Column>,
}

/// Where and how a table's data lies: Glue's `StorageDescriptor`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Storage {
    /// The columns, those of partitions excepted.
    #[serde(deserialize_with = "or_default")]
    pub columns: Vec<Column>,
    /// The folder, as `s3://bucket/prefix/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// The Java class that reads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_format: Option<String>,
    /// The Java class that writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_format: Option<String>,
    /// How rows are read from it.
    #[serde(deserialize_with = "or_default")]
    pub serde_info: Rows,
}

/// How rows are read: Glue's `SerDeInfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Rows {
    /// The Java class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serialization_library: Option<String>,
    /// Its properties.
    #[serde(deserialize_with = "or_default")]
    pub parameters: BTreeMap<String, String>,
}

/// A column of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, in Hive's spelling.
    #[serde(rename = "Type")]
    pub kind: String,
    /// What it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// Reads `null` as nothing: what was never set is sometimes left out and sometimes null.
fn or_default<'de, D: serde::Deserializer<'de>, T: Default + Deserialize<'de>>(
    d: D,
) -> std::result::Result<T, D::Error> {
    Ok(Option::deserialize(d)?.unwrap_or_default())
}

/// A refusal, as services that speak AWS's JSON protocol word it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refusal(ErrorMetadata);

impl ProvideErrorMetadata for Refusal {
    fn meta(&self) -> &ErrorMetadata {
        &self.0
    }
}

impl Client {
    /// Prepares a client. Sends nothing.
    pub fn new(config: &SdkConfig, gate: Gate) -> Self {
        let region = config.region().map_or("us-east-1", AsRef::as_ref);
        // The endpoints of the AWS General Reference: China's have a domain of their own.
        let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let own = || format!("https://glue.{region}.{domain}");
        Self { config: config.clone(), endpoint: config.endpoint_url().map_or_else(own, str::to_owned), gate }
    }

    /// Lists all databases.
    pub async fn databases(&self) -> Result<Vec<Database>> {
        self.pages("GetDatabases", "DatabaseList", json!({ "MaxResults": 100 })).await
    }

    /// Makes a database.
    pub async fn create_database(&self, database: &Database) -> Result<()> {
        self.done("CreateDatabase", json!({ "DatabaseInput": database })).await
    }

    /// Replaces what is said of a database.
    pub async fn update_database(&self, database: &Database) -> Result<()> {
        self.done("UpdateDatabase", json!({ "Name": database.name, "DatabaseInput": database })).await
    }

    /// Deletes a database, and what is said of its tables; never their data.
    pub async fn delete_database(&self, name: &str) -> Result<()> {
        self.done("DeleteDatabase", json!({ "Name": name })).await
    }

    /// Lists the tables of a database.
    pub async fn tables(&self, database: &str) -> Result<Vec<Table>> {
        self.pages("GetTables", "TableList", json!({ "DatabaseName": database, "MaxResults": 100 })).await
    }

    /// Makes a table in a database.
    pub async fn create_table(&self, database: &str, table: &Table) -> Result<()> {
        self.done("CreateTable", json!({ "DatabaseName": database, "TableInput": table })).await
    }

    /// Replaces what is said of a table.
    pub async fn update_table(&self, database: &str, table: &Table) -> Result<()> {
        self.done("UpdateTable", json!({ "DatabaseName": database, "TableInput": table })).await
    }

    /// Deletes what is said of a table; never its data.
    pub async fn delete_table(&self, database: &str, name: &str) -> Result<()> {
        self.done("DeleteTable", json!({ "DatabaseName": database, "Name": name })).await
    }

    async fn done(&self, operation: &'static str, input: Value) -> Result<()> {
        self.call::<Value>(operation, input).await.map(drop)
    }

    /// Asks for page after page of a list.
    async fn pages<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        list: &'static str,
        mut input: Value,
    ) -> Result<Vec<T>> {
        let mut all = Vec::new();
        loop {
            let mut page: Value = self.call(operation, input.clone()).await?;
            let list: Vec<T> = serde_json::from_value(page[list].take()).map_err(unreadable(operation))?;
            all.extend(list);
            match page["NextToken"].take() {
                Value::String(next) if !next.is_empty() => input["NextToken"] = next.into(),
                _ => return Ok(all),
            }
        }
    }

    async fn call<O: DeserializeOwned>(&self, operation: &'static str, input: Value) -> Result<O> {
        let sent = self.operation(operation).invoke(input).await;
        let answer = sent.map_err(|err: SdkError<Refusal, HttpResponse>| Error::aws("glue", operation)(err))?;
        serde_json::from_value(answer).map_err(unreadable(operation))
    }

    /// Describes an operation to the SDK's runtime.
    fn operation(&self, name: &'static str) -> Operation<Value, Value, Refusal> {
        let mut builder = Operation::builder()
            .service_name("glue")
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
        if let Some(retry) = self.config.retry_config() {
            builder = builder.standard_retry(retry);
        }
        if let Some(timeouts) = self.config.timeout_config() {
            builder = builder.timeout_config(timeouts.clone());
        }
        if let Some(sleep) = self.config.sleep_impl() {
            builder = builder.sleep_impl(sleep);
        }
        builder.serializer(move |input| request(name, &input)).deserializer(response).build()
    }

    /// Signs requests with the credentials and for the region of the other services.
    fn signed(&self) -> StaticRuntimePlugin {
        let mut config = Layer::new("glue");
        config.store_put(AuthSchemeOptionResolverParams::new(()));
        config.store_put(SigV4OperationSigningConfig {
            name: Some("glue".into()),
            region: self.config.region().cloned().map(Into::into),
            ..SigV4OperationSigningConfig::default()
        });
        let mut components = RuntimeComponentsBuilder::new("glue");
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

fn unreadable(operation: &'static str) -> impl Fn(serde_json::Error) -> Error {
    move |err| Error::new("glue", operation, Reason::Other, format!("the answer cannot be read: {err}"))
}

fn request(operation: &str, input: &Value) -> std::result::Result<HttpRequest, BoxError> {
    let body = input.to_string();
    let mut request = HttpRequest::new(SdkBody::empty());
    request.set_method("POST")?;
    request.headers_mut().insert("content-type", "application/x-amz-json-1.1");
    request.headers_mut().insert("x-amz-target", format!("AWSGlue.{operation}"));
    request.headers_mut().insert("content-length", body.len().to_string());
    *request.body_mut() = body.into();
    Ok(request)
}

fn response(response: &HttpResponse) -> std::result::Result<Value, OrchestratorError<Refusal>> {
    let body = response.body().bytes().unwrap_or_default();
    if response.status().is_success() {
        let empty = body.is_empty().then(|| json!({}));
        return empty.map_or_else(|| serde_json::from_slice(body).map_err(OrchestratorError::other), Ok);
    }
    let said: Value = serde_json::from_slice(body).unwrap_or_default();
    let header = response.headers().get("x-amzn-errortype");
    let code = header.or_else(|| said["__type"].as_str().or_else(|| said["code"].as_str()));
    let message = said["message"].as_str().or_else(|| said["Message"].as_str());
    let mut refusal = ErrorMetadata::builder();
    refusal = refusal.code(code.map(plain).unwrap_or_default());
    refusal = refusal.message(message.map_or_else(|| String::from_utf8_lossy(body), Cow::Borrowed));
    Err(OrchestratorError::operation(Refusal(refusal.build())))
}

/// Takes the name of an error out of `prefix#Name:http://…`, as AWS's JSON protocol allows it to come.
fn plain(code: &str) -> &str {
    let code = code.split(':').next().unwrap_or(code);
    code.rsplit('#').next().unwrap_or(code)
}

#[cfg(test)]
mod tests {
    use aws_smithy_runtime_api::http::StatusCode;

    use super::*;

    #[test]
    fn an_errors_name_is_found_wherever_it_stands() {
        let answer = |body: &str, header: Option<&str>| {
            let status = StatusCode::try_from(400).expect("a status");
            let mut it = HttpResponse::new(status, SdkBody::from(body));
            if let Some(header) = header {
                it.headers_mut().insert("x-amzn-errortype", header.to_owned());
            }
            let err = response(&it).expect_err("a refusal");
            let Refusal(meta) = err.as_operation_error().expect("the service's own");
            (meta.code().unwrap_or_default().to_owned(), meta.message().unwrap_or_default().to_owned())
        };
        let missing = ("EntityNotFoundException".to_owned(), "no such table".to_owned());
        let body = r#"{"__type": "com.amazonaws.glue#EntityNotFoundException", "Message": "no such table"}"#;
        assert_eq!(answer(body, None), missing);
        let header = "EntityNotFoundException:http://internal.amazon.com/coral/";
        assert_eq!(answer(r#"{"message": "no such table"}"#, Some(header)), missing);
        assert_eq!(answer("<html>", None), (String::new(), "<html>".to_owned()));
    }

    #[test]
    fn nothing_and_null_are_the_same() {
        let table: Table = serde_json::from_value(json!({ "Name": "t", "Parameters": null })).expect("a table");
        assert_eq!(table, Table { name: "t".into(), ..Table::default() });
        let written = serde_json::to_value(&table).expect("JSON");
        assert_eq!(written["PartitionKeys"], json!([]), "Athena needs the list");
        assert!(written.get("Description").is_none());
    }
}
