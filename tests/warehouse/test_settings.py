"""Wrong settings and missing input stop a build at its start, by name."""

import ast
import csv
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import phonenumbers
import pytest
import pytz  # type: ignore[import-untyped]
import yaml

from .conftest import PROJECT, Build, run_dbt, write_csv


def _message(folder: Path, variables: str, **environment: str) -> str:
    """Run a build that must fail cleanly and return its output on one line."""
    result = run_dbt(folder, "build", variables=variables, environment=environment)
    assert result.status != 0, result.output
    assert "Traceback" not in result.output
    assert "OK created" not in result.output
    return " ".join(result.output.split())


WRONG_SETTING = {
    "done": "a setting misspelt, of a value that is not allowed, or with a path that leads nowhere",
    "expected": "the build stops before anything runs; the setting is named with what is allowed",
}
# The project is parsed anew for these: one of each kind is enough every time.
REPARSED = pytest.mark.fault(**WRONG_SETTING, long=True)


@pytest.mark.fault(**WRONG_SETTING)
@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ("{sources: [shop]}", "The setting sources is 'shop'. Allowed: a list of demo, files, ihc"),
        pytest.param(
            "{sources: []}",
            "The setting sources is '[]'. Allowed: a list of demo, files, ihc",
            marks=REPARSED,
        ),
        ("{sources: 5}", "The setting sources is '5'. Allowed: a list of demo, files, ihc"),
        pytest.param(
            "{sources: true}", "sources is 'True'. Allowed: a list of demo,", marks=REPARSED
        ),
        pytest.param(
            "{sources: {demo: 1}}",
            "sources is '{'demo': 1}'. Allowed: a list of demo, files, ihc",
            marks=REPARSED,
        ),
        pytest.param(
            "{journey_scope: all}",
            "The setting journey_scope is 'all'. Allowed: every_prior, since_last_conversion",
            marks=REPARSED,
        ),
        ("{lookback_days: -1}", "lookback_days is '-1'. Allowed: a positive number of days"),
        ("{lookback_days: 0}", "lookback_days is '0'. Allowed: a positive number of days"),
        ("{include_touch_at_conversion: maybe}", "Allowed: true, false"),
        ("{time_decay_half_life_days: weekly}", "Allowed: a positive number of days"),
        pytest.param(
            "{markov_order: 3}",
            "markov_order is '3'. Allowed: a whole number from 1 to 2",
            marks=REPARSED,
        ),
        pytest.param(
            "{markov_order: first}",
            "Allowed: a whole number from 1 to 2 (markov_max_order), or auto",
            marks=REPARSED,
        ),
        ("{markov_max_order: 6}", "markov_max_order is '6'. Allowed: a whole number from 1 to 5"),
        ("{include_open_journeys: 2}", "include_open_journeys is '2'. Allowed: true, false"),
        ("{path_summary_rows: all}", "Allowed: a whole number from 1 to 999999"),
        (
            "{recommendation_model: linear}",
            "recommendation_model is 'linear'. Allowed: a model with intervals: markov, "
            "markov_shapley, hazard, hazard_calibrated, data_driven, ensemble",
        ),
        ("{keep_generations: 0}", "Allowed: a whole number from 1 to 999999"),
        (
            "{fail_rejected_share: 5%}",
            "fail_rejected_share is '5%'. Allowed: a share from 0 to 1, or none",
        ),
        ("{warn_rejected_share: 1.5}", "Allowed: a share from 0 to 1, or none"),
        (
            "{fail_coverage_below: 0.5}",
            "Allowed: shares from 0 to 1 of conversions_with_journey, journeys_with_known_channel, "
            "revenue_attributed, interactions_matched, as {revenue_attributed: 0.5}, or none",
        ),
        ("{warn_coverage_below: {revenue: 0.5}}", "Allowed: shares from 0 to 1 of"),
        ("{warn_coverage_below: {revenue_attributed: half}}", "Allowed: shares from 0 to 1 of"),
        (
            "{reporting_currency: euro}",
            "reporting_currency is 'euro'. Allowed: a currency in three capital letters",
        ),
        ("{without_consent: keep}", "without_consent is 'keep'. Allowed: exclude, anonymise"),
        ("{missing_consent: maybe}", "missing_consent is 'maybe'. Allowed: given, refused"),
        (
            "{retention_days: 60}",
            "retention_days is '60'. Allowed: null, or a whole number of days up to 36500 that is "
            "not below lookback_days, which is 90",
        ),
        ("{retention_days: 60, lookback_days: none}", "which is none: set that too"),
        ("{target_roas: 0}", "target_roas is '0'. Allowed: a positive number"),
        ("{raise_margin: 0.9}", "raise_margin is '0.9'. Allowed: a number from 1 to 999999"),
        ("{start_date: '2023-02-29'}", "start_date is '2023-02-29'. Allowed: a calendar day"),
        ("{end_date: tomorrow}", "end_date is 'tomorrow'. Allowed: a calendar day"),
        (
            "{start_date: 2024-02-01, end_date: 2024-01-31}",
            "start_date is '2024-02-01'. Allowed: a day on or before end_date, which is 2024-01-31",
        ),
        pytest.param(
            "{default_phone_region: us}",
            "default_phone_region is 'us'. Allowed: a country in two capital letters (ISO 3166-1)",
            marks=REPARSED,
        ),
        pytest.param("{default_phone_region: UK}", "such as US, CA or GB", marks=REPARSED),
        pytest.param("{default_phone_region: AQ}", "has phone numbers of its own", marks=REPARSED),
        pytest.param("{default_phone_region: NO}", "'NO' needs quotes", marks=REPARSED),
        pytest.param(
            "{email_provider_rules: some}",
            "email_provider_rules is 'some'. Allowed: true, false",
            marks=REPARSED,
        ),
        (
            "{identity_max_customers_per_contact: 0}",
            "Allowed: a whole number from 1 to 999999",
        ),
        pytest.param(
            "{probabilistic_matching: 1}",
            "probabilistic_matching is '1'. Allowed: true, false",
            marks=REPARSED,
        ),
        pytest.param(
            "{match_threshold: 0.5}", "Allowed: a number above 0.5 and below 1", marks=REPARSED
        ),
        pytest.param(
            "{match_threshold: 1}", "Allowed: a number above 0.5 and below 1", marks=REPARSED
        ),
        ("{start_date: '2100-01-01'}", "Allowed: a calendar day from 1900 to 2099"),
        ("{target_roas: 0.0000000001}", "with 9 decimals at most"),
        ("{lookback_day: 30}", "There is no setting 'lookback_day'. Allowed: sources,"),
        ("{sources: [ihc]}", "Source ihc: no SQLite database is named."),
        ("{sources: [ihc], ihc_database: nowhere.db}", "there is no file nowhere.db"),
        pytest.param(
            "{sources: [ihc], ihc_database: Makefile}",
            "Makefile is not a SQLite database",
            marks=REPARSED,
        ),
        ("{sources: [files]}", "Source files: no folder or database is named."),
        (
            "{sources: [files], files_path: nowhere}",
            "there is no table or file for sessions in nowhere",
        ),
        ("{demo_path: nowhere}", "Make it with: tributary simulate"),
    ],
)
def test_wrong_setting_is_named_with_what_is_allowed(
    tmp_path: Path, variables: str, expected: str
) -> None:
    assert expected in _message(tmp_path, variables)


