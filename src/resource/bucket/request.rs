//! The requests of a bucket, one function each. Decides nothing.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use aws_sdk_s3::types::{self, ServerSideEncryption};
use futures::future::{try_join, try_join5};
use serde_json::Value;

use super::{LiveBucket, Rule, arn_of};
use crate::{
    address::Name,
    client::{self, Error, Reason},
    resource::Cx,
};

/// How long a bucket is emptied without a word.
const TURN: Duration = Duration::from_secs(5);

/// Reads a bucket of this account; one of that name in another account is "denied", never "missing".
pub(super) async fn read(cx: &Cx, bucket: &str) -> client::Result<Option<LiveBucket>> {
    let s3 = cx.aws.s3();
    let versioning = async {
        let sent = s3.get_bucket_versioning().bucket(bucket).expected_bucket_owner(&cx.scope.account).send().await;
        Error::missing_is_none(sent.map_err(Error::aws("s3", "GetBucketVersioning")))
    };
    let encryption = async {
        let sent = s3.get_bucket_encryption().bucket(bucket).send().await;
        Error::missing_is_none(sent.map_err(Error::aws("s3", "GetBucketEncryption")))
    };
    let block = async {
        let sent = s3.get_public_access_block().bucket(bucket).send().await;
        Error::missing_is_none(sent.map_err(Error::aws("s3", "GetPublicAccessBlock")))
    };
    let lifecycle = async {
        let sent = s3.get_bucket_lifecycle_configuration().bucket(bucket).send().await;
        Error::missing_is_none(sent.map_err(Error::aws("s3", "GetBucketLifecycleConfiguration")))
    };
    let words = async {
        let policy = async {
            let sent = s3.get_bucket_policy().bucket(bucket).send().await;
            Error::missing_is_none(sent.map_err(Error::aws("s3", "GetBucketPolicy")))
        };
        let tags = async {
            let sent = s3.get_bucket_tagging().bucket(bucket).send().await;
            Error::missing_is_none(sent.map_err(Error::aws("s3", "GetBucketTagging")))
        };
        try_join(policy, tags).await
    };
    let (versioning, encryption, block, lifecycle, (policy, tags)) =
        Box::pin(try_join5(versioning, encryption, block, lifecycle, words)).await?;
    // The other answers are "missing" also when only that part is.
    let Some(versioning) = versioning else { return Ok(None) };
    let rules = lifecycle.iter().flat_map(|it| it.rules());
    let rules = rules.filter(|it| *it.status() == types::ExpirationStatus::Enabled);
    let block = block.and_then(|it| it.public_access_block_configuration);
    Ok(Some(LiveBucket {
        name: bucket.to_owned(),
        arn: arn_of(&cx.scope, bucket),
        versioning: versioning.status() == Some(&types::BucketVersioningStatus::Enabled),
        kms_key: encryption
            .iter()
            .filter_map(|it| it.server_side_encryption_configuration())
            .flat_map(types::ServerSideEncryptionConfiguration::rules)
            .filter_map(|it| it.apply_server_side_encryption_by_default())
            .find_map(|it| it.kms_master_key_id().map(str::to_owned)),
        lifecycle: rules.map(|it| (it.id().unwrap_or_default().to_owned(), Rule::from(it))).collect(),
        public: !block.is_some_and(|it| {
            [it.block_public_acls, it.ignore_public_acls, it.block_public_policy, it.restrict_public_buckets]
                .into_iter()
                .all(|it| it == Some(true))
        }),
        policy: policy.and_then(|it| serde_json::from_str(it.policy()?).ok()),
        tags: tags.iter().flat_map(|it| it.tag_set()).map(|it| (it.key(), it.value())).collect(),
    }))
}

