//! ministack: the control plane of AWS, in a process whose environment holds nothing but what it needs.

use std::time::Duration;

use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{process::Command, time::timeout};

use super::{Part, Parts};
use crate::local::{ACCOUNT, REGION, error::Result, exec::Identity, files};

const PROGRAM: &str = include_str!("../ministack.py");

/// Says how to start it.
pub(super) fn command(parts: &Parts) -> Result<Command> {
    let home = &parts.home;
    let program = home.run().join("cloud.py");
    files::write(&program, PROGRAM.as_bytes())?;
    let data = home.data().join("cloud");
    let dirs = ["state", "s3", "home", "tmp"].map(|it| data.join(it));
    for dir in &dirs {
        files::create_dir(dir)?;
    }
    let [state, s3, own, temporary] = dirs;
    let mut command = super::bare(Identity::Same, Part::Cloud.end(), &home.venv().join("bin/python"));
    // Isolated: neither the environment nor the user's own packages reach it.
    command.arg("-I").arg(program);
    command.env("HOME", own).env("TMPDIR", temporary).env("STATE_DIR", state).env("S3_DATA_DIR", s3);
    command.env("PERSIST_STATE", "1").env("S3_PERSIST", "1");
    command.env("BIND_HOST", "127.0.0.1").env("GATEWAY_PORT", parts.ports.cloud.to_string());
    // Without these it would also listen for MQTT and SFTP, on all addresses.
    command.env("IOT_MTLS_ENABLED", "0").env("SFTP_ENABLED", "0");
    command.env("MINISTACK_ACCOUNT_ID", ACCOUNT).env("MINISTACK_REGION", REGION).env("LOG_LEVEL", "WARNING");
    // Never a Docker engine: functions are child processes.
    command.env("LAMBDA_EXECUTOR", "local").env("DOCKER_HOST", "unix:///nonexistent");
    // Functions inherit this one, so that they reach all of the local cloud.
    command.env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", parts.ports.gateway));
    Ok(command)
}

/// Says whether its health page answers.
pub(super) async fn is_ready(port: u16) -> bool {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
    let Ok(page) = format!("http://127.0.0.1:{port}/_ministack/health").parse() else { return false };
    timeout(Duration::from_secs(5), client.get(page)).await.is_ok_and(|it| it.is_ok_and(|it| it.status().is_success()))
}
