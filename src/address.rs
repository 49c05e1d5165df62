//! Addresses name resources; references point at them.
//!
//! Knows no kind: a kind's own type is the type parameter of [`Ref`].

use std::{fmt, marker::PhantomData, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::SerializeMap as _};
use serde_json::Value;

/// The key under which a serialized reference holds its address.
const REF: &str = "$ref";
/// The key under which a reference to an output holds which one.
const OUTPUT: &str = "$output";
/// The key that marks a reference that needs only the other's name.
const WEAK: &str = "$weak";
/// Marks a reference that gives no order at all.
const MENTION: &str = "$mention";

/// The name of a resource within a stack, such as `topic.orders`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The section of the stack file.
    pub kind: String,
    /// The key within the section.
    pub name: String,
}

impl Address {
    /// Builds an address from its two halves.
    pub fn new(kind: impl Into<String>, name: impl Into<String>) -> Self {
        Self { kind: kind.into(), name: name.into() }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.kind, self.name)
    }
}

/// Says that a text is not of the form `kind.name`.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not an address of the form `kind.name`, such as `topic.orders`")]
pub struct NotAnAddress(String);

impl FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s.split_once('.') {
            Some((kind, name)) if !kind.is_empty() && !name.is_empty() => Ok(Self::new(kind, name)),
            _ => Err(NotAnAddress(s.to_owned())),
        }
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(D::Error::custom)
    }
}

/// A type that stands for one kind of resource.
pub trait Kinded: 'static {
    /// The section of the stack file: `resources.<KIND>.<name>`.
    const KIND: &'static str;
}

/// A typed reference to another resource that must be ready first.
///
/// In a stack file it is the bare name. Serialized it is `{"$ref": "topic.orders"}`, so that the loader finds every
/// dependency of a spec without any help from the kind.
pub struct Ref<K> {
    /// The name of the other resource.
    pub name: String,
    kind: PhantomData<fn() -> K>,
}

impl<K: Kinded> Ref<K> {
    /// Points at the resource of kind `K` with this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), kind: PhantomData }
    }

    /// Returns the address pointed at.
    pub fn address(&self) -> Address {
        Address::new(K::KIND, &self.name)
    }
}

impl<K> Clone for Ref<K> {
    fn clone(&self) -> Self {
        Self { name: self.name.clone(), kind: PhantomData }
    }
}

impl<K> fmt::Debug for Ref<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "&{}", self.name)
    }
}

impl<'de, K: Kinded> Deserialize<'de> for Ref<K> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        named(d, K::KIND).map(Self::new)
    }
}

impl<K: Kinded> Serialize for Ref<K> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        wire(&self.address(), false, s)
    }
}

impl<K: Kinded> JsonSchema for Ref<K> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Ref_{}", K::KIND).into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "description": format!("The name of a {} of this stack.", K::KIND) })
    }
}

/// A typed reference that needs only the other's name, which is known beforehand: no wait.
pub struct NameRef<K>(pub Ref<K>);

impl<K: Kinded> NameRef<K> {
    /// Returns the address pointed at.
    pub fn address(&self) -> Address {
        self.0.address()
    }
}

impl<K> Clone for NameRef<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K> fmt::Debug for NameRef<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de, K: Kinded> Deserialize<'de> for NameRef<K> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ref::deserialize(d).map(Self)
    }
}

impl<K: Kinded> Serialize for NameRef<K> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        wire(&self.address(), true, s)
    }
}

impl<K: Kinded> JsonSchema for NameRef<K> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        Ref::<K>::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Ref::<K>::json_schema(generator)
    }
}

/// A typed reference that only names the other: neither has to be there before the other, or leaves before it. So two
/// resources can name each other, as a function and the alarms that watch it do.
pub struct Mention<K>(pub Ref<K>);

impl<K> Clone for Mention<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K> fmt::Debug for Mention<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de, K: Kinded> Deserialize<'de> for Mention<K> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ref::deserialize(d).map(Self)
    }
}

impl<K: Kinded> Serialize for Mention<K> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(Some(3))?;
        map.serialize_entry(REF, &self.0.address())?;
        map.serialize_entry(WEAK, &true)?;
        map.serialize_entry(MENTION, &true)?;
        map.end()
    }
}

impl<K: Kinded> JsonSchema for Mention<K> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Mention_{}", K::KIND).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Ref::<K>::json_schema(generator)
    }
}

/// A reference to a resource of any kind, written as its address, that must be ready first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AnyRef(pub Address);

impl<'de> Deserialize<'de> for AnyRef {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        match Value::deserialize(d)? {
            Value::String(it) => it.parse().map(Self).map_err(D::Error::custom),
            it => target(&it).map(|it| Self(it.to)).ok_or_else(|| D::Error::custom("expected an address")),
        }
    }
}

