//! An external schema of Amazon Redshift: a catalog's tables, as Redshift Spectrum reads them from the lake.
//!
//! It holds no data and no tables of its own: it says which database of Glue's Data Catalog stands behind a name, and by which
//! role S3 is read. Statements go through the Data API. A schema has no tags, so its comment says whose it is, behind what it
//! is for. Sources: CREATE, ALTER EXTERNAL SCHEMA, DROP SCHEMA, COMMENT, `SVV_EXTERNAL_SCHEMAS` in the Amazon Redshift
//! developer guide. Neither clusters nor workgroups are made here, and nobody is granted anything.

use std::collections::BTreeMap;

use futures::future::try_join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Catalog, Change, Cx, Desired, Field, Flaw, Identity, Objection, Outputs, Resource, Result, Role, Scope, Secret,
    catalog,
    model::mark::{self, Mark},
    touched,
};
use crate::{
    address::{Name, Ref},
    client::{
        Error,
        redshift::{self, Login, Row, Session},
    },
};

/// The kind of an external schema that a database of Glue stands behind (`eskind`).
const DATA_CATALOG: &str = "1";
/// Asks for schemas by name, whatever they are: what is no external schema keeps the name from one.
const READ: &str = "\
    SELECT n.nspname AS name, s.eskind AS kind, s.databasename AS source, s.esoptions AS options, d.description AS comment \
    FROM pg_namespace n LEFT JOIN svv_external_schemas s ON s.esoid = n.oid \
    LEFT JOIN pg_description d ON d.objoid = n.oid AND d.objsubid = 0 \
    AND d.classoid = (SELECT c.oid FROM pg_class c WHERE c.relname = 'pg_namespace') \
    WHERE n.nspname IN ";

/// A schema of Redshift over the tables of a catalog. Redshift reads those that have the format `manifest`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExternalSchema {
    /// The catalog whose tables it shows. Another one means that the schema is made anew, and grants on it are lost.
    pub catalog: Ref<Catalog>,
    /// What runs the queries: `{workgroup: name}` of Redshift Serverless, or `{cluster: identifier}`. It must be there.
    pub warehouse: Warehouse,
    /// The database within it. Default: `dev`.
    #[serde(default = "dev")]
    pub database: String,
    /// The name in queries, instead of `<stack>_<name>`. Cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The role by which Redshift reads catalog and lake; the cluster or the workgroup's namespace must be associated with it.
    /// Default: the warehouse's own default role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Ref<Role>>,
    /// As whom the schema is made and looked at: `{secret: name}` of this stack or `{secret_arn: …}` (JSON with `username` and
    /// `password`), or `{user: name}` of a cluster. Default: the database user that stands for the IAM identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// What runs queries.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Warehouse {
    /// A workgroup of Redshift Serverless, by its name.
    Workgroup(String),
    /// A provisioned cluster, by its identifier.
    Cluster(String),
}

/// As whom statements run.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Credentials {
    /// The user and the password in a secret of this stack.
    Secret(Ref<Secret>),
    /// The user and the password in a secret that others keep, by its ARN or name.
    SecretArn(String),
    /// A database user of a cluster, by a password that AWS makes for an hour.
    User(String),
}

/// A schema as the warehouse has it.
#[derive(Debug)]
pub struct LiveSchema {
    place: Place,
    session: Session,
    kind: Option<String>,
    source: Option<String>,
    role: Option<String>,
    comment: String,
}

/// What a physical name says: `workgroup/<name>/<database>/<schema>`, or `cluster/…`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    warehouse: redshift::Warehouse,
    database: String,
    schema: String,
}

fn dev() -> String {
    "dev".to_owned()
}

