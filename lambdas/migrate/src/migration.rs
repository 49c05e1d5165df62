//! A migration, what identifies its text, and which of a list have to run. No database here.

use std::collections::BTreeSet;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use similar::TextDiff;

use crate::Error;

/// A versioned piece of SQL.
#[derive(Clone, Debug, Deserialize)]
pub struct Migration {
    /// Digits, such as `0001`; compared as a number.
    pub version: String,
    /// What it does, for people.
    pub name: String,
    /// The text of its file.
    pub sql: String,
    /// What the sender takes for the checksum; refused when it is another.
    pub checksum: Option<String>,
}

/// A migration that was applied, as its history tells.
#[derive(Clone, Debug)]
#[expect(clippy::struct_field_names, reason = "fields are named after their columns")]
pub(crate) struct Applied {
    pub(crate) version: String,
    pub(crate) name: String,
    pub(crate) checksum: String,
    pub(crate) body: String,
    pub(crate) applied_at: String,
    pub(crate) objects: Vec<String>,
}

impl Migration {
    /// `0001_core_tables`.
    pub(crate) fn title(&self) -> String {
        format!("{}_{}", self.version, self.name)
    }
}

impl Applied {
    pub(crate) fn title(&self) -> String {
        format!("{}_{}", self.version, self.name)
    }
}

/// The text as it is stored and compared: without a byte order mark, lines end in LF, and the file ends in one of
/// them. Everything else counts, comments included.
pub fn normalise(sql: &str) -> String {
    let text = sql.strip_prefix('\u{feff}').unwrap_or(sql).replace("\r\n", "\n");
    format!("{}\n", text.trim_end())
}

/// SHA-256 of the normalised text, in lower-case hexadecimal.
pub fn checksum(sql: &str) -> String {
    Sha256::digest(normalise(sql)).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

/// The migrations that have to run, in order. Refuses a list that does not continue the history.
pub(crate) fn pending<'m>(applied: &[Applied], given: &'m [Migration]) -> Result<Vec<&'m Migration>, Error> {
    let mut ordered: Vec<(u64, &Migration)> = Vec::with_capacity(given.len());
    let mut versions = BTreeSet::new();
    for migration in given {
        let version = number(&migration.version).ok_or_else(|| {
            Error::Malformed(format!("migration {}: the version is not a number in digits", migration.title()))
        })?;
        if !versions.insert(version) {
            return Err(Error::Malformed(format!("migration {}: the version is there twice", migration.title())));
        }
        let actual = checksum(&migration.sql);
        if migration.checksum.as_ref().is_some_and(|given| *given != actual) {
            let problem = "the checksum is not that of the text: SHA-256 of the text with LF and one at its end";
            return Err(Error::Malformed(format!("migration {}: {problem}", migration.title())));
        }
        ordered.push((version, migration));
    }
    ordered.sort_by_key(|(version, _)| *version);
    let find = |version| ordered.iter().find(|(other, _)| Some(*other) == version).map(|(_, migration)| *migration);
    for earlier in applied {
        let same = find(number(&earlier.version)).ok_or_else(|| Error::Missing { migration: earlier.title() })?;
        if checksum(&same.sql) != earlier.checksum {
            return Err(edited(earlier, same));
        }
    }
    let done: BTreeSet<u64> = applied.iter().filter_map(|earlier| number(&earlier.version)).collect();
    ordered.retain(|(version, _)| !done.contains(version));
    let highest = applied.iter().max_by_key(|earlier| number(&earlier.version));
    if let (Some(highest), Some((version, first))) = (highest, ordered.first())
        && Some(*version) < number(&highest.version)
    {
        return Err(Error::OutOfOrder { migration: first.title(), applied: highest.title() });
    }
    Ok(ordered.into_iter().map(|(_, migration)| migration).collect())
}

fn edited(applied: &Applied, given: &Migration) -> Error {
    let text = normalise(&given.sql);
    let diff = TextDiff::from_lines(&applied.body, &text)
        .unified_diff()
        .header(&format!("applied/{}", applied.title()), &format!("given/{}", given.title()))
        .to_string();
    Error::Edited { migration: applied.title(), diff }
}

fn number(version: &str) -> Option<u64> {
    version.bytes().all(|byte| byte.is_ascii_digit()).then(|| version.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn migration(version: &str, sql: &str) -> Migration {
        Migration { version: version.to_owned(), name: "m".to_owned(), sql: sql.to_owned(), checksum: None }
    }

    fn applied(version: &str, sql: &str) -> Applied {
        Applied {
            version: version.to_owned(),
            name: "m".to_owned(),
            checksum: checksum(sql),
            body: normalise(sql),
            applied_at: String::new(),
            objects: Vec::new(),
        }
    }

    fn said(applied: &[Applied], given: &[Migration]) -> String {
        match pending(applied, given) {
            Ok(pending) => pending.iter().map(|m| m.version.as_str()).collect::<Vec<_>>().join(" "),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_checksum_is_that_of_the_normalised_text() {
        assert_eq!(checksum("\u{feff}SELECT 1;\r\n \n"), checksum("SELECT 1;\n"));
        assert_eq!(checksum("SELECT 1;"), "b4e0497804e46e0a0b0b8c31975b062152d551bac49c3c2e80932567b4085dcd");
        assert_ne!(checksum("SELECT 1; -- why"), checksum("SELECT 1;"));
    }

    #[test]
    fn runs_what_is_missing_in_the_order_of_the_numbers() {
        let given = [migration("10", "c"), migration("9", "b"), migration("0001", "a")];
        assert_eq!(said(&[], &given), "0001 9 10");
        assert_eq!(said(&[applied("0001", "a")], &given), "9 10");
        assert_eq!(said(&[applied("1", "a\r\n"), applied("9", "b"), applied("10", "c")], &given), "");
    }

    #[test]
    fn refuses_what_does_not_continue_the_history() {
        let given = [migration("1", "a"), migration("2", "b"), migration("3", "c")];
        assert!(said(&[applied("4", "d")], &given).starts_with("migration 4_m was applied and is not among those"));
        assert!(
            said(&[applied("1", "a"), applied("3", "c")], &given)
                .starts_with("migration 2_m comes before 3_m, which is applied already")
        );
        let edited = said(&[applied("1", "old\nsame")], &[migration("1", "new\nsame")]);
        assert!(edited.ends_with("--- applied/1_m\n+++ given/1_m\n@@ -1,2 +1,2 @@\n-old\n+new\n same\n"), "{edited}");
    }

    #[test]
    fn refuses_a_list_that_makes_no_sense() {
        assert!(said(&[], &[migration("1a", "")]).contains("not a number"));
        assert!(said(&[], &[migration("1", ""), migration("01", "")]).contains("there twice"));
        let mut wrong = migration("1", "a");
        wrong.checksum = Some("0".repeat(64));
        assert!(said(&[], &[wrong]).contains("the checksum is not that of the text"));
    }

    proptest! {
        #[test]
        fn line_ends_and_the_end_of_the_file_do_not_count(
            lines in prop::collection::vec("[a-z -]{0,8}", 1..6),
            tail in "[ \t\r\n]{0,4}",
        ) {
            let unix = lines.join("\n");
            let windows = format!("\u{feff}{}{tail}", lines.join("\r\n"));
            prop_assert_eq!(checksum(&windows), checksum(&unix));
            prop_assert_eq!(normalise(&normalise(&windows)), normalise(&windows));
        }
    }
}
