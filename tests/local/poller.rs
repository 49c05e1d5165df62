//! The poller from outside: records into real Kafka, a real function in between, and what it saw in a bucket.

use std::{collections::BTreeMap, io::Write as _};

use aws_sdk_lambda::{
    operation::create_event_source_mapping::builders::CreateEventSourceMappingFluentBuilder as Create,
    types::{
        AmazonManagedKafkaEventSourceConfig, DestinationConfig, EventSourcePosition, FunctionCode,
        FunctionResponseType, OnFailure, Runtime,
    },
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use ecomctl::client::{
    aws::Aws,
    kafka::{Kafka, NewRecord},
};
use serde_json::{Value, json};

use super::{
    Endpoints,
    gateway::{aws, cluster, unique, until},
};

/// Keeps every event it is given in a bucket. Fails on `poison`, and reports `report` as failed.
const FUNCTION: &str = r#"
import base64, json, os, urllib.request, uuid

def handler(event, context):
    values = [(p, r["offset"], base64.b64decode(r["value"] or "")) for p, rs in event["records"].items() for r in rs]
    if any(v == b"poison" for _, _, v in values):
        raise ValueError("poisoned")
    url = "%s/%s/seen/%s" % (os.environ["GATEWAY"], os.environ["BUCKET"], uuid.uuid4())
    scope = "AWS4-HMAC-SHA256 Credential=000000000000/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
    urllib.request.urlopen(urllib.request.Request(url, json.dumps(event).encode(), {"Authorization": scope}, method="PUT"))
    bad = [{"itemIdentifier": {"partition": p, "offset": o}} for p, o, v in values if v == b"report"]
    return {"batchItemFailures": bad}
"#;

/// A topic, a function and a bucket of its own for one test.
pub(crate) struct Scene {
    pub(crate) aws: Aws,
    kafka: Kafka,
    pub(crate) cluster: String,
    pub(crate) topic: String,
    pub(crate) function: String,
    bucket: String,
}

pub(crate) async fn scene(on: &Endpoints, partitions: i32) -> Scene {
    let aws = aws(on).await;
    let kafka = Kafka::connect(&on.kafka).await.expect("Kafka");
    let cluster = cluster(&aws, &unique("events")).await;
    let (topic, function, bucket) = (unique("orders"), unique("taker"), unique("seen"));
    let made = aws.kafka().create_topic().cluster_arn(&cluster).topic_name(&topic);
    made.partition_count(partitions).replication_factor(1).send().await.expect("a topic");
    aws.s3().create_bucket().bucket(&bucket).send().await.expect("a bucket");
    let trust = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Principal": { "Service": "lambda.amazonaws.com" }, "Action": "sts:AssumeRole" },
    ]});
    let role = aws.iam().create_role().role_name(&function).assume_role_policy_document(trust.to_string());
    let role = role.send().await.expect("a role");
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("main.py", zip::write::SimpleFileOptions::default()).expect("a file");
    zip.write_all(FUNCTION.as_bytes()).expect("its text");
    let code = zip.finish().expect("a zip").into_inner();
    let environment = aws_sdk_lambda::types::Environment::builder()
        .variables("BUCKET", &bucket)
        .variables("GATEWAY", &on.gateway)
        .build();
    let made = aws.lambda().create_function().function_name(&function).runtime(Runtime::from("python3.12"));
    let made =
        made.handler("main.handler").role(role.role().expect("a role").arn()).timeout(30).environment(environment);
    made.code(FunctionCode::builder().zip_file(code.into()).build()).send().await.expect("a function");
    let active = || async {
        let it = aws.lambda().get_function_configuration().function_name(&function).send().await.ok()?;
        (it.state().map(|it| it.as_str().to_owned())? == "Active").then_some(())
    };
    until("the function is active", active).await;
    Scene { aws, kafka, cluster, topic, function, bucket }
}

impl Scene {
    pub(crate) fn mapping(&self) -> Create {
        let group = AmazonManagedKafkaEventSourceConfig::builder().consumer_group_id(&self.topic).build();
        self.aws
            .lambda()
            .create_event_source_mapping()
            .event_source_arn(&self.cluster)
            .function_name(&self.function)
            .topics(&self.topic)
            .starting_position(EventSourcePosition::TrimHorizon)
            .amazon_managed_kafka_event_source_config(group)
    }

    fn on_failure(&self) -> DestinationConfig {
        let arn = format!("arn:aws:s3:::{}", self.bucket);
        DestinationConfig::builder().on_failure(OnFailure::builder().destination(arn).build()).build()
    }

    pub(crate) async fn start(&self, mapping: Create) -> String {
        let made = mapping.send().await.expect("a mapping");
        assert_eq!(made.state(), Some("Creating"));
        let uuid = made.uuid().expect("a UUID").to_owned();
        self.settles(&uuid, "Enabled").await;
        uuid
    }

    pub(crate) async fn settles(&self, uuid: &str, state: &str) {
        let asked = || async {
            let it = self.aws.lambda().get_event_source_mapping().uuid(uuid).send().await.expect("the mapping");
            (it.state() == Some(state)).then_some(())
        };
        until(state, asked).await;
    }

