"""Sessions of files that are as they were are not read again, and nothing else comes of it.

Files come, change and go, time and again. After every step the checked sessions have to be those of
a build that reads everything, and the touchpoints those of a build that makes all of them.
"""

import os
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import pytest

from .conftest import Build, Row, run_dbt, write_csv

HEADER = "session_id,user_id,started_at,channel,landing_page,consent,loaded_at"
STEPS = ("refuse", "change", "forgive", "add", "rename", "refuse_just_now", "forgive", "remove")


@dataclass
class Deliveries:
    """A folder of files with sessions, and what happens to them between builds."""

    folder: Path
    random: np.random.Generator
    files: dict[str, list[list[str]]] = field(default_factory=dict)
    written: int = 0

    def write(self, name: str) -> None:
        """Write a file, with a time of modification of its own that has long passed."""
        self.written += 1
        path = self.folder / f"sessions_{name}.csv"
        write_csv(path, HEADER, self.files[name])
        os.utime(path, (1_700_000_000 + self.written,) * 2)

    def row(self, consent: str = "yes") -> list[str]:
        """Draw a session; ids recur, within a file and in others."""
        day = self.random.integers(1, 28)
        return [
            f"s{self.random.integers(60)}",
            f"u{self.random.integers(9)}",
            f"2024-01-{day:02}" if self.random.random() < 0.95 else "once",
            str(self.random.choice(["Email", "", "(start)"], p=[0.6, 0.3, 0.1])),
            "https://shop.example/?gclid=1",
            consent,
            f"2024-02-{day:02}" if self.random.random() < 0.3 else "",
        ]

    def one(self) -> str:
        """Draw a file that is there."""
        return str(self.random.choice(sorted(self.files)))

    def add(self, consent: str = "yes") -> None:
        name = f"{len(self.files):02}-{self.written}"
        self.files[name] = [self.row(consent) for _ in range(self.random.integers(1, 12))]
        self.write(name)

    def refuse(self) -> None:
        """Deliver sessions of before again, which refuse now."""
        known = [row for rows in self.files.values() for row in rows]
        name = f"no-{self.written}"
        self.files[name] = [
            [*known[place][:5], "no", str(self.random.choice(["", "2024-02-14"]))]
            for place in self.random.integers(len(known), size=3)
        ]
        self.write(name)

    def refuse_just_now(self) -> None:
        """Do so in a file that may still change."""
        self.refuse()
        name = list(self.files)[-1]
        os.utime(self.folder / f"sessions_{name}.csv", (time.time() + 60,) * 2)

    def change(self) -> None:
        """Change one value, and not the size."""
        name = self.one()
        row = self.files[name][self.random.integers(len(self.files[name]))]
        row[1] = f"u{(int(row[1][1:]) + 1) % 9}"
        self.write(name)

    def change_unnoticed(self) -> None:
        """Change one value, and neither the size nor the time of modification."""
        times = {path: path.stat().st_mtime for path in self.folder.glob("sessions_*.csv")}
        self.change()
        for path, modified_at in times.items():
            os.utime(path, (modified_at,) * 2)

    def remove(self) -> None:
        name = self.one()
        del self.files[name]
        (self.folder / f"sessions_{name}.csv").unlink()

    def rename(self) -> None:
        """Let another name decide between rows of one id."""
        name = self.one()
        self.files[f"z{name}"] = self.files.pop(name)
        (self.folder / f"sessions_{name}.csv").unlink()
        self.write(f"z{name}")

    def forgive(self) -> None:
        """Take back a delivery of refusals."""
        name = next(name for name in self.files if name.startswith("no-"))
        del self.files[name]
        (self.folder / f"sessions_{name}.csv").unlink()

    def deliver_again(self) -> None:
        """Deliver a session once more, loaded before the row that is known."""
        known = [row for rows in self.files.values() for row in rows if row[6]]
        name = f"again-{self.written}"
        row = known[self.random.integers(len(known))]
        self.files[name] = [[*row[:3], "Podcast", *row[4:6], "2023-12-01"]]
        self.write(name)

    def log_in(self) -> None:
        """Tie cookies to customers, others than before."""
        write_csv(
            self.folder / "identity_links.csv",
            "link_id,linked_at,user_id,customer_id,kind",
            [
                [f"l{place}", "2024-01-05", f"u{self.random.integers(9)}", f"k{place % 2}", "login"]
                for place in range(4)
            ],
        )


