"""The whole medallion on a seeded database: wall time and peak memory, the engines side by side.

python bench.py --postgres URL --engine sail=<python of an environment> --engine classic=<python of another one>

Each engine runs the three jobs on an empty lake, then again after a thousand more orders. Memory is the sum of the
resident sizes of the process and its descendants, as sampled.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "src")]

#: Seconds between two looks at the memory.
SAMPLE = 0.05

COLUMNS = ("engine", "start", "bronze", "silver", "gold", "whole", "next run", "peak memory")


def main() -> None:
    """Seeds the database, runs the engines one after the other, and reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--postgres", default="system", help="URL of a server whose user may create databases, or `system`"
    )
    parser.add_argument("--engine", action="append", default=[], metavar="NAME=PYTHON", help="sail=… or classic=…")
    parser.add_argument("--orders", type=int, default=200_000)
    parser.add_argument("--repeat", type=int, default=1, help="runs of each engine; the median by `whole` is reported")
    parser.add_argument("--child", nargs=2, metavar=("ENGINE", "DATABASE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return child(*args.child)

    import psycopg
    import seed
    from postgres import database, server

    with server(args.postgres) as url, database(url) as made:
        rows = seed.make(args.orders, seed=1)
        with psycopg.connect(made, autocommit=True) as connection:
            seed.copy(connection, rows)
            # As if they had come one by one: the next run's overlap is minutes, not the whole history.
            for table in seed.COLUMNS:
                connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER stamp")
                connection.execute(f"UPDATE {table} SET ingested_at = updated_at")
                connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER stamp")
            connection.execute("VACUUM ANALYZE")
        counts = ", ".join(f"{len(found):,} {table}" for table, found in rows.tables.items())
        out(f"{counts}; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
        out("| " + " | ".join(COLUMNS) + " |\n|" + " --- |" * len(COLUMNS))
        for engine in args.engine:
            name, _, python = engine.partition("=")
            runs = [measure(name, python or sys.executable, made) for _ in range(args.repeat)]
            result = sorted(runs, key=lambda it: it["whole"])[len(runs) // 2]
            times = [f"{result[it]:.1f} s" for it in COLUMNS[1:-1]]
            out("| " + " | ".join([name, *times, f"{result['peak memory'] / 2**20:,.0f} MiB"]) + " |")
    return None


def measure(engine: str, python: str, url: str) -> dict[str, float]:
    """Runs one engine in processes of its own."""
    command = [python, str(HERE / "bench.py"), "--child", engine, url]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        peak, done = [0], threading.Event()

        def watch() -> None:
            while not done.wait(SAMPLE):
                peak[0] = max(peak[0], resident(process.pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        answer = process.communicate()[0]
        done.set()
        watcher.join()
        if process.returncode != 0:
            log.seek(0)
            raise SystemExit(f"{engine} failed:\n{log.read()[-5000:]}")
    return {**json.loads(answer.splitlines()[-1]), "peak memory": peak[0]}


def child(engine: str, url: str) -> None:
    """Measures the jobs in this process, and prints the seconds as JSON."""
    import engines
    import psycopg
    import seed
    from postgres import job_arguments

    from ecom_pipeline.jobs import bronze, gold, silver

    took: dict[str, float] = {}
    begun = time.perf_counter()
    with engines.engine(engine, small=False) as spark, tempfile.TemporaryDirectory(prefix="ecom-bench-") as root:
        spark.range(1).count()
        took["start"] = time.perf_counter() - begun

        def run(job: object, *more: str) -> float:
            at = time.perf_counter()
            job.main(["--lake-root", root, *more], spark)
            return time.perf_counter() - at

        took["bronze"] = run(bronze, *job_arguments(url))
        took["silver"], took["gold"] = run(silver), run(gold)
        took["whole"] = sum(took.values())
        with psycopg.connect(url, autocommit=True) as connection:
            (last,) = connection.execute("SELECT max(substr(order_id, 2)::int) FROM orders").fetchone()
            # Neither its orders nor its customers are there yet.
            first = last - last % 100 + 200
            seed.copy(connection, seed.make(1000, seed=first, first=first))
        took["next run"] = run(bronze, *job_arguments(url)) + run(silver) + run(gold)
    out(json.dumps(took))


def resident(root: int) -> int:
    """Bytes of memory that a process and its descendants hold."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    total, todo = 0, [root]
    while todo:
        process = todo.pop()
        todo += children.get(process, [])
        try:
            pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
        except OSError:
            continue
        total += pages * os.sysconf("SC_PAGE_SIZE")
    return total


def out(text: str) -> None:
    """Prints; the report is what the program is for."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
