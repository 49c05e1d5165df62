//! Fabric and Power BI as `tests/powerbi/fabric.py` plays them, for tests.

use serde_json::Value;

use super::{Fabric, Target};
use crate::client::http;

#[path = "../../../tests/powerbi/stand_in.rs"]
mod stand_in;

/// A stand-in. Ends when it is dropped.
pub(crate) struct StandIn {
    _process: stand_in::Process,
    pub(crate) url: String,
}

impl StandIn {
    pub(crate) fn start() -> Self {
        let process = stand_in::Process::start();
        Self { url: process.url.clone(), _process: process }
    }

    pub(crate) fn client(&self) -> Fabric {
        Fabric::new(Target::at(&self.url))
    }

    /// Lets requests fail, as the script says.
    pub(crate) async fn faults(&self, faults: Value) {
        let client = http::client(&[&self.url]).expect("a client");
        client.post(format!("{}/_faults", self.url)).json(&faults).send().await.expect("taken");
    }

    /// Lets the history say this of all refreshes that were begun.
    pub(crate) async fn refreshes(&self, status: Value) {
        let client = http::client(&[&self.url]).expect("a client");
        client.post(format!("{}/_refreshes", self.url)).json(&status).send().await.expect("taken");
    }

    /// What it was asked: method, path and body.
    pub(crate) async fn asked(&self) -> Vec<(String, String, Value)> {
        self.asked_of("", "").await
    }

    /// What it was asked by this method at paths that hold this expression.
    pub(crate) async fn asked_of(&self, method: &str, path: &str) -> Vec<(String, String, Value)> {
        let client = http::client(&[&self.url]).expect("a client");
        let address = format!("{}/_asked?method={method}&path={path}", self.url);
        let answer = client.get(address).send().await.expect("answered");
        let all: Vec<Value> = answer.json().await.expect("a list");
        let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
        all.into_iter().map(|it| (text(&it["method"]), text(&it["path"]), it["body"].clone())).collect()
    }
}
