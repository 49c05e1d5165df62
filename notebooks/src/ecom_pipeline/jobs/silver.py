"""Merges what is new in bronze into silver: the newest version of each row."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from .. import guard, moment
from ..config import Parser
from ..contracts import Table, load
from ..lake import Lake
from ..session import configure, session
from ..transforms.silver import NEWER, monthly, newest, repeated

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None, spark: SparkSession | None = None) -> None:
    """Entry point. The time that counts as now makes no difference here: silver takes what bronze holds."""
    parser = Parser("silver", __doc__)
    parser.add_argument("--full", action="store_true", help="look at all batches of bronze, not only at new ones")
    args = parser.read(argv)
    run(Lake(configure(spark) if spark else session(), args.lake_root), args.full)


def run(lake: Lake, full: bool) -> None:
    """Brings all tables up to bronze."""
    tables = list(load("silver").values())
    for table in tables:
        lake.create(table)
        advance(lake, table, full)
    guard.check(lake, tables)


def advance(lake: Lake, table: Table, full: bool) -> None:
    """Merges the batches that one table has not seen, in one commit.

    The last batch that it has seen is the greatest among its rows: a merge takes all batches up to some batch, and of
    the last one at least one row wins, as each of its rows is a version that no batch before had.
    """
    rows = lake.read(load("bronze")[table.name])
    if not full:
        seen = lake.read(table).agg(F.unix_micros(F.max("batch_at")).alias("seen")).collect()[0]["seen"]
        if seen is not None:
            # The date lets the engine skip the partitions before.
            day = F.lit(moment.day(seen).isoformat()).cast("date")
            rows = rows.where((F.col("batch_date") >= day) & (F.col("batch_at") > moment.column(seen)))
    if rows.isEmpty():
        log.info("silver %s: nothing new", table.name)
        return
    # Most often there is one batch, which has each row once. To see that is cheap; to sort all rows is not.
    if not repeated(rows, table.key).isEmpty():
        rows = newest(rows, table.key)
    lake.merge(table, monthly(rows, table.name), NEWER)
    log.info("silver %s: merged", table.name)
