//! A KMS key of the customer's own, found by its alias. Sets up who may use it; never uses it.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::{try_join_all, try_join4};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Change, Cx, Desired, Error as KindError, Field, Flaw, Identity, Outputs, Phase, Resource, Result, Tags,
    policy::{encrypting, normal},
    touched,
};
use crate::{
    address::{Name, Ref},
    client::{
        self, Error, Reason,
        kms::{self, Alias},
    },
    quantity::Span,
};

/// The tag that holds the physical name: how a key is found that has no alias yet.
const NAME: &str = "ecomctl:key";
/// The tag that remembers how long a deleted key can be brought back: deletion knows no spec.
const WINDOW: &str = "ecomctl:deletion-window";
/// The key that Secrets Manager has for everybody in the account.
pub(super) const FOR_SECRETS: &str = "alias/aws/secretsmanager";
/// The state of a key that is to be deleted.
const LEAVING: &str = "PendingDeletion";

/// A key in AWS's Key Management Service, with the alias `alias/<stack>-<name>`. The account's own policies say who may use it.
/// What it encrypts is lost with it, so that KMS deletes it only after a while, within which `ecomctl up` brings it back.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// What it encrypts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The services of AWS that use it in their own name: `logs` for log groups of this stack, `cloudwatch` for alarms that are
    /// told through a notification. The others use it in the name of whoever asks them. Default: none.
    #[serde(default)]
    pub services: BTreeSet<Service>,
    /// How often KMS replaces what the key consists of, in whole days: `90d` to `2560d`. What is encrypted stays readable.
    /// Default: `365d`.
    #[serde(default = "year")]
    pub rotation: Span,
    /// How long a deleted key can be brought back, in whole days: `7d` to `30d`. Default: `30d`.
    #[serde(default = "month")]
    pub deletion_window: Span,
}

/// A service of AWS that uses keys in its own name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// `CloudWatch`: alarms that tell a notification.
    Cloudwatch,
    /// `CloudWatch` Logs: groups of this stack.
    Logs,
}

/// A key as KMS has it.
#[derive(Debug)]
pub struct LiveKey {
    key: kms::Key,
    aliased: bool,
    policy: Option<Value>,
    rotation: kms::Rotation,
    tags: Tags,
}

impl LiveKey {
    /// The ARN, which everything takes that is encrypted.
    pub fn arn(&self) -> &str {
        &self.key.arn
    }

    fn window(&self) -> Option<Span> {
        self.tags.setting(WINDOW).and_then(|it| it.parse().ok())
    }
}

const fn year() -> Span {
    Span::seconds(365 * 86_400)
}

const fn month() -> Span {
    Span::seconds(30 * 86_400)
}

