//! The four events as producers write them: their fields, in JSON, with all the freedom that the contract leaves.

#![expect(clippy::struct_field_names, reason = "the contract names them")]

use jiff::{Timestamp, tz::Offset};
use serde::Serialize;

use super::dice::Dice;

/// What all events have.
#[derive(Debug, Serialize)]
pub(super) struct Head {
    pub(super) event_id: uuid::Uuid,
    pub(super) occurred_at: String,
    pub(super) schema_version: u8,
}

/// A customer as of some time.
#[derive(Debug, Serialize)]
pub(super) struct Customer<'a> {
    #[serde(flatten)]
    pub(super) head: Head,
    pub(super) customer_id: &'a str,
    pub(super) name: &'a str,
    pub(super) email: &'a str,
    pub(super) country: &'a str,
    pub(super) created_at: String,
    /// Not in the contract: what is unknown is to be ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) newsletter: Option<bool>,
}

/// An order as of some time.
#[derive(Debug, Serialize)]
pub(super) struct Order<'a> {
    #[serde(flatten)]
    pub(super) head: Head,
    pub(super) order_id: &'a str,
    pub(super) customer_id: &'a str,
    pub(super) status: &'a str,
    pub(super) currency: &'a str,
    pub(super) ordered_at: String,
    pub(super) channel: &'a str,
    pub(super) shipping_country: &'a str,
}

/// A line of an order as of some time.
#[derive(Debug, Serialize)]
pub(super) struct Line<'a> {
    #[serde(flatten)]
    pub(super) head: Head,
    pub(super) order_id: &'a str,
    pub(super) line_no: u64,
    pub(super) product_id: &'a str,
    pub(super) product_name: &'a str,
    pub(super) category: &'a str,
    pub(super) quantity: u64,
    pub(super) unit_price: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) discount: Option<String>,
}

/// A payment as of some time.
#[derive(Debug, Serialize)]
pub(super) struct Payment<'a> {
    #[serde(flatten)]
    pub(super) head: Head,
    pub(super) payment_id: &'a str,
    pub(super) order_id: &'a str,
    pub(super) method: &'a str,
    pub(super) status: &'a str,
    pub(super) amount: String,
    pub(super) currency: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failure_reason: Option<&'a str>,
    pub(super) processed_at: String,
}

/// Writes a time, in milliseconds since 1970, in UTC or as a clock so many minutes ahead of it shows it.
pub(super) fn time(at: i64, offset: i32) -> String {
    let at = Timestamp::from_millisecond(at).unwrap_or_default();
    match Offset::from_seconds(offset * 60) {
        Ok(it) if offset != 0 => at.display_with_offset(it).to_string(),
        _ => at.to_string(),
    }
}

/// Writes cents as a decimal: digits and a point, never a float.
pub(super) fn money(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// Writes ten-thousandths as a decimal, without zeros at the end.
pub(super) fn fraction(of_ten_thousand: u64) -> String {
    let text = format!("{}.{:04}", of_ten_thousand / 10_000, of_ten_thousand % 10_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Writes a text as careless producers do, now and then: with blanks around it and letters in any case.
pub(super) fn careless(text: &str, dice: &mut Dice) -> String {
    match dice.below(100) {
        0 => format!(" {text} "),
        1 => text.to_uppercase(),
        2 => text.to_lowercase(),
        3 => format!("{text}\t"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times() {
        assert_eq!([money(0), money(5), money(123_450)], ["0.00", "0.05", "1234.50"]);
        assert_eq!([fraction(0), fraction(1000), fraction(1234), fraction(10_000)], ["0", "0.1", "0.1234", "1"]);
        assert_eq!(time(1_790_000_000_250, 0), "2026-09-21T14:13:20.25Z");
        assert_eq!(time(1_790_000_000_250, -210), "2026-09-21T10:43:20.25-03:30");
    }
}
