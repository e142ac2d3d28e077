"""The reliability battery: faults are tests, and what became of them is a table.

A test is a fault if it is marked so::

    @pytest.mark.fault(done="no room on the disk", expected="the last publication stays")
    def test_a_full_disk(happened): ...

A test of several faults has several marks. Of a parametrised test, `{name}` in the texts is the
case's value, and a case may have a mark of its own, which replaces what it says. Cases of which the
same was done are one fault, tried several times. What a test tells the fixture `happened` is in the
table; else it says "as expected".

`pytest --battery=PAGE` runs the faults alone and writes the page. A battery of which a fault was
skipped is not passed. Faults marked `long=True` run there only.
"""

import itertools
import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import pytest

INTRODUCTION = """\
# Reliability

What can go wrong, done on purpose: each row is a fault, each fault a test. `make battery` does them
all and writes this page; those that take seconds run in `make test` too. Cases of which the same
was done count once. Real builds (`tributary build`, with dbt) are of 300 simulated people.

Not tried: a power cut (processes are killed; that files reach the disk before the name that readers
follow is in the code, not in a test), network file systems, failing memory. Not noticed: input that
was damaged and can still be read, as by a changed bit within a number; its files have no checksums.
"""

FAULT = "fault"
PASSED = "passed"
FAILED = "failed"
SKIPPED = "skipped"


@dataclass
class Fault:
    """A row of the table: what was done in all its cases, and what happened."""

    place: int
    section: str
    done: str
    expected: str
    cases: int = 0
    happened: dict[str, list[str]] = field(
        default_factory=lambda: {FAILED: [], SKIPPED: [], PASSED: []}
    )

    @property
    def outcome(self) -> str:
        """The worst of its cases."""
        return next((outcome for outcome, told in self.happened.items() if told), PASSED)

    @property
    def row(self) -> str:
        """The row in Markdown."""
        told = "; ".join(sorted(set(self.happened[self.outcome])))
        happened = told if self.outcome == PASSED else f"**{self.outcome.upper()}**: {told}"
        if self.cases > 1:
            happened += f" ({self.cases} cases)"
        return f"| {' | '.join(map(_cell, (self.done, self.expected, happened)))} |"


