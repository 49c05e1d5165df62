//! Small documents in S3 that several invocations change at once: each change is made to what was last written, or made
//! again.

use std::time::Duration;

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::{Instant, sleep};

use crate::{aws::Aws, http::Error};

/// How often a change is made anew, because somebody else was faster.
const ATTEMPTS: u32 = 8;
/// The folder of all documents.
const FOLDER: &str = "ecomctl/watch";

/// One document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Store<'a> {
    pub(crate) aws: &'a Aws,
    pub(crate) bucket: &'a str,
    /// Its name within the folder.
    pub(crate) name: &'static str,
}

impl Store<'_> {
    fn key(&self) -> String {
        format!("{FOLDER}/{}", self.name)
    }

    /// Reads the document; one that is not there is empty.
    pub(crate) async fn load<T: DeserializeOwned + Default>(&self, end: Instant) -> Result<T, Error> {
        Ok(self.read(end).await?.0)
    }

    async fn read<T: DeserializeOwned + Default>(&self, end: Instant) -> Result<(T, Option<String>), Error> {
        let Some((body, tag)) = self.aws.object(self.bucket, &self.key(), end).await? else {
            return Ok((T::default(), None));
        };
        // What cannot be read would stop the watch for ever; without it, at worst an ending is told twice.
        let document = serde_json::from_slice(&body).unwrap_or_else(|err| {
            tracing::error!("s3://{}/{} is damaged, and is begun anew: {err}", self.bucket, self.key());
            T::default()
        });
        Ok((document, Some(tag)))
    }

    /// Changes the document. `change` also says whether it is worth writing, and is called again when somebody else
    /// wrote in between.
    pub(crate) async fn change<T: DeserializeOwned + Serialize + Default, R>(
        &self,
        end: Instant,
        change: impl Fn(&mut T) -> (bool, R),
    ) -> Result<R, Error> {
        let mut pause = Duration::from_millis(10);
        for _ in 0..ATTEMPTS {
            let (mut document, tag) = self.read(end).await?;
            let (is_worth_writing, result) = change(&mut document);
            let body = serde_json::to_vec(&document).map_err(|err| Error::new(self.key(), err.to_string()))?;
            let (key, body) = (self.key(), Bytes::from(body));
            if !is_worth_writing || self.aws.replace(self.bucket, &key, tag.as_deref(), body, end).await? {
                return Ok(result);
            }
            sleep(pause).await;
            pause *= 2;
        }
        Err(Error::new(self.key(), format!("somebody else changed it {ATTEMPTS} times meanwhile")))
    }
}
