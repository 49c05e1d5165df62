//! Kafka: topics, lag, a producer and a consumer. The only file that names the client library, so that it can be changed.
//!
//! Speaks plaintext and knows no topic, group or cluster of ours. Failures carry a [`Reason`]; offsets and timestamps
//! are Kafka's own (milliseconds since 1970).

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use krafka::{
    CloseOptions, Compression, GroupMembershipOperation, KrafkaError, ProtocolErrorKind,
    admin::{
        AdminClient, AlterConsumerGroupOffsetsOptions, ConfigOp, ConfigResource, CreatePartitionsOptions,
        CreateTopicsOptions, DeleteTopicsOptions, DescribeClusterOptions, DescribeConfigsOptions,
        DescribeTopicsOptions, IncrementalAlterConfigsOptions, ListConsumerGroupOffsetsOptions, ListOffsetsOptions,
        ListTopicsOptions, OffsetSpec,
    },
    consumer::{AutoOffsetReset, ConsumerRebalanceListener, OffsetAndMetadata, TopicPartition},
    error::ErrorCode,
};

use super::{Error, Reason, Result};

pub use krafka::{ConsumerRecord as Record, TimestampType};

/// A connection pool to one Kafka, and its administration.
pub struct Kafka {
    kafka: krafka::Kafka,
    admin: AdminClient,
}

/// A topic as the brokers describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// The partitions, by number.
    pub partitions: Vec<Partition>,
}

/// One partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its number, from 0.
    pub number: i32,
    /// The leading broker; `None` while there is none.
    pub leader: Option<i32>,
    /// The brokers that hold it.
    pub replicas: Vec<i32>,
    /// Those of them that are in sync.
    pub in_sync: Vec<i32>,
}

/// How far a group is within one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The topic.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// The next offset that the group will read; `None` where it has committed none.
    pub committed: Option<i64>,
    /// The offset after the last record.
    pub end: i64,
    /// The offset of the oldest record.
    pub start: i64,
}

impl Progress {
    /// Counts the records that the group has not read yet.
    pub fn lag(&self) -> u64 {
        u64::try_from(self.end - self.committed.unwrap_or(self.start)).unwrap_or(0)
    }
}

/// A broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Its number.
    pub id: i32,
    /// Where it is reached.
    pub address: String,
}

impl Kafka {
    /// Connects to the brokers at `host:port[,…]`.
    ///
    /// # Errors
    /// [`Reason::Unavailable`] when none answers within ten seconds.
    pub async fn connect(bootstrap: &str) -> Result<Self> {
        let kafka = krafka::Kafka::builder(bootstrap)
            .client_id("ecomctl")
            .connect_timeout(Duration::from_secs(5))
            .request_timeout(Duration::from_secs(10))
            // A topic that grows is noticed within this time.
            .metadata_max_age(Duration::from_secs(10))
            .metadata_recovery_rebootstrap_trigger(Duration::from_secs(10))
            .connect()
            .await
            .map_err(failed("Connect"))?;
        let admin = kafka.admin().default_api_timeout(Duration::from_secs(15));
        Ok(Self { kafka, admin })
    }

    /// Lists the brokers that are up.
    pub async fn brokers(&self) -> Result<Vec<Broker>> {
        let cluster =
            self.admin.describe_cluster(DescribeClusterOptions::default()).await.map_err(failed("DescribeCluster"))?;
        let address =
            |it: krafka::admin::ClusterBroker| Broker { id: it.id, address: format!("{}:{}", it.host, it.port) };
        Ok(cluster.brokers.into_iter().map(address).collect())
    }

    /// Lists the topics, without Kafka's own, by name.
    pub async fn topics(&self) -> Result<Vec<String>> {
        let mut names = self.admin.list_topics(ListTopicsOptions::default()).await.map_err(failed("ListTopics"))?;
        names.sort();
        Ok(names)
    }

    /// Describes those of the topics that exist.
    pub async fn describe(&self, names: &[&str]) -> Result<BTreeMap<String, Topic>> {
        if names.is_empty() {
            return Ok(BTreeMap::new());
        }
        let fail = failed("DescribeTopics");
        let options = DescribeTopicsOptions::default();
        let answers = self.admin.describe_topics(names.iter().copied(), options).await.map_err(&fail)?;
        let mut found = BTreeMap::new();
        for (name, answer) in answers {
            if let Some(it) = Error::missing_is_none(answer.map_err(&fail))? {
                let partition = |it: krafka::admin::PartitionDescription| Partition {
                    number: it.partition,
                    leader: it.leader,
                    replicas: it.replicas,
                    in_sync: it.isr,
                };
                found.insert(name, Topic { partitions: it.partitions.into_iter().map(partition).collect() });
            }
        }
        Ok(found)
    }