impl Resource for Key {
    const FIELDS: &'static [(&'static str, Field)] = &[("tags", Field::Defaulted)];
    const DATA_BEARING: bool = true;
    const OUTPUTS: &'static [&'static str] = &["arn", "alias"];
    type Live = LiveKey;

    fn check(&self) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        let days = [("rotation", self.rotation, 90..=2560), ("deletion_window", self.deletion_window, 7..=30)];
        for (field, span, allowed) in days {
            if !allowed.contains(&span.as_days()) || span != Span::seconds(span.as_days() * 86_400) {
                let flaw = Flaw::new(format!("/{field}"), format!("KMS knows no such time as {span}"));
                flaws.push(flaw.help(format!("write whole days, `{}d` to `{}d`", allowed.start(), allowed.end())));
            }
        }
        flaws
    }

    fn check_name(physical: &str) -> Vec<Flaw> {
        let fits = |it: char| it.is_ascii_alphanumeric() || "/_-".contains(it);
        if physical.len() <= 250 && physical.chars().all(fits) && !physical.starts_with("aws") {
            return Vec::new();
        }
        let flaw = Flaw::new("", format!("`{physical}` is no name for a key"));
        vec![flaw.help("KMS allows 250 letters, digits, `/`, `_` and `-`, and keeps what begins with `aws` to itself")]
    }

    fn desired(&self, cx: &Cx) -> Result<Desired> {
        let desired = Desired::of(self).tagged(cx).without("services").with("policy", normal(&self.policy(cx)));
        Ok(desired.with("aliased", true).with("enabled", true))
    }

    async fn read(cx: &Cx, names: &[Name]) -> Result<Vec<Option<LiveKey>>> {
        let aliases = cx.aws.kms().aliases().await?;
        let mut found: Vec<Option<(String, bool)>> = names.iter().map(|it| known(&aliases, it)).collect();
        if found.iter().any(Option::is_none) {
            let nameless = nameless(cx, &aliases).await?;
            for (place, name) in found.iter_mut().zip(names).filter(|it| it.0.is_none()) {
                *place = nameless.get(&name.physical).map(|it| (it.clone(), false));
            }
        }
        let each = found.into_iter().map(async |it| match it {
            Some((key, aliased)) => complete(cx, &key, aliased).await,
            None => Ok(None),
        });
        Ok(try_join_all(each).await?.into_iter().map(usable).collect())
    }

    async fn candidates(cx: &Cx) -> Result<Vec<String>> {
        let aliases = cx.aws.kms().aliases().await?;
        let names = aliases.iter().filter(|it| it.key.is_some()).filter_map(|it| it.name.strip_prefix("alias/"));
        Ok(names.filter(|it| cx.scope.may_have(it)).map(str::to_owned).collect())
    }

    fn observed(live: &LiveKey) -> Value {
        let days = live.rotation.days.filter(|_| live.rotation.enabled);
        json!({
            "description": Some(&live.key.description).filter(|it| !it.is_empty()),
            "policy": live.policy.as_ref().map(normal),
            "rotation": days.map(|it| Span::seconds(it * 86_400)),
            "deletion_window": live.window(),
            "aliased": live.aliased,
            "enabled": live.key.state != "Disabled",
            "tags": live.tags.observed(),
        })
    }

    fn identity(live: &LiveKey) -> Identity {
        Identity { id: Some(live.key.arn.clone()), ownership: live.tags.ownership() }
    }

    fn phase(live: &LiveKey) -> Phase {
        match live.key.state.as_str() {
            // One that was switched off is switched on by an update.
            "Enabled" | "Disabled" => Phase::Ready,
            it @ ("Creating" | "Updating") => Phase::Pending(it.to_owned()),
            it => Phase::Failed(it.to_owned()),
        }
    }

    fn outputs(live: &LiveKey) -> Outputs {
        let alias = live.tags.setting(NAME).map(|it| format!("alias/{it}"));
        let parts = [("arn", Some(live.key.arn.clone())), ("alias", alias)];
        parts.into_iter().filter_map(|(key, it)| Some((key, it?))).collect()
    }

    fn leaves_behind(_name: &Name, live: &LiveKey) -> Option<String> {
        let days = live.window().unwrap_or(month()).as_days();
        Some(format!(
            "the key itself for {days} days, in which `ecomctl up` brings it back; after that, nothing that it encrypted can \
             ever be read again, last snapshots of databases included"
        ))
    }

    async fn create(&self, cx: &Cx, name: &Name) -> Result<()> {
        let kms = cx.aws.kms();
        let aliases = kms.aliases().await?;
        let taken = aliases.iter().find(|it| is_of(it, name)).and_then(|it| it.key.as_deref());
        let Some(taken) = taken else {
            let policy = self.policy(cx);
            let tags = self.tags(name, cx.tags(&name.owner));
            let key = kms.create(self.description.as_deref().unwrap_or_default(), &policy, &tags).await?;
            // KMS may take a moment to know it; what cannot be done yet is done by the first update.
            Error::missing_is_done(kms.name(&key.id, &alias(name)).await)?;
            return Ok(Error::missing_is_done(kms.rotate(&key.id, self.rotation.as_days()).await)?);
        };
        // The alias stays with a key that is to be deleted; if that one was ours, it is brought back.
        match complete(cx, taken, true).await? {
            Some(it) if it.key.state == LEAVING && it.tags.stack() == Some(name.owner.stack.clone()) => {
                let tags = self.tags(name, it.tags.after(cx, name, &[]));
                kms.cancel_deletion(taken).await?;
                kms.put_tags(taken, &tags).await?;
                Ok(kms.enable(taken).await?)
            }
            _ => Err(KindError::Refused {
                message: format!("the name {} is taken by the key {taken}, which is not this stack's", alias(name)),
                help: "choose another name, or delete that alias if nothing needs it".into(),
            }),
        }
    }

    async fn update(&self, cx: &Cx, name: &Name, live: &LiveKey, changes: &[Change]) -> Result<()> {
        let (kms, key, touched) = (cx.aws.kms(), &live.key.id, touched(changes));
        if touched.contains("enabled") {
            kms.enable(key).await?;
        }
        if touched.contains("aliased") {
            kms.name(key, &alias(name)).await?;
        }
        if touched.contains("policy") {
            kms.put_policy(key, &self.policy(cx)).await?;
        }
        if touched.contains("description") {
            kms.put_description(key, self.description.as_deref().unwrap_or_default()).await?;
        }
        if touched.contains("rotation") {
            kms.rotate(key, self.rotation.as_days()).await?;
        }
        if touched.contains("tags") || touched.contains("deletion_window") {
            kms.put_tags(key, &self.tags(name, live.tags.after(cx, name, changes))).await?;
            let gone = Tags::removed(changes);
            if !gone.is_empty() {
                kms.take_tags(key, &gone).await?;
            }
        }
        Ok(())
    }

    /// Has it deleted after its window. Its alias stays with it until then.
    async fn delete(cx: &Cx, _name: &Name, live: &LiveKey) -> Result<()> {
        let (kms, key) = (cx.aws.kms(), &live.key.id);
        let sent = kms.schedule_deletion(key, live.window().unwrap_or(month()).as_days()).await;
        match Error::missing_is_done(sent) {
            Ok(()) => Ok(()),
            // Asked for already, by a run whose answer was lost.
            Err(_) if Error::missing_is_none(kms.describe(key).await)?.is_none_or(|it| it.state == LEAVING) => Ok(()),
            Err(err) => Err(err.into()),
        }
    }
}

