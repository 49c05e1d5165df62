"""Maintenance: fewer files, the same rows."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pyspark.sql import functions as F

from ecom_pipeline import guard, moment
from ecom_pipeline.contracts import load
from ecom_pipeline.errors import PipelineError
from ecom_pipeline.jobs import maintenance
from ecom_pipeline.lake import Lake

TABLE = load("gold")["cohort_retention"]


def fill(lake: Lake, batches: int) -> None:
    """Appends small batches, each of which makes a file of its own."""
    lake.create(TABLE)
    for batch in range(batches):
        row = lake.spark.range(1).select(
            F.lit(moment.day(0).isoformat()).alias("cohort_month"),
            F.lit(batch).alias("month_offset"),
            F.lit(1).alias("customers"),
        )
        lake.append(TABLE, row)


def live(lake: Lake) -> set[str]:
    """Files of the newest version, as a reader who knows Delta only finds them."""
    from deltalake import DeltaTable

    return {it.rsplit("/", 1)[-1] for it in DeltaTable(lake.location(TABLE)).file_uris()}


def files(lake: Lake) -> int:
    """How many these are."""
    return len(live(lake))


def stored(lake: Lake) -> set[str]:
    """Files of all versions."""
    return {it.name for it in Path(lake.location(TABLE)).glob("*.parquet")}


def test_files_are_compacted_and_rows_stay(lake: Lake) -> None:
    fill(lake, 5)
    rows = sorted(tuple(row) for row in lake.read(TABLE).collect())
    assert files(lake) >= 5
    before = stored(lake)
    maintenance.main(["--lake-root", lake.root], lake.spark)
    assert files(lake) == 1
    assert sorted(tuple(row) for row in lake.read(TABLE).collect()) == rows
    # Readers of a version before still find its files.
    assert len(stored(lake) - before) == 1
    assert before < stored(lake)
    assert guard.inspect(lake, TABLE) == []


def listed(lake: Lake) -> set[str]:
    """Names of the files that the manifest lists."""
    manifest = Path(lake.location(TABLE)) / "_symlink_format_manifest" / "manifest"
    return {line.rsplit("/", 1)[-1] for line in manifest.read_text().split()}


def test_a_manifest_lists_the_files_of_the_newest_version(lake: Lake) -> None:
    fill(lake, 3)
    lake.list_files(TABLE)
    # Classic Spark leaves files of no rows, too, which are of no version.
    before = live(lake)
    assert listed(lake) == before
    assert len(before) >= 3
    maintenance.main(["--lake-root", lake.root], lake.spark)
    assert listed(lake) == before, "they are still there, and hold the rows"
    maintenance.main(["--lake-root", lake.root, "--manifests"], lake.spark)
    assert listed(lake) == live(lake)
    assert live(lake).isdisjoint(before)
    assert guard.inspect(lake, TABLE) == []


def test_without_any_means_it_says_so(lake: Lake, engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(lake, 1)
    monkeypatch.setitem(sys.modules, "deltalake", None)
    if engine == "classic":
        maintenance.main(["--lake-root", lake.root], lake.spark)
        return
    with pytest.raises(PipelineError, match="install it beside the engine, or run the job on Databricks"):
        maintenance.main(["--lake-root", lake.root], lake.spark)


def test_a_retention_too_short_is_refused(lake: Lake, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        maintenance.main(["--lake-root", lake.root, "--retention-hours", "1"], lake.spark)
    assert "files are kept for 168 hours at least" in capsys.readouterr().err
