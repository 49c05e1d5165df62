//! Files, notebooks and folders of a workspace. Paths begin with `/`, as in `/Shared/wheels/a.whl`.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Body, Call, Databricks, SERVICE, read};
use crate::client::{Error, Reason, Result};

/// Something in a workspace.
#[derive(Clone, Debug, Deserialize)]
pub struct Object {
    /// Its number.
    #[serde(default)]
    pub object_id: i64,
    /// What it is: `DIRECTORY`, `FILE`, `NOTEBOOK`, ….
    pub object_type: String,
    /// Where it lies.
    pub path: String,
}

impl Object {
    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        self.object_type == "DIRECTORY"
    }

    /// The last part of its path.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

/// What is put into a workspace.
#[derive(Clone, Debug)]
pub struct Import {
    /// Where. Its folder must be there.
    pub path: String,
    /// Its content.
    pub content: Bytes,
    /// Whether it becomes a Python notebook rather than a file.
    pub notebook: bool,
    /// Whether what lies there is replaced rather than in the way.
    pub overwrite: bool,
}

impl Databricks {
    /// Makes a folder and those that it lies in, where they are not there.
    ///
    /// # Errors
    /// [`Reason::Exists`] when a file is in the way.
    pub async fn make_folder(&self, path: &str) -> Result<()> {
        let body = json!({ "path": path });
        self.put("workspace/mkdirs", Method::POST, "/api/2.0/workspace/mkdirs", body).await.map(drop)
    }

    /// Lets every user of the workspace read what lies in a folder. Nobody loses anything by it.
    ///
    /// # Errors
    /// [`Reason::Missing`] when there is no such folder.
    pub async fn let_users_read(&self, folder: &str) -> Result<()> {
        let id = self.object(folder).await?.object_id;
        let body = json!({ "access_control_list": [{ "group_name": "users", "permission_level": "CAN_READ" }] });
        let path = format!("/api/2.0/permissions/directories/{id}");
        self.put("permissions/update", Method::PATCH, &path, body).await.map(drop)
    }

    /// Puts a file or notebook into the workspace.
    ///
    /// # Errors
    /// [`Reason::Missing`] when its folder is not there; [`Reason::Exists`] when something is in the way.
    pub async fn import(&self, what: Import) -> Result<()> {
        let twice = what.overwrite;
        let mut fields = vec![("path", what.path)];
        match what.notebook {
            true => fields.extend([("format", "SOURCE".to_owned()), ("language", "PYTHON".to_owned())]),
            false => fields.push(("format", "AUTO".to_owned())),
        }
        fields.push(("overwrite", twice.to_string()));
        let body = Body::File(fields, what.content);
        let (operation, path) = ("workspace/import", "/api/2.0/workspace/import");
        self.send(Call { operation, method: Method::POST, path, query: Vec::new(), body, twice }).await.map(drop)
    }

    /// Describes what lies at a path.
    ///
    /// # Errors
    /// [`Reason::Missing`] when nothing does.
    pub async fn object(&self, path: &str) -> Result<Object> {
        const OPERATION: &str = "workspace/get-status";
        let query = vec![("path", path.to_owned())];
        read(OPERATION, self.get(OPERATION, "/api/2.0/workspace/get-status", query).await?)
    }

    /// Lists what lies in a folder.
    ///
    /// # Errors
    /// [`Reason::Missing`] when there is none.
    pub async fn folder(&self, path: &str) -> Result<Vec<Object>> {
        const OPERATION: &str = "workspace/list";
        let query = vec![("path", path.to_owned())];
        let mut answer = self.get(OPERATION, "/api/2.0/workspace/list", query).await?;
        answer.get_mut("objects").map_or(Ok(Vec::new()), |it| read(OPERATION, it.take()))
    }

    /// Returns the content of a file as it was put there.
    ///
    /// # Errors
    /// [`Reason::Missing`] when there is none.
    pub async fn export(&self, path: &str) -> Result<Vec<u8>> {
        const OPERATION: &str = "workspace/export";
        let query = vec![("path", path.to_owned()), ("format", "AUTO".to_owned())];
        let answer = self.get(OPERATION, "/api/2.0/workspace/export", query).await?;
        let content = answer.get("content").and_then(Value::as_str).unwrap_or_default();
        BASE64_STANDARD.decode(content).map_err(|err| {
            Error::new(SERVICE, OPERATION, Reason::Other, format!("the content of {path} is no base64: {err}"))
        })
    }

    /// Deletes what lies at a path, with all that a folder holds.
    ///
    /// # Errors
    /// [`Reason::Missing`] when nothing does.
    pub async fn delete_object(&self, path: &str) -> Result<()> {
        let body = json!({ "path": path, "recursive": true });
        self.put("workspace/delete", Method::POST, "/api/2.0/workspace/delete", body).await.map(drop)
    }
}
