"""What users bring: few rows, strange rows, bad rows, several sources."""

import csv
import sqlite3
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from reference import reference_data
from tributary.simulation import Market, simulate

from .conftest import HEADERS, Build, Tables, build, write_csv

BuildFiles = Callable[..., Build]

MODELS = 21


@pytest.mark.fault(
    done="files with a header and no row",
    expected="marts without rows, all tests pass",
)
def test_empty_input_builds_empty_marts(build_files: BuildFiles) -> None:
    built = build_files({})
    for mart in ("fct_conversions", "fct_touchpoint_credits", "rpt_channel_attribution"):
        assert built.value(f"select count(*) from marts.{mart}") == 0
    assert built.rows("select channel from marts.dim_channels order by channel") == [
        ("(baseline)",),
        ("(unattributed)",),
    ]


@pytest.mark.fault(
    done="a conversion that no touchpoint led to",
    expected="it is credited to (unattributed)",
    long=True,
)
def test_one_conversion_without_a_touchpoint_is_unattributed(build_files: BuildFiles) -> None:
    built = build_files({"conversions": [("c", "u", "2024-01-01", 10)]})
    assert built.rows(
        "select distinct channel, conversions, revenue, share from marts.rpt_channel_attribution "
        "where conversions > 0"
    ) == [("(unattributed)", 1, 10, 0)]


def test_one_channel_gets_everything(build_files: BuildFiles) -> None:
    built = build_files(
        {
            "sessions": [
                ("s1", "u", "2024-01-01", "only"),
                ("s2", "u", "2024-01-02", "only"),
                ("s3", "someone else", "2024-01-02", "only"),
                ("s4", "a third", "2024-01-30", "only"),
            ],
            # Soon after a touch, and not later: no sign of what would have happened anyway.
            "conversions": [("c", "u", "2024-01-02 06:00", 10)],
        }
    )
    assert (
        built.rows(
            "select sum(conversions), sum(revenue), sum(share) from marts.rpt_channel_attribution "
            "where channel in ('only', '(baseline)') group by attribution_model"
        )
        == [pytest.approx((1, 10, 1))] * MODELS
    )
    assert (
        built.value(
            "select count(*) from marts.rpt_channel_attribution "
            "where channel = 'only' and share_without_baseline = 1"
        )
        == MODELS
    )


@pytest.mark.fault(
    done="a negative cost, revenue of 0, spend on a channel that converted nobody",
    expected="spend is kept to the cent; ratios without a denominator are empty",
    long=True,
)
def test_revenue_zero_negative_cost_and_spend_without_conversions(build_files: BuildFiles) -> None:
    built = build_files(
        {
            "sessions": [("s1", "u", "2024-01-01", "ad"), ("s2", "u", "2024-01-01", "direct")],
            "conversions": [("c", "u", "2024-01-03", 0)],
            "spend": [
                ("2024-01-01", "ad", 5),
                ("2024-01-01", "ad", -7),
                ("2024-01-02", "billboard", 100),
            ],
        }
    )
    assert built.rows(
        "select date::varchar, channel, spend::double, conversions, revenue, cpo, roas "
        "from marts.rpt_channel_performance where attribution_model = 'linear' order by 1, 2"
    ) == [
        ("2024-01-01", "ad", -2, 0.5, 0, -4, None),
        ("2024-01-01", "direct", 0, 0.5, 0, 0, None),
        ("2024-01-02", "billboard", 100, 0, 0, None, 0),
    ]


def test_reporting_period_limits_conversions_and_spend_but_not_touchpoints(
    build_files: BuildFiles,
) -> None:
    built = build_files(
        {
            "sessions": [("s1", "u", "2024-01-30", "ad"), ("s2", "u", "2024-02-02", "ad")],
            "conversions": [
                ("before", "u", "2024-01-31", 1),
                ("within", "u", "2024-02-03 23:59:59", 10),
                ("after", "u", "2024-02-04", 100),
            ],
            "spend": [("2024-01-30", "ad", 5), ("2024-02-01", "ad", 6), ("2024-02-04", "ad", 7)],
        },
        "start_date: 2024-02-01, end_date: 2024-02-03",
    )
    assert built.rows("select conversion_id, touchpoint_count from marts.fct_conversions") == [
        ("within", 2)
    ]
    # The touch before the period is credited on its own day, whose spend is not reported.
    assert built.rows(
        "select date::varchar, spend::double, conversions, revenue, cpo "
        "from marts.rpt_channel_performance where attribution_model = 'linear' order by date"
    ) == [
        ("2024-01-30", 0, 0.5, 5, None),
        ("2024-02-01", 6, 0, 0, None),
        ("2024-02-02", 0, 0.5, 5, 0),
    ]


