"""The gold tables as PostgreSQL computes them from the core tables: an oracle that shares no code with the pipeline.

Each query gives one table; `paid_orders.sql` makes the view that they read. Their only parameter is `$1`, the time of
the run, in `customer_segments.sql`.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import psycopg

HERE = Path(__file__).parent


def gold(url: str, table: str, as_of: datetime) -> list[dict]:
    """The rows of a gold table, `gold_at` left out."""
    query = (HERE / f"{table}.sql").read_text(encoding="utf-8")
    with psycopg.connect(url, options="-c timezone=UTC") as connection:
        connection.execute((HERE / "paid_orders.sql").read_text(encoding="utf-8"))
        cursor = psycopg.RawCursor(connection, row_factory=psycopg.rows.dict_row)
        return cursor.execute(query, [as_of] if "$1" in query else None).fetchall()


def core(url: str, table: str, columns: tuple[str, ...]) -> list[dict]:
    """The rows of a core table."""
    with psycopg.connect(url, options="-c timezone=UTC", row_factory=psycopg.rows.dict_row) as connection:
        return connection.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall()
