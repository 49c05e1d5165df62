"""The gold tables, from silver.

An order is *paid* when at least one of its payments succeeded and none was refunded. The *net* of a line is
quantity * unit price * (1 - discount), rounded half up to 2 digits; that of an order is the sum of its lines. Money is
decimal throughout: engines differ in how they turn floating numbers into decimals.
"""

from __future__ import annotations

from functools import reduce
from operator import and_

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

MONEY = "decimal(18,2)"

#: Score and least value, best first. Fixed bounds, not quantiles: a customer's score depends on that customer alone,
#: and SQL elsewhere computes the same.
FREQUENCY = ((5, 10), (4, 5), (3, 3), (2, 2))
MONETARY = ((5, 1000), (4, 500), (3, 200), (2, 50))
#: Score and greatest number of days, best first.
RECENCY = ((5, 7), (4, 30), (3, 90), (2, 180))


def line_net() -> Column:
    """Net of a line."""
    gross = F.col("quantity").cast("decimal(10,0)") * F.col("unit_price")
    return F.round(gross * (F.lit(1).cast("decimal(1,0)") - F.col("discount")), 2).cast(MONEY)


def order_facts(orders: DataFrame, details: DataFrame, payments: DataFrame) -> DataFrame:
    """All of `order_facts` but `gold_at`."""
    nets = details.groupBy("order_id").agg(F.sum(line_net()).alias("net"))
    has = payments.groupBy("order_id").agg(*[F.max(_one("status", it)).alias(it) for it in ("succeeded", "refunded")])
    return (
        orders.join(nets, "order_id", "left")
        .join(has, "order_id", "left")
        .select(
            "order_id",
            "customer_id",
            F.to_date("ordered_at").alias("order_date"),
            "ordered_at",
            "currency",
            "channel",
            F.col("shipping_country").alias("country"),
            "status",
            F.coalesce("net", F.lit(0)).cast(MONEY).alias("net_amount"),
            # Not by coalesce: Sail takes a coalesced boolean for never null in one place and for nullable in another.
            F.when(F.col("succeeded") > F.col("refunded"), True).otherwise(False).alias("paid"),
        )
    )


def dated(facts: DataFrame, before: DataFrame, as_of: Column) -> DataFrame:
    """Facts with `gold_at`: that of the row before where nothing else differs, else now.

    So a run that finds nothing new changes nothing, and the age of a row tells when its order reached gold.
    """
    columns = facts.columns
    same = reduce(and_, [F.col(f"now.{it}").eqNullSafe(F.col(f"before.{it}")) for it in columns])
    return (
        facts.alias("now")
        .join(before.alias("before"), F.col("now.order_id") == F.col("before.order_id"), "left")
        .select(
            *[F.col(f"now.{it}") for it in columns],
            F.when(same, F.col("before.gold_at")).otherwise(as_of).alias("gold_at"),
        )
    )


def daily_sales(facts: DataFrame) -> DataFrame:
    """Orders and net sales for each day, currency and channel."""
    sums = facts.groupBy("order_date", "currency", "channel").agg(
        F.count(F.lit(1)).alias("orders"),
        F.sum(F.col("paid").cast("bigint")).alias("paid_orders"),
        F.sum(_paid_net()).cast(MONEY).alias("net_sales"),
    )
    return sums.withColumn("avg_order_value", _mean("net_sales", "paid_orders"))


def product_sales(facts: DataFrame, details: DataFrame) -> DataFrame:
    """Units and net sales of each product in each currency; its name and category are those of its newest sold line."""
    lines = details.withColumn("net", line_net()).join(facts.where("paid").select("order_id", "currency"), "order_id")
    order = Window.partitionBy("product_id").orderBy(
        *[F.col(it).desc() for it in ("updated_at", "event_id", "order_id", "line_no")]
    )
    names = (
        lines.withColumn("place", F.row_number().over(order))
        .where("place = 1")
        .select("product_id", "product_name", "category")
    )
    sums = lines.groupBy("product_id", "currency").agg(
        F.sum(F.col("quantity").cast("bigint")).alias("units"), F.sum("net").cast(MONEY).alias("net_sales")
    )
    return sums.join(names, "product_id")


