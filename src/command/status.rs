//! `ecomctl status`: what a running pipeline is doing.

mod functions;
mod tables;
mod topics;

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    address::Address,
    command::{
        Exit, Global, Result, alarms,
        project::StackArg,
        run::{Needs, Run},
    },
    engine::Observed,
    report::{
        self,
        status::{Known, Status},
    },
    state::Document,
};

/// How often `--watch` looks again.
const AGAIN: Duration = Duration::from_secs(2);

/// Show what a stack is doing: alarms, topics and lag, functions, tables, rejects
///
/// What cannot be told from here, such as the lag where no network path leads to the brokers, is said to be unknown. With
/// `--json` that is null, and stands in the list `unknown` with the reason: `{"what": "topics.orders.lag", "why": "…"}`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ecomctl status local
  ecomctl status local --watch
  ecomctl status staging --json
")]
pub struct Args {
    #[command(flatten)]
    stack: StackArg,
    /// Look again every two seconds, until interrupted
    #[arg(short, long)]
    watch: bool,
}

/// Looks and shows.
///
/// # Errors
/// Says what could not be read.
pub async fn run(args: Args, global: &Global) -> Result<Exit> {
    let run = Run::begin(&args.stack.stack, Needs::default(), global).await?;
    let mut document = run.document().await?;
    let mut observed = run.observe(&document).await?;
    if observed.found.is_empty() && !global.json {
        run.terminal.print(&format!("Nothing of `{0}` exists yet: `ecomctl up {0}` makes it.", run.stack.name));
        return Ok(Exit::Done);
    }
    loop {
        let status = look(&run, &document, &observed).await;
        if args.watch {
            run.terminal.clear();
        }
        let json = || report::status::json(&status).map(|it| it.to_string()).map_err(super::error::internal);
        run.terminal.print(&if global.json { json()? } else { report::status::text(&status, run.terminal.out) });
        if !args.watch {
            return Ok(Exit::Done);
        }
        tokio::time::sleep(AGAIN).await;
        // What was made or replaced meanwhile. What cannot be asked now is as it was.
        if let Ok(new) = run.document().await
            && let Ok(now) = run.observe(&new).await
        {
            (document, observed) = (new, now);
        }
    }
}

/// Asks everybody at once. What fails is unknown, and no reason to show nothing.
async fn look(run: &Run, document: &Document, observed: &Observed) -> Status {
    let topics = topics::look(run, observed);
    let functions = functions::look(run, observed);
    let triggers = functions::triggers(run, observed);
    let tables = tables::look(run, observed);
    let alarms = alarms::look(run, document);
    let (topics, functions, triggers, tables, alarms) = tokio::join!(topics, functions, triggers, tables, alarms);
    let alarms = alarms.map_or_else(|why| Known::Unknown(why.to_string()), Known::Known);
    Status { stack: run.stack.name.clone(), at: Timestamp::now(), alarms, topics, functions, triggers, tables }
}

/// Lists the stack's resources of a kind, with their names at the provider where they exist.
fn of_kind<'a>(
    run: &'a Run,
    observed: &'a Observed,
    kind: &'a str,
) -> impl Iterator<Item = (&'a Address, Known<String>)> {
    run.stack.resources.keys().filter(move |it| it.kind == kind).map(|address| {
        let name = observed.names.get(address).filter(|_| observed.found.contains_key(address));
        let known = name.map(|it| Known::Known(it.physical.clone()));
        (address, known.unwrap_or_else(|| Known::Unknown(format!("{address} does not exist"))))
    })
}

/// Finds what a resource refers to, by kind.
fn needed<'a>(run: &'a Run, address: &Address, kind: &'a str) -> impl Iterator<Item = &'a Address> {
    let needs = run.stack.resources.get(address).map(|it| it.needs.as_slice()).unwrap_or_default();
    needs.iter().map(|it| &it.to).filter(move |it| it.kind == kind)
}
