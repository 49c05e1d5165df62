//! The objects of one S3 bucket below one prefix: read, written on a condition, listed.
//!
//! Answers that do not say whether a write took effect are errors like any other; whoever writes finds out by reading.

use std::{
    future::Future,
    sync::{Arc, OnceLock},
    time::Duration,
};

use aws_sdk_s3::{
    Client,
    config::{Builder, Region, retry::RetryConfig, timeout::TimeoutConfig},
    error::{ProvideErrorMetadata, SdkError},
    operation::put_object::PutObjectError,
    primitives::ByteStream,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::{Error, Reason, patience};

/// The longest that one request may take, its retries included.
const DEADLINE: Duration = Duration::from_secs(15);
/// The longest that one attempt may take: these objects are small.
const ATTEMPT: Duration = Duration::from_secs(6);

/// A bucket, and the prefix of the objects of concern, without a slash at either end.
#[derive(Clone, Debug)]
pub struct Objects {
    client: Client,
    /// The client of the region that the bucket turned out to lie in.
    moved: Arc<OnceLock<Client>>,
    bucket: String,
    prefix: String,
    owner: Option<String>,
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
        Self { client: client.clone(), moved: Arc::default(), bucket, prefix, owner: None }
    }

    /// Has S3 refuse every request where the bucket belongs to another account than this one.
    #[must_use]
    pub fn owned_by(self, account: Option<&str>) -> Self {
        Self { owner: account.map(str::to_owned), ..self }
    }

    /// The account that the bucket must belong to, where one is said.
    pub fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    /// Returns where they lie, such as `s3://bucket/prefix`.
    pub fn url(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.prefix)
    }

    /// Returns the bucket's name.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Returns the client of the region that the bucket lies in, as far as that is known.
    fn client(&self) -> &Client {
        self.moved.get().unwrap_or(&self.client)
    }

    /// Sends a request, made of a client, the bucket and its owner; once more where S3 says that the bucket lies in another
    /// region.
    pub(super) async fn send<T, E, F>(
        &self,
        request: impl Fn(Client, String, Option<String>) -> F,
    ) -> Result<T, SdkError<E, HttpResponse>>
    where
        E: ProvideErrorMetadata,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let sent = || request(self.client().clone(), self.bucket.clone(), self.owner.clone());
        match sent().await {
            Err(err) if self.follow(&err) => sent().await,
            answer => answer,
        }
    }

    /// Turns to the region that an answer names, and says whether that is another. The header comes with most answers; the
    /// words with those to what was signed for the wrong region.
    fn follow<E: ProvideErrorMetadata>(&self, err: &SdkError<E, HttpResponse>) -> bool {
        let header = err.raw_response().and_then(|it| it.headers().get("x-amz-bucket-region"));
        let wrong = err.code() == Some("AuthorizationHeaderMalformed");
        let words = err.message().filter(|_| wrong).and_then(|it| it.split("expecting '").nth(1)?.split('\'').next());
        let config = self.client().config();
        let Some(region) = header.or(words).filter(|it| config.region().is_none_or(|own| own.as_ref() != *it)) else {
            return false;
        };
        let config = config.to_builder().region(Region::new(region.to_owned())).build();
        self.moved.set(Client::from_conf(config)).is_ok()
    }

    fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.prefix)
    }

    /// Reads an object and its version; `None` where there is none.
    ///
    /// # Errors
    /// Says which request failed; also that there is no such bucket.
    pub async fn get(&self, name: &str) -> super::Result<Option<(Vec<u8>, String)>> {
        let sent = self.send(|client, bucket, owner| {
            let request = client.get_object().bucket(bucket).set_expected_bucket_owner(owner).key(self.key(name));
            request.customize().config_override(quick()).send()
        });
        let answer = match sent.await {
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
    pub async fn put(&self, name: &str, bytes: Vec<u8>, only: Only<'_>) -> super::Result<Option<String>> {
        let sent = self.send(|client, bucket, owner| {
            let request = client.put_object().bucket(bucket).set_expected_bucket_owner(owner).key(self.key(name));
            let request = request.content_type("application/json").body(ByteStream::from(bytes.clone()));
            let request = match only {
                Only::IfNone => request.if_none_match("*"),
                Only::If(version) => request.if_match(version),
            };
            request.customize().config_override(quick()).send()
        });
        match sent.await {
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
    pub async fn list(&self, folder: &str) -> super::Result<Vec<String>> {
        let prefix = format!("{}/", self.key(folder));
        let (mut found, mut token) = (Vec::new(), None::<String>);
        loop {
            let sent = self.send(|client, bucket, owner| {
                let request = client.list_objects_v2().bucket(bucket).set_expected_bucket_owner(owner).prefix(&prefix);
                request.set_continuation_token(token.clone()).customize().config_override(quick()).send()
            });
            let page = sent.await.map_err(Error::aws("s3", "ListObjectsV2"))?;
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
    pub async fn remove(&self, name: &str) -> super::Result<()> {
        let sent = self.send(|client, bucket, owner| {
            let request = client.delete_object().bucket(bucket).set_expected_bucket_owner(owner).key(self.key(name));
            request.customize().config_override(quick()).send()
        });
        sent.await.map_err(Error::aws("s3", "DeleteObject"))?;
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
    let timeouts = TimeoutConfig::builder()
        .operation_timeout(DEADLINE)
        .operation_attempt_timeout(patience::limit(ATTEMPT))
        .build();
    Builder::new().timeout_config(timeouts).retry_config(RetryConfig::standard().with_max_attempts(4))
}

#[cfg(test)]
mod tests;
