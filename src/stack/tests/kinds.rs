//! Kinds that do nothing, with every sort of field there is.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    address::{AnyRef, Kinded, Name, NameRef, Ref},
    quantity::{Size, Span},
    resource::{Change, Cx, Flaw, Identity, Kind, Of, Ownership, Resource, Result},
};

/// The kinds of these tests.
pub(crate) static KINDS: &[&dyn Kind] =
    &[&Of::<Cluster>::new(), &Of::<Function>::new(), &Of::<Role>::new(), &Of::<Table>::new(), &Of::<Topic>::new()];

macro_rules! inert {
    ($($kind:literal $type:ident $(check $check:expr)?;)*) => {$(
        impl Kinded for $type {
            const KIND: &'static str = $kind;
        }

        impl Resource for $type {
            type Live = ();
            $(fn check(&self) -> Vec<Flaw> {
                let check: fn(&Self) -> Vec<Flaw> = $check;
                check(self)
            })?
            async fn read(_: &Cx, names: &[Name]) -> Result<Vec<Option<()>>> {
                Ok(names.iter().map(|_| None).collect())
            }
            fn observed((): &()) -> Value {
                Value::Null
            }
            fn identity((): &()) -> Identity {
                Identity { id: None, ownership: Ownership::Foreign }
            }
            async fn create(&self, _: &Cx, _: &Name) -> Result<()> {
                Ok(())
            }
            async fn update(&self, _: &Cx, _: &Name, (): &(), _: &[Change]) -> Result<()> {
                Ok(())
            }
            async fn delete(_: &Cx, _: &Name, (): &()) -> Result<()> {
                Ok(())
            }
        }
    )*};
}

inert! {
    "cluster" Cluster;
    "function" Function;
    "role" Role;
    "table" Table;
    "topic" Topic check |it| match it.partitions {
        0..=100 => Vec::new(),
        more => vec![Flaw {
            at: "/partitions".into(),
            message: format!("{more} partitions are more than one broker carries"),
            help: Some("use 100 at most".into()),
        }],
    };
}

/// A Kafka cluster.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Cluster {
    /// How many brokers it has. Default: 3.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 15))]
    brokers: u8,
}

fn three() -> u8 {
    3
}

/// A Kafka topic.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Topic {
    /// The cluster that holds it.
    cluster: Ref<Cluster>,
    /// How many partitions it has. Can only grow.
    #[schemars(range(min = 1))]
    partitions: u32,
    /// How long events are kept.
    #[serde(default)]
    retention: Option<Span>,
    /// What happens to old events.
    #[serde(default)]
    cleanup: Cleanup,
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Cleanup {
    /// They are deleted.
    #[default]
    Delete,
    /// The last of each key is kept.
    Compact,
}

/// A role.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Role {
    /// What it may use.
    #[serde(default)]
    uses: Vec<AnyRef>,
}

/// A Lambda function.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Function {
    /// The crate that holds its code.
    code: String,
    /// The memory that it gets. Default: 128MiB.
    #[serde(default)]
    memory: Option<Size>,
    /// Whether it is traced.
    #[serde(default)]
    tracing: bool,
    /// The processor.
    #[serde(default)]
    architecture: Architecture,
    /// Environment variables.
    #[serde(default)]
    environment: BTreeMap<String, String>,
    /// The role that it runs as.
    #[serde(default)]
    role: Option<NameRef<Role>>,
    /// The tables that it writes.
    #[serde(default)]
    writes: Vec<Ref<Table>>,
    /// The functions that must be there first.
    #[serde(default)]
    calls: Vec<Ref<Self>>,
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
enum Architecture {
    #[default]
    #[serde(rename = "x86_64")]
    X86,
    #[serde(rename = "arm64")]
    Arm,
}

/// A table.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    /// Its columns.
    #[schemars(length(min = 1))]
    columns: Vec<Column>,
    /// Where its rows come from.
    #[serde(default)]
    source: Option<Source>,
    /// The function that fills it.
    #[serde(default)]
    filled_by: Option<Ref<Function>>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Column {
    /// Its name.
    name: String,
    /// Its type.
    r#type: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Source {
    /// A query.
    Query(Query),
    /// A topic.
    Topic(Ref<Topic>),
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Query {
    /// The template of its text.
    template: String,
}
