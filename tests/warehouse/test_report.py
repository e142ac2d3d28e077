"""The channel report as people ask for it."""

import contextlib
import csv
import fcntl
import json
import os
import pty
import shutil
import struct
import subprocess
import termios
from pathlib import Path

import duckdb
import pyarrow.parquet
import pytest

from tributary.publishing import publish
from tributary.runs import read_results, runs_table

from .conftest import BIN, Build, build, write_csv


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Build:
    folder = tmp_path_factory.mktemp("report")
    write_csv(
        folder / "input" / "sessions.csv",
        "session_id,user_id,started_at,channel",
        [
            ("s1", "u", "2024-01-01", "Paid Social"),
            ("s2", "u", "2024-01-02", "Direct"),
            ("s3", "u", "sometime", "Direct"),
        ],
    )
    write_csv(
        folder / "input" / "conversions.csv",
        "conversion_id,user_id,converted_at,revenue,conversion_type",
        [
            ("c1", "u", "2024-01-03", 90, "purchase"),
            ("c2", "v", "2024-01-03", 10, "purchase"),
            ("c3", "u", "2024-01-03", 0, "lead"),
        ],
    )
    write_csv(
        folder / "input" / "spend.csv", "date,channel,spend", [("2024-01-01", "Paid Social", 15)]
    )
    result = build(
        folder,
        f"{{sources: [files], files_path: {folder / 'input'}}}",
        environment={"DBT_WRITE_JSON": "true"},
    )
    assert result.status == 0, result.output
    return result


def copied(built: Build, folder: Path) -> Path:
    """Copy the warehouse, with what DuckDB may not yet have written into its file."""
    for part in built.warehouse.parent.glob(f"{built.warehouse.name}*"):
        shutil.copyfile(part, folder / part.name)
    return folder / built.warehouse.name


def changed(built: Build, folder: Path, *statements: str) -> Path:
    """Copy the warehouse and change the copy."""
    warehouse = copied(built, folder)
    with duckdb.connect(str(warehouse)) as connection:
        for statement in statements:
            connection.execute(statement)
    return warehouse


