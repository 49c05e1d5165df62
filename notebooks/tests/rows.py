"""Rows of any origin in one form that compares."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID

from pyspark.sql import DataFrame


def sorted_rows(rows: Iterable[Mapping], columns: Iterable[str]) -> list[list]:
    """Rows as lists of plain values, in an order of their own. Decimals keep their scale out of it: 1.0 is 1."""
    columns = list(columns)
    return sorted(([_plain(row[it]) for it in columns] for row in rows), key=json.dumps)


def collected(rows: DataFrame, columns: Iterable[str]) -> list[list]:
    """The same of a DataFrame."""
    columns = list(columns)
    return sorted_rows((row.asDict() for row in rows.select(*columns).collect()), columns)


def difference(got: list[list], want: list[list], limit: int = 5) -> str | None:
    """What differs, for people; `None` if nothing does. Repeated rows count."""
    if got == want:
        return None
    left, right = (Counter(map(json.dumps, it)) for it in (got, want))
    more, less = list((left - right).elements())[:limit], list((right - left).elements())[:limit]
    return f"{len(got)} rows, {len(want)} expected; not expected: {more}; missing: {less}"


def write(rows: list[list], file: Path) -> None:
    """Writes rows, one a line."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def read(file: Path) -> list[list]:
    """Reads what `write` has written."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def _plain(value: object) -> object:
    match value:
        case bool() | None:
            return value
        case Decimal() | int():
            return str(Decimal(value).normalize() + 0)
        case datetime():
            # Spark gives times in the zone of the process, which is UTC here.
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
        case bytes() | bytearray():
            return value.hex()
        case UUID():
            return str(value)
    return value.isoformat() if hasattr(value, "isoformat") else value
