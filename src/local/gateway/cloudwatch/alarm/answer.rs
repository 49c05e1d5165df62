//! The operations on alarms. What an alarm does when its state changes is elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Alarm, CompositeRule, MetricRule, Rule, State,
    check::{self, Tag},
    history::{self, Event},
    key, now,
    rule::Logic,
};
use crate::local::gateway::{
    call::Fault,
    cloudwatch::{CloudWatch, Document, input, invalid, metric::Dimension},
};

/// The most alarms of one region.
const MOST: usize = 5000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tagged {
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Described {
    #[serde(default)]
    alarm_names: Option<Vec<String>>,
    alarm_name_prefix: Option<String>,
    #[serde(default)]
    alarm_types: Vec<String>,
    children_of_alarm_name: Option<String>,
    parents_of_alarm_name: Option<String>,
    state_value: Option<State>,
    action_prefix: Option<String>,
    max_records: Option<usize>,
    next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OfMetric {
    metric_name: String,
    namespace: String,
    statistic: Option<String>,
    extended_statistic: Option<String>,
    #[serde(default)]
    dimensions: Vec<Dimension>,
    period: Option<i64>,
    unit: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Names {
    alarm_names: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Set {
    alarm_name: String,
    state_value: String,
    state_reason: String,
    state_reason_data: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Past {
    alarm_name: Option<String>,
    #[serde(default)]
    alarm_types: Vec<String>,
    history_item_type: Option<String>,
    start_date: Option<f64>,
    end_date: Option<f64>,
    max_records: Option<usize>,
    next_token: Option<String>,
    scan_by: Option<String>,
}

impl CloudWatch {
    /// `PutMetricAlarm`.
    pub(in crate::local::gateway::cloudwatch) async fn put_metric_alarm(
        &self,
        asked: Value,
        region: &str,
    ) -> Result<Value, Fault> {
        let tagged: Tagged = input(asked.clone())?;
        let rule: MetricRule = input(asked)?;
        check::metric_rule(&rule, region)?;
        self.put_alarm(Rule::Metric(Box::new(rule)), check::tags(&tagged.tags)?, region).await
    }

    /// `PutCompositeAlarm`.
    pub(in crate::local::gateway::cloudwatch) async fn put_composite_alarm(
        &self,
        asked: Value,
        region: &str,
    ) -> Result<Value, Fault> {
        let tagged: Tagged = input(asked.clone())?;
        let rule: CompositeRule = input(asked)?;
        check::composite_rule(&rule, region)?;
        let logic = Logic::parse(&rule.alarm_rule).map_err(invalid)?;
        let named = logic.alarms();
        if named.len() > 100 {
            return Err(invalid("AlarmRule must name at most 100 alarms."));
        }
        let known = self.records.now();
        let own = rule.common.alarm_name.as_str();
        let suppressor = rule.actions_suppressor.as_deref();
        let gone: Vec<_> = named
            .iter()
            .copied()
            .chain(suppressor)
            .filter(|it| plain(it) != own && find(&known, region, it).is_none())
            .collect();
        if !gone.is_empty() {
            return Err(invalid(format!(
                "Could not save the composite alarm as alarms [{}] in the alarm rule do not exist",
                gone.join(", ")
            )));
        }
        self.put_alarm(Rule::Composite(rule), check::tags(&tagged.tags)?, region).await
    }

    async fn put_alarm(&self, rule: Rule, tags: BTreeMap<String, String>, region: &str) -> Result<Value, Fault> {
        let now = now();
        let mut alarm = Alarm::new(region, &self.account, rule, now);
        self.records
            .change(|all| {
                let key = alarm.key();
                let there = all.alarms.get(&key);
                if there.is_some_and(|it| it.rule.kind() != alarm.rule.kind()) {
                    return Err(invalid(format!("An alarm of another type is called {}.", alarm.name())));
                }
                let verb = match there {
                    // Its state stays, and so do its tags: those of the request are not looked at.
                    Some(old) => {
                        alarm = Alarm { rule: alarm.rule.clone(), configured: now, error: None, ..old.clone() };
                        "Update"
                    }
                    None => {
                        let region = format!("{region}/");
                        if all.alarms.keys().filter(|it| it.starts_with(&region)).count() >= MOST {
                            return Err(Fault::new(400, "LimitExceededFault", "The quota for alarms is reached."));
                        }
                        alarm.tags = tags;
                        "Create"
                    }
                };
                all.alarms.insert(key, alarm.clone());
                history::add(&mut all.history, [Event::configured(&alarm, now, verb)]);
                Ok(())
            })
            .await?;
        self.wake.notify_one();
        Ok(json!({}))
    }

    /// `DescribeAlarms`. The token is the name of the last alarm of the page before.
    pub(in crate::local::gateway::cloudwatch) fn describe(&self, asked: Value, region: &str) -> Result<Value, Fault> {
        let asked: Described = input(asked)?;
        let most = asked.max_records.unwrap_or(50);
        if !(1..=100).contains(&most) {
            return Err(invalid("The parameter MaxRecords must be between 1 and 100."));
        }
        if asked.alarm_names.as_ref().is_some_and(|it| it.len() > 100) {
            return Err(invalid("The parameter AlarmNames must have at most 100 entries."));
        }
        if asked.alarm_names.is_some() && asked.alarm_name_prefix.is_some() {
            return Err(invalid("AlarmNames and AlarmNamePrefix must not be given together."));
        }
        let kinds: BTreeSet<&str> = match &asked.alarm_types[..] {
            [] => BTreeSet::from(["MetricAlarm"]),
            all => all.iter().map(String::as_str).collect(),
        };
        let known = self.records.now();
        // Whose children or parents are asked for are found whatever their type.
        let family = match (&asked.children_of_alarm_name, &asked.parents_of_alarm_name) {
            (Some(parent), _) => {
                let parent = find(&known, region, parent);
                let rule = parent.and_then(logic);
                Some(rule.iter().flat_map(Logic::alarms).map(|it| plain(it).to_owned()).collect::<BTreeSet<_>>())
            }
            (None, Some(child)) => {
                Some(parents(&known, region, plain(child)).map(|it| it.name().to_owned()).collect::<BTreeSet<_>>())
            }
            (None, None) => None,
        };
        let names: Option<BTreeSet<&String>> = asked.alarm_names.as_ref().map(|it| it.iter().collect());
        let is_wanted = |it: &&Alarm| {
            let common = it.rule.common();
            let actions = [&common.ok_actions, &common.alarm_actions, &common.insufficient_data_actions];
            it.region == region
                && family.as_ref().map_or_else(|| kinds.contains(it.rule.kind()), |family| family.contains(it.name()))
                && names.as_ref().is_none_or(|names| names.contains(&common.alarm_name))
                && asked.alarm_name_prefix.as_ref().is_none_or(|prefix| it.name().starts_with(prefix))
                && asked.state_value.is_none_or(|state| it.state == state)
                && asked
                    .action_prefix
                    .as_ref()
                    .is_none_or(|prefix| actions.iter().any(|all| all.iter().any(|it| it.starts_with(prefix))))
                && asked.next_token.as_ref().is_none_or(|last| it.name() > last.as_str())
        };
        let mut found = known.alarms.values().filter(is_wanted);
        let page: Vec<&Alarm> = found.by_ref().take(most).collect();
        let shown = |kind: &str| {
            let own = page.iter().filter(|it| it.rule.kind() == kind);
            own.map(|it| it.show(is_suppressed(&known, it))).collect::<Vec<_>>()
        };
        let mut answer = json!({ "MetricAlarms": shown("MetricAlarm"), "CompositeAlarms": shown("CompositeAlarm") });
        if let (Some(_), Some(last)) = (found.next(), page.last()) {
            answer["NextToken"] = json!(last.name());
        }
        Ok(answer)
    }

    /// `DescribeAlarmsForMetric`: alarms on math are found by the metrics in it, too.
    pub(in crate::local::gateway::cloudwatch) fn of_metric(&self, asked: Value, region: &str) -> Result<Value, Fault> {
        let asked: OfMetric = input(asked)?;
        let set =
            |list: &[Dimension]| list.iter().map(|it| (it.name.clone(), it.value.clone())).collect::<BTreeSet<_>>();
        let wanted = set(&asked.dimensions);
        let fits = |it: &MetricRule| {
            let own = it.metric_name.as_deref() == Some(&asked.metric_name)
                && it.namespace.as_deref() == Some(&asked.namespace)
                && set(&it.dimensions) == wanted
                && (asked.statistic.is_none() || it.statistic == asked.statistic)
                && (asked.extended_statistic.is_none() || it.extended_statistic == asked.extended_statistic)
                && (asked.period.is_none() || it.period == asked.period)
                && (asked.unit.is_none() || it.unit == asked.unit);
            let inside = it.metrics.iter().filter_map(|it| it.metric_stat.as_ref()).any(|it| {
                it.metric.metric_name == asked.metric_name
                    && it.metric.namespace == asked.namespace
                    && set(&it.metric.dimensions) == wanted
            });
            own || inside
        };
        let known = self.records.now();
        let found = known.alarms.values().filter(|it| it.region == region).filter_map(|it| match &it.rule {
            Rule::Metric(rule) if fits(rule) => Some(it.show(false)),
            _ => None,
        });
        Ok(json!({ "MetricAlarms": found.collect::<Vec<_>>() }))
    }

    /// `DeleteAlarms`: those that are there go, even where others are not.
    pub(in crate::local::gateway::cloudwatch) async fn delete(
        &self,
        asked: Value,
        region: &str,
    ) -> Result<Value, Fault> {
        let names: BTreeSet<String> = input::<Names>(asked)?.alarm_names.into_iter().collect();
        if names.is_empty() || names.len() > 100 {
            return Err(invalid("The parameter AlarmNames must have between 1 and 100 entries."));
        }
        let now = now();
        let gone = self
            .records
            .change(|all| {
                let there: Vec<&String> = names.iter().filter(|it| all.alarms.contains_key(&key(region, it))).collect();
                let is_composite = |it: &&&String| {
                    all.alarms.get(&key(region, it)).is_some_and(|it| matches!(it.rule, Rule::Composite(_)))
                };
                if there.iter().filter(is_composite).count() > 1 {
                    return Err(invalid("You can delete at most one composite alarm at a time."));
                }
                let is_needed =
                    |name: &&&String| parents(all, region, name).any(|parent| !names.contains(parent.name()));
                let needed: Vec<_> = there.iter().filter(is_needed).map(|it| it.as_str()).collect();
                if !needed.is_empty() {
                    let them = if needed.len() == 1 { "it" } else { "them" };
                    return Err(invalid(format!(
                        "Cannot delete {} as there are composite alarm(s) depending on {them}.",
                        needed.join(",")
                    )));
                }
                let gone = there.len() < names.len();
                let removed: Vec<_> = names.iter().filter_map(|it| all.alarms.remove(&key(region, it))).collect();
                history::add(&mut all.history, removed.iter().map(|it| Event::configured(it, now, "Delete")));
                Ok(gone)
            })
            .await?;
        if gone {
            return Err(Fault::new(404, "ResourceNotFound", "Not all of the alarms exist."));
        }
        Ok(json!({}))
    }

    /// `SetAlarmState`. An alarm on a metric comes back at its next evaluation.
    pub(in crate::local::gateway::cloudwatch) async fn set_state(
        &self,
        asked: Value,
        region: &str,
    ) -> Result<Value, Fault> {
        let asked: Set = input(asked)?;
        let state: State = serde_json::from_value(json!(asked.state_value)).map_err(|_| {
            invalid(format!("The StateValue {} is none of OK, ALARM, INSUFFICIENT_DATA.", asked.state_value))
        })?;
        if asked.state_reason.chars().count() > 1023 {
            return Err(invalid("The parameter StateReason must have at most 1023 characters."));
        }
        if asked.state_reason_data.as_ref().is_some_and(|it| serde_json::from_str::<Value>(it).is_err()) {
            return Err(Fault::new(400, "InvalidFormatFault", "StateReasonData must be a JSON document."));
        }
        let key = key(region, &asked.alarm_name);
        if !self.records.now().alarms.contains_key(&key) {
            return Err(Fault::new(404, "ResourceNotFound", format!("There is no alarm {}.", asked.alarm_name)));
        }
        self.transit(
            &key,
            super::watch::Verdict {
                state,
                reason: asked.state_reason,
                data: asked.state_reason_data,
                error: None,
                triggers: Vec::new(),
            },
        )
        .await?;
        self.wake.notify_one();
        Ok(json!({}))
    }

    /// `EnableAlarmActions` and `DisableAlarmActions`: names that are not there are passed over.
    pub(in crate::local::gateway::cloudwatch) async fn enable(
        &self,
        asked: Value,
        region: &str,
        enabled: bool,
    ) -> Result<Value, Fault> {
        let names = input::<Names>(asked)?.alarm_names;
        self.records
            .change(|all| {
                for name in &names {
                    if let Some(it) = all.alarms.get_mut(&key(region, name)) {
                        it.rule.common_mut().actions_enabled = enabled;
                    }
                }
                Ok(json!({}))
            })
            .await
    }

    /// `DescribeAlarmHistory`. The token is how many events came before.
    pub(in crate::local::gateway::cloudwatch) fn past(&self, asked: Value, region: &str) -> Result<Value, Fault> {
        let asked: Past = input(asked)?;
        let most = asked.max_records.unwrap_or(100).clamp(1, 100);
        let from: usize = match &asked.next_token {
            None => 0,
            Some(token) => {
                token.parse().map_err(|_| Fault::new(400, "InvalidNextToken", "The NextToken is not valid."))?
            }
        };
        let at = |it: f64| Timestamp::from_second(crate::local::gateway::cloudwatch::metric::whole(it)).ok();
        let (since, until) = (asked.start_date.and_then(at), asked.end_date.and_then(at));
        let known = self.records.now();
        let own = format!("{region}/");
        let is_wanted = |it: &&Event| {
            it.alarm.starts_with(&own)
                && asked.alarm_name.as_ref().is_none_or(|name| *name == it.name)
                && (asked.alarm_types.is_empty() || asked.alarm_types.contains(&it.sort))
                && asked.history_item_type.as_ref().is_none_or(|kind| *kind == it.kind)
                && since.is_none_or(|since| it.at >= since)
                && until.is_none_or(|until| it.at <= until)
        };
        let mut found: Vec<&Event> = known.history.iter().filter(is_wanted).collect();
        if asked.scan_by.as_deref() != Some("TimestampAscending") {
            found.reverse();
        }
        let page: Vec<_> = found.iter().skip(from).take(most).map(|it| it.show()).collect();
        let mut answer = json!({ "AlarmHistoryItems": page });
        if found.len() > from + most {
            answer["NextToken"] = json!((from + most).to_string());
        }
        Ok(answer)
    }
}

/// Returns the name of an alarm that is given by name or ARN.
pub(super) fn plain(alarm: &str) -> &str {
    match alarm.split_once(":alarm:") {
        Some((arn, name)) if arn.starts_with("arn:") => name,
        _ => alarm,
    }
}

/// Finds an alarm by name or ARN.
pub(super) fn find<'a>(all: &'a Document, region: &str, alarm: &str) -> Option<&'a Alarm> {
    all.alarms.get(&key(region, plain(alarm)))
}

/// Returns the rule of a composite alarm.
pub(super) fn logic(alarm: &Alarm) -> Option<Logic> {
    match &alarm.rule {
        Rule::Composite(it) => Logic::parse(&it.alarm_rule).ok(),
        Rule::Metric(_) => None,
    }
}

/// Lists the composite alarms that name an alarm, in their rule or as suppressor.
fn parents<'a>(all: &'a Document, region: &'a str, child: &'a str) -> impl Iterator<Item = &'a Alarm> {
    all.alarms.values().filter(move |it| {
        let Rule::Composite(rule) = &it.rule else { return false };
        let suppresses = rule.actions_suppressor.as_deref().is_some_and(|it| plain(it) == child);
        let named = || logic(it).is_some_and(|it| it.alarms().iter().any(|it| plain(it) == child));
        it.region == region && it.name() != child && (suppresses || named())
    })
}

/// Says whether an alarm's suppressor holds its actions back.
pub(super) fn is_suppressed(all: &Document, alarm: &Alarm) -> bool {
    let Rule::Composite(rule) = &alarm.rule else { return false };
    let suppressor = rule.actions_suppressor.as_deref();
    suppressor.and_then(|it| find(all, &alarm.region, it)).is_some_and(|it| it.state == State::Alarm)
}
