"""Spark engines for the tests: Sail in this process, or classic Apache Spark with the jars of classic-pom.xml."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Rows reach Python in the zone of the process; the tests want UTC.
os.environ["TZ"] = "UTC"
time.tzset()

HERE = Path(__file__).parent
POM = HERE / "classic-pom.xml"
ENGINES = ("sail", "classic")


@contextmanager
def engine(name: str, *, small: bool = True) -> Iterator:
    """A session of an engine, with the sources `jdbc` and `kafka`; set up for small data, or as its users have it."""
    with sail() if name == "sail" else classic(fetch_jars(), small) as spark:
        from ecom_pipeline.session import configure

        yield configure(spark)


@contextmanager
def sail() -> Iterator:
    """Sail: a Spark Connect server, and the sources that it takes from Python."""
    # Without it the client looks for an installation of Spark, and gives up.
    os.environ.setdefault("SPARK_HOME", tempfile.gettempdir())
    from pysail.spark import SparkConnectServer
    from pysail.spark.datasource.jdbc import JdbcDataSource
    from pyspark.sql import SparkSession

    server = SparkConnectServer(port=0)
    server.start(background=True)
    _, port = server.listening_address
    spark = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()
    spark.dataSource.register(JdbcDataSource)
    spark.dataSource.register(kafka_source().KafkaDataSource)
    try:
        yield spark
    finally:
        # In this order: a client whose server is gone goes on trying for minutes.
        spark.stop()
        server.stop()


@contextmanager
def classic(jars: Path, small: bool) -> Iterator:
    """Apache Spark with the real Delta Lake, PostgreSQL driver and Kafka source."""
    # The workers must be of the driver's Python.
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ.pop("SPARK_REMOTE", None)
    from pyspark.sql import SparkSession

    with tempfile.TemporaryDirectory(prefix="ecom-spark-") as scratch:
        settings = {
            # As `spark.jars` the JDBC driver is not found.
            "spark.driver.extraClassPath": f"{jars}/*",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.memory": "2g",
            "spark.local.dir": scratch,
            "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
            "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
            "spark.sql.shuffle.partitions": "2",
            "spark.databricks.delta.snapshotPartitions": "2",
            "spark.sql.warehouse.dir": f"{scratch}/warehouse",
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
        }
        if small:
            # To generate and compile code takes longer than to run it once.
            settings["spark.sql.codegen.wholeStage"] = "false"
            # VACUUM lists files in as many tasks; the default is 10,000.
            settings["spark.sql.sources.parallelPartitionDiscovery.parallelism"] = "2"
            settings["spark.driver.extraJavaOptions"] = "-XX:TieredStopAtLevel=1"
        builder = SparkSession.builder.master("local[2]")
        for key, value in settings.items():
            builder = builder.config(key, value)
        spark = builder.getOrCreate()
        spark.sparkContext.setLogLevel("ERROR")
        try:
            yield spark
        finally:
            spark.stop()


def fetch_jars(pom: Path = POM) -> Path:
    """The directory of the jars that a pom names, filled by Maven at first."""
    directory = Path(os.environ.get("ECOM_TEST_JARS") or Path(tempfile.gettempdir()) / "ecom-test-jars") / pom.stem
    stamp = directory / "pom.xml"
    if not (stamp.is_file() and stamp.read_bytes() == pom.read_bytes()):
        goal = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
        command = ["mvn", "--batch-mode", "--quiet", "--file", str(pom), goal, f"-DoutputDirectory={directory}"]
        subprocess.run(command, check=True, timeout=600)
        stamp.write_bytes(pom.read_bytes())
    return directory


def kafka_source():  # noqa: ANN201
    """The module with the Kafka source for engines that have none, as the local Databricks embeds it."""
    import importlib.util

    path = HERE.parents[1] / "src/local/databricks/kafka_source.py"
    spec = importlib.util.spec_from_file_location("kafka_source", path)
    module = importlib.util.module_from_spec(spec)
    # By its name the server finds the module again when it unpickles the source.
    sys.modules["kafka_source"] = module
    spec.loader.exec_module(module)
    return module
