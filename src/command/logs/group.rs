//! The log of a function or a database: the events of a log group.

use std::time::Duration;

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_lambda::types::LoggingConfig;
use jiff::Timestamp;

use super::{
    AGAIN, Filter,
    follow::{Event, Follower, Numbers},
};
use crate::{
    address::Address,
    client::{Error, Reason, aws::Aws},
    command::{Exit, Result, error::Problem, run::Run},
    stack::Target,
    state::Document,
};

/// The longest pause after a read that was refused for being one of too many.
const LONGEST: Duration = Duration::from_secs(30);

pub(super) async fn show(run: &Run, document: &Document, address: &Address, filter: &Filter) -> Result<Exit> {
    let Some(recorded) = document.resources.get(address) else {
        return Err(Problem::not_deployed(&run.stack.name, address).into());
    };
    let group = match address.kind.as_str() {
        // Where RDS puts what it exports.
        "database" => format!("/aws/rds/instance/{}/postgresql", recorded.physical),
        _ => group(&run.cx.aws, &recorded.physical).await?,
    };
    let mut tell = |it: Told| match it {
        Told::Line(event) => {
            let at = Timestamp::from_millisecond(event.at).map(|it| format!("{it:.3}")).unwrap_or_default();
            filter.show(&at, event.text.trim_end());
        }
        Told::NoGroup => {
            run.terminal.remark("empty", &format!("there is no log group {group} yet{}", hint(run, address)));
        }
    };
    let again = filter.follow.then_some(AGAIN);
    follow(run.cx.aws.logs(), &group, filter.since.as_millisecond(), again, &mut tell).await?;
    Ok(Exit::Done)
}

/// What comes of reading.
#[derive(Debug)]
enum Told {
    /// A line that was not told before.
    Line(Event),
    /// There is no such group yet. Told once.
    NoGroup,
}

/// Reads a log group to its end, and with a pause again and again, for ever: each line is told once, and none is passed over.
async fn follow(
    logs: &Client,
    group: &str,
    since: i64,
    again: Option<Duration>,
    tell: &mut (dyn FnMut(Told) + Send),
) -> Result<(), Error> {
    let (mut follower, mut told) = (Follower::new(since), false);
    loop {
        let from = follower.from();
        let mut show = |events: Vec<Event>| {
            let new = follower.take(events, Timestamp::now().as_millisecond());
            new.into_iter().for_each(|it| tell(Told::Line(it)));
        };
        if !read(logs, group, from, again, &mut show).await? && !told {
            tell(Told::NoGroup);
            told = true;
        }
        match again {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return Ok(()),
        }
    }
}

fn hint(run: &Run, address: &Address) -> &'static str {
    match (address.kind.as_str(), run.stack.settings.target) {
        ("database", Target::Local) => {
            ": the local cloud exports no logs of databases; `ecomctl local logs postgres` shows them"
        }
        ("database", _) => ": the database has written nothing, or exports nothing (`export_log`)",
        _ => "",
    }
}

/// Asks which log group a function writes to.
async fn group(aws: &Aws, physical: &str) -> Result<String, Error> {
    let failed = Error::aws("lambda", "GetFunctionConfiguration");
    let it = aws.lambda().get_function_configuration().function_name(physical).send().await.map_err(failed)?;
    Ok(group_of(it.logging_config(), physical))
}

/// Reads from a function's configuration which log group it writes to; unless it says so, that of its own name.
pub(in crate::command) fn group_of(config: Option<&LoggingConfig>, physical: &str) -> String {
    config.and_then(|it| it.log_group()).map_or_else(|| format!("/aws/lambda/{physical}"), str::to_owned)
}

