import csv
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
import pytest
from typer.testing import CliRunner

from tributary.cli import app
from tributary.contacts import parse_emails, parse_phones
from tributary.customer_records import (
    ORIGINS,
    SWITCHBOARD_CUSTOMERS,
    CustomerRecords,
    simulate_customer_records,
)
from tributary.simulation import Market, Simulation, simulate

MARKET = Market(people=4_000)
SEED = 5
RULES = Path(__file__).parents[2] / "seeds" / "email_rules.csv"

Row = dict[str, Any]
Contacts = dict[str | None, str]


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return simulate(MARKET, SEED)


@pytest.fixture(scope="module")
def records(simulation: Simulation) -> CustomerRecords:
    return simulate_customer_records(simulation, SEED)


def is_malformed(table: pa.Table) -> list[bool]:
    ids = table[table.column_names[0]].to_pylist()
    return [key is None or key.endswith("-copy") for key in ids]


def good(table: pa.Table) -> list[Row]:
    """Rows that can be used."""
    return [
        row
        for row, is_bad in zip(table.to_pylist(), is_malformed(table), strict=True)
        if not is_bad
    ]


def forms(records: CustomerRecords) -> list[Row]:
    return [row for row in good(records.identity_links) if row["kind"] == "form"]


def logins(records: CustomerRecords) -> list[Row]:
    return [row for row in good(records.identity_links) if row["kind"] == "login"]


def true_people(records: CustomerRecords) -> dict[tuple[str, str], str]:
    return {
        (row["entity"], row["entity_key"]): row["true_person"]
        for row in records.identity_truth.to_pylist()
    }


def channel_of(row: Row) -> str:
    ((channel),) = (
        name
        for name, origins in ORIGINS.items()
        if (row["source"], row["medium"]) in {(each.source, each.medium) for each in origins}
    )
    return channel


def share(flags: Iterable[bool]) -> float:
    values = list(flags)
    return sum(values) / len(values)


def test_the_same_seed_gives_the_same_tables_and_another_seed_others(
    simulation: Simulation, records: CustomerRecords
) -> None:
    again = simulate_customer_records(simulation, SEED)
    other = simulate_customer_records(simulation, SEED + 1)

    for name, table in vars(records).items():
        assert getattr(again, name).equals(table)
        assert not getattr(other, name).equals(table)


def test_every_touch_is_one_session_call_or_form(
    simulation: Simulation, records: CustomerRecords
) -> None:
    people = true_people(records)
    found = Counter(
        (people["user", row["user_id"]], row["started_at"], row["channel"], row["campaign"])
        for row in records.sessions.to_pylist()
    )
    found.update(
        (people["call", row["call_id"]], row["called_at"], channel_of(row), row["campaign"])
        for row in good(records.calls)
    )
    found.update(
        (people["form", row["link_id"]], row["linked_at"], channel_of(row), row["campaign"])
        for row in forms(records)
    )

    touches = simulation.sessions.select(["user_id", "started_at", "channel", "campaign"])
    assert found == Counter(tuple(row.values()) for row in touches.to_pylist())


def test_sessions_and_conversions_are_otherwise_as_simulated(
    simulation: Simulation, records: CustomerRecords
) -> None:
    kept = pc.is_in(simulation.sessions["session_id"], value_set=records.sessions["session_id"])
    sessions = simulation.sessions.filter(kept)

    assert records.sessions.drop_columns("user_id").equals(sessions.drop_columns("user_id"))
    assert records.conversions.drop_columns("user_id").equals(
        simulation.conversions.drop_columns("user_id")
    )
    assert records.sessions.schema == simulation.sessions.schema


def test_calls_and_forms_are_of_buyers_and_the_interested(
    simulation: Simulation, records: CustomerRecords
) -> None:
    touches = Counter(simulation.sessions["user_id"].to_pylist())
    buyers = set(simulation.conversions["user_id"].to_pylist())
    people = true_people(records)
    callers = [person for (entity, _), person in people.items() if entity in ("call", "form")]
    could = sum(count for user, count in touches.items() if user in buyers or count >= 10)

    assert all(person in buyers or touches[person] >= 10 for person in callers)
    assert len(good(records.calls)) / could == pytest.approx(0.08, abs=0.01)
    assert len(forms(records)) / could == pytest.approx(0.04, abs=0.01)


def test_a_platform_marks_the_landing_page_and_half_of_the_calls_name_the_channel(
    records: CustomerRecords,
) -> None:
    for row in [*good(records.calls), *forms(records)]:
        channel = channel_of(row)
        (origin,) = (each for each in ORIGINS[channel] if each.source == row["source"])
        assert ("?" in row["landing_page"]) == (origin.click_id is not None)
        assert f"{origin.click_id}=" in row["landing_page"] or origin.click_id is None
        assert row.get("channel") in (None, channel)
    calls = good(records.calls)
    assert share(row["channel"] is not None for row in calls) == pytest.approx(0.5, abs=0.05)
    assert min(row["duration"] for row in calls) > 0


