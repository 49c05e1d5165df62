//! The gateway as the AWS SDKs see it, with a stub for the cloud, a stub for PostgreSQL, and no Kafka at all.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    path::Path,
    sync::Mutex,
    time::Instant,
};

use aws_sdk_kafka::types::{BrokerNodeGroupInfo, ClusterState, ProvisionedRequest};
use aws_sdk_lambda::types::EventSourcePosition;
use axum::Json;
use futures::future::BoxFuture;
use serde_json::Value;
use tokio::task::JoinHandle;

use super::*;
use crate::client::aws::{Aws, Target};

mod schedule;

/// A cloud that knows one function, keeps secrets, and echoes everything else.
#[derive(Clone, Debug, Default)]
pub(super) struct Cloud(Arc<Mutex<BTreeMap<String, Value>>>);

async fn cloud(State(cloud): State<Cloud>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
    let header = |name: &str| head.headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default().to_owned();
    let refuse = |code: &str| (http::StatusCode::BAD_REQUEST, Json(json!({ "__type": code }))).into_response();
    if let Some(operation) = header("x-amz-target").strip_prefix("secretsmanager.") {
        let input: Value = serde_json::from_slice(&body).expect("JSON");
        let mut secrets = cloud.0.lock().expect("the secrets");
        return match (operation, input["Name"].as_str(), input["SecretId"].as_str()) {
            ("CreateSecret", Some(name), _) => {
                let arn = format!("arn:aws:secretsmanager:us-east-1:0:secret:{name}");
                secrets.insert(arn.clone(), input["SecretString"].clone());
                Json(json!({ "ARN": arn })).into_response()
            }
            ("DescribeSecret", _, Some(id)) if secrets.contains_key(id) => Json(json!({})).into_response(),
            ("DeleteSecret", _, Some(id)) if secrets.remove(id).is_some() => Json(json!({})).into_response(),
            _ => refuse("ResourceNotFoundException"),
        };
    }
    match head.uri.path() {
        "/2015-03-31/functions/taker" => {
            let arn = "arn:aws:lambda:us-east-1:000000000000:function:taker";
            Json(json!({ "Configuration": { "FunctionArn": arn } })).into_response()
        }
        path if path.starts_with("/2015-03-31/functions/") => http::StatusCode::NOT_FOUND.into_response(),
        "/2015-03-31/event-source-mappings/" => {
            Json(json!({ "EventSourceMappings": [{ "UUID": "theirs" }] })).into_response()
        }
        _ => Json(json!({
            "method": head.method.as_str(), "target": head.uri.to_string(), "host": header("host"),
            "authorization": header("authorization"), "body": String::from_utf8_lossy(&body),
        }))
        .into_response(),
    }
}

/// A PostgreSQL without databases.
#[derive(Debug, Default)]
pub(super) struct Roles {
    /// How long it takes to make one.
    slow: Duration,
    passwords: Mutex<BTreeMap<String, String>>,
    databases: Mutex<BTreeSet<String>>,
}

impl database::Server for Roles {
    fn role<'a>(&'a self, user: &'a str, password: &'a str) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            tokio::time::sleep(self.slow).await;
            self.passwords.lock().expect("roles").insert(user.into(), password.into());
            Ok(())
        })
    }

    fn database<'a>(&'a self, name: &'a str, _: &'a str) -> BoxFuture<'a, Result<(), String>> {
        self.databases.lock().expect("databases").insert(name.into());
        Box::pin(async { Ok(()) })
    }

    fn admits<'a>(&'a self, name: &'a str, user: &'a str, password: &'a str) -> BoxFuture<'a, bool> {
        let known = self.passwords.lock().expect("roles").get(user).is_some_and(|it| it == password);
        let there = self.databases.lock().expect("databases").contains(name);
        Box::pin(async move { known && there })
    }

    fn has_role<'a>(&'a self, user: &'a str) -> BoxFuture<'a, Result<bool, String>> {
        let there = self.passwords.lock().expect("roles").contains_key(user);
        Box::pin(async move { Ok(there) })
    }

    fn archive<'a>(&'a self, name: &'a str, _: &'a str, kept: &'a str) -> BoxFuture<'a, Result<(), String>> {
        let mut databases = self.databases.lock().expect("databases");
        databases.remove(name);
        databases.insert(kept.into());
        Box::pin(async { Ok(()) })
    }

    fn drop_database<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), String>> {
        self.databases.lock().expect("databases").remove(name);
        Box::pin(async { Ok(()) })
    }

    fn drop_role<'a>(&'a self, user: &'a str) -> BoxFuture<'a, Result<(), String>> {
        self.passwords.lock().expect("roles").remove(user);
        Box::pin(async { Ok(()) })
    }
}

