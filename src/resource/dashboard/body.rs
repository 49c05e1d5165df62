//! What CloudWatch takes as the body of a dashboard. Pure.
//!
//! Source: "Dashboard body structure and syntax" in CloudWatch's API reference.

use serde_json::{Map, Value};

use crate::resource::metric;

/// The grid that widgets lie on, in columns; the most rows of a widget, and the most widgets.
const COLUMNS: u64 = 24;
const ROWS: u64 = 1000;
const WIDGETS: usize = 500;
const VIEWS: [&str; 6] = ["timeSeries", "singleValue", "gauge", "bar", "pie", "table"];
const ALARMS: usize = 100;

/// Lists what is wrong with a body, each mistake with its place.
pub(super) fn mistakes(body: &Value) -> Vec<String> {
    let Some(top) = body.as_object() else { return vec!["it is no JSON object".to_owned()] };
    let known = ["start", "end", "periodOverride", "variables", "widgets"];
    let mut found = unknown("the body", top, &known);
    if let Some(it) = top.get("periodOverride").filter(|it| !["auto", "inherit"].iter().any(|known| *it == known)) {
        found.push(format!("periodOverride is `auto` or `inherit`, not {it}"));
    }
    let Some(widgets) = body["widgets"].as_array() else {
        found.push("it has no list `widgets`".to_owned());
        return found;
    };
    if widgets.len() > WIDGETS {
        found.push(format!("it has {} widgets, and CloudWatch takes {WIDGETS}", widgets.len()));
    }
    for (i, it) in widgets.iter().enumerate() {
        found.extend(widget(it).into_iter().map(|why| format!("widgets[{i}]: {why}")));
    }
    found.extend(overlaps(widgets));
    found
}

fn widget(it: &Value) -> Vec<String> {
    let Some(map) = it.as_object() else { return vec!["it is no JSON object".to_owned()] };
    let mut found = unknown("a widget", map, &["type", "x", "y", "width", "height", "properties"]);
    let size = |field: &str, default: u64| it.get(field).map_or(Some(default), Value::as_u64);
    let (x, width) = (size("x", 0), size("width", 6));
    let fits = x.zip(width).is_some_and(|(x, width)| width >= 1 && x + width <= COLUMNS);
    if !fits {
        found.push(format!("x and width do not fit into {COLUMNS} columns"));
    }
    if !size("height", 6).is_some_and(|it| (1..=ROWS).contains(&it)) || size("y", 0).is_none() {
        found.push(format!("height is 1 to {ROWS}, and y is not negative"));
    }
    if it.get("x").is_some() != it.get("y").is_some() {
        found.push("a widget has both of x and y, or none".to_owned());
    }
    let Some(properties) = it["properties"].as_object() else {
        found.push("it has no `properties`".to_owned());
        return found;
    };
    let text = |field: &str| properties.get(field).is_some_and(|it| it.as_str().is_some_and(|it| !it.is_empty()));
    match it["type"].as_str() {
        Some("metric") => found.extend(metrics(properties, text("region"))),
        Some("text") if !text("markdown") => found.push("a text has `markdown`".to_owned()),
        Some("log") if !text("query") || !text("region") => found.push("a log has a `query` and a `region`".to_owned()),
        Some("alarm") => match properties.get("alarms").and_then(Value::as_array) {
            Some(them) if (1..=ALARMS).contains(&them.len()) && them.iter().all(is_arn) => (),
            _ => found.push(format!("alarms are listed by their ARNs, 1 to {ALARMS} of them")),
        },
        Some("text" | "log" | "explorer") => (),
        _ => found.push(format!("there is no widget of type {}", it["type"])),
    }
    found
}

fn metrics(properties: &Map<String, Value>, has_region: bool) -> Vec<String> {
    let mut found = Vec::new();
    if !has_region {
        found.push("metrics have a `region`".to_owned());
    }
    if let Some(view) = properties.get("view")
        && !VIEWS.iter().any(|it| view == it)
    {
        found.push(format!("there is no view {view}: {}", VIEWS.join(", ")));
    }
    if let Some(period) = properties.get("period")
        && !period.as_u64().is_some_and(|it| [1, 5, 10, 20, 30].contains(&it) || it > 0 && it.is_multiple_of(60))
    {
        found.push(format!("a period is 1, 5, 10, 20, 30 seconds or whole minutes, not {period}"));
    }
    let annotated = properties.get("annotations").and_then(|it| it["alarms"].as_array());
    match properties.get("metrics").and_then(Value::as_array) {
        Some(rows) if !rows.is_empty() => {
            let mut above: Vec<Value> = Vec::new();
            for (i, row) in rows.iter().enumerate() {
                match plain(row, &above) {
                    Ok(row) => {
                        found.extend(named(&row).map(|why| format!("metrics[{i}]: {why}")));
                        above = row;
                    }
                    Err(why) => found.push(format!("metrics[{i}]: {why}")),
                }
            }
        }
        _ if annotated.is_some_and(|it| it.len() == 1 && it.iter().all(is_arn)) => (),
        _ => found.push("metrics are listed in `metrics`, or one alarm in `annotations.alarms`".to_owned()),
    }
    found
}

