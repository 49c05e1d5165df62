//! A CloudWatch alarm: on one metric, on a value computed from several, or on other alarms. What is measured, and what people
//! are told, stands in templates, so that a stack's file only says what is watched.

use aws_sdk_cloudwatch::types::{AlarmType, CompositeAlarm, MetricAlarm, Tag};
use futures::{StreamExt as _, TryStreamExt as _, future::try_join_all, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Change, Cx, Desired, Error as KindError, Field, Flaw, Identity, Notification, Resource, Result, Scope, Tags,
    notification, touched,
};
use crate::{
    address::{AnyRef, Name, NameRef, Ref},
    client::{self, Error},
    quantity::Span,
};

mod definition;
mod first;
mod request;
mod rule;
mod teller;

use definition::{Measure, Overrides};
pub use definition::{Missing, Points, RUN};
pub(super) use request::{State, states};

/// The most names in one `DescribeAlarms`: its API reference.
const PAGE: usize = 100;
/// So many requests for tags at once: CloudWatch takes few of them in a second.
const AT_ONCE: usize = 16;
/// The longest time that all points together may span, in seconds, and with points of an hour or more.
const SPAN: (u64, u64) = (86_400, 7 * 86_400);

/// An alarm of CloudWatch. It tells about `ALARM` and about `OK` alike.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Alarm {
    /// The template below `templates/` that says what is measured, and what people are told, such as
    /// `alarms/function_errors.toml`.
    pub template: String,
    /// The address of what is watched, such as `function.ingest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<AnyRef>,
    /// Other alarms that this one stands for, in groups: it goes off while each group has one that does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub when: Vec<Vec<Ref<Self>>>,
    /// Who is told. Default: nobody; other alarms may stand for it.
    #[serde(default)]
    pub notify: Vec<NameRef<Notification>>,
    /// The threshold, in the metric's own unit. Default: the template's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// How long one point is: `10s`, `20s`, `30s`, or whole minutes. Default: the template's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<Span>,
    /// How many of the latest points must be bad, such as `3 of 5`. Default: the template's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<Points>,
    /// What a point is that is not there. Default: the template's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<Missing>,
    /// Whether anybody is told; switched off, it still shows. Default: `true`.
    #[serde(default = "yes")]
    pub enabled: bool,
}

/// An alarm as CloudWatch has it.
#[derive(Debug)]
pub struct LiveAlarm {
    alarm: Either,
    arn: String,
    tags: Tags,
}

/// An alarm of its own, or one that stands for others.
#[derive(Clone, Debug)]
enum Either {
    Metric(Box<MetricAlarm>),
    Composite(Box<CompositeAlarm>),
}

/// What an alarm shall be.
struct Wanted {
    description: String,
    does: Does,
}

enum Does {
    Measure(Measure),
    Follow(String),
}

const fn yes() -> bool {
    true
}

