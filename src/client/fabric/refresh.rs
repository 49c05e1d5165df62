//! Refreshes of models: begun, and looked at until they end.

use std::{collections::BTreeSet, sync::PoisonError};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    Fabric, SERVICE,
    operation::{header, last_part, pause},
    send::{Api, Call},
};
use crate::client::{Error, Reason, Result};

/// What errors call it.
const NAME: &str = "RefreshDataset";
/// How often the history is asked whether it lists what was just begun.
const LOOKS: u32 = 5;

/// A refresh, as the model's history lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refresh {
    /// Its identifier.
    pub id: String,
    /// How far along it is.
    pub loading: Loading,
}

/// How far along a refresh is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loading {
    /// It is not over.
    Running,
    /// The data are loaded.
    Done,
    /// They are not, and this is why.
    Failed(String),
}

impl Fabric {
    /// Begins to load a model's data anew; returns what the history calls it.
    ///
    /// # Errors
    /// [`Reason::Busy`] while another refresh runs; or why it cannot be asked for.
    pub async fn refresh(&self, workspace: &str, model: &str) -> Result<String> {
        let path = path(workspace, model);
        let connection = self.connection().await?;
        let before: BTreeSet<String> = self.refreshes(workspace, model).await?.into_iter().map(|it| it.id).collect();
        // No notification: that setting must be left out of refreshes that can be asked about.
        let body = json!({ "type": "Full", "commitMode": "Transactional", "retryCount": 1 });
        let call = Call::once(NAME, Method::POST, Api::PowerBi, &path).body(body);
        let answer = match connection.send(&call, &self.gate).await {
            Ok(it) => it,
            // Without a capacity of its own, a workspace takes plain refreshes alone.
            Err(err) if err.reason == Reason::Invalid => {
                let body = json!({ "notifyOption": "NoNotification" });
                let call = Call::once(NAME, Method::POST, Api::PowerBi, &path).body(body);
                connection.send(&call, &self.gate).await?
            }
            Err(err) => return Err(err),
        };
        // One of these, by the kind of refresh; the history knows which.
        let named = [last_part(&answer), header(&answer, "x-ms-request-id"), header(&answer, "requestid")];
        for look in 1..=LOOKS {
            let all = self.refreshes(workspace, model).await?;
            let listed = named.iter().flatten().find(|id| all.iter().any(|it| it.id == **id));
            let newest = all.first().map(|it| &it.id).filter(|it| !before.contains(*it));
            if let Some(id) = listed.or(newest) {
                self.begun.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone());
                return Ok(id.clone());
            }
            sleep(pause(&answer, look)).await;
        }
        let text = "the refresh was taken, and the model's history does not list it";
        Err(Error::new(SERVICE, NAME, Reason::Other, text))
    }

    /// Lists a model's latest refreshes, the newest first.
    ///
    /// # Errors
    /// Says why they cannot be listed.
    pub async fn refreshes(&self, workspace: &str, model: &str) -> Result<Vec<Refresh>> {
        let path = format!("{}?$top=10", path(workspace, model));
        let call = Call::again("GetRefreshHistory", Method::GET, Api::PowerBi, &path);
        let answer = self.connection().await?.send(&call, &self.gate).await?;
        let one = |it: &Value| {
            let id = it["requestId"].as_str().unwrap_or_default().to_owned();
            let loading = match it["status"].as_str().unwrap_or_default() {
                "Completed" => Loading::Done,
                // `Unknown` stands for one that runs.
                "" | "Unknown" | "NotStarted" | "InProgress" => Loading::Running,
                status => Loading::Failed(why(status, it)),
            };
            Refresh { id, loading }
        };
        Ok(answer.body["value"].as_array().into_iter().flatten().map(one).collect())
    }

    /// Says whether this client, and not a run before, began a refresh.
    pub fn began(&self, refresh: &str) -> bool {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).contains(refresh)
    }
}

fn path(workspace: &str, model: &str) -> String {
    format!("/v1.0/myorg/groups/{workspace}/datasets/{model}/refreshes")
}

/// What the history says of a refresh that failed: JSON within JSON.
fn why(status: &str, it: &Value) -> String {
    let told = it["serviceExceptionJson"].as_str().unwrap_or_default();
    let inner: Value = serde_json::from_str(told).unwrap_or_default();
    let words = [inner["errorCode"].as_str(), inner["errorDescription"].as_str()];
    let words: Vec<&str> = words.into_iter().flatten().filter(|it| !it.is_empty()).collect();
    if words.is_empty() { status.to_lowercase() } else { words.join(": ") }
}
