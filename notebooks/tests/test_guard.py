"""The guard: logs that Athena cannot read, and tables that differ from their contracts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_lake import TABLE, things

from ecom_pipeline import guard
from ecom_pipeline.errors import PipelineError
from ecom_pipeline.lake import Lake

FIELDS = [("k", "string"), ("v", "decimal(12,2)"), ("rank", "integer"), ("month", "date")]


def protocol(**more: object) -> dict:
    return {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2, **more}}


def metadata(fields: list = FIELDS, partitions: tuple = ("month",), **configuration: str) -> dict:
    schema = {"type": "struct", "fields": [{"name": name, "type": kind} for name, kind in fields]}
    configuration = {name.replace("_", "."): value for name, value in configuration.items()}
    return {
        "metaData": {
            "schemaString": json.dumps(schema),
            "partitionColumns": list(partitions),
            "configuration": configuration,
        }
    }


GOOD = [protocol(), metadata()]
NTZ = [("k", "string"), ("v", "decimal(12,2)"), ("rank", "timestamp_ntz"), ("month", "date")]

BAD = {
    "reader": ([protocol(minReaderVersion=2), metadata()], "demands reader version 2 and writer version 2"),
    "writer": ([protocol(minWriterVersion=7), metadata()], "demands reader version 1 and writer version 7"),
    "features": (
        [protocol(readerFeatures=["deletionVectors"], writerFeatures=["deletionVectors", "rowTracking"]), metadata()],
        "it has the table features deletionVectors, rowTracking",
    ),
    "mapping": ([protocol(), metadata(delta_columnMapping_mode="name")], "its columns are mapped by name"),
    "vectors": ([protocol(), metadata(delta_enableDeletionVectors="true")], "deletion vectors are enabled"),
    "vector": (
        [*GOOD, {"add": {"path": "a.parquet", "deletionVector": {"storageType": "u"}}}],
        "the file a.parquet has a deletion vector",
    ),
    "no schema": ([protocol()], "neither protocol nor schema"),
    "column lost": ([protocol(), metadata(FIELDS[:2] + FIELDS[3:])], "it lacks the column rank"),
    "column gained": ([protocol(), metadata([*FIELDS, ("x", "string")])], "it has a column x that"),
    "type": ([protocol(), metadata(NTZ)], "its column rank is timestamp_ntz; the contract says int"),
    "nested": (
        [protocol(), metadata([*FIELDS[:3], ("month", {"type": "array", "elementType": "date"})])],
        "its column month is {",
    ),
    "partitions": ([protocol(), metadata(partitions=())], "it is partitioned by nothing; the contract says ('month',)"),
    "turned bad": ([*GOOD, protocol(minReaderVersion=3, readerFeatures=["v2Checkpoint"])], "v2Checkpoint"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_log_is_told(name: str) -> None:
    actions, want = BAD[name]
    assert want in "\n".join(guard.problems(actions, TABLE))


def test_a_good_log_is_good() -> None:
    assert guard.problems(GOOD, TABLE) == []
    # The last word counts.
    assert guard.problems([protocol(minReaderVersion=3), metadata(FIELDS[:1]), *GOOD], TABLE) == []


def seed_log(lake: Lake, *commits: list[dict]) -> None:
    """Writes a table's log by hand, a file for each commit."""
    log = Path(lake.location(TABLE), "_delta_log")
    log.mkdir(parents=True)
    for version, actions in enumerate(commits):
        (log / f"{version:020}.json").write_text(
            "".join(json.dumps(it, separators=(",", ":")) + "\n" for it in actions)
        )


@pytest.mark.parametrize("name", BAD)
def test_a_bad_log_is_found_in_the_lake(lake: Lake, name: str) -> None:
    actions, want = BAD[name]
    note = {"commitInfo": {"operation": 'WRITE {"protocol"'}}
    seed_log(lake, *[[note, action] for action in actions])
    with pytest.raises(PipelineError) as failure:
        guard.check(lake, [TABLE])
    assert want in str(failure.value)
    assert lake.location(TABLE) in str(failure.value)


def test_the_commits_are_read_in_order(lake: Lake) -> None:
    seed_log(lake, [protocol(minReaderVersion=3), metadata(FIELDS[:1])], [metadata()], [protocol()])
    assert guard.inspect(lake, TABLE) == []


def test_a_checkpoint_of_the_second_kind_is_told(lake: Lake) -> None:
    seed_log(lake, GOOD)
    name = "00000000000000000000.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json"
    Path(lake.location(TABLE), "_delta_log", name).write_text("{}")
    assert guard.inspect(lake, TABLE) == ["the log has a checkpoint of version 2"]


def test_a_log_is_read_from_its_checkpoint_on(lake: Lake) -> None:
    lake.create(TABLE)
    for rank in range(12):
        lake.append(TABLE, things(lake, ("a", "1", rank, 1)))
    assert any("checkpoint" in name for name in lake.log(TABLE))
    # Without the commits before, there is only the checkpoint that knows protocol and schema.
    for version in range(10):
        Path(lake.location(TABLE), "_delta_log", f"{version:020}.json").unlink()
    assert guard.inspect(lake, TABLE) == []


def test_a_table_that_is_not_there_is_told(lake: Lake) -> None:
    assert guard.inspect(lake, TABLE) == ["the log says neither protocol nor schema; the table is incomplete"]
