//! An SNS topic that people and functions are told through: who may publish, and who is subscribed.
//!
//! Where the messages go may be a secret: the address of a chat's webhook lets anybody write there. So subscriptions are
//! compared by protocol and endpoint, and of an endpoint that is kept elsewhere only a slow, salted hash is ever shown.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_sns::types::{Subscription as Subscribed, Tag};
use futures::future::{try_join_all, try_join3};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Change, Cx, Desired, Error as KindError, Field, Flaw, Identity, Key, Outputs, Resource, Result, Scope, Tags, key,
    policy::{normal, publishers, publishing},
    touched,
};
use crate::{
    address::{Name, Ref},
    client::{self, Error},
};

mod invocation;
mod subscription;

pub use subscription::Subscription;
use subscription::{Endpoint, is_pending, key_of};

/// The key that SNS has for everybody. Services of AWS cannot use it.
const SHARED_KEY: &str = "alias/aws/sns";

/// Who publishes for alarms.
const CLOUDWATCH: &str = "cloudwatch.amazonaws.com";

/// A topic of SNS: messages to people and functions.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Notification {
    /// Who gets the messages, by names that only this file uses.
    #[serde(default)]
    pub subscriptions: BTreeMap<String, Subscription>,
    /// The services of AWS that may publish, on behalf of this account only. Default: `cloudwatch.amazonaws.com`.
    #[serde(default = "cloudwatch")]
    pub publishers: Vec<String>,
    /// The KMS key that encrypts messages at rest. A service that publishes needs a key of your own that its policy lets it
    /// use. Default: `alias/aws/sns` where no service publishes, else none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key: Option<String>,
    /// The key of this stack that encrypts messages at rest; alarms need `services: [cloudwatch]` there. Instead of `kms_key`. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Ref<Key>>,
}

/// A topic as SNS has it.
#[derive(Debug)]
pub struct LiveNotification {
    arn: String,
    attributes: BTreeMap<String, String>,
    subscriptions: Vec<Subscribed>,
    /// The functions that the topic may invoke, by ARN.
    invokes: Vec<String>,
    tags: Tags,
}

fn cloudwatch() -> Vec<String> {
    vec![CLOUDWATCH.to_owned()]
}

