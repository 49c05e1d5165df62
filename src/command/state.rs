//! `ecomctl state`: what is recorded of a stack.

use clap::Subcommand;

use crate::{
    command::{
        Exit, Global, Result, error,
        fault::of_store,
        project::{Project, StackArg},
        who,
    },
    report::{self, Terminal, human},
    stack,
    state::{Document, Record},
};

/// Show what is recorded of a stack
///
/// The state says which resources are the stack's own and what was applied last. It holds no secret. Without
/// it, what the stack's file names is found again by its name and tags; what the file no longer names is not.
#[derive(Debug, clap::Args)]
#[command(
    subcommand_value_name = "VERB",
    disable_help_subcommand = true,
    after_help = "\
Examples:
  ecomctl state show local
  ecomctl state show local --json    the whole document
"
)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the records of a stack
    Show(StackArg),
}

/// Shows the state, without looking at the provider.
///
/// # Errors
/// Says why it cannot be read.
pub async fn run(args: Args, global: &Global) -> Result<Exit> {
    let Verb::Show(StackArg { stack }) = args.verb;
    let (terminal, project) = (global.terminal(), Project::open(global)?);
    let stored = project.find_store(&stack).await?.load().await.map_err(of_store)?;
    if stored.is_none() {
        // A stack whose file is gone may still have a state; one that has neither does not exist.
        stack::find(&project.root, &stack)?;
    }
    match stored {
        Some((document, _)) if terminal.json => {
            terminal.print(&serde_json::to_string(&document).map_err(error::internal)?);
        }
        Some((document, _)) => terminal.print(&text(&stack, &document, terminal)),
        None if terminal.json => terminal.print("null"),
        None => terminal.print(&format!("Nothing is recorded of `{stack}`: it was never applied from here.")),
    }
    Ok(Exit::Done)
}

fn text(stack: &str, document: &Document, terminal: Terminal) -> String {
    let mut lines = vec![format!("{stack} · serial {} · lineage {}", document.serial, document.lineage)];
    if let Some(it) = &document.definition {
        let commit = it.commit.as_ref().map(|it| format!(" ({})", it.get(..7).unwrap_or(it))).unwrap_or_default();
        lines.push(format!("applied {} by {}{commit}", human::ago(jiff::Timestamp::now(), it.at), it.by));
    }
    if let Some(it) = &document.lease {
        lines.push(format!("held by {} (process {}) until {}", who::name(&it.holder), it.holder.pid, it.expires()));
    }
    let rows = document.resources.iter().map(|(address, it)| row(address.to_string(), it));
    lines.push(String::new());
    lines.push(report::terminal::table(&["resource", "status", "name at the provider"], rows, terminal.out));
    lines.join("\n")
}

fn row(address: String, it: &Record) -> Vec<String> {
    let status = it.status.name();
    vec![address, format!("{status}{}", if it.protect { ", protected" } else { "" }), it.physical.clone()]
}
