"""tributary check says what moved between two publications, and is quiet where nothing did."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from rich.console import Console
from typer.testing import CliRunner, Result

from tributary.checks import (
    Check,
    Reading,
    Snapshot,
    SourceRows,
    Subject,
    compare,
    weekday_bounds,
)
from tributary.cli import app
from tributary.publishing import GENERATIONS, make_current, new_generation, publish
from tributary.runs import PUBLISHED, RUNS_FILE, Run, append_run, timestamp

FIRST = date(2024, 1, 1)
CONVERSIONS = Subject("conversions", "purchase")
REVENUE = Subject("revenue", "purchase")
SPEND = Subject("spend")
WEEK = np.array([1.0, 1.1, 1.0, 0.9, 1.3, 0.6, 0.4])
FILE = "tributary.duckdb"
NASTY = """Brand "A" 'b'; [red]drop[/red] {{ x }} \x1b[31m\n🙂:smile:"""

Series = dict[Subject, NDArray[np.float64]]


def of_channel(number: int) -> Subject:
    return Subject("conversions", "purchase", f"channel {number}")


def snapshot(series: Series, day_count: int, name: str = "one") -> Snapshot:
    return Snapshot(
        name,
        FIRST,
        day_count,
        {subject: values[:day_count] for subject, values in series.items()},
        {("demo", "sessions"): SourceRows(100 * day_count, 5 * day_count)},
        3 * day_count,
        100 * day_count,
    )


def simulated(seed: int, day_count: int, mean: float = 30.0, channels: int = 5) -> Series:
    """Days of a business with a weekly rhythm in which nothing else happens."""
    random = np.random.default_rng(seed)
    rhythm = mean * np.resize(WEEK, day_count)
    shares = np.geomspace(1, 0.02, channels) / np.geomspace(1, 0.02, channels).sum()
    parts = random.poisson(rhythm[:, np.newaxis] * shares).astype(float)
    total = parts.sum(axis=1)
    return {
        CONVERSIONS: total,
        REVENUE: np.array([random.lognormal(4, 0.5, int(count)).sum() for count in total]),
        SPEND: np.full(day_count, 250.0),
        **{of_channel(number): parts[:, number] for number in range(channels)},
    }


def notable(readings: list[Reading]) -> list[Reading]:
    return [reading for reading in readings if reading.is_notable]


days = arrays(np.float64, st.integers(0, 60), elements=st.floats(-1e6, 1e9, allow_subnormal=False))


@given(days, st.floats(0.01, 0.999), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_a_publication_differs_in_nothing_from_itself(
    values: NDArray[np.float64], level: float, tolerance: float
) -> None:
    series = {REVENUE: values, CONVERSIONS: np.floor(np.abs(values))}
    one = snapshot(series, len(values))
    assert notable(compare(one, one, level, tolerance)) == []


@given(
    st.integers(0, 2**32 - 1),
    st.integers(30, 80),
    st.sampled_from([CONVERSIONS, REVENUE, SPEND, of_channel(0)]),
    st.sampled_from([0.0, 4.0]),
)
@settings(max_examples=25, deadline=None)
def test_a_jump_of_the_newest_day_is_found(
    seed: int, day_count: int, subject: Subject, factor: float
) -> None:
    series = simulated(seed, day_count, mean=300)
    series[subject][-1] *= factor
    readings = compare(snapshot(series, day_count - 1), snapshot(series, day_count, "two"))
    (reading,) = [one for one in notable(readings) if one.subject == subject]
    assert reading.check is Check.NEW
    assert reading.day == FIRST + timedelta(days=day_count - 1)
    assert (reading.value > reading.high) if factor else (reading.value < reading.low)
    assert readings == compare(snapshot(series, day_count - 1), snapshot(series, day_count, "two"))


@pytest.mark.parametrize("level", [0.8, 0.99])
def test_quiet_days_alarm_as_seldom_as_the_level_says(level: float) -> None:
    trials = 80
    alarms = 0
    for seed in range(trials):
        series = simulated(seed, 71, mean=100, channels=12)
        readings = compare(snapshot(series, 70), snapshot(series, 71, "two"), level)
        alarms += bool(notable(readings))
    # Counts are whole numbers and channels add up to totals, so that there are fewer than allowed.
    allowed = trials * (1 - level)
    assert allowed / 5 - 1 <= alarms <= allowed + np.sqrt(allowed)


def test_shares_totals_and_channels_spend_the_error_once(monkeypatch: pytest.MonkeyPatch) -> None:
    spent: list[float] = []

    def spend(before: Snapshot, after: Snapshot, error: float) -> list[Reading]:
        spent.append(error)
        return []

    for name in ("shares", "new_days"):
        monkeypatch.setattr(f"tributary.checks.{name}", spend)
    compare(snapshot({}, 70), snapshot({}, 71, "two"), 0.97)
    of_shares, of_totals_and_of_channels = spent
    assert of_shares + 2 * of_totals_and_of_channels == pytest.approx(0.03)


@pytest.mark.parametrize("unit", [1.0, 2.5])
def test_intervals_are_right_on_average(unit: float) -> None:
    """One series, so that no correction for many hides an interval that is wrong."""
    outside = []
    for seed in range(250):
        random = np.random.default_rng(seed)
        values = unit * random.negative_binomial(20, 0.2, 57).astype(np.float64)
        bounds = weekday_bounds(values[:56], 0, unit == 1, tail=0.05)
        assert bounds is not None
        outside.append(not bounds.low[0] <= values[56] <= bounds.high[0])
    assert 0.05 < np.mean(outside) < 0.16


def test_each_weekday_is_compared_with_its_like() -> None:
    series = {CONVERSIONS: np.resize([50.0, 52, 48, 51, 49, 20, 0], 63)}
    readings = compare(snapshot(series, 62), snapshot(series, 63, "two"))
    (sunday,) = [reading for reading in readings if reading.check is Check.NEW]
    assert (sunday.value, sunday.of_same_weekday, sunday.compared) == (0, True, 8)
    assert not sunday.is_notable
    series[CONVERSIONS][-1] = 50
    assert notable(compare(snapshot(series, 62), snapshot(series, 63, "two")))


def test_a_budget_that_never_moved_may_move_a_little() -> None:
    series = {SPEND: np.full(60, 100.0)}
    for value, is_found in ((104.0, False), (112.0, True), (89.0, True)):
        series[SPEND][-1] = value
        assert bool(notable(compare(snapshot(series, 59), snapshot(series, 60)))) is is_found


def test_a_channel_without_past_and_one_that_ends_are_found() -> None:
    series = simulated(1, 60, mean=100)
    series[of_channel(8)] = np.zeros(60)
    series[of_channel(8)][-1] = 9
    series[Subject("spend", channel="new")] = np.zeros(60)
    series[Subject("spend", channel="new")][-1] = 0.5
    series[of_channel(0)][-1] = 0
    found = notable(compare(snapshot(series, 59), snapshot(series, 60)))
    assert {reading.subject.channel for reading in found} == {"channel 8", "channel 0", "new"}


@given(st.integers(0, 13))
def test_few_days_are_not_judged(day_count: int) -> None:
    series = {CONVERSIONS: np.arange(day_count + 1.0), SPEND: np.zeros(day_count + 1)}
    readings = compare(snapshot(series, day_count), snapshot(series, day_count + 1))
    assert [reading for reading in readings if reading.check is Check.NEW] == []


def test_amounts_may_be_negative() -> None:
    values = np.random.default_rng(1).normal(0, 10, 50)
    series = {REVENUE: values}
    values[-1] = 5
    assert not notable(compare(snapshot(series, 49), snapshot(series, 50)))
    values[-1] = -80
    assert notable(compare(snapshot(series, 49), snapshot(series, 50)))


def test_published_days_move_by_late_data_alone() -> None:
    before = {CONVERSIONS: np.full(30, 50.0), of_channel(1): np.full(30, 50.0)}

    def found(day: int, change: float) -> list[Subject]:
        after = {subject: values.copy() for subject, values in before.items()}
        after[CONVERSIONS][day] += change
        return [one.subject for one in notable(compare(snapshot(before, 30), snapshot(after, 30)))]

    assert found(-1, 30) == []
    assert found(-1, -30) == [CONVERSIONS]
    assert found(-1, 100) == [CONVERSIONS]
    assert found(3, 30) == [CONVERSIONS]
    assert found(3, 2) == []


@pytest.mark.parametrize(("cents", "expected"), [(0.99, False), (1.0, True)])
def test_cents_that_moved_are_not_worth_a_word(cents: float, expected: bool) -> None:
    before, after = (
        snapshot({REVENUE: np.array([0.0, amount, 0.0])}, 3, str(amount)) for amount in (0.0, cents)
    )
    assert bool(notable(compare(before, after))) == expected


def test_days_that_moved_against_each_other_are_found() -> None:
    before = {REVENUE: np.full(30, 50.0)}
    after = {REVENUE: np.concatenate([[0.0, 100.0], np.full(28, 50.0)])}
    (reading,) = notable(compare(snapshot(before, 30), snapshot(after, 30)))
    assert (reading.value, reading.expected) == (1500, 1500)
    assert (reading.days_moved, reading.moved, reading.day) == (2, 100, FIRST)


def test_only_days_of_both_are_compared_as_published() -> None:
    """A start date that moved makes no published day vanish."""
    before = simulated(3, 60)
    later = replace(
        snapshot(before, 60),
        first_day=FIRST + timedelta(days=20),
        day_count=40,
        series={subject: values[20:] for subject, values in before.items()},
    )
    assert notable(compare(snapshot(before, 60), later)) == []


@pytest.mark.parametrize(
    ("rows", "unmapped", "checks"),
    [
        (SourceRows(6100, 305), 183, []),
        (SourceRows(6100, 345), 183, [Check.REJECTED]),
        (SourceRows(6100, 305), 230, [Check.UNMAPPED]),
        (SourceRows(5000, 300), 180, [Check.ROWS]),
        (SourceRows(6020, 301), 183, [Check.VOLUME]),
        (SourceRows(6300, 315), 183, [Check.VOLUME]),
    ],
)
def test_rows_and_shares(rows: SourceRows, unmapped: int, checks: list[Check]) -> None:
    series = {SPEND: np.full(61, 9.0)}
    current = replace(snapshot(series, 61), rows={("demo", "sessions"): rows}, unmapped=unmapped)
    assert [one.check for one in notable(compare(snapshot(series, 60), current))] == checks


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((1.0,), "level is 1"), ((0.99, -1.0), "tolerance is -1"), ((0.99, float("nan")), "nan")],
)
def test_bad_arguments_are_refused(arguments: tuple[float, ...], message: str) -> None:
    one = snapshot({}, 0)
    with pytest.raises(ValueError, match=message):
        compare(one, one, *arguments)


# The command, on publications of a few rows.


def publish_days(
    folder: Path,
    day_count: int,
    last: int = 20,
    channel: str = "Email",
    settings: dict[str, int] | None = None,
    again: str = "'repeated_row', 'info', 0",
) -> str:
    """Publish so many days of 20 conversions each, of `last` on the last, and name it."""
    began = datetime(2024, 1, 1, 6, tzinfo=UTC) + timedelta(days=day_count)
    name = new_generation(began)
    build = folder / "build.duckdb"
    build.unlink(missing_ok=True)
    with duckdb.connect(str(build)) as connection:
        connection.execute(
            """
            create schema marts;
            create table marts.fct_conversions as
            select
                'purchase' as conversion_type,
                timestamp '2024-01-01 12:00' + to_days(day) as converted_at,
                10.0::decimal(38, 10) as revenue,
                1 as touchpoint_count,
                conversion != 0 as is_attributed,
                day * 1000 + conversion as conversion_id
            from range($days) as days (day)
            cross join range(case when day = $days - 1 then $last else 20 end)
                as conversions (conversion);
            -- The day of the build has begun, and is not compared.
            insert into marts.fct_conversions
            select 'purchase', timestamp '2024-01-01 03:00' + to_days($days), 10, 1, true, -1;
            create table marts.fct_touchpoint_credits as
            select
                conversion_type,
                converted_at,
                unnest(['linear', 'markov']) as attribution_model,
                case when conversion_id % 2 = 0 then 'Direct' else $channel end as channel,
                1.0 as credit
            from marts.fct_conversions
            where is_attributed;
            create table marts.rpt_channel_performance as
            select
                $channel as channel,
                cast(converted_at as date) as date,
                unnest(['linear', 'markov']) as attribution_model,
                5.0::decimal(38, 10) as spend
            from marts.fct_conversions
            group by all;
            create table marts.rpt_data_quality as
            from (values
                ('demo', 'sessions', 'used', null, 50 * $days),
                ('demo', 'sessions', 'missing_id', 'error', 1),
                ('demo', 'sessions', $again)
            ) as outcomes (source, entity, outcome, severity, row_count);
            create table marts.rpt_unmapped_traffic as
            select 2 * $days as touchpoints, 0.04 as share_of_touchpoints
            """.replace("$days", str(day_count))
            .replace("$last", str(last))
            .replace("$channel", "'" + channel.replace("'", "''") + "'")
            .replace("$again", again)
        )
        marts = [
            mart
            for (mart,) in connection.execute(
                "select table_name from information_schema.tables"
            ).fetchall()
        ]
    manifest = {"started_at": f"{began:%Y-%m-%dT%H:%M:%SZ}", "settings": settings or {}}
    publish(build, folder, name, marts, manifest, pa.table({"run_id": [name]}), FILE)
    return name


def check(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["check", "--warehouse", str(folder / FILE), *arguments])


def test_status_0_where_nothing_moved(tmp_path: Path) -> None:
    names = [publish_days(tmp_path, day_count) for day_count in (40, 41)]
    result = check(tmp_path)
    assert result.exit_code == 0, result.output
    assert "Nothing moved beyond its interval." in result.stdout
    content = json.loads(check(tmp_path, "--json").stdout)
    assert (content["status"], content["previous"], content["current"]) == ("quiet", *names)
    assert content["new_days"] == ["2024-02-10"]
    spend = [one for one in content["readings"] if one["subject"]["measure"] == "spend"]
    assert {one["value"] for one in spend if one["check"] == "new day"} == {5.0}


@pytest.mark.fault(
    done="a publication in which a day's numbers jumped",
    expected="tributary check names it and ends with 1",
)
def test_status_1_where_a_day_jumped(tmp_path: Path) -> None:
    publish_days(tmp_path, 40)
    publish_days(tmp_path, 41, last=80, settings={"lookback_days": 30})
    result = check(tmp_path)
    assert result.exit_code == 1, result.output
    assert (
        "! Conversions (purchase): 80 on Saturday 2024-02-10, where 20.1 was to be expected from "
        "5 earlier Saturdays (+298.0%" in result.stdout
    )
    assert "twice under other ids" in result.stdout
    assert "Next: marts.rpt_channel_performance" in result.stdout
    assert "Other settings than before: lookback_days." in result.stdout
    content = json.loads(check(tmp_path, "--json").stdout)
    moved = [one for one in content["readings"] if one["is_notable"]]
    assert content["status"] == "moved"
    assert all(one["sentence"] and one["next"] for one in moved)


def test_what_moved_is_readable_on_a_narrow_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_days(tmp_path, 40)
    publish_days(tmp_path, 41)
    assert " to " in check(tmp_path).stdout
    monkeypatch.setattr(
        "tributary.cli.check.table_console", partial(Console, highlight=False, width=80)
    )
    lines = check(tmp_path).stdout.splitlines()
    row = next(line.split("  ") for line in lines if "Revenue (purchase)" in line)
    assert [cell.strip() for cell in row if cell] == [
        "Revenue (purchase)", "40 days before", "8,000.0", "8,000.0", "+0.0%"
    ]  # fmt: skip
    assert max(map(len, lines)) <= 80


def test_the_one_before_is_that_of_the_log_where_a_clock_ran_ahead(tmp_path: Path) -> None:
    first, second = (publish_days(tmp_path, day_count) for day_count in (40, 41))
    now = datetime.now(UTC)
    make_current(tmp_path, first)
    for run_id in (second, first):
        run = Run(run_id, PUBLISHED, timestamp(now), "1", settings={}, seeds={})
        append_run(tmp_path / RUNS_FILE, run)
    assert json.loads(check(tmp_path, "--json").stdout)["previous"] == second


def test_one_publication_is_no_alarm(tmp_path: Path) -> None:
    name = publish_days(tmp_path, 3)
    result = check(tmp_path)
    assert result.exit_code == 0
    assert f"{name} has no earlier publication" in result.stderr
    assert json.loads(check(tmp_path, "--json").stdout)["status"] == "alone"


def test_another_model_is_taken_and_named_where_one_publication_has_no_linear(
    tmp_path: Path,
) -> None:
    for day_count in (3, 4):
        name = publish_days(tmp_path, day_count)
    assert "Credits are those of" not in check(tmp_path).stdout
    file = tmp_path / GENERATIONS / name / FILE
    file.chmod(0o600)
    with duckdb.connect(str(file)) as connection:
        connection.execute(
            "delete from marts.fct_touchpoint_credits where attribution_model = 'linear'"
        )
    result = check(tmp_path)
    assert result.exit_code == 0, result.output
    assert "Credits are those of markov: linear is not in both" in result.stdout
    assert json.loads(check(tmp_path, "--json").stdout)["attribution_model"] == "markov"
    assert check(tmp_path, "--model", "linear").exit_code == 2


@pytest.mark.fault(
    done="tributary check with no publication, or one that was damaged",
    expected="it says so and ends with 2",
)
def test_status_2_where_nothing_can_be_compared(tmp_path: Path) -> None:
    nothing = check(tmp_path)
    assert (nothing.exit_code, "tributary build" in nothing.stderr) == (2, True)
    old, new = (publish_days(tmp_path, day_count) for day_count in (3, 4))
    for arguments, message in (
        (("--model", "shapley"), "but of: linear, markov"),
        (("--against", new), f"these: {old}"),
        (("--level", "1"), "level is 1"),
        (("--lag", "1000000"), "less than or equal to 366"),
    ):
        result = check(tmp_path, *arguments)
        assert (result.exit_code, message in result.stderr) == (2, True), result.output
    file = tmp_path / GENERATIONS / old / FILE
    file.chmod(0o600)
    with duckdb.connect(str(file)) as connection:
        connection.execute("drop table marts.rpt_unmapped_traffic")
    result = check(tmp_path)
    assert (result.exit_code, "rpt_unmapped_traffic" in result.stderr) == (2, True)
    file.unlink()
    result = check(tmp_path)
    assert (result.exit_code, "Cannot read" in result.stderr) == (2, True)
    manifest = file.with_name("manifest.json")
    manifest.chmod(0o600)
    manifest.write_text("")
    result = check(tmp_path)
    assert (result.exit_code, "Cannot read" in result.stderr) == (2, True)


@pytest.mark.fault(
    done="the only publication's folder was deleted by hand",
    expected="tributary check ends with 2, tributary runs calls it lost; both say what to do",
)
def test_a_publication_whose_folder_is_gone_is_lost(tmp_path: Path) -> None:
    name = publish_days(tmp_path, 3)
    started = "2024-01-04T06:00:00Z"
    append_run(tmp_path / RUNS_FILE, Run(name, "published", started, "1", {}, {}))
    shutil.rmtree(tmp_path / GENERATIONS / name)
    result = check(tmp_path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"The folder of {name}, which is published, is gone." in result.stderr
    shown = CliRunner().invoke(app, ["runs", "--warehouse", str(tmp_path / FILE)]).stdout
    assert "lost" in shown
    assert "its folder, or its file, is gone; tributary build" in " ".join(shown.split())
    assert "current" not in shown


@pytest.mark.fault(
    done="tributary check writes to a full disk, or has a fault of its own",
    expected="it says so in one line and ends with 2, not with the 1 of what moved",
)
def test_status_2_where_check_itself_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for day_count in (3, 4):
        publish_days(tmp_path, day_count)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [Path(sys.executable).with_name("tributary"), "check", "--warehouse", tmp_path / FILE],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.stderr == "Error: No space left on device: the standard output.\n"
    assert done.returncode == 2

    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [Path(sys.executable).with_name("tributary"), "check", "--warehouse", tmp_path / FILE],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert done.stderr == "Error: Broken pipe: the standard output.\n"
    assert done.returncode == 2

    def broken(*arguments: object) -> None:
        raise OverflowError("too large")

    monkeypatch.setattr("tributary.cli.check.compare", broken)
    result = check(tmp_path)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "fault of tributary check, which please report: OverflowError('too" in result.stderr


@pytest.mark.fault(
    done="a channel whose name controls terminals, in tributary check",
    expected="shown, not obeyed",
)
def test_names_are_shown_and_not_obeyed(tmp_path: Path) -> None:
    publish_days(tmp_path, 40, channel=NASTY)
    publish_days(tmp_path, 41, last=100, channel=NASTY)
    result = check(tmp_path)
    assert result.exit_code == 1, result.output
    assert "Brand \"A\" 'b'; [red]drop[/red] {{ x }} \\x1b[31m\\n🙂:smile:" in result.stdout
    assert "\x1b" not in result.output
    readings = json.loads(check(tmp_path, "--json").stdout)["readings"]
    assert NASTY in {one["subject"]["channel"] for one in readings}


def test_published_days_that_changed_are_said(tmp_path: Path) -> None:
    publish_days(tmp_path, 41, last=80)
    publish_days(tmp_path, 42)
    result = check(tmp_path)
    assert result.exit_code == 1, result.output
    assert (
        "! Revenue (purchase): 1 of 41 days published before moved, most of all 2024-02-10, "
        "by 600.0 in all: 8,800.0 became 8,200.0 (-6.8%)." in result.stdout
    )


def test_few_days_and_days_without_news_are_said(tmp_path: Path) -> None:
    publish_days(tmp_path, 5)
    publish_days(tmp_path, 6)
    assert "that takes 14 days before them, and there are 5" in check(tmp_path).stdout
    assert "No complete day is new" in check(tmp_path, "--lag", "30").stdout
    assert check(tmp_path, "--lag", "30").exit_code == 0


@pytest.mark.parametrize(
    ("again", "status"),
    [
        ("'repeated_row', 'info', 1000", 0),
        ("'duplicate_id', 'warn', 1000", 0),
        ("'no_consent', 'info', 1000", 0),
        ("'unreadable_time', 'error', 1000", 1),
    ],
)
def test_rows_delivered_again_or_corrected_are_not_missing(
    tmp_path: Path, again: str, status: int
) -> None:
    publish_days(tmp_path, 30)
    publish_days(tmp_path, 31, again=again)
    result = check(tmp_path)
    assert result.exit_code == status, result.output
    assert ("Rows that cannot be used are missing" in result.output) == bool(status)
