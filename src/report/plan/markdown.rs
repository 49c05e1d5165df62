//! A plan as Markdown, for a comment on a pull request.
//!
//! What is refused or loses data is said first, what is new and what stays is folded away. The first line, which nobody
//! sees, tells whose comment it is, so that the next one can take its place. No text of a stack or of the world can be more
//! than text: neither markup, nor a mention, nor the end of a cell. It always fits into one comment.

use std::fmt::Write as _;

use crate::{
    engine::Action,
    report::plan::{Counts, Mark, Row, View, closing, headline, history, losses, rows},
};

/// GitHub refuses comments of more than 65,536 characters; the rest is left to whoever adds a greeting.
const MOST: usize = 60_000;
/// So many resources are listed above the table.
const LISTED: usize = 20;
/// So many new resources stand in the table itself.
const NEW: usize = 8;
/// So many bytes of one line of a list are shown.
const LINE: usize = 400;
/// So many bytes of one cell are shown.
const CELL: usize = 2_000;

/// Writes a plan as Markdown.
pub fn markdown(view: &View<'_>) -> String {
    let plan = view.plan;
    let counts = Counts::of(plan);
    let mut parts = vec![
        format!("<!-- ecomctl diff {} -->\n### `{}` · {}", plan.stack, plan.stack, headline(plan)),
        escaped(&history(view)),
    ];
    if counts.refused > 0 {
        let refused = plan.refused().map(|(step, why)| format!("- `{}`: {}", step.address, escaped(&why.reason)));
        parts.push(alert("CAUTION", "Refused:", refused));
    }
    let lost: Vec<_> = losses(plan).map(|it| format!("- `{}`", it.address)).collect();
    if !lost.is_empty() {
        parts.push(alert("WARNING", "DATA LOSS: this data cannot be brought back.", lost.into_iter()));
    }
    parts.extend(plan.notes.iter().take(LISTED).map(|it| format!("*note:* {}", cut(&escaped(it), LINE))));
    parts.extend(plan.notes.len().checked_sub(LISTED + 1).map(|it| format!("*and {} more notes*", it + 1)));
    let end = match (&view.next, closing(view)) {
        (Some(next), Some(_)) if counts.refused == 0 => {
            Some(format!("{}: {}", if view.exactly { "Apply exactly this" } else { "Apply this" }, code(next)))
        }
        (_, it) => it,
    };
    let mut room = MOST.saturating_sub(parts.iter().chain(&end).map(|it| it.len() + 2).sum());
    let (mut new, mut old): (Vec<Row>, Vec<Row>) =
        rows(plan, false).into_iter().partition(|it| it.mark == Mark::Create);
    if new.len() <= NEW {
        old.append(&mut new);
    }
    let loses = |row: &Row| losses(plan).any(|it| it.address == row.address);
    // What destroys something goes before what only changes; otherwise the plan's own order stays.
    old.sort_by_key(|it| (!loses(it), weight(it.mark)));
    parts.extend(table(&old, &mut room));
    if !new.is_empty() {
        parts.extend(folded(&format!("{} to create", counts.create), table(&new, &mut room), &mut room));
    }
    let unchanged = plan.steps.iter().filter(|it| it.action == Action::Noop && it.refused.is_none());
    let unchanged = unchanged.map(|it| format!("`{}`", it.address)).collect::<Vec<_>>().join(" · ");
    if !unchanged.is_empty() && unchanged.len() < room {
        parts.extend(folded(&format!("{} unchanged", counts.unchanged), vec![unchanged], &mut room));
    }
    parts.extend(end);
    parts.join("\n\n") + "\n"
}

/// Says how early a row stands.
const fn weight(mark: Mark) -> u8 {
    match mark {
        Mark::Refused => 0,
        Mark::Delete => 1,
        Mark::Replace => 2,
        Mark::Unreadable => 3,
        Mark::Update | Mark::Drift => 4,
        Mark::Create => 5,
        Mark::Settle | Mark::Keep => 6,
    }
}

