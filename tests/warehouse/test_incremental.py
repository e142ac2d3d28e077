"""Builds that go on from the one before give what a build from nothing gives, whatever changed.

A random input changes in every way that inputs do, time and again. Each sequence ends with a build
from nothing of the same input, and every table has to be the same. In `make test` there is one
sequence, and models that are fitted are left out; with TRIBUTARY_INCREMENTS=20 there are 20, and
every mart is compared.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from .conftest import Build, run_dbt, write_csv

TOLERANCE = 1e-9
LONG_SEQUENCES = int(os.environ.get("TRIBUTARY_INCREMENTS", "0"))
SEEDS = range(1, 1 + (LONG_SEQUENCES or 1))
STEPS = 8 if LONG_SEQUENCES else 4

BY_PERSON = (
    "int_journey_touchpoints",
    "int_open_journey_touchpoints",
    "int_paths",
    "int_rule_based_credits",
    "int_ihc_memberships",
    "int_ihc_credits",
)
COMPARED = (
    *BY_PERSON,
    "int_person_states",
    "int_path_counts",
    "int_channel_sets",
    "int_transition_counts",
    "fct_conversions",
    "fct_journeys",
    "rpt_path_summary",
)
FIRST_DAY = datetime(2024, 1, 1, tzinfo=UTC)
CHANNELS = ("Paid Social", "Direct", "Email", "Podcast", "billboard", "leaflet")
PEOPLE = 120

Random = np.random.Generator
TableRow = dict[str, Any]


def at(days: float) -> str:
    """A time so many days after the first day, to the second."""
    moment = FIRST_DAY + timedelta(seconds=round(days * 86_400))
    return moment.strftime("%Y-%m-%d %H:%M:%S")


@dataclass
class Input:
    """The tables of a source, and what happens to them between builds."""

    random: Random
    day: int = 60
    numbered: int = 0
    tables: dict[str, list[TableRow]] = field(
        default_factory=lambda: {
            name: []
            for name in ("sessions", "conversions", "spend", "customers", "identity_links", "calls")
        }
    )
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for customer in range(PEOPLE // 4):
            self.tables["customers"].append(
                {
                    "customer_id": f"k{customer}",
                    "created_at": at(self.random.uniform(0, 30)),
                    "phone": f"212736{5000 + customer}",
                    "email": f"k{customer}@northwind-mail.com",
                }
            )
        for _ in range(PEOPLE * 6):
            self.add_session(self.random.uniform(0, self.day))
        for _ in range(PEOPLE):
            self.add_conversion(self.random.uniform(0, self.day))
        for day in range(self.day):
            self.add_spend(day)
        for _ in range(PEOPLE // 8):
            self.add_login(self.random.uniform(0, self.day))
            self.add_call(self.random.uniform(0, self.day))

    def number(self) -> int:
        self.numbered += 1
        return self.numbered

    def user(self) -> str:
        return f"u{self.random.integers(PEOPLE)}"

    def channel(self) -> str:
        return str(self.random.choice(CHANNELS[:-1]))

    def some(self, name: str, share: float) -> list[TableRow]:
        """Draw some rows of a table: at least one, if there is any."""
        rows = self.tables[name]
        count = min(len(rows), max(1, round(len(rows) * share)))
        return [rows[place] for place in self.random.choice(len(rows), count, replace=False)]

    def add_session(self, days: float) -> None:
        self.tables["sessions"].append(
            {
                "session_id": f"s{self.number()}",
                "user_id": self.user(),
                "started_at": at(days),
                "channel": self.channel(),
                "campaign": f"campaign {self.random.integers(3)}",
                "holder_engagement": bool(self.random.random() < 0.3),
                "closer_engagement": bool(self.random.random() < 0.1),
            }
        )

    def add_conversion(self, days: float, conversion_type: str = "purchase") -> None:
        self.tables["conversions"].append(
            {
                "conversion_id": f"c{self.number()}",
                "user_id": self.user(),
                "converted_at": at(days),
                "conversion_type": conversion_type,
                "revenue": round(float(self.random.uniform(1, 90)), 2),
            }
        )

    def add_spend(self, day: int) -> None:
        for channel in CHANNELS[:-2]:
            self.tables["spend"].append(
                {"date": at(day)[:10], "channel": channel, "spend": int(self.random.integers(100))}
            )

    def add_login(self, days: float) -> None:
        self.tables["identity_links"].append(
            {
                "link_id": f"l{self.number()}",
                "linked_at": at(days),
                "user_id": self.user(),
                "customer_id": f"k{self.random.integers(PEOPLE // 4)}",
                "kind": "login",
            }
        )

    def add_call(self, days: float) -> None:
        self.tables["calls"].append(
            {
                "call_id": f"p{self.number()}",
                "called_at": at(days),
                "contact_number": f"212736{5000 + self.random.integers(PEOPLE // 4)}",
                "channel": self.channel(),
                "visitor_id": self.user() if self.random.random() < 0.5 else "",
            }
        )

    # What may happen to an input between two builds.

    def new_day(self) -> None:
        for _ in range(20):
            self.add_session(self.day + self.random.uniform(0, 1))
        for _ in range(3):
            self.add_conversion(self.day + self.random.uniform(0, 1))
        self.add_spend(self.day)
        self.day += 1

    def late_rows(self) -> None:
        for _ in range(5):
            self.add_session(self.random.uniform(0, self.day))
        self.add_conversion(self.random.uniform(0, self.day))

    def duplicates(self) -> None:
        for name in ("sessions", "conversions"):
            self.tables[name] += [dict(row) for row in self.some(name, 0.01)]

    def other_rows_of_one_id(self) -> None:
        for row in self.some("sessions", 0.005):
            earlier = dict(row, channel=self.channel(), started_at=at(self.random.uniform(0, 20)))
            self.tables["sessions"].append(earlier)
        for row in self.some("conversions", 0.01):
            self.tables["conversions"].append(dict(row, user_id=self.user()))

    def updates(self) -> None:
        for row in self.some("sessions", 0.004):
            row["channel"] = self.channel()
        for row in self.some("sessions", 0.004):
            row["campaign"] = "another"
        for row in self.some("sessions", 0.004):
            row["holder_engagement"] = not row["holder_engagement"]
        for row in self.some("sessions", 0.004):
            row["started_at"] = at(self.random.uniform(0, self.day))
        for row in self.some("sessions", 0.004):
            row["user_id"] = self.user()
        for row in self.some("conversions", 0.02):
            row["revenue"] += 1

    def deletions(self) -> None:
        for name in ("sessions", "conversions", "calls"):
            for row in self.some(name, 0.01):
                self.tables[name].remove(row)

    def deleted_person(self) -> None:
        user = self.user()
        for rows in self.tables.values():
            rows[:] = [
                row for row in rows if user not in (row.get("user_id"), row.get("visitor_id"))
            ]

    def merged_persons(self) -> None:
        for _ in range(2):
            self.add_login(self.random.uniform(0, self.day))
        self.add_call(self.random.uniform(0, self.day))

    def split_persons(self) -> None:
        for row in self.some("identity_links", 0.1):
            self.tables["identity_links"].remove(row)

    def corrected_costs(self) -> None:
        for row in self.some("spend", 0.02):
            row["spend"] += 7

    def a_channel_begins_or_ceases_to_cost(self) -> None:
        """Without an entry in the seed, a channel that costs is a paid one."""
        spend = self.tables["spend"]
        others = [row for row in spend if row["channel"] != "billboard"]
        if len(others) == len(spend):
            spend.append({"date": at(3)[:10], "channel": "billboard", "spend": 5})
        else:
            spend[:] = others

    def a_conversion_type_comes_or_goes(self) -> None:
        conversions = self.tables["conversions"]
        purchases = [row for row in conversions if row["conversion_type"] == "purchase"]
        if len(purchases) == len(conversions):
            self.add_conversion(self.random.uniform(0, self.day), "subscription")
        else:
            conversions[:] = purchases

    def other_settings(self) -> None:
        scopes = ["every_prior", "since_last_conversion"]
        self.settings["lookback_days"] = int(self.random.choice([3, 20, 90]))
        self.settings["journey_scope"] = str(self.random.choice(scopes))
        self.settings["start_date"] = None if self.random.random() < 0.5 else at(10)[:10]

    def the_period_ends_on_another_day(self) -> None:
        ends_at = self.day - int(self.random.integers(1, 20))
        self.settings["end_date"] = None if self.random.random() < 0.3 else at(ends_at)[:10]


EVENTS: tuple[Callable[[Input], None], ...] = (
    Input.new_day,
    Input.late_rows,
    Input.duplicates,
    Input.other_rows_of_one_id,
    Input.updates,
    Input.deletions,
    Input.deleted_person,
    Input.merged_persons,
    Input.split_persons,
    Input.corrected_costs,
    Input.a_channel_begins_or_ceases_to_cost,
    Input.a_conversion_type_comes_or_goes,
    Input.other_settings,
    Input.the_period_ends_on_another_day,
)


def build_input(folder: Path, content: Input, *left_out: str) -> Build:
    """Build what is compared, in the folder's warehouse, leaving out some models."""
    for name, rows in content.tables.items():
        columns = list(rows[0])
        write_csv(
            folder / "input" / f"{name}.csv",
            ",".join(columns),
            ([row[column] for column in columns] for row in rows),
        )
    variables = {"sources": ["files"], "files_path": str(folder / "input"), **content.settings}
    selected = [] if LONG_SEQUENCES else ["--select", *(f"+{name}" for name in COMPARED)]
    seeds = ["seed"] if (folder / "tributary.duckdb").exists() else []
    result = run_dbt(
        folder,
        "build",
        *selected,
        "--exclude-resource-type",
        "unit_test",
        "test",
        *seeds,
        *(["--exclude", *left_out] if left_out else []),
        variables=json.dumps(variables),
    )
    assert result.status == 0, result.output
    return result