    pub(crate) async fn produce<'a>(&self, values: impl IntoIterator<Item = &'a str>) {
        let producer = self.kafka.producer().await.expect("a producer");
        let mut sent = Vec::new();
        for (i, value) in values.into_iter().enumerate() {
            let record = NewRecord {
                topic: self.topic.clone(),
                key: Some(format!("k{i}").into()),
                value: Some(value.to_owned().into()),
                headers: vec![("who".into(), bytes::Bytes::from_static(b"\xc3me"))],
                timestamp: None,
            };
            sent.push(producer.send(record).await.expect("room"));
        }
        for it in sent {
            it.done().await.expect("an acknowledgement");
        }
        producer.close().await.expect("an end");
    }

    /// Reads every object below a prefix.
    async fn objects(&self, prefix: &str) -> Vec<(String, Value)> {
        let listed = self.aws.s3().list_objects_v2().bucket(&self.bucket).prefix(prefix).send().await.expect("a list");
        let mut objects = Vec::new();
        for it in listed.contents() {
            let key = it.key().expect("a key").to_owned();
            let read = self.aws.s3().get_object().bucket(&self.bucket).key(&key).send().await.expect("an object");
            let body = read.body.collect().await.expect("its body").to_vec();
            objects.push((key, serde_json::from_slice(&body).expect("JSON")));
        }
        objects
    }

    /// Lists (partition, offset, value) of what the function took.
    async fn seen(&self) -> Vec<(i64, i64, String)> {
        self.objects("seen/").await.iter().flat_map(|(_, event)| records(event)).collect()
    }

    async fn lag(&self) -> u64 {
        let progress = self.kafka.progress(&self.topic, &[&self.topic]).await.expect("progress");
        progress.iter().map(ecomctl::client::kafka::Progress::lag).sum()
    }

    async fn drained(&self) {
        until("the lag is zero", || async { (self.lag().await == 0).then_some(()) }).await;
    }

    async fn strike(self, uuid: &str) {
        self.aws.lambda().delete_event_source_mapping().uuid(uuid).send().await.expect("a deletion");
        let gone = || async {
            let asked = self.aws.lambda().get_event_source_mapping().uuid(uuid).send().await;
            asked.err().map(|err| assert!(err.into_service_error().is_resource_not_found_exception()))
        };
        until("the mapping is gone", gone).await;
        self.aws.lambda().delete_function().function_name(&self.function).send().await.expect("a deletion");
        self.aws.iam().delete_role().role_name(&self.function).send().await.expect("a deletion");
        self.aws.kafka().delete_cluster().cluster_arn(&self.cluster).send().await.expect("a deletion");
    }
}

fn records(event: &Value) -> Vec<(i64, i64, String)> {
    let all = event["records"].as_object().expect("records").values().flat_map(|it| it.as_array().expect("a list"));
    let one = |it: &Value| {
        let value = BASE64_STANDARD.decode(it["value"].as_str().unwrap_or_default()).expect("Base64");
        let number = |key: &str| it[key].as_i64().expect("a number");
        (number("partition"), number("offset"), String::from_utf8(value).expect("text"))
    };
    all.map(one).collect()
}

/// Every record reaches the function, in its partition's order, in the shape of MSK; nothing twice without a reason.
pub(crate) async fn every_record_arrives(on: &Endpoints) {
    let scene = scene(on, 3).await;
    let values: Vec<String> = (0..500).map(|it| format!("value {it}")).collect();
    scene.produce(values.iter().map(String::as_str)).await;
    let uuid = scene.start(scene.mapping().batch_size(100)).await;
    scene.drained().await;
    let mut seen = scene.seen().await;
    assert_eq!(seen.len(), 500);
    seen.sort();
    seen.dedup();
    let mut found: Vec<_> = seen.iter().map(|it| it.2.clone()).collect();
    found.sort();
    let mut wanted = values;
    wanted.sort();
    assert_eq!(found, wanted);
    for (_, event) in scene.objects("seen/").await {
        assert!(records(&event).len() <= 100);
        assert_eq!((&event["eventSource"], &event["eventSourceArn"]), (&json!("aws:kafka"), &json!(scene.cluster)));
        assert_eq!(event["bootstrapServers"], json!(on.kafka));
        for (name, list) in event["records"].as_object().expect("records") {
            let offsets: Vec<_> = list.as_array().expect("a list").iter().map(|it| it["offset"].as_i64()).collect();
            assert!(offsets.is_sorted(), "{name}: {offsets:?}");
            assert_eq!(list[0]["headers"], json!([{ "who": [-61, 109, 101] }]));
            assert_eq!(*name, format!("{}-{}", scene.topic, list[0]["partition"]));
        }
    }
    let it = scene.aws.lambda().get_event_source_mapping().uuid(&uuid).send().await.expect("the mapping");
    assert_eq!(it.last_processing_result(), Some("OK"));
    scene.strike(&uuid).await;
}

