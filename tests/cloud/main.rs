//! The whole pipeline on the real local cloud, deployed by the real program, whose every request is watched.
//!
//! One local cloud for everything, as its start is the dearest part; so one test, in parts that follow each other.

#![expect(
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test that cannot be set up has failed; what it measures is told"
)]

mod asked;
mod canary;
mod far;
mod fault;
mod faults;
mod kills;
#[expect(dead_code, reason = "shared with tests/aws, which keeps requests as they came")]
mod place;
mod plans;
mod proxy;
mod runs;
mod share;
mod signals;
mod stored;
mod stores;
mod told;
mod work;
mod world;
mod writes;
mod zombie;

use ecomctl::state::{FileStore, Holder, Session};
use place::{Place, STACK};
use share::Share;
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::Mutex;
use work::Work;

/// What the stack defines, by kind. Schemas live in their database and are seen by `diff` only.
const DEFINED: [(&str, usize); 19] = [
    ("alarm", 37),
    ("bucket", 1),
    ("catalog", 2),
    ("cluster", 1),
    ("dashboard", 1),
    ("database", 1),
    ("destination", 1),
    ("function", 4),
    ("job", 2),
    ("log_group", 4),
    ("notification", 2),
    ("role", 5),
    ("schedule", 1),
    ("subscription", 1),
    ("table", 10),
    ("topic", 4),
    ("trigger", 4),
    ("url", 1),
    ("workgroup", 1),
];

/// A machine has room for one local cloud at a time.
static TURN: Mutex<()> = Mutex::const_new(());

