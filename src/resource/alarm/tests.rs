use std::collections::BTreeMap;

use aws_sdk_cloudwatch::types::{
    ComparisonOperator, CompositeAlarm, Dimension, MetricAlarm, MetricDataQuery, MetricStat, Statistic,
};

use super::*;
use crate::{
    address::Address,
    resource::{KINDS, kind, testing},
};

const ERRORS: &str = r#"
of = ["function"]
title = "{{ it.address }} fails"
means = "Batches are tried again."
run = "ecomctl logs {{ stack }} {{ it.address }}"
compare = ">="
threshold = {{ it.timeout_ms * 0.5 }}
period = "1m"
points = "3 of 5"
missing = "not_breaching"
[metrics.errors]
namespace = "AWS/Lambda"
name = "Errors"
statistic = "Sum"
dimensions = { FunctionName = "{{ it.physical }}" }
"#;

fn spec(spec: Value) -> Alarm {
    serde_json::from_value(spec).expect("a spec")
}

/// A context with these templates, and a function `ingest` of 30 s.
fn cx(templates: &[(&str, &str)]) -> (Cx, tempfile::TempDir) {
    let (mut cx, root) = testing::cx_with(templates);
    let specs = [
        ("function.ingest", json!({ "package": "ingest", "role": "ingest", "log_group": "ingest" })),
        ("log_group.ingest", json!({})),
        ("topic.orders", json!({ "cluster": "events", "partitions": 1 })),
        ("trigger.orders", json!({ "topic": "orders", "function": "ingest" })),
    ];
    let specs = specs.into_iter().map(|(address, spec)| {
        let address: Address = address.parse().expect("an address");
        let spec = kind(KINDS, &address.kind).expect("a kind").parse(spec).expect("a spec");
        (address, spec)
    });
    cx.specs = std::sync::Arc::new(specs.collect::<BTreeMap<_, _>>());
    (cx, root)
}

fn live(alarm: MetricAlarm) -> LiveAlarm {
    LiveAlarm { alarm: Either::Metric(Box::new(alarm)), arn: "arn:…:alarm:s-errors".into(), tags: Tags::default() }
}

#[test]
fn what_is_wanted_is_observed() {
    let (cx, _root) = cx(&[("alarms/errors.toml", ERRORS)]);
    let spec = spec(json!({ "template": "alarms/errors.toml", "of": "function.ingest", "notify": ["oncall"] }));
    let wanted = spec.desired(&cx).expect("wanted").spec;
    let topic = "arn:aws:sns:us-east-1:000000000000:s-oncall";
    let alarm = MetricAlarm::builder()
        .alarm_description("function.ingest fails\nBatches are tried again.\nRun: ecomctl logs s function.ingest")
        .actions_enabled(true)
        .alarm_actions(topic)
        .ok_actions(topic)
        .namespace("AWS/Lambda")
        .metric_name("Errors")
        .statistic(Statistic::Sum)
        .dimensions(Dimension::builder().name("FunctionName").value("s-ingest").build())
        .period(60)
        .evaluation_periods(5)
        .datapoints_to_alarm(3)
        .threshold(15_000.0)
        .comparison_operator(ComparisonOperator::GreaterThanOrEqualToThreshold)
        .treat_missing_data("notBreaching");
    let observed = Alarm::observed(&live(alarm.clone().build()));
    for (field, value) in wanted.as_object().expect("a map") {
        assert_eq!(observed[field], *value, "{field}");
    }
    let silent = Alarm::observed(&live(alarm.set_ok_actions(None).threshold(1.0).build()));
    assert_eq!(silent["notify"], json!({ "alarm": [topic], "ok": [] }), "who is not told that it is over");
    assert_ne!(silent["threshold"], wanted["threshold"]);
}

