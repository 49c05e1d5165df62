//! `ecomctl local`: the local cloud by hand. `ecomctl up` starts it by itself.

use std::{ffi::OsString, path::Path, process::ExitCode, time::Duration};

use bytesize::ByteSize;
use clap::Subcommand;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::{
    command::{Error, Exit, Global, Result, consent::Deed, error, project::Project, value},
    local::{self, Endpoints, Follow, Home, PARTS, Progress, Status, exec},
    report::{self, Terminal},
};

/// Run the local cloud by hand: real parts on this machine
///
/// `ecomctl up` starts it by itself for stacks whose target is this machine. It listens on loopback only, and keeps its
/// data below `.ecomctl/local/`.
#[derive(Debug, clap::Args)]
#[command(
    subcommand_value_name = "VERB",
    disable_help_subcommand = true,
    after_help = "\
Examples:
  ecomctl local status
  ecomctl local logs kafka -f
  ecomctl local reset             forget all data; what was downloaded stays
"
)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Set the local cloud up and start it, unless it runs
    Start,
    /// Show its parts
    Status,
    /// Stop it; its data stays
    Stop,
    /// Stop it and remove all its data, after asking; downloaded software stays
    Reset {
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Show what its parts wrote
    Logs {
        /// Only this part
        #[arg(value_parser = PARTS)]
        part: Option<String>,
        /// Go on as more is written
        #[arg(short, long)]
        follow: bool,
        /// How many lines of each part
        #[arg(short = 'n', long, default_value_t = 20, value_parser = value::number::<usize>)]
        lines: usize,
    },
    /// Run the local cloud in this process
    #[command(hide = true)]
    Serve,
    /// Become a part of the local cloud
    #[command(hide = true)]
    ExecPart {
        /// The process whose end is to end this one
        #[arg(long)]
        parent: u32,
        /// The number of the signal that tells of that end
        #[arg(long)]
        signal: i32,
        /// As whom to run
        #[arg(long = "as")]
        identity: exec::Identity,
        /// The program and its arguments
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
}

impl Args {
    /// Becomes the part that the arguments ask for. Must be called before this process has a second thread; returns only
    /// when something else was asked for, or when it failed.
    pub fn exec(&self, terminal: &Terminal) -> Option<ExitCode> {
        let Verb::ExecPart { parent, signal, identity, command } = &self.verb else { return None };
        let exec = exec::Exec { parent: *parent, signal: *signal, identity: *identity, command: command.clone() };
        // The part's log is this process's standard error.
        terminal.note(&format!("cannot run {}: {}", command[0].to_string_lossy(), exec::exec_part(&exec)));
        Some(ExitCode::from(126))
    }
}

/// Returns the home of the local cloud of a project.
///
/// # Errors
/// Says why it cannot be used.
pub fn home(project: &Path) -> Result<Home> {
    Ok(Home::new(project)?)
}

impl From<local::Error> for Error {
    fn from(it: local::Error) -> Self {
        Self::new(Exit::Unreachable, it)
    }
}

/// Words what the local cloud is busy with.
pub fn told(progress: &Progress) -> String {
    let Progress { part, message, done } = progress;
    match done {
        Some(it) => format!("{part}: {message} after {:.1} s", it.as_secs_f32()),
        None => format!("{part}: {message}"),
    }
}

/// Finds where the local cloud answers, and starts it where `start` says so.
///
/// # Errors
/// Says which part would not start, or that it is not running.
pub async fn endpoint(home: &Path, start: bool, tell: &(dyn Fn(String) + Sync)) -> Result<String> {
    Ok(endpoints(home, start, tell).await?.gateway)
}

/// Finds where the local Databricks answers, and starts the local cloud where `start` says so. Its token is `local`.
///
/// # Errors
/// Says which part would not start, or that it is not running.
pub async fn databricks(home: &Path, start: bool, tell: &(dyn Fn(String) + Sync)) -> Result<String> {
    Ok(endpoints(home, start, tell).await?.databricks)
}

/// Finds where all of the local cloud answers, and starts it where `start` says so.
///
/// # Errors
/// Says which part would not start, or that it is not running.
pub async fn endpoints(home: &Path, start: bool, tell: &(dyn Fn(String) + Sync)) -> Result<Endpoints> {
    let home = Home::new(home)?;
    if start {
        return Ok(local::ensure(&home, &|it| tell(told(&it))).await?);
    }
    match local::running(&home).await? {
        Some(it) => Ok(it),
        None => Err(error::Problem::Asleep.into()),
    }
}

/// Does what the arguments ask for.
///
/// # Errors
/// Says which part would not start, or what else went wrong.
pub async fn run(args: Args, global: &Global) -> Result<Exit> {
    let terminal = global.terminal();
    // The supervisor is started with its home in the environment, wherever it is started.
    let home = match Project::open(global) {
        Ok(it) => home(&it.home)?,
        Err(err) => home(Path::new(&std::env::var_os("ECOMCTL_HOME").ok_or(err)?))?,
    };
    match args.verb {
        Verb::Start => {
            local::ensure(&home, &|it| terminal.remark("preparing", &told(&it))).await?;
            show(&home, terminal).await?;
        }
        Verb::Status => show(&home, terminal).await?,
        Verb::Stop => {
            let was_running = local::stop(&home).await?;
            let text = match was_running {
                true => "The local cloud is stopped; its data stays.",
                false => "The local cloud does not run.",
            };
            stopped(terminal, &json!({ "running": false, "was_running": was_running }), text);
        }
        Verb::Reset { yes } => {
            if !yes {
                agree(terminal)?;
            }
            local::reset(&home).await?;
            let text = "The local cloud is stopped, and all its data is removed.";
            stopped(terminal, &json!({ "running": false, "reset": true }), text);
        }
        Verb::Logs { part, follow, lines } => logs(&home, part.as_deref(), follow, lines, terminal).await?,
        Verb::Serve | Verb::ExecPart { .. } => local::serve(&home).await?,
    }
    Ok(Exit::Done)
}

/// Says that the local cloud does not run any more: a result as JSON, a remark to people.
fn stopped(terminal: Terminal, json: &serde_json::Value, text: &str) {
    if terminal.json { terminal.print(&json.to_string()) } else { terminal.note(text) }
}

/// Asks whether all data may go.
fn agree(terminal: Terminal) -> Result<()> {
    Deed {
        sentence: "All topics, tables and files of the local cloud will be gone.",
        what: "removing all data of the local cloud",
        asked: "`reset`",
        word: "reset",
        command: "ecomctl local reset --yes",
    }
    .agree(&terminal)
}

async fn show(home: &Home, terminal: Terminal) -> Result<()> {
    let status = local::status(home).await?;
    if terminal.json {
        terminal.print(&serde_json::to_string(&status).map_err(error::internal)?);
    } else if status.pid.is_none() {
        terminal.print("The local cloud does not run. Start it: ecomctl local start");
    } else {
        terminal.print(&table(&status, terminal));
        terminal.print(&format!("AWS endpoint  {}", status.endpoints.gateway));
        terminal.print(&format!("Databricks    {}", status.endpoints.databricks));
        terminal.print(&format!("Kafka         {}", status.endpoints.kafka));
        terminal.print(&format!("PostgreSQL    {}", status.endpoints.postgres));
    }
    Ok(())
}

fn table(status: &Status, terminal: Terminal) -> String {
    let rows = status.parts.iter().map(|it| {
        vec![
            it.name.clone(),
            format!("{:?}", it.state).to_lowercase(),
            it.since.map(ago).unwrap_or_default(),
            it.port.to_string(),
            it.pid.map(|it| it.to_string()).unwrap_or_default(),
            it.memory.map(|it| ByteSize(it).to_string()).unwrap_or_default(),
            it.restarts.to_string(),
            it.crash.clone().unwrap_or_default(),
        ]
    });
    let headings = ["part", "state", "for", "port", "process", "memory", "restarts", "last crash"];
    report::terminal::table(&headings, rows, terminal.out)
}

fn ago(then: Timestamp) -> String {
    let seconds = Timestamp::now().duration_since(then).as_secs().max(0);
    format!("{:#}", SignedDuration::from_secs(seconds))
}

async fn logs(home: &Home, part: Option<&str>, follow: bool, lines: usize, terminal: Terminal) -> Result<()> {
    let prefixed = |name: &str, text: &str| {
        for it in text.lines() {
            terminal.print(&match (terminal.json, part) {
                (true, _) => serde_json::json!({ "part": name, "message": it }).to_string(),
                (false, Some(_)) => it.to_owned(),
                (false, None) => format!("{name:<10} {it}"),
            });
        }
    };
    let shown = local::logs(home, part, lines);
    let mut follows: Vec<_> = shown.iter().map(|(name, _)| (*name, Follow::new(home, name))).collect();
    for (name, text) in &shown {
        prefixed(name, text);
    }
    if !follow {
        return Ok(());
    }
    loop {
        for (name, it) in &mut follows {
            prefixed(name, &it.more()?);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
