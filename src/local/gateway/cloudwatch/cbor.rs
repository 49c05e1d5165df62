//! CBOR documents of Smithy's rpcv2 protocol, read into JSON values and written from them. Pure. Knows no operation.
//!
//! Times are numbers of seconds since 1970 in JSON, and tag 1 in CBOR; on the way out, a member's name says that it is
//! one. Source: the Smithy specification of the RPC v2 CBOR protocol.

use aws_smithy_cbor::{Decoder, Encoder, data::Type, decode::DeserializeError};
use aws_smithy_types::DateTime;
use serde_json::{Map, Number, Value};

/// How deep a document may be nested: no operation needs more than six.
const DEEPEST: usize = 32;

/// The members of answers that are times, or lists of times.
const TIMES: [&str; 6] = [
    "AlarmConfigurationUpdatedTimestamp",
    "LastModified",
    "StateTransitionedTimestamp",
    "StateUpdatedTimestamp",
    "Timestamp",
    "Timestamps",
];

/// Reads a document.
///
/// # Errors
/// In words, when it is none, or nested too deeply.
pub(super) fn read(bytes: &[u8]) -> Result<Value, String> {
    let mut decoder = Decoder::new(bytes);
    value(&mut decoder, 0)
}

fn value(from: &mut Decoder<'_>, depth: usize) -> Result<Value, String> {
    if depth > DEEPEST {
        return Err("the document is nested too deeply".to_owned());
    }
    let wrong = |err: DeserializeError| format!("the document is not valid CBOR: {err}");
    Ok(match from.datatype().map_err(wrong)? {
        Type::Bool => Value::Bool(from.boolean().map_err(wrong)?),
        Type::Null | Type::Undefined => {
            from.skip().map_err(wrong)?;
            Value::Null
        }
        Type::F16 | Type::F32 | Type::F64 => number(from.double().map_err(wrong)?)?,
        Type::Tag => number(from.timestamp().map_err(wrong)?.as_secs_f64())?,
        Type::String | Type::StringIndef => Value::String(from.str().map_err(wrong)?.into_owned()),
        Type::Array | Type::ArrayIndef => {
            let length = from.list().map_err(wrong)?;
            let mut list = Vec::new();
            while more(from, length, list.len()).map_err(wrong)? {
                list.push(value(from, depth + 1)?);
            }
            Value::Array(list)
        }
        Type::Map | Type::MapIndef => {
            let length = from.map().map_err(wrong)?;
            let mut map = Map::new();
            let mut read = 0;
            while more(from, length, read).map_err(wrong)? {
                let key = from.str().map_err(wrong)?.into_owned();
                let member = value(from, depth + 1)?;
                // An absent member may be written as null.
                if !member.is_null() {
                    map.insert(key, member);
                }
                read += 1;
            }
            Value::Object(map)
        }
        _ => Value::from(from.long().map_err(wrong)?),
    })
}

/// Says whether another element follows; takes the end of a list or map of unknown length.
fn more(from: &mut Decoder<'_>, length: Option<u64>, read: usize) -> Result<bool, DeserializeError> {
    match length {
        Some(length) => Ok(length > read as u64),
        None if from.datatype()? == Type::Break => from.skip().map(|()| false),
        None => Ok(true),
    }
}

fn number(it: f64) -> Result<Value, String> {
    Number::from_f64(it).map(Value::Number).ok_or_else(|| format!("{it} is not a number that can be kept"))
}

/// Writes a document.
pub(super) fn write(document: &Value) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    put(&mut encoder, document, false);
    encoder.into_writer()
}

fn put(to: &mut Encoder, value: &Value, is_time: bool) {
    match value {
        Value::Null => {
            to.null();
        }
        Value::Bool(it) => {
            to.boolean(*it);
        }
        Value::Number(it) => match (it.as_i64(), it.as_f64().unwrap_or_default()) {
            (_, it) if is_time => {
                to.timestamp(&DateTime::from_secs_f64(it));
            }
            (Some(it), _) => {
                to.long(it);
            }
            (None, it) => {
                to.double(it);
            }
        },
        Value::String(it) => {
            to.str(it);
        }
        Value::Array(list) => {
            to.array(list.len());
            list.iter().for_each(|it| put(to, it, is_time));
        }
        Value::Object(map) => {
            to.map(map.len());
            for (key, member) in map {
                to.str(key);
                put(to, member, TIMES.contains(&key.as_str()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn documents() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e12..1e12_f64).prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("[a-z]{1,8}", inner, 0..5).prop_map(|it| it.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(document in documents()) {
            prop_assert_eq!(read(&write(&document)), Ok(document));
        }

        #[test]
        fn noise_is_refused_or_read_but_never_more(noise in prop::collection::vec(any::<u8>(), 0..200)) {
            // Whatever comes from outside must neither panic nor recurse without end.
            let _ = read(&noise);
        }
    }

    #[test]
    fn times_are_tagged_and_come_back_as_seconds() {
        let document = json!({ "Timestamp": 1_700_000_000.25, "Values": [1.5], "Timestamps": [60.0] });
        let bytes = write(&document);
        // Tag 1, major type 6: two of them part the bytes in three.
        assert_eq!(bytes.split(|it| *it == 0xc1).count(), 3);
        assert_eq!(read(&bytes), Ok(document));
    }

    #[test]
    fn lists_and_maps_of_unknown_length_end_where_they_say() {
        // {"a": [1, 2], "b": null}, both of unknown length.
        let bytes = [0xbf, 0x61, b'a', 0x9f, 0x01, 0x02, 0xff, 0x61, b'b', 0xf6, 0xff];
        assert_eq!(read(&bytes), Ok(json!({ "a": [1, 2] })));
        assert!(read(&vec![0x9f; 4000]).is_err_and(|it| it.contains("too deeply")));
    }
}
