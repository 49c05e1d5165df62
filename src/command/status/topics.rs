//! Topics: how many records they hold, and how far their readers are behind.

use std::collections::BTreeMap;

use futures::future::join_all;

use super::{needed, of_kind};
use crate::{
    address::Address,
    client::kafka::Kafka,
    command::run::Run,
    engine::Observed,
    report::status::{Known, Topic},
};

pub(super) async fn look(run: &Run, observed: &Observed) -> Vec<Topic> {
    let lags = lags(run, observed).await;
    let topics = of_kind(run, observed, "topic").map(|(address, _)| {
        let partitions = observed.found.get(address).and_then(|it| it.observed.get("partitions")?.as_u64());
        let partitions = partitions.map_or_else(|| Known::Unknown(format!("{address} does not exist")), Known::Known);
        let name = topic(observed, address);
        let read: Vec<_> = lags.iter().filter(|it| it.topic == *address).collect();
        let (end, lag) = if let Some(why) = read.iter().find_map(|it| it.found.as_ref().err()) {
            (Known::Unknown(why.clone()), Known::Unknown(why.clone()))
        } else {
            let found = || read.iter().filter_map(|it| Some((&it.group, it.found.as_ref().ok()?)));
            let end = found().find_map(|(_, it)| it.end.get(&name).copied());
            let lag = found().filter_map(|(group, it)| Some((group.clone(), *it.lag.get(&name)?))).collect();
            let unread = || Known::Unknown(format!("nothing of the stack reads {address}"));
            (end.map_or_else(unread, Known::Known), Known::Known(lag))
        };
        Topic { name: name.clone(), partitions, end, lag }
    });
    topics.collect()
}

/// How far one group is with one topic.
struct Reader {
    topic: Address,
    group: String,
    found: Result<Lag, String>,
}

/// Asks for every trigger how far its consumer group is.
async fn lags(run: &Run, observed: &Observed) -> Vec<Reader> {
    let triggers = of_kind(run, observed, "trigger").filter_map(|(address, _)| {
        let topic = needed(run, address, "topic").next()?.clone();
        let group = observed.found.get(address)?.observed.get("consumer_group")?.as_str()?.to_owned();
        Some((topic, group))
    });
    let asked = triggers.map(|(topic, group)| async move {
        let found = match brokers(run, &topic) {
            Some(brokers) => lag(&brokers, &group, &[&self::topic(observed, &topic)]).await,
            None => Err(format!("the brokers of {topic} are not known")),
        };
        Reader { topic, group, found }
    });
    join_all(asked).await
}

/// Returns the topic's name in its cluster: the last part of its name at the provider.
fn topic(observed: &Observed, address: &Address) -> String {
    let physical = observed.names.get(address).map_or(address.name.as_str(), |it| it.physical.as_str());
    physical.rsplit('/').next().unwrap_or(physical).to_owned()
}

/// Returns where the brokers of a topic's cluster are reached.
fn brokers(run: &Run, topic: &Address) -> Option<String> {
    let cluster = needed(run, topic, "cluster").next()?;
    let outputs: BTreeMap<_, _> = run.cx.lives.get(cluster)?.outputs;
    outputs.into_iter().find(|(name, _)| name.contains("brokers")).map(|it| it.1)
}

/// How far a consumer group is.
#[derive(Clone, Debug, Default)]
struct Lag {
    /// Records appended, by topic.
    end: BTreeMap<String, i64>,
    /// Records not read yet, by topic.
    lag: BTreeMap<String, i64>,
}

/// Asks the brokers.
async fn lag(brokers: &str, group: &str, topics: &[&str]) -> Result<Lag, String> {
    let unreachable = |_| "the brokers cannot be reached from here".to_owned();
    let kafka = Kafka::connect(brokers).await.map_err(unreachable)?;
    let mut found = Lag::default();
    for it in kafka.progress(group, topics).await.map_err(unreachable)? {
        *found.end.entry(it.topic.clone()).or_default() += it.end;
        *found.lag.entry(it.topic.clone()).or_default() += i64::try_from(it.lag()).unwrap_or(i64::MAX);
    }
    Ok(found)
}