impl Resource for ExternalSchema {
    const FIELDS: &'static [(&'static str, Field)] = &[
        ("catalog", Field::Immutable),
        ("warehouse", Field::Immutable),
        ("database", Field::Immutable),
        ("name", Field::Defaulted),
        ("role", Field::Defaulted),
    ];
    const INTERRUPTS: &'static [(&'static str, &'static str)] =
        &[("catalog", "the schema is made anew: grant its readers their usage again")];
    const OUTPUTS: &'static [&'static str] = &["database", "name"];
    type Live = LiveSchema;

    fn physical_name(&self, scope: &Scope, name: &str) -> String {
        let schema = self.name.clone().unwrap_or_else(|| catalog::name_in(scope, name));
        let (sort, warehouse) = match &self.warehouse {
            Warehouse::Workgroup(it) => ("workgroup", it),
            Warehouse::Cluster(it) => ("cluster", it),
        };
        format!("{sort}/{warehouse}/{}/{schema}", self.database)
    }

    fn check(&self) -> Vec<Flaw> {
        let mut flaws: Vec<Flaw> = self.name.iter().flat_map(|it| name_flaws("/name", it)).collect();
        let (at, warehouse, lengths) = match &self.warehouse {
            Warehouse::Workgroup(it) => ("/warehouse/workgroup", it, 3..=63),
            Warehouse::Cluster(it) => ("/warehouse/cluster", it, 1..=63),
        };
        let fits = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-';
        if !lengths.contains(&warehouse.len()) || !warehouse.chars().all(fits) {
            let flaw = Flaw::new(at, format!("`{warehouse}` is no name of a cluster or a workgroup"));
            let (least, most) = (lengths.start(), lengths.end());
            flaws.push(
                flaw.help(format!("Redshift allows small letters, digits and hyphens, {least} to {most} of them")),
            );
        }
        let fits = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || "_$".contains(it);
        if !(1..=64).contains(&self.database.len()) || !self.database.chars().all(fits) {
            let flaw = Flaw::new("/database", format!("`{}` is no name of a database", self.database));
            flaws.push(flaw.help("Redshift allows small letters, digits, `_` and `$`, 64 at most"));
        }
        if let (Warehouse::Workgroup(_), Some(Credentials::User(_))) = (&self.warehouse, &self.credentials) {
            let flaw = Flaw::new("/credentials/user", "a workgroup of Redshift Serverless knows no `user`");
            flaws.push(
                flaw.help(
                    "name a `secret` or a `secret_arn`, or leave `credentials` out to be who the IAM identity is",
                ),
            );
        }
        // Whether a backslash in quotes stands for itself is a setting of the server.
        if self.description.as_ref().is_some_and(|it| it.contains('\\')) {
            let flaw = Flaw::new("/description", "a description in Redshift cannot hold a backslash");
            flaws.push(flaw.help("say it without"));
        }
        flaws
    }

    fn check_name(physical: &str) -> Vec<Flaw> {
        name_flaws("", physical.rsplit('/').next().unwrap_or_default())
    }

    fn desired(&self, cx: &Cx) -> Result<Desired> {
        let mut desired = Desired::of(self).without("credentials").without("description");
        desired = desired.with("catalog", self.source(cx)?);
        if let Some(it) = self.about() {
            desired = desired.with("description", it);
        }
        match &self.role {
            Some(it) => desired.with_result("role", cx.output(&it.address(), "arn")),
            None => Ok(desired),
        }
    }

    async fn read(cx: &Cx, names: &[Name]) -> Result<Vec<Option<LiveSchema>>> {
        let mut sessions: BTreeMap<Session, Vec<&str>> = BTreeMap::new();
        let places: Vec<Option<(Place, Session)>> = names.iter().map(|it| session(cx, it)).collect();
        for (place, session) in places.iter().flatten() {
            sessions.entry(session.clone()).or_default().push(&place.schema);
        }
        let asked = sessions.iter().map(|(session, schemas)| async move {
            let names = (0..schemas.len()).map(|it| format!(":n{it}")).collect::<Vec<_>>().join(", ");
            let values: Vec<_> = schemas.iter().enumerate().map(|(at, it)| (format!("n{at}"), *it)).collect();
            let found = cx.aws.redshift().rows(session, &format!("{READ}({names})"), &values).await;
            // Without its warehouse a schema is gone; without a secret that is only about to be made, it was never there.
            Ok::<_, Error>((session, Error::missing_is_none(found)?.unwrap_or_default()))
        });
        let found: BTreeMap<&Session, Vec<Row>> = try_join_all(asked).await?.into_iter().collect();
        let live = |it: &Option<(Place, Session)>| {
            let (place, session) = it.as_ref()?;
            let row = found.get(session)?.iter().find(|it| column(it, "name") == Some(&place.schema))?;
            let options: Value =
                column(row, "options").and_then(|it| serde_json::from_str(it).ok()).unwrap_or_default();
            Some(LiveSchema {
                place: place.clone(),
                session: session.clone(),
                kind: column(row, "kind").map(str::to_owned),
                source: column(row, "source").map(str::to_owned),
                role: options["IAM_ROLE"].as_str().map(str::to_owned),
                comment: column(row, "comment").unwrap_or_default().to_owned(),
            })
        };
        Ok(places.iter().map(live).collect())
    }

    fn observed(live: &LiveSchema) -> Value {
        let source = live.source.as_deref().unwrap_or_default();
        let catalog = match live.kind.as_deref() {
            Some(DATA_CATALOG) => source.to_owned(),
            Some(kind) => format!("{source} (not of Glue: kind {kind})"),
            None => "none: it is no external schema".to_owned(),
        };
        let warehouse = match &live.place.warehouse {
            redshift::Warehouse::Workgroup(it) => json!({ "workgroup": it }),
            redshift::Warehouse::Cluster(it) => json!({ "cluster": it }),
        };
        json!({
            "catalog": catalog,
            "warehouse": warehouse,
            "database": live.place.database,
            "name": live.place.schema,
            "role": live.role,
            "description": Some(Mark::words(&live.comment)).filter(|it| !it.is_empty()),
        })
    }

    /// The identifier says as whom the schema was looked at, for whoever no longer has its definition.
    fn identity(live: &LiveSchema) -> Identity {
        let id = match &live.session.login {
            Login::Identity => "identity".to_owned(),
            Login::User(it) => format!("user {it}"),
            Login::Secret(it) => format!("secret {it}"),
        };
        Identity { id: Some(id), ownership: mark::ownership(Mark::read(&live.comment)) }
    }

    fn outputs(live: &LiveSchema) -> Outputs {
        Outputs::from([("database", live.place.database.clone()), ("name", live.place.schema.clone())])
    }

    fn objections(&self, _cx: &Cx, _live: &LiveSchema, changes: &[Change]) -> Vec<Objection> {
        let object = |it: &Change| Objection {
            field: it.field.clone(),
            reason: "queries and reports name the schema".into(),
            help: "put it back, or define a second schema under another key, and this one away later".into(),
        };
        changes.iter().filter(|it| it.is("name")).map(object).collect()
    }

    /// The mark is the very next statement: one that both makes a schema and says whose it is there is not.
    async fn create(&self, cx: &Cx, name: &Name) -> Result<()> {
        let Some((place, session)) = session(cx, name) else { return Ok(()) };
        let (schema, source, role) = (quoted(&place.schema), literal(&self.source(cx)?), self.role(cx)?);
        let sql = format!("CREATE EXTERNAL SCHEMA {schema} FROM DATA CATALOG DATABASE {source} IAM_ROLE {role}");
        cx.aws.redshift().run(&session, &sql).await?;
        Ok(cx.aws.redshift().run(&session, &self.comment(&place, name)).await?)
    }

    async fn update(&self, cx: &Cx, name: &Name, live: &LiveSchema, changes: &[Change]) -> Result<()> {
        let touched = touched(changes);
        if touched.contains("tags") || touched.contains("description") {
            cx.aws.redshift().run(&live.session, &self.comment(&live.place, name)).await?;
        }
        if touched.contains("role") {
            let sql = format!("ALTER EXTERNAL SCHEMA {} IAM_ROLE {}", quoted(&live.place.schema), self.role(cx)?);
            cx.aws.redshift().run(&live.session, &sql).await?;
        }
        Ok(())
    }

    /// Without `CASCADE`: neither what others put into the schema nor Glue's database goes with it.
    async fn delete(cx: &Cx, _name: &Name, live: &LiveSchema) -> Result<()> {
        let sql = format!("DROP SCHEMA {}", quoted(&live.place.schema));
        Ok(Error::missing_is_done(cx.aws.redshift().run(&live.session, &sql).await)?)
    }
}

