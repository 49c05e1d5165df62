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
  ecomctl validate                    check every stack of the project
  ecomctl validate staging            check one
  ecomctl validate --json             for programs: the mistakes with file, line, column and offset
")]
pub struct ValidateArgs {
    /// The stacks: names of files in `stacks/`, without `.yaml` [default: all]
    #[arg(value_name = "STACK")]
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        command::Failed,
        stack::tests::{BASE, kinds::KINDS, project},
    };

    fn run_on(files: &[(&str, &str)], stacks: &[&str], json: bool) -> (String, Result<(), Failed>) {
        let args = ValidateArgs { stacks: stacks.iter().map(ToString::to_string).collect(), json };
        let mut out = Vec::new();
        let result = run(&args, project(files).path(), KINDS, &mut out);
        (String::from_utf8(out).expect("text"), result)
    }

    const FILES: &[(&str, &str)] = &[
        ("base.yaml", BASE),
        ("a.yaml", "extends: base.yaml\n"),
        ("b.yaml", "extends: base.yaml\nresources: { topic: { orders: { partitions: 0 } } }\n"),
    ];

    #[test]
    fn sound_stacks_are_counted() {
        let (out, result) = run_on(FILES, &["a"], false);
        assert!(result.is_ok());
        assert_eq!(out, "a: 5 resources of 4 kinds, 2 references\n");
    }

    #[test]
    fn one_bad_stack_hides_no_good_one() {
        let (out, result) = run_on(FILES, &[], false);
        assert_eq!(out, "a: 5 resources of 4 kinds, 2 references\n");
        let Err(Failed::Rejected(err)) = result else { panic!("b has a mistake") };
        assert!(!err.is_usage());
        assert_eq!(err.to_string(), "stack `b` has a mistake");
    }

    #[test]
    fn as_json_the_mistakes_are_in_the_result() {
        let (out, result) = run_on(FILES, &[], true);
        assert!(result.is_err());
        let it: Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!(it["stacks"][0]["resources"], 5);
        assert_eq!(it["rejected"]["mistakes"][0]["labels"][0]["line"], 2);
        assert_eq!(it["rejected"]["mistakes"][0]["code"], "stack::invalid_value");
    }

    #[test]
    fn a_stack_that_is_not_there_is_wrong_usage() {
        let (_, result) = run_on(FILES, &["c"], false);
        assert!(matches!(result, Err(Failed::Rejected(err)) if err.is_usage()));
        let (out, result) = run_on(&[], &[], false);
        assert!(result.is_ok());
        assert_eq!(out, "there are no stacks in stacks/\n");
    }
}
