"""The wheel: the same bytes each time, with the contracts and the entry points."""

from __future__ import annotations

import hashlib
import importlib
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest

HOME = Path(__file__).parents[1]


def build(target: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Builds the wheel, as a build frontend does."""
    from hatchling.build import build_wheel

    target.mkdir()
    monkeypatch.chdir(HOME)
    return target / build_wheel(str(target))


def test_a_wheel_is_built_the_same_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    first, second = (build(tmp_path / name, monkeypatch) for name in ("first", "second"))
    assert hashlib.sha256(first.read_bytes()).digest() == hashlib.sha256(second.read_bytes()).digest()
    with zipfile.ZipFile(first) as wheel:
        names = set(wheel.namelist())
        assert {it.date_time for it in wheel.infolist()} == {(2023, 11, 14, 22, 13, 20)}
        texts = {name: wheel.read(name).decode() for name in names if name.endswith(("METADATA", "entry_points.txt"))}
    assert {f"ecom_pipeline/contracts/{layer}.json" for layer in ("bronze", "silver", "gold")} <= names
    assert not [it for it in names if "test" in it or "databricks" in it]
    (metadata,) = (text for name, text in texts.items() if name.endswith("METADATA"))
    assert "Name: ecom_pipeline\n" in metadata
    assert "Requires-Dist" not in metadata
    (entries,) = (text for name, text in texts.items() if name.endswith("entry_points.txt"))
    parsed = ConfigParser()
    parsed.read_string(entries)
    assert set(parsed["console_scripts"]) == {"bronze", "silver", "gold", "maintenance", "kafka_ingest"}
    for entry in parsed["console_scripts"].values():
        module, function = entry.split(":")
        assert callable(getattr(importlib.import_module(module), function))
