"""Files of one entity that differ from each other, and names of files that mean something else."""

import gzip
import sqlite3
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from .conftest import HEADERS, Build, Row, run_dbt, write_csv


def stage(folder: Path, files: Path, select: str = "path:models/staging/files") -> Build:
    """Land and stage a folder or a database; files that must be there may be left out."""
    for name in ("sessions", "conversions"):
        if not files.is_file() and not list(files.glob(f"{name}*")):
            write_csv(files / f"{name}.csv", HEADERS[name], [])
    built = run_dbt(
        folder,
        *("build", "--select", select, "--resource-type", "model", "--resource-type", "seed"),
        variables=f"{{sources: [files], files_path: '{files}'}}",
    )
    assert built.status == 0, built.output
    return built


REVENUE = "select revenue_id, net from staging.stg_files__revenue order by all"
SPEND = "select spend_date::varchar, channel, spend from staging.stg_files__spend order by all"


@pytest.mark.fault(
    done="a folder called date=2024-05-01, files with [1] in their names",
    expected="every file is read once, with its own dates",
)
def test_names_of_files_and_folders_are_no_patterns_and_no_columns(tmp_path: Path) -> None:
    files = tmp_path / "date=2024-05-01"
    for name, day, spend in (("1", 1, 5), ("[1]", 2, 700), ("[x]*?", 3, 9)):
        write_csv(files / f"spend_{name}.csv", HEADERS["spend"], [(f"2024-01-0{day}", "a", spend)])

    assert stage(tmp_path, files).rows(SPEND) == [
        ("2024-01-01", "a", 5), ("2024-01-02", "a", 700), ("2024-01-03", "a", 9),
    ]  # fmt: skip


@pytest.mark.fault(
    done="files that look like input and are none: .CSV, .xlsx, in a folder too deep",
    expected="they are named, the others are read",
)
def test_files_that_are_passed_over_are_named(tmp_path: Path) -> None:
    files = tmp_path / "input"
    write_csv(files / "spend.csv", HEADERS["spend"], [("2024-01-01", "a", 5)])
    others = ("spend_B.CSV", "spend.xlsx", "spend/2024/x.csv")
    for name in others:
        write_csv(files / name, HEADERS["spend"], [("2024-01-01", "a", 7)])
    built = stage(tmp_path, files)

    assert built.rows(SPEND) == [("2024-01-01", "a", 5)]
    assert all(f"{files / name}" in built.output for name in others)
    assert built.output.count("passed over") == 1


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param(
            lambda file: file[: len(file) // 2],
            "ended before",
            marks=pytest.mark.fault(
                done="a compressed file that was cut", expected="the build stops and names it"
            ),
        ),
        pytest.param(
            lambda file: file[:-6] + bytes([file[-6] ^ 1]) + file[-5:],
            "CRC check failed",
            marks=pytest.mark.fault(
                done="a compressed file with a wrong checksum",
                expected="the build stops and names it",
            ),
        ),
        pytest.param(
            lambda file: gzip.decompress(file),
            "Not a gzipped file",
            marks=pytest.mark.fault(
                done="a file called .csv.gz that is not compressed",
                expected="the build stops and names it",
            ),
        ),
    ],
)
def test_compressed_files_are_whole_or_named(
    tmp_path: Path, damage: Callable[[bytes], bytes], message: str
) -> None:
    files = tmp_path / "input"
    rows = [(f"2024-01-{day:02}", f"channel {day}", day) for day in range(1, 32)]
    write_csv(files / "spend.csv", HEADERS["spend"], rows)
    whole = gzip.compress((files / "spend.csv").read_bytes())
    (files / "spend.csv").unlink()
    (files / "spend.csv.gz").write_bytes(whole + gzip.compress(b"2024-02-01,more,32\n"))
    assert [spend for _, _, spend in stage(tmp_path, files).rows(SPEND)] == list(range(1, 33))

    (files / "spend.csv.gz").write_bytes(damage(whole))
    built = run_dbt(
        tmp_path,
        *("run", "--select", "path:models/staging/files"),
        variables=f"{{sources: [files], files_path: '{files}'}}",
    )
    assert built.status != 0
    assert f"{files / 'spend.csv.gz'} is cut, damaged or not compressed with gzip" in built.output
    assert message in built.output


