//! A secret scope of the Databricks workspace: values that jobs read, each put there from where it is kept.
//!
//! A scope has no tags, and its values cannot be listed, but its keys can. So what must be known is written into the names
//! of two sorts of key of our own: one says whose the scope is, and one beside each value says which version of it was
//! put. A value that somebody puts by hand is younger than the key beside it, and shows as drift.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::{try_join, try_join_all};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Change, Cx, Database, Desired, Error as KindError, Field, Flaw, Identity, Outputs, Resource, Result, Secret, Tags,
    touched,
};
use crate::{
    address::{Name, Ref},
    client::{
        Error,
        databricks::secrets::{Acl, Key, SecretText},
    },
};

mod mark;
mod source;

use mark::Mark;
pub use source::Source;

/// The longest a key may be, so that the key that tells its version fits into Databricks' 128 characters.
const LONGEST: usize = 60;

/// A set of secret values that jobs may read. The values are read where they are kept when the stack is deployed; plans,
/// state and logs hold only their versions.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretScope {
    /// Where the value of each key comes from: `{secret: name}`, `{database: name}` or `{env: NAME}`.
    pub keys: BTreeMap<String, Source>,
    /// Who may read the values, beside who manages the scope: users, groups, or service principals by their application's
    /// identifiers.
    #[serde(default)]
    pub readers: Vec<String>,
    /// Who may put values besides.
    #[serde(default)]
    pub writers: Vec<String>,
    /// Who may manage the scope, beside whoever made it. Taken back only from whom this list named before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub managers: Vec<String>,
}

/// A scope as the workspace has it: without its values.
#[derive(Debug)]
pub struct LiveScope {
    name: String,
    keys: Vec<Key>,
    acls: Vec<Acl>,
}