def payment_outcomes(payments: DataFrame) -> DataFrame:
    """Finished payments for each day, method and currency."""
    finished = payments.where(F.col("status").isin("succeeded", "failed", "refunded"))
    failed = F.when(F.col("status") == "failed", F.col("amount")).otherwise(F.lit(0).cast("decimal(12,2)"))
    return finished.groupBy(F.to_date("processed_at").alias("payment_date"), "method", "currency").agg(
        *[F.sum(_one("status", it)).alias(it) for it in ("succeeded", "failed", "refunded")],
        F.sum(failed).cast(MONEY).alias("failed_amount"),
    )


def customer_segments(facts: DataFrame, customers: DataFrame, as_of: Column) -> DataFrame:
    """Scores and segment of every customer with a paid order."""
    sums = (
        facts.where("paid")
        .groupBy("customer_id")
        .agg(
            F.min("order_date").alias("first_order_date"),
            F.greatest(F.datediff(F.to_date(as_of), F.max("order_date")).cast("int"), F.lit(0)).alias("recency_days"),
            F.count(F.lit(1)).alias("frequency"),
            F.sum("net_amount").cast(MONEY).alias("monetary"),
        )
    )
    scored = sums.withColumns(
        {
            "r": _score([(score, F.col("recency_days") <= days) for score, days in RECENCY]),
            "f": _score([(score, F.col("frequency") >= orders) for score, orders in FREQUENCY]),
            "m": _score([(score, F.col("monetary") >= amount) for score, amount in MONETARY]),
        }
    )
    rfm = F.concat(*[F.col(it).cast("string") for it in ("r", "f", "m")])
    return scored.withColumns({"rfm": rfm, "segment": segment()}).join(
        customers.select("customer_id", "country"), "customer_id"
    )


def segment() -> Column:
    """Name of the segment by the scores r, f and m; the first that fits."""
    r, f, m = F.col("r"), F.col("f"), F.col("m")
    return (
        F.when((r >= 4) & (f >= 4) & (m >= 4), "champion")
        .when((r >= 3) & (f >= 4), "loyal")
        .when((r >= 4) & (f == 1), "new")
        .when(r >= 4, "promising")
        .when((r <= 2) & ((f >= 3) | (m >= 4)), "at_risk")
        .when(r == 2, "hibernating")
        .when(r == 1, "lost")
        .otherwise("regular")
    )


def cohort_retention(facts: DataFrame) -> DataFrame:
    """Customers of each cohort who ordered in each month after their first."""
    months = facts.select("customer_id", F.trunc("order_date", "month").alias("month")).distinct()
    first = months.groupBy("customer_id").agg(F.min("month").alias("cohort_month"))
    offset = _month_number("month") - _month_number("cohort_month")
    return (
        months.join(first, "customer_id")
        .groupBy("cohort_month", offset.cast("int").alias("month_offset"))
        .agg(F.count(F.lit(1)).alias("customers"))
    )


def _one(column: str, value: str) -> Column:
    return F.when(F.col(column) == value, 1).otherwise(0).cast("bigint")


def _paid_net() -> Column:
    return F.when(F.col("paid"), F.col("net_amount")).otherwise(F.lit(0).cast(MONEY))


def _mean(total: str, count: str) -> Column:
    """A sum of money by a count, rounded half up; null where the count is 0.

    In whole cents, as engines round or cut the digits of a decimal quotient differently before the last rounding.
    """
    cents = f"CAST({total} * 100 AS BIGINT)"
    mean = F.expr(f"(2 * {cents} + {count}) DIV (2 * nullif({count}, 0))")
    return (mean * F.lit("0.01").cast("decimal(3,2)")).cast(MONEY)


def _month_number(column: str) -> Column:
    return F.year(column) * 12 + F.month(column)


def _score(bounds: list[tuple[int, Column]]) -> Column:
    score = F.lit(1)
    for value, holds in reversed(bounds):
        score = F.when(holds, value).otherwise(score)
    return score
