//! An S3 bucket: encrypted, never public, over TLS only.

use std::collections::BTreeMap;

use aws_sdk_s3::types;
use futures::future::try_join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Change, Cx, Desired, Field, Flaw, Identity, Key, Outputs, Resource, Result, Scope, Tags, key,
    policy::{is_tls_only, with_tls_only},
    touched,
};
use crate::{
    address::{Name, Ref},
    client::{self, Error},
    quantity::Span,
};

mod request;

/// An S3 bucket. It is named `<stack>-<name>-<account>`, blocks all public access, and refuses requests without TLS.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bucket {
    /// Whether overwritten and deleted objects are kept as versions. Default: `true`.
    #[serde(default = "yes")]
    pub versioning: bool,
    /// The ARN of the KMS key that encrypts objects. Default: keys that S3 manages (AES-256).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key: Option<String>,
    /// The key of this stack that encrypts objects, by way of a key for the bucket that S3 derives, so that few requests reach KMS. Instead of `kms_key`. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Ref<Key>>,
    /// When objects expire, by the rule's name.
    #[serde(default)]
    pub lifecycle: BTreeMap<String, Rule>,
}

/// A rule by which S3 deletes objects. All spans are whole days.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The beginning of the keys that the rule is for. Default: all keys.
    #[serde(default)]
    pub prefix: String,
    /// How long objects are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expire_after: Option<Span>,
    /// How long versions are kept that were overwritten or deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expire_noncurrent_after: Option<Span>,
    /// How long uploads are kept that were begun and never completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort_uploads_after: Option<Span>,
}

/// A bucket as S3 has it.
#[derive(Debug)]
pub struct LiveBucket {
    name: String,
    arn: String,
    versioning: bool,
    kms_key: Option<String>,
    lifecycle: BTreeMap<String, Rule>,
    /// Whether any of the four public access blocks is off.
    public: bool,
    policy: Option<Value>,
    tags: Tags,
}

impl LiveBucket {
    /// The ARN, which event source mappings and policies take.
    pub fn arn(&self) -> &str {
        &self.arn
    }
}

const fn yes() -> bool {
    true
}

