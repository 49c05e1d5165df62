//! Reads the text of a stack file into a tree. Knows YAML; knows nothing of stacks.
//!
//! Of YAML 1.2 everything is read but what stack files do without: anchors, aliases, tags, merge keys, several
//! documents, keys that are no plain words.

use std::{ops::Range, sync::Arc};

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, StructureStyle, options};
use indexmap::{IndexMap, map};

use super::{
    mistake::{Code, Mistake},
    near::quote,
    scalar,
    source::{Place, Source},
    tree::{Data, Entry, Node},
};

/// How deeply maps and lists may nest.
const DEEPEST: usize = 32;

/// Reads a file. `None` where it is no map: then the mistakes say why.
pub(super) fn read(source: &Arc<Source>, mistakes: &mut Vec<Mistake>) -> Option<Node> {
    let options = options! {
        block_nesting_limit: DEEPEST,
        flow_nesting_limit: DEEPEST,
        emit_unresolved_aliases: true,
        emit_anchor_events: true,
        emit_comments: false,
    };
    let mut reader = Reader { source, mistakes, open: Vec::new(), root: None, documents: 0 };
    for event in Parser::new_from_str_with_options(source.text(), options) {
        match event {
            Ok((event, span)) => {
                let tag = span.tag_span().and_then(|it| it.byte_range());
                if !reader.take(&event, span.byte_range().unwrap_or_default(), tag) {
                    break;
                }
            }
            Err(err) => {
                let mistake = syntax(source, &err);
                reader.mistakes.push(mistake);
                return None;
            }
        }
    }
    let empty = || Node::new(Data::Map(IndexMap::new()), Place::new(source, 0..0));
    match reader.root {
        None => Some(empty()),
        Some(it) if it.is_null() => Some(empty()),
        Some(it) if it.map().is_some() => Some(it),
        Some(it) => {
            let mistake = Mistake::new(Code::WrongType, "a stack file must be a map").at(&it.place, "expected keys");
            mistakes.push(mistake.help("it starts with `extends:`, `stack:` or `resources:`".to_owned()));
            None
        }
    }
}

/// Turns the events of the parser into a tree.
struct Reader<'a> {
    source: &'a Arc<Source>,
    mistakes: &'a mut Vec<Mistake>,
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
}

/// A map or list that is being read.
enum Open {
    List(Vec<Node>, Place),
    Map(IndexMap<String, Entry>, Place, Key),
}

/// What is known of the next entry of a map.
enum Key {
    /// The key comes next.
    Awaited,
    /// The value comes next.
    Read(String, Place),
    /// The value comes next, and is of no use.
    Refused,
}