def test_types_of_seeds_do_not_follow_from_the_rows_they_happen_to_have() -> None:
    # An empty column, or one of digits alone, would be one of numbers.
    properties = yaml.safe_load((PROJECT / "seeds" / "_seeds.yml").read_text(encoding="utf-8"))
    typed = {seed["name"]: list(seed["config"]["column_types"]) for seed in properties["seeds"]}
    for path in (PROJECT / "seeds").glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            assert typed.pop(path.stem) == next(csv.reader(file)), path.stem
    assert not typed


@pytest.mark.fault(
    done="an unknown source in the environment",
    expected="the build stops before anything runs and names it",
    long=True,
)
def test_unknown_source_in_the_environment_is_named(tmp_path: Path) -> None:
    assert "sources is 'crm'" in _message(tmp_path, "{}", TRIBUTARY_SOURCES="demo,crm")


@pytest.mark.fault(
    done="a column renamed",
    expected="the build stops and names the file, the column and what is there",
)
def test_missing_column_is_named_with_what_is_there(tmp_path: Path) -> None:
    write_csv(tmp_path / "sessions.csv", "session_id,user_id,started_at,chanel", [])
    message = _message(tmp_path, f"{{sources: [files], files_path: {tmp_path}}}")
    assert (
        "sessions.csv has no column channel. It has: session_id, user_id, started_at, chanel"
        in (message)
    )


