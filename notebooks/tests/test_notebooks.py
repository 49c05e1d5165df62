"""The notebooks, run as Databricks runs them: with `spark` and `dbutils` in their globals."""

from __future__ import annotations

import ast
import runpy
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from ecom_pipeline.config import password

NOTEBOOKS = sorted(Path(__file__).parents[1].glob("databricks/*.py"))
JOBS = {"bronze", "silver", "gold", "maintenance", "kafka_ingest"}


class Utilities:
    """What the notebooks use of `dbutils`: widgets and secrets."""

    def __init__(self, **widgets: str) -> None:
        self.values = widgets
        self.widgets = self.secrets = self

    def text(self, name: str, default: str, _label: str) -> None:
        self.values.setdefault(name, default)

    def get(self, name: str, key: str | None = None) -> str:
        return f"secret of {name}/{key}" if key else self.values[name]


def test_every_job_has_a_notebook() -> None:
    assert {it.stem for it in NOTEBOOKS} == JOBS


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda it: it.stem)
def test_a_notebook_calls_its_job(notebook: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    text = notebook.read_text(encoding="utf-8")
    assert text.startswith("# Databricks notebook source\n")
    assert not [it for it in ast.walk(ast.parse(text)) if isinstance(it, ast.FunctionDef | ast.For | ast.If)]
    calls = []
    monkeypatch.setattr(f"ecom_pipeline.jobs.{notebook.stem}.main", lambda *arguments: calls.append(arguments))
    monkeypatch.delenv("ECOM_JDBC_PASSWORD", raising=False)
    dbutils = Utilities(lake_root="s3://lake", secret_scope="shop", secret_key="database")
    runpy.run_path(str(notebook), init_globals={"spark": spark, "dbutils": dbutils})
    ((arguments, session),) = calls
    assert session is spark
    assert arguments[:4] == ["--lake-root", "s3://lake", "--as-of", ""]
    if notebook.stem == "bronze":
        assert password("ECOM_JDBC_PASSWORD") == "secret of shop/database"


@pytest.mark.parametrize(
    "notebook", [it for it in NOTEBOOKS if it.stem in {"silver", "maintenance"}], ids=lambda it: it.stem
)
def test_a_notebook_runs(notebook: Path, spark: SparkSession, tmp_path: Path) -> None:
    from ecom_pipeline.contracts import load
    from ecom_pipeline.lake import Lake

    lake = Lake(spark, str(tmp_path / "lake"))
    for name in load("silver"):
        lake.create(load("bronze")[name])
    runpy.run_path(str(notebook), init_globals={"spark": spark, "dbutils": Utilities(lake_root=lake.root)})
    assert notebook.stem == "maintenance" or lake.read(load("silver")["orders"]).count() == 0
