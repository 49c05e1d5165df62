//! A secret whose value comes from outside at deployment and is never written anywhere but to Secrets Manager.

use std::{collections::HashMap, path::PathBuf};

use aws_sdk_secretsmanager::{operation::describe_secret::DescribeSecretOutput, types};
use futures::future::try_join_all;
use pbkdf2::pbkdf2_hmac_array;
use rand::{RngExt as _, distr::Alphanumeric};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{
    Change, Cx, Desired, Error as KindError, Field, Flaw, Identity, Key, Outputs, Resource, Result, Tags, key, touched,
};
use crate::{
    address::{Name, Ref},
    client::{self, Error},
    quantity::Span,
};

/// The tag that remembers how long a deleted secret can be brought back: deletion knows no spec.
const RECOVERY: &str = "ecomctl:recovery";
/// What makes a guess at the value behind a version costly: each takes milliseconds.
const ROUNDS: u32 = 10_000;

/// A secret in AWS Secrets Manager. Its value is read when the stack is deployed; plans, state and logs hold only the
/// identifier of its version, which is a salted, slow hash of the value.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// Where the value comes from: `{env: NAME}`, `{file: path}` or `{generate: {length: 32}}`; or `{public: text}`.
    pub value_from: Source,
    /// What the secret is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The ARN of the KMS key that encrypts the secret. Default: the account's key for Secrets Manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key: Option<String>,
    /// The key of this stack that encrypts the secret. Instead of `kms_key`. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Ref<Key>>,
    /// How long a deleted secret can be brought back: `7d` to `30d`, or `0s` for not at all. Default: `7d`.
    #[serde(default = "week")]
    pub recovery_window: Span,
}

/// Where the value of a secret comes from.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Source {
    /// The environment variable of this name.
    Env(String),
    /// The content of a file, relative to the working directory, without a line end at its end.
    File(PathBuf),
    /// A random text, made once and never changed.
    Generate(Generate),
    /// This very text. It shows in plans and in the state: only for what everybody may know, such as the token that every
    /// cloud for trying things out has.
    Public(String),
}

/// How to make a random text of letters and digits.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Generate {
    /// How many characters. Default: 32.
    #[serde(default = "length")]
    pub length: usize,
}

/// A secret as Secrets Manager describes it: without its value.
#[derive(Debug)]
pub struct LiveSecret {
    secret: DescribeSecretOutput,
    tags: Tags,
}

impl LiveSecret {
    /// Whether it was deleted, and can still be brought back.
    fn is_deleted(&self) -> bool {
        self.secret.deleted_date().is_some()
    }

    /// The identifier of the version in force.
    fn version(&self) -> Option<&str> {
        let mut versions = self.secret.version_ids_to_stages()?.iter();
        versions.find(|(_, stages)| stages.iter().any(|it| it == "AWSCURRENT")).map(|it| it.0.as_str())
    }
}

const fn week() -> Span {
    Span::seconds(7 * 86_400)
}

const fn length() -> usize {
    32
}