impl Resource for Notification {
    const FIELDS: &'static [(&'static str, Field)] = &[
        // Whoever else subscribed stays subscribed.
        ("subscriptions", Field::Defaulted),
        ("publishers", Field::Unordered),
        ("tags", Field::Defaulted),
    ];
    const OVERWRITES: bool = true;
    const OUTPUTS: &'static [&'static str] = &["arn", "name", "key_arn"];
    type Live = LiveNotification;

    fn check(&self) -> Vec<Flaw> {
        let mut flaws: Vec<Flaw> = key::flaw(self.key.as_ref(), self.kms_key.as_ref()).into_iter().collect();
        for (i, it) in self.publishers.iter().enumerate().filter(|it| !it.1.ends_with(".amazonaws.com")) {
            let flaw = Flaw::new(format!("/publishers/{i}"), format!("`{it}` is no service of AWS"));
            flaws.push(flaw.help("it looks like `cloudwatch.amazonaws.com`"));
        }
        if self.kms_key.as_deref() == Some(SHARED_KEY) && !self.publishers.is_empty() {
            let message =
                format!("{} cannot use the key {SHARED_KEY}, so that nothing would arrive", self.publishers[0]);
            let help = "name a key of your own whose policy lets the service use it, or leave `kms_key` out";
            flaws.push(Flaw::new("/kms_key", message).help(help));
        }
        for (name, it) in &self.subscriptions {
            flaws.extend(it.flaw().map(|(message, help)| {
                Flaw::new(format!("/subscriptions/{}", name.replace('~', "~0").replace('/', "~1")), message).help(help)
            }));
        }
        flaws
    }

    fn check_name(physical: &str) -> Vec<Flaw> {
        let fits = |it: char| it.is_ascii_alphanumeric() || "-_".contains(it);
        match physical.len() <= 256 && physical.chars().all(fits) {
            true => Vec::new(),
            false => vec![Flaw::new("", "SNS allows 256 letters, digits, `-` and `_` for the name of a topic")],
        }
    }

    fn desired(&self, cx: &Cx) -> Result<Desired> {
        let subscriptions: BTreeMap<String, bool> = self.endpoints(cx)?.into_keys().map(|it| (it, true)).collect();
        let publishers: BTreeSet<&String> = self.publishers.iter().collect();
        let mut desired = Desired { spec: json!({ "subscriptions": subscriptions }), ..Desired::default() };
        if let Some(key) = self.usual_key() {
            desired = desired.with("kms_key", key);
        }
        if self.publishers.iter().any(|it| *it == CLOUDWATCH) {
            key::lets_in(cx, self.key.as_ref(), key::Service::Cloudwatch)?;
        }
        key::named(desired.with("publishers", json!(publishers)).tagged(cx), "kms_key", cx, self.key.as_ref())
    }

    async fn read(cx: &Cx, names: &[Name]) -> Result<Vec<Option<LiveNotification>>> {
        Ok(try_join_all(names.iter().map(|it| find(cx, arn(&cx.scope, &it.physical)))).await?)
    }

    async fn candidates(cx: &Cx) -> Result<Vec<String>> {
        let listed = cx.aws.sns().list_topics().into_paginator().items().send();
        let listed: Vec<_> = listed.try_collect().await.map_err(Error::aws("sns", "ListTopics"))?;
        let names = listed.iter().filter_map(|it| it.topic_arn()?.rsplit(':').next());
        Ok(names.filter(|it| cx.scope.may_have(it)).map(str::to_owned).collect())
    }

    fn observed(live: &LiveNotification) -> Value {
        let keys = live.subscriptions.iter().filter(|it| live.works(it)).filter_map(key_of);
        let subscriptions: BTreeMap<String, bool> = keys.map(|it| (it, true)).collect();
        let policy = live.attributes.get("Policy").and_then(|it| serde_json::from_str(it).ok());
        let account = live.arn.split(':').nth(4).unwrap_or_default();
        json!({
            // What lets others in besides is shown in full.
            "publishers": policy.as_ref().map(|it| {
                publishers(it, &live.arn, account).map_or_else(|| normal(it), |it| json!(it))
            }),
            "kms_key": live.attributes.get("KmsMasterKeyId").filter(|it| !it.is_empty()),
            "subscriptions": subscriptions,
            "tags": live.tags.observed(),
        })
    }

    fn identity(live: &LiveNotification) -> Identity {
        Identity { id: Some(live.arn.clone()), ownership: live.tags.ownership() }
    }

    fn outputs(live: &LiveNotification) -> Outputs {
        let name = live.arn.rsplit(':').next().unwrap_or_default().to_owned();
        let key = live.attributes.get("KmsMasterKeyId").filter(|it| it.starts_with("arn:")).cloned();
        // Who publishes needs permission for it, too.
        [("arn", live.arn.clone()), ("name", name)].into_iter().chain(key.map(|it| ("key_arn", it))).collect()
    }

    /// Leaves the subscriptions to the first update.
    async fn create(&self, cx: &Cx, name: &Name) -> Result<()> {
        let arn = arn(&cx.scope, &name.physical);
        let policy = publishing(&arn, &cx.scope.account, &self.publishers).to_string();
        let request = cx.aws.sns().create_topic().name(&name.physical).attributes("Policy", policy);
        let request = request.set_tags(Some(tags(cx.tags(&name.owner))?));
        let request = match self.key(cx)? {
            Some(key) => request.attributes("KmsMasterKeyId", key),
            None => request,
        };
        request.send().await.map_err(Error::aws("sns", "CreateTopic"))?;
        Ok(())
    }

    async fn update(&self, cx: &Cx, name: &Name, live: &LiveNotification, changes: &[Change]) -> Result<()> {
        let touched = touched(changes);
        if touched.contains("publishers") {
            let policy = publishing(&live.arn, &cx.scope.account, &self.publishers).to_string();
            set(cx, live, "Policy", &policy).await?;
        }
        if touched.contains("kms_key") {
            // An empty name takes the key away.
            set(cx, live, "KmsMasterKeyId", &self.key(cx)?.unwrap_or_default()).await?;
        }
        if touched.contains("subscriptions") {
            self.subscribe(cx, live, changes).await?;
        }
        if touched.contains("tags") {
            let now = tags(live.tags.after(cx, name, changes))?;
            let request = cx.aws.sns().tag_resource().resource_arn(&live.arn).set_tags(Some(now));
            request.send().await.map_err(Error::aws("sns", "TagResource"))?;
            let gone = Tags::removed(changes);
            if !gone.is_empty() {
                let request = cx.aws.sns().untag_resource().resource_arn(&live.arn).set_tag_keys(Some(gone));
                request.send().await.map_err(Error::aws("sns", "UntagResource"))?;
            }
        }
        Ok(())
    }

    /// Its subscriptions go with it; functions forget that it may invoke them.
    async fn delete(cx: &Cx, _name: &Name, live: &LiveNotification) -> Result<()> {
        try_join_all(live.invokes.iter().map(|it| invocation::refuse(cx, it, &live.arn))).await?;
        let sent = cx.aws.sns().delete_topic().topic_arn(&live.arn).send().await;
        Ok(Error::missing_is_done(sent.map_err(Error::aws("sns", "DeleteTopic")))?)
    }
}

