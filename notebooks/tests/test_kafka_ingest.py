"""Kafka records to bronze: each once, whatever is killed or replayed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from kafka_broker import Broker
from pyspark.sql import DataFrame, SparkSession

from ecom_pipeline import moment
from ecom_pipeline.contracts import load
from ecom_pipeline.errors import PipelineError
from ecom_pipeline.jobs import kafka_ingest
from ecom_pipeline.lake import Lake

EVENTS, OFFSETS = load("bronze")["events"], load("bronze")["kafka_offsets"]


@pytest.fixture
def tables(lake: Lake) -> Lake:
    """A lake with the tables of the job."""
    lake.create(EVENTS)
    lake.create(OFFSETS)
    return lake


def stored(lake: Lake) -> list[tuple]:
    """Place and value of all events."""
    rows = lake.read(EVENTS).select("topic", "kafka_partition", "kafka_offset", "value").collect()
    return sorted((it[0], it[1], it[2], it[3] and bytes(it[3])) for it in rows)


def records(spark: SparkSession, *rows: tuple) -> DataFrame:
    """Records (topic, partition, offset, value) as Spark's Kafka source gives them."""
    at = datetime(2026, 3, 1, tzinfo=UTC).replace(tzinfo=None)
    return spark.createDataFrame(
        [(None, value, topic, partition, offset, at, 0) for topic, partition, offset, value in rows],
        "key binary, value binary, topic string, partition int, offset bigint, timestamp timestamp, timestampType int",
    )


def test_a_batch_of_the_stream_that_is_replayed_is_stored_once(tables: Lake) -> None:
    keep = kafka_ingest.each_batch(tables.root)
    first = records(tables.spark, ("orders", 0, 0, b"a"), ("orders", 0, 1, None), ("orders", 1, 0, b"\xff"))
    keep(first, 0)
    keep(first, 0)
    # The checkpoint was lost: numbers start anew, and batches are cut elsewhere.
    keep(records(tables.spark, ("orders", 0, 1, None), ("orders", 0, 2, b"c"), ("payments", 0, 0, b"d")), 0)
    want = [("orders", 0, 0, b"a"), ("orders", 0, 1, None), ("orders", 0, 2, b"c"), ("orders", 1, 0, b"\xff")]
    assert stored(tables) == [*want, ("payments", 0, 0, b"d")]
    commits = len(tables.log(EVENTS))
    keep(records(tables.spark, ("orders", 0, 0, b"a")).where("false"), 1)
    assert len(tables.log(EVENTS)) == commits


def test_offsets_are_remembered(tables: Lake) -> None:
    begun = moment.now()
    assert kafka_ingest.offsets(tables, ["orders"]) == {}
    kafka_ingest.store(
        tables, records(tables.spark, ("orders", 0, 6, b"a"), ("orders", 0, 7, b"b"), ("other", 3, 0, b"c")), begun
    )
    kafka_ingest.remember(tables, begun)
    assert kafka_ingest.offsets(tables, ["orders", "more"]) == {"orders": {"0": 8}}
    # Killed between the events and their offsets: the next time makes up for it.
    kafka_ingest.store(tables, records(tables.spark, ("orders", 0, 8, b"d")), begun + 1)
    kafka_ingest.store(tables, records(tables.spark, ("orders", 1, 0, b"e")), begun + 2)
    kafka_ingest.remember(tables, begun + 2)
    assert kafka_ingest.offsets(tables, ["orders", "other"]) == {"orders": {"0": 9, "1": 1}, "other": {"3": 1}}


def ingest(lake: Lake, kafka: Broker, topic: str, *more: str) -> None:
    arguments = ["--lake-root", lake.root, "--bootstrap-servers", kafka.servers, "--topics", topic, *more]
    kafka_ingest.main(arguments, lake.spark)


def test_each_run_takes_what_is_new(lake: Lake, kafka: Broker) -> None:
    kafka.send("runs", (b"k", b"0"), (b"k", b"1"))
    ingest(lake, kafka, "runs")
    assert stored(lake) == [("runs", 0, 0, b"0"), ("runs", 0, 1, b"1")]
    commits = (len(lake.log(EVENTS)), len(lake.log(OFFSETS)))
    ingest(lake, kafka, "runs")
    assert (len(lake.log(EVENTS)), len(lake.log(OFFSETS))) == commits
    # More of a partition that is known, and the first of one that is not.
    kafka.send("runs", (b"k", b"2"))
    kafka.send("runs", (None, b"3"), partition=3)
    ingest(lake, kafka, "runs")
    assert stored(lake)[2:] == [("runs", 0, 2, b"2"), ("runs", 3, 0, b"3")]
    assert kafka_ingest.offsets(lake, ["runs"]) == {"runs": {"0": 3, "3": 1}}


def test_offsets_go_on_after_a_clock_was_set_back(lake: Lake, kafka: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    kafka.send("clock", (b"k", b"0"))
    ingest(lake, kafka, "clock")
    earlier = moment.now() - 3 * 86_400_000_000
    monkeypatch.setattr(moment, "now", lambda: earlier)
    for number in range(1, 3):
        kafka.send("clock", (b"k", str(number).encode()))
        ingest(lake, kafka, "clock")
        assert kafka_ingest.offsets(lake, ["clock"]) == {"clock": {"0": number + 1}}
    assert [it[3] for it in stored(lake)] == [b"0", b"1", b"2"]


def test_a_run_that_was_killed_before_its_offsets_is_made_up_for(
    lake: Lake, kafka: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    kafka.send("killed", (b"k", b"0"))

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(kafka_ingest, "remember", die)
        with pytest.raises(KeyboardInterrupt):
            ingest(lake, kafka, "killed")
    kafka.send("killed", (b"k", b"1"))
    ingest(lake, kafka, "killed")
    assert stored(lake) == [("killed", 0, 0, b"0"), ("killed", 0, 1, b"1")]
    assert kafka_ingest.offsets(lake, ["killed"]) == {"killed": {"0": 2}}


def test_as_a_stream_it_takes_all_and_stops(lake: Lake, kafka: Broker, engine: str) -> None:
    kafka.send("stream", (b"k", b"0"), (b"k", b"1"))
    if engine == "sail":
        # It has no streams. That must be an error, not an empty table.
        with pytest.raises(PipelineError, match=r"the stream could not be started: .* leave --stream out"):
            ingest(lake, kafka, "stream", "--stream")
        return
    ingest(lake, kafka, "stream", "--stream")
    kafka.send("stream", (b"k", b"2"))
    ingest(lake, kafka, "stream", "--stream")
    assert stored(lake) == [("stream", 0, number, str(number).encode()) for number in range(3)]
    assert Path(lake.root, "checkpoints/kafka_ingest").is_dir()


def test_a_wrong_option_is_told(lake: Lake, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        kafka_ingest.main(["--lake-root", lake.root, "--bootstrap-servers", "x", "--kafka-option", "x"], lake.spark)
    assert "'x' is not NAME=VALUE" in capsys.readouterr().err
