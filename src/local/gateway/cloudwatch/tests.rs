//! CloudWatch as the AWS SDK sees it, over its own protocol.

use std::sync::Arc;

use aws_sdk_cloudwatch::{
    primitives::DateTime,
    types::{
        AlarmType, ComparisonOperator, Dimension, HistoryItemType, Metric, MetricDataQuery, MetricDatum, MetricStat,
        StandardUnit, StateValue, Statistic, Tag,
    },
};
use jiff::Timestamp;

use crate::local::gateway::tests::{Scene, scene};

async fn start() -> (Scene, tempfile::TempDir) {
    let data = tempfile::tempdir().expect("a folder");
    (scene(data.path(), &Arc::default()).await, data)
}

fn stack(value: &str) -> Dimension {
    Dimension::builder().name("Stack").value(value).build()
}

async fn alarm(scene: &Scene, name: &str) {
    let wanted = scene.aws.cloudwatch().put_metric_alarm().alarm_name(name).namespace("Shop").metric_name("Bad");
    let wanted = wanted.dimensions(stack("dev")).statistic(Statistic::Sum).period(60).evaluation_periods(3);
    let wanted = wanted.datapoints_to_alarm(2).threshold(1.5).treat_missing_data("ignore");
    let wanted = wanted.comparison_operator(ComparisonOperator::GreaterThanThreshold).alarm_description("Too many.");
    let wanted = wanted.tags(Tag::builder().key("team").value("data").build());
    wanted.send().await.expect("an alarm");
}

#[tokio::test]
async fn alarms_come_back_as_they_were_put() {
    let (scene, _data) = start().await;
    let cloudwatch = scene.aws.cloudwatch();
    alarm(&scene, "bad").await;
    let found = cloudwatch.describe_alarms().alarm_names("bad").send().await.expect("alarms");
    let it = &found.metric_alarms()[0];
    assert_eq!(
        (it.threshold(), it.period(), it.evaluation_periods(), it.datapoints_to_alarm()),
        (Some(1.5), Some(60), Some(3), Some(2))
    );
    assert_eq!((it.dimensions(), it.unit(), it.actions_enabled()), (&[stack("dev")][..], None, Some(true)));
    assert_eq!((it.treat_missing_data(), it.alarm_description()), (Some("ignore"), Some("Too many.")));
    assert!(it.alarm_configuration_updated_timestamp().is_some_and(|it| it.secs() > 1_700_000_000));
    let arn = it.alarm_arn().expect("an ARN").to_owned();

    let tags = cloudwatch.list_tags_for_resource().resource_arn(&arn).send().await.expect("tags");
    assert_eq!(tags.tags(), [Tag::builder().key("team").value("data").build()]);
    let tag = Tag::builder().key("owner").value("ecomctl").build();
    cloudwatch.tag_resource().resource_arn(&arn).tags(tag.clone()).send().await.expect("a tag");
    cloudwatch.untag_resource().resource_arn(&arn).tag_keys("team").send().await.expect("one less");
    alarm(&scene, "bad").await;
    let tags = cloudwatch.list_tags_for_resource().resource_arn(&arn).send().await.expect("tags");
    assert_eq!(tags.tags(), [tag], "an update leaves tags alone");
    let none = cloudwatch.list_tags_for_resource().resource_arn(format!("{arn}x")).send().await.expect_err("no alarm");
    assert!(none.into_service_error().is_resource_not_found_exception());

    let state = cloudwatch.set_alarm_state().alarm_name("bad").state_value(StateValue::Alarm).state_reason("by hand");
    state.send().await.expect("a state");
    let found = cloudwatch.describe_alarms_for_metric().namespace("Shop").metric_name("Bad").dimensions(stack("dev"));
    let found = found.send().await.expect("alarms");
    assert_eq!(found.metric_alarms()[0].state_reason(), Some("by hand"));
    let past = cloudwatch.describe_alarm_history().alarm_name("bad").history_item_type(HistoryItemType::StateUpdate);
    let past = past.send().await.expect("a history");
    assert_eq!(past.alarm_history_items()[0].history_summary(), Some("Alarm updated from INSUFFICIENT_DATA to ALARM"));

    cloudwatch.delete_alarms().alarm_names("bad").send().await.expect("gone");
    let again = cloudwatch.delete_alarms().alarm_names("bad").send().await.expect_err("gone already");
    assert!(again.into_service_error().is_resource_not_found());
    let state = cloudwatch.set_alarm_state().alarm_name("bad").state_value(StateValue::Ok).state_reason("x");
    assert!(state.send().await.expect_err("gone").into_service_error().is_resource_not_found());
}

