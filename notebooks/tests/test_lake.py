"""Tables of the lake: made by DDL, appended to, replaced, merged into."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ecom_pipeline.contracts import Column, Table
from ecom_pipeline.errors import PipelineError
from ecom_pipeline.guard import inspect
from ecom_pipeline.lake import Lake, conform

TABLE = Table(
    layer="silver",
    name="things",
    comment="It's a \\ table",
    columns=(
        Column("k", "string", "Key, as it's called", False),
        Column("v", "decimal(12,2)", "Value", True),
        Column("rank", "int", "What is newer", False),
        Column("month", "date", "Partition", False),
    ),
    partitioned_by=("month",),
    key=("k",),
)


def things(lake: Lake, *rows: tuple) -> DataFrame:
    """Rows of (key, value, rank, month), of types that are not quite those of the table."""
    frame = lake.spark.createDataFrame(list(rows), "k string, v string, rank bigint, month int")
    return frame.withColumn("month", F.make_date(F.lit(2026), "month", F.lit(1)))


def content(lake: Lake, table: Table = TABLE) -> list[tuple]:
    """The rows of a table, in order."""
    return sorted((row["k"], str(row["v"]), row["rank"], row["month"].month) for row in lake.read(table).collect())


def commits(lake: Lake) -> int:
    """How many commits the table has."""
    return sum(name.endswith(".json") for name in lake.log(TABLE))


def test_a_table_is_made_once_and_as_its_contract_says(lake: Lake) -> None:
    assert lake.log(TABLE) == []
    lake.create(TABLE)
    lake.append(TABLE, things(lake, ("a", "1", 1, 1)))
    lake.create(TABLE)
    # Another process knows nothing of the first one's names.
    Lake(lake.spark, lake.root + "/").create(TABLE)
    assert content(lake) == [("a", "1.00", 1, 1)]
    assert commits(lake) == 2
    assert inspect(lake, TABLE) == []
    assert [it.dataType.simpleString() for it in lake.read(TABLE).schema] == [it.type for it in TABLE.columns]


def test_a_missing_table_is_told_with_the_job_that_makes_it(lake: Lake) -> None:
    with pytest.raises(PipelineError, match=r"no table silver/things .* run the job `silver` first"):
        lake.read(TABLE)


def test_rows_take_the_types_of_their_table(lake: Lake) -> None:
    frame = conform(things(lake, ("a", "1", 1, 1)).withColumn("more", F.lit(1)), TABLE)
    assert [(it.name, it.dataType.simpleString()) for it in frame.schema] == [
        (it.name, it.type) for it in TABLE.columns
    ]


def test_a_merge_keeps_the_newer_row(lake: Lake) -> None:
    lake.create(TABLE)
    lake.merge(TABLE, things(lake, ("a", "1", 5, 1), ("b", "1", 5, 1), ("c", "1", 5, 1), ("d", "1", 5, 1)), ("rank",))
    # Older, equal, newer, newer and in another partition, new.
    later = things(lake, ("a", "2", 4, 1), ("b", "2", 5, 1), ("c", None, 6, 1), ("d", "2", 6, 2), ("e", "2", 1, 1))
    lake.merge(TABLE, later, ("rank",))
    want = [("a", "1.00", 5, 1), ("b", "1.00", 5, 1), ("c", "None", 6, 1), ("d", "2.00", 6, 2), ("e", "2.00", 1, 1)]
    assert content(lake) == want
    assert lake.read(TABLE).where(F.col("month") == F.lit(date(2026, 1, 1))).count() == 4
    lake.merge(TABLE, later, ("rank",))
    assert content(lake) == want
    assert inspect(lake, TABLE) == []


def test_a_merge_compares_column_by_column(lake: Lake) -> None:
    table = replace(TABLE, partitioned_by=())
    lake.create(table)
    lake.merge(table, things(lake, ("a", "5", 5, 1), ("b", "5", 5, 1), ("c", "5", 5, 1)), ("rank", "v"))
    lake.merge(table, things(lake, ("a", "9", 4, 2), ("b", "4", 5, 2), ("c", "6", 5, 2)), ("rank", "v"))
    assert content(lake, table) == [("a", "5.00", 5, 1), ("b", "5.00", 5, 1), ("c", "6.00", 5, 2)]


def test_equal_content_is_not_written_again(lake: Lake) -> None:
    lake.create(TABLE)
    rows = (("a", "1", 1, 1), ("b", None, 1, 1), ("b", None, 1, 1))
    assert lake.replace(TABLE, things(lake, *rows))
    before = commits(lake)
    assert not lake.replace(TABLE, things(lake, *reversed(rows)))
    assert commits(lake) == before
    # One fewer of two equal rows is a change, and so is a null.
    assert lake.replace(TABLE, things(lake, *rows[:2]))
    assert lake.replace(TABLE, things(lake, ("a", "1", 1, 1), ("b", "0", 1, 1)))
    assert content(lake) == [("a", "1.00", 1, 1), ("b", "0.00", 1, 1)]


def test_a_table_is_replaced_by_what_is_made_of_it(lake: Lake) -> None:
    lake.create(TABLE)
    lake.append(TABLE, things(lake, ("a", "1", 1, 1), ("b", "1", 1, 2)))
    assert lake.replace(TABLE, lake.read(TABLE).where("k = 'a'").withColumn("rank", F.col("rank") + 1))
    assert content(lake) == [("a", "1.00", 2, 1)]


def test_an_empty_content_replaces_all(lake: Lake) -> None:
    lake.create(TABLE)
    lake.append(TABLE, things(lake, ("a", "1", 1, 1), ("b", "1", 1, 2)))
    assert lake.replace(TABLE, lake.read(TABLE).where("k = 'z'"))
    assert content(lake) == []
