//! `ecomctl query`: SQL over the lake, through Athena's API.

mod ask;

use std::{
    io::Read as _,
    path::Path,
    sync::{Mutex, PoisonError},
};

use jiff::SignedDuration;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    address::Address,
    command::{
        Error, Exit, Global, Result,
        error::{self, Problem},
        project::StackArg,
        run::{Needs, Run},
        value,
    },
    report::{
        human,
        preparing::Preparing,
        rows::{self, Column, Form, Writer},
    },
    stack::{Definition, Stack},
    state::Document,
};

pub use ask::{Failed, Fault, Question, ask};

/// Ask the lake: run SQL over its tables, and show the rows
///
/// The SQL is Athena's (Trino's). It runs in the stack's workgroup, which says where results are kept and how much a
/// query may read. Interrupting ends the query, too.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ecomctl query local \"select * from gold.daily_sales order by order_date\"
  ecomctl query local - < report.sql
  ecomctl query local \"select count(*) from silver.orders\" --json
  ecomctl query staging \"select * from gold.daily_sales\" --limit 0 --csv > sales.csv
")]
pub struct Args {
    #[command(flatten)]
    stack: StackArg,
    /// The statement; `-` reads it from standard input
    // One that begins with a comment looks like an option.
    #[arg(value_name = "SQL", allow_hyphen_values = true)]
    sql: String,
    /// Show at most N rows; 0 shows all
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = value::number::<usize>)]
    limit: usize,
    /// Write rows as CSV
    #[arg(long)]
    csv: bool,
    /// The catalog of tables that are named without one
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// The workgroup, where the stack has several: its name in the stack's file
    #[arg(long, value_name = "NAME")]
    workgroup: Option<String>,
}

/// Submits the statement, follows it to its end, and shows the rows.
///
/// # Errors
/// Says why the statement failed, in Athena's words.
pub async fn run(args: Args, global: &Global) -> Result<Exit> {
    if args.csv && global.json {
        let message = "rows are written as JSON or as CSV, not both".to_owned();
        return Err(Problem::Usage { message, help: None }.into());
    }
    let sql = text(&args.sql)?;
    let run = Box::pin(Run::begin(&args.stack.stack, Needs::default(), global)).await?;
    let document = run.document().await?;
    let workgroup = workgroup(&run, &document, args.workgroup.as_deref())?;
    let cancel = CancellationToken::new();
    let question = Question {
        sql: &sql,
        workgroup: &workgroup,
        database: args.database.as_deref(),
        limit: Some(args.limit).filter(|it| *it > 0),
    };
    let preparing = Preparing::new(run.terminal);
    let preparing = Mutex::new(Some(preparing));
    let shown = || preparing.lock().unwrap_or_else(PoisonError::into_inner);
    let tell = |it: &str| shown().iter().for_each(|shown| shown.busy(it));
    let terminal = run.terminal;
    let mut writer = Writer::new(match (global.json, args.csv) {
        (true, _) => Form::Json,
        (_, true) => Form::Csv,
        _ => Form::Text(terminal.out),
    });
    // A table has its colours, and its cells are harmless by themselves.
    let print = |it: &String| if global.json || args.csv { terminal.print_data(it) } else { terminal.print(it) };
    let mut take = |columns: &[Column], rows: Vec<rows::Row>| {
        // Nothing is drawn between rows.
        shown().take();
        writer.page(columns, &rows).iter().for_each(print);
    };
    let told = {
        let mut asked = std::pin::pin!(ask::answer(&run.cx.aws, &question, &cancel, &tell, &mut take));
        let mut interrupt = signal(SignalKind::interrupt()).map_err(error::internal)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(error::internal)?;
        // The terminal was closed: nobody waits for the rows any more.
        let mut hangup = signal(SignalKind::hangup()).map_err(error::internal)?;
        loop {
            tokio::select! {
                it = &mut asked => break it.map_err(|it| ended(it, &run.stack, &document))?,
                _ = interrupt.recv() => cancel.cancel(),
                _ = terminate.recv() => cancel.cancel(),
                _ = hangup.recv() => cancel.cancel(),
            }
        }
    };
    drop(preparing.lock().unwrap_or_else(PoisonError::into_inner).take());
    writer.end().iter().for_each(print);
    if !global.json {
        let count = human::plural(told.count, "row");
        let more = if told.more { format!("; there are more, all of them in {}", told.output) } else { String::new() };
        let took = human::duration(SignedDuration::from_millis(told.millis).unsigned_abs());
        let read = bytesize::ByteSize(told.scanned);
        terminal.note(&format!("{count} in {took}, {read} scanned{more}"));
    }
    Ok(Exit::Done)
}

