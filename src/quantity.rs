//! Durations and sizes as stack files write them: `7d`, `30s`, `256MiB`.
//!
//! They keep no unit: `60s` and `1m` are equal, and are written back in the largest unit that fits.

use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A span of time, to the millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(Duration);

/// Says that a text is no quantity.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct NotAQuantity {
    text: String,
    expected: &'static str,
}

const SPAN: &str = "a duration such as `500ms`, `30s`, `5m`, `12h` or `7d`";
const SIZE: &str = "a size such as `512KiB`, `256MiB` or `20GiB`";

const SPAN_UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
const SIZE_UNITS: [(&str, u64); 5] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl Span {
    /// Makes a span of whole seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Makes a span of milliseconds.
    pub const fn millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// Returns the whole seconds.
    pub const fn as_secs(self) -> u64 {
        self.0.as_secs()
    }

    /// Returns the whole days.
    pub const fn as_days(self) -> u64 {
        self.0.as_secs() / 86_400
    }

    /// Returns the milliseconds.
    pub fn as_millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

/// An amount of storage or memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u64);

impl Size {
    /// Makes a size of so many bytes.
    pub const fn bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// Makes a size of so many mebibytes.
    pub const fn mebibytes(mebibytes: u64) -> Self {
        Self(mebibytes << 20)
    }

    /// Makes a size of so many gibibytes.
    pub const fn gibibytes(gibibytes: u64) -> Self {
        Self(gibibytes << 30)
    }

    /// Returns the bytes.
    pub const fn as_bytes(self) -> u64 {
        self.0
    }

    /// Returns the whole mebibytes.
    pub const fn as_mebibytes(self) -> u64 {
        self.0 >> 20
    }

    /// Returns the whole gibibytes.
    pub const fn as_gibibytes(self) -> u64 {
        self.0 >> 30
    }
}

fn parse(text: &str, units: &[(&str, u64)], expected: &'static str) -> Result<u64, NotAQuantity> {
    let error = || NotAQuantity { text: text.to_owned(), expected };
    let digits = text.find(|it: char| !it.is_ascii_digit()).ok_or_else(error)?;
    let (number, unit) = text.split_at(digits);
    let factor = units.iter().find(|it| it.0 == unit).ok_or_else(error)?.1;
    number.parse::<u64>().ok().and_then(|it| it.checked_mul(factor)).ok_or_else(error)
}

fn show(value: u64, units: &[(&str, u64)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let fits = |it: &&(&str, u64)| value != 0 && value.is_multiple_of(it.1);
    match units.iter().find(fits).or(units.last()) {
        Some((unit, factor)) => write!(f, "{}{unit}", value / factor),
        None => write!(f, "{value}"),
    }
}

macro_rules! quantity {
    ($type:ident, $units:ident, $expected:ident, $pattern:literal, $read:expr, $write:expr) => {
        impl FromStr for $type {
            type Err = NotAQuantity;
            fn from_str(text: &str) -> Result<Self, NotAQuantity> {
                parse(text, &$units, $expected).map($read)
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                show($write(*self), &$units, f)
            }
        }
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(D::Error::custom)
            }
        }
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "description": $expected })
            }
        }
    };
}

quantity!(Span, SPAN_UNITS, SPAN, "^[0-9]+(ms|s|m|h|d)$", Self::millis, Span::as_millis);
quantity!(Size, SIZE_UNITS, SIZE, "^[0-9]+(B|KiB|MiB|GiB|TiB)$", Self, Size::as_bytes);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units() {
        assert_eq!("7d".parse(), Ok(Span::seconds(604_800)));
        assert_eq!("500ms".parse(), Ok(Span::millis(500)));
        assert_eq!("60s".parse::<Span>().map(|it| it.to_string()), Ok("1m".to_owned()));
        assert_eq!("256MiB".parse(), Ok(Size::mebibytes(256)));
        for bad in ["7", "d", "7 d", "-1s", "1.5h", "1w", "99999999999999999999d", ""] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
        assert_eq!(
            "256MB".parse::<Size>().expect_err("decimal units are refused").to_string(),
            "`256MB` is not a size such as `512KiB`, `256MiB` or `20GiB`"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(millis in 0..u64::MAX / 2, bytes: u64) {
            prop_assert_eq!(Span::millis(millis).to_string().parse(), Ok(Span::millis(millis)));
            prop_assert_eq!(Size::bytes(bytes).to_string().parse(), Ok(Size::bytes(bytes)));
        }
    }
}