@pytest.mark.fault(
    done="lines that end in a carriage return among lines that end in both",
    expected="every line is read to its last letter",
)
def test_a_carriage_return_alone_ends_a_line_too(tmp_path: Path) -> None:
    files = tmp_path / "input"
    files.mkdir()
    (files / "spend.csv").write_bytes(
        b"spend,date,channel\r\n100,2024-01-01,ad\r250,2024-01-02,ad\r375,2024-01-03,ad\r\n"
    )

    assert [spend for _, _, spend in stage(tmp_path, files).rows(SPEND)] == [100, 250, 375]


@pytest.mark.fault(
    done="a carriage return at the very end of a file whose lines end in line feeds",
    expected="it is nothing; a file with line breaks in values is named, and what to do",
)
@pytest.mark.parametrize("ending", [b"\n\r", b"\r"])
def test_a_carriage_return_at_the_very_end_is_nothing(tmp_path: Path, ending: bytes) -> None:
    files = tmp_path / "input"
    files.mkdir()
    rows = b"100,2024-01-01,ad\n250,2024-01-02"
    (files / "spend_1.csv").write_bytes(b"spend,date,channel\n" + rows + b",ad" + ending)
    (files / "spend_2.csv.gz").write_bytes(
        gzip.compress(b"spend,date,channel\n" + rows + b",more" + ending)
    )
    assert stage(tmp_path, files).rows(SPEND) == [
        ("2024-01-01", "ad", 100), ("2024-01-01", "ad", 100),
        ("2024-01-02", "ad", 250), ("2024-01-02", "more", 250),
    ]  # fmt: skip

    (files / "spend_1.csv").write_bytes(b"spend,date,channel\n" + rows + b',"two\nlines"' + ending)
    built = run_dbt(
        tmp_path,
        *("run", "--select", "stg_files__spend"),
        variables=f"{{sources: [files], files_path: '{files}'}}",
    )
    assert built.status != 0
    assert f"{files / 'spend_1.csv'} ends in a carriage return alone" in built.output


@pytest.mark.fault(
    done="two exports that name one column differently",
    expected="both are read",
)
def test_files_may_use_different_names_of_a_column(tmp_path: Path) -> None:
    files = tmp_path / "input"
    columns = "customer_id,service_date,net"
    write_csv(files / "revenue_a.csv", f"revenue_id,{columns}", [("r1", "p", "2024-01-01", 10)])
    write_csv(files / "revenue_b.csv", f"id,{columns}", [("r2", "p", "2024-01-01", 20)])

    assert stage(tmp_path, files).rows(REVENUE) == [("r1", 10), ("r2", 20)]


@pytest.mark.fault(
    done="a file with two accepted names of a column, beside one with the second alone",
    expected="in each file the first that it has counts, as it does without the other file",
)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_of_two_names_of_a_column_in_one_file_the_first_counts_whatever_else_there_is(
    tmp_path: Path, kind: str
) -> None:
    files = tmp_path / "input"
    columns = ("customer_id", "service_date", "net")
    # A number of the row is no id of the revenue, also where that is empty.
    both: list[Row] = [("7", "r1", "p", "2024-01-01", "10"), ("8", None, "p", "2024-01-01", "20")]
    tables: dict[str, tuple[Row, list[Row]]] = {"both": (("id", "revenue_id", *columns), both)}
    read = {}
    for name in ("alone", "beside another"):
        for file, (header, rows) in tables.items():
            if kind == "csv":
                write_csv(files / f"revenue_{file}.csv", ",".join(header), rows)
            else:
                table = pa.table(dict(zip(header, zip(*rows, strict=True), strict=True)))
                files.mkdir(exist_ok=True)
                pyarrow.parquet.write_table(table, files / f"revenue_{file}.parquet")
        read[name] = stage(tmp_path, files).rows(REVENUE)
        tables["[1]"] = (("id", *columns), [("r3", "p", "2024-01-01", "30")])

    named, unnamed = read["alone"]
    assert named == ("r1", 10)
    assert unnamed[0].startswith("row-")
    assert read["beside another"] == [named, ("r3", 30), unnamed]