impl Serialize for AnyRef {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(Some(2))?;
        map.serialize_entry(REF, &self.0)?;
        map.serialize_entry("$any", &true)?;
        map.end()
    }
}

impl JsonSchema for AnyRef {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Address".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "pattern": "^[a-z_]+\\.[a-z0-9_-]+$",
            "description": "The address of a resource of this stack, such as `topic.orders`."
        })
    }
}

/// One output of a resource that must be ready first, written `kind.name.output`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OutputRef {
    /// Whose output it is.
    pub of: Address,
    /// Which output.
    pub output: String,
}

impl fmt::Display for OutputRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.of, self.output)
    }
}

impl FromStr for OutputRef {
    type Err = NotAnOutput;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let parts = s.rsplit_once('.').filter(|it| !it.1.is_empty());
        let of = parts.and_then(|it| Some((it.0.parse().ok()?, it.1.to_owned())));
        of.map(|(of, output)| Self { of, output }).ok_or_else(|| NotAnOutput(s.to_owned()))
    }
}

/// Says that a text is not of the form `kind.name.output`.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not an output of the form `kind.name.output`, such as `bucket.lake.url`")]
pub struct NotAnOutput(String);

impl<'de> Deserialize<'de> for OutputRef {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        match Value::deserialize(d)? {
            Value::String(it) => it.parse().map_err(D::Error::custom),
            it => {
                let output = it.get(OUTPUT).and_then(Value::as_str).map(str::to_owned);
                let both = target(&it).zip(output).map(|(it, output)| Self { of: it.to, output });
                both.ok_or_else(|| D::Error::custom("expected an output"))
            }
        }
    }
}

impl Serialize for OutputRef {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(Some(2))?;
        map.serialize_entry(REF, &self.of)?;
        map.serialize_entry(OUTPUT, &self.output)?;
        map.end()
    }
}

impl JsonSchema for OutputRef {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Output".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "pattern": "^[a-z_]+\\.[a-z0-9_-]+\\.[a-z_]+$",
            "description": "An output of a resource of this stack, such as `bucket.lake.url`."
        })
    }
}

/// One dependency, as a serialized spec holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// What is needed.
    pub to: Address,
    /// Whether the name suffices, so that nothing has to be awaited.
    pub weak: bool,
    /// Whether it is only named, so that neither comes or goes before the other.
    pub mention: bool,
    /// Which of its outputs is needed, where it is one.
    pub output: Option<String>,
    /// Where in the spec the reference stands, as a JSON pointer.
    pub at: String,
}

/// Collects the references within a serialized spec, in reading order.
pub fn needs(spec: &Value) -> Vec<Need> {
    fn walk(spec: &Value, at: &str, found: &mut Vec<Need>) {
        match spec {
            Value::Object(map) => match target(spec) {
                Some(it) => found.push(Need { at: at.to_owned(), ..it }),
                None => map.iter().for_each(|(key, it)| {
                    walk(it, &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), found);
                }),
            },
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(i, it)| walk(it, &format!("{at}/{i}"), found));
            }
            _ => (),
        }
    }
    let mut found = Vec::new();
    walk(spec, "", &mut found);
    found
}

/// Replaces every reference within a serialized spec by what the stack file says: the name, the address of an
/// [`AnyRef`], or the output of an [`OutputRef`]. The result reads and compares like the file.
pub fn plain(spec: &Value) -> Value {
    match spec {
        Value::Object(map) => match target(spec) {
            Some(it) if map.contains_key(OUTPUT) => {
                let output = map[OUTPUT].as_str().unwrap_or_default();
                format!("{}.{output}", it.to).into()
            }
            Some(it) if map.contains_key("$any") => it.to.to_string().into(),
            Some(it) => it.to.name.into(),
            None => map.iter().map(|(key, it)| (key.clone(), plain(it))).collect::<serde_json::Map<_, _>>().into(),
        },
        Value::Array(items) => items.iter().map(plain).collect(),
        it => it.clone(),
    }
}

fn target(spec: &Value) -> Option<Need> {
    let to = spec.get(REF)?.as_str()?.parse().ok()?;
    let output = spec.get(OUTPUT).and_then(Value::as_str).map(str::to_owned);
    let (weak, mention) = (spec.get(WEAK).is_some(), spec.get(MENTION).is_some());
    Some(Need { to, weak, mention, output, at: String::new() })
}

fn wire<S: Serializer>(to: &Address, weak: bool, s: S) -> Result<S::Ok, S::Error> {
    let mut map = s.serialize_map(Some(1 + usize::from(weak)))?;
    map.serialize_entry(REF, to)?;
    if weak {
        map.serialize_entry(WEAK, &true)?;
    }
    map.end()
}

