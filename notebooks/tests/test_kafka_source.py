"""The Kafka source for engines that have none, against librdkafka's mock broker."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import engines
import pytest
from kafka_broker import SENT_AT, Broker

source = engines.kafka_source()


def read(kafka: Broker, **options: str) -> list[dict]:
    """All records that a reader gives, in the order of partitions and offsets."""
    reader = source.KafkaReader({"kafka.bootstrap.servers": kafka.servers, **options})
    batches = [batch for span in reader.partitions() for batch in reader.read(span)]
    assert all(batch.schema == source.SCHEMA for batch in batches)
    return [row for batch in batches for row in batch.to_pylist()]


def test_records_come_as_they_were_sent(kafka: Broker) -> None:
    kafka.send("bytes", (b"k", b"\xff\x00"), (None, None), (b"", b"last"), partition=1)
    got = read(kafka, subscribe="bytes")
    assert [(it["key"], it["value"], it["topic"], it["partition"], it["offset"]) for it in got] == [
        (b"k", b"\xff\x00", "bytes", 1, 0),
        (None, None, "bytes", 1, 1),
        (b"", b"last", "bytes", 1, 2),
    ]
    assert {it["timestamp"] for it in got} == {datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=SENT_AT)}
    assert {it["timestampType"] for it in got} == {0}


def test_offsets_bound_what_is_read(kafka: Broker) -> None:
    for partition in (0, 1):
        kafka.send("bounds", *[(b"k", str(number).encode()) for number in range(5)], partition=partition)

    def values(start: object, end: object = "latest") -> list[tuple[int, int]]:
        start, end = (it if isinstance(it, str) else json.dumps({"bounds": it}) for it in (start, end))
        return [
            (it["partition"], it["offset"])
            for it in read(kafka, subscribe="bounds", startingOffsets=start, endingOffsets=end)
        ]

    assert len(values("earliest")) == 10
    assert values("latest") == []
    # A partition that is not named is read from the beginning.
    assert values({"0": 3}) == [(0, 3), (0, 4), *[(1, offset) for offset in range(5)]]
    assert values({"0": -1, "1": -2}) == [(1, offset) for offset in range(5)]
    assert values({"0": 5, "1": 4}) == [(1, 4)]
    assert values("earliest", {"0": 2, "1": 0}) == [(0, 0), (0, 1)]


def test_many_records_come_in_several_batches(kafka: Broker) -> None:
    kafka.send("many", *[(None, str(number).encode()) for number in range(25_000)], partition=2)
    got = read(kafka, subscribe="many")
    assert [it["offset"] for it in got] == list(range(25_000))
    # A producer that tries again may change the order in which it sends.
    assert sorted(int(it["value"]) for it in got) == list(range(25_000))


def test_several_topics_are_read(kafka: Broker) -> None:
    kafka.send("one", (None, b"1"))
    kafka.send("two", (None, b"2"))
    assert [it["topic"] for it in read(kafka, subscribe="one, two")] == ["one", "two"]


def test_offsets_that_are_gone_are_told(kafka: Broker) -> None:
    kafka.send("short", (None, b"1"))
    beyond = json.dumps({"short": {"0": 7}})
    with pytest.raises(RuntimeError, match="short/0 has the offsets 0 to 1; 7 to 1 are asked for"):
        read(kafka, subscribe="short", startingOffsets=beyond)
    assert [it["offset"] for it in read(kafka, subscribe="short", startingOffsets=beyond, failOnDataLoss="false")] == [
        0
    ]


@pytest.mark.parametrize(
    ("options", "want"),
    [
        ({}, "subscribe is missing"),
        ({"subscribe": " , "}, "subscribe is missing"),
        ({"subscribe": "t", "startingoffsets": "soon"}, "startingOffsets is neither earliest, latest nor JSON"),
        ({"subscribe": "t", "startingOffsets": '{"t": 3}'}, "startingOffsets is neither earliest, latest nor JSON"),
        ({"subscribe": "t", "subscribePattern": "t.*"}, "unknown options subscribepattern"),
    ],
)
def test_a_wrong_option_is_told(options: dict[str, str], want: str) -> None:
    with pytest.raises(ValueError, match=want):
        source.KafkaReader({"kafka.bootstrap.servers": "127.0.0.1:1", **options})


def test_a_missing_server_is_told() -> None:
    with pytest.raises(ValueError, match=r"kafka\.bootstrap\.servers is missing"):
        source.KafkaReader({"subscribe": "t"})
