//! The local cloud, as its users run it: real parts, killed at will.

#![expect(
    clippy::expect_used,
    clippy::large_futures,
    clippy::print_stderr,
    reason = "a test that cannot be set up has failed; what it measures is told"
)]

mod athena;
mod cloudwatch;
mod databricks;
mod gateway;
mod poller;
mod redshift;
mod traces;
mod watch;

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use ecomctl::{
    client::aws::{Aws, Target},
    local::{self, Endpoints, Home, Progress, State},
};
use krafka::{Kafka, Record, admin::NewTopic};
use tempfile::TempDir;
use traces::{kill, listeners, session};

const PARTS: [&str; 3] = ["postgres", "kafka", "ministack"];

/// A home that is gone with the test, software excepted, which all tests share.
struct Place {
    home: Home,
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("directory");
        let software = Path::new(env!("CARGO_TARGET_TMPDIR")).join("software");
        let home = Home::with_program(dir.path(), Path::new(env!("CARGO_BIN_EXE_ecomctl"))).expect("home");
        Self { home: home.with_software(&software).expect("software").with_free_ports(), dir }
    }
}

/// A test that fails leaves nothing running either.
impl Drop for Place {
    fn drop(&mut self) {
        let mut stop = Command::new(env!("CARGO_BIN_EXE_ecomctl"));
        stop.args(["local", "stop"]).env("ECOMCTL_HOME", self.dir.path()).stdout(Stdio::null()).status().ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_whatever_is_killed() {
    let Place { home, .. } = &Place::new();
    let show = |it: Progress| eprintln!("{} {} {:?}", it.part, it.message, it.done);
    let (one, two) = tokio::join!(local::ensure(home, &show), local::ensure(home, &|_| {}));
    let endpoints = one.expect("start");
    assert_eq!(two.expect("start, at the same time"), endpoints);
    let supervisor = local::status(home).await.expect("status").pid.expect("supervisor");
    assert_loopback_only(supervisor);

    write(&endpoints, home).await;
    for part in PARTS {
        kill(part_of(home, part).await.pid.expect("process"));
        until(home, part, |it| it.restarts == 1 && it.state == State::Ready).await;
        check(&endpoints, home).await;
    }

    kill(supervisor);
    assert_eq!(local::ensure(home, &show).await.expect("recover"), endpoints);
    let status = local::status(home).await.expect("status");
    assert_ne!(status.pid, Some(supervisor));
    assert_eq!(session(supervisor), Vec::<u32>::new(), "left by the supervisor that was killed");
    check(&endpoints, home).await;

    // Everything at once, as when the machine runs out of memory.
    let supervisor = status.pid.expect("supervisor");
    session(supervisor).into_iter().for_each(kill);
    local::ensure(home, &show).await.expect("recover");
    check(&endpoints, home).await;

    let began = Instant::now();
    local::ensure(home, &|it| panic!("nothing is to be done, but {it:?}")).await.expect("running");
    let warm = began.elapsed();
    assert!(warm < Duration::from_millis(200), "warm start took {warm:?}");
    for part in local::status(home).await.expect("status").parts {
        eprintln!("{} uses {:?} MiB", part.name, part.memory.map(|it| it >> 20));
    }
    eprintln!("warm start took {warm:?}");

    let supervisor = local::status(home).await.expect("status").pid.expect("supervisor");
    assert!(local::stop(home).await.expect("stop"));
    assert_eq!(session(supervisor), Vec::<u32>::new(), "left after stop");
    assert!(!local::stop(home).await.expect("stop again"));
    assert_eq!(local::running(home).await.expect("running"), None);

    local::reset(home).await.expect("reset");
    assert!(!home.data().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_named_with_who_has_it() {
    let Place { home, .. } = &Place::new();
    let free = [(); 6].map(|()| TcpListener::bind("127.0.0.1:0").expect("bind"));
    let [gateway, cloud, kafka, controller, postgres, databricks] =
        free.each_ref().map(|it| it.local_addr().expect("address").port());
    let mut free = free.into_iter();
    let taken = free.nth(2);
    drop(free);
    let ports = serde_json::json!({
        "gateway": gateway, "cloud": cloud, "kafka": kafka, "controller": controller, "postgres": postgres,
        "databricks": databricks,
    });
    fs::create_dir_all(home.local()).expect("directory");
    fs::write(home.local().join("ports.json"), ports.to_string()).expect("write");

    let err = local::ensure(home, &|_| {}).await.expect_err("the port is taken");
    let text = err.to_string();
    assert!(text.contains(&format!("port {kafka}, for Kafka, is taken by process {}", std::process::id())), "{text}");
    let help = miette::Diagnostic::help(&err).expect("help").to_string();
    assert!(help.contains("ECOMCTL_PORTS=free"), "{help}");
    assert_eq!(local::running(home).await.expect("running"), None);

    drop(taken);
    local::ensure(home, &|_| {}).await.expect("start, now that it is free");
    local::stop(home).await.expect("stop");
}

/// Writes something to each part.
async fn write(endpoints: &Endpoints, home: &Home) {
    let database = database(endpoints, home).await;
    database.batch_execute("CREATE TABLE t (v text); INSERT INTO t VALUES ('kept')").await.expect("insert");

    let kafka = Kafka::builder(endpoints.kafka.clone()).connect().await.expect("connect");
    let topic = NewTopic::new("orders", 2, 1).expect("topic");
    for (name, result) in kafka.admin().create_topics([topic], Default::default()).await.expect("create") {
        result.unwrap_or_else(|err| panic!("{name}: {err}"));
    }
    let producer = kafka.producer().build().await.expect("producer");
    let kept = producer.send(Record::new("orders", "kept").partition(1)).await.expect("send");
    assert_eq!((kept.partition, kept.offset), (1, 0));
    producer.close().await.expect("close");

    let aws = aws(endpoints).await;
    aws.s3().create_bucket().bucket("kept").send().await.expect("bucket");
    aws.s3().put_object().bucket("kept").key("k").body(b"kept".to_vec().into()).send().await.expect("object");
    let trust = r#"{"Version": "2012-10-17", "Statement": []}"#;
    aws.iam().create_role().role_name("kept").assume_role_policy_document(trust).send().await.expect("role");
    aws.secrets().create_secret().name("kept").secret_string("kept").send().await.expect("secret");
    aws.logs().create_log_group().log_group_name("kept").send().await.expect("log group");
    let code = aws_sdk_lambda::types::FunctionCode::builder().zip_file(aws_sdk_lambda::primitives::Blob::new(ZIP));
    let function = aws.lambda().create_function().function_name("kept").role("arn:aws:iam::000000000000:role/kept");
    let function =
        function.runtime(aws_sdk_lambda::types::Runtime::Providedal2023).handler("bootstrap").code(code.build());
    function.send().await.expect("function");
}

/// Finds it all again.
async fn check(endpoints: &Endpoints, home: &Home) {
    let row = database(endpoints, home).await.query_one("SELECT v FROM t", &[]).await.expect("row");
    assert_eq!(row.get::<_, &str>(0), "kept");

    let kafka = Kafka::builder(endpoints.kafka.clone()).connect().await.expect("connect");
    let consumer = kafka.consumer_without_group().build().await.expect("consumer");
    consumer.assign("orders", vec![1]).await.expect("assign");
    consumer.seek_to_beginning("orders", 1).await.expect("seek");
    let record =
        tokio::time::timeout(Duration::from_secs(20), consumer.recv()).await.expect("in time").expect("receive");
    assert_eq!(record.expect("record").value.as_deref(), Some(&b"kept"[..]));
    consumer.close().await.expect("close");

    let aws = aws(endpoints).await;
    let object = aws.s3().get_object().bucket("kept").key("k").send().await.expect("object");
    assert_eq!(&object.body.collect().await.expect("body").into_bytes()[..], b"kept");
    aws.iam().get_role().role_name("kept").send().await.expect("role");
    let secret = aws.secrets().get_secret_value().secret_id("kept").send().await.expect("secret");
    assert_eq!(secret.secret_string(), Some("kept"));
    let groups = aws.logs().describe_log_groups().log_group_name_prefix("kept").send().await.expect("log groups");
    assert_eq!(groups.log_groups().len(), 1);
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let function = aws.lambda().get_function().function_name("kept").send().await.expect("function");
        let state = function.configuration().and_then(|it| it.state().cloned());
        if state == Some(aws_sdk_lambda::types::State::Active) {
            break;
        }
        assert!(Instant::now() < deadline, "the function stays {state:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// An empty archive: its end record alone.
const ZIP: &[u8] = b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

async fn database(endpoints: &Endpoints, home: &Home) -> tokio_postgres::Client {
    let (host, port) = endpoints.postgres.split_once(':').expect("host and port");
    let password = fs::read_to_string(home.postgres_password()).expect("password");
    let mut config = tokio_postgres::Config::new();
    config.host(host).port(port.parse().expect("port")).user("postgres").password(password);
    let (client, connection) = config.connect(tokio_postgres::NoTls).await.expect("connect");
    tokio::spawn(connection);
    client
}

async fn aws(endpoints: &Endpoints) -> Aws {
    let keys = Some((endpoints.account.clone(), "local".to_owned()));
    Aws::connect(&Target { region: endpoints.region.clone(), endpoint: Some(endpoints.gateway.clone()), keys }).await
}

async fn part_of(home: &Home, name: &str) -> local::PartStatus {
    let status = local::status(home).await.expect("status");
    status.parts.into_iter().find(|it| it.name == name).expect("part")
}

/// Waits for a part to come into a state.
async fn until(home: &Home, name: &str, wanted: impl Fn(&local::PartStatus) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let part = part_of(home, name).await;
        if wanted(&part) {
            return;
        }
        assert!(Instant::now() < deadline, "{part:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Fails when a process of the local cloud can be reached from another machine.
fn assert_loopback_only(supervisor: u32) {
    // Addresses as the kernel writes them: 127.0.0.1, ::1, and 127.0.0.1 within IPv6.
    const LOOPBACK: [&str; 3] = ["0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"];
    let found = listeners(&session(supervisor));
    assert_eq!(found.len(), 6, "{found:?}");
    for (address, port) in found {
        assert!(LOOPBACK.contains(&address.as_str()), "port {port} listens on {address}");
    }
}

/// One local cloud for all that is asked of the gateway and the poller: its start is the dearest part.
#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_and_the_poller_answer_as_aws_does() {
    let place = Place::new();
    let on = local::ensure(&place.home, &|_| {}).await.expect("start");
    gateway::clusters_live_and_die(&on).await;
    gateway::topics_are_kafka_s_own(&on).await;
    gateway::databases_are_postgresql_s_own(&on).await;
    gateway::the_rest_passes_through(&on).await;
    athena::queries_give_what_the_lake_holds(&on, &place.home).await;
    redshift::external_schemas_live_and_die(&on);
    cloudwatch::alarms_go_off_and_back(&on);
    cloudwatch::logged_metrics_are_metrics(&on).await;
    cloudwatch::the_numbers_are_true(&on).await;
    cloudwatch::a_full_database_is_seen(&on).await;
    poller::every_record_arrives(&on).await;
    poller::mappings_live_and_die(&on).await;
    poller::poison_is_kept_aside(&on).await;
    poller::reported_records_are_tried_again(&on).await;
    let supervisor = local::status(&place.home).await.expect("status").pid.expect("supervisor");
    local::stop(&place.home).await.expect("stop");
    assert_eq!(session(supervisor), Vec::<u32>::new(), "left after stop");
}

/// What runs jobs is killed on the way, so it has a cloud of its own.
#[tokio::test(flavor = "multi_thread")]
async fn the_local_databricks_answers_the_official_sdk() {
    let place = Place::new();
    let on = local::ensure(&place.home, &|_| {}).await.expect("start");
    let sdk = databricks::Sdk::new(&place.home, &on);
    databricks::callers_are_known(&sdk);
    databricks::files_are_kept(&sdk);
    databricks::jobs_are_kept(&sdk);
    databricks::permissions_have_one_owner(&sdk);
    databricks::secrets_are_kept(&sdk);
    databricks::rendered_jobs_are_known(&sdk, place.dir.path());
    databricks::tasks_run(&sdk);
    databricks::failures_are_told(&sdk);
    databricks::schedules_and_webhooks_fire(&sdk).await;
    watch::a_failed_run_counts_once(&on).await;
    let job = databricks::files_that_arrive_begin_runs(&sdk, &on).await;
    databricks::a_kill_ends_what_runs(&sdk, &place.home).await;
    databricks::arrivals_outlive_a_kill(&sdk, &on, &job).await;
    local::stop(&place.home).await.expect("stop");
}
