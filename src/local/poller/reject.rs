//! The on-failure destination: what is given up, kept as Lambda documents it.
//!
//! A bucket gets the whole event, as escaped text; a queue or a topic of SNS gets everything but the event. Not supported:
//! Kafka topics as destinations.

use std::{collections::BTreeMap, ops::Range};

use bytes::Bytes;
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    batch::{Batch, Piece},
    deliver::GivenUp,
};
use crate::local::gateway::upstream::{self, Answer, Unreachable, Upstream};

/// Where records go that are given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// A bucket, by name.
    Bucket(String),
    /// A queue, by account and name.
    Queue(String, String),
    /// A topic of SNS, by ARN.
    Topic(String),
}

impl Destination {
    /// Reads an ARN; `None` when it is of nothing that can take records here.
    pub(crate) fn parse(arn: &str) -> Option<Self> {
        match arn.split(':').collect::<Vec<_>>()[..] {
            ["arn", _, "s3", "", "", bucket] if !bucket.is_empty() => Some(Self::Bucket(bucket.to_owned())),
            ["arn", _, "sqs", _, account, name] => Some(Self::Queue(account.to_owned(), name.to_owned())),
            ["arn", _, "sns", _, _, _] => Some(Self::Topic(arn.to_owned())),
            _ => None,
        }
    }

    /// Hands an invocation record over. Returns the reason when it is not taken.
    pub(super) async fn take(
        &self,
        upstream: &Upstream,
        region: &str,
        mapping: &str,
        record: Value,
        event: &str,
    ) -> Result<(), String> {
        let sent = match self {
            Self::Bucket(bucket) => put(upstream, region, bucket, &key(mapping, Timestamp::now()), record, event).await,
            Self::Queue(account, name) => {
                let input = json!({ "QueueUrl": format!("http://sqs.{region}/{account}/{name}"), "MessageBody": record.to_string() });
                upstream.ask("sqs", region, "AmazonSQS.SendMessage", &input).await
            }
            Self::Topic(arn) => {
                let body = form_urlencoded::Serializer::new(String::new())
                    .extend_pairs([("Action", "Publish"), ("Version", "2010-03-31"), ("TopicArn", arn)])
                    .append_pair("Message", &record.to_string())
                    .finish();
                let request = upstream
                    .request("POST", "/", "sns", region)
                    .header("content-type", "application/x-www-form-urlencoded");
                upstream.send(request, Bytes::from(body)).await
            }
        };
        match sent {
            Ok(it) if it.status.is_success() => Ok(()),
            Ok(it) => Err(format!("the on-failure destination refused: {}", it.refusal())),
            Err(err) => Err(err.to_string()),
        }
    }
}

async fn put(
    upstream: &Upstream,
    region: &str,
    bucket: &str,
    key: &str,
    mut record: Value,
    event: &str,
) -> Result<Answer, Unreachable> {
    record["payload"] = json!(event);
    let key = key.split('/').map(upstream::segment).collect::<Vec<_>>().join("/");
    let request = upstream
        .request("PUT", &format!("/{}/{key}", upstream::segment(bucket)), "s3", region)
        .header("content-type", "application/json");
    upstream.send(request, Bytes::from(record.to_string())).await
}

/// Returns where in a bucket a record is put.
fn key(mapping: &str, now: Timestamp) -> String {
    let now = now.to_zoned(TimeZone::UTC);
    format!("aws/lambda/{mapping}/{}-{}", now.strftime("%Y/%m/%d/%Y-%m-%dT%H.%M.%S"), Uuid::new_v4())
}

