"""Options and fixtures of the suite.

pytest --engine sail|classic --postgres URL|system
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import engines
import pytest
from kafka_broker import Broker, broker
from pyspark.sql import SparkSession

from ecom_pipeline.lake import Lake


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("ecom")
    group.addoption("--engine", choices=engines.ENGINES, default=os.environ.get("ECOM_TEST_ENGINE", "sail"))
    group.addoption(
        "--kafka",
        default=os.environ.get("ECOM_TEST_KAFKA"),
        help="host:port of a broker, `mock` for librdkafka's (Sail's default), or `system` for Apache Kafka by Maven "
        "(that of classic, as Java's client does not get along with the mock)",
    )
    group.addoption(
        "--postgres",
        default=os.environ.get("ECOM_TEST_POSTGRES"),
        help="URL of a PostgreSQL whose user may create databases, or `system` for a server of the tests' own",
    )
    group.addoption("--tables-out", type=Path, default=None, help="directory for the tables of the pipeline's test")
    group.addoption("--tables-equal", type=Path, default=None, help="directory with the tables of another engine's run")


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> str:
    """Name of the engine."""
    return request.config.getoption("--engine")


@pytest.fixture(scope="session")
def spark(engine: str) -> Iterator[SparkSession]:
    """The session, the same for all tests."""
    with engines.engine(engine) as session:
        yield session


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> Lake:
    """An empty lake."""
    return Lake(spark, str(tmp_path / "lake"))


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest, engine: str) -> Iterator[Broker]:
    """The broker."""
    with broker(request.config.getoption("--kafka") or ("mock" if engine == "sail" else "system")) as found:
        yield found


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> Iterator[str]:
    """URL of the server. Without one its tests fail: they are left out by choice only."""
    given = request.config.getoption("--postgres")
    if not given:
        pytest.fail(
            "this test needs PostgreSQL: pass --postgres URL (or ECOM_TEST_POSTGRES), --postgres system for a server "
            "made with this machine's programs, or leave these tests out with -m 'not postgres'",
            pytrace=False,
        )
    from postgres import server

    with server(given) as url:
        yield url


@pytest.fixture
def database(postgres: str) -> Iterator[str]:
    """URL of a new database with the core tables."""
    from postgres import database as made

    with made(postgres) as url:
        yield url