/// Writes one of GitHub's alerts with a list that is not endless.
fn alert(kind: &str, title: &str, lines: impl Iterator<Item = String>) -> String {
    let mut text = format!("> [!{kind}]\n> {title}");
    let mut left_out = 0;
    for (at, line) in lines.enumerate() {
        if at < LISTED {
            let _ = write!(text, "\n> {}", cut(&line, LINE));
        } else {
            left_out += 1;
        }
    }
    if left_out > 0 {
        let _ = write!(text, "\n> - and {left_out} more");
    }
    text
}

/// Folds parts away under a summary.
fn folded(summary: &str, parts: Vec<String>, room: &mut usize) -> Option<String> {
    let (before, after) = (format!("<details><summary>{summary}</summary>\n\n"), "\n\n</details>");
    *room = room.saturating_sub(before.len() + after.len());
    (!parts.is_empty()).then(|| before + &parts.join("\n\n") + after)
}

/// Writes as many rows as there is room for, and says how many are left out.
fn table(rows: &[Row], room: &mut usize) -> Vec<String> {
    let mut lines = vec!["| | resource | change |".to_owned(), "|:-:|---|---|".to_owned()];
    for it in rows {
        let line = row(it);
        let Some(left) = room.checked_sub(line.len() + 1) else { break };
        *room = left;
        lines.push(line);
    }
    let left_out = rows.len() + 2 - lines.len();
    let more = format!("and {left_out} more lines, which do not fit here");
    let table = (!rows.is_empty()).then(|| lines.join("\n"));
    table.into_iter().chain((left_out > 0).then_some(more)).collect()
}

fn row(row: &Row) -> String {
    let details: Vec<_> = row.details.iter().map(|(_, it)| escaped(it)).collect();
    format!("| {} | `{}` | {} |", row.mark.sign(), row.address, cut(&details.join(" · "), CELL))
}

/// Cuts a text that is too long, not within an escape.
fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let kept = text.floor_char_boundary(most);
    let kept = text[..kept].rfind(' ').unwrap_or(0);
    format!("{} …", &text[..kept])
}

/// Writes a code span that holds any text of one line.
fn code(text: &str) -> String {
    let longest = text.split(|it| it != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest + 1);
    if longest == 0 { format!("`{text}`") } else { format!("{fence} {text} {fence}") }
}

/// Keeps a text from being read as Markdown, HTML, a formula, a mention, or the end of a table's cell. Code spans in the
/// texts of refusals stay: within one, nothing is read as anything else.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for it in text.chars() {
        match it {
            '|' | '*' | '_' | '\\' | '[' | ']' | '~' | '#' | '$' => out.extend(['\\', it]),
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            // A space without width keeps `user@host` from notifying somebody.
            '@' => out.push_str("@&#8203;"),
            // A line's end, of which there are several, is the end of a row.
            it if it.is_control() || matches!(it, '\u{2028}' | '\u{2029}') => out.push(' '),
            // What turns the direction of writing shows another text than there is.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' => out.push('\u{fffd}'),
            it => out.push(it),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_more_than_text() {
        for (text, shown) in [
            ("a|b", r"a\|b"),
            ("<img src=x>", "&lt;img src=x>"),
            ("![x](http://h)", r"!\[x\](http://h)"),
            ("&#64;team", r"&amp;\#64;team"),
            ("@team", "@&#8203;team"),
            ("one\r| two\n\u{2028}three\u{85}", r"one \| two  three "),
            ("$x$ \u{202e}evil", "\\$x\\$ \u{fffd}evil"),
            ("`code`", "`code`"),
        ] {
            assert_eq!(escaped(text), shown, "{text:?}");
        }
        assert_eq!(code("ecomctl up s"), "`ecomctl up s`");
        assert_eq!(code("up 'a``b'"), "``` up 'a``b' ```");
    }

    #[test]
    fn what_is_cut_is_cut_between_words() {
        assert_eq!(cut(r"one two\|three", 12), "one …");
        assert_eq!(cut("one", 12), "one");
        assert_eq!(cut("éééééééé", 5), " …");
    }
}
