"""Tables and views are replaced whole or not at all, and keep to their contracts."""

from pathlib import Path

import duckdb
import pytest

from .conftest import Build, run_dbt

GOOD = "select 'Email' as channel, 1 as channel_key, 'Email' as channel_group, false as is_paid"
BEFORE = [("(baseline)",), ("(unattributed)",), ("Email",)]


def change(warehouse: Path, *statements: str) -> None:
    with duckdb.connect(str(warehouse)) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.fixture
def built(tmp_path: Path) -> Build:
    """Build a mart from a table that is all it reads."""
    change(
        tmp_path / "tributary.duckdb",
        "create schema intermediate",
        f"create table intermediate.int_channels as {GOOD}",
    )
    built = run_dbt(tmp_path, "run", "--select", "dim_channels")
    assert built.status == 0, built.output
    return built


def channels(built: Build) -> list[tuple[object, ...]]:
    return built.rows("select channel from marts.dim_channels order by 1")


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ("select * replace ('no truth value' as is_paid)", "is_paid"),
        ("select * exclude (channel_group), 1 as channel_groups", "channel_group"),
        ("select * replace (cast(null as varchar) as channel_group)", "NOT NULL constraint failed"),
        ("select * replace (error('in the middle') as channel_group)", "in the middle"),
    ],
)
def test_a_model_that_fails_or_breaks_its_contract_leaves_the_table_as_it_was(
    built: Build, rows: str, told: str
) -> None:
    change(
        built.warehouse,
        "drop table intermediate.int_channels",
        f"create view intermediate.int_channels as {rows} from ({GOOD})",
    )
    failed = run_dbt(built.warehouse.parent, "run", "--select", "dim_channels")
    assert failed.status != 0
    assert told in failed.output
    assert channels(built) == BEFORE


def test_a_model_takes_the_place_of_what_has_its_name(built: Build) -> None:
    # A table where there was a view, and a view where there was a table.
    change(
        built.warehouse,
        "drop table marts.dim_channels",
        "create view marts.dim_channels as select 1 as another",
        "create table intermediate.int_channel_names as select 1 as another",
    )
    again = run_dbt(built.warehouse.parent, "run", "--select", "dim_channels int_channel_names")
    assert again.status == 0, again.output
    assert channels(built) == BEFORE
    assert built.rows("select channel_names from intermediate.int_channel_names") == [(["Email"],)]
    assert built.rows(
        "select table_name, table_type from information_schema.tables "
        "where table_name in ('dim_channels', 'int_channel_names') order by 1"
    ) == [("dim_channels", "BASE TABLE"), ("int_channel_names", "VIEW")]