impl Resource for Secret {
    const FIELDS: &'static [(&'static str, Field)] = &[
        ("value_from", Field::WriteOnly),
        ("version", Field::Defaulted),
        ("kms_key", Field::Defaulted),
        ("tags", Field::Defaulted),
    ];
    const DATA_BEARING: bool = true;
    const OUTPUTS: &'static [&'static str] = &["arn", "name", "version", "key_arn"];
    type Live = LiveSecret;

    fn check(&self) -> Vec<Flaw> {
        let mut flaws: Vec<Flaw> = key::flaw(self.key.as_ref(), self.kms_key.as_ref()).into_iter().collect();
        let days = self.recovery_window.as_days();
        if self.recovery_window != Span::seconds(days * 86_400) || !(days == 0 || (7..=30).contains(&days)) {
            let flaw = Flaw::new("/recovery_window", format!("Secrets Manager does not know {}", self.recovery_window));
            flaws.push(flaw.help("write whole days from `7d` to `30d`, or `0s` to delete at once"));
        }
        match &self.value_from {
            Source::Env(name) if name.is_empty() || name.contains('=') => {
                flaws.push(Flaw::new("/value_from/env", format!("`{name}` is no name of an environment variable")));
            }
            Source::Public(it) if it.is_empty() => {
                flaws.push(Flaw::new("/value_from/public", "the text is empty"));
            }
            Source::Generate(it) if !(8..=4096).contains(&it.length) => {
                flaws.push(Flaw::new("/value_from/generate/length", "a generated secret has 8 to 4096 characters"));
            }
            _ => (),
        }
        flaws
    }

    fn desired(&self, cx: &Cx) -> Result<Desired> {
        let desired = key::named(Desired::of(self).tagged(cx), "kms_key", cx, self.key.as_ref())?;
        Ok(match self.value_from.read()? {
            Some(value) => desired.with("version", self.version(cx, &value)),
            None => desired,
        })
    }

    async fn read(cx: &Cx, names: &[Name]) -> Result<Vec<Option<LiveSecret>>> {
        Ok(try_join_all(names.iter().map(|it| describe(cx, &it.physical))).await?.into_iter().map(usable).collect())
    }

    async fn candidates(cx: &Cx) -> Result<Vec<String>> {
        let listed = cx.aws.secrets().list_secrets().into_paginator().send();
        let listed: Vec<_> = listed.try_collect().await.map_err(Error::aws("secretsmanager", "ListSecrets"))?;
        let names = listed.iter().flat_map(|it| it.secret_list()).filter_map(|it| it.name());
        Ok(names.filter(|it| cx.scope.may_have(it)).map(str::to_owned).collect())
    }

    fn observed(live: &LiveSecret) -> Value {
        let window: Option<Span> = live.tags.setting(RECOVERY).and_then(|it| it.parse().ok());
        json!({
            "version": live.version(),
            "description": live.secret.description().filter(|it| !it.is_empty()),
            "kms_key": live.secret.kms_key_id(),
            "recovery_window": window,
            "tags": live.tags.observed(),
        })
    }

    fn identity(live: &LiveSecret) -> Identity {
        Identity { id: live.secret.arn().map(str::to_owned), ownership: live.tags.ownership() }
    }

    fn outputs(live: &LiveSecret) -> Outputs {
        let parts = [
            ("arn", live.secret.arn()),
            ("name", live.secret.name()),
            ("version", live.version()),
            // Who reads the secret needs permission for it, too.
            ("key_arn", live.secret.kms_key_id().filter(|it| !it.ends_with(key::FOR_SECRETS))),
        ];
        parts.into_iter().filter_map(|(key, it)| Some((key, it?.to_owned()))).collect()
    }

    async fn create(&self, cx: &Cx, name: &Name) -> Result<()> {
        let (value, version) = self.value(cx)?;
        let request = cx.aws.secrets().create_secret().name(&name.physical).secret_string(value);
        let request = request.client_request_token(version).set_tags(Some(self.tags(cx.tags(&name.owner))));
        let request = request.set_description(self.description.clone()).set_kms_key_id(self.key(cx)?);
        let Err(err) = request.send().await.map_err(Error::aws("secretsmanager", "CreateSecret")) else {
            return Ok(());
        };
        // The name stays taken while a deleted secret can still be brought back; if it was ours, it is.
        match describe(cx, &name.physical).await? {
            Some(gone)
                if gone.secret.deleted_date().is_some() && gone.tags.stack() == Some(name.owner.stack.clone()) =>
            {
                let sent = cx.aws.secrets().restore_secret().secret_id(&name.physical).send().await;
                sent.map_err(Error::aws("secretsmanager", "RestoreSecret"))?;
                self.put_settings(cx, name).await?;
                self.put_tags(cx, name, &gone, &[]).await?;
                self.put_value(cx, name, &gone).await
            }
            _ => Err(err.into()),
        }
    }

    async fn update(&self, cx: &Cx, name: &Name, live: &LiveSecret, changes: &[Change]) -> Result<()> {
        let touched = touched(changes);
        if touched.contains("description") || touched.contains("kms_key") {
            self.put_settings(cx, name).await?;
        }
        if touched.contains("tags") || touched.contains("recovery_window") {
            self.put_tags(cx, name, live, changes).await?;
        }
        if touched.contains("version") || touched.contains("value_from") {
            self.put_value(cx, name, live).await?;
        }
        Ok(())
    }

    async fn delete(cx: &Cx, name: &Name, live: &LiveSecret) -> Result<()> {
        let window: Option<Span> = live.tags.setting(RECOVERY).and_then(|it| it.parse().ok());
        let days = i64::try_from(window.unwrap_or(week()).as_days()).unwrap_or(30);
        let request = cx.aws.secrets().delete_secret().secret_id(&name.physical);
        let request = match days {
            0 => request.force_delete_without_recovery(true),
            _ => request.recovery_window_in_days(days),
        };
        let sent = request.send().await.map_err(Error::aws("secretsmanager", "DeleteSecret"));
        match Error::missing_is_done(sent) {
            Ok(()) => Ok(()),
            // Deleted already, by a run whose answer was lost.
            Err(_) if describe(cx, &name.physical).await?.is_none_or(|it| it.is_deleted()) => Ok(()),
            Err(err) => Err(err.into()),
        }
    }
}

