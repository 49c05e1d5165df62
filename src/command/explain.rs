//! `ecomctl explain`: where a value comes from.

use std::{
    collections::BTreeSet,
    fs,
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
    #[arg(value_name = "RESOURCE[.FIELD]")]
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
    if !args.json {
        let named: BTreeSet<&str> = it.fields.iter().flat_map(|it| templates(&it.field, &it.value)).collect();
        named.into_iter().try_for_each(|it| grounds(root, it, out))?;
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

/// Lists the templates that a value names: under `template`, however deep.
fn templates<'a>(field: &str, value: &'a Value) -> Vec<&'a str> {
    match value {
        Value::String(it) if field.rsplit('.').next() == Some("template") => vec![it],
        Value::Object(map) => map.iter().flat_map(|(key, it)| templates(key, it)).collect(),
        _ => Vec::new(),
    }
}

/// Says what a template is for, in its own opening comment, and why each statement of a policy is in it. Of one that cannot
/// be read, or says nothing, nothing is said: what is wrong with it, `diff` tells.
fn grounds(root: &Path, template: &str, out: &mut dyn Write) -> io::Result<()> {
    let text = fs::read_to_string(root.join("templates").join(template)).unwrap_or_default();
    let Some((comment, rest)) = text.strip_prefix("{#").and_then(|it| it.split_once("#}")) else { return Ok(()) };
    let comment = comment.split_whitespace().collect::<Vec<_>>().join(" ");
    writeln!(out, "  templates/{template}: {comment}")?;
    let sids = rest.split("\"Sid\": \"").skip(1).filter_map(|it| it.split(['"', '{']).next());
    sids.into_iter().try_for_each(|it| writeln!(out, "    {it}"))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::tests::{BASE, kinds::KINDS, project};

    const LOCAL: &str = "\
extends: base.yaml
stack: { region: eu-central-1 }
resources:
  topic:
    orders: { partitions: 12, retention: null }
";

    fn told(target: &str, json: bool) -> String {
        let mut out = Vec::new();
        let args = ExplainArgs { stack: "local".into(), target: target.into(), json };
        let root = project(&[("base.yaml", BASE), ("local.yaml", LOCAL)]);
        run(&args, root.path(), KINDS, &mut out).expect("it is there");
        String::from_utf8(out).expect("text").lines().flat_map(|it| [it.trim_end(), "\n"]).collect()
    }

    #[test]
    fn a_template_says_what_it_is_for_and_each_statement_why_it_is_there() {
        let root = tempfile::tempdir().expect("a folder");
        let file = root.path().join("templates/policies/stream.json");
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        let text = "{# Lets it\n   read. #}\n{ \"Sid\": \"ReadTopics\" }, { \"Sid\": \"Connect{{ loop.index }}\" }";
        std::fs::write(file, text).expect("written");
        let named = json!({ "stream": { "template": "policies/stream.json", "uses": ["topic.orders"] } });
        let mut out = Vec::new();
        for it in templates("policies", &named).into_iter().chain(templates("x.template", &json!("none.json"))) {
            grounds(root.path(), it, &mut out).expect("written");
        }
        let told = String::from_utf8(out).expect("text");
        assert_eq!(told, "  templates/policies/stream.json: Lets it read.\n    ReadTopics\n    Connect\n");
    }

    #[test]
    fn a_field() {
        insta::assert_snapshot!(told("topic.orders.partitions", false), @r#"
    topic.orders.partitions = 12
      from stacks/local.yaml:5:27
      overrides 6 from stacks/base.yaml:5:44
      How many partitions it has. Can only grow.
    "#);
        insta::assert_snapshot!(told("topic.orders.retention", false), @r#"
    topic.orders.retention = -
      removed in stacks/local.yaml:5:42
      overrides 7d from stacks/base.yaml:5:58
      How long events are kept.
    "#);
        insta::assert_snapshot!(told("topic.orders.cleanup", false), @r#"
    topic.orders.cleanup = delete
      by default
      What happens to old events.
    "#);
    }

    #[test]
    fn a_resource() {
        insta::assert_snapshot!(told("topic.orders", false), @r#"
    topic.orders is defined in stacks/base.yaml:5:5
      A Kafka topic.
      cluster       events  from stacks/base.yaml:5:24
      partitions    12      from stacks/local.yaml:5:27, overrides 6 from stacks/base.yaml:5:44
      retention     -       removed in stacks/local.yaml:5:42, overrides 7d from stacks/base.yaml:5:58
      cleanup       delete  by default
      protect       false   by default
      renamed_from  -       not set
      after         []      by default
    "#);
    }

    #[test]
    fn the_settings() {
        insta::assert_snapshot!(told("stack", false), @r#"
    stack is defined in stacks/local.yaml:2:1
      target  aws           by default
      region  eu-central-1  from stacks/local.yaml:2:18
    "#);
    }

    #[test]
    fn json() {
        let it: Value = serde_json::from_str(&told("topic.orders.partitions", true)).expect("JSON");
        let field = json!({
            "field": "partitions", "value": 12,
            "origin": { "file": "stacks/local.yaml", "line": 5, "column": 27 },
            "overrides": [{ "value": 6, "origin": { "file": "stacks/base.yaml", "line": 5, "column": 44 } }],
            "description": "How many partitions it has. Can only grow.",
        });
        assert_eq!(it["fields"], json!([field]));
    }
}
