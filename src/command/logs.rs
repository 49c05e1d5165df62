//! `ecomctl logs`: what a function, a job or a database printed.

mod follow;
pub(super) mod group;
mod job;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::{
    address::Address,
    command::{
        Exit, Global, Result,
        error::Problem,
        project::StackArg,
        run::{Needs, Run},
    },
    quantity::Span,
    report::Terminal,
};

/// How often `--follow` looks again.
const AGAIN: Duration = Duration::from_secs(1);

/// Show what a function, a job or a database printed
///
/// Of a function or a database: its log group, oldest first. Of a job: its latest run, task by task; with --follow, the run that is
/// under way, and those after it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ecomctl logs local function.ingest
  ecomctl logs local function.ingest --since 10m --grep ERROR --follow
  ecomctl logs local job.medallion --follow
  ecomctl logs staging database.shop --since 1d --grep ERROR
")]
pub struct Args {
    #[command(flatten)]
    stack: StackArg,
    /// Whose log: an address such as `function.ingest`, `job.medallion` or `database.shop`
    #[arg(value_name = "ADDRESS")]
    address: Address,
    /// Go on showing what is printed, until interrupted
    #[arg(short, long)]
    follow: bool,
    /// How far back to look, such as `10m` or `2d`
    #[arg(long, value_name = "TIME", default_value = "1h")]
    since: Span,
    /// Show only lines that hold this text
    #[arg(long, value_name = "TEXT")]
    grep: Option<String>,
}

/// Which lines are shown, and how.
struct Filter {
    terminal: Terminal,
    grep: Option<String>,
    follow: bool,
    since: Timestamp,
}

impl Filter {
    /// Shows a line, with when or by whom it was printed.
    fn show(&self, from: &str, line: &str) {
        if self.grep.as_ref().is_some_and(|it| !line.contains(it.as_str())) {
            return;
        }
        self.terminal.print(&match self.terminal.json {
            true => serde_json::json!({ "from": from, "message": line }).to_string(),
            false => format!("{from}  {line}"),
        });
    }
}

/// Shows the log.
///
/// # Errors
/// Says that there is no such log, or why it cannot be read.
pub async fn run(args: Args, global: &Global) -> Result<Exit> {
    let run = Run::begin(&args.stack.stack, Needs::default(), global).await?;
    let now = Timestamp::now();
    let back = SignedDuration::from_secs(args.since.as_secs().try_into().unwrap_or(i64::MAX));
    let since = now.checked_sub(back).unwrap_or(Timestamp::UNIX_EPOCH);
    let filter = Filter { terminal: run.terminal, grep: args.grep, follow: args.follow, since };
    match args.address.kind.as_str() {
        "function" | "database" => group::show(&run, &args.address, &filter).await,
        "job" => job::show(&run, &args.address, &filter).await,
        kind => {
            let message = format!("a {kind} has no log of its own");
            let with: Vec<_> = run
                .stack
                .resources
                .keys()
                .filter(|it| ["function", "job", "database"].contains(&it.kind.as_str()))
                .collect();
            let with = with.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            Err(Problem::Usage { message, help: Some(format!("these have: {with}")) }.into())
        }
    }
}
