//! The words of a formula, with their places. Skips comments.

use std::ops::Range;

use super::Fault;

/// A word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// The name of a function, a table, a variable.
    Name(String),
    /// `'Table'`.
    Quoted(String),
    /// `[Column]` or `[Measure]`.
    Bracket(String),
    Number,
    Text,
    Sign(&'static str),
}

impl Word {
    /// What messages call it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Name(it) => format!("`{it}`"),
            Self::Quoted(it) => format!("`'{it}'`"),
            Self::Bracket(it) => format!("`[{it}]`"),
            Self::Number => "a number".to_owned(),
            Self::Text => "a text".to_owned(),
            Self::Sign(it) => format!("`{it}`"),
        }
    }
}

/// The signs, longer ones first.
const SIGNS: [&str; 19] =
    ["&&", "||", "<>", "<=", ">=", "==", "=", "<", ">", "&", "+", "-", "*", "/", "^", "(", ")", "{", "}"];

/// Parts a formula into words.
///
/// # Errors
/// What is no word, or has no end.
pub(super) fn words(text: &str) -> Result<Vec<(Word, Range<usize>)>, Fault> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(next) = text[at..].chars().next() {
        let rest = &text[at..];
        if next.is_whitespace() {
            at += next.len_utf8();
        } else if rest.starts_with("//") || rest.starts_with("--") {
            at += rest.find('\n').unwrap_or(rest.len());
        } else if let Some(inner) = rest.strip_prefix("/*") {
            let end = inner.find("*/").ok_or_else(|| endless(at, text, "a comment"))?;
            at += end + 4;
        } else {
            let (word, length) = word(rest, next).map_err(|message| match message {
                Some(what) => endless(at, text, what),
                None => {
                    Fault { span: at..at + next.len_utf8(), message: format!("`{next}` means nothing in a formula") }
                }
            })?;
            found.push((word, at..at + length));
            at += length;
        }
    }
    Ok(found)
}

fn endless(at: usize, text: &str, what: &str) -> Fault {
    Fault { span: at..text.len(), message: format!("{what} begins here and does not end") }
}

/// Reads one word; what does not end, or nothing where no word begins.
fn word(rest: &str, next: char) -> Result<(Word, usize), Option<&'static str>> {
    let is_letter = |it: char| it.is_alphabetic() || it == '_';
    match next {
        '"' => enclosed(rest, '"').map(|it| (Word::Text, it.1)).ok_or(Some("a text")),
        '\'' => enclosed(rest, '\'').map(|(it, length)| (Word::Quoted(it), length)).ok_or(Some("the name of a table")),
        '[' => enclosed(rest, ']').map(|(it, length)| (Word::Bracket(it), length)).ok_or(Some("a name in brackets")),
        ',' => Ok((Word::Sign(","), 1)),
        it if is_letter(it) => {
            let end = rest.find(|it: char| !is_letter(it) && !it.is_ascii_digit() && it != '.').unwrap_or(rest.len());
            Ok((Word::Name(rest[..end].to_owned()), end))
        }
        it if it.is_ascii_digit() || it == '.' => {
            let end = number(rest);
            rest[..end].parse::<f64>().map(|_| (Word::Number, end)).map_err(|_| None)
        }
        _ => SIGNS.iter().find(|it| rest.starts_with(**it)).map(|it| (Word::Sign(it), it.len())).ok_or(None),
    }
}

/// Finds the end of a number, such as `1`, `.5` or `1.5E+3`.
fn number(rest: &str) -> usize {
    let digits = |from: usize| {
        let more = rest[from..].find(|it: char| !it.is_ascii_digit() && it != '.');
        more.map_or(rest.len(), |it| from + it)
    };
    let end = digits(0);
    let Some(power) = rest[end..].strip_prefix(['e', 'E']) else { return end };
    let sign = usize::from(power.starts_with(['+', '-']));
    if power[sign..].starts_with(|it: char| it.is_ascii_digit()) { digits(end + 1 + sign) } else { end }
}

/// Reads what stands between this sign's beginning and end; doubled, the end stands for itself.
fn enclosed(rest: &str, end: char) -> Option<(String, usize)> {
    let mut inner = String::new();
    let mut signs = rest.char_indices().skip(1).peekable();
    while let Some((at, it)) = signs.next() {
        if it != end {
            inner.push(it);
        } else if signs.peek().is_some_and(|it| it.1 == end) {
            signs.next();
            inner.push(end);
        } else {
            return Some((inner, at + 1));
        }
    }
    None
}
