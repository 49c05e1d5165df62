//! What the program asks of AWS, judged by what AWS publishes: every request of a whole life of three stacks (the pipeline as on
//! one machine, the pipeline as `stacks/staging.yaml` has it, a network that changes) is valid by the services' own models, and the
//! deploy policies of the README allow it, and nothing that is not asked for. What was rendered for the functions' roles is what
//! the functions themselves need, and no more. The judges are programs that share no code with this one: botocore's models, the
//! policy evaluation of ministack, and ministack that enforces it while the real functions run.

#![expect(
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test that cannot be set up has failed; what it measures is told"
)]

#[path = "../cloud/asked.rs"]
mod asked;
#[path = "../cloud/fault.rs"]
mod fault;
mod network;
#[path = "../cloud/place.rs"]
#[expect(dead_code, reason = "shared with the tests of the whole pipeline, which ask for more")]
mod place;
#[path = "../cloud/proxy.rs"]
#[expect(dead_code, reason = "shared with the tests of the whole pipeline, which ask for more")]
mod proxy;
#[path = "../cloud/share.rs"]
#[expect(dead_code, reason = "shared with the tests of the whole pipeline, which ask for more")]
mod share;
#[path = "../cloud/stored.rs"]
mod stored;
#[path = "../cloud/told.rs"]
mod told;
mod whole;

use std::{fs, path::Path, process::Command};

use place::{Place, STACK};
use proxy::{Kept, Mode};

const SCRATCH: &str = env!("CARGO_TARGET_TMPDIR");

#[tokio::test(flavor = "multi_thread")]
async fn every_request_is_one_that_aws_would_take_and_the_policy_allows() {
    let place = Place::start().await;
    let lives =
        [(network::STACK, apart(&place).await), (whole::STACK, whole::life(&place).await), (STACK, life(&place).await)];
    drop(place);
    let mut lines = Vec::new();
    for (stack, kept) in &lives {
        eprintln!("{} requests of the stack {stack}", kept.len());
        for it in kept {
            let mut line = serde_json::to_value(it).expect("JSON");
            line["stack"] = (*stack).into();
            lines.push(line.to_string());
        }
    }
    let file = Path::new(SCRATCH).join("aws-requests.jsonl");
    fs::write(&file, lines.join("\n") + "\n").expect("written");
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/policies");
    judge("models.py", &[&file]);
    let [common, network, data, redshift] =
        ["deploy.json", "deploy-network.json", "deploy-data.json", "deploy-redshift.json"].map(|it| policies.join(it));
    judge("policy.py", &[&file, &common, &network, &data, &redshift]);
    judge("own.py", &[&file, &policies]);
}

/// Makes a stack in a network, changes it step by step, and deletes it with what functions left in it.
async fn apart(place: &Place) -> Vec<Kept> {
    let mut kept = Vec::new();
    let mut run = async |args: &[&str]| kept.extend(place.run_as(Mode::Keep, args).await.exits(0).kept);
    network::begin(place);
    run(&["diff", network::STACK]).await;
    run(&["up", network::STACK]).await;
    for text in network::changes() {
        place.define(network::STACK, &text);
        run(&["up", network::STACK]).await;
    }
    run(&["diff", network::STACK]).await;
    run(&["status", network::STACK]).await;
    network::leave_interface(place).await;
    let consent = place.consent_for(network::STACK).await;
    let teardown = ["teardown", network::STACK].into_iter().chain(consent.iter().map(String::as_str));
    run(&teardown.collect::<Vec<_>>()).await;
    kept
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
