"""Builds that go on from the one before give what a build from nothing gives, whatever changed.

A random input changes in every way that inputs do, time and again. Each sequence ends with a build
from nothing of the same input, and every table has to be the same. `make test` tries many sequences
with the SQL that dbt ran; `make battery` one with dbt itself, without the models that are fitted.
With TRIBUTARY_INCREMENTS=20 dbt builds 20, and every mart is compared.
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from .conftest import HEADERS, Build, Row, run_dbt, write_csv

TOLERANCE = 1e-9
LONG_SEQUENCES = int(os.environ.get("TRIBUTARY_INCREMENTS", "0"))
# In short: one sequence, of whose three steps only the second changes all persons.
SEEDS = range(1, 1 + LONG_SEQUENCES) if LONG_SEQUENCES else (5,)
STEPS = 9 if LONG_SEQUENCES else 3

BY_PERSON = (
    "int_touches",
    "int_journey_touchpoints",
    "int_paths",
    "int_rule_based_credits",
    "int_ihc_memberships",
    "int_ihc_credits",
)
COMPARED = (
    *BY_PERSON,
    "int_named_journey_touchpoints",
    "int_person_states",
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
    scale: int = PEOPLE
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
        for customer in range(self.scale // 4):
            self.tables["customers"].append(
                {
                    "customer_id": f"k{customer}",
                    "created_at": at(self.random.uniform(0, 30)),
                    "phone": f"212736{5000 + customer}",
                    "email": f"k{customer}@northwind-mail.com",
                }
            )
        for _ in range(self.scale * 6):
            self.add_session(self.random.uniform(0, self.day))
        for _ in range(self.scale):
            self.add_conversion(self.random.uniform(0, self.day))
        for day in range(self.day):
            self.add_spend(day)
        for _ in range(self.scale // 8):
            self.add_login(self.random.uniform(0, self.day))
            self.add_call(self.random.uniform(0, self.day))

    def number(self) -> int:
        self.numbered += 1
        return self.numbered

    def user(self) -> str:
        return f"u{self.random.integers(self.scale)}"

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
                "customer_id": f"k{self.random.integers(self.scale // 4)}",
                "kind": "login",
            }
        )

    def add_call(self, days: float) -> None:
        self.tables["calls"].append(
            {
                "call_id": f"p{self.number()}",
                "called_at": at(days),
                "contact_number": f"212736{5000 + self.random.integers(self.scale // 4)}",
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
            "timestamp '2024-04-01' as computed_at from intermediate.int_named_journey_touchpoints "
            f"where length(conversion_id) % 2 = 0) to '{folder}/credits.parquet'"
        )
    content.settings["ihc_results_path"] = str(folder)


def sorted_rows(
    warehouse: duckdb.DuckDBPyConnection, table: str
) -> tuple[list[tuple[str, ...]], np.ndarray]:
    """Read a table in the order of its rows: what is no floating-point number, and what is."""
    rows = warehouse.execute(f"select * from {table}")
    is_number = [column[1] == "DOUBLE" for column in rows.description or []]
    keyed = sorted(
        (
            tuple(str(value) for value, n in zip(row, is_number, strict=True) if not n),
            [np.nan if v is None else v for v, n in zip(row, is_number, strict=True) if n],
        )
        for row in rows.fetchall()
    )
    return [key for key, _ in keyed], np.array([numbers for _, numbers in keyed], np.float64)


def read(build: Build, table: str) -> tuple[list[tuple[str, ...]], np.ndarray]:
    """Read a table of a build."""
    schema = "intermediate" if table.startswith("int_") else "marts"
    with duckdb.connect(str(build.warehouse), read_only=True) as warehouse:
        return sorted_rows(warehouse, f"{schema}.{table}")


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


@pytest.mark.fault(
    done="builds go on from builds that stopped half-way",
    expected="the same rows as a build from nothing",
    long=not LONG_SEQUENCES,
)
@pytest.mark.parametrize("seed", SEEDS)
def test_builds_that_go_on_give_what_a_build_from_nothing_gives(seed: int, tmp_path: Path) -> None:
    random = np.random.default_rng(seed)
    content = Input(random)
    going_on = tmp_path / "going_on"
    with duckdb.connect(str(build_input(going_on, content).warehouse)) as warehouse:
        # As an earlier version of the project has left them: all persons are computed once more.
        warehouse.execute("alter table intermediate.int_person_states rename person_key to person")
    shares = []
    order = random.permutation(len(EVENTS))
    for step, events in enumerate(np.array_split(order, STEPS)):
        for event in events:
            EVENTS[event](content)
        if step % 3 == 2:
            # A build that stops on its way, after which the input changes once more.
            left_out = random.choice(BY_PERSON, 2, replace=False)
            build_input(going_on, content, *(f"{name}+" for name in left_out))
            content.deleted_person()
            content.late_rows()
            # One without a model in the middle: what comes after it goes on from its old rows.
            build_input(going_on, content, str(left_out[0]))
        built = build_input(going_on, content)
        shares.append(changed_share(built))
        if step == 0:
            answer_journeys(built, tmp_path / "answers", content)
    built = build_input(going_on, content)

    assert shares[0] == 1
    assert changed_share(built) == 0
    assert any(0 < share < 0.5 for share in shares), "every build was for all persons"
    assert_same(built, build_input(tmp_path / "from_nothing", content))


# Commands other than one build after the other.

SELECT = ("--select", "+int_person_states")
BUILD = ("build", *SELECT, "--exclude-resource-type", "unit_test")


@pytest.fixture
def journeys(tmp_path: Path) -> tuple[Path, str]:
    """A folder with a few journeys, and the settings to build them with."""
    touches = [(f"s{i}", f"u{i % 3}", at(i), CHANNELS[i % 4]) for i in range(12)]
    orders = [(f"c{i}", f"u{i}", at(13), 10) for i in range(3)]
    write_csv(tmp_path / "input/sessions.csv", HEADERS["sessions"], touches)
    write_csv(tmp_path / "input/conversions.csv", HEADERS["conversions"], orders)
    return tmp_path, f"sources: [files], files_path: '{tmp_path / 'input'}'"


def credits_after(folder: Path, settings: str, model: str, *command: str) -> list[Row]:
    """Run a command of dbt's, and read the credits of a model, but for their last digits."""
    made = run_dbt(folder, *command, variables=f"{{{settings}}}")
    assert made.status == 0, made.output
    table = "int_ihc_credits" if model == "ihc" else "int_rule_based_credits"
    return made.rows(
        f"select conversion_key, touchpoint_key, round({model}, 9) from intermediate.{table} "
        "order by all"
    )