#[test]
fn computed_values_are_observed() {
    let text = ERRORS.replace("[metrics.errors]", "value = \"IF(a > 0,\n  a, 0)\"\n[metrics.a]");
    let text = text.replace("\"IF(a > 0,\n  a, 0)\"", "\"\"\"IF(a > 0,\n  a, 0)\"\"\"");
    let (cx, _root) = cx(&[("alarms/errors.toml", &text)]);
    let spec = spec(json!({ "template": "alarms/errors.toml", "of": "function.ingest", "threshold": 2 }));
    let wanted = spec.desired(&cx).expect("wanted").spec;
    assert_eq!(wanted["value"], "IF(a > 0, a, 0)");
    let metric = aws_sdk_cloudwatch::types::Metric::builder().namespace("AWS/Lambda").metric_name("Errors");
    let metric = metric.dimensions(Dimension::builder().name("FunctionName").value("s-ingest").build()).build();
    let stat = MetricStat::builder().metric(metric).period(60).stat("Sum").build();
    let alarm = MetricAlarm::builder()
        .metrics(MetricDataQuery::builder().id("a").metric_stat(stat).return_data(false).build())
        .metrics(MetricDataQuery::builder().id("value").expression("IF(a > 0, a, 0)").return_data(true).build())
        .evaluation_periods(5)
        .datapoints_to_alarm(3)
        .threshold(2.0)
        .comparison_operator(ComparisonOperator::GreaterThanOrEqualToThreshold)
        .treat_missing_data("notBreaching")
        .build();
    let observed = Alarm::observed(&live(alarm));
    for field in ["metrics", "value", "threshold", "period", "points", "missing", "compare", "type"] {
        assert_eq!(observed[field], wanted[field], "{field}");
    }
}

#[test]
fn an_alarm_may_stand_for_others() {
    let (cx, _root) = cx(&[("alarms/down.toml", "title = \"a\"\nmeans = \"b\"\nrun = \"ecomctl status {{ stack }}\"")]);
    let spec = spec(json!({ "template": "alarms/down.toml", "when": [["errors", "late_errors"], ["lag"]] }));
    assert_eq!(spec.check(), []);
    let wanted = spec.desired(&cx).expect("wanted").spec;
    let rule = r#"(ALARM("s-errors") OR ALARM("s-late-errors")) AND ALARM("s-lag")"#;
    assert_eq!(wanted["rule"], rule);
    let alarm = CompositeAlarm::builder().alarm_rule(rule).alarm_description("a\nb\nRun: ecomctl status s").build();
    let composite = Either::Composite(Box::new(alarm));
    let observed = Alarm::observed(&LiveAlarm { alarm: composite, arn: "a".into(), tags: Tags::default() });
    for (field, value) in wanted.as_object().expect("a map") {
        assert_eq!(observed[field], *value, "{field}");
    }
}

#[test]
fn a_trigger_is_known_by_an_identifier_that_only_lambda_tells() {
    let text = ERRORS.replace("function", "trigger").replace("it.timeout_ms", "1").replace("FunctionName", "x");
    let (cx, _root) = cx(&[("alarms/failed.toml", &text)]);
    let spec = spec(json!({ "template": "alarms/failed.toml", "of": "trigger.orders" }));
    let desired = spec.desired(&cx).expect("wanted");
    assert_eq!(desired.unknown["metrics"].to_string(), "trigger.orders");
    assert_eq!(desired.spec["enabled"], true);
}

#[test]
fn a_template_watches_what_it_is_made_for() {
    let (cx, _root) = cx(&[("alarms/errors.toml", &ERRORS.replace("it.timeout_ms", "1"))]);
    let spec = spec(json!({ "template": "alarms/errors.toml", "of": "topic.orders" }));
    let err = spec.desired(&cx).expect_err("a topic is no function").to_string();
    assert!(err.ends_with("it watches a function, and topic.orders is none"), "{err}");
}

