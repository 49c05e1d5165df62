//! What a dashboard's body must be. Pure.
//!
//! Rules: "Dashboard body structure and syntax" in the CloudWatch API reference, as far as mistakes against them are
//! refused there. Properties that are not in it are warned of. What is inside queries and annotations is not looked at.

use serde_json::Value;

/// The most widgets.
const WIDGETS: usize = 500;
/// The views of a metric widget.
const VIEWS: [&str; 6] = ["timeSeries", "singleValue", "gauge", "bar", "pie", "table"];

/// What is to be said about a body.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// What makes it invalid.
    pub(super) mistakes: Vec<Remark>,
    /// What does not.
    pub(super) warnings: Vec<Remark>,
}

/// One remark, and where it belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Remark {
    /// The place, as a JSON pointer.
    pub(super) path: String,
    /// What is wrong there.
    pub(super) message: String,
}

impl Found {
    fn mistake(&mut self, path: &str, message: impl Into<String>) {
        self.mistakes.push(Remark { path: path.to_owned(), message: message.into() });
    }

    /// Returns a member that must be there and of a type.
    fn required<'a, T>(
        &mut self,
        at: &str,
        of: &'a Value,
        name: &str,
        kind: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Option<T> {
        match of.get(name) {
            None => {
                self.mistake(at, format!("Should have required property '{name}'"));
                None
            }
            Some(it) => {
                let read = read(it);
                if read.is_none() {
                    self.mistake(&format!("{at}/{name}"), format!("Should be {kind}"));
                }
                read
            }
        }
    }

    fn number(&mut self, at: &str, of: &Value, name: &str, least: i64, most: i64) {
        if let Some(it) = of.get(name)
            && !it.as_i64().is_some_and(|it| (least..=most).contains(&it))
        {
            self.mistake(&format!("{at}/{name}"), format!("Should be an integer between {least} and {most}"));
        }
    }

    fn word(&mut self, at: &str, of: &Value, name: &str, words: &[&str]) {
        if let Some(it) = of.get(name)
            && !it.as_str().is_some_and(|it| words.contains(&it))
        {
            self.mistake(&format!("{at}/{name}"), format!("Should match exactly one of: {}", words.join(", ")));
        }
    }
}

/// Looks through a body.
pub(super) fn body(text: &str) -> Found {
    let mut found = Found::default();
    let Ok(document) = serde_json::from_str::<Value>(text) else {
        found.mistake("", "The field DashboardBody must be a valid JSON object");
        return found;
    };
    if !document.is_object() {
        found.mistake("", "The field DashboardBody must be a valid JSON object");
        return found;
    }
    if let Some(widgets) = found.required("", &document, "widgets", "array", Value::as_array) {
        if widgets.len() > WIDGETS {
            found.mistake("/widgets", format!("Should NOT have more than {WIDGETS} items"));
        }
        for (i, it) in widgets.iter().enumerate() {
            widget(&mut found, &format!("/widgets/{i}"), it);
        }
    }
    found.word("", &document, "periodOverride", &["auto", "inherit"]);
    let known = ["widgets", "start", "end", "periodOverride", "variables"];
    unknown(&mut found, "", &document, &known);
    found
}

fn unknown(found: &mut Found, at: &str, of: &Value, known: &[&str]) {
    let names = of.as_object().into_iter().flatten().map(|it| it.0);
    let strange = names.filter(|it| !known.contains(&it.as_str()));
    let warn =
        |it: &String| Remark { path: at.to_owned(), message: format!("Should NOT have additional property '{it}'") };
    found.warnings.extend(strange.map(warn));
}

