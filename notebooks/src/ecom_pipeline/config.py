"""Arguments of the jobs."""

from __future__ import annotations

import argparse
import json
import logging
import os
from collections.abc import Sequence

from . import moment
from .errors import PipelineError


class Parser(argparse.ArgumentParser):
    """The parser of a job's arguments, with those that all jobs take."""

    def __init__(self, job: str, about: str) -> None:
        super().__init__(prog=job, description=about, allow_abbrev=False)
        self.add_argument("--lake-root", required=True, help="where the lake is: s3://bucket[/prefix], or a local path")
        self.add_argument(
            "--as-of",
            type=_as_of,
            default=None,
            help="the time that counts as now (RFC 3339): rows ingested later are left for a later run, and recency is "
            "counted from it; empty: the present",
        )

    def read(self, argv: Sequence[str] | None) -> argparse.Namespace:
        """Reads the arguments (those of the process by default), and starts the log."""
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
        for name in ("py4j", "pyspark"):
            logging.getLogger(name).setLevel(logging.WARNING)
        return self.parse_args(argv)

    def add_manifests(self) -> None:
        """Adds the argument that asks for manifests."""
        self.add_argument(
            "--manifests",
            action="store_true",
            help="write beside each gold table the list of its files, by which Redshift Spectrum reads it",
        )

    def add_jdbc(self) -> None:
        """Adds the arguments that reach the database."""
        self.add_argument("--jdbc-url", required=True, help="jdbc:postgresql://host:port/database")
        self.add_argument("--jdbc-user", required=True)
        self.add_argument(
            "--jdbc-password-env",
            default="ECOM_JDBC_PASSWORD",
            help="environment variable with the password, bare or as {username, password} in JSON",
        )
        self.add_argument("--jdbc-partitions", type=int, default=4, help="connections that share a large read")


def password(variable: str) -> str:
    """The password in an environment variable: bare, or in the JSON that Secrets Manager keeps for a database."""
    value = os.environ.get(variable)
    if not value:
        raise PipelineError(
            f"the environment variable {variable} holds no database password; set it, or name another variable with "
            "--jdbc-password-env (on Databricks: spark_env_vars with {{secrets/<scope>/<key>}})"
        )
    try:
        secret = json.loads(value)
    except ValueError:
        return value
    if not isinstance(secret, dict):
        # A bare password may happen to be JSON, such as 12345.
        return value
    if not isinstance(secret.get("password"), str):
        raise PipelineError(f"the JSON in the environment variable {variable} has no text `password`")
    return secret["password"]


def _as_of(text: str) -> int | None:
    try:
        return moment.parse(text) if text else None
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
