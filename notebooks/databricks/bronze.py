# Databricks notebook source
# MAGIC %md
# MAGIC # Bronze
# MAGIC Brings what is new in the database to bronze.
# MAGIC The work is done by the package `ecom_pipeline`, which the job installs as a wheel.

# COMMAND ----------

dbutils.widgets.text("lake_root", "", "s3://bucket[/prefix]")
dbutils.widgets.text("as_of", "", "the time that counts as now; empty: the present")
dbutils.widgets.text("jdbc_url", "", "jdbc:postgresql://host:port/database")
dbutils.widgets.text("jdbc_user", "", "user")
dbutils.widgets.text("secret_scope", "", "scope of the database's secret")
dbutils.widgets.text("secret_key", "", "key of the database's secret")

# COMMAND ----------

import os

from ecom_pipeline.jobs import bronze

os.environ["ECOM_JDBC_PASSWORD"] = dbutils.secrets.get(
    dbutils.widgets.get("secret_scope"), dbutils.widgets.get("secret_key")
)
bronze.main(
    [
        "--lake-root",
        dbutils.widgets.get("lake_root"),
        "--as-of",
        dbutils.widgets.get("as_of"),
        "--jdbc-url",
        dbutils.widgets.get("jdbc_url"),
        "--jdbc-user",
        dbutils.widgets.get("jdbc_user"),
    ],
    spark,
)
