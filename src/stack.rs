//! Stacks: the files that define them, merged and checked, as a graph of specs. Reads files and nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use serde_json::Value;

use crate::address::{Address, Need};

/// A stack whose every mistake is mended: references resolve, there is no cycle, values fit.
#[derive(Clone, Debug)]
pub struct Stack {
    /// The stack's name: the file's stem.
    pub name: String,
    /// Where and how it is deployed.
    pub settings: Settings,
    /// What it consists of.
    pub resources: BTreeMap<Address, Definition>,
    /// The SHA-256 of the merged definition, in hexadecimal.
    pub hash: String,
}

/// One resource of a stack.
#[derive(Clone, Debug)]
pub struct Definition {
    /// The spec in full, references marked (see [`crate::address::needs`]).
    pub spec: Value,
    /// What it needs.
    pub needs: Vec<Need>,
    /// Whether it may not be deleted, even when it leaves the file.
    pub protect: bool,
    /// The address it had before.
    pub renamed_from: Option<Address>,
    /// Where it is defined.
    pub origin: Origin,
}

/// A place in a stack file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file, relative to the project.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

/// Where and how a stack is deployed: the `stack` section of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where the stack is deployed: AWS, or the local cloud on this machine.
    #[serde(default)]
    pub target: Target,
    /// The AWS region. Default: `us-east-1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The only AWS account that this stack may be deployed to, 12 digits in quotes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Tags that every resource gets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Where a stack is deployed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// AWS and Databricks, with the credentials that their command lines use.
    #[default]
    Aws,
    /// The local cloud, which `ecomctl up` starts.
    Local,
}

impl Definition {
    /// Lists the addresses it needs, each once.
    pub fn needed(&self) -> BTreeSet<Address> {
        self.needs.iter().map(|it| it.to.clone()).collect()
    }
}
