//! Any order of arrival, any duplicates and any split into batches give the same tables.

use proptest::{prelude::*, sample::SizeRange, test_runner::TestCaseError};
use serde_json::json;

use crate::support::{Sent, Shop, customer, deliver, line, order, payment};

/// Events about a few entities, so that they meet: parents that never come, orders that change their customer,
/// payments that change their order, equal times, and events that are none.
fn events(size: impl Into<SizeRange>) -> impl Strategy<Value = Vec<Sent>> {
    let one = (0_u32..11, 0_u32..5, 0_u32..4, 0_u32..6);
    prop::collection::vec(one, size).prop_map(|choices| {
        let numbered = choices.into_iter().zip(1_u32..);
        numbered
            .map(|((kind, entity, other, second), id)| match kind {
                0 | 1 => Sent::json("customers", &customer(id, second, entity)),
                2..=4 => Sent::json("orders", &order(id, second, entity, other)),
                5..=7 => Sent::json("order_details", &line(id, second, entity, other + 1)),
                8 | 9 => Sent::json("payments", &payment(id, second, entity, other)),
                _ => Sent::json("payments", &json!({"event_id": id})),
            })
            .collect()
    })
}

/// The events as they might be delivered: shuffled, some twice, cut into batches.
fn deliveries(events: Vec<Sent>) -> impl Strategy<Value = (Vec<Sent>, Vec<Vec<Sent>>)> {
    let count = events.len();
    let again = prop::collection::vec(0..count, 0..=count / 5 + 1);
    let cuts = prop::collection::vec(1_usize..12, count * 2 + 2);
    (again, cuts)
        .prop_flat_map(move |(again, cuts)| {
            let mut all: Vec<usize> = (0..count).collect();
            all.extend(again);
            (Just(all).prop_shuffle(), Just(cuts))
        })
        .prop_map(move |(order, cuts)| {
            let shuffled: Vec<Sent> = order.iter().map(|at| events[*at].clone()).collect();
            let mut batches = Vec::new();
            let mut rest = shuffled.as_slice();
            for cut in cuts {
                let (batch, tail) = rest.split_at(cut.min(rest.len()));
                batches.push(batch.to_vec());
                rest = tail;
            }
            (events.clone(), batches.into_iter().filter(|batch| !batch.is_empty()).collect())
        })
}

#[test]
fn order_duplicates_and_splits_do_not_matter() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let shop = Shop::shared();
    let mut ingest = shop.ingest();
    let strategy = events(1..60).prop_flat_map(deliveries);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 30,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let ingest = std::cell::RefCell::new(&mut ingest);
    let result = runner.run(&strategy, |(events, batches)| {
        let mut ingest = ingest.borrow_mut();
        shop.clear();
        runtime.block_on(deliver(&mut ingest, &events, 0));
        let at_once = shop.dump();
        shop.clear();
        let mut offset = 0;
        for batch in &batches {
            runtime.block_on(deliver(&mut ingest, batch, offset));
            offset += batch.len();
        }
        prop_assert_eq!(shop.dump(), at_once);
        Ok::<(), TestCaseError>(())
    });
    result.unwrap();
}

/// The tables against a model that knows the whole history at once, and shares no code with the function.
#[test]
fn tables_equal_what_the_whole_history_says() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let shop = Shop::shared();
    let mut ingest = shop.ingest();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 15,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let ingest = std::cell::RefCell::new(&mut ingest);
    let result = runner.run(&events(1..80), |events| {
        shop.clear();
        runtime.block_on(deliver(&mut ingest.borrow_mut(), &events, 0));
        let seen = shop.sql(
            "SELECT 'c', customer_id, event_id FROM customers UNION ALL SELECT 'o', order_id, event_id FROM orders
             UNION ALL SELECT 'd', order_id || '/' || line_no, event_id FROM order_details
             UNION ALL SELECT 'p', payment_id, event_id FROM payments ORDER BY 1, 2",
        );
        prop_assert_eq!(seen, model::visible(&events));
        Ok::<(), TestCaseError>(())
    });
    result.unwrap();
}

mod model {
    use std::{collections::BTreeMap, fmt::Write};

    use serde_json::Value;

    use crate::support::Sent;

    type Winners = BTreeMap<(&'static str, String), (String, String)>;

    /// The newest event of each entity whose parent is visible, level by level.
    pub(super) fn visible(events: &[Sent]) -> String {
        let mut winners = Winners::new();
        for (topic, kind, parent) in [
            ("customers", "c", None),
            ("orders", "o", Some("c")),
            ("order_details", "d", Some("o")),
            ("payments", "p", Some("o")),
        ] {
            for event in events.iter().filter(|event| event.topic == topic) {
                let event: Value = serde_json::from_slice(event.value.as_ref().unwrap()).unwrap();
                let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
                let (id, needs) = match kind {
                    "c" => (text("customer_id"), String::new()),
                    "o" => (text("order_id"), text("customer_id")),
                    "d" => (format!("{}/{}", text("order_id"), event["line_no"]), text("order_id")),
                    _ => (text("payment_id"), text("order_id")),
                };
                let is_visible = parent.is_none_or(|parent| winners.contains_key(&(parent, needs)));
                if id.is_empty() || !is_visible {
                    continue;
                }
                let version = (text("occurred_at"), text("event_id"));
                let winner = winners.entry((kind, id)).or_insert_with(|| version.clone());
                *winner = version.max(winner.clone());
            }
        }
        winners.iter().fold(String::new(), |mut text, ((kind, id), (_, event_id))| {
            writeln!(text, "{kind}|{id}|{event_id}").unwrap();
            text
        })
    }
}
