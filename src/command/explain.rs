//! `ecomctl explain`: where a value comes from.

use std::{
    io::{self, Write},
    path::Path,
};

use serde_json::{Value, json};

use crate::{
    resource::Kind,
    stack::{self, Explained, Explanation, Origin},
};

/// Say where a value comes from, what it overrides, and what it is for
///
/// Names a resource (`function.ingest`), one of its fields (`function.ingest.memory`), or the settings of the stack
/// (`stack`, `stack.region`).
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ecomctl explain staging function.ingest
  ecomctl explain staging function.ingest.memory    one field: where it is set, and what it overrides
")]
pub struct ExplainArgs {
    /// The stack to look into
    #[arg(value_name = "STACK", add = clap_complete::ArgValueCompleter::new(super::completions::stacks))]
    pub stack: String,
    /// The resource or field: `function.ingest`, `function.ingest.memory`, `stack.region`
    pub target: String,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// Writes the explanation.
///
/// # Errors
/// The stack's mistakes; that there is no such resource or field; or that the result could not be written.
pub fn run(args: &ExplainArgs, root: &Path, kinds: &[&dyn Kind], out: &mut dyn Write) -> Result<(), super::Failed> {
    let it = stack::explain(root, &args.stack, &args.target, kinds)?;
    match it.fields.as_slice() {
        _ if args.json => writeln!(out, "{:#}", data(&it))?,
        [only] if args.target != it.subject => field(&it, only, out)?,
        fields => resource(&it, fields, out)?,
    }
    Ok(())
}

fn field(whole: &Explanation, it: &Explained, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}.{} = {}", whole.subject, it.field, shown(&it.value))?;
    writeln!(out, "  {}", from(it))?;
    for over in &it.overrode {
        writeln!(out, "  overrides {} from {}", shown(&over.value), over.origin)?;
    }
    it.about.iter().try_for_each(|it| writeln!(out, "  {}", it.replace('\n', "\n  ")))
}

fn resource(whole: &Explanation, fields: &[Explained], out: &mut dyn Write) -> io::Result<()> {
    match &whole.origin {
        Some(origin) => writeln!(out, "{} is defined in {origin}", whole.subject)?,
        None => writeln!(out, "{} is not set in any file", whole.subject)?,
    }
    whole.about.iter().try_for_each(|it| writeln!(out, "  {}", it.replace('\n', "\n  ")))?;
    let rows: Vec<_> = fields.iter().map(|it| (it.field.as_str(), shown(&it.value), from(it), it)).collect();
    let width = |of: fn(&(&str, String, String, &Explained)) -> usize| rows.iter().map(of).max().unwrap_or_default();
    let (names, values) = (width(|it| it.0.chars().count()), width(|it| it.1.chars().count().min(40)));
    for (name, value, from, it) in &rows {
        let over = it.overrode.first().map(|it| format!(", overrides {} from {}", shown(&it.value), it.origin));
        writeln!(out, "  {name:names$}  {value:values$}  {from}{}", over.unwrap_or_default())?;
    }
    Ok(())
}

fn from(it: &Explained) -> String {
    match (&it.origin, &it.value) {
        (Some(origin), Value::Null) => format!("removed in {origin}"),
        (Some(origin), _) => format!("from {origin}"),
        (None, Value::Null) => "not set".to_owned(),
        (None, _) => "by default".to_owned(),
    }
}

/// Shows a value in one line, as a stack file could say it.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(it) if plain(it) => it.clone(),
        it => it.to_string(),
    }
}

fn plain(text: &str) -> bool {
    let inner = |it: char| it.is_alphanumeric() || matches!(it, '_' | '-' | '.' | '/' | ':');
    text.starts_with(|it: char| it.is_alphanumeric()) && text.chars().all(inner) && text.parse::<f64>().is_err()
}

fn data(it: &Explanation) -> Value {
    let place = |it: &Origin| json!({ "file": it.file, "line": it.line, "column": it.column });
    let fields = it.fields.iter().map(|it| {
        let overrode = it.overrode.iter().map(|it| json!({ "value": it.value, "origin": place(&it.origin) }));
        json!({
            "field": it.field, "value": it.value, "origin": it.origin.as_ref().map(place),
            "overrides": overrode.collect::<Vec<_>>(), "description": it.about,
        })
    });
    json!({
        "subject": it.subject, "description": it.about, "origin": it.origin.as_ref().map(place),
        "fields": fields.collect::<Vec<_>>(),
    })
}
