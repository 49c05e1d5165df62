//! Schedules, as the SDK makes them and a function behind the gateway sees them.

use aws_sdk_scheduler::types::{
    DeadLetterConfig, FlexibleTimeWindow, FlexibleTimeWindowMode, RetryPolicy, ScheduleGroupState, ScheduleState, Tag,
    Target as Invoked,
};

use super::*;

const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:taker";

/// What Lambda and SQS were asked, and how often Lambda fails before it takes anything.
#[derive(Clone, Default)]
struct Taker {
    heard: Arc<Mutex<Vec<(String, String, Value)>>>,
    failures: Arc<Mutex<usize>>,
}

impl Taker {
    fn heard(&self) -> Vec<(String, String, Value)> {
        self.heard.lock().expect("heard").clone()
    }
}

async fn take(State(taker): State<Taker>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let header = |name: &str| head.headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default().to_owned();
    let body = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
    let what = format!("{}{}", header("x-amz-invocation-type"), header("x-amz-target"));
    let event = serde_json::from_slice(&body).expect("JSON");
    if what.starts_with("Logs_") {
        // The gateway looks for metrics in logs meanwhile.
        return Json(json!({})).into_response();
    }
    taker.heard.lock().expect("heard").push((what, head.uri.path().to_owned(), event));
    let mut failures = taker.failures.lock().expect("failures");
    if head.uri.path() != "/" && *failures > 0 {
        *failures -= 1;
        return http::StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    (http::StatusCode::ACCEPTED, Json(json!({}))).into_response()
}

async fn clock(data: &Path) -> (Scene, Taker) {
    let taker = Taker::default();
    let (listener, address) = listening().await;
    let app = Router::new().fallback(take).with_state(taker.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (scene_before(data, &Arc::default(), &format!("http://{address}"), Cloud::default()).await, taker)
}

async fn group(aws: &Aws, name: &str) {
    let tag = Tag::builder().key("team").value("data").build().expect("a tag");
    aws.scheduler().create_schedule_group().name(name).tags(tag).send().await.expect("a group");
}

fn target(input: Option<&str>, retries: i32) -> aws_sdk_scheduler::types::builders::TargetBuilder {
    let retry = RetryPolicy::builder().maximum_retry_attempts(retries).maximum_event_age_in_seconds(60);
    Invoked::builder()
        .arn(FUNCTION)
        .role_arn("arn:aws:iam::0:role/clock")
        .set_input(input.map(str::to_owned))
        .retry_policy(retry.build())
}

fn off() -> FlexibleTimeWindow {
    FlexibleTimeWindow::builder().mode(FlexibleTimeWindowMode::Off).build().expect("a window")
}

#[tokio::test]
async fn a_schedule_invokes_its_function_at_its_times() {
    let data = tempfile::tempdir().expect("a folder");
    let (scene, taker) = clock(data.path()).await;
    let scheduler = scene.aws.scheduler();
    group(&scene.aws, "watch").await;
    *taker.failures.lock().expect("failures") = 1;
    let input = r#"{"at":"<aws.scheduler.scheduled-time>","try":"<aws.scheduler.attempt-number>"}"#;
    let make = || {
        let it = scheduler.create_schedule().group_name("watch").name("watch").flexible_time_window(off());
        it.schedule_expression("rate(1 minute)").target(target(Some(input), 3).build().expect("a target"))
    };
    make().send().await.expect("a schedule");
    let begun = jiff::Timestamp::now();
    let heard = until(|| async { Some(taker.heard()).filter(|it| it.len() == 2) }).await;
    for (attempt, (kind, path, event)) in (1..).zip(&heard) {
        assert_eq!(kind, "Event", "nobody waits for what becomes of it");
        assert!(path.starts_with("/2015-03-31/functions/") && path.ends_with("/invocations"), "{path}");
        assert_eq!(event["try"], attempt.to_string());
        let at: jiff::Timestamp = event["at"].as_str().and_then(|it| it.parse().ok()).expect("a time");
        assert!(at.duration_since(begun).abs() < jiff::SignedDuration::from_secs(5), "{at}");
    }

    let again = make().send().await.expect_err("there is one").into_service_error();
    assert!(again.is_conflict_exception(), "{again:?}");
    let live = scheduler.get_schedule().group_name("watch").name("watch").send().await.expect("the schedule");
    let target = live.target().expect("a target");
    assert_eq!(
        (live.state(), target.input(), live.schedule_expression_timezone()),
        (Some(&ScheduleState::Enabled), Some(input), Some("UTC"))
    );
    let arn = "arn:aws:scheduler:us-east-1:000000000000:schedule-group/watch";
    scheduler.untag_resource().resource_arn(arn).tag_keys("team").send().await.expect("untagged");
    let tags = scheduler.list_tags_for_resource().resource_arn(arn).send().await.expect("tags");
    assert!(tags.tags().is_empty());

    scheduler.delete_schedule_group().name("watch").send().await.expect("deleted");
    let find = || scheduler.get_schedule_group().name("watch").send();
    if let Ok(it) = find().await {
        assert_eq!(it.state(), Some(&ScheduleGroupState::Deleting));
    }
    until(|| async {
        find().await.err().map(|err| assert!(err.into_service_error().is_resource_not_found_exception()))
    })
    .await;
    let gone =
        scheduler.get_schedule().group_name("watch").name("watch").send().await.expect_err("gone with its group");
    assert!(gone.into_service_error().is_resource_not_found_exception());
}

#[tokio::test]
async fn what_is_never_taken_goes_to_the_queue() {
    let data = tempfile::tempdir().expect("a folder");
    let (scene, taker) = clock(data.path()).await;
    *taker.failures.lock().expect("failures") = 9;
    let queue = DeadLetterConfig::builder().arn("arn:aws:sqs:us-east-1:000000000000:lost").build();
    let target = target(None, 0).dead_letter_config(queue).build().expect("a target");
    let request = scene.aws.scheduler().create_schedule().name("hourly").schedule_expression("rate(1 hours)");
    request.flexible_time_window(off()).target(target).send().await.expect("a schedule in the default group");
    let heard = until(|| async { Some(taker.heard()).filter(|it| it.len() == 2) }).await;
    let (kind, _, letter) = &heard[1];
    assert_eq!((kind.as_str(), &letter["QueueUrl"]), ("AmazonSQS.SendMessage", &json!("/000000000000/lost")));
    let event: Value = serde_json::from_str(letter["MessageBody"].as_str().expect("a body")).expect("JSON");
    assert_eq!((&event["source"], &event["detail-type"]), (&json!("aws.scheduler"), &json!("Scheduled Event")));
    assert_eq!(heard[0].2["source"], "aws.scheduler");
}

#[tokio::test]
async fn a_clock_that_rests_and_one_that_was_away_invoke_nothing() {
    let data = tempfile::tempdir().expect("a folder");
    let (first, taker) = clock(data.path()).await;
    let request = first.aws.scheduler().create_schedule().name("rests").schedule_expression("rate(1 minute)");
    let request = request.flexible_time_window(off()).state(ScheduleState::Disabled);
    request.target(target(None, 0).build().expect("a target")).send().await.expect("a schedule");
    let request = first.aws.scheduler().create_schedule().name("works").schedule_expression("rate(1 minute)");
    request
        .flexible_time_window(off())
        .target(target(None, 0).build().expect("a target"))
        .send()
        .await
        .expect("a schedule");
    until(|| async { (taker.heard().len() == 1).then_some(()) }).await;
    drop(first);

    // It remembers its schedules, and makes up for no time that went by.
    let (second, taker) = clock(data.path()).await;
    let listed = second.aws.scheduler().list_schedules().send().await.expect("a list");
    let names: Vec<_> = listed.schedules().iter().filter_map(|it| it.name()).collect();
    assert_eq!(names, ["rests", "works"]);
    let wrong = second.aws.scheduler().create_schedule().name("wrong").schedule_expression("cron(0 6 * * * *)");
    let wrong = wrong.flexible_time_window(off()).target(target(None, 0).build().expect("a target")).send().await;
    assert!(wrong.expect_err("two days").into_service_error().is_validation_exception());
    assert!(taker.heard().is_empty(), "{:?}", taker.heard());
}
