//! `ecomctl state repair`: replaces a damaged state by its newest copy, or by none.

use serde_json::json;

use super::Yes;
use crate::{
    command::{
        Result, audit,
        fault::{of_session, of_store},
        lock::{self, Waiting},
        project::{Project, StackArg},
        who,
    },
    report::{Terminal, human},
    stack,
    state::{Document, Edit, StoreError, current},
};

/// What is mended.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    stack: StackArg,
    #[command(flatten)]
    yes: Yes,
    #[command(flatten)]
    waiting: Waiting,
}

/// Looks whether the state is damaged, says what would take its place, asks, and puts it there.
pub(super) async fn run(args: Args, project: &Project, terminal: Terminal) -> Result<()> {
    let stack = args.stack.stack;
    let store = project.find_store(&stack).await?;
    let damage = match store.load().await {
        Err(err @ StoreError::Damaged { .. }) => err,
        Err(err) => return Err(of_store(err)),
        Ok(found) => {
            let lost = if found.is_none() { current(&*store).await.map_err(of_store)? } else { None };
            let text = match (&found, &lost) {
                (None, Some((copy, _))) => lock::restored(copy.serial),
                (None, None) => {
                    stack::find(&project.root, &stack)?;
                    format!("Nothing was ever recorded of `{stack}`.")
                }
                (Some(_), _) => format!("The state of `{stack}` is whole; nothing was changed."),
            };
            terminal.tell(&json!({ "damaged": null, "copy": lost.map(|it| it.0.serial) }), &text);
            return Ok(());
        }
    };
    let Some(archive) = store.archive() else { return Err(of_store(damage)) };
    let newest = archive.newest().await.map_err(of_store)?;
    let sentence = match &newest {
        Some(it) => format!(
            "{damage}. This puts in its place what was recorded as serial {}: {}. What was made since then is found again by \
             its name and tags, where the stack's file names it; what was protected since then is not protected.",
            it.serial,
            human::plural(it.resources.len(), "record")
        ),
        None => format!(
            "{damage}. No copy is left: this puts an empty state in its place. The next `ecomctl up {stack}` finds everything \
             again that the stack's file names, by its name and tags; not what the file no longer names."
        ),
    };
    terminal.remark("damaged", &sentence);
    let command = format!("ecomctl state repair {stack}");
    args.yes.settle(&stack, "The damaged state is put aside, and can be read by hand.", &command, terminal)?;
    let mended = Document { lease: None, ..newest.unwrap_or_default() };
    let aside = archive.mend(&mended).await.map_err(of_store)?;
    // Once more, as a run like any other, for the journal to tell.
    let session =
        lock::take(store.clone(), &who::holder(&project.root), "state repair", args.waiting, terminal).await?;
    session.account(audit::done("restore", mended.resources.keys()));
    let recorded = session.record(vec![Edit::Restore(Box::new(mended.clone()))]).await.map_err(of_session);
    session.release().await.map_err(of_session)?;
    recorded?;
    let text = format!("The state of `{stack}` is mended; what was damaged is now {aside}");
    terminal.tell(&json!({ "damaged": aside }), &text);
    Ok(())
}
