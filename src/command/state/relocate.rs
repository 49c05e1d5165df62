//! `ecomctl state move`: takes a state along to where the stack's file says now.

use std::sync::Arc;

use miette::Diagnostic;
use serde_json::json;

use super::Yes;
use crate::{
    command::{
        Error, Exit, Result, audit,
        fault::{of_session, of_store},
        lock::{self, Waiting},
        project::{Project, StackArg},
        who,
    },
    report::{Terminal, human},
    resource::KINDS,
    stack::{self, Keep, Settings},
    state::{Document, Edit, Store},
};

/// What is moved.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    stack: StackArg,
    /// Where the state was kept: `file`, or `s3://bucket/prefix`
    #[arg(long, value_name = "PLACE", default_value = "file", value_parser = |it: &str| Keep::try_from(it.to_owned()))]
    from: Keep,
    #[command(flatten)]
    yes: Yes,
    #[command(flatten)]
    waiting: Waiting,
}

/// The state was not moved.
#[derive(Debug, thiserror::Error, Diagnostic)]
enum Unmoved {
    /// There is another.
    #[error("{place} holds {which} already; nothing was changed")]
    #[diagnostic(code(state::exists), help("look at it: ecomctl state show {stack}"))]
    Exists {
        /// Where.
        place: String,
        /// The stack.
        stack: String,
        /// What there is.
        which: &'static str,
    },
    /// There is none where it should be.
    #[error("nothing is recorded of `{stack}` in {place}; nothing was changed")]
    #[diagnostic(
        code(state::missing),
        help("say where it was kept, such as `--from file` or `--from s3://bucket/prefix`")
    )]
    Missing {
        /// Where.
        place: String,
        /// The stack.
        stack: String,
    },
}

/// The state would begin anew although this machine holds one.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error(
    "the state of `{stack}` is to be kept in {to}, where none is yet, but this machine holds one in {from}; nothing was changed"
)]
#[diagnostic(code(state::elsewhere), help("take it along: ecomctl state move {stack} --from file"))]
struct Elsewhere {
    stack: String,
    from: String,
    to: String,
}

/// Makes sure that no state is left behind in a file of this machine where one would begin in a bucket.
///
/// # Errors
/// Says that there is one, and how to take it along.
pub(in crate::command) async fn check(project: &Project, stack: &str, to: &dyn Store) -> Result<()> {
    let from = project.file_store(stack)?;
    match from.load().await {
        Ok(Some((document, _))) if !document.is_new() => {
            let (stack, from, to) = (stack.to_owned(), from.place(), to.place());
            Err(Error::new(Exit::Refused, Elsewhere { stack, from, to }))
        }
        _ => Ok(()),
    }
}

/// Asks, writes the state to its new place, and empties the old one.
pub(super) async fn run(args: Args, project: &Project, terminal: Terminal) -> Result<()> {
    let stack = args.stack.stack;
    let settings = stack::settings(&project.root, &stack, KINDS)?;
    let aws = Box::pin(project.aws(&stack, &settings)).await?;
    let to = project.store(&stack, &settings, &aws)?;
    let kept = args.from.to_string();
    // Whoever names the old place knows whose it is.
    let before = Settings { state: Some(args.from), account: None, state_account: None, ..settings };
    let from = project.store(&stack, &before, &aws)?;
    if from.place() == to.place() {
        let text = format!("The state of `{stack}` is in {} already; nothing was changed.", to.place());
        terminal.tell(&json!({ "moved": false, "to": to.place() }), &text);
        return Ok(());
    }
    let holder = who::holder(&project.root);
    let session = lock::take(from.clone(), &holder, "state move", args.waiting, terminal).await?;
    let moved = async {
        let document = session.document();
        if document.is_new() {
            return Err(Error::new(Exit::Usage, Unmoved::Missing { place: from.place(), stack: stack.clone() }));
        }
        let sentence = format!(
            "This moves the state of `{stack}`, {}, from {} to {}.",
            human::plural(document.resources.len(), "record"),
            from.place(),
            to.place()
        );
        let command = format!("ecomctl state move {stack} --from {kept}");
        args.yes.settle(&stack, &sentence, &command, terminal)?;
        write(&stack, document, &to).await?;
        session.account(audit::done("move", document.resources.keys()));
        let empty = Document { definition: None, resources: [].into(), ..document.clone() };
        session.record(vec![Edit::Restore(Box::new(empty))]).await.map_err(of_session)
    };
    let moved = moved.await;
    let released = session.release().await.map_err(of_session);
    moved?;
    released?;
    let text = format!(
        "The state of `{stack}` is now in {}; what was in {} is in the history there.",
        to.place(),
        from.place()
    );
    terminal.tell(&json!({ "moved": true, "to": to.place() }), &text);
    Ok(())
}

/// Writes it where there is none, or an empty one. One of the same chain is what a move before, which was killed, wrote.
async fn write(stack: &str, document: &Document, to: &Arc<dyn Store>) -> Result<()> {
    let (serial, etag) = match to.load().await.map_err(of_store)? {
        None => (document.serial, None),
        Some((there, etag)) if there.is_new() && there.lease.is_none() => {
            (document.serial.max(there.serial), Some(etag))
        }
        // What a move before wrote, which was killed then; runs may have gone on from there.
        Some((there, _))
            if there.lineage == document.lineage
                && (there.resources == document.resources || there.serial > document.serial) =>
        {
            return Ok(());
        }
        Some((there, _)) => {
            let (place, stack) = (to.place(), stack.to_owned());
            let which =
                if there.lineage == document.lineage { "an older state of this chain" } else { "another state" };
            return Err(Error::new(Exit::Refused, Unmoved::Exists { place, stack, which }));
        }
    };
    let document = Document { serial: serial + 1, lease: None, ..document.clone() };
    to.swap(&document, etag.as_ref()).await.map_err(of_store)?;
    Ok(())
}
