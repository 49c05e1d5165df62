//! The terminal: what the two streams can show, and the only place that writes to them.

use std::{
    borrow::Cow,
    fmt::Write as _,
    io::{self, IsTerminal as _, Write as _},
    sync::{Mutex, PoisonError},
};

use comfy_table::{ContentArrangement, Table, presets};
use console::Term;

/// Why a result could not be written. One for the whole process, as its standard output is, so that no verb can forget it.
static UNWRITTEN: Mutex<Option<io::Error>> = Mutex::new(None);

/// How a stream is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether colours are used.
    pub color: bool,
    /// The columns there are; `None` where lines are never broken, as in a file or a CI log.
    pub width: Option<usize>,
}

/// What a piece of text means; the colour follows from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Nothing in particular.
    #[default]
    Plain,
    /// Something comes into being or went well.
    Good,
    /// Something changes.
    Change,
    /// Something is lost or went wrong.
    Bad,
    /// Less important than its surroundings.
    Faint,
    /// More important than its surroundings.
    Strong,
}

impl Style {
    /// Without colours, and without breaking lines.
    pub const PLAIN: Self = Self { color: false, width: None };

    /// Colours a text, where colours are used.
    pub fn paint(self, tone: Tone, text: &str) -> String {
        let style = console::Style::new().force_styling(self.color);
        match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Good => style.green(),
            Tone::Change => style.yellow(),
            Tone::Bad => style.red().bold(),
            Tone::Faint => style.dim(),
            Tone::Strong => style.bold(),
        }
        .apply_to(text)
        .to_string()
    }
}

/// The two streams of the process, and whether somebody is there to answer.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    /// Whether results, progress and errors are written as JSON.
    pub json: bool,
    /// How results are written.
    pub out: Style,
    /// How progress and errors are written.
    pub err: Style,
    /// Whether progress may be drawn anew in place.
    pub live: bool,
    /// Whether questions can be asked.
    pub interactive: bool,
}

impl Terminal {
    /// Looks at the streams and the environment: colours only on a terminal, and not with `NO_COLOR`
    /// (<https://no-color.org>) or `TERM=dumb`.
    pub fn detect(json: bool, no_color: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|it| it == "dumb");
        let plain = no_color || dumb || std::env::var_os("NO_COLOR").is_some_and(|it| !it.is_empty());
        let style = |term: &Term| Style {
            color: term.is_term() && !plain,
            width: if term.is_term() { term.size_checked().map(|it| usize::from(it.1).max(40)) } else { None },
        };
        let (out, err) = (Term::stdout(), Term::stderr());
        Self {
            json,
            out: style(&out),
            err: style(&err),
            live: err.is_term() && !dumb && !json,
            interactive: io::stdin().is_terminal() && err.is_term() && !json,
        }
    }

    /// Writes a result. A reader who went away is no mistake.
    pub fn print(&self, text: &str) {
        if let Err(err) = line(&mut io::stdout().lock(), text) {
            // The first one tells why; those after it only follow.
            UNWRITTEN.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(err);
        }
    }

    /// Writes what others wrote: rows, lines of logs. On a screen, what would steer the terminal is shown instead.
    pub fn print_data(&self, text: &str) {
        if io::stdout().is_terminal() { self.print(&harmless(text)) } else { self.print(text) }
    }

    /// Returns why a result could not be written, where one could not; asked once, at the end.
    pub fn unwritten(&self) -> Option<io::Error> {
        UNWRITTEN.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Writes something that is no result: progress, a remark, an error.
    pub fn note(&self, text: &str) {
        // There is nobody left to be told.
        line(&mut io::stderr().lock(), text).ok();
    }

    /// Writes a remark: for people, or as an event.
    pub fn remark(&self, event: &str, message: &str) {
        if self.json {
            self.note(&serde_json::json!({ "event": event, "message": message }).to_string());
        } else {
            self.note(message);
        }
    }

    /// Writes a result: for people, or as JSON.
    pub fn tell(&self, json: &serde_json::Value, text: &str) {
        if self.json { self.print(&json.to_string()) } else { self.print(text) }
    }

    /// Clears the screen of the result, where it is a screen.
    pub fn clear(&self) {
        if self.out.width.is_some() {
            // A screen that cannot be cleared is written on below.
            Term::stdout().clear_screen().ok();
        }
    }

    /// Asks for a line; `None` when nobody is there, or the input ended.
    pub fn ask(&self, question: &str) -> Option<String> {
        if !self.interactive {
            return None;
        }
        let mut err = io::stderr().lock();
        write!(err, "{question} ").and_then(|()| err.flush()).ok()?;
        answer(&mut io::stdin().lock())
    }
}

/// Reads a line, whatever its bytes; `None` where the input ended.
fn answer(from: &mut impl io::BufRead) -> Option<String> {
    let mut line = Vec::new();
    let read = from.read_until(b'\n', &mut line).ok()?;
    (read > 0).then(|| String::from_utf8_lossy(&line).trim().to_owned())
}

/// Lays out rows below their headings, without lines between them; cells are broken where the terminal is narrow.
pub fn table(headings: &[&str], rows: impl IntoIterator<Item = Vec<String>>, style: Style) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(headings.iter().copied()).add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    if let Some(width) = style.width.and_then(|it| u16::try_from(it).ok()) {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    let text = table.trim_fmt();
    match text.split_once('\n') {
        Some((head, rest)) => format!("{}\n{rest}", style.paint(Tone::Faint, head)),
        None => text,
    }
}

/// Spells out the characters that steer a terminal, in a way that JSON's texts allow as well.
pub fn harmless(text: &str) -> Cow<'_, str> {
    let steers = |it: char| it.is_control() && it != '\n' && it != '\t';
    if !text.contains(steers) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len());
    for it in text.chars() {
        if steers(it) {
            // A text takes whatever is written to it.
            write!(shown, "\\u{:04x}", u32::from(it)).ok();
        } else {
            shown.push(it);
        }
    }
    shown.into()
}

/// Writes a line and flushes it, so that the two streams interleave in the order of what happened. A closed pipe, as
/// left by `ecomctl … | head`, ends the output quietly.
fn line(stream: &mut impl io::Write, text: &str) -> io::Result<()> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    match writeln!(stream, "{text}").and_then(|()| stream.flush()) {
        Err(err) if err.kind() != io::ErrorKind::BrokenPipe => Err(err),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_need_not_be_text() {
        assert_eq!(answer(&mut b"local\nmore".as_slice()).as_deref(), Some("local"));
        assert_eq!(answer(&mut b"loc\xe9l\n".as_slice()).as_deref(), Some("loc\u{fffd}l"));
        assert_eq!(answer(&mut b"".as_slice()), None);
    }

    #[test]
    fn only_a_reader_who_went_away_is_passed_over() {
        struct Broken(io::ErrorKind);
        impl io::Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(self.0.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        assert!(line(&mut Broken(io::ErrorKind::BrokenPipe), "x").is_ok());
        assert!(line(&mut Broken(io::ErrorKind::StorageFull), "x").is_err());
    }

    #[test]
    fn colour_is_written_only_where_it_is_wanted() {
        assert_eq!(Style::PLAIN.paint(Tone::Bad, "lost"), "lost");
        let coloured = Style { color: true, ..Style::PLAIN }.paint(Tone::Bad, "lost");
        assert!(coloured.starts_with('\u{1b}') && coloured.contains("lost"), "{coloured:?}");
    }
}