impl Resource for Alarm {
    const FIELDS: &'static [(&'static str, Field)] = &[
        ("type", Field::Immutable),
        ("template", Field::WriteOnly),
        ("of", Field::WriteOnly),
        ("when", Field::WriteOnly),
        ("tags", Field::Defaulted),
    ];
    const OVERWRITES: bool = true;
    type Live = LiveAlarm;

    fn check(&self) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        if self.of.is_some() != self.when.is_empty() {
            let flaw = Flaw::new("", "an alarm watches one resource, or stands for other alarms");
            flaws.push(flaw.help("write one of `of: function.ingest` and `when: [[one, other]]`"));
        }
        for (i, _) in self.when.iter().enumerate().filter(|it| it.1.is_empty()) {
            flaws.push(Flaw::new(format!("/when/{i}"), "a group of alarms must name one at least"));
        }
        let measures = [
            ("threshold", self.threshold.is_some()),
            ("period", self.period.is_some()),
            ("points", self.points.is_some()),
            ("missing", self.missing.is_some()),
        ];
        for (field, _) in measures.iter().filter(|it| it.1 && !self.when.is_empty()) {
            flaws.push(Flaw::new(format!("/{field}"), "an alarm that stands for others measures nothing itself"));
        }
        if self.threshold.is_some_and(|it| !it.is_finite()) {
            flaws.push(Flaw::new("/threshold", "a threshold is a number"));
        }
        if let Some(why) = self.period.and_then(|it| mistaken_period(it, self.points)) {
            flaws.push(Flaw::new("/period", why).help("write `10s`, `20s`, `30s`, or whole minutes such as `1m`"));
        }
        flaws
    }

    fn check_name(physical: &str) -> Vec<Flaw> {
        match physical.len() {
            256.. => vec![Flaw::new("", "CloudWatch allows 255 characters for the name of an alarm")],
            _ => Vec::new(),
        }
    }

    fn desired(&self, cx: &Cx) -> Result<Desired> {
        let mut desired =
            Desired { spec: json!({ "enabled": self.enabled, "type": self.sort() }), ..Desired::default() };
        desired = desired.with("notify", self.topics(&cx.scope)).tagged(cx);
        match self.wanted(cx) {
            Ok(Wanted { description, does }) => {
                desired = desired.with("description", description);
                match does {
                    Does::Measure(it) => {
                        for (field, value) in request::fields(&it)? {
                            desired = desired.with(&field, value);
                        }
                    }
                    Does::Follow(rule) => desired = desired.with("rule", rule),
                }
                Ok(desired)
            }
            Err(KindError::NotReady(on)) => {
                for field in ["description", "metrics", "value", "threshold", "compare", "period", "points", "missing"]
                {
                    desired.unknown.insert(field.to_owned(), on.clone());
                }
                Ok(desired)
            }
            Err(err) => Err(err),
        }
    }

    /// Asks for all of them in requests of a hundred names, and for their tags side by side.
    async fn read(cx: &Cx, names: &[Name]) -> Result<Vec<Option<LiveAlarm>>> {
        let physical: Vec<&str> = names.iter().map(|it| it.physical.as_str()).collect();
        let pages = try_join_all(physical.chunks(PAGE).map(|it| request::describe(cx, it))).await?;
        let found: Vec<(String, String, Either)> = pages.into_iter().flatten().collect();
        let found = stream::iter(found).map(async |(name, arn, alarm)| {
            let tags = tags(cx, &arn).await?;
            Ok::<_, client::Error>(tags.map(|tags| (name, LiveAlarm { alarm, arn, tags })))
        });
        let mut found: Vec<_> = found.buffer_unordered(AT_ONCE).try_collect().await?;
        let take = |name: &&str| {
            let at = found.iter().position(|it| it.as_ref().is_some_and(|it| it.0 == **name))?;
            found.swap_remove(at).map(|it| it.1)
        };
        Ok(physical.iter().map(take).collect())
    }

    async fn candidates(cx: &Cx) -> Result<Vec<String>> {
        let request = cx.aws.cloudwatch().describe_alarms().alarm_name_prefix(cx.scope.physical(""));
        let request = request.alarm_types(AlarmType::MetricAlarm).alarm_types(AlarmType::CompositeAlarm);
        let listed: Vec<_> =
            request.into_paginator().send().try_collect().await.map_err(Error::aws("cloudwatch", "DescribeAlarms"))?;
        let metric = listed.iter().flat_map(|it| it.metric_alarms()).filter_map(|it| it.alarm_name());
        let composite = listed.iter().flat_map(|it| it.composite_alarms()).filter_map(|it| it.alarm_name());
        Ok(metric.chain(composite).filter(|it| cx.scope.may_have(it)).map(str::to_owned).collect())
    }

    fn observed(live: &LiveAlarm) -> Value {
        let mut observed = request::observed(&live.alarm);
        observed["tags"] = live.tags.observed();
        observed
    }

    fn identity(live: &LiveAlarm) -> Identity {
        Identity { id: Some(live.arn.clone()), ownership: live.tags.ownership() }
    }

    async fn create(&self, cx: &Cx, name: &Name) -> Result<()> {
        if let Does::Measure(it) = self.wanted(cx)?.does {
            first::ensure(cx, &it).await?;
        }
        let tags = cx.tags(&name.owner).into_iter().map(|(key, value)| Tag::builder().key(key).value(value).build());
        self.put(cx, name, Some(tags.collect())).await
    }

    async fn update(&self, cx: &Cx, name: &Name, live: &LiveAlarm, changes: &[Change]) -> Result<()> {
        let mut touched = touched(changes);
        if touched.remove("tags") {
            let tags = live.tags.after(cx, name, changes);
            let tags = tags.into_iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect();
            let request = cx.aws.cloudwatch().tag_resource().resource_arn(&live.arn).set_tags(Some(tags));
            request.send().await.map_err(Error::aws("cloudwatch", "TagResource"))?;
            let gone = Tags::removed(changes);
            if !gone.is_empty() {
                let request = cx.aws.cloudwatch().untag_resource().resource_arn(&live.arn).set_tag_keys(Some(gone));
                request.send().await.map_err(Error::aws("cloudwatch", "UntagResource"))?;
            }
        }
        if touched.is_empty() {
            return Ok(());
        }
        // Tags count in the request that creates only.
        self.put(cx, name, None).await
    }

    async fn delete(cx: &Cx, name: &Name, _live: &LiveAlarm) -> Result<()> {
        let sent = cx.aws.cloudwatch().delete_alarms().alarm_names(&name.physical).send().await;
        Ok(Error::missing_is_done(sent.map_err(Error::aws("cloudwatch", "DeleteAlarms")))?)
    }
}