impl Secret {
    /// Returns the identifier of the version that this spec asks for; `None` where the value is made by chance.
    ///
    /// # Errors
    /// Says that the value cannot be read.
    pub fn known_version(&self, cx: &Cx) -> Result<Option<String>> {
        Ok(self.value_from.read()?.map(|it| self.version(cx, &it)))
    }

    fn key(&self, cx: &Cx) -> Result<Option<String>> {
        key::arn(cx, self.key.as_ref(), self.kms_key.as_ref())
    }

    /// Returns the value and the identifier of its version.
    fn value(&self, cx: &Cx) -> Result<(String, String)> {
        if let Some(value) = self.value_from.read()? {
            let version = self.version(cx, &value);
            return Ok((value, version));
        }
        let Source::Generate(how) = &self.value_from else { return Err(KindError::Unusable("no value".into())) };
        let value: String = rand::rng().sample_iter(Alphanumeric).take(how.length).map(char::from).collect();
        Ok((value, uuid::Uuid::new_v4().to_string()))
    }

    /// Hashes a value into the identifier of its version: equal values are one version, and the value cannot be told.
    fn version(&self, cx: &Cx, value: &str) -> String {
        let scope = &cx.scope;
        let salt = format!("{}/{}/{}/{:?}", scope.account, scope.region, scope.stack, self.value_from);
        let hash: [u8; 32] = pbkdf2_hmac_array::<Sha256, 32>(value.as_bytes(), salt.as_bytes(), ROUNDS);
        hash.iter().map(|it| format!("{it:02x}")).collect()
    }

    async fn put_settings(&self, cx: &Cx, name: &Name) -> Result<()> {
        // The two texts are how Secrets Manager spells "none" and "the account's own key".
        let key = self.key(cx)?;
        let key = key.as_deref().unwrap_or(key::FOR_SECRETS);
        let request = cx.aws.secrets().update_secret().secret_id(&name.physical).kms_key_id(key);
        let request = request.description(self.description.as_deref().unwrap_or_default());
        request.send().await.map_err(Error::aws("secretsmanager", "UpdateSecret"))?;
        Ok(())
    }

