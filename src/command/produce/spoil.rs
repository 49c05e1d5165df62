//! Events gone bad: one way for every reason that the contract gives to reject a record.

use serde_json::{Value, json};

use super::{Topic, dice::Dice};

/// What is wrong with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bad {
    /// The text breaks off.
    MalformedJson,
    /// A byte that no UTF-8 has.
    NotUtf8,
    /// No bytes.
    EmptyValue,
    /// No value: a tombstone.
    NullValue,
    /// A list.
    NotAnObject,
    /// One object after another.
    TwoObjects,
    /// A field is missing.
    MissingField,
    /// A field is null.
    NullField,
    /// A number where a text is meant.
    NumberForText,
    /// A text where a number is meant.
    TextForNumber,
    /// A word that the contract does not know.
    UnknownValue,
    /// Not the shape of an e-mail address.
    BadEmail,
    /// Not a country.
    BadCountry,
    /// Not a currency.
    BadCurrency,
    /// An amount with a sign.
    NegativeMoney,
    /// More digits after the point than there may be.
    TooPrecise,
    /// An amount with an exponent.
    ExponentMoney,
    /// An amount as a JSON number.
    MoneyAsNumber,
    /// A discount of more than everything.
    DiscountAboveOne,
    /// None of something.
    ZeroQuantity,
    /// A half of something.
    FractionalQuantity,
    /// Nothing but blanks for an id.
    BlankId,
    /// More than 64 characters for an id.
    LongId,
    /// Not a UUID.
    BadEventId,
    /// Not a time.
    BadTimestamp,
    /// A time that is yet to come.
    FutureTimestamp,
    /// Another version of the contract.
    WrongVersion,
}

/// Every way to go bad.
pub const ALL: [Bad; 27] = [
    Bad::MalformedJson,
    Bad::NotUtf8,
    Bad::EmptyValue,
    Bad::NullValue,
    Bad::NotAnObject,
    Bad::TwoObjects,
    Bad::MissingField,
    Bad::NullField,
    Bad::NumberForText,
    Bad::TextForNumber,
    Bad::UnknownValue,
    Bad::BadEmail,
    Bad::BadCountry,
    Bad::BadCurrency,
    Bad::NegativeMoney,
    Bad::TooPrecise,
    Bad::ExponentMoney,
    Bad::MoneyAsNumber,
    Bad::DiscountAboveOne,
    Bad::ZeroQuantity,
    Bad::FractionalQuantity,
    Bad::BlankId,
    Bad::LongId,
    Bad::BadEventId,
    Bad::BadTimestamp,
    Bad::FutureTimestamp,
    Bad::WrongVersion,
];

impl Bad {
    /// Its name in results, such as `not_utf8`.
    pub fn name(self) -> String {
        serde_json::to_value(self).ok().and_then(|it| it.as_str().map(str::to_owned)).unwrap_or_default()
    }
}

/// The fields without which an event of a topic is none.
fn required(topic: Topic) -> &'static [&'static str] {
    match topic {
        Topic::Customers => {
            &["event_id", "occurred_at", "schema_version", "customer_id", "name", "email", "country", "created_at"]
        }
        Topic::Orders => &[
            "event_id",
            "occurred_at",
            "schema_version",
            "order_id",
            "customer_id",
            "status",
            "currency",
            "ordered_at",
            "channel",
            "shipping_country",
        ],
        Topic::OrderDetails => &[
            "event_id",
            "occurred_at",
            "schema_version",
            "order_id",
            "line_no",
            "product_id",
            "product_name",
            "category",
            "quantity",
            "unit_price",
        ],
        Topic::Payments => &[
            "event_id",
            "occurred_at",
            "schema_version",
            "payment_id",
            "order_id",
            "method",
            "status",
            "amount",
            "currency",
            "processed_at",
        ],
    }
}

