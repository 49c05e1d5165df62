//! The objects of one S3 bucket below one prefix: read, written on a condition, listed.
//!
//! Answers that do not say whether a write took effect are errors like any other; whoever writes finds out by reading.

use std::time::Duration;

use aws_sdk_s3::{
    Client,
    config::{Builder, retry::RetryConfig, timeout::TimeoutConfig},
    error::{ProvideErrorMetadata as _, SdkError},
    operation::put_object::PutObjectError,
    primitives::ByteStream,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::{Error, Reason, Result};

/// The longest that one request may take, its retries included.
const DEADLINE: Duration = Duration::from_secs(15);
/// The longest that one attempt may take: these objects are small.
const ATTEMPT: Duration = Duration::from_secs(6);

/// A bucket, and the prefix of the objects of concern, without a slash at either end.
#[derive(Clone, Debug)]
pub struct Objects {
    client: Client,
    bucket: String,
    prefix: String,
}

/// What the object must be for a write to take place.
#[derive(Clone, Copy, Debug)]
pub enum Only<'a> {
    /// There is none.
    IfNone,
    /// It is this version.
    If(&'a str),
}

impl Objects {
    /// Sends no request.
    pub fn new(client: &Client, bucket: &str, prefix: &str) -> Self {
        let (bucket, prefix) = (bucket.to_owned(), prefix.trim_matches('/').to_owned());
        Self { client: client.clone(), bucket, prefix }
    }

    /// Returns where they lie, such as `s3://bucket/prefix`.
    pub fn url(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.prefix)
    }

    /// Returns the bucket's name.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Returns the client and the bucket, for what concerns the bucket as a whole.
    pub(super) fn parts(&self) -> (&Client, &str) {
        (&self.client, &self.bucket)
    }

    fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.prefix)
    }

    /// Reads an object and its version; `None` where there is none.
    ///
    /// # Errors
    /// Says which request failed; also that there is no such bucket.
    pub async fn get(&self, name: &str) -> Result<Option<(Vec<u8>, String)>> {
        let request = self.client.get_object().bucket(&self.bucket).key(self.key(name));
        let answer = match request.customize().config_override(quick()).send().await {
            Ok(it) => it,
            Err(err) if err.code() == Some("NoSuchKey") => return Ok(None),
            Err(err) => return Err(Error::aws("s3", "GetObject")(err)),
        };
        let cut = |why: String| Error::new("s3", "GetObject", Reason::Unavailable, why);
        let version = answer.e_tag.ok_or_else(|| cut("the answer names no version".to_owned()))?;
        let body = answer.body.collect().await.map_err(|err| cut(format!("the answer was cut short: {err}")))?;
        Ok(Some((body.to_vec(), version)))
    }

    /// Writes an object on a condition, and returns its new version; `None` where the condition does not hold, with nothing
    /// written by this request. A request before it whose answer was lost may have written the same.
    ///
    /// # Errors
    /// Says which request failed. Whether it took effect may be unknown.
    pub async fn put(&self, name: &str, bytes: Vec<u8>, only: Only<'_>) -> Result<Option<String>> {
        let request = self.client.put_object().bucket(&self.bucket).key(self.key(name));
        let request = request.content_type("application/json").body(ByteStream::from(bytes));
        let request = match only {
            Only::IfNone => request.if_none_match("*"),
            Only::If(version) => request.if_match(version),
        };
        match request.customize().config_override(quick()).send().await {
            Ok(it) => match it.e_tag {
                Some(it) => Ok(Some(it)),
                None => Err(Error::new("s3", "PutObject", Reason::Unavailable, "the answer names no version")),
            },
            Err(err) if is_conflict(&err) => Ok(None),
            Err(err) => Err(Error::aws("s3", "PutObject")(err)),
        }
    }

    /// Lists what lies in a folder, by the rest of its name, in order.
    ///
    /// # Errors
    /// Says which request failed.
    pub async fn list(&self, folder: &str) -> Result<Vec<String>> {
        let prefix = format!("{}/", self.key(folder));
        let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(&prefix);
        let (mut found, mut token) = (Vec::new(), None);
        loop {
            let request = request.clone().set_continuation_token(token).customize().config_override(quick());
            let page = request.send().await.map_err(Error::aws("s3", "ListObjectsV2"))?;
            let keys = page.contents().iter().filter_map(|it| it.key()?.strip_prefix(&prefix));
            found.extend(keys.map(str::to_owned));
            token = page.next_continuation_token().map(str::to_owned);
            if token.is_none() {
                found.sort();
                return Ok(found);
            }
        }
    }

    /// Removes an object; one that is not there is fine.
    ///
    /// # Errors
    /// Says which request failed.
    pub async fn remove(&self, name: &str) -> Result<()> {
        let request = self.client.delete_object().bucket(&self.bucket).key(self.key(name));
        request.customize().config_override(quick()).send().await.map_err(Error::aws("s3", "DeleteObject"))?;
        Ok(())
    }
}

/// Says whether a write was refused because the object is another than expected, or is being written by somebody else.
/// The codes are those of the user guide's "conditional writes"; that a missing object is no expected one is said by 404.
fn is_conflict(err: &SdkError<PutObjectError, HttpResponse>) -> bool {
    matches!(err.code(), Some("PreconditionFailed" | "ConditionalRequestConflict" | "NoSuchKey"))
}

/// A short-lived hold must not be spent on waiting for one answer.
fn quick() -> Builder {
    let timeouts = TimeoutConfig::builder().operation_timeout(DEADLINE).operation_attempt_timeout(ATTEMPT).build();
    Builder::new().timeout_config(timeouts).retry_config(RetryConfig::standard().with_max_attempts(4))
}