def run(
    folder: Path, settings: str, selected: str = "+int_sessions_checked", *options: str
) -> Build:
    """Go on from the build before."""
    built = run_dbt(
        folder,
        *("run", "--select", selected, *options),
        variables=f"{{sources: [files], files_path: {folder / 'input'}, {settings}}}",
    )
    assert built.status == 0, built.output
    return built


def build(folder: Path, settings: str = "", selected: str = "+int_sessions_checked") -> Build:
    """Build the sessions, and what they are read with, from nothing."""
    write_csv(folder / "input/conversions.csv", "conversion_id,user_id,converted_at,revenue", [])
    variables = f"{{sources: [files], files_path: {folder / 'input'}, {settings}}}"
    seeded = run_dbt(folder, "seed", variables=variables)
    assert seeded.status == 0, seeded.output
    return run(folder, settings, selected)


def checked(built: Build, relation: str = "intermediate.int_sessions_checked") -> list[Row]:
    """All checked sessions, in an order."""
    return built.rows(f"select columns(*) from {relation} order by all")


@pytest.mark.parametrize(
    "settings",
    [
        "",
        *(
            pytest.param(
                settings,
                marks=pytest.mark.fault(
                    done="files of sessions that come, change, go and refuse, settings {settings}",
                    expected="the sessions are those of reading all files",
                    long=True,
                ),
            )
            for settings in (
                "without_consent: anonymise",
                "missing_consent: refused",
                # Sessions of the second half of January 2024 are kept.
                f"retention_days: {(datetime.now(UTC) - datetime(2024, 1, 15, tzinfo=UTC)).days}",
            )
        ),
    ],
)
def test_whatever_happens_to_files_the_sessions_are_those_of_reading_all(
    tmp_path: Path, settings: str
) -> None:
    deliveries = Deliveries(tmp_path / "input", np.random.default_rng(7))
    for _ in range(4):
        deliveries.add()
    build(tmp_path, settings)
    (compiled,) = (tmp_path / "target/compiled").rglob("int_sessions_checked.sql")
    reading_all = compiled.read_text(encoding="utf-8")
    for step in STEPS:
        getattr(deliveries, step)()
        built = run(tmp_path, settings)
        assert checked(built) == checked(built, f"({reading_all})"), step


@pytest.mark.parametrize(
    "seed",
    [
        3,
        pytest.param(
            4,
            marks=pytest.mark.fault(
                done="files that come, change and go, cookies that change hands, builds that stop",
                expected="the touchpoints are those of making all of them",
                long=True,
            ),
        ),
    ],
)
def test_whatever_happens_to_files_touchpoints_are_those_of_making_all(
    tmp_path: Path, seed: int
) -> None:
    deliveries = Deliveries(tmp_path / "input", np.random.default_rng(seed))
    for _ in range(4):
        deliveries.add()
    deliveries.log_in()
    build(tmp_path, selected="+int_touchpoints")
    made_anew = {
        model: next((tmp_path / "target/compiled").rglob(f"{model}.sql")).read_text("utf-8")
        for model in ("int_repeated_keys", "int_touchpoints")
    }
    kept = 0

    def touchpoints_are_those_of_making_all(built: Build, step: str, columns: str = "*") -> None:
        for model, sql in made_anew.items():
            made, anew = (
                checked(built, f"(select {columns} from {relation})")
                for relation in (f"intermediate.{model}", f"({sql})")
            )
            assert made == anew, step

    for step in ("log_in", "deliver_again", "change", "remove", "refuse", "rename"):
        getattr(deliveries, step)()
        if step in ("change", "rename"):
            # A build that stops before it comes to the touchpoints, after which more happens.
            run(tmp_path, "", "+int_repeated_keys" if step == "rename" else "+int_sessions_checked")
            deliveries.change()
        built = run(tmp_path, "", "+int_touchpoints")
        (made,) = (tmp_path / "target/run").rglob("int_touchpoints.sql")
        kept += "insert into" in made.read_text("utf-8")
        touchpoints_are_those_of_making_all(built, step)
    assert kept > 3, "all touchpoints were made anew"

    # A build that goes on with sessions which one before it has checked; of what deliveries they
    # are it does not know.
    deliveries.deliver_again()
    run(tmp_path, "")
    built = run(tmp_path, "", "int_repeated_keys int_touchpoints")
    but_deliveries = "columns(name -> name != 'delivery_key')"
    touchpoints_are_those_of_making_all(built, "checked before", but_deliveries)

    # A file that looks as it did, and a build of everything that stops after the sessions.
    run(tmp_path, "", "+int_touchpoints")
    deliveries.change_unnoticed()
    run(tmp_path, "", "+int_sessions_checked", "--full-refresh")
    built = run(tmp_path, "", "+int_touchpoints")
    touchpoints_are_those_of_making_all(built, "changed unnoticed")


