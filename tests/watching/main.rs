//! Every alarm of the stack goes off on a true cause, is over when the cause is gone, and people are told of both.

//!
//! It waits for minutes, so `cargo test` leaves it out, and the nightly workflow runs it: `just alarms-fire`.

#![expect(
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test that cannot be set up has failed; how long alarms took is for whoever reads the output"
)]

mod follow;
mod people;
#[expect(dead_code, reason = "the tests of the pipeline use the rest")]
#[path = "../pipeline/place.rs"]
mod place;
#[expect(dead_code, reason = "the tests of the pipeline use the rest")]
#[path = "../pipeline/topics.rs"]
mod topics;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use aws_sdk_lambda::{primitives::Blob, types::Environment};
use ecomctl::client::aws::{Aws, Target};
use tokio::task::JoinSet;
use tokio_postgres::error::SqlState;

use follow::Follower;
use people::People;
use place::{PATIENCE, Place, produce};

/// What differs from the stack's file: fewer points, and thresholds that are reached sooner. What is measured, how it is
/// compared and what a missing point means stay as the templates have them.
const SOONER: &str = "
  # The one never starts by itself. The other, when it fails, is tried again after a while, and so goes on for longer than it may.
  job:
    medallion: { schedule: { paused: true } }
    maintenance:
      tasks: { maintenance: { max_retries: 1, min_retry_interval: 90s } }
  alarm:
    ingest_errors: { points: 1 of 1 }
    ingest_throttles: { points: 1 of 1 }
    ingest_duration: { points: 1 of 1, threshold: 5000 }
    ingest_stalled: { points: 1 of 1 }
    events_rejected: { points: 1 of 1 }
    orders_lag: { points: 1 of 1, threshold: 20 }
    orders_age: { points: 1 of 1, threshold: 20 }
    orders_failures: { points: 1 of 1 }
    order_details_lag: { points: 1 of 1, threshold: 20 }
    order_details_age: { points: 1 of 1, threshold: 20 }
    order_details_failures: { points: 1 of 1 }
    payments_lag: { points: 1 of 1, threshold: 20 }
    payments_age: { points: 1 of 1, threshold: 20 }
    payments_failures: { points: 1 of 1 }
    customers_lag: { points: 1 of 1, threshold: 20 }
    customers_age: { points: 1 of 1, threshold: 20 }
    customers_failures: { points: 1 of 1 }
    # A machine that has other things to do has little left for the database.
    shop_cpu: { points: 1 of 1, threshold: 12 }
    shop_connections: { points: 1 of 1 }
    # All but 64 MiB of 20 GiB.
    shop_storage: { period: 1m, points: 1 of 1, threshold: 21407727616 }
    shop_deadlocks: { period: 1m, points: 1 of 1 }
    medallion_failed: { period: 1m }
    maintenance_failed: { period: 1m }
    # Longer than from one look of the watcher to the next, so that a good run is seen as one.
    medallion_late: { points: 1 of 1, threshold: 240 }
    maintenance_late: { points: 1 of 1 }
    medallion_slow: { points: 1 of 1, threshold: 10 }
    maintenance_slow: { points: 1 of 1, threshold: 10 }
    watcher_silent: { points: 1 of 1 }
    # As old as the run's beginning, at the least.
    daily_sales_stale: { points: 1 of 1, threshold: 200 }
    product_sales_stale: { points: 1 of 1, threshold: 200 }
    payment_outcomes_stale: { points: 1 of 1, threshold: 200 }
    customer_segments_stale: { points: 1 of 1, threshold: 200 }
    cohort_retention_stale: { points: 1 of 1, threshold: 200 }
    order_facts_stale: { points: 1 of 1, threshold: 200 }
";

