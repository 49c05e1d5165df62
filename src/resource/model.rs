//! A semantic model of Power BI: tables over the lake, and the figures, published to a workspace of Fabric.
//!
//! It is made of two files, that of the figures, which the dashboard reads too, and that of the layout, and of the columns
//! that the tables' contract promises. What the workspace has is compared with that by meaning, table by table and measure
//! by measure, for the service writes definitions in its own way. Items carry no tags; whose a model is, and which data
//! were loaded, stands in its description.

use std::{collections::BTreeMap, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Change, Cx, Desired, Error as KindError, Field, Flaw, Identity, Objection, Outputs, Phase, Resource, Result, Scope,
    Table, touched,
};
use crate::{
    address::{Address, Kinded, Name, Ref},
    client::{
        Error,
        fabric::{Details, Loading, Parts, Sort},
    },
    template::Templates,
};

mod check;
mod design;
mod lake;
mod live;
pub(super) mod mark;
pub(crate) mod project;
mod read;
mod tmdl;

pub(crate) use design::{Design, design, read_spec};
pub use live::LiveModel;
pub(super) use live::{find, received};
use mark::Mark;

/// What stands for the data of a model that is refreshed by others.
const UNREFRESHED: &str = "unrefreshed";
/// Who loads them then.
const OTHERS: &str = "by others";

/// A semantic model: tables of the lake and the figures over them, as Power BI's reports ask for them.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The workspace of Fabric that it is published to: the GUID in the workspace's address. Cannot be changed. The
    /// service principal must be a member of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// The file below `templates/` that says which tables it has, how they are joined, and the pages of its reports. It names
    /// the file of the figures. Default: `powerbi/sales.toml`.
    #[serde(default = "usual")]
    pub layout: String,
    /// The tables of the lake that the file may use.
    pub tables: Vec<Ref<Table>>,
    /// Where Power BI asks for the rows: `athena` or `redshift`.
    pub source: Source,
    /// Whether rows are copied into the model by refreshes (`import`), or asked for each time (`direct_query`). Default:
    /// `import`.
    #[serde(default)]
    pub mode: Mode,
    /// The connection of Fabric through which the service reaches the source: its GUID. Left out, what is bound stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// Whether a changed model is refreshed at once, and the refresh awaited. Default: `true`.
    #[serde(default = "yes")]
    pub refresh: bool,
}

/// Where Power BI asks for the rows.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Source {
    /// Athena, by its ODBC driver: a gateway stands between the service and AWS.
    Athena(Athena),
    /// Redshift, whose external schema lists the same tables.
    Redshift(Redshift),
}

/// Athena as the gateway's machine knows it.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Athena {
    /// The system DSN on the gateway's machine. Default: `ecomctl`.
    #[serde(default = "dsn")]
    pub dsn: String,
    /// Athena's data catalog. Default: `AwsDataCatalog`.
    #[serde(default = "catalog")]
    pub catalog: String,
}

/// A cluster or workgroup of Redshift.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Redshift {
    /// Host and port, such as `sales.123456789012.eu-central-1.redshift-serverless.amazonaws.com:5439`.
    pub server: String,
    /// The database.
    pub database: String,
    /// The external schema over the gold tables, as the kind `external_schema` makes one, over tables of the format `manifest`.
    pub schema: String,
}

/// How rows come into a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Copied by refreshes.
    #[default]
    Import,
    /// Asked for each time.
    DirectQuery,
}

fn usual() -> String {
    "powerbi/sales.toml".to_owned()
}

fn dsn() -> String {
    "ecomctl".to_owned()
}

fn catalog() -> String {
    "AwsDataCatalog".to_owned()
}

const fn yes() -> bool {
    true
}

/// A file of a definition or a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// With slashes.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Part {
    pub(crate) fn new(path: impl Into<String>, text: String) -> Self {
        Self { path: path.into(), text }
    }

    pub(crate) fn json(path: impl Into<String>, it: &impl Serialize) -> Self {
        // Plain data with string keys, which always serialize.
        let text = serde_json::to_string_pretty(it).unwrap_or_default() + "\n";
        Self::new(path, text)
    }

    /// Whether its name ends with this, behind a dot.
    pub(crate) fn is(&self, extension: &str) -> bool {
        std::path::Path::new(&self.path).extension().is_some_and(|it| it == extension)
    }

    fn below(self, folder: &str) -> Self {
        Self { path: format!("{folder}/{}", self.path), ..self }
    }
}