def test_sessions_that_are_read_alone_are_not_kept(tmp_path: Path) -> None:
    deliveries = Deliveries(tmp_path / "input", np.random.default_rng(1))
    deliveries.add()
    build(tmp_path)
    # Views may be of other code than the model: what it reads through them is read once more.
    found = []
    for selected in ("int_sessions_checked", "+int_sessions_checked"):
        built = run(tmp_path, "", selected)
        found += built.rows(
            "select distinct delivery_key is null from intermediate.int_sessions_checked"
        )
    assert found == [(True,), (False,)]


def test_files_are_read_again_where_they_or_their_verdict_have_changed(tmp_path: Path) -> None:
    deliveries = Deliveries(tmp_path / "input", np.random.default_rng(1))
    for name in ("changed", "fresh", "future", "old", "plain"):
        deliveries.files[name] = [[f"s-{name}", "u1", "2024-01-01", "Email", "", "", ""]]
        deliveries.write(name)
    # Within the second of its time of modification a file may change once more.
    os.utime(tmp_path / "input/sessions_fresh.csv", (time.time() + 60,) * 2)
    settings = "retention_days: 4000"
    built = build(tmp_path, settings)

    # As if they had been read when one was not too old yet, and one still lay ahead.
    with duckdb.connect(str(built.warehouse)) as connection:
        connection.execute(
            "update intermediate.int_sessions_checked set medium = 'read before', "
            "started_at = if(session_id = 's-old', '2001-01-01', started_at), "
            "rejection_reason = if(session_id = 's-future', 'future_time', null)"
        )
    deliveries.write("changed")

    built = run(tmp_path, settings)
    assert built.rows(
        "select session_id, medium, started_at = '2024-01-01', rejection_reason "
        "from intermediate.int_sessions_checked order by session_id"
    ) == [
        ("s-changed", None, True, None),
        ("s-fresh", None, True, None),
        ("s-future", None, True, None),
        ("s-old", None, True, None),
        ("s-plain", "read before", True, None),
    ]


def test_a_file_that_is_gone_decides_until_its_sessions_are(tmp_path: Path) -> None:
    deliveries = Deliveries(tmp_path / "input", np.random.default_rng(1))
    for name, day in (("early", "2024-01-01"), ("late", "2024-01-02")):
        deliveries.files[name] = [["s", name, day, "Email", "", "", ""]]
        deliveries.write(name)
    of_which_file = "select user_id from intermediate.int_sessions"
    assert build(tmp_path, selected="+int_sessions").rows(of_which_file) == [("late",)]

    # Landing notes that it is gone; the sessions are still those of both files.
    deliveries.files.pop("late")
    (tmp_path / "input/sessions_late.csv").unlink()
    assert run(tmp_path, "", "int_currency_rates").rows(of_which_file) == [("late",)]
    built = run(tmp_path, "", "+int_sessions")
    assert built.rows(of_which_file) == [("early",)]
    # Nor is the name kept, which may say of whom the file was.
    names = built.rows("select loaded_from from raw_files.session_file_names")
    assert [Path(name).name for (name,) in names] == ["sessions_early.csv"]