def report(warehouse: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "tributary", "report", "--warehouse", str(warehouse), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_json_report_has_every_measure(built: Build) -> None:
    rows = json.loads(report(built.warehouse, "--format", "json").stdout)
    asked = {"attribution_model": "linear", "conversion_type": "purchase"}
    assert rows == [
        {
            **asked,
            "channel": "Paid Social",
            "channel_group": "Paid Social",
            "is_paid": True,
            "spend": 15,
            "conversions": 0.5,
            "revenue": 45,
            "cpo": 30,
            "roas": 3,
            "share": 0.5,
        },
        {
            **asked,
            "channel": "Direct",
            "channel_group": "Direct",
            "is_paid": False,
            "spend": 0,
            "conversions": 0.5,
            "revenue": 45,
            "cpo": 0,
            "roas": None,
            "share": 0.5,
        },
        {
            **asked,
            "channel": "(unattributed)",
            "channel_group": "(unattributed)",
            "is_paid": False,
            "spend": 0,
            "conversions": 1,
            "revenue": 10,
            "cpo": 0,
            "roas": None,
            "share": 0,
        },
    ]


def test_csv_and_parquet_say_the_same_as_json(built: Build, tmp_path: Path) -> None:
    expected = json.loads(report(built.warehouse, "--format", "json").stdout)
    # The ending of the file names the format.
    output = tmp_path / "report.parquet"
    written = report(built.warehouse, "--output", str(output))
    assert f"Wrote the report to {output}" in written.stderr
    assert pyarrow.parquet.read_table(output).to_pylist() == expected
    lines = list(csv.DictReader(report(built.warehouse, "--format", "csv").stdout.splitlines()))
    assert [(line["channel"], float(line["revenue"])) for line in lines] == [
        (row["channel"], row["revenue"]) for row in expected
    ]


def test_a_picture_shows_the_report_beside_the_other_models(built: Build, tmp_path: Path) -> None:
    warehouse = changed(
        built,
        tmp_path,
        "update marts.rpt_channel_roi set conversions_low = 0.25, conversions_high = 0.75 "
        "where attribution_model = 'linear' and channel = 'Paid Social'",
    )
    whole, of_dates = tmp_path / "whole.svg", tmp_path / "dates.svg"
    for output, dates in ((whole, []), (of_dates, ["--start", "2024-01-01"])):
        written = report(warehouse, "--output", str(output), *dates)
        assert f"Wrote the report to {output}" in written.stderr
    ((models,),) = built.rows(
        "select count(distinct attribution_model) from marts.rpt_channel_performance"
    )
    drawn = whole.read_text(encoding="utf-8")
    assert models > 1
    for text in ("purchase by channel, linear attribution", "Paid Social", "(unattributed)"):
        assert f">{text}</text>" in drawn
    assert f">each of {models - 1} other models</text>" in drawn
    # An interval is of the whole period.
    assert "its 95 % interval" in drawn
    assert "its 95 % interval" not in of_dates.read_text(encoding="utf-8")


def test_table_shows_totals_where_the_warehouse_is_and_what_to_do_next(built: Build) -> None:
    shown = report(built.warehouse, "--model", "first_touch")
    assert shown.returncode == 0
    totals = {
        line.split("  ")[0].strip(): line.split()[-5:]
        for line in shown.stdout.splitlines()
        if line.strip().startswith(("All paid", "Everything"))
    }
    assert totals == {
        "All paid channels": ["15.00", "1.00", "90.00", "15.00", "6.00"],
        "Everything": ["15.00", "2.00", "100.00", "7.50", "6.67"],
    }
    assert str(built.warehouse) in shown.stderr
    assert "1 rows of input could not be used: marts.rpt_data_quality" in shown.stderr
    assert "Next:" in shown.stderr


@pytest.mark.fault(
    done="a channel whose name is markup of the terminal",
    expected="it is shown as it is",
)
def test_names_of_channels_are_text_and_no_markup(built: Build, tmp_path: Path) -> None:
    warehouse = copied(built, tmp_path)
    with duckdb.connect(str(warehouse)) as connection:
        for mart in ("rpt_channel_performance", "dim_channels"):
            connection.execute(
                f"update marts.{mart} set channel = '[red]x[/y]' where channel = 'Paid Social'"
            )
    assert "[red]x[/y]" in report(warehouse).stdout


@pytest.mark.fault(
    done="a channel whose name has a line break and codes that a terminal obeys",
    expected="it stays in its row, and they are shown as escapes",
)
def test_control_characters_in_names_of_channels_are_shown(built: Build, tmp_path: Path) -> None:
    warehouse = changed(
        built,
        tmp_path,
        *(
            f"update marts.{mart} set channel = 'Paid' || chr(10) || chr(27) || '[8mSocial' "
            "where channel = 'Paid Social'"
            for mart in ("rpt_channel_performance", "dim_channels")
        ),
        "update marts.rpt_channel_performance set spend = 0",
    )
    shown = report(warehouse)
    (row,) = (line for line in shown.stdout.splitlines() if "Paid\\n" in line)
    assert row.split()[:2] == ["Paid\\n\\x1b[8mSocial", "0.00"]
    assert "There is no spend of Paid\\n\\x1b[8mSocial here" in shown.stderr


def on_terminal(warehouse: Path, columns: int) -> str:
    """Show a report on a terminal of so many columns."""
    master, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    command = [str(BIN / "tributary"), "report", "--warehouse", str(warehouse)]
    subprocess.run(command, stdout=terminal, stderr=subprocess.DEVNULL, check=True)
    os.close(terminal)
    screen = b""
    # A terminal whose other end is closed ends with an error once it is read empty.
    with contextlib.suppress(OSError):
        while part := os.read(master, 4096):
            screen += part
    return screen.decode()


def test_narrow_terminal_keeps_channels_and_numbers(built: Build) -> None:
    shown = on_terminal(built.warehouse, 60)
    assert "Paid Social" in shown
    assert "100.00" in shown
    assert "…" not in shown


def test_wide_numbers_leave_room_for_channels(built: Build, tmp_path: Path) -> None:
    warehouse = changed(
        built,
        tmp_path,
        "update marts.rpt_channel_performance set revenue = 1e17, spend = 1e12, "
        "conversions = 1e-6 where channel = 'Paid Social'",
        *(
            f"update marts.{mart} set channel = 'A very long name of a channel that nobody knows' "
            "where channel = 'Direct'"
            for mart in ("rpt_channel_performance", "dim_channels")
        ),
    )
    piped = report(warehouse).stdout
    for shown in (piped, on_terminal(warehouse, 60), on_terminal(warehouse, 115)):
        (row,) = (line for line in shown.splitlines() if "Paid Social" in line)
        assert "100,000,000,000,000,000.00" in row
        assert "1,000,000,000,000,000,000.00" in row
        assert "…" not in shown
    assert "A very long name of a channel that nobody knows  " in piped


def test_report_says_where_credits_cannot_meet_the_models_own_totals(built: Build) -> None:
    assert "marts.rpt_path_credit_audit" not in report(built.warehouse).stderr
    not_met = built.value(
        "select sum(abs(credited_conversions - target_conversions)) / 2 "
        "from marts.rpt_path_credit_audit "
        "where attribution_model = 'markov' and conversion_type = 'purchase'"
    )
    said = report(built.warehouse, "--model", "markov").stderr
    assert ("marts.rpt_path_credit_audit" in said) == (not_met >= 0.005)


def test_cpo_is_a_dash_where_nothing_was_spent(built: Build) -> None:
    lines = report(built.warehouse).stdout.splitlines()
    (direct,) = (line.split() for line in lines if line.strip().startswith("Direct"))
    assert direct[1:6] == ["0.00", "0.50", "45.00", "-", "-"]


@pytest.mark.parametrize(
    ("change", "said", "unsaid"),
    [
        ("spend = 0", "There is no spend of Paid Social here", "Money was spent"),
        ("conversions = 0", "Money was spent on Paid Social, and nothing is", "no spend"),
        ("spend = 15", "1 of 2 conversions have no touchpoint", "Paid Social"),
    ],
)
def test_notes_name_the_channels_that_flatter_or_are_called_otherwise(
    built: Build, tmp_path: Path, change: str, said: str, unsaid: str
) -> None:
    warehouse = copied(built, tmp_path)
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute(
            f"update marts.rpt_channel_performance set {change} where channel = 'Paid Social'"
        )
    notes = report(warehouse).stderr
    assert said in notes
    assert unsaid not in notes


@pytest.mark.fault(
    done="a report while another process writes into the working file",
    expected="refused; the process is named",
)
def test_open_warehouse_is_named_with_who_has_it(built: Build) -> None:
    with duckdb.connect(str(built.warehouse)):
        refused = report(built.warehouse)
    assert refused.returncode == 1
    assert f"process {os.getpid()} (" in refused.stderr
    assert "try again" in refused.stderr


def test_report_is_of_what_is_published_until_asked_otherwise(built: Build, tmp_path: Path) -> None:
    warehouse = copied(built, tmp_path)
    target = built.warehouse.parent / "target"
    results = read_results(target)
    assert results.tests.keys() == {"pass", "warn"}
    nodes = json.loads((target / "run_results.json").read_text())["results"]
    data_tests = [each for each in nodes if each["unique_id"].startswith("test.")]
    assert results.tests["pass"] + results.tests["warn"] == len(data_tests) > 80
    # One of three sessions cannot be used.
    assert results.warned == ("assert_rejected_share_does_not_warn",)
    publish(warehouse, tmp_path, "one", results.marts, {}, runs_table([]))
    assert "built since" not in report(warehouse).stderr

    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("update marts.rpt_channel_performance set revenue = 1")
    published = report(warehouse)
    assert "45.00" in published.stdout
    assert f"{tmp_path / 'current' / warehouse.name}; its marts" in published.stderr
    assert f"{warehouse} has been built since" in published.stderr
    assert "45.00" not in report(warehouse, "--working").stdout


def test_another_rule_is_taken_and_named_where_linear_is_not_enabled(
    built: Build, tmp_path: Path
) -> None:
    assert "linear" not in report(built.warehouse).stderr
    warehouse = changed(
        built,
        tmp_path,
        "delete from marts.rpt_channel_performance "
        "where attribution_model in ('linear', 'first_touch', 'daily_share')",
    )
    shown = report(warehouse)
    assert "purchase by channel, last_touch attribution" in shown.stdout
    assert "linear is not enabled: this is last_touch attribution; --model takes" in shown.stderr
    assert "linear" not in report(warehouse, "--model", "ihc").stderr
    refused = report(warehouse, "--model", "linear")
    assert (refused.returncode, "no model linear. It has:" in refused.stderr) == (1, True)


def test_models_that_are_no_rules_come_by_name(built: Build, tmp_path: Path) -> None:
    warehouse = changed(
        built,
        tmp_path,
        "delete from marts.rpt_channel_performance "
        "where attribution_model not in ('shapley', 'markov')",
    )
    assert "purchase by channel, markov attribution" in report(warehouse).stdout


@pytest.mark.fault(
    done="a report where no model is enabled, or where there is nothing to report",
    expected="it says which of the two it is",
)
@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ("select 1", 1, "Error: No attribution model is enabled"),
        ("delete from marts.fct_conversions", 0, "There are neither conversions nor spend"),
        (
            "delete from marts.fct_conversions;"
            "update seeds.attribution_models set is_enabled = false",
            1,
            "Error: No attribution model is enabled",
        ),
        (
            "delete from marts.fct_conversions; drop schema seeds cascade",
            0,
            "There are neither conversions nor spend",
        ),
    ],
)
def test_no_models_are_told_from_no_data(
    built: Build, tmp_path: Path, change: str, status: int, said: str
) -> None:
    warehouse = changed(built, tmp_path, "delete from marts.rpt_channel_performance", change)
    shown = report(warehouse)
    assert (shown.returncode, said in shown.stderr) == (status, True), shown.stderr