/// Makes of parts what the client sends.
pub(crate) fn sent(parts: Vec<Part>) -> Parts {
    parts.into_iter().map(|it| (it.path, it.text.into_bytes())).collect()
}

/// What a model is made from: what the stack says, and files of the project.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ground<'a> {
    pub(crate) specs: &'a BTreeMap<Address, Value>,
    pub(crate) templates: &'a Templates,
    pub(crate) scope: &'a Scope,
}

impl<'a> Ground<'a> {
    pub(crate) fn of(cx: &'a Cx) -> Self {
        Self { specs: &cx.specs, templates: &cx.templates, scope: &cx.scope }
    }

    fn spec<K: Kinded + serde::de::DeserializeOwned>(&self, of: &Ref<K>) -> Result<K> {
        self.read(&of.address())
    }

    /// Reads what the stack says of one resource.
    pub(crate) fn read<T: serde::de::DeserializeOwned>(&self, address: &Address) -> Result<T> {
        let spec = self.specs.get(address).ok_or_else(|| KindError::NotReady(address.clone()))?;
        read_spec(spec).map_err(|err| KindError::Unusable(format!("the spec of {address} cannot be read: {err}")))
    }
}

impl Resource for Model {
    const FIELDS: &'static [(&'static str, Field)] = &[("connection", Field::Defaulted)];
    const LISTED: bool = false;
    const OUTPUTS: &'static [&'static str] = &["data", "id", "name", "workspace"];
    // As long as the service itself lets a refresh of a small model take.
    const PATIENCE: Duration = Duration::from_hours(2);
    const RENAMES: bool = true;
    type Live = LiveModel;

    fn physical_name(&self, scope: &Scope, name: &str) -> String {
        physical(self.workspace.as_deref(), scope, name)
    }

    fn check(&self) -> Vec<Flaw> {
        let mut flaws = workspace_flaws("model", self.workspace.as_deref());
        flaws.extend(self.source.flaws());
        if let Some(i) =
            (0..self.tables.len()).find(|i| self.tables[..*i].iter().any(|it| it.name == self.tables[*i].name))
        {
            flaws
                .push(Flaw::new(format!("/tables/{i}"), format!("table `{}` stands there twice", self.tables[i].name)));
        }
        if self.tables.is_empty() {
            flaws.push(Flaw::new("/tables", "a model needs tables").help("name tables of the stack: `[daily_sales]`"));
        }
        if let Some(it) = self.connection.as_deref().filter(|it| !is_guid(it)) {
            let flaw = Flaw::new("/connection", format!("`{it}` is no GUID"));
            flaws.push(flaw.help("Fabric shows it in the settings of a connection, as its identifier"));
        }
        flaws
    }

    fn desired(&self, cx: &Cx) -> Result<Desired> {
        let parts = tmdl::parts(&self.design(cx, "model")?);
        let mut definition = read::shown(&parts);
        definition["data"] = self.data(&parts).into();
        definition["loaded"] = if self.refresh { true.into() } else { OTHERS.into() };
        let workspace = self.workspace.clone().unwrap_or_default();
        let mut desired = Desired::default().with("workspace", workspace).with("definition", definition);
        if let Some(it) = &self.connection {
            desired = desired.with("connection", it.to_lowercase());
        }
        Ok(desired)
    }

    async fn read(cx: &Cx, names: &[Name]) -> Result<Vec<Option<LiveModel>>> {
        live::read(cx, names).await
    }

    fn observed(live: &LiveModel) -> Value {
        let mut definition = live.definition.clone();
        let (data, loaded) = live.data();
        definition["data"] = data.into();
        definition["loaded"] = loaded;
        let bound = live.connections.iter().find_map(|it| it.id.as_deref()).map(str::to_lowercase);
        json!({
            "workspace": live.workspace,
            "definition": definition,
            "connection": bound,
            // Only there when something is wrong.
            "name": live.misnamed,
        })
    }

    /// Another refresh than the one that was asked for counts, too: the service takes one at a time.
    fn phase(live: &LiveModel) -> Phase {
        match &live.loading {
            Some(Loading::Running) => Phase::Pending("loading its data".to_owned()),
            Some(Loading::Failed(why)) if live.began => Phase::Failed(format!(
                "{} is published, and its refresh failed: {why}. Mend what it says (the gateway, its DSN, what they may \
                 read), then run the same command again; `refresh: false` leaves refreshing to a schedule",
                live.item.display_name
            )),
            _ => Phase::Ready,
        }
    }

    fn identity(live: &LiveModel) -> Identity {
        Identity { id: Some(live.item.id.clone()), ownership: mark::ownership(live.mark()) }
    }

    fn outputs(live: &LiveModel) -> Outputs {
        let (id, name) = (live.item.id.clone(), live.item.display_name.clone());
        let data = match (live.data(), live.unwritten.join(", ")) {
            ((Some(it), _), _) if it == UNREFRESHED => "left to the workspace's schedule".to_owned(),
            (_, missing) if !missing.is_empty() => {
                format!("none to load yet: no run has written {missing}; run the job, then `up` again")
            }
            ((_, Value::Bool(true)), _) => "loaded".to_owned(),
            _ => "not loaded".to_owned(),
        };
        Outputs::from([("data", data), ("id", id), ("name", name), ("workspace", live.workspace.clone())])
    }

    fn objections(&self, _cx: &Cx, _live: &LiveModel, changes: &[Change]) -> Vec<Objection> {
        moved(changes)
    }

    /// Leaves connection and data to the first update.
    async fn create(&self, cx: &Cx, name: &Name) -> Result<()> {
        let (workspace, display) = place(&name.physical);
        let parts = sent(tmdl::parts(&self.design(cx, display)?));
        let about = Mark::of(&name.owner).to_string();
        Ok(cx.fabric.create(workspace, Sort::Model, display, &about, &parts).await?)
    }

    /// Begins to load data, and leaves it to the next update to write down that they are loaded.
    async fn update(&self, cx: &Cx, name: &Name, live: &LiveModel, changes: &[Change]) -> Result<()> {
        let (workspace, id, display) = (live.workspace.as_str(), live.id(), place(&name.physical).1);
        let touched = touched(changes);
        let was = live.mark();
        let mut mark = Mark { owner: name.owner.clone(), ..was.clone().unwrap_or_else(|| Mark::of(&name.owner)) };
        let describe =
            async |mark: &Mark| cx.fabric.describe(workspace, Sort::Model, id, display, &mark.to_string()).await;
        let is_data = |it: &Change| ["definition.data", "definition.loaded"].contains(&it.field.as_str());
        let (loads, defines) =
            (changes.iter().any(is_data), changes.iter().any(|it| it.is("definition") && !is_data(it)));
        let parts = tmdl::parts(&self.design(cx, display)?);
        let data = self.data(&parts);
        let done = live.loading == Some(Loading::Done) && live.asks == data && !defines;
        // Whoever finds the definition as it shall be must not take what others made it load for its data.
        if loads && !done && mark.data.as_ref() == Some(&data) {
            (mark.data, mark.refresh) = (None, None);
        }
        if touched.contains("tags") || touched.contains("name") || was.as_ref() != Some(&mark) {
            describe(&mark).await?;
        }
        if defines && !cx.fabric.define(workspace, Sort::Model, id, &sent(parts)).await? {
            // Nobody knows whether it is there yet.
            return Ok(());
        }
        // Another source is not reached through what the former one was bound to.
        if let Some(it) = self.connection.as_deref().filter(|_| defines || touched.contains("connection")) {
            self.bind(cx, live, it).await?;
        }
        if !loads {
            return Ok(());
        }
        (mark.data, mark.refresh) = if !self.refresh || done {
            (Some(data), None)
        } else if live.unwritten.is_empty() {
            (Some(data), Some(cx.fabric.refresh(workspace, id).await?))
        } else {
            (None, None)
        };
        Ok(describe(&mark).await?)
    }

    async fn delete(cx: &Cx, _name: &Name, live: &LiveModel) -> Result<()> {
        Ok(Error::missing_is_done(cx.fabric.delete(&live.workspace, Sort::Model, live.id()).await)?)
    }
}

