//! The secret in which RDS keeps the password of an instance: which version is in force, and which key encrypts it. Never its
//! value.

use aws_sdk_rds::types::DbInstance;

use crate::{
    client::{Error, Reason},
    resource::{Cx, Result, key::FOR_SECRETS},
};

/// What may be known of the secret.
#[derive(Debug, Default)]
pub(super) struct Password {
    /// The version in force.
    pub(super) version: Option<String>,
    /// The key that encrypts it, unless it is the one that Secrets Manager has for the whole account.
    pub(super) key: Option<String>,
}

/// Asks for it: what copies the password elsewhere must know when it was rotated, and who reads it needs the key. Who may not
/// ask does without.
pub(super) async fn describe(cx: &Cx, instance: &DbInstance) -> Result<Password> {
    let Some(arn) = instance.master_user_secret().and_then(|it| it.secret_arn()) else {
        return Ok(Password::default());
    };
    let sent = cx.aws.secrets().describe_secret().secret_id(arn).send().await;
    match sent.map_err(Error::aws("secretsmanager", "DescribeSecret")) {
        Ok(it) => {
            let mut versions = it.version_ids_to_stages().into_iter().flatten();
            let version =
                versions.find(|(_, stages)| stages.iter().any(|it| it == "AWSCURRENT")).map(|it| it.0.clone());
            Ok(Password { version, key: it.kms_key_id.filter(|it| !it.ends_with(FOR_SECRETS)) })
        }
        Err(err) if matches!(err.reason, Reason::Denied | Reason::Missing) => Ok(Password::default()),
        Err(err) => Err(err.into()),
    }
}
