"""One statement in DuckDB, in a process of its own: what it takes. Work and answer are JSON."""

import json
import sys
import time
from collections.abc import Mapping

import duckdb

from tributary.benchmarks.peak_memory import peak_megabytes


def measure(database: str, statement: str, settings: Mapping[str, str]) -> dict[str, float]:
    """Run SQL in a database's file; give seconds on the clock, CPU seconds and peak bytes."""
    with duckdb.connect(database, config=dict(settings)) as connection:
        cpu, clock = time.process_time(), time.perf_counter()
        connection.execute(statement).fetchall()
        # What is only in memory is not yet a table.
        connection.execute("checkpoint")
        return {
            "wall_seconds": time.perf_counter() - clock,
            "cpu_seconds": time.process_time() - cpu,
            "peak_bytes": peak_megabytes() * 1e6,
        }


if __name__ == "__main__":
    print(json.dumps(measure(**json.load(sys.stdin))))
