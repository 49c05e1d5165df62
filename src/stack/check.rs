//! Checks a merged tree: settings, sections, names, and every resource by itself. What lies between resources is
//! checked by [`super::links`].

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    Definition, Settings,
    mistake::{Code, Mistake},
    near::{nearest, quote, suggest},
    schema::{Catalog, META, Meta},
    shape::{Finding, Shape},
    source::Place,
    tree::{Data, Entry, Node},
};
use crate::{
    address::{self, Address, Need},
    resource::{Kind, kind},
};

/// What stands in a file under an address, whether it can be used or not.
pub(super) struct Found<'a> {
    /// Where it is defined.
    pub entry: &'a Entry,
    /// What it refers to.
    pub needs: Vec<Need>,
    /// What it is called now, when it says that it was renamed.
    pub renamed_from: Option<Address>,
    /// What it is, where nothing is wrong with it.
    pub definition: Option<Definition>,
}

/// What a tree holds.
#[derive(Default)]
pub(super) struct Contents<'a> {
    /// Where and how it is deployed.
    pub settings: Settings,
    /// Its resources.
    pub resources: BTreeMap<Address, Found<'a>>,
    /// What stands under a misspelled kind: it is meant to be there, so that references to it are not blamed.
    pub meant: BTreeSet<Address>,
    /// Kinds whose section is no map, so that nobody knows what it was meant to hold.
    pub(super) unread: BTreeSet<String>,
    /// What a file removes, and where.
    pub removed: BTreeMap<Address, Place>,
}

/// Checks a tree.
pub(super) struct Check<'a> {
    kinds: &'a [&'a dyn Kind],
    shapes: BTreeMap<&'static str, Shape>,
    catalog: Catalog,
    mistakes: &'a mut Vec<Mistake>,
}

