"""Compacts the small files of all tables, and removes files that no version within the retention needs."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from .. import guard
from ..config import Parser
from ..contracts import LAYERS, Table, load
from ..lake import Lake, delta_rs
from ..session import configure, session

log = logging.getLogger(__name__)

#: Hours that a file stays after the last version that needed it, for readers who began with that version: a week, which
#: is Delta's own default and the least that it takes without being forced.
RETENTION_HOURS = 168


def main(argv: Sequence[str] | None = None, spark: SparkSession | None = None) -> None:
    """Entry point. The time that counts as now makes no difference here: retention goes by the files' own times."""
    parser = Parser("maintenance", __doc__)
    parser.add_argument("--retention-hours", type=int, default=RETENTION_HOURS, help="at least 168")
    parser.add_manifests()
    args = parser.read(argv)
    if args.retention_hours < RETENTION_HOURS:
        parser.error(f"--retention-hours {args.retention_hours}: files are kept for {RETENTION_HOURS} hours at least")
    run(Lake(configure(spark) if spark else session(), args.lake_root), args.retention_hours, args.manifests)


def run(lake: Lake, retention_hours: int, manifests: bool = False) -> None:
    """Maintains the tables that there are. Manifests name the files as they were before, so they are written anew."""
    tables = [table for layer in LAYERS for table in load(layer).values() if lake.log(table)]
    for table in tables:
        maintain(lake, table, retention_hours)
        if manifests and table.layer == "gold":
            lake.list_files(table)
        log.info("maintenance %s: done", table.path)
    guard.check(lake, tables)


def maintain(lake: Lake, table: Table, retention_hours: int) -> None:
    """Compacts and vacuums one table: by SQL, or by delta-rs where the engine does not know the statements."""
    at = lake.location(table)
    try:
        lake.spark.sql(f"OPTIMIZE delta.`{at}`").collect()
        lake.spark.sql(f"VACUUM delta.`{at}` RETAIN {retention_hours} HOURS").collect()
    except PySparkException as error:
        if "found OPTIMIZE at" not in str(error):
            raise
        _by_delta_rs(at, retention_hours)


def _by_delta_rs(at: str, retention_hours: int) -> None:
    table = delta_rs(at)
    table.optimize.compact()
    table.vacuum(retention_hours=retention_hours, dry_run=False)