def test_source_and_medium_tell_the_channel() -> None:
    pairs = Counter(
        (origin.source, origin.medium) for origins in ORIGINS.values() for origin in origins
    )

    assert set(pairs.values()) == {1}
    assert {channel.name for channel in MARKET.channels} == set(ORIGINS)


def test_a_person_has_one_cookie_a_day_and_some_a_second_one(
    simulation: Simulation, records: CustomerRecords
) -> None:
    people = true_people(records)
    of_day = defaultdict(set)
    cookies = defaultdict(set)
    for table, time in ((records.sessions, "started_at"), (records.conversions, "converted_at")):
        for row in table.select(["user_id", time]).to_pylist():
            person = people["user", row["user_id"]]
            of_day[person, row[time].date()].add(row["user_id"])
            cookies[person].add(row["user_id"])

    assert max(map(len, of_day.values())) == 1
    # Not everybody is seen again after the second device.
    assert 0.10 < share(len(users) == 2 for users in cookies.values()) < 0.20
    buyers = [people["user", user] for user in records.conversions["user_id"].to_pylist()]
    assert buyers == simulation.conversions["user_id"].to_pylist()


def test_buyers_and_some_callers_are_on_file_from_when_they_were_first_seen(
    simulation: Simulation, records: CustomerRecords
) -> None:
    people = true_people(records)
    first_seen: dict[str, datetime] = {}
    events = [
        *((row["user_id"], row["converted_at"]) for row in simulation.conversions.to_pylist()),
        *((people["call", row["call_id"]], row["called_at"]) for row in good(records.calls)),
        *((people["form", row["link_id"]], row["linked_at"]) for row in forms(records)),
        *(
            (people["customer", row["customer_id"]], row["booked_at"])
            for row in good(records.appointments)
        ),
    ]
    for person, at in events:
        first_seen[person] = min(at, first_seen.get(person, at))
    created: dict[str, datetime] = {}
    for row in good(records.customers):
        created.setdefault(people["customer", row["customer_id"]], row["created_at"])
    buyers = set(simulation.conversions["user_id"].to_pylist())

    assert buyers <= set(created) <= set(first_seen)
    assert all(at == first_seen[person] for person, at in created.items())
    others = set(first_seen) - buyers
    assert len(others & set(created)) / len(others) == pytest.approx(0.3, abs=0.06)


def test_purchases_are_mirrored_in_revenue_and_some_are_refunded(
    simulation: Simulation, records: CustomerRecords
) -> None:
    people = true_people(records)
    rows = good(records.revenue)
    paid = [row for row in rows if row["net"] >= 0]
    refunds = [row for row in rows if row["net"] < 0]

    assert Counter(
        (people["customer", row["customer_id"]], row["service_date"], row["net"]) for row in paid
    ) == Counter(
        (row["user_id"], row["converted_at"].date(), row["revenue"])
        for row in simulation.conversions.to_pylist()
    )
    assert len(refunds) / len(paid) == pytest.approx(0.04, abs=0.02)
    assert any(-row["net"] in {each["net"] for each in paid} for row in refunds)
    for refund in refunds:
        assert any(
            payment["customer_id"] == refund["customer_id"]
            and payment["service_date"] < refund["service_date"]
            and payment["net"] >= -refund["net"]
            for payment in paid
        )
    assert len({row["revenue_center"] for row in rows}) == 3


def test_appointments_come_before_the_first_payment(
    simulation: Simulation, records: CustomerRecords
) -> None:
    people = true_people(records)
    first_paid: dict[str, datetime] = {}
    for row in simulation.conversions.to_pylist():
        first_paid.setdefault(row["user_id"], row["converted_at"])
    rows = good(records.appointments)
    persons = [people["customer", row["customer_id"]] for row in rows]

    assert len(set(persons)) == len(persons)
    assert len(first_paid.keys() & set(persons)) / len(first_paid) == pytest.approx(0.6, abs=0.06)
    assert {row["status"] for row in rows} == {"attended", "booked", "cancelled", "no_show"}
    last = datetime.combine(MARKET.first_day, datetime.min.time()) + timedelta(days=MARKET.days)
    for person, row in zip(persons, rows, strict=True):
        latest = first_paid.get(person, last)
        assert row["booked_at"] <= latest
        assert (row["attended_at"] is not None) == (row["status"] == "attended")
        assert row["attended_at"] is None or row["booked_at"] <= row["attended_at"] <= latest


