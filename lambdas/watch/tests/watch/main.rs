//! The function as a whole, with its clock in the tests' hands, before a server that pages, throttles and fails.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod world;

use std::time::{Duration, Instant};

use database::{
    Database, Settings, Tls,
    postgres::{Client, NoTls},
};
use serde_json::{Value, json};
use testing::{Answer, Server};
use world::{JOB, MINUTE, NOW, World, invoke, run, sum, value, webhook};

#[tokio::test]
async fn a_failed_run_counts_once_however_often_it_is_seen() {
    let world = World::new(&[]);
    let (result, lines) = world.look(NOW).await;
    assert_eq!(result.unwrap(), json!({ "looked": true }));
    assert_eq!((value(&lines, "Heartbeat"), value(&lines, "RunsFailed")), (Some(1), Some(0)));
    world.things().runs = vec![run(1, NOW, NOW + 30_000, "FAILED")];
    let mut all = Vec::new();
    for minute in 1..6 {
        all.extend(world.look(NOW + minute * MINUTE).await.1);
        // Lambda starts the function anew: what it counted is not in its memory.
        let again = World::function(&world.web, &[]);
        all.extend(invoke(&again, json!({ "source": "aws.scheduler" }), NOW + minute * MINUTE + 1).await.1);
    }
    assert_eq!((sum(&all, "RunsFailed"), sum(&all, "RunDuration"), sum(&all, "Heartbeat")), (1, 30, 10));
    let line = all.iter().find(|it| it["RunsFailed"] == 1).unwrap();
    assert_eq!((&line["Stack"], &line["Job"]), (&json!("shop"), &json!("shop-medallion")));
    assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["Stack", "Job"]]));
}

#[tokio::test]
async fn looks_at_the_same_moment_count_a_run_once() {
    let world = World::new(&[]);
    world.look(NOW).await.0.unwrap();
    world.things().runs = (1..=30).map(|id| run(id, NOW + id, NOW + id + 1000, "FAILED")).collect();
    let functions: Vec<_> = (0..4).map(|_| World::function(&world.web, &[])).collect();
    let looks = functions.iter().map(|it| invoke(it, json!({ "source": "aws.scheduler" }), NOW + MINUTE));
    let (mut all, mut answered) = (Vec::new(), 0);
    for (result, lines) in futures::future::join_all(looks).await {
        answered += u32::from(result.is_ok());
        all.extend(lines);
    }
    assert_eq!((sum(&all, "RunsFailed"), answered), (30, 4), "two pages of runs, each told by one of four");
}

#[tokio::test]
async fn the_webhook_and_the_schedule_count_a_run_once() {
    let world = World::new(&[]);
    world.look(NOW).await.0.unwrap();
    world.things().runs = vec![run(5, NOW, NOW + 1000, "TIMEDOUT")];
    let (answer, told) = world.invoke(webhook(5, "right"), NOW + 2000).await;
    assert_eq!(
        (answer.unwrap(), sum(&told, "RunsFailed"), sum(&told, "Heartbeat")),
        (json!({ "statusCode": 204 }), 1, 0)
    );
    let (_, again) = world.invoke(webhook(5, "right"), NOW + 3000).await;
    let (_, looked) = world.look(NOW + MINUTE).await;
    assert_eq!((sum(&again, "RunsFailed"), sum(&looked, "RunsFailed")), (0, 0));

    // An old run that was repaired between two looks: no list holds it any more, but the webhook names it.
    world.things().runs = vec![run(2, NOW - 600 * MINUTE, NOW + 90_000, "FAILED")];
    let (_, told) = world.invoke(webhook(2, "right"), NOW + 2 * MINUTE).await;
    assert_eq!(sum(&told, "RunsFailed"), 1);
}

/// Jobs know the address of who answers their webhook, so that it cannot know the jobs.
#[tokio::test]
async fn who_only_answers_goes_by_what_the_other_has_seen() {
    let world = World::new(&[]);
    let answering = World::answering(&world.web);
    world.things().runs = vec![run(5, NOW, NOW + 1000, "FAILED")];
    let (answer, lines) = invoke(&answering, webhook(5, "right"), NOW + 2000).await;
    assert_eq!((answer.unwrap(), lines), (json!({ "statusCode": 404 }), Vec::new()), "nobody has looked at this job");

    world.things().runs.clear();
    world.look(NOW + 3000).await.0.unwrap();
    world.things().runs = vec![run(6, NOW, NOW + 4000, "FAILED")];
    let (answer, lines) = invoke(&answering, webhook(6, "right"), NOW + 5000).await;
    assert_eq!((answer.unwrap(), sum(&lines, "RunsFailed")), (json!({ "statusCode": 204 }), 1));
    assert_eq!(lines[0]["Job"], "shop-medallion", "the same metric as the other's");
    assert_eq!(sum(&world.look(NOW + MINUTE).await.1, "RunsFailed"), 0);
}

