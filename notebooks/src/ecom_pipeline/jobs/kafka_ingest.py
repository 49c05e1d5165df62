"""Keeps the Kafka records themselves in bronze, byte for byte: what producers sent, whatever ingest made of it.

Reads in batches from where the run before ended, which the lake knows; or, with --stream, as a stream that takes all
there is and stops, on engines that have it. Either way a record is stored once.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Callable, Sequence

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from .. import guard, moment
from ..config import Parser
from ..contracts import Table, load
from ..errors import PipelineError
from ..lake import Lake
from ..session import configure, session
from ..transforms.bronze import events, stamp, unseen

log = logging.getLogger(__name__)

TOPICS = ("customers", "orders", "order_details", "payments")

_PLACE = ("topic", "kafka_partition")

#: How Spark 3.5 and Spark 4 say that offsets are given for other partitions than there are.
_OTHER_PARTITIONS = ("must specify all TopicPartitions", "don't match what are assigned")


def main(argv: Sequence[str] | None = None, spark: SparkSession | None = None) -> None:
    """Entry point. The time that counts as now makes no difference here: offsets say what is new."""
    parser = Parser("kafka_ingest", __doc__)
    parser.add_argument("--bootstrap-servers", required=True, help="host:port[,host:port…]")
    parser.add_argument("--topics", default=",".join(TOPICS), help="comma-separated")
    parser.add_argument(
        "--kafka-option",
        action="append",
        default=[],
        type=_option,
        metavar="NAME=VALUE",
        help="option of Spark's Kafka source, such as kafka.security.protocol=SSL; may be given several times",
    )
    parser.add_argument("--stream", action="store_true", help="as a stream that takes all there is and stops")
    args = parser.read(argv)
    options = {"kafka.bootstrap.servers": args.bootstrap_servers, "subscribe": args.topics, **dict(args.kafka_option)}
    lake = Lake(configure(spark) if spark else session(), args.lake_root)
    lake.create(_events())
    lake.create(_offsets())
    (stream if args.stream else batch)(lake, options)
    guard.check(lake, [_events(), _offsets()])


def batch(lake: Lake, options: dict[str, str]) -> None:
    """Stores the records since the offsets that the lake knows, and then the new offsets.

    Killed between the two, the next run reads the same records again, and stores none twice.
    """
    last = _last(lake)
    # Offsets are written down for what came since they last were: that holds even when a clock was set back.
    begun = moment.now() if last is None else max(moment.now(), last + 1)
    known = offsets(lake, options["subscribe"].split(","))
    try:
        stored = store(lake, _records(lake, options, json.dumps(known) if known else "earliest"), begun)
    except Exception as error:
        # Spark's own source takes offsets for all partitions of a topic or for none. Where the lake does not know a
        # partition (it is new, or has been empty so far), all that Kafka has is read, and what is known left out.
        if not known or not any(words in str(error) for words in _OTHER_PARTITIONS):
            raise
        stored = store(lake, _records(lake, options, "earliest"), begun)
    if not stored:
        log.info("kafka: nothing new")
        return
    remember(lake, begun)
    log.info("kafka: %d records read", stored)


def stream(lake: Lake, options: dict[str, str]) -> None:
    """Stores all records that the stream has not seen; its checkpoint in the lake knows which."""
    records = lake.spark.readStream.format("kafka").option("startingOffsets", "earliest").options(**options).load()
    writer = records.writeStream.foreachBatch(each_batch(lake.root)).trigger(availableNow=True)
    try:
        query = writer.option("checkpointLocation", f"{lake.root}/checkpoints/kafka_ingest").start()
    except PySparkException as error:
        raise PipelineError(
            f"the stream could not be started: {error}; an engine without streams reads in batches: leave --stream out"
        ) from error
    query.awaitTermination()
    log.info("kafka: the stream has caught up")


def each_batch(root: str) -> Callable[[DataFrame, int], None]:
    """What the stream does with each batch of records.

    The batch's own session serves it: with Spark Connect this runs at the server, where no other session is.
    """

    def keep(records: DataFrame, _batch: int) -> None:
        store(Lake(records.sparkSession, root), records, moment.now())

    return keep


def store(lake: Lake, records: DataFrame, batch_at: int) -> int:
    """Appends the records that bronze does not have, in one commit; gives the number of records there were to read.

    A batch that is replayed is stored once, whoever replays it.
    """
    rows = events(records)
    there = rows.agg(F.count(F.lit(1)).alias("count"), F.min("kafka_offset").alias("low")).collect()[0]
    if there["count"] == 0:
        return 0
    table = _events()
    # The bound lets the engine skip files that only have earlier offsets.
    known = lake.read(table).where(F.col("kafka_offset") >= there["low"])
    lake.append(table, unseen(stamp(rows, batch_at), known, table.key))
    return there["count"]


def offsets(lake: Lake, topics: Sequence[str]) -> dict[str, dict[str, int]]:
    """The first offset that has not been read, by topic and partition: Spark's option `startingOffsets`."""
    found: dict[str, dict[str, int]] = {}
    for row in _next(lake).where(F.col("topic").isin(*topics)).orderBy(*_PLACE).collect():
        found.setdefault(row["topic"], {})[str(row["kafka_partition"])] = row["next_offset"]
    return found


def remember(lake: Lake, batch_at: int) -> None:
    """Writes down how far the events go that came since the offsets were last written down."""
    table, last = _offsets(), _last(lake)
    rows = lake.read(_events())
    if last is not None:
        day = F.lit(moment.day(last).isoformat()).cast("date")
        rows = rows.where((F.col("batch_date") >= day) & (F.col("batch_at") > moment.column(last)))
    reached = rows.groupBy(*_PLACE).agg((F.max("kafka_offset") + 1).alias("next_offset"))
    lake.append(table, reached.withColumn("batch_at", moment.column(batch_at)))


def _last(lake: Lake) -> int | None:
    """When offsets were last written down."""
    return lake.read(_offsets()).agg(F.unix_micros(F.max("batch_at")).alias("last")).collect()[0]["last"]


def _records(lake: Lake, options: dict[str, str], start: str) -> DataFrame:
    """Records from some offsets on, without those that the lake knows to be read."""
    records = lake.spark.read.format("kafka").options(**options).option("startingOffsets", start).load()
    known = _next(lake).select("topic", F.col("kafka_partition").alias("partition"), "next_offset")
    return (
        records.join(known, ["topic", "partition"], "left")
        .where("next_offset IS NULL OR `offset` >= next_offset")
        .drop("next_offset")
    )


def _next(lake: Lake) -> DataFrame:
    return lake.read(_offsets()).groupBy(*_PLACE).agg(F.max("next_offset").alias("next_offset"))


def _events() -> Table:
    return load("bronze")["events"]


def _offsets() -> Table:
    return load("bronze")["kafka_offsets"]


def _option(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value
