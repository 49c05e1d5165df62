//! A client of Microsoft Fabric's and Power BI's REST APIs, as far as semantic models and reports need them.
//!
//! Speaks as a service principal, with a token for each of the two APIs. It follows long-running operations to their end, for
//! their result is the answer; refreshes take too long for that, and are begun and looked at. What must not arrive twice goes
//! out once; whether it took effect is for the caller to look up. Nothing is read from the environment before the first
//! request.

use std::{
    collections::BTreeSet,
    env, fmt,
    sync::{Arc, Mutex},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::Method;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::{
    Error, Reason, Result,
    fence::{Fence, Gate},
};

mod auth;
mod config;
mod fault;
mod operation;
mod refresh;
mod send;

pub use config::Target;
pub use refresh::{Loading, Refresh};
use send::{Api, Call, Connection};

/// What errors call this service.
const SERVICE: &str = "fabric";

/// A client of one tenant.
pub struct Fabric {
    target: Target,
    connection: OnceCell<Connection>,
    gate: Gate,
    /// The refreshes that this client began.
    begun: Mutex<BTreeSet<String>>,
}

/// What a workspace holds, as far as it is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// A semantic model.
    Model,
    /// A report.
    Report,
}

impl Sort {
    /// As paths have it.
    const fn path(self) -> &'static str {
        match self {
            Self::Model => "semanticModels",
            Self::Report => "reports",
        }
    }

    /// The format of its definition.
    const fn format(self) -> &'static str {
        match self {
            Self::Model => "TMDL",
            Self::Report => "PBIR",
        }
    }
}

/// An item of a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// Its identifier.
    pub id: String,
    /// As the workspace lists it.
    pub display_name: String,
    /// What it is; at most 256 characters.
    #[serde(default)]
    pub description: String,
}

/// A connection that a model uses, or could.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataConnection {
    /// Its identifier; none while no connection is bound.
    #[serde(default)]
    pub id: Option<String>,
    /// How it is reached, such as `OnPremisesGateway`.
    #[serde(default)]
    pub connectivity_type: String,
    /// Which source it leads to.
    pub connection_details: Details,
}

/// A source of data.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Details {
    /// Such as `AmazonAthena`.
    #[serde(rename = "type")]
    pub sort: String,
    /// Such as the name of a DSN.
    pub path: String,
}

/// The parts of a definition: path and content.
pub type Parts = Vec<(String, Vec<u8>)>;

impl Fabric {
    /// Prepares a client. Reads nothing and sends nothing.
    pub fn new(target: Target) -> Self {
        Self { target, connection: OnceCell::new(), gate: Gate::default(), begun: Mutex::default() }
    }

    /// Sends from now on nothing that changes anything unless the fence lets it through.
    pub fn obey(&self, fence: Arc<Fence>) {
        self.gate.obey(fence);
    }

    /// Lists the items of one sort in a workspace.
    ///
    /// # Errors
    /// Says why they cannot be listed; a workspace that is not there is missing.
    pub async fn items(&self, workspace: &str, sort: Sort) -> Result<Vec<Item>> {
        self.pages("ListItems", &format!("/v1/workspaces/{workspace}/{}", sort.path())).await
    }

    /// Makes an item.
    ///
    /// # Errors
    /// [`Reason::Exists`] where its name is taken.
    pub async fn create(&self, workspace: &str, sort: Sort, name: &str, about: &str, parts: &Parts) -> Result<()> {
        let body = json!({ "displayName": name, "description": about, "definition": definition(sort, parts) });
        let path = format!("/v1/workspaces/{workspace}/{}", sort.path());
        self.operate(Call::once("CreateItem", Method::POST, Api::Fabric, &path).body(body)).await.map(drop)
    }

    /// Says what an item is called, and what it is.
    ///
    /// # Errors
    /// Says why it cannot be said; [`Reason::Exists`] where the name is taken.
    pub async fn describe(&self, workspace: &str, sort: Sort, id: &str, name: &str, about: &str) -> Result<()> {
        let path = format!("/v1/workspaces/{workspace}/{}/{id}", sort.path());
        let call = Call::again("UpdateItem", Method::PATCH, Api::Fabric, &path);
        self.send(call.body(json!({ "displayName": name, "description": about }))).await.map(drop)
    }

    /// Returns the parts of an item's definition.
    ///
    /// # Errors
    /// Says why they cannot be had.
    pub async fn definition(&self, workspace: &str, sort: Sort, id: &str) -> Result<Parts> {
        const OPERATION: &str = "GetDefinition";
        let path = format!("/v1/workspaces/{workspace}/{}/{id}/getDefinition?format={}", sort.path(), sort.format());
        // Asks by POST, and changes nothing.
        let call = Call::again(OPERATION, Method::POST, Api::Fabric, &path).reading();
        let answer = self.operate(call).await?.unwrap_or_default();
        let parts: Vec<Part> = read(OPERATION, answer["definition"]["parts"].clone())?;
        let decoded = parts.into_iter().map(|it| match BASE64_STANDARD.decode(&it.payload) {
            Ok(content) => Ok((it.path, content)),
            Err(err) => Err(Error::new(SERVICE, OPERATION, Reason::Other, format!("{} is no base64: {err}", it.path))),
        });
        decoded.collect()
    }

