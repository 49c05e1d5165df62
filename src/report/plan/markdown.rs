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
    let mut parts = vec![format!("### `{}` · {}", plan.stack, headline(plan)), escaped(&history(view))];
    if counts.refused > 0 {
        let refused = plan.refused().map(|(step, why)| format!("> - `{}`: {}", step.address, escaped(&why.reason)));
        parts.push(format!("> [!CAUTION]\n> Refused:\n{}", refused.collect::<Vec<_>>().join("\n")));
    }
    parts.extend(doom(plan).map(|it| format!("> [!WARNING]\n> {}", escaped(&it))));
    parts.extend(plan.notes.iter().map(|it| format!("*note:* {}", escaped(it))));
    let closing = match (&view.next, closing(view)) {
        (Some(next), Some(_)) if counts.refused == 0 => {
            Some(format!("{}: `{next}`", if view.exactly { "Apply exactly this" } else { "Apply this" }))
        }
        (_, it) => it,
    };
    let mut room = MOST.saturating_sub(parts.iter().chain(&closing).map(|it| it.len() + 2).sum());
    parts.extend(table(&rows(plan, false), &mut room));
    let unchanged = plan.steps.iter().filter(|it| it.action == Action::Noop && it.refused.is_none());
    let unchanged = unchanged.map(|it| format!("`{}`", it.address)).collect::<Vec<_>>().join(" · ");
    if !unchanged.is_empty() && unchanged.len() < room {
        let summary = format!("{} unchanged", counts.unchanged);
        parts.push(format!("<details><summary>{summary}</summary>\n\n{unchanged}\n\n</details>"));
    }
    parts.extend(closing);
    parts.join("\n\n") + "\n"
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
    format!("| {} | `{}` | {} |", row.mark.sign(), row.address, details.join(" · "))
}

/// Keeps a text from being read as Markdown, HTML, a mention, or the end of a table's cell. Code spans in the texts
/// of refusals stay.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for it in text.chars() {
        match it {
            '|' | '*' | '_' | '\\' | '[' | ']' | '~' | '#' => out.extend(['\\', it]),
            '<' => out.push_str("&lt;"),
            // A space without width keeps `user@host` from notifying somebody.
            '@' => out.push_str("@&#8203;"),
            '\n' => out.push(' '),
            it => out.push(it),
        }
    }
    out
}
