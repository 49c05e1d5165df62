"""Computes the gold tables from silver, and writes those whose content has changed."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from pyspark.sql import SparkSession

from .. import guard, moment
from ..config import Parser
from ..contracts import load
from ..lake import Lake
from ..session import configure, session
from ..transforms import gold

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None, spark: SparkSession | None = None) -> None:
    """Entry point."""
    parser = Parser("gold", __doc__)
    parser.add_manifests()
    args = parser.read(argv)
    run(
        Lake(configure(spark) if spark else session(), args.lake_root),
        moment.now() if args.as_of is None else args.as_of,
        args.manifests,
    )


def run(lake: Lake, as_of: int, manifests: bool = False) -> None:
    """Brings all tables up to silver; `as_of` is the time that recency is counted from."""
    now = moment.column(as_of)
    customers, orders, details, payments = (
        lake.read(load("silver")[it]) for it in ("customers", "orders", "order_details", "payments")
    )
    tables = load("gold")
    for table in tables.values():
        lake.create(table)

    # The others start from the facts as they are written, not from the joins behind them.
    table = tables["order_facts"]
    before = lake.read(table)
    _log(table.name, lake.replace(table, gold.dated(gold.order_facts(orders, details, payments), before, now)))
    facts = lake.read(table)
    derived = {
        "daily_sales": gold.daily_sales(facts),
        "product_sales": gold.product_sales(facts, details),
        "payment_outcomes": gold.payment_outcomes(payments),
        "customer_segments": gold.customer_segments(facts, customers, now),
        "cohort_retention": gold.cohort_retention(facts),
    }
    for name, rows in derived.items():
        _log(name, lake.replace(tables[name], rows))
    guard.check(lake, tables.values())
    if manifests:
        # Also of tables that stayed as they were: a run before may have ended between the two.
        for table in tables.values():
            lake.list_files(table)


def _log(table: str, changed: bool) -> None:
    log.info("gold %s: %s", table, "written" if changed else "nothing new")