@pytest.mark.fault(
    done="a column less in one of several files",
    expected="the build stops and names that file",
)
def test_missing_column_of_one_file_among_several_is_named(tmp_path: Path) -> None:
    write_csv(tmp_path / "sessions_1.csv", "session_id,user_id,started_at,channel", [])
    write_csv(tmp_path / "sessions_2.csv", "session_id,user_id,started_at,medium", [])
    message = _message(tmp_path, f"{{sources: [files], files_path: {tmp_path}}}")
    assert "sessions_2.csv has no column channel." in message


@pytest.mark.fault(
    expected="the build stops and names the file and the line",
)
@pytest.mark.parametrize(
    ("row", "expected"),
    [
        pytest.param(
            b's2,u,2024-01-01,"ad',
            "line 30002: Value with unterminated quote found",
            marks=pytest.mark.fault(done="a quote left open far down in a CSV file"),
        ),
        pytest.param(
            "s2,u,2024-01-01,café".encode("latin-1"),
            "line 30002: Invalid unicode",
            marks=pytest.mark.fault(done="a CSV file that is Latin-1 and not UTF-8"),
        ),
    ],
)
def test_unclosed_quote_or_wrong_encoding_is_named_with_its_line(
    tmp_path: Path, row: bytes, expected: str
) -> None:
    # Beyond the head of the file, from which the reader guesses its form.
    good = b"s1,u,2024-01-01,ad\n" * 30_000
    header = b"session_id,user_id,started_at,channel\n"
    (tmp_path / "sessions.csv").write_bytes(header + good + row + b"\n" + good)
    message = _message(tmp_path, f"{{sources: [files], files_path: {tmp_path}}}")
    assert f"sessions.csv, {expected}" in message


@pytest.mark.fault(
    done="a quote left open in the first rows of a CSV file",
    expected="the build stops; the message names the line",
)
def test_unclosed_quote_near_the_head_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "sessions.csv").write_text(
        'session_id,user_id,started_at,channel\ns1,u,2024-01-01,"ad\ns2,u,2024-01-01,ad\n'
    )
    message = _message(tmp_path, f"{{sources: [files], files_path: {tmp_path}}}")
    assert "sessions.csv, line 2: Value with unterminated quote found" in message


@pytest.mark.fault(
    done="a CSV file with a separator that nobody uses",
    expected="the build stops and hints at it",
)
def test_unusual_separator_is_hinted_at(tmp_path: Path) -> None:
    (tmp_path / "sessions.csv").write_text("session_id:user_id:started_at:channel\n")
    message = _message(tmp_path, f"{{sources: [files], files_path: {tmp_path}}}")
    assert "One column alone hints at" in message


@pytest.mark.fault(
    done="an empty CSV file, and files of other encodings",
    expected="the build stops and names file and line",
)
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "sessions.csv has no header: it is empty or not UTF-8."),
        ("größe\n".encode("latin-1"), "sessions.csv has no header: it is empty or not UTF-8."),
        (
            "session_id,user_id,started_at,channel\ns1,u,2024-01-01,ad\n".encode("utf-16"),
            "sessions.csv, line 1: Invalid unicode",
        ),
        (
            "session_id,user_id,started_at,channel,größe\ns1,u,2024-01-01,ad,1\n".encode("latin-1"),
            "sessions.csv, line 1: Invalid unicode",
        ),
    ],
)
def test_file_without_a_header_that_can_be_read_is_named(
    tmp_path: Path, content: bytes, expected: str
) -> None:
    (tmp_path / "sessions.csv").write_bytes(content)
    message = _message(tmp_path, f"{{sources: [files], files_path: {tmp_path}}}")
    assert expected in message


