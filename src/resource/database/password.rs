//! Which version of the password is in force: what copies it elsewhere must know when it was rotated. Never the password.

use super::{Cx, DbInstance, Error, KindError, LiveDatabase, Reason, Result};
use crate::address::Address;

/// Which version of a password is in force, as far as Secrets Manager tells.
#[derive(Debug)]
pub(super) enum Version {
    /// This one.
    Known(String),
    /// There is none that could be seen, as yet.
    Unseen,
    /// One may not ask.
    Hidden(Error),
}

impl Version {
    /// Asks. Who may not do so does without, until something needs to know.
    pub(super) async fn ask(cx: &Cx, instance: &DbInstance) -> Result<Self> {
        let Some(arn) = instance.master_user_secret().and_then(|it| it.secret_arn()) else { return Ok(Self::Unseen) };
        let sent = cx.aws.secrets().describe_secret().secret_id(arn).send().await;
        match sent.map_err(Error::aws("secretsmanager", "DescribeSecret")) {
            Ok(it) => {
                let mut versions = it.version_ids_to_stages().into_iter().flatten();
                let current = versions.find(|(_, stages)| stages.iter().any(|it| it == "AWSCURRENT"));
                Ok(current.map_or(Self::Unseen, |it| Self::Known(it.0.clone())))
            }
            Err(err) if err.reason == Reason::Missing => Ok(Self::Unseen),
            Err(err) if err.reason == Reason::Denied => Ok(Self::Hidden(err)),
            Err(err) => Err(err.into()),
        }
    }

    /// Returns the version where it is known.
    pub(super) fn known(&self) -> Option<&str> {
        match self {
            Self::Known(it) => Some(it),
            Self::Unseen | Self::Hidden(_) => None,
        }
    }
}

impl LiveDatabase {
    /// Which version of the password is in force.
    ///
    /// # Errors
    /// [`KindError::NotReady`] while it cannot be seen; the service's own words where one may not ask.
    pub fn secret_version(&self, address: Address) -> Result<&str> {
        match &self.secret_version {
            Version::Known(it) => Ok(it),
            Version::Unseen => Err(KindError::NotReady(address)),
            Version::Hidden(err) => Err(err.clone().into()),
        }
    }
}