/// A lock on a table that stays.
const SLOW: &[&str] = &["ingest_duration"];
/// A producer whose events break the contract.
const BAD: &[&str] = &["events_rejected"];
/// A function that looks for its database where there is none.
const BROKEN: &[&str] = &[
    "ingest_errors",
    "ingest_down",
    "orders_lag",
    "orders_age",
    "orders_failures",
    "order_details_lag",
    "order_details_age",
    "order_details_failures",
    "payments_lag",
    "payments_age",
    "payments_failures",
    "customers_lag",
    "customers_age",
    "customers_failures",
];
/// A function that may not run.
const BARRED: &[&str] = &["ingest_throttles", "ingest_stalled"];
/// Somebody who takes the connections and the space.
const FULL: &[&str] = &["shop_connections", "shop_storage"];
/// Questions that take all the time that processors have.
const BUSY: &[&str] = &["shop_cpu"];
/// A request that makes no sense.
const MIGRATE: &[&str] = &["migrate_errors"];
/// A watcher that nobody wakes; of the job that runs once a day it is then not known when it succeeded.
const UNWATCHED: &[&str] = &["watcher_silent", "maintenance_late"];
/// Runs with wrong parameters, of which one takes long, and two transactions that wait for each other.
const FAILED: &[&str] = &["medallion_failed", "maintenance_failed"];
const SEEN: &[&str] = &["medallion_slow", "maintenance_slow", "shop_deadlocks"];
/// A job that never starts.
const OLD: &[&str] = &[
    "medallion_late",
    "numbers_stale",
    "daily_sales_stale",
    "product_sales_stale",
    "payment_outcomes_stale",
    "customer_segments_stale",
    "cohort_retention_stale",
    "order_facts_stale",
];

/// Alarms that do not go off here, each with the reason. This list may only shrink; it has nothing left to lose.
const NOT_SHOWN: &[(&str, &str)] = &[];

#[tokio::test(flavor = "multi_thread")]
async fn every_alarm_goes_off_and_is_over_again() {
    let place = Arc::new(Place::up_with(SOONER).await);
    let on = place.endpoints().await;
    let keys = Some((on.account, "test".to_owned()));
    let aws = Aws::connect(&Target { region: on.region, endpoint: Some(on.gateway), keys }).await;
    let mut people = People::subscribe(&place, &aws).await;
    let follower = Follower::begin(&place);
    let alarms = &follower;

    let shown = [SLOW, BAD, BROKEN, BARRED, FULL, BUSY, MIGRATE, UNWATCHED, FAILED, SEEN, OLD].concat();
    let mut all: BTreeSet<String> = shown.iter().map(|it| (*it).to_owned()).collect();
    assert_eq!(all.len(), shown.len());
    all.extend(NOT_SHOWN.iter().map(|it| it.0.to_owned()));
    assert_eq!(all.len(), shown.len() + NOT_SHOWN.len(), "what is shown needs no reason");
    assert_eq!(alarms.names().await, all, "every alarm is shown, or there is a reason");

    tokio::join!(
        unwatched(&aws, alarms),
        async {
            slow_and_bad(&place, alarms).await;
            tokio::join!(good_run(&place, alarms), broken(&place, &aws, alarms));
        },
        async {
            full(&place, alarms).await;
            busy(&place, alarms).await;
        },
        nonsense(&aws, alarms),
    );
    eprintln!("what needs no watcher went off");

    let medallion = fails(&place, "medallion", "jdbc_url=jdbc:postgresql://127.0.0.1:9/nowhere");
    let maintenance = fails(&place, "maintenance", "lake_root=nowhere://lake");
    tokio::join!(medallion, maintenance, async {
        alarms.caused([FAILED, SEEN].concat());
        deadlock(&place).await;
        // Whatever was changed behind its back, it sets right.
        place.run(["up", "local", "--yes"]).await.expect("mended");
        aws.lambda().delete_function_concurrency().function_name("local-ingest").send().await.expect("may run");
        alarms.undone([UNWATCHED, BROKEN, BARRED].concat());
        alarms.fired(&[OLD, SEEN].concat()).await;
    });
    eprintln!("what needs the watcher went off");

    alarms.undone([OLD, FAILED, SEEN].concat());
    let run = async {
        place.run(["run", "local", "medallion"]).await.expect("ends well");
        alarms.fired(FAILED).await;
        alarms.cleared(&shown).await;
    };
    tokio::select! {
        () = run => (),
        () = trickle(&place) => (),
    }
    alarms.tell();

    for name in shown.iter().filter(|it| !it.ends_with("_stale") || **it == "numbers_stale") {
        let alarm = format!("local-{}", name.replace('_', "-"));
        // Who would word it is what it is about.
        if *name == "watcher_silent" {
            let description = people.told_unworded(&alarm, follow::PATIENCE).await;
            assert!(description.contains("Nobody watches the jobs") && description.contains("Run: "), "{description}");
            continue;
        }
        let texts = people.told(&alarm, follow::PATIENCE).await;
        understood(name, &texts);
    }
    let silent = OLD.iter().filter(|it| it.ends_with("_stale") && **it != "numbers_stale");
    for name in silent {
        assert!(!people.heard(&format!("local-{}", name.replace('_', "-"))), "{name}: one alarm stands for all tables");
    }
    follower.end().await;
}

