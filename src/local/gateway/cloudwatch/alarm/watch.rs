//! The alarms at work: evaluated as time passes, moved from state to state, and what they do then.
//!
//! A state is on disk before its actions begin; a crash in between loses the actions. Actions are done for topics of
//! SNS and for functions; others are noted as failed.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use jiff::{Timestamp, tz::TimeZone};
use serde_json::json;
use tokio::{select, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    Alarm, MetricRule, Rule, State,
    answer::{find, is_suppressed, logic, plain},
    evaluate::{Range, Step, evaluate},
    history::{self, Event},
    message, now,
};
use crate::local::gateway::{
    call::Fault,
    cloudwatch::{
        CloudWatch, Document,
        math::Outcome,
        metric::{self, Named},
        query,
        store::{Sample, Window},
    },
    upstream::{self, Answer, Unreachable},
};

#[cfg(test)]
mod tests;

/// How often is looked whether an evaluation is due.
const TICK: Duration = Duration::from_secs(2);
/// How deep composite alarms may stand on each other, to settle in one go.
const DEPTH: usize = 10;
/// How long an action may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A state for an alarm to be in.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::local::gateway::cloudwatch) struct Verdict {
    /// The state.
    pub(super) state: State,
    /// Why, in words.
    pub(super) reason: String,
    /// Why, as a JSON text.
    pub(super) data: Option<String>,
    /// Why the alarm cannot be evaluated.
    pub(super) error: Option<String>,
    /// The names of the alarms that made it so.
    pub(super) triggers: Vec<String>,
}

/// For which window, and which version of the rule, each alarm was evaluated last.
type Seen = HashMap<String, (i64, Timestamp)>;

impl CloudWatch {
    /// Evaluates alarms until it is stopped.
    pub(crate) async fn watch(&self, stop: CancellationToken) {
        let mut seen = Seen::new();
        let mut pruned = 0;
        loop {
            let now = now();
            self.evaluate_all(&mut seen, now).await;
            if now.as_second() - pruned >= 60 {
                pruned = now.as_second();
                self.store.prune(pruned);
            }
            select! {
                () = sleep(TICK) => (),
                () = self.wake.notified() => (),
                () = stop.cancelled() => return,
            }
        }
    }

    async fn evaluate_all(&self, seen: &mut Seen, now: Timestamp) {
        let all = self.records.now();
        seen.retain(|key, _| all.alarms.contains_key(key));
        for (key, alarm) in &all.alarms {
            let Rule::Metric(rule) = &alarm.rule else { continue };
            let range = Range::of(rule, now.as_second());
            let due = (range.end, alarm.configured);
            if seen.insert(key.clone(), due) == Some(due) {
                continue;
            }
            let verdict = self.verdict(alarm, rule, range, now);
            if let Some(it) = verdict.filter(|it| it.state != alarm.state || it.error != alarm.error) {
                self.note(key, it).await;
            }
        }
        for _ in 0..DEPTH {
            let all = self.records.now();
            let moved: Vec<_> = all.alarms.iter().filter_map(|(key, it)| Some((key, composite(&all, it)?))).collect();
            if moved.is_empty() {
                break;
            }
            for (key, verdict) in moved {
                self.note(key, verdict).await;
            }
        }
    }

    async fn note(&self, key: &str, verdict: Verdict) {
        if let Err(err) = self.transit(key, verdict).await {
            tracing::warn!("alarm {key}: {err}");
        }
    }

