"""Bad and strange rows, all in one build: each is used as meant or rejected with its reason."""

from datetime import UTC, datetime, timedelta

import pytest

from .conftest import Build, run_dbt, write_csv

NOW = datetime.now(UTC)
LONG_NAME = "ñ" * 100_000

# Time as delivered, and UTC as used or the reason of a rejection.
TIMES = {
    "zulu": ("2024-01-01T10:00:00Z", "2024-01-01 10:00:00"),
    "offset": ("2024-01-01T10:00:00-05:00", "2024-01-01 15:00:00"),
    "short_offset": ("2024-01-01 10:00:00+0530", "2024-01-01 04:30:00"),
    "zone": ("2024-07-01 12:00:00 Europe/Berlin", "2024-07-01 10:00:00"),
    "blank_before_offset": ("2024-01-01 10:00:30 -0500", "2024-01-01 15:00:30"),
    "offset_without_seconds": ("2024-01-01T10:00+02:00", "2024-01-01 08:00:00"),
    "zone_without_seconds": ("2024-07-01 12:00 Europe/Berlin", "2024-07-01 10:00:00"),
    "zulu_without_seconds": ("2024-01-01T10:00Z", "2024-01-01 10:00:00"),
    "named_utc": ("2024-01-01 10:00:00 UTC", "2024-01-01 10:00:00"),
    "named_gmt": ("2024-01-01 10:00:00 GMT", "2024-01-01 10:00:00"),
    # Britain's or Bangladesh's; the Atlantic's or Alaska's; that of winter or of all the year.
    "zone_of_britain_or_bangladesh": ("2024-07-01 12:00:00 BST", "unreadable_time"),
    "zone_of_atlantic_or_alaska": ("2024-07-01 12:00:00 AST", "unreadable_time"),
    "zone_of_winter": ("2024-07-01 12:00:00 CET", "unreadable_time"),
    "without_zone": ("2024-01-01 10:00:00", "2024-01-01 10:00:00"),
    "nanoseconds": ("2024-01-01T10:00:00.123456789Z", "2024-01-01 10:00:00.123456"),
    # On 31 March 2024 Berlin's clocks went from 2:00 to 3:00, on 27 October from 3:00 to 2:00.
    "skipped_hour": ("2024-03-31 02:30:00 Europe/Berlin", "2024-03-31 01:30:00"),
    "repeated_hour_first": ("2024-10-27 02:30:00+02:00", "2024-10-27 00:30:00"),
    "repeated_hour_again": ("2024-10-27 02:30:00+01:00", "2024-10-27 01:30:00"),
    "leap_day": ("2024-02-29", "2024-02-29 00:00:00"),
    "no_leap_day": ("2023-02-29", "unreadable_time"),
    "other_order": ("13/01/2024", "unreadable_time"),
    "seconds": ("1704103200", "unreadable_time"),
    "milliseconds": ("1704103200000", "unreadable_time"),
    "excel_days": ("45292", "unreadable_time"),
    "zero": ("0000-00-00 00:00:00", "unreadable_time"),
    "epoch_zero": ("1970-01-01 00:00:00", "implausible_time"),
    "epoch_zero_elsewhere": ("1969-12-31 19:00:00-05:00", "implausible_time"),
    "seconds_read_as_milliseconds": ("1970-01-20 17:21:43", "implausible_time"),
    "milliseconds_read_as_seconds": ("55971-07-12 06:40:00", "implausible_time"),
    "infinite": ("infinity", "implausible_time"),
}
CLOCKS = {"clock_ahead": timedelta(hours=12), "planned": timedelta(days=30)}

# Channel as delivered and as used.
CHANNELS = {
    "composed": ("Caf\u00e9", "Caf\u00e9"),
    "decomposed": ("Cafe\u0301", "Caf\u00e9"),
    "right_to_left": (
        "\u05e2\u05d1\u05e8\u05d9\u05ea \u200f",
        "\u05e2\u05d1\u05e8\u05d9\u05ea \u200f",
    ),
    "emoji": ("\U0001f469\u200d\U0001f4bb ads", "\U0001f469\u200d\U0001f4bb ads"),
    "separators": ('a,b;c\t"d"|e', 'a,b;c\t"d"|e'),
    "line_breaks": ("two\r\nlines\nmore", "two\r\nlines\nmore"),
    "long": (LONG_NAME, LONG_NAME),
    "injection": ("'; drop table x; --{{ 1/0 }}", "'; drop table x; --{{ 1/0 }}"),
}