fn widget(found: &mut Found, at: &str, widget: &Value) {
    if !widget.is_object() {
        found.mistake(at, "Should be object");
        return;
    }
    found.number(at, widget, "x", 0, 23);
    found.number(at, widget, "y", 0, i64::from(i32::MAX));
    found.number(at, widget, "width", 1, 24);
    found.number(at, widget, "height", 1, 1000);
    if widget.get("x").is_some() != widget.get("y").is_some() {
        found.mistake(at, "Should have both or neither of the properties 'x' and 'y'");
    }
    let (x, width) = (widget["x"].as_i64().unwrap_or(0), widget["width"].as_i64().unwrap_or(6));
    if x + width > 24 {
        found.mistake(at, "Should NOT reach beyond column 24");
    }
    unknown(found, at, widget, &["type", "x", "y", "width", "height", "properties"]);
    let kind = found.required(at, widget, "type", "string", Value::as_str);
    let properties = found.required(at, widget, "properties", "object", |it| it.is_object().then_some(it));
    let Some(properties) = properties else { return };
    let at = format!("{at}/properties");
    match kind {
        Some("metric") => metric(found, &at, properties),
        Some("text") => {
            found.required(&at, properties, "markdown", "string", Value::as_str);
            found.word(&at, properties, "background", &["transparent", "solid"]);
        }
        Some("log") => {
            found.required(&at, properties, "query", "string", Value::as_str);
            found.required(&at, properties, "region", "string", Value::as_str);
            found.word(&at, properties, "view", &["table", "timeSeries", "bar", "pie"]);
        }
        Some("alarm") => {
            if let Some(alarms) = found.required(&at, properties, "alarms", "array", Value::as_array) {
                let is_arn =
                    |it: &Value| it.as_str().is_some_and(|it| it.starts_with("arn:") && it.contains(":alarm:"));
                for (i, it) in alarms.iter().enumerate().filter(|it| !is_arn(it.1)) {
                    found.mistake(&format!("{at}/alarms/{i}"), format!("Should be the ARN of an alarm, not {it}"));
                }
                if alarms.is_empty() || alarms.len() > 100 {
                    found.mistake(&format!("{at}/alarms"), "Should have between 1 and 100 items");
                }
            }
        }
        Some("explorer" | "custom") | None => (),
        Some(_) => found.mistake(
            &at.replace("/properties", "/type"),
            "Should match exactly one of: metric, text, log, alarm, explorer, custom",
        ),
    }
}

fn metric(found: &mut Found, at: &str, properties: &Value) {
    found.required(at, properties, "region", "string", Value::as_str);
    found.word(at, properties, "view", &VIEWS);
    found.word(&format!("{at}/legend"), &properties["legend"], "position", &["right", "bottom", "hidden"]);
    if let Some(it) = properties.get("period")
        && !it.as_i64().is_some_and(is_period)
    {
        found.mistake(&format!("{at}/period"), "Should be 1, 5, 10, 20, 30 or a multiple of 60");
    }
    if let Some(it) = properties.get("stacked")
        && !it.is_boolean()
    {
        found.mistake(&format!("{at}/stacked"), "Should be boolean");
    }
    let annotated = properties["annotations"]["alarms"].is_array();
    match properties.get("metrics") {
        None if annotated => (),
        None => found.mistake(at, "Should have required property 'metrics'"),
        Some(Value::Array(lines)) => {
            if lines.is_empty() && !annotated {
                found.mistake(&format!("{at}/metrics"), "Should NOT have less than 1 items");
            }
            for (i, it) in lines.iter().enumerate() {
                line(found, &format!("{at}/metrics/{i}"), it, i == 0);
            }
        }
        Some(_) => found.mistake(&format!("{at}/metrics"), "Should be array"),
    }
}

fn is_period(it: i64) -> bool {
    matches!(it, 1 | 5 | 10 | 20 | 30) || (it > 0 && it % 60 == 0)
}

