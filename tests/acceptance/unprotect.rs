//! Ending the protection of a resource.

use std::fs;

use serde_json::{Value, json};

use crate::harness::Ecomctl;

fn project() -> Ecomctl {
    let record = |protect: bool| {
        json!({
            "status": "ready", "physical": "x", "id": null, "nonce": "n", "applied": {}, "refs": [], "protect": protect,
        })
    };
    let state = json!({
        "schema": 1, "lineage": "6f1b1c64-7d0c-4c53-9f0b-5a3a4f4f3f10", "serial": 3, "writer": "0.1.0", "lease": null,
        "definition": null, "resources": { "bucket.lake": record(true), "bucket.logs": record(false) },
    });
    let stack = "stack: { target: local }\nresources: { bucket: { lake: { protect: true } } }\n";
    Ecomctl::in_project([("stacks/local.yaml", stack), (".ecomctl/state/local.json", state.to_string().as_str())])
}

fn protected(project: &Ecomctl, address: &str) -> Value {
    let state = fs::read_to_string(project.root().join(".ecomctl/state/local.json")).expect("a state");
    serde_json::from_str::<Value>(&state).expect("JSON")["resources"][address]["protect"].clone()
}

#[test]
fn what_is_named_may_be_deleted_again() {
    let project = project();
    let ended = project.run(["unprotect", "local", "bucket.lake", "bucket.logs"]).exits(0);
    insta::assert_snapshot!(ended.out, @r"
    bucket.lake is no longer protected
    bucket.logs was not protected
    ");
    insta::assert_snapshot!(ended.err, @"the file still says `protect: true` of bucket.lake: `ecomctl up local` protects it again");
    assert_eq!(protected(&project, "bucket.lake"), false);
}

#[test]
fn all_or_nothing() {
    let project = project();
    let ended = project.run(["unprotect", "local", "bucket.lake", "bucket.lke"]).exits(2).without_result();
    insta::assert_snapshot!(ended.err, @r"
    ecomctl::usage

      × nothing is recorded of bucket.lke in `local`; nothing was changed
      help: see what is: ecomctl state show local
    ");
    assert_eq!(protected(&project, "bucket.lake"), true);
}
