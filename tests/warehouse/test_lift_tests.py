"""Lift tests that users bring as a file, next to the seed lift_tests."""

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from .conftest import HEADERS, Build, run_dbt, write_csv

COLUMNS = "channel,start_date,end_date,lift,std_error,kind"
GOOD = ("ad", "2024-01-01", "2024-01-31", 12.5, 3, "holdout")


def land(folder: Path, *rows: tuple[object, ...], columns: str = COLUMNS) -> Build:
    """Land and stage a folder with a file of experiments, and nothing else in it."""
    for name, header in HEADERS.items():
        write_csv(folder / "input" / f"{name}.csv", header, [])
    if rows:
        write_csv(folder / "input" / "experiments.csv", columns, rows)
    return stage(folder)


def stage(folder: Path) -> Build:
    return run_dbt(
        folder,
        "build",
        "--select",
        "path:models/staging/files",
        variables=f"{{sources: [files], files_path: {folder / 'input'}}}",
    )


def test_experiments_may_be_absent(tmp_path: Path) -> None:
    built = land(tmp_path)

    assert built.status == 0, built.output
    assert built.value("select count(*) from staging.stg_files__experiments") == 0


def test_experiments_are_read_as_meant(tmp_path: Path) -> None:
    built = land(
        tmp_path,
        (*GOOD, ""),
        ("ad", "2024-02-01T00:00:00Z", "2024-02-01", "-1e2", ".5", "Ghost", "lead"),
        columns=COLUMNS + ",conversion_type",
    )

    assert built.status == 0, built.output
    assert built.rows("select * from staging.stg_files__experiments order by start_date") == [
        ("purchase", "ad", "holdout", date(2024, 1, 1), date(2024, 1, 31), 12.5, 3),
        ("lead", "ad", "ghost", date(2024, 2, 1), date(2024, 2, 1), -100, 0.5),
    ]


def test_parquet_types_are_read_as_meant(tmp_path: Path) -> None:
    assert land(tmp_path).status == 0
    day = date(2024, 1, 1)
    row = {"channel": "ad", "kind": "geo", "start_date": day, "end_date": day}
    table = pa.Table.from_pylist([row | {"lift": 2.0, "std_error": 1, "people": 9}])
    pyarrow.parquet.write_table(table, tmp_path / "input" / "experiments.parquet")
    built = stage(tmp_path)

    assert "columns not used: people" in built.output
    assert built.rows("select * from staging.stg_files__experiments") == [
        ("purchase", "ad", "geo", day, day, 2, 1)
    ]


@pytest.mark.fault(
    done="a lift test of an unknown kind, with dates that cannot be, or a NaN error",
    expected="the build stops and names the row",
)
@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({5: "hunch"}, "its kind is none of holdout, geo, ghost"),
        ({1: "soon"}, "start_date or end_date cannot be read"),
        ({1: "2024-02-01"}, "it ends before it starts"),
        ({4: "NaN"}, "std_error is no positive number"),
    ],
)
def test_an_experiment_that_cannot_be_used_is_named(
    tmp_path: Path, change: dict[int, object], problem: str
) -> None:
    bad = tuple(change.get(place, value) for place, value in enumerate(GOOD))
    built = land(tmp_path, GOOD, bad)

    assert built.status != 0
    output = " ".join(built.output.split())
    assert f"experiments.csv has an experiment that cannot be used: {problem}" in output
    assert f'"lift":"{bad[3]}"' in output


@pytest.mark.fault(
    done="a file of lift tests that lacks a column",
    expected="the build stops and names it",
)
def test_a_missing_column_is_named(tmp_path: Path) -> None:
    built = land(tmp_path, GOOD[:-1], columns="channel,start_date,end_date,lift,std_error")

    assert built.status != 0
    assert "has no column kind" in " ".join(built.output.split())