/// One line of a graph: namespace, name, dimensions by turns, and options; or options with an expression alone.
fn line(found: &mut Found, at: &str, line: &Value, is_first: bool) {
    let Some(items) = line.as_array() else {
        found.mistake(at, "Should be array");
        return;
    };
    let (options, names) = match items.split_last() {
        Some((last, rest)) if last.is_object() => (Some(last), rest),
        _ => (None, &items[..]),
    };
    for (i, it) in names.iter().enumerate() {
        if !it.is_string() {
            found.mistake(&format!("{at}/{i}"), "Should be string");
        }
    }
    let is_math = options.is_some_and(|it| it.get("expression").is_some());
    // `...` stands for as much of the line before as is not given.
    let shortened = names.first().is_some_and(|it| it == "...");
    match names.len() {
        0 if is_math => (),
        _ if shortened => (),
        0 | 1 => found.mistake(at, "Should NOT have less than 2 items"),
        count if count % 2 == 1 => found.mistake(at, "Should have an even number of strings: dimensions come in pairs"),
        _ if is_math => found.mistake(at, "Should NOT have a metric next to an expression"),
        _ => (),
    }
    let repeats = names.iter().take(2).filter_map(Value::as_str).any(|it| it == "." || it == "...");
    if is_first && repeats {
        found.mistake(at, "Should NOT repeat a line before the first one");
    }
    let Some(options) = options else { return };
    let at = format!("{at}/{}", names.len());
    found.word(&at, options, "yAxis", &["left", "right"]);
    if let Some(it) = options.get("period")
        && !it.as_i64().is_some_and(is_period)
    {
        found.mistake(&format!("{at}/period"), "Should be 1, 5, 10, 20, 30 or a multiple of 60");
    }
    if let Some(it) = options.get("visible")
        && !it.is_boolean()
    {
        found.mistake(&format!("{at}/visible"), "Should be boolean");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn widget_of(kind: &str, properties: Value) -> Value {
        json!({ "widgets": [{ "type": kind, "x": 0, "y": 0, "width": 12, "height": 6, "properties": properties }] })
    }

    #[test]
    fn a_body_of_the_reference_is_taken() {
        let all = widget_of(
            "metric",
            json!({
                "metrics": [
                    ["AWS/Lambda", "Errors", "FunctionName", "ingest", { "id": "m1", "visible": false }],
                    ["...", "watch", { "stat": "p99" }],
                    ["...", { "stat": "Average" }],
                    [".", "Throttles", ".", "."],
                    [{ "expression": "m1 * 2", "label": "twice", "yAxis": "right" }],
                ],
                "period": 60, "stat": "Sum", "region": "us-east-1", "view": "timeSeries", "stacked": false,
            }),
        );
        assert_eq!(body(&all.to_string()), Found::default());
        for good in [
            widget_of("text", json!({ "markdown": "# Shop" })),
            widget_of("alarm", json!({ "alarms": ["arn:aws:cloudwatch:us-east-1:0:alarm:a"] })),
            widget_of("log", json!({ "query": "SOURCE 'a' | fields @message", "region": "us-east-1" })),
            json!({ "widgets": [] }),
        ] {
            assert_eq!(body(&good.to_string()), Found::default(), "{good}");
        }
    }

    #[test]
    fn mistakes_have_their_place() {
        let metrics = |lines: Value| widget_of("metric", json!({ "region": "us-east-1", "metrics": lines }));
        for (bad, path) in [
            (json!({}), ""),
            (json!({ "widgets": {} }), "/widgets"),
            (json!({ "widgets": [{ "type": "text" }] }), "/widgets/0"),
            (widget_of("graph", json!({})), "/widgets/0/type"),
            (widget_of("text", json!({})), "/widgets/0/properties"),
            (widget_of("metric", json!({ "metrics": [["a", "b"]] })), "/widgets/0/properties"),
            (widget_of("alarm", json!({ "alarms": ["a"] })), "/widgets/0/properties/alarms/0"),
            (metrics(json!([["AWS/Lambda"]])), "/widgets/0/properties/metrics/0"),
            (metrics(json!([["AWS/Lambda", "Errors", "FunctionName"]])), "/widgets/0/properties/metrics/0"),
            (metrics(json!([["AWS/Lambda", "Errors", { "period": 45 }]])), "/widgets/0/properties/metrics/0/2/period"),
            (metrics(json!([["AWS/Lambda", 5]])), "/widgets/0/properties/metrics/0/1"),
            (metrics(json!([])), "/widgets/0/properties/metrics"),
        ] {
            let found = body(&bad.to_string());
            assert_eq!(
                found.mistakes.iter().map(|it| it.path.as_str()).collect::<Vec<_>>(),
                [path],
                "{bad}: {found:?}"
            );
        }
        assert_eq!(body("{").mistakes.len(), 1);
        let mut wide = widget_of("text", json!({ "markdown": "" }));
        wide["widgets"][0]["x"] = json!(20);
        assert_eq!(body(&wide.to_string()).mistakes.len(), 1);
    }

    #[test]
    fn what_is_unknown_is_warned_of() {
        let mut odd = widget_of("text", json!({ "markdown": "" }));
        odd["widgets"][0]["colour"] = json!("red");
        let found = body(&odd.to_string());
        assert_eq!((found.mistakes.len(), found.warnings.len()), (0, 1));
    }
}