    /// Reads the configuration that a topic sets itself, without the brokers' defaults.
    pub async fn topic_configs(&self, name: &str) -> Result<BTreeMap<String, String>> {
        // The source of an entry, as the DescribeConfigs protocol numbers it.
        const DYNAMIC_TOPIC_CONFIG: i8 = 1;
        let fail = failed("DescribeConfigs");
        let resource = ConfigResource::topic(name);
        let mut answers =
            self.admin.describe_configs([resource.clone()], DescribeConfigsOptions::default()).await.map_err(&fail)?;
        let entries = answers.remove(&resource).transpose().map_err(&fail)?.unwrap_or_default();
        let own = entries.into_iter().filter(|it| it.config_source == DYNAMIC_TOPIC_CONFIG);
        Ok(own.filter_map(|it| Some((it.name, it.value?))).collect())
    }

    /// Creates a topic.
    ///
    /// # Errors
    /// [`Reason::Exists`]; [`Reason::Invalid`] for a name, number or configuration that Kafka refuses.
    pub async fn create_topic(
        &self,
        name: &str,
        partitions: i32,
        replicas: i16,
        configs: &BTreeMap<String, String>,
    ) -> Result<()> {
        let fail = failed("CreateTopics");
        let mut topic = krafka::admin::NewTopic::new(name, partitions, replicas).map_err(&fail)?;
        for (key, value) in configs {
            topic = topic.with_config(key, value);
        }
        only(self.admin.create_topics([topic], CreateTopicsOptions::default()).await.map_err(&fail)?).map_err(fail)
    }

    /// Deletes a topic with all its records.
    ///
    /// # Errors
    /// [`Reason::Missing`].
    pub async fn delete_topic(&self, name: &str) -> Result<()> {
        let fail = failed("DeleteTopics");
        let options = DeleteTopicsOptions::default();
        only(self.admin.delete_topics([name], options).await.map_err(&fail)?).map_err(fail)
    }

    /// Raises the number of partitions to `total`.
    ///
    /// # Errors
    /// [`Reason::Missing`]; [`Reason::Invalid`] when there are as many already.
    pub async fn grow_topic(&self, name: &str, total: i32) -> Result<()> {
        let fail = failed("CreatePartitions");
        only(self.admin.create_partitions([(name, total)], CreatePartitionsOptions::default()).await.map_err(&fail)?)
            .map_err(fail)
    }

    /// Sets configurations of a topic; `None` restores the brokers' default. Others stay as they are.
    ///
    /// # Errors
    /// [`Reason::Missing`]; [`Reason::Invalid`] for a key or value that Kafka refuses.
    pub async fn configure_topic(&self, name: &str, changes: &BTreeMap<String, Option<String>>) -> Result<()> {
        let fail = failed("IncrementalAlterConfigs");
        let change = |(key, value): (&String, &Option<String>)| match value {
            Some(value) => ConfigOp::set(key, value),
            None => ConfigOp::delete(key),
        };
        let changes = [(ConfigResource::topic(name), changes.iter().map(change).collect())];
        let answers = self
            .admin
            .incremental_alter_configs(changes, IncrementalAlterConfigsOptions::default())
            .await
            .map_err(&fail)?;
        only(answers).map_err(fail)
    }

    /// Says how far a group is in every partition of these topics. Topics that do not exist are left out.
    pub async fn progress(&self, group: &str, topics: &[&str]) -> Result<Vec<Progress>> {
        let found = self.describe(topics).await?;
        let all = found
            .iter()
            .flat_map(|(name, topic)| topic.partitions.iter().map(|it| TopicPartition::new(name.clone(), it.number)));
        let all: Vec<_> = all.collect();
        let committed = self.admin.list_consumer_group_offsets(group, ListConsumerGroupOffsetsOptions::default());
        let starts = self.offsets(&all, OffsetSpec::Earliest);
        let ends = self.offsets(&all, OffsetSpec::Latest);
        let (committed, starts, ends) = futures::join!(committed, starts, ends);
        // A group that never committed is unknown to Kafka, which is not a failure here.
        let committed = Error::missing_is_none(committed.map_err(failed("OffsetFetch")))?.unwrap_or_default();
        let (starts, ends) = (starts?, ends?);
        let mut progress = Vec::with_capacity(all.len());
        for it in &all {
            let committed = committed.get(it).and_then(|it| it.as_ref().ok()).and_then(|it| it.offset);
            let (start, end) = (starts.get(it).copied().unwrap_or(0), ends.get(it).copied().unwrap_or(0));
            progress.push(Progress { topic: it.topic.clone(), partition: it.partition, committed, end, start });
        }
        Ok(progress)
    }

