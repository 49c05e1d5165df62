//! CloudWatch from outside: alarms as boto3 and a queue see them, and the numbers of what really runs.

use std::{path::Path, process::Command};

use aws_sdk_cloudwatch::{
    primitives::DateTime,
    types::{Dimension, Statistic},
};
use aws_sdk_cloudwatchlogs::types::InputLogEvent;
use aws_sdk_lambda::types::{EventSourceMappingMetric, EventSourceMappingMetricsConfig};
use ecomctl::client::aws::Aws;
use serde_json::{Value, json};

use super::{
    Endpoints, athena,
    gateway::{aws, unique, until},
    poller,
};

/// The time, in seconds since 1970.
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock");
    i64::try_from(since.as_secs()).expect("small")
}

/// Reads one statistic of a metric over the last hour; `None` where it has no value.
async fn value(
    aws: &Aws,
    (namespace, name): (&str, &str),
    dimensions: &[(&str, &str)],
    stat: Statistic,
) -> Option<f64> {
    let dimensions = dimensions.iter().map(|(name, value)| Dimension::builder().name(*name).value(*value).build());
    let asked = aws.cloudwatch().get_metric_statistics().namespace(namespace).metric_name(name);
    let asked = asked.set_dimensions(Some(dimensions.collect())).statistics(stat.clone()).period(7200);
    // One period that holds all of it, wherever periods begin.
    let end = now() + 60;
    let found = asked.start_time(DateTime::from_secs(end - 3600)).end_time(DateTime::from_secs(end)).send().await;
    let found = found.expect("statistics").datapoints.unwrap_or_default();
    let read = |it: &aws_sdk_cloudwatch::types::Datapoint| match stat {
        Statistic::Sum => it.sum(),
        Statistic::Maximum => it.maximum(),
        _ => it.sample_count(),
    };
    let values: Vec<f64> = found.iter().filter_map(read).collect();
    match stat {
        Statistic::Maximum => values.into_iter().reduce(f64::max),
        _ => values.into_iter().reduce(|one, two| one + two),
    }
}

