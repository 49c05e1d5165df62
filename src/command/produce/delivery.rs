//! The way of the events to where they go, at a rate, and the count of what was sent.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::{Bad, Event};

/// How often progress is told, and the rate held.
const BEAT: Duration = Duration::from_millis(100);
/// How many events are sent between two looks at the clock, at most.
const STRIDE: u64 = 64;

/// Where events go.
pub trait Sink {
    /// Why it does not take them.
    type Error;
    /// Takes an event, and waits while there is no room.
    fn send(&mut self, event: &Event) -> impl Future<Output = Result<(), Self::Error>> + Send;
    /// Waits until all events have arrived.
    fn finish(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// What was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// How many events, by topic.
    pub topics: BTreeMap<&'static str, u64>,
    /// How many of them are bad, by what is wrong with them.
    pub bad: BTreeMap<Bad, u64>,
    /// How long it took until all had arrived.
    pub elapsed: Duration,
}

impl Sent {
    /// How many events were sent.
    pub fn events(&self) -> u64 {
        self.topics.values().sum()
    }

    /// How many of them are bad.
    pub fn bad(&self) -> u64 {
        self.bad.values().sum()
    }

    /// How many events were sent in a second.
    pub fn rate(&self) -> u64 {
        let millis = self.elapsed.as_millis().max(1);
        u64::try_from(u128::from(self.events()) * 1_000 / millis).unwrap_or(u64::MAX)
    }

    /// The result, as a machine reads it.
    pub fn json(&self) -> Value {
        json!({
            "events": self.events(),
            "topics": self.topics,
            "bad": { "events": self.bad(), "ways": self.bad.iter().map(|(way, it)| (way.name(), *it)).collect::<BTreeMap<_, _>>() },
            "seconds": self.elapsed.as_secs_f64(),
            "events_per_second": self.rate(),
        })
    }
}

/// Why not all events were sent.
#[derive(Debug)]
pub struct Cut<E> {
    /// What the sink says.
    pub cause: E,
    /// How many events it had taken by then; those that it took last may not have arrived.
    pub taken: u64,
}

/// Sends events, `rate` in a second at most, and tells now and then how many were sent.
///
/// # Errors
/// The sink's. What was sent before stays sent.
pub async fn deliver<S: Sink>(
    events: impl Iterator<Item = Event>,
    rate: Option<u64>,
    sink: &mut S,
    mut tell: impl FnMut(&Sent),
) -> Result<Sent, Cut<S::Error>> {
    let started = Instant::now();
    let mut told = started;
    let mut sent = Sent::default();
    let stride = rate.map_or(STRIDE, |it| (it / 20).clamp(1, STRIDE));
    for (number, event) in (1..).zip(events) {
        sink.send(&event).await.map_err(|cause| Cut { cause, taken: sent.events() })?;
        *sent.topics.entry(event.topic.name()).or_default() += 1;
        if let Some(bad) = event.bad {
            *sent.bad.entry(bad).or_default() += 1;
        }
        if number % stride == 0 {
            if let Some(rate) = rate {
                sleep_until(started + Duration::from_micros(number.saturating_mul(1_000_000) / rate.max(1))).await;
            }
            if told.elapsed() >= BEAT {
                told = Instant::now();
                sent.elapsed = started.elapsed();
                tell(&sent);
            }
        }
    }
    sink.finish().await.map_err(|cause| Cut { cause, taken: sent.events() })?;
    sent.elapsed = started.elapsed();
    Ok(sent)
}

/// A file with one JSON object per line: `topic`, `key`, `value` as text (`null` for a tombstone) or, where it is not
/// UTF-8, as `base64`, and `bad` with what is wrong, if anything.
#[derive(Debug)]
pub struct Dump<W>(
    /// What is written to.
    pub W,
);

impl<W: Write + Send> Sink for Dump<W> {
    type Error = io::Error;

    async fn send(&mut self, event: &Event) -> io::Result<()> {
        let mut line = json!({ "topic": event.topic.name(), "key": event.key });
        match event.value.as_deref().map(|it| (std::str::from_utf8(it), it)) {
            None => line["value"] = Value::Null,
            Some((Ok(text), _)) => line["value"] = text.into(),
            Some((Err(_), bytes)) => line["base64"] = BASE64_STANDARD.encode(bytes).into(),
        }
        if let Some(bad) = event.bad {
            line["bad"] = bad.name().into();
        }
        serde_json::to_writer(&mut self.0, &line)?;
        self.0.write_all(b"\n")
    }

    async fn finish(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::produce::{Options, generate};

    fn options() -> Options {
        let until = "2026-11-01T00:00:00Z".parse().expect("a time");
        Options { bad: 300_000, ..Options::plain(60, 7, until) }
    }

    #[tokio::test]
    async fn dump_holds_every_event_and_the_count_is_right() {
        let mut dump = Dump(Vec::new());
        let sent = deliver(generate(&options()), None, &mut dump, |_| ()).await.expect("memory takes all");
        let lines: Vec<Value> =
            dump.0.split(|it| *it == b'\n').filter_map(|it| serde_json::from_slice(it).ok()).collect();
        let events: Vec<Event> = generate(&options()).collect();
        assert_eq!(lines.len(), events.len());
        assert_eq!(sent.events(), events.len() as u64);
        assert_eq!(sent.bad(), lines.iter().filter(|it| it["bad"].is_string()).count() as u64);
        assert_eq!(sent.topics["orders"], lines.iter().filter(|it| it["topic"] == "orders").count() as u64);
        for (line, event) in lines.iter().zip(events) {
            let value = line["value"].as_str().map(|it| it.as_bytes().to_vec());
            let value = value.or_else(|| BASE64_STANDARD.decode(line["base64"].as_str()?).ok());
            assert_eq!(value, event.value.map(|it| it.to_vec()));
        }
        assert_eq!(sent.json()["bad"]["ways"]["not_utf8"], sent.bad[&Bad::NotUtf8]);
    }

    #[tokio::test]
    async fn rate_is_not_exceeded() {
        let events = generate(&options()).count() as u64;
        let sent = deliver(generate(&options()), Some(4_000), &mut Dump(Vec::new()), |_| ()).await.expect("taken");
        // The last few events need no wait.
        let least = Duration::from_millis((events - STRIDE) * 1_000 / 4_000);
        assert!(sent.elapsed >= least, "{events} events in {:?}", sent.elapsed);
    }
}
