"""PostgreSQL for the tests: a server that is given, or a new one made with the programs of this machine."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from seed import migrate


@contextmanager
def server(given: str) -> Iterator[str]:
    """A server's URL: the given one; for `system`, that of a server that lives as long as the tests."""
    if given != "system":
        yield given
        return
    programs = _programs()
    # PostgreSQL does not run as root.
    other = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="ecom-postgres-") as home:
        if other:
            shutil.chown(home, "nobody", "nogroup")
        data, port = f"{home}/data", free_port()
        _run([*other, f"{programs}/initdb", "-D", data, "-U", "ecom", "--auth=trust", "-E", "UTF8", "--no-sync"], home)
        settings = f"-p {port} -k {home} -c listen_addresses=127.0.0.1 -c fsync=off"
        _run([*other, f"{programs}/pg_ctl", "-D", data, "-l", f"{home}/log", "-o", settings, "-w", "start"], home)
        try:
            yield f"postgresql://ecom@127.0.0.1:{port}/postgres"
        finally:
            _run([*other, f"{programs}/pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"], home)


@contextmanager
def database(url: str) -> Iterator[str]:
    """The URL of a new database with the core tables, which is dropped in the end."""
    name = f"ecom_test_{secrets.token_hex(6)}"
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
        try:
            own = make_conninfo(url, dbname=name)
            with psycopg.connect(own) as connection:
                migrate(connection)
            yield own
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def job_arguments(url: str) -> list[str]:
    """What the job `bronze` is told to reach a database. The password goes into the environment."""
    parts = conninfo_to_dict(url)
    os.environ["ECOM_JDBC_PASSWORD"] = str(parts.get("password") or "unused")
    jdbc = f"jdbc:postgresql://{parts['host']}:{parts.get('port', 5432)}/{parts['dbname']}"
    return ["--jdbc-url", jdbc, "--jdbc-user", str(parts["user"])]


def _programs() -> Path:
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda it: int(it.parts[-3]), reverse=True)
    found = debian or [Path(it).resolve() for it in [shutil.which("initdb")] if it]
    if not found:
        raise RuntimeError("--postgres system: this machine has no PostgreSQL (no initdb); install it, or give a URL")
    return found[0].parent


def _run(command: list[str], home: str) -> None:
    with Path(home, "programs.log").open("a") as log:
        done = subprocess.run(
            command, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=120, check=False
        )
    if done.returncode != 0:
        output = Path(home, "programs.log").read_text() + "".join(it.read_text() for it in Path(home).glob("log"))
        raise RuntimeError(f"{Path(command[-1]).name}: {' '.join(command)} failed:\n{output}")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