/// The fields of a topic that can go bad in this way; `None` where the whole value does.
fn fields(bad: Bad, topic: Topic) -> Option<&'static [&'static str]> {
    use Topic::{Customers, OrderDetails, Orders, Payments};
    let fields: &[&str] = match (bad, topic) {
        (Bad::MissingField | Bad::NullField, _) => required(topic),
        (Bad::NumberForText | Bad::BlankId | Bad::LongId, Customers) => &["customer_id"],
        (Bad::NumberForText | Bad::BlankId | Bad::LongId, Orders) => &["order_id", "customer_id"],
        (Bad::NumberForText | Bad::BlankId | Bad::LongId, OrderDetails) => &["order_id", "product_id"],
        (Bad::NumberForText | Bad::BlankId | Bad::LongId, Payments) => &["payment_id", "order_id"],
        (Bad::TextForNumber, OrderDetails) => &["schema_version", "line_no", "quantity"],
        (Bad::TextForNumber | Bad::WrongVersion, _) => &["schema_version"],
        (Bad::UnknownValue, Orders) => &["status", "channel"],
        (Bad::UnknownValue, Payments) => &["status", "method"],
        (Bad::BadEmail, Customers) => &["email"],
        (Bad::BadCountry, Customers) => &["country"],
        (Bad::BadCountry, Orders) => &["shipping_country"],
        (Bad::BadCurrency, Orders | Payments) => &["currency"],
        (Bad::NegativeMoney | Bad::ExponentMoney | Bad::MoneyAsNumber | Bad::TooPrecise, OrderDetails) => {
            &["unit_price", "discount"]
        }
        (Bad::NegativeMoney | Bad::ExponentMoney | Bad::MoneyAsNumber, Payments) => &["amount"],
        (Bad::DiscountAboveOne, OrderDetails) => &["discount"],
        (Bad::ZeroQuantity | Bad::FractionalQuantity, OrderDetails) => &["quantity", "line_no"],
        (Bad::BadEventId, _) => &["event_id"],
        (Bad::BadTimestamp | Bad::FutureTimestamp, Customers) => &["occurred_at", "created_at"],
        (Bad::BadTimestamp | Bad::FutureTimestamp, Orders) => &["occurred_at", "ordered_at"],
        (Bad::BadTimestamp | Bad::FutureTimestamp, OrderDetails) => &["occurred_at"],
        (Bad::BadTimestamp | Bad::FutureTimestamp, Payments) => &["occurred_at", "processed_at"],
        (
            Bad::MalformedJson | Bad::NotUtf8 | Bad::EmptyValue | Bad::NullValue | Bad::NotAnObject | Bad::TwoObjects,
            _,
        ) => return None,
        _ => &[],
    };
    Some(fields)
}

/// Says whether an event of the topic can go bad in this way.
pub(super) fn applies(bad: Bad, topic: Topic) -> bool {
    fields(bad, topic).is_none_or(|it| !it.is_empty())
}

/// Makes a good event bad.
pub(super) fn spoil(bad: Bad, topic: Topic, good: &[u8], dice: &mut Dice) -> Option<Vec<u8>> {
    let Some(fields) = fields(bad, topic) else {
        return match bad {
            Bad::NullValue => None,
            Bad::EmptyValue => Some(Vec::new()),
            Bad::NotAnObject => Some([b"[", good, b"]"].concat()),
            Bad::TwoObjects => Some([good, good].concat()),
            // Within the quotes of the last text, so that nothing else is wrong.
            Bad::NotUtf8 => {
                let at = good.iter().rposition(|it| *it == b'"').unwrap_or(0);
                Some([&good[..at], &[0xff], &good[at..]].concat())
            }
            _ => Some(good[..good.len() - 1 - dice.place(good.len() / 2)].to_vec()),
        };
    };
    let mut event: Value = serde_json::from_slice(good).unwrap_or_default();
    let field = *dice.pick(fields);
    if bad == Bad::MissingField {
        event.as_object_mut().and_then(|it| it.shift_remove(field));
    } else {
        event[field] = value(bad, field, dice);
    }
    serde_json::to_vec(&event).ok()
}

/// The value that a field gets.
fn value(bad: Bad, field: &str, dice: &mut Dice) -> Value {
    match bad {
        Bad::NumberForText => json!(dice.below(100_000)),
        Bad::TextForNumber => json!("1"),
        Bad::UnknownValue => json!("teleported"),
        Bad::BadEmail => json!(dice.pick(&["not-an-address", "two@signs@example.com", "nobody@", "@example.com"])),
        Bad::BadCountry => json!(dice.pick(&["Germany", "D", "4X", ""])),
        Bad::BadCurrency => json!(dice.pick(&["Euro", "E", "€", "12A"])),
        Bad::NegativeMoney => json!("-0.5"),
        Bad::TooPrecise if field == "discount" => json!("0.12345"),
        Bad::TooPrecise => json!("9.999"),
        Bad::ExponentMoney => json!("1e0"),
        Bad::MoneyAsNumber => json!(1),
        Bad::DiscountAboveOne => json!("1.01"),
        Bad::ZeroQuantity => json!(0),
        Bad::FractionalQuantity => json!(1.5),
        Bad::BlankId => json!(dice.pick(&["", "   "])),
        Bad::LongId => json!("x".repeat(65)),
        Bad::BadEventId => json!(dice.pick(&["", "42", "not-a-uuid"])),
        Bad::BadTimestamp => json!(dice.pick(&["yesterday", "2026-02-30T00:00:00Z", "2026-01-01", "1790000000"])),
        Bad::FutureTimestamp => json!("2199-01-01T00:00:00Z"),
        Bad::WrongVersion => json!(dice.pick(&[0, 2])),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::produce::dice::Purpose;

    #[test]
    fn every_way_happens_somewhere_and_changes_the_event() {
        let good = br#"{"order_id":"o-1","status":"created"}"#;
        for (index, bad) in ALL.into_iter().enumerate() {
            let topics: Vec<Topic> = Topic::ALL.into_iter().filter(|it| applies(bad, *it)).collect();
            assert!(!topics.is_empty(), "{bad:?}");
            for topic in topics {
                let mut dice = Dice::new(1, Purpose::Spoil, index as u64);
                let spoilt = spoil(bad, topic, good, &mut dice);
                assert_eq!(spoilt.is_none(), bad == Bad::NullValue);
                assert!(bad == Bad::MissingField || spoilt.as_deref() != Some(good), "{bad:?}");
            }
        }
    }
}
