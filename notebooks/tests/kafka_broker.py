"""A broker for the tests: librdkafka's own mock, which speaks the protocol on a loopback port."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import Producer


@contextmanager
def broker() -> Iterator[Broker]:
    """A broker that lives as long as the block."""
    yield Broker()


class Broker:
    """A mock broker, and the producer that it lives in. A topic that is written to is made with 4 partitions."""

    def __init__(self) -> None:
        self.producer = Producer({"test.mock.num.brokers": 1})
        (found,) = self.producer.list_topics(timeout=10).brokers.values()
        self.servers = f"{found.host}:{found.port}"

    def send(self, topic: str, *records: tuple[bytes | None, bytes | None], partition: int = 0) -> None:
        """Appends records (key, value) to a partition."""
        for key, value in records:
            self.producer.produce(topic, key=key, value=value, partition=partition, timestamp=1_772_366_400_123)
        left = self.producer.flush(30)
        assert left == 0, f"{left} records were not sent"
