//! A schedule of EventBridge Scheduler: invokes a function again and again.
//!
//! A schedule cannot carry tags, but the group that it is in can. So each has a group to itself, of the same name: whose
//! that is, its tags tell, and it takes the schedule with it when it is deleted.

use futures::future::{try_join, try_join_all};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use aws_sdk_scheduler::{
    operation::{get_schedule::GetScheduleOutput, get_schedule_group::GetScheduleGroupOutput},
    types::{self, FlexibleTimeWindowMode, ScheduleGroupState, ScheduleState},
};

use super::{
    Change, Cx, Desired, Error as KindError, Field, Flaw, Function, Identity, Outputs, Phase, Resource, Result, Role,
    Scope, Tags, function, touched,
};
use crate::{
    address::{Name, Ref},
    client::{self, Error},
    quantity::Span,
    quartz,
};

mod time;

/// Invokes a function again and again. It has exactly one of `every` and `cron`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// How far the times are apart, in whole minutes: `1m`, `6h`, `7d`. Counted from when the schedule was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Span>,
    /// When, in AWS' form of cron: minutes, hours, day of the month, month, day of the week, year. One of the two days is
    /// `?`. `30 3 * * ? *` is every day at half past three.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// The time zone of `cron`, such as `Europe/Berlin`. Default: `UTC`.
    #[serde(default = "utc")]
    pub timezone: String,
    /// The function.
    pub function: Ref<Function>,
    /// The role that may invoke it, with `service: scheduler.amazonaws.com`.
    pub role: Ref<Role>,
    /// The event that the function gets. `<aws.scheduler.scheduled-time>`, `<aws.scheduler.schedule-arn>`,
    /// `<aws.scheduler.execution-id>` and `<aws.scheduler.attempt-number>` are replaced in it. Default: an event with
    /// `source: aws.scheduler`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub input: Map<String, Value>,
    /// How often an invocation that Lambda did not take is tried again, up to 185 times. Default: 185.
    #[serde(default = "most_retries")]
    pub retries: u32,
    /// The age at which an invocation is not tried any more: `1m` to `1d`. Default: `1d`.
    #[serde(default = "day")]
    pub max_age: Span,
    /// The ARN of the SQS queue that takes what Lambda never took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letters: Option<String>,
    /// Whether it invokes at all. Default: `true`.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

fn utc() -> String {
    "UTC".into()
}

const fn most_retries() -> u32 {
    185
}

const fn day() -> Span {
    Span::seconds(86_400)
}

const fn yes() -> bool {
    true
}

/// A schedule as EventBridge Scheduler has it.
#[derive(Debug)]
pub struct LiveSchedule {
    group: GetScheduleGroupOutput,
    /// None while only the group has been made.
    schedule: Option<GetScheduleOutput>,
    tags: Tags,
}

