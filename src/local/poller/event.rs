//! The event that a function gets for records of an MSK topic, written straight into one buffer per partition.
//!
//! Shape: the Lambda documentation for Amazon MSK, and what `aws_lambda_events` accepts: `headers` is always there,
//! their bytes are signed, and an absent key or value is `null`. Each record's place in the text is remembered, so that a
//! part of a batch can be sent again without the records themselves.

use std::{io::Write as _, ops::Range};

use base64::{Engine as _, encoded_len, prelude::BASE64_STANDARD};
use bytes::Bytes;

use crate::client::kafka::{Record, TimestampType};

/// What a record takes at most besides its key, value and headers.
const FRAME: usize = 160;

/// The records of one partition within a batch, as text.
#[derive(Clone, Debug)]
pub(super) struct Slice {
    /// The partition's number.
    pub(super) partition: i32,
    /// `<topic>-<partition>`, as the event names it.
    pub(super) name: String,
    /// The records, in order.
    pub(super) marks: Vec<Mark>,
    json: Vec<u8>,
    prefix: Vec<u8>,
}

/// One record's place in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// The record's offset.
    pub(super) offset: i64,
    /// Its time, in milliseconds since 1970.
    pub(super) timestamp: i64,
    end: usize,
}

impl Slice {
    /// Starts without records.
    pub(super) fn new(topic: &str, partition: i32) -> Self {
        // Kafka allows letters, digits, `.`, `_` and `-` in a topic's name, so it needs no escaping.
        let prefix = format!("{{\"topic\":\"{topic}\",\"partition\":{partition},\"offset\":").into_bytes();
        Self { partition, name: format!("{topic}-{partition}"), marks: Vec::new(), json: Vec::new(), prefix }
    }

    /// Appends a record.
    pub(super) fn push(&mut self, record: &Record) {
        let out = &mut self.json;
        if !self.marks.is_empty() {
            out.push(b',');
        }
        out.extend_from_slice(&self.prefix);
        let kind = match record.timestamp_type {
            TimestampType::LogAppendTime => "LOG_APPEND_TIME",
            _ => "CREATE_TIME",
        };
        // Writing to memory cannot fail.
        let _ =
            write!(out, "{},\"timestamp\":{},\"timestampType\":\"{kind}\",\"key\":", record.offset, record.timestamp);
        base64(out, record.key.as_ref());
        out.extend_from_slice(b",\"value\":");
        base64(out, record.value.as_ref());
        out.extend_from_slice(b",\"headers\":[");
        for (i, (key, value)) in record.headers.iter().enumerate() {
            out.extend_from_slice(if i == 0 { b"{" } else { b",{" });
            let _ = serde_json::to_writer(&mut *out, key);
            out.extend_from_slice(b":[");
            for (i, byte) in value.as_deref().unwrap_or_default().iter().enumerate() {
                let _ = write!(out, "{}{}", if i == 0 { "" } else { "," }, byte.cast_signed());
            }
            out.extend_from_slice(b"]}");
        }
        out.extend_from_slice(b"]}");
        self.marks.push(Mark { offset: record.offset, timestamp: record.timestamp, end: out.len() });
    }

    /// Returns the text of some of its records, without the brackets around them.
    pub(super) fn json(&self, records: &Range<usize>) -> &[u8] {
        let end = |i: usize| self.marks.get(i).map_or(0, |it| it.end);
        let start = records.start.checked_sub(1).map_or(0, |it| end(it) + 1);
        let last = records.end.checked_sub(1).map_or(0, end);
        self.json.get(start..last).unwrap_or_default()
    }
}

/// Returns the text that precedes the records of every event of a mapping.
pub(super) fn head(source_arn: &str, bootstrap: &str) -> Vec<u8> {
    let text = |it: &str| serde_json::Value::from(it).to_string();
    format!(
        "{{\"eventSource\":\"aws:kafka\",\"eventSourceArn\":{},\"bootstrapServers\":{},\"records\":{{",
        text(source_arn),
        text(bootstrap)
    )
    .into_bytes()
}

/// Returns the most that a record adds to an event.
pub(super) fn size(record: &Record) -> usize {
    let coded = |it: &Option<Bytes>| it.as_ref().map_or(4, |it| it.len() / 3 * 4 + 6);
    // Each byte of a header is written as up to `-128,`; a key's character as up to `\u0000`.
    let headers =
        record.headers.iter().map(|(key, value)| key.len() * 6 + value.as_ref().map_or(0, Bytes::len) * 5 + 8);
    FRAME + record.topic.len() + coded(&record.key) + coded(&record.value) + headers.sum::<usize>()
}

fn base64(out: &mut Vec<u8>, bytes: Option<&Bytes>) {
    let Some(bytes) = bytes else { return out.extend_from_slice(b"null") };
    out.push(b'"');
    let at = out.len();
    out.resize(at + encoded_len(bytes.len(), true).unwrap_or(0), 0);
    // The room is exactly what the encoding needs.
    let written = out.get_mut(at..).and_then(|it| BASE64_STANDARD.encode_slice(bytes, it).ok()).unwrap_or(0);
    out.truncate(at + written);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn record(offset: i64) -> Record {
        let mut it =
            Record::new("orders", 3, offset, Some(Bytes::from_static(b"k")), Some(Bytes::from_static(b"v\xff")));
        it.timestamp = 1_545_084_650_987;
        it
    }

    fn read(slice: &Slice, records: Range<usize>) -> Value {
        let text = [b"[", slice.json(&records), b"]"].concat();
        serde_json::from_slice(&text).expect("JSON")
    }

    #[test]
    fn a_record_is_written_as_lambda_documents_it() {
        let mut it = record(15);
        it.headers = vec![("hé\"".into(), Some(Bytes::from_static(b"\xc3a"))), ("none".into(), None)];
        let mut slice = Slice::new("orders", 3);
        slice.push(&it);
        let wanted = json!([{
            "topic": "orders", "partition": 3, "offset": 15, "timestamp": 1_545_084_650_987_i64,
            "timestampType": "CREATE_TIME", "key": "aw==", "value": "dv8=",
            "headers": [{ "hé\"": [-61, 97] }, { "none": [] }],
        }]);
        assert_eq!(read(&slice, 0..1), wanted);
        assert!(slice.json(&(0..1)).len() <= size(&it));
    }

    #[test]
    fn absent_keys_and_values_are_null_and_headers_always_there() {
        let mut it = record(0);
        (it.key, it.value, it.timestamp_type) = (None, None, TimestampType::LogAppendTime);
        let mut slice = Slice::new("orders", 3);
        slice.push(&it);
        let read = read(&slice, 0..1);
        assert_eq!(read.pointer("/0/key"), Some(&Value::Null));
        assert_eq!(read.pointer("/0/value"), Some(&Value::Null));
        assert_eq!(read.pointer("/0/headers"), Some(&json!([])));
        assert_eq!(read.pointer("/0/timestampType"), Some(&json!("LOG_APPEND_TIME")));
    }

    #[test]
    fn any_part_can_be_cut_out_again() {
        let mut slice = Slice::new("orders", 3);
        (10..14).for_each(|it| slice.push(&record(it)));
        let offsets = |range: Range<usize>| -> Vec<i64> {
            let read = read(&slice, range);
            read.as_array().expect("a list").iter().filter_map(|it| it["offset"].as_i64()).collect()
        };
        assert_eq!(offsets(0..4), [10, 11, 12, 13]);
        assert_eq!(offsets(1..3), [11, 12]);
        assert_eq!(offsets(3..4), [13]);
        assert_eq!(offsets(2..2), Vec::<i64>::new());
    }
}
