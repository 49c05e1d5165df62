//! Alarms in words: what CloudWatch says to SNS, as a message that a person understands. Pure.
//!
//! What an alarm means stands in its description: its title in the first line, what it means in those after it, and in one
//! that begins with `Run: ` the command to run first.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Value, json};

/// The longest subject that SNS takes is below this.
const LONGEST_SUBJECT: usize = 100;

/// What CloudWatch tells of an alarm that changed, as "Notifying users on alarm changes" in its user guide has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[expect(clippy::struct_field_names, reason = "the names are those of the API")]
pub(crate) struct Alarm {
    alarm_name: String,
    alarm_description: Option<String>,
    new_state_value: String,
    old_state_value: Option<String>,
    new_state_reason: Option<String>,
    state_change_time: Option<String>,
    trigger: Option<Trigger>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Trigger {
    metric_name: Option<String>,
    namespace: Option<String>,
    #[serde(default)]
    dimensions: Vec<Dimension>,
}

#[derive(Clone, Debug, Deserialize)]
struct Dimension {
    name: String,
    value: String,
}

/// A message for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// For the subject of an e-mail: one line of ASCII.
    pub(crate) subject: String,
    /// The whole of it.
    pub(crate) text: String,
}

impl Message {
    /// Words what SNS handed over; what is no alarm goes on as it came.
    pub(crate) fn new(stack: &str, subject: Option<&str>, message: &str) -> Self {
        match serde_json::from_str::<Alarm>(message) {
            Ok(alarm) => alarm.word(stack),
            Err(_) => Self { subject: line(subject.unwrap_or(stack)), text: message.to_owned() },
        }
    }

    /// The message for each of SNS' protocols: text for people, and what chat webhooks take.
    pub(crate) fn by_protocol(&self) -> Value {
        let chat = json!({ "text": self.text }).to_string();
        json!({ "default": self.text, "email": self.text, "sms": self.subject, "http": chat, "https": chat })
    }
}

impl Alarm {
    fn word(&self, stack: &str) -> Message {
        let name = self.alarm_name.as_str();
        let description = self.alarm_description.as_deref().unwrap_or_default();
        let lines = || description.lines().map(str::trim);
        let command = lines().find_map(|it| it.strip_prefix("Run: ")).map(|it| it.trim().trim_matches('`'));
        let words: Vec<&str> = lines().filter(|it| !it.is_empty() && !it.starts_with("Run: ")).collect();
        let (title, meaning) = match words.as_slice() {
            [] => (name, "Nobody wrote down what this alarm means.".to_owned()),
            [only] => (name, (*only).to_owned()),
            [title, meaning @ ..] => (*title, meaning.join("\n")),
        };
        let (word, meaning) = match (self.new_state_value.as_str(), self.old_state_value.as_deref()) {
            ("ALARM", _) => ("ALARM", meaning),
            // A new alarm, above all: there was nothing that could be over.
            ("OK", Some("INSUFFICIENT_DATA")) => ("OK", format!("It can be told now, and this is not so: {meaning}")),
            ("OK", _) => ("OK again", format!("This is over: {meaning}")),
            ("INSUFFICIENT_DATA", _) => ("NO DATA", format!("It cannot be told whether this is so: {meaning}")),
            (other, _) => (other, meaning),
        };
        let mut text = format!("{word}: {title}\n\n{meaning}\n");
        let mut add = |label: &str, it: Option<String>| {
            if let Some(it) = it {
                let _ = write!(text, "\n{label:<7}{it}");
            }
        };
        let before = self.old_state_value.as_deref().map_or_else(String::new, |it| format!(", before that {it}"));
        add("Since:", self.state_change_time.as_deref().map(|it| format!("{}{before}", moment(it))));
        add("Why:", self.new_state_reason.clone());
        add("Seen:", self.trigger.as_ref().and_then(Trigger::word));
        add("Alarm:", Some(name.to_owned()));
        add("Run:", Some(command.map_or_else(|| format!("ecomctl alarms {stack}"), str::to_owned)));
        text.push('\n');
        Message { subject: line(&format!("{stack}: {word}: {title}")), text }
    }
}

impl Trigger {
    fn word(&self) -> Option<String> {
        let metric = self.metric_name.as_deref()?;
        let of: Vec<String> = self.dimensions.iter().map(|it| format!("{} {}", it.name, it.value)).collect();
        let namespace = self.namespace.as_deref().unwrap_or_default();
        Some(format!("{namespace} {metric} of {}", if of.is_empty() { "all".to_owned() } else { of.join(", ") }))
    }
}