impl ExternalSchema {
    /// Returns the name of Glue's database.
    fn source(&self, cx: &Cx) -> Result<String> {
        Ok(cx.spec(&self.catalog)?.physical_name(&cx.scope, &self.catalog.name))
    }

    /// Writes the role as SQL does.
    fn role(&self, cx: &Cx) -> Result<String> {
        match &self.role {
            Some(it) => Ok(literal(&cx.output(&it.address(), "arn")?)),
            None => Ok("default".to_owned()),
        }
    }

    fn comment(&self, place: &Place, name: &Name) -> String {
        let mark = Mark::of(&name.owner).tail();
        let text = self.about().into_iter().chain([mark.as_str()]).collect::<Vec<_>>().join(" ");
        format!("COMMENT ON SCHEMA {} IS {}", quoted(&place.schema), literal(&text))
    }

    fn about(&self) -> Option<&str> {
        self.description.as_deref().map(str::trim).filter(|it| !it.is_empty())
    }

    fn login(&self, scope: &Scope) -> Login {
        match &self.credentials {
            None => Login::Identity,
            // The Data API takes a secret's name for its ARN.
            Some(Credentials::Secret(it)) => Login::Secret(scope.physical_of(it)),
            Some(Credentials::SecretArn(it)) => Login::Secret(it.clone()),
            Some(Credentials::User(it)) => Login::User(it.clone()),
        }
    }
}

