//! Functions and their triggers: whether they are active, and what went wrong lately.

use std::collections::BTreeMap;

use aws_sdk_cloudwatchlogs::Client;
use futures::future::{join_all, try_join_all};
use jiff::{SignedDuration, Timestamp};

use super::of_kind;
use crate::{
    client::{Error, Reason, aws::Aws},
    command::{logs::group::group_of, run::Run},
    engine::Observed,
    report::status::{Errors, Function, Known, Trigger},
};

/// How far back errors count as recent.
const RECENT: SignedDuration = SignedDuration::from_hours(1);
/// What an error looks like in a log: a line of the runtime's own, or of a function that logs levels. Each is asked for by itself:
/// a pattern of several with `?` is not understood everywhere.
const PATTERNS: [&str; 4] = ["ERROR", r#""Task timed out""#, "panicked", r#""Runtime exited""#];
/// So many of the newest error lines are kept; nobody reads more on one screen.
const LINES: usize = 100;
/// So many answers of a log are read, each of up to 10,000 lines.
const ANSWERS: usize = 20;

pub(super) async fn look(run: &Run, observed: &Observed) -> Vec<Function> {
    let functions = of_kind(run, observed, "function").map(|(address, physical)| async move {
        let name = address.name.clone();
        match physical {
            Known::Known(physical) => function(&run.cx.aws, name, &physical).await,
            Known::Unknown(why) => Function {
                name,
                state: Known::Unknown(why),
                last_update: None,
                modified: None,
                errors: Known::Known(Errors::default()),
            },
        }
    });
    join_all(functions).await
}

async fn function(aws: &Aws, name: String, physical: &str) -> Function {
    let found = aws.lambda().get_function_configuration().function_name(physical).send().await;
    let found = found.map_err(Error::aws("lambda", "GetFunctionConfiguration"));
    let group = group_of(found.as_ref().ok().and_then(|it| it.logging_config()), physical);
    let errors = match errors(aws.logs(), &group).await {
        Ok(it) => Known::Known(it),
        Err(why) => Known::Unknown(why.to_string()),
    };
    match found {
        Ok(it) => Function {
            name,
            state: Known::Known(it.state().map_or("Active", |it| it.as_str()).to_owned()),
            last_update: it.last_update_status().map(|it| it.as_str().to_owned()),
            modified: it.last_modified().map(str::to_owned),
            errors,
        },
        Err(why) => {
            Function { name, state: Known::Unknown(why.to_string()), last_update: None, modified: None, errors }
        }
    }
}

/// Reads the recent error lines of a function's log group, to its end: the oldest come first, and an answer may hold few or none
/// although more follow. No log yet means no errors.
async fn errors(logs: &Client, group: &str) -> Result<Errors, Error> {
    let since = (Timestamp::now() - RECENT).as_millisecond();
    let found = try_join_all(PATTERNS.map(|it| matching(logs, group, since, it))).await?;
    let more = found.iter().any(|it| it.1);
    // A line may be an error in more than one way.
    let lines: BTreeMap<_, _> = found.into_iter().flat_map(|it| it.0).collect();
    let skipped = lines.len().saturating_sub(LINES);
    Ok(Errors { count: lines.len(), more, newest: lines.into_values().skip(skipped).collect() })
}

/// Lines by when they were printed and what tells them apart.
type Lines = BTreeMap<(i64, String), String>;

/// Reads the lines that match a pattern; says whether there may be more.
async fn matching(logs: &Client, group: &str, since: i64, pattern: &str) -> Result<(Lines, bool), Error> {
    let asked = logs.filter_log_events().log_group_name(group).start_time(since).filter_pattern(pattern);
    let (mut pages, mut lines) = (asked.into_paginator().send(), Lines::new());
    for _ in 0..ANSWERS {
        let Some(page) = pages.next().await else { return Ok((lines, false)) };
        let page = Error::missing_is_none(page.map_err(Error::aws("logs", "FilterLogEvents")))?;
        for it in page.and_then(|it| it.events).unwrap_or_default() {
            let text = it.message.unwrap_or_default();
            let id = it.event_id.unwrap_or_else(|| format!("{}/{text}", it.log_stream_name.unwrap_or_default()));
            lines.insert((it.timestamp.unwrap_or_default(), id), text);
        }
    }
    Ok((lines, true))
}

pub(super) async fn triggers(run: &Run, observed: &Observed) -> Vec<Trigger> {
    let triggers = of_kind(run, observed, "trigger").map(|(address, exists)| async move {
        let found = match (exists, observed.found.get(address).and_then(|it| it.identity.id.as_deref())) {
            (Known::Known(_), Some(id)) => mapping(&run.cx.aws, id).await.map_err(|it| it.to_string()),
            (Known::Known(_), None) => Err(format!("{address} has no identifier")),
            (Known::Unknown(why), _) => Err(why),
        };
        let name = address.name.clone();
        match found {
            Ok((state, last_result)) => Trigger { name, state: Known::Known(state), last_result },
            Err(why) => Trigger { name, state: Known::Unknown(why), last_result: None },
        }
    });
    join_all(triggers).await
}

/// Asks for the state of an event source mapping, by its UUID or the ARN that ends with it, and for its last result.
async fn mapping(aws: &Aws, id: &str) -> Result<(String, Option<String>), Error> {
    let uuid = id.rsplit(':').next().unwrap_or(id);
    let failed = Error::aws("lambda", "GetEventSourceMapping");
    let it = aws.lambda().get_event_source_mapping().uuid(uuid).send().await.map_err(failed)?;
    let none = || Error::new("lambda", "GetEventSourceMapping", Reason::Other, "the answer names no state");
    Ok((it.state().map(str::to_owned).ok_or_else(none)?, it.last_processing_result().map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::logs::testing::{Behaviour, Printed, serve};

    /// CloudWatch tells the oldest first, a part at a time, and some parts are empty.
    #[tokio::test]
    async fn errors_are_counted_to_the_end_of_the_log_and_the_newest_is_kept() {
        let now = Timestamp::now().as_millisecond();
        let line = |n: i64| Printed {
            at: now - 600_000 + n * 1000,
            stream: format!("s{}", n / 40),
            text: format!("ERROR {n}"),
            arrives: 0,
        };
        let events: Vec<Printed> = (0..250).map(line).collect();
        let (_server, logs, _) =
            serve(Behaviour { events: events.clone(), page: 30, empty: 3, ..Behaviour::default() }).await;
        let found = errors(&logs, "/ecomctl/local/ingest").await.expect("a log");
        assert_eq!((found.count, found.more, found.newest.len()), (250, false, LINES));
        assert_eq!(found.newest.last().map(String::as_str), Some("ERROR 249"));

        let (_server, logs, _) = serve(Behaviour { events, page: 10, ..Behaviour::default() }).await;
        let cut = errors(&logs, "/ecomctl/local/ingest").await.expect("a log");
        assert_eq!((cut.count, cut.more), (200, true), "so many answers are read, and there are more");
    }
}
