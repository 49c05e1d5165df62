//! What an alarm tells when its state changes: the message for a topic of SNS, the event for a function. Pure.
//!
//! Shapes: "Schema of Amazon SNS notifications when alarms change state" and "Invoke a Lambda function from an alarm"
//! in the CloudWatch user guide.

use serde_json::{Value, json};

use super::{Alarm, Alarms, MetricRule, Rule, State, evaluate::moment, key};
use crate::local::gateway::cloudwatch::metric::{Dimension, Query};

/// Writes the subject of a message; SNS takes at most 100 characters.
pub(super) fn subject(alarm: &Alarm) -> String {
    let subject = format!("{}: \"{}\" in {}", alarm.state.word(), alarm.name(), place(&alarm.region));
    let plain: String = subject.chars().map(|it| if it.is_ascii_graphic() { it } else { ' ' }).collect();
    if plain.len() > 100 { format!("{}...", plain.get(..97).unwrap_or_default()) } else { plain }
}

/// Writes the message for a topic.
pub(super) fn message(alarm: &Alarm, old: State, account: &str, all: &Alarms) -> Value {
    let common = alarm.rule.common();
    let mut message = json!({
        "AlarmName": common.alarm_name,
        "AlarmDescription": common.alarm_description,
        "AWSAccountId": account,
        "AlarmConfigurationUpdatedTimestamp": moment(alarm.configured),
        "NewStateValue": alarm.state,
        "NewStateReason": alarm.reason,
        "StateChangeTime": moment(alarm.updated),
        "Region": place(&alarm.region),
        "AlarmArn": alarm.arn,
        "OldStateValue": old,
        "OKActions": common.ok_actions,
        "AlarmActions": common.alarm_actions,
        "InsufficientDataActions": common.insufficient_data_actions,
    });
    match &alarm.rule {
        Rule::Metric(rule) => message["Trigger"] = trigger(rule),
        Rule::Composite(rule) => {
            if let Some(it) = message.as_object_mut() {
                it.shift_remove("AlarmConfigurationUpdatedTimestamp");
            }
            message["AlarmRule"] = json!(rule.alarm_rule);
            let children = alarm.triggers.iter().filter_map(|name| all.get(&key(&alarm.region, name)));
            let child = |it: &Alarm| {
                let state = json!({ "Value": it.state, "Timestamp": moment(it.transitioned) });
                json!({ "Arn": it.arn, "State": state })
            };
            message["TriggeringChildren"] = children.map(child).collect();
        }
    }
    message
}

fn trigger(rule: &MetricRule) -> Value {
    let missing = rule.treat_missing_data.as_deref().unwrap_or("missing");
    let mut trigger = match (&rule.metric_name, &rule.statistic) {
        (Some(name), statistic) => {
            let (kind, statistic) = match (statistic, &rule.extended_statistic) {
                (Some(it), _) => ("Statistic", ("Statistic", json!(words(it)))),
                (None, it) => ("ExtendedStatistic", ("ExtendedStatistic", json!(it))),
            };
            json!({
                "MetricName": name,
                "Namespace": rule.namespace,
                "StatisticType": kind,
                statistic.0: statistic.1,
                "Unit": rule.unit,
                "Dimensions": dimensions(&rule.dimensions),
                "Period": rule.period,
            })
        }
        (None, _) => json!({}),
    };
    if let Some(it) = trigger.as_object_mut() {
        it.insert("EvaluationPeriods".to_owned(), json!(rule.evaluation_periods));
        it.extend(rule.datapoints_to_alarm.map(|count| ("DatapointsToAlarm".to_owned(), json!(count))));
        it.insert("ComparisonOperator".to_owned(), json!(rule.comparison_operator));
        it.insert("Threshold".to_owned(), json!(rule.threshold));
        it.insert("TreatMissingData".to_owned(), json!(missing));
        let few = rule.evaluate_low_sample_count_percentile.as_deref().unwrap_or_default();
        it.insert("EvaluateLowSampleCountPercentile".to_owned(), json!(few));
        if !rule.metrics.is_empty() {
            it.insert("Metrics".to_owned(), rule.metrics.iter().map(metric).collect());
        }
    }
    trigger
}

