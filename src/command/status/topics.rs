//! Topics: how many records they hold, and how far their readers are behind.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;

use super::{needed, of_kind};
use crate::{
    address::Address,
    client::{Reason, kafka::Kafka},
    command::run::Run,
    engine::Observed,
    report::status::{Known, Topic},
};

/// The group that is asked about where nothing reads a topic: the answer tells its end all the same.
const NOBODY: &str = "ecomctl-status";

pub(super) async fn look(run: &Run, observed: &Observed) -> Vec<Topic> {
    let (groups, clients) = (groups(run, observed), clients(run).await);
    let topics = of_kind(run, observed, "topic").map(|(address, _)| {
        let groups = groups.get(address).cloned().unwrap_or_default();
        let client = brokers(run, address).and_then(|it| clients.get(&it));
        async move { topic(observed, address, groups, client).await }
    });
    join_all(topics).await
}

async fn topic(
    observed: &Observed,
    address: &Address,
    groups: BTreeSet<String>,
    client: Option<&Result<Kafka, String>>,
) -> Topic {
    let missing = || format!("{address} does not exist");
    let partitions = observed.found.get(address).and_then(|it| it.observed.get("partitions")?.as_u64());
    let partitions = partitions.map_or_else(|| Known::Unknown(missing()), Known::Known);
    // The name at the provider begins with the cluster's.
    let physical = observed.names.get(address).map_or(address.name.as_str(), |it| it.physical.as_str());
    let name = physical.rsplit('/').next().unwrap_or(physical).to_owned();
    let read = match client {
        Some(Ok(kafka)) => offsets(kafka, &name, groups).await,
        Some(Err(why)) => Err(why.clone()),
        None => Err(format!("the brokers of {address} are not known")),
    };
    match read {
        Ok((end, lag)) => Topic { name, partitions, end: Known::Known(end), lag: Known::Known(lag) },
        Err(why) => Topic { name, partitions, end: Known::Unknown(why.clone()), lag: Known::Unknown(why) },
    }
}

/// Counts the records that were ever appended to a topic, and those that each group has yet to read.
async fn offsets(kafka: &Kafka, topic: &str, groups: BTreeSet<String>) -> Result<(i64, BTreeMap<String, i64>), String> {
    let asked = groups.iter().map(String::as_str).chain(groups.is_empty().then_some(NOBODY));
    let read = asked.map(|group| async move { (group, kafka.progress(group, &[topic]).await) });
    let (mut end, mut lag) = (0, BTreeMap::new());
    for (group, partitions) in join_all(read).await {
        let partitions = partitions.map_err(|err| unreachable(&err))?;
        end = partitions.iter().map(|it| it.end).sum();
        let behind: u64 = partitions.iter().map(crate::client::kafka::Progress::lag).sum();
        lag.insert(group.to_owned(), i64::try_from(behind).unwrap_or(i64::MAX));
    }
    lag.retain(|it, _| groups.contains(it));
    Ok((end, lag))
}

/// Lists the consumer groups of the stack's triggers, by topic.
fn groups(run: &Run, observed: &Observed) -> BTreeMap<Address, BTreeSet<String>> {
    let mut groups: BTreeMap<Address, BTreeSet<String>> = BTreeMap::new();
    for (trigger, _) in of_kind(run, observed, "trigger") {
        let group = observed.found.get(trigger).and_then(|it| it.outputs.get("consumer_group"));
        for topic in needed(run, trigger, "topic") {
            groups.entry(topic.clone()).or_default().extend(group.cloned());
        }
    }
    groups
}

/// Connects to the clusters of the stack, once to each.
async fn clients(run: &Run) -> BTreeMap<String, Result<Kafka, String>> {
    let topics = run.stack.resources.keys().filter(|it| it.kind == "topic");
    let brokers: BTreeSet<String> = topics.filter_map(|it| brokers(run, it)).collect();
    let connected = brokers.into_iter().map(|it| async move {
        let client = Kafka::connect(&it).await.map_err(|err| unreachable(&err));
        (it, client)
    });
    join_all(connected).await.into_iter().collect()
}

fn unreachable(err: &crate::client::Error) -> String {
    match err.reason {
        Reason::Unavailable => "the brokers cannot be reached from here".to_owned(),
        _ => err.to_string(),
    }
}

/// Returns where the brokers of a topic's cluster are reached.
fn brokers(run: &Run, topic: &Address) -> Option<String> {
    let cluster = needed(run, topic, "cluster").next()?;
    run.cx.lives.get(cluster)?.outputs.get("bootstrap").cloned()
}
