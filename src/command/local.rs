//! `ecomctl local`: the local cloud by hand. `ecomctl up` starts it by itself.

use std::{
    env,
    ffi::OsString,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use bytesize::ByteSize;
use comfy_table::{ContentArrangement, Table, presets};
use jiff::{SignedDuration, Timestamp};
use miette::IntoDiagnostic;

use crate::local::{self, Follow, Home, PARTS, Progress, Status, exec};

/// What to do with the local cloud.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Args {
    /// Set the local cloud up and start it, unless it runs.
    Start,
    /// Show its parts.
    Status {
        /// Print the status as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Stop it; its data stays.
    Stop,
    /// Stop it and remove all its data; downloaded software stays.
    Reset,
    /// Show what its parts wrote.
    Logs {
        /// Only this part.
        #[arg(value_parser = PARTS)]
        part: Option<String>,
        /// Go on as more is written.
        #[arg(short, long)]
        follow: bool,
        /// How many lines of each part.
        #[arg(short = 'n', long, default_value_t = 20)]
        lines: usize,
    },
    /// Run the local cloud in this process.
    #[command(hide = true)]
    Serve,
    /// Become a part of the local cloud.
    #[command(hide = true)]
    ExecPart {
        /// The process whose end is to end this one.
        #[arg(long)]
        parent: u32,
        /// The number of the signal that tells of that end.
        #[arg(long)]
        signal: i32,
        /// As whom to run.
        #[arg(long = "as")]
        identity: exec::Identity,
        /// The program and its arguments.
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
}

impl Args {
    /// Becomes the part that the arguments ask for. Must be called before this process has a second thread; returns only
    /// when something else was asked for, or when it failed.
    #[expect(clippy::print_stderr, reason = "the part's log is this process's standard error")]
    pub fn exec(&self) -> Option<ExitCode> {
        let Self::ExecPart { parent, signal, identity, command } = self else { return None };
        let exec = exec::Exec { parent: *parent, signal: *signal, identity: *identity, command: command.clone() };
        eprintln!("cannot run {}: {}", command[0].to_string_lossy(), exec::exec_part(&exec));
        Some(ExitCode::from(126))
    }
}

/// The local cloud of the project at hand: the nearest directory upwards that holds `stacks/`, or where `ECOMCTL_HOME` says.
pub fn home() -> miette::Result<Home> {
    let root = match env::var_os("ECOMCTL_HOME") {
        Some(it) => PathBuf::from(it),
        None => {
            let dir = env::current_dir().into_diagnostic()?;
            let project = dir.ancestors().find(|it| it.join("stacks").is_dir()).unwrap_or(&dir);
            project.join(".ecomctl")
        }
    };
    Ok(Home::new(&root)?)
}

/// Does what the arguments ask for.
pub async fn run(args: Args) -> miette::Result<ExitCode> {
    let home = home()?;
    match args {
        Args::Start => {
            local::ensure(&home, &show).await?;
            print(&home, false).await?;
        }
        Args::Status { json } => return print(&home, json).await,
        Args::Stop => line(if local::stop(&home).await? { "stopped" } else { "it does not run" })?,
        Args::Reset => {
            local::reset(&home).await?;
            line("stopped, and all its data is removed")?;
        }
        Args::Logs { part, follow, lines } => logs(&home, part.as_deref(), follow, lines).await?,
        Args::Serve | Args::ExecPart { .. } => local::serve(&home).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows progress on standard error, one line each.
#[expect(clippy::print_stderr, reason = "a command shows its progress")]
fn show(progress: Progress) {
    let Progress { part, message, done } = progress;
    match done {
        Some(it) => eprintln!("  {part:<10} {message} after {:.1} s", it.as_secs_f32()),
        None => eprintln!("  {part:<10} {message}"),
    }
}

async fn print(home: &Home, json: bool) -> miette::Result<ExitCode> {
    let status = local::status(home).await?;
    if json {
        line(&serde_json::to_string_pretty(&status).into_diagnostic()?)?;
    } else if status.pid.is_none() {
        line("The local cloud does not run. Start it: ecomctl local start")?;
    } else {
        line(&table(&status).to_string())?;
        line(&format!("AWS endpoint  {}", status.endpoints.gateway))?;
        line(&format!("Kafka         {}", status.endpoints.kafka))?;
        line(&format!("PostgreSQL    {}", status.endpoints.postgres))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn table(status: &Status) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["part", "state", "for", "port", "process", "memory", "restarts", "last crash"]);
    for it in &status.parts {
        table.add_row([
            it.name.clone(),
            format!("{:?}", it.state).to_lowercase(),
            it.since.map(ago).unwrap_or_default(),
            it.port.to_string(),
            it.pid.map(|it| it.to_string()).unwrap_or_default(),
            it.memory.map(|it| ByteSize(it).to_string()).unwrap_or_default(),
            it.restarts.to_string(),
            it.crash.clone().unwrap_or_default(),
        ]);
    }
    table
}

fn ago(then: Timestamp) -> String {
    let seconds = Timestamp::now().duration_since(then).as_secs().max(0);
    format!("{:#}", SignedDuration::from_secs(seconds))
}

async fn logs(home: &Home, part: Option<&str>, follow: bool, lines: usize) -> miette::Result<()> {
    let prefixed = |name: &str, text: &str| -> miette::Result<()> {
        text.lines().try_for_each(|it| if part.is_some() { line(it) } else { line(&format!("{name:<10} {it}")) })
    };
    let shown = local::logs(home, part, lines);
    let mut follows: Vec<_> = shown.iter().map(|(name, _)| (*name, Follow::new(home, name))).collect();
    for (name, text) in &shown {
        prefixed(name, text)?;
    }
    while follow {
        for (name, it) in &mut follows {
            prefixed(name, &it.more()?)?;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

/// Prints a line; an error when nobody reads any more, which ends `logs --follow`.
fn line(text: &str) -> miette::Result<()> {
    writeln!(io::stdout(), "{text}").into_diagnostic()
}
