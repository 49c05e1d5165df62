//! A state in a bucket: one object that is lock and state, written on the condition that it is still what was read.

use super::{Error, Etag, Kept, Name, Objects, Shelf};
use crate::client::{
    self, Reason,
    objects::{self, Only},
};

/// A state in a bucket.
pub type S3Store = Kept<Bucket>;

/// Objects below one prefix of a bucket.
#[derive(Clone, Debug)]
pub struct Bucket(objects::Objects);

impl Kept<Bucket> {
    /// Keeps the state among these objects. Sends no request.
    pub fn new(objects: objects::Objects) -> Self {
        Self(Bucket(objects))
    }
}

impl Bucket {
    fn failed(&self, verb: &'static str, name: Name) -> impl FnOnce(client::Error) -> Error {
        let place = self.place(name);
        let bucket = self.0.bucket().to_owned();
        let owner = self.0.owner().map(|it| {
            format!(
                ", and it must belong to the account {it}: where it is meant to be another's, name that as `state_account` in the \
                 stack's file"
            )
        });
        move |cause| {
            let help = match cause.reason {
                _ if ["PermanentRedirect", "AuthorizationHeaderMalformed"]
                    .iter()
                    .any(|it| cause.message.contains(it)) =>
                {
                    Some(format!(
                        "the bucket `{bucket}` lies in another region, and S3 does not say in which; check its name"
                    ))
                }
                Reason::Missing => Some(format!("make the bucket `{bucket}`, or let `ecomctl state init` do so")),
                Reason::Denied => Some(format!(
                    "check the credentials: they must allow GetObject, PutObject, DeleteObject and ListBucket in `{bucket}`{}",
                    owner.unwrap_or_default()
                )),
                _ => None,
            };
            Error::Request { verb, place, cause, help }
        }
    }
}

fn key(name: Name) -> String {
    match name {
        Name::State => "state.json".to_owned(),
        Name::Earlier(it) => format!("{}/{it:010}.json", folder(Shelf::History)),
        Name::Run(it) => format!("{}/{it:010}.json", folder(Shelf::Journal)),
        Name::Damaged(it) => format!("state.json.damaged-{it}"),
    }
}

const fn folder(shelf: Shelf) -> &'static str {
    match shelf {
        Shelf::History => "history",
        Shelf::Journal => "journal",
    }
}

impl Objects for Bucket {
    async fn get(&self, name: Name) -> Result<Option<(Vec<u8>, Etag)>, Error> {
        let found = self.0.get(&key(name)).await.map_err(self.failed("read", name))?;
        Ok(found.map(|(bytes, version)| (bytes, Etag(version))))
    }

    async fn put(&self, name: Name, bytes: Vec<u8>, expected: Option<&Etag>) -> Result<Etag, Error> {
        let only = expected.map_or(Only::IfNone, |it| Only::If(&it.0));
        let written = self.0.put(&key(name), bytes, only).await.map_err(self.failed("write", name))?;
        written.map(Etag).ok_or(Error::Conflict)
    }

    async fn list(&self, shelf: Shelf) -> Result<Vec<u64>, Error> {
        let names = self.0.list(folder(shelf)).await.map_err(self.failed("read", Name::State))?;
        Ok(names.iter().filter_map(|it| it.strip_suffix(".json")?.parse().ok()).collect())
    }

    async fn remove(&self, name: Name) -> Result<(), Error> {
        self.0.remove(&key(name)).await.map_err(self.failed("write", name))
    }

    fn place(&self, name: Name) -> String {
        format!("{}/{}", self.0.url(), key(name))
    }

    fn shelf(&self, shelf: Shelf) -> String {
        format!("{}/{}", self.0.url(), folder(shelf))
    }
}