/// Returns the statement, from standard input where that is asked for.
fn text(sql: &str) -> Result<String> {
    if sql != "-" {
        return some(sql.to_owned(), "the SQL is empty");
    }
    let mut text = String::new();
    std::io::stdin().lock().read_to_string(&mut text).map_err(error::file("read", Path::new("standard input")))?;
    some(text, "standard input holds no SQL")
}

/// Makes sure that there is a statement.
fn some(text: String, none: &str) -> Result<String> {
    if !text.trim().is_empty() {
        return Ok(text);
    }
    let help = "such as \"select count(*) from silver.orders\"; `-` reads it from standard input".to_owned();
    Err(Problem::Usage { message: none.to_owned(), help: Some(help) }.into())
}

/// Chooses the code for a statement that gave no rows, and says which tables there are where it names none of them.
fn ended(fault: Fault, stack: &Stack, document: &Document) -> Error {
    match fault {
        Fault::Ran(it) => Error::new(Exit::Failed, it.among(&tables(stack, document))),
        Fault::Refused(it) => Error::new(Exit::Usage, it),
        Fault::Other(it) => it,
    }
}

/// Lists the tables of a stack as SQL names them, such as `gold.daily_sales`.
fn tables(stack: &Stack, document: &Document) -> Vec<String> {
    let table = |(address, it): (&Address, &Definition)| {
        let folder = it.spec.get("prefix").filter(|_| address.kind == "table")?.as_str()?;
        let catalog = it.needs.iter().find(|it| it.to.kind == "catalog")?;
        let name = folder.rsplit('/').next()?;
        Some(format!("{}.{name}", document.resources.get(&catalog.to)?.physical))
    };
    stack.resources.iter().filter_map(table).collect()
}

/// Finds the stack's workgroup as it was deployed.
pub(super) fn workgroup(run: &Run, document: &Document, wanted: Option<&str>) -> Result<String> {
    let stack = &run.stack.name;
    let names: Vec<&Address> = run.stack.resources.keys().filter(|it| it.kind == "workgroup").collect();
    let one = match (wanted, &names[..]) {
        (Some(wanted), _) => names.iter().find(|it| it.name == wanted).copied(),
        (None, [one]) => Some(*one),
        (None, _) => None,
    };
    let Some(address) = one else {
        let known = names.iter().map(|it| it.name.as_str()).collect::<Vec<_>>().join(", ");
        let (message, help) = match (wanted, names.is_empty()) {
            (_, true) => (
                format!("the stack `{stack}` has no workgroup to ask in"),
                "define one below `resources.workgroup`, with the bucket that takes the results".to_owned(),
            ),
            (Some(it), _) => (format!("the stack `{stack}` has no workgroup `{it}`"), format!("it has {known}")),
            (None, _) => (
                format!("the stack `{stack}` has several workgroups"),
                format!("say which with `--workgroup`: {known}"),
            ),
        };
        return Err(Problem::Usage { message, help: Some(help) }.into());
    };
    let recorded = document.resources.get(address).map(|it| it.physical.clone());
    recorded.ok_or_else(|| Problem::not_deployed(stack, address).into())
}
