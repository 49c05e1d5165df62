//! The poller: takes records from Kafka to Lambda as an event source mapping does.