/// Messages spell statistics in capitals: `SampleCount` is `SAMPLE_COUNT`.
fn words(statistic: &str) -> String {
    if statistic == "SampleCount" { "SAMPLE_COUNT".to_owned() } else { statistic.to_uppercase() }
}

/// Messages spell dimensions in small letters, the value first.
fn dimensions(list: &[Dimension]) -> Value {
    list.iter().map(|it| json!({ "value": it.value, "name": it.name })).collect()
}

fn metric(query: &Query) -> Value {
    let mut shown = json!({ "Id": query.id, "ReturnData": query.return_data.unwrap_or(true) });
    if let Some(it) = &query.label {
        shown["Label"] = json!(it);
    }
    if let Some(it) = &query.expression {
        shown["Expression"] = json!(it);
    }
    if let Some(it) = &query.metric_stat {
        let metric = json!({
            "Dimensions": dimensions(&it.metric.dimensions),
            "MetricName": it.metric.metric_name,
            "Namespace": it.metric.namespace,
        });
        shown["MetricStat"] = json!({ "Metric": metric, "Period": it.period, "Stat": it.stat });
    }
    shown
}

/// Writes the event for a function.
pub(super) fn event(alarm: &Alarm, old: (State, &str, Option<&str>), account: &str) -> Value {
    let side = |state: State, reason: &str, data: Option<&str>| {
        let at = moment(alarm.updated);
        json!({ "value": state, "reason": reason, "reasonData": data, "timestamp": at })
    };
    let configuration = match &alarm.rule {
        Rule::Metric(it) => {
            let metrics: Value = it.metrics.iter().map(metric).collect();
            json!({ "description": it.common.alarm_description, "metrics": metrics })
        }
        Rule::Composite(it) => {
            json!({ "description": it.common.alarm_description, "alarmRule": it.alarm_rule })
        }
    };
    json!({
        "source": "aws.cloudwatch",
        "alarmArn": alarm.arn,
        "accountId": account,
        "time": moment(alarm.updated),
        "region": alarm.region,
        "alarmData": {
            "alarmName": alarm.name(),
            "state": side(alarm.state, &alarm.reason, alarm.data.as_deref()),
            "previousState": side(old.0, old.1, old.2),
            "configuration": configuration,
        },
    })
}