@pytest.mark.fault(
    done="a model by person built alone, with other settings, between two builds",
    expected="the same rows as without it",
)
def test_models_built_alone_leave_nothing_of_their_settings(journeys: tuple[Path, str]) -> None:
    folder, settings = journeys
    before = credits_after(folder, settings, "time_decay", *BUILD)

    other = f"{settings}, time_decay_half_life_days: 1"
    alone = ("run", "--select", "int_rule_based_credits")
    assert credits_after(folder, other, "time_decay", *alone) != before
    assert credits_after(folder, settings, "time_decay", *BUILD) == before


@pytest.mark.fault(
    done="dbt run, which loads no seeds, where another one is loaded than lies there",
    expected="credits follow from the one that is loaded, then and once the other is",
)
def test_credits_follow_from_the_seeds_that_are_loaded(journeys: tuple[Path, str]) -> None:
    folder, settings = journeys
    before = credits_after(folder, settings, "ihc", *BUILD)

    with duckdb.connect(str(folder / "tributary.duckdb")) as warehouse:
        warehouse.execute(
            "update seeds.ihc_phase_weights set weight = if(phase = 'initializer', 0.8, 0.1)"
        )
    assert credits_after(folder, settings, "ihc", "run", *SELECT) != before
    assert credits_after(folder, settings, "ihc", *BUILD) == before


