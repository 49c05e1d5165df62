"""The lake: Delta tables below one root, of the plain kind that Athena reads.

Never used: overwriting partitions dynamically (an engine that ignores the option replaces the whole table) and tables
made by a DataFrame (engines differ in what is nullable, and none keeps the comments).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from .contracts import Table
from .errors import PipelineError

if TYPE_CHECKING:
    from deltalake import DeltaTable

#: Keeps workspaces that default to newer features from making tables that Athena cannot read.
PROPERTIES = {
    "delta.checkpointPolicy": "classic",
    "delta.columnMapping.mode": "none",
    "delta.enableDeletionVectors": "false",
}


def conform(rows: DataFrame, table: Table) -> DataFrame:
    """The rows with exactly the columns and types of a table."""
    return rows.select(*[F.col(it.name).cast(it.type).alias(it.name) for it in table.columns])


class Lake:
    """The tables below a root."""

    def __init__(self, spark: SparkSession, root: str) -> None:
        self.spark = spark
        self.root = root.rstrip("/")

    def location(self, table: Table) -> str:
        """Where a table is."""
        return f"{self.root}/{table.path}"

    def log(self, table: Table) -> list[str]:
        """Names of the files of a table's Delta log, in order; none where there is no table."""
        try:
            files = self.spark.read.format("binaryFile").load(f"{self.location(table)}/_delta_log/*")
            # The path alone: no file is opened.
            return sorted(row["path"].rsplit("/", 1)[-1] for row in files.select("path").collect())
        except AnalysisException as error:
            if "PATH_NOT_FOUND" in str(error):
                return []
            raise

    def create(self, table: Table) -> None:
        """Makes a table unless it is there. One that is there stays as it is; the guard compares it to its contract."""
        if self.log(table):
            return
        columns = ", ".join(
            f"`{it.name}` {it.type}{'' if it.nullable else ' NOT NULL'} COMMENT {_quoted(it.comment)}"
            for it in table.columns
        )
        partitioned = f"PARTITIONED BY ({', '.join(table.partitioned_by)})" if table.partitioned_by else ""
        properties = ", ".join(f"'{key}' = '{value}'" for key, value in PROPERTIES.items())
        rest = f"({columns}) USING DELTA {partitioned} COMMENT {_quoted(table.comment)}"
        try:
            self.spark.sql(
                f"CREATE TABLE IF NOT EXISTS {self._sql(table)} {rest} TBLPROPERTIES ({properties})"
            ).collect()
        except AnalysisException as error:
            # Sail makes no table by its path alone. Its catalog lasts as long as its session: any name will do.
            if "Database not found: delta" not in str(error):
                raise
            name = f"{table.layer}_{table.name}"
            at = f"LOCATION {_quoted(self.location(table))}"
            self.spark.sql(f"DROP TABLE IF EXISTS {name}").collect()
            self.spark.sql(f"CREATE TABLE {name} {rest} {at} TBLPROPERTIES ({properties})").collect()

    def read(self, table: Table) -> DataFrame:
        """The rows of a table."""
        try:
            rows = self.spark.read.format("delta").load(self.location(table))
            # The schema is what makes engines look at the table.
            rows.schema  # noqa: B018
        except AnalysisException as error:
            if self.log(table):
                raise
            raise PipelineError(
                f"there is no table {table.path} in the lake {self.root}; run the job `{table.layer}` first"
            ) from error
        return rows

    def append(self, table: Table, rows: DataFrame) -> None:
        """Adds rows to a table, in one commit."""
        conform(rows, table).write.format("delta").mode("append").save(self.location(table))

    def replace(self, table: Table, rows: DataFrame) -> bool:
        """Makes `rows` the whole content of a table, in one commit; says whether that changed anything.

        Equal content is not written again: no new version, nothing for readers to load.
        """
        rows = conform(rows, table)
        sides = self.read(table).select(*table.names).withColumn("side", F.lit(1))
        sides = sides.unionByName(rows.withColumn("side", F.lit(-1)))
        differing = sides.groupBy(*table.names).agg(F.sum("side").alias("balance")).where("balance <> 0")
        if differing.isEmpty():
            return False
        rows.write.format("delta").mode("overwrite").save(self.location(table))
        return True

    def merge(self, table: Table, rows: DataFrame, newer: tuple[str, ...]) -> None:
        """Upserts rows by the table's key, at most one for each; a row gives way to one that is greater by `newer`.

        The rows are staged in files first: an engine may evaluate the source of a MERGE several times, and must find
        the same rows each time.
        """
        staging = f"{self.root}/staging/{table.path}"
        rows = conform(rows, table)
        rows.write.mode("overwrite").parquet(staging)
        view = f"staged_{table.layer}_{table.name}"
        self.spark.read.schema(rows.schema).parquet(staging).createOrReplaceTempView(view)
        same = " AND ".join(f"t.{it} = s.{it}" for it in table.key)
        self.spark.sql(
            f"MERGE INTO {self._sql(table)} AS t USING {view} AS s ON {same} "
            f"WHEN MATCHED AND ({_greater(newer)}) THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
        ).collect()
        self.spark.catalog.dropTempView(view)

    def list_files(self, table: Table) -> None:
        """Writes the manifest of a table: its newest version's files, for engines that do not know the Delta log.

        Redshift Spectrum is one. It is replaced as a whole, so a reader sees one version or the other. A partitioned
        table would need one for each partition.
        """
        try:
            self.spark.sql(f"GENERATE symlink_format_manifest FOR TABLE {self._sql(table)}").collect()
        except PySparkException as error:
            # Sail does not know the statement.
            if "found GENERATE at" not in str(error):
                raise
            delta_rs(self.location(table)).generate()

    def _sql(self, table: Table) -> str:
        return f"delta.`{self.location(table)}`"


def delta_rs(at: str) -> DeltaTable:
    """A table by delta-rs, for what an engine has no statement for.

    It finds the object store's endpoint and credentials in the environment, as the engine does.
    """
    try:
        from deltalake import DeltaTable
    except ImportError as error:
        raise PipelineError(
            "this engine knows none of OPTIMIZE, VACUUM and GENERATE, and the package deltalake that would do their "
            "work is not installed; install it beside the engine, or run the job on Databricks"
        ) from error
    return DeltaTable(at)


def _greater(columns: tuple[str, ...]) -> str:
    """Whether the source's row is the greater one: by the first column, by the next where that is equal, and so on."""
    ties = [
        " AND ".join([*(f"s.{it} = t.{it}" for it in columns[:at]), f"s.{it} > t.{it}"])
        for at, it in enumerate(columns)
    ]
    return " OR ".join(f"({it})" for it in ties)


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
