//! Batches: gathered up to a number, a size or an age; sent whole or in pieces. Pure but for the clock.

use std::{
    collections::BTreeMap,
    ops::Range,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::event::{self, Slice};
use crate::client::kafka::Record;

/// When a batch is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// The most records.
    pub(super) records: usize,
    /// The most bytes of the event.
    pub(super) bytes: usize,
    /// The longest wait after the first record.
    pub(super) window: Duration,
}

/// A batch in the making.
#[derive(Debug)]
pub(super) struct Gather {
    limits: Limits,
    head: Bytes,
    slices: Vec<Slice>,
    count: usize,
    bytes: usize,
    full: bool,
    since: Option<Instant>,
}

impl Gather {
    /// Starts empty. `head` is what precedes the records in every event.
    pub(super) fn new(limits: Limits, head: Bytes) -> Self {
        Self { limits, bytes: head.len(), head, slices: Vec::new(), count: 0, full: false, since: None }
    }

    /// Takes a record up; says whether there was room. The first always fits.
    pub(super) fn push(&mut self, record: &Record) -> bool {
        let size = event::size(record);
        if self.full || (self.count > 0 && self.bytes + size > self.limits.bytes) {
            self.full = true;
            return false;
        }
        let at = self.slices.iter().position(|it| it.partition == record.partition).unwrap_or_else(|| {
            self.slices.push(Slice::new(&record.topic, record.partition));
            self.slices.len() - 1
        });
        if let Some(slice) = self.slices.get_mut(at) {
            slice.push(record);
        }
        self.count += 1;
        self.bytes += size;
        self.full = self.count >= self.limits.records;
        self.since.get_or_insert_with(Instant::now);
        true
    }

    /// Says whether nothing more fits.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// Returns when the batch must go; `None` while it is empty.
    pub(super) fn due(&self) -> Option<Instant> {
        self.since.map(|it| if self.full { it } else { it + self.limits.window })
    }

    /// Hands the batch over and starts anew.
    pub(super) fn take(&mut self) -> Batch {
        let next = Self::new(self.limits, self.head.clone());
        let done = std::mem::replace(self, next);
        Batch { head: done.head, slices: done.slices }
    }

    /// Forgets what it holds.
    pub(super) fn clear(&mut self) {
        drop(self.take());
    }
}

/// Records that go to the function together.
#[derive(Debug)]
pub(super) struct Batch {
    head: Bytes,
    /// By partition, in the order of arrival.
    pub(super) slices: Vec<Slice>,
}

/// A part of a batch: some records in a row of each slice, by the slice's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece(pub(super) Vec<(usize, Range<usize>)>);

impl Piece {
    /// Counts the records.
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|(_, it)| it.len()).sum()
    }
}

impl Batch {
    /// Returns all of it.
    pub(super) fn whole(&self) -> Piece {
        Piece(self.slices.iter().enumerate().map(|(i, it)| (i, 0..it.marks.len())).collect())
    }

    /// Writes the event for a piece.
    pub(super) fn event(&self, piece: &Piece) -> Bytes {
        let parts = || piece.0.iter().filter_map(|(i, range)| Some((self.slices.get(*i)?, range)));
        let size: usize = parts().map(|(it, range)| it.json(range).len() + it.name.len() + 8).sum();
        let mut out = Vec::with_capacity(self.head.len() + size + 2);
        out.extend_from_slice(&self.head);
        for (i, (slice, range)) in parts().enumerate() {
            out.extend_from_slice(if i == 0 { b"\"" } else { b",\"" });
            out.extend_from_slice(slice.name.as_bytes());
            out.extend_from_slice(b"\":[");
            out.extend_from_slice(slice.json(range));
            out.push(b']');
        }
        out.extend_from_slice(b"}}");
        out.into()
    }

    /// Returns the next offset of each partition once a piece is done.
    pub(super) fn next(&self, piece: &Piece) -> Vec<(i32, i64)> {
        let next = |(i, range): &(usize, Range<usize>)| {
            let slice = self.slices.get(*i)?;
            let last = slice.marks.get(range.clone())?.last()?;
            Some((slice.partition, last.offset + 1))
        };
        piece.0.iter().filter_map(next).collect()
    }

    /// Returns the time of a piece's oldest record.
    pub(super) fn oldest(&self, piece: &Piece) -> Option<i64> {
        let times = piece.0.iter().filter_map(|(i, range)| self.slices.get(*i)?.marks.get(range.clone()));
        times.flatten().map(|it| it.timestamp).min()
    }

    /// Cuts a piece into halves. A partition's order is kept: its earlier records are in the first.
    pub(super) fn halves(piece: &Piece) -> (Piece, Piece) {
        let mut room = piece.len().div_ceil(2);
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for (i, range) in &piece.0 {
            let cut = range.start + range.len().min(room);
            room -= cut - range.start;
            if cut > range.start {
                first.push((*i, range.start..cut));
            }
            if cut < range.end {
                second.push((*i, cut..range.end));
            }
        }
        (Piece(first), Piece(second))
    }

