//! A client of one Databricks workspace over REST: jobs, runs, workspace files, secrets, permissions, notification destinations.
//!
//! Thin: it authenticates, sends, pages, and reads errors. It sends again only what does no harm when it arrives twice;
//! the making of a job goes out once, and whether it took effect is for the caller to look up. Nothing is read, neither
//! files nor the environment, before the first request.

use std::{env, fmt, path::Path, sync::Arc};

use reqwest::Method;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::{
    Error, Reason, Result,
    fence::{Fence, Gate},
    http::Hidden,
};

mod auth;
mod config;
pub mod destinations;
mod fault;
pub mod files;
pub mod jobs;
mod permissions;
pub mod runs;
pub mod secrets;
mod send;

pub use config::Target;
pub use permissions::{Grant, Principal};
use send::{Body, Call, Connection};

/// What errors call this service.
const SERVICE: &str = "databricks";
/// Who answers, for people.
const WHOM: &str = "the workspace";

/// A client of one workspace.
pub struct Databricks {
    target: Target,
    connection: OnceCell<Connection>,
    gate: Gate,
}

impl Databricks {
    /// Prepares a client. Reads nothing and sends nothing.
    pub fn new(target: Target) -> Self {
        Self { target, connection: OnceCell::new(), gate: Gate::default() }
    }

    /// Returns the workspace's address, such as `https://dbc-1234.cloud.databricks.com`, for links.
    ///
    /// # Errors
    /// Says what of the configuration is missing or wrong.
    pub async fn host(&self) -> Result<&str> {
        Ok(self.connection().await?.host())
    }

    async fn connection(&self) -> Result<&Connection> {
        let connect = || async {
            let environment = |name: &str| env::var(name).ok();
            let home = env::home_dir().map(|it| it.join(".databrickscfg"));
            Connection::new(config::resolve(&self.target, &environment, home.as_ref())?)
        };
        self.connection.get_or_try_init(connect).await
    }

    /// Asks for something.
    async fn get(&self, operation: &'static str, path: &str, query: Vec<(&'static str, String)>) -> Result<Value> {
        self.send(Call { operation, method: Method::GET, path, query, body: Body::None, twice: true }).await
    }

    /// Sends what does no harm when it arrives twice.
    async fn put(&self, operation: &'static str, method: Method, path: &str, body: Value) -> Result<Value> {
        self.send(Call { operation, method, path, query: Vec::new(), body: Body::Json(body), twice: true }).await
    }

    /// Sends what must not arrive twice.
    async fn post_once(&self, operation: &'static str, path: &str, body: Value) -> Result<Value> {
        let (method, query) = (Method::POST, Vec::new());
        self.send(Call { operation, method, path, query, body: Body::Json(body), twice: false }).await
    }

    async fn send(&self, call: Call<'_>) -> Result<Value> {
        self.connection().await?.send(&call, &self.gate).await
    }

    /// Sends from now on nothing that changes anything unless the fence lets it through.
    pub fn obey(&self, fence: Arc<Fence>) {
        self.gate.obey(fence);
    }

    /// Collects the items of all pages. `items` names the list within each answer.
    async fn pages<T: serde::de::DeserializeOwned>(
        &self,
        operation: &'static str,
        path: &str,
        query: &[(&'static str, String)],
        items: &str,
    ) -> Result<Vec<T>> {
        let mut found = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let page = token.take().map(|it| ("page_token", it));
            let mut answer = self.get(operation, path, query.iter().cloned().chain(page).collect()).await?;
            if let Some(Value::Array(some)) = answer.get_mut(items).map(Value::take) {
                for it in some {
                    found.push(read(operation, it)?);
                }
            }
            match answer.get("next_page_token").and_then(Value::as_str).filter(|it| !it.is_empty()) {
                Some(next) => token = Some(next.to_owned()),
                None => return Ok(found),
            }
        }
    }
}

impl fmt::Debug for Databricks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Databricks").field("target", &self.target).finish_non_exhaustive()
    }
}

/// Reads an answer as what it should be.
fn read<T: serde::de::DeserializeOwned>(operation: &'static str, answer: Value) -> Result<T> {
    serde_json::from_value(answer)
        .map_err(|err| Error::new(SERVICE, operation, Reason::Other, format!("the answer is not as documented: {err}")))
}

/// Says that the configuration is missing or wrong.
fn unusable(message: impl Into<String>) -> Error {
    Error::new(SERVICE, "configuration", Reason::Denied, message)
}

/// Where the configuration file lies, for messages.
fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
