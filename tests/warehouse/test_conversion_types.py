"""Stages of a customer become conversions by rows of a seed; money is accounted for to the cent."""

import csv
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from .conftest import HEADERS, Build, run_dbt, write_csv

CRM_HEADERS: Mapping[str, str] = {
    **HEADERS,
    "conversions": "conversion_id,user_id,converted_at,revenue,conversion_type",
    "calls": "call_id,called_at,contact_number,visitor_id,channel,duration",
    "identity_links": "link_id,linked_at,user_id,kind,channel",
    "customers": "customer_id,phone",
    "appointments": "appointment_id,customer_id,booked_at,attended_at,status",
    "revenue": "revenue_id,customer_id,service_date,net,revenue_center",
}

Tables = Mapping[str, Iterable[Iterable[object]]]


def stages(folder: Path, tables: Tables) -> Build:
    """Build the journeys of all conversions and the reconciliation, with their tests."""
    for name, header in CRM_HEADERS.items():
        write_csv(folder / "input" / f"{name}.csv", header, tables.get(name, []))
    built = run_dbt(
        folder,
        "build",
        "--exclude-resource-type",
        "unit_test",
        "--select",
        "+int_named_journey_touchpoints",
        "+rpt_revenue_reconciliation",
        "+assert_refunds_are_netted",
        "--indirect-selection",
        "buildable",
        variables=f"{{sources: [files], files_path: {folder / 'input'}}}",
    )
    assert built.status == 0, built.output
    return built


def with_rows(folder: Path, built: Build, *rows: str) -> Build:
    """Build the conversions anew with further rows in the seed."""
    with duckdb.connect(str(built.warehouse)) as warehouse:
        for row in csv.reader(rows):
            values = [value or None for value in row]
            warehouse.execute(
                "insert into seeds.conversion_types values (?, ?, ?, ?, ?, ?, ?, ?)", values
            )
    return run_dbt(
        folder,
        "run",
        "--select",
        "int_conversions",
        variables=f"{{sources: [files], files_path: {folder / 'input'}}}",
    )


def conversions(
    built: Build, columns: str = "conversion_id, revenue::double, converted_at"
) -> dict[str, tuple[str, ...]]:
    assert built.status == 0, built.output
    rows = built.rows(f"select {columns} from intermediate.int_conversions")
    return {str(row[0]): tuple(map(str, row[1:])) for row in rows}


def test_stages_of_a_customer_and_delivered_conversions_stand_side_by_side(tmp_path: Path) -> None:
    built = stages(
        tmp_path,
        {
            "conversions": [("o", "u", "2024-01-02 10:00", 9, "purchase")],
            "calls": [
                ("k2", "2024-01-05 09:00", "1", "", "ad", 3),
                ("k1", "2024-01-05 09:00", "1", "", "ad", 3),
            ],
            "identity_links": [("f", "2024-02-01 08:00", "v", "form", "ad")],
            "appointments": [
                ("a1", "p", "2024-01-06 12:00", "2024-01-08 12:00", "Cancelled"),
                ("a2", "p", "2024-01-07", "2024-01-09", ""),
                ("a3", "q", "2024-01-07 12:00", "2199-01-01", "planned"),
                ("a4", "s", "2024-01-07T20:00:00-04:00", "2024-01-09T00:00:00Z", ""),
            ],
            "revenue": [
                ("r1", "p", "2024-01-09", 100, "shop"),
                ("r2", "p", "2024-06-01", 40, "shop"),
                ("r3", "p", "2024-06-02", -15, ""),
                ("r4", "p", "2025-01-09", 7, "shop"),
            ],
        },
    )
    assert conversions(built) == {
        "o": ("9.0", "2024-01-02 10:00:00"),
        "first_contact:call:k1": ("0.0", "2024-01-05 09:00:00.000001"),
        "first_contact:call:k2": ("0.0", "2024-01-05 09:00:00.000001"),
        "first_contact:form:f": ("0.0", "2024-02-01 08:00:00.000001"),
        "first_booked:appointment:a1": ("0.0", "2024-01-06 12:00:00"),
        "first_booked:appointment:a3": ("0.0", "2024-01-07 12:00:00"),
        # A midnight that is written with a zone is a time; one without is a day.
        "first_booked:appointment:a4": ("0.0", "2024-01-08 00:00:00.000001"),
        "first_attended:appointment:a4": ("0.0", "2024-01-09 00:00:00.000001"),
        # The cancelled one was not attended, and the one that lies ahead is not yet.
        "first_attended:appointment:a2": ("0.0", "2024-01-09 23:59:59.999999"),
        # A year from the first payment, refunds included: the last one comes a day too late.
        "first_paid:payment:r1": ("125.0", "2024-01-09 23:59:59.999999"),
        "every_paid:payment:r1": ("100.0", "2024-01-09 23:59:59.999999"),
        "every_paid:payment:r2": ("25.0", "2024-06-01 23:59:59.999999"),
        "every_paid:payment:r4": ("7.0", "2025-01-09 23:59:59.999999"),
    }