/// A gateway that runs, and what is behind it.
pub(super) struct Scene {
    pub(super) aws: Aws,
    pub(super) endpoint: String,
    cloud: Cloud,
    running: JoinHandle<()>,
}

impl Drop for Scene {
    fn drop(&mut self) {
        // As abruptly as a crash: nothing is finished.
        self.running.abort();
    }
}

async fn listening() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

pub(super) async fn scene(data: &Path, roles: &Arc<Roles>) -> Scene {
    let behind = Cloud::default();
    let (cloud_listener, cloud_address) = listening().await;
    let app = Router::new().fallback(cloud).with_state(behind.clone());
    tokio::spawn(async move { axum::serve(cloud_listener, app).await });
    scene_before(data, roles, &format!("http://{cloud_address}"), behind).await
}

async fn scene_before(data: &Path, roles: &Arc<Roles>, cloud: &str, behind: Cloud) -> Scene {
    let (listener, address) = listening().await;
    let config = Config {
        listen: address,
        cloud: cloud.to_owned(),
        // Nothing listens on this port: the brokers are always away.
        kafka: "127.0.0.1:1".into(),
        postgres: Postgres { host: "127.0.0.1".into(), port: 1, user: "rdsadmin".into(), password: "hidden".into() },
        sql: Sql {
            python: "/nonexistent/python".into(),
            folder: data.join("sql"),
            endpoint: format!("http://{address}"),
            account: "000000000000".into(),
        },
        data: data.to_owned(),
        account: "000000000000".into(),
        region: "us-east-1".into(),
        pace: Duration::from_millis(20),
    };
    assert!(!format!("{config:?}").contains("hidden"), "a password in {config:?}");
    let gateway = Gateway::open(&config, roles.clone()).expect("a gateway");
    let running =
        tokio::spawn(async move { run(gateway, listener, CancellationToken::new()).await.expect("it serves") });
    let endpoint = format!("http://{address}");
    let target = Target {
        region: "us-east-1".into(),
        endpoint: Some(endpoint.clone()),
        keys: Some(("000000000000".into(), "secret".into())),
    };
    Scene { aws: Aws::connect(&target).await, endpoint, cloud: behind, running }
}

