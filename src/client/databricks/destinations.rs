//! Notification destinations: what jobs call. Only administrators of the workspace make and change them.

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Body, Call, Databricks, read, secrets::SecretText};
use crate::client::Result;

/// A destination as the workspace shows it: without what it calls.
#[derive(Clone, Debug, Deserialize)]
pub struct Destination {
    /// Its identifier.
    pub id: String,
    /// Its name, which need not be unique.
    #[serde(default)]
    pub display_name: String,
}

/// A web address that is called with HTTP's basic authentication.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// The address.
    pub url: String,
    /// The user name.
    pub username: String,
    /// The password.
    pub password: SecretText,
}

impl Webhook {
    fn body(&self, name: &str) -> Value {
        let Self { url, username, password } = self;
        let webhook = json!({ "url": url, "username": username, "password": password.reveal() });
        json!({ "display_name": name, "config": { "generic_webhook": webhook } })
    }
}

const PATH: &str = "/api/2.0/notification-destinations";

impl Databricks {
    /// Lists all destinations of the workspace.
    ///
    /// # Errors
    /// That of the request.
    pub async fn destinations(&self) -> Result<Vec<Destination>> {
        self.pages("notification-destinations/list", PATH, &[], "results").await
    }

    /// Makes a destination, sending the request once: names need not be unique.
    ///
    /// # Errors
    /// After [`Reason::Unavailable`](crate::client::Reason) it may be there or not: look it up by its name.
    pub async fn create_destination(&self, name: &str, webhook: &Webhook) -> Result<Destination> {
        const OPERATION: &str = "notification-destinations/create";
        read(OPERATION, self.post_once(OPERATION, PATH, webhook.body(name)).await?)
    }

    /// Replaces what a destination is called, and what it calls.
    ///
    /// # Errors
    /// [`Reason::Missing`](crate::client::Reason) when there is none.
    pub async fn update_destination(&self, id: &str, name: &str, webhook: &Webhook) -> Result<()> {
        let path = format!("{PATH}/{id}");
        self.put("notification-destinations/update", Method::PATCH, &path, webhook.body(name)).await.map(drop)
    }

    /// Deletes a destination.
    ///
    /// # Errors
    /// [`Reason::Missing`](crate::client::Reason) when there is none.
    pub async fn delete_destination(&self, id: &str) -> Result<()> {
        let (operation, path) = ("notification-destinations/delete", format!("{PATH}/{id}"));
        let (method, query, body) = (Method::DELETE, Vec::new(), Body::None);
        self.send(Call { operation, method, path: &path, query, body, twice: true }).await.map(drop)
    }
}