@pytest.mark.fault(
    done="a reporting period after all data",
    expected="marts without rows, all tests pass",
    long=True,
)
def test_empty_reporting_period_gives_empty_valid_marts(build_files: BuildFiles) -> None:
    built = build_files(
        {
            "sessions": [("s1", "u", "2024-01-01", "ad")],
            "conversions": [("c", "u", "2024-01-03", 10)],
            "spend": [("2024-01-01", "ad", 5)],
        },
        "start_date: 2030-01-01",
    )
    for mart in ("fct_conversions", "rpt_channel_attribution", "rpt_channel_performance"):
        assert built.value(f"select count(*) from marts.{mart}") == 0


@pytest.mark.fault(
    done="no spend file, and no revenue in a conversion",
    expected="built without; a message says that there is no spend",
    long=True,
)
def test_conversion_types_are_attributed_on_their_own(tmp_path: Path) -> None:
    folder = tmp_path / "input"
    write_csv(
        folder / "sessions.csv",
        "session_id,user_id,started_at,channel",
        [("s1", "u", "2024-01-01", "a"), ("s2", "u", "2024-01-03", "b")],
    )
    write_csv(
        folder / "conversions.csv",
        "conversion_id,user_id,converted_at,revenue,conversion_type",
        [("c1", "u", "2024-01-02", "", "lead"), ("c2", "u", "2024-01-04", 50, "")],
    )
    built = build(
        tmp_path,
        f"{{sources: [files], files_path: {folder}, journey_scope: since_last_conversion}}",
    )
    assert built.status == 0, built.output
    assert built.rows(
        "select conversion_type, channel, conversions, revenue from marts.rpt_channel_attribution "
        "where attribution_model = 'linear' and channel not like '(%' order by 1, 2"
    ) == [
        ("lead", "a", 1, 0),
        ("lead", "b", 0, 0),
        ("purchase", "a", 0.5, 25),
        ("purchase", "b", 0.5, 25),
    ]
    assert "no spend files" in built.output


