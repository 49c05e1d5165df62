//! Where the values of a scope are kept.

use pbkdf2::pbkdf2_hmac_array;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::{Cx, Database, Error, KindError, Ref, Result, Secret, SecretText};

/// What makes a guess at the value behind a version costly: each takes milliseconds.
const ROUNDS: u32 = 10_000;

/// Where a value is kept.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Source {
    /// A secret of this stack.
    Secret(Ref<Secret>),
    /// The credentials of a database of this stack, as RDS keeps them: JSON with `username` and `password`.
    Database(Ref<Database>),
    /// The environment variable of this name, where `ecomctl` runs.
    Env(String),
}

impl Source {
    /// Returns the identifier of the version that is wanted. Never tells the value.
    pub(in crate::resource) fn version(&self, cx: &Cx) -> Result<String> {
        match self {
            // What is about to be put there counts, not what is there.
            Self::Secret(it) => match cx.spec(it)?.known_version(cx)? {
                Some(version) => Ok(short(&version)),
                None => Ok(short(&cx.output(&it.address(), "version")?)),
            },
            Self::Database(it) => Ok(short(cx.live(it)?.secret_version(it.address())?)),
            Self::Env(name) => {
                let scope = &cx.scope;
                let salt = format!("{}/{}/{}/env {name}", scope.account, scope.region, scope.stack);
                let hash: [u8; 16] =
                    pbkdf2_hmac_array::<Sha256, 16>(variable(name)?.as_bytes(), salt.as_bytes(), ROUNDS);
                Ok(hash.iter().map(|it| format!("{it:02x}")).collect())
            }
        }
    }

    /// Reads the value of that version.
    pub(in crate::resource) async fn value(&self, cx: &Cx, version: &str) -> Result<SecretText> {
        let (address, arn) = match self {
            Self::Env(name) => return Ok(SecretText::new(variable(name)?)),
            Self::Secret(it) => (it.address(), cx.output(&it.address(), "arn")?),
            Self::Database(it) => (it.address(), cx.output(&it.address(), "secret_arn")?),
        };
        let sent = cx.aws.secrets().get_secret_value().secret_id(arn).send().await;
        let found = sent.map_err(Error::aws("secretsmanager", "GetSecretValue"))?;
        // It may have been rotated since the plan was made: then the next plan shows it.
        if found.version_id().map(short).as_deref() != Some(version) {
            return Err(KindError::NotReady(address));
        }
        let text = found.secret_string().map(SecretText::new);
        text.ok_or_else(|| KindError::Unusable(format!("the value of {address} is no text")))
    }
}

/// Shortens an identifier so that it fits into the name of a key: enough of it is left to tell versions apart.
fn short(version: &str) -> String {
    version.chars().take(36).collect()
}

fn variable(name: &str) -> Result<String> {
    let value = std::env::var(name).ok().filter(|it| !it.is_empty());
    value.ok_or_else(|| KindError::Refused {
        message: format!("a value of the scope comes from the environment variable {name}, which is not set"),
        help: "provide it where `ecomctl` runs; it is read anew each time and never stored".into(),
    })
}
