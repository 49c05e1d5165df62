//! The watcher, as the local cloud runs it: real runs of a real job that fails, a webhook, and the clock.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use aws_sdk_cloudwatch::{
    primitives::DateTime,
    types::{Dimension, Statistic},
};
use aws_sdk_lambda::{
    primitives::Blob,
    types::{Environment, FunctionCode, FunctionUrlAuthType, LogType, LoggingConfig, Runtime},
};
use aws_sdk_scheduler::types::{FlexibleTimeWindow, FlexibleTimeWindowMode, RetryPolicy, Target as Invoked};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use ecomctl::{
    artifact::{self, Architecture, Build},
    client::{
        aws::Aws,
        databricks::{Databricks, Target},
    },
};
use serde_json::{Value, json};

use super::{
    Endpoints,
    gateway::{aws, unique, until},
};

/// The function, and the job that it watches.
#[derive(Clone)]
struct Scene {
    aws: Arc<Aws>,
    databricks: Arc<Databricks>,
    function: String,
    group: String,
    arn: String,
    job: i64,
}

async fn scene(on: &Endpoints) -> Scene {
    let aws = aws(on).await;
    let databricks = Databricks::new(Target::ambient().host(Some(on.databricks.clone())).token("local"));
    let (function, bucket) = (unique("watch"), unique("lake"));
    let group = format!("/test/{function}");
    aws.s3().create_bucket().bucket(&bucket).send().await.expect("a bucket");
    aws.logs().create_log_group().log_group_name(&group).send().await.expect("a log group");
    let secret = async |name: &str, text: &str| {
        let made = aws.secrets().create_secret().name(unique(name)).secret_string(text).send().await.expect("a secret");
        made.arn().expect("an ARN").to_owned()
    };
    let (token, webhook) = (secret("token", "local").await, secret("webhook", "databricks:right").await);
    // A file that is not there: the run fails as soon as it begins.
    let task = json!({
        "task_key": "fails", "job_cluster_key": "main", "spark_python_task": { "python_file": "/Shared/nothing.py" },
    });
    let cluster = json!({ "spark_version": "17.3.x-scala2.13", "node_type_id": "m7gd.large", "num_workers": 1 });
    let settings = json!({
        "name": "shop-medallion", "tasks": [task], "job_clusters": [{ "job_cluster_key": "main", "new_cluster": cluster }],
    });
    let job = databricks.create_job(settings).await.expect("a job");

    let request = Build::Lambda { package: "watch".to_owned(), architecture: Architecture::host().expect("known") };
    let (root, scratch) = (Path::new(env!("CARGO_MANIFEST_DIR")), Path::new(env!("CARGO_TARGET_TMPDIR")));
    let built = artifact::build(root, &scratch.join("artifacts"), &BTreeSet::from([request.clone()]), &|_| ()).await;
    let zip = std::fs::read(&built.expect("builds")[&request].path).expect("a zip");
    let role = format!("arn:aws:iam::{}:role/watch", on.account);
    let made = aws.lambda().create_function().function_name(&function).role(role).handler("bootstrap").timeout(30);
    let logging = LoggingConfig::builder().log_group(&group).build();
    let variables = BTreeMap::from([
        ("STACK", "shop"),
        ("DATABRICKS_HOST", &on.databricks),
        ("DATABRICKS_SECRET_ARN", &token),
        ("WEBHOOK_SECRET_ARN", &webhook),
        ("JOB_MEDALLION", &job.to_string()),
        ("STATE_BUCKET", &bucket),
    ])
    .into_iter()
    .fold(Environment::builder(), |it, (name, value)| it.variables(name, value));
    let made = made.runtime(Runtime::Providedal2023).environment(variables.build()).logging_config(logging);
    let made = made.code(FunctionCode::builder().zip_file(Blob::new(zip)).build()).send().await.expect("a function");
    let arn = made.function_arn().expect("an ARN").to_owned();
    let scene = Scene { aws: Arc::new(aws), databricks: Arc::new(databricks), function, group, arn, job };
    scene.is_active().await;
    scene
}

