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
    /// Where each line of what is shown begins.
    lines: Vec<usize>,
}

/// How many bytes of a line are shown around a place; the rest of a longer line is left out.
const AROUND: usize = 120;
/// How many bytes may be shown at once before lines are cut.
const MUCH: usize = 4096;

impl Source {
    /// Keeps the text of a file.
    pub fn new(path: PathBuf, text: &str) -> Arc<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let shown = shown(text);
        let lines = std::iter::once(0).chain(shown.match_indices('\n').map(|it| it.0 + 1)).collect();
        Arc::new(Self { path, text: text.to_owned(), shown, lines })
    }

    /// Returns the file's path, relative to the project.
    pub fn path(&self) -> &PathBuf {
        &self.path
    }

    /// Returns what was read.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the number of the line that holds a byte, from 0.
    fn line(&self, at: usize) -> usize {
        self.lines.partition_point(|it| *it <= at) - 1
    }

    /// Counts the characters between the start of the line and a byte.
    fn column(&self, at: usize) -> usize {
        self.shown[self.lines[self.line(at)]..at].chars().count()
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
        let (mut start, mut end, mut first) = (it.span().offset(), it.span().offset() + it.span().len(), it.line());
        if end - start > MUCH {
            // Lines as long as a file: the place itself, with a little around it.
            first = self.line(span.offset());
            let next = self.lines.get(first + 1).copied().unwrap_or(self.shown.len());
            let last = span.offset() + span.len().min(AROUND);
            start = self.lines[first].max(floor(&self.shown, span.offset().saturating_sub(AROUND)));
            end = next.min(self.shown.ceil_char_boundary(last + AROUND));
        }
        let lines = if end - start == it.span().len() { it.line_count() } else { 1 };
        // What the library counts in bytes, a person counts in characters.
        let column = if start == self.lines[first] { 0 } else { self.column(start) };
        let name = self.path.to_string_lossy().replace('\\', "/");
        let (data, span) = (&self.shown.as_bytes()[start..end], (start..end).into());
        Ok(Box::new(MietteSpanContents::new_named(name, data, span, first, column, lines)))
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

    /// Returns as much of the range as is worth underlining.
    pub fn shown(&self) -> Range<usize> {
        let Range { start, end } = self.span;
        start..floor(self.source.text(), end.min(start + AROUND))
    }

    /// Returns what stands there.
    pub fn text(&self) -> &str {
        &self.source.text()[self.span()]
    }

    /// Returns the file, line and column.
    pub fn origin(&self) -> Origin {
        let (source, at) = (&self.source, self.span.start);
        Origin { file: source.path.clone(), line: source.line(at) + 1, column: source.column(at) + 1 }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A place is where counting from the start of the file finds it.
        #[test]
        fn lines_and_columns_are_those_that_counting_gives(text in "[aé\n]{0,40}", at in 0usize..60) {
            let source = Source::new("x.yaml".into(), &text);
            let at = floor(&text, at);
            let origin = Place::new(&source, at..at).origin();
            let before = &text[..at];
            let start = before.rfind('\n').map_or(0, |it| it + 1);
            prop_assert_eq!(origin.line, before.matches('\n').count() + 1);
            prop_assert_eq!(origin.column, before[start..].chars().count() + 1);
        }
    }
}
