//! What the core tables must hold after some records, worked out the simple and slow way from the data contract.
//!
//! Independent on purpose: it shares nothing with the Lambda or the generator. It takes any two or three letters for a
//! country or a currency, so tests must not send letters that no list has. Where the contract is silent, it does what
//! the database would: amounts are rounded to the column's digits, times cut to microseconds, and an event whose parent
//! never came hides no older one whose parent did.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, ToSpan as _};
use serde_json::{Map, Value};

/// A record of Kafka.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
}

/// The rows, each as a line of `COPY (SELECT … ORDER BY <primary key>) TO STDOUT` in a session with
/// `TimeZone=UTC`: all columns of the contract in its order, without `ingested_at`. Rows of `rejected_events` have
/// `topic, partition, "offset", key, payload` only.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tables {
    pub(crate) customers: Vec<String>,
    pub(crate) orders: Vec<String>,
    pub(crate) order_details: Vec<String>,
    pub(crate) payments: Vec<String>,
    pub(crate) rejected_events: Vec<String>,
}

/// An event that was accepted.
#[derive(Clone, Debug)]
struct Row {
    /// The primary key; line numbers compare as numbers.
    key: (String, u64),
    /// The key of the row that must be there first; none for customers.
    parent: Option<String>,
    /// Which of two is the newer.
    version: (Timestamp, String),
    /// The columns, with `value_tier` left out.
    columns: Vec<Option<String>>,
    /// What a line is worth, in cents.
    net: i128,
}

/// Computes the tables. `now` is when the records are ingested.
pub(crate) fn tables(records: &[Record], now: Timestamp) -> Tables {
    let mut rejected: BTreeMap<(&str, i32, i64), &Record> = BTreeMap::new();
    let mut accepted: BTreeMap<&str, Vec<Row>> = BTreeMap::new();
    for record in records {
        match accept(record, now) {
            Some(row) => accepted.entry(&record.topic).or_default().push(row),
            None => {
                rejected.insert((&record.topic, record.partition, record.offset), record);
            }
        }
    }
    let mut rows = |topic: &str| accepted.remove(topic).unwrap_or_default();
    let customers = visible(rows("customers"), None);
    let mut orders = visible(rows("orders"), Some(&customers));
    let order_details = visible(rows("order_details"), Some(&orders));
    let payments = visible(rows("payments"), Some(&orders));
    let mut worth: BTreeMap<&String, i128> = BTreeMap::new();
    for row in order_details.values() {
        *worth.entry(&row.key.0).or_default() += row.net;
    }
    for (key, order) in &mut orders {
        let tier = worth.get(&key.0).map(|net| match net {
            ..5_000 => "small",
            5_000..20_000 => "medium",
            _ => "large",
        });
        order.columns.insert(7, tier.map(str::to_owned));
    }
    let copy = |rows: BTreeMap<(String, u64), Row>| rows.into_values().map(|it| line(it.columns)).collect();
    Tables {
        customers: copy(customers),
        orders: copy(orders),
        order_details: copy(order_details),
        payments: copy(payments),
        rejected_events: rejected.into_values().map(rejected_row).collect(),
    }
}

/// Newest wins, among those whose parent is there.
fn visible(rows: Vec<Row>, parents: Option<&BTreeMap<(String, u64), Row>>) -> BTreeMap<(String, u64), Row> {
    let known: Option<BTreeSet<&String>> = parents.map(|it| it.keys().map(|key| &key.0).collect());
    let mut newest: BTreeMap<(String, u64), Row> = BTreeMap::new();
    for row in rows {
        if let (Some(known), Some(parent)) = (&known, &row.parent)
            && !known.contains(parent)
        {
            continue;
        }
        if newest.get(&row.key).is_none_or(|it| row.version > it.version) {
            newest.insert(row.key.clone(), row);
        }
    }
    newest
}