impl Model {
    /// Makes the model of what the files say.
    ///
    /// # Errors
    /// All mistakes in them.
    pub(crate) fn design(&self, cx: &Cx, name: &str) -> Result<Design> {
        design(&Ground::of(cx), self, name)
    }

    /// What identifies the data that the model shall hold.
    fn data(&self, parts: &[Part]) -> String {
        if self.refresh { read::data(parts) } else { UNREFRESHED.to_owned() }
    }

    /// Binds every source of the model to the connection: it has one.
    async fn bind(&self, cx: &Cx, live: &LiveModel, connection: &str) -> Result<()> {
        let to = cx.fabric.connection_of(connection).await?;
        // Before the first binding the service may list no source; then it is the one that the queries name.
        let named = self.source.details();
        let there = cx.fabric.connections(&live.workspace, live.id()).await?;
        let mut sources: Vec<&Details> = there.iter().map(|it| &it.connection_details).collect();
        if sources.is_empty() {
            sources.push(&named);
        }
        for source in sources {
            cx.fabric.bind(&live.workspace, live.id(), &to, source).await?;
        }
        Ok(())
    }
}

impl Source {
    /// What can be in no query and no DSN.
    fn flaws(&self) -> Vec<Flaw> {
        let texts: Vec<(&str, &str)> = match self {
            Self::Athena(it) => vec![("athena/dsn", &it.dsn), ("athena/catalog", &it.catalog)],
            Self::Redshift(it) => vec![
                ("redshift/server", &it.server),
                ("redshift/database", &it.database),
                ("redshift/schema", &it.schema),
            ],
        };
        let wrong = |it: &str| it.trim().is_empty() || it.trim() != it || it.contains(char::is_control);
        let flaw =
            |(at, it): &(&str, &str)| Flaw::new(format!("/source/{at}"), format!("`{}` is no name", it.escape_debug()));
        texts.iter().filter(|it| wrong(it.1)).map(flaw).collect()
    }