@pytest.mark.fault(
    done="a time that is a word",
    expected="the row is quarantined and counted, the rest is used",
)
@pytest.mark.fault(
    done="a time at the epoch, 1970-01-01",
    expected="the row is quarantined and counted, the rest is used",
)
@pytest.mark.fault(
    done="an infinite time",
    expected="the row is quarantined and counted, the rest is used",
)
@pytest.mark.fault(
    done="a row without an id",
    expected="the row is quarantined and counted, the rest is used",
)
@pytest.mark.fault(
    done="a row without a person",
    expected="the row is quarantined and counted, the rest is used",
)
@pytest.mark.fault(
    done="a CSV row that ends too soon",
    expected="the row is quarantined and counted, the rest is used",
)
@pytest.mark.fault(
    done="a channel with the name of a pseudo-state, (conversion) or (start)",
    expected="the row is quarantined and counted, the rest is used",
)
@pytest.mark.fault(
    done="the same row twice",
    expected="one is used, one counted as duplicate",
)
@pytest.mark.fault(
    done="one id with two contents",
    expected="one is used, one counted as duplicate",
)
@pytest.mark.fault(
    done="an amount that is NaN",
    expected="the row is quarantined and counted, the rest is used",
)
@pytest.mark.fault(
    done="an infinite amount",
    expected="the row is quarantined and counted, the rest is used",
)
@pytest.mark.fault(
    done="an amount in words",
    expected="the row is quarantined and counted, the rest is used",
)
@pytest.mark.fault(
    done="a channel named with quotes, a line break, SQL, Jinja and Unicode",
    expected="it is a name like any other",
)
@pytest.mark.fault(
    done="a session without a channel",
    expected="it counts to (unknown)",
)
@pytest.mark.fault(
    done="ids that begin with # or have white space around",
    expected="# is no comment, white space no part",
)
@pytest.mark.fault(
    done="times with an offset among times without",
    expected="all are UTC",
)
def test_bad_rows_are_quarantined_and_counted_and_the_rest_is_used(
    build_files: BuildFiles,
) -> None:
    tables: Tables = {
        "sessions": [
            ("good", "u", "2024-01-01 10:00:00", "ad"),
            ("zoned", "u", "2024-01-01T10:00:00+02:00", "ad"),
            ("odd", "u", "2024-01-01 11:00:00", 'a, "b"\n\'); drop table x; {{ 1 }} é'),
            ("no channel", "u", "2024-01-01 12:00:00", " "),
            ("short", "u"),
            ("", "u", "2024-01-01", "ad"),
            ("no person", "", "2024-01-01", "ad"),
            ("no time", "u", "yesterday", "ad"),
            ("no clock", "u", "1970-01-01", "ad"),
            ("endless", "u", "infinity", "ad"),
            ("reserved", "u", "2024-01-01", "(conversion)"),
            ("good", "u", "2024-01-01 10:00:00", "ad"),
            ("good", "u", "2024-01-02 10:00:00", "other"),
            ("#1", "\tv ", "2024-01-01", "direct"),
        ],
        "conversions": [
            ("c", "u", "2024-01-05", 10),
            ("nan", "u", "2024-01-05", "NaN"),
            ("inf", "u", "2024-01-05", "inf"),
            ("words", "u", "2024-01-05", "ten"),
            ("c", "u", "2024-01-06", 99),
            ("#1001", "v", "2024-01-06", 7),
        ],
        "spend": [
            ("2024-01-01", "ad", "1.5"),
            ("soon", "ad", 1),
            ("2024-01-01", "ad", "a lot"),
            ("2024-01-01", "(start)", 1),
        ],
    }
    built = build_files(tables)
    outcomes = built.rows(
        "select entity, outcome, row_count from marts.rpt_data_quality "
        "where outcome != 'used' order by 1, 2"
    )
    assert outcomes == [
        ("conversions", "duplicate_id", 1),
        ("conversions", "unreadable_amount", 3),
        ("sessions", "duplicate_id", 1),
        ("sessions", "implausible_time", 2),
        ("sessions", "missing_id", 1),
        ("sessions", "missing_person", 1),
        ("sessions", "repeated_row", 1),
        ("sessions", "reserved_channel", 1),
        ("sessions", "unreadable_time", 2),
        ("spend", "reserved_channel", 1),
        ("spend", "unreadable_amount", 1),
        ("spend", "unreadable_time", 1),
    ]
    assert built.rows(
        "select touchpoint_id, touched_at::varchar, channel from marts.fct_touchpoint_credits "
        "where attribution_model = 'linear' and conversion_id = 'c' order by touched_at"
    ) == [
        ("zoned", "2024-01-01 08:00:00", "ad"),
        ("good", "2024-01-01 10:00:00", "ad"),
        ("odd", "2024-01-01 11:00:00", 'a, "b"\n\'); drop table x; {{ 1 }} é'),
        ("no channel", "2024-01-01 12:00:00", "(unknown)"),
    ]
    # An id that begins with # is no comment, and white space is no part of an id.
    assert built.rows(
        "select touchpoint_id from marts.fct_touchpoint_credits "
        "where attribution_model = 'linear' and conversion_id = '#1001'"
    ) == [("#1",)]
    assert built.value("select sum(revenue)::double from marts.fct_conversions") == 17
    assert built.rows(
        "select channel_group, is_paid from marts.dim_channels where channel = 'direct'"
    ) == [("Direct", False)]
    rejected_rows = "select count(*) from restricted.int_rejected_rows"
    assert built.value(f"{rejected_rows} where raw_row is null") == 0
    raw_row = built.value(
        "select raw_row from restricted.int_rejected_rows where entity_key = 'words'"
    )
    assert '"revenue":"ten"' in raw_row


@pytest.mark.fault(
    done="a column more than is known",
    expected="it is named once and not used",
    long=True,
)
def test_extra_columns_are_named_once_and_parquet_parts_are_read_together(tmp_path: Path) -> None:
    simulation = simulate(Market(people=400, days=30), seed=7)
    folder = tmp_path / "exports"
    (folder / "sessions").mkdir(parents=True)
    half = simulation.sessions.num_rows // 2
    extended = simulation.sessions.append_column(
        "device", pa.repeat("phone", simulation.sessions.num_rows)
    )
    pyarrow.parquet.write_table(extended.slice(0, half), folder / "sessions" / "1.parquet")
    pyarrow.parquet.write_table(extended.slice(half), folder / "sessions" / "2.parquet")
    pyarrow.parquet.write_table(simulation.conversions, folder / "conversions_2024.parquet")
    write_csv(
        folder / "spend.csv",
        "date,channel,spend",
        ((row["date"], row["channel"], row["spend"]) for row in simulation.spend.to_pylist()),
    )
    built = build(tmp_path, f"{{sources: [files], files_path: '{tmp_path}/exp*'}}")
    assert built.status == 0, built.output
    assert built.output.count("columns not used: device") == 1
    assert (
        built.value("select row_count from marts.rpt_data_quality where entity = 'sessions'")
        == simulation.sessions.num_rows
    )
    spend = sum(row["spend"] for row in simulation.spend.to_pylist())
    assert built.value(
        "select sum(spend)::double from marts.rpt_channel_performance "
        "where attribution_model = 'linear'"
    ) == pytest.approx(spend, abs=0.005)