impl Notification {
    /// Where messages go, by what is shown of it.
    fn endpoints(&self, cx: &Cx) -> Result<BTreeMap<String, Endpoint>> {
        let each = |it: &Subscription| it.endpoint(&cx.scope).map(|it| (it.key(&cx.scope), it));
        self.subscriptions.values().map(each).collect()
    }

    fn key(&self, cx: &Cx) -> Result<Option<String>> {
        let own = key::arn(cx, self.key.as_ref(), None)?;
        Ok(own.or_else(|| self.usual_key().map(str::to_owned)))
    }

    /// Returns the key where none of this stack is named.
    fn usual_key(&self) -> Option<&str> {
        self.kms_key.as_deref().or_else(|| self.publishers.is_empty().then_some(SHARED_KEY))
    }

    /// Adds the subscriptions that are missing, and ends those that the file does not name any more.
    async fn subscribe(&self, cx: &Cx, live: &LiveNotification, changes: &[Change]) -> Result<()> {
        let there: Vec<String> = live.subscriptions.iter().filter(|it| live.works(it)).filter_map(key_of).collect();
        for (key, endpoint) in self.endpoints(cx)?.iter().filter(|it| !there.contains(it.0)) {
            if endpoint.protocol == "lambda" {
                invocation::allow(cx, &endpoint.address, &live.arn).await?;
            }
            if live.subscriptions.iter().filter_map(key_of).any(|it| it == *key) {
                continue;
            }
            let request = cx.aws.sns().subscribe().topic_arn(&live.arn).protocol(endpoint.protocol);
            let sent = request.endpoint(&endpoint.address).return_subscription_arn(true).send().await;
            sent.map_err(Error::aws("sns", "Subscribe")).map_err(|mut err| {
                err.message = endpoint.hide(&err.message);
                err
            })?;
        }
        let gone = changes.iter().filter(|it| it.to.is_null() && it.waits_for.is_none());
        for key in gone.filter_map(|it| it.field.strip_prefix("subscriptions.")) {
            for it in live.subscriptions.iter().filter(|it| key_of(it).as_deref() == Some(key)) {
                unsubscribe(cx, live, it, key).await?;
            }
        }
        Ok(())
    }
}