@pytest.mark.fault(
    done="the same data as CSV and as Parquet",
    expected="the build stops and says so",
)
def test_both_kinds_of_file_for_one_entity_are_an_error(tmp_path: Path) -> None:
    write_csv(tmp_path / "sessions.csv", "session_id,user_id,started_at,channel", [])
    (tmp_path / "sessions.parquet").write_bytes(b"")
    message = _message(tmp_path, f"{{sources: [files], files_path: {tmp_path}}}")
    assert "sessions comes both as CSV and as Parquet" in message


@pytest.mark.fault(
    done="a SQLite database that lacks a table or a column",
    expected="the build stops and names it",
)
@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ("", "has no table session_sources"),
        (
            "create table session_sources (session_id, user_id, event_date, event_time,"
            " channel_name, holder_engagement, closer_engagement, impression_interaction);"
            "create table conversions (conv_id, user_id, conv_date, revenue);"
            "create table session_costs (session_id, cost);",
            "table conversions of {database} has no column conv_time",
        ),
    ],
)
def test_missing_table_or_column_of_the_database_is_named(
    tmp_path: Path, statements: str, expected: str
) -> None:
    database = tmp_path / "shop.db"
    with sqlite3.connect(database) as connection:
        connection.executescript(statements + "create table other (x);")
    message = _message(tmp_path, f"{{sources: [ihc], ihc_database: {database}}}")
    assert expected.format(database=database) in message


def test_the_folder_of_a_new_warehouse_is_made(tmp_path: Path) -> None:
    warehouse = tmp_path / "data" / "of mine" / "new.duckdb"
    built = run_dbt(
        tmp_path,
        *("seed", "--select", "click_ids"),
        variables=f"{{demo_path: '{tmp_path}'}}",
        environment={"TRIBUTARY_WAREHOUSE": str(warehouse)},
    )

    assert warehouse.exists(), built.output


def test_regions_are_those_that_the_reader_of_numbers_knows() -> None:
    macro = (PROJECT / "macros/settings/settings.sql").read_text(encoding="utf-8")
    (without,) = re.findall(r"set without_numbers = (\[.*?\])", macro)
    (further,) = re.findall(r"country_names\.keys\(\) \| list \+ (\[.*?\])", macro)
    named = {*pytz.country_names} - {*ast.literal_eval(without)} | {*ast.literal_eval(further)}
    assert named == {*phonenumbers.SUPPORTED_REGIONS}


UNUSUAL = {
    "short": (
        "lookback_days: 3, journey_scope: since_last_conversion, "
        "include_touch_at_conversion: true, time_decay_half_life_days: 0.5, markov_order: 1, "
        "markov_max_order: 1, include_open_journeys: false, path_summary_rows: 1, "
        "recommendation_model: markov"
    ),
    "long": (
        "lookback_days: none, markov_order: 3, markov_max_order: 5, start_date: '2024-01-05', "
        "end_date: '2024-02-20', without_consent: anonymise, missing_consent: refused, "
        "warn_rejected_share: null, recommendation_model: ensemble"
    ),
}


@pytest.mark.fault(
    done="settings far from their defaults, such as a lookback of three days",
    expected="a whole build, whose data tests pass",
)
@pytest.mark.parametrize(
    "settings",
    [
        UNUSUAL["short"],
        pytest.param(
            UNUSUAL["long"],
            marks=pytest.mark.fault(
                done="a lookback without end, and a Markov chain of the third order",
                expected="a whole build, whose data tests pass",
                long=True,
            ),
        ),
    ],
    ids=UNUSUAL,
)
def test_a_whole_build_takes_unusual_settings(
    build_files: Callable[..., Build], settings: str
) -> None:
    days = [f"2024-{1 + day // 28:02}-{1 + day % 28:02}" for day in range(56)]
    touches = [
        (f"s{number}", f"u{number % 90}", f"{days[number % 56]} 08:{number % 60:02}", channel)
        for number, channel in enumerate(["Email", "Paid Social", "Direct"] * 120)
    ]
    orders = [
        (f"c{number}", f"u{number % 90}", f"{days[(3 * number) % 56]} 20:00", 10 + number)
        for number in range(150)
    ]
    built = build_files({"sessions": touches, "conversions": orders}, settings)
    models = built.value("select count(distinct attribution_model) from marts.rpt_channel_roi")

    assert models == built.value("select count(*) from seeds.attribution_models where is_enabled")
