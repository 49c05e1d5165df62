//! `ecomctl unprotect`: lets resources be deleted again. Deletes nothing. `protect` is the same the other way round.

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
    state::{Edit, Record, Session, current},
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
    named: Named,
}

/// The resources of a stack that are meant.
#[derive(Debug, clap::Args)]
pub struct Named {
    #[command(flatten)]
    stack: StackArg,
    /// What is meant, such as `topic.orders`
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
    set(args.named, false, global).await
}

/// Begins or ends the protection of all that are named, or of none.
///
/// # Errors
/// Says which is not recorded, or who holds the stack.
pub async fn set(named: Named, protect: bool, global: &Global) -> Result<Exit> {
    let (terminal, project) = (global.terminal(), Project::open(global)?);
    let Named { stack: StackArg { stack }, addresses, waiting } = named;
    let verb = if protect { "protect" } else { "unprotect" };
    let store = project.find_store(&stack).await?;
    if current(&*store).await.map_err(of_store)?.is_none() {
        return Err(unknown(&stack, &addresses[0]));
    }
    let session = lock::take(store, &who::holder(&project.root), verb, waiting, terminal).await?;
    let changed = record(&session, &stack, &addresses, protect).await;
    let released = session.release().await.map_err(of_session);
    let changed = changed?;
    released?;
    if terminal.json {
        terminal.print(&serde_json::to_string(&changed).map_err(error::internal)?);
    }
    for address in addresses.iter().filter(|_| !terminal.json) {
        let was = match (protect, changed.contains(address)) {
            (true, true) => "is protected now",
            (true, false) => "was protected already",
            (false, true) => "is no longer protected",
            (false, false) => "was not protected",
        };
        terminal.print(&format!("{address} {was}"));
    }
    let defined = project.load(&stack).ok().filter(|_| !protect);
    let again = |it: &&Address| defined.as_ref().and_then(|all| all.resources.get(*it)).is_some_and(|it| it.protect);
    for address in changed.iter().filter(again) {
        let again = format!("`ecomctl up {stack}` protects it again");
        let message = format!("the file still says `protect: true` of {address}: {again}");
        terminal.remark("protected", &message);
    }
    Ok(Exit::Done)
}

/// Returns those that this changed.
async fn record(session: &Session, stack: &str, addresses: &[Address], protect: bool) -> Result<Vec<Address>> {
    let recorded = &session.document().resources;
    if let Some(it) = addresses.iter().find(|it| !recorded.contains_key(*it)) {
        return Err(unknown(stack, it));
    }
    let differ: Vec<_> =
        addresses.iter().filter_map(|it| Some((it, recorded.get(it)?))).filter(|it| it.1.protect != protect).collect();
    let edit = |(address, record): &(&Address, &Record)| {
        Edit::Put((*address).clone(), Box::new(Record { protect, ..(*record).clone() }))
    };
    session.account(audit::done(if protect { "protect" } else { "unprotect" }, differ.iter().map(|it| it.0)));
    session.record(differ.iter().map(edit).collect()).await.map_err(of_session)?;
    Ok(differ.into_iter().map(|it| it.0.clone()).collect())
}

fn unknown(stack: &str, address: &Address) -> Error {
    let message = format!("nothing is recorded of {address} in `{stack}`; nothing was changed");
    Problem::Usage { message, help: Some(format!("see what is: ecomctl state show {stack}")) }.into()
}
