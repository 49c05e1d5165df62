//! Ctrl-C and SIGTERM: the first lets what is under way finish and says what is left; the second stops at once. The same
//! command again finishes either way.

use std::time::{Duration, Instant};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::{
    place::{Place, STACK},
    proxy::{Mode, Watch},
    world,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// Interrupts `up` in every way, one after the other, and lets it finish.
pub(crate) async fn an_interrupted_run_is_finished_by_the_next(place: &Place, deployed: &[String]) {
    for (signal, twice, at) in
        [(Signal::SIGINT, false, "/topics"), (Signal::SIGTERM, false, "CreateRole"), (Signal::SIGINT, true, "")]
    {
        let told = interrupted(place, signal, twice, at).await;
        let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.contains("Interrupted"), "{told}");
        if twice {
            assert!(told.contains("stopped at once"), "{told}");
        } else {
            assert!(told.contains("interrupted") && told.contains("not begun"), "{told}");
            assert!(told.contains(&format!("run `ecomctl up {STACK}` again")), "{told}");
            let state: serde_json::Value =
                serde_json::from_slice(&std::fs::read(place.state_file()).expect("a state")).expect("JSON");
            assert!(state["lease"].is_null(), "the lease is given back");
        }
    }
    place.run(&["up", STACK]).await.exits(0);
    assert_eq!(world::everything(place).await, deployed, "the same world, and nothing twice");
}

/// Runs `up` until it asks for `at`, or with nothing to look for until it asks for anything that changes something, and
/// interrupts it there; returns what it told.
async fn interrupted(place: &Place, signal: Signal, twice: bool, at: &str) -> String {
    let watch = place.proxy.watch(Mode::Watch).await;
    let mut child = place.spawn(&place.project(), &["up", STACK], &watch);
    let pid = Pid::from_raw(child.id().expect("it runs").cast_signed());
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    until(&watch, at).await;
    if twice {
        // What is under way gets no answer, so that there is something to stop.
        watch.open(false);
    }
    kill(pid, signal).expect("it runs");
    let mut told = String::new();
    let mut again = twice;
    while let Some(line) = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("it ends").expect("text") {
        if again && line.contains("Interrupted") {
            kill(pid, signal).expect("it runs");
            again = false;
        }
        told += &line;
        told.push('\n');
    }
    let status = child.wait().await.expect("it ended");
    watch.client(0);
    assert_eq!(status.code(), Some(6), "{told}");
    told
}

async fn until(watch: &Watch, at: &str) {
    let begun = Instant::now();
    while !watch.seen().iter().any(|it| it.mutating && it.to_string().contains(at)) {
        assert!(begun.elapsed() < PATIENCE, "{at} is never asked for: {:#?}", watch.seen());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