impl Resource for Schedule {
    const FIELDS: &'static [(&'static str, Field)] = &[("tags", Field::Defaulted)];
    const OUTPUTS: &'static [&'static str] = &["arn", "name"];
    type Live = LiveSchedule;

    fn check(&self) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        match (&self.every, &self.cron) {
            (Some(_), Some(_)) => flaws.push(Flaw::new("/cron", "a schedule has either `every` or `cron`")),
            (None, None) => {
                let flaw = Flaw::new("", "a schedule needs to know when");
                flaws.push(flaw.help("add `every: 1m`, or `cron: 30 3 * * ? *`"));
            }
            (Some(every), None) => {
                if every.as_secs() < 60 || *every != Span::seconds(every.as_secs() / 60 * 60) {
                    let flaw = Flaw::new("/every", format!("EventBridge Scheduler does not know every {every}"));
                    flaws.push(flaw.help("write whole minutes, hours or days, at least `1m`"));
                }
            }
            (None, Some(cron)) => {
                flaws.extend(time::mistake(cron).map(|(message, help)| Flaw::new("/cron", message).help(help)));
            }
        }
        flaws.extend(quartz::zone(&self.timezone).err().map(|it| Flaw::new("/timezone", it.message).help(it.help)));
        if self.retries > most_retries() {
            flaws.push(Flaw::new("/retries", "EventBridge Scheduler tries at most 185 times again"));
        }
        let age = self.max_age.as_secs();
        if !(60..=86_400).contains(&age) || self.max_age != Span::seconds(age) {
            let flaw = Flaw::new("/max_age", format!("EventBridge Scheduler does not know an age of {}", self.max_age));
            flaws.push(flaw.help("write `1m` to `1d`, in whole seconds"));
        }
        if self.dead_letters.as_ref().is_some_and(|it| !it.starts_with("arn:") || !it.contains(":sqs:")) {
            flaws.push(Flaw::new("/dead_letters", "this is no ARN of an SQS queue"));
        }
        flaws
    }

    fn check_name(physical: &str) -> Vec<Flaw> {
        let fits = |it: char| it.is_ascii_alphanumeric() || "-_.".contains(it);
        if (1..=64).contains(&physical.len()) && physical.chars().all(fits) {
            return Vec::new();
        }
        let flaw = Flaw::new("", format!("`{physical}` is no name for a schedule"));
        vec![flaw.help("EventBridge Scheduler allows 64 characters: letters, digits, `-`, `_` and `.`")]
    }

    fn desired(&self, cx: &Cx) -> Result<Desired> {
        let desired = Desired::of(self).tagged(cx);
        let desired = desired.with("function", function::live_name(&cx.scope, &self.function));
        let desired = desired.with("role", cx.scope.physical_of(&self.role)).with("input", json!(self.input));
        // Spaces mean nothing.
        Ok(match &self.cron {
            Some(it) => desired.with("cron", it.split_whitespace().collect::<Vec<_>>().join(" ")),
            None => desired,
        })
    }

    async fn read(cx: &Cx, names: &[Name]) -> Result<Vec<Option<LiveSchedule>>> {
        Ok(try_join_all(names.iter().map(|it| read_one(cx, &it.physical))).await?)
    }

    async fn candidates(cx: &Cx) -> Result<Vec<String>> {
        let listed = cx.aws.scheduler().list_schedule_groups().name_prefix(cx.scope.physical(""));
        let listed = listed.into_paginator().items().send();
        let listed: Vec<_> = listed.try_collect().await.map_err(Error::aws("scheduler", "ListScheduleGroups"))?;
        let names = listed.iter().filter_map(|it| it.name());
        Ok(names.filter(|it| cx.scope.may_have(it)).map(str::to_owned).collect())
    }

    fn observed(live: &LiveSchedule) -> Value {
        let mut observed = json!({ "tags": live.tags.observed() });
        let it = live.schedule.as_ref();
        let target = it.and_then(|it| it.target());
        let (every, cron) = it.and_then(|it| it.schedule_expression()).map_or((None, None), time::read);
        let retry = target.and_then(|it| it.retry_policy());
        let positive = |it: Option<i32>| it.and_then(|it| u32::try_from(it).ok());
        let input = target.and_then(|it| it.input());
        let fields = [
            ("every", json!(every)),
            ("cron", json!(cron)),
            ("timezone", json!(it.and_then(|it| it.schedule_expression_timezone()))),
            ("function", json!(target.and_then(|it| function::name_in(it.arn())))),
            ("role", json!(target.and_then(|it| it.role_arn().rsplit('/').next()))),
            // What is no JSON was not written by us, and differs from whatever is wanted.
            ("input", input.map_or_else(|| json!({}), |it| serde_json::from_str(it).unwrap_or_else(|_| json!(it)))),
            ("retries", json!(positive(retry.and_then(|it| it.maximum_retry_attempts())))),
            (
                "max_age",
                json!(
                    positive(retry.and_then(|it| it.maximum_event_age_in_seconds())).map(|it| Span::seconds(it.into()))
                ),
            ),
            ("dead_letters", json!(target.and_then(|it| it.dead_letter_config()?.arn()))),
            ("enabled", json!(it.map(|it| it.state() != Some(&ScheduleState::Disabled)))),
            ("description", json!(it.and_then(|it| it.description()).filter(|it| !it.is_empty()))),
        ];
        for (name, value) in fields {
            observed[name] = value;
        }
        observed
    }

    fn identity(live: &LiveSchedule) -> Identity {
        Identity { id: live.group.arn().map(str::to_owned), ownership: live.tags.ownership() }
    }

    fn phase(live: &LiveSchedule) -> Phase {
        match live.group.state() {
            Some(ScheduleGroupState::Deleting) => Phase::Deleting,
            _ => Phase::Ready,
        }
    }

    fn outputs(live: &LiveSchedule) -> Outputs {
        let it = live.schedule.as_ref();
        let parts = [("arn", it.and_then(|it| it.arn())), ("name", it.and_then(|it| it.name()))];
        parts.into_iter().filter_map(|(key, it)| Some((key, it?.to_owned()))).collect()
    }

    /// Makes the group alone: the schedule is the first update.
    async fn create(&self, cx: &Cx, name: &Name) -> Result<()> {
        let request = cx.aws.scheduler().create_schedule_group().name(&name.physical);
        let sent = request.set_tags(Some(tags(cx.tags(&name.owner))?)).send().await;
        let sent = sent.map_err(Error::aws("scheduler", "CreateScheduleGroup"));
        sent.map(|_| ()).map_err(|err| err.conflict_is_exists().into())
    }

    async fn update(&self, cx: &Cx, name: &Name, live: &LiveSchedule, changes: &[Change]) -> Result<()> {
        let mut touched = touched(changes);
        let scheduler = cx.aws.scheduler();
        if touched.remove("tags")
            && let Some(arn) = live.group.arn()
        {
            let wanted = tags(live.tags.after(cx, name, changes))?;
            let sent = scheduler.tag_resource().resource_arn(arn).set_tags(Some(wanted)).send().await;
            sent.map_err(Error::aws("scheduler", "TagResource"))?;
            let gone = Tags::removed(changes);
            if !gone.is_empty() {
                let sent = scheduler.untag_resource().resource_arn(arn).set_tag_keys(Some(gone)).send().await;
                sent.map_err(Error::aws("scheduler", "UntagResource"))?;
            }
        }
        if touched.is_empty() && live.schedule.is_some() {
            return Ok(());
        }
        let window = types::FlexibleTimeWindow::builder().mode(FlexibleTimeWindowMode::Off).build();
        let window = window.map_err(|err| KindError::Unusable(err.to_string()))?;
        let state = if self.enabled { ScheduleState::Enabled } else { ScheduleState::Disabled };
        // Both requests say the whole of it.
        match live.schedule {
            None => {
                let request = scheduler.create_schedule().group_name(&name.physical).name(&name.physical);
                let request = request.schedule_expression(self.expression()).flexible_time_window(window);
                let request = request.schedule_expression_timezone(&self.timezone).target(self.target(cx)?);
                let sent = request.state(state).set_description(self.description.clone()).send().await;
                sent.map_err(Error::aws("scheduler", "CreateSchedule"))?;
            }
            Some(_) => {
                let request = scheduler.update_schedule().group_name(&name.physical).name(&name.physical);
                let request = request.schedule_expression(self.expression()).flexible_time_window(window);
                let request = request.schedule_expression_timezone(&self.timezone).target(self.target(cx)?);
                let sent = request.state(state).set_description(self.description.clone()).send().await;
                sent.map_err(Error::aws("scheduler", "UpdateSchedule"))?;
            }
        }
        Ok(())
    }

    async fn delete(cx: &Cx, name: &Name, _live: &LiveSchedule) -> Result<()> {
        let sent = cx.aws.scheduler().delete_schedule_group().name(&name.physical).send().await;
        Ok(Error::missing_is_done(sent.map_err(Error::aws("scheduler", "DeleteScheduleGroup")))?)
    }
}

