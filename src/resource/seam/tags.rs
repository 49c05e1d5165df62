//! Tags as kinds read, compare and change them. Sends nothing.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    context::Cx,
    value::{Change, Ownership},
};
use crate::address::{Name, Owner};

/// The prefixes of tags that a stack does not set itself: the tool's and AWS's own.
const RESERVED: [&str; 2] = ["ecomctl:", "aws:"];

/// The tags that a live resource carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags(pub BTreeMap<String, String>);

impl Tags {
    /// Says whose the resource is.
    pub fn ownership(&self) -> Ownership {
        match Owner::from_tags(self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))) {
            Some(owner) => Ownership::Tagged(owner),
            None => Ownership::Foreign,
        }
    }

    /// Returns the name of the stack that owns the resource, for children that cannot carry tags.
    pub fn stack(&self) -> Option<String> {
        self.0.get("ecomctl:stack").cloned()
    }

    /// Returns what compares with the stack's tags: neither the owner's nor AWS's own.
    pub fn observed(&self) -> Value {
        let own = |key: &&String| !RESERVED.iter().any(|it| key.starts_with(it));
        json!(self.0.iter().filter(|(key, _)| own(key)).collect::<BTreeMap<_, _>>())
    }

    /// Returns a setting of ours that only a tag can hold, such as what shall happen on deletion.
    pub fn setting(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Lists the tags that a list of changes takes away.
    pub fn removed(changes: &[Change]) -> Vec<String> {
        let gone = changes.iter().filter(|it| it.to.is_null() && it.waits_for.is_none());
        gone.filter_map(|it| it.field.strip_prefix("tags.")).map(str::to_owned).collect()
    }

    /// Returns what the resource shall carry after these changes: foreign tags stay.
    pub fn after(&self, cx: &Cx, name: &Name, changes: &[Change]) -> BTreeMap<String, String> {
        let mut tags = self.0.clone();
        for gone in Self::removed(changes) {
            tags.remove(&gone);
        }
        tags.extend(cx.tags(&name.owner));
        tags.retain(|key, _| !key.starts_with("aws:"));
        tags
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Tags {
    fn from_iter<T: IntoIterator<Item = (K, V)>>(tags: T) -> Self {
        Self(tags.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

/// Returns the longest text that all of these begin with, for APIs that list by prefix.
pub fn shared_prefix<'a>(texts: impl IntoIterator<Item = &'a str>) -> &'a str {
    let mut texts = texts.into_iter();
    let first = texts.next().unwrap_or_default();
    texts.fold(first, |prefix, text| {
        let same = prefix.char_indices().zip(text.chars()).take_while(|((_, a), b)| a == b);
        &prefix[..same.map(|((at, it), _)| at + it.len_utf8()).last().unwrap_or(0)]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::Cause;

    #[test]
    fn a_stack_compares_only_its_own_tags() {
        let tags: Tags = [("ecomctl:stack", "s"), ("aws:created-by", "x"), ("team", "data")].into_iter().collect();
        assert_eq!(tags.observed(), json!({ "team": "data" }));
        assert_eq!(tags.ownership(), Ownership::Foreign, "an address is missing");
        assert_eq!(tags.stack().as_deref(), Some("s"));
    }

    #[test]
    fn removed_tags() {
        let change = |field: &str, to: Value| Change {
            field: field.into(),
            from: Value::Null,
            to,
            cause: Cause::Edit,
            waits_for: None,
        };
        let changes =
            [change("tags.team", Value::Null), change("tags.cost", json!("1")), change("memory", Value::Null)];
        assert_eq!(Tags::removed(&changes), ["team"]);
    }

    #[test]
    fn prefix() {
        assert_eq!(shared_prefix(["prod-a", "prod-b", "prod-bc"]), "prod-");
        assert_eq!(shared_prefix(["prod"]), "prod");
        assert_eq!(shared_prefix(["é", "è"]), "");
        assert_eq!(shared_prefix([]), "");
    }
}