# Contacts and noise


def spelled(records: CustomerRecords) -> tuple[Contacts, Contacts]:
    """Phones and e-mail addresses as written and in their one spelling."""
    with RULES.open(encoding="utf-8", newline="") as file:
        rules = pa.Table.from_pylist(list(csv.DictReader(file)))
    customers, calls, links = records.customers, records.calls, records.identity_links
    numbers = [customers["phone_1"], customers["phone_2"], calls["contact_number"], links["phone"]]
    addresses = [customers["email_1"], customers["email_2"], calls["email"], links["email"]]
    phones = parse_phones(pa.array([text for part in numbers for text in part.to_pylist()]), "US")
    emails = parse_emails(
        pa.array([text for part in addresses for text in part.to_pylist()]), rules
    )
    return (
        {row["number"]: row["e164"] for row in phones.to_pylist() if row["e164"]},
        {row["address"]: row["email"] for row in emails.to_pylist() if row["email"]},
    )


def test_what_is_matchable_is_what_the_data_hold_evidence_for(records: CustomerRecords) -> None:
    people = true_people(records)
    phones, emails = spelled(records)

    def contacts(row: Row) -> set[str]:
        texts = [phones.get(row.get(name)) for name in ("phone_1", "phone_2", "phone")]
        texts += [phones.get(row.get("contact_number"))]
        texts += [emails.get(row.get(name)) for name in ("email_1", "email_2", "email")]
        return {text for text in texts if text}

    owners = defaultdict(set)
    on_file = defaultdict(list)
    for row in good(records.customers):
        person = people["customer", row["customer_id"]]
        on_file[person].append(contacts(row))
        for contact in contacts(row):
            owners[contact].add(person)

    def own(person: str, row: Row) -> set[str]:
        return {contact for contact in contacts(row) if owners[contact] == {person}}

    calls = {("call", row["call_id"]): (row, row["visitor_id"]) for row in good(records.calls)}
    touches = {
        **calls,
        **{("form", row["link_id"]): (row, row["user_id"]) for row in forms(records)},
    }
    users = {row["user_id"] for row in logins(records)}
    users |= {user for entity, (row, user) in touches.items() if own(people[entity], row)}
    expected = {}
    for entity, person in people.items():
        if entity[0] == "user":
            expected[entity] = entity[1] in users
        elif entity[0] != "customer":
            row, user = touches[entity]
            expected[entity] = bool(own(person, row)) or (user is not None and user in users)
    for row in good(records.customers):
        entity = ("customer", row["customer_id"])
        others = [each for each in on_file[people[entity]] if each != contacts(row)]
        shared = len(on_file[people[entity]]) > 1 + len(others) or any(
            own(people[entity], row) & each for each in others
        )
        expected[entity] = shared or len(on_file[people[entity]]) == 1

    told = {
        (row["entity"], row["entity_key"]): row["is_matchable"]
        for row in records.identity_truth.to_pylist()
    }
    assert told == expected
    for kind in ("user", "call", "form"):
        assert 0.1 < share(flag for (entity, _), flag in told.items() if entity == kind) < 0.9


def test_the_truth_lists_each_entity_once(records: CustomerRecords) -> None:
    entities = [(row["entity"], row["entity_key"]) for row in records.identity_truth.to_pylist()]
    users = {row["user_id"] for row in records.sessions.to_pylist()}
    users |= {row["user_id"] for row in records.conversions.to_pylist()}
    users |= {row["user_id"] for row in records.identity_links.to_pylist()}
    users |= {row["visitor_id"] for row in records.calls.to_pylist()}
    expected = {("user", user) for user in users - {None}}
    expected |= {("call", row["call_id"]) for row in good(records.calls)}
    expected |= {("form", row["link_id"]) for row in forms(records)}
    expected |= {("customer", row["customer_id"]) for row in good(records.customers)}

    assert entities == sorted(expected)


def test_logins_are_of_the_person_and_a_record_that_exists(records: CustomerRecords) -> None:
    people = true_people(records)
    created = {row["customer_id"]: row["created_at"] for row in good(records.customers)}

    assert logins(records)
    for row in logins(records):
        assert people["user", row["user_id"]] == people["customer", row["customer_id"]]
        assert created[row["customer_id"]] <= row["linked_at"]
        assert row["phone"] is row["email"] is row["source"] is None
    for row in forms(records):
        assert row["customer_id"] is None
        assert row["phone"] or row["email"]


def test_contacts_on_file_can_be_read(records: CustomerRecords) -> None:
    phones, emails = spelled(records)
    rows = good(records.customers)

    for row in rows:
        assert row["phone_1"] in phones
        assert row["phone_2"] in phones or row["phone_2"] is None
    assert share(row["email_1"] in emails for row in rows) > 0.99
    assert 0.1 < share(row["email_2"] is not None for row in rows) < 0.3


