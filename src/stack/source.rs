//! Stack files as texts, and places within them.

use std::{fmt, ops::Range, path::PathBuf, sync::Arc};

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

use super::Origin;

/// One stack file: where it is and what it says.
///
/// The text is without a byte-order mark. It is shown with `?` for control characters, so that a file cannot steer the
/// terminal that shows its mistakes, and with the line breaks that YAML knows; [`Source::text`] is what was read.
pub struct Source {
    path: PathBuf,
    text: String,
    shown: String,
}

impl Source {
    /// Keeps the text of a file.
    pub fn new(path: PathBuf, text: &str) -> Arc<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Arc::new(Self { path, text: text.to_owned(), shown: shown(text) })
    }

    /// Returns the file's path, relative to the project.
    pub fn path(&self) -> &PathBuf {
        &self.path
    }

    /// Returns what was read.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())
    }
}

impl SourceCode for Source {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let it = self.shown.read_span(span, before, after)?;
        // What the library counts in bytes, a person counts in characters.
        let start = it.span().offset();
        let column = if it.column() == 0 { 0 } else { column(&self.shown, start) };
        let name = self.path.to_string_lossy().replace('\\', "/");
        let named = MietteSpanContents::new_named(name, it.data(), *it.span(), it.line(), column, it.line_count());
        Ok(Box::new(named))
    }
}

/// A place within a stack file: a range of bytes, never more than one line.
#[derive(Clone, Debug)]
pub struct Place {
    source: Arc<Source>,
    span: Range<usize>,
}

impl Place {
    /// Points at a range of bytes, clipped to its first line and to whole characters.
    pub fn new(source: &Arc<Source>, span: Range<usize>) -> Self {
        let text = source.text();
        let start = floor(text, span.start);
        let end = floor(text, span.end).max(start);
        let line = text[start..end].find(['\n', '\r']).map_or(end, |it| start + it);
        Self { source: Arc::clone(source), span: start..line }
    }

    /// Returns the file.
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// Returns the range of bytes within the text of the file.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Returns what stands there.
    pub fn text(&self) -> &str {
        &self.source.text()[self.span()]
    }

    /// Returns the file, line and column.
    pub fn origin(&self) -> Origin {
        let text = &self.source.shown;
        let line = text[..self.span.start].matches('\n').count() + 1;
        Origin { file: self.source.path.clone(), line, column: column(text, self.span.start) + 1 }
    }

    /// Says whether both lie in one file.
    pub fn beside(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.source, &other.source)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.origin().fmt(f)
    }
}

/// Counts the characters between the start of the line and a byte.
fn column(text: &str, at: usize) -> usize {
    let before = &text[..at];
    before[before.rfind('\n').map_or(0, |it| it + 1)..].chars().count()
}

fn floor(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at.min(text.len()))
}

/// Replaces what a terminal would obey by something of the same length in bytes.
fn shown(text: &str) -> String {
    let mut next = text.chars().skip(1);
    let harmless = |it: char| {
        let next = next.next();
        let steers = it.is_control() && !matches!(it, '\n' | '\r' | '\t')
            || matches!(it, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        match (it, it.len_utf8()) {
            // To YAML it ends a line; a terminal would write the line again.
            ('\r', _) if next != Some('\n') => '\n',
            _ if !steers => it,
            (_, 1) => '?',
            (_, 2) => '¿',
            _ => '\u{fffd}',
        }
    };
    text.chars().map(harmless).collect()
}
