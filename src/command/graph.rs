//! `ecomctl graph`: a stack as a picture.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
    path::Path,
};

use serde_json::json;

use crate::{
    address::Address,
    resource::Kind,
    stack::{self, Stack},
};

/// Draw what a stack consists of, and what needs what
///
/// An arrow leads from a resource to what it needs. A solid one: the other must be ready first. A dashed one: its name
/// suffices, so that nothing waits. Mermaid is drawn by GitHub and GitLab as it is; for Graphviz:
/// `ecomctl graph staging --format dot | dot -Tsvg`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ecomctl graph staging                                  Mermaid, for Markdown
  ecomctl graph staging --format dot | dot -Tsvg         Graphviz
")]
pub struct GraphArgs {
    /// The stack to draw
    #[arg(value_name = "STACK", add = clap_complete::ArgValueCompleter::new(super::completions::stacks))]
    pub stack: String,
    /// The language of the picture
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Print nodes and edges as JSON
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
}

/// The language of a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Mermaid, for Markdown.
    #[default]
    Mermaid,
    /// Dot, for Graphviz.
    Dot,
}

/// Writes the picture.
///
/// # Errors
/// The stack's mistakes; or that the result could not be written.
pub fn run(args: &GraphArgs, root: &Path, kinds: &[&dyn Kind], out: &mut dyn Write) -> Result<(), super::Failed> {
    let stack = stack::load(root, &args.stack, kinds)?;
    match args.format {
        _ if args.json => data(&stack, out)?,
        Format::Mermaid => mermaid(&stack, out)?,
        Format::Dot => dot(&stack, out)?,
    }
    Ok(())
}

/// One arrow. Where a resource needs another in several ways, the strongest counts.
struct Edge<'a> {
    from: &'a Address,
    to: &'a Address,
    weak: bool,
}

fn edges(stack: &Stack) -> Vec<Edge<'_>> {
    let mut found: BTreeMap<(&Address, &Address), bool> = BTreeMap::new();
    for (from, it) in &stack.resources {
        for need in &it.needs {
            found.entry((from, &need.to)).and_modify(|weak| *weak &= need.weak).or_insert(need.weak);
        }
    }
    found.into_iter().map(|((from, to), weak)| Edge { from, to, weak }).collect()
}

fn kinds(stack: &Stack) -> BTreeSet<&str> {
    stack.resources.keys().map(|it| it.kind.as_str()).collect()
}

fn of<'a>(stack: &'a Stack, kind: &str) -> impl Iterator<Item = &'a Address> {
    stack.resources.keys().filter(move |it| it.kind == kind)
}

// Kinds and names consist of lower-case letters, digits and underscores, so that nothing has to be escaped.

fn mermaid(stack: &Stack, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "flowchart LR")?;
    for kind in kinds(stack) {
        writeln!(out, "  subgraph kind_{kind}[\"{kind}\"]")?;
        of(stack, kind).try_for_each(|it| writeln!(out, "    {kind}.{0}[\"{0}\"]", it.name))?;
        writeln!(out, "  end")?;
    }
    edges(stack).iter().try_for_each(|it| {
        let arrow = if it.weak { "-.->" } else { "-->" };
        writeln!(out, "  {} {arrow} {}", it.from, it.to)
    })
}

fn dot(stack: &Stack, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "digraph \"{}\" {{\n  rankdir=LR;\n  node [shape=box, style=rounded];", stack.name)?;
    for kind in kinds(stack) {
        writeln!(out, "  subgraph cluster_{kind} {{\n    label=\"{kind}\";")?;
        of(stack, kind).try_for_each(|it| writeln!(out, "    \"{it}\" [label=\"{}\"];", it.name))?;
        writeln!(out, "  }}")?;
    }
    edges(stack).iter().try_for_each(|it| {
        let style = if it.weak { " [style=dashed]" } else { "" };
        writeln!(out, "  \"{}\" -> \"{}\"{style};", it.from, it.to)
    })?;
    writeln!(out, "}}")
}

fn data(stack: &Stack, out: &mut dyn Write) -> io::Result<()> {
    let nodes = stack.resources.iter().map(|(address, it)| {
        json!({
            "address": address, "kind": address.kind, "name": address.name, "protect": it.protect,
            "origin": it.origin.to_string(),
        })
    });
    let edges = edges(stack);
    let edges = edges.iter().map(|it| json!({ "from": it.from, "to": it.to, "weak": it.weak }));
    let graph = json!({
        "stack": stack.name, "nodes": nodes.collect::<Vec<_>>(), "edges": edges.collect::<Vec<_>>(),
    });
    writeln!(out, "{graph:#}")
}
