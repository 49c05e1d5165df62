"""The whole medallion on a real PostgreSQL, against SQL in that PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import oracle
import psycopg
import pytest
import seed
from postgres import job_arguments
from pyspark.sql import SparkSession
from rows import collected, difference, read, sorted_rows, write

from ecom_pipeline.contracts import Table, load
from ecom_pipeline.jobs import bronze, gold, silver
from ecom_pipeline.lake import Lake

pytestmark = pytest.mark.postgres

#: Later than all rows; the bound of a slice is the earlier one of it and the database's clock.
AS_OF = datetime(2100, 3, 1, 12, tzinfo=UTC)
#: What tells of runs and of the database's clock, not of events.
OF_RUNS = {"ingested_at", "batch_at", "gold_at"}
#: Columns that silver adds to those of the database.
ADDED = {"batch_at", "order_month", "payment_month"}


class Pipeline:
    """One lake over one database."""

    def __init__(self, spark: SparkSession, root: Path, database: str) -> None:
        self.spark, self.root, self.database = spark, str(root), database
        self.lake = Lake(spark, self.root)

    def run(self, *, as_of: datetime = AS_OF) -> None:
        """Runs the three jobs, as their task does."""
        common = ["--lake-root", self.root, "--as-of", as_of.isoformat()]
        bronze.main([*common, *job_arguments(self.database)], self.spark)
        silver.main(common, self.spark)
        gold.main(common, self.spark)

    def rows(self, table: Table, *, without: set[str] = OF_RUNS) -> list[list]:
        """The content of a table."""
        return collected(self.lake.read(table), [it for it in table.names if it not in without])

    def versions(self) -> dict[str, int]:
        """How many commits each table has."""
        tables = [it for layer in ("bronze", "silver", "gold") for it in load(layer).values()]
        return {it.path: sum(name.endswith(".json") for name in self.lake.log(it)) for it in tables}

    def assert_true(self, as_of: datetime = AS_OF) -> None:
        """Silver equals the core tables, and gold equals the oracle, row by row."""
        for table in load("silver").values():
            columns = [it for it in table.names if it not in ADDED]
            want = sorted_rows(oracle.core(self.database, table.name, tuple(columns)), columns)
            assert difference(collected(self.lake.read(table), columns), want) is None, table.path
        for table in load("gold").values():
            columns = [it for it in table.names if it not in OF_RUNS]
            want = sorted_rows(oracle.gold(self.database, table.name, as_of), columns)
            assert want, f"{table.path}: the oracle has no rows, so nothing is proved"
            assert difference(self.rows(table), want) is None, table.path


@pytest.fixture
def pipeline(spark: SparkSession, tmp_path: Path, database: str) -> Pipeline:
    return Pipeline(spark, tmp_path / "lake", database)


def change(connection: psycopg.Connection) -> None:
    """What happens later: events of old orders that come late, newer events of known rows, lines that change a tier."""
    # New customers, and orders long past.
    seed.copy(connection, seed.make(40, seed=8, first=10_000))
    # An order is placed in another month, one is cancelled; each by a newer event.
    connection.execute(
        "UPDATE orders SET ordered_at = ordered_at - interval '45 days', updated_at = updated_at + interval '1 hour', "
        "event_id = gen_random_uuid() WHERE order_id IN ('o00000003', 'o00000007')"
    )
    connection.execute(
        "UPDATE orders SET status = 'cancelled', updated_at = updated_at + interval '1 hour' "
        "WHERE order_id = 'o00000011'"
    )
    # A newer event with the same time and a greater id.
    connection.execute(
        "UPDATE customers SET name = 'Renamed', event_id = 'ffffffff-ffff-4fff-bfff-ffffffffffff' "
        "WHERE customer_id = 'c0000002'"
    )
    # Payments are refunded, which takes sales back; one moves to another order.
    connection.execute(
        "UPDATE payments SET status = 'refunded', outcome = 'returned', updated_at = updated_at + interval '2 hours' "
        "WHERE payment_id LIKE 'o0000002_-0'"
    )
    connection.execute(
        "UPDATE payments SET order_id = 'o00000031', updated_at = updated_at + interval '2 hours' "
        "WHERE payment_id = 'o00000030-0'"
    )
    # A line changes; the tier of its order with it, without an event of the order.
    connection.execute(
        "UPDATE order_details SET quantity = quantity + 50, unit_price = 99.99, product_name = 'New name', "
        "updated_at = updated_at + interval '3 hours' WHERE order_id IN ('o00000040', 'o00000041', 'o00000042')"
    )
    seed.tiers(connection, ["o00000040", "o00000041", "o00000042"])


def begin(connection: psycopg.Connection) -> None:
    """Opens a transaction, within which `seed.copy` commits nothing."""
    connection.execute("SELECT 1")


def test_gold_equals_the_oracle_and_stays_true(
    pipeline: Pipeline, tmp_path: Path, engine: str, request: pytest.FixtureRequest
) -> None:
    with psycopg.connect(pipeline.database, autocommit=True) as connection:
        seed.copy(connection, seed.make(600, seed=7).shuffled(1))
        pipeline.run()
        pipeline.assert_true()

        # A second run changes nothing: no table has a new version.
        before = pipeline.versions()
        pipeline.run()
        assert pipeline.versions() == before

        with connection.transaction():
            change(connection)
        facts = load("gold")["order_facts"]
        known = pipeline.rows(facts, without=set())
        later = AS_OF.replace(day=9)
        pipeline.run(as_of=later)
        pipeline.assert_true(as_of=later)

        # Only what has changed is dated anew.
        untouched = [row for row in pipeline.rows(facts, without=set()) if row in known]
        assert 500 < len(untouched) < 600
        changed = [row for row in pipeline.rows(facts, without=set()) if row not in known]
        assert {row[-1] for row in changed} == {later.isoformat()}

    # A lake made from nothing has the same content.
    rebuilt = Pipeline(pipeline.spark, tmp_path / "rebuilt", pipeline.database)
    rebuilt.run(as_of=later)
    tables = [it for layer in ("silver", "gold") for it in load(layer).values()]
    for table in tables:
        assert difference(pipeline.rows(table), rebuilt.rows(table)) is None, table.path

    out, other = (request.config.getoption(it) for it in ("--tables-out", "--tables-equal"))
    for table in tables:
        without = {"ingested_at", "batch_at", "event_id"}
        if out:
            write(pipeline.rows(table, without=without), out / f"{table.path}.jsonl")
        if other:
            assert difference(pipeline.rows(table, without=without), read(other / f"{table.path}.jsonl")) is None, (
                f"{table.path}: {engine} and the other engine disagree"
            )


def test_a_transaction_that_commits_late_is_not_lost(pipeline: Pipeline) -> None:
    with (
        psycopg.connect(pipeline.database) as slow,
        psycopg.connect(pipeline.database, autocommit=True) as quick,
    ):
        seed.copy(quick, seed.make(20, seed=1))
        # It writes first, and commits last: its rows are older by `ingested_at` than what the run between has seen.
        begin(slow)
        seed.copy(slow, seed.make(10, seed=2, first=5000))
        seed.copy(quick, seed.make(10, seed=3, first=7000))
        pipeline.run()
        assert pipeline.lake.read(load("silver")["orders"]).count() == 30
        slow.commit()
        oldest = slow.execute("SELECT max(ingested_at) FROM orders WHERE order_id LIKE 'o00005%'").fetchone()
        newest = slow.execute("SELECT min(ingested_at) FROM orders WHERE order_id LIKE 'o00007%'").fetchone()
        assert oldest < newest
    pipeline.run()
    pipeline.assert_true()


def test_without_an_overlap_it_would_be(pipeline: Pipeline) -> None:
    with (
        psycopg.connect(pipeline.database) as slow,
        psycopg.connect(pipeline.database, autocommit=True) as quick,
    ):
        begin(slow)
        seed.copy(slow, seed.make(10, seed=2, first=5000))
        seed.copy(quick, seed.make(10, seed=3, first=7000))
        arguments = ["--lake-root", pipeline.root, "--overlap-minutes", "0", *job_arguments(pipeline.database)]
        bronze.main(arguments, pipeline.spark)
        slow.commit()
    bronze.main(arguments, pipeline.spark)
    assert pipeline.lake.read(load("bronze")["orders"]).count() == 10
    # What was missed for whatever reason is found by looking at all rows.
    bronze.main([*arguments, "--full"], pipeline.spark)
    assert pipeline.lake.read(load("bronze")["orders"]).count() == 20


def test_as_of_bounds_the_slice(pipeline: Pipeline) -> None:
    with psycopg.connect(pipeline.database, autocommit=True) as connection:
        seed.copy(connection, seed.make(10, seed=1))
        (between,) = connection.execute("SELECT clock_timestamp()").fetchone()
        seed.copy(connection, seed.make(10, seed=2, first=5000))
    pipeline.run(as_of=between)
    assert pipeline.lake.read(load("silver")["orders"]).count() == 10
    pipeline.run()
    pipeline.assert_true()


def test_a_large_read_is_shared_and_loses_nothing(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ecom_pipeline.sources._LARGE", 10)
    with psycopg.connect(pipeline.database, autocommit=True) as connection:
        seed.copy(connection, seed.make(200, seed=5))
    pipeline.run()
    pipeline.assert_true()


def test_an_empty_database_makes_empty_tables(pipeline: Pipeline) -> None:
    pipeline.run()
    for layer in ("silver", "gold"):
        for table in load(layer).values():
            assert pipeline.rows(table) == []


def test_silver_that_was_killed_catches_up(pipeline: Pipeline) -> None:
    with psycopg.connect(pipeline.database, autocommit=True) as connection:
        seed.copy(connection, seed.make(50, seed=1))
        common = ["--lake-root", pipeline.root]
        # Two batches reach bronze before silver looks.
        bronze.main([*common, *job_arguments(pipeline.database)], pipeline.spark)
        with connection.transaction():
            change(connection)
        bronze.main([*common, *job_arguments(pipeline.database)], pipeline.spark)
        pipeline.lake.create(load("silver")["customers"])
        silver.advance(pipeline.lake, load("silver")["customers"], full=False)
        # Killed here, after one of four tables.
    pipeline.run()
    pipeline.assert_true()


def test_batches_are_in_order_even_when_a_clock_is_not(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    with psycopg.connect(pipeline.database, autocommit=True) as connection:
        seed.copy(connection, seed.make(10, seed=1))
        pipeline.run()
        # The next driver's clock is far behind.
        monkeypatch.setattr("ecom_pipeline.moment.now", lambda: 1_000_000_000_000_000)
        seed.copy(connection, seed.make(10, seed=2, first=5000))
    pipeline.run()
    pipeline.assert_true()
