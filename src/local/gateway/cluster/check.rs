//! What MSK would refuse, and what it adds to a new cluster. Pure.
//!
//! Source: the MSK API reference. Not checked, as there is nothing behind it on this machine: subnets, security groups,
//! keys, and which instance types exist.

use serde_json::{Map, Value, json};

use crate::local::gateway::call::Fault;

/// Says what is wrong with a cluster's name, if anything.
pub(crate) fn name(name: &str) -> Result<(), Fault> {
    let fits = (1..=64).contains(&name.len())
        && name.starts_with(|it: char| it.is_ascii_alphanumeric())
        && name.ends_with(|it: char| it.is_ascii_alphanumeric())
        && name.chars().all(|it| it.is_ascii_alphanumeric() || it == '-');
    fits.then_some(()).ok_or_else(|| {
        bad("The parameter value of clusterName must be 1 to 64 letters, digits and hyphens, and begin and end with a letter or digit.")
    })
}

/// Turns what `CreateCluster` takes for a provisioned cluster into what `DescribeCluster` shows.
pub(crate) fn provisioned(mut input: Map<String, Value>) -> Result<Map<String, Value>, Fault> {
    let version = input.remove("kafkaVersion").unwrap_or_default();
    let version =
        version.as_str().filter(|it| !it.is_empty()).ok_or_else(|| bad("The parameter kafkaVersion is required."))?;
    let nodes = input.get("numberOfBrokerNodes").and_then(Value::as_i64).unwrap_or(0);
    if !(1..=90).contains(&nodes) {
        return Err(bad("The parameter value of numberOfBrokerNodes must be between 1 and 90."));
    }
    let group = input.get_mut("brokerNodeGroupInfo").and_then(Value::as_object_mut);
    let group = group.ok_or_else(|| bad("The parameter brokerNodeGroupInfo is required."))?;
    if group.get("instanceType").and_then(Value::as_str).is_none_or(str::is_empty) {
        return Err(bad("The parameter brokerNodeGroupInfo.instanceType is required."));
    }
    let subnets = group.get("clientSubnets").and_then(Value::as_array).map_or(0, Vec::len);
    if subnets > 0 && nodes % i64::try_from(subnets).unwrap_or(1) != 0 {
        return Err(bad("The number of broker nodes must be a multiple of the number of client subnets."));
    }
    group.entry("brokerAZDistribution").or_insert_with(|| json!("DEFAULT"));
    group.entry("storageInfo").or_insert_with(|| json!({ "ebsStorageInfo": { "volumeSize": 100 } }));
    volume(group.get("storageInfo").and_then(|it| it.pointer("/ebsStorageInfo/volumeSize")))?;
    let mut software = json!({ "kafkaVersion": version });
    configuration(&mut software, input.remove("configurationInfo"));
    input.insert("currentBrokerSoftwareInfo".into(), software);
    for (key, value) in [
        ("enhancedMonitoring", json!("DEFAULT")),
        ("storageMode", json!("LOCAL")),
        ("encryptionInfo", json!({ "encryptionInTransit": { "clientBroker": "TLS", "inCluster": true } })),
        (
            "openMonitoring",
            json!({ "prometheus": { "jmxExporter": { "enabledInBroker": false }, "nodeExporter": { "enabledInBroker": false } } }),
        ),
    ] {
        input.entry(key).or_insert(value);
    }
    Ok(input)
}

/// Says what is wrong with a broker's volume size in GiB, if anything.
pub(crate) fn volume(size: Option<&Value>) -> Result<(), Fault> {
    match size {
        None => Ok(()),
        Some(it) if it.as_i64().is_some_and(|it| (1..=16384).contains(&it)) => Ok(()),
        Some(_) => Err(bad("The parameter value of volumeSize must be between 1 and 16384 GiB.")),
    }
}

/// Puts what a request calls `configurationInfo` where a cluster shows it.
pub(crate) fn configuration(software: &mut Value, info: Option<Value>) {
    if let Some(info) = info.filter(Value::is_object) {
        software["configurationArn"] = info["arn"].clone();
        software["configurationRevision"] = info["revision"].clone();
    }
}

/// Compares Kafka versions such as `3.9.x` by their numbers.
pub(crate) fn is_newer(target: &str, current: &str) -> bool {
    let numbers = |it: &str| it.split('.').map(|it| it.parse::<u32>().unwrap_or(0)).collect::<Vec<_>>();
    numbers(target) > numbers(current)
}

/// Refuses a request as MSK does.
pub(crate) fn bad(message: impl Into<String>) -> Fault {
    Fault::new(400, "BadRequestException", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Value {
        json!({
            "kafkaVersion": "3.9.x", "numberOfBrokerNodes": 2,
            "configurationInfo": { "arn": "arn:c", "revision": 3 },
            "brokerNodeGroupInfo": { "instanceType": "kafka.m7g.large", "clientSubnets": ["a", "b"] },
        })
    }

    fn made(wanted: Value) -> Result<Map<String, Value>, Fault> {
        match wanted {
            Value::Object(it) => provisioned(it),
            it => panic!("not an object: {it}"),
        }
    }

    #[test]
    fn defaults_are_added_and_the_version_moves() {
        let shape = Value::Object(made(wanted()).expect("a valid cluster"));
        assert_eq!(
            shape["currentBrokerSoftwareInfo"],
            json!({ "kafkaVersion": "3.9.x", "configurationArn": "arn:c", "configurationRevision": 3 })
        );
        assert_eq!(shape["brokerNodeGroupInfo"]["storageInfo"]["ebsStorageInfo"]["volumeSize"], 100);
        assert_eq!(shape["enhancedMonitoring"], "DEFAULT");
        assert!(shape.get("kafkaVersion").is_none());
    }

    #[test]
    fn mistakes_are_refused() {
        let with = |pointer: &str, value: Value| {
            let mut it = wanted();
            *it.pointer_mut(pointer).expect("a field") = value;
            made(it).expect_err("a mistake").message
        };
        assert!(with("/kafkaVersion", json!("")).contains("kafkaVersion"));
        assert!(with("/numberOfBrokerNodes", json!(3)).contains("multiple"));
        assert!(with("/brokerNodeGroupInfo/instanceType", json!(null)).contains("instanceType"));
        assert!(name("-shop").is_err() && name("shop-1").is_ok() && name(&"a".repeat(65)).is_err());
    }

    #[test]
    fn versions_compare_by_number() {
        assert!(is_newer("3.10.x", "3.9.x"));
        assert!(is_newer("4.1.x.kraft", "3.9.x"));
        assert!(!is_newer("3.9.x", "3.9.x"));
    }
}