/// Takes the watcher's schedule away.
async fn unwatched(aws: &Aws, alarms: &Follower) {
    // It has looked before, so that it is silent after.
    for it in UNWATCHED {
        alarms.is_ok(it).await;
    }
    let schedules = aws.scheduler().list_schedules().send().await.expect("a list").schedules;
    let [schedule] = &schedules[..] else { panic!("{schedules:?}") };
    let gone = aws.scheduler().delete_schedule().name(schedule.name().expect("a name"));
    gone.set_group_name(schedule.group_name().map(str::to_owned)).send().await.expect("gone");
    alarms.caused(UNWATCHED.iter().copied());
    alarms.fired(UNWATCHED).await;
}

/// Makes an invocation wait for a lock, with bad events in its hands.
async fn slow_and_bad(place: &Place, alarms: &Follower) {
    let mut blocker = place.database().await;
    let lock = blocker.transaction().await.expect("a transaction");
    lock.batch_execute("LOCK TABLE customers, orders IN ACCESS EXCLUSIVE MODE").await.expect("a lock");
    alarms.caused([SLOW, BAD].concat());
    produce(place, &["--orders", "500", "--bad", "0.5"]).await.expect("sent");
    // As long as an invocation has to take.
    tokio::time::sleep(Duration::from_secs(8)).await;
    lock.rollback().await.expect("released");
    place.settle(PATIENCE * 2).await;
    alarms.undone([SLOW, BAD].concat());
}

/// Fills the lake; from now on the job does not run any more.
async fn good_run(place: &Place, alarms: &Follower) {
    place.run(["run", "local", "medallion"]).await.expect("ends well");
    alarms.caused(OLD.iter().copied());
}

/// Sends the function to a database that is not there; then keeps it from running at all.
async fn broken(place: &Place, aws: &Aws, alarms: &Follower) {
    let found = aws.lambda().get_function_configuration().function_name("local-ingest").send().await.expect("there");
    let mut variables = found.environment.and_then(|it| it.variables).expect("variables");
    variables.insert("DATABASE_PORT".to_owned(), "9".to_owned());
    let environment = Environment::builder().set_variables(Some(variables)).build();
    let update = aws.lambda().update_function_configuration().function_name("local-ingest").environment(environment);
    update.send().await.expect("broken");
    let version = aws.lambda().publish_version().function_name("local-ingest").send().await.expect("published");
    let alias = aws.lambda().update_alias().function_name("local-ingest").name("live");
    alias.set_function_version(version.version).send().await.expect("live");
    alarms.caused(BROKEN.iter().copied());
    produce(place, &["--orders", "500", "--bad", "0"]).await.expect("sent");
    alarms.fired(BROKEN).await;

    let barred = aws.lambda().put_function_concurrency().function_name("local-ingest");
    barred.reserved_concurrent_executions(0).send().await.expect("barred");
    alarms.caused(BARRED.iter().copied());
    alarms.fired(BARRED).await;
}

