//! The stream of events: good ones in the order in which they happen, and what the world does to them on the way.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap, VecDeque},
};

use bytes::Bytes;
use jiff::Timestamp;

use super::{
    dice::{Dice, Purpose},
    season::{DAY, MINUTE, Season},
    spoil::{self, Bad},
    story::{LEAD, Story},
};

/// A topic of the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Topic {
    /// Who buys.
    Customers,
    /// What is bought, and how far it is.
    Orders,
    /// The lines of the orders.
    OrderDetails,
    /// How orders are paid.
    Payments,
}

impl Topic {
    /// All topics.
    pub const ALL: [Self; 4] = [Self::Customers, Self::Orders, Self::OrderDetails, Self::Payments];

    /// Its name in Kafka.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Customers => "customers",
            Self::Orders => "orders",
            Self::OrderDetails => "order_details",
            Self::Payments => "payments",
        }
    }
}

/// What to generate. Equal options give equal events, byte for byte; the orders, customers and payments within depend
/// on `orders`, `seed` and `until` alone.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many orders.
    pub orders: u64,
    /// What everything is drawn from.
    pub seed: u64,
    /// Nothing happens after this time, and the first order 120 days before it.
    pub until: Timestamp,
    /// How many bad events there are for a million good ones.
    pub bad: u64,
    /// How many of a million events are sent twice.
    pub duplicates: u64,
    /// How many of a million events are sent minutes to days after they happened.
    pub late: u64,
    /// Whether the order in which events are sent is any.
    pub shuffle: bool,
    /// The topics whose events are wanted.
    pub topics: BTreeSet<Topic>,
}

impl Options {
    /// Good events alone, in order, each once.
    pub fn plain(orders: u64, seed: u64, until: Timestamp) -> Self {
        let topics = Topic::ALL.into();
        Self { orders, seed, until, bad: 0, duplicates: 0, late: 0, shuffle: false, topics }
    }
}

/// A record for Kafka.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Where it goes.
    pub topic: Topic,
    /// Its key: the identifier of the entity, which decides the partition.
    pub key: String,
    /// Its value; `None` for a tombstone.
    pub value: Option<Bytes>,
    /// What is wrong with it, if anything.
    pub bad: Option<Bad>,
}

/// Generates events. Holds a few days of them at a time, or all of them to shuffle.
pub fn generate(options: &Options) -> Box<dyn Iterator<Item = Event> + Send> {
    let topics = options.topics.clone();
    let events = Stream::new(options.clone()).filter(move |it| topics.contains(&it.topic));
    if !options.shuffle {
        return Box::new(events);
    }
    let mut all: Vec<Event> = events.collect();
    let mut dice = Dice::new(options.seed, Purpose::Shuffle, 0);
    // Fisher and Yates: every order is as likely as any other.
    for end in (1..all.len()).rev() {
        all.swap(end, dice.place(end + 1));
    }
    Box::new(all.into_iter())
}

/// Events on their way, by when they are sent, then by when they were drawn.
struct Pending {
    order: Reverse<(i64, u64)>,
    event: Event,
}

impl PartialEq for Pending {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Pending {}

impl PartialOrd for Pending {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Pending {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order.cmp(&other.order)
    }
}

struct Stream {
    options: Options,
    season: Season,
    story: Story,
    /// The number of the next order.
    next: u64,
    /// When it is made, in milliseconds since 1970.
    next_at: i64,
    /// How many events were drawn.
    drawn: u64,
    /// Which way the next bad event goes bad.
    ways: VecDeque<Bad>,
    pending: BinaryHeap<Pending>,
}

impl Stream {
    fn new(options: Options) -> Self {
        let until = options.until.as_millisecond();
        let season = Season::until(until);
        Self {
            next_at: time(&season, &options, 0),
            season,
            story: Story::new(options.seed, until),
            next: 0,
            drawn: 0,
            ways: spoil::ALL.into(),
            pending: BinaryHeap::new(),
            options,
        }
    }

    /// Draws the events of the next order, and decides how each is sent.
    fn draw(&mut self) {
        let drafts = self.story.order(self.next, self.next_at, self.next * 100 / self.options.orders);
        let mut dice = Dice::new(self.options.seed, Purpose::Delivery, self.next);
        self.next += 1;
        self.next_at = time(&self.season, &self.options, self.next);
        for draft in drafts {
            self.drawn += 1;
            let (delay, again) = (dice.between(MINUTE, 3 * DAY), dice.between(0, 2 * DAY));
            let at = if dice.chance(self.options.late) { draft.at + delay } else { draft.at };
            let event = Event { topic: draft.topic, key: draft.key, value: Some(draft.value.into()), bad: None };
            if dice.chance(self.options.duplicates) {
                self.send(at + again, 1, event.clone());
            }
            if dice.chance(self.options.bad)
                && let Some(bad) = self.spoilt(&event)
            {
                self.send(at, 2, bad);
            }
            self.send(at, 0, event);
        }
    }

    fn spoilt(&mut self, event: &Event) -> Option<Event> {
        let place = self.ways.iter().position(|it| spoil::applies(*it, event.topic))?;
        let way = self.ways.remove(place)?;
        self.ways.push_back(way);
        let mut dice = Dice::new(self.options.seed, Purpose::Spoil, self.drawn);
        let value = spoil::spoil(way, event.topic, event.value.as_deref()?, &mut dice).map(Bytes::from);
        Some(Event { value, bad: Some(way), ..event.clone() })
    }

