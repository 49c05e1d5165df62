"""Transforms on small data, worked out by hand."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal as D

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from ecom_pipeline import moment
from ecom_pipeline.transforms import bronze, gold, silver

AS_OF = moment.parse("2026-03-01T00:00:00Z")


def rows(frame: DataFrame, *columns: str) -> list[tuple]:
    """Rows as tuples, in order."""
    return sorted(tuple(row) for row in frame.select(*columns).collect())


def details(spark: SparkSession, *lines: tuple) -> DataFrame:
    """Lines of (order, number, product, name, quantity, price, discount), each newer than the one before."""
    names = (
        "order_id string, line_no int, product_id string, product_name string, quantity int, price string, "
        "discount string, at int"
    )
    frame = spark.createDataFrame([(*line, at) for at, line in enumerate(lines)], names)
    return frame.select(
        "order_id", "line_no", "product_id", "product_name", F.lower("product_name").alias("category"), "quantity",
        F.col("price").cast("decimal(12,2)").alias("unit_price"),
        F.col("discount").cast("decimal(5,4)").alias("discount"),
        F.timestamp_seconds("at").alias("updated_at"), F.lit("e").alias("event_id"),
    )  # fmt: skip


def facts(spark: SparkSession, *orders: tuple) -> DataFrame:
    """Facts of (order, customer, date, net, paid), all in EUR on the web."""
    frame = spark.createDataFrame(
        list(orders), "order_id string, customer_id string, day string, net string, paid boolean"
    )
    return frame.select(
        "order_id", "customer_id", F.col("day").cast("date").alias("order_date"), F.lit("EUR").alias("currency"),
        F.lit("web").alias("channel"), F.col("net").cast(gold.MONEY).alias("net_amount"), "paid",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("quantity", "price", "discount", "want"),
    [
        (1, "10.05", "0.5", "5.03"),  # 5.025
        (3, "0.33", "0.5", "0.50"),  # 0.495
        (1, "1.00", "0.9950", "0.01"),  # 0.005
        (1, "1.00", "0.9951", "0.00"),
        (7, "19.99", "0.3333", "93.29"),  # 93.293331
        (2, "99.99", "1", "0.00"),
        (5, "0.00", "0", "0.00"),
        (2_000_000_000, "99999.99", "0", "199999980000000.00"),
    ],
)
def test_a_lines_net_is_rounded_half_up(
    spark: SparkSession, quantity: int, price: str, discount: str, want: str
) -> None:
    (row,) = (
        details(spark, ("o", 1, "p", "P", quantity, price, discount)).select(gold.line_net().alias("net")).collect()
    )
    assert row["net"] == D(want)


def test_an_order_is_paid_by_a_success_without_a_refund(spark: SparkSession) -> None:
    payments = {
        "none": (), "pending": ("pending",), "failed": ("failed",), "paid": ("succeeded",), "twice": ("succeeded",) * 2,
        "at last": ("failed", "succeeded"), "refunded": ("refunded",),
        "taken back": ("succeeded", "refunded", "succeeded"),
    }  # fmt: skip
    orders = spark.createDataFrame(
        [(name, "c", datetime(2026, 2, 1, 23, 59, 59), "EUR", "web", "DE", "created") for name in payments],
        "order_id string, customer_id string, ordered_at timestamp, currency string, channel string, "
        "shipping_country string, status string",
    )
    paid = spark.createDataFrame(
        [(name, status) for name, every in payments.items() for status in every], "order_id string, status string"
    )
    lines = details(spark, ("paid", 1, "p", "P", 2, "1.25", "0"), ("paid", 2, "p", "P", 1, "0.50", "0"))
    got = rows(gold.order_facts(orders, lines, paid), "order_id", "paid", "net_amount", "order_date")
    assert {name for name, is_paid, *_ in got if is_paid} == {"paid", "twice", "at last"}
    assert {name: net for name, _, net, _ in got} == {
        name: D("3.00" if name == "paid" else "0.00") for name in payments
    }
    assert {day for *_, day in got} == {date(2026, 2, 1)}


def test_daily_sales_count_all_orders_and_sum_the_paid_ones(spark: SparkSession) -> None:
    some = facts(
        spark,
        ("1", "a", "2026-02-01", "10.00", True),
        ("2", "a", "2026-02-01", "0.01", True),
        ("3", "b", "2026-02-01", "99.00", False),
        ("4", "b", "2026-02-02", "5.00", False),
    )
    got = rows(gold.daily_sales(some), "order_date", "orders", "paid_orders", "net_sales", "avg_order_value")
    assert got == [(date(2026, 2, 1), 3, 2, D("10.01"), D("5.01")), (date(2026, 2, 2), 1, 0, D("0.00"), None)]


@pytest.mark.parametrize(("nets", "want"), [(("0.01", "0.01", "0.02"), "0.01"), (("0.02", "0.02", "0.01"), "0.02")])
def test_a_mean_is_rounded_half_up(spark: SparkSession, nets: tuple[str, ...], want: str) -> None:
    some = facts(spark, *[(str(at), "a", "2026-02-01", net, True) for at, net in enumerate(nets)])
    assert rows(gold.daily_sales(some), "avg_order_value") == [(D(want),)]


def test_a_product_is_named_by_its_newest_sold_line(spark: SparkSession) -> None:
    lines = details(
        spark,
        ("1", 1, "p", "Old", 2, "1.00", "0"),
        ("2", 1, "p", "New", 1, "3.00", "0"),
        ("3", 1, "p", "Unsold", 9, "9.00", "0"),
        ("1", 2, "q", "Other", 1, "1.00", "0"),
    )
    some = facts(
        spark,
        ("1", "a", "2026-02-01", "0", True),
        ("2", "a", "2026-02-01", "0", True),
        ("3", "a", "2026-02-01", "0", False),
    )
    got = rows(
        gold.product_sales(some, lines), "product_id", "product_name", "category", "currency", "units", "net_sales"
    )
    assert got == [("p", "New", "new", "EUR", 3, D("5.00")), ("q", "Other", "other", "EUR", 1, D("1.00"))]


def test_payment_outcomes_leave_open_payments_out(spark: SparkSession) -> None:
    at = datetime(2026, 2, 1, 12)
    payments = spark.createDataFrame(
        [
            ("card", "succeeded", 10, at),
            ("card", "failed", 20, at),
            ("card", "failed", 30, at),
            ("card", "refunded", 40, at),
            ("card", "pending", 50, at),
            ("wallet", "authorized", 60, at),
        ],
        "method string, status string, amount int, processed_at timestamp",
    ).select("*", F.lit("EUR").alias("currency"))
    payments = payments.withColumn("amount", F.col("amount").cast("decimal(12,2)"))
    got = rows(
        gold.payment_outcomes(payments), "payment_date", "method", "succeeded", "failed", "refunded", "failed_amount"
    )
    assert got == [(date(2026, 2, 1), "card", 1, 2, 1, D("50.00"))]


@pytest.mark.parametrize(
    ("days", "orders", "each", "rfm", "segment"),
    [
        (7, 10, "100.00", "555", "champion"),
        (8, 5, "100.00", "444", "champion"),
        (31, 10, "1.00", "351", "loyal"),
        (90, 5, "10.00", "342", "loyal"),
        (30, 1, "49.99", "411", "new"),
        (0, 2, "25.00", "522", "promising"),
        (91, 3, "1.00", "231", "at_risk"),
        (181, 1, "500.00", "114", "at_risk"),
        (180, 2, "100.00", "223", "hibernating"),
        (400, 1, "199.99", "112", "lost"),
        (60, 1, "200.00", "313", "regular"),
        # Placed after the time of the run.
        (-1, 1, "1000.00", "515", "new"),
    ],
)
def test_a_customer_is_scored(spark: SparkSession, days: int, orders: int, each: str, rfm: str, segment: str) -> None:
    last = date.fromordinal(date(2026, 3, 1).toordinal() - days)
    placed = [(str(at), "a", last.isoformat(), each, True) for at in range(orders)]
    unpaid = [("unpaid", "a", "2026-02-28", "9999.00", False), ("never", "b", "2026-02-28", "1.00", False)]
    customers = spark.createDataFrame([("a", "DE"), ("b", "FR")], "customer_id string, country string")
    found = gold.customer_segments(facts(spark, *placed, *unpaid), customers, moment.column(AS_OF))
    got = rows(found, "customer_id", "country", "first_order_date", "recency_days", "frequency", "rfm", "segment")
    assert got == [("a", "DE", last, max(days, 0), orders, rfm, segment)]


def test_every_score_has_a_segment(spark: SparkSession) -> None:
    digits = range(1, 6)
    scores = spark.createDataFrame([(r, f, m) for r in digits for f in digits for m in digits], "r int, f int, m int")
    got = scores.select(gold.segment().alias("segment")).groupBy("segment").count()
    assert sum(count for _, count in rows(got, "segment", "count")) == 125
    assert {name for name, _ in rows(got, "segment", "count")} == {
        "champion", "loyal", "new", "promising", "at_risk", "hibernating", "lost", "regular",
    }  # fmt: skip


def test_a_cohort_is_followed_over_the_turn_of_the_year(spark: SparkSession) -> None:
    some = facts(
        spark,
        ("1", "a", "2025-11-30", "1", True),
        ("2", "a", "2025-11-01", "1", False),
        ("3", "a", "2026-02-01", "1", True),
        ("4", "b", "2025-11-15", "1", False),
        ("5", "c", "2026-02-28", "1", True),
    )
    got = rows(gold.cohort_retention(some), "cohort_month", "month_offset", "customers")
    assert got == [(date(2025, 11, 1), 0, 2), (date(2025, 11, 1), 3, 1), (date(2026, 2, 1), 0, 1)]


def test_a_fact_is_dated_when_it_changes(spark: SparkSession) -> None:
    names = "order_id string, status string, note string"
    now = spark.createDataFrame([("same", "paid", None), ("new", "paid", None), ("other", "paid", None)], names)
    before = spark.createDataFrame([("same", "paid", None), ("other", "paid", "x"), ("gone", "paid", None)], names)
    before = before.withColumn("gold_at", moment.column(1))
    got = gold.dated(now, before, moment.column(2)).select("order_id", F.unix_micros("gold_at").alias("at"))
    assert rows(got, "order_id", "at") == [("new", 2), ("other", 2), ("same", 1)]


def test_newer_is_by_event_then_by_id_then_by_write(spark: SparkSession) -> None:
    versions = [
        ("time", 1, "f", 9, "old"), ("time", 2, "a", 1, "new"),
        ("id", 1, "a", 9, "old"), ("id", 1, "b", 1, "new"),
        ("write", 1, "a", 1, "old"), ("write", 1, "a", 2, "new"),
    ]  # fmt: skip
    frame = spark.createDataFrame(versions, "k string, updated_at int, event_id string, ingested_at int, v string")
    assert rows(silver.newest(frame, ("k",)), "k", "v") == [("id", "new"), ("time", "new"), ("write", "new")]
    assert rows(silver.repeated(frame, ("k",)), "k", "rows") == [("id", 2), ("time", 2), ("write", 2)]
    assert rows(silver.repeated(frame, ("k", "v")), "k") == []


def test_a_month_is_that_of_utc(spark: SparkSession) -> None:
    frame = spark.createDataFrame(
        [(datetime(2026, 1, 31, 23, 59, 59, 999999),), (datetime(2026, 2, 1),)], "ordered_at timestamp"
    )
    got = rows(silver.monthly(frame, "orders"), "order_month")
    assert got == [(date(2026, 1, 1),), (date(2026, 2, 1),)]
    assert silver.monthly(frame, "customers") is frame


def test_what_is_known_is_left_out(spark: SparkSession) -> None:
    frame = spark.createDataFrame([("a", 1), ("a", 2), ("b", 1)], "k string, ingested_at int")
    known = spark.createDataFrame([("a", 1, "more")], "k string, ingested_at int, other string")
    assert rows(bronze.unseen(frame, known, ("k", "ingested_at")), "k", "ingested_at") == [("a", 2), ("b", 1)]


def test_a_batch_is_stamped(spark: SparkSession) -> None:
    (row,) = bronze.stamp(spark.range(1), AS_OF - 1).collect()
    assert (row["batch_at"], row["batch_date"]) == (datetime(2026, 2, 28, 23, 59, 59, 999999), date(2026, 2, 28))
