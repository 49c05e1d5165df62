//! Explains where the values of a stack come from.

use std::path::Path;

use serde_json::Value;

use super::{
    Loaded, Origin, Rejected, loaded,
    mistake::{Code, Mistake},
    near::{quote, suggest},
    schema::Catalog,
    shape::Shape,
    source::Place,
    tree::{Data, Node, dotted, join},
};
use crate::{
    address::{Address, plain},
    resource::Kind,
};

/// What is to be known of a resource, of a field, or of the settings.
#[derive(Debug)]
pub struct Explanation {
    /// What was asked for: `function.ingest` or `stack`.
    pub subject: String,
    /// What it is for, in the words of its kind.
    pub about: Option<String>,
    /// Where it is defined.
    pub origin: Option<Origin>,
    /// Its fields, or the one that was asked for.
    pub fields: Vec<Explained>,
}

/// One value.
#[derive(Debug)]
pub struct Explained {
    /// The path within the resource, such as `environment.LOG_LEVEL`.
    pub field: String,
    /// The value that holds. Null where it is not set.
    pub value: Value,
    /// Where it is said; `None` where it is a default.
    pub origin: Option<Origin>,
    /// What other files say, nearest first.
    pub overrode: Vec<Overrode>,
    /// What the field is for.
    pub about: Option<String>,
}

/// A value that another file overrides.
#[derive(Debug)]
pub struct Overrode {
    /// The value.
    pub value: Value,
    /// Where it is said.
    pub origin: Origin,
}

/// Explains a resource (`function.ingest`), one of its fields (`function.ingest.memory`), or the settings (`stack`,
/// `stack.region`).
///
/// # Errors
/// The stack's mistakes; or that there is nothing of this name, with what there is.
pub fn explain(root: &Path, stack: &str, target: &str, kinds: &[&dyn Kind]) -> Result<Explanation, Rejected> {
    let Loaded { stack, tree } = loaded(root, stack, kinds)?;
    let none = |message: String, help: String| {
        Rejected::new(&stack.name, vec![Mistake::new(Code::NotFound, message).help(help)])
    };
    let catalog = Catalog::new(kinds);
    if let Some(path) = target.strip_prefix("stack").filter(|it| it.is_empty() || it.starts_with('.')) {
        let value = serde_json::to_value(&stack.settings).unwrap_or_default();
        let shape = Shape::new(catalog.settings());
        let entry = tree.entry("stack");
        let subject = Subject { shape: &shape, node: entry.map(|it| &it.node), value: &value };
        let fields = subject.explain(path).map_err(|it| none(it.message("`stack`"), it.help))?;
        let origin = entry.map(|it| it.key.origin());
        return Ok(Explanation { subject: "stack".into(), about: None, origin, fields });
    }
    let mut parts = target.splitn(3, '.');
    let address = Address::new(parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let path = parts.next().map(|it| format!(".{it}")).unwrap_or_default();
    let Some(definition) = stack.resources.get(&address) else {
        let all: Vec<String> = stack.resources.keys().map(ToString::to_string).collect();
        let help = suggest(&address.to_string(), all.iter().map(String::as_str), "resources");
        return Err(none(format!("stack `{}` has no {}", stack.name, quote(&address.to_string())), help));
    };
    let entry = ["resources", &address.kind, &address.name].iter().try_fold((&tree, None), |(node, _), key| {
        let entry = node.entry(key)?;
        Some((&entry.node, Some(entry)))
    });
    let mut value = plain(&definition.spec);
    if let Some(map) = value.as_object_mut() {
        map.insert("protect".into(), definition.protect.into());
        map.insert("renamed_from".into(), definition.renamed_from.as_ref().map(ToString::to_string).into());
        let after = definition.needs.iter().filter(|it| it.at.starts_with("/after/")).map(|it| it.to.to_string());
        map.insert("after".into(), after.collect());
    }
    let shape = Shape::new(catalog.kind(&address.kind).unwrap_or_default());
    let subject = Subject { shape: &shape, node: entry.map(|it| it.0), value: &value };
    let fields = subject.explain(&path).map_err(|it| none(it.message(&address.to_string()), it.help))?;
    let about = shape.about("").map(str::to_owned);
    Ok(Explanation { subject: address.to_string(), about, origin: Some(definition.origin.clone()), fields })
}

/// What a path did not find.
struct Missing {
    field: String,
    help: String,
}

impl Missing {
    fn message(&self, subject: &str) -> String {
        format!("{subject} has no field {}", quote(&self.field))
    }
}

struct Subject<'a> {
    shape: &'a Shape,
    node: Option<&'a Node>,
    value: &'a Value,
}

