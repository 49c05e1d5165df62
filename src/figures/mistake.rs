//! A text that a person wrote, and a mistake in it, shown under the line that holds it.

use std::{ops::Range, path::Path, sync::Arc};

use miette::{Diagnostic, NamedSource, SourceSpan};
use serde::de::DeserializeOwned;
use toml::Spanned;

use crate::template::{self, Templates};

/// A text with the name of its file.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    name: String,
    text: Arc<str>,
}

/// What is wrong in a file, and where.
#[derive(Clone, Debug, thiserror::Error, Diagnostic)]
#[error("{at}: {message}")]
#[diagnostic(code(figures::mistake))]
pub(crate) struct Mistake {
    /// `file:line:column`.
    pub(crate) at: String,
    /// What is wrong.
    pub(crate) message: String,
    #[source_code]
    text: NamedSource<Arc<str>>,
    #[label("here")]
    span: Option<SourceSpan>,
    /// What to do about it.
    #[help]
    pub(crate) help: Option<String>,
}

impl Text {
    /// Takes a text; `name` is what mistakes call it.
    pub(crate) fn new(name: &str, text: &str) -> Self {
        Self { name: name.to_owned(), text: text.into() }
    }

    /// Reads a file below `templates/`.
    ///
    /// # Errors
    /// That it cannot be read.
    pub(crate) fn read(templates: &Templates, path: &str) -> Result<Self, template::Error> {
        Ok(Self::new(&format!("templates/{path}"), &templates.read(Path::new(path))?))
    }

    /// Reads it as what it should be.
    ///
    /// # Errors
    /// The first mistake.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, Mistake> {
        toml::from_str(&self.text).map_err(|err| self.mistake(err.message().to_owned(), err.span(), None))
    }

    /// Describes what is wrong in it.
    pub(crate) fn mistake(&self, message: String, span: Option<Range<usize>>, help: Option<&str>) -> Mistake {
        Mistake {
            at: place(&self.name, &self.text, span.as_ref()),
            message,
            text: NamedSource::new(&self.name, self.text.clone()).with_language("toml"),
            span: span.map(Into::into),
            help: help.map(str::to_owned),
        }
    }

    /// Finds where in the file a part of one of its texts stands; the whole of that text where it is written with escapes.
    pub(crate) fn within(&self, of: &Spanned<String>, part: &Range<usize>) -> Range<usize> {
        let whole = of.span();
        let written = self.text.get(whole.clone()).unwrap_or_default();
        let begin = ["'''\n", "\"\"\"\n", "'''", "\"\"\"", "'", "\""].iter().find(|it| written.starts_with(**it));
        let begin = whole.start + begin.map_or(0, |it| it.len());
        let same = self.text.get(begin..).is_some_and(|it| it.starts_with(of.as_ref().as_str()));
        if same { begin + part.start..begin + part.end } else { whole }
    }
}

/// Writes `file:line:column`, counted from 1.
fn place(name: &str, text: &str, span: Option<&Range<usize>>) -> String {
    let Some(before) = span.and_then(|it| text.get(..it.start)) else { return name.to_owned() };
    let column = before.chars().rev().take_while(|it| *it != '\n').count() + 1;
    format!("{name}:{}:{column}", before.matches('\n').count() + 1)
}