    /// Evaluates the rule of an alarm on a metric; `None` where it stays as it is.
    fn verdict(&self, alarm: &Alarm, rule: &MetricRule, range: Range, now: Timestamp) -> Option<Verdict> {
        match self.steps(rule, &alarm.region, range) {
            Ok(steps) => {
                // Values from before this start are not missing but forgotten.
                let forgotten = alarm.transitioned < self.started && range.start() < self.started.as_second();
                let real = steps.iter().filter(|it| it.1.is_some()).count();
                if forgotten && i64::try_from(real).unwrap_or(0) < rule.evaluation_periods.unwrap_or(1) {
                    return None;
                }
                let found = evaluate(rule, &steps, now)?;
                Some(Verdict {
                    state: found.state,
                    reason: found.reason,
                    data: Some(found.data),
                    error: None,
                    triggers: Vec::new(),
                })
            }
            Err(err) => Some(Verdict {
                state: State::InsufficientData,
                reason: format!("Evaluation error: {err}"),
                data: None,
                error: Some(err),
                triggers: Vec::new(),
            }),
        }
    }

    /// Reads the values that a rule is about.
    fn steps(&self, rule: &MetricRule, region: &str, range: Range) -> Result<Vec<Step>, String> {
        let (start, period, end) = (range.start(), range.period, range.end);
        if let (Some(name), Some(namespace)) = (&rule.metric_name, &rule.namespace) {
            let named =
                Named { namespace: namespace.clone(), metric_name: name.clone(), dimensions: rule.dimensions.clone() };
            let metric = named.metric().map_err(|err| err.message)?;
            let stat = rule.statistic.as_ref().or(rule.extended_statistic.as_ref()).map_or("", |it| it);
            let stat = metric::stat(stat).map_err(|err| err.message)?;
            let window = Window { metric: &metric, unit: rule.unit.as_deref(), stat, period, start, end };
            let points = self.store.read(region, &window);
            return Ok(range.steps().map(|at| (at, points.get(&at).copied())).collect());
        }
        // One more period, for the changes from one value to the next.
        let scope = query::scope(&self.store, region, &rule.metrics, |_| start - period, end);
        let scope = scope.map_err(|err| err.message)?;
        let watched = rule.metrics.iter().find(|it| it.return_data != Some(false));
        let id = watched.map(|it| it.id.as_str()).unwrap_or_default();
        match scope.value(id).map_err(|err| err.to_string())? {
            Outcome::Series(series) => {
                let sample = |at: i64| series.get(&at).map(|it| Sample { value: *it, count: 1.0 });
                Ok(range.steps().map(|at| (at, sample(at))).collect())
            }
            _ => Err(format!("the expression {id} does not give a single time series")),
        }
    }

    /// Brings an alarm into a state; where that is another one, its actions follow.
    pub(super) async fn transit(&self, key: &str, verdict: Verdict) -> Result<(), Fault> {
        let now = now();
        let changed = self
            .records
            .change(|all| {
                let Some(alarm) = all.alarms.get_mut(key) else { return Ok(None) };
                let old = (alarm.state, alarm.reason.clone(), alarm.data.clone());
                alarm.state = verdict.state;
                alarm.reason = verdict.reason.chars().take(1023).collect();
                alarm.data = verdict.data;
                alarm.error = verdict.error;
                alarm.updated = now;
                if alarm.state == old.0 {
                    return Ok(None);
                }
                alarm.triggers = verdict.triggers;
                alarm.transitioned = now;
                let alarm = alarm.clone();
                let event = Event::moved(&alarm, (old.0, &old.1, old.2.as_deref()));
                history::add(&mut all.history, [event]);
                Ok(Some((alarm, old)))
            })
            .await?;
        let Some((alarm, old)) = changed else { return Ok(()) };
        tracing::info!("alarm {key}: {} -> {}: {}", old.0.word(), alarm.state.word(), alarm.reason);
        if !alarm.rule.common().actions_enabled || is_suppressed(&self.records.now(), &alarm) {
            return Ok(());
        }
        let mut events = Vec::new();
        for action in alarm.actions() {
            let done = self.act(&alarm, action, (old.0, &old.1, old.2.as_deref())).await;
            if let Err(err) = &done {
                tracing::warn!("alarm {key}: {action}: {err}");
            }
            events.push(Event::acted(&alarm, super::now(), action, done.as_ref().copied().map_err(String::as_str)));
        }
        if events.is_empty() {
            return Ok(());
        }
        self.records
            .change(|all| {
                history::add(&mut all.history, events);
                Ok(())
            })
            .await
    }

