//! `ecomctl state rollback`: records again what was recorded before. Asks no provider and changes nothing there.

use std::collections::BTreeSet;

use super::Yes;
use crate::{
    address::Address,
    command::{
        Error, Result, audit,
        error::Problem,
        fault::{of_session, of_store},
        lock::{self, Waiting},
        project::{Project, StackArg},
        value, who,
    },
    report::{self, Terminal},
    state::{Archive, Document, Edit, Session},
};

/// What is put back.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    stack: StackArg,
    /// The serial, as `state history` lists it
    #[arg(value_name = "SERIAL", value_parser = value::number::<u64>)]
    serial: u64,
    #[command(flatten)]
    yes: Yes,
    #[command(flatten)]
    waiting: Waiting,
}

/// Shows what differs, asks, and puts it back under a new serial.
pub(super) async fn run(args: Args, project: &Project, terminal: Terminal) -> Result<()> {
    let stack = args.stack.stack;
    let store = project.find_store(&stack).await?;
    let earlier = match store.archive() {
        Some(it) => find(it, &stack, args.serial).await?,
        None => return Err(unknown(&stack, args.serial, &[])),
    };
    let verb = format!("state rollback {}", args.serial);
    let session = lock::take(store.clone(), &who::holder(&project.root), &verb, args.waiting, terminal).await?;
    let command = format!("ecomctl state rollback {stack} {}", args.serial);
    let done =
        put_back(&session, &stack, earlier, |sentence| args.yes.settle(&stack, sentence, &command, terminal), terminal);
    let done = done.await;
    let released = session.release().await.map_err(of_session);
    let serial = done?;
    released?;
    match serial {
        Some(_) if terminal.json => terminal.print(&serde_json::json!({ "restored": args.serial }).to_string()),
        Some(count) => terminal.print(&format!(
            "What was recorded as serial {} is recorded again: {}. See what that means: ecomctl diff {stack}",
            args.serial,
            report::human::plural(count, "record")
        )),
        None => terminal.tell(
            &serde_json::json!({ "restored": null }),
            &format!("What is recorded of `{stack}` is the same; nothing was changed."),
        ),
    }
    Ok(())
}

async fn find(archive: &dyn Archive, stack: &str, serial: u64) -> Result<Document> {
    match archive.earlier(serial).await.map_err(of_store)? {
        Some(it) => Ok(it),
        None => Err(unknown(stack, serial, &archive.serials().await.map_err(of_store)?)),
    }
}

/// Returns how many records there are now; `None` where nothing differs.
async fn put_back(
    session: &Session,
    stack: &str,
    earlier: Document,
    ask: impl FnOnce(&str) -> Result<()>,
    terminal: Terminal,
) -> Result<Option<usize>> {
    let now = session.document();
    let addresses: BTreeSet<_> = now.resources.keys().chain(earlier.resources.keys()).cloned().collect();
    let differing: Vec<_> =
        addresses.iter().filter(|it| now.resources.get(*it) != earlier.resources.get(*it)).cloned().collect();
    if differing.is_empty() && now.definition == earlier.definition {
        return Ok(None);
    }
    if !terminal.json {
        let rows = differing.iter().map(|it| row(it, now, &earlier));
        let heads = ["resource", "now", &format!("serial {}", earlier.serial)];
        terminal.print(&report::terminal::table(&heads, rows, terminal.out));
    }
    ask(&format!(
        "This replaces what is recorded of `{stack}` (serial {}) by what was recorded as serial {}. Nothing is changed at any \
         provider; what is no longer recorded is found again by its name and tags only if the stack's file names it.",
        now.serial, earlier.serial
    ))?;
    let count = earlier.resources.len();
    session.account(audit::done("restore", differing.iter()));
    session.record(vec![Edit::Restore(Box::new(earlier))]).await.map_err(of_session)?;
    Ok(Some(count))
}

fn row(address: &Address, now: &Document, earlier: &Document) -> Vec<String> {
    let of = |document: &Document| match document.resources.get(address) {
        None => "not recorded".to_owned(),
        Some(it) => format!("{}{}, {}", it.status.name(), if it.protect { ", protected" } else { "" }, it.physical),
    };
    let (left, right) = (of(now), of(earlier));
    // What differs lies deeper then: in what was applied.
    let right = if left == right { format!("{right}, applied otherwise") } else { right };
    vec![address.to_string(), left, right]
}

fn unknown(stack: &str, serial: u64, kept: &[u64]) -> Error {
    let message = format!("no copy of serial {serial} of `{stack}` is kept; nothing was changed");
    let kept: Vec<_> = kept.iter().map(u64::to_string).collect();
    let help = match kept.is_empty() {
        true => "none is kept: a copy is made before each run that changes anything".to_owned(),
        false => format!("these are: {}; ecomctl state history {stack} says what came after each", kept.join(", ")),
    };
    Problem::Usage { message, help: Some(help) }.into()
}
