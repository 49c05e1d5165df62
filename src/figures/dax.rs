//! Power BI's formulas: whether one can be read, and what it refers to. Computes nothing.
//!
//! The grammar is that of DAX expressions (no queries): operators, calls, `VAR … RETURN`, lists in braces. It knows the
//! names of functions, so that a misspelled one is a mistake, and not the number or types of their arguments.

use std::{collections::BTreeSet, ops::Range};

mod names;
mod word;

use names::{CONSTANTS, FUNCTIONS};
use word::{Word, words};

/// What cannot be read, and where in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) span: Range<usize>,
    pub(crate) message: String,
}

/// What a formula refers to, and where in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) span: Range<usize>,
    pub(crate) to: Target,
}

/// What is referred to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    /// A table.
    Table(String),
    /// A column of a table.
    Column(String, String),
    /// A measure.
    Measure(String),
}

/// Reads a formula and returns what it refers to.
///
/// # Errors
/// The first thing that cannot be read.
pub(crate) fn references(text: &str) -> Result<Vec<Reference>, Fault> {
    let last = text.char_indices().next_back().map_or(0, |it| it.0);
    let end = last..text.len();
    let mut parser = Parser { words: words(text)?, at: 0, end, depth: 0, known: Vec::new(), found: Vec::new() };
    parser.expression()?;
    match parser.peek() {
        None => Ok(parser.found),
        Some(_) => Err(parser.unexpected("the end of the formula")),
    }
}

/// Reads `Table[Column]` or the title of a measure, as fields of visuals and joins are written.
pub(crate) fn field(text: &str) -> Option<Target> {
    if let Some(inner) = text.strip_suffix(']') {
        let (table, column) = inner.split_once('[')?;
        let table = table.strip_prefix('\'').and_then(|it| it.strip_suffix('\'')).unwrap_or(table);
        let fits = !table.is_empty() && !column.is_empty();
        return fits.then(|| Target::Column(table.to_owned(), column.to_owned()));
    }
    (!text.is_empty() && !text.contains('[')).then(|| Target::Measure(text.to_owned()))
}

/// How deep a formula may be nested: deeper than any that a person writes.
const DEEPEST: usize = 100;

/// What joins two values.
const OPERATORS: [&str; 15] = ["=", "==", "<>", "<", ">", "<=", ">=", "&&", "||", "&", "+", "-", "*", "/", "^"];

struct Parser {
    words: Vec<(Word, Range<usize>)>,
    at: usize,
    /// The last letter.
    end: Range<usize>,
    depth: usize,
    /// The variables in sight.
    known: Vec<String>,
    found: Vec<Reference>,
}