    async fn offsets(&self, of: &[TopicPartition], spec: OffsetSpec) -> Result<HashMap<TopicPartition, i64>> {
        let fail = failed("ListOffsets");
        let specs = of.iter().map(|it| (it.clone(), spec));
        let answers = self.admin.list_offsets(specs, ListOffsetsOptions::default()).await.map_err(&fail)?;
        answers.into_iter().map(|(at, it)| Ok((at, it.map_err(&fail)?.offset))).collect()
    }

    /// Opens a producer: idempotent, acknowledged by all replicas, compressed with LZ4.
    pub async fn producer(&self) -> Result<Producer> {
        let producer = self
            .kafka
            .producer()
            .compression(Compression::Lz4)
            .batch_size(256 * 1024)
            .linger(Duration::from_millis(5))
            .metrics_push(false)
            .build()
            .await
            .map_err(failed("InitProducerId"))?;
        Ok(Producer(producer))
    }

    /// Opens a consumer of one topic, which joins its group when first polled.
    ///
    /// Where the group has committed nothing yet, the start is committed first: it holds from now on, whenever the
    /// first record arrives. Partitions that are added later begin at their oldest record.
    ///
    /// # Errors
    /// [`Reason::Missing`] when there is no such topic.
    pub async fn consumer(&self, wanted: &Subscription<'_>) -> Result<Consumer> {
        let fail = failed("Subscribe");
        self.commit_start(wanted).await?;
        let epoch = Arc::new(AtomicU64::new(0));
        let builder = self
            .kafka
            .consumer(wanted.group)
            .group_instance_id(wanted.member)
            .auto_offset_reset(AutoOffsetReset::Earliest)
            .enable_auto_commit(false)
            .session_timeout(Duration::from_secs(10))
            .heartbeat_interval(Duration::from_secs(2))
            // The owner polls even while it can take nothing, so only a hung process exceeds this.
            .max_poll_interval(Duration::from_mins(2))
            .fetch_max_bytes(8 << 20)
            .max_partition_fetch_bytes(2 << 20)
            .fetch_max_wait(Duration::from_millis(250))
            .idle_poll_backoff(Duration::from_millis(100))
            .max_poll_records(-1)
            .max_buffered_records(0)
            .metrics_push(false)
            .rebalance_listener(Listener(Arc::clone(&epoch)));
        let consumer = builder.build().await.map_err(&fail)?;
        consumer.subscribe([wanted.topic]).await.map_err(&fail)?;
        Ok(Consumer { member: consumer, topic: wanted.topic.to_owned(), epoch })
    }

    async fn commit_start(&self, wanted: &Subscription<'_>) -> Result<()> {
        let progress = self.progress(wanted.group, &[wanted.topic]).await?;
        if progress.is_empty() {
            return Err(Error::new(
                "kafka",
                "Subscribe",
                Reason::Missing,
                format!("there is no topic {}", wanted.topic),
            ));
        }
        if progress.iter().any(|it| it.committed.is_some()) {
            return Ok(());
        }
        let at = |it: &Progress| TopicPartition::new(wanted.topic, it.partition);
        let timed = match wanted.start {
            Start::At(time) => {
                self.offsets(&progress.iter().map(at).collect::<Vec<_>>(), OffsetSpec::Timestamp(time)).await?
            }
            Start::Oldest | Start::Newest => HashMap::new(),
        };
        let start = |it: &Progress| match wanted.start {
            Start::Oldest => it.start,
            Start::Newest => it.end,
            // Kafka answers -1 where every record is older.
            Start::At(_) => timed.get(&at(it)).copied().filter(|it| *it >= 0).unwrap_or(it.end),
        };
        let starts: Vec<_> = progress.iter().map(|it| (at(it), start(it))).collect();
        let committed = self
            .admin
            .alter_consumer_group_offsets(wanted.group, starts, AlterConsumerGroupOffsetsOptions::default())
            .await;
        let failed = failed("OffsetCommit");
        for it in committed.map_err(&failed)?.into_values() {
            it.map_err(&failed)?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for Kafka {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kafka")
    }
}

/// What a consumer reads, and as whom.
#[derive(Clone, Copy, Debug)]
pub struct Subscription<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The group whose offsets count.
    pub group: &'a str,
    /// The member's lasting name: after a crash, the same member takes its partitions back at once.
    pub member: &'a str,
    /// Where a partition begins of which the group has committed nothing.
    pub start: Start,
}

/// Where reading begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the oldest record.
    Oldest,
    /// After the newest record.
    Newest,
    /// At the first record that is not older, in milliseconds since 1970.
    At(i64),
}