async fn until<T, F: Future<Output = Option<T>>>(mut ask: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(it) = ask().await {
            return it;
        }
        assert!(Instant::now() < deadline, "not in time");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn cluster(aws: &Aws, name: &str) -> String {
    let group = BrokerNodeGroupInfo::builder().instance_type("kafka.t3.small").set_client_subnets(Some(vec![])).build();
    let wanted = ProvisionedRequest::builder().kafka_version("3.9.x").number_of_broker_nodes(1);
    let wanted = wanted.broker_node_group_info(group).build();
    let made = aws.kafka().create_cluster_v2().cluster_name(name).provisioned(wanted).send().await;
    made.expect("a cluster").cluster_arn().expect("an ARN").to_owned()
}

#[tokio::test]
async fn a_cluster_waits_for_its_brokers_and_survives_a_crash() {
    let data = tempfile::tempdir().expect("a folder");
    let scene_ = scene(data.path(), &Arc::default()).await;
    let arn = cluster(&scene_.aws, "shop").await;
    drop(scene_);
    let scene = scene(data.path(), &Arc::default()).await;
    let kafka = scene.aws.kafka();
    let found = kafka.describe_cluster_v2().cluster_arn(&arn).send().await.expect("the cluster");
    assert_eq!(found.cluster_info().and_then(|it| it.state()), Some(&ClusterState::Creating));
    let early = kafka.get_bootstrap_brokers().cluster_arn(&arn).send().await.expect_err("no brokers yet");
    assert!(early.into_service_error().is_conflict_exception());
    let topic = kafka.create_topic().cluster_arn(&arn).topic_name("t").partition_count(1).replication_factor(1);
    assert!(topic.send().await.expect_err("no cluster yet").into_service_error().is_bad_request_exception());
    let none = kafka.describe_cluster_v2().cluster_arn("arn:none").send().await.expect_err("no such cluster");
    assert!(none.into_service_error().is_not_found_exception());
    let listed = kafka.list_clusters_v2().cluster_type_filter("SERVERLESS").send().await.expect("a list");
    assert!(listed.cluster_info_list().is_empty());
}

#[tokio::test]
async fn an_instance_lives_through_a_crash_and_dies_by_the_rules() {
    let data = tempfile::tempdir().expect("a folder");
    let roles: Arc<Roles> = Arc::default();
    let first = scene(data.path(), &roles).await;
    let create = |aws: &Aws, id: &str, user: &str| {
        aws.rds()
            .create_db_instance()
            .db_instance_identifier(id)
            .db_instance_class("db.t4g.micro")
            .engine("postgres")
            .allocated_storage(20)
            .db_name(user)
            .master_username(user)
            .manage_master_user_password(true)
    };
    let made = create(&first.aws, "shop", "shop").send().await.expect("an instance");
    let secret = made.db_instance().and_then(|it| it.master_user_secret()).and_then(|it| it.secret_arn());
    assert!(secret.is_some_and(|it| it.contains(":secret:rds!db-")), "{secret:?}");
    let shared = create(&first.aws, "other", "shop").send().await.expect_err("one server, one role of a name");
    assert_eq!(shared.into_service_error().meta().code(), Some("InvalidParameterValue"));
    drop(first);

    // The new cloud has lost the secret, as a crash of the real one does.
    let scene = scene(data.path(), &roles).await;
    let rds = scene.aws.rds();
    let available = || async {
        let it = rds.describe_db_instances().db_instance_identifier("SHOP").send().await.expect("the instance");
        let it = it.db_instances().first()?.clone();
        (it.db_instance_status() == Some("available")).then_some(it)
    };
    let it = until(available).await;
    let arn = it.master_user_secret().and_then(|it| it.secret_arn()).expect("a secret").to_owned();
    let content = || async { scene.cloud.0.lock().expect("the secrets").get(&arn).cloned() };
    let content: Value = serde_json::from_str(until(content).await.as_str().expect("text")).expect("JSON");
    let password = content["password"].as_str().expect("a password").to_owned();
    assert_eq!(roles.passwords.lock().expect("roles").get("shop"), Some(&password));
    let files = std::fs::read_dir(data.path()).expect("the folder").map(|it| it.expect("a file").path());
    for file in files.filter(|it| it.is_file()) {
        let text = std::fs::read_to_string(file).expect("text");
        assert!(!text.contains(&password), "no password is ever written");
    }

    let unknown = rds.describe_db_instances().db_instance_identifier("none").send().await.expect_err("none");
    assert!(unknown.into_service_error().is_db_instance_not_found_fault());
    let protect = |on: bool| rds.modify_db_instance().db_instance_identifier("shop").deletion_protection(on).send();
    protect(true).await.expect("protection");
    let delete = || rds.delete_db_instance().db_instance_identifier("shop").skip_final_snapshot(true).send();
    let kept = delete().await.expect_err("it is protected");
    assert_eq!(kept.into_service_error().meta().code(), Some("InvalidParameterCombination"));
    protect(false).await.expect("no protection");
    delete().await.expect("a deletion");
    let twice = delete().await.err().map(|it| it.into_service_error());
    assert!(twice.is_none_or(|it| it.is_invalid_db_instance_state_fault() || it.is_db_instance_not_found_fault()));
    until(|| async {
        rds.describe_db_instances().send().await.expect("a list").db_instances().is_empty().then_some(())
    })
    .await;
    assert!(roles.passwords.lock().expect("roles").is_empty() && roles.databases.lock().expect("databases").is_empty());
    assert!(scene.cloud.0.lock().expect("the secrets").is_empty());
}

#[tokio::test]
async fn what_was_asked_for_is_finished_though_the_client_is_gone() {
    let data = tempfile::tempdir().expect("a folder");
    let roles = Arc::new(Roles { slow: Duration::from_millis(300), ..Roles::default() });
    let scene = scene(data.path(), &roles).await;
    let rds = scene.aws.rds();
    let create = rds.create_db_instance().db_instance_identifier("shop").db_instance_class("db.t4g.micro");
    let create = create.engine("postgres").allocated_storage(20).db_name("shop").master_username("shop");
    let seen = async {
        until(|| async { rds.describe_db_instances().db_instance_identifier("shop").send().await.ok() }).await;
    };
    tokio::select! {
        biased;
        () = seen => (),
        answer = create.manage_master_user_password(true).send() => panic!("answered too soon: {answer:?}"),
    }
    // The request is dropped now, and its connection with it.
    until(|| async {
        let it = rds.describe_db_instances().db_instance_identifier("shop").send().await.expect("the instance");
        (it.db_instances().first()?.db_instance_status() == Some("available")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_mapping_survives_a_crash_and_shares_lists_with_the_cloud() {
    let data = tempfile::tempdir().expect("a folder");
    let first = scene(data.path(), &Arc::default()).await;
    let arn = cluster(&first.aws, "shop").await;
    let create = |aws: &Aws, function: &str| {
        aws.lambda()
            .create_event_source_mapping()
            .event_source_arn(&arn)
            .function_name(function)
            .topics("orders")
            .starting_position(EventSourcePosition::Latest)
    };
    let nobody = create(&first.aws, "nobody").send().await.expect_err("no function");
    assert!(nobody.into_service_error().is_resource_not_found_exception());
    let two = create(&first.aws, "taker").topics("payments").send().await.expect_err("two topics");
    assert!(two.into_service_error().is_invalid_parameter_value_exception());
    let made = create(&first.aws, "taker").send().await.expect("a mapping");
    let uuid = made.uuid().expect("a UUID").to_owned();
    let twice = create(&first.aws, "taker").send().await.expect_err("it is there");
    assert!(twice.into_service_error().is_resource_conflict_exception());
    drop(first);

    let scene = scene(data.path(), &Arc::default()).await;
    let lambda = scene.aws.lambda();
    let listed = lambda.list_event_source_mappings().send().await.expect("a list");
    let uuids: Vec<_> = listed.event_source_mappings().iter().filter_map(|it| it.uuid()).collect();
    assert_eq!(uuids, [uuid.as_str(), "theirs"]);
    let own = lambda.list_event_source_mappings().event_source_arn(&arn).send().await.expect("a list");
    assert_eq!(own.event_source_mappings().len(), 1);
    let enabled = || async {
        let it = lambda.get_event_source_mapping().uuid(&uuid).send().await.expect("the mapping");
        (it.state() == Some("Enabled")).then_some(it)
    };
    until(enabled).await;
    // The brokers are away, and the mapping says so.
    let problem = || async {
        let it = lambda.get_event_source_mapping().uuid(&uuid).send().await.expect("the mapping");
        it.last_processing_result().filter(|it| it.starts_with("PROBLEM: kafka")).map(str::to_owned)
    };
    until(problem).await;
    lambda.delete_event_source_mapping().uuid(&uuid).send().await.expect("a deletion");
    until(|| async {
        let it = lambda.list_event_source_mappings().event_source_arn(&arn).send().await.expect("a list");
        it.event_source_mappings().is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_not_owned_passes_unchanged_or_is_called_unavailable() {
    let data = tempfile::tempdir().expect("a folder");
    let scene = scene(data.path(), &Arc::default()).await;
    let client =
        hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build_http::<String>();
    let scope =
        |service: &str| format!("AWS4-HMAC-SHA256 Credential=a/20260101/eu-west-1/{service}/aws4_request, Signature=1");
    let send_to = |endpoint: &str, service: &str, host: &str| {
        let request = Request::put(format!("{endpoint}/b//k%2Fk%C3%BC?x=1&y=a%20b"));
        let request = request.header("host", host).header("authorization", scope(service));
        client.request(request.body("hello".to_owned()).expect("a request"))
    };
    let send = |endpoint: &str, service: &str| send_to(endpoint, service, "b.s3.localhost");
    let echo = |response: Response<hyper::body::Incoming>| async {
        let body = axum::body::to_bytes(Body::new(response.into_body()), 1 << 20).await.expect("a body");
        serde_json::from_slice::<Value>(&body).expect("JSON")
    };
    for service in ["s3", "kafka"] {
        let seen = echo(send(&scene.endpoint, service).await.expect("an answer")).await;
        assert_eq!(seen["method"], "PUT");
        assert_eq!(seen["target"], "/b//k%2Fk%C3%BC?x=1&y=a%20b");
        assert_eq!((&seen["host"], &seen["body"]), (&json!("b.s3.localhost"), &json!("hello")));
        assert_eq!(seen["authorization"], json!(scope(service)));
        let rebound = send_to(&scene.endpoint, service, "evil.example").await.expect("an answer");
        assert_eq!(rebound.status(), http::StatusCode::FORBIDDEN, "a name that leads here is not ours");
    }
    let away = scene_before(data.path(), &Arc::default(), "http://127.0.0.1:1", Cloud::default()).await;
    let answer = send(&away.endpoint, "s3").await.expect("an answer");
    assert_eq!(answer.status(), http::StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()["x-amzn-errortype"], "ServiceUnavailableException");
}

#[tokio::test]
async fn only_loopback_is_served() {
    let config = Config {
        listen: "0.0.0.0:0".parse().expect("an address"),
        cloud: "http://127.0.0.1:1".into(),
        kafka: "127.0.0.1:1".into(),
        postgres: Postgres { host: String::new(), port: 1, user: String::new(), password: String::new() },
        sql: Sql { python: PathBuf::new(), folder: PathBuf::new(), endpoint: String::new(), account: String::new() },
        data: PathBuf::new(),
        account: String::new(),
        region: String::new(),
        pace: Duration::ZERO,
    };
    assert!(matches!(serve(config, CancellationToken::new()).await, Err(Error::NotLoopback(_))));
}
