//! One JSON object, read into the fields that an event knows; others are skipped. Strings without escapes stay where
//! they are in the payload.

use std::{borrow::Cow, fmt};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};

use crate::reject::{Fault, Reason};

/// Most fields that an event has, those common to all events included.
const MOST: usize = 12;

/// What a field holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Field<'a> {
    #[default]
    Absent,
    Null,
    Text(Cow<'a, str>),
    /// A whole number, however it is written (`2`, `2.0`, `2e0`: to JSON Schema they are the same).
    Integer(i64),
    /// A number that is not whole, or too large to tell.
    Number,
    /// A boolean, an array or an object.
    Other,
}

/// The known fields of one event.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    names: &'static [&'static str],
    fields: [Field<'a>; MOST],
    duplicate: Option<&'static str>,
}

impl<'a> Object<'a> {
    /// Reads the value of a record, which must be exactly one JSON object in UTF-8.
    pub(crate) fn parse(payload: &'a [u8], names: &'static [&'static str]) -> Result<Self, Fault> {
        let text = std::str::from_utf8(payload)
            .map_err(|e| Fault::new(Reason::NotUtf8, format_args!("byte {} is not UTF-8", e.valid_up_to())))?;
        let mut object = Self { names, fields: [const { Field::Absent }; MOST], duplicate: None };
        let mut json = serde_json::Deserializer::from_str(text);
        Known(&mut object).deserialize(&mut json).and_then(|()| json.end()).map_err(|error| {
            if error.is_data() {
                return Fault::new(Reason::NotAnObject, "the value is not a JSON object");
            }
            Fault::new(Reason::NotJson, format_args!("line {} column {} is not JSON", error.line(), error.column()))
        })?;
        match object.duplicate {
            Some(name) => Err(Fault::new(Reason::DuplicateField, format_args!("{name}: there twice"))),
            None => Ok(object),
        }
    }

    /// Takes a field out; `Absent` when it is not there.
    pub(crate) fn take(&mut self, name: &str) -> Field<'a> {
        let at = self.names.iter().position(|known| *known == name);
        at.and_then(|at| self.fields.get_mut(at)).map(std::mem::take).unwrap_or_default()
    }

    /// Sets a field that is not there.
    pub(crate) fn replace_absent(&mut self, name: &str, value: Field<'a>) {
        let at = self.names.iter().position(|known| *known == name);
        if let Some(slot @ Field::Absent) = at.and_then(|at| self.fields.get_mut(at)) {
            *slot = value;
        }
    }
}

/// Fills an object from a JSON map.
struct Known<'o, 'a>(&'o mut Object<'a>);

impl<'a> DeserializeSeed<'a> for Known<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for Known<'_, 'a> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        let names = self.0.names;
        while let Some(known) = map.next_key_seed(Position(names))? {
            match known.and_then(|at| self.0.fields.get_mut(at).map(|slot| (at, slot))) {
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
                Some((at, slot)) => {
                    if *slot != Field::Absent {
                        self.0.duplicate = names.get(at).copied();
                    }
                    *slot = map.next_value()?;
                }
            }
        }
        Ok(())
    }
}

/// The position of a key among the known names.
struct Position(&'static [&'static str]);

impl<'a> DeserializeSeed<'a> for Position {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'a>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for Position {
    type Value = Option<usize>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a field name")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|name| *name == key))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Field<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AnyField)
    }
}

struct AnyField;

impl<'a> Visitor<'a> for AnyField {
    type Value = Field<'a>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("any JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(Field::Null)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Field::Other)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Field::Integer(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        // More than i64 holds is out of every field's range in any case.
        Ok(Field::Integer(i64::try_from(number).unwrap_or(i64::MAX)))
    }

    #[expect(clippy::cast_possible_truncation, reason = "the number is whole, and a cast saturates")]
    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Self::Value, E> {
        Ok(if number.fract() == 0.0 { Field::Integer(number as i64) } else { Field::Number })
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'a str) -> Result<Self::Value, E> {
        Ok(Field::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Field::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Field::Other)
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Field::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[&str] = &["a", "b"];

    fn reason(payload: &[u8]) -> Option<Reason> {
        Object::parse(payload, NAMES).err().map(|fault| fault.reason)
    }

    #[test]
    fn keeps_known_fields_and_skips_others() {
        let mut object = Object::parse(br#"{"x":{"a":[1]},"b":"t\n","a":2.0}"#, NAMES).unwrap();
        assert_eq!(object.take("a"), Field::Integer(2));
        assert_eq!(object.take("b"), Field::Text("t\n".into()));
        assert_eq!(object.take("x"), Field::Absent);
        for (json, field) in [
            ("null", Field::Null),
            ("true", Field::Other),
            ("[{}]", Field::Other),
            ("{\"a\":1}", Field::Other),
            ("-1.5", Field::Number),
            ("18446744073709551615", Field::Integer(i64::MAX)),
        ] {
            let text = format!("{{\"a\":{json}}}");
            assert_eq!(Object::parse(text.as_bytes(), NAMES).unwrap().take("a"), field, "{json}");
        }
    }

    #[test]
    fn tells_the_faults_apart() {
        assert_eq!(reason(b"{\"a\":\"\xff\"}"), Some(Reason::NotUtf8));
        for text in ["{", "{}{}", "{\"a\":1,}", "\u{feff}{}", "{\"a\":\"\\ud800\"}", "nul"] {
            assert_eq!(reason(text.as_bytes()), Some(Reason::NotJson), "{text}");
        }
        for text in ["[]", "null", "1", "\"{}\"", "true", " [{}] "] {
            assert_eq!(reason(text.as_bytes()), Some(Reason::NotAnObject), "{text}");
        }
        assert_eq!(reason(br#"{"a":1,"a":1}"#), Some(Reason::DuplicateField));
        assert_eq!(reason(br#"{"x":1,"x":1}"#), None);
        let deep = format!("{{\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(reason(deep.as_bytes()), None);
    }
}