# The same again without dbt, whose SQL is taken as it ran: so many more sequences can be tried.

SEQUENCES = 20 * LONG_SEQUENCES or 12
BEFORE = (
    "int_channels",
    "int_conversion_types",
    "int_journey_windows",
    "int_touched_persons",
    "int_person_fingerprints",
)
AFTER = ("int_channel_sets", "int_transition_counts", "int_person_states")

CHANGES = {
    "new day": """
        insert into touchpoints select * replace (
            concat('n', $n, '/', touchpoint_id) as touchpoint_id,
            touched_at + interval 61 day as touched_at
        ) from touchpoints where rank < 0.03""",
    "late rows": """
        insert into touchpoints select * replace (
            concat('l', $n, '/', touchpoint_id) as touchpoint_id,
            touched_at - interval 1 hour * $n as touched_at
        ) from touchpoints where rank < 0.01;
        insert into conversions select * replace (
            concat('l', $n, '/', conversion_id) as conversion_id,
            converted_at - interval 1 hour * $n as converted_at
        ) from conversions where rank < 0.04""",
    "new person": """
        insert into touchpoints select * replace (
            concat('p', $n, '/', touchpoint_id) as touchpoint_id, concat('p', $n) as person_id
        ) from touchpoints where rank < 0.02""",
    "times": """
        update touchpoints set touched_at = touched_at + interval 3 day where rank < 0.01;
        update conversions set converted_at = converted_at - interval 2 day where rank < 0.03""",
    "channels": """
        update touchpoints set channel = 'Display' where rank < 0.01;
        update touchpoints set channel = 'Display Retargeting'
        where channel = 'Display' and rank between 0.9 and 0.92""",
    "holders": """
        update touchpoints set holder_engagement = not holder_engagement where rank < 0.01""",
    "closers": """
        update touchpoints set closer_engagement = not closer_engagement where rank < 0.01""",
    "impressions": "update touchpoints set impression_interaction = true where rank < 0.01",
    "revenue": "update conversions set revenue = revenue + 1 where rank < 0.03",
    "centers": "update conversions set revenue_center = concat('center ', $n) where rank < 0.03",
    "deletions": """
        delete from touchpoints where rank < 0.01; delete from conversions where rank < 0.03""",
    "deleted person": """
        delete from touchpoints where person_id = (select min_by(person_id, rank) from touchpoints);
        delete from conversions where person_id = (select min_by(person_id, rank) from touchpoints)
        """,
    "merge": """
        update touchpoints set person_id = 'p1' where person_id = concat('p', 2 + $n % 20);
        update conversions set person_id = 'p1' where person_id = concat('p', 2 + $n % 20)""",
    "split": """
        update touchpoints set person_id = concat(person_id, ' and another')
        where person_id = concat('p', $n % 20) and rank < 0.5""",
    "costs": """
        update spend set spend = case when spend > 0 then 0 else 5 end where channel = 'billboard';
        update spend set spend = spend + 1 where channel = 'Email'""",
    "first of a type": """
        update conversions set conversion_type = concat('type ', $n) where rank < 0.02""",
    "once only": "update conversions set is_once_only = not is_once_only",
    "one type": "update conversions set conversion_type = 'purchase'",
    "answers": """
        insert into answers
        select source, conversion_id, touchpoint_id, 1 / journey_length, 1 / journey_length,
            1 / journey_length, 1 / journey_length, timestamp '2024-04-01', 0.5
        from intermediate.int_journey_touchpoints
        join intermediate.int_journey_windows using (conversion_key)
        join intermediate.int_touchpoints_unioned using (touchpoint_key)
        where hash(conversion_id, $n) % 9 = 0
            and conversion_id not in (select conversion_id from answers)""",
    "no answers": "delete from answers where hash(conversion_id, $n) % 2 = 0",
    "nothing": "select 1",
}
"""SQL by what changes. Every row has a rank from 0 to 1, drawn anew each time; $n is another number
each time."""