/// Reads a bare name, or a serialized reference of this kind.
fn named<'de, D: Deserializer<'de>>(d: D, kind: &str) -> Result<String, D::Error> {
    match Value::deserialize(d)? {
        Value::String(it) if !it.is_empty() => Ok(it),
        it => match target(&it) {
            Some(it) if it.to.kind == kind => Ok(it.to.name),
            _ => Err(D::Error::custom(format_args!("expected the name of a {kind}"))),
        },
    }
}

/// Whose a resource is: written to the provider as tags, so that it can be found again without any state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The stack that made the resource.
    pub stack: String,
    /// What the stack calls it.
    pub address: Address,
    /// Which attempt to create it this was.
    pub nonce: String,
}

impl Owner {
    /// Returns the owner as the tags that every taggable resource carries.
    pub fn tags(&self) -> [(&'static str, String); 3] {
        [
            ("ecomctl:stack", self.stack.clone()),
            ("ecomctl:address", self.address.to_string()),
            ("ecomctl:nonce", self.nonce.clone()),
        ]
    }

    /// Reads the owner back from tags; `None` where they are not ours.
    pub fn from_tags<'a>(tags: impl IntoIterator<Item = (&'a str, &'a str)>) -> Option<Self> {
        let (mut stack, mut address, mut nonce) = (None, None, String::new());
        for (key, value) in tags {
            match key {
                "ecomctl:stack" => stack = Some(value.to_owned()),
                "ecomctl:address" => address = value.parse().ok(),
                "ecomctl:nonce" => value.clone_into(&mut nonce),
                _ => (),
            }
        }
        Some(Self { stack: stack?, address: address?, nonce })
    }
}

/// How the provider knows a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The physical name, known before the resource exists.
    pub physical: String,
    /// Whom it belongs to: the tags to write on creation.
    pub owner: Owner,
    /// The provider's own identifier, once known.
    pub id: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Topic;
    impl Kinded for Topic {
        const KIND: &'static str = "topic";
    }

    #[test]
    fn references_are_found_where_they_stand() {
        let spec = json!({
            "topic": Ref::<Topic>::new("orders"),
            "weak": [NameRef(Ref::<Topic>::new("late"))],
            "mentioned": Mention(Ref::<Topic>::new("twin")),
            "any": { "a/b": AnyRef(Address::new("database", "shop")) },
            "out": OutputRef { of: Address::new("bucket", "lake"), output: "url".into() },
        });
        let found = needs(&spec);
        assert_eq!(
            found.iter().map(|it| it.at.as_str()).collect::<Vec<_>>(),
            ["/topic", "/weak/0", "/mentioned", "/any/a~1b", "/out"]
        );
        assert_eq!(found.iter().map(|it| it.weak).collect::<Vec<_>>(), [false, true, true, false, false]);
        assert_eq!(found.iter().filter(|it| it.mention).map(|it| it.at.as_str()).collect::<Vec<_>>(), ["/mentioned"]);
        let written = json!({
            "topic": "orders", "weak": ["late"], "mentioned": "twin", "any": { "a/b": "database.shop" }, "out": "bucket.lake.url",
        });
        assert_eq!(plain(&spec), written);
    }

    #[test]
    fn references_survive_a_round_trip() {
        let there = serde_json::to_value(Ref::<Topic>::new("orders")).expect("a reference serializes");
        let back: Ref<Topic> = serde_json::from_value(there).expect("what it wrote, it reads");
        assert_eq!(back.address().to_string(), "topic.orders");
        let bare: Ref<Topic> = serde_json::from_value(json!("orders")).expect("the file's form");
        assert_eq!(bare.address(), back.address());
        assert!(serde_json::from_value::<Ref<Topic>>(json!({ "$ref": "bucket.orders" })).is_err());
    }

    #[test]
    fn outputs_are_named_by_address_and_word() {
        let output: OutputRef = serde_json::from_value(json!("bucket.lake.url")).expect("the file's form");
        assert_eq!(output, OutputRef { of: Address::new("bucket", "lake"), output: "url".into() });
        let there = serde_json::to_value(&output).expect("a reference serializes");
        assert_eq!(serde_json::from_value::<OutputRef>(there).expect("what it wrote, it reads"), output);
        for wrong in ["bucket", "bucket.lake", "bucket.lake.", ""] {
            assert!(serde_json::from_value::<OutputRef>(json!(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn owner_survives_tags() {
        let owner = Owner { stack: "s".into(), address: Address::new("topic", "orders"), nonce: "n".into() };
        let tags = owner.tags();
        assert_eq!(Owner::from_tags(tags.iter().map(|(k, v)| (*k, v.as_str()))), Some(owner));
        assert_eq!(Owner::from_tags([("team", "data")]), None);
    }
}
