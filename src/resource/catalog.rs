//! A database of Glue's Data Catalog: what Athena calls a schema. It holds what is known of tables, and no data.
//!
//! Whose it is stands in its parameters, not in tags: one `GetDatabases` shows everything of all of them, and tables,
//! which Glue cannot tag, say it in the same way.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Change, Cx, Desired, Error as KindError, Field, Flaw, Identity, Objection, Outputs, Resource, Result, Scope, Tags,
};
use crate::{
    address::Name,
    client::{Error, glue::Database},
};

/// A database of Glue's Data Catalog. It is named `<stack>_<name>`, so that stacks can share an account.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Catalog {
    /// The name in queries, instead of `<stack>_<name>`. Cannot be changed. Another stack of the account must not use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the tables in it are about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A database as Glue has it.
#[derive(Debug)]
pub struct LiveCatalog {
    database: Database,
    arn: String,
}

impl LiveCatalog {
    /// The name in queries.
    pub fn name(&self) -> &str {
        &self.database.name
    }
}

impl Resource for Catalog {
    const FIELDS: &'static [(&'static str, Field)] = &[("name", Field::Defaulted)];
    const OUTPUTS: &'static [&'static str] = &["arn", "name"];
    type Live = LiveCatalog;

    fn physical_name(&self, scope: &Scope, name: &str) -> String {
        self.name.clone().unwrap_or_else(|| name_in(scope, name))
    }

    fn check(&self) -> Vec<Flaw> {
        self.name.iter().flat_map(|it| flaws("/name", it)).collect()
    }

    fn check_name(physical: &str) -> Vec<Flaw> {
        flaws("", physical)
    }

    fn desired(&self, _cx: &Cx) -> Result<Desired> {
        Ok(Desired::of(self))
    }

    async fn read(cx: &Cx, names: &[Name]) -> Result<Vec<Option<LiveCatalog>>> {
        let mut found = cx.aws.glue().databases().await?;
        let live = |name: &Name| {
            let at = found.iter().position(|it| it.name == name.physical)?;
            let database = found.swap_remove(at);
            Some(LiveCatalog { arn: arn(&cx.scope, &format!("database/{}", database.name)), database })
        };
        Ok(names.iter().map(live).collect())
    }

    async fn candidates(cx: &Cx) -> Result<Vec<String>> {
        Ok(cx.aws.glue().databases().await?.into_iter().map(|it| it.name).collect())
    }

    fn observed(live: &LiveCatalog) -> Value {
        json!({
            "name": live.name(),
            "description": live.database.description.as_deref().filter(|it| !it.is_empty()),
        })
    }

    fn identity(live: &LiveCatalog) -> Identity {
        let owner: Tags = live.database.parameters.clone().into_iter().collect();
        Identity { id: Some(live.arn.clone()), ownership: owner.ownership() }
    }

    fn outputs(live: &LiveCatalog) -> Outputs {
        Outputs::from([("arn", live.arn.clone()), ("name", live.database.name.clone())])
    }

    fn objections(&self, _cx: &Cx, _live: &LiveCatalog, changes: &[Change]) -> Vec<Objection> {
        let object = |it: &Change| Objection {
            field: it.field.clone(),
            reason: "Glue cannot rename a database, and queries name it".into(),
            help: "put it back, or define a second catalog under another key and move the tables there".into(),
        };
        changes.iter().filter(|it| it.is("name")).map(object).collect()
    }

    async fn create(&self, cx: &Cx, name: &Name) -> Result<()> {
        let owner = name.owner.tags().map(|(key, value)| (key.to_owned(), value));
        let database = Database {
            name: name.physical.clone(),
            description: self.description.clone(),
            parameters: owner.into(),
            ..Database::default()
        };
        Ok(cx.aws.glue().create_database(&database).await?)
    }

    async fn update(&self, cx: &Cx, name: &Name, live: &LiveCatalog, _changes: &[Change]) -> Result<()> {
        let mut database = live.database.clone();
        // What is left out of the request may stand; an empty text is none.
        database.description = Some(self.description.clone().unwrap_or_default());
        database.parameters.extend(name.owner.tags().map(|(key, value)| (key.to_owned(), value)));
        Ok(cx.aws.glue().update_database(&database).await?)
    }

    /// Glue would delete the tables of others with it, so it must be empty.
    async fn delete(cx: &Cx, _name: &Name, live: &LiveCatalog) -> Result<()> {
        let database = live.name();
        let tables = Error::missing_is_none(cx.aws.glue().tables(database).await)?.unwrap_or_default();
        if !tables.is_empty() {
            let names: Vec<_> = tables.iter().map(|it| it.name.as_str()).collect();
            return Err(KindError::Refused {
                message: format!("the catalog {database} still holds tables: {}", names.join(", ")),
                help: "somebody else made them: drop them, or keep the catalog; no data is lost by dropping them"
                    .into(),
            });
        }
        Ok(Error::missing_is_done(cx.aws.glue().delete_database(database).await)?)
    }
}