UPSTREAM = {
    "touchpoints": ("intermediate.int_touchpoints", "touchpoint_id"),
    "conversions": ("intermediate.int_conversions", "conversion_id"),
    "spend": ("intermediate.int_spend", "channel"),
    "answers": ("staging.stg_ihc_service__credits", "conversion_id"),
}


class Replay:
    """Builds by the SQL that dbt ran: as from nothing, and as one that goes on."""

    def __init__(self, warehouse: Path, from_nothing: Path, going_on: Path) -> None:
        self.connection = duckdb.connect(str(warehouse))
        self.connection.execute("set timezone = 'UTC'; set threads = 1")
        compiled = "compiled/tributary/models"
        self.whole = {
            path.stem: path.read_text() for path in (from_nothing / compiled).rglob("*.sql")
        }
        self.changed = {
            path.stem: path.read_text() for path in (going_on / compiled).rglob("*.sql")
        }
        self.merged = {
            path.stem: path.read_text()
            for path in (going_on / "run/tributary/models").rglob("*.sql")
            if path.stem in BY_PERSON
        }
        # The input has the names beside the keys that follow from them.
        self.connection.execute(
            "alter table intermediate.int_touchpoints add column touchpoint_id varchar; "
            "alter table intermediate.int_touchpoints add column person_id varchar; "
            "create or replace view intermediate.int_touchpoints_unioned as "
            "select touchpoint_key, touchpoint_id from intermediate.int_touchpoints"
        )
        self.connection.execute("drop view staging.stg_ihc_service__credits")
        self.connection.execute(
            "create table staging.stg_ihc_service__credits (source varchar, conversion_id varchar, "
            "touchpoint_id varchar, initializer double, holder double, closer double, ihc double, "
            "computed_at timestamp)"
        )

    def begin(self, random: Random) -> None:
        """Draw an input, and forget what was built."""
        self.connection.execute(
            f"select setseed({random.random()}); delete from staging.stg_ihc_service__credits; "
            "drop table if exists intermediate.int_person_states"
        )
        for table, rows in {
            "int_touchpoints": "select ['files', 'demo'][1 + i % 2] as source, "
            "concat('t', i) as touchpoint_id, timestamp '2024-01-01' "
            "+ interval 1 second * cast(random() * 86400 * 60 as bigint) as touched_at, "
            "concat('p', cast(random() * 40 as int)) as person_id, "
            "['Direct', 'Email', 'Podcast', 'billboard', 'Display'][1 + i * 7 % 5] as channel, "
            "random() < 0.3 as holder_engagement, random() < 0.1 as closer_engagement, "
            "false as impression_interaction from range(300) as rows (i)",
            "int_conversions": "select ['files', 'demo'][1 + i % 2] as source, concat('c', i) as "
            "conversion_id, concat('p', cast(random() * 45 as int)) as person_id, "
            "'purchase' as conversion_type, false as is_once_only, null as revenue_center, "
            "null as currency, i as revenue, timestamp '2024-01-01' + interval 1 second * "
            "cast(random() * 86400 * 60 as bigint) as converted_at from range(50) as rows (i)",
            "int_spend": "select 'files' as source, date '2024-01-02' as spend_date, null as "
            "campaign, null as account, null as touchpoint_id, 0 as spend, "
            "unnest(['billboard', 'Email']) as channel",
        }.items():
            self.connection.execute(
                f"delete from intermediate.{table}; insert into intermediate.{table} by name {rows}"
            )
        self.set_keys()

    def set_keys(self) -> None:
        """Give every row the keys that follow from its ids."""
        for table, key, id_column in (
            ("int_touchpoints", "touchpoint_key", "touchpoint_id"),
            ("int_touchpoints", "person_key", "person_id"),
            ("int_conversions", "conversion_key", "conversion_id"),
            ("int_conversions", "person_key", "person_id"),
        ):
            self.connection.execute(
                f"update intermediate.{table} set {key} = hash(source::varchar, {id_column}) >> 1"
            )

    def change(self, what: str, number: int) -> None:
        """Let the input change."""
        for name, (table, key) in UPSTREAM.items():
            self.connection.execute(
                f"create or replace temp table {name} as select *, random() as rank from "
                f"(select * from {table} order by source, {key})"
            )
        for statement in CHANGES[what].replace("$n", str(number)).split(";"):
            self.connection.execute(statement)
        for name, (table, _) in UPSTREAM.items():
            self.connection.execute(
                f"delete from {table}; insert into {table} select * exclude (rank) from {name}"
            )
        self.set_keys()

    def make(self, table: str, sql: str) -> None:
        """Make a table anew."""
        self.connection.execute(f"create or replace table intermediate.{table} as {sql}")

    def rows(self, table: str) -> int:
        """Count the rows of a table; none where there is no table."""
        found = self.connection.execute(
            f"select estimated_size from duckdb_tables() where table_name = '{table}'"
        ).fetchall()
        return int(found[0][0]) if found else 0

    def build(self, stops_after: str = "") -> bool:
        """Build, and say whether by going on; see macros/incremental for what is done here."""
        has_states = self.rows("int_person_states") > 0
        for table in BEFORE:
            self.make(table, self.whole[table])
        changed = (self.changed if has_states else self.whole)["int_changed_persons"]
        self.make("int_changed_persons", changed)
        is_for_all = 2 * self.rows("int_changed_persons") >= self.rows("int_person_states")
        if is_for_all:
            self.connection.execute("drop table if exists intermediate.int_person_states")
        else:
            self.connection.execute(
                "delete from intermediate.int_person_states where person_key in "
                "(select person_key from intermediate.int_changed_persons); "
                "insert into intermediate.int_person_states (person_key) "
                "select person_key from intermediate.int_changed_persons"
            )
        for table in BY_PERSON:
            if is_for_all:
                self.make(table, self.whole[table])
            else:
                merged = self.merged[table]
                (temporary,) = set(re.findall(rf"{table}__dbt_tmp\w+", merged))
                self.connection.execute(
                    f"create or replace temp table {temporary} as {self.changed[table]}"
                )
                self.connection.execute(merged)
            if table == stops_after:
                return not is_for_all
        for table in AFTER:
            self.make(table, self.whole[table])
        return not is_for_all

    def content(self) -> dict[str, tuple[list[tuple[str, ...]], np.ndarray]]:
        """All rows of what is compared."""
        return {
            table: sorted_rows(self.connection, f"intermediate.{table}")
            for table in (*BY_PERSON, *AFTER)
        }


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replay]:
    folder = tmp_path_factory.mktemp("replay")
    content = Input(np.random.default_rng(0), scale=20)
    warehouse = build_input(folder, content).warehouse
    shutil.copytree(folder / "target", folder / "from_nothing")
    content.add_session(1)
    build_input(folder, content)
    replay = Replay(warehouse, folder / "from_nothing", folder / "target")
    yield replay
    replay.connection.close()


@pytest.mark.fault(
    done="random sequences of late rows, corrections, deletions and merged persons",
    expected="the same rows as a build from nothing, every time",
)
def test_sequences_of_changes_give_what_a_build_from_nothing_gives(replay: Replay) -> None:
    went_on = 0
    for seed in range(SEQUENCES):
        random = np.random.default_rng(seed)
        replay.begin(random)
        replay.build()
        changes = []
        for _ in range(6):
            for what in random.choice(list(CHANGES), random.integers(1, 3)):
                changes.append(str(what))
                replay.change(what, len(changes))
            stops_after = str(random.choice(BY_PERSON)) if random.random() < 0.3 else ""
            changes.append(stops_after)
            went_on += replay.build(stops_after)
        replay.build()
        found = replay.content()
        replay.connection.execute("drop table intermediate.int_person_states")
        replay.build()
        for table, (keys, numbers) in replay.content().items():
            message = f"{table} after {', '.join(filter(None, changes))} (sequence {seed})"
            assert found[table][0] == keys, message
            np.testing.assert_allclose(
                found[table][1], numbers, TOLERANCE, TOLERANCE, err_msg=message
            )
    assert went_on > 4 * SEQUENCES