#[test]
fn what_nobody_tells_of_this_very_resource_is_refused() {
    let late = ERRORS
        .replace("[\"function\"]", "[\"job\", \"table\", \"database\", \"trigger\"]")
        .replace("{{ it.timeout_ms * 0.5 }}", "1");
    let on = |namespace: &str, name: &str, dimensions: &str| {
        let text = late.replace("AWS/Lambda", namespace).replace("name = \"Errors\"", &format!("name = \"{name}\""));
        text.replace("{ FunctionName = \"{{ it.physical }}\" }", dimensions)
    };
    let templates = [
        ("alarms/job.toml", on("ecomctl", "RunsFailed", "{ Stack = \"s\", Job = \"x\" }")),
        ("alarms/table.toml", on("ecomctl", "GoldFreshness", "{ Stack = \"s\", Table = \"x\" }")),
        ("alarms/database.toml", on("ecomctl", "Deadlocks", "{ Stack = \"s\", Database = \"x\" }")),
    ];
    let templates: Vec<(&str, &str)> = templates.iter().map(|it| (it.0, it.1.as_str())).collect();
    let said = |watcher: Value, of: &str| {
        let (mut cx, _root) = cx(&templates);
        let mut specs = BTreeMap::clone(&cx.specs);
        let mut add = |address: &str, spec: Value| {
            let address: Address = address.parse().expect("an address");
            let spec = kind(KINDS, &address.kind).expect("a kind").parse(spec).expect("a spec");
            specs.insert(address, spec);
        };
        add("function.eyes", watcher);
        add("job.my-tiny", json!({ "tasks": {} }));
        add("table.sales", json!({ "catalog": "c", "bucket": "b", "prefix": "gold/sales", "contract": "x.json" }));
        add(
            "database.shop",
            json!({ "engine_version": "17", "instance_class": "db.m7g.large", "storage": "20GiB", "name": "shop" }),
        );
        cx.specs = std::sync::Arc::new(specs);
        let template = format!("alarms/{}.toml", of.split('.').next().expect("a kind"));
        match spec(json!({ "template": template, "of": of })).desired(&cx) {
            Err(KindError::Refused { help, .. }) => Some(help),
            Err(err) => panic!("{err}"),
            Ok(_) => None,
        }
    };
    let base = || json!({ "package": "watch", "role": "r", "log_group": "l" });
    for (of, help) in [
        ("job.my-tiny", "add `JOB_MY_TINY: job.my-tiny.id` to the `outputs` of function.eyes"),
        ("table.sales", "add `TABLE_SALES: table.sales.location` to the `outputs` of function.eyes"),
        ("database.shop", "a function of the package `watch` with `database: shop` tells it"),
    ] {
        assert_eq!(said(base(), of).as_deref(), Some(help));
    }
    let mut whole = base();
    whole["outputs"] = json!({ "JOB_MY_TINY": "job.my-tiny.id", "TABLE_SALES": "table.sales.location" });
    whole["database"] = json!("shop");
    for of in ["job.my-tiny", "table.sales", "database.shop"] {
        assert_eq!(said(whole.clone(), of), None, "{of}");
    }
    let mut other = base();
    other["outputs"] = json!({ "JOB_MY_TINY": "table.sales.location" });
    assert!(said(other, "job.my-tiny").is_some(), "another thing under this name");
}

#[test]
fn a_trigger_that_lambda_is_not_asked_about_tells_nothing() {
    let text = ERRORS.replace("[\"function\"]", "[\"trigger\"]").replace("{{ it.timeout_ms * 0.5 }}", "1");
    let text =
        text.replace("\"Errors\"", "\"FailedInvokeEventCount\"").replace("FunctionName", "EventSourceMappingUUID");
    let (mut cx, _root) = cx(&[("alarms/failed.toml", &text)]);
    let observation = crate::resource::Observation {
        observed: Value::Null,
        identity: Identity { id: None, ownership: crate::resource::Ownership::Foreign },
        phase: crate::resource::Phase::Ready,
        outputs: crate::resource::Outputs::from([("id", "uuid".to_owned())]),
        live: std::sync::Arc::new(()),
    };
    cx.lives.set(&"trigger.orders".parse().expect("an address"), Some(observation));
    let alarm = spec(json!({ "template": "alarms/failed.toml", "of": "trigger.orders" }));
    let err = alarm.desired(&cx).expect_err("nobody asked");
    assert!(
        matches!(&err, KindError::Refused { help, .. } if help == "write `metrics: true` at trigger.orders"),
        "{err}"
    );
    let mut specs = BTreeMap::clone(&cx.specs);
    let asked = json!({ "topic": "orders", "function": "ingest", "metrics": true });
    let asked = kind(KINDS, "trigger").expect("a kind").parse(asked).expect("a spec");
    specs.insert("trigger.orders".parse().expect("an address"), asked);
    cx.specs = std::sync::Arc::new(specs);
    assert!(alarm.desired(&cx).is_ok());
}

#[test]
fn flaws() {
    let at = |mut value: Value| {
        value["template"] = json!("alarms/errors.toml");
        spec(value).check().into_iter().map(|it| it.at).collect::<Vec<_>>()
    };
    assert_eq!(at(json!({ "of": "function.ingest" })), Vec::<String>::new());
    assert_eq!(at(json!({})), [""]);
    assert_eq!(at(json!({ "of": "function.ingest", "when": [["a"]] })), [""]);
    assert_eq!(at(json!({ "when": [["a"], []], "threshold": 1 })), ["/when/1", "/threshold"]);
    assert_eq!(at(json!({ "of": "function.ingest", "period": "45s" })), ["/period"]);
    assert_eq!(at(json!({ "of": "function.ingest", "period": "5m", "points": "1 of 300" })), ["/period"]);
}
