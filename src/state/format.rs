//! The text of a document, of any version of the format that there ever was. Reads and writes no file.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::record::{Document, SCHEMA};

/// What makes a document of each version one of the next, the first for version 1. A new version adds one here, and the last
/// document of the version before to `tests/fixtures/state`.
const UPGRADES: [fn(&mut Map<String, Value>); SCHEMA as usize - 1] = [name_the_verb];

/// No serial comes near this: beyond it, it is the damage that speaks.
const LARGEST: u64 = 1 << 48;

/// Why a text is no document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is none.
    Damaged(String),
    /// It is one of this version, which is newer than all that are known.
    Newer(u64),
}

/// Reads a document, and brings it to the version that is written now.
pub(super) fn read(bytes: &[u8]) -> Result<Document, Fault> {
    let damaged = |it: String| Fault::Damaged(it);
    let mut json: Map<String, Value> = serde_json::from_slice(bytes).map_err(|err| damaged(err.to_string()))?;
    let version = match json.get("schema").and_then(Value::as_u64) {
        Some(it) if it > u64::from(SCHEMA) => return Err(Fault::Newer(it)),
        Some(it @ 1..) => usize::try_from(it).unwrap_or(usize::MAX),
        Some(_) | None => return Err(damaged("it names no format".to_owned())),
    };
    for upgrade in UPGRADES.iter().skip(version - 1) {
        upgrade(&mut json);
    }
    json.insert("schema".to_owned(), SCHEMA.into());
    let document: Document = serde_json::from_value(Value::Object(json)).map_err(|err| damaged(err.to_string()))?;
    match document.serial.max(document.lease.as_ref().map_or(0, |it| it.epoch)) {
        ..LARGEST => Ok(document),
        it => Err(damaged(format!("no state was ever written {it} times"))),
    }
}

/// Finds the serial in the text of a damaged document.
pub(super) fn serial(bytes: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(bytes);
    let rest = text.split_once("\"serial\":")?.1.trim_start();
    let digits = rest.split(|it: char| !it.is_ascii_digit()).next()?;
    digits.parse().ok().filter(|it| *it < LARGEST)
}

/// Writes a document or an entry of the journal, for people to read where they must.
pub(super) fn write(it: &impl Serialize) -> Vec<u8> {
    // Neither holds a map whose keys are no strings, the one thing that JSON cannot say.
    let mut bytes = serde_json::to_vec_pretty(it).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// From 1 to 2: a lease says what its holder does.
fn name_the_verb(document: &mut Map<String, Value>) {
    if let Some(Value::Object(lease)) = document.get_mut("lease") {
        lease.insert("verb".to_owned(), json!(""));
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use proptest::prelude::*;

    use super::*;
    use crate::address::Address;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

        /// Cut short, or with bytes of another text in it, a state is read or refused.
        #[test]
        fn no_text_does_more_than_be_refused(
            version in 1..=SCHEMA, cut in 0..12_000_usize, at in 0..10_000_usize,
            with in proptest::collection::vec(any::<u8>(), 0..9)
        ) {
            let mut bytes = fixture(version);
            // In parts of ten thousand.
            let place = |part: usize| bytes.len() * part / 10_000;
            let (cut, at) = (place(cut), place(at));
            let end = (at + with.len()).min(bytes.len());
            bytes.splice(at..end, with);
            bytes.truncate(cut);
            serial(&bytes);
            if let Ok(document) = read(&bytes) {
                // Not the same to the last digit of a fraction, which JSON does not promise.
                prop_assert!(read(&write(&document)).is_ok());
            }
        }
    }

    fn fixture(version: u32) -> Vec<u8> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/state/{version}.json"));
        fs::read(&path).unwrap_or_else(|err| panic!("every version has a fixture: {}: {err}", path.display()))
    }

    #[test]
    fn a_document_of_every_version_is_read_and_loses_nothing() {
        for version in 1..=SCHEMA {
            let bytes = fixture(version);
            let written: Value = serde_json::from_slice(&bytes).expect("JSON");
            assert_eq!(written["schema"], version);
            let document = read(&bytes).unwrap_or_else(|err| panic!("version {version}: {err:?}"));
            assert_eq!(document.schema, SCHEMA);
            let now = serde_json::to_value(&document).expect("JSON");
            for field in ["lineage", "serial", "writer", "definition", "resources"] {
                assert_eq!(now[field], written[field], "{field} of version {version}");
            }
            assert_eq!(now["lease"]["holder"], written["lease"]["holder"]);
            assert!(document.resources.contains_key(&Address::new("topic", "orders")));
            assert_eq!(read(&write(&document)), Ok(document), "what is read can be written and read again");
        }
    }

    #[test]
    fn the_fixture_of_this_version_is_as_this_version_writes_it() {
        let bytes = fixture(SCHEMA);
        let document = read(&bytes).expect("a document");
        assert_eq!(String::from_utf8(write(&document)), String::from_utf8(bytes));
    }

    #[test]
    fn a_serial_is_found_also_where_the_rest_is_damaged() {
        assert_eq!(serial(b"{\n  \"schema\": 2,\n  \"serial\": 41,\n  \"wri"), Some(41));
        for text in ["", "{}", "{\"serial\":", "{\"serial\": \"x\"", "{\"serial\":99999999999999999999}", "\u{0}\u{ff}"]
        {
            assert_eq!(serial(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_document_is_told() {
        let next = SCHEMA + 1;
        let newer = format!("{{\"schema\":{next},\"anything\":[]}}");
        assert_eq!(read(newer.as_bytes()), Err(Fault::Newer(u64::from(next))));
        let endless = String::from_utf8(fixture(SCHEMA)).expect("text");
        for (from, to) in [("\"serial\": 41", u64::MAX), ("\"epoch\": 40", LARGEST)] {
            let text = endless.replace(from, &format!("{}: {to}", from.split(':').next().expect("a name")));
            assert_ne!(text, endless);
            assert!(matches!(read(text.as_bytes()), Err(Fault::Damaged(_))), "{text}");
        }
        for text in ["", "{", "[]", "{}", "{\"schema\":0}", "{\"schema\":-1}", "{\"schema\":1}", "null", "\u{0}"] {
            assert!(matches!(read(text.as_bytes()), Err(Fault::Damaged(_))), "{text}");
        }
    }
}
