//! What a running pipeline is doing, on one screen.
//!
//! What cannot be told from here is said to be unknown, with the reason; it is never left out.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::alarms::{self, Alarms};
use crate::report::{
    Style, Tone, human,
    terminal::{harmless, table},
};

/// Something that can be told, or the reason why not. As JSON it is the value, or null; see [`json`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known<T> {
    /// What it is.
    Known(T),
    /// Why it cannot be told.
    Unknown(String),
}

/// A stack's doings at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// The stack.
    pub stack: String,
    /// When it was looked at.
    pub at: Timestamp,
    /// The alarms.
    pub alarms: Known<Alarms>,
    /// The topics.
    pub topics: Vec<Topic>,
    /// The functions.
    pub functions: Vec<Function>,
    /// The triggers.
    pub triggers: Vec<Trigger>,
    /// What the database holds.
    pub tables: Known<Tables>,
}

/// A topic, and who reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Topic {
    /// Its name in its cluster.
    pub name: String,
    /// How many partitions it has.
    pub partitions: Known<u64>,
    /// How many records were ever appended, all partitions together.
    pub end: Known<i64>,
    /// How many records each consumer group has yet to read.
    pub lag: Known<BTreeMap<String, i64>>,
}

/// A function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Function {
    /// Its name within the stack.
    pub name: String,
    /// The provider's word for its state, such as `Active`.
    pub state: Known<String>,
    /// The provider's word for its last update, such as `Successful`.
    pub last_update: Option<String>,
    /// When it was last changed, in RFC 3339.
    pub modified: Option<String>,
    /// The error lines of its log in the last hour.
    pub errors: Known<Errors>,
}

/// Error lines of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Errors {
    /// How many there are; at least so many where there are `more`.
    pub count: usize,
    /// Whether not all of the log was read.
    pub more: bool,
    /// The newest of them, the very newest last.
    pub newest: Vec<String>,
}

/// A trigger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trigger {
    /// Its name within the stack.
    pub name: String,
    /// The provider's word for its state, such as `Enabled`.
    pub state: Known<String>,
    /// What came of its last batch.
    pub last_result: Option<String>,
}

/// What the database holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tables {
    /// Rows by table; none where there were too many to count in time.
    pub rows: BTreeMap<String, Option<i64>>,
    /// Events that wait for another, such as a payment for its order.
    pub waiting: i64,
    /// Events that were not accepted.
    pub rejected: i64,
    /// The same by reason, as far as that is told.
    pub reasons: BTreeMap<String, i64>,
}

impl<T: Serialize> Serialize for Known<T> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Known(it) => it.serialize(to),
            Self::Unknown(_) => to.serialize_none(),
        }
    }
}

impl<T> Known<T> {
    fn show(&self, write: impl FnOnce(&T) -> String) -> String {
        match self {
            Self::Known(it) => write(it),
            Self::Unknown(_) => "unknown".to_owned(),
        }
    }

    fn reason(&self) -> Option<&str> {
        match self {
            Self::Known(_) => None,
            Self::Unknown(it) => Some(it),
        }
    }
}

/// Writes a status for programs: what cannot be told is null, and stands in `unknown` with the reason.
///
/// ```json
/// { "stack": "local", "at": "<RFC 3339>",
///   "alarms": { "stack": "local", "alarms": [{ "name": "ingest_errors", "state": "alarm", … }] },
///   "topics": [{ "name": "orders", "partitions": 6, "end": 30000, "lag": { "local-orders": 1200 } }],
///   "functions": [{ "name": "ingest", "state": "Active", "last_update": "Successful" | null,
///                   "modified": "<RFC 3339>" | null, "errors": { "count": 1, "more": false, "newest": ["…"] } }],
///   "triggers": [{ "name": "orders", "state": "Enabled", "last_result": "OK" | null }],
///   "tables": { "rows": { "orders": 10000 | null }, "waiting": 3, "rejected": 42, "reasons": { "bad_amount": 40 } },
///   "unknown": [{ "what": "topics.customers.lag", "why": "the brokers cannot be reached from here" }] }
/// ```
///
/// # Errors
/// None: a status is plain data.
pub fn json(it: &Status) -> serde_json::Result<Value> {
    let mut object = serde_json::to_value(it)?;
    let unknown = unknowns(it).map(|(what, why)| json!({ "what": what, "why": why }));
    object["unknown"] = unknown.collect();
    Ok(object)
}

