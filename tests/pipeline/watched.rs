//! What the watcher tells of a stack's first minutes: a run that failed, at once and once; and of nothing else.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant, SystemTime},
};

use aws_sdk_cloudwatch::{
    primitives::DateTime,
    types::{Dimension, HistoryItemType, StateValue, Statistic},
};
use ecomctl::client::aws::{Aws, Target};
use serde_json::Value;

use crate::place::Place;

/// Alarms that go off where nothing is told.
const LISTENING: [&str; 3] = ["local-watcher-silent", "local-medallion-late", "local-maintenance-late"];

/// Checks, after a run of the job failed, that its webhook told the watcher of it, and that the watcher's own look does not count
/// it once more.
pub(crate) async fn a_failed_run_is_told_at_once_and_once(place: &Place) {
    let aws = aws(place).await;
    let failed = async || sum(&aws, "RunsFailed", &[("Stack", "local"), ("Job", "local-medallion")]).await;
    let beats = async || sum(&aws, "Heartbeat", &[("Stack", "local")]).await;
    // Much sooner than the next minute; a machine may have much else to do.
    until("the webhook has told", Duration::from_secs(30), async || {
        let told = aws.logs().filter_log_events().log_group_name("/ecomctl/local/webhook").send().await.expect("a log");
        let told = told.events().iter().filter_map(|it| it.message());
        told.filter(|it| it.contains(r#""Job":"local-medallion""#)).count() > 0 && failed().await > 0.5
    })
    .await;
    let before = beats().await;
    until("the watcher has looked", Duration::from_secs(180), async || beats().await > before + 0.5).await;
    let count = failed().await;
    assert!((count - 1.0).abs() < 0.5, "the run counts {count} times");
}

/// Checks that no alarms ever went off but these, and that those that go off on silence are OK.
pub(crate) async fn nothing_went_off_but(place: &Place, names: &[&str]) {
    let aws = aws(place).await;
    until("what listens has heard", Duration::from_secs(180), async || {
        let found = aws.cloudwatch().describe_alarms().set_alarm_names(Some(LISTENING.map(str::to_owned).to_vec()));
        let found = found.send().await.expect("alarms");
        assert_eq!(found.metric_alarms().len(), LISTENING.len());
        found.metric_alarms().iter().all(|it| it.state_value() == Some(&StateValue::Ok))
    })
    .await;
    let past = aws.cloudwatch().describe_alarm_history().history_item_type(HistoryItemType::StateUpdate);
    let past: Vec<_> = past.into_paginator().items().send().try_collect().await.expect("a past");
    assert!(past.iter().any(|it| it.alarm_name() == Some(LISTENING[0])), "it became OK at least");
    let went_off = past.iter().filter(|it| {
        let moved: Value = serde_json::from_str(it.history_data().unwrap_or_default()).expect("JSON");
        moved["newState"]["stateValue"] == "ALARM"
    });
    let went_off: BTreeSet<&str> = went_off.filter_map(|it| it.alarm_name()).collect();
    let others: Vec<_> = went_off.into_iter().filter(|it| !names.contains(it)).collect();
    assert_eq!(others, [""; 0], "all is well");
}

async fn aws(place: &Place) -> Aws {
    let on = place.endpoints().await;
    let keys = Some((on.account, "test".to_owned()));
    Aws::connect(&Target { region: on.region, endpoint: Some(on.gateway), keys }).await
}

/// Sums a metric of the project's own over the last hour.
async fn sum(aws: &Aws, metric: &str, dimensions: &[(&str, &str)]) -> f64 {
    let now = SystemTime::now();
    let hour = Duration::from_secs(3600);
    let dimensions = dimensions.iter().map(|(name, value)| Dimension::builder().name(*name).value(*value).build());
    let asked = aws.cloudwatch().get_metric_statistics().namespace("ecomctl").metric_name(metric).period(60);
    let asked = asked.set_dimensions(Some(dimensions.collect())).statistics(Statistic::Sum);
    let asked = asked.start_time(DateTime::from(now - hour)).end_time(DateTime::from(now + Duration::from_secs(60)));
    let found = asked.send().await.expect("statistics");
    found.datapoints().iter().filter_map(|it| it.sum()).sum()
}

async fn until(what: &str, patience: Duration, is_so: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + patience;
    while !is_so().await {
        assert!(Instant::now() < deadline, "{what}: not within {patience:?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