pub(super) async fn create(cx: &Cx, name: &Name) -> client::Result<()> {
    let mut place = types::CreateBucketConfiguration::builder().set_tags(Some(wire(cx.tags(&name.owner))?));
    // The oldest region is the one that must not be named.
    if cx.scope.region != "us-east-1" {
        place = place.location_constraint(cx.scope.region.as_str().into());
    }
    let request = cx.aws.s3().create_bucket().bucket(&name.physical).create_bucket_configuration(place.build());
    request.send().await.map(|_| ()).map_err(Error::aws("s3", "CreateBucket"))
}

pub(super) async fn put_tags(cx: &Cx, bucket: &str, tags: BTreeMap<String, String>) -> client::Result<()> {
    let tags = types::Tagging::builder().set_tag_set(Some(wire(tags)?)).build().map_err(incomplete)?;
    let sent = cx.aws.s3().put_bucket_tagging().bucket(bucket).tagging(tags).send().await;
    sent.map(|_| ()).map_err(Error::aws("s3", "PutBucketTagging"))
}

pub(super) async fn block_public_access(cx: &Cx, bucket: &str) -> client::Result<()> {
    let all = types::PublicAccessBlockConfiguration::builder()
        .block_public_acls(true)
        .ignore_public_acls(true)
        .block_public_policy(true)
        .restrict_public_buckets(true)
        .build();
    let sent = cx.aws.s3().put_public_access_block().bucket(bucket).public_access_block_configuration(all).send().await;
    sent.map(|_| ()).map_err(Error::aws("s3", "PutPublicAccessBlock"))
}

pub(super) async fn put_policy(cx: &Cx, bucket: &str, policy: &Value) -> client::Result<()> {
    let sent = cx.aws.s3().put_bucket_policy().bucket(bucket).policy(policy.to_string()).send().await;
    sent.map(|_| ()).map_err(Error::aws("s3", "PutBucketPolicy"))
}

pub(super) async fn put_versioning(cx: &Cx, bucket: &str, on: bool) -> client::Result<()> {
    let status = if on { types::BucketVersioningStatus::Enabled } else { types::BucketVersioningStatus::Suspended };
    let versioning = types::VersioningConfiguration::builder().status(status).build();
    let sent = cx.aws.s3().put_bucket_versioning().bucket(bucket).versioning_configuration(versioning).send().await;
    sent.map(|_| ()).map_err(Error::aws("s3", "PutBucketVersioning"))
}

/// Encrypts with a KMS key, or with S3's own keys, as every new bucket does.
pub(super) async fn put_encryption(cx: &Cx, bucket: &str, kms_key: Option<&str>) -> client::Result<()> {
    let Some(key) = kms_key else {
        let sent = cx.aws.s3().delete_bucket_encryption().bucket(bucket).send().await;
        return Error::missing_is_done(sent.map_err(Error::aws("s3", "DeleteBucketEncryption")));
    };
    let default = types::ServerSideEncryptionByDefault::builder()
        .sse_algorithm(ServerSideEncryption::AwsKms)
        .kms_master_key_id(key)
        .build()
        .map_err(incomplete)?;
    let rule = types::ServerSideEncryptionRule::builder()
        .apply_server_side_encryption_by_default(default)
        .bucket_key_enabled(true)
        .build();
    let rules = types::ServerSideEncryptionConfiguration::builder().rules(rule).build().map_err(incomplete)?;
    let request = cx.aws.s3().put_bucket_encryption().bucket(bucket).server_side_encryption_configuration(rules);
    request.send().await.map(|_| ()).map_err(Error::aws("s3", "PutBucketEncryption"))
}

