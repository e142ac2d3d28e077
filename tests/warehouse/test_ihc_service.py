"""Results of the external IHC service are a source: absent, wrong, or taken as they are."""

from pathlib import Path

import duckdb
import pytest

from .conftest import HEADERS, Build, run_dbt, write_csv

COLUMNS = [
    ("source", "VARCHAR"),
    ("conversion_id", "VARCHAR"),
    ("touchpoint_id", "VARCHAR"),
    ("initializer", "DOUBLE"),
    ("holder", "DOUBLE"),
    ("closer", "DOUBLE"),
    ("ihc", "DOUBLE"),
    ("computed_at", "TIMESTAMP"),
]
RESULTS = """
    select
        'files' as source, ' c' as conversion_id, session_id, 0.5 as initializer, 0.0 as holder,
        0.5::decimal(3, 2) as closer, 0.5 as ihc,
        timestamptz '2024-01-02 03:00:00+02' as computed_at
    from (values (1), (2)) as sessions (session_id)
"""


def stage(folder: Path, setting: str = "") -> Build:
    """Build the staging model on input without rows, with its data tests."""
    for name, header in HEADERS.items():
        write_csv(folder / "input" / f"{name}.csv", header, [])
    variables = f"{{sources: [files], files_path: {folder / 'input'}{setting}}}"
    return run_dbt(folder, "build", "--select", "stg_ihc_service__credits", variables=variables)


def write_results(path: Path, query: str) -> None:
    path.parent.mkdir(exist_ok=True)
    duckdb.sql(query).write_parquet(str(path))


def staged_columns(built: Build) -> list[tuple[str, str]]:
    rows = built.rows("describe staging.stg_ihc_service__credits")
    return [(name, kind) for name, kind, *_ in rows]


def test_without_results_the_staging_model_is_there_and_empty(tmp_path: Path) -> None:
    built = stage(tmp_path, ", ihc_results_path: none")
    assert built.status == 0, built.output
    assert staged_columns(built) == COLUMNS
    assert built.value("select count(*) from staging.stg_ihc_service__credits") == 0


def test_results_are_cast_and_none_is_lost(tmp_path: Path) -> None:
    write_results(tmp_path / "results" / "credits.parquet", RESULTS)
    (tmp_path / "results" / "failures.csv").write_text("not a result\n")
    built = stage(tmp_path, f", ihc_results_path: {tmp_path / 'results'}/")
    assert built.status == 0, built.output
    assert staged_columns(built) == COLUMNS
    assert built.rows(
        "select * replace (computed_at::varchar as computed_at) "
        "from staging.stg_ihc_service__credits order by touchpoint_id"
    ) == [("files", "c", number, 0.5, 0, 0.5, 0.5, "2024-01-02 01:00:00") for number in ("1", "2")]


@pytest.mark.fault(
    done="results of the IHC service that are not there or lack a column",
    expected="the build stops and names them",
)
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (None, "there is no Parquet file in FOLDER. Make it with: tributary ihc-api"),
        (
            f"select * exclude (closer) from ({RESULTS})",
            "FOLDER/credits.parquet has no column closer. It has: source, conversion_id,",
        ),
    ],
)
def test_missing_results_or_columns_stop_the_build_by_name(
    tmp_path: Path, query: str | None, expected: str
) -> None:
    folder = tmp_path / "results"
    if query:
        write_results(folder / "credits.parquet", query)
    built = stage(tmp_path, f", ihc_results_path: {folder}")
    assert built.status != 0
    assert expected.replace("FOLDER", str(folder)) in " ".join(built.output.split())


@pytest.mark.fault(
    done="results of the IHC service that are no shares, or come twice",
    expected="data tests fail",
)
def test_results_that_are_no_shares_or_repeat_fail_the_build(tmp_path: Path) -> None:
    odd = f"select * replace ('?' as holder) from ({RESULTS})"
    write_results(tmp_path / "results" / "credits.parquet", f"{RESULTS} union all {odd}")
    built = stage(tmp_path, f", ihc_results_path: {tmp_path / 'results'}")
    assert built.status != 0
    assert "ERROR=1" in built.output
    test = "checks_of_stg_ihc_service__credits"
    assert f"{test}: ihc_service_credits_are_shares: rows that fail: " in built.output
    assert f"{test}: primary_key: source, conversion_id, touchpoint_id: rows" in built.output