impl Reader<'_> {
    /// Takes one event. Returns whether to go on.
    fn take(&mut self, event: &Event<'_>, span: Range<usize>, tag: Option<Range<usize>>) -> bool {
        let place = self.place(&span);
        if let Some(tag) = tag {
            let tag = self.place(&tag);
            let help = if tag.text() == "!!str" { "put the value in quotes" } else { "leave it out" };
            self.refuse("tags are not used in stack files", &tag, help);
        }
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    self.refuse("a stack file is one document", &place, "put each stack in a file of its own");
                    return false;
                }
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                if !matches!(self.open.last(), Some(Open::Map(_, _, Key::Refused))) {
                    let help = "write the value out, or share it through `extends`";
                    self.refuse("aliases are not used in stack files", &place, help);
                }
                self.value(Node::new(Data::Unusable, place), true);
            }
            Event::Anchor(..) => self.refuse("anchors are not used in stack files", &place, "leave it out"),
            Event::Scalar(text, style, _, tag) => {
                if let Some(Open::Map(_, _, Key::Awaited)) = self.open.last() {
                    self.key(text, *style, place);
                } else {
                    let data = if tag.is_some() { Data::Unusable } else { self.scalar(text, *style, &place) };
                    let empty = place.span().is_empty();
                    self.value(Node::new(data, place), empty);
                }
            }
            Event::SequenceStart(style, ..) => {
                let place = self.opening(*style, place);
                self.open.push(Open::List(Vec::new(), place));
            }
            Event::MappingStart(style, ..) => {
                let place = self.opening(*style, place);
                self.open.push(Open::Map(IndexMap::new(), place, Key::Awaited));
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let end = place;
                let (data, place) = match self.open.pop() {
                    Some(Open::List(items, place)) => (Data::List(items), place),
                    Some(Open::Map(entries, place, _)) => (Data::Map(entries), place),
                    None => return false,
                };
                // A flow collection ends with its bracket; where a block collection ends, nothing stands.
                let (from, to) = (place.span().start, end.span());
                let place = if to.is_empty() { place } else { self.place(&(from..to.end)) };
                self.value(Node::new(data, place), false);
            }
            _ => (),
        }
        true
    }

    /// Takes the key of an entry.
    fn key(&mut self, text: &str, style: ScalarStyle, place: Place) {
        let plain = style == ScalarStyle::Plain;
        let key = if plain && place.span().is_empty() {
            self.mistakes.push(Mistake::new(Code::Syntax, "a key is missing").at(&place, "before this `:`"));
            Key::Refused
        } else if plain && text == "<<" {
            self.refuse("merge keys are not used in stack files", &place, "write the fields out, or use `extends`");
            Key::Refused
        } else {
            Key::Read(text.to_owned(), place)
        };
        if let Some(Open::Map(_, _, slot)) = self.open.last_mut() {
            *slot = key;
        }
    }

    /// Takes a whole value: an item, the value of an entry, or the root. `keyed`: its own place shows nothing.
    fn value(&mut self, mut node: Node, keyed: bool) {
        match self.open.last_mut() {
            None if self.root.is_none() => self.root = Some(node),
            None => (),
            Some(Open::List(items, _)) => items.push(node),
            Some(Open::Map(entries, _, slot)) => match std::mem::replace(slot, Key::Awaited) {
                Key::Refused => (),
                Key::Awaited => {
                    *slot = Key::Refused;
                    let mistake = Mistake::new(Code::Unsupported, "a key must be a plain word");
                    self.mistakes.push(mistake.at(&node.place, "not a word"));
                }
                Key::Read(text, key) => match entries.entry(text) {
                    map::Entry::Vacant(it) => {
                        if keyed && node.is_null() {
                            node.place = key.clone();
                        }
                        it.insert(Entry { key, node });
                    }
                    map::Entry::Occupied(it) => {
                        let message = format!("{} stands twice in one map", quote(it.key()));
                        let mistake = Mistake::new(Code::Duplicate, message)
                            .at(&key, "the second")
                            .at(&it.get().key, "the first")
                            .help("keep one of them".to_owned());
                        self.mistakes.push(mistake);
                    }
                },
            },
        }
    }

    /// Reads a scalar by YAML's core schema.
    fn scalar(&mut self, text: &str, style: ScalarStyle, place: &Place) -> Data {
        if style != ScalarStyle::Plain {
            return Data::Text(text.to_owned());
        }
        scalar::resolve(text).unwrap_or_else(|| {
            let message = format!("{} is a number that cannot be used", quote(text));
            let mistake = Mistake::new(Code::InvalidValue, message).at(place, "infinite, not a number, or too large");
            self.mistakes.push(mistake.help("put it in quotes if it is meant as text".to_owned()));
            Data::Unusable
        })
    }

    /// Finds the place that stands for a map or list. One that begins on a line of its own is shown by its key.
    fn opening(&self, style: StructureStyle, place: Place) -> Place {
        match (style, self.open.last()) {
            (StructureStyle::Block, Some(Open::Map(_, _, Key::Read(_, key)))) => key.clone(),
            (StructureStyle::Block, _) => {
                let start = place.span().start;
                let rest = &self.source.text()[start..];
                let word = rest.find(|it: char| it == ':' || it.is_whitespace()).unwrap_or(rest.len());
                self.place(&(start..start + word.max(1)))
            }
            (StructureStyle::Flow, _) => place,
        }
    }

    fn refuse(&mut self, message: &str, place: &Place, help: &str) {
        self.mistakes.push(Mistake::new(Code::Unsupported, message).at(place, "this").help(help.to_owned()));
    }

    fn place(&self, span: &Range<usize>) -> Place {
        Place::new(self.source, span.clone())
    }
}

/// Says in plain words why a text is no YAML.
fn syntax(source: &Arc<Source>, err: &ScanError) -> Mistake {
    let text = source.text();
    let at = err.marker().byte_offset().unwrap_or(text.len()).min(text.len());
    // At the end of the file there is nothing to point at but what came last.
    let at = text.floor_char_boundary(if text[text.floor_char_boundary(at)..].trim().is_empty() {
        text.trim_end().len().saturating_sub(1)
    } else {
        at
    });
    let width = text[at..].chars().next().map_or(0, char::len_utf8);
    let (message, help) = match err.kind() {
        ErrorKind::TabInBlockIndentation | ErrorKind::TabInIndentation | ErrorKind::TabNotAllowed => {
            ("a tab indents this line".to_owned(), Some("indent with spaces"))
        }
        ErrorKind::MappingValueNotAllowed => (
            "a `:` stands where no key can be".to_owned(),
            Some("a text that holds `: ` goes in quotes; otherwise look at the indentation here and above"),
        ),
        ErrorKind::ExpectedBlockMappingKey | ErrorKind::InvalidIndentation | ErrorKind::ExpectedBlockSequenceEntry => {
            ("the indentation fits nothing above".to_owned(), Some("align it with the lines it belongs to"))
        }
        ErrorKind::UnexpectedCharacter { character } if !character.is_control() => {
            (format!("a value cannot begin with `{character}`"), Some("put it in quotes"))
        }
        ErrorKind::UnexpectedCharacter { .. } => ("a control character stands here".to_owned(), Some("remove it")),
        ErrorKind::UnclosedQuotedScalar => ("this quote is never closed".to_owned(), None),
        ErrorKind::UnclosedFlowCollection { open } => (format!("this `{open}` is never closed"), None),
        ErrorKind::InvalidColonPlacement => {
            ("a `:` stands where none can be".to_owned(), Some("is a `[` or `{` before it left open?"))
        }
        ErrorKind::ExpectedFlowMappingSeparator => ("a `,` or `}` is missing before this".to_owned(), None),
        ErrorKind::ExpectedFlowSequenceSeparator => ("a `,` or `]` is missing before this".to_owned(), None),
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => ("a `:` is missing after a key".to_owned(), None),
        ErrorKind::RecursionLimitExceeded => (format!("this nests more than {DEEPEST} levels deep"), None),
        _ => (format!("this is no YAML: {}", err.info().replace('\n', " ")), None),
    };
    Mistake::new(Code::Syntax, message).at(&Place::new(source, at..at + width), "here").help(help.map(str::to_owned))
}
