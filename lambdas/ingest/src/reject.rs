//! Why a record was not accepted.

use std::fmt;

/// What kind of fault it was: few, stable values, as they are a dimension of the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// No entity has a topic of that name.
    UnknownTopic,
    /// The record has no value, or one of length zero.
    EmptyValue,
    /// The value is not UTF-8.
    NotUtf8,
    /// The value is not JSON, or is more than one JSON value.
    NotJson,
    /// The value is JSON and not an object.
    NotAnObject,
    /// A field of the event is there twice, so that its value is anyone's guess.
    DuplicateField,
    /// A required field is not there.
    MissingField,
    /// A field is null or of another JSON type.
    WrongType,
    /// `schema_version` is not 1.
    UnsupportedVersion,
    /// A field has the right type and a value that it cannot have.
    InvalidValue,
    /// A number is too small or too large.
    OutOfRange,
    /// A timestamp is more than 24 hours ahead.
    InTheFuture,
}

impl Reason {
    /// The name in `rejected_events.reason` and in the metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownTopic => "unknown_topic",
            Self::EmptyValue => "empty_value",
            Self::NotUtf8 => "not_utf8",
            Self::NotJson => "not_json",
            Self::NotAnObject => "not_an_object",
            Self::DuplicateField => "duplicate_field",
            Self::MissingField => "missing_field",
            Self::WrongType => "wrong_type",
            Self::UnsupportedVersion => "unsupported_version",
            Self::InvalidValue => "invalid_value",
            Self::OutOfRange => "out_of_range",
            Self::InTheFuture => "in_the_future",
        }
    }
}

/// A reason, and which field or place it is about. Never quotes the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The kind of fault.
    pub reason: Reason,
    /// One line for whoever mends the event.
    pub detail: String,
}

impl Fault {
    pub(crate) fn new(reason: Reason, detail: impl fmt::Display) -> Self {
        Self { reason, detail: detail.to_string() }
    }
}
