//! The table of prices: what it may say, and its shape in TOML.

use std::collections::BTreeMap;

use serde::Deserialize;

/// All that the table says. Prices are US dollars.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    /// When it was put together.
    pub(super) as_of: toml::value::Datetime,
    /// Where the prices are from.
    pub(super) source: String,
    /// The prices of each region.
    pub(super) regions: BTreeMap<String, Prices>,
}

/// The prices of one region; what is not known is not there.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Prices {
    /// A broker for an hour, by its size.
    pub(super) broker_hour: BTreeMap<String, f64>,
    /// A GB of a broker's storage for a month.
    pub(super) broker_storage: Option<f64>,
    /// A database instance in one zone for an hour, by its size.
    pub(super) database_hour: BTreeMap<String, f64>,
    /// A GB of a database's storage for a month, in one zone.
    pub(super) database_storage: Option<f64>,
    /// A NAT gateway for an hour.
    pub(super) gateway_hour: Option<f64>,
    /// A public address for an hour.
    pub(super) address_hour: Option<f64>,
    /// An interface endpoint in one zone for an hour.
    pub(super) endpoint_hour: Option<f64>,
    /// A secret for a month.
    pub(super) secret: Option<f64>,
    /// A metric that an alarm looks at, for a month.
    pub(super) alarm_metric: Option<f64>,
    /// A composite alarm for a month.
    pub(super) composite_alarm: Option<f64>,
    /// A dashboard for a month.
    pub(super) dashboard: Option<f64>,
    /// A key for a month.
    pub(super) key: Option<f64>,
}
