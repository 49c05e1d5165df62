//! A client for the few operations of AWS's Key Management Service that are used here: those that make and describe keys.
//! It never encrypts or decrypts. Requests and answers are declared as the KMS API reference has them; the rest is
//! [`super::json`]'s. No policy.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    Result,
    fence::Gate,
    json::{Json, or_default},
    raw::Again,
};

/// A client for KMS.
#[derive(Debug)]
pub struct Client(Json);

/// A key, as `DescribeKey` answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Key {
    /// Its identifier within account and region.
    #[serde(rename = "KeyId")]
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// What it is for; empty for nothing.
    #[serde(deserialize_with = "or_default")]
    pub description: String,
    /// `Enabled`, `Disabled`, `PendingDeletion`, and so on.
    #[serde(rename = "KeyState")]
    pub state: String,
}

/// A name of a key, as `ListAliases` answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Alias {
    /// The name, beginning with `alias/`.
    #[serde(rename = "AliasName")]
    pub name: String,
    /// The identifier of the key that it stands for. AWS's own names stand for none before they are used.
    #[serde(rename = "TargetKeyId")]
    pub key: Option<String>,
}

/// How a key is replaced by itself, as `GetKeyRotationStatus` answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Rotation {
    /// Whether it is.
    #[serde(rename = "KeyRotationEnabled")]
    pub enabled: bool,
    /// How often, in days.
    #[serde(rename = "RotationPeriodInDays")]
    pub days: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    tag_key: String,
    #[serde(deserialize_with = "or_default")]
    tag_value: String,
}

impl Client {
    /// Prepares a client. Sends nothing.
    pub fn new(config: &SdkConfig, gate: Gate) -> Self {
        Self(Json::new("kms", "TrentService", config, gate))
    }

    /// Lists the names of all keys.
    pub async fn aliases(&self) -> Result<Vec<Alias>> {
        self.pages("ListAliases", "Aliases", json!({ "Limit": 100 })).await
    }

    /// Lists the identifiers of all keys.
    pub async fn keys(&self) -> Result<Vec<String>> {
        let keys: Vec<Value> = self.pages("ListKeys", "Keys", json!({ "Limit": 1000 })).await?;
        Ok(keys.iter().filter_map(|it| it["KeyId"].as_str().map(str::to_owned)).collect())
    }

    /// Describes a key.
    pub async fn describe(&self, key: &str) -> Result<Key> {
        let answer: Value = self.call("DescribeKey", json!({ "KeyId": key })).await?;
        serde_json::from_value(answer["KeyMetadata"].clone()).map_err(|err| self.0.unreadable("DescribeKey", &err))
    }

    /// Returns the tags of a key.
    pub async fn tags(&self, key: &str) -> Result<BTreeMap<String, String>> {
        let tags: Vec<Tag> = self.pages("ListResourceTags", "Tags", json!({ "KeyId": key, "Limit": 50 })).await?;
        Ok(tags.into_iter().map(|it| (it.tag_key, it.tag_value)).collect())
    }

    /// Returns who may do what with a key.
    pub async fn policy(&self, key: &str) -> Result<Option<Value>> {
        let answer: Value = self.call("GetKeyPolicy", json!({ "KeyId": key, "PolicyName": "default" })).await?;
        Ok(answer["Policy"].as_str().and_then(|it| serde_json::from_str(it).ok()))
    }

    /// Returns how a key is replaced by itself.
    pub async fn rotation(&self, key: &str) -> Result<Rotation> {
        self.call("GetKeyRotationStatus", json!({ "KeyId": key })).await
    }

    /// Makes a key that encrypts and decrypts, and returns it. A lost answer is never sent again: there would be two.
    pub async fn create(&self, description: &str, policy: &Value, tags: &BTreeMap<String, String>) -> Result<Key> {
        let input = json!({ "Description": description, "Policy": policy.to_string(), "Tags": wire(tags) });
        let answer: Value = self.0.call("CreateKey", &input, Again::No).await?;
        serde_json::from_value(answer["KeyMetadata"].clone()).map_err(|err| self.0.unreadable("CreateKey", &err))
    }

    /// Gives a key a name, which begins with `alias/`.
    pub async fn name(&self, key: &str, alias: &str) -> Result<()> {
        self.done("CreateAlias", json!({ "AliasName": alias, "TargetKeyId": key })).await
    }

    /// Has a key replaced by itself every so many days; what is encrypted stays readable.
    pub async fn rotate(&self, key: &str, days: u64) -> Result<()> {
        self.done("EnableKeyRotation", json!({ "KeyId": key, "RotationPeriodInDays": days })).await
    }

    /// Says what a key is for.
    pub async fn put_description(&self, key: &str, description: &str) -> Result<()> {
        self.done("UpdateKeyDescription", json!({ "KeyId": key, "Description": description })).await
    }

    /// Replaces who may do what with a key.
    pub async fn put_policy(&self, key: &str, policy: &Value) -> Result<()> {
        let input = json!({ "KeyId": key, "PolicyName": "default", "Policy": policy.to_string() });
        self.done("PutKeyPolicy", input).await
    }

    /// Adds tags, or replaces their values.
    pub async fn put_tags(&self, key: &str, tags: &BTreeMap<String, String>) -> Result<()> {
        self.done("TagResource", json!({ "KeyId": key, "Tags": wire(tags) })).await
    }

    /// Takes tags away.
    pub async fn take_tags(&self, key: &str, tags: &[String]) -> Result<()> {
        self.done("UntagResource", json!({ "KeyId": key, "TagKeys": tags })).await
    }

    /// Lets a key work again that was switched off.
    pub async fn enable(&self, key: &str) -> Result<()> {
        self.done("EnableKey", json!({ "KeyId": key })).await
    }

    /// Has a key deleted in so many days, 7 to 30; from now on it neither encrypts nor decrypts.
    pub async fn schedule_deletion(&self, key: &str, days: u64) -> Result<()> {
        self.done("ScheduleKeyDeletion", json!({ "KeyId": key, "PendingWindowInDays": days })).await
    }

    /// Keeps a key that was to be deleted; it is switched off then.
    pub async fn cancel_deletion(&self, key: &str) -> Result<()> {
        self.done("CancelKeyDeletion", json!({ "KeyId": key })).await
    }

    async fn done(&self, operation: &'static str, input: Value) -> Result<()> {
        self.call::<Value>(operation, input).await.map(drop)
    }

    async fn pages<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        list: &'static str,
        input: Value,
    ) -> Result<Vec<T>> {
        self.0.pages(operation, input, list, ("NextMarker", "Marker")).await
    }

    async fn call<O: DeserializeOwned>(&self, operation: &'static str, input: Value) -> Result<O> {
        self.0.call(operation, &input, Again::Yes).await
    }
}

fn wire(tags: &BTreeMap<String, String>) -> Value {
    tags.iter().map(|(key, it)| json!({ "TagKey": key, "TagValue": it })).collect()
}
