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
            Ok(it) => {
                // What is laid over it in previews fits or does not, whatever their prefix.
                let preview = format!("p-{name}");
                if it.settings.previews.is_some() && stack::stem_of(root, &preview) == Some(name) {
                    rejected.extend(stack::load(root, &preview, kinds).err());
                }
                sound.push(it);
            }
            Err(err) => rejected.push(err),
        }
    }
    if args.stacks.is_empty() {
        rejected.extend(stack::strays(root)?);
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
    fn what_differs_in_previews_is_checked_too() {
        let files = [("a.yaml", "stack: { previews: over.yaml }\n"), ("over.yaml", "stack: { sizes: small }\n")];
        let (out, result) = run_on(&files, &[], false);
        assert!(out.starts_with("a: "), "{out}");
        let Err(Failed::Rejected(it)) = result else { panic!("{result:?}") };
        assert_eq!(it.mistakes().len(), 1, "{it:?}");
    }

    #[test]
    fn files_that_are_passed_over_are_complained_of() {
        let files = [
            ("a.yaml", ""),
            ("Staging.yaml", ""),
            ("x.yml", ""),
            ("Base.yaml", ""),
            ("b.yaml", "extends: Base.yaml\n"),
        ];
        let (out, result) = run_on(&files, &[], false);
        assert_eq!(out.lines().count(), 2, "{out}");
        let Err(Failed::Rejected(rejected)) = result else { panic!("two files are passed over") };
        let told: Vec<_> = rejected.mistakes().iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "stacks/Staging.yaml is passed over: its name is not that of a stack file",
                "stacks/x.yml is passed over: its name is not that of a stack file",
            ]
        );
        assert!(!rejected.is_usage());
        assert!(run_on(&files, &["a"], false).1.is_ok(), "only when all are asked for");
    }

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
        let err = result.expect_err("b has a mistake");
        assert_eq!(err.to_string(), "stack `b` has a mistake");
        assert_eq!(crate::command::Error::from(err).exit(), crate::command::Exit::Rejected);
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
        let err = result.expect_err("no such stack");
        assert_eq!(crate::command::Error::from(err).exit(), crate::command::Exit::Usage);
        let (out, result) = run_on(&[], &[], false);
        assert!(result.is_ok());
        assert_eq!(out, "there are no stacks in stacks/\n");
    }
}