impl Scene {
    async fn is_active(&self) {
        let active = || async {
            let it = self.aws.lambda().get_function_configuration().function_name(&self.function).send().await.ok()?;
            let is_updating = it.last_update_status().is_some_and(|it| it.as_str() == "InProgress");
            (it.state().map(|it| it.as_str().to_owned())? == "Active" && !is_updating).then_some(())
        };
        until("the function is active", active).await;
    }

    /// Invokes the function; returns its answer and the metrics in its log.
    async fn invoke(&self, event: &Value) -> (Value, Vec<Value>) {
        let asked = self.aws.lambda().invoke().function_name(&self.function).log_type(LogType::Tail);
        let done = asked.payload(Blob::new(event.to_string())).send().await.expect("invoked");
        let log = BASE64_STANDARD.decode(done.log_result().unwrap_or_default()).expect("a log");
        let log = String::from_utf8(log).expect("text");
        assert_eq!(done.function_error(), None, "{log}");
        let answer = done.payload().map(Blob::as_ref).unwrap_or_default();
        (serde_json::from_slice(answer).expect("JSON"), metrics(log.lines()))
    }

    async fn look(&self) -> Vec<Value> {
        self.invoke(&json!({ "source": "aws.scheduler" })).await.1
    }

    /// Runs the job to its end, which is bad.
    async fn fail(&self, token: &str) -> i64 {
        let run = self.databricks.run_now(self.job, token, &BTreeMap::new()).await.expect("begun");
        let over = || async { self.databricks.run(run).await.ok().filter(|it| it.end_time > 0).map(|_| ()) };
        until("the run is over", over).await;
        run
    }

    /// All metrics that the function has written into its log group since it was made.
    async fn logged(&self) -> Vec<Value> {
        let found = self.aws.logs().filter_log_events().log_group_name(&self.group).send().await.expect("a log");
        metrics(found.events().iter().filter_map(|it| it.message()))
    }
}

fn metrics<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<Value> {
    lines.filter_map(|it| serde_json::from_str::<Value>(it).ok()).filter(|it| it["_aws"].is_object()).collect()
}

fn sum(lines: &[Value], metric: &str) -> i64 {
    lines.iter().filter_map(|it| it[metric].as_i64()).sum()
}

pub(crate) async fn a_failed_run_counts_once(on: &Endpoints) {
    let scene = scene(on).await;
    let first = scene.look().await;
    assert_eq!(
        (sum(&first, "Heartbeat"), sum(&first, "RunsFailed"), sum(&first, "ActiveRunAge")),
        (1, 0, 0),
        "{first:?}"
    );
    let begun = Instant::now();

    scene.fail("first").await;
    assert_eq!(sum(&scene.look().await, "RunsFailed"), 1);
    assert_eq!(sum(&scene.look().await, "RunsFailed"), 0);
    // A new process has nothing in its memory.
    let update = scene.aws.lambda().update_function_configuration().function_name(&scene.function).memory_size(256);
    update.send().await.expect("updated");
    scene.is_active().await;
    let last = scene.look().await;
    assert_eq!(sum(&last, "RunsFailed"), 0);
    let grown = sum(&last, "SecondsSinceLastSuccess") - sum(&first, "SecondsSinceLastSuccess");
    let passed = i64::try_from(begun.elapsed().as_secs()).expect("not long");
    assert!((passed - 1..=passed + 2).contains(&grown), "late since the job was made: {grown} s after {passed} s");

    a_webhook_and_a_look_count_a_run_once(&scene, on).await;
    the_clock_invokes_it(&scene).await;
}

