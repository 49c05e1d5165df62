//! The whole pipeline as `stacks/staging.yaml` has it, network and all, on the local cloud: what differs is only what one machine
//! with one broker and one PostgreSQL cannot do.

use std::{fs, path::Path};

use crate::{
    place::Place,
    proxy::{Kept, Mode},
};

/// The stack's name.
pub(crate) const STACK: &str = "whole";

/// What is left of it on one machine: one broker cannot keep three copies, PostgreSQL has no certificate of RDS, and Databricks is
/// reached through a port of each run's own.
const HERE: &str = r#"
extends: staging.yaml
stack: { region: us-east-1, account: "000000000000", state: null, previews: null }
resources:
  topic:
    orders: { replication: 1, config: null }
    order_details: { replication: 1, config: null }
    payments: { replication: 1, config: null }
    customers: { replication: 1, config: null }
  function:
    ingest: { architecture: native, environment: { DATABASE_SSLMODE: disable }, rollout: { bake_time: 6s } }
    migrate: { architecture: native, environment: { DATABASE_SSLMODE: disable } }
    watch:
      architecture: native
      environment: { DATABASE_SSLMODE: disable, DATABRICKS_HOST: "http://127.0.0.1:9" }
      outputs: { DATABRICKS_HOST: null }
      rollout: { bake_time: 2s }
    webhook: { architecture: native, environment: { DATABRICKS_HOST: "http://127.0.0.1:9" }, outputs: { DATABRICKS_HOST: null } }
  model: null
  report: null
"#;

/// Makes it, finds nothing to do, lets new settings of a function go live on trial, and deletes it.
pub(crate) async fn life(place: &Place) -> Vec<Kept> {
    let staging = Path::new(env!("CARGO_MANIFEST_DIR")).join("stacks/staging.yaml");
    place.define("staging", &fs::read_to_string(staging).expect("readable"));
    place.define(STACK, HERE);
    let mut kept = Vec::new();
    let mut run = async |args: &[&str], told: &str| {
        let ended = place.run_as(Mode::Keep, args).await.exits(0);
        assert!(ended.out.contains(told) || ended.err.contains(told), "{args:?}: {}\n{}", ended.out, ended.err);
        kept.extend(ended.kept);
    };
    run(&["up", STACK], "network.main").await;
    run(&["diff", STACK, "--exit-code"], "").await;
    place.define(STACK, &HERE.replace("    ingest: { arch", "    ingest: { memory: 512MiB, arch"));
    run(&["up", STACK], "on trial until").await;
    run(&["diff", STACK, "--exit-code"], "").await;
    let consent = place.consent_for(STACK).await;
    let teardown: Vec<&str> = ["teardown", STACK].into_iter().chain(consent.iter().map(String::as_str)).collect();
    run(&teardown, "").await;
    let left = place.run(&["diff", STACK]).await.exits(0);
    assert!(left.out.contains("0 to delete (0 unchanged)"), "{}", left.out);
    kept
}