def test_contacts_are_as_untidy_as_in_life(records: CustomerRecords) -> None:
    people = true_people(records)
    phones, _ = spelled(records)
    rows = good(records.customers)
    holders = defaultdict(set)
    names = defaultdict(set)
    for row in rows:
        for phone in {phones.get(row["phone_1"]), phones.get(row["phone_2"])} - {None}:
            holders[phone].add(people["customer", row["customer_id"]])
            names[phone].add((row["first_name"], row["last_name"]))
    sizes = Counter(map(len, holders.values()))
    on_file = Counter(people["customer", row["customer_id"]] for row in rows)
    calls = good(records.calls)
    known = set(phones.values()) & set(holders)

    assert set(sizes) == {1, 2, 3, 4, SWITCHBOARD_CUSTOMERS}
    assert sizes[SWITCHBOARD_CUSTOMERS] == 1
    assert all(len(names[phone]) >= len(people) for phone, people in holders.items())
    assert share(count == 2 for count in on_file.values()) == pytest.approx(0.03, abs=0.02)
    assert share(row["contact_number"] not in phones for row in calls) == pytest.approx(
        0.04, abs=0.02
    )
    customers = {people["customer", row["customer_id"]] for row in rows}
    of_customers = [
        phones[row["contact_number"]]
        for row in calls
        if people["call", row["call_id"]] in customers and row["contact_number"] in phones
    ]
    assert share(phone not in known for phone in of_customers) == pytest.approx(0.03, abs=0.02)
    texts = [row["email_1"] for row in rows]
    assert share(text == text.lower() for text in texts) == pytest.approx(0.92, abs=0.03)
    assert sum("+" in text for text in texts) > 10
    written = records.identity_links["email"].drop_null().to_pylist()
    assert 0 < sum("@@" in text for text in [*texts, *written]) < 0.01 * len(texts + written)


@pytest.mark.parametrize(
    ("name", "id_column", "time"),
    [
        ("calls", "call_id", "called_at"),
        ("customers", "customer_id", "created_at"),
        ("appointments", "customer_id", "booked_at"),
        ("revenue", "customer_id", "service_date"),
        ("identity_links", "link_id", "linked_at"),
    ],
)
def test_a_few_rows_are_malformed(
    name: str, id_column: str, time: str, records: CustomerRecords
) -> None:
    table = getattr(records, name)
    customers = {row["customer_id"] for row in good(records.customers)} | {None}

    def cannot_be_used(row: Row) -> bool:
        is_unknown = row.get("customer_id") not in customers
        return row[id_column] is None or row[time] is None or row[time].year > 2200 or is_unknown

    rows = table.to_pylist()
    assert [cannot_be_used(row) for row in rows] == is_malformed(table)
    assert 0 < sum(is_malformed(table)) <= 0.005 * len(rows)
    ids = table[table.column_names[0]].drop_null().to_pylist()
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(("people", "days"), [(0, 5), (1, 1), (1, 90), (40, 2)])
def test_few_people_leave_few_traces(people: int, days: int, records: CustomerRecords) -> None:
    simulation = simulate(Market(people=people, days=days), SEED)

    few = simulate_customer_records(simulation, SEED)

    for name, table in vars(few).items():
        assert table.schema == getattr(records, name).schema
    assert few.conversions.num_rows == simulation.conversions.num_rows


def test_other_channels_are_their_own_source(simulation: Simulation) -> None:
    renamed = pa.repeat("Radio", simulation.sessions.num_rows)
    sessions = simulation.sessions.set_column(3, "channel", renamed)
    market = Simulation(**{**vars(simulation), "sessions": sessions})

    calls = simulate_customer_records(market, SEED).calls

    assert set(calls["source"].to_pylist()) == {"Radio"}
    assert set(calls["medium"].to_pylist()) == {"(not set)"}


def test_a_negative_seed_is_refused(simulation: Simulation) -> None:
    with pytest.raises(ValueError, match="at least 0"):
        simulate_customer_records(simulation, -1)


def test_the_command_writes_every_table(tmp_path: Path) -> None:
    options = ["simulate", "--people", "60", "--seed", "3", "--output", str(tmp_path)]

    result = CliRunner().invoke(app, options)

    assert result.exit_code == 0, result.output
    records = simulate_customer_records(simulate(Market(people=60), 3), 3)
    for name, table in vars(records).items():
        assert pyarrow.parquet.read_table(tmp_path / f"{name}.parquet").equals(table)
    written = {path.stem for path in tmp_path.glob("*.parquet")}
    assert written == {*vars(records), "spend", "truth"}
