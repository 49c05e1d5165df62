//! What Glue's Data Catalog says of a Delta table, so that Athena's SQL finds it. The data is the lake's: it is neither
//! made nor deleted here.
//!
//! The form is that of a table which Athena engine v3 reads natively from the Delta log: `table_type`, the provider and
//! the classification among the parameters, the classes that Glue's own crawler writes, and the folder as location and as
//! `path` of the row format. Athena user guide, "Query Linux Foundation Delta Lake tables" and "Synchronize Delta Lake
//! metadata"; Trino's Delta connector, which Athena's is made from, answers "No path property defined" where the last is
//! missing. Redshift Spectrum knows no Delta log: it reads the files that a manifest lists ("Delta Lake" in the Amazon Redshift
//! developer guide), which the job writes beside the log, and the other form is that of a table of text files with paths. Athena takes columns from the log; those here are what consoles, Lake Formation and views show, and are kept
//! in step with the contract.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Bucket, Catalog, Change, Cx, Desired, Error as KindError, Field, Flaw, Identity, Outputs, Resource, Result, Scope,
    Tags, bucket, catalog,
};
use crate::{
    address::{Name, NameRef, Owner, Ref},
    client::{
        self, Error,
        glue::{self, Column, Database, Rows, Storage},
    },
    template::Templates,
};

mod contract;

use contract::Contract;

/// What marks a table as a Delta table: Athena's own mark, Spark's, and Glue's.
const MARKS: [(&str, &str); 4] = [
    ("EXTERNAL", "TRUE"),
    ("classification", "delta"),
    ("spark.sql.sources.provider", "delta"),
    ("table_type", "DELTA"),
];
/// What marks a table whose files stand in a manifest.
const LISTED: [(&str, &str); 2] = [("EXTERNAL", "TRUE"), ("classification", "parquet")];
/// The property of the row format that holds the folder.
const PATH: &str = "path";
/// Where Delta puts the manifest, within a table's folder.
const MANIFEST: &str = "_symlink_format_manifest/";
/// Reads files that files with paths list.
const SYMLINKS: &str = "org.apache.hadoop.hive.ql.io.SymlinkTextInputFormat";

/// A Delta table as SQL finds it. It is called as the last part of its prefix.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// The catalog that lists the table. Another one means that the table is listed anew there.
    pub catalog: Ref<Catalog>,
    /// The bucket of the data.
    pub bucket: NameRef<Bucket>,
    /// The table's folder within the bucket, such as `gold/daily_sales`. Its last part is the table's name.
    pub prefix: String,
    /// The JSON file that says the columns of this and other tables, relative to the project's directory.
    pub contract: String,
    /// How engines read it: `delta`, by its log, as Athena does; or `manifest`, by the list of its files, as Redshift Spectrum
    /// has to, which the jobs write when they are given `--manifests`. Not for partitioned tables. Default: `delta`.
    #[serde(default)]
    pub format: Format,
}

/// How engines read a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// By the Delta log.
    #[default]
    Delta,
    /// By a manifest.
    Manifest,
}

/// A table as Glue has it.
#[derive(Debug)]
pub struct LiveTable {
    table: glue::Table,
    database: String,
    arn: String,
}

impl LiveTable {
    /// Says which format engines take it for.
    fn format(&self) -> &str {
        let storage = &self.table.storage_descriptor;
        let marked = |marks: &[(&str, &str)]| {
            let is = |(key, value): &(&str, &str)| {
                self.table.parameters.get(*key).is_some_and(|it| it.eq_ignore_ascii_case(value))
            };
            marks.iter().all(is)
        };
        if marked(&MARKS) && storage.location.as_ref() == storage.serde_info.parameters.get(PATH) {
            return "delta";
        }
        let other = self.table.parameters.get("classification").map_or("unknown", String::as_str);
        if storage.input_format.as_deref() == Some(SYMLINKS) {
            let listed = storage.location.as_ref().is_some_and(|it| it.ends_with(MANIFEST));
            let rows = storage.serde_info.serialization_library.as_deref() == Some(Format::Manifest.classes().2);
            return if listed && rows && marked(&LISTED) { "manifest" } else { "manifest, incompletely" };
        }
        if other == "delta" { "delta, incompletely" } else { other }
    }