impl Parser {
    fn peek(&self) -> Option<&Word> {
        self.words.get(self.at).map(|it| &it.0)
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.peek(), Some(Word::Sign(it)) if *it == sign)
    }

    fn is_name(&self, name: &str) -> bool {
        matches!(self.peek(), Some(Word::Name(it)) if it.eq_ignore_ascii_case(name))
    }

    fn take(&mut self, sign: &str) -> bool {
        let there = self.is(sign);
        self.at += usize::from(there);
        there
    }

    fn must(&mut self, sign: &'static str) -> Result<(), Fault> {
        if self.take(sign) { Ok(()) } else { Err(self.unexpected(&format!("`{sign}`"))) }
    }

    fn unexpected(&self, wanted: &str) -> Fault {
        match self.words.get(self.at) {
            Some((word, span)) => {
                Fault { span: span.clone(), message: format!("expected {wanted}, found {}", word.shown()) }
            }
            None => {
                Fault { span: self.end.clone(), message: format!("expected {wanted}, found the end of the formula") }
            }
        }
    }

    /// `VAR name = … RETURN …`, or one value.
    fn expression(&mut self) -> Result<(), Fault> {
        if self.depth == DEEPEST {
            return Err(Fault { message: format!("nested more than {DEEPEST} deep"), ..self.unexpected("") });
        }
        self.depth += 1;
        let done = self.inner();
        self.depth -= 1;
        done
    }

    fn inner(&mut self) -> Result<(), Fault> {
        let outside = self.known.len();
        while self.is_name("VAR") {
            self.at += 1;
            let Some(Word::Name(name)) = self.peek().cloned() else {
                return Err(self.unexpected("the name of a variable"));
            };
            self.at += 1;
            self.must("=")?;
            self.expression()?;
            self.known.push(name.to_lowercase());
            if !self.is_name("VAR") && !self.is_name("RETURN") {
                return Err(self.unexpected("`RETURN`"));
            }
        }
        if self.known.len() > outside {
            // The loop above ends before it.
            self.at += 1;
        }
        self.chain()?;
        self.known.truncate(outside);
        Ok(())
    }

    /// Values joined by operators. Which binds stronger does not matter here.
    fn chain(&mut self) -> Result<(), Fault> {
        loop {
            while self.is("-") || self.is("+") || self.is_name("NOT") && !self.calls() {
                self.at += 1;
            }
            self.value()?;
            match self.peek() {
                Some(Word::Sign(it)) if OPERATORS.contains(it) => self.at += 1,
                Some(Word::Name(it)) if it.eq_ignore_ascii_case("IN") => self.at += 1,
                _ => return Ok(()),
            }
        }
    }

    /// Whether the name at hand is called.
    fn calls(&self) -> bool {
        matches!(self.words.get(self.at + 1), Some((Word::Sign("("), _)))
    }

    fn value(&mut self) -> Result<(), Fault> {
        let Some((word, span)) = self.words.get(self.at).cloned() else { return Err(self.unexpected("a value")) };
        match word {
            Word::Number | Word::Text => self.at += 1,
            Word::Sign("(") => {
                self.at += 1;
                self.list(")")?;
            }
            Word::Sign("{") => {
                self.at += 1;
                self.list("}")?;
            }
            Word::Bracket(name) => {
                self.at += 1;
                self.found.push(Reference { span, to: Target::Measure(name) });
            }
            Word::Quoted(table) => self.of_table(table, span),
            Word::Name(name) if self.calls() => {
                if !FUNCTIONS.contains(&name.to_uppercase().as_str()) {
                    return Err(Fault { span, message: format!("there is no function `{name}`") });
                }
                self.at += 2;
                self.arguments()?;
            }
            Word::Name(name) => {
                let is_column =
                    matches!(self.words.get(self.at + 1), Some((Word::Bracket(_), it)) if it.start == span.end);
                let is_word = CONSTANTS.contains(&name.to_uppercase().as_str());
                if !is_column && (self.known.contains(&name.to_lowercase()) || is_word) {
                    self.at += 1;
                } else {
                    self.of_table(name, span);
                }
            }
            Word::Sign(_) => return Err(self.unexpected("a value")),
        }
        Ok(())
    }

    /// A table, or a column of it where one follows.
    fn of_table(&mut self, table: String, span: Range<usize>) {
        self.at += 1;
        match self.words.get(self.at).cloned() {
            Some((Word::Bracket(column), end)) if end.start == span.end => {
                self.at += 1;
                self.found.push(Reference { span: span.start..end.end, to: Target::Column(table, column) });
            }
            _ => self.found.push(Reference { span, to: Target::Table(table) }),
        }
    }

    /// One value or more, between commas.
    fn list(&mut self, end: &'static str) -> Result<(), Fault> {
        loop {
            self.expression()?;
            if !self.take(",") {
                return self.must(end);
            }
        }
    }

    /// Arguments, any of which may be left out.
    fn arguments(&mut self) -> Result<(), Fault> {
        loop {
            if !self.is(",") && !self.is(")") {
                self.expression()?;
            }
            if !self.take(",") {
                return self.must(")");
            }
        }
    }
}

/// The measures that these formulas need, of those given, each with what it needs: the titles of one circle, where there
/// is one.
pub(crate) fn circle<'a>(of: impl Fn(&str) -> Option<&'a [Reference]>, from: &str) -> Option<Vec<String>> {
    fn walk<'a>(
        of: &impl Fn(&str) -> Option<&'a [Reference]>,
        name: &str,
        path: &mut Vec<String>,
        done: &mut BTreeSet<String>,
    ) -> bool {
        if path.iter().any(|it| it == name) {
            path.push(name.to_owned());
            return true;
        }
        if !done.insert(name.to_owned()) {
            return false;
        }
        path.push(name.to_owned());
        for it in of(name).unwrap_or_default() {
            if let Target::Measure(next) = &it.to
                && walk(of, next, path, done)
            {
                return true;
            }
        }
        path.pop();
        false
    }
    let mut path = Vec::new();
    walk(&of, from, &mut path, &mut BTreeSet::new()).then_some(path)
}

#[cfg(test)]
mod tests;