impl Key {
    fn policy(&self, cx: &Cx) -> Value {
        encrypting(&cx.scope, &self.services)
    }

    fn tags(&self, name: &Name, tags: BTreeMap<String, String>) -> BTreeMap<String, String> {
        let own = [(NAME, name.physical.clone()), (WINDOW, self.deletion_window.to_string())];
        let own = own.map(|(key, it)| (key.to_owned(), it));
        tags.into_iter().chain(own).collect()
    }
}

/// Sets the field of what is encrypted that holds the key's ARN, where one of this stack is named.
pub(super) fn named(desired: Desired, field: &str, cx: &Cx, key: Option<&Ref<Key>>) -> Result<Desired> {
    let desired = desired.without("key");
    match key {
        Some(_) => desired.with_result(field, arn(cx, key, None)),
        None => Ok(desired),
    }
}

/// Returns the key that encrypts something: one of this stack, or one that the file names by its ARN.
pub(super) fn arn(cx: &Cx, key: Option<&Ref<Key>>, raw: Option<&String>) -> Result<Option<String>> {
    match key {
        Some(it) => Ok(Some(cx.live(it)?.arn().to_owned())),
        None => Ok(raw.cloned()),
    }
}

/// Says that a spec names two keys.
pub(super) fn flaw(key: Option<&Ref<Key>>, raw: Option<&String>) -> Option<Flaw> {
    let both = key.is_some() && raw.is_some();
    both.then(|| Flaw::new("/kms_key", "`key` names a key already").help("say one of the two"))
}

/// Refuses a key that does not let a service in which has to use it in its own name.
pub(super) fn lets_in(cx: &Cx, key: Option<&Ref<Key>>, service: Service) -> Result<()> {
    let Some(key) = key else { return Ok(()) };
    if cx.spec(key)?.services.contains(&service) {
        return Ok(());
    }
    let word = json!(service);
    let word = word.as_str().unwrap_or_default();
    Err(KindError::Refused {
        message: format!("{} does not let {word} use it, so that nothing could be encrypted with it", key.address()),
        help: format!("add `{word}` to `services` of {}", key.address()),
    })
}

fn alias(name: &Name) -> String {
    format!("alias/{}", name.physical)
}

fn is_of(it: &Alias, name: &Name) -> bool {
    it.name.strip_prefix("alias/") == Some(&name.physical)
}

/// Returns the key that an identifier or an alias stands for, and whether it has the alias that it should have.
fn known(aliases: &[Alias], name: &Name) -> Option<(String, bool)> {
    let named = aliases.iter().find(|it| is_of(it, name)).and_then(|it| it.key.clone());
    let recorded = name.id.as_deref().and_then(|it| it.rsplit('/').next()).map(str::to_owned);
    match (recorded, named) {
        (Some(id), named) => Some((id.clone(), named == Some(id))),
        (None, named) => named.map(|it| (it, true)),
    }
}

/// Finds the keys without any alias that carry the name of one of ours: what a run left that was killed before it named them.
async fn nameless(cx: &Cx, aliases: &[Alias]) -> client::Result<BTreeMap<String, String>> {
    let kms = cx.aws.kms();
    let named: BTreeSet<&str> = aliases.iter().filter_map(|it| it.key.as_deref()).collect();
    let keys = kms.keys().await?;
    let tagged = keys.iter().filter(|it| !named.contains(it.as_str())).map(async |key| match kms.tags(key).await {
        Ok(mut tags) => {
            Ok(tags.remove(NAME).filter(|_| tags.contains_key("ecomctl:stack")).map(|it| (it, key.clone())))
        }
        // What we made may be asked for its tags; what may not is somebody else's.
        Err(err) if matches!(err.reason, Reason::Denied | Reason::Missing) => Ok(None),
        Err(err) => Err(err),
    });
    Ok(try_join_all(tagged).await?.into_iter().flatten().collect())
}

async fn complete(cx: &Cx, key: &str, aliased: bool) -> client::Result<Option<LiveKey>> {
    let kms = cx.aws.kms();
    let all = try_join4(kms.describe(key), kms.policy(key), kms.rotation(key), kms.tags(key)).await;
    let all = Error::missing_is_none(all)?;
    Ok(all.map(|(key, policy, rotation, tags)| LiveKey { key, aliased, policy, rotation, tags: Tags(tags) }))
}

/// A key that is to be deleted counts as gone: nothing can be read or written with it.
fn usable(found: Option<LiveKey>) -> Option<LiveKey> {
    found.filter(|it| it.key.state != LEAVING)
}

#[cfg(test)]
mod tests;