    /// The table's folder.
    fn folder(&self) -> Option<&str> {
        let location = self.table.storage_descriptor.location.as_deref()?;
        Some(location.strip_suffix(MANIFEST).unwrap_or(location))
    }
}

impl Resource for Table {
    const FIELDS: &'static [(&'static str, Field)] = &[("catalog", Field::Immutable), ("table", Field::Immutable)];
    const LISTED: bool = false;
    const OUTPUTS: &'static [&'static str] = &["arn", "name", "location"];
    type Live = LiveTable;

    /// The catalog's usual name stands for it also where it has another, which is not known here.
    fn physical_name(&self, scope: &Scope, _name: &str) -> String {
        format!("{}/{}", catalog::name_in(scope, &self.catalog.name), self.table())
    }

    fn check(&self) -> Vec<Flaw> {
        if self.prefix.split('/').any(str::is_empty) {
            let flaw = Flaw::new("/prefix", format!("`{}` is no folder of a table", self.prefix));
            return vec![flaw.help("write it without slashes at its ends, such as `gold/daily_sales`")];
        }
        catalog::flaws("/prefix", self.table())
    }

    fn check_name(physical: &str) -> Vec<Flaw> {
        physical.split('/').flat_map(|it| catalog::flaws("", it)).collect()
    }

    fn desired(&self, cx: &Cx) -> Result<Desired> {
        let it = self.contract(&cx.templates)?;
        let desired = Desired::of(self).without("bucket").without("prefix");
        Ok(desired
            .with("table", self.table())
            .with("location", self.location(cx))
            .with("contract", shown(it.comment.as_deref(), &it.columns, &it.partitions)))
    }

    async fn read(cx: &Cx, names: &[Name]) -> Result<Vec<Option<LiveTable>>> {
        let places = places(cx, names).await?;
        let databases: BTreeSet<&str> = places.iter().map(|it| it.0.as_str()).collect();
        let lists = databases.into_iter().map(|it| async move {
            let tables = Error::missing_is_none(cx.aws.glue().tables(it).await)?;
            Ok::<_, Error>((it, tables.unwrap_or_default()))
        });
        let mut lists: BTreeMap<&str, Vec<glue::Table>> = try_join_all(lists).await?.into_iter().collect();
        let live = |(database, name): &(String, String)| {
            let tables = lists.get_mut(database.as_str())?;
            let table = tables.swap_remove(tables.iter().position(|it| it.name == *name)?);
            let arn = catalog::arn(&cx.scope, &format!("table/{database}/{name}"));
            Some(LiveTable { table, database: database.clone(), arn })
        };
        Ok(places.iter().map(live).collect())
    }

    fn observed(live: &LiveTable) -> Value {
        json!({
            "table": live.table.name,
            "catalog": live.table.parameters.get(CATALOG),
            "location": live.folder(),
            "format": live.format(),
            "contract": shown(
                live.table.description.as_deref(),
                &live.table.storage_descriptor.columns,
                &live.table.partition_keys,
            ),
        })
    }

    fn identity(live: &LiveTable) -> Identity {
        let owner: Tags = live.table.parameters.clone().into_iter().collect();
        Identity { id: Some(live.arn.clone()), ownership: owner.ownership() }
    }

    fn outputs(live: &LiveTable) -> Outputs {
        let name = format!("{}.{}", live.database, live.table.name);
        let location = live.folder().unwrap_or_default().to_owned();
        Outputs::from([("arn", live.arn.clone()), ("name", name), ("location", location)])
    }

    async fn create(&self, cx: &Cx, name: &Name) -> Result<()> {
        let database = cx.live(&self.catalog)?;
        Ok(cx.aws.glue().create_table(database.name(), &self.written(cx, name, glue::Table::default())?).await?)
    }

    async fn update(&self, cx: &Cx, name: &Name, live: &LiveTable, _changes: &[Change]) -> Result<()> {
        let table = self.written(cx, name, live.table.clone())?;
        Ok(cx.aws.glue().update_table(&live.database, &table).await?)
    }

    /// Takes the table out of the catalog. Glue does not touch the data of external tables.
    async fn delete(cx: &Cx, _name: &Name, live: &LiveTable) -> Result<()> {
        Ok(Error::missing_is_done(cx.aws.glue().delete_table(&live.database, &live.table.name).await)?)
    }
}

