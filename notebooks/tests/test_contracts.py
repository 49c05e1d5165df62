"""The contracts are whole, consistent, and of types that all readers share."""

from __future__ import annotations

import re

import pytest

from ecom_pipeline.contracts import LAYERS, Table, load, table

TABLES = [it for layer in LAYERS for it in load(layer).values()]
TYPES = re.compile(r"string|int|bigint|boolean|date|timestamp|binary|decimal\(\d+,\d+\)")


@pytest.mark.parametrize("it", TABLES, ids=lambda it: it.path)
def test_a_contract_is_consistent(it: Table) -> None:
    assert it.comment
    assert len(set(it.names)) == len(it.names)
    assert all(TYPES.fullmatch(column.type) and column.comment for column in it.columns)
    assert it.key
    assert set(it.key) <= set(it.names)
    assert not any(column.nullable for column in it.columns if column.name in (*it.key, *it.partitioned_by))
    # An engine takes an existing table for another one unless these come last.
    assert it.names[len(it.names) - len(it.partitioned_by) :] == it.partitioned_by
    # Athena wants lower case, and quotes around a name that begins with an underscore.
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in it.names)


def test_silver_has_what_bronze_has() -> None:
    for name, silver in load("silver").items():
        bronze = load("bronze")[name]
        assert bronze.columns[: len(bronze.columns) - 1] == silver.columns[: len(bronze.columns) - 1]
        assert bronze.key == (*silver.key, "ingested_at")


def test_gold_is_as_agreed() -> None:
    got = {name: [f"{it.name} {it.type}" for it in found.columns] for name, found in load("gold").items()}
    money = "decimal(18,2)"
    assert got == {
        "daily_sales": [
            "order_date date", "currency string", "channel string", "orders bigint", "paid_orders bigint",
            f"net_sales {money}", f"avg_order_value {money}",
        ],
        "product_sales": [
            "product_id string", "product_name string", "category string", "currency string", "units bigint",
            f"net_sales {money}",
        ],
        "payment_outcomes": [
            "payment_date date", "method string", "currency string", "succeeded bigint", "failed bigint",
            "refunded bigint", f"failed_amount {money}",
        ],
        "customer_segments": [
            "customer_id string", "country string", "first_order_date date", "recency_days int", "frequency bigint",
            f"monetary {money}", "rfm string", "segment string",
        ],
        "cohort_retention": ["cohort_month date", "month_offset int", "customers bigint"],
        "order_facts": [
            "order_id string", "customer_id string", "order_date date", "ordered_at timestamp", "currency string",
            "channel string", "country string", "status string", f"net_amount {money}", "paid boolean",
            "gold_at timestamp",
        ],
    }  # fmt: skip


def test_a_table_is_found_by_its_names() -> None:
    assert table("gold", "daily_sales") is load("gold")["daily_sales"]
    assert table("gold", "daily_sales").path == "gold/daily_sales"
