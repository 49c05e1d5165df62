//! Who is told of alarms: a queue that is subscribed where people are, and what it got.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bytes::Bytes;
use ecomctl::client::aws::Aws;
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::{Value, json};

use crate::place::Place;

/// A queue of SQS, as its JSON protocol has it.
pub(crate) struct People {
    gateway: String,
    account: String,
    region: String,
    url: String,
    /// What came, by alarm.
    told: BTreeMap<String, Vec<String>>,
    /// What CloudWatch told them itself.
    unworded: Vec<Value>,
}

impl People {
    /// Subscribes to what people are told.
    pub(crate) async fn subscribe(place: &Place, aws: &Aws) -> Self {
        let on = place.endpoints().await;
        let mut people = Self {
            gateway: on.gateway,
            account: on.account,
            region: on.region,
            url: String::new(),
            told: BTreeMap::new(),
            unworded: Vec::new(),
        };
        // What was read is not shown again, so that nothing need be deleted.
        let input = json!({ "QueueName": "people", "Attributes": { "VisibilityTimeout": "3600" } });
        let made = people.ask("CreateQueue", &input).await;
        made["QueueUrl"].as_str().expect("a URL").clone_into(&mut people.url);
        let asked = json!({ "QueueUrl": people.url, "AttributeNames": ["QueueArn"] });
        let queue = people.ask("GetQueueAttributes", &asked).await;
        let queue = queue["Attributes"]["QueueArn"].as_str().expect("an ARN").to_owned();
        let topic = format!("arn:aws:sns:{}:{}:local-people", people.region, people.account);
        let subscribed = aws.sns().subscribe().topic_arn(topic).protocol("sqs").endpoint(queue).send().await;
        subscribed.expect("subscribed");
        people
    }

    /// Waits until people were told that this alarm went off, and that it is over; returns both texts.
    pub(crate) async fn told(&mut self, alarm: &str, patience: Duration) -> [String; 2] {
        let deadline = Instant::now() + patience;
        loop {
            let texts = self.told.get(alarm);
            let find = |word: &str| texts.and_then(|it| it.iter().rev().find(|it| it.starts_with(word)).cloned());
            if let (Some(alarmed), Some(ended)) = (find("ALARM: "), find("OK again: ")) {
                return [alarmed, ended];
            }
            assert!(Instant::now() < deadline, "people are not told of {alarm}: {texts:#?}");
            self.receive().await;
        }
    }

    /// Waits until CloudWatch itself told people that this alarm went off, and that it is over; returns its description.
    pub(crate) async fn told_unworded(&mut self, alarm: &str, patience: Duration) -> String {
        let deadline = Instant::now() + patience;
        loop {
            let told: Vec<Value> = self.unworded.iter().filter(|it| it["AlarmName"] == alarm).cloned().collect();
            let find = |state: &str| told.iter().any(|it| it["NewStateValue"] == state);
            if find("ALARM") && find("OK") {
                return told[0]["AlarmDescription"].as_str().expect("a description").to_owned();
            }
            assert!(Instant::now() < deadline, "people are not told of {alarm}: {told:#?}");
            self.receive().await;
        }
    }

    /// Returns whether people were told of an alarm at all.
    pub(crate) fn heard(&self, alarm: &str) -> bool {
        self.told.contains_key(alarm)
    }

    async fn receive(&mut self) {
        let asked = json!({ "QueueUrl": self.url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1 });
        let received = self.ask("ReceiveMessage", &asked).await;
        for it in received["Messages"].as_array().into_iter().flatten() {
            let body: Value = serde_json::from_str(it["Body"].as_str().expect("a body")).expect("SNS's envelope");
            let text = body["Message"].as_str().expect("a message").to_owned();
            if let Ok(alarm @ Value::Object(_)) = serde_json::from_str(&text) {
                self.unworded.push(alarm);
                continue;
            }
            let alarm = text.lines().find_map(|it| it.strip_prefix("Alarm: ")).unwrap_or_default().to_owned();
            self.told.entry(alarm).or_default().push(text);
        }
    }

    async fn ask(&self, action: &str, input: &Value) -> Value {
        let Self { gateway, account, region, .. } = self;
        let scope = format!(
            "AWS4-HMAC-SHA256 Credential={account}/20260101/{region}/sqs/aws4_request, SignedHeaders=host, Signature=0"
        );
        let request = http::Request::post(gateway).header("authorization", scope);
        let request = request.header("content-type", "application/x-amz-json-1.0");
        let request = request.header("x-amz-target", format!("AmazonSQS.{action}"));
        let request = request.body(Full::new(Bytes::from(input.to_string()))).expect("a request");
        let client = Client::builder(TokioExecutor::new()).build_http();
        let answer = client.request(request).await.expect("an answer");
        let status = answer.status();
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        assert!(status.is_success(), "{action}: {status} {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap_or_default()
    }
}