/// Takes most of the database's connections, and of its volume what counts here.
async fn full(place: &Place, alarms: &Follower) {
    alarms.caused(FULL.iter().copied());
    let mut taken = Vec::new();
    for _ in 0..82 {
        taken.push(place.database().await);
    }
    let fill = "CREATE TABLE filler AS SELECT it, repeat(md5(it::text), 30) FROM generate_series(1, 120000) AS it";
    taken[0].batch_execute(fill).await.expect("filled");
    alarms.fired(FULL).await;
    taken[0].batch_execute("DROP TABLE filler").await.expect("gone");
    drop(taken);
    alarms.undone(FULL.iter().copied());
}

/// Keeps the database's processors at work, more of its processes than the machine has processors.
async fn busy(place: &Place, alarms: &Follower) {
    alarms.caused(BUSY.iter().copied());
    let mut asking = JoinSet::new();
    for _ in 0..4 {
        let database = place.database().await;
        asking.spawn(async move {
            loop {
                let work = "SELECT count(*) FROM generate_series(1, 3000000) AS it WHERE md5(it::text) LIKE 'ff%'";
                database.batch_execute(work).await.expect("an answer");
            }
        });
    }
    alarms.fired(BUSY).await;
    asking.shutdown().await;
    alarms.undone(BUSY.iter().copied());
}

async fn nonsense(aws: &Aws, alarms: &Follower) {
    alarms.caused(MIGRATE.iter().copied());
    let sent = aws.lambda().invoke().function_name("local-migrate").payload(Blob::new("{}")).send().await;
    assert!(sent.expect("an answer").function_error().is_some(), "it makes no sense");
    alarms.fired(MIGRATE).await;
    alarms.undone(MIGRATE.iter().copied());
}

/// Makes two transactions wait for each other, until PostgreSQL ends one.
async fn deadlock(place: &Place) {
    let (one, other) = (place.database().await, place.database().await);
    let lock = |it: i32| format!("SELECT pg_advisory_xact_lock({it})");
    one.batch_execute(&format!("BEGIN; {}", lock(1))).await.expect("a lock");
    other.batch_execute(&format!("BEGIN; {}", lock(2))).await.expect("a lock");
    let (second, first) = (lock(2), lock(1));
    let ended = tokio::join!(one.batch_execute(&second), other.batch_execute(&first));
    let failed = [ended.0, ended.1].into_iter().filter_map(Result::err).collect::<Vec<_>>();
    assert_eq!(failed.iter().map(|it| it.code()).collect::<Vec<_>>(), [Some(&SqlState::T_R_DEADLOCK_DETECTED)]);
}

async fn fails(place: &Place, job: &str, parameter: &str) {
    let failed = place.run(["run", "local", job, "--parameter", parameter]).await.expect_err("a wrong parameter");
    assert!(failed.contains("run::failed"), "{failed}");
}

/// Sends a few good events now and then, as a shop does.
async fn trickle(place: &Place) {
    loop {
        produce(place, &["--orders", "20", "--bad", "0"]).await.expect("sent");
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
}

/// Checks that a person who knows nothing is told enough: what, what it means, since when, why, and what to run.
fn understood(name: &str, [alarmed, ended]: &[String; 2]) {
    for (text, word, over) in [(alarmed, "ALARM: ", ""), (ended, "OK again: ", "This is over: ")] {
        let lines: Vec<&str> = text.lines().collect();
        let title = lines[0].strip_prefix(word).unwrap_or_else(|| panic!("{name}: {text}"));
        assert!(title.len() > 10 && title != name, "{name}: {text}");
        let meaning = lines[2].strip_prefix(over).unwrap_or_else(|| panic!("{name}: {text}"));
        assert!(meaning.split(' ').count() > 8, "{name}: {text}");
        let labelled = |label: &str| lines.iter().find_map(|it| it.strip_prefix(label)).map(str::trim);
        assert!(labelled("Since:").is_some_and(|it| it.contains(" UTC, before that ")), "{name}: {text}");
        assert!(labelled("Why:").is_some_and(|it| !it.is_empty()), "{name}: {text}");
        let command = labelled("Run:").unwrap_or_else(|| panic!("{name}: {text}"));
        assert!(command.starts_with("ecomctl ") && command.contains(" local"), "{name}: {text}");
    }
    if name == "events_rejected" {
        eprintln!("{alarmed}\n{ended}");
    }
}
