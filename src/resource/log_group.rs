//! A CloudWatch Logs group, with the time its events are kept.

use aws_sdk_cloudwatchlogs::types::{self, LogGroupClass};
use futures::future::{join, try_join_all};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Change, Cx, Desired, Field, Flaw, Identity, Key, Objection, Outputs, Resource, Result, Scope, Tags, key,
    shared_prefix, touched,
};
use crate::{
    address::{Name, Ref},
    client::{self, Error},
    quantity::Span,
};

/// The retention times that CloudWatch Logs knows, in days: `PutRetentionPolicy` in its API reference.
const DAYS: [u64; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

/// A group of CloudWatch log streams. It is named `/ecomctl/<stack>/<name>`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogGroup {
    /// How long events are kept: `1d`, `3d`, `5d`, `7d`, `14d`, `30d`, `60d`, `90d`, `365d` … Default: `30d`.
    #[serde(default = "month")]
    pub retention: Span,
    /// What the group can do, and costs. Cannot be changed. Default: `standard`.
    #[serde(default)]
    pub class: Class,
    /// The key of this stack that encrypts events; it needs `services: [logs]`. What is there stays encrypted as it was written.
    /// Default: a key of `CloudWatch`'s own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Ref<Key>>,
}

/// The class of a log group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Everything, including metrics embedded in events, metric filters and alarms.
    #[default]
    Standard,
    /// Half the price; no embedded metrics, no metric filters, no live tail.
    InfrequentAccess,
}

/// A log group as CloudWatch Logs has it.
#[derive(Debug)]
pub struct LiveLogGroup {
    group: types::LogGroup,
    tags: Tags,
}

impl LiveLogGroup {
    /// The ARN without the `:*` that stands for the streams: what tags and policies on the group take.
    fn arn(&self) -> &str {
        let arn = self.group.log_group_arn().or(self.group.arn()).unwrap_or_default();
        arn.strip_suffix(":*").unwrap_or(arn)
    }
}

const fn month() -> Span {
    Span::seconds(30 * 86_400)
}

impl Resource for LogGroup {
    const FIELDS: &'static [(&'static str, Field)] = &[("tags", Field::Defaulted)];
    const OUTPUTS: &'static [&'static str] = &["arn", "name"];
    type Live = LiveLogGroup;

    fn physical_name(&self, scope: &Scope, name: &str) -> String {
        name_in(scope, name)
    }

    fn check(&self) -> Vec<Flaw> {
        let days = self.retention.as_days();
        if DAYS.contains(&days) && self.retention == Span::seconds(days * 86_400) {
            return Vec::new();
        }
        let near = DAYS.iter().min_by_key(|it| it.abs_diff(days)).copied().unwrap_or(30);
        let flaw = Flaw::new("/retention", format!("CloudWatch Logs cannot keep events for {}", self.retention));
        vec![flaw.help(format!("the nearest time that it knows is `{near}d`"))]
    }

    fn desired(&self, cx: &Cx) -> Result<Desired> {
        key::lets_in(cx, self.key.as_ref(), key::Service::Logs)?;
        key::named(Desired::of(self).tagged(cx), "kms_key", cx, self.key.as_ref())
    }

    async fn read(cx: &Cx, names: &[Name]) -> Result<Vec<Option<LiveLogGroup>>> {
        let (found, tags) = join(groups(cx, names), try_join_all(names.iter().map(|it| tags(cx, &it.physical)))).await;
        let (mut found, tags) = (found?, tags?);
        let pair = |(name, tags): (&Name, Option<Tags>)| {
            let at = found.iter().position(|it| it.log_group_name() == Some(&name.physical))?;
            Some(LiveLogGroup { group: found.swap_remove(at), tags: tags? })
        };
        Ok(names.iter().zip(tags).map(pair).collect())
    }

    async fn candidates(cx: &Cx) -> Result<Vec<String>> {
        let request =
            cx.aws.logs().describe_log_groups().log_group_name_prefix(format!("/ecomctl/{}/", cx.scope.stack));
        let listed = request.into_paginator().items().send();
        let listed: Vec<_> = listed.try_collect().await.map_err(Error::aws("logs", "DescribeLogGroups"))?;
        Ok(listed.iter().filter_map(|it| it.log_group_name()).map(str::to_owned).collect())
    }

    fn observed(live: &LiveLogGroup) -> Value {
        let days = live.group.retention_in_days().and_then(|it| u64::try_from(it).ok());
        let class = match live.group.log_group_class() {
            Some(LogGroupClass::InfrequentAccess) => Class::InfrequentAccess,
            _ => Class::Standard,
        };
        json!({
            "retention": days.map(|it| Span::seconds(it * 86_400)),
            "class": class,
            "kms_key": live.group.kms_key_id(),
            "tags": live.tags.observed(),
        })
    }

    fn identity(live: &LiveLogGroup) -> Identity {
        Identity { id: Some(live.arn().to_owned()), ownership: live.tags.ownership() }
    }

    fn outputs(live: &LiveLogGroup) -> Outputs {
        let name = live.group.log_group_name().unwrap_or_default();
        Outputs::from([("arn", live.arn().to_owned()), ("name", name.to_owned())])
    }

    fn objections(&self, _cx: &Cx, _live: &LiveLogGroup, changes: &[Change]) -> Vec<Objection> {
        let object = |it: &Change| Objection {
            field: it.field.clone(),
            reason: "CloudWatch Logs cannot change the class of a group".into(),
            help: "put it back, or define a second group under another name and let functions log there".into(),
        };
        changes.iter().filter(|it| it.is("class")).map(object).collect()
    }

    async fn create(&self, cx: &Cx, name: &Name) -> Result<()> {
        let class = match self.class {
            Class::Standard => LogGroupClass::Standard,
            Class::InfrequentAccess => LogGroupClass::InfrequentAccess,
        };
        let request = cx.aws.logs().create_log_group().log_group_name(&name.physical).log_group_class(class);
        let request = request.set_kms_key_id(key::arn(cx, self.key.as_ref(), None)?);
        let tags = cx.tags(&name.owner).into_iter().collect();
        request.set_tags(Some(tags)).send().await.map_err(Error::aws("logs", "CreateLogGroup"))?;
        self.put_retention(cx, name).await
    }

    async fn update(&self, cx: &Cx, name: &Name, live: &LiveLogGroup, changes: &[Change]) -> Result<()> {
        let touched = touched(changes);
        if touched.contains("retention") {
            self.put_retention(cx, name).await?;
        }
        if touched.contains("kms_key") {
            let logs = cx.aws.logs();
            match key::arn(cx, self.key.as_ref(), None)? {
                Some(key) => {
                    let request = logs.associate_kms_key().log_group_name(&name.physical).kms_key_id(key);
                    request.send().await.map_err(Error::aws("logs", "AssociateKmsKey"))?;
                }
                None => {
                    let sent = logs.disassociate_kms_key().log_group_name(&name.physical).send().await;
                    sent.map_err(Error::aws("logs", "DisassociateKmsKey"))?;
                }
            }
        }
        if touched.contains("tags") {
            let tags = live.tags.after(cx, name, changes).into_iter().collect();
            let request = cx.aws.logs().tag_resource().resource_arn(live.arn()).set_tags(Some(tags));
            request.send().await.map_err(Error::aws("logs", "TagResource"))?;
            let gone = Tags::removed(changes);
            if !gone.is_empty() {
                let request = cx.aws.logs().untag_resource().resource_arn(live.arn()).set_tag_keys(Some(gone));
                request.send().await.map_err(Error::aws("logs", "UntagResource"))?;
            }
        }
        Ok(())
    }

    async fn delete(cx: &Cx, name: &Name, _live: &LiveLogGroup) -> Result<()> {
        let sent = cx.aws.logs().delete_log_group().log_group_name(&name.physical).send().await;
        Ok(Error::missing_is_done(sent.map_err(Error::aws("logs", "DeleteLogGroup")))?)
    }
}