#[tokio::test]
async fn many_alarms_come_in_pages_and_composites_when_asked_for() {
    let (scene, _data) = start().await;
    let cloudwatch = scene.aws.cloudwatch();
    for i in 0..5 {
        alarm(&scene, &format!("bad-{i}")).await;
    }
    let parent = cloudwatch.put_composite_alarm().alarm_name("down").alarm_rule("ALARM(bad-0) OR ALARM(\"bad-1\")");
    parent.send().await.expect("a composite");
    let mut names = Vec::new();
    let mut pages = cloudwatch.describe_alarms().alarm_name_prefix("bad-").max_records(2).into_paginator().send();
    let mut count = 0;
    while let Some(page) = pages.next().await {
        count += 1;
        names
            .extend(page.expect("a page").metric_alarms.unwrap_or_default().into_iter().filter_map(|it| it.alarm_name));
    }
    assert_eq!((count, names), (3, (0..5).map(|i| format!("bad-{i}")).collect()));
    let both = cloudwatch.describe_alarms().alarm_types(AlarmType::CompositeAlarm).alarm_types(AlarmType::MetricAlarm);
    let both = both.send().await.expect("alarms");
    assert_eq!((both.metric_alarms().len(), both.composite_alarms().len()), (5, 1));
    let children = cloudwatch.describe_alarms().children_of_alarm_name("down").send().await.expect("children");
    assert_eq!(children.metric_alarms().len(), 2);
    let loud = cloudwatch.describe_alarms().state_value(StateValue::Alarm).send().await.expect("alarms");
    assert!(loud.metric_alarms().is_empty());
    let missing = cloudwatch.put_composite_alarm().alarm_name("x").alarm_rule("ALARM(gone)").send().await;
    let missing = missing.expect_err("no such child").into_service_error();
    assert_eq!(missing.meta().code(), Some("ValidationError"));
    assert!(missing.meta().message().is_some_and(|it| it.contains("alarms [gone] in the alarm rule do not exist")));
}

#[tokio::test]
async fn what_cloudwatch_refuses_is_refused() {
    let (scene, _data) = start().await;
    let put = || scene.aws.cloudwatch().put_metric_alarm().alarm_name("a").namespace("N").metric_name("M");
    let more = ComparisonOperator::GreaterThanThreshold;
    let whole = || {
        put()
            .statistic(Statistic::Sum)
            .period(60)
            .evaluation_periods(1)
            .threshold(1.0)
            .comparison_operator(more.clone())
    };
    whole().send().await.expect("a whole alarm");
    let query = |id: &str, text: &str| MetricDataQuery::builder().id(id).expression(text).build();
    let cases = [
        ("no statistic", put().period(60).evaluation_periods(1).threshold(1.0).comparison_operator(more.clone())),
        (
            "no threshold",
            put().statistic(Statistic::Sum).period(60).evaluation_periods(1).comparison_operator(more.clone()),
        ),
        ("a period of 45", whole().period(45)),
        ("two of one", whole().datapoints_to_alarm(2)),
        ("over a day", whole().evaluation_periods(1441)),
        ("an unknown treatment", whole().treat_missing_data("maybe")),
        ("both statistics", whole().extended_statistic("p99")),
        ("an action that is no ARN", whole().alarm_actions("mail")),
        ("a topic of another region", whole().alarm_actions("arn:aws:sns:eu-west-1:0:t")),
        ("six actions", (0..6).fold(whole(), |it, i| it.alarm_actions(format!("arn:aws:sns:us-east-1:0:t{i}")))),
        ("metrics next to a metric", whole().metrics(query("e", "1"))),
    ];
    for (what, wanted) in cases {
        let refused = wanted.send().await.expect_err(what).into_service_error();
        assert_eq!(refused.meta().code(), Some("ValidationError"), "{what}: {refused:?}");
    }
    for text in ["m +", "gone * 2", "SUM(m)", "e"] {
        let metric = Metric::builder().namespace("N").metric_name("M").build();
        let stat = MetricStat::builder().metric(metric).period(60).stat("Sum").build();
        let metric = MetricDataQuery::builder().id("m").metric_stat(stat).return_data(false).build();
        let wanted = scene.aws.cloudwatch().put_metric_alarm().alarm_name("math").evaluation_periods(1).threshold(1.0);
        let wanted = wanted.comparison_operator(more.clone()).metrics(query("e", text)).metrics(metric);
        let refused = wanted.send().await.expect_err(text).into_service_error();
        assert_eq!(refused.meta().code(), Some("ValidationError"), "{text}: {refused:?}");
    }
}

