//! The words in which kinds and the engine talk: fields, phases, changes, what is wanted. Pure data.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;
use serde_json::Value;

use crate::{
    address::{self, Address, Owner},
    resource::{Cx, Error, Result},
};

/// How a field behaves over its life, where that is not "set, echoed, and updated in place".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// A change means replacement, or refusal when the kind bears data.
    Immutable,
    /// Left out of the file, the provider's default stands and is never shown as a change. For a map that holds for each
    /// key: only what is declared, or was declared when last applied, is compared.
    Defaulted,
    /// The provider never echoes it; it is compared with what was last applied.
    WriteOnly,
    /// A list of objects that are compared by this key, in any order.
    Keyed(&'static str),
    /// A list of values that are compared in any order.
    Unordered,
    /// A number that may only grow; the text says what else to do. `{live}` stands for the live number.
    Grows(&'static str),
}

/// How far along a resource is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Usable.
    Ready,
    /// On its way; the text is the provider's word for it.
    Pending(String),
    /// It will not become ready by itself.
    Failed(String),
    /// On its way out.
    Deleting,
    /// Usable, and what was changed last is on trial: it is watched for so much longer, and counts as done then. The text
    /// says who watches, and until when; it stays the same meanwhile.
    OnTrial {
        /// What is awaited.
        on: String,
        /// For how much longer.
        left: Duration,
    },
    /// Usable, but what was changed last does harm, as the text says: it is taken back, by [`Resource::revert`].
    ///
    /// [`Resource::revert`]: crate::resource::Resource::revert
    Regressed(String),
    /// It may be there, and cannot be asked what it is like; the text says why. Nothing is observed of it then.
    Unreadable(String),
}

impl Phase {
    /// Says whether others can use it.
    pub const fn is_usable(&self) -> bool {
        matches!(self, Self::Ready | Self::OnTrial { .. } | Self::Regressed(_))
    }
}

/// Values that other resources and the user may read. Never a secret.
pub type Outputs = BTreeMap<&'static str, String>;

/// How the provider knows a resource, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The provider's identifier: what deletes and templates need. An ARN where there is one.
    pub id: Option<String>,
    /// Whose it is.
    pub ownership: Ownership,
}

/// Whose a live resource is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// It carries the tags of a stack.
    Tagged(Owner),
    /// It can carry tags, and carries none of ours.
    Foreign,
    /// It cannot carry tags; it belongs to whom its parent (a topic's cluster, a schema's database) belongs to, which
    /// is the stack of this name, or nobody that is known.
    Inherited(Option<String>),
}

/// One field that differs, and why.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The field's path within the spec, such as `retention` or `environment.LOG_LEVEL`.
    pub field: String,
    /// What is there.
    pub from: Value,
    /// What is wanted; [`Value::Null`] where the provider's default shall stand again, or where it is not known yet.
    pub to: Value,
    /// Who made the difference.
    pub cause: Cause,
    /// The resource whose creation will tell the wanted value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<Address>,
}

impl Change {
    /// Says whether the change lies within this top-level field.
    pub fn is(&self, field: &str) -> bool {
        self.field.split('.').next() == Some(field)
    }
}

/// Who made a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The stack file, a template or an artifact changed.
    Edit,
    /// Somebody changed it at the provider.
    Drift,
}

/// Something wrong with a value in a spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// Where in the spec, as a JSON pointer such as `/partitions`.
    pub at: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// A change that cannot be made, and what to do instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Objection {
    /// The field that asks for it, as in [`Change::field`].
    pub field: String,
    /// Why it cannot be made; may have several lines.
    pub reason: String,
    /// What to do instead.
    pub help: String,
}

impl Flaw {
    /// Describes what is wrong with the value at a JSON pointer.
    pub fn new(at: impl Into<String>, message: impl Into<String>) -> Self {
        Self { at: at.into(), message: message.into(), help: None }
    }

    /// Says what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// What is wanted of one resource, in full.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Desired {
    /// The spec without unset fields, with references as plain names.
    pub spec: Value,
    /// Top-level fields that cannot be known before another resource is ready.
    pub unknown: BTreeMap<String, Address>,
}

impl Desired {
    /// Starts from the spec as the file has it. Unset fields (null) are left out.
    pub fn of(spec: &impl Serialize) -> Self {
        // Specs are plain data with string keys, which always serialize.
        let mut spec = serde_json::to_value(spec).map(|it| address::plain(&it)).unwrap_or_default();
        if let Some(map) = spec.as_object_mut() {
            map.retain(|_, it| !it.is_null());
        }
        Self { spec, unknown: BTreeMap::new() }
    }

    /// Sets a field that the file does not hold, such as a digest.
    #[must_use]
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.spec[field] = value.into();
        self
    }

    /// Takes away a field that others of the wanted fields express in full.
    #[must_use]
    pub fn without(mut self, field: &str) -> Self {
        if let Some(map) = self.spec.as_object_mut() {
            map.shift_remove(field);
        }
        self
    }

    /// Adds the tags of the stack, which every taggable kind observes and compares under `tags`.
    #[must_use]
    pub fn tagged(self, cx: &Cx) -> Self {
        self.with("tags", serde_json::json!(cx.tags))
    }

    /// Sets a field from the result of a computation that needs other resources.
    ///
    /// # Errors
    /// Returns the computation's error, unless it is [`Error::NotReady`]: then the field is unknown.
    pub fn with_result(mut self, field: &str, value: Result<impl Into<Value>>) -> Result<Self> {
        match value {
            Ok(it) => self.spec[field] = it.into(),
            Err(Error::NotReady(on)) => {
                if let Some(map) = self.spec.as_object_mut() {
                    map.shift_remove(field);
                }
                self.unknown.insert(field.to_owned(), on);
            }
            Err(err) => return Err(err),
        }
        Ok(self)
    }
}