impl Resource for Bucket {
    const FIELDS: &'static [(&'static str, Field)] = &[("tags", Field::Defaulted)];
    const DATA_BEARING: bool = true;
    const OVERWRITES: bool = true;
    const TAGGED_LATE: bool = true;
    const OUTPUTS: &'static [&'static str] = &["arn", "name", "url", "key_arn"];
    type Live = LiveBucket;

    fn physical_name(&self, scope: &Scope, name: &str) -> String {
        name_in(scope, name)
    }

    fn check(&self) -> Vec<Flaw> {
        let mut flaws: Vec<Flaw> = key::flaw(self.key.as_ref(), self.kms_key.as_ref()).into_iter().collect();
        for (id, rule) in &self.lifecycle {
            let spans = [
                ("expire_after", rule.expire_after),
                ("expire_noncurrent_after", rule.expire_noncurrent_after),
                ("abort_uploads_after", rule.abort_uploads_after),
            ];
            if spans.iter().all(|it| it.1.is_none()) {
                let flaw = Flaw::new(format!("/lifecycle/{id}"), "this rule deletes nothing");
                flaws.push(flaw.help("say `expire_after`, `expire_noncurrent_after` or `abort_uploads_after`"));
            }
            for (field, span) in spans.into_iter().filter_map(|(field, span)| Some((field, span?))) {
                if span.as_days() == 0 || span != Span::seconds(span.as_days() * 86_400) {
                    let flaw = Flaw::new(format!("/lifecycle/{id}/{field}"), format!("{span} is not whole days"));
                    flaws.push(flaw.help("S3 looks once a day: write `1d` or more"));
                }
            }
        }
        flaws
    }

    fn check_name(physical: &str) -> Vec<Flaw> {
        let fits = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-';
        if (3..=63).contains(&physical.len()) && physical.chars().all(fits) {
            return Vec::new();
        }
        let flaw = Flaw::new("", format!("`{physical}` is no name for a bucket"));
        vec![flaw.help("S3 allows 3 to 63 characters: small letters, digits and hyphens")]
    }

    fn desired(&self, cx: &Cx) -> Result<Desired> {
        let desired = Desired::of(self).tagged(cx).with("public", false).with("tls_only", true);
        key::named(desired, "kms_key", cx, self.key.as_ref())
    }

    async fn read(cx: &Cx, names: &[Name]) -> Result<Vec<Option<LiveBucket>>> {
        Ok(try_join_all(names.iter().map(|it| request::read(cx, &it.physical))).await?)
    }

    async fn candidates(cx: &Cx) -> Result<Vec<String>> {
        let listed = cx.aws.s3().list_buckets().into_paginator().items().send();
        let listed: Vec<_> = listed.try_collect().await.map_err(Error::aws("s3", "ListBuckets"))?;
        let names = listed.iter().filter_map(|it| it.name());
        Ok(names.filter(|it| cx.scope.may_have(it)).map(str::to_owned).collect())
    }

    fn observed(live: &LiveBucket) -> Value {
        json!({
            "versioning": live.versioning,
            "kms_key": live.kms_key,
            "lifecycle": live.lifecycle,
            "public": live.public,
            "tls_only": is_tls_only(live.policy.as_ref(), &live.arn),
            "tags": live.tags.observed(),
        })
    }

    fn identity(live: &LiveBucket) -> Identity {
        Identity { id: Some(live.arn.clone()), ownership: live.tags.ownership() }
    }

    fn outputs(live: &LiveBucket) -> Outputs {
        let url = format!("s3://{}", live.name);
        let parts = [("arn", live.arn.clone()), ("name", live.name.clone()), ("url", url)];
        // Who reads and writes needs permission for it, too.
        parts.into_iter().chain(live.kms_key.clone().map(|it| ("key_arn", it))).collect()
    }

    async fn create(&self, cx: &Cx, name: &Name) -> Result<()> {
        let (bucket, key) = (&name.physical, key::arn(cx, self.key.as_ref(), self.kms_key.as_ref())?);
        request::create(cx, name).await?;
        // Until it is tagged it is nobody's: nothing else may come first, so that what is missing shows afterwards.
        request::put_tags(cx, bucket, cx.tags(&name.owner)).await?;
        let arn = arn_of(&cx.scope, bucket);
        let closed = async {
            // S3 refuses a policy and an access block that are set at the same moment.
            request::block_public_access(cx, bucket).await?;
            request::put_policy(cx, bucket, &with_tls_only(None, &arn)).await
        };
        let kept = async {
            if self.versioning {
                request::put_versioning(cx, bucket, true).await?;
            }
            if !self.lifecycle.is_empty() {
                request::put_lifecycle(cx, bucket, &self.lifecycle).await?;
            }
            match &key {
                Some(key) => request::put_encryption(cx, bucket, Some(key)).await,
                None => Ok(()),
            }
        };
        futures::future::try_join(closed, kept).await?;
        Ok(())
    }

    async fn update(&self, cx: &Cx, name: &Name, live: &LiveBucket, changes: &[Change]) -> Result<()> {
        let touched = touched(changes);
        let bucket = &name.physical;
        if touched.contains("tags") || live.tags.ownership() != super::Ownership::Tagged(name.owner.clone()) {
            request::put_tags(cx, bucket, live.tags.after(cx, name, changes)).await?;
        }
        if touched.contains("public") {
            request::block_public_access(cx, bucket).await?;
        }
        if touched.contains("tls_only") {
            request::put_policy(cx, bucket, &with_tls_only(live.policy.as_ref(), &live.arn)).await?;
        }
        if touched.contains("versioning") {
            request::put_versioning(cx, bucket, self.versioning).await?;
        }
        if touched.contains("kms_key") {
            let key = key::arn(cx, self.key.as_ref(), self.kms_key.as_ref())?;
            request::put_encryption(cx, bucket, key.as_deref()).await?;
        }
        if touched.contains("lifecycle") {
            request::put_lifecycle(cx, bucket, &self.lifecycle).await?;
        }
        Ok(())
    }

    /// Deletes every object and every version of it first: S3 deletes empty buckets only.
    async fn delete(cx: &Cx, name: &Name, _live: &LiveBucket) -> Result<()> {
        request::empty(cx, &name.physical).await?;
        let sent = cx.aws.s3().delete_bucket().bucket(&name.physical).send().await;
        Ok(Error::missing_is_done(sent.map_err(Error::aws("s3", "DeleteBucket")))?)
    }
}