impl Subject<'_> {
    fn explain(&self, path: &str) -> Result<Vec<Explained>, Missing> {
        let pointer = self.pointer(path.trim_start_matches('.'))?;
        let mut fields = Vec::new();
        let value = self.value.pointer(&pointer).unwrap_or(&Value::Null);
        self.leaves(&pointer, value, &mut fields);
        Ok(fields)
    }

    /// Turns `environment.LOG_LEVEL` or `columns[2].type` into a JSON pointer. Keys may hold dots.
    fn pointer(&self, path: &str) -> Result<String, Missing> {
        let path = path.replace('[', ".").replace(']', "");
        let mut pointer = String::new();
        let mut rest = path.as_str();
        while !rest.is_empty() {
            let value = self.value.pointer(&pointer).unwrap_or(&Value::Null);
            let fields = self.shape.fields(&pointer);
            let known = |it: &&str| fields.contains(it) || value.get(it).is_some() || is_index(value, it);
            let ends = rest.match_indices('.').map(|it| it.0).chain([rest.len()]);
            let step = ends.map(|it| &rest[..it]).filter(known).max_by_key(|it| it.len());
            let Some(step) = step else {
                let field = rest.split('.').next().unwrap_or(rest);
                let keys = value.as_object().into_iter().flat_map(|it| it.keys().map(String::as_str));
                let mut all: Vec<&str> = fields.iter().copied().chain(keys).collect();
                all.sort_unstable();
                all.dedup();
                let help = suggest(field, all, "fields");
                return Err(Missing { field: dotted(&join(&pointer, field)), help });
            };
            pointer = join(&pointer, step);
            rest = rest[step.len()..].trim_start_matches('.');
        }
        Ok(pointer)
    }

    /// Collects what is beneath a field. Maps are opened; lists are not, because they are overridden as a whole.
    fn leaves(&self, at: &str, value: &Value, found: &mut Vec<Explained>) {
        if let Value::Object(map) = value
            && (!map.is_empty() || at.is_empty())
        {
            map.iter().for_each(|(key, it)| self.leaves(&join(at, key), it, found));
            // What a file removes from a map of free keys is worth telling too.
            let entries = self.node.and_then(|it| it.find(at)?.map()).into_iter().flatten();
            let removed = entries.filter(|(key, it)| it.node.is_null() && !map.contains_key(*key));
            removed.for_each(|(key, _)| self.leaves(&join(at, key), &Value::Null, found));
            return;
        }
        let node = self.node.and_then(|it| it.find(at));
        let set = node.filter(|it| !it.is_null());
        found.push(Explained {
            field: dotted(at),
            value: set.map_or_else(|| value.clone(), Node::json),
            origin: node.map(|it| it.place.origin()),
            overrode: node.into_iter().flat_map(|it| &it.overrode).map(overrode).collect(),
            about: self.shape.about(at).map(str::to_owned),
        });
    }
}

fn overrode(node: &Node) -> Overrode {
    let place: &Place = &node.place;
    let value = if matches!(node.data, Data::Null) { Value::Null } else { node.json() };
    Overrode { value, origin: place.origin() }
}

fn is_index(value: &Value, step: &str) -> bool {
    step.parse::<usize>().is_ok_and(|i| value.get(i).is_some())
}
