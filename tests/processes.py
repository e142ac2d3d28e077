"""Processes that tests may kill: they start in milliseconds, from one that has imported much."""

import multiprocessing

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    ["duckdb", "numpy", "pyarrow.parquet", "pytest", "tributary.cli", "typer.testing", "yaml"]
)
