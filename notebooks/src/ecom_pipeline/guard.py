"""The guard: fails after a run unless Athena can read the tables, and they are as their contracts say.

It reads the Delta log. Athena reads Delta of reader version 1 and writer version 2; deletion vectors and column mapping
would make it refuse a table, or return rows that are deleted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pyspark.sql import functions as F

from .contracts import Table
from .errors import PipelineError
from .lake import Lake

_COMMIT = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint(?:\.\d{10}\.\d{10})?\.parquet")
_NEWER_CHECKPOINT = re.compile(r"\d{20}\.checkpoint\.[0-9a-f-]{36}\.(?:json|parquet)")


def check(lake: Lake, tables: Iterable[Table]) -> None:
    """Fails with everything that is wrong with these tables."""
    found = [f"{lake.location(table)}: {it}" for table in tables for it in inspect(lake, table)]
    if found:
        raise PipelineError(
            "the lake has tables that Athena cannot read, or that differ from their contracts:\n  "
            + "\n  ".join(found)
            + "\nMove each of them away, then run `bronze --full`, `silver --full` and `gold`: the jobs make them anew."
        )


def inspect(lake: Lake, table: Table) -> list[str]:
    """What is wrong with a table."""
    names = lake.log(table)
    if any(_NEWER_CHECKPOINT.fullmatch(name) for name in names):
        return ["the log has a checkpoint of version 2"]
    return problems(_actions(lake, table, names), table)


def problems(actions: Iterable[Mapping[str, Any]], table: Table) -> list[str]:
    """What is wrong with a table whose log has these actions, in order."""
    found: list[str] = []
    protocol: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] | None = None
    for action in actions:
        protocol = action.get("protocol") or protocol
        metadata = action.get("metaData") or metadata
        if (action.get("add") or {}).get("deletionVector"):
            found.append(f"the file {action['add'].get('path')} has a deletion vector")
    if protocol is None or metadata is None:
        return [*found, "the log says neither protocol nor schema; the table is incomplete"]
    return [*found, *_protocol(protocol), *_metadata(metadata, table)]


def _protocol(protocol: Mapping[str, Any]) -> Iterator[str]:
    reader, writer = protocol.get("minReaderVersion"), protocol.get("minWriterVersion")
    if reader != 1 or not isinstance(writer, int) or writer > 2:
        yield f"it demands reader version {reader} and writer version {writer}; Athena needs 1 and at most 2"
    features = sorted({*(protocol.get("readerFeatures") or ()), *(protocol.get("writerFeatures") or ())})
    if features:
        yield f"it has the table features {', '.join(features)}"


def _metadata(metadata: Mapping[str, Any], table: Table) -> Iterator[str]:
    configuration = dict(metadata.get("configuration") or {})
    if configuration.get("delta.columnMapping.mode", "none") != "none":
        yield f"its columns are mapped by {configuration['delta.columnMapping.mode']}"
    if configuration.get("delta.enableDeletionVectors", "false").lower() != "false":
        yield "deletion vectors are enabled"
    schema = json.loads(metadata["schemaString"])
    # Arrays and structs have a type that is an object; no contract has such a column.
    has = {it["name"]: _spelled(it["type"]) for it in schema["fields"]}
    wants = {it.name: it.type for it in table.columns}
    for name, kind in wants.items():
        if name not in has:
            yield f"it lacks the column {name}"
        elif has[name] != kind:
            yield f"its column {name} is {has[name]}; the contract says {kind}"
    for name in has.keys() - wants.keys():
        yield f"it has a column {name} that the contract does not know"
    partitions = tuple(metadata.get("partitionColumns") or ())
    if partitions != table.partitioned_by:
        yield f"it is partitioned by {partitions or 'nothing'}; the contract says {table.partitioned_by or 'nothing'}"


def _spelled(kind: object) -> str:
    """A type of the Delta log in the contract's words."""
    return {"integer": "int", "long": "bigint"}.get(kind, kind) if isinstance(kind, str) else json.dumps(kind)


def _actions(lake: Lake, table: Table, names: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Protocol, schema and deletion vectors of the newest checkpoint and of the commits after it, oldest first."""
    log = f"{lake.location(table)}/_delta_log"
    names = list(names)
    checkpoints = [match for match in map(_CHECKPOINT.fullmatch, names) if match]
    last = max((match[1] for match in checkpoints), default="")
    if last:
        files = [f"{log}/{match[0]}" for match in checkpoints if match[1] == last]
        rows = lake.spark.read.parquet(*files).select("protocol", "metaData")
        for row in rows.where("protocol IS NOT NULL OR metaData IS NOT NULL").collect():
            yield row.asDict(recursive=True)
    commits = [f"{log}/{name}" for name in names if (match := _COMMIT.fullmatch(name)) and match[1] > last]
    lines = _telling(lake, commits)
    if any(sum(kind in line for line in lines) > 1 for kind in ("protocol", "metaData")):
        # The last one counts, and only a file's name tells its place: read each by itself.
        lines = [line for commit in commits for line in _telling(lake, [commit])]
    yield from lines


def _telling(lake: Lake, commits: list[str]) -> list[dict[str, Any]]:
    if not commits:
        return []
    lines = lake.spark.read.text(commits).where(F.col("value").rlike('^\\{"(protocol|metaData)"|"deletionVector":'))
    return [json.loads(row["value"]) for row in lines.collect()]
