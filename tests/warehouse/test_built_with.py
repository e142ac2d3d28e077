"""A build of a part goes on from what was built with the same settings, and mixes no others."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from .conftest import BIN, HEADERS, PROJECT, Build, environment_of, run_dbt, write_csv

CREDITS = "int_rule_based_credits"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Build journeys, and the credits of rules."""
    folder = tmp_path_factory.mktemp("built")
    touches = [(f"s{i}", f"u{i % 3}", f"2024-01-{i + 1:02}", "ad") for i in range(12)]
    orders = [(f"c{i}", f"u{i}", "2024-01-20", 10) for i in range(3)]
    write_csv(folder / "input" / "sessions.csv", HEADERS["sessions"], touches)
    write_csv(folder / "input" / "conversions.csv", HEADERS["conversions"], orders)
    result = again(folder, "build", f"+{CREDITS}", "+fct_conversions")
    assert result.status == 0, result.output
    return result


def again(folder: Path, command: str, *selected: str, settings: str = "") -> Build:
    files = folder / "input"
    return run_dbt(
        folder,
        *(command, "--select", *selected, "--indirect-selection", "cautious"),
        *(() if command in {"run", "seed"} else ("--exclude-resource-type", "unit_test")),
        variables=f"{{sources: [files], files_path: '{files}', {settings}}}",
    )


def refusal(built: Build, *selected: str, settings: str = "") -> str:
    before = built.rows("select * from main.built_with order by all")
    refused = again(built.warehouse.parent, "run", *selected, settings=settings)
    assert refused.status != 0, refused.output
    assert built.rows("select * from main.built_with order by all") == before
    return " ".join(refused.output.split())


def change(built: Build, statement: str) -> None:
    with duckdb.connect(str(built.warehouse)) as connection:
        connection.execute(statement)


@pytest.mark.fault(
    done="dbt build --select with another period, lookback … than what it reads was built with",
    expected="refused; settings and models are named, and what to select",
)
def test_rows_of_two_settings_are_not_mixed(built: Build) -> None:
    told = refusal(
        built,
        *(CREDITS, "int_touchpoints"),
        settings=(
            "end_date: 2024-01-31, lookback_days: 30, journey_scope: since_last_conversion, "
            "include_touch_at_conversion: true, without_consent: anonymise, "
            "time_decay_half_life_days: 3, target_roas: 2, path_summary_rows: 5"
        ),
    )
    for expected in (
        "end_date is 2024-01-31 and was none in a build of int_",
        "journey_scope is since_last_conversion and was every_prior in a build of int_",
        "lookback_days is 30 and was 90 in a build of int_",
        "include_touch_at_conversion is true and was false in a build of int_",
        # What a view reads is read, too.
        "without_consent is anonymise and was exclude in a build of int_",
        f"(dbt build), or those models too (--select +{CREDITS} +int_touchpoints), or give",
    ):
        assert expected in told
    # Nothing that is read follows from these.
    for setting in ("time_decay_half_life_days", "target_roas", "path_summary_rows"):
        assert f"{setting} is" not in told

    told = refusal(built, "int_conversions", settings="reporting_currency: EUR")
    assert "reporting_currency is EUR and was none in a build of int_" in told
    assert "was none in a build of int_" in refusal(
        built, "fct_conversions", settings="start_date: 2024-01-02"
    )


@pytest.mark.fault(
    done="a seed loaded anew, and a part built without all that follows from the seed",
    expected="refused; the seed and the models are named",
)
def test_rows_of_two_seeds_are_not_mixed(built: Build, tmp_path: Path) -> None:
    shutil.copytree(built.warehouse.parent, tmp_path, dirs_exist_ok=True)
    built = replace(built, warehouse=tmp_path / built.warehouse.name)
    seed = '"seed.tributary.channel_groups": "'
    change(
        built,
        f"update main.built_with set settings = replace(settings, '{seed}', '{seed}another ')"
        " where name like 'model.%'",
    )
    told = refusal(built, CREDITS)
    assert "The seed channel_groups has other rows than in a build of int_" in told
    # What does not follow from the seed is not asked.
    assert again(tmp_path, "run", "int_sessions_checked").status == 0


def test_the_settings_that_models_follow_from_are_found(tmp_path: Path) -> None:
    """All but where the input lies, and what only says whether a build fails or is kept."""
    told = run_dbt(
        tmp_path,
        "compile",
        "--inline",
        """
        {% set found = [] %}
        {% for name, node in graph.nodes.items() if node.resource_type == 'model' %}
            {% do found.extend(settings_in(node.raw_code ~ node.unrendered_config)) %}
        {% endfor %}
        select '{{ setting_names() | reject("in", found) | sort | join(" ") }}' as not_found
        """,
        variables=f"{{sources: [files], files_path: '{tmp_path}'}}",
    )
    assert (
        "'demo_path fail_coverage_below fail_rejected_share files_path ihc_database "
        "keep_generations warn_coverage_below warn_rejected_share' as not_found" in told.output
    )


