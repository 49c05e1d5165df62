//! The topics of a pipeline: waited for, and read back.

use std::time::{Duration, Instant};

use ecomctl::client::kafka::{Start, Subscription};

use crate::place::{Place, TOPICS, offsets};

/// A record of Kafka: topic, partition, offset, key, value.
pub(crate) type Stored = (String, i32, i64, Option<Vec<u8>>, Option<Vec<u8>>);

impl Place {
    /// Waits until every record of every topic was taken.
    pub(crate) async fn settle(&self, patience: Duration) {
        let kafka = self.kafka().await;
        let deadline = Instant::now() + patience;
        loop {
            match offsets(&kafka).await {
                Ok((end, taken)) if end == taken => return,
                it => assert!(Instant::now() < deadline, "end and taken are {it:?} after {patience:?}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Reads everything that the topics hold.
    pub(crate) async fn records(&self) -> Vec<Stored> {
        let kafka = self.kafka().await;
        let (end, _) = offsets(&kafka).await.expect("offsets");
        // A name of its own each time, so that reading begins at the beginning.
        let group = format!("oracle-{end}");
        let mut all = Vec::new();
        for topic in TOPICS {
            let ends: i64 = kafka.progress(&group, &[topic]).await.expect("offsets").iter().map(|it| it.end).sum();
            let wanted = Subscription { topic, group: &group, member: &group, start: Start::Oldest };
            let consumer = kafka.consumer(&wanted).await.expect("a consumer");
            let (deadline, mut count) = (Instant::now() + Duration::from_secs(60), 0);
            while count < ends {
                assert!(Instant::now() < deadline, "{count} of {ends} records of {topic} read");
                for it in consumer.poll(Duration::from_secs(1)).await.expect("records").records {
                    let bytes = |it: Option<bytes::Bytes>| it.map(|it| it.to_vec());
                    all.push((topic.to_owned(), it.partition, it.offset, bytes(it.key), bytes(it.value)));
                    count += 1;
                }
            }
            consumer.close(false).await.expect("closed");
        }
        all
    }
}