/// Writes a status for people.
pub fn text(it: &Status, style: Style) -> String {
    let mut sections = vec![style.paint(Tone::Strong, &it.stack)];
    if let Known::Known(all) = &it.alarms {
        sections.extend(alarms::summary(all, it.at, style));
    }
    if !it.topics.is_empty() {
        let rows = it.topics.iter().map(topic);
        sections.push(table(&["topic", "partitions", "records", "lag"], rows, style));
    }
    if !it.functions.is_empty() {
        let rows = it.functions.iter().map(function);
        sections.push(table(&["function", "state", "last update", "errors (1 h)"], rows, style));
        sections.extend(latest_errors(&it.functions, style));
    }
    if !it.triggers.is_empty() {
        let rows = it
            .triggers
            .iter()
            .map(|it| vec![it.name.clone(), it.state.show(Clone::clone), it.last_result.clone().unwrap_or_default()]);
        sections.push(table(&["trigger", "state", "last batch"], rows, style));
    }
    if let Known::Known(tables) = &it.tables {
        sections.push(database(tables, style));
    }
    let mut reasons: Vec<_> = unknowns(it).map(|it| it.1).collect();
    reasons.sort_unstable();
    reasons.dedup();
    let reasons: Vec<_> =
        reasons.iter().map(|it| style.paint(Tone::Change, &format!("unknown: {}", harmless(it)))).collect();
    sections.extend((!reasons.is_empty()).then(|| reasons.join("\n")));
    sections.join("\n\n")
}

fn topic(it: &Topic) -> Vec<String> {
    let lag = |groups: &BTreeMap<String, i64>| match groups.len() {
        0 => "nobody reads it".to_owned(),
        1 => groups.values().map(|it| human::count(*it)).collect(),
        _ => groups.iter().map(|(group, it)| format!("{} ({group})", human::count(*it))).collect::<Vec<_>>().join(", "),
    };
    vec![
        it.name.clone(),
        it.partitions.show(ToString::to_string),
        it.end.show(|it| human::count(*it)),
        it.lag.show(lag),
    ]
}

fn function(it: &Function) -> Vec<String> {
    let update = [it.last_update.as_deref(), it.modified.as_deref()];
    vec![
        it.name.clone(),
        it.state.show(Clone::clone),
        update.into_iter().flatten().collect::<Vec<_>>().join(", "),
        it.errors.show(|it| {
            format!("{}{}", human::count(i64::try_from(it.count).unwrap_or(i64::MAX)), if it.more { "+" } else { "" })
        }),
    ]
}

