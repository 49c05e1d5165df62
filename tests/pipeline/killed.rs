//! Whatever is killed in the middle of a run, nothing is lost and nothing is double.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use ecomctl::{
    client::kafka::Kafka,
    command::produce::{Options, generate},
    local::State,
};
use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process};
use tokio_util::sync::CancellationToken;

use crate::{
    oracle::tables,
    order::{agree, found, records, stranded, turn},
    place::{PATIENCE, Place, UNTIL, offsets, produce},
    proc,
};

/// Records that have to get through between two kills.
const STRIDE: i64 = 1_500;

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_nothing_is_lost_nothing_is_double() {
    let _turn = turn().await;
    let place = &Place::up().await;
    let kafka = place.kafka().await;
    let killed = CancellationToken::new();
    let killing = async {
        for victim in ["function", "postgres", "kafka", "ministack", "supervisor"] {
            // The victim before is back when this goes on.
            advance(&kafka).await;
            until_busy(place).await;
            kill(place, victim).await;
        }
        killed.cancel();
    };
    tokio::join!(produce_until(place, &killed), killing);
    place.settle(PATIENCE).await;

    let stored = place.records().await;
    let here: BTreeSet<_> = stored.iter().map(|it| (it.0.as_str(), it.3.clone(), it.4.clone())).collect();
    let options = Options { bad: 10_000, duplicates: 50_000, late: 50_000, ..Options::plain(ORDERS, 7, until()) };
    for it in generate(&options) {
        let (key, value) = (it.key.clone().into_bytes(), it.value.as_ref().map(|it| it.to_vec()));
        assert!(here.contains(&(it.topic.name(), Some(key), value)), "never arrived in Kafka: {it:?}");
    }
    let database = place.database().await;
    agree(&found(&database).await, &tables(&records(&stored), Timestamp::now()));
    assert_eq!(stranded(&database).await, [""; 0]);
}

const ORDERS: u64 = 3_000;

fn until() -> Timestamp {
    UNTIL.parse().expect("a time")
}

/// Sends the events, the same ones each time, until all victims were killed and a run got through.
async fn produce_until(place: &Place, killed: &CancellationToken) {
    let begun = Instant::now();
    loop {
        let result = produce(place, &["--orders", &ORDERS.to_string(), "--rate", "1000/s"]).await;
        if killed.is_cancelled() && result.is_ok() {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(150), "{result:?}");
        // While the local cloud starts again there is nothing to be sent to.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Waits until more records were taken.
async fn advance(kafka: &Kafka) {
    let (began, mut start) = (Instant::now(), None);
    loop {
        let taken = offsets(kafka).await.map(|it| it.1);
        if let Ok(taken) = taken
            && taken >= *start.get_or_insert(taken) + STRIDE
        {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "from {start:?} to {taken:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits for a moment at which a transaction is open.
async fn until_busy(place: &Place) {
    let database = place.database().await;
    let busy = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'shop' AND pid <> pg_backend_pid() \
                AND backend_type = 'client backend' AND xact_start IS NOT NULL";
    let deadline = Instant::now() + Duration::from_secs(20);
    while database.query_one(busy, &[]).await.expect("a row").get::<_, i64>(0) == 0 {
        assert!(Instant::now() < deadline, "nothing is written");
    }
}

/// Ends a part as the out-of-memory killer does.
async fn kill(place: &Place, victim: &str) {
    let status = place.status().await;
    let part = |name: &str| status.parts.iter().find(|it| it.name == name).expect("a part");
    match victim {
        "function" => {
            let ministack = part("ministack").pid.expect("a process");
            let mut own = proc::all();
            own.retain(|it| proc::environment(*it, "AWS_LAMBDA_FUNCTION_NAME").is_some_and(|it| it == "local-ingest"));
            own.retain(|it| proc::ancestry(*it).contains(&ministack));
            assert!(!own.is_empty(), "the function runs nowhere");
            own.into_iter().for_each(end);
        }
        "supervisor" => {
            end(status.pid.expect("a supervisor"));
            place.run(["local", "start"]).await.expect("starts again");
        }
        name => {
            end(part(name).pid.expect("a process"));
            let deadline = Instant::now() + Duration::from_secs(60);
            loop {
                let now = place.status().await;
                let now = now.parts.iter().find(|it| it.name == name).expect("a part");
                if now.restarts > part(name).restarts && now.state == State::Ready {
                    return;
                }
                assert!(Instant::now() < deadline, "{now:?}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

fn end(pid: u32) {
    let pid = Pid::from_raw(pid.cast_signed()).expect("a process number");
    kill_process(pid, Signal::KILL).expect("killed");
}