def answer_journeys(build: Build, folder: Path, content: Input) -> None:
    """Let the external IHC service have answered some journeys, as they are now."""
    folder.mkdir()
    with duckdb.connect(str(build.warehouse), read_only=True) as warehouse:
        warehouse.execute(
            "copy (select source, conversion_id, touchpoint_id as session_id, 1 / journey_length "
            "as initializer, initializer as holder, holder as closer, closer as ihc, "
            "timestamp '2024-04-01' as computed_at from intermediate.int_journey_touchpoints "
            f"where length(conversion_id) % 2 = 0) to '{folder}/credits.parquet'"
        )
    content.settings["ihc_results_path"] = str(folder)


def read(build: Build, table: str) -> tuple[list[tuple[str, ...]], np.ndarray]:
    """Rows of a table in their own order: what is no floating-point number, and what is."""
    with duckdb.connect(str(build.warehouse), read_only=True) as warehouse:
        schema = "intermediate" if table.startswith("int_") else "marts"
        rows = warehouse.execute(f"select * from {schema}.{table}")
        is_number = [column[1] == "DOUBLE" for column in warehouse.description or []]
        keyed = sorted(
            (
                tuple(str(value) for value, n in zip(row, is_number, strict=True) if not n),
                [
                    np.nan if value is None else value
                    for value, n in zip(row, is_number, strict=True)
                    if n
                ],
            )
            for row in rows.fetchall()
        )
    return [key for key, _ in keyed], np.array([numbers for _, numbers in keyed], np.float64)