/// Cleans and validates; `None` is a reject.
fn accept(record: &Record, now: Timestamp) -> Option<Row> {
    let text = std::str::from_utf8(record.value.as_deref()?).ok()?;
    let event: Map<String, Value> = serde_json::from_str(text).ok()?;
    let event = Event { fields: event, now };
    if event.positive("schema_version")? != 1 {
        return None;
    }
    let event_id = event.matching("event_id", is_uuid)?.to_lowercase();
    let occurred_at = event.time("occurred_at")?;
    let version = (occurred_at, event_id.clone());
    let stamp = [Some(database_time(occurred_at)), Some(event_id)];
    let row = |key: (String, u64), parent: Option<String>, own: Vec<Option<String>>| Row {
        key,
        parent,
        version: version.clone(),
        columns: own.into_iter().chain(stamp.clone()).collect(),
        net: 0,
    };
    match record.topic.as_str() {
        "customers" => {
            let id = event.id("customer_id")?;
            let own = vec![
                Some(id.clone()),
                Some(event.filled("name")?),
                Some(event.matching("email", is_email)?.to_lowercase()),
                Some(event.matching("country", |it| is_letters(it, 2))?.to_uppercase()),
                Some(database_time(event.time("created_at")?)),
            ];
            Some(row((id, 0), None, own))
        }
        "orders" => {
            let (id, customer) = (event.id("order_id")?, event.id("customer_id")?);
            let statuses = ["created", "paid", "shipped", "delivered", "cancelled", "returned"];
            let own = vec![
                Some(id.clone()),
                Some(customer.clone()),
                Some(event.matching("status", |it| statuses.contains(&it))?),
                Some(event.matching("currency", |it| is_letters(it, 3))?.to_uppercase()),
                Some(database_time(event.time("ordered_at")?)),
                Some(event.matching("channel", |it| ["web", "mobile", "store", "marketplace"].contains(&it))?),
                Some(event.matching("shipping_country", |it| is_letters(it, 2))?.to_uppercase()),
            ];
            Some(row((id, 0), Some(customer), own))
        }
        "order_details" => {
            let (id, line_no) = (event.id("order_id")?, event.positive("line_no")?);
            let category = event.text("category")?.to_lowercase();
            let category = if category.is_empty() { "uncategorised".to_owned() } else { category };
            let quantity = event.positive("quantity")?;
            let unit_price = event.decimal("unit_price", 2)?;
            let has_discount = event.fields.contains_key("discount");
            let discount = if has_discount { event.decimal("discount", 4)? } else { 0 };
            let is_worth_too_much = i128::from(quantity) * unit_price >= 100_000_000_000_000;
            if unit_price > MOST_CENTS || is_worth_too_much || discount > 10_000 {
                return None;
            }
            let own = vec![
                Some(id.clone()),
                Some(line_no.to_string()),
                Some(event.id("product_id")?),
                Some(event.filled("product_name")?),
                Some(category),
                Some(quantity.to_string()),
                Some(format!("{}.{:02}", unit_price / 100, unit_price % 100)),
                Some(format!("{}.{:04}", discount / 10_000, discount % 10_000)),
            ];
            // In millionths of the currency, then half up to cents.
            let net = (i128::from(quantity) * unit_price * (10_000 - discount) + 5_000) / 10_000;
            Some(Row { net, ..row((id.clone(), line_no), Some(id), own) })
        }
        "payments" => {
            let (id, order) = (event.id("payment_id")?, event.id("order_id")?);
            let methods = ["card", "paypal", "bank_transfer", "wallet", "cash_on_delivery"];
            let method = event.matching("method", |it| methods.contains(&it))?;
            let status = event.text("status")?;
            let outcome = match status.as_str() {
                "pending" | "authorized" => "open",
                "succeeded" => "paid",
                "failed" => "lost",
                "refunded" => "returned",
                _ => return None,
            };
            let amount = event.rounded("amount")?;
            if amount > MOST_CENTS {
                return None;
            }
            let failure_reason = if status == "failed" { Some(event.filled("failure_reason")?) } else { None };
            let own = vec![
                Some(id.clone()),
                Some(order.clone()),
                Some(method),
                Some(status),
                Some(outcome.to_owned()),
                Some(format!("{}.{:02}", amount / 100, amount % 100)),
                Some(event.matching("currency", |it| is_letters(it, 3))?.to_uppercase()),
                failure_reason,
                Some(database_time(event.time("processed_at")?)),
            ];
            Some(row((id, 0), Some(order), own))
        }
        _ => None,
    }
}

/// What `numeric(12,2)` holds at most, in hundredths.
const MOST_CENTS: i128 = 999_999_999_999;

struct Event {
    fields: Map<String, Value>,
    now: Timestamp,
}

impl Event {
    fn text(&self, name: &str) -> Option<String> {
        Some(self.fields.get(name)?.as_str()?.trim().to_owned())
    }

    fn filled(&self, name: &str) -> Option<String> {
        self.matching(name, |it| !it.is_empty())
    }

    fn id(&self, name: &str) -> Option<String> {
        self.matching(name, |it| (1..=64).contains(&it.chars().count()))
    }