impl Resource for SecretScope {
    const FIELDS: &'static [(&'static str, Field)] = &[
        // What others put into the scope stays theirs.
        ("keys", Field::Defaulted),
        ("readers", Field::Unordered),
        ("writers", Field::Unordered),
        ("managers", Field::Defaulted),
        ("tags", Field::Defaulted),
    ];
    const TAGGED_LATE: bool = true;
    const OUTPUTS: &'static [&'static str] = &["name"];
    type Live = LiveScope;

    fn check(&self) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        for (key, source) in &self.keys {
            let at = format!("/keys/{}", key.replace('~', "~0").replace('/', "~1"));
            let fits = |it: char| it.is_ascii_alphanumeric() || "-_.".contains(it);
            if key.is_empty() || key.len() > LONGEST || !key.chars().all(fits) || Mark::read(key).is_some() {
                let flaw = Flaw::new(&at, format!("`{key}` cannot be a key"));
                flaws.push(flaw.help(format!("use letters, digits, `-`, `_` and `.`, at most {LONGEST} of them")));
            }
            if let Source::Env(name) = source
                && (name.is_empty() || name.contains('='))
            {
                flaws.push(Flaw::new(format!("{at}/env"), format!("`{name}` is no name of an environment variable")));
            }
        }
        let mut seen = BTreeMap::new();
        for (field, them) in [("readers", &self.readers), ("writers", &self.writers), ("managers", &self.managers)] {
            for (i, it) in them.iter().enumerate() {
                let at = format!("/{field}/{i}");
                match seen.insert(it, field) {
                    _ if it.is_empty() => flaws.push(Flaw::new(at, "a name must not be empty")),
                    Some(first) => {
                        let flaw = Flaw::new(at, format!("`{it}` stands among the {first} already"));
                        flaws.push(flaw.help("each of the three levels holds those before it: name everybody once"));
                    }
                    None => (),
                }
            }
        }
        flaws
    }

    fn check_name(physical: &str) -> Vec<Flaw> {
        match physical.len() {
            129.. => vec![Flaw::new("", "Databricks allows 128 characters for the name of a scope")],
            _ => Vec::new(),
        }
    }

    fn desired(&self, cx: &Cx) -> Result<Desired> {
        let managers: BTreeMap<&String, bool> = self.managers.iter().map(|it| (it, true)).collect();
        let sorted = |them: &[String]| json!(them.iter().collect::<BTreeSet<_>>());
        let desired = Desired::of(self).with("managers", json!(managers));
        let desired = desired.with("readers", sorted(&self.readers)).with("writers", sorted(&self.writers));
        desired.with_result("keys", self.versions(cx).map(|it| json!(it)))
    }

    async fn read(cx: &Cx, names: &[Name]) -> Result<Vec<Option<LiveScope>>> {
        let there: BTreeSet<String> = cx.databricks.secret_scopes().await?.into_iter().map(|it| it.name).collect();
        let reads = names.iter().map(|it| async {
            match there.contains(&it.physical) {
                true => read_one(cx, &it.physical).await,
                false => Ok(None),
            }
        });
        try_join_all(reads).await
    }

    async fn candidates(cx: &Cx) -> Result<Vec<String>> {
        let listed = cx.databricks.secret_scopes().await?;
        Ok(listed.into_iter().map(|it| it.name).filter(|it| cx.scope.may_have(it)).collect())
    }

    fn observed(live: &LiveScope) -> Value {
        let who = |level: &str| -> BTreeSet<&str> {
            live.acls.iter().filter(|it| it.permission == level).map(|it| it.principal.as_str()).collect()
        };
        let managers: BTreeMap<&str, bool> = who("MANAGE").into_iter().map(|it| (it, true)).collect();
        json!({ "keys": live.versions(), "readers": who("READ"), "writers": who("WRITE"), "managers": managers })
    }

    fn identity(live: &LiveScope) -> Identity {
        Identity { id: Some(live.name.clone()), ownership: live.owner().ownership() }
    }

    fn outputs(live: &LiveScope) -> Outputs {
        Outputs::from([("name", live.name.clone())])
    }

    /// Leaves everything but whose it is to the first update.
    async fn create(&self, cx: &Cx, name: &Name) -> Result<()> {
        cx.databricks.create_secret_scope(&name.physical).await?;
        put_owner(cx, name).await
    }

    async fn update(&self, cx: &Cx, name: &Name, live: &LiveScope, changes: &[Change]) -> Result<()> {
        let touched = touched(changes);
        if touched.contains("tags") || live.owner() == Tags::default() {
            // Nobody's as yet, and adopted by whoever asks for this; or ours under another address. The new key comes first.
            put_owner(cx, name).await?;
            let mark = Mark::Owner(name.owner.clone()).to_string();
            let is_old = |it: &str| it != mark && matches!(Mark::read(it), Some(Mark::Owner(_)));
            try_join_all(live.keys.iter().filter(|it| is_old(&it.key)).map(|it| drop_key(cx, live, &it.key))).await?;
        }
        if touched.contains("keys") {
            let (wanted, there) = (self.versions(cx)?, live.versions());
            for (key, version) in wanted.iter().filter(|(key, version)| there.get(key.as_str()) != Some(version)) {
                self.put(cx, live, key, version).await?;
            }
            let dropped = changes.iter().filter(|it| it.to.is_null() && it.waits_for.is_none());
            for key in dropped.filter_map(|it| it.field.strip_prefix("keys.")) {
                remove(cx, live, key).await?;
            }
        }
        if ["readers", "writers", "managers"].iter().any(|it| touched.contains(it)) {
            self.put_acls(cx, live, changes).await?;
        }
        Ok(())
    }

    async fn delete(cx: &Cx, name: &Name, live: &LiveScope) -> Result<()> {
        let ours = live.versions();
        let foreign = live.keys.iter().filter(|it| Mark::read(&it.key).is_none() && !ours.contains_key(&*it.key));
        let foreign: Vec<&str> = foreign.map(|it| it.key.as_str()).filter(|it| !live.was_ours(it)).collect();
        if !foreign.is_empty() {
            return Err(KindError::Refused {
                message: format!(
                    "the scope {} holds what somebody else put there: {}",
                    name.physical,
                    foreign.join(", ")
                ),
                help: "delete these keys, or move them; nothing else has a copy of them".to_owned(),
            });
        }
        Ok(Error::missing_is_done(cx.databricks.delete_secret_scope(&live.name).await)?)
    }
}

impl LiveScope {
    /// The versions of the values that were put, by key; without what somebody put by hand since.
    fn versions(&self) -> BTreeMap<&str, String> {
        let mut versions = BTreeMap::new();
        for mark in &self.keys {
            if let Some(Mark::Version { of, version }) = Mark::read(&mark.key)
                && let Some(value) = self.keys.iter().find(|it| it.key == of)
                && value.last_updated_timestamp <= mark.last_updated_timestamp
            {
                versions.insert(value.key.as_str(), version);
            }
        }
        versions
    }

