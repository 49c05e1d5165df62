//! Fields of an event, cleaned and checked. Each reading either gives the value that is stored or says what is wrong.

use std::borrow::Cow;

use uuid::Uuid;

use crate::{
    codes,
    moment::Moment,
    object::{Field, Object},
    reject::{Fault, Reason},
};

/// Characters that an id may have.
const LONGEST_ID: usize = 64;
/// How far ahead of the clock a timestamp may be.
const AHEAD_MICROS: i64 = 24 * 3600 * 1_000_000;

/// A decimal string, as a whole number of its last digit: `12.5` with two digits is 1250.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Digits {
    /// More fraction digits than this are a fault.
    AtMost(u32),
    /// More fraction digits than this are rounded half up, as the column would.
    RoundedTo(u32),
}

impl<'a> Object<'a> {
    /// A string, trimmed and not empty.
    pub(crate) fn text(&mut self, name: &str) -> Result<Cow<'a, str>, Fault> {
        let text = self.trimmed(name)?;
        if text.is_empty() { Err(invalid(name, "empty")) } else { Ok(text) }
    }

    /// A string of 1 to 64 characters after trimming.
    pub(crate) fn id(&mut self, name: &str) -> Result<Cow<'a, str>, Fault> {
        let id = self.text(name)?;
        if id.len() > LONGEST_ID && id.chars().count() > LONGEST_ID {
            return Err(invalid(name, format_args!("longer than {LONGEST_ID} characters")));
        }
        Ok(id)
    }

    /// A string trimmed and lower-cased; may be empty.
    pub(crate) fn lower(&mut self, name: &str) -> Result<Cow<'a, str>, Fault> {
        let text = self.trimmed(name)?;
        let is_lower = text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
        Ok(if is_lower { text } else { Cow::Owned(text.to_lowercase()) })
    }

    /// An e-mail address by its shape, lower-cased.
    pub(crate) fn email(&mut self, name: &str) -> Result<Cow<'a, str>, Fault> {
        let email = self.lower(name)?;
        let is_plain = !email.chars().any(|c| c.is_whitespace() || c.is_control());
        let has_shape = email.split_once('@').is_some_and(|(mailbox, domain)| {
            !mailbox.is_empty()
                && domain.contains('.')
                && !domain.contains('@')
                && !domain.split('.').any(str::is_empty)
        });
        if is_plain && has_shape { Ok(email) } else { Err(invalid(name, "not an e-mail address")) }
    }

    /// One of a few words.
    pub(crate) fn choice(&mut self, name: &str, words: &[&'static str]) -> Result<&'static str, Fault> {
        let text = self.trimmed(name)?;
        let known = words.iter().find(|word| **word == text);
        known.copied().ok_or_else(|| invalid(name, format_args!("not one of {}", words.join(", "))))
    }

    /// A country of ISO 3166-1, upper-cased.
    pub(crate) fn country(&mut self, name: &str) -> Result<&'static str, Fault> {
        let text = self.trimmed(name)?;
        codes::find(&codes::COUNTRIES, &text).ok_or_else(|| invalid(name, "not an ISO 3166-1 alpha-2 code"))
    }

    /// A currency of ISO 4217, upper-cased.
    pub(crate) fn currency(&mut self, name: &str) -> Result<&'static str, Fault> {
        let text = self.trimmed(name)?;
        codes::find(&codes::CURRENCIES, &text).ok_or_else(|| invalid(name, "not an ISO 4217 code"))
    }

    /// A point in time, at most 24 hours after `now`.
    pub(crate) fn moment(&mut self, name: &str, now: Moment) -> Result<Moment, Fault> {
        let text = self.trimmed(name)?;
        let moment = Moment::parse(&text).ok_or_else(|| invalid(name, "not an RFC 3339 timestamp"))?;
        if moment.0 > now.0.saturating_add(AHEAD_MICROS) {
            return Err(Fault::new(Reason::InTheFuture, format_args!("{name}: more than 24 hours ahead")));
        }
        Ok(moment)
    }

    /// A whole number from 1 to what an `integer` column holds.
    pub(crate) fn positive(&mut self, name: &str) -> Result<i32, Fault> {
        match self.take(name) {
            Field::Integer(number) => i32::try_from(number)
                .ok()
                .filter(|number| *number >= 1)
                .ok_or_else(|| Fault::new(Reason::OutOfRange, format_args!("{name}: not from 1 to {}", i32::MAX))),
            other => Err(wrong(name, &other, "a whole number")),
        }
    }

    /// A UUID in its usual form of 36 characters.
    pub(crate) fn uuid(&mut self, name: &str) -> Result<Uuid, Fault> {
        let text = self.trimmed(name)?;
        let uuid = if text.len() == 36 { Uuid::try_parse(&text).ok() } else { None };
        uuid.ok_or_else(|| invalid(name, "not a UUID"))
    }

    /// A decimal string without sign or exponent, at most `max` (in units of the last digit).
    pub(crate) fn decimal(&mut self, name: &str, digits: Digits, max: i64) -> Result<i64, Fault> {
        let text = self.trimmed(name)?;
        let units = decimal(&text, digits).map_err(|problem| invalid(name, problem))?;
        if units > max {
            return Err(Fault::new(Reason::OutOfRange, format_args!("{name}: too large")));
        }
        Ok(units)
    }

    /// Puts text where the field is absent.
    pub(crate) fn or_default(&mut self, name: &str, default: &'static str) {
        self.replace_absent(name, Field::Text(Cow::Borrowed(default)));
    }

    /// Checks that the event is of the one version there is.
    pub(crate) fn version(&mut self, name: &str) -> Result<(), Fault> {
        match self.take(name) {
            Field::Integer(1) => Ok(()),
            Field::Integer(_) | Field::Number => {
                Err(Fault::new(Reason::UnsupportedVersion, format_args!("{name}: not 1")))
            }
            other => Err(wrong(name, &other, "a number")),
        }
    }

    fn trimmed(&mut self, name: &str) -> Result<Cow<'a, str>, Fault> {
        let text = match self.take(name) {
            Field::Text(Cow::Borrowed(text)) => Cow::Borrowed(text.trim()),
            Field::Text(Cow::Owned(text)) if text.trim().len() == text.len() => Cow::Owned(text),
            Field::Text(Cow::Owned(text)) => Cow::Owned(text.trim().to_owned()),
            other => return Err(wrong(name, &other, "a string")),
        };
        // PostgreSQL's text cannot hold it.
        if text.contains('\0') { Err(invalid(name, "holds the character U+0000")) } else { Ok(text) }
    }
}

