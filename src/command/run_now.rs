//! `ecomctl run`: starts a job, follows its tasks, and ends as its run does.

mod follow;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use miette::Diagnostic;
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    address::Address,
    client::databricks::runs::Outcome,
    command::{
        Error, Exit, Global, Result,
        error::{self, Problem},
        project::StackArg,
        run::{Needs, Run},
        value,
    },
    stack,
    state::Document,
};

/// The job parameter that `--as-of` sets.
const AS_OF: &str = "as_of";

/// Run a job now, follow its tasks, and end as it does
///
/// Shows each task as it begins and ends. When one fails, shows its error and the end of its trace, and exits with 10.
/// Interrupting cancels the run and waits for its end; interrupting again leaves it to itself.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ecomctl run local medallion
  ecomctl run local medallion --as-of 2026-01-31T00:00:00Z
  ecomctl run staging medallion --parameter as_of=2026-01-31T00:00:00Z --json
")]
pub struct Args {
    #[command(flatten)]
    stack: StackArg,
    /// The job: its name in the stack's file
    #[arg(value_name = "JOB")]
    job: String,
    /// Compute as of this time, such as 2026-01-31T00:00:00Z; sets the job's parameter `as_of`
    #[arg(long, value_name = "TIME", value_parser = value::time)]
    as_of: Option<Timestamp>,
    /// Set one of the job's parameters for this run
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = parameter)]
    parameters: Vec<(String, String)>,
    /// Return as soon as the run is accepted
    #[arg(long)]
    no_wait: bool,
}

fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

/// A run that did not end well.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("run {run} of {job} ended {}", outcome.map_or("without a result", view::word))]
#[diagnostic(code(run::failed))]
struct Failed {
    job: Address,
    run: i64,
    outcome: Option<Outcome>,
    #[help]
    help: String,
    #[related]
    tasks: Vec<view::TaskFailure>,
}

/// A run that could not be followed to its end.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("run {run} of {job} was begun, and could not be followed to its end: {cause}")]
#[diagnostic(code(run::lost))]
struct Lost {
    job: Address,
    run: i64,
    cause: crate::client::Error,
    #[help]
    help: String,
}

/// Starts the run and follows it.
///
/// # Errors
/// Says why it could not be started, or how it failed.
pub async fn run(args: Args, global: &Global) -> Result<Exit> {
    let run = Run::begin(&args.stack.stack, Needs { start: true, build: false }, global).await?;
    let (address, id) = job(&run, &run.document().await?, &args.job)?;
    let as_of = args.as_of.map(|it| (AS_OF.to_owned(), it.to_string()));
    let parameters: BTreeMap<_, _> = as_of.into_iter().chain(args.parameters).collect();
    if let Some(it) = run.stack.resources.get(&address) {
        known(&address, &it.spec, &parameters)?;
    }
    // From here on: an interrupt that comes before the run's number does stops the run all the same.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(error::internal)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(error::internal)?;
    // The same token never starts a second run, so that the request may be sent again when its answer is lost.
    let number = run.cx.databricks.run_now(id, &Uuid::new_v4().simple().to_string(), &parameters).await?;
    let mut shown = view::View::new(run.terminal, address.clone());
    if args.no_wait {
        run.terminal.print(&shown.accepted(number));
        return Ok(Exit::Done);
    }
    let cancel = CancellationToken::new();
    let ended = {
        let mut followed = std::pin::pin!(follow::follow(&run.cx.databricks, number, &mut shown, &cancel));
        loop {
            tokio::select! {
                it = &mut followed => break it.map_err(|cause| {
                    let help = format!("it goes on; ecomctl logs {} {address} -f shows what it prints", run.stack.name);
                    Error::new(Exit::Unreachable, Lost { job: address.clone(), run: number, cause, help })
                })?,
                _ = interrupt.recv() => (),
                _ = terminate.recv() => (),
            }
            if cancel.is_cancelled() {
                return Err(left_alone(&address, number));
            }
            cancel.cancel();
        }
    };
    shown.finish();
    run.terminal.print(&shown.result(&ended));
    let outcome = ended.state.result_state;
    if outcome == Some(Outcome::Success) {
        return Ok(Exit::Done);
    }
    let tasks = follow::failures(&run.cx.databricks, &ended).await;
    let help = format!("all that it printed: ecomctl logs {} {address}", run.stack.name);
    Err(Error::new(Exit::Failed, Failed { job: address, run: number, outcome, help, tasks }))
}

/// Finds a job of the stack by its name or address, and its number at the provider.
///
/// # Errors
/// Says that there is none, or that it was not deployed.
pub fn job(run: &Run, document: &Document, wanted: &str) -> Result<(Address, i64)> {
    let stack = &run.stack.name;
    let jobs: Vec<&Address> = run.stack.resources.keys().filter(|it| it.kind == "job").collect();
    let found = jobs.iter().find(|it| it.name == wanted || it.to_string() == wanted);
    let Some(address) = found else {
        let word = wanted.strip_prefix("job.").unwrap_or(wanted);
        let help = stack::offer(word, jobs.iter().map(|it| it.name.as_str()), "its jobs");
        return Err(Problem::Usage { message: format!("`{stack}` has no job `{wanted}`"), help: Some(help) }.into());
    };
    let id = document.resources.get(*address).and_then(|it| it.id.as_ref()?.parse().ok());
    let Some(id) = id else {
        return Err(Problem::not_deployed(stack, address).into());
    };
    Ok(((*address).clone(), id))
}

/// Makes sure that a job has the parameters that a run is to set.
fn known(job: &Address, spec: &Value, given: &BTreeMap<String, String>) -> Result<(), Problem> {
    let fields = ["parameters", "outputs"].into_iter().filter_map(|it| spec.get(it)?.as_object());
    let names: BTreeSet<&str> = fields.flat_map(|it| it.keys().map(String::as_str)).collect();
    match given.keys().find(|it| !names.contains(it.as_str())) {
        None => Ok(()),
        Some(it) => Err(Problem::Usage {
            message: format!("{job} has no parameter `{it}`"),
            help: Some(stack::offer(it, names, "its parameters")),
        }),
    }
}

fn left_alone(job: &Address, run: i64) -> Error {
    let message = format!("run {run} of {job} was asked to stop, and was left before it did");
    Problem::Usage { message, help: None }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_parameters_of_the_job_are_set() {
        let job = Address::new("job", "medallion");
        let spec = serde_json::json!({ "parameters": { "as_of": "" }, "outputs": { "lake_root": "x" } });
        let given = |name: &str| BTreeMap::from([(name.to_owned(), "1".to_owned())]);
        assert!(["as_of", "lake_root"].iter().all(|it| known(&job, &spec, &given(it)).is_ok()));
        let err = known(&job, &spec, &given("as_off")).expect_err("no such parameter");
        assert_eq!(err.to_string(), "job.medallion has no parameter `as_off`");
        let help = err.help().map(|it| it.to_string());
        assert_eq!(help.as_deref(), Some("did you mean `as_of`? its parameters are: `as_of` and `lake_root`"));
        let none = known(&job, &Value::Null, &given("foo")).expect_err("no parameters");
        assert_eq!(none.help().map(|it| it.to_string()).as_deref(), Some("its parameters: there are none"));
    }

    #[test]
    fn parameters_have_a_name_and_a_value() {
        assert_eq!(parameter("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(parameter("a="), Ok(("a".to_owned(), String::new())));
        assert!(parameter("=b").is_err() && parameter("a").is_err());
    }
}
