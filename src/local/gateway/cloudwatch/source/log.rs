//! The lines of all log groups, each read once: for the metrics that are in them.
//!
//! Every reading begins a little before the one before it did, and knows what it read then. A line is missed only when
//! it is written with a time that is older than that. What was written while the supervisor was away is read at its
//! start, for as long as values are kept.

use std::{
    collections::{HashMap, hash_map::DefaultHasher},
    hash::{Hash as _, Hasher as _},
};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::embedded;
use crate::local::gateway::{
    cloudwatch::{metric::Point, store},
    upstream::Upstream,
};

/// How much is read again, in milliseconds.
const AGAIN: i64 = 10_000;
/// The most lines of one answer.
const LIMIT: usize = 10_000;
/// The most answers that one reading of a group takes.
const ANSWERS: usize = 20;

/// Reads the log groups of a region.
#[derive(Debug)]
pub(super) struct Reader {
    upstream: Upstream,
    region: String,
    groups: HashMap<String, Place>,
    told: String,
}

/// How far a group was read.
#[derive(Debug, Default)]
struct Place {
    /// When the latest reading began, in milliseconds since 1970.
    since: i64,
    seen: Seen,
}

/// How often each line came, by what tells lines apart, with its time.
type Seen = HashMap<u64, (i64, usize)>;

impl Place {
    /// Takes the lines of an answer; returns those that are new. `counted` counts the lines of this reading.
    fn new_lines<'a>(&mut self, lines: &'a [Value], counted: &mut HashMap<u64, usize>) -> Vec<&'a str> {
        let mut fresh = Vec::new();
        for line in lines {
            let mut hasher = DefaultHasher::new();
            let (stream, text) = (line["logStreamName"].as_str(), line["message"].as_str().unwrap_or_default());
            let at = line["timestamp"].as_i64().unwrap_or_default();
            (stream, at, text).hash(&mut hasher);
            let key = hasher.finish();
            let count = counted.entry(key).or_default();
            *count += 1;
            let seen = self.seen.entry(key).or_insert((at, 0));
            if *count > seen.1 {
                seen.1 = *count;
                fresh.push(text);
            }
        }
        fresh
    }

    /// Forgets lines that are not read again.
    fn forget(&mut self, before: i64) {
        self.seen.retain(|_, it| it.0 >= before);
    }
}

impl Reader {
    /// Has read nothing yet.
    pub(super) fn new(upstream: Upstream, region: &str) -> Self {
        Self { upstream, region: region.to_owned(), groups: HashMap::new(), told: String::new() }
    }

    /// Reads what is new in all groups. What cannot be read now is read the next time.
    pub(super) async fn read(&mut self) -> Vec<Point> {
        let mut points = Vec::new();
        if let Err(reason) = self.read_all(&mut points).await
            && reason != self.told
        {
            tracing::warn!("logs: {reason}");
            self.told = reason;
        }
        points
    }

    async fn read_all(&mut self, points: &mut Vec<Point>) -> Result<(), String> {
        let names = self.names().await?;
        self.groups.retain(|name, _| names.contains(name));
        for name in names {
            let began = Timestamp::now().as_millisecond();
            let mut place = self.groups.remove(&name).unwrap_or_default();
            let first = place.since.max(began - store::KEPT * 1000) - AGAIN;
            let read = self.read_group(&name, first, &mut place, points).await;
            if read.is_ok() {
                place.since = began;
                place.forget(began - AGAIN);
            }
            self.groups.insert(name, place);
            read?;
        }
        Ok(())
    }

    async fn read_group(
        &self,
        name: &str,
        mut since: i64,
        place: &mut Place,
        points: &mut Vec<Point>,
    ) -> Result<(), String> {
        let mut counted = HashMap::new();
        for _ in 0..ANSWERS {
            let asked = json!({
                "logGroupName": name,
                "startTime": since,
                "filterPattern": format!("\"{}\"", embedded::MARK),
                "limit": LIMIT,
            });
            let answer = self.ask("FilterLogEvents", &asked).await?;
            let lines = answer["events"].as_array().cloned().unwrap_or_default();
            let fresh = place.new_lines(&lines, &mut counted);
            points.extend(fresh.into_iter().flat_map(embedded::points));
            let last = lines.last().and_then(|it| it["timestamp"].as_i64());
            match last.filter(|it| lines.len() >= LIMIT && *it > since) {
                // The rest begins with lines of the same time, which come again.
                Some(last) => {
                    since = last;
                    counted.clear();
                }
                None => return Ok(()),
            }
        }
        Ok(())
    }

    async fn names(&self) -> Result<Vec<String>, String> {
        let mut names = Vec::new();
        let mut token = Value::Null;
        loop {
            let mut asked = json!({ "limit": 50 });
            if !token.is_null() {
                asked["nextToken"] = token;
            }
            let answer = self.ask("DescribeLogGroups", &asked).await?;
            let groups = answer["logGroups"].as_array().into_iter().flatten();
            names.extend(groups.filter_map(|it| it["logGroupName"].as_str()).map(str::to_owned));
            token = answer["nextToken"].clone();
            if token.is_null() {
                return Ok(names);
            }
        }
    }

    async fn ask(&self, operation: &str, asked: &Value) -> Result<Value, String> {
        let target = format!("Logs_20140328.{operation}");
        let answer = self.upstream.ask("logs", &self.region, &target, asked).await.map_err(|err| err.to_string())?;
        if answer.status.is_success() { Ok(answer.json()) } else { Err(format!("{operation}: {}", answer.refusal())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(stream: &str, at: i64, text: &str) -> Value {
        json!({ "logStreamName": stream, "timestamp": at, "message": text })
    }

    fn read(place: &mut Place, lines: &[Value]) -> usize {
        place.new_lines(lines, &mut HashMap::new()).len()
    }

    #[test]
    fn a_line_is_taken_once_and_its_twin_as_well() {
        let mut place = Place::default();
        let one = [line("a", 1, "x"), line("a", 2, "y")];
        assert_eq!(read(&mut place, &one), 2);
        assert_eq!(read(&mut place, &one), 0, "read again");
        // The same text at the same time in the same stream, written a second time.
        let twins = [line("a", 1, "x"), line("a", 2, "y"), line("a", 2, "y"), line("b", 2, "y")];
        assert_eq!(read(&mut place, &twins), 2);
        assert_eq!(read(&mut place, &twins), 0);
        place.forget(2);
        assert_eq!(read(&mut place, &twins[1..]), 0);
        assert_eq!(place.seen.len(), 2, "what is not read again is not remembered");
    }
}
