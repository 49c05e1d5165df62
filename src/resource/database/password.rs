//! The secret in which RDS keeps the password of an instance: which version is in force (what copies it elsewhere must know
//! when it was rotated), and which key encrypts it. Never the password.

use super::{Cx, DbInstance, Error, KindError, LiveDatabase, Reason, Result};
use crate::{address::Address, resource::key::FOR_SECRETS};

/// What is known of the secret.
#[derive(Debug)]
pub(super) struct Password {
    /// Which version is in force.
    pub(super) version: Version,
    /// The key that encrypts it, unless it is the one that Secrets Manager has for the whole account, or one may not ask.
    pub(super) key: Option<String>,
}

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

impl Password {
    /// Nothing that could be seen, as yet.
    pub(super) const UNSEEN: Self = Self { version: Version::Unseen, key: None };

    /// Asks. Who may not do so does without, until something needs to know.
    pub(super) async fn ask(cx: &Cx, instance: &DbInstance) -> Result<Self> {
        let Some(arn) = instance.master_user_secret().and_then(|it| it.secret_arn()) else { return Ok(Self::UNSEEN) };
        let sent = cx.aws.secrets().describe_secret().secret_id(arn).send().await;
        match sent.map_err(Error::aws("secretsmanager", "DescribeSecret")) {
            Ok(it) => {
                let mut versions = it.version_ids_to_stages().into_iter().flatten();
                let current = versions.find(|(_, stages)| stages.iter().any(|it| it == "AWSCURRENT"));
                let version = current.map_or(Version::Unseen, |it| Version::Known(it.0.clone()));
                Ok(Self { version, key: it.kms_key_id.filter(|it| !it.ends_with(FOR_SECRETS)) })
            }
            Err(err) if err.reason == Reason::Missing => Ok(Self::UNSEEN),
            Err(err) if err.reason == Reason::Denied => Ok(Self { version: Version::Hidden(err), key: None }),
            Err(err) => Err(err.into()),
        }
    }
}

impl Version {
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
        match &self.password.version {
            Version::Known(it) => Ok(it),
            Version::Unseen => Err(KindError::NotReady(address)),
            Version::Hidden(err) => Err(err.clone().into()),
        }
    }
}
