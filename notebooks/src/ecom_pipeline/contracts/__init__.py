"""Contracts of the lake's tables, and the reader of the JSON files beside this one, one file for each layer.

Types are spelled as Hive, Athena and Spark SQL all spell them. Whatever is written is cast to its contract first, as
engines and drivers differ in what they infer.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

#: The layers, in the order in which data passes through them.
LAYERS = ("bronze", "silver", "gold")


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    name: str
    type: str
    comment: str
    nullable: bool


@dataclass(frozen=True)
class Table:
    """A table of the lake: its columns in order, those that partition it (they come last), and its key."""

    layer: str
    name: str
    comment: str
    columns: tuple[Column, ...]
    partitioned_by: tuple[str, ...]
    key: tuple[str, ...]

    @property
    def path(self) -> str:
        """Path below the root of the lake."""
        return f"{self.layer}/{self.name}"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(column.name for column in self.columns)


@cache
def load(layer: str) -> dict[str, Table]:
    """Tables of a layer by name, in the order of its file."""
    text = files(__package__).joinpath(f"{layer}.json").read_text(encoding="utf-8")
    return {
        name: Table(
            layer=layer,
            name=name,
            comment=it["comment"],
            columns=tuple(Column(**column) for column in it["columns"]),
            partitioned_by=tuple(it["partitioned_by"]),
            key=tuple(it["key"]),
        )
        for name, it in json.loads(text).items()
    }


def table(layer: str, name: str) -> Table:
    """The contract of one table."""
    return load(layer)[name]
