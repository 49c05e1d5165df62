//! `ecomctl produce`: fills a stack's topics with the events of a made-up shop.

mod catalogue;
mod delivery;
mod dice;
mod generate;
mod message;
mod season;
mod spoil;
mod story;
mod topics;
mod words;

use std::{fs::File, io::BufWriter, path::PathBuf};

use jiff::{Timestamp, Unit};
use miette::Diagnostic;

use crate::{
    client,
    command::{
        Error, Exit, Global, Result, error,
        project::{Project, StackArg},
        run::{Needs, Run},
        value,
    },
    report::{Style, Terminal, human, preparing::Preparing, terminal::table},
};

pub use delivery::{Cut, Dump, Sent, Sink, deliver};
pub use generate::{Event, Options, Topic, generate};
pub use spoil::{ALL as WAYS, Bad};

use topics::Topics;

/// Fill a stack's topics with the events of a made-up shop
///
/// Customers come back or do not, orders are paid, shipped, returned or cancelled, over the 120 days before `--until`.
/// The same seed, number of orders and `--until` give the same events, byte for byte, so that sending them again
/// changes no table. Late, repeated and bad events come on top; the others stay as they are.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ecomctl produce local
  ecomctl produce local --orders 10000 --seed 7
  ecomctl produce local --orders 10000 --seed 7 --shuffle --duplicates 0.2    the same tables
  ecomctl produce local --rate 500/s --topics orders,payments
  ecomctl produce local --orders 100 --dump events.ndjson    to a file instead of to Kafka
")]
pub struct Args {
    #[command(flatten)]
    stack: StackArg,
    /// How many orders are made; each comes with about nine other events
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = value::number::<u64>)]
    orders: u64,
    /// What everything is drawn from
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = value::number::<u64>)]
    seed: u64,
    /// The time after which nothing happens [default: the last midnight, UTC]
    #[arg(long, value_name = "TIME", value_parser = until, allow_hyphen_values = true)]
    until: Option<Timestamp>,
    /// Send at most N events a second, as `500` or `500/s` [default: as fast as Kafka takes them]
    #[arg(long, value_name = "N/s", value_parser = rate)]
    rate: Option<u64>,
    /// The share of events that a bad one is sent beside, from 0 to 1
    #[arg(long, value_name = "SHARE", default_value = "0.01", value_parser = share)]
    bad: u64,
    /// The share of events that are sent twice
    #[arg(long, value_name = "SHARE", default_value = "0.05", value_parser = share)]
    duplicates: u64,
    /// The share of events that are sent minutes to days too late
    #[arg(long, value_name = "SHARE", default_value = "0.05", value_parser = share)]
    late: u64,
    /// Send the events in any order
    #[arg(long)]
    shuffle: bool,
    /// Send to these topics only
    #[arg(long, value_name = "TOPIC,…", value_delimiter = ',', default_values = ["customers", "orders", "order_details", "payments"])]
    topics: Vec<Topic>,
    /// Write the events to a file, a JSON object per line, instead of to Kafka
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    dump: Option<PathBuf>,
}

/// Generates and sends the events, and shows what was sent.
///
/// # Errors
/// Says why the brokers or the file do not take them. What was sent before stays sent; sending all again changes no
/// table.
pub async fn run(args: Args, global: &Global) -> Result<Exit> {
    let terminal = global.terminal();
    let options = args.options()?;
    let events = generate(&options);
    let sent = if let Some(path) = &args.dump {
        Project::open(global)?.load(&args.stack.stack)?;
        let file = File::create(path).map_err(error::file("write", path))?;
        let mut dump = Dump(BufWriter::new(file));
        send(events, args.rate, &mut dump, terminal).await.map_err(|it| error::file("write", path)(it.cause))?
    } else {
        let run = Run::begin(&args.stack.stack, Needs::default(), global).await?;
        let mut topics = Topics::connect(&run, &options.topics).await?;
        send(events, args.rate, &mut topics, terminal).await.map_err(|it| stopped(it, &args.stack.stack))?
    };
    if terminal.json {
        terminal.print(&format!("{:#}", sent.json()));
    } else {
        terminal.print(&text(&sent, terminal.out));
    }
    Ok(Exit::Done)
}

/// Sends the events, and shows how far it is.
async fn send<S: Sink>(
    events: impl Iterator<Item = Event>,
    rate: Option<u64>,
    sink: &mut S,
    terminal: Terminal,
) -> Result<Sent, Cut<S::Error>> {
    let preparing = Preparing::new(terminal);
    let tell = |it: &Sent| preparing.busy(&format!("sent {} events, {}/s", count(it.events()), count(it.rate())));
    deliver(events, rate, sink, tell).await
}

