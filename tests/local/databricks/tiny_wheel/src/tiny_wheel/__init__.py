"""A job that says what it was given, and has a function of its own run by Spark's server."""

import sys

from pyspark.sql import SparkSession
from pyspark.sql.functions import udf


def double(it):
    return it * 2


def main():
    spark = SparkSession.builder.getOrCreate()
    doubled = spark.range(3).select(udf(double, "long")("id").alias("it")).collect()
    print("wheel", sys.argv[1:], [it["it"] for it in doubled])