def test_conversion_type_is_the_one_with_most_conversions_where_there_is_no_purchase(
    built: Build, tmp_path: Path
) -> None:
    others = "The conversion type is purchase; --type takes another: lead."
    assert others in report(built.warehouse).stderr
    assert "--type takes" not in report(built.warehouse, "--type", "purchase").stderr
    # Two of them, where there is one lead.
    warehouse = changed(
        built,
        tmp_path,
        *(
            f"update marts.{mart} set conversion_type = 'sale' where conversion_type = 'purchase'"
            for mart in ("rpt_channel_performance", "fct_conversions")
        ),
    )
    shown = report(warehouse)
    assert "sale by channel, linear attribution" in shown.stdout
    assert "The conversion type is sale; --type takes another: lead." in shown.stderr


def roas_of(shown: str, channel: str) -> str:
    (row,) = (line for line in shown.splitlines() if line.strip().startswith(channel))
    return row.removeprefix(f" {channel}").split()[4]


def test_roas_is_a_dash_where_conversions_are_worth_nothing(built: Build) -> None:
    shown = report(built.warehouse, "--type", "lead").stdout
    for row in ("Paid Social", "All paid channels", "Everything"):
        assert roas_of(shown, row) == "-"
    assert "Conversions without revenue have no ROAS." in shown


