//! The gateway from outside: the AWS SDKs on one side, real Kafka, PostgreSQL and cloud on the other.

use std::{
    collections::BTreeMap,
    future::Future,
    time::{Duration, Instant},
};

use aws_sdk_kafka::types::{BrokerEbsVolumeInfo, BrokerNodeGroupInfo, ClusterState, ProvisionedRequest, TopicState};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use ecomctl::client::{
    aws::{Aws, Target},
    kafka::Kafka,
};
use uuid::Uuid;

use super::Endpoints;

/// Connects the AWS SDKs to the local cloud.
pub(crate) async fn aws(on: &Endpoints) -> Aws {
    Aws::connect(&Target {
        region: "us-east-1".into(),
        endpoint: Some(on.gateway.clone()),
        keys: Some(("000000000000".into(), "secret".into())),
    })
    .await
}

/// Makes a name that no other test has.
pub(crate) fn unique(name: &str) -> String {
    format!("{name}-{}", &Uuid::new_v4().simple().to_string()[..12])
}

/// Asks again and again until there is an answer.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(it) = ask().await {
            return it;
        }
        assert!(Instant::now() < deadline, "{what}: not within a minute");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Makes a cluster and waits for it; returns its ARN.
pub(crate) async fn cluster(aws: &Aws, name: &str) -> String {
    let group = BrokerNodeGroupInfo::builder()
        .instance_type("kafka.m7g.large")
        .set_client_subnets(Some(vec!["subnet-a".into(), "subnet-b".into()]))
        .build();
    let wanted = ProvisionedRequest::builder()
        .kafka_version("3.9.x")
        .number_of_broker_nodes(2)
        .broker_node_group_info(group)
        .build();
    let made = aws.kafka().create_cluster_v2().cluster_name(name).provisioned(wanted).tags("team", "data");
    let made = made.send().await.expect("a cluster");
    assert_eq!(made.state(), Some(&ClusterState::Creating));
    let arn = made.cluster_arn().expect("an ARN").to_owned();
    until("the cluster is active", || active(aws, &arn)).await;
    arn
}

async fn active(aws: &Aws, arn: &str) -> Option<String> {
    let it = aws.kafka().describe_cluster_v2().cluster_arn(arn).send().await.expect("the cluster");
    let it = it.cluster_info().expect("its description");
    (it.state() == Some(&ClusterState::Active)).then(|| it.current_version().expect("a version").to_owned())
}

/// A cluster is made, found, changed against its version, and deleted.
pub(crate) async fn clusters_live_and_die(on: &Endpoints) {
    let aws = aws(on).await;
    let kafka = aws.kafka();
    let name = unique("cluster");
    let arn = cluster(&aws, &name).await;

    let again = kafka.create_cluster_v2().cluster_name(&name).serverless(
        aws_sdk_kafka::types::ServerlessRequest::builder()
            .vpc_configs(aws_sdk_kafka::types::VpcConfig::builder().subnet_ids("a").build())
            .build(),
    );
    let refused = again.send().await.expect_err("the name is taken").into_service_error();
    assert!(refused.is_conflict_exception(), "{refused:?}");

    let listed = kafka.list_clusters_v2().cluster_name_filter(&name).send().await.expect("a list");
    let [found] = listed.cluster_info_list() else { panic!("not one: {listed:?}") };
    assert_eq!(found.cluster_arn(), Some(arn.as_str()));
    assert_eq!(found.tags().and_then(|it| it.get("team")).map(String::as_str), Some("data"));
    let shape = found.provisioned().expect("a provisioned cluster");
    assert_eq!(shape.current_broker_software_info().and_then(|it| it.kafka_version()), Some("3.9.x"));
    assert!(found.creation_time().is_some());

    let version = found.current_version().expect("a version").to_owned();
    let grow = |version: &str| kafka.update_broker_count().cluster_arn(&arn).current_version(version);
    let stale = grow("K0").target_number_of_broker_nodes(4).send().await.expect_err("a stale version");
    assert!(stale.into_service_error().is_bad_request_exception());
    let done = grow(&version).target_number_of_broker_nodes(4).send().await.expect("an update");
    assert!(done.cluster_operation_arn().is_some());
    let version = until("the update is done", || active(&aws, &arn)).await;
    let volume = BrokerEbsVolumeInfo::builder().kafka_broker_node_id("All").volume_size_gb(200).build();
    let resize = kafka.update_broker_storage().cluster_arn(&arn).current_version(&version);
    resize.target_broker_ebs_volume_info(volume).send().await.expect("a larger volume");
    until("the volumes are larger", || active(&aws, &arn)).await;
    let shape = kafka.describe_cluster().cluster_arn(&arn).send().await.expect("the cluster");
    let shape = shape.cluster_info().expect("its description");
    assert_eq!(shape.number_of_broker_nodes(), Some(4));
    let storage = shape.broker_node_group_info().and_then(|it| it.storage_info()).and_then(|it| it.ebs_storage_info());
    assert_eq!(storage.and_then(|it| it.volume_size()), Some(200));

    kafka.tag_resource().resource_arn(&arn).tags("a", "1").tags("b", "2").send().await.expect("tags");
    kafka.untag_resource().resource_arn(&arn).tag_keys("a").tag_keys("team").send().await.expect("fewer tags");
    let tags = kafka.list_tags_for_resource().resource_arn(&arn).send().await.expect("tags");
    let tags: BTreeMap<_, _> = tags.tags().expect("tags").iter().collect();
    assert_eq!(tags, BTreeMap::from([(&"b".to_owned(), &"2".to_owned())]));

    let brokers = kafka.get_bootstrap_brokers().cluster_arn(&arn).send().await.expect("brokers");
    assert_eq!(brokers.bootstrap_broker_string(), Some(on.kafka.as_str()));
    kafka.delete_cluster().cluster_arn(&arn).send().await.expect("a deletion");
    let gone = || async {
        let asked = kafka.describe_cluster_v2().cluster_arn(&arn).send().await;
        asked.err().map(|err| assert!(err.into_service_error().is_not_found_exception()))
    };
    until("the cluster is gone", gone).await;
}

