//! A log group behind a server of the tests, as CloudWatch Logs has it: streams come and go, events arrive late, an answer holds a
//! part of what there is, or nothing although more follows, and requests are refused for being too many.

use std::sync::{Arc, Mutex};

use aws_sdk_cloudwatchlogs::{Client, config::retry::RetryConfig};
use serde_json::{Value, json};

use crate::client::{
    aws::{Aws, Target},
    databricks::testing::{Answer, Request, Server},
};

/// One event, and at which request it has arrived.
#[derive(Clone, Debug)]
pub(crate) struct Printed {
    pub(crate) at: i64,
    pub(crate) stream: String,
    pub(crate) text: String,
    pub(crate) arrives: usize,
}

/// How the group answers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Behaviour {
    /// Everything that is ever printed.
    pub(crate) events: Vec<Printed>,
    /// The most events of one answer.
    pub(crate) page: usize,
    /// Every so manieth answer is empty although more follows; 0 for none.
    pub(crate) empty: usize,
    /// The requests that are refused, counted from 1.
    pub(crate) refused: Vec<usize>,
    /// Whether events come without identifiers.
    pub(crate) nameless: bool,
}

/// The group at work.
#[derive(Debug)]
struct Group {
    does: Behaviour,
    asked: Arc<Mutex<usize>>,
    /// What each reading goes through.
    readings: Vec<Vec<Value>>,
}

/// Starts such a group. Returns the server, a client of it that never asks again by itself, and how often it was asked.
pub(crate) async fn serve(does: Behaviour) -> (Server, Client, Arc<Mutex<usize>>) {
    let asked = Arc::new(Mutex::new(0));
    let mut group = Group { does, asked: Arc::clone(&asked), readings: Vec::new() };
    let server = Server::start(move |it| group.answer(it)).await;
    let target = Target {
        region: "us-east-1".to_owned(),
        endpoint: Some(server.host.clone()),
        keys: Some(("000000000000".to_owned(), "x".to_owned())),
    };
    let aws = Aws::connect(&target).await;
    let config = aws.logs().config().to_builder().retry_config(RetryConfig::disabled());
    (server, Client::from_conf(config.build()), asked)
}

impl Group {
    fn answer(&mut self, request: &Request) -> Answer {
        let mut asked = self.asked.lock().expect("nobody panicked");
        *asked += 1;
        if self.does.refused.contains(&asked) {
            return Answer::Json(400, json!({ "__type": "ThrottlingException", "message": "Rate exceeded" }));
        }
        let input = request.json();
        let token = input["nextToken"].as_str().unwrap_or_default();
        let token: Vec<usize> = token.split('/').filter_map(|it| it.parse().ok()).collect();
        let (reading, offset) = match token[..] {
            [reading, offset, _] => (reading, offset),
            _ => {
                let term = input["filterPattern"].as_str().unwrap_or_default().trim_matches('"');
                let mut all = self.does.since(input["startTime"].as_i64().unwrap_or_default(), *asked);
                all.retain(|it| it["message"].as_str().is_some_and(|it| it.contains(term)));
                self.readings.push(all);
                (self.readings.len() - 1, 0)
            }
        };
        let all: &[Value] = &self.readings[reading];
        let is_empty = self.does.empty > 0 && asked.is_multiple_of(self.does.empty);
        let end = if is_empty { offset } else { all.len().min(offset + self.does.page) };
        let mut answer = json!({ "events": all[offset..end], "searchedLogStreams": [] });
        if end < all.len() {
            // A token never comes twice.
            answer["nextToken"] = format!("{reading}/{end}/{asked}").into();
        }
        Answer::Json(200, answer)
    }
}

impl Behaviour {
    /// What has arrived and is not older than this, the oldest first.
    fn since(&self, start: i64, asked: usize) -> Vec<Value> {
        let there = self.events.iter().enumerate().filter(|(_, it)| it.at >= start && it.arrives <= asked);
        let mut there: Vec<_> = there.collect();
        there.sort_by_key(|it| it.1.at);
        let event = |(n, it): (usize, &Printed)| {
            let id = if self.nameless { Value::Null } else { json!(format!("id-{n}")) };
            json!({ "eventId": id, "timestamp": it.at, "ingestionTime": it.at, "logStreamName": it.stream, "message": it.text })
        };
        there.into_iter().map(event).collect()
    }
}