    fn matching(&self, name: &str, is_right: impl Fn(&str) -> bool) -> Option<String> {
        self.text(name).filter(|it| is_right(it))
    }

    fn positive(&self, name: &str) -> Option<u64> {
        let number = self.fields.get(name)?;
        // To JSON, 2.0 is the same number as 2.
        let whole = number.to_string().trim_end_matches(".0").parse::<u64>().ok()?;
        (number.is_number() && (1..=2_147_483_647).contains(&whole)).then_some(whole)
    }

    fn time(&self, name: &str) -> Option<Timestamp> {
        let time = self.matching(name, is_rfc_3339)?.parse::<Timestamp>().ok()?;
        let time = Timestamp::from_microsecond(time.as_microsecond()).ok()?;
        (time <= self.now + 24.hours()).then_some(time)
    }

    /// A decimal of at most so many digits after the point, as a whole number of the last one.
    fn decimal(&self, name: &str, digits: usize) -> Option<i128> {
        let text = self.text(name)?;
        let fraction = text.split_once('.').map_or(0, |it| it.1.len());
        if fraction > digits { None } else { scaled(&text, digits) }
    }

    /// A decimal of any number of digits, rounded half up to cents.
    fn rounded(&self, name: &str) -> Option<i128> {
        let text = self.text(name)?;
        let fraction = text.split_once('.').map_or(0, |it| it.1.len());
        let cut = text.len() - fraction.saturating_sub(3);
        scaled(&text, fraction.max(3))?;
        Some((scaled(&text[..cut], 3)? + 5) / 10)
    }
}

/// Reads digits with at most one point as a whole number of the last of so many digits after the point.
fn scaled(text: &str, digits: usize) -> Option<i128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let padded = format!("{fraction:0<digits$}");
    // Far above every column's range where it does not fit.
    Some(format!("{whole}{}", &padded[..digits.max(fraction.len())]).parse().unwrap_or(i128::MAX / 1_000_000_000_000))
}

/// `2026-09-21T14:13:20Z`, with any digits of a second, and `+05:30` for `Z`.
fn is_rfc_3339(text: &str) -> bool {
    let shape: String =
        text.chars().map(|it| if it.is_ascii_digit() { '0' } else { it.to_ascii_uppercase() }).collect();
    let Some(rest) = shape.strip_prefix("0000-00-00T00:00:00") else { return false };
    let rest = match rest.strip_prefix('.') {
        Some(digits) if digits.starts_with('0') => digits.trim_start_matches('0'),
        Some(_) => return false,
        None => rest,
    };
    ["Z", "+00:00", "-00:00"].contains(&rest)
}

fn is_uuid(text: &str) -> bool {
    let dashes = [8, 13, 18, 23];
    text.len() == 36
        && text
            .bytes()
            .enumerate()
            .all(|(at, it)| if dashes.contains(&at) { it == b'-' } else { it.is_ascii_hexdigit() })
}

fn is_email(text: &str) -> bool {
    let Some((name, domain)) = text.split_once('@') else { return false };
    let parts: Vec<&str> = domain.split('.').collect();
    let is_clean = !text.chars().any(|it| it.is_whitespace() || it.is_control()) && !domain.contains('@');
    is_clean && !name.is_empty() && parts.len() > 1 && parts.iter().all(|it| !it.is_empty())
}

fn is_letters(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|it| it.is_ascii_alphabetic())
}

/// How the database writes a `timestamptz` where the time zone is UTC.
fn database_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S%.f+00").to_string()
}

fn rejected_row(it: &Record) -> String {
    let bytes = |it: &Option<Vec<u8>>| {
        let hex = |it: &Vec<u8>| it.iter().fold("\\x".to_owned(), |text, it| format!("{text}{it:02x}"));
        it.as_ref().map(hex)
    };
    let (partition, offset) = (it.partition.to_string(), it.offset.to_string());
    line(vec![Some(it.topic.clone()), Some(partition), Some(offset), bytes(&it.key), bytes(&it.value)])
}

/// Writes a row as `COPY` does: tabs between columns, `\N` for null, control characters and backslashes escaped.
fn line(columns: Vec<Option<String>>) -> String {
    let escape = |it: String| {
        let it = it.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r");
        it.replace('\u{8}', "\\b").replace('\u{c}', "\\f").replace('\u{b}', "\\v")
    };
    columns.into_iter().map(|it| it.map_or("\\N".to_owned(), escape)).collect::<Vec<_>>().join("\t")
}