/// Topics made through MSK's API are those that Kafka itself has.
pub(crate) async fn topics_are_kafka_s_own(on: &Endpoints) {
    let aws = aws(on).await;
    let kafka = aws.kafka();
    let direct = Kafka::connect(&on.kafka).await.expect("Kafka");
    let arn = cluster(&aws, &unique("topics")).await;
    let name = unique("orders");
    let configs = |it: &str| BASE64_STANDARD.encode(it);

    let create = |name: &str, replicas: i32, partitions: i32| {
        kafka.create_topic().cluster_arn(&arn).topic_name(name).replication_factor(replicas).partition_count(partitions)
    };
    let refused = create(&name, 3, 1).send().await.expect_err("more replicas than brokers").into_service_error();
    assert!(refused.is_bad_request_exception(), "{refused:?}");
    let refused = create("no/slash", 1, 1).send().await.expect_err("a wrong name").into_service_error();
    assert!(refused.is_bad_request_exception(), "{refused:?}");
    let bad = create(&name, 1, 1).configs(configs(r#"{"retention.sm":"1"}"#)).send().await;
    assert!(bad.expect_err("an unknown key").into_service_error().is_bad_request_exception());
    let made = create(&name, 1, 3).configs(configs(r#"{"retention.ms":"60000"}"#)).send().await.expect("a topic");
    let topic_arn = made.topic_arn().expect("an ARN").to_owned();
    assert!(topic_arn.contains(":topic/") && topic_arn.ends_with(&name), "{topic_arn}");
    let again = create(&name, 1, 3).send().await.expect_err("it is there").into_service_error();
    assert!(again.is_topic_exists_exception(), "{again:?}");

    let described = || async {
        let it = kafka.describe_topic().cluster_arn(&arn).topic_name(&name).send().await.ok()?;
        (it.status() == Some(&TopicState::Active)).then_some(it)
    };
    let it = until("the topic is active", described).await;
    assert_eq!((it.partition_count(), it.replication_factor()), (Some(3), Some(1)));
    let shown = BASE64_STANDARD.decode(it.configs().expect("configs")).expect("Base64");
    assert_eq!(shown, br#"{"retention.ms":"60000"}"#);
    assert_eq!(direct.describe(&[&name]).await.expect("topics")[&name].partitions.len(), 3);

    let update = || kafka.update_topic().cluster_arn(&arn).topic_name(&name);
    let both = update().partition_count(4).configs(configs("{}")).send().await.expect_err("both at once");
    assert!(both.into_service_error().is_bad_request_exception());
    let shrunk = update().partition_count(2).send().await.expect_err("fewer partitions");
    assert!(shrunk.into_service_error().is_bad_request_exception());
    update().partition_count(5).send().await.expect("more partitions");
    update().configs(configs(r#"{"cleanup.policy":"compact"}"#)).send().await.expect("other configs");
    let own = BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]);
    until("the configs are replaced", || async {
        (direct.topic_configs(&name).await.expect("configs") == own).then_some(())
    })
    .await;
    until("the topic has grown", || async {
        (direct.describe(&[&name]).await.expect("topics")[&name].partitions.len() == 5).then_some(())
    })
    .await;
    let partitions = kafka.describe_topic_partitions().cluster_arn(&arn).topic_name(&name).max_results(2);
    let partitions = partitions.send().await.expect("partitions");
    assert_eq!(partitions.partitions().len(), 2);
    assert!(partitions.next_token().is_some() && partitions.partitions()[0].leader().is_some());

    let other = format!("{name}-2");
    create(&other, 1, 1).send().await.expect("another topic");
    let listed = kafka.list_topics().cluster_arn(&arn).topic_name_filter(&name).into_paginator().items();
    let listed = listed.send().collect::<Result<Vec<_>, _>>().await.expect("a list");
    assert_eq!(listed.iter().filter_map(|it| it.topic_name()).collect::<Vec<_>>(), [name.as_str(), &other]);
    let foreign = cluster(&aws, &unique("foreign")).await;
    let theirs = kafka.list_topics().cluster_arn(&foreign).send().await.expect("a list");
    assert!(theirs.topics().iter().all(|it| it.topic_name() != Some(&name)), "a topic belongs to one cluster");
    let hidden = kafka.describe_topic().cluster_arn(&foreign).topic_name(&name).send().await.expect_err("not theirs");
    assert!(hidden.into_service_error().is_not_found_exception());

    kafka.delete_topic().cluster_arn(&arn).topic_name(&other).send().await.expect("a deletion");
    let gone = kafka.delete_topic().cluster_arn(&arn).topic_name(&other).send().await.expect_err("it is gone");
    assert!(gone.into_service_error().is_unknown_topic_or_partition_exception());
    kafka.delete_cluster().cluster_arn(&foreign).send().await.expect("a deletion");
    kafka.delete_cluster().cluster_arn(&arn).send().await.expect("a deletion");
    until("the cluster took its topics along", || async {
        (!direct.topics().await.expect("topics").contains(&name)).then_some(())
    })
    .await;
}

/// An instance is a database that its master can use, until it is deleted as RDS would.
pub(crate) async fn databases_are_postgresql_s_own(on: &Endpoints) {
    let aws = aws(on).await;
    let rds = aws.rds();
    let id = unique("shop");
    let name = id.replace('-', "_");
    let create = || {
        rds.create_db_instance()
            .db_instance_identifier(&id)
            .db_instance_class("db.t4g.micro")
            .engine("postgres")
            .engine_version("16.4")
            .allocated_storage(20)
            .db_name(&name)
            .master_username(&name)
            .manage_master_user_password(true)
            .deletion_protection(true)
            .tags(aws_sdk_rds::types::Tag::builder().key("a&b").value("<c>").build())
    };
    let made = create().send().await.expect("an instance");
    let made = made.db_instance().expect("an instance");
    assert_eq!(made.db_instance_status(), Some("creating"));
    let secret = made.master_user_secret().and_then(|it| it.secret_arn()).expect("a secret").to_owned();
    let twice = create().send().await.expect_err("it is there").into_service_error();
    assert!(twice.is_db_instance_already_exists_fault(), "{twice:?}");
    let described = || async {
        let it = rds.describe_db_instances().db_instance_identifier(&id).send().await.expect("the instance");
        let it = it.db_instances()[0].clone();
        (it.db_instance_status() == Some("available")).then_some(it)
    };
    let it = until("the instance is available", described).await;
    assert_eq!(it.tag_list().iter().map(|it| (it.key(), it.value())).collect::<Vec<_>>(), [(Some("a&b"), Some("<c>"))]);
    assert_eq!(it.master_user_secret().and_then(|it| it.secret_status()), Some("active"));
    let endpoint = it.endpoint().expect("an endpoint");

    let value = aws.secrets().get_secret_value().secret_id(&secret).send().await.expect("the secret");
    let value: serde_json::Value = serde_json::from_str(value.secret_string().expect("text")).expect("JSON");
    assert_eq!(value["username"], name.as_str());
    let mut config = tokio_postgres::Config::new();
    config
        .host(endpoint.address().expect("a host"))
        .port(u16::try_from(endpoint.port().expect("a port")).expect("16 bits"));
    config.dbname(&name).user(&name).password(value["password"].as_str().expect("a password"));
    let (client, connection) = config.connect(tokio_postgres::NoTls).await.expect("a connection");
    let connection = tokio::spawn(connection);
    client.batch_execute("CREATE TABLE t (x int); INSERT INTO t VALUES (7)").await.expect("a table");

    let modify = || rds.modify_db_instance().db_instance_identifier(&id);
    let smaller = modify().allocated_storage(10).send().await.expect_err("storage never shrinks");
    assert_eq!(smaller.into_service_error().meta().code(), Some("InvalidParameterValue"));
    let later = modify().allocated_storage(40).send().await.expect("a change");
    let later = later.db_instance().expect("an instance");
    assert_eq!(later.allocated_storage(), Some(20));
    assert_eq!(later.pending_modified_values().and_then(|it| it.allocated_storage()), Some(40));
    modify().backup_retention_period(7).apply_immediately(true).send().await.expect("a change at once");
    let it = until("the changes are applied", described).await;
    assert_eq!((it.allocated_storage(), it.backup_retention_period()), (Some(40), Some(7)));
    assert!(it.pending_modified_values().is_none_or(|it| it.allocated_storage().is_none()));

    modify().manage_master_user_password(false).master_user_password("given-by-us").send().await.expect("own password");
    let asked = aws.secrets().describe_secret().secret_id(&secret).send().await.expect_err("the secret is gone");
    assert!(asked.into_service_error().is_resource_not_found_exception());
    assert!(config.password("given-by-us").connect(tokio_postgres::NoTls).await.is_ok(), "it holds at once");
    let managed = modify().manage_master_user_password(true).send().await.expect("a managed password");
    let secret = managed.db_instance().and_then(|it| it.master_user_secret()).and_then(|it| it.secret_arn());
    let secret = secret.expect("a secret").to_owned();
    assert!(config.connect(tokio_postgres::NoTls).await.is_err(), "the password is another one now");

    let arn = it.db_instance_arn().expect("an ARN");
    let tag = aws_sdk_rds::types::Tag::builder().key("more").value("1").build();
    rds.add_tags_to_resource().resource_name(arn).tags(tag).send().await.expect("a tag");
    rds.remove_tags_from_resource().resource_name(arn).tag_keys("a&b").send().await.expect("one tag less");
    let tags = rds.list_tags_for_resource().resource_name(arn).send().await.expect("tags");
    assert_eq!(tags.tag_list().iter().filter_map(|it| it.key()).collect::<Vec<_>>(), ["more"]);

    let delete = || rds.delete_db_instance().db_instance_identifier(&id);
    let kept = delete().skip_final_snapshot(true).send().await.expect_err("it is protected").into_service_error();
    assert_eq!(kept.meta().code(), Some("InvalidParameterCombination"));
    modify().deletion_protection(false).send().await.expect("no protection");
    let nameless = delete().send().await.expect_err("a snapshot needs a name").into_service_error();
    assert_eq!(nameless.meta().code(), Some("InvalidParameterCombination"));
    let snapshot = format!("{id}-last");
    delete().final_db_snapshot_identifier(&snapshot).send().await.expect("a deletion");
    let gone = || async {
        let asked = rds.describe_db_instances().db_instance_identifier(&id).send().await;
        asked.err().map(|err| assert!(err.into_service_error().is_db_instance_not_found_fault()))
    };
    until("the instance is gone", gone).await;
    assert!(connection.await.is_ok() && client.is_closed(), "its connections are closed");
    let asked = aws.secrets().describe_secret().secret_id(&secret).send().await.expect_err("the secret is gone");
    assert!(asked.into_service_error().is_resource_not_found_exception());
    let found = rds.describe_db_snapshots().db_snapshot_identifier(&snapshot).send().await.expect("the snapshot");
    assert_eq!(found.db_snapshots()[0].db_instance_identifier(), Some(id.as_str()));
    rds.delete_db_snapshot().db_snapshot_identifier(&snapshot).send().await.expect("a deletion");
}

/// What the gateway does not own reaches the cloud as it was sent, signatures and streams included.
pub(crate) async fn the_rest_passes_through(on: &Endpoints) {
    let aws = aws(on).await;
    let bucket = unique("bucket");
    aws.s3().create_bucket().bucket(&bucket).send().await.expect("a bucket");
    let body: Vec<u8> = (0..3_000_000u32).map(|it| it.to_le_bytes()[1]).collect();
    let key = "a folder/ü+%2F.bin";
    aws.s3().put_object().bucket(&bucket).key(key).body(body.clone().into()).send().await.expect("an object");
    let read = aws.s3().get_object().bucket(&bucket).key(key).send().await.expect("the object");
    assert_eq!(read.body.collect().await.expect("its body").to_vec(), body);
    let missing = aws.s3().get_object().bucket(&bucket).key("none").send().await.expect_err("no object");
    assert!(missing.into_service_error().is_no_such_key());
    assert_eq!(aws.sts().get_caller_identity().send().await.expect("an identity").account(), Some("000000000000"));
    let groups = aws.rds().describe_db_subnet_groups().send().await.expect("RDS, but not instances");
    assert!(groups.db_subnet_groups().iter().all(|it| it.db_subnet_group_name().is_some()));
    aws.s3().delete_object().bucket(&bucket).key(key).send().await.expect("a deletion");
    aws.s3().delete_bucket().bucket(&bucket).send().await.expect("a deletion");
}
