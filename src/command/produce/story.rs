//! What happens in the shop: customers who come back or do not, and orders from basket to delivery, return or
//! cancellation, as the events that tell of them.

use std::sync::Arc;

use serde::Serialize;

use super::{
    Topic,
    catalogue::{Catalogue, Product},
    dice::{Dice, Purpose},
    message::{self, Head, careless, fraction, money, time},
    season::{DAY, HOUR, MINUTE},
    words::{CHANNELS, COUNTRIES, Country, FAILURES, FIRST_NAMES, LAST_NAMES, MAIL_DOMAINS, METHODS},
};

/// The earliest that a customer registers before the first order.
pub(super) const LEAD: i64 = 30 * MINUTE;

/// An event that is not on its way yet.
#[derive(Debug)]
pub(super) struct Draft {
    /// When it would be sent, in milliseconds since 1970.
    pub(super) at: i64,
    pub(super) topic: Topic,
    pub(super) key: String,
    pub(super) value: Vec<u8>,
}

/// The shop, and what is told of it so far.
#[derive(Debug)]
pub(super) struct Story {
    seed: u64,
    /// What has not happened by then is not told, in milliseconds since 1970.
    until: i64,
    /// What keeps the identifiers of different seeds apart.
    mark: String,
    catalogue: Arc<Catalogue>,
    /// When each customer registered.
    registered: Vec<i64>,
    drafts: Vec<Draft>,
}

struct Person {
    id: String,
    name: String,
    email: String,
    country: &'static Country,
    registered: i64,
}

struct Bought<'a> {
    number: u64,
    product: &'a Product,
    quantity: u64,
    /// In cents of the order's currency.
    price: u64,
    /// In ten-thousandths.
    discount: u64,
}

/// What all events of one order share.
struct Purchase<'a> {
    id: String,
    customer: String,
    currency: &'static str,
    country: &'static str,
    offset: i32,
    channel: &'static str,
    method: &'static str,
    at: i64,
    /// In cents.
    amount: u64,
    lines: Vec<Bought<'a>>,
}

impl Story {
    pub(super) fn new(seed: u64, until: i64) -> Self {
        let mark = format!("{:05x}", Dice::new(seed, Purpose::Order, u64::MAX).below(1 << 20));
        Self { seed, until, mark, catalogue: Arc::new(Catalogue::new()), registered: Vec::new(), drafts: Vec::new() }
    }

    /// Tells of one order, and of its customer when that is new or has changed. `progress` is the part of all orders
    /// that came before, in percent: at first most customers are new.
    pub(super) fn order(&mut self, number: u64, at: i64, progress: u64) -> Vec<Draft> {
        let mut dice = Dice::new(self.seed, Purpose::Order, number);
        let customer = self.customer(&mut dice, at, progress);
        let catalogue = Arc::clone(&self.catalogue);
        let purchase = self.purchase(&catalogue, &mut dice, number, at, &customer);
        self.basket(&purchase, &mut dice);
        self.life(&purchase, &mut dice);
        if dice.chance(1_000) {
            self.orphan(number, at, &mut dice);
        }
        std::mem::take(&mut self.drafts)
    }

    fn customer(&mut self, dice: &mut Dice, at: i64, progress: u64) -> Person {
        let known = self.registered.len() as u64;
        if known == 0 || dice.percent(55 - progress * 3 / 10) {
            self.registered.push(at - dice.between(MINUTE, LEAD));
            let person = self.person(known, dice.percent(2));
            self.tell_customer(&person, person.registered, dice);
            return person;
        }
        // Those who came lately come back more often, and some are more loyal than others.
        let mut index = 0;
        for _ in 0..4 {
            index = known - 1 - dice.below(known) * dice.below(1_000) / 1_000;
            if dice.percent(Dice::new(self.seed, Purpose::Loyalty, index).below(100)) {
                break;
            }
        }
        let mut person = self.person(index, false);
        if dice.percent(3) {
            let mut moved = Dice::new(self.seed, Purpose::Move, dice.below(u64::MAX));
            person.email = format!("{}.{}", moved.below(1_000), person.email);
            person.country = moved.weighted(&COUNTRIES);
            self.tell_customer(&person, at - dice.between(1_000, MINUTE), dice);
        }
        person
    }

