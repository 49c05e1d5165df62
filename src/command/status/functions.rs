//! Functions and their triggers: whether they are active, and what went wrong lately.

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};

use super::of_kind;
use crate::{
    client::{Error, Reason, aws::Aws},
    command::{logs::group::group_of, run::Run},
    engine::Observed,
    report::status::{Function, Known, Trigger},
};

/// How far back errors count as recent.
const RECENT: SignedDuration = SignedDuration::from_hours(1);
/// What an error looks like in a log: a line of the runtime's own, or of a function that logs levels.
const PATTERN: &str = r#"?ERROR ?"Task timed out" ?panicked ?"Runtime exited""#;
/// So many error lines are read; nobody reads more on one screen.
const LINES: i32 = 100;

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
                errors: Known::Known(Vec::new()),
            },
        }
    });
    join_all(functions).await
}

async fn function(aws: &Aws, name: String, physical: &str) -> Function {
    let found = aws.lambda().get_function_configuration().function_name(physical).send().await;
    let found = found.map_err(Error::aws("lambda", "GetFunctionConfiguration"));
    let group = group_of(found.as_ref().ok().and_then(|it| it.logging_config()), physical);
    let errors = match errors(aws, &group).await {
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

/// Reads the recent error lines of a function's log group, the newest last. No log yet means no errors.
async fn errors(aws: &Aws, group: &str) -> Result<Vec<String>, Error> {
    let since = Timestamp::now() - RECENT;
    let found = aws
        .logs()
        .filter_log_events()
        .log_group_name(group)
        .start_time(since.as_millisecond())
        .filter_pattern(PATTERN)
        .limit(LINES)
        .send()
        .await
        .map_err(Error::aws("logs", "FilterLogEvents"));
    let mut events = Error::missing_is_none(found)?.and_then(|it| it.events).unwrap_or_default();
    events.sort_by_key(|it| it.timestamp);
    Ok(events.into_iter().filter_map(|it| it.message).collect())
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
