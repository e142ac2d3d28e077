"""What people may ask for: no consent, no trace, no end of storage; and data that is no code.

One build serves most of it: its input has rows without consent, rows that are too old, and names
full of what means something to SQL, Jinja and CSV. Somebody is then erased, and the same input
built again.
"""

import csv
import json
import os
import re
import stat
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner, Result

import tributary.cli.build as build_module
from tributary.build_lock import BuildLock, build_lock
from tributary.cli import app
from tributary.publishing import generations
from tributary.runs import read_runs
from tributary.suppression import ERASED_PERSONS_FILE

from .conftest import HASH_KEY, PROJECT, run_dbt, write_csv

API_KEY = "an API key that only tests have"
TODAY = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
RETENTION = 400


def ago(days: int) -> str:
    return f"{TODAY - timedelta(days=days):%Y-%m-%d %H:%M:%S}"


STRANGE = (
    'it\'s "quoted"; drop schema marts cascade; --',
    "{{ 1 / 0 }} {% raw %} {% endfor %} {# {{ exceptions.raise_compiler_error('x') }}",
    "line\nbreak, comma\tand tab",
    "' || (select max(phone) from restricted.int_calls) || '",
    "$$ \\ %s %(x)s {0} ${x} `x` \x00 end",
)

HEADERS = {
    "sessions": "session_id,user_id,started_at,channel,campaign,landing_page,consent,loaded_at",
    "conversions": "conversion_id,user_id,converted_at,revenue",
    "spend": "date,channel,spend,campaign",
    "calls": "call_id,called_at,contact_number,email,visitor_id,channel,consent",
    "customers": "customer_id,created_at,first_name,last_name,phone,email",
    "appointments": "appointment_id,customer_id,booked_at,status",
    "revenue": "revenue_id,customer_id,service_date,net",
    "identity_links": "link_id,linked_at,kind,user_id,customer_id,phone,email,channel,consent",
}

# Everything of the person to be erased has "zelda" in it, or this number, in whatever spelling.
ZELDA = r"(?i)zelda|212\D{0,2}736\D?5001"

INPUT: dict[str, list[tuple[object, ...]]] = {
    "sessions": [
        ("zelda-s1", "zelda-u1", ago(30), "ad", "", "https://a.org/?id=zelda", "yes"),
        ("zelda-s2", "zelda-u2", ago(20), "mail", "", "", "1"),
        ("s1", "u1", ago(30), "ad", "", "", "TRUE"),
        ("s2", "u1", ago(25), "mail", "", "", ""),
        ("refused-1", "refuser", ago(20), "ad", "refused-ad", "https://a.org/refused", "no"),
        ("refused-2", "refuser", ago(19), "ad", "refused-ad", "", "later maybe"),
        ("refused-3", "refuser", "never", "ad", "refused-ad", "", "0"),
        ("", "refuser", ago(19), "ad", "refused-ad", "", "false"),
        # Delivered again with another consent: the last delivery of an id tells.
        ("refused-4", "refuser", ago(18), "ad", "refused-ad", "https://a.org", "yes", ago(9)),
        ("refused-4", "refuser", ago(18), "ad", "refused-ad", "", "no", ago(8)),
        ("given", "giver", ago(18), "ad", "refused-ad", "", "no", ago(9)),
        ("given", "giver", ago(18), "ad", "", "", "yes", ago(8)),
        ("aged-1", "aged", ago(RETENTION + 2), "ad", "aged", "", "yes"),
        ("", "aged", ago(RETENTION + 2), "ad", "aged", "", "yes"),
        *((f"s-{name}", f"u-{name}", ago(15), name, name, "", "yes") for name in STRANGE),
    ],
    "conversions": [
        ("zelda-c1", "zelda-u2", ago(10), 100),
        ("c1", "u1", ago(10), 50),
        ("aged-c", "aged", ago(RETENTION + 1), 7),
        *((f"c-{name}", f"u-{name}", ago(5), 1) for name in STRANGE),
    ],
    "spend": [
        ("2024-01-01", "ad", 5, ""),
        *((ago(16), name, 2, name) for name in STRANGE),
    ],
    "calls": [
        ("zelda-k1", ago(29), "(212) 736-5001", "", "zelda-u1", "phone", "yes"),
        ("k1", ago(24), "2127365002", "", "u1", "phone", "yes"),
        ("refused-k", ago(24), "2127365003", "refused@northwind-mail.com", "", "phone", "no"),
    ],
    "customers": [
        ("zelda", ago(40), "Zelda", "Fitz", "+1 212 736 5001", "zelda@northwind-mail.com"),
        ("kept", ago(40), "Kim", "Lee", "2127365002", "kim@northwind-mail.com"),
    ],
    "appointments": [
        ("zelda-a1", "zelda", ago(28), "booked"), ("a1", "kept", ago(8), "booked"),
    ],
    "revenue": [("zelda-r1", "zelda", ago(9), 70), ("r1", "kept", ago(7), 30)],
    "identity_links": [
        ("zelda-l1", ago(21), "login", "zelda-u2", "zelda", "", "", "", "yes"),
        ("zelda-l2", ago(18), "form", "", "", "", "Zelda@Northwind-Mail.com", "web", "yes"),
        ("refused-l", ago(18), "form", "refuser", "", "", "refused@northwind-mail.com", "web", "n"),
        ("refused-m", ago(18), "login", "refuser", "kept", "", "", "", "n"),
    ],
}  # fmt: skip