    async fn act(&self, alarm: &Alarm, action: &str, old: (State, &str, Option<&str>)) -> Result<(), String> {
        let sent: Result<Answer, Unreachable> = match action.split(':').nth(2) {
            Some("sns") => {
                let message = message::message(alarm, old.0, &self.account, &self.records.now().alarms);
                let body = form_urlencoded::Serializer::new(String::new())
                    .extend_pairs([("Action", "Publish"), ("Version", "2010-03-31"), ("TopicArn", action)])
                    .append_pair("Subject", &message::subject(alarm))
                    .append_pair("Message", &message.to_string())
                    .finish();
                let request = self.upstream.request("POST", "/", "sns", &alarm.region);
                let request = request.header("content-type", "application/x-www-form-urlencoded");
                self.within(request, Bytes::from(body)).await?
            }
            Some("lambda") => {
                let path = format!("/2015-03-31/functions/{}/invocations", upstream::segment(action));
                let request = self.upstream.request("POST", &path, "lambda", &alarm.region);
                let request = request.header("x-amz-invocation-type", "Event");
                let event = message::event(alarm, old, &self.account);
                self.within(request, Bytes::from(event.to_string())).await?
            }
            _ => return Err("the local cloud does not do this action".to_owned()),
        };
        match sent {
            Ok(it) if it.status.is_success() => Ok(()),
            Ok(it) => Err(it.refusal()),
            Err(err) => Err(err.to_string()),
        }
    }

    async fn within(
        &self,
        request: http::request::Builder,
        body: Bytes,
    ) -> Result<Result<Answer, Unreachable>, String> {
        let sent = tokio::time::timeout(PATIENCE, self.upstream.send(request, body)).await;
        sent.map_err(|_| format!("no answer within {} s", PATIENCE.as_secs()))
    }
}

/// Evaluates a composite alarm; `None` where it stays as it is, and for alarms on metrics.
fn composite(all: &Document, alarm: &Alarm) -> Option<Verdict> {
    let logic = logic(alarm)?;
    let child = |name: &str| find(all, &alarm.region, name);
    let holds = logic.holds(&|name| child(name).map(|it| it.state));
    let state = if holds { State::Alarm } else { State::Ok };
    if state == alarm.state {
        return None;
    }
    let names = logic.alarms();
    let children = || names.iter().filter_map(|name| child(name));
    let moved: Vec<&Alarm> = children().filter(|it| it.transitioned > alarm.transitioned).collect();
    let reason = match moved.iter().max_by_key(|it| it.transitioned) {
        Some(last) if alarm.state != State::InsufficientData && alarm.configured <= last.transitioned => {
            let at = last.transitioned.to_zoned(TimeZone::UTC).strftime("%A %d %B, %Y %H:%M:%S UTC");
            format!("{} transitioned to {} at {at}", last.arn, last.state.word())
        }
        _ if alarm.state == State::InsufficientData => {
            format!("{} was created and its alarm rule evaluates to {}", alarm.arn, state.word())
        }
        _ => format!("{} was updated and its new alarm rule evaluates to {}", alarm.arn, state.word()),
    };
    let of_child = |it: &&Alarm| {
        let state = json!({ "value": it.state, "timestamp": super::evaluate::moment(it.transitioned) });
        json!({ "arn": it.arn, "state": state })
    };
    // Where nothing moved, as right after its creation, those that are in ALARM are what it is about.
    let told: Vec<&Alarm> =
        if moved.is_empty() { children().filter(|it| it.state == State::Alarm).collect() } else { moved };
    let data = json!({ "triggeringAlarms": told.iter().map(of_child).collect::<Vec<_>>() });
    Some(Verdict {
        state,
        reason,
        data: Some(data.to_string()),
        error: None,
        triggers: told.iter().map(|it| plain(it.name()).to_owned()).collect(),
    })
}