pub(super) async fn put_lifecycle(cx: &Cx, bucket: &str, rules: &BTreeMap<String, Rule>) -> client::Result<()> {
    if rules.is_empty() {
        let sent = cx.aws.s3().delete_bucket_lifecycle().bucket(bucket).send().await;
        return Error::missing_is_done(sent.map_err(Error::aws("s3", "DeleteBucketLifecycle")));
    }
    let rules = rules.iter().map(|(id, rule)| rule.to_wire(id)).collect::<client::Result<Vec<_>>>()?;
    let rules = types::BucketLifecycleConfiguration::builder().set_rules(Some(rules)).build().map_err(incomplete)?;
    let request = cx.aws.s3().put_bucket_lifecycle_configuration().bucket(bucket).lifecycle_configuration(rules);
    request.send().await.map(|_| ()).map_err(Error::aws("s3", "PutBucketLifecycleConfiguration"))
}

/// Deletes everything within a bucket, 1000 versions per request, each page while the next one is fetched. After some
/// seconds it says that more is left, so that whoever empties it can be told, or interrupted.
pub(super) async fn empty(cx: &Cx, bucket: &str) -> client::Result<()> {
    let (begun, mut gone) = (Instant::now(), 0);
    let page = async |key: Option<String>, version: Option<String>| {
        let request = cx.aws.s3().list_object_versions().bucket(bucket);
        let sent = request.set_key_marker(key).set_version_id_marker(version).send().await;
        Error::missing_is_none(sent.map_err(Error::aws("s3", "ListObjectVersions")))
    };
    let mut next = page(None, None).await?;
    while let Some(now) = next.take() {
        let versions = now.versions().iter().map(|it| (it.key(), it.version_id()));
        let marks = now.delete_markers().iter().map(|it| (it.key(), it.version_id()));
        let object = |(key, version): (Option<&str>, Option<&str>)| {
            types::ObjectIdentifier::builder()
                .set_key(key.map(str::to_owned))
                .set_version_id(version.map(str::to_owned))
                .build()
        };
        let objects = versions.chain(marks).map(object).collect::<Result<Vec<_>, _>>().map_err(incomplete)?;
        if begun.elapsed() > TURN && !objects.is_empty() {
            let key = objects.first().map(|it| it.key().to_owned()).unwrap_or_default();
            let text = format!("{gone} objects are deleted, and more are left, from `{key}` on");
            return Err(Error::new("s3", "DeleteObjects", Reason::Busy, text));
        }
        gone += objects.len();
        let more = async {
            match now.is_truncated() {
                Some(true) => page(now.next_key_marker.clone(), now.next_version_id_marker.clone()).await,
                _ => Ok(None),
            }
        };
        ((), next) = try_join(delete_objects(cx, bucket, objects), more).await?;
    }
    Ok(())
}

async fn delete_objects(cx: &Cx, bucket: &str, objects: Vec<types::ObjectIdentifier>) -> client::Result<()> {
    if objects.is_empty() {
        return Ok(());
    }
    let batch = types::Delete::builder().set_objects(Some(objects)).quiet(true).build().map_err(incomplete)?;
    let sent = cx.aws.s3().delete_objects().bucket(bucket).delete(batch).send().await;
    let done = sent.map_err(Error::aws("s3", "DeleteObjects"))?;
    match done.errors().first() {
        None => Ok(()),
        Some(it) => {
            let (key, why) = (it.key().unwrap_or_default(), it.message().or(it.code()).unwrap_or("no reason given"));
            let text = format!("{} objects are left, such as `{key}`: {why}", done.errors().len());
            let reason = if it.code() == Some("AccessDenied") { Reason::Denied } else { Reason::Other };
            Err(Error::new("s3", "DeleteObjects", reason, text))
        }
    }
}

fn wire(tags: BTreeMap<String, String>) -> client::Result<Vec<types::Tag>> {
    let tag = |(key, value)| types::Tag::builder().key(key).value(value).build().map_err(incomplete);
    tags.into_iter().map(tag).collect()
}

/// Describes a request that lacks what S3 demands. All of them are built whole, so none is ever seen.
#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` takes")]
pub(super) fn incomplete(err: aws_smithy_types::error::operation::BuildError) -> Error {
    Error::new("s3", "build", Reason::Invalid, err.to_string())
}