@pytest.mark.fault(
    done="Parquet as pandas leaves it: ids as fractions, NaN for nothing, zoned times",
    expected="values are read as meant, rows without an id quarantined",
    long=True,
)
def test_parquet_types_of_pandas_are_read_as_meant(tmp_path: Path) -> None:
    folder = tmp_path / "input"
    folder.mkdir()
    # What pandas makes of integers and flags once a value is missing, and of zoned times.
    sessions = pa.table(
        {
            "session_id": pa.array([1.0, 2.0, 3.0, float("nan")]),
            "user_id": pa.array([7.0, 7.0, float("nan"), 7.0]),
            "started_at": pa.array(
                [datetime(2024, 1, day, tzinfo=UTC) for day in (1, 2, 3, 4)],
                pa.timestamp("ns", "America/New_York"),
            ),
            "channel": pa.array(["ad", "b", "ad", "ad"]).dictionary_encode(),
            "holder_engagement": pa.array([1.0, float("nan"), 0.0, 1.0]),
        }
    )
    conversions = pa.table(
        {
            "conversion_id": pa.array([11]),
            "user_id": pa.array([7]),
            "converted_at": pa.array([date(2024, 1, 9)]),
            "revenue": pa.array([Decimal("9.99")]),
        }
    )
    pyarrow.parquet.write_table(sessions, folder / "sessions.parquet")
    pyarrow.parquet.write_table(conversions, folder / "conversions.parquet")
    built = build(tmp_path, f"{{sources: [files], files_path: {folder}}}")
    assert built.status == 0, built.output
    assert built.rows(
        "select touchpoint_id, touched_at::varchar, holder_engagement "
        "from intermediate.int_named_journey_touchpoints order by touch_number"
    ) == [("1", "2024-01-01 00:00:00", True), ("2", "2024-01-02 00:00:00", False)]
    assert built.rows(
        "select outcome, row_count from marts.rpt_data_quality "
        "where entity = 'sessions' and outcome != 'used' order by outcome"
    ) == [("missing_id", 1), ("missing_person", 1)]


@pytest.mark.fault(
    done="a SQLite database whose columns hold values of any type",
    expected="each row is read, or quarantined by itself",
    long=True,
)
@pytest.mark.fault(
    done="a cost of a session that is not there, a cost without a session",
    expected="the row is quarantined and counted",
    long=True,
)
def test_sqlite_values_of_any_type_are_read_row_by_row(tmp_path: Path) -> None:
    database = tmp_path / "shop.db"
    with sqlite3.connect(database) as connection:
        connection.executescript(
            """
            create table session_sources (
                session_id text, user_id text, event_date date, event_time time,
                channel_name text, holder_engagement integer, closer_engagement integer,
                impression_interaction integer
            );
            create table CONVERSIONS (
                conv_id text, user_id text, conv_date date, conv_time time, revenue integer
            );
            create view session_costs as
                select column1 as session_id, column2 as cost from (
                    values
                        ('s1', 5.5), (' s2', ''), ('nobody', 3), (null, 2), ('s3', 'abc'), ('s4', 7)
                );
            alter table session_sources add column extra text;
            insert into session_sources values
                ('s1 ', 'u', '2024-01-02', '10:00:00', 'late', 1, 0, 0, null),
                ('s1', 'u', '2024-01-01', '10:00:00', 'early', 1, 0, 0, null),
                ('s2', 'u', '2024-01-03', '10:00:00', 'ad', 'yes', 0, 0, null),
                ('s3', 'u', 'soon', '10:00:00', 'ad', 0, 0, 0, null),
                ('s4', '', '2024-01-01', '10:00:00', 'nobody''s', 0, 0, 0, null),
                ('s4', 'v', '2024-01-04', '10:00:00', 'ad', 0, 0, 0, null);
            insert into CONVERSIONS values
                ('c1', 'u', '2024-01-05', '10:00:00', 19.99),
                ('c2', 'u', '2024-01-05', '10:00:00', 'abc'),
                ('c3', 'u', '2024-01-06', '10:00:00', '');
            """
        )
    built = build(tmp_path, f"{{sources: [ihc], ihc_database: {database}}}")
    assert built.status == 0, built.output
    assert built.rows(
        "select date::varchar, channel, spend::double, conversions from "
        "marts.rpt_channel_performance where attribution_model = 'linear' order by date"
    ) == [("2024-01-01", "early", 5.5, 1), ("2024-01-03", "ad", 0, 1), ("2024-01-04", "ad", 7, 0)]
    assert built.rows(
        "select conversion_id, revenue::double from marts.fct_conversions order by 1"
    ) == [("c1", 19.99), ("c3", 0)]
    assert built.rows(
        "select entity, outcome, row_count from marts.rpt_data_quality "
        "where outcome != 'used' order by 1, 2"
    ) == [
        ("conversions", "unreadable_amount", 1),
        ("sessions", "duplicate_id", 1),
        ("sessions", "missing_person", 1),
        ("sessions", "unreadable_time", 1),
        ("spend", "missing_id", 1),
        ("spend", "unknown_touchpoint", 1),
        ("spend", "unreadable_time", 1),
    ]


