//! Secret scopes: named sets of values that jobs may read.

use std::fmt;

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Databricks, read};
use crate::client::Result;

/// A scope.
#[derive(Clone, Debug, Deserialize)]
pub struct Scope {
    /// Its name, unique within the workspace.
    pub name: String,
}

/// A key of a scope; its value cannot be listed.
#[derive(Clone, Debug, Deserialize)]
pub struct Key {
    /// Its name.
    pub key: String,
    /// When its value was put last, in milliseconds since 1970.
    #[serde(default)]
    pub last_updated_timestamp: i64,
}

/// What somebody may do with a scope.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Acl {
    /// The name of a user, a group, or a service principal.
    pub principal: String,
    /// `READ`, `WRITE` or `MANAGE`.
    pub permission: String,
}

/// A value that never shows.
#[derive(Clone)]
pub struct SecretText(String);

impl SecretText {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text, for the body of a request.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl Databricks {
    /// Lists all scopes that the caller may see.
    ///
    /// # Errors
    /// That of the request.
    pub async fn secret_scopes(&self) -> Result<Vec<Scope>> {
        self.list("secrets/scopes/list", "/api/2.0/secrets/scopes/list", Vec::new(), "scopes").await
    }

    /// Makes a scope.
    ///
    /// # Errors
    /// [`Reason::Exists`](crate::client::Reason) when there is one of this name.
    pub async fn create_secret_scope(&self, scope: &str) -> Result<()> {
        let body = json!({ "scope": scope });
        self.post_once("secrets/scopes/create", "/api/2.0/secrets/scopes/create", body).await.map(drop)
    }

    /// Deletes a scope with all its values.
    ///
    /// # Errors
    /// [`Reason::Missing`](crate::client::Reason) when there is none.
    pub async fn delete_secret_scope(&self, scope: &str) -> Result<()> {
        let body = json!({ "scope": scope });
        self.put("secrets/scopes/delete", Method::POST, "/api/2.0/secrets/scopes/delete", body).await.map(drop)
    }

    /// Lists the keys of a scope.
    ///
    /// # Errors
    /// [`Reason::Missing`](crate::client::Reason) when there is no such scope.
    pub async fn secret_keys(&self, scope: &str) -> Result<Vec<Key>> {
        self.list("secrets/list", "/api/2.0/secrets/list", vec![("scope", scope.to_owned())], "secrets").await
    }

    /// Puts a value, in place of what its key had before.
    ///
    /// # Errors
    /// That of the request.
    pub async fn put_secret(&self, scope: &str, key: &str, SecretText(value): &SecretText) -> Result<()> {
        let body = json!({ "scope": scope, "key": key, "string_value": value });
        self.put("secrets/put", Method::POST, "/api/2.0/secrets/put", body).await.map(drop)
    }

    /// Deletes a key with its value.
    ///
    /// # Errors
    /// [`Reason::Missing`](crate::client::Reason) when there is none.
    pub async fn delete_secret(&self, scope: &str, key: &str) -> Result<()> {
        let body = json!({ "scope": scope, "key": key });
        self.put("secrets/delete", Method::POST, "/api/2.0/secrets/delete", body).await.map(drop)
    }

    /// Lists who may do what with a scope.
    ///
    /// # Errors
    /// [`Reason::Missing`](crate::client::Reason) when there is no such scope.
    pub async fn secret_acls(&self, scope: &str) -> Result<Vec<Acl>> {
        self.list("secrets/acls/list", "/api/2.0/secrets/acls/list", vec![("scope", scope.to_owned())], "items").await
    }

    /// Lets somebody do something with a scope, in place of what they might before.
    ///
    /// # Errors
    /// That of the request.
    pub async fn put_secret_acl(&self, scope: &str, acl: &Acl) -> Result<()> {
        let body = json!({ "scope": scope, "principal": acl.principal, "permission": acl.permission });
        self.put("secrets/acls/put", Method::POST, "/api/2.0/secrets/acls/put", body).await.map(drop)
    }

    /// Takes from somebody what they may do with a scope.
    ///
    /// # Errors
    /// [`Reason::Missing`](crate::client::Reason) when they may do nothing.
    pub async fn delete_secret_acl(&self, scope: &str, principal: &str) -> Result<()> {
        let body = json!({ "scope": scope, "principal": principal });
        self.put("secrets/acls/delete", Method::POST, "/api/2.0/secrets/acls/delete", body).await.map(drop)
    }

    async fn list<T: serde::de::DeserializeOwned>(
        &self,
        operation: &'static str,
        path: &str,
        query: Vec<(&'static str, String)>,
        items: &str,
    ) -> Result<Vec<T>> {
        let mut answer = self.get(operation, path, query).await?;
        answer.get_mut(items).map(Value::take).filter(Value::is_array).map_or(Ok(Vec::new()), |it| read(operation, it))
    }
}
