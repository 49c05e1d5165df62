//! The topics of a stack as a place for events to go: found through the stack's cluster, written by the Kafka client.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use crate::{
    address::Address,
    client::{
        self,
        kafka::{Kafka, NewRecord, Producer, Sent},
    },
    command::{Result, error::Problem, run::Run},
};

use super::{Event, Sink, Topic};

/// How many records may be on their way.
const ON_THE_WAY: usize = 20_000;

/// The topics of a stack.
#[derive(Debug)]
pub(super) struct Topics {
    /// The topics' names in Kafka.
    names: BTreeMap<Topic, String>,
    /// The connection outlives its producer.
    _kafka: Kafka,
    producer: Producer,
    on_the_way: VecDeque<Sent>,
}

impl Topics {
    /// Finds the topics and their cluster, which must be there already, and connects.
    pub(super) async fn connect(run: &Run, wanted: &BTreeSet<Topic>) -> Result<Self> {
        let observed = run.observe(&run.document().await?).await?;
        let again = || Some(format!("`ecomctl up {}` makes what the stack defines", run.stack.name));
        let refuse = |message: String, help: Option<String>| -> crate::command::Error {
            Problem::Usage { message, help }.into()
        };
        let (mut names, mut clusters) = (BTreeMap::new(), BTreeSet::new());
        for topic in wanted {
            let address = Address::new("topic", topic.name());
            let Some(definition) = run.stack.resources.get(&address) else {
                let help = Some("leave it out with `--topics`".to_owned());
                return Err(refuse(format!("stack `{}` has no {address}", run.stack.name), help));
            };
            let name = observed.names.get(&address).filter(|_| observed.found.contains_key(&address));
            let Some(name) = name else { return Err(refuse(format!("{address} does not exist yet"), again())) };
            // The last part: a topic is named within its cluster.
            names.insert(*topic, name.physical.rsplit('/').next().unwrap_or_default().to_owned());
            clusters.extend(definition.needed().into_iter().filter(|it| it.kind == "cluster"));
        }
        let [cluster] = clusters.iter().collect::<Vec<_>>()[..] else {
            return Err(refuse(format!("the topics are in {} clusters", clusters.len()), None));
        };
        let outputs = run.cx.lives.get(cluster).map(|it| it.outputs).unwrap_or_default();
        let Some(brokers) = outputs.get("bootstrap") else {
            return Err(refuse(format!("{cluster} has no brokers yet"), again()));
        };
        let kafka = Kafka::connect(brokers).await?;
        let producer = kafka.producer().await?;
        Ok(Self { names, _kafka: kafka, producer, on_the_way: VecDeque::new() })
    }
}

impl Sink for Topics {
    type Error = client::Error;

    async fn send(&mut self, event: &Event) -> client::Result<()> {
        if self.on_the_way.len() >= ON_THE_WAY
            && let Some(oldest) = self.on_the_way.pop_front()
        {
            oldest.done().await?;
        }
        let record = NewRecord {
            topic: self.names.get(&event.topic).cloned().unwrap_or_default(),
            key: Some(Bytes::copy_from_slice(event.key.as_bytes())),
            value: event.value.clone(),
            ..NewRecord::default()
        };
        self.on_the_way.push_back(self.producer.send(record).await?);
        Ok(())
    }

    async fn finish(&mut self) -> client::Result<()> {
        self.producer.flush().await?;
        for it in self.on_the_way.drain(..) {
            it.done().await?;
        }
        self.producer.close().await
    }
}