    async fn put_tags(&self, cx: &Cx, name: &Name, live: &LiveSecret, changes: &[Change]) -> Result<()> {
        let tags = self.tags(live.tags.after(cx, name, changes));
        let request = cx.aws.secrets().tag_resource().secret_id(&name.physical).set_tags(Some(tags));
        request.send().await.map_err(Error::aws("secretsmanager", "TagResource"))?;
        let gone = Tags::removed(changes);
        if !gone.is_empty() {
            let request = cx.aws.secrets().untag_resource().secret_id(&name.physical).set_tag_keys(Some(gone));
            request.send().await.map_err(Error::aws("secretsmanager", "UntagResource"))?;
        }
        Ok(())
    }

    async fn put_value(&self, cx: &Cx, name: &Name, live: &LiveSecret) -> Result<()> {
        let (value, version) = self.value(cx)?;
        let secrets = cx.aws.secrets();
        if live.version() == Some(&version) {
            return Ok(());
        }
        // Putting a version that is there already does nothing, so an earlier value is brought back by its label.
        if live.secret.version_ids_to_stages().is_some_and(|it: &HashMap<_, _>| it.contains_key(&version)) {
            let request = secrets.update_secret_version_stage().secret_id(&name.physical).version_stage("AWSCURRENT");
            let request =
                request.move_to_version_id(version).set_remove_from_version_id(live.version().map(str::to_owned));
            request.send().await.map_err(Error::aws("secretsmanager", "UpdateSecretVersionStage"))?;
            return Ok(());
        }
        let request =
            secrets.put_secret_value().secret_id(&name.physical).secret_string(value).client_request_token(version);
        request.send().await.map_err(Error::aws("secretsmanager", "PutSecretValue"))?;
        Ok(())
    }

    fn tags(&self, tags: impl IntoIterator<Item = (String, String)>) -> Vec<types::Tag> {
        let window = (RECOVERY.to_owned(), self.recovery_window.to_string());
        let tag = |(key, value)| types::Tag::builder().key(key).value(value).build();
        tags.into_iter().filter(|it| it.0 != RECOVERY).chain([window]).map(tag).collect()
    }
}

impl Source {
    /// Reads the value; `None` when it is to be generated.
    fn read(&self) -> Result<Option<String>> {
        let missing = |what: String, why: String| KindError::Refused {
            message: format!("the value of the secret comes from {what}, which {why}"),
            help: "provide it where `ecomctl` runs; it is read anew each time and never stored".into(),
        };
        match self {
            Self::Generate(_) => Ok(None),
            Self::Public(text) => Ok(Some(text.clone())),
            Self::Env(name) => {
                let value = std::env::var(name).ok().filter(|it| !it.is_empty());
                let missing = || missing(format!("the environment variable {name}"), "is not set".into());
                value.ok_or_else(missing).map(Some)
            }
            Self::File(path) => {
                let text = std::fs::read_to_string(path);
                let text = text
                    .map_err(|err| missing(format!("the file {}", path.display()), format!("cannot be read: {err}")))?;
                Ok(Some(
                    text.strip_suffix('\n').map_or(text.as_str(), |it| it.strip_suffix('\r').unwrap_or(it)).to_owned(),
                ))
            }
        }
    }
}

async fn describe(cx: &Cx, physical: &str) -> client::Result<Option<LiveSecret>> {
    let sent = cx.aws.secrets().describe_secret().secret_id(physical).send().await;
    let found = Error::missing_is_none(sent.map_err(Error::aws("secretsmanager", "DescribeSecret")))?;
    let tags =
        |secret: &DescribeSecretOutput| secret.tags().iter().filter_map(|it| Some((it.key()?, it.value()?))).collect();
    Ok(found.map(|secret| LiveSecret { tags: tags(&secret), secret }))
}

