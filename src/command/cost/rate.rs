//! What one resource costs in a month, by its kind and its spec.

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;

use super::prices::Prices;
use crate::{
    quantity::Size,
    resource::{Network, network::Internet},
};

/// The hours of a month, as AWS's own calculator has them.
pub(super) const HOURS: f64 = 730.0;
/// Why a kind is left out that nobody thought of here.
pub(super) const UNKNOWN: &str = "nothing is known of what it costs";

/// What a resource costs.
#[derive(Debug, PartialEq)]
pub(super) enum Charge {
    /// So much a month, for this.
    Monthly(f64, String),
    /// Nothing by itself.
    Free,
    /// Nobody knows here, for this reason.
    LeftOut(String),
}

/// Says what a resource costs in a month.
pub(super) fn charge(kind: &str, spec: &Value, prices: &Prices, templates: &Path) -> Charge {
    let by_use = || Charge::LeftOut("charged by use".to_owned());
    let found = match kind {
        "cluster" if spec["instance_type"].is_string() => brokers(spec, prices),
        "database" => database(spec, prices),
        "network" => network(spec, prices),
        "alarm" => alarm(spec, prices, templates),
        "dashboard" => each(prices.dashboard, "dashboard", "dashboard"),
        "secret" => each(prices.secret, "secret", "secret"),
        "key" => each(prices.key, "key", "key"),
        "cluster" | "bucket" | "function" | "log_group" | "notification" | "schedule" | "table" | "catalog" => {
            return by_use();
        }
        "external_schema" => return Charge::LeftOut("charged by the bytes that Spectrum reads".to_owned()),
        "workgroup" => return Charge::LeftOut("charged by the bytes that queries read".to_owned()),
        "trigger" => return Charge::LeftOut("charged by pollers, as many as the load needs".to_owned()),
        "job" => return Charge::LeftOut("charged by Databricks, and by the machines that it starts".to_owned()),
        "model" | "report" => return Charge::LeftOut("charged by the capacity that the workspace lies on".to_owned()),
        "destination" | "role" | "topic" | "schema" | "package" | "secret_scope" | "parameter_group" => {
            return Charge::Free;
        }
        _ => return Charge::LeftOut(UNKNOWN.to_owned()),
    };
    found.map_or_else(Charge::LeftOut, |(dollars, what)| Charge::Monthly(dollars, what))
}

type Found = Result<(f64, String), String>;

fn none(what: &str) -> String {
    format!("no price of `{what}` in templates/prices.toml")
}

fn price(it: Option<f64>, what: &str) -> Result<f64, String> {
    it.ok_or_else(|| none(what))
}

fn each(it: Option<f64>, name: &str, what: &str) -> Found {
    Ok((price(it, name)?, what.to_owned()))
}

fn by_size(prices: &BTreeMap<String, f64>, size: &str) -> Result<f64, String> {
    price(prices.get(size).copied(), size)
}

/// Returns the gigabytes of a field, as AWS counts them when it charges.
fn gigabytes(spec: &Value, field: &str) -> f64 {
    let size: Option<Size> = spec[field].as_str().and_then(|it| it.parse().ok());
    #[expect(clippy::cast_precision_loss, reason = "no storage is so large that a dollar is lost")]
    size.map_or(0.0, |it| it.as_mebibytes() as f64 / 1024.0)
}

fn number(spec: &Value, field: &str, default: u32) -> f64 {
    spec[field].as_u64().and_then(|it| u32::try_from(it).ok()).unwrap_or(default).into()
}

fn brokers(spec: &Value, prices: &Prices) -> Found {
    let size = spec["instance_type"].as_str().unwrap_or_default();
    let (brokers, storage) = (number(spec, "brokers", 3), gigabytes(spec, "storage"));
    let hours = brokers * HOURS * by_size(&prices.broker_hour, size)?;
    let disks = brokers * storage * price(prices.broker_storage, "broker_storage")?;
    Ok((hours + disks, format!("{brokers} × {size} with {storage} GB each")))
}

/// Counts the instance, its standby, its storage, and the secret that RDS keeps its password in.
fn database(spec: &Value, prices: &Prices) -> Found {
    let size = spec["instance_class"].as_str().unwrap_or_default();
    let (zones, storage) = (if spec["multi_az"] == true { 2.0 } else { 1.0 }, gigabytes(spec, "storage"));
    let hours = zones * HOURS * by_size(&prices.database_hour, size)?;
    let disks = zones * storage * price(prices.database_storage, "database_storage")?;
    let standby = if zones > 1.0 { " and a standby" } else { "" };
    Ok((
        hours + disks + price(prices.secret, "secret")?,
        format!("{size}{standby}, {storage} GB, its password's secret"),
    ))
}

/// Counts gateways and endpoints, not what passes through them.
fn network(spec: &Value, prices: &Prices) -> Found {
    // What the file leaves out has defaults that cost something.
    let network: Network = serde_json::from_value(spec.clone()).map_err(|err| err.to_string())?;
    let zones = f64::from(network.zones);
    let gateways = match network.internet {
        Internet::None => 0.0,
        Internet::OneGateway => 1.0,
        Internet::GatewayPerZone => zones,
    };
    let endpoints = f64::from(u32::try_from(network.endpoints.len()).unwrap_or(u32::MAX));
    let gateway = price(prices.gateway_hour, "gateway_hour")? + price(prices.address_hour, "address_hour")?;
    let hourly = gateways * gateway + endpoints * zones * price(prices.endpoint_hour, "endpoint_hour")?;
    let what = format!("{gateways} NAT gateways, {endpoints} endpoints in {zones} zones; not what passes");
    Ok((hourly * HOURS, what))
}

/// Counts the metrics that an alarm's template names; one that names none stands for other alarms.
fn alarm(spec: &Value, prices: &Prices, templates: &Path) -> Found {
    let name = spec["template"].as_str().unwrap_or_default();
    let text = std::fs::read_to_string(templates.join(name)).map_err(|_| format!("{name} cannot be read"))?;
    // What is in braces is no TOML before it is rendered.
    match text.lines().filter(|it| it.starts_with("[metrics.")).count() {
        0 => Ok((price(prices.composite_alarm, "composite_alarm")?, "composite".to_owned())),
        1 => Ok((price(prices.alarm_metric, "alarm_metric")?, "1 metric".to_owned())),
        it => {
            let metrics = f64::from(u32::try_from(it).unwrap_or(u32::MAX));
            Ok((metrics * price(prices.alarm_metric, "alarm_metric")?, format!("{it} metrics")))
        }
    }
}
