//! Values of the command line, and how those are refused that are none.

use std::str::FromStr;

use jiff::Timestamp;

/// Reads a whole number.
///
/// # Errors
/// Says that it is none, or none that fits.
pub fn number<T: FromStr>(text: &str) -> Result<T, String> {
    let digits = !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    text.parse().map_err(|_| if digits { "too large" } else { "not a whole number, such as `100`" }.to_owned())
}

/// Reads a time.
///
/// # Errors
/// Says that it is none.
pub fn time(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| "not a time with its offset, such as `2026-01-31T00:00:00Z`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_value_is_refused_in_words() {
        assert_eq!(number("12"), Ok(12_u64));
        assert_eq!(number::<u64>("abc").expect_err("no number"), "not a whole number, such as `100`");
        assert_eq!(number::<u64>("99999999999999999999").expect_err("too many digits"), "too large");
        assert!(time("2026-01-31T00:00:00Z").is_ok() && time("2026-01-31T01:00+01:00").is_ok());
        for text in ["yesterday", "2026-01-31", ""] {
            assert!(time(text).expect_err("no time").contains("such as `2026-01-31T00:00:00Z`"), "{text}");
        }
    }
}
