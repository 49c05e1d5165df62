//! A package of code in the Databricks workspace: a Python wheel that is built from this project, or a notebook or
//! Python file of it.
//!
//! Each content lies at a path of its own that never changes (`<folder>/<hash>/<file>`), because clusters remember
//! libraries by their paths and a run under way may still need the old one. The folder lies in `/ecomctl`: in `/Shared`
//! every user of the workspace may write, and no permission on a folder there takes that away (Databricks' documentation,
//! "Access control lists"), while at the root only administrators make folders. Everybody may read it, as jobs may run as
//! anybody. Workspace files carry no tags, so a small file beside the contents says whose they are, and which is in force.

use std::path::{Component, Path, PathBuf};

use futures::future::{try_join, try_join_all};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Change, Cx, Desired, Error as KindError, Field, Flaw, Identity, Outputs, Resource, Result, Scope, Tags, touched,
};
use crate::{
    address::{Address, Name},
    artifact::{Artifact, Build},
    client::{
        Error, Reason,
        databricks::files::{Import, Object},
    },
};

mod usage;
mod version;

use version::{Marker, Version};

/// The name of the file that says whose a folder is.
const MARKER: &str = "owner.json";
/// The folder of all packages.
const ROOT: &str = "/ecomctl";

/// Code that jobs run: a wheel, or a notebook or Python file. Uploaded to a path that is named by its content; older
/// ones are removed once no job and no run of the workspace uses them.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// The folder of the Python project to build a wheel of, relative to the project's root, such as `notebooks`. Its
    /// `pyproject.toml` names hatchling as the build backend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wheel: Option<PathBuf>,
    /// A file to take as it is: a notebook in source form (its first line is `# Databricks notebook source`), or a Python
    /// file. Relative to the project's root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
}

/// A package as the workspace has it.
#[derive(Debug)]
pub struct LivePackage {
    folder: String,
    /// The address of the workspace, for what is to ask it and is no job.
    workspace: String,
    marker: Marker,
    /// The hash of what lies at the path in force, as in [`Artifact::sha256`].
    content: Option<String>,
}

/// What of a package is referred to in a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uploaded {
    /// Its path, as libraries are named: `/Workspace/ecomctl/…`.
    pub path: String,
    /// Whether it is a wheel.
    pub wheel: bool,
    /// Whether it is a notebook.
    pub notebook: bool,
}

impl Resource for Package {
    const FIELDS: &'static [(&'static str, Field)] = &[("tags", Field::Defaulted)];
    const TAGGED_LATE: bool = true;
    const OUTPUTS: &'static [&'static str] = &["folder", "path", "workspace"];
    type Live = LivePackage;

    fn physical_name(&self, scope: &Scope, name: &str) -> String {
        folder(scope, name)
    }

    fn build(&self) -> Option<Build> {
        match (&self.wheel, &self.file) {
            (Some(project), None) => Some(Build::Wheel { project: project.clone() }),
            (None, Some(path)) => Some(Build::File { path: path.clone() }),
            _ => None,
        }
    }

    fn check(&self) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        match (&self.wheel, &self.file) {
            (Some(_), Some(_)) => flaws.push(Flaw::new("/file", "a package is either a `wheel` or a `file`")),
            (None, None) => {
                let flaw = Flaw::new("", "a package needs a `wheel` or a `file`");
                flaws.push(
                    flaw.help("`wheel: notebooks` for a Python project, `file: notebooks/report.py` for one file"),
                );
            }
            _ => (),
        }
        for (at, path) in [("/wheel", &self.wheel), ("/file", &self.file)] {
            if let Some(path) = path.as_ref().filter(|it| !is_within(it)) {
                let flaw = Flaw::new(at, format!("`{}` leads out of the project", path.display()));
                flaws.push(flaw.help("write it relative to the project's root"));
            }
        }
        flaws
    }

    fn desired(&self, cx: &Cx) -> Result<Desired> {
        let content = self.artifact(cx)?.sha256.clone();
        Ok(Desired::of(self).tagged(cx).without("wheel").without("file").with("content", content))
    }

    async fn read(cx: &Cx, names: &[Name]) -> Result<Vec<Option<LivePackage>>> {
        try_join_all(names.iter().map(|it| read_one(cx, &it.physical))).await
    }

    async fn candidates(cx: &Cx) -> Result<Vec<String>> {
        let all = folder(&cx.scope, "");
        let listed = cx.databricks.folder(all.trim_end_matches('/')).await;
        let listed = Error::missing_is_none(listed)?.unwrap_or_default();
        Ok(listed.into_iter().filter(Object::is_folder).map(|it| folder(&cx.scope, it.name())).collect())
    }

    fn observed(live: &LivePackage) -> Value {
        json!({ "content": live.content, "tags": live.tags().observed() })
    }

    fn identity(live: &LivePackage) -> Identity {
        Identity { id: Some(live.folder.clone()), ownership: live.tags().ownership() }
    }

    fn outputs(live: &LivePackage) -> Outputs {
        let path = live.marker.current.as_ref().map(|it| ("path", it.full(&live.folder)));
        let known = [("folder", live.folder.clone()), ("workspace", live.workspace.clone())];
        known.into_iter().chain(path).collect()
    }

    /// Leaves the content to the first update: what says whose the folder is comes before anything in it.
    async fn create(&self, cx: &Cx, name: &Name) -> Result<()> {
        cx.databricks.make_folder(&name.physical).await.map_err(|err| match err.reason {
            Reason::Denied => KindError::Refused {
                message: format!("{} cannot be made: {err}", name.physical),
                help: format!(
                    "let an administrator of the workspace make the folder {ROOT} and give CAN_MANAGE on it to whoever \
                     deploys; then run the same command again"
                ),
            },
            _ => err.into(),
        })?;
        cx.databricks.let_users_read(&name.physical).await?;
        let marker = Marker { tags: cx.tags(&name.owner), current: None };
        Ok(cx.databricks.import(marker.file(&name.physical, false)).await?)
    }

    async fn update(&self, cx: &Cx, name: &Name, live: &LivePackage, changes: &[Change]) -> Result<()> {
        let mut marker = Marker { tags: live.tags().after(cx, name, changes), current: live.marker.current.clone() };
        let moved = touched(changes).contains("content");
        if moved {
            let artifact = self.artifact(cx)?;
            let version = Version::of(artifact)?;
            let bytes = tokio::fs::read(&artifact.path).await;
            let content = bytes.map_err(|err| unreadable(artifact, &err))?.into();
            let path = version.path(&live.folder);
            cx.databricks.make_folder(path.rsplit_once('/').map_or(&*path, |it| it.0)).await?;
            let import = Import { path, content, notebook: version.notebook, overwrite: true };
            cx.databricks.import(import).await?;
            marker.current = Some(version);
        }
        cx.databricks.import(marker.file(&live.folder, true)).await?;
        match moved {
            true => collect(cx, live, &marker).await,
            false => Ok(()),
        }
    }

    async fn delete(cx: &Cx, name: &Name, live: &LivePackage) -> Result<()> {
        let usage = usage::of(cx, &live.folder).await?;
        if let Some(job) = usage.jobs.first() {
            return Err(KindError::Refused {
                message: format!("{} is still used by {job}", name.physical),
                help: "delete that job, or let it use something else; then run the same command again".into(),
            });
        }
        if let Some(run) = usage.runs.first() {
            // The engine waits for a while.
            let message = format!("run {run} still uses {}", name.physical);
            return Err(Error::new("databricks", "workspace/delete", Reason::Busy, message).into());
        }
        Ok(Error::missing_is_done(cx.databricks.delete_object(&live.folder).await)?)
    }
}

