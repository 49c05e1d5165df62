//! What the function is invoked with: by its schedule, by a job's webhook, or by SNS with alarms. Pure.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::Value;

/// One invocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// It is time to look.
    Look,
    /// Somebody calls over HTTP.
    Call(Call),
    /// SNS hands over messages, each with its subject.
    Messages(Vec<(Option<String>, String)>),
}

/// A call over HTTP, by a function URL or an API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// User name and password, as `user:password`.
    pub(crate) credentials: Option<String>,
    /// The body.
    pub(crate) body: String,
}

/// What a job's webhook tells.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Webhook {
    pub(crate) job: OfJob,
    pub(crate) run: OfRun,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct OfJob {
    pub(crate) job_id: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct OfRun {
    run_id: i64,
    /// Of which run this is a task's.
    parent_run_id: Option<i64>,
}

impl OfRun {
    /// The run of the whole job.
    pub(crate) fn whole(&self) -> i64 {
        self.parent_run_id.unwrap_or(self.run_id)
    }
}

impl Event {
    /// Tells what an event is by its shape; `None` for none of these.
    pub(crate) fn read(event: &Value) -> Option<Self> {
        if let Some(records) = event["Records"].as_array() {
            let text = |it: &Value, name: &str| it["Sns"][name].as_str().map(str::to_owned);
            let messages = records.iter().map(|it| Some((text(it, "Subject"), text(it, "Message")?)));
            return messages.collect::<Option<_>>().map(Self::Messages);
        }
        if event["requestContext"].is_object() {
            return Call::read(event).map(Self::Call);
        }
        matches!(event["source"].as_str(), Some("aws.scheduler" | "aws.events")).then_some(Self::Look)
    }
}

impl Call {
    fn read(event: &Value) -> Option<Self> {
        let headers = event["headers"].as_object();
        let mut headers = headers.into_iter().flatten();
        let authorization = headers.find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        let basic = authorization.and_then(|(_, it)| it.as_str()?.strip_prefix("Basic "));
        let credentials = basic.and_then(|it| String::from_utf8(BASE64_STANDARD.decode(it.trim()).ok()?).ok());
        let body = event["body"].as_str().unwrap_or_default();
        let body = match event["isBase64Encoded"].as_bool() {
            Some(true) => String::from_utf8(BASE64_STANDARD.decode(body).ok()?).ok()?,
            _ => body.to_owned(),
        };
        Some(Self { credentials, body })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_told_by_their_shape() {
        assert_eq!(Event::read(&json!({ "source": "aws.scheduler", "detail": "{}" })), Some(Event::Look));
        let sns = json!({ "Records": [{ "EventSource": "aws:sns", "Sns": { "Subject": "s", "Message": "m" } }] });
        assert_eq!(Event::read(&sns), Some(Event::Messages(vec![(Some("s".to_owned()), "m".to_owned())])));
        for other in
            [json!({}), json!({ "Records": [{ "eventSource": "aws:sqs" }] }), json!(7), json!({ "source": "x" })]
        {
            assert_eq!(Event::read(&other), None, "{other}");
        }
    }

    #[test]
    fn a_call_may_be_encoded() {
        let call = |authorization: &str, body: &str, encoded: bool| {
            Event::read(&json!({
                "version": "2.0", "requestContext": { "http": { "method": "POST" } },
                "headers": { "authorization": authorization }, "body": body, "isBase64Encoded": encoded,
            }))
        };
        let wanted = Event::Call(Call { credentials: Some("u:p".to_owned()), body: "{}".to_owned() });
        assert_eq!(call("Basic dTpw", "{}", false), Some(wanted.clone()));
        assert_eq!(call("Basic dTpw", "e30=", true), Some(wanted));
        let Some(Event::Call(it)) = call("Bearer dTpw", "", false) else { panic!("no call") };
        assert_eq!(it.credentials, None);
    }

    #[test]
    fn a_task_tells_of_its_whole_run() {
        let read = |text: &str| serde_json::from_str::<Webhook>(text).unwrap();
        let whole =
            r#"{"event_type":"jobs.on_failure","workspace_id":1,"run":{"run_id":5},"job":{"job_id":7,"name":"n"}}"#;
        assert_eq!((read(whole).run.whole(), read(whole).job.job_id), (5, 7));
        let task = r#"{"run":{"run_id":6,"parent_run_id":5},"task":{"task_key":"t"},"job":{"job_id":7}}"#;
        assert_eq!(read(task).run.whole(), 5);
    }
}
