//! `ecomctl dashboard`: the numbers of the shop as a page, or as JSON.

mod numbers;

use std::{path::PathBuf, sync::Arc};

use indexmap::IndexMap;
use serde_json::value::RawValue;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    address::Address,
    command::{
        Error, Exit, Global, Result,
        error::{self, Problem},
        local as cloud,
        project::{Project, StackArg},
        run::{Needs, Run},
    },
    figures::Definitions,
    local::{
        self,
        dashboard::{self, Dashboard, Source},
    },
    report::preparing::Preparing,
};
use numbers::Asker;

/// Where the definitions are, below `templates/`.
const DEFINITIONS: &str = "dashboards/sales.toml";

/// The port that is taken where none is asked for and it is free: an address that can be kept.
const PORT: u16 = 14_569;

/// Open a page of the shop's numbers: sales, products, customers, payments
///
/// It says how old the data are, too. The numbers are queries of the gold tables; `templates/dashboards/sales.toml` defines each of them. The page is served
/// on this machine's loopback only, asks nobody else for anything, and is there until this program is interrupted.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ecomctl dashboard local
  ecomctl dashboard staging --port 8080 --no-open
  ecomctl dashboard local --json > numbers.json          the numbers once, and no page
  ecomctl dashboard local --from numbers.json            a page of numbers that were kept
")]
pub struct Args {
    #[command(flatten)]
    stack: StackArg,
    /// Serve the page on this port of 127.0.0.1; 0 takes any that is free [default: 14569, or any that is free]
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// Print the page's address, and open no browser
    #[arg(long)]
    no_open: bool,
    /// Show the numbers in FILE, as `--json` writes them, and ask nobody
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    from: Option<PathBuf>,
}

/// Prints the numbers, or serves the page until it is interrupted.
///
/// # Errors
/// Says what is wrong with the definitions, that the stack cannot be reached or has no workgroup, or why the page cannot be
/// served.
pub async fn run(args: Args, global: &Global) -> Result<Exit> {
    let stop = CancellationToken::new();
    if let Some(path) = &args.from {
        let text = saved(path)?;
        if global.json {
            global.terminal().print(&text);
            return Ok(Exit::Done);
        }
        let project = Project::open(global)?;
        let source: Source = Arc::new(move || {
            let text = text.clone();
            Box::pin(async move { Ok(text) })
        });
        return serve(&args, global, &project, source, stop).await;
    }
    let run = Run::begin(&args.stack.stack, Needs::default(), global).await?;
    let definitions = Definitions::read(&run.cx.templates, DEFINITIONS);
    let definitions = definitions.map_err(|err| Error::new(Exit::Rejected, err))?;
    let asker = Arc::new(asker(&run, definitions, stop.clone()).await?);
    if global.json {
        let preparing = Preparing::new(run.terminal);
        preparing.busy("asking for the numbers");
        let numbers = asker.ask().await;
        drop(preparing);
        run.terminal.print(&serde_json::to_string(&numbers).map_err(error::internal)?);
        return Ok(if numbers.is_complete() { Exit::Done } else { Exit::Incomplete });
    }
    let source: Source = Arc::new(move || {
        let asker = asker.clone();
        Box::pin(async move { serde_json::to_string(&asker.ask().await).map_err(|err| err.to_string()) })
    });
    serve(&args, global, &run.project, source, stop).await
}

/// Finds whom to ask, and by which names.
async fn asker(run: &Run, definitions: Definitions, stop: CancellationToken) -> Result<Asker> {
    let document = run.document().await?;
    let workgroup = super::query::workgroup(run, &document, None)?;
    let catalog = Address { kind: "catalog".to_owned(), name: definitions.catalog.clone() };
    let recorded = document.resources.get(&catalog).map(|it| it.physical.clone());
    Ok(Asker {
        aws: run.cx.aws.clone(),
        stack: run.stack.name.clone(),
        run: ["ecomctl", "run", &run.stack.name, &definitions.job].join(" "),
        workgroup,
        database: recorded.unwrap_or_else(|| definitions.catalog.clone()),
        definitions,
        file: format!("templates/{DEFINITIONS}"),
        stop,
    })
}

/// Gets what draws, serves the page, says where it is, and shows it to whoever sits here.
async fn serve(
    args: &Args,
    global: &Global,
    project: &Project,
    source: Source,
    stop: CancellationToken,
) -> Result<Exit> {
    let terminal = global.terminal();
    let mut interrupt = signal(SignalKind::interrupt()).map_err(error::internal)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(error::internal)?;
    let home = cloud::home(&project.home)?;
    let library = local::echarts(&home, &|it| terminal.note(&cloud::told(&it))).await?;
    let page = Dashboard::bind(args.port, PORT, &library, source).await?;
    let url = page.url();
    terminal.print(&url);
    let seen = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|it| std::env::var_os(it).is_some_and(|it| !it.is_empty()));
    if !args.no_open && terminal.interactive && seen && dashboard::open(&url).is_ok() {
        terminal.note("The page opens in the browser; it ends with this program (Ctrl-C).");
    } else {
        terminal.note("Open this address in a browser; the page ends with this program (Ctrl-C).");
    }
    let mut served = std::pin::pin!(page.serve(stop.clone()));
    loop {
        tokio::select! {
            it = &mut served => return Ok(it.map(|()| Exit::Done)?),
            _ = interrupt.recv() => stop.cancel(),
            _ = terminate.recv() => stop.cancel(),
        }
    }
}

/// Reads kept numbers, and marks them as such.
fn saved(path: &std::path::Path) -> Result<String> {
    let text = std::fs::read_to_string(path).map_err(error::file("read", path))?;
    let numbers: Result<IndexMap<String, Box<RawValue>>, _> = serde_json::from_str(&text);
    let wanted = ["at", "stack", "tiles", "visuals", "freshness", "absent", "days", "first", "title", "run"];
    let misfit = match &numbers {
        Ok(it) => wanted.iter().find(|name| !it.contains_key(**name)).map(|name| format!("`{name}` is missing")),
        Err(err) => Some(err.to_string()),
    };
    if let Some(why) = misfit {
        let message = format!("{} does not hold numbers of a dashboard: {why}", path.display());
        let help = Some("`ecomctl dashboard STACK --json > FILE` writes such a file".to_owned());
        return Err(Problem::Usage { message, help }.into());
    }
    let mut numbers = numbers.map_err(error::internal)?;
    numbers.insert("saved".to_owned(), RawValue::from_string("true".to_owned()).map_err(error::internal)?);
    serde_json::to_string(&numbers).map_err(error::internal)
}

impl From<dashboard::Error> for Error {
    fn from(it: dashboard::Error) -> Self {
        let exit = match it {
            dashboard::Error::Listen { .. } => Exit::Usage,
            dashboard::Error::Library { .. } | dashboard::Error::Server(_) => Exit::Internal,
        };
        Self::new(exit, it)
    }
}

/// Words a diagnostic in one line, with what to do.
fn worded(it: &Error) -> (String, Option<String>) {
    let (text, help) = (it.diagnostic().to_string(), it.diagnostic().help().map(|it| it.to_string()));
    let cause = std::iter::successors(it.diagnostic().source(), |it| it.source()).last().map(|it| it.to_string());
    let text = cause.unwrap_or(text);
    (text.strip_prefix("the query failed: ").unwrap_or(&text).to_owned(), help)
}