    /// Whether a value of this key was ever put by us.
    fn was_ours(&self, key: &str) -> bool {
        self.keys.iter().any(|it| matches!(Mark::read(&it.key), Some(Mark::Version { of, .. }) if of == key))
    }

    /// Whose it is, as tags would say.
    fn owner(&self) -> Tags {
        let marks = self.keys.iter().filter_map(|it| Mark::read(&it.key));
        let owner = marks.filter_map(|it| match it {
            Mark::Owner(it) => Some(it),
            Mark::Version { .. } => None,
        });
        owner.flat_map(|it| it.tags().map(|(key, value)| (key.to_owned(), value))).collect()
    }
}

impl SecretScope {
    /// Returns which version of each value is wanted.
    fn versions(&self, cx: &Cx) -> Result<BTreeMap<String, String>> {
        self.keys.iter().map(|(key, source)| Ok((key.clone(), source.version(cx)?))).collect()
    }

    /// Puts a value, and then the key that tells its version: cut short in between, it shows as still to do.
    async fn put(&self, cx: &Cx, live: &LiveScope, key: &str, version: &str) -> Result<()> {
        let value = self.keys[key].value(cx, version).await?;
        cx.databricks.put_secret(&live.name, key, &value).await?;
        let mark = Mark::Version { of: key.to_owned(), version: version.to_owned() }.to_string();
        cx.databricks.put_secret(&live.name, &mark, &SecretText::new(&mark)).await?;
        let old = live
            .keys
            .iter()
            .filter(|it| it.key != mark && matches!(Mark::read(&it.key), Some(Mark::Version { of, .. }) if of == key));
        try_join_all(old.map(|it| drop_key(cx, live, &it.key))).await?;
        Ok(())
    }

    async fn put_acls(&self, cx: &Cx, live: &LiveScope, changes: &[Change]) -> Result<()> {
        let levels = [("READ", &self.readers), ("WRITE", &self.writers), ("MANAGE", &self.managers)];
        let mut wanted = BTreeMap::new();
        for (level, them) in levels {
            wanted.extend(them.iter().map(|it| (it.as_str(), level)));
        }
        let there = |who: &str| live.acls.iter().find(|it| it.principal == who).map(|it| it.permission.as_str());
        for (principal, permission) in wanted.iter().filter(|(who, level)| there(who) != Some(**level)) {
            let acl = Acl { principal: (*principal).to_owned(), permission: (*permission).to_owned() };
            cx.databricks.put_secret_acl(&live.name, &acl).await?;
        }
        let dismissed: BTreeSet<&str> =
            changes.iter().filter(|it| it.to.is_null()).filter_map(|it| it.field.strip_prefix("managers.")).collect();
        let gone = live.acls.iter().filter(|it| {
            let kept = it.permission == "MANAGE" && !dismissed.contains(it.principal.as_str());
            !kept && !wanted.contains_key(it.principal.as_str())
        });
        for it in gone {
            Error::missing_is_done(cx.databricks.delete_secret_acl(&live.name, &it.principal).await)?;
        }
        Ok(())
    }
}

async fn put_owner(cx: &Cx, name: &Name) -> Result<()> {
    let mark = Mark::Owner(name.owner.clone()).to_string();
    // Databricks masks values wherever they are printed: it is no word that anybody prints.
    Ok(cx.databricks.put_secret(&name.physical, &mark, &SecretText::new(&mark)).await?)
}

async fn remove(cx: &Cx, live: &LiveScope, key: &str) -> Result<()> {
    let marks =
        live.keys.iter().filter(|it| matches!(Mark::read(&it.key), Some(Mark::Version { of, .. }) if of == key));
    // The value goes first: without it, what tells its version tells nothing.
    drop_key(cx, live, key).await?;
    for it in marks {
        drop_key(cx, live, &it.key).await?;
    }
    Ok(())
}

async fn drop_key(cx: &Cx, live: &LiveScope, key: &str) -> Result<()> {
    Ok(Error::missing_is_done(cx.databricks.delete_secret(&live.name, key).await)?)
}

async fn read_one(cx: &Cx, scope: &str) -> Result<Option<LiveScope>> {
    let found = try_join(cx.databricks.secret_keys(scope), cx.databricks.secret_acls(scope)).await;
    let name = scope.to_owned();
    Ok(Error::missing_is_none(found)?.map(|(keys, acls)| LiveScope { name, keys, acls }))
}

#[cfg(test)]
mod tests;