def write_input(folder: Path) -> None:
    for name, header in HEADERS.items():
        write_csv(folder / f"{name}.csv", header, INPUT[name])
    # A line of too many values: nobody can tell which of them names a person.
    with (folder / "calls.csv").open("a", newline="") as file:
        file.write("zelda-k2,2024-01-01,2127365001,zelda@northwind-mail.com,,ad,yes,one,more\r\n")


class Project:
    """The real project, built by `tributary build` in a folder of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "warehouse"
        self.file = self.folder / "tributary.duckdb"
        self.input = folder / "input"
        self.logs = folder / "logs"
        self.target = folder / "target"
        self.vars = (
            f"{{sources: [files], files_path: {self.input}, retention_days: {RETENTION}, "
            "lookback_days: 90}"
        )

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, [*arguments, "--warehouse", str(self.file)])

    def build(self) -> Result:
        return self.run("build", "--vars", self.vars)

    def erase(self, *keys: str) -> Result:
        options = [option for key in keys for option in ("--person", key)]
        return self.run("erase", *options, "--yes")

    def run_dbt(
        self, private: Path, target: Path, variables: str, full_refresh: bool, *locks: BuildLock
    ) -> int:
        """Build in place of `tributary.cli.build._run_dbt`, with the project parsed once."""
        built = run_dbt(
            private.parent,
            *("build", "--exclude-resource-type", "unit_test"),
            variables=variables,
            environment={
                "DBT_TARGET_PATH": str(target),
                "DBT_LOG_PATH": str(self.logs),
                "TRIBUTARY_IHC_API_KEY": API_KEY,
                "DBT_WRITE_JSON": "true",
            },
        )
        assert built.status == 0, built.output
        return built.status


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("privacy")
    made = Project(folder)
    write_input(made.input)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(PROJECT)
        for name in [name for name in os.environ if name.startswith("TRIBUTARY")]:
            patch.delenv(name)
        patch.setenv("TRIBUTARY_HASH_KEY", HASH_KEY)
        patch.setenv("TRIBUTARY_IHC_API_KEY", API_KEY)
        patch.setenv("DBT_TARGET_PATH", str(made.target))
        patch.setenv("DBT_LOG_PATH", str(made.logs))
        patch.setattr(build_module, "_run_dbt", made.run_dbt)
        done = made.build()
        assert done.exit_code == 0, done.output
        yield made


def query(file: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(file), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def matches(folder: Path, pattern: str) -> list[str]:
    """Tables and files that hold what the pattern says, as bytes or, where encoded, as values."""
    expression = re.compile(pattern.encode())
    found = []
    for path in (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()):
        if expression.search(path.read_bytes()):
            found.append(str(path))
        if path.suffix not in {".duckdb", ".parquet"}:
            continue
        with duckdb.connect() as connection:
            tables = [f"read_parquet('{path}')"]
            if path.suffix == ".duckdb":
                connection.execute(f"attach '{path}' as file (read_only)")
                tables = [
                    f'file."{schema}"."{table}"'
                    for schema, table in connection.execute(
                        "select schema_name, table_name from duckdb_tables() "
                        "where database_name = 'file'"
                    ).fetchall()
                ]
            for table in tables:
                if connection.execute(
                    f"select 1 from {table} as each "
                    "where regexp_matches(to_json(each)::varchar, $1) limit 1",
                    [pattern],
                ).fetchall():
                    found.append(f"{path}: {table}")
    return found


@pytest.mark.fault(
    done="touches without consent, and events older than may be kept",
    expected="left out and counted; nothing else of them is kept",
)
@pytest.mark.fault(
    done="a touch is delivered again, its consent withdrawn; another one with consent given since",
    expected="nothing is kept of the first; the second is used",
)
def test_rows_that_may_not_be_kept_are_counted_and_nothing_else_is_kept(project: Project) -> None:
    assert query(
        project.file,
        "select entity, outcome, row_count from marts.rpt_data_quality "
        "where outcome != 'used' order by all",
    ) == [
        ("calls", "malformed_row", 1),
        ("calls", "no_consent", 1),
        ("conversions", "beyond_retention", 1),
        ("identity_links", "no_consent", 2),
        ("sessions", "beyond_retention", 2),
        ("sessions", "no_consent", 7),
    ]
    assert query(
        project.file, "select user_id from intermediate.int_sessions where session_id = 'given'"
    ) == [("giver",)]
    assert query(
        project.file,
        "select distinct entity_key, raw_row from restricted.int_rejected_rows "
        "where rejection_reason != 'malformed_row'",
    ) == [(None, None)]
    assert query(
        project.file,
        "select sum(amount)::int from restricted.int_rejected_rows",
    ) == [(7,)]
    assert matches(project.folder, "refuser|refused[-@]|/refused|7365003|aged") == []


@pytest.mark.fault(
    done="names full of SQL, Jinja, quotes, line breaks and NUL",
    expected="they come out as they are",
)
def test_names_come_out_as_they_are(project: Project) -> None:
    for sql in (
        "select channel from marts.dim_channels where channel not like '(%'",
        "select distinct channel from marts.fct_touchpoint_credits",
        "select channel from marts.rpt_channel_performance where spend = 2",
    ):
        assert set(STRANGE) <= {channel for (channel,) in query(project.file, sql)}, sql
    assert query(
        project.file,
        "select count(*) from marts.fct_touchpoint_credits where attribution_model = 'linear' "
        "and campaign = channel and touchpoint_id = 's-' || channel "
        "and person_id = 'u-' || channel and conversion_id = 'c-' || channel",
    ) == [(len(STRANGE),)]
    report = CliRunner().invoke(
        app, ["report", "--output", str(project.folder.parent / "report.csv"), "--warehouse",
              str(project.file)]
    )  # fmt: skip
    assert report.exit_code == 0, report.output
    with (project.folder.parent / "report.csv").open(newline="", encoding="utf-8") as file:
        assert set(STRANGE) <= {row["channel"] for row in csv.DictReader(file)}


@pytest.mark.fault(
    done="secrets in the environment of a build",
    expected="in no file that the build writes",
)
def test_no_secret_is_written(project: Project) -> None:
    files = [path for path in project.folder.parent.rglob("*") if path.is_file()]
    assert any(path.suffix == ".log" for path in files)
    for path in files:
        content = path.read_bytes()
        assert HASH_KEY.encode() not in content, path
        assert API_KEY.encode() not in content, path


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("nobody@northwind-mail.com", "is nobody here"),
        ("refuser", "is nobody here"),
    ],
)
def test_a_key_of_nobody_changes_nothing(project: Project, key: str, expected: str) -> None:
    done = project.erase("zelda", key)
    assert done.exit_code == 1
    assert expected in done.output
    assert "Nothing was changed" in done.output
    assert not (project.folder / ERASED_PERSONS_FILE).exists()
    assert project.file.exists()


def test_nobody_is_erased_beside_a_build_or_without_a_yes(project: Project) -> None:
    with build_lock(project.folder):
        done = project.erase("zelda")
    assert done.exit_code == 1
    assert "A build is running" in done.output
    done = project.run("erase", "--person", "zelda")
    assert done.exit_code == 1
    assert "cannot be undone" in done.output
    assert project.file.exists()


def measures(file: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all marts, without the ids of persons and their things."""
    with duckdb.connect(str(file), read_only=True) as connection:
        return {
            table: connection.execute(
                f"select columns(name -> not regexp_matches(name, '_(id|key)$') "
                f"and name != 'evidence') from marts.{table} order by all"
            ).fetchall()
            for (table,) in connection.execute(
                "select table_name from duckdb_tables() where schema_name = 'marts'"
            ).fetchall()
        }