#[tokio::test]
async fn strangers_learn_and_change_nothing() {
    let world = World::new(&[]);
    world.things().runs = vec![run(5, NOW, NOW + 1000, "FAILED")];
    for (event, status) in [
        (webhook(5, "wrong"), 401),
        (json!({ "requestContext": {}, "headers": {}, "body": "" }), 401),
        (
            {
                let mut it = webhook(5, "right");
                it["body"] = json!(r#"{"run":{"run_id":5},"job":{"job_id":1}}"#);
                it
            },
            404,
        ),
        (
            {
                let mut it = webhook(5, "right");
                it["body"] = json!("hello");
                it
            },
            400,
        ),
    ] {
        let (answer, lines) = world.invoke(event, NOW + 2000).await;
        assert_eq!((answer.unwrap(), lines), (json!({ "statusCode": status }), Vec::<Value>::new()));
    }
    assert!(world.web.asked().iter().all(|it| it.headers.contains_key("x-amz-target")), "only the secret was read");
    assert!(world.invoke(json!({}), NOW).await.0.is_err());
}

#[tokio::test]
async fn a_job_that_never_starts_is_late_since_it_was_made() {
    let world = World::new(&[]);
    let seconds = |lines: &[Value]| value(lines, "SecondsSinceLastSuccess").unwrap();
    assert_eq!(seconds(&world.look(NOW).await.1), 3600);
    assert_eq!(seconds(&world.look(NOW + MINUTE).await.1), 3660);
    world.things().runs = vec![run(1, NOW + MINUTE, NOW + 2 * MINUTE, "SUCCESS")];
    assert_eq!(seconds(&world.look(NOW + 3 * MINUTE).await.1), 60);
    // A cancelled run is no success, nor one with failed tasks only half of one.
    world.things().runs.insert(0, run(2, NOW + 4 * MINUTE, NOW + 5 * MINUTE, "CANCELED"));
    let lines = world.look(NOW + 6 * MINUTE).await.1;
    assert_eq!((seconds(&lines), sum(&lines, "RunsFailed")), (240, 0));
    world.things().runs.insert(0, run(3, NOW + 6 * MINUTE, NOW + 7 * MINUTE, "SUCCESS_WITH_FAILURES"));
    let lines = world.look(NOW + 8 * MINUTE).await.1;
    assert_eq!((seconds(&lines), sum(&lines, "RunsFailed")), (60, 1));
}

#[tokio::test]
async fn the_last_success_is_looked_up_when_nothing_is_remembered() {
    let world = World::new(&[]);
    let mut runs: Vec<Value> =
        (0..40).map(|i| run(100 - i, NOW - i * MINUTE, NOW - i * MINUTE + 1, "FAILED")).collect();
    runs.push(run(1, NOW - 300 * MINUTE, NOW - 290 * MINUTE, "SUCCESS"));
    world.things().runs = runs;
    let (_, lines) = world.look(NOW + MINUTE).await;
    assert_eq!(value(&lines, "SecondsSinceLastSuccess"), Some(291 * 60));
    assert_eq!(sum(&lines, "RunsFailed"), 2, "what ended two minutes before anybody watched is no news");
}

#[tokio::test]
async fn a_run_that_goes_on_grows_old() {
    let world = World::new(&[]);
    world.things().runs = vec![run(2, NOW, 0, ""), run(1, NOW - 30 * MINUTE, 0, "")];
    assert_eq!(value(&world.look(NOW).await.1, "ActiveRunAge"), Some(1800));
    world.things().runs = vec![run(1, NOW - 30 * MINUTE, NOW + 1, "SUCCESS")];
    let (_, lines) = world.look(NOW + MINUTE).await;
    assert_eq!((value(&lines, "ActiveRunAge"), sum(&lines, "RunDuration")), (Some(0), 1800));
}

#[tokio::test]
async fn throttling_and_hiccups_are_waited_out() {
    let world = World::new(&[]);
    let throttled = Answer::new(429, "").header("retry-after", "1");
    let hung_up = Answer::new(0, "");
    world.things().troubles =
        vec![("runs/list", throttled), ("runs/list", Answer::new(503, "")), ("runs/list", hung_up)];
    let begun = std::time::Instant::now();
    let (result, lines) = world.look(NOW).await;
    assert!(result.is_ok() && value(&lines, "RunsFailed") == Some(0), "{result:?}");
    assert!(begun.elapsed().as_secs() >= 1, "it was asked to wait for a second");
}

#[tokio::test]
async fn an_outage_shows_as_failure_and_is_made_up_for() {
    let world = World::new(&[("TABLE_SALES", "s3://lake/gold/sales")]);
    let commit = |version: u32, at: &str| (format!("gold/sales/_delta_log/{version:020}.json"), (1, at.to_owned()));
    world.things().objects.extend([commit(0, "2027-01-15T07:58:00.000Z"), commit(1, "2027-01-15T07:59:00.000Z")]);
    world.look(NOW).await.0.unwrap();
    world.things().runs = vec![run(1, NOW + 1, NOW + 2, "FAILED")];
    for minute in 1..3 {
        let down = || ("/api/", Answer::new(503, "down for maintenance"));
        world.things().troubles = (0..4).map(|_| down()).collect();
        let (result, lines) = world.look(NOW + minute * MINUTE).await;
        let said = result.unwrap_err().to_string();
        assert!(said.contains("databricks jobs/runs/list: 503") && said.contains("down for maintenance"), "{said}");
        assert_eq!((value(&lines, "Heartbeat"), value(&lines, "RunsFailed")), (Some(1), None), "alive, and blind");
        assert_eq!(value(&lines, "GoldFreshness"), Some(60 + minute * 60), "the other parts are told");
    }
    let (result, lines) = world.look(NOW + 400 * MINUTE).await;
    assert_eq!((result.is_ok(), sum(&lines, "RunsFailed")), (true, 1));
}

#[tokio::test]
async fn the_age_of_a_table_is_that_of_its_newest_commit() {
    let world = World::new(&[("TABLE_SALES", "s3://lake/gold/sales"), ("TABLE_NONE", "s3://lake/gold/none")]);
    let log = "gold/sales/_delta_log";
    let file = |name: &str, text: &str| (format!("{log}/{name}"), (1, text.to_owned()));
    world.things().objects.extend([
        file("00000000000000000009.json", "2027-01-15T09:00:00.000Z"),
        file("00000000000000000010.checkpoint.parquet", "2027-01-15T09:00:00.000Z"),
        file("00000000000000000010.json", "2027-01-15T07:50:00.000Z"),
        file("_last_checkpoint", r#"{"version":10,"size":1}"#),
    ]);
    let (_, lines) = world.look(NOW).await;
    let ages: Vec<_> = lines.iter().filter(|it| it["GoldFreshness"].is_i64()).collect();
    assert_eq!((ages.len(), &ages[0]["Table"], &ages[0]["GoldFreshness"]), (1, &json!("sales"), &json!(600)));
    let listed = world.web.asked().into_iter().filter_map(|it| it.parameter("start-after").map(str::to_owned));
    assert_eq!(listed.collect::<Vec<_>>(), [format!("{}%2F00000000000000000010.", log.replace('/', "%2F"))]);
}

#[tokio::test]
async fn a_run_without_news_keeps_the_tables_fresh() {
    let job = JOB.to_string();
    let world = World::new(&[("TABLE_SALES", "s3://lake/gold/sales"), ("WRITER_JOB", &job)]);
    let commit =
        ("gold/sales/_delta_log/00000000000000000000.json".to_owned(), (1, "2027-01-15T07:00:00.000Z".to_owned()));
    world.things().objects.extend([commit]);
    world.things().runs = vec![run(1, NOW - 5 * MINUTE, NOW - MINUTE, "SUCCESS")];
    world.look(NOW).await.0.unwrap();
    let (_, lines) = world.look(NOW + MINUTE).await;
    assert_eq!(value(&lines, "GoldFreshness"), Some(360), "as of when the last good run began");
    for result in ["FAILED", "SUCCESS_WITH_FAILURES"] {
        world.things().runs.insert(0, run(2, NOW + MINUTE, NOW + 2 * MINUTE, result));
        let (_, lines) = world.look(NOW + 4 * MINUTE).await;
        assert_eq!(value(&lines, "GoldFreshness"), Some(540), "{result}: the task of this very table may have failed");
    }
}

#[tokio::test]
async fn a_token_that_was_changed_is_read_again_and_a_client_gets_one() {
    let world = World::new(&[]);
    world.look(NOW).await.0.unwrap();
    (world.things().token, world.things().secret) = ("dapi2".to_owned(), "dapi2".to_owned());
    world.look(NOW + MINUTE).await.0.unwrap();
    world.things().secret = json!({ "client_id": "robot", "client_secret": "hush" }).to_string();
    world.things().token = "granted".to_owned();
    world.look(NOW + 2 * MINUTE).await.0.unwrap();
    world.things().token = "other".to_owned();
    world.things().secret = "revoked-secret".to_owned();
    let said = format!("{:?}", world.look(NOW + 3 * MINUTE).await.0.unwrap_err());
    assert!(
        said.contains("Invalid access token") && !said.contains("revoked-secret") && !said.contains("hush"),
        "{said}"
    );
}

#[tokio::test]
async fn a_damaged_memory_is_begun_anew() {
    let world = World::new(&[]);
    world.things().objects.insert("ecomctl/watch/jobs.json".to_owned(), (1, "{".to_owned()));
    world.look(NOW).await.0.unwrap();
    let text = world.things().objects["ecomctl/watch/jobs.json"].1.clone();
    let memory: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(memory["jobs"]["shop-medallion"]["id"], JOB);
}

#[tokio::test]
async fn alarms_go_to_people_in_words() {
    let world = World::new(&[]);
    let alarm = json!({
        "AlarmName": "shop-medallion-failed", "AlarmDescription": "A run failed.\nRun: ecomctl logs shop job.medallion",
        "NewStateValue": "ALARM", "OldStateValue": "OK", "NewStateReason": "1 datapoint",
        "StateChangeTime": "2027-01-15T08:00:00.000+0000",
    });
    let record = |message: &str| json!({ "EventSource": "aws:sns", "Sns": { "Subject": "x", "Message": message } });
    let event = json!({ "Records": [record(&alarm.to_string()), record("plain words")] });
    assert_eq!(world.invoke(event, NOW).await.0.unwrap(), json!({ "told": 2 }));
    let published = world.things().published.clone();
    let fields = ["TopicArn", "Subject", "MessageStructure"].map(|it| published[0][it].as_str());
    assert_eq!(fields, ["arn:people", "shop: ALARM: shop-medallion-failed", "json"]);
    let texts: Value = serde_json::from_str(&published[0]["Message"]).unwrap();
    let text = texts["default"].as_str().unwrap();
    assert!(
        text.contains("Since: 2027-01-15 08:00 UTC") && text.ends_with("Run:   ecomctl logs shop job.medallion\n"),
        "{text}"
    );
    let chat: Value = serde_json::from_str(texts["https"].as_str().unwrap()).unwrap();
    assert_eq!(chat["text"], text);
    assert!(published[1]["Message"].contains("plain words"));
}

/// A session whose transaction holds one row, and is about to want the other.
async fn holding(server: &Server, name: &str, row: i32) -> Client {
    let url = format!("host={} user=postgres dbname={name}", server.host());
    let (client, traffic) = database::postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(traffic);
    client.batch_execute(&format!("BEGIN; UPDATE pair SET n = n + 1 WHERE id = {row}")).await.unwrap();
    client
}

#[tokio::test]
async fn a_deadlock_counts_once() {
    let server = Server::shared().unwrap();
    let name = server.database().unwrap();
    server.sql(&name, "CREATE TABLE pair AS SELECT 1 AS id, 0 AS n UNION ALL SELECT 2, 0").unwrap();
    let settings = Settings {
        host: server.host().to_owned(),
        port: 5432,
        name: name.clone(),
        secret: "arn:none".to_owned(),
        tls: Tls::Disable,
    };
    let variables = [
        ("DATABASE_HOST", server.host()),
        ("DATABASE_NAME", &name),
        ("DATABASE_SECRET_ARN", "arn:none"),
        ("DATABASE_SSLMODE", "disable"),
    ];
    let database = Database::new(settings, "test", &[]).with_credentials("postgres", "");
    let world = World::new(&variables).with_database(database);
    let (result, lines) = world.look(NOW).await;
    assert_eq!((result.is_ok(), value(&lines, "Deadlocks")), (true, Some(0)));
    let line = lines.iter().find(|it| it["Deadlocks"] == 0).unwrap();
    assert_eq!((&line["Stack"], &line["Database"]), (&json!("shop"), &json!(name)));

    let (one, two) = (holding(server, &name, 1).await, holding(server, &name, 2).await);
    let want = |row: i32| format!("UPDATE pair SET n = n + 1 WHERE id = {row}");
    let (wants_two, wants_one) = (want(2), want(1));
    let (first, second) = tokio::join!(one.batch_execute(&wants_two), two.batch_execute(&wants_one));
    assert!(first.is_err() != second.is_err(), "PostgreSQL ends one of them");
    drop((one, two));

    // A session tells the statistics when it ends, and not at once.
    let (mut seen, deadline) = (0, Instant::now() + Duration::from_secs(20));
    while seen == 0 && Instant::now() < deadline {
        seen += value(&world.look(NOW + MINUTE).await.1, "Deadlocks").unwrap();
    }
    seen += value(&world.look(NOW + 2 * MINUTE).await.1, "Deadlocks").unwrap();
    assert_eq!(seen, 1);
}