/// Records that arrived together.
#[derive(Debug)]
pub struct Fetched {
    /// In order within each partition.
    pub records: Vec<Record>,
    /// Rises whenever partitions were taken away: what was fetched before and is not committed will come again.
    pub epoch: u64,
}

/// One member of a group. Never commits by itself.
pub struct Consumer {
    member: krafka::consumer::Consumer,
    topic: String,
    epoch: Arc<AtomicU64>,
}

impl Consumer {
    /// Waits for records, and keeps the membership alive. Loses nothing when dropped.
    pub async fn poll(&self, timeout: Duration) -> Result<Fetched> {
        let records = self.member.poll(timeout).await.map_err(failed("Fetch"))?;
        Ok(Fetched { records, epoch: self.epoch() })
    }

    /// Commits the next offset to read, per partition.
    ///
    /// # Errors
    /// [`Reason::Busy`] while the group rebalances; what was to be committed may then come again.
    pub async fn commit(&self, next: impl IntoIterator<Item = (i32, i64)>) -> Result<()> {
        let next = next.into_iter().map(|(partition, offset)| {
            (TopicPartition::new(self.topic.clone(), partition), OffsetAndMetadata::new(offset))
        });
        self.member.commit_offsets(next.collect::<Vec<_>>()).await.map_err(failed("OffsetCommit"))
    }

    /// Returns what [`Fetched::epoch`] would be now.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Lists the partitions that are its own now.
    pub async fn partitions(&self) -> Vec<i32> {
        self.member.assignment().await.remove(&self.topic).unwrap_or_default()
    }

    /// Stops fetching; [`Consumer::poll`] then only keeps the membership alive.
    pub async fn pause(&self) {
        self.member.pause(&self.topic, &self.partitions().await).await;
    }

    /// Fetches again.
    pub async fn resume(&self) {
        self.member.resume(&self.topic, &self.partitions().await).await;
    }

    /// Ends the consumer. A member that will be back keeps its place in the group for the session timeout.
    pub async fn close(&self, comes_back: bool) -> Result<()> {
        let leave =
            if comes_back { GroupMembershipOperation::RemainInGroup } else { GroupMembershipOperation::LeaveGroup };
        let options = CloseOptions::new().timeout(Duration::from_secs(5)).group_membership_operation(leave);
        self.member.close_with(options).await.map_err(failed("LeaveGroup"))
    }
}

impl std::fmt::Debug for Consumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Consumer({})", self.topic)
    }
}

/// Notes that partitions went away.
struct Listener(Arc<AtomicU64>);

impl ConsumerRebalanceListener for Listener {
    async fn on_partitions_assigned(&self, _: &[TopicPartition]) {}

    async fn on_partitions_revoked(&self, _: &[TopicPartition]) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    async fn on_partitions_lost(&self, _: &[TopicPartition]) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

/// A record to be written.
#[derive(Clone, Debug, Default)]
pub struct NewRecord {
    /// The topic.
    pub topic: String,
    /// What decides the partition.
    pub key: Option<bytes::Bytes>,
    /// The content; `None` is a tombstone.
    pub value: Option<bytes::Bytes>,
    /// Headers, in order.
    pub headers: Vec<(String, bytes::Bytes)>,
    /// When it was made, in milliseconds since 1970; `None` for now.
    pub timestamp: Option<i64>,
}

/// Writes records.
pub struct Producer(krafka::producer::Producer);

/// A record on its way; resolves when the brokers have it.
pub struct Sent(krafka::producer::DeliveryHandle);

impl Producer {
    /// Queues a record, waiting for room. [`Sent::done`] says whether it arrived.
    pub async fn send(&self, it: NewRecord) -> Result<Sent> {
        let mut record = krafka::Record::new(it.topic, bytes::Bytes::new());
        record.key = it.key;
        record.value = it.value;
        record.timestamp = it.timestamp;
        record.headers = it.headers.into_iter().map(|(key, value)| (key, Some(value))).collect();
        Ok(Sent(self.0.enqueue(record).await.map_err(failed("Produce"))?))
    }

