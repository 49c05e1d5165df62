//! The published JSON Schemas say the same as the function, wherever a schema can say it. It cannot say that a
//! timestamp is too far ahead or names the 30th of February, that a field is there twice, how an amount rounds, or that a
//! line is worth too much.

use ingest::{Moment, check};
use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{customer, line, order, payment};

const TOPICS: [&str; 4] = ["customers", "orders", "order_details", "payments"];

fn schema(topic: &str) -> Validator {
    let file = format!("{}/schemas/{topic}.json", env!("CARGO_MANIFEST_DIR"));
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert!(jsonschema::meta::is_valid(&schema), "{topic}");
    jsonschema::validator_for(&schema).unwrap()
}

fn valid(topic: &str) -> Value {
    match topic {
        "customers" => customer(1, 0, 1),
        "orders" => order(1, 0, 1, 1),
        "order_details" => line(1, 0, 1, 1),
        _ => payment(1, 0, 1, 1),
    }
}

/// Values that some field might hold, right or wrong.
fn values() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "created",
        "failed",
        "succeeded",
        "card",
        "web",
        "Web",
        "DE",
        "de",
        "zz",
        "eur",
        "EURO",
        "a@b.co",
        "a@b",
        "@b.co",
        "A.B@c.d.e",
        "a@b.co.",
        "a b@c.de",
        "0",
        "1",
        "1.0000",
        "1.00000",
        "0.5",
        "1.0001",
        "12.345",
        "12.",
        ".5",
        "-1",
        "1e3",
        "9999999999.99",
        "10000000000",
        "00001.10",
        "",
        " ",
        "\u{a0}",
        "\u{0}",
        "x\u{0}",
        "\u{feff}",
        "ü",
        "2026-03-01T12:00:00Z",
        "2026-03-01t12:00:00.123456789+23:59",
        "2026-03-01T12:00:00",
        "2026-03-01 12:00:00Z",
        "2026-13-01T12:00:00Z",
        "2026-03-01T24:00:00Z",
        "2026-03-01T12:00:00+24:00",
        "2026-03-01T12:00Z",
        "2026-03-01T12:00:00.Z",
        "0b6d1b6e-3f2a-4c1e-9d55-6d6f2a6f1a01",
        "0B6D1B6E-3F2A-4C1E-9D55-6D6F2A6F1A01",
        "0b6d1b6e3f2a4c1e9d556d6f2a6f1a01",
        "{0b6d1b6e-3f2a-4c1e-9d55-6d6f2a6f1a01}",
        "urn:uuid:0b6d1b6e-3f2a-4c1e-9d55-6d6f2a6f1a01",
    ]);
    let padding = prop::sample::select(vec!["", " ", "\t\n", "\u{3000}", "\u{85}", "\u{1c}", "\u{feff}"]);
    let padded =
        (padding.clone(), words, padding).prop_map(|(before, word, after)| json!(format!("{before}{word}{after}")));
    prop_oneof![
        8 => padded,
        2 => "\\PC{0,70}".prop_map(Value::from),
        1 => (60_usize..68).prop_map(|length| json!("é".repeat(length))),
        1 => prop::sample::select(vec![
            json!(null), json!(true), json!([]), json!({}), json!(["1"]), json!(0), json!(1), json!(1.0), json!(1.5),
            json!(-1),
            json!(2_147_483_647), json!(2_147_483_648_u32), json!(1e30), json!(2),
        ]),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_filter_map("finite", |number| number.is_finite().then(|| json!(number))),
    ]
}

/// An event with up to three fields changed or taken away.
fn nearly_valid() -> impl Strategy<Value = (&'static str, Value)> {
    let change = (any::<prop::sample::Index>(), prop::option::weighted(0.9, values()));
    (prop::sample::select(TOPICS.to_vec()), prop::collection::vec(change, 0..4)).prop_map(|(topic, changes)| {
        let mut event = valid(topic);
        for (at, value) in changes {
            let fields = event.as_object_mut().unwrap();
            let name = at.get(&fields.keys().cloned().collect::<Vec<_>>()).clone();
            match value {
                Some(value) => fields.insert(name, value),
                None => fields.remove(&name),
            };
        }
        (topic, event)
    })
}

#[test]
fn schemas_and_function_accept_the_same_events() {
    let schemas = TOPICS.map(|topic| (topic, schema(topic)));
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 4_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let accepted = std::cell::Cell::new(0);
    let result = runner.run(&nearly_valid(), |(topic, event)| {
        let (_, schema) = schemas.iter().find(|(name, _)| *name == topic).unwrap();
        let checked = check(topic, event.to_string().as_bytes(), Moment::now());
        // A schema cannot multiply.
        prop_assume!(!format!("{checked:?}").contains("too large at this unit_price"));
        accepted.set(accepted.get() + i32::from(checked.is_ok()));
        prop_assert_eq!(schema.is_valid(&event), checked.is_ok(), "{:?}", checked);
        Ok(())
    });
    result.unwrap();
    assert!(accepted.get() > 500, "only {} of the events were valid: the comparison says little", accepted.get());
}

#[test]
fn schemas_and_function_know_the_same_codes() {
    let letters = || b'A'..=b'Z';
    let (customers, payments) = (schema("customers"), schema("payments"));
    let agree = |schema: &Validator, topic: &str, field: &str, code: &[u8]| {
        let mut event = valid(topic);
        event[field] = json!(std::str::from_utf8(code).unwrap());
        let accepted = check(topic, event.to_string().as_bytes(), Moment::now()).is_ok();
        assert_eq!(schema.is_valid(&event), accepted, "{event}");
        accepted
    };
    let mut known = (0, 0);
    for first in letters() {
        for second in letters() {
            known.0 += i32::from(agree(&customers, "customers", "country", &[first, second]));
            for third in letters() {
                known.1 += i32::from(agree(&payments, "payments", "currency", &[first, second, third]));
            }
        }
    }
    assert_eq!(known, (249, 178));
}

#[test]
fn no_json_but_an_object_is_valid() {
    for topic in TOPICS {
        let schema = schema(topic);
        for value in [json!(null), json!([]), json!("x"), json!(1), json!({})] {
            assert!(!schema.is_valid(&value) && check(topic, value.to_string().as_bytes(), Moment::now()).is_err());
        }
        assert!(
            schema.is_valid(&valid(topic)) && check(topic, valid(topic).to_string().as_bytes(), Moment::now()).is_ok()
        );
    }
}
