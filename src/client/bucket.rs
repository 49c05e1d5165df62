//! A bucket as a whole: whether it keeps what is precious safe, and what makes it so.

use aws_sdk_s3::types::{
    BucketLifecycleConfiguration, BucketLocationConstraint, BucketVersioningStatus, CreateBucketConfiguration,
    ExpirationStatus, LifecycleRule, LifecycleRuleFilter, NoncurrentVersionExpiration, PublicAccessBlockConfiguration,
    VersioningConfiguration,
};

use super::{Error, Reason, Result, objects::Objects};

/// How long versions are kept that were written over.
const OLD_VERSIONS_DAYS: i32 = 90;

/// Whether a bucket keeps safe what is in it. S3 encrypts everything by itself since 2023.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Safety {
    /// Whether what is written over or deleted can be brought back.
    pub versioned: bool,
    /// Whether all public access is blocked.
    pub private: bool,
}

impl Objects {
    /// Looks whether the bucket keeps safe what is in it; `None` where there is no such bucket.
    ///
    /// # Errors
    /// Says which request failed.
    pub async fn safety(&self) -> Result<Option<Safety>> {
        let versioning = self.send(|client, bucket, owner| {
            client.get_bucket_versioning().bucket(bucket).set_expected_bucket_owner(owner).send()
        });
        let access = self.send(|client, bucket, owner| {
            client.get_public_access_block().bucket(bucket).set_expected_bucket_owner(owner).send()
        });
        // One after the other: the first finds out where the bucket lies.
        let (versioning, access) = (versioning.await, access.await);
        let versioning = Error::missing_is_none(versioning.map_err(Error::aws("s3", "GetBucketVersioning")))?;
        let Some(versioning) = versioning else { return Ok(None) };
        let access = Error::missing_is_none(access.map_err(Error::aws("s3", "GetPublicAccessBlock")))?;
        let access = access.and_then(|it| it.public_access_block_configuration);
        let private = access.is_some_and(|it| {
            [it.block_public_acls, it.ignore_public_acls, it.block_public_policy, it.restrict_public_buckets]
                == [Some(true); 4]
        });
        Ok(Some(Safety { versioned: versioning.status == Some(BucketVersioningStatus::Enabled), private }))
    }

    /// Makes the bucket where there is none, and says whether it did. Old versions in it end after 90 days.
    ///
    /// # Errors
    /// Says which request failed; also that the name is taken by somebody else.
    pub async fn make_bucket(&self) -> Result<bool> {
        let made = self.send(|client, bucket, _| {
            let region = client.config().region().map_or("us-east-1", AsRef::as_ref);
            // That region's name is the one that the API refuses to take.
            let place = (region != "us-east-1").then(|| {
                let place = BucketLocationConstraint::from(region);
                CreateBucketConfiguration::builder().location_constraint(place).build()
            });
            client.create_bucket().bucket(bucket).set_create_bucket_configuration(place).send()
        });
        match made.await.map_err(Error::aws("s3", "CreateBucket")) {
            Ok(_) => (),
            Err(err) if err.reason == Reason::Exists && err.message.contains("AlreadyOwnedByYou") => return Ok(false),
            Err(err) => return Err(err),
        }
        let invalid = |err: aws_smithy_types::error::operation::BuildError| {
            Error::new("s3", "PutBucketLifecycleConfiguration", Reason::Invalid, err.to_string())
        };
        let old = NoncurrentVersionExpiration::builder().noncurrent_days(OLD_VERSIONS_DAYS).build();
        let rule = LifecycleRule::builder()
            .id("old-versions")
            .status(ExpirationStatus::Enabled)
            .filter(LifecycleRuleFilter::builder().prefix("").build())
            .noncurrent_version_expiration(old)
            .build()
            .map_err(invalid)?;
        let rules = BucketLifecycleConfiguration::builder().rules(rule).build().map_err(invalid)?;
        let put = self.send(|client, bucket, owner| {
            let put = client.put_bucket_lifecycle_configuration().bucket(bucket).set_expected_bucket_owner(owner);
            put.lifecycle_configuration(rules.clone()).send()
        });
        put.await.map_err(Error::aws("s3", "PutBucketLifecycleConfiguration"))?;
        Ok(true)
    }

    /// Blocks public access, and keeps versions. Changes nothing else.
    ///
    /// # Errors
    /// Says which request failed.
    pub async fn secure(&self) -> Result<()> {
        let access = PublicAccessBlockConfiguration::builder()
            .block_public_acls(true)
            .ignore_public_acls(true)
            .block_public_policy(true)
            .restrict_public_buckets(true)
            .build();
        let put = self.send(|client, bucket, owner| {
            let put = client.put_public_access_block().bucket(bucket).set_expected_bucket_owner(owner);
            put.public_access_block_configuration(access.clone()).send()
        });
        put.await.map_err(Error::aws("s3", "PutPublicAccessBlock"))?;
        let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        let put = self.send(|client, bucket, owner| {
            let put = client.put_bucket_versioning().bucket(bucket).set_expected_bucket_owner(owner);
            put.versioning_configuration(on.clone()).send()
        });
        put.await.map_err(Error::aws("s3", "PutBucketVersioning"))?;
        Ok(())
    }
}
