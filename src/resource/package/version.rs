//! One content of a package, and the file that says which is in force.

use std::{collections::BTreeMap, io::Read as _};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Cx, MARKER, Result, unreadable};
use crate::{
    artifact::Artifact,
    client::{Error, Reason, databricks::files::Import},
};

/// How a notebook in source form begins.
const NOTEBOOK: &[u8] = b"# Databricks notebook source";

/// What the file beside the contents says.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Marker {
    /// The tags that any other resource would carry.
    pub(super) tags: BTreeMap<String, String>,
    /// The content in force.
    pub(super) current: Option<Version>,
}

/// One content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Version {
    /// The name of the file or notebook.
    name: String,
    /// The SHA-256 of the content, base64.
    sha256: String,
    /// The name of its folder: the beginning of the same in hexadecimal.
    hash: String,
    /// Whether it is a notebook.
    pub(super) notebook: bool,
}

impl Marker {
    /// Reads it; what cannot be read is nobody's.
    pub(super) fn read(text: &[u8]) -> Self {
        serde_json::from_slice(text).unwrap_or_default()
    }

    /// Returns the file to put into a folder; without `overwrite` only where there is none.
    pub(super) fn file(&self, folder: &str, overwrite: bool) -> Import {
        let content = serde_json::to_vec_pretty(self).unwrap_or_default().into();
        Import { path: format!("{folder}/{MARKER}"), content, notebook: false, overwrite }
    }
}

impl Version {
    /// Describes what was built.
    pub(super) fn of(artifact: &Artifact) -> Result<Self> {
        let file = artifact.path.file_name().unwrap_or_default().to_string_lossy();
        let mut begins = Vec::new();
        if let Some(name) = file.strip_suffix(".py") {
            let opened = std::fs::File::open(&artifact.path);
            let read = opened.and_then(|it| it.take(NOTEBOOK.len() as u64).read_to_end(&mut begins));
            read.map_err(|err| unreadable(artifact, &err))?;
            if begins == NOTEBOOK {
                // Notebooks have no ending.
                return Ok(Self::new(artifact, name, true));
            }
        }
        Ok(Self::new(artifact, &file, false))
    }

    fn new(artifact: &Artifact, name: &str, notebook: bool) -> Self {
        let digest = BASE64_STANDARD.decode(&artifact.sha256).unwrap_or_default();
        let hash = digest.iter().take(8).map(|it| format!("{it:02x}")).collect();
        Self { name: name.to_owned(), sha256: artifact.sha256.clone(), hash, notebook }
    }

    /// The name of its folder.
    pub(super) fn hash(&self) -> &str {
        &self.hash
    }

    /// Where it lies, as the workspace's API names it.
    pub(super) fn path(&self, folder: &str) -> String {
        format!("{folder}/{}/{}", self.hash, self.name)
    }

    /// Where it lies, as clusters see it.
    pub(super) fn full(&self, folder: &str) -> String {
        format!("/Workspace{}", self.path(folder))
    }

    /// Hashes what lies at its path. A notebook is not given back byte for byte: that it is there must do, and so for
    /// what is too large to be given back.
    pub(super) async fn content(&self, cx: &Cx, folder: &str) -> Result<Option<String>> {
        let path = self.path(folder);
        if !self.notebook {
            match cx.databricks.export(&path).await {
                Ok(bytes) => return Ok(Some(BASE64_STANDARD.encode(Sha256::digest(bytes)))),
                Err(err) if err.reason == Reason::Missing => return Ok(None),
                Err(err) if err.reason != Reason::Invalid => return Err(err.into()),
                Err(_) => (),
            }
        }
        let found = Error::missing_is_none(cx.databricks.object(&path).await)?;
        Ok(found.map(|_| self.sha256.clone()))
    }
}