    /// Replaces all parts of an item's definition. Says whether that is done; it is not known where the service does not say
    /// how to follow it.
    ///
    /// # Errors
    /// Says why it was not taken.
    pub async fn define(&self, workspace: &str, sort: Sort, id: &str, parts: &Parts) -> Result<bool> {
        let path = format!("/v1/workspaces/{workspace}/{}/{id}/updateDefinition", sort.path());
        let body = json!({ "definition": definition(sort, parts) });
        let done = self.operate(Call::again("UpdateDefinition", Method::POST, Api::Fabric, &path).body(body)).await?;
        Ok(done.is_some())
    }

    /// Deletes an item.
    ///
    /// # Errors
    /// Says why it cannot be; what is gone is missing.
    pub async fn delete(&self, workspace: &str, sort: Sort, id: &str) -> Result<()> {
        let path = format!("/v1/workspaces/{workspace}/{}/{id}", sort.path());
        self.send(Call::again("DeleteItem", Method::DELETE, Api::Fabric, &path)).await.map(drop)
    }

    /// Lists the connections of a model's sources.
    ///
    /// # Errors
    /// Says why they cannot be listed.
    pub async fn connections(&self, workspace: &str, model: &str) -> Result<Vec<DataConnection>> {
        self.pages("ListItemConnections", &format!("/v1/workspaces/{workspace}/items/{model}/connections")).await
    }

    /// Returns a connection of the tenant.
    ///
    /// # Errors
    /// Says why it cannot be had; one that is not there, or not shared with the principal, is missing.
    pub async fn connection_of(&self, id: &str) -> Result<DataConnection> {
        const OPERATION: &str = "GetConnection";
        let path = format!("/v1/connections/{id}");
        read(OPERATION, self.send(Call::again(OPERATION, Method::GET, Api::Fabric, &path)).await?)
    }

    /// Lets a model read a source through a connection.
    ///
    /// # Errors
    /// Says why it cannot.
    pub async fn bind(&self, workspace: &str, model: &str, to: &DataConnection, source: &Details) -> Result<()> {
        let path = format!("/v1/workspaces/{workspace}/semanticModels/{model}/bindConnection");
        let body = json!({ "connectionBinding": {
            "id": to.id,
            "connectivityType": to.connectivity_type,
            "connectionDetails": { "type": source.sort, "path": source.path },
        } });
        self.send(Call::again("BindConnection", Method::POST, Api::Fabric, &path).body(body)).await.map(drop)
    }

    async fn send(&self, call: Call<'_>) -> Result<Value> {
        Ok(self.connection().await?.send(&call, &self.gate).await?.body)
    }

    /// Collects the items of all pages.
    async fn pages<T: DeserializeOwned>(&self, operation: &'static str, path: &str) -> Result<Vec<T>> {
        let mut found = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let path = match next.take() {
                Some(token) => {
                    let token: String = form_urlencoded::byte_serialize(token.as_bytes()).collect();
                    format!("{path}?continuationToken={token}")
                }
                None => path.to_owned(),
            };
            let mut answer = self.send(Call::again(operation, Method::GET, Api::Fabric, &path)).await?;
            found.extend(read::<Vec<T>>(operation, answer["value"].take())?);
            match answer["continuationToken"].as_str().filter(|it| !it.is_empty()) {
                Some(token) => next = Some(token.to_owned()),
                None => return Ok(found),
            }
        }
    }

    async fn connection(&self) -> Result<&Connection> {
        let connect = || async {
            let environment = |name: &str| env::var(name).ok();
            Connection::new(config::resolve(&self.target, &environment)?)
        };
        self.connection.get_or_try_init(connect).await
    }
}

impl fmt::Debug for Fabric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fabric").field("target", &self.target).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Part {
    path: String,
    payload: String,
}

fn definition(sort: Sort, parts: &Parts) -> Value {
    let part = |(path, content): &(String, Vec<u8>)| json!({ "path": path, "payload": BASE64_STANDARD.encode(content), "payloadType": "InlineBase64" });
    json!({ "format": sort.format(), "parts": parts.iter().map(part).collect::<Vec<_>>() })
}

/// Reads an answer as what it should be.
fn read<T: DeserializeOwned>(operation: &'static str, answer: Value) -> Result<T> {
    serde_json::from_value(answer)
        .map_err(|err| Error::new(SERVICE, operation, Reason::Other, format!("the answer is not as documented: {err}")))
}

/// Says that the configuration is missing or wrong.
fn unusable(message: impl Into<String>) -> Error {
    Error::new(SERVICE, "configuration", Reason::Denied, message)
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