def test_note_says_where_money_was_spent_and_nobody_converted(built: Build, tmp_path: Path) -> None:
    assert "There are no conversions" not in report(built.warehouse).stderr
    warehouse = changed(
        built,
        tmp_path,
        "update marts.rpt_channel_performance "
        "set date = date '2023-12-01', conversions = 0, revenue = 0 where spend > 0",
    )
    shown = report(warehouse, "--end", "2023-12-31")
    # Other purchases are worth something: this is a loss.
    assert roas_of(shown.stdout, "Paid Social") == "0.00"
    assert (
        "There are no conversions of the type purchase in the period; money was spent on "
        "Paid Social." in shown.stderr
    )


def test_report_is_limited_to_a_conversion_type_and_dates(built: Build) -> None:
    leads = report(
        built.warehouse, "--type", "lead", "--start", "2024-01-02", "--end", "2024-01-02",
        "--format", "json",
    )  # fmt: skip
    assert [(row["channel"], row["conversions"]) for row in json.loads(leads.stdout)] == [
        ("Direct", 0.5)
    ]


@pytest.mark.fault(
    done="a report of what there is not, or into a folder that there is not",
    expected="refused in one line",
)
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--model", "magic"], "no model magic. It has: daily_share, data_driven,"),
        (["--type", "refund"], "no conversion type refund. It has: lead, purchase."),
        (["--start", "2024-02-01", "--end", "2024-01-01"], "after its end, 2024-01-01"),
        (["--format", "parquet"], "needs a file: add --output FILE.parquet"),
        (["--format", "png"], "needs a file: add --output FILE.png"),
        (["--warehouse", "nowhere.duckdb"], "nowhere.duckdb. Make it with: make build"),
        (["--warehouse", "Makefile"], "it is not a DuckDB file"),
        (["--warehouse", "seeds/channel_groups.csv"], "it is not a DuckDB file"),
        (["--output", "/nowhere/report.csv"], "Cannot write /nowhere/report.csv"),
        (["--output", "/nowhere/report.txt"], "Cannot write /nowhere/report.txt"),
        (["--output", "/nowhere/report.xlsx"], "written as .xlsx. Let the file end in .csv"),
        (["--output", "/nowhere/report.xlsx", "--format", "csv"], "Cannot write /nowhere/report.x"),
    ],
)
def test_impossible_report_is_refused_in_one_line(
    built: Build, arguments: list[str], expected: str
) -> None:
    refused = report(built.warehouse, *arguments)
    assert refused.returncode == 1
    assert expected in " ".join(refused.stderr.split())
    assert "Traceback" not in refused.stderr