/// Returns a region's name for people; its own where it is none of the large ones.
fn place(region: &str) -> &str {
    match region {
        "us-east-1" => "US East (N. Virginia)",
        "us-east-2" => "US East (Ohio)",
        "us-west-1" => "US West (N. California)",
        "us-west-2" => "US West (Oregon)",
        "ca-central-1" => "Canada (Central)",
        "eu-central-1" => "EU (Frankfurt)",
        "eu-west-1" => "EU (Ireland)",
        "eu-west-2" => "EU (London)",
        "eu-west-3" => "EU (Paris)",
        "eu-north-1" => "EU (Stockholm)",
        "ap-south-1" => "Asia Pacific (Mumbai)",
        "ap-northeast-1" => "Asia Pacific (Tokyo)",
        "ap-southeast-1" => "Asia Pacific (Singapore)",
        "ap-southeast-2" => "Asia Pacific (Sydney)",
        "sa-east-1" => "South America (Sao Paulo)",
        it => it,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::local::gateway::cloudwatch::alarm::{Common, CompositeRule};

    const ACCOUNT: &str = "000000000000";

    fn alarm(rule: Value) -> Alarm {
        let rule: MetricRule = serde_json::from_value(rule).expect("a rule");
        let mut alarm = Alarm::new("us-east-1", ACCOUNT, Rule::Metric(Box::new(rule)), Timestamp::UNIX_EPOCH);
        alarm.state = State::Alarm;
        alarm
    }

    #[test]
    fn a_message_has_the_documented_members() {
        let alarm = alarm(json!({
            "AlarmName": "late", "AlarmDescription": "Orders are late.", "MetricName": "Lag", "Namespace": "Shop",
            "Statistic": "Maximum", "Period": 60, "EvaluationPeriods": 2, "Threshold": 5.0, "Unit": "Seconds",
            "ComparisonOperator": "GreaterThanThreshold", "AlarmActions": ["arn:aws:sns:us-east-1:000000000000:t"],
            "Dimensions": [{ "Name": "Stack", "Value": "dev" }],
        }));
        assert_eq!(subject(&alarm), "ALARM: \"late\" in US East (N. Virginia)");
        let wanted = json!({
            "AlarmName": "late", "AlarmDescription": "Orders are late.", "AWSAccountId": ACCOUNT,
            "AlarmConfigurationUpdatedTimestamp": "1970-01-01T00:00:00.000+0000",
            "NewStateValue": "ALARM", "NewStateReason": "Unchecked: Initial alarm creation",
            "StateChangeTime": "1970-01-01T00:00:00.000+0000", "Region": "US East (N. Virginia)",
            "AlarmArn": "arn:aws:cloudwatch:us-east-1:000000000000:alarm:late", "OldStateValue": "OK", "OKActions": [],
            "AlarmActions": ["arn:aws:sns:us-east-1:000000000000:t"], "InsufficientDataActions": [],
            "Trigger": {
                "MetricName": "Lag", "Namespace": "Shop", "StatisticType": "Statistic", "Statistic": "MAXIMUM",
                "Unit": "Seconds", "Dimensions": [{ "value": "dev", "name": "Stack" }], "Period": 60,
                "EvaluationPeriods": 2, "ComparisonOperator": "GreaterThanThreshold", "Threshold": 5.0,
                "TreatMissingData": "missing", "EvaluateLowSampleCountPercentile": "",
            },
        });
        assert_eq!(message(&alarm, State::Ok, ACCOUNT, &Alarms::new()), wanted);
    }

    #[test]
    fn math_is_told_with_its_metrics() {
        let stat = json!({ "Metric": { "Namespace": "Shop", "MetricName": "Bad" }, "Period": 60, "Stat": "Sum" });
        let alarm = alarm(json!({
            "AlarmName": "bad", "EvaluationPeriods": 1, "Threshold": 1, "ComparisonOperator": "GreaterThanThreshold",
            "Metrics": [{ "Id": "e", "Expression": "m * 2" }, { "Id": "m", "MetricStat": stat, "ReturnData": false }],
        }));
        let trigger = message(&alarm, State::Ok, ACCOUNT, &Alarms::new())["Trigger"].clone();
        assert_eq!(trigger["Metrics"][0], json!({ "Id": "e", "ReturnData": true, "Expression": "m * 2" }));
        assert_eq!(trigger["Metrics"][1]["MetricStat"]["Metric"]["Dimensions"], json!([]));
        assert_eq!(trigger.get("MetricName"), None);
    }

    #[test]
    fn a_composite_names_the_children_that_moved_it() {
        let child = alarm(json!({ "AlarmName": "child", "MetricName": "Lag", "EvaluationPeriods": 1 }));
        let common = Common { alarm_name: "parent".into(), ..Common::default() };
        let rule = CompositeRule { common, alarm_rule: "ALARM(child)".into(), ..CompositeRule::default() };
        let mut parent = Alarm::new("us-east-1", ACCOUNT, Rule::Composite(rule), Timestamp::UNIX_EPOCH);
        parent.triggers = vec!["child".into()];
        let all = Alarms::from([(child.key(), child)]);
        let message = message(&parent, State::Ok, ACCOUNT, &all);
        assert_eq!(message["AlarmRule"], "ALARM(child)");
        assert_eq!(message["TriggeringChildren"][0]["State"]["Value"], "ALARM");
        assert_eq!((message.get("Trigger"), message.get("AlarmConfigurationUpdatedTimestamp")), (None, None));
    }

    #[test]
    fn a_long_subject_is_cut() {
        let alarm = alarm(json!({ "AlarmName": "ä".repeat(200), "EvaluationPeriods": 1 }));
        assert!(subject(&alarm).len() == 100 && subject(&alarm).is_ascii());
    }
}
