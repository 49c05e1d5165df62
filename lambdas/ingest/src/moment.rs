//! Points in time as `PostgreSQL` keeps them: whole microseconds, UTC.

use std::error::Error;

use bytes::BytesMut;
use postgres_types::{IsNull, ToSql, Type, to_sql_checked};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Microseconds since 1970-01-01T00:00:00Z. Finer digits are cut off before anything is compared, as the database
/// would cut them, so that a batch and the tables agree on which event is newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64);

impl Moment {
    /// `PostgreSQL` counts from 2000-01-01.
    const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

    /// The present.
    pub fn now() -> Self {
        Self::from(OffsetDateTime::now_utc())
    }

    /// Reads RFC 3339 with any offset; `None` for anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        // The library takes any separator between date and time; RFC 3339 has one.
        let is_separated = text.as_bytes().get(10).is_some_and(|byte| byte.eq_ignore_ascii_case(&b'T'));
        OffsetDateTime::parse(text, &Rfc3339).ok().filter(|_| is_separated).map(Self::from)
    }

    /// Milliseconds since 1970.
    pub(crate) fn millis(self) -> i64 {
        self.0.div_euclid(1000)
    }
}

impl From<OffsetDateTime> for Moment {
    fn from(at: OffsetDateTime) -> Self {
        Self(at.unix_timestamp() * 1_000_000 + i64::from(at.microsecond()))
    }
}

impl ToSql for Moment {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(&(self.0 - Self::POSTGRES_EPOCH).to_be_bytes());
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TIMESTAMPTZ
    }

    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_any_offset_and_cuts_to_microseconds() {
        let noon = Moment::parse("2026-03-01T12:00:00Z").unwrap();
        assert_eq!(noon.0, 1_772_366_400_000_000);
        assert_eq!(Moment::parse("2026-03-01T17:30:00+05:30"), Some(noon));
        assert_eq!(Moment::parse("2026-03-01T12:00:00.0000009Z"), Some(noon));
        assert_eq!(Moment::parse("1969-12-31T23:59:59.999999Z"), Some(Moment(-1)));
    }

    #[test]
    fn refuses_what_is_not_rfc_3339() {
        for text in [
            "",
            "2026-03-01",
            "2026-03-01T12:00:00",
            "2026-03-01 12:00:00Z",
            "2026-02-30T12:00:00Z",
            "20260301T120000Z",
            "1772366400",
        ] {
            assert_eq!(Moment::parse(text), None, "{text}");
        }
    }
}
