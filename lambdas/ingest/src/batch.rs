//! A batch: the rows and the rejects that one invocation's records become, before any of them meets the database.

use crate::{
    entity::{Customer, Entity, Line, Order, Payment},
    event::{Event, Record},
    moment::Moment,
    reject::{Fault, Reason},
};

/// Rows by table. Of several events about one row only the newest is left, and rows are sorted by their key: all
/// invocations lock rows in the same order, so that none waits for another in a circle.
#[derive(Debug, Default)]
pub(crate) struct Batch<'a> {
    pub(crate) customers: Vec<Customer<'a>>,
    pub(crate) orders: Vec<Order<'a>>,
    pub(crate) lines: Vec<Line<'a>>,
    pub(crate) payments: Vec<Payment<'a>>,
    /// Sorted by topic, partition and offset.
    pub(crate) rejects: Vec<Reject<'a>>,
    /// Records taken, rejected ones included.
    pub(crate) records: usize,
}

/// A record that was not accepted, as it came.
#[derive(Debug)]
pub(crate) struct Reject<'a> {
    pub(crate) record: &'a Record<'a>,
    pub(crate) fault: Fault,
}

impl<'a> Batch<'a> {
    /// Sorts an event's records into rows and rejects. Topics are named after their tables, behind `prefix`.
    pub(crate) fn sort(event: &'a Event<'a>, prefix: &str, now: Moment) -> Self {
        let mut batch = Self::default();
        for record in event.records() {
            batch.records += 1;
            if let Err(fault) = batch.take(record, prefix, now) {
                batch.rejects.push(Reject { record, fault });
            }
        }
        newest(&mut batch.customers);
        newest(&mut batch.orders);
        newest(&mut batch.lines);
        newest(&mut batch.payments);
        let place = |reject: &Reject<'a>| (reject.record.topic.as_ref(), reject.record.partition, reject.record.offset);
        batch.rejects.sort_unstable_by(|a, b| place(a).cmp(&place(b)));
        batch.rejects.dedup_by(|b, a| place(a) == place(b));
        batch
    }

    fn take(&mut self, record: &'a Record<'a>, prefix: &str, now: Moment) -> Result<(), Fault> {
        let topic = record.topic.strip_prefix(prefix);
        if !matches!(topic, Some("customers" | "orders" | "order_details" | "payments")) {
            return Err(Fault::new(Reason::UnknownTopic, "no table takes the records of this topic"));
        }
        let payload = match record.value.0.as_deref() {
            None => return Err(Fault::new(Reason::EmptyValue, "the record has no value")),
            Some([]) => return Err(Fault::new(Reason::EmptyValue, "the value has no bytes")),
            Some(payload) => payload,
        };
        match topic {
            Some("customers") => self.customers.push(Customer::parse(payload, now)?),
            Some("orders") => self.orders.push(Order::parse(payload, now)?),
            Some("order_details") => self.lines.push(Line::parse(payload, now)?),
            _ => self.payments.push(Payment::parse(payload, now)?),
        }
        Ok(())
    }
}

/// Sorts rows by key and leaves the newest of each key and parent.
fn newest<'a, E: Entity<'a>>(rows: &mut Vec<E>) {
    rows.sort_by(|a, b| (a.key(), a.parent()).cmp(&(b.key(), b.parent())).then_with(|| b.version().cmp(&a.version())));
    rows.dedup_by(|later, first| later.key() == first.key() && later.parent() == first.parent());
}

/// Splits sorted rows so that no part has a key twice: one statement cannot write a row twice. There is one part
/// unless events of one entity name different parents.
pub(crate) fn rounds<'r, 'a, E: Entity<'a>>(rows: &'r [E]) -> Vec<Vec<&'r E>> {
    let mut rounds: Vec<Vec<&E>> = Vec::new();
    let mut seen = 0;
    for (at, row) in rows.iter().enumerate() {
        seen = if at > 0 && rows[at - 1].key() == row.key() { seen + 1 } else { 0 };
        if rounds.len() == seen {
            rounds.push(Vec::with_capacity(if seen == 0 { rows.len() } else { 1 }));
        }
        rounds[seen].push(row);
    }
    rounds
}