#[tokio::test]
async fn values_come_back_with_math_and_in_pages() {
    let (scene, _data) = start().await;
    let cloudwatch = scene.aws.cloudwatch();
    let now = Timestamp::now().as_second();
    let minute = now - now.rem_euclid(60) - 300;
    let datum = |name: &str, at: i64, value: f64| {
        let datum =
            MetricDatum::builder().metric_name(name).dimensions(stack("dev")).timestamp(DateTime::from_secs(at));
        datum.value(value).unit(StandardUnit::Count).build()
    };
    let data: Vec<_> = (0..4_u32)
        .flat_map(|i| {
            let at = minute + i64::from(i) * 60;
            [datum("All", at, 10.0), datum("Bad", at + 30, f64::from(i)), datum("All", at + 1, 10.0)]
        })
        .collect();
    let put = cloudwatch.put_metric_data().namespace("Shop").set_metric_data(Some(data));
    put.send().await.expect("values");

    let metric = |name: &str| Metric::builder().namespace("Shop").metric_name(name).dimensions(stack("dev")).build();
    let query = |id: &str, name: &str| {
        let stat = MetricStat::builder().metric(metric(name)).period(60).stat("Sum").build();
        MetricDataQuery::builder().id(id).metric_stat(stat)
    };
    let get = || {
        let get =
            cloudwatch.get_metric_data().start_time(DateTime::from_secs(minute)).end_time(DateTime::from_secs(now));
        get.metric_data_queries(
            MetricDataQuery::builder().id("rate").expression("100 * bad / all").label("rate").build(),
        )
        .metric_data_queries(query("bad", "Bad").return_data(false).build())
        .metric_data_queries(query("all", "All").build())
    };
    let found = get().send().await.expect("values");
    let rate = &found.metric_data_results()[0];
    assert_eq!((rate.label(), rate.values()), (Some("rate"), &[15.0, 10.0, 5.0, 0.0][..]), "the latest first");
    assert_eq!(rate.timestamps()[3].secs(), minute);
    let mut pages = get().max_datapoints(3).into_paginator().send();
    let (mut sizes, mut values) = (Vec::new(), Vec::new());
    while let Some(page) = pages.next().await {
        let page = page.expect("a page");
        sizes.push(page.metric_data_results().iter().map(|it| it.values().len()).sum::<usize>());
        values.extend(page.metric_data_results().iter().flat_map(|it| it.values().to_vec()));
    }
    assert_eq!((sizes, values), (vec![3, 3, 2], vec![15.0, 10.0, 5.0, 0.0, 20.0, 20.0, 20.0, 20.0]));

    let statistics = cloudwatch.get_metric_statistics().namespace("Shop").metric_name("Bad").dimensions(stack("dev"));
    let statistics = statistics.start_time(DateTime::from_secs(minute)).end_time(DateTime::from_secs(minute + 240));
    let statistics = statistics.period(240).statistics(Statistic::Maximum).extended_statistics("p50").send().await;
    let statistics = statistics.expect("statistics");
    let (all, most) = (statistics.datapoints(), |i: usize| statistics.datapoints()[i].maximum());
    assert!((1..=2).contains(&all.len()) && (0..all.len()).any(|i| most(i) == Some(3.0)), "{all:?}");
    assert_eq!(all[0].unit(), Some(&StandardUnit::Count));

    let listed = cloudwatch.list_metrics().namespace("Shop").send().await.expect("metrics");
    assert_eq!(listed.metrics(), [metric("All"), metric("Bad")]);
    let own = cloudwatch.put_metric_data().namespace("AWS/Own").metric_data(datum("x", now, 1.0)).send().await;
    assert!(own.expect_err("AWS's own").into_service_error().is_invalid_parameter_value_exception());
    let bad = get().metric_data_queries(MetricDataQuery::builder().id("x").expression("gone").build()).send().await;
    assert_eq!(bad.expect_err("no such id").into_service_error().meta().code(), Some("ValidationError"));
}