    /// Cuts a piece into what is done and what remains when the function reports these records, by partition name and
    /// offset, as failed: each partition is done up to its first failed record. `None` when a record is not of the piece.
    pub(super) fn without(&self, piece: &Piece, failed: &[(String, i64)]) -> Option<(Piece, Piece)> {
        let mut cuts: BTreeMap<usize, usize> = BTreeMap::new();
        for (name, offset) in failed {
            let (i, range) = piece.0.iter().find(|(i, _)| self.slices.get(*i).is_some_and(|it| it.name == *name))?;
            let marks = self.slices.get(*i)?.marks.get(range.clone())?;
            let at = range.start + marks.iter().position(|it| it.offset == *offset)?;
            let cut = cuts.entry(*i).or_insert(at);
            *cut = at.min(*cut);
        }
        let (mut done, mut rest) = (Vec::new(), Vec::new());
        for (i, range) in &piece.0 {
            let cut = cuts.get(i).copied().unwrap_or(range.end);
            if cut > range.start {
                done.push((*i, range.start..cut));
            }
            if cut < range.end {
                rest.push((*i, cut..range.end));
            }
        }
        Some((Piece(done), Piece(rest)))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    pub(in crate::local::poller) fn record(partition: i32, offset: i64) -> Record {
        let mut it = Record::new("orders", partition, offset, None, Some(Bytes::from(vec![b'x'; 30])));
        it.timestamp = 1_000 + offset;
        it
    }

    pub(in crate::local::poller) fn gathered(records: &[(i32, i64)]) -> Batch {
        let limits = Limits { records: 10_000, bytes: 6 << 20, window: Duration::ZERO };
        let mut gather = Gather::new(limits, event::head("arn:cluster", "127.0.0.1:9092").into());
        records.iter().for_each(|(partition, offset)| assert!(gather.push(&record(*partition, *offset))));
        gather.take()
    }

    pub(in crate::local::poller) fn offsets(event: &[u8]) -> Vec<(i32, i64)> {
        let event: Value = serde_json::from_slice(event).expect("JSON");
        assert_eq!(event["eventSource"], "aws:kafka");
        let records =
            event["records"].as_object().expect("records").values().flat_map(|it| it.as_array().expect("a list"));
        let number = |it: &Value, key: &str| it[key].as_i64().expect("a number");
        records.map(|it| (i32::try_from(number(it, "partition")).expect("small"), number(it, "offset"))).collect()
    }

    #[test]
    fn a_batch_goes_when_its_number_size_or_age_is_reached() {
        let limits = Limits { records: 3, bytes: 1 << 20, window: Duration::from_secs(60) };
        let mut gather = Gather::new(limits, Bytes::new());
        assert_eq!(gather.due(), None);
        assert!(gather.push(&record(0, 1)) && gather.push(&record(1, 1)));
        assert!(!gather.is_full() && gather.due().is_some_and(|it| it > Instant::now()));
        assert!(gather.push(&record(0, 2)) && gather.is_full());
        assert!(gather.due().is_some_and(|it| it <= Instant::now()));
        assert!(!gather.push(&record(0, 3)), "no fourth");
        assert_eq!(gather.take().whole().len(), 3);
        assert!(gather.due().is_none() && !gather.is_full());

        let mut small = Gather::new(Limits { bytes: 10, ..limits }, Bytes::new());
        assert!(small.push(&record(0, 1)), "the first always fits");
        assert!(!small.push(&record(0, 2)) && small.is_full());
    }

    #[test]
    fn a_report_of_failures_cuts_each_partition_at_its_first() {
        let batch = gathered(&[(0, 10), (1, 5), (0, 11), (1, 6), (0, 12)]);
        let named = |it: &[(&str, i64)]| it.iter().map(|(name, at)| ((*name).to_owned(), *at)).collect::<Vec<_>>();
        let whole = batch.whole();
        let (done, rest) = batch.without(&whole, &named(&[("orders-0", 12), ("orders-0", 11)])).expect("records of it");
        assert_eq!(batch.next(&done), [(0, 11), (1, 7)]);
        assert_eq!(offsets(&batch.event(&rest)), [(0, 11), (0, 12)]);
        assert_eq!(batch.without(&whole, &named(&[("orders-0", 99)])), None);
        assert_eq!(batch.without(&whole, &named(&[("orders-7", 10)])), None);
        assert_eq!(batch.oldest(&rest), Some(1_011));
    }

    proptest! {
        #[test]
        fn halves_hold_every_record_once_and_in_order(partitions in prop::collection::vec(0..4i32, 2..60)) {
            let mut next = [0i64; 4];
            let records: Vec<_> = partitions.iter().map(|it| {
                let offset = &mut next[usize::try_from(*it).expect("small")];
                *offset += 1;
                (*it, *offset)
            }).collect();
            let batch = gathered(&records);
            let (first, second) = Batch::halves(&batch.whole());
            prop_assert_eq!(first.len(), records.len().div_ceil(2));
            let mut all = offsets(&batch.event(&first));
            all.extend(offsets(&batch.event(&second)));
            for partition in 0..4 {
                let seen: Vec<_> = all.iter().filter(|it| it.0 == partition).collect();
                let sent: Vec<_> = records.iter().filter(|it| it.0 == partition).collect();
                prop_assert_eq!(seen, sent);
            }
        }
    }
}