# Amount as delivered, and as used or the reason of a rejection.
AMOUNTS: dict[str, tuple[str, float | str]] = {
    "empty": ("", 0.0),
    "spaces": (" 5 ", 5.0),
    "minus_zero": ("-0", 0.0),
    "scientific": ("1e3", 1000.0),
    "refund": ("-7.5", -7.5),
    "nan": ("NaN", "unreadable_amount"),
    "infinite": ("Infinity", "unreadable_amount"),
    "minus_infinite": ("-inf", "unreadable_amount"),
    "too_large": ("1e400", "unreadable_amount"),
    "beyond_money": ("1e25", "unreadable_amount"),
    "implausible": ("-1e15", "implausible_amount"),
    "thousands": ("1,000.50", "unreadable_amount"),
    "decimal_comma": ("12,50", "unreadable_amount"),
    "with_sign": ("€5", "unreadable_amount"),
}

# Whole lines, as they stand in the file.
RAGGED = [
    "short_but_enough,u,2024-01-01,ad",
    "too_short,u",
    "too_long,u,2024-01-01,ad,note,one more",
    'quote_within,u,2024-01-01,"a"d,',
    f"huge,u,2024-01-01,{'x' * 2_100_000},",
    "trailing_separator,u,2024-01-01,ad,note,",
    "",
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Build:
    folder = tmp_path_factory.mktemp("bad")
    files = folder / "input"
    times = {name: text for name, (text, _) in TIMES.items()} | {
        name: f"{NOW + ahead:%Y-%m-%d %H:%M:%S}" for name, ahead in CLOCKS.items()
    }
    write_csv(
        files / "sessions_times.csv",
        "session_id,user_id,started_at,channel",
        ((name, "u", text, "ad") for name, text in times.items()),
    )
    # A column more, in another order, and written by another program.
    (files / "sessions_names.csv").write_bytes(
        b"\xef\xbb\xbfnote;channel;started_at;user_id;session_id\r\n"
        + b"".join(
            ";".join(
                '"' + value.replace('"', '""') + '"'
                for value in ("", channel, "2024-01-01", "u", name)
            ).encode()
            + b"\r\n"
            for name, (channel, _) in CHANNELS.items()
        )
    )
    (files / "sessions_ragged.csv").write_text(
        "\n".join(["session_id,user_id,started_at,channel,note", *RAGGED]) + "\n"
    )
    # As after files of two systems were put together.
    (files / "sessions_mixed.csv").write_bytes(
        b"session_id,user_id,started_at,channel,note\r\n"
        b'mixed_1,u,2024-01-01,ad,""\n\n'
        b'mixed_2,u,2024-01-01,"a ""b"", c",\r\n\r\n'
        b"mixed_3,u,2024-01-01,ad\n"
        b"mixed_4,u,2024-01-01,ad,note"
    )
    # Beyond the first lines, from which readers guess what a file is like.
    good = "".join(f"good{number},u,2024-01-01,ad\n" for number in range(25_000))
    far = "far,u,2024-01-01,ad,too,long\nlast,u,2024-01-01,ad\n"
    (files / "sessions_far.csv").write_text(f"session_id,user_id,started_at,channel\n{good}{far}")
    write_csv(files / "sessions_without_rows.csv", "session_id,user_id,started_at,channel", [])
    write_csv(
        files / "conversions.csv",
        "conversion_id,user_id,converted_at,revenue",
        ((name, "u", "2024-01-05", text) for name, (text, _) in AMOUNTS.items()),
    )
    result = run_dbt(
        folder,
        "build",
        "--exclude-resource-type",
        "unit_test",
        "--select",
        "+rpt_data_quality",
        "assert_rows_in_are_used_or_rejected",
        "assert_money_in_is_used_or_rejected",
        "assert_rejected_share_does_not_warn",
        "assert_rejected_share_does_not_fail",
        "--indirect-selection",
        "cautious",
        variables=(
            f"{{sources: [files], files_path: {files}, warn_rejected_share: 0.0005, "
            "fail_rejected_share: 0.9}"
        ),
    )
    assert result.status == 0, result.output
    return result


def _used_and_rejected(built: Build, query: str, entity: str) -> dict[str, object]:
    """What became of each row: a value of those that are used, the reason of the others."""
    return dict(built.rows(query)) | dict(
        built.rows(
            "select entity_key, rejection_reason from restricted.int_rejected_rows "
            f"where entity = '{entity}' and entity_key is not null"
        )
    )


@pytest.mark.fault(
    done="times with offsets and names of zones among times without",
    expected="all are used as UTC",
)
@pytest.mark.fault(
    done="abbreviations of zones that mean several (BST, AST, CET)",
    expected="rejected as unreadable_time",
)
@pytest.mark.fault(
    done="a local hour that the clock skipped, and one that it showed twice",
    expected="used with their offset: two hours, not one",
)
@pytest.mark.fault(
    done="times of epoch zero, and seconds read as milliseconds",
    expected="rejected as implausible_time",
)
@pytest.mark.fault(
    done="times as numbers of seconds, milliseconds or days; 29 February of no leap year",
    expected="rejected as unreadable_time",
)
@pytest.mark.fault(
    done="a clock that runs ahead by hours, and events planned for next month",
    expected="the first are used, the others rejected",
)
def test_times_are_utc_or_rejected(built: Build) -> None:
    sql = "select session_id, started_at::varchar from intermediate.int_sessions"
    found = _used_and_rejected(built, sql, "sessions")
    assert {name: found[name] for name in TIMES} == {
        name: expected for name, (_, expected) in TIMES.items()
    }
    assert found["clock_ahead"] == f"{NOW + CLOCKS['clock_ahead']:%Y-%m-%d %H:%M:%S}"
    assert found["planned"] == "future_time"


@pytest.mark.fault(
    done="names of right-to-left letters, emoji and letters with marks written in two ways",
    expected="they stay as they are; what looks the same is the same",
)
@pytest.mark.fault(
    done="line breaks, separators and quotes within names",
    expected="part of the name",
)
@pytest.mark.fault(done="a name of 100,000 letters", expected="it stays as it is")
def test_names_are_used_as_they_are_but_look_alikes_are_one(built: Build) -> None:
    sql = "select session_id, channel from intermediate.int_sessions"
    found = _used_and_rejected(built, sql, "sessions")
    assert {name: found[name] for name in CHANNELS} == {
        name: expected for name, (_, expected) in CHANNELS.items()
    }


@pytest.mark.fault(
    done="NaN, infinite and far too large amounts",
    expected="rejected as unreadable_amount or implausible_amount",
)
@pytest.mark.fault(
    done="amounts with thousands separators, decimal commas and currency signs",
    expected="rejected as unreadable_amount",
)
def test_amounts_are_finite_or_rejected(built: Build) -> None:
    sql = "select conversion_id, revenue::double from intermediate.int_delivered_conversions"
    assert _used_and_rejected(built, sql, "conversions") == {
        name: expected for name, (_, expected) in AMOUNTS.items()
    }


@pytest.mark.fault(
    done="CSV lines with too few values, at the head and 25,000 lines on",
    expected="empty values; rejected where one was needed",
)
@pytest.mark.fault(
    done="CSV lines with too many values, at the head and 25,000 lines on",
    expected="malformed_row; the rest of the file is read",
)
@pytest.mark.fault(
    done="a quote out of place, and a line of two million bytes",
    expected="malformed_row; the rest of the file is read",
)
def test_ragged_lines_cost_themselves_alone(built: Build) -> None:
    sql = "select session_id, channel from intermediate.int_sessions"
    found = _used_and_rejected(built, sql, "sessions")
    assert found["short_but_enough"] == found["trailing_separator"] == found["last"] == "ad"
    assert found["too_short"] == "unreadable_time"
    assert found.keys().isdisjoint({"too_long", "quote_within", "huge", "far"})
    malformed = built.rows(
        "select regexp_extract(raw_row, 'sessions_(\\w+).csv', 1), "
        "cast(raw_row::json ->> 'line' as integer), length(raw_row) < 20000 "
        "from restricted.int_rejected_rows where rejection_reason = 'malformed_row' order by all"
    )
    assert malformed == [
        ("far", 25_002, True), ("ragged", 4, True), ("ragged", 5, True), ("ragged", 6, True)
    ]  # fmt: skip
    assert built.rows(
        "select row_count, severity from marts.rpt_data_quality where outcome = 'malformed_row'"
    ) == [(4, "error")]


@pytest.mark.fault(
    done="a CSV file whose lines end in two different ways",
    expected="every line is read as meant",
)
def test_lines_may_end_in_different_ways(built: Build) -> None:
    assert built.rows(
        "select session_id, channel from intermediate.int_sessions "
        "where session_id like 'mixed%' order by 1"
    ) == [("mixed_1", "ad"), ("mixed_2", 'a "b", c'), ("mixed_3", "ad"), ("mixed_4", "ad")]


@pytest.mark.fault(
    done="more rejected rows than the threshold",
    expected="the build warns and names source, entity, reasons and share",
)
def test_thresholds_tell_what_passes_them(built: Build) -> None:
    output = " ".join(built.output.split())
    # All conversions but five are read: beyond the warning, not beyond the failure.
    assert (
        "Source files, conversions: 64.29 % of 14 rows are rejected "
        "(unreadable_amount 8, implausible_amount 1)" in output
    )
    assert output.count("Source files, sessions: ") == 1
    assert "WARN=1" in output
