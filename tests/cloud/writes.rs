//! A run is killed at every write of its state, before and after.
//!
//! The turnstile is the lock that the program takes for each write: the test holds it, lets one write pass at a time, and
//! lets no request through meanwhile. So it knows what each write says, and that nothing was sent since. A run that is to
//! die before a write is killed after it, and the file put back: as nothing was sent in between, that is the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::process::Child;

use crate::{
    place::Place,
    proxy::{Mode, Watch},
    share::Share,
    stored,
    work::Work,
};

/// The longest that one run may take.
const PATIENCE: Duration = Duration::from_secs(180);
/// How often the turnstile looks.
const LOOK: Duration = Duration::from_millis(1);
/// The most runs of one command.
const RUNS: usize = 600;

/// What is written, and whether the run died before it.
type Point = (String, bool);
/// All files of the state, with their content.
type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Kills a command at every write of its state, and runs it again.
pub(crate) async fn every_one(place: &Place, work: Work, deployed: &[String], share: Share) {
    let begun = Instant::now();
    work.begin(place).await;
    let mut visited = BTreeSet::new();
    let args = work.args(place).await;
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    for run in 0.. {
        assert!(run < RUNS, "{work:?} does not get to its end");
        if until_death(place, &args, share, &mut visited).await {
            break;
        }
    }
    work.check(place, deployed).await;
    work.leave(place).await;
    let (before, after): (Vec<_>, Vec<_>) = visited.iter().partition(|it| it.1);
    eprintln!(
        "{work:?}: killed before {} and after {} different records, in {:.0} s",
        before.len(),
        after.len(),
        begun.elapsed().as_secs_f32()
    );
}

/// Runs until the first write that says what no run died at. Says whether the run got to its end.
async fn until_death(place: &Place, args: &[&str], share: Share, visited: &mut BTreeSet<Point>) -> bool {
    let file = place.state_file();
    fs::create_dir_all(file.parent().expect("in a folder")).expect("created");
    let turnstile = File::create(file.with_extension("lock")).expect("created");
    turnstile.lock().expect("free");
    let watch = place.proxy.watch(Mode::Watch).await;
    let mut child = place.spawn(&place.project(), args, &watch);
    let pid = child.id().expect("it runs");
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "{args:?} takes longer than {PATIENCE:?}");
        if let Some(status) = child.try_wait().expect("asked") {
            watch.client(0);
            assert_eq!(status.code(), Some(0), "{}", told(child).await);
            return true;
        }
        if !waits_for_a_lock(pid) {
            tokio::time::sleep(LOOK).await;
            continue;
        }
        watch.open(false);
        let before = place.state();
        turnstile.unlock().expect("held");
        while waits_for_a_lock(pid) {
            assert!(Instant::now() < deadline, "{args:?} does not write");
            tokio::time::sleep(LOOK).await;
        }
        // Waits until the write is over.
        tokio::task::block_in_place(|| turnstile.lock()).expect("given back");
        let after = place.state();
        let said = said(&file, &before, &after);
        for early in [true, false] {
            let open = |it: &&String| share.holds(&(*it, early)) && !visited.contains(&((*it).clone(), early));
            if said.iter().any(|it| open(&it)) {
                visited.extend(said.iter().map(|it| (it.clone(), early)));
                die(&mut child, &watch).await;
                if early {
                    put_back(&before, &after);
                }
                return false;
            }
        }
        watch.open(true);
    }
}

async fn die(child: &mut Child, watch: &Watch) {
    watch.deafen();
    child.kill().await.expect("killed");
    watch.client(0);
}

async fn told(child: Child) -> String {
    let output = child.wait_with_output().await.expect("it ran");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn put_back(before: &Files, after: &Files) {
    for (path, bytes) in after {
        match before.get(path) {
            Some(it) if it == bytes => (),
            Some(it) => fs::write(path, it).expect("written"),
            None => fs::remove_file(path).expect("removed"),
        }
    }
}

/// Says whether a process is held up by a lock on a file.
fn waits_for_a_lock(pid: u32) -> bool {
    let locks = fs::read_to_string("/proc/locks").expect("Linux tells");
    let pid = pid.to_string();
    locks.lines().any(|it| it.contains("-> FLOCK") && it.split_whitespace().any(|word| word == pid))
}

/// Says what a write changes: the state, or what lies beside it.
fn said(file: &Path, before: &Files, after: &Files) -> Vec<String> {
    let beside = after.iter().filter(|it| it.0 != file && before.get(it.0) != Some(it.1));
    let folder = |it: &Path| it.parent().and_then(|it| it.extension()).map(|it| it.to_string_lossy().into_owned());
    let beside = beside.filter_map(|it| folder(it.0));
    let read =
        |it: &Files| -> Value { it.get(file).and_then(|it| serde_json::from_slice(it).ok()).unwrap_or_default() };
    beside.chain(stored::said(&read(before), &read(after))).collect()
}
