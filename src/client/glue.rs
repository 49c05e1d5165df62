//! A client for the few operations of AWS Glue's Data Catalog that are used here.
//!
//! The SDK's own crate has over 250 operations and takes longer to compile than everything else here together, for ten
//! that are needed. So requests and answers are declared here, as the AWS Glue API reference has them; signing, retries,
//! timeouts and connections are the SDK's own runtime's, as for every other service. Reads catalogs and tables; no policy.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    Result,
    fence::Gate,
    json::{Json, or_default},
    raw::Again,
};

/// A client for Glue.
#[derive(Debug)]
pub struct Client(Json);

/// A database, as `GetDatabases` answers and `CreateDatabase` takes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Database {
    /// Its name: small letters, digits and underscores.
    pub name: String,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where new tables lie unless they say otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location_uri: Option<String>,
    /// Free properties.
    #[serde(deserialize_with = "or_default")]
    pub parameters: BTreeMap<String, String>,
}

/// A table, as `GetTable` answers and `CreateTable` takes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Table {
    /// Its name within its database.
    pub name: String,
    /// What it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `EXTERNAL_TABLE`, or `VIRTUAL_VIEW`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table_type: Option<String>,
    /// Free properties; engines tell the format by them.
    #[serde(deserialize_with = "or_default")]
    pub parameters: BTreeMap<String, String>,
    /// Where and how the data lies.
    #[serde(deserialize_with = "or_default")]
    pub storage_descriptor: Storage,
    /// The columns by which it is partitioned. Athena needs the list even when it is empty.
    #[serde(deserialize_with = "or_default")]
    pub partition_keys: Vec<Column>,
}

/// Where and how a table's data lies: Glue's `StorageDescriptor`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Storage {
    /// The columns, those of partitions excepted.
    #[serde(deserialize_with = "or_default")]
    pub columns: Vec<Column>,
    /// The folder, as `s3://bucket/prefix/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// The Java class that reads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_format: Option<String>,
    /// The Java class that writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_format: Option<String>,
    /// How rows are read from it.
    #[serde(deserialize_with = "or_default")]
    pub serde_info: Rows,
}

/// How rows are read: Glue's `SerDeInfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Rows {
    /// The Java class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serialization_library: Option<String>,
    /// Its properties.
    #[serde(deserialize_with = "or_default")]
    pub parameters: BTreeMap<String, String>,
}

/// A column of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, in Hive's spelling.
    #[serde(rename = "Type")]
    pub kind: String,
    /// What it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

impl Client {
    /// Prepares a client. Sends nothing.
    pub fn new(config: &SdkConfig, gate: Gate) -> Self {
        Self(Json::new("glue", "AWSGlue", config, gate))
    }

    /// Lists all databases.
    pub async fn databases(&self) -> Result<Vec<Database>> {
        self.pages("GetDatabases", "DatabaseList", json!({ "MaxResults": 100 })).await
    }

    /// Makes a database.
    pub async fn create_database(&self, database: &Database) -> Result<()> {
        self.done("CreateDatabase", json!({ "DatabaseInput": database })).await
    }

    /// Replaces what is said of a database.
    pub async fn update_database(&self, database: &Database) -> Result<()> {
        self.done("UpdateDatabase", json!({ "Name": database.name, "DatabaseInput": database })).await
    }

    /// Deletes a database, and what is said of its tables; never their data.
    pub async fn delete_database(&self, name: &str) -> Result<()> {
        self.done("DeleteDatabase", json!({ "Name": name })).await
    }

    /// Lists the tables of a database.
    pub async fn tables(&self, database: &str) -> Result<Vec<Table>> {
        self.pages("GetTables", "TableList", json!({ "DatabaseName": database, "MaxResults": 100 })).await
    }

    /// Makes a table in a database.
    pub async fn create_table(&self, database: &str, table: &Table) -> Result<()> {
        self.done("CreateTable", json!({ "DatabaseName": database, "TableInput": table })).await
    }

    /// Replaces what is said of a table.
    pub async fn update_table(&self, database: &str, table: &Table) -> Result<()> {
        self.done("UpdateTable", json!({ "DatabaseName": database, "TableInput": table })).await
    }

    /// Deletes what is said of a table; never its data.
    pub async fn delete_table(&self, database: &str, name: &str) -> Result<()> {
        self.done("DeleteTable", json!({ "DatabaseName": database, "Name": name })).await
    }

    async fn done(&self, operation: &'static str, input: Value) -> Result<()> {
        self.call::<Value>(operation, input).await.map(drop)
    }

    async fn pages<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        list: &'static str,
        input: Value,
    ) -> Result<Vec<T>> {
        self.0.pages(operation, input, list, ("NextToken", "NextToken")).await
    }

    async fn call<O: DeserializeOwned>(&self, operation: &'static str, input: Value) -> Result<O> {
        self.0.call(operation, &input, Again::Yes).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_and_null_are_the_same() {
        let table: Table = serde_json::from_value(json!({ "Name": "t", "Parameters": null })).expect("a table");
        assert_eq!(table, Table { name: "t".into(), ..Table::default() });
        let written = serde_json::to_value(&table).expect("JSON");
        assert_eq!(written["PartitionKeys"], json!([]), "Athena needs the list");
        assert!(written.get("Description").is_none());
    }
}