/// The parameter that says under which key the stack has the catalog.
const CATALOG: &str = "ecomctl:catalog";

impl Table {
    /// Returns what the contract promises: the table's name, what it holds, and all columns.
    ///
    /// # Errors
    /// Says what is missing from the contract, or wrong in it.
    pub(super) fn promised(&self, templates: &Templates) -> Result<(String, Option<String>, Vec<Column>)> {
        let it = contract::read(templates, &self.contract, self.table())?;
        Ok((self.table().to_owned(), it.comment, it.columns.into_iter().chain(it.partitions).collect()))
    }

    /// Returns where its rows lie: the bucket, as the stack calls it, and the prefix.
    pub(super) fn place(&self) -> (&str, &str) {
        (&self.bucket.0.name, &self.prefix)
    }

    /// Reads the contract, and refuses what the format cannot have.
    fn contract(&self, templates: &Templates) -> Result<Contract> {
        let it = contract::read(templates, &self.contract, self.table())?;
        if self.format == Format::Manifest && !it.partitions.is_empty() {
            return Err(KindError::Refused {
                message: format!("{} is partitioned, and a manifest tells no values of partitions", self.table()),
                help: "list it by its log (`format: delta`), for Athena, or let a table without partitions hold what \
                       Redshift is to read"
                    .into(),
            });
        }
        Ok(it)
    }

    fn table(&self) -> &str {
        self.prefix.rsplit('/').next().unwrap_or_default()
    }

    fn location(&self, cx: &Cx) -> String {
        format!("s3://{}/{}/", bucket::name_in(&cx.scope, &self.bucket.0.name), self.prefix)
    }

    /// Writes what is wanted over what is there; parameters of others, such as a crawler's, stay.
    fn written(&self, cx: &Cx, name: &Name, there: glue::Table) -> Result<glue::Table> {
        let it = self.contract(&cx.templates)?;
        let mut location = self.location(cx);
        let mut parameters = there.parameters;
        // A table that was of the other format keeps no mark of it.
        parameters.retain(|key, _| !MARKS.iter().any(|it| it.0 == key));
        let marks: &[(&str, &str)] = if self.format == Format::Delta { &MARKS } else { &LISTED };
        parameters.extend(marks.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        parameters.extend(name.owner.tags().map(|(key, value)| (key.to_owned(), value)));
        parameters.insert(CATALOG.to_owned(), self.catalog.name.clone());
        let mut rows = there.storage_descriptor.serde_info.parameters;
        rows.insert("serialization.format".to_owned(), "1".to_owned());
        if self.format == Format::Delta {
            rows.insert(PATH.to_owned(), location.clone());
        } else {
            rows.remove(PATH);
            location.push_str(MANIFEST);
        }
        let (input, output, library) = self.format.classes();
        Ok(glue::Table {
            name: self.table().to_owned(),
            description: Some(it.comment.unwrap_or_default()),
            table_type: Some("EXTERNAL_TABLE".to_owned()),
            parameters,
            storage_descriptor: Storage {
                columns: it.columns,
                location: Some(location),
                input_format: Some(input.to_owned()),
                output_format: Some(output.to_owned()),
                serde_info: Rows { serialization_library: Some(library.to_owned()), parameters: rows },
            },
            partition_keys: it.partitions,
        })
    }
}

impl Format {
    /// The Java classes that read files, write files, and read rows.
    const fn classes(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Delta => (
                "org.apache.hadoop.mapred.SequenceFileInputFormat",
                "org.apache.hadoop.hive.ql.io.HiveSequenceFileOutputFormat",
                "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
            ),
            Self::Manifest => (
                SYMLINKS,
                "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
                "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
            ),
        }
    }
}

