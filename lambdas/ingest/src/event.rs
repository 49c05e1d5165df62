//! The event that Lambda's Kafka event source delivers.
//!
//! Own types instead of `aws_lambda_events`: those lose a millisecond of the timestamps, fail on header bytes above
//! 127 and on records without headers, and copy every value twice. Shape: AWS Lambda's "Using Lambda with Amazon MSK".

use std::{borrow::Cow, collections::BTreeMap, fmt};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{
    Deserialize,
    de::{self, Deserializer, Visitor},
};

/// One invocation's records. Unknown fields, headers among them, are ignored.
#[derive(Debug, Deserialize)]
pub(crate) struct Event<'a> {
    /// By topic and partition; the records say both themselves.
    #[serde(borrow)]
    records: BTreeMap<Cow<'a, str>, Vec<Record<'a>>>,
}

/// One Kafka record.
#[derive(Debug, Deserialize)]
pub(crate) struct Record<'a> {
    #[serde(borrow)]
    pub(crate) topic: Cow<'a, str>,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// Milliseconds since 1970; negative when the record has none.
    #[serde(default = "no_timestamp")]
    pub(crate) timestamp: i64,
    #[serde(default)]
    pub(crate) key: Bytes,
    #[serde(default)]
    pub(crate) value: Bytes,
}

/// Bytes that the event holds as base64; `None` where it holds null.
#[derive(Debug, Default)]
pub(crate) struct Bytes(pub(crate) Option<Vec<u8>>);

impl<'a> Event<'a> {
    pub(crate) fn parse(json: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// The records, those of one partition in their order.
    pub(crate) fn records(&self) -> impl Iterator<Item = &Record<'a>> {
        self.records.values().flatten()
    }
}

fn no_timestamp() -> i64 {
    -1
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Base64)
    }
}

struct Base64;

impl Visitor<'_> for Base64 {
    type Value = Bytes;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("base64 or null")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(Bytes(None))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        STANDARD.decode(text).map(|bytes| Bytes(Some(bytes))).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_msk_delivers() {
        let event = Event::parse(
            r#"{"eventSource":"aws:kafka","eventSourceArn":"arn","bootstrapServers":"b:9098","records":{"orders-0":[
                {"topic":"orders","partition":0,"offset":15,"timestamp":1545084650987,"timestampType":"CREATE_TIME",
                 "key":"YQ==","value":"/wA=","headers":[{"h":[-61,104]}]},
                {"topic":"orders","partition":0,"offset":16,"key":null,"value":null}]}}"#,
        )
        .unwrap();
        let records: Vec<_> = event.records().collect();
        assert_eq!((records[0].offset, records[0].timestamp), (15, 1_545_084_650_987));
        assert_eq!(records[0].key.0.as_deref(), Some(&b"a"[..]));
        assert_eq!(records[0].value.0.as_deref(), Some(&[0xff, 0][..]));
        assert_eq!((records[1].timestamp, &records[1].value.0), (-1, &None));
    }

    #[test]
    fn refuses_an_event_of_another_source() {
        assert!(Event::parse(r#"{"Records":[]}"#).is_err());
        assert!(Event::parse(r#"{"records":{"t-0":[{"topic":"t","partition":0,"offset":0,"value":"?"}]}}"#).is_err());
    }
}
