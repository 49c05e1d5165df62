//! What starts a job by itself, and who may do what with it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{client::databricks, quantity::Span};

/// Runs at certain times.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// When, in Quartz' form of cron: seconds, minutes, hours, day of the month, month, day of the week, and perhaps a
    /// year. One of the two days is `?`. `0 0 3 * * ?` is every day at three.
    pub cron: String,
    /// The time zone, such as `Europe/Berlin`. Default: `UTC`.
    #[serde(default = "utc")]
    pub timezone: String,
    /// Whether it rests. Default: `false`.
    #[serde(default)]
    pub paused: bool,
}

fn utc() -> String {
    "UTC".into()
}

/// Runs when something happens. It has exactly one of `file_arrival`, `periodic` and `table_update`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// When files arrive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_arrival: Option<FileArrival>,
    /// When some time has gone by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub periodic: Option<Periodic>,
    /// When tables change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table_update: Option<TableUpdate>,
    /// Whether it rests. Default: `false`.
    #[serde(default)]
    pub paused: bool,
}

/// Runs when files arrive.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileArrival {
    /// The folder to watch, within an external location or a volume: `s3://…/` or `/Volumes/…/`.
    pub url: String,
    /// How far runs are apart, at least `60s`. Default: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_time_between_triggers: Option<Span>,
    /// How long no file may have arrived, at least `60s`. Default: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_after_last_change: Option<Span>,
}

/// Runs when some time has gone by.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Periodic {
    /// How many units, a year at most.
    pub interval: u32,
    /// Of what.
    pub unit: Unit,
}

impl Periodic {
    /// How many of its units make a year.
    pub(super) const fn most(&self) -> u32 {
        match self.unit {
            Unit::Hours => 8760,
            Unit::Days => 365,
            Unit::Weeks => 52,
        }
    }
}

/// A unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Hours.
    Hours,
    /// Days.
    Days,
    /// Weeks.
    Weeks,
}

/// Runs when tables of Unity Catalog change.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TableUpdate {
    /// The tables, as `catalog.schema.table`.
    pub table_names: Vec<String>,
    /// Whether one must change, or all. Default: `any_updated`.
    #[serde(default)]
    pub condition: Condition,
    /// How far runs are apart, at least `60s`. Default: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_time_between_triggers: Option<Span>,
    /// How long no table may have changed, at least `60s`. Default: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_after_last_change: Option<Span>,
}

/// How many of the tables must change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// One.
    #[default]
    AnyUpdated,
    /// All.
    AllUpdated,
}

/// Always runs: the next run begins when one ends.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Continuous {
    /// Whether it rests. Default: `false`.
    #[serde(default)]
    pub paused: bool,
    /// Whether tasks that fail are tried again within the run. Default: `never`.
    #[serde(default)]
    pub task_retry_mode: RetryMode,
}

/// Whether tasks of a continuous job are tried again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RetryMode {
    /// The run fails, and the next one begins.
    #[default]
    Never,
    /// They are, ever later.
    OnFailure,
}

/// Who does something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[expect(clippy::enum_variant_names, reason = "the API's own word")]
pub enum Principal {
    /// A user, by the name they log in with.
    User(String),
    /// A group, by its name.
    Group(String),
    /// A service principal, by its application's identifier.
    ServicePrincipal(String),
}

impl From<&Principal> for databricks::Principal {
    fn from(it: &Principal) -> Self {
        match it {
            Principal::User(it) => Self::User(it.clone()),
            Principal::Group(it) => Self::Group(it.clone()),
            Principal::ServicePrincipal(it) => Self::ServicePrincipal(it.clone()),
        }
    }
}

/// Who may do what with a job, beside its owner and the workspace's administrators.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the API's own words")]
pub struct Permissions {
    /// Who may see it and its runs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub can_view: Vec<Principal>,
    /// Who may start and cancel runs besides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub can_manage_run: Vec<Principal>,
    /// Who may change it besides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub can_manage: Vec<Principal>,
}

impl Permissions {
    /// The grants as the API spells them, with the field that says so and the place within it.
    pub(super) fn grants(&self) -> impl Iterator<Item = (&'static str, usize, databricks::Grant)> {
        let levels =
            [("can_view", &self.can_view), ("can_manage_run", &self.can_manage_run), ("can_manage", &self.can_manage)];
        levels.into_iter().flat_map(|(level, them)| {
            them.iter()
                .enumerate()
                .map(move |(i, it)| (level, i, databricks::Grant { to: it.into(), level: level.to_uppercase() }))
        })
    }
}
