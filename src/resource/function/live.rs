//! A function as it is: what is changed, what serves, and whether that is on trial. Changes nothing.

use aws_sdk_lambda::types::{AliasConfiguration, FunctionConfiguration, State};
use futures::future::try_join4;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{
    Cx, Function, LIVE, Phase, Tags, alarm, config,
    rollout::{Note, Trial},
    url::{self, LiveUrl},
    version,
};
use crate::{
    address::{Name, Ref},
    client::{self, Error},
};

/// What Lambda calls that which is not published yet.
const UNPUBLISHED: &str = "$LATEST";

/// A function as Lambda has it.
#[derive(Debug)]
pub struct LiveFunction {
    /// What is changed: `$LATEST`.
    pub(super) newest: FunctionConfiguration,
    /// The version that the alias names.
    pub(super) serves: Option<FunctionConfiguration>,
    pub(super) alias: Option<AliasConfiguration>,
    pub(super) trial: Option<Trial>,
    pub(super) concurrency: Option<i32>,
    pub(super) url: Option<LiveUrl>,
    pub(super) tags: Tags,
}

impl LiveFunction {
    /// Returns the number of the version that the alias names.
    pub(super) fn version(&self) -> Option<&str> {
        self.alias.as_ref()?.function_version()
    }

    /// Says whether the alias names a version that cannot change any more.
    pub(super) fn is_published(&self) -> bool {
        self.version().is_some_and(|it| it != UNPUBLISHED)
    }

    pub(super) fn unpublished(&self) -> Map<String, Value> {
        self.serves.as_ref().map(|it| config::beyond(&self.newest, it)).unwrap_or_default()
    }

    pub(super) fn version_phase(&self) -> Phase {
        match (self.serves.as_ref().and_then(|it| it.state()), &self.trial) {
            (Some(State::Pending), _) => Phase::Pending("Pending".into()),
            (_, Some(trial)) => trial.phase(self.version().unwrap_or_default()),
            _ => Phase::Ready,
        }
    }
}

/// Says how an alias stands, in a word if as it should.
pub(super) fn standing(alias: &AliasConfiguration) -> String {
    if alias.function_version() == Some(UNPUBLISHED) {
        return format!("{LIVE}, at {UNPUBLISHED}");
    }
    if let Some(other) = version::shared_with(alias) {
        return format!("{LIVE}, shared with version {other}");
    }
    match Note::from(alias.description().unwrap_or_default()) {
        Note::None => LIVE.to_owned(),
        Note::Trial { .. } => format!("{LIVE}, on trial"),
        Note::Back { from, alarm } => format!("{LIVE}, moved back from version {from} by {alarm}"),
    }
}

/// Finds a function, and the version that serves.
pub(super) async fn get(cx: &Cx, name: &Name) -> client::Result<Option<LiveFunction>> {
    let lambda = cx.aws.lambda();
    let newest = async {
        let sent = lambda.get_function().function_name(&name.physical).send().await;
        Error::missing_is_none(sent.map_err(Error::aws("lambda", "GetFunction")))
    };
    let serves = async {
        let sent = lambda.get_function().function_name(&name.physical).qualifier(LIVE).send().await;
        Error::missing_is_none(sent.map_err(Error::aws("lambda", "GetFunction")))
    };
    let alias = async {
        let sent = lambda.get_alias().function_name(&name.physical).name(LIVE).send().await;
        Error::missing_is_none(sent.map_err(Error::aws("lambda", "GetAlias")))
    };
    let url = url::read(cx, &name.physical);
    let (newest, serves, alias, url) = try_join4(newest, serves, alias, url).await?;
    let Some((found, newest)) = newest.and_then(|mut it| it.configuration.take().map(|config| (it, config))) else {
        return Ok(None);
    };
    let alias = alias.map(|it| {
        AliasConfiguration::builder()
            .set_function_version(it.function_version)
            .set_description(it.description)
            .set_routing_config(it.routing_config)
            .build()
    });
    let note = alias.as_ref().and_then(|it| it.description()).map(Note::from);
    let trial = match note {
        Some(Note::Trial { since, until, before }) => {
            let watched = watched(cx, name);
            let seen = alarm::states(cx, &watched).await?;
            Some(Trial { since, until, before, now: Timestamp::now(), watched, seen })
        }
        _ => None,
    };
    Ok(Some(LiveFunction {
        newest,
        serves: serves.and_then(|it| it.configuration),
        alias,
        trial,
        url,
        concurrency: found.concurrency.and_then(|it| it.reserved_concurrent_executions),
        tags: found.tags.unwrap_or_default().into_iter().collect(),
    }))
}

/// Names the alarms that watch a function's new version, as the stack's file has them now.
fn watched(cx: &Cx, name: &Name) -> Vec<String> {
    let spec = cx.spec(&Ref::<Function>::new(&name.owner.address.name)).ok();
    let alarms = spec.and_then(|it| it.rollout).map(|it| it.alarms).unwrap_or_default();
    alarms.iter().map(|it| cx.scope.physical_of(&it.0)).collect()
}