impl Alarm {
    /// Renders the template for what is watched.
    fn wanted(&self, cx: &Cx) -> Result<Wanted> {
        let unusable = |why: String| KindError::Unusable(format!("the template {} is no alarm: {why}", self.template));
        let mut variables = json!({ "stack": cx.scope.stack, "account": cx.scope.account, "region": cx.scope.region });
        if let Some(AnyRef(of)) = &self.of {
            let facts = super::facts::facts(cx, of)?;
            // What a trigger is called at the provider is told once it is there.
            if of.kind == "trigger" && facts.get("id").is_none() {
                return Err(KindError::NotReady(of.clone()));
            }
            variables["it"] = facts;
        }
        let text = cx.templates.render(self.template.as_ref(), &variables)?;
        let read = definition::Definition::read(&text).map_err(&unusable)?;
        let description = read.description().map_err(&unusable)?;
        if !self.when.is_empty() {
            return Ok(Wanted { description, does: Does::Follow(self.rule(&cx.scope)) });
        }
        if let Some(AnyRef(of)) = &self.of
            && !read.of.contains(&of.kind)
        {
            return Err(unusable(format!("it watches a {}, and {of} is none", read.of.join(" or a "))));
        }
        let measure = read.measure(&self.overrides()).map_err(unusable)?;
        if let Some(AnyRef(of)) = &self.of {
            teller::check(cx, of, &measure)?;
        }
        match mistaken_period(measure.period, Some(measure.points)) {
            Some(why) => Err(unusable(why)),
            None => Ok(Wanted { description, does: Does::Measure(measure) }),
        }
    }

    const fn sort(&self) -> &'static str {
        if self.when.is_empty() { "metric" } else { "composite" }
    }

    fn overrides(&self) -> Overrides {
        Overrides { threshold: self.threshold, period: self.period, points: self.points, missing: self.missing }
    }

    fn rule(&self, scope: &Scope) -> String {
        let groups = self.when.iter().map(|it| it.iter().map(|it| scope.physical_of(it)).collect()).collect();
        rule::write(groups)
    }

    fn topics(&self, scope: &Scope) -> Vec<String> {
        let mut topics: Vec<_> = self.notify.iter().map(|it| notification::arn_in(scope, &it.0.name)).collect();
        topics.sort();
        topics
    }

    async fn put(&self, cx: &Cx, name: &Name, tags: Option<Vec<Tag>>) -> Result<()> {
        let Wanted { description, does } = self.wanted(cx)?;
        let (topics, cloudwatch) = (self.topics(&cx.scope), cx.aws.cloudwatch());
        match does {
            Does::Measure(measure) => {
                let request = cloudwatch.put_metric_alarm().alarm_name(&name.physical).alarm_description(description);
                let request = request.actions_enabled(self.enabled).set_tags(tags);
                let request = request.set_alarm_actions(Some(topics.clone())).set_ok_actions(Some(topics));
                let request = request::measuring(request, &measure);
                request.send().await.map_err(Error::aws("cloudwatch", "PutMetricAlarm"))?;
            }
            Does::Follow(rule) => {
                let request = cloudwatch.put_composite_alarm().alarm_name(&name.physical).alarm_rule(rule);
                let request = request.alarm_description(description).actions_enabled(self.enabled).set_tags(tags);
                let request = request.set_alarm_actions(Some(topics.clone())).set_ok_actions(Some(topics));
                request.send().await.map_err(Error::aws("cloudwatch", "PutCompositeAlarm"))?;
            }
        }
        Ok(())
    }
}

/// Says why CloudWatch takes no points of this length.
fn mistaken_period(period: Span, points: Option<Points>) -> Option<String> {
    let seconds = period.as_secs();
    if period != Span::seconds(seconds)
        || !([10, 20, 30].contains(&seconds) || seconds > 0 && seconds.is_multiple_of(60))
    {
        return Some(format!("CloudWatch has no points of {period}"));
    }
    let most = if seconds >= 3600 { SPAN.1 } else { SPAN.0 };
    let all = seconds.saturating_mul(points.map_or(1, |it| u64::from(it.of)));
    (all > most)
        .then(|| format!("CloudWatch looks back {} with such points, not {}", Span::seconds(most), Span::seconds(all)))
}

async fn tags(cx: &Cx, arn: &str) -> client::Result<Option<Tags>> {
    let sent = cx.aws.cloudwatch().list_tags_for_resource().resource_arn(arn).send().await;
    let found = Error::missing_is_none(sent.map_err(Error::aws("cloudwatch", "ListTagsForResource")))?;
    let pair = |it: Tag| Some((it.key?, it.value.unwrap_or_default()));
    Ok(found.map(|it| it.tags.unwrap_or_default().into_iter().filter_map(pair).collect()))
}

#[cfg(test)]
mod tests;
