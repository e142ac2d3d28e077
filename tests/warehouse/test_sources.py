"""Calls, customers, appointments, revenue and identity links come in as they are exported."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path

import duckdb
import pytest

from .conftest import HEADERS, Build, run_dbt, write_csv

# Headers as call trackers and practice software name their columns.
TABLES: Mapping[str, tuple[str, list[tuple[object, ...]]]] = {
    "sessions": (
        "session_id,user_id,started_at,channel",
        [("s1", "u1", "2024-01-01 10:00", "Paid Search")],
    ),
    "conversions": ("conversion_id,user_id,converted_at,revenue", []),
    "calls": (
        "id,start_time,customer_phone_number,email,source,referral,duration,visitor_sid,source_name",
        [
            (
                1,
                "2024-01-01T09:00:00-05:00",
                "(212) 736-5000",
                "",
                "Google Ads",
                "7",
                "0:01:01",
                "u1",
                "Google Ads 1",
            ),
            (
                1,
                "2024-01-02 09:00",
                "(212) 736-5000",
                "",
                "Google Ads",
                "7",
                "0:01:01",
                "u1",
                "Google Ads 1",
            ),
            ("", "2024-01-02 09:00", "(212) 736-5000", "", "", "", "", "", ""),
            (2, "1970-01-01", "", "", "", "", "", "", ""),
            (3, "2199-01-01", "", "", "", "", "", "", ""),
            (4, "whenever", "", "", "", "", "", "", ""),
            (5, "2024-01-02 09:00", None, "a@b@c", "", "", "long", "", ""),
        ],
    ),
    "customers": (
        "patient_id,phone_1,phone_2,email_1,referral_source_id,created_at",
        [
            ("p1", "212-736-5000", "", "Ann@Example.org", "7", "2024-01-01 12:00"),
            ("p1", "212-736-5001", "", "", "", "2024-01-02 12:00"),
            ("", "212-736-5002", "", "", "", ""),
            ("p2", "", "", "", "", ""),
        ],
    ),
    "appointments": (
        "patient_id,booked_at,attended_at,status",
        [
            ("p1", "2024-01-02 10:00", "2024-01-05 10:00", "Attended"),
            ("p1", "2024-01-02 10:00", "2024-01-05 10:00", "Attended"),
            ("", "2024-01-02 10:00", "", ""),
            ("p1", "", "2024-01-05 10:00", ""),
        ],
    ),
    "revenue": (
        "patient_id,service_date,net,revenue_center",
        [
            ("p1", "2024-01-05", "120.50", "Implants"),
            ("p1", "2024-01-09", "-20.50", "Implants"),
            ("nobody", "2024-01-05", "10", ""),
            ("", "2024-01-05", "7", ""),
            ("p1", "2024-01-05", "NaN", ""),
            ("p1", "2199-01-05", "3", ""),
        ],
    ),
    "identity_links": (
        "linked_at,user_id,patient_id,email,kind",
        [
            ("2024-01-02", "u1", "p1", "", "login"),
            ("2024-01-02", "u1", "", "ann@example.org", "Form"),
            ("2024-01-02", "", "", "", "login"),
            ("2024-01-02", "u1", "p1", "", "guess"),
            # Without a kind it is a login, of an address and nobody.
            ("2024-01-02", "", "", "ann@example.org", ""),
        ],
    ),
}
USED = {"appointments": 2, "calls": 2, "customers": 2, "identity_links": 2, "revenue": 3}
REJECTED = {
    ("appointments", "missing_person", 1),
    ("appointments", "unreadable_time", 1),
    ("calls", "duplicate_id", 1),
    ("calls", "future_time", 1),
    ("calls", "implausible_time", 1),
    ("calls", "missing_id", 1),
    ("calls", "unreadable_time", 1),
    ("customers", "duplicate_id", 1),
    ("customers", "missing_id", 1),
    ("identity_links", "links_nothing", 1),
    ("identity_links", "missing_person", 1),
    ("identity_links", "unknown_kind", 1),
    ("revenue", "future_time", 1),
    ("revenue", "missing_person", 1),
    ("revenue", "unreadable_amount", 1),
}


def _folder(path: Path) -> Path:
    for name, (header, rows) in TABLES.items():
        write_csv(path / f"{name}.csv", header, rows)
    return path


def _insert(connection: duckdb.DuckDBPyConnection | sqlite3.Connection) -> None:
    for name, (header, rows) in TABLES.items():
        columns = header.split(",")
        connection.execute(f"create table {name} ({', '.join(f'{each} text' for each in columns)})")
        if rows:
            marks = ", ".join("?" for _ in columns)
            texts = [tuple(None if each is None else str(each) for each in row) for row in rows]
            connection.executemany(f"insert into {name} values ({marks})", texts)


def _sqlite(path: Path) -> Path:
    path.mkdir()
    with sqlite3.connect(path / "crm.db") as connection:
        _insert(connection)
    return path / "crm.db"


def _duckdb(path: Path) -> Path:
    path.mkdir()
    with duckdb.connect(str(path / "crm.duckdb")) as connection:
        _insert(connection)
    return path / "crm.duckdb"


def _build(tmp_path: Path, location: Path) -> Build:
    built = run_dbt(
        tmp_path,
        "build",
        "--exclude-resource-type",
        "unit_test",
        "--select",
        "+rpt_data_quality",
        "--indirect-selection",
        "cautious",
        variables=f"{{sources: [files], files_path: {location}}}",
        environment={"TRIBUTARY_HASH_KEY": "a key of the tests, no secret"},
    )
    assert built.status == 0, built.output
    return built


@pytest.mark.fault(
    done="calls, customers, revenue … with bad rows, as CSV, SQLite and DuckDB",
    expected="rows in = rows used + rows rejected, each with its reason",
)
@pytest.mark.fault(
    done="a time in the future",
    expected="the row is quarantined and counted",
)
@pytest.mark.fault(
    done="a link of an unknown kind",
    expected="the row is quarantined and counted",
)
@pytest.mark.parametrize("made", [_folder, _sqlite, _duckdb])
def test_every_row_is_used_or_quarantined_with_its_reason(tmp_path: Path, made: object) -> None:
    assert callable(made)
    built = _build(tmp_path, made(tmp_path / "input"))
    quality = built.rows("select entity, outcome, row_count from marts.rpt_data_quality")
    used = {entity: count for entity, outcome, count in quality if outcome == "used"}
    assert used == {"sessions": 1, **USED}
    assert {row for row in quality if row[1] != "used"} == REJECTED


def test_columns_are_found_by_the_names_of_the_trade(tmp_path: Path) -> None:
    built = _build(tmp_path, _folder(tmp_path / "input"))
    assert built.rows(
        "select call_id, called_at::varchar, phone, traffic_source, referral_source_id, "
        "duration_seconds, user_id, tracking_label from restricted.int_calls order by call_id"
    ) == [
        (
            "1",
            "2024-01-01 14:00:00",
            "(212) 736-5000",
            "Google Ads",
            "7",
            61.0,
            "u1",
            "Google Ads 1",
        ),
        ("5", "2024-01-02 09:00:00", None, None, None, None, None, None),
    ]
    assert built.rows(
        "select customer_id, list_filter(phones, lambda phone: phone != ''), emails[1] "
        "from restricted.int_customers order by customer_id"
    ) == [("p1", ["212-736-5000"], "Ann@Example.org"), ("p2", [], None)]
    assert built.rows("select net, revenue_center from intermediate.int_revenue order by net") == [
        (-20.5, "Implants"),
        (10, None),
        (120.5, "Implants"),
    ]


@pytest.mark.fault(
    done="a column renamed in an optional file",
    expected="the build stops and names the file, the column and what is there",
)
def test_missing_column_of_an_optional_entity_is_named(tmp_path: Path) -> None:
    _folder(tmp_path / "input")
    write_csv(tmp_path / "input" / "calls.csv", "id,called,contact_number", [])
    built = run_dbt(
        tmp_path, "build", variables=f"{{sources: [files], files_path: {tmp_path / 'input'}}}"
    )
    assert built.status != 0
    assert "calls.csv has no column called_at. It has: id, called, contact_number" in built.output
    assert "called_at or start_time" in built.output


@pytest.mark.fault(
    done="a database that lacks a table",
    expected="the build stops and names it",
)
def test_database_without_a_needed_table_is_named(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "empty.duckdb")) as connection:
        connection.execute("create table calls (id text)")
    built = run_dbt(
        tmp_path, "build", variables=f"{{sources: [files], files_path: {tmp_path}/empty.duckdb}}"
    )
    assert built.status != 0
    assert "there is no table or file for sessions in" in built.output


def test_inputs_that_stay_away_are_told_by_freshness(tmp_path: Path) -> None:
    files = tmp_path / "input"
    write_csv(files / "sessions.csv", HEADERS["sessions"], [("s", "u", "2024-01-01", "Email")])
    write_csv(files / "conversions.csv", HEADERS["conversions"], [("c", "u", "2024-01-02", 5)])
    write_csv(files / "spend.csv", HEADERS["spend"], [("2024-01-02", "Email", 5)])
    told = run_dbt(
        tmp_path,
        *("source", "freshness"),
        variables=f"{{sources: [files], files_path: '{files}'}}",
    )

    assert told.status == 0, told.output
    assert "WARN freshness of files.sessions" in told.output
    assert "WARN freshness of files.conversions" in told.output
    assert "WARN freshness of files.spend" in told.output
    # What is not delivered is not late.
    assert "PASS freshness of files.calls" in told.output


def test_freshness_is_not_asked_of_a_source_that_takes_no_part(tmp_path: Path) -> None:
    listed = run_dbt(tmp_path, "ls", "--resource-type", "source", variables="{sources: [ihc]}")

    assert listed.status == 0, listed.output
    assert "source:tributary.ihc" in listed.output
    assert "source:tributary.files" not in listed.output
