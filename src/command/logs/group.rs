//! The log of a function or a database: the events of a log group.

use std::time::Duration;

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
    let mut follower = Follower::new(filter.since.as_millisecond());
    let (mut pause, mut told) = (AGAIN, false);
    loop {
        let from = follower.from();
        let mut show = |events: Vec<Event>| {
            for event in follower.take(events, Timestamp::now().as_millisecond()) {
                let at = Timestamp::from_millisecond(event.at).map(|it| format!("{it:.3}")).unwrap_or_default();
                filter.show(&at, event.text.trim_end());
            }
        };
        match read(&run.cx.aws, &group, from, &mut show).await {
            Ok(true) => pause = AGAIN,
            Ok(false) if told => (),
            Ok(false) => {
                run.terminal.remark("empty", &format!("there is no log group {group} yet{}", hint(address)));
                told = true;
            }
            // Nothing is passed over: the next read begins where this one came to.
            Err(err) if filter.follow && matches!(err.reason, Reason::Throttled | Reason::Unavailable) => {
                pause = (pause * 2).min(LONGEST);
            }
            Err(err) => return Err(err.into()),
        }
        if !filter.follow {
            return Ok(Exit::Done);
        }
        tokio::time::sleep(pause).await;
    }
}

fn hint(address: &Address) -> &'static str {
    match address.kind.as_str() {
        "database" => ": the database's logs are not exported; on this machine, run `ecomctl local logs postgres`",
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
/// group.
async fn read(aws: &Aws, group: &str, from: i64, show: &mut (dyn FnMut(Vec<Event>) + Send)) -> Result<bool, Error> {
    let mut pages = aws.logs().filter_log_events().log_group_name(group).start_time(from).into_paginator().send();
    let mut numbers = Numbers::default();
    while let Some(page) = pages.next().await {
        let Some(page) = Error::missing_is_none(page.map_err(Error::aws("logs", "FilterLogEvents")))? else {
            return Ok(false);
        };
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
    }
    Ok(true)
}
