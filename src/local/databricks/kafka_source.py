"""The format `kafka` for engines without the JVM's connector: batches, with options and schema of Spark's own source.

Takes `subscribe` (comma-separated topics), `startingOffsets` (`earliest`, `latest`, or JSON by topic and partition with
-2 for the earliest and -1 for the latest), `endingOffsets` (the same), `failOnDataLoss`, and `kafka.*`, which goes to
librdkafka. A partition that the JSON does not name is read from the earliest offset, and to the latest. Streams,
patterns, timestamps and headers are not offered: an unknown option is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition

#: As an Arrow schema: written as DDL, Sail would take `timestamp` for one without a time zone.
SCHEMA = pa.schema(
    [
        ("key", pa.binary()),
        ("value", pa.binary()),
        ("topic", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("timestamp", pa.timestamp("us", tz="UTC")),
        ("timestampType", pa.int32()),
    ]
)

#: Seconds until a broker that does not answer counts as gone.
PATIENCE = 30.0

#: Records in one Arrow batch.
CHUNK = 10_000

_EARLIEST, _LATEST = -2, -1
_OPTIONS = {"subscribe", "startingoffsets", "endingoffsets", "failondataloss"}
# Names that Java's client knows and librdkafka spells differently or has no use for.
_DROPPED = {"key.deserializer", "value.deserializer"}


class Span(InputPartition):
    """Offsets `first <= offset < end` of one partition of a topic."""

    def __init__(self, topic: str, number: int, first: int, end: int) -> None:
        super().__init__((topic, number, first, end))
        self.topic, self.number, self.first, self.end = topic, number, first, end


class KafkaDataSource(DataSource):
    """The format, as it is registered with a session."""

    @classmethod
    def name(cls) -> str:
        """The name in `spark.read.format(…)`."""
        return "kafka"

    def schema(self) -> pa.Schema:
        """The columns that Spark's source has."""
        return SCHEMA

    def reader(self, schema: Any) -> DataSourceReader:  # noqa: ANN401, ARG002
        """The reader of one query."""
        return KafkaReader(dict(self.options))


class KafkaReader(DataSourceReader):
    """Reads the records between two sets of offsets, which are settled when the reading is planned."""

    def __init__(self, options: dict[str, str]) -> None:
        # Engines may hand names over in lower case, as they do not tell cases apart. All of librdkafka's are lower.
        options = {name.lower(): value for name, value in options.items()}
        self.client = {name[6:]: value for name, value in options.items() if name.startswith("kafka.")}
        unknown = sorted(name for name in options if name not in _OPTIONS and not name.startswith("kafka."))
        if unknown:
            raise ValueError(
                f"kafka: unknown options {', '.join(unknown)}; known are {', '.join(sorted(_OPTIONS))}, kafka.*"
            )
        if "bootstrap.servers" not in self.client:
            raise ValueError("kafka: the option kafka.bootstrap.servers is missing")
        self.topics = [topic.strip() for topic in options.get("subscribe", "").split(",") if topic.strip()]
        if not self.topics:
            raise ValueError("kafka: the option subscribe is missing; it takes comma-separated topics")
        self.start = _positions("startingOffsets", options.get("startingoffsets", "earliest"), _EARLIEST)
        self.end = _positions("endingOffsets", options.get("endingoffsets", "latest"), _LATEST)
        self.fails_on_loss = options.get("failondataloss", "true").lower() != "false"

    def partitions(self) -> list[InputPartition]:
        """One span for each partition that has something to read, or one that is empty."""
        from confluent_kafka import Consumer, TopicPartition

        consumer = Consumer(self._client())
        try:
            spans = []
            for topic in self.topics:
                found = consumer.list_topics(topic, timeout=PATIENCE).topics[topic]
                if found.error is not None or not found.partitions:
                    raise RuntimeError(f"kafka: topic {topic}: {found.error or 'it has no partitions'}")
                for number in sorted(found.partitions):
                    low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=PATIENCE)
                    spans.append(self._span(topic, number, low, high))
        finally:
            consumer.close()
        return [span for span in spans if span.first < span.end] or spans[:1]

    def read(self, partition: Span) -> Iterator[pa.RecordBatch]:
        """The records of one span, as Arrow batches."""
        from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Consumer, KafkaError, TopicPartition

        if partition.first >= partition.end:
            return
        consumer = Consumer(self._client())
        consumer.assign([TopicPartition(partition.topic, partition.number, partition.first)])
        rows: list[tuple] = []
        reached = partition.first
        try:
            while reached < partition.end:
                messages = consumer.consume(min(CHUNK, partition.end - reached), timeout=PATIENCE)
                if not messages:
                    raise TimeoutError(
                        f"kafka: {partition.topic}/{partition.number}: nothing came within {PATIENCE:.0f} s at offset "
                        f"{reached} of {partition.end}"
                    )
                for message in messages:
                    if message.error():
                        if message.error().code() != KafkaError._PARTITION_EOF:
                            raise RuntimeError(f"kafka: {partition.topic}/{partition.number}: {message.error()}")
                        # The end of a log may be offsets without records, such as marks of transactions.
                        reached = max(reached, message.offset())
                        continue
                    reached = message.offset() + 1
                    if message.offset() < partition.end:
                        kind, millis = message.timestamp()
                        rows.append(
                            (
                                message.key(),
                                message.value(),
                                message.topic(),
                                message.partition(),
                                message.offset(),
                                millis * 1000,
                                int(kind == TIMESTAMP_LOG_APPEND_TIME),
                            )
                        )
                if len(rows) >= CHUNK:
                    yield _batch(rows)
                    rows = []
            if rows:
                yield _batch(rows)
        finally:
            consumer.close()

    def _client(self) -> dict[str, Any]:
        settings = {name: value for name, value in self.client.items() if name not in _DROPPED}
        # The client demands a group. It joins none, as partitions are assigned, and commits nothing.
        return {"group.id": "ecomctl-reader", **settings, "enable.auto.commit": False, "enable.partition.eof": True}

    def _span(self, topic: str, number: int, low: int, high: int) -> Span:
        first, end = (
            {_EARLIEST: low, _LATEST: high}.get(position, position)
            for position in (which.get((topic, number), which[None]) for which in (self.start, self.end))
        )
        if self.fails_on_loss and not (low <= first <= high and end <= high):
            raise RuntimeError(
                f"kafka: {topic}/{number} has the offsets {low} to {high}; {first} to {end} are asked for: records "
                "were removed by retention, or the topic was made anew. With failOnDataLoss=false what is there is read."
            )
        first = max(first, low) if first <= high else low
        return Span(topic, number, first, min(end, high))


def _positions(option: str, text: str, default: int) -> dict[tuple[str, int] | None, int]:
    """Positions by topic and partition; under `None` that of the partitions that are not named."""
    named = {"earliest": _EARLIEST, "latest": _LATEST}
    if text.lower() in named:
        return {None: named[text.lower()]}
    try:
        found = {(topic, int(it)): int(at) for topic, parts in json.loads(text).items() for it, at in parts.items()}
    except (ValueError, AttributeError) as error:
        raise ValueError(
            f'kafka: {option} is neither earliest, latest nor JSON like {{"orders": {{"0": 42}}}}: {text}'
        ) from error
    return {None: default, **found}


def _batch(rows: list[tuple]) -> pa.RecordBatch:
    columns = zip(*rows, strict=True)
    return pa.RecordBatch.from_arrays(
        [pa.array(column, it.type) for column, it in zip(columns, SCHEMA, strict=True)], schema=SCHEMA
    )