/// Shortens `2026-11-22T21:04:05.123+0000` to the minute; anything else stays.
fn moment(text: &str) -> String {
    match (text.get(..10), text.get(11..16)) {
        (Some(day), Some(time)) if text.ends_with("+0000") || text.ends_with('Z') => format!("{day} {time} UTC"),
        _ => text.to_owned(),
    }
}

/// Makes a subject that SNS takes: ASCII, one line, not too long.
fn line(text: &str) -> String {
    let fits = |it: char| if it.is_ascii() && !it.is_ascii_control() { it } else { '?' };
    text.trim().chars().map(fits).take(LONGEST_SUBJECT - 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alarm(state: &str, before: &str, description: Option<&str>) -> String {
        json!({
            "AlarmName": "staging-job-failed", "AlarmDescription": description, "AWSAccountId": "123456789012",
            "NewStateValue": state, "OldStateValue": before, "NewStateReason": "Threshold Crossed: 1 datapoint [1.0]",
            "StateChangeTime": "2026-11-22T21:04:05.123+0000", "Region": "EU (Frankfurt)",
            "Trigger": { "MetricName": "RunsFailed", "Namespace": "ecomctl", "StatisticType": "Statistic",
                "Dimensions": [{ "value": "staging-medallion", "name": "Job" }], "Period": 60, "Threshold": 1.0 },
        })
        .to_string()
    }

    #[test]
    fn an_alarm_says_what_since_when_why_and_what_to_run() {
        let description = "job.medallion failed\nThe tables are as the last good run left them.\nRun: `ecomctl logs staging job.medallion`";
        let message = Message::new("staging", Some("ALARM: \"x\""), &alarm("ALARM", "OK", Some(description)));
        assert_eq!(message.subject, "staging: ALARM: job.medallion failed");
        let wanted = "ALARM: job.medallion failed\n\n\
            The tables are as the last good run left them.\n\n\
            Since: 2026-11-22 21:04 UTC, before that OK\n\
            Why:   Threshold Crossed: 1 datapoint [1.0]\n\
            Seen:  ecomctl RunsFailed of Job staging-medallion\n\
            Alarm: staging-job-failed\n\
            Run:   ecomctl logs staging job.medallion\n";
        assert_eq!(message.text, wanted);
    }

    #[test]
    fn an_end_is_told_as_well() {
        let message = Message::new("staging", None, &alarm("OK", "ALARM", Some("A run failed.")));
        assert!(
            message.text.starts_with("OK again: staging-job-failed\n\nThis is over: A run failed.\n"),
            "{message:?}"
        );
        assert!(
            message.text.contains("before that ALARM\n") && message.text.ends_with("Run:   ecomctl alarms staging\n")
        );
    }

    #[test]
    fn what_was_never_wrong_is_not_over() {
        let message = Message::new("staging", None, &alarm("OK", "INSUFFICIENT_DATA", Some("A run failed.")));
        let wanted = "OK: staging-job-failed\n\nIt can be told now, and this is not so: A run failed.\n";
        assert!(message.text.starts_with(wanted), "{message:?}");
    }

    #[test]
    fn composite_alarms_and_silent_ones_are_worded_too() {
        let composite =
            r#"{"AlarmName":"s-ingest-is-down","NewStateValue":"INSUFFICIENT_DATA","AlarmRule":"ALARM(a)"}"#;
        let text = Message::new("s", None, composite).text;
        let wanted = "NO DATA: s-ingest-is-down\n\nIt cannot be told whether this is so: \
            Nobody wrote down what this alarm means.\n\nAlarm: s-ingest-is-down\nRun:   ecomctl alarms s\n";
        assert_eq!(text, wanted);
    }

    #[test]
    fn what_is_no_alarm_goes_on_as_it_came() {
        let message = Message::new("s", Some("naïve\nsubject"), "hello");
        assert_eq!(message, Message { subject: "na?ve?subject".to_owned(), text: "hello".to_owned() });
        assert_eq!(Message::new("s", Some(&"x".repeat(300)), "m").subject.len(), 99);
    }

    #[test]
    fn each_protocol_gets_its_own() {
        let texts = Message { subject: "s".to_owned(), text: "a \"b\"".to_owned() }.by_protocol();
        assert_eq!((&texts["default"], &texts["email"]), (&json!("a \"b\""), &json!("a \"b\"")));
        let chat: Value = serde_json::from_str(texts["https"].as_str().unwrap()).unwrap();
        assert_eq!(chat, json!({ "text": "a \"b\"" }));
    }
}