#[tokio::test(flavor = "multi_thread")]
async fn a_state_is_one_runs_at_a_time_wherever_it_is_kept() {
    let _turn = TURN.lock().await;
    let place = Place::bare().await;
    let bucket = stores::bucket(&place).await;
    stores::both_stores_conform(&place, &bucket).await;
    stores::a_state_can_be_moved(&place, &bucket).await;
    runs::ten_at_once_work_one_by_one(&place, &bucket).await;
    zombie::a_run_that_stood_still_changes_nothing_more(&place, &bucket).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pipeline_lives_and_dies_as_promised() {
    let _turn = TURN.lock().await;
    let place = Place::start().await;
    let nothing = world::everything(&place).await;
    assert_eq!(nothing, [""; 0], "the cloud is new");

    diff_of_an_empty_world_changes_nothing(&place).await;
    let (up, processes) = canary::processes_during(place.run(&["up", STACK])).await;
    let up = up.exits(0);
    let deployed = world::everything(&place).await;
    eprintln!("up: {} requests, {:.2} s: {deployed:?}", up.asked.len(), up.elapsed.as_secs_f32());
    for (kind, number) in DEFINED {
        assert_eq!(world::count(&deployed, kind), number, "{kind} in {deployed:#?}");
    }

    second_up_changes_nothing(&place).await;
    diff_of_a_deployed_world_changes_nothing(&place).await;
    diff_works_while_another_run_is_at_work(&place).await;
    assert_eq!(world::everything(&place).await, deployed);

    plans::are_applied_exactly_or_refused(&place).await;
    plans::what_is_nobodys_is_adopted(&place).await;
    plans::a_lost_state_is_found_again(&place, &deployed).await;

    canary::no_secret_is_seen(&place, &processes).await;
    teardown_asks_first(&place).await;
    teardown_leaves_nothing(&place).await;
    signals::an_interrupted_run_is_finished_by_the_next(&place, &deployed).await;
    let asked = asked_by_each(&place, up.asked).await;

    let share = Share::due();
    eprintln!("{share}");
    if share.kills() {
        for (work, asked) in Work::ALL.into_iter().zip(&asked) {
            kills::any_request(&place, work, asked, &deployed, share).await;
        }
        for work in Work::ALL {
            writes::every_one(&place, work, &deployed, share).await;
        }
    }
    // From here on a write of the state is a request, too.
    place.keep_state_far().await;
    if share.kills_far() {
        for work in Work::ALL {
            far::every_one(&place, work, &deployed, share).await;
        }
    }
    for fault in share.faults() {
        for work in Work::ALL {
            faults::any_request(&place, work, fault, &deployed).await;
        }
    }
}

/// Returns what each work asks for when nothing happens to it. Leaves nothing.
async fn asked_by_each(place: &Place, up: Vec<asked::Asked>) -> [Vec<asked::Asked>; 3] {
    Work::Update.begin(place).await;
    let update = place.run(&["up", STACK]).await.exits(0).asked;
    Work::Update.leave(place).await;
    let args = Work::Teardown.args(place).await;
    let teardown = place.run(&args.iter().map(String::as_str).collect::<Vec<_>>()).await.exits(0).asked;
    [up, update, teardown]
}

async fn diff_of_an_empty_world_changes_nothing(place: &Place) {
    let before = place.state();
    place.run(&["diff", STACK, "--exit-code"]).await.exits(3).changes_nothing("diff of an empty world");
    place.run(&["diff", STACK]).await.exits(0).changes_nothing("diff without --exit-code");
    assert_eq!(place.state(), before, "diff writes no state");
}

async fn second_up_changes_nothing(place: &Place) {
    let resources = |it: &BTreeMap<_, Vec<u8>>| {
        let documents = it.values().filter_map(|it| serde_json::from_slice::<serde_json::Value>(it).ok());
        documents.map(|it| it["resources"].clone()).rfind(|it| !it.is_null())
    };
    let before = resources(&place.state());
    let again = place.run(&["up", STACK]).await.exits(0).changes_nothing("second up");
    assert_eq!(resources(&place.state()), before, "nothing new is recorded");
    assert!(again.out.contains("up to date"), "{}", again.out);
}

async fn diff_of_a_deployed_world_changes_nothing(place: &Place) {
    let before = place.state();
    place.run(&["diff", STACK, "--exit-code"]).await.exits(0).changes_nothing("diff of a deployed world");
    let file = place.edit(|it| {
        it.replace("    ingest:\n      architecture", "    ingest:\n      memory: 512MiB\n      architecture")
    });
    let edited = place.run(&["diff", STACK, "--exit-code"]).await.exits(3).changes_nothing("diff after an edit");
    assert!(edited.out.contains("function.ingest") && edited.out.contains("memory"), "{}", edited.out);
    place.edit(|_| file);
    place.run(&["diff", STACK, "--exit-code"]).await.exits(0).changes_nothing("diff after the edit was undone");
    assert_eq!(place.state(), before, "diff writes no state");
}

async fn diff_works_while_another_run_is_at_work(place: &Place) {
    let store = FileStore::new(place.home().join("state").join(format!("{STACK}.json")));
    let host = nix::unistd::gethostname().expect("a name").to_string_lossy().into_owned();
    let pid = std::process::id();
    let (user, run) = ("somebody".to_owned(), uuid::Uuid::new_v4());
    let holder = Holder { user, host: host.clone(), pid, start: None, boot: None, run, ci: None, commit: None };
    let session = Session::acquire(Arc::new(store), holder).await.expect("free");
    place.run(&["diff", STACK, "--exit-code"]).await.exits(0).changes_nothing("diff during another run");
    for verb in [&["up", STACK][..], &["teardown", STACK, "--yes"]] {
        let refused = place.run(verb).await.exits(7);
        assert!(refused.asked.iter().all(|it| !it.mutating), "{:#?}", refused.asked);
        let told = refused.err.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.contains(&format!("somebody@{host}")) && told.contains(&format!("process {pid}")), "{told}");
    }
    session.release().await.expect("still held");
}

async fn teardown_asks_first(place: &Place) {
    for args in [&["teardown", STACK][..], &["teardown", STACK, "--yes"]] {
        let refused = place.run(args).await.exits(9).changes_nothing("teardown without consent");
        let command = format!("ecomctl teardown {STACK} {}", place.consent().await.join(" "));
        assert!(refused.err.contains(&command), "it can be copied as it stands: {}", refused.err);
    }
}

pub(crate) async fn teardown_leaves_nothing(place: &Place) {
    let flags = place.consent().await;
    assert!(flags.iter().any(|it| it == "database.shop") && flags.iter().any(|it| it == "bucket.lake"), "{flags:?}");
    let args = ["teardown", STACK].into_iter().chain(flags.iter().map(String::as_str)).collect::<Vec<_>>();
    let ended = place.run(&args).await.exits(0);
    eprintln!("teardown: {} requests, {:.2} s", ended.asked.len(), ended.elapsed.as_secs_f32());
    assert_eq!(world::everything(place).await, [""; 0], "what is left");
    let shown = place.run(&["state", "show", STACK, "--json"]).await.exits(0).out;
    let state: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    assert!(state["resources"].as_object().is_none_or(serde_json::Map::is_empty), "{shown}");
}
