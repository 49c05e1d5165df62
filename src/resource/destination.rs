//! A notification destination of the Databricks workspace: a web address that jobs call when their runs begin or end.
//!
//! The workspace shows of it an identifier and a name, and nothing of what is called or with which password. So the name says
//! whose it is, and holds a hash of what was put. What somebody enters by hand in the address or the password is not seen.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    Change, Cx, Desired, Error as KindError, Field, Flaw, Function, Identity, Outputs, Ownership, Resource, Result,
    Secret, function::Url, secret_scope::Source, touched,
};
use crate::{
    address::{Name, Ref},
    client::{
        Error, Reason,
        databricks::{self, destinations::Webhook},
    },
};

mod mark;

use mark::Mark;

/// A web address that jobs of the workspace call: that of a function of this stack. Whoever deploys it must be an administrator
/// of the workspace.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Destination {
    /// The function that is called, at its `url`, which must be open to `anybody`: Databricks can sign nothing.
    pub function: Ref<Function>,
    /// The user name that it is called with. Default: `databricks`.
    #[serde(default = "databricks")]
    pub username: String,
    /// The secret with the password that it is called with; the function must look for it. It is read when the stack is deployed;
    /// plans, state and logs hold only its version.
    pub password: Ref<Secret>,
}

fn databricks() -> String {
    "databricks".to_owned()
}

/// A destination as the workspace has it.
#[derive(Debug)]
pub struct LiveDestination {
    id: String,
    mark: Option<Mark>,
    /// Others that carry the same owner.
    twins: Vec<String>,
}

impl Resource for Destination {
    const FIELDS: &'static [(&'static str, Field)] = &[
        ("function", Field::WriteOnly),
        ("username", Field::WriteOnly),
        ("password", Field::WriteOnly),
        ("tags", Field::Defaulted),
    ];
    const OUTPUTS: &'static [&'static str] = &["id"];
    type Live = LiveDestination;

    fn check(&self) -> Vec<Flaw> {
        match self.username.is_empty() || self.username.contains(':') {
            true => vec![Flaw::new("/username", format!("`{}` is no user name", self.username)).help("without a `:`")],
            false => Vec::new(),
        }
    }

    fn desired(&self, cx: &Cx) -> Result<Desired> {
        if cx.spec(&self.function)?.url != Some(Url::Anybody) {
            return Err(KindError::Refused {
                message: format!("Databricks cannot call {}", self.function.address()),
                help: "give the function `url: anybody`, and let it ask for the password".to_owned(),
            });
        }
        Desired::of(self).with_result("version", self.version(cx))
    }

    async fn read(cx: &Cx, names: &[Name]) -> Result<Vec<Option<LiveDestination>>> {
        let all = cx.databricks.destinations().await?;
        Ok(names.iter().map(|it| find(&all, it)).collect())
    }

    async fn candidates(cx: &Cx) -> Result<Vec<String>> {
        let all = cx.databricks.destinations().await?;
        let names = all.iter().map(|it| Mark::split(&it.display_name).0);
        Ok(names.filter(|it| cx.scope.may_have(it)).map(str::to_owned).collect())
    }

    fn observed(live: &LiveDestination) -> Value {
        let version = live.mark.as_ref().and_then(|it| it.version.as_deref());
        json!({ "version": version, "duplicates": live.twins })
    }

    fn identity(live: &LiveDestination) -> Identity {
        let ownership = live.mark.as_ref().map_or(Ownership::Foreign, |it| Ownership::Tagged(it.owner.clone()));
        Identity { id: Some(live.id.clone()), ownership }
    }

    fn outputs(live: &LiveDestination) -> Outputs {
        Outputs::from([("id", live.id.clone())])
    }

    async fn create(&self, cx: &Cx, name: &Name) -> Result<()> {
        let (webhook, version) = self.webhook(cx).await?;
        let made = cx.databricks.create_destination(&titled(name, version), &webhook).await;
        made.map(drop).map_err(administered)
    }

    async fn update(&self, cx: &Cx, name: &Name, live: &LiveDestination, changes: &[Change]) -> Result<()> {
        let mut touched = touched(changes);
        if touched.remove("duplicates") {
            for it in &live.twins {
                drop_one(cx, it).await?;
            }
        }
        if touched.is_empty() {
            return Ok(());
        }
        let (webhook, version) = self.webhook(cx).await?;
        cx.databricks.update_destination(&live.id, &titled(name, version), &webhook).await.map_err(administered)
    }

    async fn delete(cx: &Cx, _name: &Name, live: &LiveDestination) -> Result<()> {
        for it in live.twins.iter().chain([&live.id]) {
            drop_one(cx, it).await?;
        }
        Ok(())
    }
}

impl Destination {
    fn url(&self, cx: &Cx) -> Result<String> {
        // A function that is there already gets its address in this very run.
        cx.output(&self.function.address(), "url").map_err(|_| KindError::NotReady(self.function.address()))
    }

    fn source(&self) -> Source {
        Source::Secret(self.password.clone())
    }

    /// Returns a hash of all that is put; that of the password is the hash of its version.
    fn version(&self, cx: &Cx) -> Result<String> {
        let whole = format!("{}\n{}\n{}", self.url(cx)?, self.username, self.source().version(cx)?);
        Ok(Sha256::digest(whole).iter().take(8).map(|it| format!("{it:02x}")).collect())
    }

    async fn webhook(&self, cx: &Cx) -> Result<(Webhook, String)> {
        let version = self.version(cx)?;
        let password = self.source().value(cx, &self.source().version(cx)?).await?;
        Ok((Webhook { url: self.url(cx)?, username: self.username.clone(), password }, version))
    }
}

/// Finds one by its identifier, else by its name; one that carries the owner before one that does not.
fn find(all: &[databricks::destinations::Destination], name: &Name) -> Option<LiveDestination> {
    let read = |it: &databricks::destinations::Destination| Mark::split(&it.display_name).1;
    let is_ours = |it: &databricks::destinations::Destination| {
        read(it).is_some_and(|it| it.owner.stack == name.owner.stack && it.owner.address == name.owner.address)
    };
    let known = all.iter().find(|it| name.id.as_deref() == Some(it.id.as_str()));
    let named = || all.iter().filter(|it| Mark::split(&it.display_name).0 == name.physical);
    let found = known.or_else(|| named().find(|it| is_ours(it))).or_else(|| named().next())?;
    let twins = named().filter(|it| is_ours(found) && is_ours(it) && it.id != found.id);
    Some(LiveDestination { id: found.id.clone(), mark: read(found), twins: twins.map(|it| it.id.clone()).collect() })
}

fn titled(name: &Name, version: String) -> String {
    Mark { owner: name.owner.clone(), version: Some(version) }.title(&name.physical)
}

async fn drop_one(cx: &Cx, id: &str) -> Result<()> {
    Error::missing_is_done(cx.databricks.delete_destination(id).await).map_err(administered)
}

/// Says what to do where the workspace lets only administrators do this.
fn administered(err: Error) -> KindError {
    match err.reason {
        Reason::Denied => KindError::Refused {
            message: format!("only an administrator of the workspace may change what jobs call: {err}"),
            help: "deploy as one; or set the destination and the `webhook_notifications` of jobs to null in the stack's file: \
                   the watcher then sees runs a minute later"
                .to_owned(),
        },
        _ => err.into(),
    }
}

#[cfg(test)]
mod tests;
