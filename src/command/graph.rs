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
/// suffices, so that nothing waits. GitHub and GitLab draw Mermaid as it is; dot is for Graphviz.
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
        of(stack, kind).try_for_each(|it| writeln!(out, "    {}[\"{}\"]", id(it), it.name))?;
        writeln!(out, "  end")?;
    }
    edges(stack).iter().try_for_each(|it| {
        let arrow = if it.weak { "-.->" } else { "-->" };
        writeln!(out, "  {} {arrow} {}", id(it.from), id(it.to))
    })
}

/// Names a node. No name holds two underscores in a row, so that no two get the same.
fn id(address: &Address) -> String {
    format!("{}__{}", address.kind, address.name)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::tests::{kinds::KINDS, project};

    const STACK: &str = "\
resources:
  cluster:
    events: {}
  topic:
    orders: { cluster: events, partitions: 6 }
  role:
    ingest: {}
  function:
    ingest: { code: ingest, role: ingest, after: [topic.orders] }
    late: { code: late, role: ingest, after: [role.ingest] }
";

    fn drawn(format: Format, json: bool) -> String {
        let mut out = Vec::new();
        let args = GraphArgs { stack: "local".into(), format, json };
        run(&args, project(&[("local.yaml", STACK)]).path(), KINDS, &mut out).expect("a sound stack");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn mermaid() {
        insta::assert_snapshot!(drawn(Format::Mermaid, false), @r#"
    flowchart LR
      subgraph kind_cluster["cluster"]
        cluster__events["events"]
      end
      subgraph kind_function["function"]
        function__ingest["ingest"]
        function__late["late"]
      end
      subgraph kind_role["role"]
        role__ingest["ingest"]
      end
      subgraph kind_topic["topic"]
        topic__orders["orders"]
      end
      function__ingest -.-> role__ingest
      function__ingest --> topic__orders
      function__late --> role__ingest
      topic__orders --> cluster__events
    "#);
    }

    #[test]
    fn dot() {
        insta::assert_snapshot!(drawn(Format::Dot, false), @r#"
    digraph "local" {
      rankdir=LR;
      node [shape=box, style=rounded];
      subgraph cluster_cluster {
        label="cluster";
        "cluster.events" [label="events"];
      }
      subgraph cluster_function {
        label="function";
        "function.ingest" [label="ingest"];
        "function.late" [label="late"];
      }
      subgraph cluster_role {
        label="role";
        "role.ingest" [label="ingest"];
      }
      subgraph cluster_topic {
        label="topic";
        "topic.orders" [label="orders"];
      }
      "function.ingest" -> "role.ingest" [style=dashed];
      "function.ingest" -> "topic.orders";
      "function.late" -> "role.ingest";
      "topic.orders" -> "cluster.events";
    }
    "#);
    }

    #[test]
    fn json() {
        let it: serde_json::Value = serde_json::from_str(&drawn(Format::Mermaid, true)).expect("JSON");
        assert_eq!(it["nodes"].as_array().map(Vec::len), Some(5));
        assert_eq!(it["nodes"][0]["origin"], "stacks/local.yaml:3:5");
        let edge = |i: usize| {
            (it["edges"][i]["from"].as_str(), it["edges"][i]["to"].as_str(), it["edges"][i]["weak"].as_bool())
        };
        assert_eq!(edge(0), (Some("function.ingest"), Some("role.ingest"), Some(true)));
        // By name in one field, to be ready by another: it waits.
        assert_eq!(edge(2), (Some("function.late"), Some("role.ingest"), Some(false)));
    }
}