def test_a_call_from_an_ad_is_the_touch_of_its_own_contact(tmp_path: Path) -> None:
    built = stages(
        tmp_path,
        {
            "sessions": [
                ("before", "u", "2024-01-05 08:00", "search"),
                ("at", "u", "2024-01-05 09:00", "search"),
                ("after", "u", "2024-01-05 10:00", "search"),
            ],
            "conversions": [("o", "u", "2024-01-05 09:00", 9, "purchase")],
            "calls": [
                ("k", "2024-01-05 09:00", "1", "u", "ad", 3),
                ("again", "2024-01-06 09:00", "1", "u", "ad", 3),
                ("alone", "2024-01-05 09:00", "2", "", "ad", 3),
            ],
        },
    )
    assert built.rows(
        "select conversion_id, touchpoint_id from intermediate.int_named_journey_touchpoints "
        "order by conversion_id, touch_number"
    ) == [
        ("first_contact:call:alone", "call:alone"),
        ("first_contact:call:k", "before"),
        ("first_contact:call:k", "at"),
        ("first_contact:call:k", "call:k"),
        ("o", "before"),
    ]


REFUNDS = [
    ("early", "p", "2024-01-01", -1, "shop"),
    ("lab", "p", "2024-01-02", "10.01", "lab"),
    ("shop1", "p", "2024-01-02", 20, "shop"),
    ("shop2", "p", "2024-01-02", 30, "shop"),
    ("back to lab", "p", "2024-01-03", -2, "lab"),
    ("back to the last", "p", "2024-01-02", -4, "shop"),
    ("elsewhere", "p", "2024-01-03", -8, "garden"),
    ("nowhere", "p", "2024-01-03", -16, ""),
    ("nothing", "p", "2024-01-03", 0, "shop"),
    ("stranger", "s", "2024-01-03", 5, "shop"),
    ("no customer", "", "2024-01-03", 3, "shop"),
    ("stranger", "s", "2024-01-04", 5, "shop"),
    ("lost", "q", "2024-01-03", "0.5", "shop"),
    ("odd", "q", "2024-01-03", "five", "shop"),
]


@pytest.mark.fault(
    done="refunds before any payment, of another center, of an unknown customer",
    expected="every cent is accounted for",
)
def test_refunds_lower_the_latest_payment_and_every_cent_is_accounted_for(tmp_path: Path) -> None:
    built = stages(tmp_path, {"customers": [("p", "1"), ("q", "2")], "revenue": REFUNDS})
    assert built.rows(
        "select revenue_id, payment_id from intermediate.int_billing_rows where net < 0 order by 1"
    ) == [
        ("back to lab", "lab"),
        ("back to the last", "shop2"),
        ("early", None),
        ("elsewhere", "shop2"),
        ("nowhere", "shop2"),
    ]
    assert built.rows(
        "select payment_id, revenue::double from intermediate.int_payments order by 1"
    ) == [("lab", 8.01), ("lost", 0.5), ("shop1", 20), ("shop2", 2), ("stranger", 5)]
    assert built.rows(
        "select revenue_center, outcome, row_count, amount::double "
        "from marts.rpt_revenue_reconciliation order by 1, 2"
    ) == [
        ("(none)", "no touchpoint", 1, -16),
        ("garden", "no touchpoint", 1, -8),
        ("lab", "no touchpoint", 2, 8.01),
        ("shop", "customer not in the CRM", 1, 5),
        ("shop", "no amount", 1, 0),
        ("shop", "no touchpoint", 4, 46.5),
        ("shop", "refund without payment", 1, -1),
        ("shop", "rejected", 3, 8),
    ]