/// A deleted secret that can still be brought back counts as gone: nobody can read it.
fn usable(found: Option<LiveSecret>) -> Option<LiveSecret> {
    found.filter(|it| !it.is_deleted())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::testing;

    const VALUE: &str = "correct horse battery staple";

    fn spec(value: Value) -> Secret {
        serde_json::from_value(json!({ "value_from": value })).expect("a spec")
    }

    /// Writes the value to a file; returns where, as a spec says it, with the folder that holds it.
    fn file(text: &str) -> (Value, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("value");
        std::fs::write(&path, text).expect("a file");
        (json!({ "file": path }), folder)
    }

    #[test]
    fn the_value_shows_nowhere() {
        let (source, _folder) = file(VALUE);
        let wanted = spec(source.clone()).desired(&testing::cx()).expect("a value");
        let shown = format!("{:?} {}", spec(source), wanted.spec);
        assert!(!shown.contains(VALUE), "{shown}");
        let version = wanted.spec["version"].as_str().expect("a version");
        assert_eq!(version.len(), 64, "Secrets Manager takes 32 to 64 characters");
    }

    #[test]
    fn what_everybody_may_know_stands_in_the_file() {
        let secret = spec(json!({ "public": "open" }));
        assert_eq!(secret.value(&testing::cx()).expect("a value").0, "open");
        assert_eq!(spec(json!({ "public": "" })).check()[0].at, "/value_from/public");
    }

    #[test]
    fn equal_values_are_one_version_within_a_stack() {
        let (source, folder) = file(VALUE);
        let cx = testing::cx();
        let version = |cx: &Cx| spec(source.clone()).desired(cx).expect("a value").spec["version"].clone();
        let first = version(&cx);
        std::fs::write(folder.path().join("value"), format!("{VALUE}\r\n")).expect("a file");
        assert_eq!(version(&cx), first, "the line end of a file is not the secret's");
        std::fs::write(folder.path().join("value"), format!("{VALUE}!")).expect("a file");
        assert_ne!(version(&cx), first);
        std::fs::write(folder.path().join("value"), VALUE).expect("a file");
        let mut other = testing::cx();
        other.scope.stack = "other".into();
        assert_ne!(version(&other), first, "versions of two stacks tell nothing of each other");
    }

    #[test]
    fn a_value_that_is_not_there_is_refused_by_name() {
        let err = spec(json!({ "env": "ECOMCTL_TEST_UNSET" })).desired(&testing::cx()).expect_err("it is not set");
        let text = "the value of the secret comes from the environment variable ECOMCTL_TEST_UNSET, which is not set";
        assert_eq!(err.to_string(), text);
        let generated = spec(json!({ "generate": {} }));
        assert_eq!(generated.desired(&testing::cx()).expect("nothing is needed").spec.get("version"), None);
        let (value, _) = generated.value(&testing::cx()).expect("a value is made");
        assert_eq!(value.len(), 32);
        assert_ne!(generated.value(&testing::cx()).expect("a value is made").0, value);
    }

    #[test]
    fn flaws() {
        let mut secret = spec(json!({ "generate": { "length": 4 } }));
        secret.recovery_window = Span::seconds(86_400);
        let at: Vec<_> = secret.check().into_iter().map(|it| it.at).collect();
        assert_eq!(at, ["/recovery_window", "/value_from/generate/length"]);
        secret.recovery_window = Span::seconds(0);
        assert_eq!(secret.check().len(), 1);
    }

    #[test]
    fn the_version_in_force_is_observed() {
        let stages = |it: &str| vec![it.to_owned()];
        let secret = DescribeSecretOutput::builder()
            .version_ids_to_stages("old", stages("AWSPREVIOUS"))
            .version_ids_to_stages("new", stages("AWSCURRENT"))
            .description("");
        let tags = [("ecomctl:recovery", "7d"), ("team", "data")].into_iter().collect();
        let observed = Secret::observed(&LiveSecret { secret: secret.build(), tags });
        assert_eq!(observed["version"], "new");
        assert_eq!(observed["description"], Value::Null);
        assert_eq!(observed["recovery_window"], "7d");
        assert_eq!(observed["tags"], json!({ "team": "data" }));
    }
}