/// Shows the newest error of each function that had any.
fn latest_errors(functions: &[Function], style: Style) -> Option<String> {
    let mut lines = Vec::new();
    for it in functions {
        if let Known::Known(errors) = &it.errors
            && let Some(last) = errors.newest.last()
        {
            let line: String =
                harmless(&last.trim().replace('\n', " ")).chars().take(style.width.unwrap_or(200)).collect();
            lines.push(format!("{} {line}", style.paint(Tone::Bad, &format!("{}:", it.name))));
        }
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn database(it: &Tables, style: Style) -> String {
    let rows = it.rows.iter().map(|(name, rows)| {
        vec![name.clone(), rows.map_or_else(|| "too many to count in time".to_owned(), human::count)]
    });
    let reasons: Vec<_> = it.reasons.iter().map(|(why, it)| format!("{} {why}", human::count(*it))).collect();
    let reasons = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
    let events = [
        vec!["waiting events".to_owned(), human::count(it.waiting)],
        vec!["rejected events".to_owned(), format!("{}{reasons}", human::count(it.rejected))],
    ];
    table(&["table", "rows"], rows.chain(events), style)
}

/// Lists what cannot be told, and why not.
fn unknowns(it: &Status) -> impl Iterator<Item = (String, &str)> {
    let topics = it.topics.iter().flat_map(|it| {
        let values = [("partitions", it.partitions.reason()), ("end", it.end.reason()), ("lag", it.lag.reason())];
        values.map(|(value, why)| (format!("topics.{}.{value}", it.name), why))
    });
    let functions = it.functions.iter().flat_map(|it| {
        let values = [("state", it.state.reason()), ("errors", it.errors.reason())];
        values.map(|(value, why)| (format!("functions.{}.{value}", it.name), why))
    });
    let triggers = it.triggers.iter().map(|it| (format!("triggers.{}.state", it.name), it.state.reason()));
    let all = topics.chain(functions).chain(triggers).chain([("tables".to_owned(), it.tables.reason())]);
    let all = all.chain([("alarms".to_owned(), it.alarms.reason())]);
    all.filter_map(|(what, why)| Some((what, why?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipeline() -> Status {
        let unreachable = || "the brokers cannot be reached from here".to_owned();
        let topic = |name: &str, lag: Known<BTreeMap<String, i64>>| Topic {
            name: name.to_owned(),
            partitions: Known::Known(6),
            end: lag.reason().map_or(Known::Known(30_000), |it| Known::Unknown(it.to_owned())),
            lag,
        };
        Status {
            stack: "local".to_owned(),
            at: "2026-01-02T03:12:00Z".parse().expect("a time"),
            alarms: Known::Known(Alarms::new(
                "local".to_owned(),
                vec![alarms::tests::alarm("ingest_errors", alarms::State::Alarm)],
            )),
            topics: vec![
                topic("customers", Known::Unknown(unreachable())),
                topic("orders", Known::Known([("local-orders".to_owned(), 1200)].into())),
                topic("payments", Known::Known(BTreeMap::new())),
            ],
            functions: vec![Function {
                name: "ingest".to_owned(),
                state: Known::Known("Active".to_owned()),
                last_update: Some("Successful".to_owned()),
                modified: Some("2026-01-02T03:04:05Z".to_owned()),
                errors: Known::Known(Errors {
                    count: 1_204,
                    more: true,
                    newest: vec!["{\"level\":\"ERROR\",\"message\":\"connection reset\"}\n".to_owned()],
                }),
            }],
            triggers: vec![Trigger {
                name: "orders".to_owned(),
                state: Known::Known("Enabled".to_owned()),
                last_result: Some("OK".to_owned()),
            }],
            tables: Known::Known(Tables {
                rows: [("orders".to_owned(), Some(10_000)), ("customers".to_owned(), Some(812))].into(),
                waiting: 3,
                rejected: 42,
                reasons: [("bad_amount".to_owned(), 40), ("not_json".to_owned(), 2)].into(),
            }),
        }
    }

    #[test]
    fn one_screen() {
        insta::assert_snapshot!(text(&pipeline(), Style::PLAIN), @r#"
        local

        ALARM ingest_errors: function.ingest fails, for 12 min
        1 of 1 alarm goes off: `ecomctl alarms local` shows more

        topic      partitions  records  lag
        customers  6           unknown  unknown
        orders     6           30,000   1,200
        payments   6           30,000   nobody reads it

        function  state   last update                       errors (1 h)
        ingest    Active  Successful, 2026-01-02T03:04:05Z  1,204+

        ingest: {"level":"ERROR","message":"connection reset"}

        trigger  state    last batch
        orders   Enabled  OK

        table            rows
        customers        812
        orders           10,000
        waiting events   3
        rejected events  42 (40 bad_amount, 2 not_json)

        unknown: the brokers cannot be reached from here
        "#);
    }

    #[test]
    fn what_is_unknown_says_why_in_json_too() {
        let json = json(&pipeline()).expect("a status serializes");
        assert_eq!((&json["topics"][0]["lag"], &json["topics"][0]["partitions"]), (&Value::Null, &6.into()));
        assert_eq!(json["topics"][1]["lag"]["local-orders"], 1200);
        assert_eq!((&json["functions"][0]["state"], &json["tables"]["waiting"]), (&"Active".into(), &3.into()));
        let why = "the brokers cannot be reached from here";
        let unknown = ["topics.customers.end", "topics.customers.lag"].map(|it| json!({ "what": it, "why": why }));
        assert_eq!(json["unknown"], json!(unknown));
    }
}
