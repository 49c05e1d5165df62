# Databricks notebook source
# MAGIC %md
# MAGIC # Kafka ingest
# MAGIC Keeps the Kafka records themselves in bronze, as a stream that takes all there is and stops.
# MAGIC The work is done by the package `ecom_pipeline`, which the job installs as a wheel.

# COMMAND ----------

dbutils.widgets.text("lake_root", "", "s3://bucket[/prefix]")
dbutils.widgets.text("as_of", "", "the time that counts as now; empty: the present")
dbutils.widgets.text("bootstrap_servers", "", "host:port[,host:port…]")
dbutils.widgets.text("topics", "customers,orders,order_details,payments", "comma-separated")

# COMMAND ----------

from ecom_pipeline.jobs import kafka_ingest

kafka_ingest.main(
    [
        "--lake-root",
        dbutils.widgets.get("lake_root"),
        "--as-of",
        dbutils.widgets.get("as_of"),
        "--bootstrap-servers",
        dbutils.widgets.get("bootstrap_servers"),
        "--topics",
        dbutils.widgets.get("topics"),
        "--stream",
    ],
    spark,
)
