//! A plan as text.

use crate::report::{
    Style, Tone,
    plan::{Row, View, closing, doom, headline, history, rows},
};

/// Columns before the address: two spaces, the mark, a space.
const INDENT: usize = 4;
/// The most columns that the addresses may take, so that one long name does not push everything aside.
const ADDRESS: usize = 28;
/// With less room than this beside the address, the details go below it.
const BESIDE: usize = 30;

/// Writes a plan as text, fitted to the style's width.
pub fn text(view: &View<'_>, style: Style) -> String {
    let rows = rows(view.plan, view.verbose);
    let head = [view.plan.stack.clone(), headline(view.plan), history(view)].map(|it| (Tone::Strong, it));
    let mut lines = wrap(&head, style, 0);
    let widest = rows.iter().map(|it| it.address.to_string().chars().count()).max().unwrap_or_default().min(ADDRESS);
    for row in &rows {
        lines.extend(line(row, widest, style));
    }
    for note in &view.plan.notes {
        lines.extend(wrap(&[(Tone::Faint, format!("note: {note}"))], style, 0));
    }
    lines.extend(doom(view.plan).into_iter().flat_map(|it| wrap(&[(Tone::Bad, it)], style, 0)));
    lines.extend(closing(view).into_iter().flat_map(|it| wrap(&[(Tone::Strong, it)], style, 0)));
    lines.join("\n") + "\n"
}

/// Writes one row: the details beside the address, or below it where the terminal is narrow.
fn line(row: &Row, widest: usize, style: Style) -> Vec<String> {
    let (mark, address) = (style.paint(row.mark.tone(), row.mark.sign()), row.address.to_string());
    let taken = address.chars().count();
    let column = INDENT + widest.max(taken) + 2;
    let head = format!("  {mark} {address}");
    if row.details.is_empty() {
        return vec![head];
    }
    if style.width.is_some_and(|it| it < column + BESIDE) {
        let below = wrap(&row.details, style, INDENT + 2);
        let indent = " ".repeat(INDENT + 2);
        return std::iter::once(head).chain(below.into_iter().map(|it| format!("{indent}{it}"))).collect();
    }
    let (pad, indent) = (" ".repeat(column - INDENT - taken), " ".repeat(column));
    let beside = wrap(&row.details, style, column).into_iter().enumerate();
    beside.map(|(i, it)| if i == 0 { format!("{head}{pad}{it}") } else { format!("{indent}{it}") }).collect()
}

/// Joins parts by ` · ` and breaks them between words, leaving so many columns free on the left.
fn wrap(parts: &[(Tone, String)], style: Style, left: usize) -> Vec<String> {
    let mut words: Vec<(Tone, &str)> = Vec::new();
    for (i, (tone, part)) in parts.iter().enumerate() {
        words.extend((i > 0).then_some((Tone::Plain, "·")));
        words.extend(part.split(' ').map(|it| (*tone, it)));
    }
    // Two columns are kept for a dot, which never begins a line.
    let room = style.width.map_or(usize::MAX, |it| it.saturating_sub(left + 2));
    let mut lines = vec![Vec::new()];
    let mut column = 0;
    for (tone, word) in words {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > room && word != "·" {
            lines.push(Vec::new());
            column = 0;
        }
        column += length + usize::from(column > 0);
        if let Some(line) = lines.last_mut() {
            extend(line, tone, word);
        }
    }
    let paint = |(tone, text): &(Tone, String)| style.paint(*tone, text);
    lines.iter().map(|it| it.iter().map(paint).collect::<Vec<_>>().join(" ")).collect()
}

/// Adds a word to a line, which is kept as runs of one tone.
fn extend(line: &mut Vec<(Tone, String)>, tone: Tone, word: &str) {
    match line.last_mut().filter(|it| it.0 == tone) {
        Some((_, text)) => {
            text.push(' ');
            text.push_str(word);
        }
        None => line.push((tone, word.to_owned())),
    }
}
