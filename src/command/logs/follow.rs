//! Which events of a log are new, while it is read again and again: each is shown once, and none is passed over. Pure.

use std::collections::BTreeMap;

/// How far back events are looked for again, in milliseconds: those of several streams do not come in order, and some are
/// late.
pub(super) const LATE: i64 = 60_000;

/// One line that was printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// When, in milliseconds since 1970.
    pub(super) at: i64,
    /// What tells it from all others, whichever stream it came by.
    pub(super) id: String,
    /// The line.
    pub(super) text: String,
}

/// What was shown so far, as far as it can come again.
#[derive(Debug)]
pub(super) struct Follower {
    from: i64,
    shown: BTreeMap<String, i64>,
}

impl Follower {
    /// Begins at a moment.
    pub(super) fn new(from: i64) -> Self {
        Self { from, shown: BTreeMap::new() }
    }

    /// From when on events are to be read next.
    pub(super) fn from(&self) -> i64 {
        self.from
    }

    /// Returns those of the events that were not shown yet, oldest first. A read may leave out what an earlier one had:
    /// that is remembered for as long as it can come again.
    pub(super) fn take(&mut self, mut read: Vec<Event>, now: i64) -> Vec<Event> {
        // Stable: lines of one moment stay in the order in which they were printed.
        read.sort_by_key(|it| it.at);
        // A clock that is ahead must not make events of others look old.
        let newest = read.last().map_or(self.from, |it| it.at.min(now));
        let new: Vec<Event> = read.into_iter().filter(|it| self.shown.insert(it.id.clone(), it.at).is_none()).collect();
        self.from = self.from.max(newest - LATE);
        self.shown.retain(|_, at| *at >= self.from);
        new
    }
}

/// Makes identifiers for events that come without: the stream, the moment, the line, and which of the equal ones it is.
/// They are the same at every reading, since reading begins between moments.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    seen: BTreeMap<(String, i64, String), usize>,
    newest: i64,
}

impl Numbers {
    /// Identifies the events of the next page of one reading.
    pub(super) fn identified(&mut self, page: Vec<(String, i64, String)>) -> Vec<Event> {
        let event = |it: (String, i64, String)| {
            let (stream, at, text) = it.clone();
            let n = self.seen.entry(it).and_modify(|it| *it += 1).or_insert(0);
            self.newest = self.newest.max(at);
            Event { at, id: format!("{stream}/{at}/{n}/{text}"), text }
        };
        let events = page.into_iter().map(event).collect();
        // Pages follow each other in time.
        self.seen.retain(|it, _| it.1 >= self.newest - LATE);
        events
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn event(at: i64, id: &str) -> Event {
        Event { at, id: id.to_owned(), text: id.to_owned() }
    }

    #[test]
    fn what_one_read_leaves_out_is_not_shown_twice() {
        let mut follower = Follower::new(0);
        let ids = |them: Vec<Event>| them.into_iter().map(|it| it.id).collect::<Vec<_>>();
        assert_eq!(ids(follower.take(vec![event(5, "b"), event(1, "a")], 10)), ["a", "b"]);
        assert_eq!(ids(follower.take(vec![event(5, "b")], 10)), [""; 0]);
        assert_eq!(ids(follower.take(vec![event(1, "a"), event(5, "b"), event(3, "late")], 10)), ["late"]);
    }

    #[test]
    fn a_clock_that_is_ahead_hides_nothing() {
        let mut follower = Follower::new(0);
        follower.take(vec![event(10_000_000, "ahead")], 100_000);
        assert!(follower.from() <= 100_000 - LATE);
        assert_eq!(follower.take(vec![event(100_001, "own")], 100_002).len(), 1);
        assert_eq!(follower.take(vec![event(10_000_000, "ahead")], 100_003), []);
    }

    #[test]
    fn equal_lines_of_one_moment_are_told_apart() {
        let line = |at| ("s".to_owned(), at, "x".to_owned());
        let mut pages = Numbers::default();
        let mut all = pages.identified(vec![line(1)]);
        all.extend(pages.identified(vec![line(1), line(2)]));
        let ids: BTreeSet<String> = all.into_iter().map(|it| it.id).collect();
        assert_eq!(ids.len(), 3, "also of two pages");
        let again = Numbers::default().identified(vec![line(1), line(1)]);
        assert!(again.iter().all(|it| ids.contains(&it.id)));
    }

    proptest! {
        /// Streams come and go, events arrive late, reads fail or come short: each event is shown once.
        #[test]
        fn each_event_is_shown_once(
            events in prop::collection::vec((0..200_000_i64, 0..LATE, 0..5_u8), 0..200),
            reads in prop::collection::vec((1..20_000_i64, 0..4_u8, any::<u64>()), 1..60),
        ) {
            let all: Vec<(Event, i64)> = events
                .iter()
                .enumerate()
                .map(|(n, (at, delay, stream))| (event(*at, &format!("{stream}-{n}")), at + delay))
                .collect();
            let mut follower = Follower::new(0);
            let mut shown = Vec::new();
            let mut now = 0;
            // The last read comes when everything has arrived, and is whole.
            let reads = reads.into_iter().chain([(300_000, 1, 0)]);
            for (pause, how, seed) in reads {
                now += pause;
                let there: Vec<Event> =
                    all.iter().filter(|(it, arrives)| *arrives <= now && it.at >= follower.from()).map(|it| it.0.clone()).collect();
                match how {
                    // The read was throttled.
                    0 => (),
                    // It leaves out what was shown before.
                    2 => {
                        let part = |(n, it): (usize, &Event)| {
                            (!shown.contains(&it.id) || seed >> (n % 64) & 1 == 0).then(|| it.clone())
                        };
                        let part = there.iter().enumerate().filter_map(part).collect();
                        shown.extend(follower.take(part, now).into_iter().map(|it| it.id));
                    }
                    // It comes in pages.
                    3 => {
                        let mut there = there;
                        there.sort_by_key(|it| it.at);
                        for page in there.chunks(7) {
                            shown.extend(follower.take(page.to_vec(), now).into_iter().map(|it| it.id));
                        }
                    }
                    _ => shown.extend(follower.take(there, now).into_iter().map(|it| it.id)),
                }
            }
            let once: BTreeSet<&String> = shown.iter().collect();
            prop_assert_eq!(once.len(), shown.len(), "shown twice");
            prop_assert_eq!(once.len(), all.len(), "passed over");
        }
    }
}