class Battery:
    """Gathers what tests report, and writes the page."""

    def __init__(self, page: Path) -> None:
        self._page = page
        self._began = time.monotonic()
        self._code = _code()
        self._faults: dict[tuple[str, str], Fault] = {}
        self._ended_early: dict[str, tuple[str, str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember the first thing that went wrong; at the end of a test, add it to its fault."""
        if report.outcome != PASSED:
            self._ended_early.setdefault(report.nodeid, (report.outcome, _reason(report)))
        if report.when in {"setup", "call"}:
            return
        # A test whose process died has nothing to say but its name.
        properties = dict(report.user_properties)
        nothing = {
            "place": 0,
            "section": "Tests that ended their process",
            "done": report.nodeid,
            "expected": "an end of the test",
        }
        outcome, reason = self._ended_early.get(
            report.nodeid, (PASSED, str(properties.get("happened", "as expected")))
        )
        for told in cast(list[dict[str, Any]], properties.get("faults", [nothing])):
            fault = self._faults.setdefault((told["section"], told["done"]), Fault(**told))
            # Cases come in any order; the first of them speaks for all.
            if told["place"] < fault.place:
                fault.place, fault.expected = told["place"], told["expected"]
            fault.cases += 1
            fault.happened[outcome].append(reason)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail where a fault was skipped: nobody knows what would have happened."""
        if session.exitstatus == pytest.ExitCode.OK and self._count(SKIPPED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(
        self,
        terminalreporter: pytest.TerminalReporter,
        exitstatus: pytest.ExitCode,
        config: pytest.Config,
    ) -> None:
        """Print the page and write it, if the tests were run to the end."""
        ran = exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}
        if not (ran and self._faults):
            return
        page = self._text(" ".join(config.invocation_params.args))
        self._page.write_text(page, encoding="utf-8")
        terminalreporter.write_line(page)
        terminalreporter.write_line(f"Written to {self._page}.")

    def _count(self, outcome: str) -> int:
        return sum(fault.outcome == outcome for fault in self._faults.values())

    def _text(self, arguments: str) -> str:
        faults = sorted(self._faults.values(), key=lambda fault: fault.place)
        cases = sum(fault.cases for fault in faults)
        minutes = (time.monotonic() - self._began) / 60
        lines = [
            INTRODUCTION,
            f"**{len(faults)} faults in {cases} cases: {self._count(PASSED)} as expected, "
            f"{self._count(FAILED)} failed, {self._count(SKIPPED)} skipped.**\n",
            f"{datetime.now(UTC):%Y-%m-%d}, in {minutes:.1f} minutes, by `pytest {arguments}`.\n"
            f"{_machine()}.\nCode: {self._code}.",
        ]
        for section in dict.fromkeys(fault.section for fault in faults):
            lines += ["", f"## {section}", ""]
            lines += ["| what was done | what had to happen | what happened |", "|---|---|---|"]
            lines += [fault.row for fault in faults if fault.section == section]
        return "\n".join(lines) + "\n"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Know where to write the page."""
    parser.addoption(
        "--battery", metavar="PAGE", type=Path, help="run the faults alone, and write this page"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Know the mark; gather reports in the process that sees all of them."""
    config.addinivalue_line(
        "markers",
        "fault(done, expected, long=False): a fault of the reliability battery: what is done, and "
        "what has to happen; a long one runs with --battery only",
    )
    page = config.getoption("battery")
    if page is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Battery(page))


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say what is left out."""
    if config.getoption("battery") is None:
        return "battery: faults that take long ARE NOT RUN here, but by: make battery"
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Choose the faults, or all but the long ones."""
    only_faults = config.getoption("battery") is not None
    places = itertools.count()
    long: list[pytest.Item] = []
    short: list[pytest.Item] = []
    others: list[pytest.Item] = []
    for item in items:
        faults = _faults(item)
        is_long = False
        for fault in faults:
            is_long |= fault.pop("long", False)
            fault["place"] = next(places)
        item.user_properties.append(("faults", faults))
        if is_long:
            long.append(item)
        else:
            (short if faults or not only_faults else others).append(item)
    if not only_faults:
        others, long = long, []
    config.hook.pytest_deselected(items=others)
    # Beside what takes longest, another process does all the rest.
    items[:] = [*long, *short]


@pytest.fixture
def happened(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Tell in a few words what happened, for the table of the battery."""
    return partial(record_property, "happened")


def _faults(item: pytest.Item) -> list[dict[str, Any]]:
    """Give the faults of a test, from its first mark to its last."""
    if not isinstance(item, pytest.Function):
        return []
    case = item.callspec if hasattr(item, "callspec") else None
    values, of_the_case = (case.params, _said(case.marks)) if case else ({}, [])
    of_the_test = _said(reversed(getattr(item.function, "pytestmark", [])))
    general = of_the_test[0] if of_the_test else {}
    title = (item.module.__doc__ or item.path.name).splitlines()[0].rstrip(".")
    faults = []
    for said in [general | said for said in of_the_case] or of_the_test:
        if not {"done", "expected"} <= said.keys() <= {"done", "expected", "long"}:
            raise pytest.UsageError(f"{item.nodeid}: a fault has done, expected and maybe long.")
        texts = {name: said[name].format(**values) for name in ("done", "expected")}
        faults.append({**said, **texts, "section": title})
    return faults


def _said(marks: Iterable[pytest.Mark]) -> list[dict[str, Any]]:
    """Give what the marks of faults say."""
    return [dict(mark.kwargs) for mark in marks if mark.name == FAULT]


def _reason(report: pytest.TestReport) -> str:
    """Say in one line why a test failed or was skipped."""
    if isinstance(report.longrepr, tuple):
        text = report.longrepr[2].removeprefix("Skipped: ")
    else:
        crash = getattr(report.longrepr, "reprcrash", None)
        text = crash.message if crash else str(report.longrepr)
    return next(iter(text.splitlines()), "no reason was given")


def _cell(text: str) -> str:
    """Write a text so that it stays within its cell."""
    return " ".join(text.split()).replace("|", "\\|")


def _machine() -> str:
    """Describe the machine by what matters to how long things take."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    versions = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "dbt-core"))
    return (
        f"{platform.system()} on {platform.machine()}, {os.cpu_count()} processors, "
        f"{memory:.0f} GB of memory; Python {platform.python_version()}, {versions}"
    )


def _code() -> str:
    """Name the commit, and whether something differs from it."""
    answers = [
        subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)  # noqa: S607
        for arguments in (["rev-parse", "--short", "HEAD"], ["status", "--porcelain"])
    ]
    if any(answer.returncode for answer in answers):
        return "commit not known"
    commit, changes = (answer.stdout.strip() for answer in answers)
    return f"commit {commit}{', with changes that are not committed' if changes else ''}"