    /// Waits until all that was queued has arrived or failed.
    pub async fn flush(&self) -> Result<()> {
        self.0.flush().await.map_err(failed("Produce"))
    }

    /// Writes what is queued, then ends.
    pub async fn close(&self) -> Result<()> {
        self.0.close().await.map_err(failed("Produce"))
    }
}

impl Sent {
    /// Waits for the acknowledgement; returns partition and offset.
    pub async fn done(self) -> Result<(i32, i64)> {
        let it = self.0.await.map_err(failed("Produce"))?;
        Ok((it.partition, it.offset))
    }
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Producer")
    }
}

impl std::fmt::Debug for Sent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sent")
    }
}

/// Takes the one answer of a request about one thing.
fn only<K>(answers: HashMap<K, krafka::Result<()>>) -> krafka::Result<()> {
    answers.into_values().next().unwrap_or_else(|| Err(KrafkaError::timeout("the broker left the answer out")))
}

/// Returns an adapter for `map_err` that sorts the client library's failures.
fn failed(operation: &'static str) -> impl Fn(KrafkaError) -> Error {
    move |err| {
        let message = match &err {
            KrafkaError::Broker { code, message } if !message.is_empty() => format!("{code:?}: {message}"),
            KrafkaError::Broker { code, .. } => format!("{code:?}"),
            err => err.to_string(),
        };
        Error::new("kafka", operation, reason(&err), message)
    }
}

fn reason(err: &KrafkaError) -> Reason {
    match err {
        KrafkaError::Broker { code, .. } => match code {
            ErrorCode::UnknownTopicOrPartition | ErrorCode::GroupIdNotFound | ErrorCode::UnknownTopicId => {
                Reason::Missing
            }
            ErrorCode::TopicAlreadyExists => Reason::Exists,
            ErrorCode::InvalidTopic
            | ErrorCode::InvalidPartitions
            | ErrorCode::InvalidReplicationFactor
            | ErrorCode::InvalidReplicaAssignment
            | ErrorCode::InvalidConfig
            | ErrorCode::InvalidRequest
            | ErrorCode::PolicyViolation
            | ErrorCode::InvalidGroupId => Reason::Invalid,
            ErrorCode::TopicAuthorizationFailed
            | ErrorCode::GroupAuthorizationFailed
            | ErrorCode::ClusterAuthorizationFailed
            | ErrorCode::SaslAuthenticationFailed => Reason::Denied,
            ErrorCode::ThrottlingQuotaExceeded => Reason::Throttled,
            ErrorCode::RebalanceInProgress
            | ErrorCode::IllegalGeneration
            | ErrorCode::UnknownMemberId
            | ErrorCode::FencedInstanceId
            | ErrorCode::ReassignmentInProgress
            | ErrorCode::NonEmptyGroup => Reason::Busy,
            _ => Reason::Unavailable,
        },
        KrafkaError::UnknownTopic { .. } => Reason::Missing,
        KrafkaError::Config { .. }
        | KrafkaError::Serialization { .. }
        | KrafkaError::Protocol { kind: ProtocolErrorKind::InvalidValue, .. } => Reason::Invalid,
        KrafkaError::Auth { .. } => Reason::Denied,
        KrafkaError::Network(_) | KrafkaError::Timeout { .. } | KrafkaError::DeliveryTimeout { .. } => {
            Reason::Unavailable
        }
        _ => Reason::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_from_outages() {
        let broker = |code| reason(&KrafkaError::broker(code, "no"));
        assert_eq!(broker(ErrorCode::InvalidReplicationFactor), Reason::Invalid);
        assert_eq!(broker(ErrorCode::TopicAlreadyExists), Reason::Exists);
        assert_eq!(broker(ErrorCode::UnknownTopicOrPartition), Reason::Missing);
        assert_eq!(broker(ErrorCode::NotController), Reason::Unavailable);
        assert_eq!(reason(&KrafkaError::timeout("x")), Reason::Unavailable);
        assert_eq!(failed("X")(KrafkaError::broker(ErrorCode::InvalidTopic, "bad")).message, "InvalidTopic: bad");
    }

    #[test]
    fn lag_counts_from_the_oldest_record_where_nothing_is_committed() {
        let it = |committed| Progress { topic: "t".into(), partition: 0, committed, end: 10, start: 4 };
        assert_eq!(it(Some(7)).lag(), 3);
        assert_eq!(it(None).lag(), 6);
        assert_eq!(it(Some(12)).lag(), 0);
    }
}