#[tokio::test]
async fn a_large_request_is_packed_by_the_sdk_and_taken() {
    let (scene, _data) = start().await;
    let datum = |i: i32| MetricDatum::builder().metric_name(format!("m{i}-{}", "x".repeat(100))).value(1.0).build();
    let put =
        scene.aws.cloudwatch().put_metric_data().namespace("Shop").set_metric_data(Some((0..500).map(datum).collect()));
    put.send().await.expect("values");
    let listed = scene.aws.cloudwatch().list_metrics().namespace("Shop").send().await.expect("metrics");
    assert_eq!(listed.metrics().len(), 500);
}

#[tokio::test]
async fn dashboards_are_kept_as_they_are_and_refused_with_the_place() {
    let (scene, _data) = start().await;
    let cloudwatch = scene.aws.cloudwatch();
    let body = r#"{ "widgets": [{ "type": "text", "properties": { "markdown": "Shop" } }] }"#;
    cloudwatch.put_dashboard().dashboard_name("shop").dashboard_body(body).send().await.expect("a dashboard");
    let found = cloudwatch.get_dashboard().dashboard_name("shop").send().await.expect("the dashboard");
    assert_eq!(found.dashboard_body(), Some(body));
    assert_eq!(found.dashboard_arn(), Some("arn:aws:cloudwatch::000000000000:dashboard/shop"));
    let listed = cloudwatch.list_dashboards().dashboard_name_prefix("sh").send().await.expect("dashboards");
    assert_eq!(listed.dashboard_entries()[0].size(), i64::try_from(body.len()).ok());
    let refused = cloudwatch.put_dashboard().dashboard_name("shop").dashboard_body(r#"{"widgets":[{"type":"text"}]}"#);
    let refused = refused.send().await.expect_err("no properties").into_service_error();
    assert!(refused.is_dashboard_invalid_input_error(), "{refused:?}");
    let aws_sdk_cloudwatch::operation::put_dashboard::PutDashboardError::DashboardInvalidInputError(refused) = refused
    else {
        panic!("{refused:?}")
    };
    assert_eq!(refused.dashboard_validation_messages()[0].data_path(), Some("/widgets/0"));
    cloudwatch.delete_dashboards().dashboard_names("shop").send().await.expect("gone");
    let gone = cloudwatch.get_dashboard().dashboard_name("shop").send().await.expect_err("gone").into_service_error();
    assert!(gone.is_dashboard_not_found_error(), "{gone:?}");
    let gone =
        cloudwatch.delete_dashboards().dashboard_names("shop").send().await.expect_err("gone").into_service_error();
    assert_eq!(gone.meta().code(), Some("ResourceNotFound"), "{gone:?}");
}
