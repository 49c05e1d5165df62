//! The one Kafka behind all clusters: connected when first needed, and again after it was away.

use tokio::sync::OnceCell;

use crate::client::{Result, kafka::Kafka};

/// A connection that is made when first needed.
#[derive(Debug)]
pub(crate) struct Brokers {
    address: String,
    kafka: OnceCell<Kafka>,
}

impl Brokers {
    /// Remembers `host:port`. Connects to nothing yet.
    pub(crate) fn new(address: &str) -> Self {
        Self { address: address.to_owned(), kafka: OnceCell::new() }
    }

    /// Returns where clients reach the brokers.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Returns the connection, which finds a restarted broker again by itself.
    pub(crate) async fn kafka(&self) -> Result<&Kafka> {
        self.kafka.get_or_try_init(|| Kafka::connect(&self.address)).await
    }

    /// Says whether a broker answers now.
    pub(crate) async fn is_up(&self) -> bool {
        match self.kafka().await {
            Ok(it) => it.brokers().await.is_ok_and(|it| !it.is_empty()),
            Err(_) => false,
        }
    }
}
