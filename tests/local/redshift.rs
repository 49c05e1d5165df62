//! Redshift's Data API on the local cloud, as boto3 sees it. What is looked at is in `redshift/client.py`.

use std::{path::Path, process::Command};

use ecomctl::local::Endpoints;
use serde_json::{Value, json};

use super::athena::boto3;

pub(crate) fn external_schemas_live_and_die(on: &Endpoints) {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/local/redshift/client.py");
    let done = Command::new(boto3()).arg(program).arg(&on.gateway).output().expect("it starts");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let seen: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    let role = |name: &str| format!(r#"{{"IAM_ROLE":"arn:aws:iam::000000000000:role/{name}"}}"#);
    for what in ["made", "altered", "dropped"] {
        assert_eq!(seen[what], Value::Null, "{what}");
    }
    assert_eq!(seen["again"], "ERROR: schema \"shop\" already exists");
    assert_eq!(seen["once"], true);
    assert_eq!(seen["listed"], json!([["shop", 1, "glue_shop", role("one")]]));
    let options: Value = serde_json::from_str(seen["then"][0][3].as_str().expect("options")).expect("JSON");
    assert_eq!(options, json!({ "IAM_ROLE": "arn:aws:iam::000000000000:role/two" }));
    assert_eq!((&seen["elsewhere"], &seen["gone"]), (&json!([]), &json!([])));
    assert_eq!(seen["many"], 2500);
    assert_eq!(seen["wrong"], "ERROR: relation \"nothing\" does not exist");
    // Which words it has for that depends on PostgreSQL's version.
    let denied = |it: &str| it.starts_with("ERROR: ") && (it.contains("superuser") || it.contains("permission denied"));
    assert!(seen["no superuser"].as_str().is_some_and(denied), "{seen}");
    assert_eq!(seen["no secret"], "ValidationException: Secrets Manager can't find the specified secret.");
    assert_eq!(seen["user of a workgroup"], "ValidationException: DbUser cannot be given with WorkgroupName.");
    assert!(seen["nowhere"].as_str().is_some_and(|it| it.contains("ClusterIdentifier and WorkgroupName")), "{seen}");
}
