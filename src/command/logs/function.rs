//! A function's log: the events of its log group.

use std::collections::BTreeSet;

use aws_sdk_lambda::types::LoggingConfig;
use jiff::Timestamp;

use super::{AGAIN, Filter};
use crate::{
    address::Address,
    client::{Error, aws::Aws},
    command::{Exit, Result, error::Problem, run::Run},
};

/// How far back events are looked for again, in milliseconds: those of several streams do not come in order.
const LATE: i64 = 10_000;

/// One line that was printed.
struct Event {
    at: i64,
    id: String,
    text: String,
}

pub(super) async fn show(run: &Run, address: &Address, filter: &Filter) -> Result<Exit> {
    let document = run.document().await?;
    let Some(recorded) = document.resources.get(address) else {
        return Err(Problem::not_deployed(&run.stack.name, address).into());
    };
    let group = group(&run.cx.aws, &recorded.physical).await?;
    let mut from = filter.since.as_millisecond();
    let mut shown = BTreeSet::new();
    loop {
        let events = events(&run.cx.aws, &group, from).await?;
        for event in events.iter().filter(|it| !shown.contains(&it.id)) {
            let at = Timestamp::from_millisecond(event.at).map(|it| format!("{it:.3}")).unwrap_or_default();
            filter.show(&at, event.text.trim_end());
        }
        if !filter.follow {
            return Ok(Exit::Done);
        }
        let newest = events.last().map_or(from, |it| it.at - LATE);
        from = from.max(newest);
        shown = events.into_iter().filter(|it| it.at >= from).map(|it| it.id).collect();
        tokio::time::sleep(AGAIN).await;
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

/// Reads the events since a moment, oldest first. No group yet means no events.
async fn events(aws: &Aws, group: &str, from: i64) -> Result<Vec<Event>, Error> {
    let pages = aws.logs().filter_log_events().log_group_name(group).start_time(from).into_paginator().send();
    let found: Result<Vec<_>, _> = pages.try_collect().await.map_err(Error::aws("logs", "FilterLogEvents"));
    let pages = Error::missing_is_none(found)?.unwrap_or_default();
    let found = pages.into_iter().flat_map(|it| it.events.unwrap_or_default());
    let event = |(n, it): (usize, aws_sdk_cloudwatchlogs::types::FilteredLogEvent)| {
        let at = it.timestamp.unwrap_or_default();
        let stream = it.log_stream_name.unwrap_or_default();
        Event {
            at,
            id: it.event_id.unwrap_or_else(|| format!("{stream}/{at}/{n}")),
            text: it.message.unwrap_or_default(),
        }
    };
    let mut events: Vec<_> = found.enumerate().map(event).collect();
    // Stable: lines of one moment stay in the order in which they were printed.
    events.sort_by_key(|it| it.at);
    Ok(events)
}