impl Schedule {
    fn expression(&self) -> String {
        match (&self.every, &self.cron) {
            (Some(every), _) => time::rate(*every),
            (None, cron) => format!("cron({})", cron.as_deref().unwrap_or_default()),
        }
    }

    fn target(&self, cx: &Cx) -> Result<types::Target> {
        let retry = types::RetryPolicy::builder()
            .maximum_retry_attempts(i32::try_from(self.retries).unwrap_or(i32::MAX))
            .maximum_event_age_in_seconds(i32::try_from(self.max_age.as_secs()).unwrap_or(i32::MAX));
        let dead_letters = self.dead_letters.as_ref().map(|it| types::DeadLetterConfig::builder().arn(it).build());
        let target = types::Target::builder()
            .arn(cx.output(&self.function.address(), "arn")?)
            .role_arn(cx.live(&self.role)?.arn())
            .set_input(Some(json!(self.input).to_string()).filter(|_| !self.input.is_empty()))
            .set_dead_letter_config(dead_letters)
            .retry_policy(retry.build());
        target.build().map_err(|err| KindError::Unusable(err.to_string()))
    }
}

async fn read_one(cx: &Cx, physical: &str) -> client::Result<Option<LiveSchedule>> {
    let scheduler = cx.aws.scheduler();
    let Scope { account, region, .. } = &cx.scope;
    let arn = format!("arn:{}:scheduler:{region}:{account}:schedule-group/{physical}", cx.scope.partition());
    let group = try_join(
        async {
            let sent = scheduler.get_schedule_group().name(physical).send().await;
            sent.map_err(Error::aws("scheduler", "GetScheduleGroup"))
        },
        async {
            let sent = scheduler.list_tags_for_resource().resource_arn(arn).send().await;
            sent.map_err(Error::aws("scheduler", "ListTagsForResource"))
        },
    );
    let schedule = async {
        let sent = scheduler.get_schedule().group_name(physical).name(physical).send().await;
        Error::missing_is_none(sent.map_err(Error::aws("scheduler", "GetSchedule")))
    };
    let (group, schedule) = Box::pin(try_join(async { Error::missing_is_none(group.await) }, schedule)).await?;
    Ok(group.map(|(group, tags)| {
        let tags = tags.tags().iter().map(|it| (it.key(), it.value())).collect();
        LiveSchedule { group, schedule, tags }
    }))
}