fn invalid(name: &str, problem: impl std::fmt::Display) -> Fault {
    Fault::new(Reason::InvalidValue, format_args!("{name}: {problem}"))
}

fn wrong(name: &str, found: &Field<'_>, expected: &str) -> Fault {
    let found = match found {
        Field::Absent => return Fault::new(Reason::MissingField, format_args!("{name}: missing")),
        Field::Null => "null",
        Field::Text(_) => "a string",
        Field::Integer(_) => "a whole number",
        Field::Number => "a number",
        Field::Other => "neither a string nor a number",
    };
    Fault::new(Reason::WrongType, format_args!("{name}: {found} where {expected} is meant"))
}

fn decimal(text: &str, digits: Digits) -> Result<i64, &'static str> {
    const SHAPE: &str = "not a decimal of digits with at most one point";
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) {
        return Err(SHAPE);
    }
    let (Digits::AtMost(scale) | Digits::RoundedTo(scale)) = digits;
    let scale = scale as usize;
    if matches!(digits, Digits::AtMost(_)) && fraction.len() > scale && text.contains('.') {
        return Err("too many fraction digits");
    }
    // Numbers beyond i64 saturate: far above every column's range.
    let kept = fraction.bytes().chain(std::iter::repeat(b'0')).take(scale);
    let units = whole
        .bytes()
        .chain(kept)
        .fold(0_i64, |units, digit| units.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    let rounds_up = fraction.as_bytes().get(scale).is_some_and(|digit| *digit >= b'5');
    Ok(units.saturating_add(i64::from(rounds_up)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAMES: &[&str] = &["f"];

    fn object(value: &str) -> Object<'static> {
        let payload: &'static [u8] = Vec::leak(format!("{{\"f\":{value}}}").into_bytes());
        Object::parse(payload, NAMES).unwrap()
    }

    #[test]
    fn decimals_are_digits_with_at_most_one_point() {
        let two = Digits::AtMost(2);
        assert_eq!(decimal("12.5", two), Ok(1250));
        assert_eq!(decimal("007", two), Ok(700));
        assert_eq!(decimal("0.00", two), Ok(0));
        assert_eq!(decimal("99999999999999999999", two), Ok(i64::MAX));
        for bad in ["", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", "1.2.3", "0x1", "١", "1.005", "NaN", "1 0"] {
            assert!(decimal(bad, two).is_err(), "{bad}");
        }
        assert_eq!(decimal("1.005", Digits::RoundedTo(2)), Ok(101));
        assert_eq!(decimal("1.00499999", Digits::RoundedTo(2)), Ok(100));
        assert_eq!(decimal("1", Digits::AtMost(0)), Ok(1));
    }

    #[test]
    fn ids_count_characters_not_bytes() {
        assert_eq!(object(&format!("\"  {} \"", "ü".repeat(64))).id("f").unwrap().chars().count(), 64);
        assert!(object(&format!("\"{}\"", "a".repeat(65))).id("f").is_err());
        assert!(object("\" \\u00a0\\t \"").id("f").is_err());
        assert!(object("\"a\\u0000b\"").id("f").is_err());
    }

    #[test]
    fn addresses_have_one_at_and_a_domain_with_a_dot() {
        assert_eq!(object("\" Ada@Example.ORG \"").email("f").unwrap(), "ada@example.org");
        for bad in ["ada", "ada@", "@x.org", "a@b", "a@b@c.org", "a b@c.org", "a@.org", "a@org.", "a@b..c"] {
            assert!(object(&format!("\"{bad}\"")).email("f").is_err(), "{bad}");
        }
    }

    #[test]
    fn faults_name_the_field_and_never_the_value() {
        let said = |value: &str| object(value).positive("f").unwrap_err();
        assert_eq!(said("\"7\""), Fault::new(Reason::WrongType, "f: a string where a whole number is meant"));
        assert_eq!(said("null").reason, Reason::WrongType);
        assert_eq!(said("1.5").reason, Reason::WrongType);
        assert_eq!(said("0").reason, Reason::OutOfRange);
        assert_eq!(said("2147483648").reason, Reason::OutOfRange);
        assert_eq!(object("1").positive("g").unwrap_err(), Fault::new(Reason::MissingField, "g: missing"));
        assert!(!object("\"hush\"").email("f").unwrap_err().detail.contains("hush"));
    }

    #[test]
    fn a_day_ahead_is_the_most() {
        let now = Moment::parse("2026-03-01T12:00:00Z").unwrap();
        assert!(object("\"2026-03-02T12:00:00Z\"").moment("f", now).is_ok());
        let ahead = object("\"2026-03-02T12:00:00.000001Z\"").moment("f", now).unwrap_err();
        assert_eq!(ahead.reason, Reason::InTheFuture);
    }

    proptest! {
        #[test]
        fn decimals_read_back(units in 0_i64..1_000_000_000_000, padding in 0_usize..3) {
            let text = format!("{}{}.{:02}", "0".repeat(padding), units / 100, units % 100);
            prop_assert_eq!(decimal(&text, Digits::AtMost(2)), Ok(units));
            prop_assert_eq!(decimal(&format!("{text}4999"), Digits::RoundedTo(2)), Ok(units));
            prop_assert_eq!(decimal(&format!("{text}5"), Digits::RoundedTo(2)), Ok(units + 1));
        }
    }
}
