//! A run that stands still for longer than its lease lives, as a machine does that sleeps, and then goes on.

use std::{
    fmt::Write as _,
    fs::{self, File},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use ecomctl::state::{Document, End, Etag, FileStore, S3Store, Status, Store};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    place::Place,
    proxy::Mode,
    runs::{history, is_linear},
};

/// How many resources the stack has, each needing the one before: enough to be far from done when it stands still.
const CHAIN: usize = 30;
/// The longest wait for anything: a lease lives 90 s, and the second run has all the work before it.
const PATIENCE: Duration = Duration::from_secs(300);

/// The lease is not shortened for this: it lives for as long as users' do.
pub(crate) async fn a_run_that_stood_still_changes_nothing_more(place: &Place, bucket: &str) {
    let file = FileStore::new(place.home().join("state/zombie-file.json"));
    let s3 = S3Store::new(place.aws.objects(bucket, "team/zombie-s3"));
    let there = format!("s3://{bucket}/team");
    tokio::join!(
        stands_still(place, "zombie-file", "file", Arc::new(file), Some(place.home().join("state/zombie-file.lock"))),
        stands_still(place, "zombie-s3", &there, Arc::new(s3), None),
    );
}

async fn stands_still(place: &Place, stack: &str, state: &str, store: Arc<dyn Store>, lock: Option<PathBuf>) {
    place.define(stack, &chain(state));
    let watch = place.proxy.watch(Mode::Watch).await;
    let mut first = place.spawn(&place.project(), &["up", stack], &watch);
    let pid = Pid::from_raw(first.id().expect("not waited for").cast_signed());
    let begun = Instant::now();
    while load(&*store).await.is_none_or(|it| ready(&it.0) < 3) {
        assert!(begun.elapsed() < PATIENCE && first.try_wait().expect("a child").is_none(), "{stack} does not begin");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop(pid).await;
    // Within a write of its file nobody else could write it, whatever became of the lease.
    while !lock.as_ref().is_none_or(is_free) {
        kill(pid, Signal::SIGCONT).expect("it stands still");
        tokio::time::sleep(Duration::from_millis(1)).await;
        stop(pid).await;
    }
    let (held, _) = load(&*store).await.expect("a state");
    let lease = held.lease.clone().expect("it holds the stack");
    assert!(ready(&held) < CHAIN, "it is not done");
    place.run(&["up", stack]).await.exits(7);
    place.run(&["lock", "status", stack, "--json"]).await.exits(0).says("\"held\":true");

    let second = place.run_within(PATIENCE, &["up", stack, "--lock-wait", "4m"]).await.exits(0);
    assert!(second.err.contains("another run holds this stack"), "it said what it waited for: {}", second.err);
    let left = load(&*store).await.expect("a state");
    assert_eq!((ready(&left.0), left.0.lease.as_ref()), (CHAIN, None), "the second run finished the work of the first");
    let stood = Instant::now();
    let sent = watch.seen().len();
    let groups = groups(place, stack).await;

    kill(pid, Signal::SIGCONT).expect("it stands still");
    let ended = tokio::time::timeout(PATIENCE, first.wait_with_output()).await.expect("it ends").expect("it ran");
    let err = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(7), "{err}");
    assert!(err.contains("another run took over"), "{err}");
    let late: Vec<_> = watch.seen().split_off(sent);
    let changes = late.iter().filter(|it| it.mutating && !it.resource.contains(&format!("{stack}/state.json")));
    assert_eq!(changes.map(ToString::to_string).collect::<Vec<_>>(), [""; 0], "it changes nothing more");
    assert_eq!(load(&*store).await.expect("a state"), left, "the state is the second run's, byte for byte");
    assert_eq!(self::groups(place, stack).await, groups);
    place.run(&["diff", stack, "--exit-code"]).await.exits(0).changes_nothing("diff after a zombie");

    let history = history(place, stack).await;
    is_linear(&history);
    let ends: Vec<_> = history.iter().map(|it| (it.epoch == lease.epoch, it.end)).collect();
    assert_eq!(ends, [(true, End::Died), (false, End::Complete)], "{history:#?}");
    eprintln!(
        "{stack}: it ended {:.1} s after it was woken, having sent {} requests more",
        stood.elapsed().as_secs_f32(),
        late.len()
    );
}

fn chain(state: &str) -> String {
    let mut text = format!("stack:\n  state: {state}\nresources:\n  log_group:\n    g0: {{}}\n");
    for i in 1..CHAIN {
        writeln!(text, "    g{i}:\n      after: [log_group.g{}]", i - 1).expect("a text grows");
    }
    text
}

async fn load(store: &dyn Store) -> Option<(Document, Etag)> {
    store.load().await.expect("readable")
}

/// Stops a process, and waits until each of its threads stands still.
async fn stop(pid: Pid) {
    kill(pid, Signal::SIGSTOP).expect("it runs");
    let stands = |stat: &str| stat.rsplit(')').next().is_some_and(|it| it.trim_start().starts_with('T'));
    let begun = Instant::now();
    loop {
        let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("it is there");
        let mut stats = threads.filter_map(|it| fs::read_to_string(it.ok()?.path().join("stat")).ok());
        if stats.all(|it| stands(&it)) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{pid} does not stop");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Says whether nobody holds a lock.
fn is_free(lock: &PathBuf) -> bool {
    File::open(lock).expect("it was written under it").try_lock().is_ok()
}

fn ready(document: &Document) -> usize {
    document.resources.values().filter(|it| it.status == Status::Ready).count()
}

async fn groups(place: &Place, stack: &str) -> Vec<String> {
    let prefix = format!("/ecomctl/{stack}/");
    let found = place.aws.logs().describe_log_groups().log_group_name_prefix(prefix).send().await.expect("listed");
    found
        .log_groups()
        .iter()
        .filter_map(|it| Some(format!("{:?} {:?}", it.log_group_name()?, it.creation_time())))
        .collect()
}