@pytest.mark.fault(
    done="Parquet files of one entity with other types of one column",
    expected="each value is read as its file has it",
)
def test_types_of_one_parquet_file_do_not_change_the_values_of_another(tmp_path: Path) -> None:
    files = tmp_path / "input"
    files.mkdir()
    amounts = {
        "a": pa.array([Decimal(100)], pa.decimal128(38, 0)),
        "b": pa.array([Decimal("1.50")], pa.decimal128(10, 2)),
        "c": pa.array([1000000.25], pa.float32()),
    }
    for channel, amount in amounts.items():
        table = pa.table({"date": ["2024-01-01"], "channel": [channel], "spend": amount})
        pyarrow.parquet.write_table(table, files / f"spend_{channel}.parquet")
    users = {
        1: (pa.array([123456789012345679]), pa.timestamp("ns"), datetime(2024, 1, 1)),
        2: (pa.array([1234567890123456.0]), pa.timestamp("us"), datetime(9999, 12, 31)),
    }
    for number, (user, unit, time) in users.items():
        table = pa.table(
            {
                "session_id": [number],
                "user_id": user,
                "started_at": pa.array([time], unit),
                "channel": ["a"],
            }
        )
        pyarrow.parquet.write_table(table, files / f"sessions_{number}.parquet")
    # Of one type in all files, and still no number of ten decimals.
    net = {
        "customer_id": ["p"],
        "service_date": ["2024-01-01"],
        "net": pa.array([16777215.0], "f4"),
    }
    pyarrow.parquet.write_table(pa.table(net), files / "revenue.parquet")
    built = stage(tmp_path, files)

    assert [spend for _, _, spend in built.rows(SPEND)] == [
        100, Decimal("1.50"), Decimal("1000000.25"),
    ]  # fmt: skip
    assert built.rows(
        "select user_id, started_at from staging.stg_files__sessions order by session_id"
    ) == [
        ("123456789012345679", datetime(2024, 1, 1)),
        ("1234567890123456", datetime(9999, 12, 31)),
    ]
    assert built.rows("select net from staging.stg_files__revenue") == [(16777215,)]


@pytest.mark.fault(
    done="Parquet files of one entity, one of which has blanks around its columns' names",
    expected="they are the same columns",
)
def test_blanks_around_a_column_of_a_parquet_file_are_not_its_name(tmp_path: Path) -> None:
    files = tmp_path / "input"
    files.mkdir()
    for channel, (date, spend), amount in (
        ("a", ("date", "spend"), 5), ("b", (" Date", "spend "), "7.50"),
    ):  # fmt: skip
        table = pa.table({date: ["2024-01-01"], "channel": [channel], spend: [amount]})
        pyarrow.parquet.write_table(table, files / f"spend_{channel}.parquet")

    assert stage(tmp_path, files).rows(SPEND) == [
        ("2024-01-01", "a", 5), ("2024-01-01", "b", Decimal("7.50")),
    ]  # fmt: skip


@pytest.mark.fault(
    done="a time with blanks before it, after one of another zone",
    expected="it is UTC",
)
def test_blanks_before_a_time_give_it_no_zone(tmp_path: Path) -> None:
    files = tmp_path / "input"
    times = (
        "2024-07-01 12:00:00 Etc/GMT-5",
        "    2024-07-01 12:00:00",
        "2024-07-01T12:00:00+02:00",
    )
    write_csv(
        files / "sessions.csv",
        HEADERS["sessions"],
        [(number, "u", time, "a") for number, time in enumerate(times)],
    )

    assert stage(tmp_path, files).rows(
        "select hour(started_at) from staging.stg_files__sessions order by session_id"
    ) == [(7,), (12,), (10,)]


@pytest.mark.fault(
    done="SQLite with a text that is not UTF-8 and an id of bytes",
    expected="both are shown in hexadecimal digits, the build goes on",
)
def test_bytes_in_sqlite_are_shown_and_end_no_build(tmp_path: Path) -> None:
    database = tmp_path / "shop.db"
    with sqlite3.connect(database) as connection:
        connection.executescript(
            """
            create table sessions (session_id, user_id, started_at, channel);
            create table conversions (conversion_id, user_id, converted_at, revenue);
            insert into sessions values
                ('a', x'00ff', '2024-01-01', cast(x'4361e9' as text)),
                ('b', 'u', '2024-01-01', 'café');
            """
        )

    assert stage(tmp_path, database, "+int_sessions_checked").rows(
        "select user_id, channel from intermediate.int_sessions_checked order by session_id"
    ) == [(r"\x00\xFF", r"Ca\xE9"), ("u", "café")]