@pytest.mark.fault(
    done="two sources with the same ids",
    expected="their persons and numbers do not mix",
)
def test_sources_side_by_side_do_not_mix_people_or_ids(tmp_path: Path) -> None:
    demo, files = tmp_path / "demo", tmp_path / "files"
    demo.mkdir()
    simulation = simulate(Market(people=300, days=30), seed=3)
    for name in ("sessions", "conversions", "spend"):
        table = getattr(simulation, name)
        pyarrow.parquet.write_table(table, demo / f"{name}.parquet")
        write_csv(
            files / f"{name}.csv",
            ",".join(table.column_names),
            (row.values() for row in table.to_pylist()),
        )
    built = build(
        tmp_path,
        f"{{files_path: {files}, demo_path: {demo}}}",
        environment={"TRIBUTARY_SOURCES": "demo, files"},
    )
    assert built.status == 0, built.output
    per_source = built.rows(
        "select source, count(*), sum(revenue), sum(touchpoint_count) from marts.fct_conversions "
        "group by source order by source"
    )
    assert [row[0] for row in per_source] == ["demo", "files"]
    assert per_source[0][1:] == per_source[1][1:]
    assert per_source[0][1] == simulation.conversions.num_rows


def test_ragged_real_export_is_read_to_the_last_row(tmp_path: Path) -> None:
    folder = tmp_path / "input"
    folder.mkdir()
    columns = {
        "customer_id": "user_id",
        "utm_source": "channel",
        "date_day": "date",
        "utm_campaign": "campaign",
    }
    for name, target in {"sessions.csv": "sessions.csv", "ad_spend.csv": "spend.csv"}.items():
        # Only the header changes: the rows, ragged ones among them, stay as they came.
        header, rows = (
            reference_data("attribution_playbook", name).read_text("utf-8").split("\n", 1)
        )
        for theirs, ours in columns.items():
            header = header.replace(theirs, ours)
        (folder / target).write_text(header + "\n" + rows, encoding="utf-8")
    with reference_data("attribution_playbook", "customer_conversions.csv").open() as file:
        conversions = [
            (number, row["customer_id"], row["converted_at"], row["revenue"])
            for number, row in enumerate(csv.DictReader(file))
        ]
    write_csv(folder / "conversions.csv", HEADERS["conversions"], conversions)

    built = build(tmp_path, f"{{sources: [files], files_path: {folder}, lookback_days: 30}}")
    assert built.status == 0, built.output
    assert built.rows(
        "select entity, outcome, row_count from marts.rpt_data_quality order by entity"
    ) == [("conversions", "used", 21), ("sessions", "used", 90), ("spend", "used", 42)]
    linear = {
        channel: measures
        for channel, *measures in built.rows(
            """
            select channel, sum(conversions), sum(spend)::double / sum(conversions),
                sum(revenue) / sum(spend)::double
            from marts.rpt_channel_performance
            where attribution_model = 'linear' and channel in ('adwords', 'facebook_ads')
            group by channel
            """
        )
    }
    assert linear["adwords"] == pytest.approx([1.369048, 34.3304, 0.4065], abs=1e-4)
    assert linear["facebook_ads"] == pytest.approx([5.392857, 57.8543, 0.2249], abs=1e-4)
