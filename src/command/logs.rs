//! `ecomctl logs`: what a function, a job or a database printed.

mod follow;
pub(super) mod group;
mod job;
#[cfg(test)]
pub(super) mod testing;

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
    stack,
};

/// How often `--follow` looks again.
const AGAIN: Duration = Duration::from_secs(1);
/// How far back a log group is shown unless said otherwise, in seconds.
const HOUR: u64 = 3600;

/// Show what a function, a job or a database printed
///
/// Of a function or a database: its log group, oldest first. Of a job: its latest run, task by task; with --since, all that
/// went on since then; with --follow, the run that is under way, and those after it.
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
    #[arg(value_name = "ADDRESS", value_parser = address)]
    address: Address,
    /// Go on showing what is printed, until interrupted
    #[arg(short, long)]
    follow: bool,
    /// How far back to look, such as `10m` or `2d`: `1h` unless said; of a job, its latest run
    #[arg(long, value_name = "TIME")]
    since: Option<Span>,
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
    /// How wide the column is of when or by whom.
    width: usize,
}

impl Filter {
    /// Shows a line, with when or by whom it was printed.
    fn show(&self, from: &str, line: &str) {
        if self.grep.as_ref().is_some_and(|it| !line.contains(it.as_str())) {
            return;
        }
        self.terminal.print_data(&match self.terminal.json {
            true => serde_json::json!({ "from": from, "message": line }).to_string(),
            false => format!("{from:width$}  {line}", width = self.width),
        });
    }
}

/// Reads the address of something that can have a log.
fn address(text: &str) -> Result<Address, String> {
    text.parse().map_err(|_| "not an address of the form `kind.name`, such as `function.ingest`".to_owned())
}

/// Shows the log.
///
/// # Errors
/// Says that there is no such log, or why it cannot be read.
pub async fn run(args: Args, global: &Global) -> Result<Exit> {
    let run = Run::begin(&args.stack.stack, Needs::default(), global).await?;
    let now = Timestamp::now();
    let back = |it: Span| {
        let it = SignedDuration::from_secs(it.as_secs().try_into().unwrap_or(i64::MAX));
        now.checked_sub(it).unwrap_or(Timestamp::UNIX_EPOCH)
    };
    let since = back(args.since.unwrap_or(Span::seconds(HOUR)));
    let filter = Filter { terminal: run.terminal, grep: args.grep, follow: args.follow, since, width: 0 };
    let document = run.document().await?;
    let (address, resources) = (&args.address, &run.stack.resources);
    if !resources.contains_key(address) && !document.resources.contains_key(address) {
        return Err(unknown(&run.stack.name, address, resources.keys()).into());
    }
    match address.kind.as_str() {
        "function" | "database" => group::show(&run, &document, address, &filter).await,
        "job" => job::show(&run, &document, address, filter, args.since.map(back)).await,
        kind => {
            let message = format!("a {kind} has no log of its own");
            let help = format!("these have: {}", with_logs(resources.keys()).join(", "));
            Err(Problem::Usage { message, help: Some(help) }.into())
        }
    }
}

fn with_logs<'a>(all: impl Iterator<Item = &'a Address>) -> Vec<String> {
    all.filter(|it| ["function", "job", "database"].contains(&it.kind.as_str())).map(ToString::to_string).collect()
}

fn unknown<'a>(stack: &str, address: &Address, all: impl Iterator<Item = &'a Address>) -> Problem {
    let with = with_logs(all);
    let help = stack::offer(&address.to_string(), with.iter().map(String::as_str), "those with a log");
    Problem::Usage { message: format!("`{stack}` has no {address}"), help: Some(help) }
}

#[cfg(test)]
mod tests {
    use miette::Diagnostic as _;

    use super::*;

    #[test]
    fn a_slip_is_answered_with_what_was_meant() {
        let all = ["database.shop", "function.ingest", "topic.orders"].map(|it| address(it).expect("an address"));
        for (slip, meant) in [("function.ingst", "function.ingest"), ("functon.ingest", "function.ingest")] {
            let help =
                unknown("local", &address(slip).expect("an address"), all.iter()).help().map(|it| it.to_string());
            let expected =
                format!("did you mean `{meant}`? those with a log are: `database.shop` and `function.ingest`");
            assert_eq!(help, Some(expected));
        }
        assert!(address("ingest").expect_err("a name alone").ends_with("such as `function.ingest`"));
    }
}