    /// As Fabric names the source: what it is, and where.
    pub(crate) fn details(&self) -> Details {
        let (sort, path) = match self {
            Self::Athena(it) => ("AmazonAthena", it.dsn.clone()),
            Self::Redshift(it) => ("AmazonRedshift", format!("{};{}", it.server, it.database)),
        };
        Details { sort: sort.to_owned(), path }
    }
}

/// Returns the name at the provider: `<workspace>/<stack>-<name>`.
pub(super) fn physical(workspace: Option<&str>, scope: &Scope, name: &str) -> String {
    format!("{}/{}", workspace.unwrap_or_default(), scope.physical(name))
}

/// Parts a physical name into workspace and name.
pub(super) fn place(physical: &str) -> (&str, &str) {
    physical.split_once('/').unwrap_or(("", physical))
}

pub(super) fn workspace_flaws(kind: &str, workspace: Option<&str>) -> Vec<Flaw> {
    match workspace {
        Some(it) if is_guid(it) => Vec::new(),
        Some(it) => {
            let flaw = Flaw::new("/workspace", format!("`{it}` is no GUID"));
            vec![flaw.help("it follows `groups/` in the workspace's address, such as app.powerbi.com/groups/<GUID>")]
        }
        None => {
            let flaw = Flaw::new("", format!("a {kind} needs a `workspace` to be published to"));
            let help = format!("name the workspace's GUID, or, for a stack without Power BI, say `{kind}: null`");
            vec![flaw.help(help)]
        }
    }
}

fn is_guid(it: &str) -> bool {
    it.len() == 36 && uuid::Uuid::try_parse(it).is_ok()
}

/// Items are not moved between workspaces.
pub(super) fn moved(changes: &[Change]) -> Vec<Objection> {
    let object = |it: &Change| Objection {
        field: it.field.clone(),
        reason: "an item of Fabric cannot move to another workspace".to_owned(),
        help: "take it out of the file, run `up`, and put it back with the new workspace".to_owned(),
    };
    changes.iter().filter(|it| it.is("workspace")).map(object).collect()
}

#[cfg(test)]
mod tests;