def test_what_is_kept_follows_from_no_setting_that_recomputes_nothing(tmp_path: Path) -> None:
    for name in ("sessions", "conversions"):
        write_csv(tmp_path / f"{name}.csv", HEADERS[name], [])
    told = run_dbt(
        tmp_path,
        "compile",
        "--inline",
        """
        {% set nodes, kept, found = {}, [], [] %}
        {% for name, node in graph.nodes.items() if node.resource_type == 'model' %}
            {% do nodes.update({name: node}) %}
        {% endfor %}
        {% for name, node in nodes.items() if node.config.materialized == 'incremental' %}
            {% do kept.append(name) %}
            {% do found.extend(settings_of_model(nodes, name)) %}
        {% endfor %}
        select '{{ kept | length }} kept'
        , '{{ settings_of_nothing_kept() | select("in", found) | sort | join(" ") }}' as followed
        """,
        variables=f"{{sources: [files], files_path: '{tmp_path}'}}",
    )
    assert "'9 kept'" in told.output
    # What the end and the sources change is in the rows; the model of recommendations has the
    # hazard computed, which is not kept.
    assert "'end_date recommendation_model sources' as followed" in told.output


def test_a_part_is_built_where_nothing_is_mixed(built: Build) -> None:
    folder = built.warehouse.parent
    for command, selected, settings in (
        # The same, written otherwise; and of use to what is selected, not to what that reads.
        ("run", CREDITS, "lookback_days: '90.0', end_date: null"),
        ("run", CREDITS, "time_decay_half_life_days: 3"),
        # Nothing is built of what is there.
        ("test", "fct_conversions", "end_date: 2024-01-31"),
        ("seed", "channel_groups", "end_date: 2024-01-31"),
        ("build", CREDITS, ""),
        # With all that is read, and back again.
        ("run", f"+{CREDITS}", "lookback_days: 30"),
        ("run", CREDITS, "lookback_days: 30"),
        ("build", f"+{CREDITS}", ""),
    ):
        made = again(folder, command, selected, settings=settings)
        assert made.status == 0, made.output


def test_a_build_that_was_stopped_before_it_began_has_built_nothing(built: Build) -> None:
    folder = built.warehouse.parent
    assert again(folder, "build", "*", settings="files_path: nowhere").status != 0
    assert again(folder, "run", CREDITS).status == 0


def test_of_a_warehouse_made_before_there_was_a_record_nothing_is_asked(
    built: Build, tmp_path: Path
) -> None:
    shutil.copytree(built.warehouse.parent, tmp_path, dirs_exist_ok=True)
    old = replace(built, warehouse=tmp_path / built.warehouse.name)
    change(old, "drop table main.built_with")
    assert again(tmp_path, "run", CREDITS, settings="lookback_days: 30").status == 0
    assert old.rows("select name from main.built_with") == [(f"model.tributary.{CREDITS}",)]


@pytest.mark.fault(
    done="dbt build --select after a build with another lookback that was killed on its way",
    expected="refused; of what the killed build was to make, nobody knows which it is of",
    long=True,
)
def test_what_a_killed_build_has_begun_may_be_of_its_settings(built: Build, tmp_path: Path) -> None:
    shutil.copytree(built.warehouse.parent, tmp_path, dirs_exist_ok=True)
    copied = replace(built, warehouse=tmp_path / built.warehouse.name)
    files = f"sources: [files], files_path: '{built.warehouse.parent / 'input'}'"
    # Of two such builds in a row, the second does not say what the first has made.
    for days in (3, 5):
        with subprocess.Popen(
            [
                BIN / "dbt",
                "run",
                "--select",
                f"+{CREDITS}",
                "--vars",
                f"{{{files}, lookback_days: {days}}}",
            ],
            cwd=PROJECT,
            env=environment_of(tmp_path),
            stdout=subprocess.PIPE,
            text=True,
        ) as killed:
            assert killed.stdout is not None
            assert any("OK created sql view model" in line for line in killed.stdout)
            killed.kill()

    told = refusal(copied, CREDITS, settings=f"{files}, lookback_days: 5")
    assert "lookback_days is 5 and was 3 in a build of int_" in told
    assert "lookback_days is 5 and was 90 in a build of int_" in told


@pytest.mark.fault(
    done="dbt run in a new warehouse, before dbt seed",
    expected="refused before anything is built; the seeds are named, and how to load them",
)
def test_models_of_seeds_that_are_not_loaded_are_refused(tmp_path: Path) -> None:
    for name in ("sessions", "conversions"):
        write_csv(tmp_path / "input" / f"{name}.csv", HEADERS[name], [])
    refused = again(tmp_path, "run", "stg_files__sessions", "int_currency_rates")
    loaded = again(tmp_path, "seed", "currency_rates")
    built = again(tmp_path, "run", "stg_files__sessions", "int_currency_rates")

    assert refused.status != 0, refused.output
    assert (
        "What is selected reads seeds that are not loaded: currency_rates. Load them before"
        " (dbt seed), or build all at once (dbt build)." in " ".join(refused.output.split())
    )
    assert loaded.status == 0, loaded.output
    assert built.status == 0, built.output