/// Returns the usual name of a database of this stack.
pub(super) fn name_in(scope: &Scope, name: &str) -> String {
    usual_name(&scope.stack, name)
}

/// Returns the usual name of a database of a stack. Hive's names, which Athena follows, have no hyphens.
pub(super) fn usual_name(stack: &str, name: &str) -> String {
    format!("{stack}_{name}").replace('-', "_").to_lowercase()
}

/// Returns the ARN of something in the Data Catalog.
pub(super) fn arn(scope: &Scope, resource: &str) -> String {
    format!("arn:{}:glue:{}:{}:{resource}", scope.partition(), scope.region, scope.account)
}

/// Says what is wrong with the name of a database, a table or a column: Athena knows small letters, digits and
/// underscores only ("Name databases, tables, and columns" in its user guide).
pub(super) fn flaws(at: &str, name: &str) -> Vec<Flaw> {
    let fits = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_';
    if (1..=255).contains(&name.len()) && name.chars().all(fits) {
        return Vec::new();
    }
    let flaw = Flaw::new(at, format!("`{name}` is no name for Athena"));
    vec![flaw.help("it allows small letters, digits and underscores")]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::{Cause, Ownership, testing};

    fn spec(spec: Value) -> Catalog {
        serde_json::from_value(spec).expect("a spec")
    }

    #[test]
    fn stacks_share_an_account_unless_a_name_is_given() {
        let scope = Scope { stack: "pr-7".into(), account: "0".into(), region: "eu-west-1".into() };
        assert_eq!(spec(json!({})).physical_name(&scope, "gold"), "pr_7_gold");
        let named = spec(json!({ "name": "gold" }));
        assert_eq!(named.physical_name(&scope, "gold"), "gold");
        assert_eq!(spec(json!({ "name": "Gold-1" })).check()[0].at, "/name");
    }

    #[test]
    fn its_owner_is_among_its_parameters() {
        let database = |parameters: Value| LiveCatalog {
            database: serde_json::from_value(json!({ "Name": "gold", "Parameters": parameters })).expect("a database"),
            arn: "arn".into(),
        };
        let foreign = database(json!({ "team": "data" }));
        assert_eq!(Catalog::identity(&foreign).ownership, Ownership::Foreign);
        let own = database(json!({ "ecomctl:stack": "s", "ecomctl:address": "catalog.gold", "ecomctl:nonce": "1" }));
        assert!(matches!(Catalog::identity(&own).ownership, Ownership::Tagged(it) if it.stack == "s"));
    }

    #[test]
    fn a_name_stays() {
        let change = Change {
            field: "name".into(),
            from: json!("gold"),
            to: json!("golden"),
            cause: Cause::Edit,
            waits_for: None,
        };
        let live = LiveCatalog { database: Database::default(), arn: String::new() };
        assert_eq!(spec(json!({ "name": "golden" })).objections(&testing::cx(), &live, &[change]).len(), 1);
    }
}
