//! `ecomctl unprotect`: lets resources be deleted again. Deletes nothing.

use crate::{
    address::Address,
    command::{
        Error, Exit, Global, Result, audit, error,
        error::Problem,
        fault::{of_session, of_store},
        lock::{self, Waiting},
        project::{Project, StackArg},
        who,
    },
    state::{Edit, Record, Session},
};

/// Let protected resources of a stack be deleted again; deletes nothing
///
/// A resource that was once applied with `protect: true` stays protected, also when it leaves the file. This ends that,
/// and the next `up` or `teardown` may delete it. While the file still says `protect: true`, the next `up` protects it again.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ecomctl unprotect staging topic.orders
  ecomctl unprotect staging topic.orders bucket.lake
")]
pub struct Args {
    #[command(flatten)]
    stack: StackArg,
    /// What may be deleted again, such as `topic.orders`
    #[arg(value_name = "ADDRESS", required = true)]
    addresses: Vec<Address>,
    #[command(flatten)]
    waiting: Waiting,
}

/// Ends the protection of all that are named, or of none.
///
/// # Errors
/// Says which is not recorded, or who holds the stack.
pub async fn run(args: Args, global: &Global) -> Result<Exit> {
    let (terminal, project) = (global.terminal(), Project::open(global)?);
    let stack = args.stack.stack;
    let store = project.find_store(&stack).await?;
    if store.load().await.map_err(of_store)?.is_none() {
        return Err(unknown(&stack, &args.addresses[0]));
    }
    let session = lock::take(store, &who::holder(&project.root), "unprotect", args.waiting, terminal).await?;
    let ended = end(&session, &stack, &args.addresses).await;
    let released = session.release().await.map_err(of_session);
    let ended = ended?;
    released?;
    if terminal.json {
        terminal.print(&serde_json::to_string(&ended).map_err(error::internal)?);
    }
    for address in args.addresses.iter().filter(|_| !terminal.json) {
        let was = if ended.contains(address) { "is no longer protected" } else { "was not protected" };
        terminal.print(&format!("{address} {was}"));
    }
    let defined = project.load(&stack).ok();
    let again = |it: &&Address| defined.as_ref().and_then(|all| all.resources.get(*it)).is_some_and(|it| it.protect);
    for address in ended.iter().filter(again) {
        terminal
            .note(&format!("the file still says `protect: true` of {address}: `ecomctl up {stack}` protects it again"));
    }
    Ok(Exit::Done)
}

/// Returns those that were protected.
async fn end(session: &Session, stack: &str, addresses: &[Address]) -> Result<Vec<Address>> {
    let recorded = &session.document().resources;
    if let Some(it) = addresses.iter().find(|it| !recorded.contains_key(*it)) {
        return Err(unknown(stack, it));
    }
    let protected: Vec<_> =
        addresses.iter().filter_map(|it| Some((it, recorded.get(it)?))).filter(|it| it.1.protect).collect();
    let edit = |(address, record): &(&Address, &Record)| {
        Edit::Put((*address).clone(), Box::new(Record { protect: false, ..(*record).clone() }))
    };
    session.account(audit::done("unprotect", protected.iter().map(|it| it.0)));
    session.record(protected.iter().map(edit).collect()).await.map_err(of_session)?;
    Ok(protected.into_iter().map(|it| it.0.clone()).collect())
}

fn unknown(stack: &str, address: &Address) -> Error {
    let message = format!("nothing is recorded of {address} in `{stack}`; nothing was changed");
    Problem::Usage { message, help: Some(format!("see what is: ecomctl state show {stack}")) }.into()
}
