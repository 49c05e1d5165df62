//! Suggestions: the name that was probably meant, and lists of names.

use std::fmt::Display;

/// How many names a list shows.
const LISTED: usize = 12;
/// Longer words are no slips of the pen.
const LONGEST: usize = 64;

/// Finds the name that is most like a word, when one is like it at all.
pub fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    let plain = |it: &str| it.to_lowercase().replace('-', "_");
    let word = plain(word);
    let slips = (word.chars().count() / 3).max(1);
    let like = names.into_iter().filter(|it| it.len() <= LONGEST).map(|name| {
        let other = plain(name);
        (strsim::damerau_levenshtein(&word, &other), strsim::jaro_winkler(&word, &other), name)
    });
    like.filter(|it| it.0 <= slips || it.1 > 0.9).min_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1))).map(|it| it.2)
}

/// Suggests the nearest name, or else lists all there are; `what` names them in the plural.
pub(super) fn suggest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>, what: &str) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    match nearest(word, names.iter().copied()) {
        Some(it) => format!("did you mean `{it}`?"),
        None if names.is_empty() => format!("there are no {what}"),
        None => format!("the {what} are: {}", list(&names)),
    }
}

/// Suggests the nearest name, and lists all there are; `whose` begins the list, such as `its jobs`.
pub fn offer<'a>(word: &str, names: impl IntoIterator<Item = &'a str>, whose: &str) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    match nearest(word, names.iter().copied()) {
        _ if names.is_empty() => format!("{whose}: there are none"),
        Some(it) => format!("did you mean `{it}`? {whose} are: {}", list(&names)),
        None => format!("{whose} are: {}", list(&names)),
    }
}

/// Lists names as `a`, `b` and 3 more.
pub(super) fn list(names: &[impl Display]) -> String {
    let shown: Vec<String> = names.iter().take(LISTED).map(|it| format!("`{it}`")).collect();
    let more = names.len() - shown.len();
    match shown.as_slice() {
        _ if more > 0 => format!("{} and {more} more", shown.join(", ")),
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        it => it.join(", "),
    }
}

/// Escapes what a terminal would obey: texts of mistakes hold keys and values of files.
pub(super) fn harmless(text: &str) -> String {
    let escape = |it: char| match it {
        it if it.is_control() => it.escape_default().to_string(),
        it => it.to_string(),
    };
    text.chars().map(escape).collect()
}

/// Shows a value within a sentence: in one line, shortened, harmless to a terminal.
pub(super) fn quote(text: &str) -> String {
    const MOST: usize = 40;
    let escaped = |it: &str| it.escape_debug().to_string().replace("\\'", "'").replace("\\\"", "\"");
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("`{}…`", escaped(&text[..end])),
        None => format!("`{}`", escaped(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognized_and_other_words_are_not() {
        let names = ["memory", "timeout", "role", "reserved_concurrency"];
        for (slip, meant) in [
            ("memroy", "memory"),
            ("Memory", "memory"),
            ("time-out", "timeout"),
            ("memory_size", "memory"),
            ("rol", "role"),
            ("reserved-concurency", "reserved_concurrency"),
        ] {
            assert_eq!(nearest(slip, names), Some(meant), "{slip}");
        }
        for other in ["", "partitions", "x", &"memory".repeat(20)] {
            assert_eq!(nearest(other, names), None, "{other}");
        }
    }

    #[test]
    fn lists_read_as_sentences_do() {
        assert_eq!(list(&["a"]), "`a`");
        assert_eq!(list(&["a", "b", "c"]), "`a`, `b` and `c`");
        assert!(list(&(0..20).collect::<Vec<_>>()).ends_with("`11` and 8 more"));
        assert_eq!(suggest("x", [], "topics"), "there are no topics");
        assert_eq!(offer("x", ["job"], "its jobs"), "its jobs are: `job`");
        assert_eq!(offer("jbo", ["job", "run"], "its jobs"), "did you mean `job`? its jobs are: `job` and `run`");
    }

    #[test]
    fn quoted_values_cannot_steer_a_terminal() {
        assert_eq!(quote("it's\u{1b}[31m\n"), "`it's\\u{1b}[31m\\n`");
        assert_eq!(harmless("a\u{1b}[0m\tb"), "a\\u{1b}[0m\\tb");
        assert_eq!(quote(&"ä".repeat(41)), format!("`{}…`", "ä".repeat(40)));
    }
}
