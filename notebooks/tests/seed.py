"""Rows of the core tables, made from a seed: the same ones each time."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import psycopg
from psycopg import sql

MIGRATIONS = Path(__file__).parents[2] / "templates/migrations/shop"

#: The time that the rows lie before.
NOW = datetime(2026, 3, 1, tzinfo=UTC)

COLUMNS = {
    "customers": ("customer_id", "name", "email", "country", "created_at", "updated_at", "event_id"),
    "orders": (
        "order_id",
        "customer_id",
        "status",
        "currency",
        "ordered_at",
        "channel",
        "shipping_country",
        "updated_at",
        "event_id",
    ),
    "order_details": (
        "order_id",
        "line_no",
        "product_id",
        "product_name",
        "category",
        "quantity",
        "unit_price",
        "discount",
        "updated_at",
        "event_id",
    ),
    "payments": (
        "payment_id",
        "order_id",
        "method",
        "status",
        "outcome",
        "amount",
        "currency",
        "failure_reason",
        "processed_at",
        "updated_at",
        "event_id",
    ),
}

_OUTCOMES = {"pending": "open", "authorized": "open", "succeeded": "paid", "failed": "lost", "refunded": "returned"}
_COUNTRIES = ("DE", "FR", "GB", "US", "JP")
_STATUSES = ("created", "paid", "shipped", "delivered", "cancelled", "returned")
_CHANNELS = ("web", "mobile", "store", "marketplace")
_METHODS = ("card", "paypal", "bank_transfer", "wallet", "cash_on_delivery")
_DISCOUNTS = ("0", "0", "0", "0.05", "0.1", "0.125", "0.3333", "1")
_CURRENCIES = ("EUR", "EUR", "EUR", "USD")


@dataclass
class Rows:
    """Rows by table, in the order of `COLUMNS`."""

    tables: dict[str, list[tuple]] = field(default_factory=lambda: {name: [] for name in COLUMNS})

    def add(self, table: str, *row: object) -> None:
        """Adds a row."""
        self.tables[table].append(row)

    def shuffled(self, seed: int) -> Rows:
        """The same rows in another order."""
        return Rows(
            {name: random.Random(f"{seed}{name}").sample(rows, len(rows)) for name, rows in self.tables.items()}
        )


def make(orders: int, seed: int, days: int = 400, first: int = 0) -> Rows:
    """Orders numbered from `first` on within so many days before `NOW`, with lines, payments and customers.

    About 3 lines an order; one order in ten is not paid for, one in twenty is refunded; some have no line.
    """
    dice, rows = random.Random(seed), Rows()
    span = days * 86_400_000_000
    for number in range(first // 10, (first + orders) // 10 + 1):
        at = NOW - timedelta(days=days + 1 + number % 5)
        rows.add(
            "customers",
            f"c{number:07}",
            f"Name {number}",
            f"n{number}@example.com",
            dice.choice(_COUNTRIES),
            at,
            at,
            _id(dice),
        )
    customers = len(rows.tables["customers"])
    for number in range(first, first + orders):
        order = f"o{number:08}"
        ordered = NOW - timedelta(microseconds=dice.randrange(1, span))
        currency = dice.choice(_CURRENCIES)
        # A few customers order often, most of them seldom.
        customer = f"c{first // 10 + int(customers * dice.random() ** 3):07}"
        changed = ordered + timedelta(minutes=dice.randrange(1000))
        rows.add(
            "orders", order, customer, dice.choice(_STATUSES), currency, ordered, dice.choice(_CHANNELS),
            dice.choice(_COUNTRIES), changed, _id(dice),
        )  # fmt: skip
        for line in range(1, dice.choice((0, 2, 3, 3, 3, 4, 6)) + 1):
            product = dice.randrange(500)
            rows.add(
                "order_details", order, line, f"p{product:04}", f"Product {product}", f"category {product % 7}",
                dice.randrange(1, 6), Decimal(dice.randrange(20_000)) / 100, Decimal(dice.choice(_DISCOUNTS)), ordered,
                _id(dice),
            )  # fmt: skip
        for attempt, status in enumerate(_payments(dice)):
            at = ordered + timedelta(minutes=1 + attempt)
            reason = "card declined" if status == "failed" else None
            rows.add(
                "payments", f"{order}-{attempt}", order, dice.choice(_METHODS), status, _OUTCOMES[status],
                Decimal(dice.randrange(100_000)) / 100, currency, reason, at, at, _id(dice),
            )  # fmt: skip
    return rows


def _payments(dice: random.Random) -> tuple[str, ...]:
    paid = ("succeeded",)
    return dice.choice(
        (
            *[paid] * 14,
            ("failed", "succeeded"),
            ("failed",),
            ("pending",),
            ("succeeded", "refunded"),
            ("authorized",),
            (),
        )
    )


def _id(dice: random.Random) -> uuid.UUID:
    return uuid.UUID(int=dice.getrandbits(128), version=4)


def migrate(connection: psycopg.Connection) -> None:
    """Makes the core tables, by the project's own migrations."""
    for file in sorted(MIGRATIONS.glob("*.sql")):
        connection.execute(file.read_text(encoding="utf-8"))


def copy(connection: psycopg.Connection, rows: Rows) -> None:
    """Adds rows by COPY, and sets the tiers of their orders as ingest does; one transaction, unless one is open."""
    with connection.transaction(), connection.cursor() as cursor:
        for table, columns in COLUMNS.items():
            names = sql.SQL(", ").join(map(sql.Identifier, columns))
            statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)
            with cursor.copy(statement) as target:
                for row in rows.tables[table]:
                    target.write_row(row)
        tiers(connection, [row[0] for row in rows.tables["orders"]])


def tiers(connection: psycopg.Connection, orders: list[str]) -> None:
    """Sets the tiers of orders by their lines. The order's own event, and so its `updated_at`, stay."""
    connection.execute(
        """
        UPDATE orders AS o SET value_tier = t.tier
        FROM (SELECT order_id, value_tier(sum(line_net(quantity, unit_price, discount))) AS tier
              FROM order_details WHERE order_id = ANY(%s) GROUP BY order_id) AS t
        WHERE o.order_id = t.order_id AND o.value_tier IS DISTINCT FROM t.tier
        """,
        [orders],
    )