impl<'a> Check<'a> {
    /// Prepares to check against these kinds.
    pub(super) fn new(kinds: &'a [&'a dyn Kind], mistakes: &'a mut Vec<Mistake>) -> Self {
        Self { kinds, shapes: BTreeMap::new(), catalog: Catalog::new(kinds), mistakes }
    }

    /// Checks everything that a file says.
    pub(super) fn contents<'t>(&mut self, tree: &'t Node) -> Contents<'t> {
        let mut contents = Contents::default();
        for (key, entry) in tree.map().into_iter().flatten() {
            match key.as_str() {
                "stack" => contents.settings = self.settings(entry),
                "resources" => self.sections(entry, &mut contents),
                _ => {
                    let help = match kind(self.kinds, key) {
                        Some(_) => "kinds stand under `resources:`".to_owned(),
                        None => suggest(key, ["extends", "stack", "resources"], "sections"),
                    };
                    let message = format!("a stack file has no section {}", quote(key));
                    self.mistakes
                        .push(Mistake::new(Code::UnknownSection, message).at(&entry.key, "no such section").help(help));
                }
            }
        }
        contents
    }

    /// Checks the settings alone.
    pub(super) fn settings_of(&mut self, tree: &Node) -> Settings {
        tree.entry("stack").map(|it| self.settings(it)).unwrap_or_default()
    }

    fn settings(&mut self, entry: &Entry) -> Settings {
        if entry.node.is_null() || !self.is_map(entry, "`stack`") {
            return Settings::default();
        }
        let value = entry.node.json();
        let findings = Shape::new(self.catalog.settings()).findings("the `stack` section", &value);
        if !findings.is_empty() {
            self.report(entry, findings);
            return Settings::default();
        }
        let settings = serde_json::from_value::<Settings>(value).unwrap_or_else(|err| {
            let message = format!("the `stack` section cannot be used: {err}");
            self.mistakes.push(Mistake::new(Code::InvalidValue, message).at(&entry.key, "this section"));
            Settings::default()
        });
        for key in settings.tags.keys().filter(|it| it.starts_with("ecomctl:") || it.starts_with("aws:")) {
            let key = entry.node.entry("tags").and_then(|it| it.node.entry(key)).map_or(&entry.key, |it| &it.key);
            let mistake = Mistake::new(Code::InvalidValue, format!("the tag {} is reserved", quote(key.text())));
            let help = "tags that begin with `ecomctl:` or `aws:` are set by ecomctl and AWS".to_owned();
            self.mistakes.push(mistake.at(key, "reserved").help(help));
        }
        settings
    }

    fn sections<'t>(&mut self, entry: &'t Entry, contents: &mut Contents<'t>) {
        if entry.node.is_null() || !self.is_map(entry, "`resources`") {
            return;
        }
        for (section, entry) in entry.node.map().into_iter().flatten() {
            let names = || entry.node.map().into_iter().flatten().map(|it| it.0);
            let Some(kind) = kind(self.kinds, section) else {
                let kinds = self.kinds.iter().map(|it| it.name());
                let meant = nearest(section, kinds.clone());
                contents.meant.extend(meant.into_iter().flat_map(|kind| names().map(move |it| Address::new(kind, it))));
                let message = format!("there is no kind of resource called {}", quote(section));
                let help = suggest(section, kinds, "kinds");
                self.mistakes.push(Mistake::new(Code::UnknownKind, message).at(&entry.key, "no such kind").help(help));
                continue;
            };
            if entry.node.is_null() {
                continue;
            }
            if !self.is_map(entry, &format!("`{section}`")) {
                contents.unread.insert(section.clone());
                continue;
            }
            for (name, entry) in entry.node.map().into_iter().flatten() {
                let address = Address::new(section, name);
                if entry.node.is_null() && !entry.node.overrode.is_empty() {
                    contents.removed.insert(address, entry.node.place.clone());
                    continue;
                }
                let found = self.resource(kind, &address, entry);
                contents.resources.insert(address, found);
            }
        }
    }

    fn resource<'t>(&mut self, kind: &dyn Kind, address: &Address, entry: &'t Entry) -> Found<'t> {
        let mut found = Found { entry, needs: Vec::new(), renamed_from: None, definition: None };
        let named = self.name(address, &entry.key);
        if entry.node.is_null() {
            let message = format!("{address} is empty, and there is nothing that it could remove");
            let help = format!("write `{}: {{}}` for one with nothing but defaults", address.name);
            self.mistakes.push(Mistake::new(Code::Empty, message).at(&entry.node.place, "empty").help(help));
            return found;
        }
        if !self.is_map(entry, &address.to_string()) {
            return found;
        }
        let catalog = &self.catalog;
        let shape =
            self.shapes.entry(kind.name()).or_insert_with(|| Shape::new(catalog.kind(kind.name()).unwrap_or_default()));
        let mut value = entry.node.json();
        let findings = shape.findings(&address.to_string(), &value);
        let broken = !findings.is_empty();
        if broken {
            found.needs = shape.references(&value);
            self.report(entry, findings);
        }
        let meta = split(&mut value);
        found.renamed_from = meta.renamed_from.as_deref().and_then(|it| it.parse().ok());
        if broken || unusable(&entry.node) {
            return found;
        }
        let spec = match kind.parse(value) {
            Ok(it) => it,
            Err(err) => {
                self.unread(address, entry, &err);
                return found;
            }
        };
        found.needs = address::needs(&spec);
        let after = meta.after.into_iter().enumerate();
        found.needs.extend(after.map(|(i, to)| Need {
            to: to.0,
            weak: false,
            mention: false,
            output: None,
            at: format!("/after/{i}"),
        }));
        if self.flaws(kind, address, entry, &spec) && named {
            found.definition = Some(Definition {
                spec,
                needs: found.needs.clone(),
                protect: meta.protect,
                renamed_from: found.renamed_from.clone(),
                origin: entry.key.origin(),
            });
        }
        found
    }

    /// Says why a kind cannot read what its schema allows.
    fn unread(&mut self, address: &Address, entry: &Entry, err: &serde_path_to_error::Error<serde_json::Error>) {
        let pointer = err.path().iter().fold(String::new(), |at, step| match step {
            serde_path_to_error::Segment::Seq { index } => format!("{at}/{index}"),
            serde_path_to_error::Segment::Map { key } => super::tree::join(&at, key),
            _ => at,
        });
        let message = match super::tree::dotted(&pointer) {
            at if at.is_empty() => format!("{address} cannot be used: {}", err.inner()),
            at => format!("`{at}` of {address} cannot be used: {}", err.inner()),
        };
        let at = place(entry, &pointer);
        self.mistakes.push(Mistake::new(Code::InvalidValue, message).at(&at, "this"));
    }

    /// Asks a kind what is wrong with the values. Returns whether nothing is.
    fn flaws(&mut self, kind: &dyn Kind, address: &Address, entry: &Entry, spec: &Value) -> bool {
        let flaws = match kind.check(spec) {
            Ok(it) => it,
            Err(err) => {
                let mistake = Mistake::new(Code::InvalidValue, format!("{address} cannot be used: {err}"));
                self.mistakes.push(mistake.at(&entry.key, "this resource"));
                return false;
            }
        };
        for flaw in &flaws {
            let label = match super::tree::dotted(&flaw.at) {
                at if at.is_empty() => "this resource".to_owned(),
                at => format!("`{at}` of {address}"),
            };
            let mistake = Mistake::new(Code::InvalidValue, flaw.message.clone());
            self.mistakes.push(mistake.at(&place(entry, &flaw.at), label).help(flaw.help.clone()));
        }
        flaws.is_empty()
    }

    /// Checks the name of a resource. Returns whether it fits.
    fn name(&mut self, address: &Address, key: &Place) -> bool {
        let part = |it: &str| !it.is_empty() && it.chars().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit());
        let starts = address.name.starts_with(|it: char| it.is_ascii_lowercase());
        let short = address.name.len() <= super::LONGEST;
        if starts && short && address.name.split('_').all(part) {
            return true;
        }
        let better = address.name.to_lowercase().replace(['-', ' ', '.'], "_");
        let fits = better != address.name
            && better.starts_with(|it: char| it.is_ascii_lowercase())
            && better.split('_').all(part)
            && better.len() <= super::LONGEST;
        let message = format!("{} cannot be the name of a {}", quote(&address.name), address.kind);
        let mistake = Mistake::new(Code::InvalidName, message).at(key, if short { "this name" } else { "too long" });
        let rule = format!(
            "a name has lower-case letters, digits and single underscores, and at most {} of them",
            super::LONGEST
        );
        self.mistakes.push(mistake.help(if fits { format!("did you mean `{better}`? {rule}") } else { rule }));
        false
    }

    fn is_map(&mut self, entry: &Entry, what: &str) -> bool {
        if entry.node.map().is_none() && entry.node.data != Data::Unusable {
            let mistake =
                Mistake::new(Code::WrongType, format!("{what} must be a map")).at(&entry.node.place, "expected keys");
            self.mistakes.push(mistake);
        }
        entry.node.map().is_some()
    }

    /// Finds the places of what a schema complains about. What lies in something unusable was said already.
    fn report(&mut self, entry: &Entry, findings: Vec<Finding>) {
        for it in findings {
            let (node, _) = entry.node.walk(&it.at);
            if node.data == Data::Unusable {
                continue;
            }
            let inner = it.key.as_ref().and_then(|key| node.entry(key));
            let mistake = Mistake::new(it.code, it.message);
            let mistake = match inner {
                // The field that is missing stands there, with nothing in it.
                Some(inner) if it.code == Code::MissingField => {
                    let removed = if inner.node.overrode.is_empty() { "empty" } else { "removed here" };
                    mistake.at(&inner.node.place, removed)
                }
                Some(inner) => mistake.at(&inner.key, it.label),
                None => mistake.at(&place(entry, &it.at), it.label),
            };
            self.mistakes.push(mistake.help(it.help));
        }
    }
}

/// Takes the fields that all kinds have out of a spec. What does not fit is left out: it was complained about.
fn split(value: &mut Value) -> Meta {
    let Some(map) = value.as_object_mut() else { return Meta::default() };
    let meta = META.iter().filter_map(|it| Some(((*it).to_owned(), map.shift_remove(*it)?))).collect();
    serde_json::from_value(Value::Object(meta)).unwrap_or_default()
}

/// Says whether something within was complained about already.
fn unusable(node: &Node) -> bool {
    match &node.data {
        Data::Unusable => true,
        Data::List(it) => it.iter().any(unusable),
        Data::Map(it) => it.values().any(|it| unusable(&it.node)),
        _ => false,
    }
}

/// Finds the place of a field, or of what holds it where the file does not set it.
pub(super) fn place(entry: &Entry, pointer: &str) -> Place {
    let (node, _) = entry.node.walk(pointer);
    if std::ptr::eq(node, &raw const entry.node) { entry.key.clone() } else { node.place.clone() }
}