impl Place {
    fn read(physical: &str) -> Option<Self> {
        let mut parts = physical.splitn(4, '/');
        let (sort, warehouse, database, schema) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let warehouse = match sort {
            "workgroup" => redshift::Warehouse::Workgroup(warehouse.to_owned()),
            _ => redshift::Warehouse::Cluster(warehouse.to_owned()),
        };
        Some(Self { warehouse, database: database.to_owned(), schema: schema.to_owned() })
    }
}

/// Says where a schema is asked for, and as whom: as the file says, else as its identifier does.
fn session(cx: &Cx, name: &Name) -> Option<(Place, Session)> {
    let place = Place::read(&name.physical)?;
    let defined = cx.specs.get(&name.owner.address).and_then(|it| ExternalSchema::deserialize(it).ok());
    let login = match (defined, name.id.as_deref().and_then(|it| it.split_once(' '))) {
        (Some(it), _) => it.login(&cx.scope),
        (None, Some(("user", it))) => Login::User(it.to_owned()),
        (None, Some(("secret", it))) => Login::Secret(it.to_owned()),
        (None, _) => Login::Identity,
    };
    let session = Session { warehouse: place.warehouse.clone(), database: place.database.clone(), login };
    Some((place, session))
}

fn column<'a>(row: &'a Row, name: &str) -> Option<&'a str> {
    row.get(name)?.as_deref()
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Says what is wrong with the name of a schema: what needs no quotes in queries is allowed ("Names and identifiers").
fn name_flaws(at: &str, name: &str) -> Vec<Flaw> {
    let fits = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_';
    let begins = name.starts_with(|it: char| it.is_ascii_lowercase() || it == '_') && !name.starts_with("pg_");
    if begins && name.len() <= 127 && name.chars().all(fits) {
        return Vec::new();
    }
    let flaw = Flaw::new(at, format!("`{name}` is no name for a schema of Redshift"));
    vec![flaw.help("it has small letters, digits and underscores, begins with a letter, and not with `pg_`")]
}

#[cfg(test)]
mod tests;
