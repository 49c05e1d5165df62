//! What the program asks of AWS, judged by what AWS publishes: every request of a whole life of the stack is valid by the
//! services' own models, and the deploy policy of the README allows it, and nothing that is not asked for. Both judges are
//! programs that share no code with this one: botocore's models, and the policy evaluation of ministack.

#![expect(
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test that cannot be set up has failed; what it measures is told"
)]

#[path = "../cloud/asked.rs"]
mod asked;
#[path = "../cloud/fault.rs"]
#[expect(dead_code, reason = "shared with the tests of the whole pipeline, which ask for more")]
mod fault;
#[path = "../cloud/place.rs"]
#[expect(dead_code, reason = "shared with the tests of the whole pipeline, which ask for more")]
mod place;
#[path = "../cloud/proxy.rs"]
#[expect(dead_code, reason = "shared with the tests of the whole pipeline, which ask for more")]
mod proxy;
#[path = "../cloud/share.rs"]
#[expect(dead_code, reason = "shared with the tests of the whole pipeline, which ask for more")]
mod share;
#[path = "../cloud/told.rs"]
mod told;

use std::{fs, path::Path, process::Command};

use place::{Place, STACK};
use proxy::{Kept, Mode};

const SCRATCH: &str = env!("CARGO_TARGET_TMPDIR");

#[tokio::test(flavor = "multi_thread")]
async fn every_request_is_one_that_aws_would_take_and_the_policy_allows() {
    let place = Place::start().await;
    let kept = life(&place).await;
    drop(place);
    eprintln!("{} requests", kept.len());
    let lines: Vec<String> = kept.iter().map(|it| serde_json::to_string(it).expect("JSON")).collect();
    let file = Path::new(SCRATCH).join("aws-requests.jsonl");
    fs::write(&file, lines.join("\n") + "\n").expect("written");
    judge("models.py", &[&file]);
    judge("policy.py", &[&file, &Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/policies/deploy.json")]);
}

/// Makes the stack, changes something of everything, and deletes it, with a look in between.
async fn life(place: &Place) -> Vec<Kept> {
    let mut kept = Vec::new();
    let mut run = async |args: &[&str]| kept.extend(place.run_as(Mode::Keep, args).await.exits(0).kept);
    run(&["diff", STACK]).await;
    run(&["up", STACK]).await;
    place.update();
    run(&["up", STACK]).await;
    run(&["diff", STACK]).await;
    run(&["status", STACK]).await;
    let consent = place.consent().await;
    let teardown: Vec<&str> = ["teardown", STACK].into_iter().chain(consent.iter().map(String::as_str)).collect();
    run(&teardown).await;
    kept
}

/// Runs one of the judges, with the Python that the local cloud came with.
fn judge(script: &str, args: &[&Path]) {
    let python = Path::new(SCRATCH).join("software/venv/bin/python");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/aws").join(script);
    let ended = Command::new(python).arg(&script).args(args).output().expect("Python runs");
    let (out, err) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    eprintln!("{out}");
    assert!(ended.status.success(), "{}: {out}\n{err}", script.display());
}