/// Writes out a metric that repeats parts of the one above: `.` is the same part, `...` all but the last given ones.
/// Expressions leave the row above as it was.
fn plain(row: &Value, above: &[Value]) -> Result<Vec<Value>, String> {
    let row = row.as_array().ok_or("it is no list")?;
    let (mut parts, options) = match row.split_last() {
        Some((options, parts)) if options.is_object() => (parts.to_vec(), Some(options)),
        _ => (row.clone(), None),
    };
    if parts.is_empty() {
        return match options.is_some_and(|it| it["expression"].is_string()) {
            true => Ok(above.to_vec()),
            false => Err("it names no metric and computes none".to_owned()),
        };
    }
    if !parts.iter().all(Value::is_string) {
        return Err("its parts are texts, and its options come last".to_owned());
    }
    if parts[0] == "..." {
        let given = parts.len() - 1;
        let kept = above.len().checked_sub(given).ok_or("there is no such metric above it")?;
        parts = above[..kept].iter().cloned().chain(parts.drain(1..)).collect();
    }
    for (i, part) in parts.iter_mut().enumerate().filter(|it| *it.1 == ".") {
        *part = above.get(i).cloned().ok_or("there is no such metric above it")?;
    }
    match parts.len() >= 2 && parts.len().is_multiple_of(2) {
        true => Ok(parts),
        false => Err("it is a namespace, a name, and pairs of dimensions and values".to_owned()),
    }
}

/// Says that nobody emits such a metric.
fn named(row: &[Value]) -> Option<String> {
    let [namespace, name, dimensions @ ..] = row else { return None };
    let dimensions = dimensions.iter().step_by(2).filter_map(Value::as_str);
    let (message, help) = metric::mistake(namespace.as_str()?, name.as_str()?, dimensions)?;
    Some(format!("{message}: {help}"))
}

fn unknown(of: &str, map: &Map<String, Value>, known: &[&str]) -> Vec<String> {
    let strange = map.keys().filter(|it| !known.contains(&it.as_str()));
    strange.map(|it| format!("{of} has no `{it}`")).collect()
}

fn is_arn(it: &Value) -> bool {
    it.as_str().is_some_and(|it| it.starts_with("arn:"))
}

/// Finds widgets that lie on each other: CloudWatch moves one away, so that the picture is not the one meant.
fn overlaps(widgets: &[Value]) -> Vec<String> {
    let place = |it: &Value| {
        let size = |field: &str| it.get(field).map_or(Some(6), Value::as_u64);
        Some((it.get("x")?.as_u64()?, it.get("y")?.as_u64()?, size("width")?, size("height")?))
    };
    let places: Vec<_> = widgets.iter().enumerate().filter_map(|(i, it)| Some((i, place(it)?))).collect();
    let meet = |a: (u64, u64), b: (u64, u64)| a.0 < b.0 + b.1 && b.0 < a.0 + a.1;
    let mut found = Vec::new();
    for (n, (i, (x, y, width, height))) in places.iter().enumerate() {
        for (j, other) in &places[n + 1..] {
            if meet((*x, *width), (other.0, other.2)) && meet((*y, *height), (other.1, other.3)) {
                found.push(format!("widgets[{i}] and widgets[{j}] lie on each other"));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn errors() -> Value {
        json!({ "type": "metric", "x": 0, "y": 0, "width": 12, "height": 6, "properties": {
            "region": "eu-central-1", "view": "timeSeries", "period": 60, "metrics": [
                ["AWS/Lambda", "Errors", "FunctionName", "s-ingest", { "stat": "Sum" }],
                [".", "Throttles", ".", "."],
                ["...", "s-migrate", { "id": "m" }],
                [{ "expression": "m / 2", "label": "half" }],
            ],
        } })
    }

    #[test]
    fn what_is_documented_is_taken() {
        let body = json!({ "start": "-PT3H", "periodOverride": "inherit", "widgets": [
            errors(),
            { "type": "text", "x": 12, "y": 0, "width": 12, "height": 2, "properties": { "markdown": "# s" } },
            { "type": "alarm", "width": 24, "height": 2, "properties": { "alarms": ["arn:aws:cloudwatch:r:1:alarm:a"] } },
            { "type": "log", "properties": { "region": "eu-central-1", "query": "SOURCE '/x' | fields @message" } },
        ] });
        assert_eq!(mistakes(&body), Vec::<String>::new());
    }

    #[test]
    fn what_is_not_is_told_with_its_place() {
        let told = |path: &str, value: Value| {
            let mut body = json!({ "widgets": [errors()] });
            *body.pointer_mut(path).expect("a place") = value;
            mistakes(&body).join("; ")
        };
        assert_eq!(told("/widgets/0/width", json!(25)), "widgets[0]: x and width do not fit into 24 columns");
        assert_eq!(told("/widgets/0/type", json!("graph")), "widgets[0]: there is no widget of type \"graph\"");
        let view = told("/widgets/0/properties/view", json!("lines"));
        assert!(view.starts_with("widgets[0]: there is no view \"lines\""), "{view}");
        assert!(told("/widgets/0/properties/period", json!(45)).contains("not 45"));
        assert!(told("/widgets/0/properties/metrics", json!([])).contains("listed in `metrics`"));
        let name = told("/widgets/0/properties/metrics/0/1", json!("Error"));
        assert!(name.starts_with("widgets[0]: metrics[0]: nothing emits a metric Error in AWS/Lambda"), "{name}");
        let short = told("/widgets/0/properties/metrics/1", json!([".", "Errors", "."]));
        assert!(short.contains("metrics[1]: it is a namespace"), "{short}");
        assert_eq!(mistakes(&json!([])), ["it is no JSON object"]);
        assert_eq!(mistakes(&json!({ "widget": [] })), ["the body has no `widget`", "it has no list `widgets`"]);
        let mut twice = json!({ "widgets": [errors(), errors()] });
        assert_eq!(mistakes(&twice), ["widgets[0] and widgets[1] lie on each other"]);
        twice["widgets"][1]["y"] = json!(6);
        assert_eq!(mistakes(&twice), Vec::<String>::new());
    }
}
