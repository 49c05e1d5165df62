//! `ecomctl validate`: are the stack files sound?

use std::{
    collections::BTreeSet,
    io::{self, Write},
    path::Path,
};

use serde_json::{Value, json};

use crate::{
    resource::Kind,
    stack::{self, Rejected, Stack},
};

/// Check stack files, and show every mistake at once
///
/// Reads the files alone: it needs no credentials, and asks nobody. Checks every stack of the project unless some are
/// named. Exits with 4 when there is a mistake.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ecomctl validate                    every stack of the project
  ecomctl validate staging --json
")]
pub struct ValidateArgs {
    /// The stacks to check [default: all]
    #[arg(value_name = "STACK", add = clap_complete::ArgValueCompleter::new(super::completions::stacks))]
    pub stacks: Vec<String>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// Checks the stacks and writes what was checked. With `--json` the mistakes are written as well, on the same stream.
///
/// # Errors
/// The mistakes of all stacks; or that the result could not be written.
pub fn run(args: &ValidateArgs, root: &Path, kinds: &[&dyn Kind], out: &mut dyn Write) -> Result<(), super::Failed> {
    let names = if args.stacks.is_empty() { stack::names(root)? } else { args.stacks.clone() };
    let (mut sound, mut rejected) = (Vec::new(), Vec::new());
    for name in &names {
        match stack::load(root, name, kinds) {
            Ok(it) => sound.push(it),
            Err(err) => rejected.push(err),
        }
    }
    let rejected = Rejected::join(rejected);
    if args.json {
        let result = json!({
            "stacks": sound.iter().map(counts).collect::<Vec<_>>(),
            "rejected": rejected,
        });
        writeln!(out, "{result:#}")?;
    } else {
        sound.iter().try_for_each(|it| line(it, out))?;
        if names.is_empty() {
            writeln!(out, "there are no stacks in stacks/")?;
        }
    }
    rejected.map_or(Ok(()), |it| Err(it.into()))
}

fn line(stack: &Stack, out: &mut dyn Write) -> io::Result<()> {
    let it = counts(stack);
    let number = |key: &str, one: &str| match it[key].as_u64().unwrap_or_default() {
        1 => format!("1 {one}"),
        it => format!("{it} {one}s"),
    };
    let (resources, kinds) = (number("resources", "resource"), number("kinds", "kind"));
    writeln!(out, "{}: {resources} of {kinds}, {}", stack.name, number("references", "reference"))
}

fn counts(stack: &Stack) -> Value {
    let kinds: BTreeSet<&str> = stack.resources.keys().map(|it| it.kind.as_str()).collect();
    let references: usize = stack.resources.values().map(|it| it.needs.len()).sum();
    json!({
        "name": stack.name, "resources": stack.resources.len(), "kinds": kinds.len(), "references": references,
        "hash": stack.hash,
    })
}