/// Writes the invocation record, without the event.
pub(super) fn record(
    batch: &Batch,
    piece: &Piece,
    given_up: &GivenUp,
    function_arn: &str,
    source: (&str, &str),
    size: usize,
) -> Value {
    let (source_arn, bootstrap) = source;
    let infos = piece.0.iter().filter_map(|(i, range)| {
        let slice = batch.slices.get(*i)?;
        let Range { start, end } = range;
        let (first, last) = (slice.marks.get(*start)?, slice.marks.get(end.checked_sub(1)?)?);
        let info = json!({
            "firstRecordOffset": first.offset.to_string(),
            "lastRecordOffset": last.offset.to_string(),
            "firstRecordTimestamp": time(first.timestamp),
            "lastRecordTimestamp": time(last.timestamp),
        });
        Some((slice.name.clone(), info))
    });
    let failure = &given_up.failure;
    json!({
        "requestContext": {
            "requestId": if failure.request.is_empty() { Uuid::new_v4().to_string() } else { failure.request.clone() },
            "functionArn": function_arn,
            "condition": given_up.cause.condition(),
            "approximateInvokeCount": given_up.attempts,
        },
        "responseContext": {
            "statusCode": 200,
            "executedVersion": if failure.version.is_empty() { "$LATEST" } else { &failure.version },
            "functionError": failure.error,
        },
        "version": "1.0",
        "timestamp": time(Timestamp::now().as_millisecond()),
        "KafkaBatchInfo": {
            "batchSize": piece.len(),
            "eventSourceArn": source_arn,
            "bootstrapServers": bootstrap,
            "payloadSize": size,
            "recordsInfo": infos.collect::<BTreeMap<_, _>>(),
        },
    })
}

fn time(milliseconds: i64) -> String {
    let time = Timestamp::from_millisecond(milliseconds).unwrap_or_default();
    format!("{time:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::poller::{batch::tests::gathered, deliver::Cause, invoke::Failure};

    #[test]
    fn destinations_are_told_apart() {
        let bucket = Destination::parse("arn:aws:s3:::rejects");
        assert_eq!(bucket, Some(Destination::Bucket("rejects".into())));
        let queue = Destination::parse("arn:aws:sqs:us-east-1:000000000000:q");
        assert_eq!(queue, Some(Destination::Queue("000000000000".into(), "q".into())));
        assert!(matches!(Destination::parse("arn:aws:sns:us-east-1:0:t"), Some(Destination::Topic(_))));
        assert_eq!(Destination::parse("kafka://late"), None);
    }

    #[test]
    fn a_record_names_the_offsets_of_every_partition() {
        let batch = gathered(&[(0, 7), (1, 3), (0, 8)]);
        let failure =
            Failure { error: "Unhandled".into(), request: "r".into(), version: "3".into(), message: String::new() };
        let given_up = GivenUp { cause: Cause::Attempts, attempts: 3, failure };
        let it = record(&batch, &batch.whole(), &given_up, "arn:f", ("arn:c", "h:1"), 99);
        assert_eq!(
            it["requestContext"],
            json!({ "requestId": "r", "functionArn": "arn:f", "condition": "RetryAttemptsExhausted", "approximateInvokeCount": 3 })
        );
        assert_eq!(
            it["responseContext"],
            json!({ "statusCode": 200, "executedVersion": "3", "functionError": "Unhandled" })
        );
        let info = &it["KafkaBatchInfo"];
        assert_eq!((&info["batchSize"], &info["payloadSize"]), (&json!(3), &json!(99)));
        assert_eq!(
            info["recordsInfo"]["orders-0"],
            json!({
                "firstRecordOffset": "7", "lastRecordOffset": "8",
                "firstRecordTimestamp": "1970-01-01T00:00:01.007Z", "lastRecordTimestamp": "1970-01-01T00:00:01.008Z",
            })
        );
        assert_eq!(info["recordsInfo"]["orders-1"]["firstRecordOffset"], "3");
    }

    #[test]
    fn a_bucket_s_key_tells_mapping_and_time() {
        let key = key("u-1", Timestamp::from_second(1_700_000_000).expect("a time"));
        assert!(key.starts_with("aws/lambda/u-1/2023/11/14/2023-11-14T22.13.20-"), "{key}");
    }
}