Measures = dict[str, list[tuple[Any, ...]]]
Erased = tuple[Project, Result, Measures, Measures]


@pytest.fixture(scope="module")
def erased(project: Project) -> Erased:
    """Somebody is erased by a phone number; and what was published before, as numbers."""
    (name,) = generations(project.folder)
    published = project.folder / "generations" / name / project.file.name
    before = measures(published)
    assert len(matches(project.folder, ZELDA)) > 10
    done = project.erase("212.736.5001")
    assert done.exit_code == 0, done.output
    return project, done, before, measures(published)


@pytest.mark.fault(
    done="a person is erased",
    expected="in the bytes and values of no file of the warehouse",
)
def test_an_erased_person_is_found_nowhere(erased: Erased) -> None:
    project, done, _, _ = erased
    assert matches(project.folder, ZELDA) == []
    assert matches(project.logs, ZELDA) == []
    assert matches(project.target, ZELDA) == []
    assert not project.file.exists()
    assert stat.S_IMODE((project.folder / ERASED_PERSONS_FILE).stat().st_mode) == 0o600
    for name, count in {
        "sessions": 2, "conversions": 1, "calls": 1, "customers": 1, "appointments": 1,
        "revenue": 1, "identity_links": 2,
    }.items():  # fmt: skip
        assert f"{project.input / name}.csv: {count}\n" in done.output