fn tags(tags: impl IntoIterator<Item = (String, String)>) -> Result<Vec<types::Tag>> {
    let tag = |(key, value)| types::Tag::builder().key(key).value(value).build();
    tags.into_iter().map(tag).collect::<Result<_, _>>().map_err(|err| KindError::Unusable(err.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(value: Value) -> Schedule {
        let mut whole = json!({ "function": "watch", "role": "clock" });
        for (key, it) in value.as_object().into_iter().flatten() {
            whole[key] = it.clone();
        }
        serde_json::from_value(whole).expect("a spec")
    }

    #[test]
    fn flaws() {
        let at = |value| spec(value).check().into_iter().map(|it| it.at).collect::<Vec<_>>();
        assert_eq!(at(json!({ "every": "1m" })), Vec::<String>::new());
        assert_eq!(at(json!({ "cron": "0/5 * * * ? *", "timezone": "Europe/Berlin" })), Vec::<String>::new());
        assert_eq!(at(json!({})), [""]);
        assert_eq!(at(json!({ "every": "1m", "cron": "0/5 * * * ? *" })), ["/cron"]);
        assert_eq!(at(json!({ "every": "90s" })), ["/every"]);
        assert_eq!(at(json!({ "cron": "0/5 * * * *" })), ["/cron"]);
        let wrong = json!({ "every": "1m", "timezone": "Mars", "retries": 186, "max_age": "2d", "dead_letters": "q" });
        assert_eq!(at(wrong), ["/timezone", "/retries", "/max_age", "/dead_letters"]);
        assert!(Schedule::check_name("s-watch").is_empty());
        assert_eq!(Schedule::check_name("s/watch").len(), 1);
    }

    #[test]
    fn a_group_without_its_schedule_has_everything_still_to_do() {
        let group = GetScheduleGroupOutput::builder().arn("arn:group").state(ScheduleGroupState::Active).build();
        let live = LiveSchedule { group, schedule: None, tags: Tags::default() };
        let observed = Schedule::observed(&live);
        for field in ["every", "function", "role", "retries", "max_age", "enabled", "timezone"] {
            assert_eq!(observed[field], Value::Null, "{field}");
        }
        assert!(Schedule::outputs(&live).is_empty());
    }

    #[test]
    fn what_is_wanted_is_observed() {
        let target = types::Target::builder()
            .arn("arn:aws:lambda:us-east-1:0:function:s-watch:live")
            .role_arn("arn:aws:iam::0:role/s-clock")
            .input("{\"a\": 1}")
            .retry_policy(
                types::RetryPolicy::builder().maximum_retry_attempts(0).maximum_event_age_in_seconds(60).build(),
            );
        let schedule = GetScheduleOutput::builder()
            .schedule_expression("rate(1 minute)")
            .schedule_expression_timezone("UTC")
            .state(ScheduleState::Enabled)
            .description("")
            .target(target.build().expect("a target"));
        let group = GetScheduleGroupOutput::builder().arn("arn:group").state(ScheduleGroupState::Deleting).build();
        let live = LiveSchedule { group, schedule: Some(schedule.build()), tags: Tags::default() };
        assert_eq!(Schedule::phase(&live), Phase::Deleting);
        let wanted = spec(json!({ "every": "60s", "input": { "a": 1 }, "retries": 0, "max_age": "1m" }));
        let wanted = wanted.desired(&crate::resource::testing::cx()).expect("wanted").spec;
        let observed = Schedule::observed(&live);
        for (field, value) in wanted.as_object().expect("a map") {
            assert_eq!(&observed[field], value, "{field}");
        }
    }
}
