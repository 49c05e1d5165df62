//! The four entities as rows of their tables: what each event must hold, and what is derived from it.

#![expect(clippy::struct_field_names, reason = "fields are named after their columns")]

use std::borrow::Cow;

use uuid::Uuid;

use crate::{
    field::Digits,
    moment::Moment,
    object::Object,
    reject::{Fault, Reason},
};

/// Largest amount of a `numeric(12,2)` column, in hundredths.
const MOST_CENTS: i64 = 999_999_999_999;
/// Most that a line may be worth before its discount, in hundredths: what is summed up later has 18 digits, and a shop's
/// numbers are not to end with one event.
const MOST_WORTH: i128 = 100_000_000_000_000;

/// Which of two events about the same entity is the newer: the later one, and of two at the same time the one with
/// the greater id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    pub(crate) occurred_at: Moment,
    pub(crate) event_id: Uuid,
}

/// A row that an event becomes.
pub(crate) trait Entity<'a>: Sized {
    /// The event's fields, those common to all events first.
    const FIELDS: &'static [&'static str];

    /// Reads the entity's own fields.
    fn read(object: &mut Object<'a>, now: Moment, version: Version) -> Result<Self, Fault>;

    /// The identity of the row.
    fn key(&self) -> (&str, i32);

    /// The row it cannot be visible without; empty when there is none. Rows of one identity and several parents are
    /// kept apart, as any of the parents may be the one that arrives.
    fn parent(&self) -> &str;

    /// The event behind the row.
    fn version(&self) -> Version;

    /// Reads an event from a record's value.
    fn parse(payload: &'a [u8], now: Moment) -> Result<Self, Fault> {
        let mut object = Object::parse(payload, Self::FIELDS)?;
        object.version("schema_version")?;
        let event_id = object.uuid("event_id")?;
        let occurred_at = object.moment("occurred_at", now)?;
        Self::read(&mut object, now, Version { occurred_at, event_id })
    }
}

macro_rules! fields {
    ($($name:literal),+) => { &["event_id", "occurred_at", "schema_version", $($name),+] };
}

/// A row of `customers`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Customer<'a> {
    pub(crate) customer_id: Cow<'a, str>,
    pub(crate) name: Cow<'a, str>,
    pub(crate) email: Cow<'a, str>,
    pub(crate) country: &'static str,
    pub(crate) created_at: Moment,
    pub(crate) version: Version,
}

impl<'a> Entity<'a> for Customer<'a> {
    const FIELDS: &'static [&'static str] = fields!["customer_id", "name", "email", "country", "created_at"];

    fn read(object: &mut Object<'a>, now: Moment, version: Version) -> Result<Self, Fault> {
        Ok(Self {
            customer_id: object.id("customer_id")?,
            name: object.text("name")?,
            email: object.email("email")?,
            country: object.country("country")?,
            created_at: object.moment("created_at", now)?,
            version,
        })
    }

    fn key(&self) -> (&str, i32) {
        (&self.customer_id, 0)
    }

    fn parent(&self) -> &'static str {
        ""
    }

    fn version(&self) -> Version {
        self.version
    }
}

/// A row of `orders`; its `value_tier` is the database's to derive.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Order<'a> {
    pub(crate) order_id: Cow<'a, str>,
    pub(crate) customer_id: Cow<'a, str>,
    pub(crate) status: &'static str,
    pub(crate) currency: &'static str,
    pub(crate) ordered_at: Moment,
    pub(crate) channel: &'static str,
    pub(crate) shipping_country: &'static str,
    pub(crate) version: Version,
}

impl<'a> Entity<'a> for Order<'a> {
    const FIELDS: &'static [&'static str] =
        fields!["order_id", "customer_id", "status", "currency", "ordered_at", "channel", "shipping_country"];

    fn read(object: &mut Object<'a>, now: Moment, version: Version) -> Result<Self, Fault> {
        const STATUSES: [&str; 6] = ["created", "paid", "shipped", "delivered", "cancelled", "returned"];
        Ok(Self {
            order_id: object.id("order_id")?,
            customer_id: object.id("customer_id")?,
            status: object.choice("status", &STATUSES)?,
            currency: object.currency("currency")?,
            ordered_at: object.moment("ordered_at", now)?,
            channel: object.choice("channel", &["web", "mobile", "store", "marketplace"])?,
            shipping_country: object.country("shipping_country")?,
            version,
        })
    }

    fn key(&self) -> (&str, i32) {
        (&self.order_id, 0)
    }

    fn parent(&self) -> &str {
        &self.customer_id
    }

    fn version(&self) -> Version {
        self.version
    }
}