def test_a_type_of_ones_own_is_a_row(tmp_path: Path) -> None:
    built = stages(
        tmp_path,
        {
            "conversions": [
                ("l1", "u", "2024-01-02", 0, "lead"),
                ("l2", "u", "2024-01-03", 0, "lead"),
            ],
            "calls": [
                ("short", "2024-01-05 09:00", "1", "u", "ad", 3),
                ("long", "2024-01-06 09:00", "1", "u", "ad", 90),
            ],
            "revenue": [("r", "p", "2024-01-09", 100, "lab"), ("s", "p", "2024-01-10", 9, "shop")],
        },
    )
    built = with_rows(
        tmp_path,
        built,
        "long_call,contact,entity = 'call' and duration_seconds >= 60,first,none,,true,Mine",
        "lab_paid,paid,revenue_center = 'lab',every,net_revenue,,true,Mine",
        "first_lead,lead,,first,none,,true,Mine",
        "unused,contact,,first,none,,false,Mine",
    )
    found = conversions(built, "conversion_id, conversion_type, revenue::double")
    assert found["long_call:call:long"] == ("long_call", "0.0")
    assert found["lab_paid:payment:r"] == ("lab_paid", "109.0")
    assert found["first_lead:conversion:l1"] == ("first_lead", "0.0")
    assert found["l2"] == ("lead", "0.0")
    assert {name for name, *_ in found.values()} == {
        *("lead", "first_lead", "first_contact", "long_call", "first_paid", "every_paid"),
        "lab_paid",
    }
    assert built.rows(
        "select distinct conversion_type from intermediate.int_conversions where is_once_only "
        "order by all"
    ) == [("first_contact",), ("first_lead",), ("first_paid",), ("long_call",)]


@pytest.fixture(scope="module")
def leads(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Build one delivered conversion of the type lead."""
    lead = ("l", "u", "2024-01-02", 0, "lead")
    return stages(tmp_path_factory.mktemp("leads"), {"conversions": [lead]})


@pytest.mark.fault(
    done="a conversion type with an unknown event, or SQL that does harm for a filter",
    expected="the build stops and names the row of the seed",
)
@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            "lead,contact,,first,none,,true,",
            "The row lead of the seed conversion_types has the name of a conversion type that a "
            "source delivers in its conversions.",
        ),
        (
            "mine,phoned,,first,none,,true,",
            "The row mine of the seed conversion_types has the event 'phoned'. Allowed: contact, "
            "booked, attended, paid, lead",
        ),
        ("mine,paid,,last,none,,true,", "mine of the seed conversion_types has the occurrence"),
        ("mine,paid,,first,gross,,true,", "has the value 'gross'. Allowed: none, event, net_rev"),
        ("mine,paid,,first,event,30,true,", "has the value_days '30'. Allowed: a whole number"),
        ("mine,paid,,first,net_revenue,-1,true,", "has the value_days '-1'. Allowed: a whole"),
        (
            "mine,booked,state = 'x',first,none,,true,",
            "has the event_filter 'state = 'x''. Allowed",
        ),
        ("mine,booked,1); drop table x,first,none,,true,", "row mine of the seed conversion_types"),
        (
            "mine,booked,status = = 'x',first,none,,true,",
            "The row mine of the seed conversion_types has the event_filter 'status = = 'x''. "
            "Allowed: a SQL condition",
        ),
        ("mine,paid,amount = 'abc',first,none,,true,", 'Could not convert string "abc"'),
        ("mine,booked,status = 5,first,none,,true,", "Could not convert string 'text' to INT32"),
        ("My Own,paid,,first,none,,true,", "row My Own of the seed conversion_types"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(
    tmp_path: Path, leads: Build, row: str, expected: str
) -> None:
    shutil.copytree(leads.warehouse.parent, tmp_path, dirs_exist_ok=True)
    copied = replace(leads, warehouse=tmp_path / leads.warehouse.name)
    built = with_rows(tmp_path, copied, row)
    assert built.status != 0
    assert "Traceback" not in built.output
    assert expected in " ".join(built.output.split())
