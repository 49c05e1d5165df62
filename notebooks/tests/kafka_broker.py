"""A Kafka broker for the tests."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import engines
from confluent_kafka import KafkaException, Producer
from postgres import free_port

POM = Path(__file__).parents[2] / "src/local/kafka-pom.xml"
#: Seconds until a broker that does not answer counts as not started.
PATIENCE = 120
#: Timestamp of all records, in milliseconds: the present, as brokers remove what is older than a week.
SENT_AT = time.time_ns() // 1_000_000
#: Partitions of a topic, which is made when it is written to first.
PARTITIONS = 4


@contextmanager
def broker(which: str) -> Iterator[Broker]:
    """A broker at host:port; for `mock` librdkafka's own, for `system` an Apache Kafka for the tests alone."""
    if which == "mock":
        yield Broker({"test.mock.num.brokers": 1})
    elif which == "system":
        with apache() as servers:
            yield Broker({"bootstrap.servers": servers})
    else:
        yield Broker({"bootstrap.servers": which})


class Broker:
    """A broker, and a producer that writes to it."""

    def __init__(self, settings: dict[str, object]) -> None:
        self.producer = Producer({**settings, "message.timeout.ms": 30_000})
        (found,) = self.producer.list_topics(timeout=30).brokers.values()
        self.servers = f"{found.host}:{found.port}"

    def send(self, topic: str, *records: tuple[bytes | None, bytes | None], partition: int = 0) -> None:
        """Appends records (key, value) to a partition."""
        failures = []
        for key, value in records:
            self.producer.produce(
                topic,
                key=key,
                value=value,
                partition=partition,
                timestamp=SENT_AT,
                on_delivery=lambda error, _: failures.append(error) if error else None,
            )
        left = self.producer.flush(60)
        assert left == 0, f"{left} records were not sent"
        assert failures == []


@contextmanager
def apache() -> Iterator[str]:
    """Apache Kafka, one process that is broker and controller."""
    java = ["java", "-Xmx512m", "-cp", f"{engines.fetch_jars(POM)}/*"]
    port, controller = free_port(), free_port()
    listeners = f"BROKER://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}"
    with tempfile.TemporaryDirectory(prefix="ecom-kafka-") as home:
        settings = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "BROKER",
            "listeners": listeners,
            "advertised.listeners": listeners,
            "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": f"{home}/data",
            "num.partitions": PARTITIONS,
            "offsets.topic.replication.factor": 1,
        }
        properties, log = Path(home, "kafka.properties"), Path(home, "log")
        properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        with log.open("w") as output:
            command = [*java, "kafka.tools.StorageTool", "format", "--cluster-id", "ecomTests0000000000000", "--config"]
            done = subprocess.run(
                [*command, str(properties)], timeout=PATIENCE, stdout=output, stderr=output, check=False
            )
            if done.returncode != 0:
                raise RuntimeError(f"Kafka's storage could not be formatted:\n{log.read_text()[-3000:]}")
            process = subprocess.Popen([*java, "kafka.Kafka", str(properties)], stdout=output, stderr=output)
        try:
            _wait(process, f"127.0.0.1:{port}", log)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _wait(process: subprocess.Popen, servers: str, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            Producer({"bootstrap.servers": servers, "log_level": 0}).list_topics(timeout=1)
        except KafkaException as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Kafka did not start: {error}\n{log.read_text()[-3000:]}") from error
        else:
            return
