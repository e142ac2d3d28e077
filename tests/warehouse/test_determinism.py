"""The same input gives the same numbers, whatever order rows and names of channels come in."""

import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from tributary.publishing import publish
from tributary.runs import read_results, runs_table
from tributary.simulation import Market, simulate

from .conftest import PROJECT, Build, Row, run_dbt

TOLERANCE = 1e-9
"""What two builds may differ by, absolutely and relative to the number; rounding is 1e-14."""

Builder = Callable[..., Build]


def forwards(place: int) -> str:
    """Name of a channel that the project has no settings for."""
    return f"c{place:02d}"


def backwards(place: int) -> str:
    """Another, which sorts the other way round."""
    return f"B{99 - place:02d}"


@pytest.fixture(scope="module")
def build_market(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """Build a small market with its channels renamed, its rows shuffled, on some threads."""
    market = simulate(Market(people=1_500), seed=1)
    channels = market.truth["channel"].to_pylist()

    def build(name_of: Callable[[int], str], seed: int, threads: int) -> Build:
        folder = tmp_path_factory.mktemp("build")
        rng = np.random.default_rng(seed)
        for name in ("sessions", "conversions", "spend"):
            table = getattr(market, name)
            if "channel" in table.column_names:
                names = [
                    name if name == "Direct" else name_of(channels.index(name))
                    for name in table["channel"].to_pylist()
                ]
                column = table.column_names.index("channel")
                table = table.set_column(column, "channel", pa.array(names))
            pyarrow.parquet.write_table(
                table.take(rng.permutation(len(table))), folder / f"{name}.parquet"
            )
        profile = (PROJECT / "profiles.yml").read_text(encoding="utf-8")
        assert "TimeZone: UTC\n" in profile
        (folder / "profiles.yml").write_text(
            profile.replace("TimeZone: UTC\n", f"TimeZone: UTC\n        threads: {threads}\n"),
            encoding="utf-8",
        )
        built = run_dbt(
            folder,
            "build",
            "--exclude-resource-type",
            "unit_test",
            "test",
            "--profiles-dir",
            str(folder),
            variables=f"{{sources: [files], files_path: {folder}}}",
            environment={"DBT_WRITE_JSON": "true"},
        )
        assert built.status == 0, built.output
        return built

    return build


@pytest.fixture(scope="module")
def market(build_market: Builder) -> Build:
    return build_market(forwards, seed=1, threads=1)


@pytest.fixture(scope="module")
def again(build_market: Builder) -> Build:
    return build_market(forwards, seed=2, threads=4)


def copy_warehouse(build: Build, folder: Path) -> None:
    """Copy what was built, with what the write-ahead log may still hold."""
    with duckdb.connect(str(build.warehouse)) as warehouse:
        warehouse.execute("checkpoint")
    shutil.copy(build.warehouse, folder)


def read(build: Build, mart: str, where: str = "") -> tuple[list[Row], np.ndarray]:
    """What is no floating-point number, and what is, sorted by the former."""
    with duckdb.connect(str(build.warehouse), read_only=True) as warehouse:
        rows = warehouse.execute(f"select * from marts.{mart} {where}")
        is_number = np.array([column[1] == "DOUBLE" for column in warehouse.description or []])
        table = rows.fetchall()
    keyed = sorted(
        (
            [str(value) for value, number in zip(row, is_number, strict=True) if not number],
            [value for value, number in zip(row, is_number, strict=True) if number],
        )
        for row in table
    )
    numbers = np.array([values for _, values in keyed], dtype=np.float64)
    return [tuple(key) for key, _ in keyed], numbers


@pytest.mark.fault(
    done="the same rows in another order, on four threads in place of one",
    expected="the same marts, numbers to 1e-9",
)
def test_every_mart_is_the_same_however_rows_come(market: Build, again: Build) -> None:
    marts = [
        name
        for (name,) in market.rows(
            "select table_name from information_schema.tables where table_schema = 'marts'"
        )
    ]

    assert len(marts) > 10
    for mart in marts:
        keys, numbers = read(market, mart)
        keys_again, numbers_again = read(again, mart)
        assert keys_again == keys, mart
        np.testing.assert_allclose(numbers_again, numbers, TOLERANCE, TOLERANCE, err_msg=mart)


DISABLED = (
    "ihc",
    "markov",
    "markov_shapley",
    "hazard",
    "hazard_without_baseline",
    "hazard_calibrated",
    "survival",
    "data_driven",
    "ensemble",
)
NOT_NEEDED = (
    "int_ihc_credits",
    "int_transition_counts",
    "markov",
    "markov_orders",
    "markov_coalitions",
    "path_credit_weights",
    "int_hazard_events",
    "int_hazard_points",
    "int_hazard_point_touches",
    "int_hazard_exposure",
    "int_hazard_touch_pairs",
    "hazard",
    "hazard_calibration",
    "int_survival_delays",
    "int_survival_exposure",
    "survival",
    "int_person_day_draws",
    "int_person_day_touches",
    "data_driven",
    "int_ensemble_credits",
)


@pytest.mark.fault(
    done="models of attribution disabled in a warehouse that had them",
    expected="every data test passes, nothing is computed for them, the others stay as they are",
)
def test_a_disabled_model_is_not_computed_and_changes_no_other(
    market: Build, tmp_path: Path
) -> None:
    copy_warehouse(market, tmp_path)
    with duckdb.connect(str(tmp_path / market.warehouse.name)) as warehouse:
        warehouse.execute(
            "update seeds.attribution_models set is_enabled = false "
            "where list_contains(?, attribution_model)",
            [DISABLED],
        )

    built = run_dbt(
        tmp_path,
        "build",
        "--select",
        "int_touchpoints+",
        "--exclude-resource-type",
        "unit_test",
        variables=f"{{sources: [files], files_path: {market.warehouse.parent}}}",
    )

    assert built.status == 0, built.output
    for name in NOT_NEEDED:
        assert market.value(f"select count(*) from intermediate.{name}") > 0, name
        assert built.value(f"select count(*) from intermediate.{name}") == 0, name
    for mart in ("fct_touchpoint_credits", "rpt_channel_attribution", "rpt_channel_performance"):
        keys, numbers = read(market, mart, f"where attribution_model not in {DISABLED}")
        keys_without, numbers_without = read(built, mart)
        assert keys_without == keys, mart
        np.testing.assert_allclose(numbers_without, numbers, TOLERANCE, TOLERANCE, err_msg=mart)


@pytest.mark.fault(
    done="the same, published",
    expected="the same bytes of every mart without fractions",
)
def test_published_bytes_are_the_same_where_no_number_is_a_sum_of_fractions(
    market: Build, again: Build, tmp_path: Path
) -> None:
    published = []
    for name, build in (("one", market), ("two", again)):
        marts = read_results(build.warehouse.parent / "target").marts
        published.append(publish(build.warehouse, tmp_path, name, marts, {}, runs_table([])))
    with_fractions = {
        mart
        for (mart,) in market.rows(
            "select distinct table_name from duckdb_columns() "
            "where schema_name = 'marts' and data_type like 'DOUBLE%'"
        )
    }
    whole = published[0].keys() - with_fractions
    assert len(whole) > 5
    assert {mart: published[1][mart].sha256 for mart in whole} == {
        mart: published[0][mart].sha256 for mart in whole
    }


WINDOWS = (
    ("2024-01-20", "2024-02-10"),
    # Overlaps the first, is within it, and is the first once more.
    ("2024-02-05", "2024-03-01"),
    ("2024-01-25", "2024-01-25"),
    ("2024-01-20", "2024-02-10"),
)
RULES = """
    attribution_model in (
        select attribution_model from seeds.attribution_models where family != 'data_driven'
    )
"""
SPEND = """
    select date::varchar, channel, max(spend)::varchar from marts.rpt_channel_performance
    where spend != 0 {} group by all order by all
"""


def test_any_window_however_often_built_is_what_all_time_says_of_it(
    market: Build, tmp_path: Path
) -> None:
    # One warehouse for all windows, as with a daily job: none may keep anything of another.
    copy_warehouse(market, tmp_path)
    # Fits take long, are not compared and stay as they are: a build would refuse to mix them.
    with duckdb.connect(str(tmp_path / market.warehouse.name)) as warehouse:
        warehouse.execute("drop table main.built_with")
    for first, last in WINDOWS:
        built = run_dbt(
            tmp_path,
            "run",
            "--select",
            "int_journey_windows",
            "int_journey_touchpoints",
            "int_rule_based_credits",
            "int_ihc_memberships",
            "int_ihc_credits",
            "fct_conversions",
            "rpt_channel_performance",
            variables=(
                f"{{sources: [files], files_path: {market.warehouse.parent}, "
                f"start_date: '{first}', end_date: '{last}'}}"
            ),
        )
        assert built.status == 0, built.output
        within = f"between timestamp '{first}' and timestamp '{last} 23:59:59.999999'"
        conversions = f"from marts.fct_conversions where converted_at {within} order by all"
        expected = market.rows(f"select * {conversions}")
        assert expected
        assert built.rows("select * from marts.fct_conversions order by all") == expected
        credits = f"""
            select [attribution_model, source, conversion_id, touchpoint_id, channel,
                touched_at::varchar] as key, credit, credited_revenue
            from marts.fct_touchpoint_credits
            where {RULES} and converted_at {within}
            order by key
        """
        found, all_time = built.rows(credits), market.rows(credits)
        assert [row[0] for row in found] == [row[0] for row in all_time]
        np.testing.assert_allclose(
            [row[1:] for row in found], [row[1:] for row in all_time], TOLERANCE, TOLERANCE
        )
        outside = (
            f"select count(*) from marts.fct_touchpoint_credits where not converted_at {within}"
        )
        assert built.value(outside) == 0
        assert built.rows(SPEND.format("")) == market.rows(
            SPEND.format(f"and date between '{first}' and '{last}'")
        )


@pytest.mark.fault(
    done="channels renamed so that they sort the other way round",
    expected="the same numbers under the new names",
    long=True,
)
def test_names_of_channels_do_not_matter(build_market: Builder, market: Build) -> None:
    renamed = build_market(backwards, seed=2, threads=4)
    name_of = {backwards(place): forwards(place) for place in range(100)}
    for columns, numbers, mart in (
        (
            "channel, attribution_model, source, conversion_id, touchpoint_id",
            "credit",
            "fct_touchpoint_credits",
        ),
        (
            "channel, attribution_model, conversion_type",
            "conversions, std_error, conversions_low, conversions_high",
            "rpt_channel_attribution",
        ),
    ):
        sql = f"select [{columns}] as key, [{numbers}]::double[] as numbers from marts.{mart}"
        expected = {tuple(key): values for key, values in market.rows(sql)}
        found = {
            (name_of.get(key[0], key[0]), *key[1:]): values for key, values in renamed.rows(sql)
        }
        assert found.keys() == expected.keys(), mart
        np.testing.assert_allclose(
            np.array([found[key] for key in expected], dtype=np.float64),
            np.array(list(expected.values()), dtype=np.float64),
            TOLERANCE,
            TOLERANCE,
            err_msg=mart,
        )
