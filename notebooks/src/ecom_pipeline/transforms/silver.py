"""From versions of rows in bronze to the newest of each in silver."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

#: What makes one version of a row newer than another: the winning event; of the same event, what the database wrote
#: later (the tier of an order changes with its lines, without an event of the order).
NEWER = ("updated_at", "event_id", "ingested_at")

#: The month by which a table is partitioned, and the time that it is taken from.
MONTHS = {"orders": ("order_month", "ordered_at"), "payments": ("payment_month", "processed_at")}


def newest(rows: DataFrame, key: tuple[str, ...]) -> DataFrame:
    """Of the rows with the same key, the newest."""
    order = Window.partitionBy(*key).orderBy(*[F.col(it).desc() for it in NEWER])
    return rows.withColumn("place", F.row_number().over(order)).where("place = 1").drop("place")


def repeated(rows: DataFrame, key: tuple[str, ...]) -> DataFrame:
    """The keys that several rows have."""
    return rows.groupBy(*key).agg(F.count(F.lit(1)).alias("rows")).where("rows > 1")


def monthly(rows: DataFrame, table: str) -> DataFrame:
    """Rows with the month that partitions their table in silver, if any does.

    Silver is partitioned by month, and only where rows have a time of their own: by day, a small shop's lake would be
    thousands of files of a few rows each. Customers have no time that queries ask for, and lines are reached by order.
    """
    if table not in MONTHS:
        return rows
    month, time = MONTHS[table]
    return rows.withColumn(month, F.trunc(F.to_date(time), "month"))