/// A row of `order_details`: one line of an order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line<'a> {
    pub(crate) order_id: Cow<'a, str>,
    pub(crate) line_no: i32,
    pub(crate) product_id: Cow<'a, str>,
    pub(crate) product_name: Cow<'a, str>,
    pub(crate) category: Cow<'a, str>,
    pub(crate) quantity: i32,
    /// In hundredths.
    pub(crate) unit_price: i64,
    /// In ten-thousandths.
    pub(crate) discount: i64,
    pub(crate) version: Version,
}

impl<'a> Entity<'a> for Line<'a> {
    const FIELDS: &'static [&'static str] =
        fields!["order_id", "line_no", "product_id", "product_name", "category", "quantity", "unit_price", "discount"];

    fn read(object: &mut Object<'a>, _: Moment, version: Version) -> Result<Self, Fault> {
        object.or_default("discount", "0");
        let order_id = object.id("order_id")?;
        let line_no = object.positive("line_no")?;
        let product_id = object.id("product_id")?;
        let product_name = object.text("product_name")?;
        let category = object.lower("category")?;
        let quantity = object.positive("quantity")?;
        let unit_price = object.decimal("unit_price", Digits::AtMost(2), MOST_CENTS)?;
        if i128::from(quantity) * i128::from(unit_price) >= MOST_WORTH {
            return Err(Fault::new(Reason::OutOfRange, "quantity: too large at this unit_price"));
        }
        Ok(Self {
            order_id,
            line_no,
            product_id,
            product_name,
            category: if category.is_empty() { Cow::Borrowed("uncategorised") } else { category },
            quantity,
            unit_price,
            discount: object.decimal("discount", Digits::AtMost(4), 10_000)?,
            version,
        })
    }

    fn key(&self) -> (&str, i32) {
        (&self.order_id, self.line_no)
    }

    fn parent(&self) -> &'static str {
        // Part of the key already.
        ""
    }

    fn version(&self) -> Version {
        self.version
    }
}

/// A row of `payments`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Payment<'a> {
    pub(crate) payment_id: Cow<'a, str>,
    pub(crate) order_id: Cow<'a, str>,
    pub(crate) method: &'static str,
    pub(crate) status: &'static str,
    pub(crate) outcome: &'static str,
    /// In hundredths.
    pub(crate) amount: i64,
    pub(crate) currency: &'static str,
    pub(crate) failure_reason: Option<Cow<'a, str>>,
    pub(crate) processed_at: Moment,
    pub(crate) version: Version,
}

impl<'a> Entity<'a> for Payment<'a> {
    const FIELDS: &'static [&'static str] =
        fields!["payment_id", "order_id", "method", "status", "amount", "currency", "failure_reason", "processed_at"];

    fn read(object: &mut Object<'a>, now: Moment, version: Version) -> Result<Self, Fault> {
        const METHODS: [&str; 5] = ["card", "paypal", "bank_transfer", "wallet", "cash_on_delivery"];
        const STATUSES: [&str; 5] = ["pending", "authorized", "succeeded", "failed", "refunded"];
        let payment_id = object.id("payment_id")?;
        let order_id = object.id("order_id")?;
        let method = object.choice("method", &METHODS)?;
        let status = object.choice("status", &STATUSES)?;
        Ok(Self {
            payment_id,
            order_id,
            method,
            status,
            outcome: outcome(status),
            amount: object.decimal("amount", Digits::RoundedTo(2), MOST_CENTS)?,
            currency: object.currency("currency")?,
            // Only a failed payment has the field; elsewhere it is one of the unknown fields.
            failure_reason: if status == "failed" { Some(object.text("failure_reason")?) } else { None },
            processed_at: object.moment("processed_at", now)?,
            version,
        })
    }

    fn key(&self) -> (&str, i32) {
        (&self.payment_id, 0)
    }

    fn parent(&self) -> &str {
        &self.order_id
    }

    fn version(&self) -> Version {
        self.version
    }
}

/// What a payment's status means for the money.
fn outcome(status: &str) -> &'static str {
    match status {
        "succeeded" => "paid",
        "failed" => "lost",
        "refunded" => "returned",
        _ => "open",
    }
}
