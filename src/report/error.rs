//! Mistakes and failures: as text with the causes and the next command, or as one JSON object.
//!
//! ```json
//! { "error": { "exit": 6, "code": "apply::incomplete", "message": "…", "causes": ["…"], "help": "…",
//!              "labels": [{ "file": "stacks/local.yaml", "line": 12, "column": 16, "text": "…" }],
//!              "related": [ … the same again … ] } }
//! ```

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, SourceCode, SourceSpan};
use serde_json::{Value, json};
use textwrap::WordSplitter;

use crate::report::Style;

/// Writes an error for people. Commands within stay such that they can be copied: no word is cut, and away from a terminal
/// no line is.
pub fn text(it: &dyn Diagnostic, style: Style) -> String {
    let theme = if style.color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_links(false)
        .with_context_lines(1)
        .with_break_words(false)
        .with_word_splitter(WordSplitter::NoHyphenation)
        .with_wrap_lines(style.width.is_some())
        .with_width(style.width.unwrap_or(usize::MAX));
    let mut text = String::new();
    match handler.render_report(&mut text, it) {
        Ok(()) => text.trim_start_matches('\n').to_owned(),
        // Writing to a string cannot fail; should it, the message alone must still be seen.
        Err(_) => it.to_string(),
    }
}

/// Writes an error for programs.
pub fn json(it: &dyn Diagnostic, exit: u8) -> Value {
    let mut body = object(it, None);
    body["exit"] = exit.into();
    json!({ "error": body })
}

fn object(it: &dyn Diagnostic, around: Option<&dyn SourceCode>) -> Value {
    let mut causes = Vec::new();
    let mut source = it.source();
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    // A mistake's text is kept by the report that holds them all.
    let text = it.source_code().or(around);
    let labels = it.labels().into_iter().flatten().map(|label| {
        let mut object = place(text, label.inner());
        object["text"] = label.label().into();
        object
    });
    json!({
        "code": it.code().map(|it| it.to_string()),
        "message": it.to_string(),
        "causes": causes,
        "help": it.help().map(|it| it.to_string()),
        "labels": labels.collect::<Vec<_>>(),
        "related": it.related().into_iter().flatten().map(|it| object(it, text)).collect::<Vec<_>>(),
    })
}

/// Says where a span lies: lines and columns from 1.
fn place(text: Option<&dyn SourceCode>, span: &SourceSpan) -> Value {
    match text.and_then(|it| it.read_span(span, 0, 0).ok()) {
        Some(it) => json!({ "file": it.name(), "line": it.line() + 1, "column": it.column() + 1 }),
        None => json!({ "offset": span.offset() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_never_cut_within_a_word() {
        let command = ["ecomctl teardown staging --yes"].into_iter().chain([" --allow-data-loss topic.orders"; 9]);
        let command = command.collect::<String>();
        let error = miette::miette!(help = command.clone(), "data loss needs your consent");
        assert!(text(&*error, Style::PLAIN).contains(&command));
        for width in 40..120 {
            let text = text(&*error, Style { color: false, width: Some(width) });
            assert!(text.split_whitespace().collect::<Vec<_>>().join(" ").contains(&command), "{text}");
        }
    }
}