/// Returns the physical name of a bucket of this stack: bucket names are unique among all AWS accounts.
pub(super) fn name_in(scope: &Scope, name: &str) -> String {
    format!("{}-{}", scope.physical(name), scope.account)
}

fn arn_of(scope: &Scope, bucket: &str) -> String {
    format!("arn:{}:s3:::{bucket}", scope.partition())
}

impl From<&types::LifecycleRule> for Rule {
    fn from(rule: &types::LifecycleRule) -> Self {
        let days = |days: Option<i32>| {
            let days = days.and_then(|it| u64::try_from(it).ok()).filter(|it| *it > 0)?;
            Some(Span::seconds(days * 86_400))
        };
        Self {
            prefix: rule.filter().and_then(|it| it.prefix()).unwrap_or_default().to_owned(),
            expire_after: days(rule.expiration().and_then(|it| it.days())),
            expire_noncurrent_after: days(rule.noncurrent_version_expiration().and_then(|it| it.noncurrent_days())),
            abort_uploads_after: days(
                rule.abort_incomplete_multipart_upload().and_then(|it| it.days_after_initiation()),
            ),
        }
    }
}

impl Rule {
    fn to_wire(&self, id: &str) -> client::Result<types::LifecycleRule> {
        let days = |span: Span| i32::try_from(span.as_days()).unwrap_or(i32::MAX);
        let expiration = |it| types::LifecycleExpiration::builder().days(days(it)).build();
        let noncurrent = |it| types::NoncurrentVersionExpiration::builder().noncurrent_days(days(it)).build();
        let uploads = |it| types::AbortIncompleteMultipartUpload::builder().days_after_initiation(days(it)).build();
        let rule = types::LifecycleRule::builder()
            .id(id)
            .status(types::ExpirationStatus::Enabled)
            .filter(types::LifecycleRuleFilter::builder().prefix(&self.prefix).build())
            .set_expiration(self.expire_after.map(expiration))
            .set_noncurrent_version_expiration(self.expire_noncurrent_after.map(noncurrent))
            .set_abort_incomplete_multipart_upload(self.abort_uploads_after.map(uploads));
        rule.build().map_err(request::incomplete)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(value: Value) -> Bucket {
        serde_json::from_value(value).expect("a spec")
    }

    #[test]
    fn rules_survive_the_wire() {
        let bucket = spec(json!({ "lifecycle": {
            "all": { "expire_after": "30d", "expire_noncurrent_after": "7d", "abort_uploads_after": "1d" },
            "part": { "prefix": "raw/", "expire_after": "1d" },
        } }));
        for (id, rule) in &bucket.lifecycle {
            assert_eq!(Rule::from(&rule.to_wire(id).expect("a whole rule")), *rule);
        }
    }

    #[test]
    fn rules_that_s3_would_refuse() {
        let flaws = spec(json!({ "lifecycle": { "a": {}, "b": { "expire_after": "36h" } } })).check();
        assert_eq!(
            flaws.iter().map(|it| it.at.as_str()).collect::<Vec<_>>(),
            ["/lifecycle/a", "/lifecycle/b/expire_after"]
        );
    }

    #[test]
    fn names() {
        let scope = Scope { stack: "pr_7".into(), account: "123456789012".into(), region: "eu-west-1".into() };
        assert_eq!(name_in(&scope, "lake"), "pr-7-lake-123456789012");
        assert_eq!(Bucket::check_name("pr-7-lake-123456789012"), []);
        assert_eq!(Bucket::check_name("Upper").len(), 1);
        assert_eq!(Bucket::check_name(&"x".repeat(64)).len(), 1);
    }
}