/// Reads the events since a moment, of whichever streams the group has by now, page by page; says whether there is such a
/// group. With a pause, a page that was refused for being one of too many is asked for again, ever later: whoever began anew
/// instead might never come to the end.
async fn read(
    logs: &Client,
    group: &str,
    from: i64,
    again: Option<Duration>,
    show: &mut (dyn FnMut(Vec<Event>) + Send),
) -> Result<bool, Error> {
    let (mut numbers, mut token, mut pause) = (Numbers::default(), None, again);
    loop {
        let asked = logs.filter_log_events().log_group_name(group).start_time(from).set_next_token(token.clone());
        let page = asked.send().await.map_err(Error::aws("logs", "FilterLogEvents"));
        let page = match (Error::missing_is_none(page), pause) {
            (Ok(Some(page)), _) => page,
            (Ok(None), _) => return Ok(false),
            (Err(err), Some(it)) if matches!(err.reason, Reason::Throttled | Reason::Unavailable) => {
                tokio::time::sleep(it).await;
                pause = Some((it * 2).min(LONGEST));
                continue;
            }
            (Err(err), _) => return Err(err),
        };
        pause = again;
        let (mut events, mut nameless) = (Vec::new(), Vec::new());
        for it in page.events.unwrap_or_default() {
            let (at, text) = (it.timestamp.unwrap_or_default(), it.message.unwrap_or_default());
            match it.event_id.filter(|it| !it.is_empty()) {
                Some(id) => events.push(Event { at, id, text }),
                None => nameless.push((it.log_stream_name.unwrap_or_default(), at, text)),
            }
        }
        events.extend(numbers.identified(nameless));
        show(events);
        token = page.next_token;
        if token.is_none() {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Mutex, time::Instant};

    use super::{
        super::testing::{Behaviour, Printed, serve},
        *,
    };

    /// A function at work for an hour: Lambda begins a new stream every few lines, two of them print at once, some lines arrive
    /// after younger ones, and some are equal. What is printed arrives request by request.
    fn printed() -> Vec<Printed> {
        let line = |n: usize| {
            let late = if n.is_multiple_of(7) { 3 } else { 0 };
            let text = if n.is_multiple_of(5) { "START".to_owned() } else { format!("line {n}") };
            let at = i64::try_from(n / 2).expect("small") * 400;
            Printed { at, stream: format!("2026/01/02/[$LATEST]{}-{}", n / 12, n % 2), text, arrives: n / 4 + late }
        };
        (0..400).map(line).collect()
    }

    /// Follows until every line has been told and the group was read some times more; returns how often each was told.
    async fn followed(does: Behaviour) -> BTreeMap<(i64, String), usize> {
        let all = does.events.len();
        let (_server, logs, asked) = serve(does).await;
        let told = Mutex::new(Vec::new());
        let mut tell = |it: Told| match it {
            Told::Line(it) => told.lock().expect("nobody panicked").push((it.at, it.text)),
            Told::NoGroup => panic!("there is one"),
        };
        let enough = async {
            let (deadline, mut whole) = (Instant::now() + Duration::from_secs(60), None);
            loop {
                let (now, told) =
                    (*asked.lock().expect("nobody panicked"), told.lock().expect("nobody panicked").len());
                if told >= all && now > *whole.get_or_insert(now) + 60 {
                    break;
                }
                assert!(Instant::now() < deadline, "{told} of {all} lines are told after {now} requests");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            ended = follow(&logs, "/ecomctl/local/ingest", 0, Some(Duration::from_millis(1)), &mut tell) => panic!("{ended:?}"),
            () = enough => (),
        }
        let mut counted = BTreeMap::new();
        for it in told.into_inner().expect("nobody panicked") {
            *counted.entry(it).or_default() += 1;
        }
        counted
    }

    fn wanted() -> BTreeMap<(i64, String), usize> {
        let mut counted = BTreeMap::new();
        for it in printed() {
            *counted.entry((it.at, it.text)).or_default() += 1;
        }
        counted
    }

    #[tokio::test]
    async fn each_line_is_told_once_while_streams_change() {
        for nameless in [false, true] {
            let does = Behaviour { events: printed(), page: 9, empty: 3, nameless, ..Behaviour::default() };
            assert_eq!(followed(does).await, wanted(), "nameless: {nameless}");
        }
    }

    #[tokio::test]
    async fn each_line_is_told_once_however_often_reads_are_refused() {
        // Between two readings, and in the middle of one, also several times in a row.
        let refused = (1..300).filter(|n| n % 4 == 2 || (20..26).contains(n) || n % 11 == 0).collect();
        let does = Behaviour { events: printed(), page: 9, empty: 5, refused, ..Behaviour::default() };
        assert_eq!(followed(does).await, wanted());
    }

    #[tokio::test]
    async fn who_does_not_follow_is_told_of_a_refusal() {
        let events = printed().into_iter().map(|it| Printed { arrives: 0, ..it }).collect();
        let does = Behaviour { events, page: 9, refused: vec![3], ..Behaviour::default() };
        let (_server, logs, _) = serve(does).await;
        let err = follow(&logs, "/ecomctl/local/ingest", 0, None, &mut |_| ()).await.expect_err("refused");
        assert_eq!(err.reason, Reason::Throttled);
    }
}
