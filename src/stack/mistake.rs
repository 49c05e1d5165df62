//! Mistakes in stack files, and the error that holds all of them.

use std::{collections::BTreeSet, fmt, path::PathBuf};

use miette::{Diagnostic, LabeledSpan, SourceCode};
use serde::{Serialize, Serializer, ser::SerializeStruct as _};
use serde_json::{Value, json};

use super::{near::harmless, source::Place};

/// How many mistakes are shown at most.
pub const SHOWN: usize = 50;

/// Defines the sorts of mistake with their codes.
macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident = $text:literal,)*) => {
        /// The sort of a mistake.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code { $($(#[$doc])* $code,)* }

        impl Code {
            /// Returns the code as it is shown.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$code => concat!("stack::", $text),)* }
            }
        }
    };
}

codes! {
    /// There is no stack, resource or field of the name given on the command line.
    NotFound = "not_found",
    /// The file cannot be read.
    Unreadable = "unreadable",
    /// The file is no YAML.
    Syntax = "syntax",
    /// The YAML uses what stack files do without: anchors, tags, several documents.
    Unsupported = "unsupported",
    /// A key stands twice in one map.
    Duplicate = "duplicate_key",
    /// What `extends` names is not there, or leads back to the file.
    Extends = "extends",
    /// A section at the top of the file is not known.
    UnknownSection = "unknown_section",
    /// There is no such kind of resource.
    UnknownKind = "unknown_kind",
    /// The kind has no such field.
    UnknownField = "unknown_field",
    /// A field must be set.
    MissingField = "missing_field",
    /// The value is of the wrong type.
    WrongType = "wrong_type",
    /// The value is of the right type, and cannot be used.
    InvalidValue = "invalid_value",
    /// The name of a stack or resource does not fit the rule for names.
    InvalidName = "invalid_name",
    /// A resource is empty, or removes what is not there.
    Empty = "empty_resource",
    /// A reference points at nothing.
    UnknownReference = "unknown_reference",
    /// Resources need each other.
    Cycle = "cycle",
    /// A resource is said to be another that is still there.
    Renamed = "renamed_from",
}

/// One mistake, with the place that holds it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Mistake {
    code: Code,
    message: String,
    labels: Vec<(Place, String)>,
    help: Vec<String>,
}

impl Mistake {
    /// Starts a mistake that stands in no file.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: harmless(&message.into()), labels: Vec::new(), help: Vec::new() }
    }

    /// Points at a place. The first is where the mistake is; more explain it.
    #[must_use]
    pub fn at(mut self, place: &Place, label: impl Into<String>) -> Self {
        self.labels.push((place.clone(), harmless(&label.into())));
        self
    }

    /// Says what to do. More than one is shown line by line.
    #[must_use]
    pub fn help(mut self, help: impl Into<Option<String>>) -> Self {
        self.help.extend(help.into().map(|it| harmless(&it)));
        self
    }

    /// Returns the sort of mistake.
    pub fn code(&self) -> Code {
        self.code
    }

    /// Returns where the mistake is; `None` where it stands in no file.
    pub fn place(&self) -> Option<&Place> {
        self.labels.first().map(|it| &it.0)
    }

    /// Lists the labels that lie in another file than the mistake itself.
    fn elsewhere(&self) -> impl Iterator<Item = &(Place, String)> {
        let first = self.place();
        self.labels.iter().filter(move |it| first.is_some_and(|first| !it.0.beside(first)))
    }

    fn advice(&self) -> Option<String> {
        let elsewhere = self.elsewhere().map(|(place, label)| format!("{place}: {label}"));
        let lines: Vec<String> = self.help.iter().cloned().chain(elsewhere).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    fn json(&self) -> Value {
        let labels = self.labels.iter().map(|(place, label)| {
            let (origin, span) = (place.origin(), place.span());
            json!({
                "file": origin.file, "line": origin.line, "column": origin.column,
                "offset": span.start, "length": span.len(), "label": label,
            })
        });
        json!({
            "code": self.code.as_str(), "message": self.message,
            "help": (!self.help.is_empty()).then(|| self.help.join("\n")),
            "labels": labels.collect::<Vec<_>>(),
        })
    }

    /// What makes it the same mistake when two stacks share the file that holds it.
    fn identity(&self) -> (Option<(PathBuf, usize)>, String) {
        (self.place().map(|it| (it.source().path().clone(), it.span().start)), self.message.clone())
    }
}

