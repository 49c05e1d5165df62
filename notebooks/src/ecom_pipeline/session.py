"""The Spark session."""

from __future__ import annotations

from pyspark.sql import SparkSession


def session() -> SparkSession:
    """The session of the process, set up as the jobs expect it; made if there is none.

    What reaches the outside (the cluster, `SPARK_REMOTE`, data sources that the engine lacks) is the launcher's affair.
    """
    return configure(SparkSession.builder.getOrCreate())


def configure(spark: SparkSession) -> SparkSession:
    """Makes dates mean UTC dates, and an overflow an error instead of a null."""
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    spark.conf.set("spark.sql.ansi.enabled", "true")
    return spark
