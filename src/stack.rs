//! Stacks: the files that define them, merged and checked, as a graph of specs. Reads files and nothing else.
//!
//! A stack is loaded in four steps, each a file: `file` finds and reads the texts (`yaml`, `scalar`), `tree` lays them
//! over each other, `check` compares each resource with its kind (`schema`, `shape`), `links` follows the references.
//! Every value remembers its place (`source`), so that each mistake is shown where it is (`mistake`, `near`).

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    address::{Address, Need},
    resource::Kind,
};

mod check;
mod explain;
mod file;
mod keep;
mod links;
mod mistake;
mod near;
mod preview;
mod scalar;
pub mod schema;
mod shape;
mod source;
mod tree;
mod units;
mod yaml;

#[cfg(test)]
pub(crate) mod tests;

pub use explain::{Explained, Explanation, Overrode, explain};
pub use file::{check_name, find, is_file, names, root, stem_of, strays};
pub use keep::Keep;
pub use mistake::{Code, Mistake, Rejected, SHOWN};
pub use near::{nearest, offer};
pub use source::{Place, Source};

/// What the name of a resource looks like.
const NAME: &str = "^[a-z][a-z0-9]*(_[a-z0-9]+)*$";
/// How long the name of a resource may be: with the stack's, it still fits what providers allow.
const LONGEST: usize = 40;

/// Loads a stack: reads its files, merges and checks them.
///
/// # Errors
/// Holds every mistake there is, not only the first.
pub fn load(root: &Path, name: &str, kinds: &[&dyn Kind]) -> Result<Stack, Rejected> {
    loaded(root, name, kinds).map(|it| it.stack)
}

/// Reads where and how a stack is deployed, and nothing else of it.
///
/// # Errors
/// Holds the mistakes that leave it open what that is.
pub fn settings(root: &Path, name: &str, kinds: &[&dyn Kind]) -> Result<Settings, Rejected> {
    let file::Files { tree, mut mistakes } = file::read(root, name)?;
    let settings = check::Check::new(kinds, &mut mistakes).settings_of(&tree);
    if mistakes.is_empty() { Ok(settings) } else { Err(Rejected::new(name, mistakes)) }
}

/// A stack with the tree that it was read from.
struct Loaded {
    stack: Stack,
    tree: tree::Node,
}

fn loaded(root: &Path, name: &str, kinds: &[&dyn Kind]) -> Result<Loaded, Rejected> {
    let file::Files { tree, mut mistakes } = file::read(root, name)?;
    let contents = check::Check::new(kinds, &mut mistakes).contents(&tree);
    mistakes.extend(links::mistakes(&contents, kinds));
    if !mistakes.is_empty() {
        return Err(Rejected::new(name, mistakes));
    }
    let settings = contents.settings;
    let resources: BTreeMap<Address, Definition> =
        contents.resources.into_iter().filter_map(|(address, it)| Some((address, it.definition?))).collect();
    let hash = hash(&settings, &resources);
    Ok(Loaded { stack: Stack { name: name.to_owned(), settings, resources, hash }, tree })
}

/// Hashes what a stack means: neither comments, nor order, nor which file says it, nor where its state is kept.
fn hash(settings: &Settings, resources: &BTreeMap<Address, Definition>) -> String {
    let settings = Settings { state: None, ..settings.clone() };
    let resources: BTreeMap<String, Value> = resources
        .iter()
        .map(|(address, it)| {
            let needs: BTreeSet<String> = it.needs.iter().map(|it| format!("{} {}", it.to, it.weak)).collect();
            let value = json!({
                "spec": it.spec, "needs": needs, "protect": it.protect, "renamed_from": it.renamed_from,
            });
            (address.to_string(), value)
        })
        .collect();
    let mut whole = json!({ "settings": settings, "resources": resources });
    whole.sort_all_objects();
    Sha256::digest(whole.to_string()).iter().fold(String::new(), |hex, it| hex + &format!("{it:02x}"))
}

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
    /// The only AWS region that this stack may be deployed to. Default: the one that the AWS CLI would use, else
    /// `us-east-1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Region>")]
    pub region: Option<String>,
    /// The only AWS account that this stack may be deployed to, 12 digits in quotes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Account>")]
    pub account: Option<String>,
    /// The Databricks workspace. Default: what `DATABRICKS_…` variables or `~/.databrickscfg` say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub databricks: Option<Workspace>,
    /// Where the stack's state is kept: `file`, on this machine, or in a bucket that all machines reach, such as
    /// `s3://company-state/pipelines`. Default: `file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<keep::KeepText>")]
    pub state: Option<Keep>,
    /// The AWS account that the bucket of the state belongs to, 12 digits in quotes: in another's, nothing is read or written.
    /// Default: `account`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Account>")]
    pub state_account: Option<String>,
    /// The file that is laid over this one where a preview is made, such as `preview.yaml`: with `--prefix pr-7`, everything
    /// is called by another name, in the same account. Default: there are no previews.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previews: Option<String>,
    /// Tags that every resource gets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Which Databricks workspace a stack is deployed to. Credentials never stand here.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Workspace {
    /// The profile of `~/.databrickscfg` that names the workspace and the credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The workspace's address, such as `https://dbc-1234.cloud.databricks.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// An AWS region such as `eu-central-1`.
#[derive(schemars::JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Region(#[schemars(regex(pattern = "^[a-z]{2}(-[a-z]+)+-[0-9]$"))] String);

/// An AWS account: 12 digits in quotes, such as `"123456789012"`.
#[derive(schemars::JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Account(#[schemars(regex(pattern = "^[0-9]{12}$"))] String);

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
        self.needs.iter().filter(|it| !it.mention).map(|it| it.to.clone()).collect()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.to_string_lossy().replace('\\', "/");
        write!(f, "{file}:{}:{}", self.line, self.column)
    }
}