async fn a_webhook_and_a_look_count_a_run_once(scene: &Scene, on: &Endpoints) {
    let (lambda, invoked) = (scene.aws.lambda(), invocations(scene).await);
    let made = lambda.create_function_url_config().function_name(&scene.function).auth_type(FunctionUrlAuthType::None);
    let url = made.send().await.expect("an address").function_url;
    assert!(url.starts_with(&format!("{}/", on.gateway)), "it leads here: {url}");
    let listed = lambda.list_function_url_configs().function_name(&scene.function).send().await.expect("addresses");
    let told = lambda.get_function_url_config().function_name(&scene.function).send().await.expect("an address");
    assert_eq!((listed.function_url_configs()[0].function_url(), told.function_url()), (&*url, &*url));
    assert_eq!(post(&url, None, &json!({})).await.0, 401, "a stranger");
    assert_eq!(post(&url, Some("Basic ZGF0YWJyaWNrczp3cm9uZw=="), &json!({})).await.0, 401, "a wrong password");
    let destination = json!({
        "display_name": "watch", "config": { "generic_webhook": { "url": url, "username": "databricks", "password": "right" } },
    });
    let destinations = format!("{}/api/2.0/notification-destinations", on.databricks);
    let (_, answer) = post(&destinations, Some("Bearer local"), &destination).await;
    let job = scene.databricks.job(scene.job).await.expect("the job");
    let mut settings = job.settings.clone();
    settings["webhook_notifications"] = json!({ "on_failure": [{ "id": answer["id"] }] });
    scene.databricks.reset_job(scene.job, json!(settings)).await.expect("reset");

    let before = sum(&scene.logged().await, "RunsFailed");
    scene.fail("second").await;
    let told = || async { (sum(&scene.logged().await, "RunsFailed") > before).then_some(()) };
    until("the webhook is told of", told).await;
    assert_eq!(sum(&scene.look().await, "RunsFailed"), 0, "the webhook was first");
    assert_eq!(sum(&scene.logged().await, "RunsFailed"), before + 1);
    let counted = || async { (invocations(scene).await >= invoked + 4.0).then_some(()) };
    until("calls at the address count as invocations", counted).await;
}

/// How often the gateway saw the function invoked in the last hour.
async fn invocations(scene: &Scene) -> f64 {
    let now = SystemTime::now();
    let (start, end) = (now - Duration::from_secs(3600), now + Duration::from_secs(60));
    let of = Dimension::builder().name("FunctionName").value(&scene.function).build();
    let asked = scene.aws.cloudwatch().get_metric_statistics().namespace("AWS/Lambda").metric_name("Invocations");
    let asked = asked.dimensions(of).statistics(Statistic::Sum).period(3600);
    let found = asked.start_time(DateTime::from(start)).end_time(DateTime::from(end)).send().await.expect("statistics");
    found.datapoints().iter().filter_map(|it| it.sum()).sum()
}

async fn post(url: &str, authorization: Option<&str>, body: &Value) -> (u16, Value) {
    let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
    let request = http::Request::post(url).header("content-type", "application/json");
    let request = authorization.into_iter().fold(request, |it, value| it.header("authorization", value));
    let request = request.body(http_body_util::Full::new(bytes::Bytes::from(body.to_string()))).expect("a request");
    let answer = client.request(request).await.expect("an answer");
    let status = answer.status().as_u16();
    let body = http_body_util::BodyExt::collect(answer.into_body()).await.expect("a body").to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

async fn the_clock_invokes_it(scene: &Scene) {
    let before = sum(&scene.logged().await, "Heartbeat");
    let scheduler = scene.aws.scheduler();
    let window = FlexibleTimeWindow::builder().mode(FlexibleTimeWindowMode::Off).build().expect("a window");
    let retry = RetryPolicy::builder().maximum_retry_attempts(0).maximum_event_age_in_seconds(60).build();
    let target =
        Invoked::builder().arn(&scene.arn).role_arn("arn:aws:iam::000000000000:role/clock").retry_policy(retry);
    let made = scheduler.create_schedule().name(&scene.function).schedule_expression("rate(1 minute)");
    let made = made.flexible_time_window(window).target(target.build().expect("a target"));
    made.send().await.expect("a schedule");
    let beats = || async { (sum(&scene.logged().await, "Heartbeat") == before + 1).then_some(()) };
    tokio::time::timeout(Duration::from_secs(30), until("the heart beats", beats)).await.expect("at once");
    scheduler.delete_schedule().name(&scene.function).send().await.expect("deleted");
}