impl Diagnostic for Mistake {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.code.as_str()))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.advice().map(|it| Box::new(it) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.place().map(|it| &**it.source() as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let first = self.place()?;
        let here = self.labels.iter().filter(|it| it.0.beside(first)).enumerate().map(|(i, (place, label))| {
            let (span, text) = (place.shown(), Some(label.clone()));
            match i {
                0 => LabeledSpan::new_primary_with_span(text, span),
                _ => LabeledSpan::new_with_span(text, span),
            }
        });
        Some(Box::new(here))
    }
}

/// Says that a stack cannot be used: every mistake, at once.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.summary())]
pub struct Rejected {
    stacks: Vec<String>,
    mistakes: Vec<Mistake>,
    hidden: usize,
}

impl Rejected {
    /// Collects the mistakes of a stack: each once, in the order of files and lines.
    pub fn new(stack: &str, mut mistakes: Vec<Mistake>) -> Self {
        let file = |it: &Mistake| it.place().map(|it| (it.source().path().clone(), it.span().start));
        mistakes.sort_by_key(file);
        let stacks = Some(harmless(stack)).filter(|it| !it.is_empty()).into_iter().collect();
        Self { stacks, mistakes, hidden: 0 }.distinct()
    }

    /// Makes one error of the errors of several stacks. What lies in a file that they share is said once.
    pub fn join(rejections: impl IntoIterator<Item = Self>) -> Option<Self> {
        let all = rejections.into_iter().reduce(|mut all, it| {
            all.stacks.extend(it.stacks);
            all.mistakes.extend(it.mistakes);
            all.hidden += it.hidden;
            all
        })?;
        Some(all.distinct())
    }

    /// Lists the mistakes that are shown.
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }

    /// Says whether the command line is wrong rather than a file: it names what does not exist.
    pub fn is_usage(&self) -> bool {
        self.mistakes.iter().all(|it| it.code == Code::NotFound)
    }

    /// Returns the exit code: 2 where the command line is wrong, 4 where a stack file is.
    pub fn exit_code(&self) -> u8 {
        if self.is_usage() { 2 } else { 4 }
    }

    /// Returns the one mistake of a wrong command line: it speaks for itself.
    fn only(&self) -> Option<&Mistake> {
        self.mistakes.first().filter(|_| self.is_usage() && self.mistakes.len() == 1)
    }

    fn distinct(mut self) -> Self {
        let mut seen = BTreeSet::new();
        self.mistakes.retain(|it| seen.insert(it.identity()));
        self.hidden += self.mistakes.len().saturating_sub(SHOWN);
        self.mistakes.truncate(SHOWN);
        self
    }

    fn summary(&self) -> String {
        let number = self.mistakes.len() + self.hidden;
        let mistakes = if number == 1 { "a mistake".to_owned() } else { format!("{number} mistakes") };
        match self.stacks.as_slice() {
            _ if let Some(only) = self.only() => only.message.clone(),
            [] => format!("the stacks have {mistakes}"),
            [stack] => format!("stack `{stack}` has {mistakes}"),
            stacks => format!("stacks {} have {mistakes}", super::near::list(stacks)),
        }
    }
}

impl Diagnostic for Rejected {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.only().and_then(Diagnostic::code)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        if let Some(only) = self.only() {
            return only.help();
        }
        (self.hidden > 0).then(|| Box::new(format!("the first {SHOWN} are shown, and {} more", self.hidden)) as _)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        let shown = if self.only().is_some() { &[] } else { self.mistakes.as_slice() };
        Some(Box::new(shown.iter().map(|it| it as &dyn Diagnostic)))
    }
}

impl Serialize for Rejected {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut it = s.serialize_struct("Rejected", 4)?;
        it.serialize_field("message", &self.summary())?;
        it.serialize_field("stacks", &self.stacks)?;
        it.serialize_field("mistakes", &self.mistakes.iter().map(Mistake::json).collect::<Vec<_>>())?;
        it.serialize_field("hidden", &self.hidden)?;
        it.end()
    }
}