    fn person(&self, index: u64, loud: bool) -> Person {
        let mut dice = Dice::new(self.seed, Purpose::Customer, index);
        let (first, last) = (*dice.pick(&FIRST_NAMES), *dice.pick(&LAST_NAMES));
        let ascii = |it: &str| it.chars().filter(char::is_ascii_alphabetic).collect::<String>();
        let email = format!("{}.{}{index}@{}", ascii(first), ascii(last), dice.pick(&MAIL_DOMAINS));
        Person {
            id: format!("c-{}-{:06}", self.mark, index + 1),
            name: format!("{first} {last}"),
            email: if loud { email.to_uppercase() } else { email.to_lowercase() },
            country: dice.weighted(&COUNTRIES),
            registered: self.registered.get(usize::try_from(index).unwrap_or(0)).copied().unwrap_or(0),
        }
    }

    fn purchase<'a>(
        &self,
        catalogue: &'a Catalogue,
        dice: &mut Dice,
        number: u64,
        at: i64,
        customer: &Person,
    ) -> Purchase<'a> {
        let country = customer.country;
        let sizes = [(40, 1), (25, 2), (14, 3), (9, 4), (5, 5), (3, 6), (2, 7), (2, 8)];
        let mut lines = Vec::new();
        for number in 1..=*dice.weighted(&sizes) {
            let product = catalogue.pick(dice);
            lines.push(Bought {
                number,
                product,
                quantity: *dice.weighted(&[(76, 1), (15, 2), (5, 3), (2, 4), (1, 6), (1, 12)]),
                price: product.price * country.per_euro / 100,
                discount: *dice.weighted(&[(80, 0), (8, 1_000), (5, 500), (3, 2_000), (2, 1_575), (2, 5_000)]),
            });
        }
        // Half up to cents, line by line.
        let net = |it: &Bought| (it.quantity * it.price * (10_000 - it.discount) + 5_000) / 10_000;
        Purchase {
            id: format!("o-{}-{number:07}", self.mark, number = number + 1),
            customer: customer.id.clone(),
            currency: country.currency,
            country: if dice.percent(4) { dice.weighted(&COUNTRIES).code } else { country.code },
            offset: if dice.percent(10) { country.offset } else { 0 },
            channel: dice.weighted::<&str>(&CHANNELS),
            method: dice.weighted::<&str>(&METHODS),
            at,
            amount: lines.iter().map(net).sum(),
            lines,
        }
    }

    fn basket(&mut self, order: &Purchase<'_>, dice: &mut Dice) {
        for line in &order.lines {
            let at = order.at + dice.between(1, 900);
            self.tell_line(order, line, line.quantity, at, dice);
            if dice.percent(2) {
                let corrected = at + dice.between(MINUTE, HOUR);
                self.tell_line(order, line, line.quantity + 1, corrected, dice);
            }
            if dice.percent(1) {
                // Two at the same time: the greater identifier is to win.
                self.tell_line(order, line, line.quantity + 2, at, dice);
            }
        }
    }

    fn life(&mut self, order: &Purchase<'_>, dice: &mut Dice) {
        self.tell_order(order, "created", order.at, 0, dice);
        let fate = *dice.weighted(&[(86, "delivered"), (8, "returned"), (6, "cancelled")]);
        if fate == "cancelled" {
            let at = order.at + dice.between(2 * MINUTE, 6 * HOUR);
            return self.tell_order(order, "cancelled", at, 0, dice);
        }
        let cash = order.method == "cash_on_delivery";
        let Some((payment, paid)) = self.pay(order, cash, dice) else {
            let at = order.at + dice.between(HOUR, DAY);
            return self.tell_order(order, "cancelled", at, 0, dice);
        };
        if !cash {
            self.tell_order(order, "paid", paid + dice.between(200, 4_000), 0, dice);
        }
        let shipped = paid + dice.between(4 * HOUR, 2 * DAY);
        self.tell_order(order, "shipped", shipped, 0, dice);
        let delivered = shipped + dice.between(DAY, 4 * DAY);
        self.tell_order(order, "delivered", delivered, 0, dice);
        if cash {
            self.tell_payment(order, &payment, "succeeded", delivered + dice.between(0, HOUR), dice);
        }
        if fate == "returned" {
            let returned = delivered + dice.between(2 * DAY, 14 * DAY);
            self.tell_order(order, "returned", returned, 0, dice);
            self.tell_payment(order, &payment, "refunded", returned + dice.between(HOUR, 3 * DAY), dice);
        }
        if dice.percent(2) {
            // Stale: it happened before what was told already.
            let at = order.at + dice.between(1, 1_000);
            self.tell_order(order, "created", at, delivered + DAY - at, dice);
        }
    }

    /// Pays, at the third attempt at the latest; returns the payment that succeeded and when, if any did.
    fn pay(&mut self, order: &Purchase<'_>, cash: bool, dice: &mut Dice) -> Option<(String, i64)> {
        let mut at = order.at;
        for attempt in 1..=3 {
            let id = format!("p{}-{attempt}", &order.id[1..]);
            at += dice.between(2_000, 5 * MINUTE);
            self.tell_payment(order, &id, "pending", at, dice);
            if cash {
                return Some((id, at));
            }
            if order.method == "card" {
                at += dice.between(300, 5_000);
                self.tell_payment(order, &id, "authorized", at, dice);
            }
            at += if order.method == "bank_transfer" { dice.between(DAY, 3 * DAY) } else { dice.between(500, MINUTE) };
            if !dice.percent(9) {
                self.tell_payment(order, &id, "succeeded", at, dice);
                return Some((id, at));
            }
            self.tell_payment(order, &id, "failed", at, dice);
            if dice.percent(30) {
                break;
            }
        }
        None
    }

    /// Tells of a payment whose order never comes: it has to wait for ever.
    fn orphan(&mut self, number: u64, at: i64, dice: &mut Dice) {
        let order = Purchase {
            id: format!("o-{}-lost-{number}", self.mark),
            customer: String::new(),
            currency: "EUR",
            country: "DE",
            offset: 0,
            channel: "web",
            method: "card",
            at,
            amount: 999,
            lines: Vec::new(),
        };
        self.tell_payment(&order, &format!("p-{}-lost-{number}", self.mark), "succeeded", at, dice);
    }

    fn tell_customer(&mut self, it: &Person, at: i64, dice: &mut Dice) {
        let message = message::Customer {
            head: head(at, 0, dice),
            customer_id: &it.id,
            name: &it.name,
            email: &careless(&it.email, dice),
            country: &careless(it.country.code, dice),
            created_at: time(it.registered, 0),
            newsletter: dice.percent(20).then_some(true),
        };
        self.tell(Topic::Customers, &it.id, at, 0, &message);
    }

    fn tell_order(&mut self, it: &Purchase<'_>, status: &str, at: i64, delay: i64, dice: &mut Dice) {
        let message = message::Order {
            head: head(at, it.offset, dice),
            order_id: &it.id,
            customer_id: &it.customer,
            status,
            currency: &careless(it.currency, dice),
            ordered_at: time(it.at, it.offset),
            channel: it.channel,
            shipping_country: it.country,
        };
        self.tell(Topic::Orders, &it.id, at, delay, &message);
    }

    fn tell_line(&mut self, order: &Purchase<'_>, it: &Bought<'_>, quantity: u64, at: i64, dice: &mut Dice) {
        let category = if dice.percent(1) { "  ".to_owned() } else { careless(it.product.category, dice) };
        let padded = format!(" {}", order.id);
        let message = message::Line {
            head: head(at, order.offset, dice),
            order_id: if dice.percent(1) { &padded } else { &order.id },
            line_no: it.number,
            product_id: &it.product.id,
            product_name: &it.product.name,
            category: &category,
            quantity,
            unit_price: money(it.price),
            // No discount may also be left out.
            discount: (it.discount > 0 || dice.percent(50)).then(|| fraction(it.discount)),
        };
        self.tell(Topic::OrderDetails, &order.id, at, 0, &message);
    }

    fn tell_payment(&mut self, order: &Purchase<'_>, id: &str, status: &str, at: i64, dice: &mut Dice) {
        let message = message::Payment {
            head: head(at, order.offset, dice),
            payment_id: id,
            order_id: &order.id,
            method: order.method,
            status,
            amount: money(order.amount),
            currency: order.currency,
            failure_reason: (status == "failed").then(|| *dice.weighted(&FAILURES)),
            processed_at: time(at, order.offset),
        };
        self.tell(Topic::Payments, &order.id, at, 0, &message);
    }

    fn tell(&mut self, topic: Topic, key: &str, at: i64, delay: i64, message: &impl Serialize) {
        if at > self.until {
            return;
        }
        // Texts and numbers always serialize.
        let value = serde_json::to_vec(message).unwrap_or_default();
        self.drafts.push(Draft { at: at + delay, topic, key: key.to_owned(), value });
    }
}

fn head(at: i64, offset: i32, dice: &mut Dice) -> Head {
    Head { event_id: dice.uuid(), occurred_at: time(at, offset), schema_version: 1 }
}
