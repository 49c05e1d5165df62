//! The published versions of a function, and the alias that names the one that serves. Decides nothing.

use std::collections::BTreeSet;

use aws_sdk_lambda::types::{AliasConfiguration, AliasRoutingConfiguration};

use super::rollout::Note;
use crate::{
    client::{Error, Reason, Result},
    resource::Cx,
};

/// The alias that triggers, schedules and subscriptions point at.
pub const LIVE: &str = "live";
/// How many of the newest versions are kept, for people to go back to.
const KEPT: usize = 5;

/// Publishes what the function is now, if its code is still this one; returns the version's number. Where nothing changed
/// since the last one, Lambda answers with that.
pub(super) async fn publish(cx: &Cx, function: &str, code: Option<&str>) -> Result<String> {
    let request = cx.aws.lambda().publish_version().function_name(function).set_code_sha256(code.map(str::to_owned));
    let sent = request.send().await.map_err(Error::aws("lambda", "PublishVersion"))?;
    let none = || Error::new("lambda", "PublishVersion", Reason::Other, "Lambda names no version");
    sent.version.ok_or_else(none)
}

/// Lets the alias name a version, all by itself, and be described so; makes it where it is not there.
pub(super) async fn point(
    cx: &Cx,
    function: &str,
    alias: Option<&AliasConfiguration>,
    version: &str,
    note: &Note,
) -> Result<()> {
    let lambda = cx.aws.lambda();
    if alias.is_none() {
        let request = lambda.create_alias().function_name(function).name(LIVE).function_version(version);
        match request.description(note.to_string()).send().await.map_err(Error::aws("lambda", "CreateAlias")) {
            // It is there by now, by an answer that was lost.
            Err(err) if err.reason == Reason::Busy => (),
            sent => return sent.map(drop),
        }
    }
    let request = lambda.update_alias().function_name(function).name(LIVE).function_version(version);
    let request = request.description(note.to_string());
    let shared = alias.and_then(shared_with).is_some();
    let alone = shared.then(|| AliasRoutingConfiguration::builder().set_additional_version_weights(Some([].into())));
    let sent = request.set_routing_config(alone.map(|it| it.build())).send().await;
    sent.map(drop).map_err(Error::aws("lambda", "UpdateAlias"))
}

/// Returns the second version that an alias sends a part of the invocations to, where somebody let it.
pub(super) fn shared_with(alias: &AliasConfiguration) -> Option<&String> {
    alias.routing_config()?.additional_version_weights()?.keys().next()
}

/// Deletes old versions, except the newest, these, and what any alias names.
pub(super) async fn prune(cx: &Cx, function: &str, spared: &[&str]) -> Result<()> {
    let lambda = cx.aws.lambda();
    let versions = lambda.list_versions_by_function().function_name(function).into_paginator().items().send();
    let versions: Vec<_> = versions.try_collect().await.map_err(Error::aws("lambda", "ListVersionsByFunction"))?;
    let versions = versions.iter().filter_map(|it| it.version()?.parse().ok()).collect();
    if stale(&versions, spared.iter().copied()).is_empty() {
        return Ok(());
    }
    let aliases = lambda.list_aliases().function_name(function).into_paginator().items().send();
    let aliases: Vec<_> = aliases.try_collect().await.map_err(Error::aws("lambda", "ListAliases"))?;
    let named =
        aliases.iter().flat_map(|it| it.function_version().into_iter().chain(shared_with(it).map(String::as_str)));
    for version in stale(&versions, named.chain(spared.iter().copied())) {
        let sent = lambda.delete_function().function_name(function).qualifier(version.to_string()).send().await;
        Error::missing_is_done(sent.map_err(Error::aws("lambda", "DeleteFunction")))?;
    }
    Ok(())
}

/// Picks the versions that may go.
fn stale<'a>(versions: &BTreeSet<u64>, spared: impl Iterator<Item = &'a str>) -> Vec<u64> {
    let spared: BTreeSet<u64> = spared.filter_map(|it| it.parse().ok()).collect();
    versions.iter().rev().skip(KEPT).filter(|it| !spared.contains(it)).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_versions_go_but_for_those_that_an_alias_names() {
        let versions = (1..=9).collect();
        assert_eq!(stale(&versions, ["9"].into_iter()), [4, 3, 2, 1]);
        assert_eq!(stale(&versions, ["9", "2", "$LATEST"].into_iter()), [4, 3, 1]);
        assert!(stale(&(1..=5).collect(), [].into_iter()).is_empty());
    }
}
