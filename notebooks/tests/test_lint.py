"""What the sources must not say: it fails on one engine only, or loses data silently."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HOME = Path(__file__).parents[1]
SOURCES = sorted([*HOME.glob("src/**/*.py"), *HOME.glob("databricks/*.py")])

FORBIDDEN = {
    # Sail ignores the mode and replaces the whole table.
    "dynamic partition overwrite": r"partitionOverwriteMode|overwritePartitions|INSERT\s+OVERWRITE|insertInto",
    # Absent in Sail, or absent on Databricks serverless.
    "RDD or JVM": r"\.rdd\b|sparkContext|_jvm|_jsparkSession|SparkContext",
    "caching": r"\.(cache|persist|checkpoint|localCheckpoint)\((True|False)?\)",
    "functions that Sail lacks": r"input_file_name|[\"\']_metadata|\.observe\(|saveAsTable|writeTo\(",
    # Tables are made by DDL from their contracts.
    "schemas that change as they are written": r"mergeSchema|overwriteSchema|autoMerge",
    # Engines differ in the last digit.
    "floating money": r"\bdouble\b|\bfloat\(|percentile_approx|bround|\.avg\(|F\.mean\(",
    # A time zone of its own, or a format that Sail does not read.
    "formats of dates": r"date_format|from_json\(|from_utc_timestamp",
    # Only numbers and text cross from Spark to Python: a timestamp would be in the zone of the process.
    "pandas": r"toPandas|pandas_udf|applyInPandas|mapInPandas|@udf|F\.udf",
    "features that Athena does not read": r"CLUSTER BY|enableChangeDataFeed|GENERATED ALWAYS|'name'",
    # Whatever runs the package knows where it runs; the package does not.
    "a place": r"\blocalhost\b|127\.0\.0\.1|ministack|\bsail\.|pysail",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_sources_do_not_say(what: str) -> None:
    found = [
        f"{path.relative_to(HOME)}:{number}: {line.strip()}"
        for path in SOURCES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(FORBIDDEN[what], line, re.IGNORECASE)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("dynamic partition overwrite", 'df.write.option("partitionOverwriteMode", "dynamic")'),
        ("dynamic partition overwrite", "insert  overwrite t select 1"),
        ("RDD or JVM", "df.rdd.map(f)"),
        ("caching", "df.cache()"),
        ("floating money", 'F.col("x").cast("double")'),
        ("pandas", "df.toPandas()"),
    ],
)
def test_the_lint_finds(what: str, line: str) -> None:
    assert re.search(FORBIDDEN[what], line, re.IGNORECASE)


def test_there_are_sources() -> None:
    assert len(SOURCES) > 15
