//! `ecomctl state`: what is recorded of a stack, what was before, and how to put that back.

mod history;
mod init;
mod relocate;
mod repair;
mod rollback;

pub(super) use init::check as check_bucket;
pub(super) use relocate::check as check_left_behind;

use clap::Subcommand;

use crate::{
    command::{
        Exit, Global, Result,
        consent::{Deed, STACK},
        error,
        fault::of_store,
        lock,
        project::{Project, StackArg},
        who,
    },
    report::{self, Terminal, human},
    stack,
    state::{Document, Record, Source, current},
};

/// Show what is recorded of a stack, and what was before; put it back
///
/// The state says which resources are the stack's own and what was applied last. It holds no secret. Without
/// it, what the stack's file names is found again by its name and tags; what the file no longer names is not.
/// It is kept in a file of this machine, or, where the stack's file says `state: s3://bucket/prefix`, in a bucket.
#[derive(Debug, clap::Args)]
#[command(
    subcommand_value_name = "VERB",
    disable_help_subcommand = true,
    after_help = "\
Examples:
  ecomctl state show local
  ecomctl state show local --json        the whole document
  ecomctl state history staging          who changed what, and when
  ecomctl state rollback staging 41      record again what was recorded then; changes nothing but the record
  ecomctl state repair staging           replace a damaged state by its newest copy
  ecomctl state move staging             from a file of this machine to the bucket that the stack's file names now
  ecomctl state init staging             make the bucket that the stack's file names, or make it safe
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
    /// List who changed a stack, when, and what became of it
    History(history::Args),
    /// Record again what was recorded before, as a new serial; changes nothing but the record
    Rollback(rollback::Args),
    /// Replace a damaged state by its newest copy
    Repair(repair::Args),
    /// Take the state along to where the stack's file says now
    Move(relocate::Args),
    /// Make the bucket that holds the state, or make it safe: private, with versions
    Init(init::Args),
}

/// The flag that gives consent beforehand.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
struct Yes {
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// Does what the arguments ask for.
///
/// # Errors
/// Says why the state cannot be read or written.
pub async fn run(args: Args, global: &Global) -> Result<Exit> {
    let (terminal, project) = (global.terminal(), Project::open(global)?);
    match args.verb {
        Verb::Show(it) => show(&it.stack, &project, terminal).await?,
        Verb::History(it) => history::run(it, &project, global).await?,
        Verb::Rollback(it) => rollback::run(it, &project, terminal).await?,
        Verb::Repair(it) => repair::run(it, &project, terminal).await?,
        Verb::Move(it) => relocate::run(it, &project, terminal).await?,
        Verb::Init(it) => init::run(it, &project, terminal).await?,
    }
    Ok(Exit::Done)
}

impl Yes {
    /// Asks for the stack's name, unless consent was given.
    fn settle(self, stack: &str, sentence: &str, command: &str, terminal: Terminal) -> Result<()> {
        if self.yes {
            return Ok(());
        }
        let command = format!("{command} --yes");
        let what = "changing the state";
        Deed { sentence, what, asked: STACK, word: stack, command: &command }.agree(&terminal)
    }
}

/// Shows the state, without looking at the provider.
async fn show(stack: &str, project: &Project, terminal: Terminal) -> Result<()> {
    let stored = current(&*project.find_store(stack).await?).await.map_err(of_store)?;
    if let Some((document, Source::Kept)) = &stored {
        terminal.remark("restored", &lock::restored(document.serial));
    }
    if stored.is_none() {
        // A stack whose file is gone may still have a state; one that has neither does not exist.
        stack::find(&project.root, stack)?;
    }
    match stored {
        Some((document, _)) if terminal.json => {
            terminal.print(&serde_json::to_string(&document).map_err(error::internal)?);
        }
        Some((document, _)) => terminal.print(&text(stack, &document, terminal)),
        None if terminal.json => terminal.print("null"),
        None => terminal.print(&format!("Nothing is recorded of `{stack}`: it was never applied from here.")),
    }
    Ok(())
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
    if document.resources.is_empty() {
        lines.push("Nothing is owned.".to_owned());
        return lines.join("\n");
    }
    let rows = document.resources.iter().map(|(address, it)| row(address.to_string(), it));
    lines.push(String::new());
    lines.push(report::terminal::table(&["resource", "status", "name at the provider"], rows, terminal.out));
    lines.join("\n")
}

fn row(address: String, it: &Record) -> Vec<String> {
    let protected = if it.protect { ", protected" } else { "" };
    vec![address, format!("{}{protected}", it.status.name()), it.physical.clone()]
}
