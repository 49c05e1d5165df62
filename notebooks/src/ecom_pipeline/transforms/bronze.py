"""From rows of a source to rows of bronze."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from .. import moment


def stamp(rows: DataFrame, batch_at: int) -> DataFrame:
    """Rows marked with their batch."""
    return rows.withColumns(
        {"batch_at": moment.column(batch_at), "batch_date": F.lit(moment.day(batch_at).isoformat()).cast("date")}
    )


def unseen(rows: DataFrame, known: DataFrame, key: tuple[str, ...]) -> DataFrame:
    """Rows whose key is not among the known ones."""
    return rows.join(known.select(*key), list(key), "left_anti")


def events(records: DataFrame) -> DataFrame:
    """Kafka records, as Spark's Kafka source gives them, in the columns of `bronze.events`."""
    return records.select(
        "topic",
        F.col("partition").alias("kafka_partition"),
        F.col("offset").alias("kafka_offset"),
        "key",
        "value",
        F.col("timestamp").alias("kafka_timestamp"),
    )