impl LiveNotification {
    /// Says whether messages arrive, or will once the receiver has agreed.
    fn works(&self, it: &Subscribed) -> bool {
        it.protocol() != Some("lambda") || it.endpoint().is_some_and(|it| self.invokes.iter().any(|own| own == it))
    }
}

/// Returns the ARN of a topic of this stack, which follows from its name.
pub(super) fn arn_in(scope: &Scope, name: &str) -> String {
    arn(scope, &scope.physical(name))
}

fn arn(scope: &Scope, physical: &str) -> String {
    let Scope { account, region, .. } = scope;
    format!("arn:{}:sns:{region}:{account}:{physical}", scope.partition())
}

fn tags(tags: BTreeMap<String, String>) -> client::Result<Vec<Tag>> {
    let wrong = |err: aws_sdk_sns::error::BuildError| {
        Error::new("sns", "TagResource", client::Reason::Invalid, err.to_string())
    };
    tags.into_iter().map(|(key, value)| Tag::builder().key(key).value(value).build().map_err(wrong)).collect()
}

async fn set(cx: &Cx, live: &LiveNotification, attribute: &str, value: &str) -> client::Result<()> {
    let request = cx.aws.sns().set_topic_attributes().topic_arn(&live.arn).attribute_name(attribute);
    let sent = request.attribute_value(value).send().await;
    sent.map(drop).map_err(Error::aws("sns", "SetTopicAttributes"))
}

async fn unsubscribe(cx: &Cx, live: &LiveNotification, it: &Subscribed, key: &str) -> Result<()> {
    let Some(arn) = it.subscription_arn().filter(|_| !is_pending(it)) else {
        return Err(KindError::Refused {
            message: format!(
                "the receiver of the subscription {key} has not agreed yet, and SNS cannot end such a one"
            ),
            help: "it ends by itself two days after it began; run the same command again then".to_owned(),
        });
    };
    let sent = cx.aws.sns().unsubscribe().subscription_arn(arn).send().await;
    Error::missing_is_done(sent.map_err(Error::aws("sns", "Unsubscribe")))?;
    match it.endpoint() {
        Some(function) if it.protocol() == Some("lambda") => Ok(invocation::refuse(cx, function, &live.arn).await?),
        _ => Ok(()),
    }
}

async fn find(cx: &Cx, arn: String) -> client::Result<Option<LiveNotification>> {
    let sns = cx.aws.sns();
    let attributes = async {
        let sent = sns.get_topic_attributes().topic_arn(&arn).send().await;
        Error::missing_is_none(sent.map_err(Error::aws("sns", "GetTopicAttributes")))
    };
    let subscriptions = async {
        let pages = sns.list_subscriptions_by_topic().topic_arn(&arn).into_paginator().items().send();
        let all: client::Result<Vec<_>> =
            pages.try_collect().await.map_err(Error::aws("sns", "ListSubscriptionsByTopic"));
        Error::missing_is_none(all)
    };
    let tags = async {
        let sent = sns.list_tags_for_resource().resource_arn(&arn).send().await;
        Error::missing_is_none(sent.map_err(Error::aws("sns", "ListTagsForResource")))
    };
    let (attributes, subscriptions, tags) = try_join3(attributes, subscriptions, tags).await?;
    let Some(attributes) = attributes else { return Ok(None) };
    let subscriptions = subscriptions.unwrap_or_default();
    let functions = subscriptions.iter().filter(|it| it.protocol() == Some("lambda")).filter_map(|it| it.endpoint());
    let functions =
        functions.map(async |it| invocation::is_allowed(cx, it, &arn).await.map(|yes| yes.then(|| it.to_owned())));
    let invokes = try_join_all(functions).await?.into_iter().flatten().collect();
    let tags = tags.and_then(|it| it.tags).unwrap_or_default();
    Ok(Some(LiveNotification {
        arn,
        attributes: attributes.attributes.unwrap_or_default().into_iter().collect(),
        invokes,
        subscriptions,
        tags: tags.into_iter().map(|it| (it.key, it.value)).collect(),
    }))
}

#[cfg(test)]
mod tests;