/// A mapping is refused, found, changed, stopped and started as Lambda does.
pub(crate) async fn mappings_live_and_die(on: &Endpoints) {
    let scene = scene(on, 1).await;
    let lambda = scene.aws.lambda();
    let refused = scene.mapping().batch_size(10_001).send().await.expect_err("too large").into_service_error();
    assert!(refused.is_invalid_parameter_value_exception(), "{refused:?}");
    let unknown = scene.mapping().function_name("nobody").send().await.expect_err("no function").into_service_error();
    assert!(unknown.is_resource_not_found_exception(), "{unknown:?}");
    let uuid = scene.start(scene.mapping().tags("team", "data").batch_size(10)).await;
    let again = scene.mapping().send().await.expect_err("it is there").into_service_error();
    assert!(again.is_resource_conflict_exception(), "{again:?}");
    let listed = lambda.list_event_source_mappings().function_name(&scene.function).send().await.expect("a list");
    assert_eq!(listed.event_source_mappings().iter().filter_map(|it| it.uuid()).collect::<Vec<_>>(), [uuid.as_str()]);
    let found = &listed.event_source_mappings()[0];
    assert_eq!(found.topics(), std::slice::from_ref(&scene.topic));
    assert!(found.last_modified().is_some());
    let arn = found.event_source_mapping_arn().expect("an ARN");
    lambda.tag_resource().resource(arn).tags("a", "1").send().await.expect("a tag");
    lambda.untag_resource().resource(arn).tag_keys("team").send().await.expect("one tag less");
    let tags = lambda.list_tags().resource(arn).send().await.expect("tags");
    assert_eq!(tags.tags().map(|it| it.keys().cloned().collect::<Vec<_>>()), Some(vec!["a".to_owned()]));

    let update = || lambda.update_event_source_mapping().uuid(&uuid);
    let stopping = update().enabled(false).send().await.expect("an update");
    assert_eq!(stopping.state(), Some("Disabling"));
    let busy = update().batch_size(5).send().await.expect_err("an update is under way").into_service_error();
    assert!(busy.is_resource_in_use_exception(), "{busy:?}");
    scene.settles(&uuid, "Disabled").await;
    scene.produce(["one", "two"]).await;
    assert_eq!(scene.lag().await, 2, "nothing is taken meanwhile");
    update().enabled(true).batch_size(7).send().await.expect("an update");
    scene.drained().await;
    scene.settles(&uuid, "Enabled").await;
    let it = lambda.get_event_source_mapping().uuid(&uuid).send().await.expect("the mapping");
    assert_eq!(it.batch_size(), Some(7));
    scene.strike(&uuid).await;
}

/// A poisoned record is isolated, kept with its whole event at the destination, and everything else goes on.
pub(crate) async fn poison_is_kept_aside(on: &Endpoints) {
    let scene = scene(on, 1).await;
    let values = (0..20).map(|it| if it == 7 { "poison" } else { "fine" });
    scene.produce(values).await;
    let mapping = scene.mapping().batch_size(20).bisect_batch_on_function_error(true).maximum_retry_attempts(1);
    let uuid = scene.start(mapping.destination_config(scene.on_failure())).await;
    scene.drained().await;
    assert_eq!(scene.seen().await.len(), 19);
    let kept = scene.objects(&format!("aws/lambda/{uuid}/")).await;
    let [(_, kept)] = &kept[..] else { panic!("not one: {kept:?}") };
    assert_eq!(kept["requestContext"]["condition"], "RetryAttemptsExhausted");
    assert_eq!(kept["requestContext"]["approximateInvokeCount"], 2);
    let name = format!("{}-0", scene.topic);
    assert_eq!(kept["KafkaBatchInfo"]["recordsInfo"][&name]["firstRecordOffset"], "7");
    let event: Value = serde_json::from_str(kept["payload"].as_str().expect("text")).expect("JSON");
    assert_eq!(records(&event), [(0, 7, "poison".to_owned())]);
    scene.strike(&uuid).await;
}

/// Of a batch with reported failures, what precedes them is done once, and they are tried again.
pub(crate) async fn reported_records_are_tried_again(on: &Endpoints) {
    let scene = scene(on, 1).await;
    scene.produce(["a", "b", "report", "c"]).await;
    let mapping = scene.mapping().function_response_types(FunctionResponseType::ReportBatchItemFailures);
    let mapping = mapping.maximum_retry_attempts(2).destination_config(scene.on_failure());
    let uuid = scene.start(mapping).await;
    scene.drained().await;
    let mut times = BTreeMap::new();
    for (_, _, value) in scene.seen().await {
        *times.entry(value).or_insert(0) += 1;
    }
    let wanted = [("a", 1), ("b", 1), ("c", 3), ("report", 3)].map(|(it, n)| (it.to_owned(), n));
    assert_eq!(times, BTreeMap::from(wanted));
    let kept = scene.objects(&format!("aws/lambda/{uuid}/")).await;
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].1["KafkaBatchInfo"]["batchSize"], 2);
    scene.strike(&uuid).await;
}