impl LivePackage {
    fn tags(&self) -> Tags {
        self.marker.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
    }
}

impl Package {
    /// Returns where this package lies once it is deployed, under the name that the stack gives it.
    ///
    /// # Errors
    /// Says that it was not built.
    pub fn uploaded(&self, cx: &Cx, name: &str) -> Result<Uploaded> {
        let version = Version::of(self.artifact(cx)?)?;
        // One that is there stays where it is.
        let live = cx.output(&Address::new("package", name), "folder").ok();
        let path = version.full(&live.unwrap_or_else(|| folder(&cx.scope, name)));
        Ok(Uploaded { path, wheel: self.wheel.is_some(), notebook: version.notebook })
    }

    fn artifact<'a>(&self, cx: &'a Cx) -> Result<&'a Artifact> {
        let none = || KindError::Unusable("a package needs a `wheel` or a `file`".into());
        cx.artifact(&self.build().ok_or_else(none)?)
    }
}

fn folder(scope: &Scope, name: &str) -> String {
    format!("{ROOT}/{}/{name}", scope.stack)
}

fn is_within(path: &Path) -> bool {
    path.components().all(|it| matches!(it, Component::Normal(_) | Component::CurDir))
        && path.components().any(|it| matches!(it, Component::Normal(_)))
}

fn unreadable(artifact: &Artifact, err: &std::io::Error) -> KindError {
    KindError::Unusable(format!("cannot read {}: {err}", artifact.path.display()))
}

async fn read_one(cx: &Cx, folder: &str) -> Result<Option<LivePackage>> {
    let found = Error::missing_is_none(cx.databricks.export(&format!("{folder}/{MARKER}")).await)?;
    let Some(marker) = found.map(|it| Marker::read(&it)) else { return Ok(None) };
    let content = match &marker.current {
        Some(it) => it.content(cx, folder).await?,
        None => None,
    };
    let workspace = cx.databricks.host().await?.to_owned();
    Ok(Some(LivePackage { folder: folder.to_owned(), workspace, marker, content }))
}

/// Removes older contents, but for the one that was in force until now: jobs still name it until they are updated.
async fn collect(cx: &Cx, before: &LivePackage, now: &Marker) -> Result<()> {
    let kept: Vec<&str> = [&before.marker.current, &now.current].into_iter().flatten().map(Version::hash).collect();
    let old = |it: &Object| it.is_folder() && !kept.contains(&it.name());
    let mut old: Vec<Object> = cx.databricks.folder(&before.folder).await?.into_iter().filter(old).collect();
    if old.is_empty() {
        return Ok(());
    }
    let usage = usage::of(cx, &before.folder).await?;
    old.retain(|it| !usage.names(&it.path));
    try_join_all(old.iter().map(|it| async { Error::missing_is_done(cx.databricks.delete_object(&it.path).await) }))
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests;