/// Finds each table's database and name: from its ARN; else from the database that its catalog owns, by whatever name;
/// else from the usual name of that database.
async fn places(cx: &Cx, names: &[Name]) -> client::Result<Vec<(String, String)>> {
    let known = |it: &Name| {
        let (_, place) = it.id.as_deref()?.rsplit_once(":table/")?;
        place.split_once('/').map(|(database, name)| (database.to_owned(), name.to_owned()))
    };
    let databases =
        if names.iter().all(|it| known(it).is_some()) { Vec::new() } else { cx.aws.glue().databases().await? };
    let owners: Vec<(&Database, Owner)> = databases.iter().filter_map(|it| Some((it, owner(it)?))).collect();
    let found = |name: &Name| {
        let (usual, table) = name.physical.split_once('/').unwrap_or_default();
        let own = owners
            .iter()
            .find(|(_, it)| it.stack == name.owner.stack && catalog::usual_name(&it.stack, &it.address.name) == usual);
        (own.map_or(usual, |(it, _)| it.name.as_str()).to_owned(), table.to_owned())
    };
    Ok(names.iter().map(|it| known(it).unwrap_or_else(|| found(it))).collect())
}

fn owner(database: &Database) -> Option<Owner> {
    Owner::from_tags(database.parameters.iter().map(|(key, value)| (key.as_str(), value.as_str())))
}