@pytest.mark.fault(
    done="a person is erased from publications that people have read",
    expected="every sum stays what it was",
)
def test_what_was_published_adds_up_as_before(erased: Erased) -> None:
    project, _, before, after = erased
    assert before == after
    home = project.folder / "current"
    manifest = json.loads((home / "manifest.json").read_text())
    for mart, stated in manifest["marts"].items():
        content = (home / f"{mart}.parquet").read_bytes()
        assert (len(content), sha256(content).hexdigest()) == (
            stated["byte_count"],
            stated["sha256"],
        )
        assert stat.S_IMODE((home / f"{mart}.parquet").stat().st_mode) == 0o444
    (erasure,) = manifest["erasures"]
    (run,) = (run for run in read_runs(project.folder / "runs.jsonl") if run.status == "erased")
    assert run.run_id == erasure["run_id"]
    assert run.erased is not None
    assert run.erased["persons"] == 1
    assert list(run.erased["rows"].values()) == [erasure["rows"]]


@pytest.mark.fault(
    done="an erased person is delivered again",
    expected="rejected and counted, the money too",
)
def test_later_builds_leave_the_person_out_and_account_for_the_money(erased: Erased) -> None:
    project, _, _, _ = erased
    done = project.build()
    assert done.exit_code == 0, done.output
    assert matches(project.folder, ZELDA) == []
    assert query(
        project.file,
        "select entity, row_count from marts.rpt_data_quality "
        "where outcome = 'erased_person' order by all",
    ) == [
        ("appointments", 1), ("calls", 1), ("conversions", 1), ("customers", 1),
        ("identity_links", 2), ("revenue", 1), ("sessions", 2),
    ]  # fmt: skip
    assert query(
        project.file,
        "select amount::int from marts.rpt_revenue_reconciliation where outcome = 'rejected'",
    ) == [(70,)]
    assert query(
        project.folder / "current" / project.file.name,
        "select status, erased is not null from marts.rpt_runs order by run_id",
    ) == [("published", False), ("erased", True), ("published", False)]
    shown = project.run("runs")
    assert "1 erased" in " ".join(shown.output.split())
    again = project.erase("zelda")
    assert again.exit_code == 1
    assert "zelda is nobody here" in again.output


def test_touches_without_consent_can_stay_as_nobodys(tmp_path: Path) -> None:
    write_input(tmp_path / "input")
    built = run_dbt(
        tmp_path,
        *("build", "--exclude-resource-type", "unit_test"),
        *("--select", "+rpt_data_quality", "+int_touchpoints"),
        variables=f"{{sources: [files], files_path: {tmp_path / 'input'}, "
        "without_consent: anonymise, missing_consent: refused}",
    )
    assert built.status == 0, built.output
    assert built.rows(
        "select entity, outcome, row_count from marts.rpt_data_quality "
        "where outcome != 'used' order by all"
    ) == [
        ("calls", "anonymised", 1),
        ("calls", "malformed_row", 1),
        ("identity_links", "anonymised", 1),
        ("identity_links", "no_consent", 1),
        ("sessions", "anonymised", 4),
        ("sessions", "missing_id", 2),
        ("sessions", "no_consent", 1),
        ("sessions", "repeated_row", 1),
        ("sessions", "unreadable_time", 1),
    ]
    assert built.rows(
        "select touchpoint_type, channel, count(distinct person_id) "
        "from intermediate.int_named_touchpoints where person_id like '%anonymous-%' "
        "group by all order by all"
    ) == [("call", "phone", 1), ("form", "web", 1), ("session", "ad", 3), ("session", "mail", 1)]
    assert matches(tmp_path / "tributary.duckdb", "never") == []
    assert not [
        each for each in matches(tmp_path, "refuse[dr]-?[0-9klm]|refuser|7365003|refused@")
        if "input" not in each
    ]  # fmt: skip