def assert_same(found: Build, expected: Build) -> None:
    """Compare every table with the one of a build from nothing."""
    tables = list(COMPARED)
    if LONG_SEQUENCES:
        tables += [
            name
            for (name,) in expected.rows(
                "select table_name from information_schema.tables where table_schema = 'marts'"
            )
            if name not in COMPARED
        ]
    for table in tables:
        keys, numbers = read(found, table)
        expected_keys, expected_numbers = read(expected, table)
        assert keys == expected_keys, table
        np.testing.assert_allclose(numbers, expected_numbers, TOLERANCE, TOLERANCE, err_msg=table)


def changed_share(build: Build) -> float:
    """Share of the persons whose rows a build computed."""
    return float(
        build.value(
            "select (select count(*) from intermediate.int_changed_persons)"
            " / (select count(*) from intermediate.int_person_states)"
        )
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_builds_that_go_on_give_what_a_build_from_nothing_gives(seed: int, tmp_path: Path) -> None:
    random = np.random.default_rng(seed)
    content = Input(random)
    going_on = tmp_path / "going_on"
    build_input(going_on, content)
    shares = []
    order = random.permutation(len(EVENTS))
    for step, events in enumerate(np.array_split(order, STEPS)):
        for event in events:
            EVENTS[event](content)
        if step % 2:
            # A build that stops on its way, after which the input changes once more.
            left_out = random.choice(BY_PERSON, 2, replace=False)
            build_input(going_on, content, *(f"{name}+" for name in left_out))
            content.deleted_person()
            content.late_rows()
        built = build_input(going_on, content)
        shares.append(changed_share(built))
        if step == 0:
            answer_journeys(built, tmp_path / "answers", content)
    built = build_input(going_on, content)

    assert changed_share(built) == 0
    assert any(0 < share < 0.5 for share in shares), "every build was for all persons"
    assert_same(built, build_input(tmp_path / "from_nothing", content))
