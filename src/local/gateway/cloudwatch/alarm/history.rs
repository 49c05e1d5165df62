//! What happened to alarms: bounded, newest last, in the words of `DescribeAlarmHistory`. Pure.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Alarm, State, time};

/// How many events are remembered, of all alarms together.
const MOST: usize = 500;

/// The events, the oldest first.
pub(in crate::local::gateway::cloudwatch) type History = VecDeque<Event>;

/// One event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::local::gateway::cloudwatch) struct Event {
    /// The alarm's key.
    pub(super) alarm: String,
    /// The alarm's name.
    pub(super) name: String,
    /// The alarm's sort.
    pub(super) sort: String,
    /// When.
    pub(super) at: Timestamp,
    /// `ConfigurationUpdate`, `StateUpdate` or `Action`.
    pub(super) kind: String,
    /// A sentence.
    pub(super) summary: String,
    /// The same for programs, as a JSON text.
    pub(super) data: String,
}

impl Event {
    fn new(alarm: &Alarm, at: Timestamp, kind: &str, summary: String, data: &Value) -> Self {
        // The API's own limit.
        let data: String = data.to_string().chars().take(4095).collect();
        let (name, sort) = (alarm.name().to_owned(), alarm.rule.kind().to_owned());
        Self { alarm: alarm.key(), name, sort, at, kind: kind.to_owned(), summary, data }
    }

    /// An alarm was created, updated or deleted.
    pub(in crate::local::gateway::cloudwatch) fn configured(alarm: &Alarm, at: Timestamp, verb: &str) -> Self {
        let data =
            json!({ "version": "1.0", "type": verb, format!("{}dAlarm", verb.to_lowercase()): alarm.show(false) });
        let summary = format!("Alarm \"{}\" {}d", alarm.name(), verb.to_lowercase());
        Self::new(alarm, at, "ConfigurationUpdate", summary, &data)
    }

    /// The state became another one.
    pub(in crate::local::gateway::cloudwatch) fn moved(alarm: &Alarm, old: (State, &str, Option<&str>)) -> Self {
        let side = |state: State, reason: &str, data: Option<&str>| {
            let data = data.and_then(|it| serde_json::from_str::<Value>(it).ok());
            json!({ "stateValue": state, "stateReason": reason, "stateReasonData": data })
        };
        let new = side(alarm.state, &alarm.reason, alarm.data.as_deref());
        let data = json!({ "version": "1.0", "oldState": side(old.0, old.1, old.2), "newState": new });
        let summary = format!("Alarm updated from {} to {}", old.0.word(), alarm.state.word());
        Self::new(alarm, alarm.updated, "StateUpdate", summary, &data)
    }

    /// An action was done, or failed.
    pub(in crate::local::gateway::cloudwatch) fn acted(
        alarm: &Alarm,
        at: Timestamp,
        action: &str,
        result: Result<(), &str>,
    ) -> Self {
        let (summary, state, error) = match result {
            Ok(()) => (format!("Successfully executed action {action}"), "Succeeded", None),
            Err(err) => (format!("Failed to execute action {action}. Received error: \"{err}\""), "Failed", Some(err)),
        };
        let summary = summary.chars().take(255).collect();
        let data = json!({
            "actionState": state,
            "stateUpdateTimestamp": alarm.updated.as_millisecond(),
            "notificationResource": action,
            "error": error,
        });
        Self::new(alarm, at, "Action", summary, &data)
    }

    /// Shows it.
    pub(super) fn show(&self) -> Value {
        json!({
            "AlarmName": self.name,
            "AlarmType": self.sort,
            "Timestamp": time(self.at),
            "HistoryItemType": self.kind,
            "HistorySummary": self.summary,
            "HistoryData": self.data,
        })
    }
}

/// Adds events and forgets the oldest.
pub(in crate::local::gateway::cloudwatch) fn add(history: &mut History, events: impl IntoIterator<Item = Event>) {
    history.extend(events);
    let surplus = history.len().saturating_sub(MOST);
    history.drain(..surplus);
}
