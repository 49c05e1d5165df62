# Databricks notebook source
# MAGIC %md
# MAGIC # Gold
# MAGIC Computes the gold tables from silver.
# MAGIC The work is done by the package `ecom_pipeline`, which the job installs as a wheel.

# COMMAND ----------

dbutils.widgets.text("lake_root", "", "s3://bucket[/prefix]")
dbutils.widgets.text("as_of", "", "the time that counts as now; empty: the present")

# COMMAND ----------

from ecom_pipeline.jobs import gold

gold.main(
    [
        "--lake-root",
        dbutils.widgets.get("lake_root"),
        "--as-of",
        dbutils.widgets.get("as_of"),
    ],
    spark,
)