/// An alarm of ten seconds goes off and back; a topic, a queue and a composite alarm hear of it.
pub(crate) fn alarms_go_off_and_back(on: &Endpoints) {
    let name = unique("late");
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/local/cloudwatch/client.py");
    let done = Command::new(athena::boto3()).arg(&program).args([&on.gateway, &name]).output().expect("it starts");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let found: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    eprintln!("an alarm went off and back in {} s", found["seconds"]);

    let alarm = &found["alarmed"]["MetricAlarms"][0];
    let reason = alarm["StateReason"].as_str().expect("a reason");
    assert!(
        reason.starts_with("Threshold Crossed: 1 datapoint [9.0 (")
            && reason.ends_with("greater than the threshold (5.0)."),
        "{reason}"
    );
    let data: Value = serde_json::from_str(alarm["StateReasonData"].as_str().expect("data")).expect("JSON");
    assert_eq!(
        (&data["statistic"], &data["period"], &data["evaluatedDatapoints"][0]["sampleCount"]),
        (&json!("p90"), &json!(10), &json!(5.0))
    );
    assert_eq!(found["alarmed"]["CompositeAlarms"][0]["AlarmRule"], format!("ALARM(\"{name}\")"));

    let told: Vec<_> = found["told"].as_array().expect("messages").iter().collect();
    let states: Vec<_> = told.iter().map(|it| (it["AlarmName"].as_str(), it["NewStateValue"].as_str())).collect();
    let parent = format!("{name}-parent");
    assert_eq!(states, [(Some(&*name), Some("ALARM")), (Some(&*parent), Some("ALARM")), (Some(&*name), Some("OK"))]);
    assert_eq!(
        (&told[0]["AlarmDescription"], &told[0]["Region"]),
        (&json!("Too many are bad."), &json!("US East (N. Virginia)"))
    );
    assert_eq!(told[0]["Trigger"]["Dimensions"], json!([{ "value": "dev", "name": "Stack" }]));
    assert_eq!(told[1]["TriggeringChildren"][0]["State"]["Value"], "ALARM");

    let tenfold = &found["data"][0];
    let counted: f64 = tenfold["Values"].as_array().expect("values").iter().filter_map(Value::as_f64).sum();
    assert!(tenfold["Label"] == "tenfold" && (counted - 80.0).abs() < 1e-9, "{tenfold}");
    assert_eq!(found["listed"][0]["MetricName"], "Bad");
    let history: Vec<_> = found["history"].as_array().expect("a history").iter().filter_map(Value::as_str).collect();
    assert!(history.contains(&"Alarm updated from ALARM to OK"), "{history:?}");
    assert!(history.iter().any(|it| it.starts_with("Successfully executed action arn:aws:sns:")), "{history:?}");
    let refused = json!({
        "child": format!("Cannot delete {name} as there are composite alarm(s) depending on it."),
        "gone": "ResourceNotFound",
        "dashboard": "InvalidParameterInput",
    });
    assert_eq!(found["refused"], refused);
    assert_eq!(found["dashboard"]["DashboardBody"], r#"{"widgets": []}"#);
}

/// Lines of the embedded format become metrics, each once.
pub(crate) async fn logged_metrics_are_metrics(on: &Endpoints) {
    let aws = aws(on).await;
    let (group, stack) = (unique("group"), unique("stack"));
    aws.logs().create_log_group().log_group_name(&group).send().await.expect("a group");
    aws.logs().create_log_stream().log_group_name(&group).log_stream_name("one").send().await.expect("a stream");
    let put = async |records: u32| {
        let at = now() * 1000;
        // As ingest writes them.
        let line = json!({
            "_aws": { "Timestamp": at, "CloudWatchMetrics": [{
                "Namespace": "ecomctl", "Dimensions": [["Stack"]],
                "Metrics": [{ "Name": "Records", "Unit": "Count" }, { "Name": "EventToCommitLatency", "Unit": "Milliseconds" }],
            }] },
            "Stack": stack, "Records": records, "EventToCommitLatency": [3, 4],
        });
        let event = InputLogEvent::builder().timestamp(at).message(line.to_string()).build().expect("an event");
        let text = InputLogEvent::builder().timestamp(at).message("no metric").build().expect("an event");
        let put = aws.logs().put_log_events().log_group_name(&group).log_stream_name("one");
        put.log_events(event).log_events(text).send().await.expect("lines");
    };
    let dimensions = [("Stack", stack.as_str())];
    let counted = async |name: &str, stat| value(&aws, ("ecomctl", name), &dimensions, stat).await;
    put(5).await;
    until("the first line is a metric", || async { counted("Records", Statistic::Sum).await }).await;
    put(7).await;
    until("so is the second", || async { counted("Records", Statistic::Sum).await.filter(|it| *it > 5.0) }).await;
    // Both were read again meanwhile, and counted once.
    assert_eq!(counted("Records", Statistic::Sum).await, Some(12.0));
    assert_eq!(counted("EventToCommitLatency", Statistic::SampleCount).await, Some(4.0));
}

/// What a database, a trigger and a function do is seen in AWS's own metrics.
pub(crate) async fn the_numbers_are_true(on: &Endpoints) {
    let scene = poller::scene(on, 1).await;
    let aws = &scene.aws;
    let counts = EventSourceMappingMetricsConfig::builder().metrics(EventSourceMappingMetric::EventCount).build();
    let mapping = scene.start(scene.mapping().metrics_config(counts).maximum_retry_attempts(0)).await;
    scene.produce(["good", "good"]).await;
    let of_function = [("FunctionName", scene.function.as_str())];
    let function = async |name: &str, stat| value(aws, ("AWS/Lambda", name), &of_function, stat).await;
    until("the function was invoked", || async { function("Invocations", Statistic::Sum).await }).await;
    assert_eq!(function("Errors", Statistic::Sum).await, Some(0.0));
    scene.produce(["poison"]).await;
    until("the function failed", || async { function("Errors", Statistic::Sum).await.filter(|it| *it > 0.0) }).await;
    assert!(function("Duration", Statistic::Maximum).await.is_some_and(|it| it > 0.0));
    let events = async |name: &str| {
        value(aws, ("AWS/Lambda", name), &[("EventSourceMappingUUID", mapping.as_str())], Statistic::Sum).await
    };
    until("the mapping dropped it", || async { events("DroppedEventCount").await.filter(|it| *it > 0.0) }).await;
    assert_eq!((events("PolledEventCount").await, events("InvokedEventCount").await), (Some(3.0), Some(3.0)));
    assert_eq!(events("FailedInvokeEventCount").await, Some(1.0));

    // Nobody takes these.
    let stop = aws.lambda().update_event_source_mapping().uuid(&mapping).enabled(false);
    stop.send().await.expect("a stop");
    scene.settles(&mapping, "Disabled").await;
    scene.produce(["late", "late", "late"]).await;
    let described = aws.kafka().describe_cluster_v2().cluster_arn(&scene.cluster).send().await.expect("the cluster");
    let cluster = described.cluster_info().and_then(|it| it.cluster_name()).expect("a name");
    let of_group = [("Cluster Name", cluster), ("Consumer Group", &scene.topic), ("Topic", &scene.topic)];
    until("the lag is told", || async {
        value(aws, ("AWS/Kafka", "SumOffsetLag"), &of_group, Statistic::Maximum).await.filter(|it| *it >= 3.0)
    })
    .await;
    until("and how old it is", || async {
        value(aws, ("AWS/Kafka", "EstimatedMaxTimeLag"), &of_group, Statistic::Maximum).await.filter(|it| *it > 0.0)
    })
    .await;
    aws.lambda().delete_event_source_mapping().uuid(&mapping).send().await.expect("gone");
    aws.kafka().delete_cluster().cluster_arn(&scene.cluster).send().await.expect("gone");
}

/// A database whose connections are all taken says so.
pub(crate) async fn a_full_database_is_seen(on: &Endpoints) {
    let aws = aws(on).await;
    let id = unique("busy");
    let name = id.replace('-', "_");
    let made = aws.rds().create_db_instance().db_instance_identifier(&id).db_instance_class("db.t4g.micro");
    let made = made.engine("postgres").engine_version("16.4").allocated_storage(20).db_name(&name);
    made.master_username(&name).master_user_password("of-no-worth-1").send().await.expect("an instance");
    let endpoint = until("the instance is available", || async {
        let it = aws.rds().describe_db_instances().db_instance_identifier(&id).send().await.expect("the instance");
        let it = it.db_instances()[0].clone();
        it.endpoint().filter(|_| it.db_instance_status() == Some("available")).cloned()
    })
    .await;
    let mut config = tokio_postgres::Config::new();
    config.host(endpoint.address().expect("a host")).dbname(&name).user(&name).password("of-no-worth-1");
    config.port(u16::try_from(endpoint.port().expect("a port")).expect("16 bits"));
    let mut clients = Vec::new();
    let full = loop {
        match config.connect(tokio_postgres::NoTls).await {
            Ok((client, connection)) => {
                tokio::spawn(connection);
                clients.push(client);
            }
            Err(err) => break err,
        }
        assert!(clients.len() < 1000, "there is no limit");
    };
    assert_eq!(full.code(), Some(&tokio_postgres::error::SqlState::TOO_MANY_CONNECTIONS), "{full}");
    let of_instance = [("DBInstanceIdentifier", id.as_str())];
    let taken = u32::try_from(clients.len()).map(f64::from).expect("few");
    let told = async |name: &str| value(&aws, ("AWS/RDS", name), &of_instance, Statistic::Maximum).await;
    let seen =
        until("all connections are counted", || async { told("DatabaseConnections").await.filter(|it| *it >= taken) })
            .await;
    assert!((seen - taken).abs() < f64::EPSILON, "{seen} of {taken}");
    assert!(told("FreeStorageSpace").await.is_some_and(|it| it > f64::from(19 << 10) * 1024.0 * 1024.0));
    until("the processor time is told", || async { told("CPUUtilization").await }).await;
    drop(clients);
    aws.rds().delete_db_instance().db_instance_identifier(&id).skip_final_snapshot(true).send().await.expect("gone");
}