    fn send(&mut self, at: i64, copy: u64, event: Event) {
        self.pending.push(Pending { order: Reverse((at, self.drawn * 3 + copy)), event });
    }
}

/// When an order is made, in milliseconds since 1970.
fn time(season: &Season, options: &Options, order: u64) -> i64 {
    let roll = Dice::new(options.seed, Purpose::Time, order).below(u64::MAX);
    season.time(order, options.orders, roll)
}

impl Iterator for Stream {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        while self.next < self.options.orders {
            // Nothing that is still to be drawn is sent before this.
            let settled = self.next_at - LEAD;
            if self.pending.peek().is_some_and(|it| it.order.0.0 < settled) {
                break;
            }
            self.draw();
        }
        self.pending.pop().map(|it| it.event)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::Value;

    use super::*;

    fn options(orders: u64) -> Options {
        Options::plain(orders, 7, "2026-11-01T00:00:00Z".parse().expect("a time"))
    }

    fn json(it: &Event) -> Value {
        serde_json::from_slice(it.value.as_deref().expect("a value")).expect("JSON")
    }

    #[test]
    fn same_options_same_bytes() {
        let options = Options { bad: 50_000, duplicates: 50_000, late: 50_000, ..options(300) };
        let first: Vec<Event> = generate(&options).collect();
        assert_eq!(first, generate(&options).collect::<Vec<_>>());
        let shuffled = Options { shuffle: true, ..options.clone() };
        let shuffled: Vec<Event> = generate(&shuffled).collect();
        assert_ne!(first, shuffled);
        let sorted = |mut it: Vec<Event>| {
            it.sort_by(|a, b| (a.topic, &a.key, &a.value).cmp(&(b.topic, &b.key, &b.value)));
            it
        };
        assert_eq!(sorted(first), sorted(shuffled));
        assert_ne!(generate(&options).next(), generate(&Options { seed: 8, ..options.clone() }).next());
    }

    /// Pinned, so that a change of the events, or of a dependency that draws or writes them, is noticed.
    #[test]
    fn events_are_what_they_were() {
        use sha2::Digest as _;
        let mut hash = sha2::Sha256::new();
        generate(&Options { bad: 10_000, duplicates: 50_000, late: 50_000, ..options(200) }).for_each(|it| {
            hash.update(it.key);
            hash.update(it.value.unwrap_or_default());
        });
        assert_eq!(hash.finalize()[..4], [163, 246, 53, 45]);
    }

    #[test]
    fn troubles_leave_the_good_events_as_they_are() {
        let plain: BTreeSet<_> = generate(&options(300)).filter_map(|it| it.value).collect();
        let troubled = Options { bad: 100_000, duplicates: 200_000, late: 200_000, shuffle: true, ..options(300) };
        let troubled: Vec<Event> = generate(&troubled).collect();
        let good: Vec<_> = troubled.iter().filter(|it| it.bad.is_none()).filter_map(|it| it.value.clone()).collect();
        assert!(good.len() > plain.len() * 11 / 10, "{} copies", good.len() - plain.len());
        assert_eq!(good.into_iter().collect::<BTreeSet<_>>(), plain);
        let ways: BTreeSet<Bad> = troubled.iter().filter_map(|it| it.bad).collect();
        assert_eq!(ways.len(), spoil::ALL.len(), "every way to go bad");
    }

    #[test]
    fn in_order_means_in_order_of_time() {
        let time = |it: &Event| json(it)["occurred_at"].as_str().and_then(|it| it.parse::<Timestamp>().ok());
        let events: Vec<Event> = generate(&options(300)).collect();
        let times: Vec<Timestamp> = events.iter().filter_map(time).collect();
        assert_eq!(times.len(), events.len());
        let stale = times.windows(2).filter(|it| it[1] < it[0]).count();
        assert!(stale > 0 && stale < 20, "{stale} stale events of {}", times.len());
        assert!(times.iter().all(|it| *it <= options(0).until));
    }

    #[test]
    fn shop_is_like_a_shop() {
        let mut orders: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let (mut lines, mut customers, mut statuses) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        for event in generate(&options(2_000)) {
            let value = json(&event);
            let text = |name: &str| value[name].as_str().unwrap_or_default().trim().to_owned();
            assert_eq!(value["schema_version"], 1);
            match event.topic {
                Topic::Customers => {
                    assert_eq!(event.key, text("customer_id"));
                    customers.insert(event.key);
                }
                Topic::Orders => {
                    assert_eq!(event.key, text("order_id"));
                    assert!(customers.contains(&text("customer_id")), "in order, customers come first");
                    orders.entry(event.key).or_default().push(text("status"));
                }
                Topic::OrderDetails => {
                    let lines: &mut BTreeSet<u64> = lines.entry(text("order_id")).or_default();
                    lines.insert(value["line_no"].as_u64().expect("a number"));
                }
                Topic::Payments => {
                    statuses.insert(text("status"));
                    assert_eq!(value["failure_reason"].is_string(), value["status"] == "failed");
                }
            }
        }
        assert_eq!(orders.len(), 2_000);
        assert_eq!(statuses.len(), 5, "{statuses:?}");
        assert!((600..1_100).contains(&customers.len()), "most come back: {}", customers.len());
        let last: BTreeSet<&String> = orders.values().filter_map(|it| it.last()).collect();
        assert_eq!(last.len(), 6, "{last:?}");
        assert!(lines.values().all(|it| it.len() <= 8) && lines.values().any(|it| it.len() == 8));
        let count: usize = lines.values().map(BTreeSet::len).sum();
        assert!((4_000..6_000).contains(&count), "{count} lines");
    }
}
