"""Brings what is new in the database to bronze."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from .. import guard, moment
from ..config import Parser, password
from ..contracts import Table, load
from ..lake import Lake, conform
from ..session import configure, session
from ..sources import Database, Slice
from ..transforms.bronze import stamp, unseen

log = logging.getLogger(__name__)

#: The tables of the database, parents first.
TABLES = ("customers", "orders", "order_details", "payments")

#: Minutes before the newest row that are read again. The database sets `ingested_at` when it writes a row. The row is
#: seen only once its transaction commits, and may then lie before rows that a run has read already. No transaction of
#: ingest outlives its invocation, which lasts 15 minutes at most; the rest is for clocks.
OVERLAP_MINUTES = 20

_MINUTE = 60_000_000


def main(argv: Sequence[str] | None = None, spark: SparkSession | None = None) -> None:
    """Entry point."""
    parser = Parser("bronze", __doc__)
    parser.add_jdbc()
    parser.add_argument("--full", action="store_true", help="look at all rows of the database, not only at new ones")
    parser.add_argument(
        "--overlap-minutes",
        type=int,
        default=OVERLAP_MINUTES,
        help="how long before the newest row known a transaction may have begun that is committed only now",
    )
    args = parser.read(argv)
    secret = password(args.jdbc_password_env)
    spark = configure(spark) if spark else session()
    database = Database(spark, args.jdbc_url, args.jdbc_user, secret, args.jdbc_partitions)
    run(Lake(spark, args.lake_root), database, args.as_of, None if args.full else args.overlap_minutes * _MINUTE)


def run(lake: Lake, database: Database, as_of: int | None, overlap: int | None) -> None:
    """Brings all tables up to one point in time; `overlap` in microseconds, none to look at all rows."""
    begun = moment.now()
    tables = [load("bronze")[name] for name in TABLES]
    until = database.horizon(as_of)
    for table in tables:
        lake.create(table)
        ingest(lake, database, table, begun, until, overlap)
    guard.check(lake, tables)


def ingest(lake: Lake, database: Database, table: Table, begun: int, until: int, overlap: int | None) -> None:
    """Appends the rows of one table that bronze has not seen yet, as one batch and in one commit.

    Running it again, or after being killed, adds nothing twice: a row that bronze has in this version is left out.
    """
    newest, last_batch = watermark(lake, table)
    # Batches of a table are in order even when a clock is not: silver goes by that.
    batch_at = begun if last_batch is None else max(begun, last_batch + 1)
    after = None if newest is None or overlap is None else newest - overlap
    part = Slice(after, until)
    rows = database.count(table.name, part)
    if rows == 0:
        log.info("bronze %s: nothing new", table.name)
        return
    found = conform(stamp(database.read(table, part, rows), batch_at), table)
    if newest is not None:
        known = lake.read(table)
        if after is not None:
            known = known.where(F.col("ingested_at") > moment.column(after))
        found = unseen(found, known, table.key)
        # What lies in the overlap alone has most likely been seen; what is later has not.
        if database.count(table.name, Slice(newest, until)) == 0 and found.isEmpty():
            log.info("bronze %s: nothing new (%d rows looked at again)", table.name, rows)
            return
    lake.append(table, found)
    since = "the beginning" if after is None else moment.text(after)
    log.info("bronze %s: took the new ones of %d rows since %s", table.name, rows, since)


def watermark(lake: Lake, table: Table) -> tuple[int | None, int | None]:
    """The newest `ingested_at` among the batches of the latest day, and the last batch; none while there is no row.

    An earlier day may hold a newer row, if a run was told to read up to an earlier time. A watermark that is too low
    costs time only.
    """
    bronze = lake.read(table)
    day = bronze.agg(F.max("batch_date").cast("string").alias("day")).collect()[0]["day"]
    if day is None:
        return None, None
    row = (
        bronze.where(F.col("batch_date") == F.lit(day).cast("date"))
        .agg(F.unix_micros(F.max("ingested_at")).alias("newest"), F.unix_micros(F.max("batch_at")).alias("last"))
        .collect()[0]
    )
    return row["newest"], row["last"]
