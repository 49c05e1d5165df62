# Databricks notebook source
# MAGIC %md
# MAGIC # Maintenance
# MAGIC Compacts and vacuums all tables.
# MAGIC The work is done by the package `ecom_pipeline`, which the job installs as a wheel.

# COMMAND ----------

dbutils.widgets.text("lake_root", "", "s3://bucket[/prefix]")
dbutils.widgets.text("as_of", "", "the time that counts as now; empty: the present")

# COMMAND ----------

from ecom_pipeline.jobs import maintenance

maintenance.main(
    [
        "--lake-root",
        dbutils.widgets.get("lake_root"),
        "--as-of",
        dbutils.widgets.get("as_of"),
    ],
    spark,
)