/// Shows what the contract says as plans do: a change for each column.
fn shown(comment: Option<&str>, columns: &[Column], partitions: &[Column]) -> Value {
    let column = |it: &Column| match it.comment.as_deref().filter(|it| !it.is_empty()) {
        Some(comment) => format!("{} · {comment}", it.kind),
        None => it.kind.clone(),
    };
    let all = columns.iter().chain(partitions);
    json!({
        "comment": comment.filter(|it| !it.is_empty()),
        "columns": all.map(|it| (it.name.clone(), column(it))).collect::<BTreeMap<_, _>>(),
        "partitioned_by": partitions.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        address::Address,
        resource::{Ownership, testing},
    };

    const CONTRACT: &str = r#"{ "daily_sales": {
        "comment": "Sales by day", "key": ["order_date"], "partitioned_by": [],
        "columns": [
            { "name": "order_date", "type": "date", "comment": "UTC", "nullable": false },
            { "name": "net", "type": "decimal(18,2)", "comment": "", "nullable": true }
        ]
    } }"#;

    fn spec(prefix: &str) -> Table {
        let spec = json!({ "catalog": "gold", "bucket": "lake", "prefix": prefix, "contract": "CONTRACT" });
        serde_json::from_value(spec).expect("a spec")
    }

    fn name(physical: &str, id: Option<&str>) -> Name {
        let owner = Owner { stack: "s".into(), address: Address::new("table", "daily_sales"), nonce: "n".into() };
        Name { physical: physical.into(), owner, id: id.map(str::to_owned) }
    }

    #[test]
    fn what_is_written_is_what_is_wanted() {
        let (cx, root) = testing::cx_with(&[("gold.json", CONTRACT)]);
        // Contracts are found from the project's directory, which is the parent of that of templates.
        let folder = root.path().file_name().expect("a name").to_string_lossy();
        let table = Table { contract: format!("{folder}/gold.json"), ..spec("gold/daily_sales") };
        let there = glue::Table { parameters: [("crawler".into(), "x".into())].into(), ..glue::Table::default() };
        let written = table.written(&cx, &name("s_gold/daily_sales", None), there).expect("a table");
        assert_eq!(written.parameters["crawler"], "x", "what others wrote stays");
        let live = LiveTable { table: written, database: "gold".into(), arn: "arn".into() };
        let desired = table.desired(&cx).expect("known");
        assert_eq!(desired.spec["location"], "s3://s-lake-000000000000/gold/daily_sales/");
        let observed = Table::observed(&live);
        for (field, wanted) in desired.spec.as_object().expect("an object") {
            assert_eq!(&observed[field], wanted, "{field}");
        }
        assert_eq!(observed["contract"]["columns"], json!({ "net": "decimal(18,2)", "order_date": "date · UTC" }));
        assert!(matches!(Table::identity(&live).ownership, Ownership::Tagged(it) if it.nonce == "n"));
        assert_eq!(Table::outputs(&live)["name"], "gold.daily_sales");
    }

    #[test]
    fn a_table_changes_from_one_format_to_the_other_and_keeps_no_trace() {
        let (cx, root) = testing::cx_with(&[("gold.json", CONTRACT)]);
        let folder = root.path().file_name().expect("a name").to_string_lossy();
        let contract = format!("{folder}/gold.json");
        let table = |format| Table { contract: contract.clone(), format, ..spec("gold/daily_sales") };
        let mut there = glue::Table::default();
        for (format, place) in [(Format::Delta, ""), (Format::Manifest, MANIFEST), (Format::Delta, "")] {
            there = table(format).written(&cx, &name("s_gold/daily_sales", None), there).expect("a table");
            let folder = "s3://s-lake-000000000000/gold/daily_sales/";
            assert_eq!(there.storage_descriptor.location, Some(format!("{folder}{place}")));
            assert_eq!(there.parameters.contains_key("table_type"), format == Format::Delta);
            let live = LiveTable { table: there.clone(), database: "gold".into(), arn: "arn".into() };
            let (desired, observed) = (table(format).desired(&cx).expect("known").spec, Table::observed(&live));
            assert_eq!((&observed["format"], &observed["location"]), (&desired["format"], &json!(folder)));
        }
        there.storage_descriptor.input_format = Some(SYMLINKS.to_owned());
        there.parameters.clear();
        let live = LiveTable { table: there, database: "gold".into(), arn: "arn".into() };
        assert_eq!(live.format(), "manifest, incompletely");
    }

    #[test]
    fn a_partitioned_table_has_no_manifest() {
        let partitioned = CONTRACT.replace(r#""partitioned_by": []"#, r#""partitioned_by": ["order_date"]"#);
        let (cx, root) = testing::cx_with(&[("gold.json", &partitioned)]);
        let contract = format!("{}/gold.json", root.path().file_name().expect("a name").to_string_lossy());
        let table = Table { contract, format: Format::Manifest, ..spec("gold/daily_sales") };
        let err = table.desired(&cx).expect_err("partitions").to_string();
        assert_eq!(err, "daily_sales is partitioned, and a manifest tells no values of partitions");
    }

    #[test]
    fn a_contract_that_lacks_the_table_says_which_it_has() {
        let (cx, root) = testing::cx_with(&[("gold.json", CONTRACT)]);
        let folder = root.path().file_name().expect("a name").to_string_lossy();
        let table = Table { contract: format!("{folder}/gold.json"), ..spec("gold/sales") };
        let err = table.desired(&cx).expect_err("no such table");
        assert!(err.to_string().contains("no table `sales`"), "{err}");
        let help = miette::Diagnostic::help(&err).expect("help").to_string();
        assert!(help.contains("it has daily_sales"), "{help}");
    }

    #[test]
    fn a_table_that_lost_a_mark_is_told_from_one_of_another_format() {
        let live = |parameters: Value| LiveTable {
            table: serde_json::from_value(json!({ "Name": "t", "Parameters": parameters })).expect("a table"),
            database: "gold".into(),
            arn: String::new(),
        };
        assert_eq!(live(json!({ "classification": "parquet" })).format(), "parquet");
        assert_eq!(live(json!({ "classification": "delta" })).format(), "delta, incompletely");
        assert_eq!(live(json!({})).format(), "unknown");
    }

    #[test]
    fn a_prefix_names_the_table() {
        assert_eq!(spec("gold/daily_sales").table(), "daily_sales");
        for (prefix, text) in [("/gold/x", "no folder"), ("gold/x/", "no folder"), ("gold/Daily", "no name for Athena")]
        {
            let flaws = spec(prefix).check();
            assert!(flaws[0].message.contains(text) && flaws[0].at == "/prefix", "{flaws:?}");
        }
    }
}
