//! What a version of a function is made of: its code, and the settings that are frozen with it. Pure.

use aws_sdk_lambda::types::{FunctionConfiguration, LogFormat as Format};
use serde_json::{Map, Value, json};

use super::LogFormat;
use crate::quantity::{Size, Span};

/// The fields that `UpdateFunctionConfiguration` sets.
pub(super) const SETTINGS: [&str; 8] =
    ["memory", "timeout", "environment", "role", "log_group", "log_format", "subnets", "security_groups"];
/// The fields that `UpdateFunctionCode` sets.
pub(super) const CODE: [&str; 2] = ["architecture", "code"];
/// Lists without an order.
const UNORDERED: [&str; 2] = ["subnets", "security_groups"];

/// Returns the fields of the resource as a version, or what is to become one, has them.
pub(super) fn fields(it: &FunctionConfiguration) -> Map<String, Value> {
    let positive = |it: Option<i32>| it.and_then(|it| u64::try_from(it).ok());
    let logging = it.logging_config();
    let format = match logging.and_then(|it| it.log_format()) {
        Some(Format::Json) => LogFormat::Json,
        _ => LogFormat::Text,
    };
    let vpc = it.vpc_config();
    let fields = [
        ("architecture", json!(it.architectures().first().map(|it| it.as_str()))),
        ("memory", json!(positive(it.memory_size()).map(Size::mebibytes))),
        ("timeout", json!(positive(it.timeout()).map(Span::seconds))),
        ("environment", json!(it.environment().and_then(|it| it.variables()).cloned().unwrap_or_default())),
        ("role", json!(it.role().and_then(|it| it.rsplit('/').next()))),
        ("log_group", json!(logging.and_then(|it| it.log_group()))),
        ("log_format", json!(format)),
        ("subnets", json!(vpc.map(|it| it.subnet_ids().to_vec()).unwrap_or_default())),
        ("security_groups", json!(vpc.map(|it| it.security_group_ids().to_vec()).unwrap_or_default())),
        ("code", json!(it.code_sha256())),
    ];
    fields.into_iter().map(|(field, it)| (field.to_owned(), it)).collect()
}

/// Says whether two values of a field mean the same.
pub(super) fn same(field: &str, one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Array(one), Value::Array(other)) if UNORDERED.contains(&field) => sorted(one) == sorted(other),
        _ => one == other,
    }
}

fn sorted(items: &[Value]) -> Vec<String> {
    let mut items: Vec<String> = items.iter().map(ToString::to_string).collect();
    items.sort();
    items
}

/// Returns the fields in which the newest differs from the version that serves, as the newest has them; of a map, the
/// entries, with null for one that the newest lacks.
pub(super) fn beyond(newest: &FunctionConfiguration, serves: &FunctionConfiguration) -> Map<String, Value> {
    let serves = fields(serves);
    let mut beyond = Map::new();
    for (field, now) in fields(newest) {
        let was = serves.get(&field).unwrap_or(&Value::Null);
        match (now.as_object(), was.as_object()) {
            _ if same(&field, &now, was) => (),
            (Some(now), Some(was)) => {
                let entries = now.keys().chain(was.keys()).filter(|key| now.get(*key) != was.get(*key));
                // A difference must show, also one that takes away.
                let entry = |key: &String| (key.clone(), now.get(key).cloned().unwrap_or_else(|| json!("(none)")));
                beyond.insert(field, entries.map(entry).collect::<Map<_, _>>().into());
            }
            _ => drop(beyond.insert(field, if now.is_null() { json!("(none)") } else { now })),
        }
    }
    beyond
}

#[cfg(test)]
mod tests {
    use aws_sdk_lambda::types::{EnvironmentResponse, VpcConfigResponse};

    use super::*;

    fn config(memory: i32, variables: &[(&str, &str)], subnets: &[&str]) -> FunctionConfiguration {
        let own = |it: &(&str, &str)| (it.0.to_owned(), it.1.to_owned());
        let environment = EnvironmentResponse::builder().set_variables(Some(variables.iter().map(own).collect()));
        let subnets = subnets.iter().map(|it| (*it).to_owned()).collect();
        let vpc = VpcConfigResponse::builder().set_subnet_ids(Some(subnets)).build();
        let config = FunctionConfiguration::builder().memory_size(memory).code_sha256("sha").vpc_config(vpc);
        config.environment(environment.build()).build()
    }

    #[test]
    fn what_is_not_published_is_told_field_by_field() {
        let serves = config(256, &[("A", "1"), ("B", "2")], &["x", "y"]);
        assert!(
            beyond(&config(256, &[("A", "1"), ("B", "2")], &["y", "x"]), &serves).is_empty(),
            "subnets in any order"
        );
        let told = Value::Object(beyond(&config(512, &[("A", "1"), ("C", "3")], &["x", "y"]), &serves));
        assert_eq!(told, json!({ "memory": "512MiB", "environment": { "B": "(none)", "C": "3" } }));
    }

    #[test]
    fn every_field_of_a_version_is_one_that_some_request_sets() {
        let fields = fields(&config(256, &[], &[]));
        assert_eq!(fields.len(), SETTINGS.len() + CODE.len());
        assert!(fields.keys().all(|it| SETTINGS.contains(&it.as_str()) || CODE.contains(&it.as_str())));
    }
}
