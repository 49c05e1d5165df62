//! A plan as Markdown, for a comment on a pull request.
//!
//! A table of what changes, with what is refused or loses data said above it, and the unchanged folded away.

use crate::{
    engine::Action,
    report::plan::{Counts, Row, View, closing, doom, headline, history, rows},
};

/// GitHub refuses comments of more than 65,536 characters; the rest is left to whoever adds a greeting.
const MOST: usize = 60_000;

/// Writes a plan as Markdown.
pub fn markdown(view: &View<'_>) -> String {
    let plan = view.plan;
    let counts = Counts::of(plan);
    let mut text = format!("### `{}` · {}\n\n{}\n", plan.stack, headline(plan), escaped(&history(view)));
    if counts.refused > 0 {
        let refused = plan.refused().map(|(step, why)| format!("> - `{}`: {}", step.address, escaped(&why.reason)));
        text += &format!("\n> [!CAUTION]\n> Refused:\n{}\n", refused.collect::<Vec<_>>().join("\n"));
    }
    if let Some(it) = doom(plan) {
        text += &format!("\n> [!WARNING]\n> {}\n", escaped(&it));
    }
    let rows = rows(plan, false);
    if !rows.is_empty() {
        text += "\n| | resource | change |\n|:-:|---|---|\n";
    }
    for (i, it) in rows.iter().enumerate() {
        let line = row(it);
        if text.len() + line.len() > MOST {
            text += &format!("\nand {} more lines, which do not fit here\n", rows.len() - i);
            break;
        }
        text += &line;
    }
    for it in &plan.notes {
        text += &format!("\n*note:* {}\n", escaped(it));
    }
    let unchanged = plan.steps.iter().filter(|it| it.action == Action::Noop && it.refused.is_none());
    let unchanged = unchanged.map(|it| format!("`{}`", it.address)).collect::<Vec<_>>().join(" · ");
    if !unchanged.is_empty() && text.len() + unchanged.len() < MOST {
        text += &format!("\n<details><summary>{} unchanged</summary>\n\n{unchanged}\n\n</details>\n", counts.unchanged);
    }
    match (&view.next, closing(view)) {
        (Some(next), Some(_)) if counts.refused == 0 => text + &format!("\nApply this: `{next}`\n"),
        (_, Some(closing)) => text + &format!("\n{closing}\n"),
        (_, None) => text,
    }
}

fn row(row: &Row) -> String {
    let details: Vec<_> = row.details.iter().map(|(_, it)| escaped(it)).collect();
    format!("| {} | `{}` | {} |\n", row.mark.sign(), row.address, details.join(" · "))
}

/// Keeps a text from being read as Markdown, HTML, a mention, or the end of a table's cell. Code spans in the texts
/// of refusals stay.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for it in text.chars() {
        match it {
            '|' | '*' | '_' | '\\' | '[' | ']' | '~' | '#' => out.extend(['\\', it]),
            '<' => out.push_str("&lt;"),
            // A zero-width space keeps `user@host` from notifying somebody.
            '@' => out.push_str("@\u{200b}"),
            '\n' => out.push(' '),
            it => out.push(it),
        }
    }
    out
}
