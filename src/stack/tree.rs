//! The tree of a stack file: values that know their place, and how one file overrides another.

use indexmap::{IndexMap, map};
use serde_json::{Number, Value};

use super::source::Place;

/// A value, where it stands, and what it overrode.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// The value.
    pub data: Data,
    /// Where it stands: the value itself, or the key of a map, list or nothing that begins on a line of its own.
    pub place: Place,
    /// What it overrode in the files that this one extends, nearest first.
    pub overrode: Vec<Self>,
}

/// A value of YAML's core schema.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Data {
    /// Nothing: removes what another file says.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map in the order of the file.
    Map(IndexMap<String, Entry>),
    /// Something that was complained about already, so that nothing else about it is worth saying.
    Unusable,
}

/// One entry of a map.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Where the key stands: in the file that said it first.
    pub key: Place,
    /// The value.
    pub node: Node,
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.data == other.data
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.node == other.node
    }
}

impl Node {
    /// Makes a value that overrode nothing.
    pub(super) fn new(data: Data, place: Place) -> Self {
        Self { data, place, overrode: Vec::new() }
    }

    /// Returns the entries, when it is a map.
    pub(super) fn map(&self) -> Option<&IndexMap<String, Entry>> {
        match &self.data {
            Data::Map(it) => Some(it),
            _ => None,
        }
    }

    /// Returns the entry of a map.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.map()?.get(key)
    }

    /// Takes an entry out of a map.
    pub(super) fn take(&mut self, key: &str) -> Option<Entry> {
        match &mut self.data {
            Data::Map(it) => it.shift_remove(key),
            _ => None,
        }
    }

    /// Says whether it is nothing.
    pub(super) fn is_null(&self) -> bool {
        self.data == Data::Null
    }

    /// Walks along a JSON pointer as far as the file goes. The flag says whether it reached the end.
    pub(super) fn walk(&self, pointer: &str) -> (&Self, bool) {
        let mut node = self;
        for step in steps(pointer) {
            let next = match &node.data {
                Data::Map(it) => it.get(&step).map(|it| &it.node),
                Data::List(it) => step.parse::<usize>().ok().and_then(|i| it.get(i)),
                _ => None,
            };
            match next {
                Some(it) => node = it,
                None => return (node, false),
            }
        }
        (node, true)
    }

    /// Finds what a JSON pointer points at.
    pub(super) fn find(&self, pointer: &str) -> Option<&Self> {
        let (node, whole) = self.walk(pointer);
        whole.then_some(node)
    }

    /// Returns the value as JSON. Entries of maps that are nothing are left out; what is unusable is null.
    pub(super) fn json(&self) -> Value {
        match &self.data {
            Data::Null | Data::Unusable => Value::Null,
            Data::Bool(it) => (*it).into(),
            Data::Number(it) => it.clone().into(),
            Data::Text(it) => it.as_str().into(),
            Data::List(it) => it.iter().map(Self::json).collect(),
            Data::Map(it) => {
                let set = it.iter().filter(|it| !it.1.node.is_null());
                set.map(|(key, it)| (key.clone(), it.node.json())).collect::<serde_json::Map<_, _>>().into()
            }
        }
    }
}

/// Lays one file over another: maps merge by key, everything else replaces, nothing (`null`) removes.
///
/// What was removed stays in the tree as nothing, so that it can be told where it went. Laying a tree over itself
/// changes nothing; where no file removes anything or makes a map of what was none, the order of laying does not
/// matter either.
#[must_use]
pub(super) fn merge(base: Node, over: Node) -> Node {
    match (base, over) {
        (Node { data: Data::Map(mut entries), place, overrode }, Node { data: Data::Map(news), .. }) => {
            for (key, new) in news {
                match entries.entry(key) {
                    map::Entry::Vacant(slot) => {
                        slot.insert(new);
                    }
                    map::Entry::Occupied(mut slot) => {
                        let Entry { key, node } = slot.get().clone();
                        slot.insert(Entry { key, node: merge(node, new.node) });
                    }
                }
            }
            Node { data: Data::Map(entries), place, overrode }
        }
        (mut base, mut over) => {
            let older = std::mem::take(&mut base.overrode);
            over.overrode.push(base);
            over.overrode.extend(older);
            over
        }
    }
}

/// Splits a JSON pointer.
pub(super) fn steps(pointer: &str) -> impl Iterator<Item = String> {
    pointer.split('/').skip(1).map(|it| it.replace("~1", "/").replace("~0", "~"))
}

/// Appends a step to a JSON pointer.
pub(super) fn join(pointer: &str, step: &str) -> String {
    format!("{pointer}/{}", step.replace('~', "~0").replace('/', "~1"))
}

/// Writes a JSON pointer the way people do: `columns[2].type`.
pub(super) fn dotted(pointer: &str) -> String {
    steps(pointer).fold(String::new(), |said, step| match step.parse::<usize>() {
        Ok(i) => format!("{said}[{i}]"),
        Err(_) if said.is_empty() => step,
        Err(_) => format!("{said}.{step}"),
    })
}
