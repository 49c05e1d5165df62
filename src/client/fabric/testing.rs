//! Fabric and Power BI as `tests/powerbi/fabric.py` plays them, for tests.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use super::{Fabric, Target};
use crate::client::http;

/// A stand-in. Ends when it is dropped.
pub(crate) struct StandIn {
    child: Child,
    pub(crate) url: String,
}

impl StandIn {
    pub(crate) fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/powerbi/fabric.py");
        let mut child = Command::new("python3");
        let child = child.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = child.spawn().expect("python3 runs");
        let mut url = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut url).expect("it says where it is");
        Self { child, url: url.trim().to_owned() }
    }

    pub(crate) fn client(&self) -> Fabric {
        Fabric::new(Target::at(&self.url))
    }

    /// Lets requests fail, as the script says.
    pub(crate) async fn faults(&self, faults: Value) {
        let client = http::client(&[&self.url]).expect("a client");
        client.post(format!("{}/_faults", self.url)).json(&faults).send().await.expect("taken");
    }

    /// What it was asked: method and path.
    pub(crate) async fn asked(&self) -> Vec<(String, String, Value)> {
        let client = http::client(&[&self.url]).expect("a client");
        let answer = client.get(format!("{}/_asked", self.url)).send().await.expect("answered");
        let all: Vec<Value> = answer.json().await.expect("a list");
        let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
        all.into_iter().map(|it| (text(&it["method"]), text(&it["path"]), it["body"].clone())).collect()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
