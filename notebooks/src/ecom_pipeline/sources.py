"""The database, read through Spark's JDBC source."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame, DataFrameReader, Row, SparkSession

from . import moment
from .contracts import Table

#: Columns that the lake adds to those of the database.
ADDED = ("batch_at", "batch_date")

#: From this number of rows on, a read is shared among connections.
_LARGE = 50_000


@dataclass(frozen=True)
class Slice:
    """Rows of a table with `after < ingested_at <= until`; no lower bound where `after` is none."""

    after: int | None
    until: int

    @property
    def condition(self) -> str:
        """The slice in PostgreSQL's words."""
        below = f"ingested_at <= TIMESTAMPTZ '{moment.text(self.until)}'"
        if self.after is None:
            return below
        return f"ingested_at > TIMESTAMPTZ '{moment.text(self.after)}' AND {below}"


@dataclass(frozen=True)
class Database:
    """A PostgreSQL database with the core tables.

    Bounds are written into the query itself, where the database's index serves them: not every engine pushes a filter
    on a timestamp down.
    """

    spark: SparkSession
    url: str
    user: str
    password: str
    partitions: int

    def horizon(self, as_of: int | None) -> int:
        """The upper bound of what is read now: the database's clock, or `as_of` if that is earlier.

        A bound taken before the reading starts keeps parts that are read at different times from disagreeing: whatever
        is committed meanwhile is newer, or was in flight and lies within the overlap of the next run.
        """
        now = "clock_timestamp()"
        bound = now if as_of is None else f"least({now}, TIMESTAMPTZ '{moment.text(as_of)}')"
        return self._first(f"SELECT (extract(epoch FROM {bound}) * 1000000)::bigint AS horizon")["horizon"]

    def count(self, table: str, part: Slice) -> int:
        """How many rows a slice has."""
        return self._first(f"SELECT count(*) AS rows FROM {table} WHERE {part.condition}")["rows"]

    def read(self, table: Table, part: Slice, rows: int) -> DataFrame:
        """The rows of a slice, about `rows` of them, with the types that the driver gives them."""
        # A UUID has no type in Spark. The names are the contract's own, so they need no quotes.
        columns = ", ".join(f"{it.name}::text AS {it.name}" if it.type == "string" else it.name for it in _core(table))
        if rows < _LARGE or self.partitions < 2:
            return (
                self._reader()
                .option("dbtable", f"(SELECT {columns} FROM {table.name} WHERE {part.condition}) AS part")
                .load()
            )
        # Ids are text, and engines split a read by whole numbers only: by a hash of the id, then.
        share = f"abs(hashtext({table.key[0]}) % {self.partitions})"
        query = f"(SELECT {columns}, {share} AS share FROM {table.name} WHERE {part.condition}) AS part"
        return (
            self._reader()
            .option("dbtable", query)
            .option("partitionColumn", "share")
            .option("lowerBound", 0)
            .option("upperBound", self.partitions)
            .option("numPartitions", self.partitions)
            .load()
            .drop("share")
        )

    def _first(self, query: str) -> Row:
        return self._reader().option("query", query).load().collect()[0]

    def _reader(self) -> DataFrameReader:
        return (
            self.spark.read.format("jdbc")
            .option("url", self.url)
            .option("user", self.user)
            .option("password", self.password)
            .option("driver", "org.postgresql.Driver")
            .option("fetchsize", 10_000)
        )


def _core(table: Table) -> list:
    return [it for it in table.columns if it.name not in ADDED]