/// The brokers take no more events.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("the topics of stack `{stack}` stopped taking events; up to {taken} were sent before")]
#[diagnostic(
    code(produce::stopped),
    help(
        "`ecomctl status {stack}` shows what arrived; sending all again, with the same `--seed` and `--until`, is harmless"
    )
)]
struct Stopped {
    stack: String,
    taken: String,
    #[source]
    cause: client::Error,
}

fn stopped(cut: Cut<client::Error>, stack: &str) -> Error {
    let exit = error::of_reason(cut.cause.reason);
    Error::new(exit, Stopped { stack: stack.to_owned(), taken: count(cut.taken), cause: cut.cause })
}

impl Args {
    fn options(&self) -> Result<Options> {
        let midnight = || {
            Timestamp::now()
                .to_zoned(jiff::tz::TimeZone::UTC)
                .round(jiff::ZonedRound::new().smallest(Unit::Day).mode(jiff::RoundMode::Trunc))
        };
        let until = match self.until {
            Some(it) => it,
            None => midnight().map_err(error::internal)?.timestamp(),
        };
        let topics = self.topics.iter().copied().collect();
        let &Self { orders, seed, bad, duplicates, late, shuffle, .. } = self;
        Ok(Options { orders, seed, until, bad, duplicates, late, shuffle, topics })
    }
}

/// Reads a time that a shop can have had.
fn until(text: &str) -> Result<Timestamp, String> {
    match value::time(text) {
        Ok(it) if (2000..2100).contains(&it.to_zoned(jiff::tz::TimeZone::UTC).year()) => Ok(it),
        Err(err) if !text.starts_with('-') => Err(err),
        // A year before the first is beyond what the library takes.
        Ok(_) | Err(_) => Err("it must lie between 2000 and 2100".to_owned()),
    }
}

/// Shows what was sent, for people.
fn text(sent: &Sent, style: Style) -> String {
    let mut text =
        table(&["topic", "events"], sent.topics.iter().map(|(topic, it)| vec![(*topic).to_owned(), count(*it)]), style);
    if !sent.bad.is_empty() {
        let ways = sent.bad.iter().map(|(way, it)| vec![way.name(), count(*it)]);
        text = format!("{text}\n\n{}", table(&["bad", "events"], ways, style));
    }
    let (events, bad) = (count(sent.events()), count(sent.bad()));
    let elapsed = human::duration(sent.elapsed);
    format!("{text}\n\nSent {events} events, {bad} of them bad, in {elapsed}: {}/s.", count(sent.rate()))
}

fn count(it: u64) -> String {
    human::count(i64::try_from(it).unwrap_or(i64::MAX))
}

/// Reads a share, such as `0.05`, as so many of a million.
fn share(text: &str) -> Result<u64, String> {
    let share: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if !(0.0..=1.0).contains(&share) {
        return Err("not from 0 to 1".to_owned());
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to a million")]
    Ok((share * 1_000_000.0).round() as u64)
}

/// Reads a rate, such as `500/s`.
fn rate(text: &str) -> Result<u64, String> {
    let number = text.strip_suffix("/s").unwrap_or(text);
    number
        .parse()
        .ok()
        .filter(|it| *it > 0)
        .ok_or_else(|| "not a number of events a second, such as `500/s`".to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn shares_and_rates() {
        assert_eq!([share("0"), share("0.05"), share("1")], [Ok(0), Ok(50_000), Ok(1_000_000)]);
        assert!(["-0.1", "1.01", "NaN", "5%", ""].iter().all(|it| share(it).is_err()));
        assert_eq!([rate("500/s"), rate("20")], [Ok(500), Ok(20)]);
        assert!(["0", "0/s", "5/m", "-1", ""].iter().all(|it| rate(it).is_err()));
    }

    #[test]
    fn a_delivery_that_was_cut_short_does_not_claim_that_nothing_changed() {
        let cause = client::Error::new("kafka", "Produce", client::Reason::Unavailable, "the connection was closed");
        let error = stopped(Cut { cause, taken: 12_400 }, "local");
        assert_eq!(error.exit(), Exit::Unreachable);
        insta::assert_snapshot!(crate::report::error::text(error.diagnostic(), Style::PLAIN), @r"
        produce::stopped

          × the topics of stack `local` stopped taking events; up to 12,400 were sent before
          ╰─▶ kafka Produce: the connection was closed
          help: `ecomctl status local` shows what arrived; sending all again, with the same `--seed` and `--until`, is harmless
        ");
    }

    #[test]
    fn summary_for_people() {
        let sent = Sent {
            topics: [("orders", 1_200), ("payments", 800)].into(),
            bad: [(Bad::NotUtf8, 2), (Bad::WrongVersion, 1)].into(),
            elapsed: Duration::from_millis(500),
        };
        insta::assert_snapshot!(text(&sent, Style::PLAIN), @r"
        topic     events
        orders    1,200
        payments  800

        bad            events
        not_utf8       2
        wrong_version  1

        Sent 2,000 events, 3 of them bad, in 0.5 s: 4,000/s.
        ");
    }
}