impl LogGroup {
    async fn put_retention(&self, cx: &Cx, name: &Name) -> Result<()> {
        let days = i32::try_from(self.retention.as_days()).unwrap_or(i32::MAX);
        let request = cx.aws.logs().put_retention_policy().log_group_name(&name.physical).retention_in_days(days);
        request.send().await.map_err(Error::aws("logs", "PutRetentionPolicy"))?;
        Ok(())
    }
}

/// Returns the physical name of a log group of this stack.
pub(super) fn name_in(scope: &Scope, name: &str) -> String {
    format!("/ecomctl/{}/{name}", scope.stack)
}

/// Lists the groups that begin as all the names do: a stack's groups, in one request per 50.
async fn groups(cx: &Cx, names: &[Name]) -> client::Result<Vec<types::LogGroup>> {
    let prefix = shared_prefix(names.iter().map(|it| it.physical.as_str()));
    let pages = cx.aws.logs().describe_log_groups().log_group_name_prefix(prefix).into_paginator();
    pages.items().send().try_collect().await.map_err(Error::aws("logs", "DescribeLogGroups"))
}

async fn tags(cx: &Cx, physical: &str) -> client::Result<Option<Tags>> {
    let Scope { account, region, .. } = &cx.scope;
    let arn = format!("arn:{}:logs:{region}:{account}:log-group:{physical}", cx.scope.partition());
    let sent = cx.aws.logs().list_tags_for_resource().resource_arn(arn).send().await;
    let found = Error::missing_is_none(sent.map_err(Error::aws("logs", "ListTagsForResource")))?;
    Ok(found.map(|it| it.tags.unwrap_or_default().into_iter().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(retention: &str) -> LogGroup {
        serde_json::from_value(json!({ "retention": retention })).expect("a spec")
    }

    #[test]
    fn only_known_retention_times() {
        assert_eq!(spec("14d").check(), []);
        let flaws = spec("10d").check();
        assert_eq!(flaws[0].at, "/retention");
        assert_eq!(flaws[0].help.as_deref(), Some("the nearest time that it knows is `7d`"));
        assert_eq!(spec("36h").check().len(), 1, "not whole days");
    }

    #[test]
    fn what_is_wanted_is_observed() {
        let live = LiveLogGroup {
            group: types::LogGroup::builder().retention_in_days(14).arn("arn:aws:logs:r:1:log-group:/x:*").build(),
            tags: Tags::default(),
        };
        assert_eq!(
            LogGroup::observed(&live),
            json!({ "retention": "14d", "class": "standard", "kms_key": null, "tags": {} })
        );
        assert_eq!(LogGroup::outputs(&live)["arn"], "arn:aws:logs:r:1:log-group:/x");
        let forever = LiveLogGroup { group: types::LogGroup::builder().build(), tags: Tags::default() };
        assert_eq!(LogGroup::observed(&forever)["retention"], Value::Null);
    }
}
