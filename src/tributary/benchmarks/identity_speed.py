"""How fast persons are found: calls, forms, logins and sessions of customers, at several sizes."""

import os
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from math import log
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
from rich import box
from rich.table import Table

from tributary.benchmarks.warehouse import Cost, build_warehouse

CUSTOMER_SHARE = 0.2
"""Customers per interaction."""

SELECTED = ("+int_journey_touchpoints", "+fct_identity_links")
"""What is built: persons with their links, and the journeys of their conversions."""

# Every person has two cookies, a number and an address; of five persons four are customers. The
# numbers lie in real area codes and exchanges, and are written in four ways.
_TABLES = {
    "people": """
        select
            person,
            person < {customers} as is_customer,
            concat('k', person) as customer_id,
            [212, 305, 312, 404, 415, 512, 602, 617, 702, 206][1 + person % 10] as area,
            220 + (person // 10) % 90 as exchange,
            (person // 900) % 10000 as line,
            concat('person', person, '@mail', person % 500, '.org') as email
        from range({customers} * 5 // 4) as people (person)
    """,
    "events": """
        select
            event,
            event * 7919 % ({customers} * 5 // 4) as person,
            concat('u', person, '-', hash(event) % 2) as user_id,
            timestamp '2024-01-01' + interval 1 second * (event * 104729 % 31000000) as happened_at,
            concat('channel ', hash(event, 1) % 8) as channel,
            hash(event, 2) % 20 as kind
        from range({interactions}) as events (event)
    """,
    "contacts": """
        select
            *,
            case (person + event) % 4
                when 0 then format('({:03d}) {:03d}-{:04d}', area, exchange, line)
                when 1 then format('+1{:03d}{:03d}{:04d}', area, exchange, line)
                when 2 then format('{:03d}.{:03d}.{:04d}', area, exchange, line)
                else format('1 {:03d} {:03d} {:04d} x7', area, exchange, line)
            end as phone
        from events inner join people using (person)
    """,
}
_FILES = {
    "sessions": """
        select concat('s', event) as session_id, user_id, happened_at as started_at, channel
        from events where kind < 10
    """,
    "calls": """
        select
            concat('c', event) as call_id, happened_at as called_at, phone as contact_number,
            channel, case when kind = 16 then user_id end as visitor_id
        from contacts where kind between 10 and 16
    """,
    "identity_links": """
        select
            concat('l', event) as link_id, happened_at as linked_at, user_id,
            case when kind = 19 and is_customer then customer_id end as customer_id,
            case when kind != 19 then upper(email) end as email, channel,
            case when kind = 19 then 'login' else 'form' end as kind
        from contacts where kind > 16
    """,
    "customers": """
        select
            customer_id, format('{:03d}-{:03d}-{:04d}', area, exchange, line) as phone_1,
            email as email_1, timestamp '2024-06-01' as created_at
        from people where is_customer
    """,
    "revenue": """
        select
            concat('r', event) as revenue_id, customer_id, 100 as net,
            cast(happened_at as date) as service_date
        from contacts where kind < 2 and is_customer
    """,
    "conversions": """
        select
            concat('o', event) as conversion_id, user_id, happened_at as converted_at, 50 as revenue
        from events where kind = 0
    """,
}


@dataclass(frozen=True)
class Timing:
    """What one size cost.

    Attributes
    ----------
    interactions, customers
        Sessions, calls, forms and logins; records of the CRM.
    matched
        Interactions that a customer was found for.
    cost
        Of the whole build, the start of dbt included.
    """

    interactions: int
    customers: int
    matched: int
    cost: Cost


def write_interactions(folder: Path, interactions: int) -> int:
    """Write the input of a build, the same for the same size; return the number of customers."""
    customers = int(interactions * CUSTOMER_SHARE)
    with duckdb.connect() as connection:
        for name, query in _TABLES.items():
            filled = query.replace("{customers}", str(customers))
            filled = filled.replace("{interactions}", str(interactions))
            connection.execute(f"create view {name} as {filled}")
        for name, query in _FILES.items():
            connection.execute(f"copy ({query}) to '{folder}/{name}.parquet' (format parquet)")
    return customers


def time_sizes(
    project: Path, sizes: Sequence[int], progress: Callable[[str], None]
) -> Iterator[Timing]:
    """Build persons and journeys at several sizes.

    Raises
    ------
    BenchmarkError
        If a model cannot be built.
    """
    for interactions in sizes:
        with TemporaryDirectory(prefix="tributary_identity_") as name:
            scratch = Path(name)
            progress(f"{interactions:,} interactions: making them")
            customers = write_interactions(scratch, interactions)
            progress(f"{interactions:,} interactions: finding persons and journeys")
            warehouse = scratch / "identity.duckdb"
            cost = build_warehouse(project, scratch, scratch, warehouse, *SELECTED)
            with duckdb.connect(str(warehouse), read_only=True) as connection:
                (matched,) = connection.execute(
                    "select count(*) from intermediate.int_named_touchpoints "
                    "where person_id in (select person_id from intermediate.int_entity_persons "
                    "where entity = 'customer')"
                ).fetchone() or (0,)
        yield Timing(interactions, customers, matched, cost)


def timing_table(timings: Sequence[Timing]) -> Table:
    """Show what each size cost, and how the cost grows from one to the next."""
    table = Table(
        title=f"Persons and journeys on {platform.machine()}, {os.cpu_count()} cores, "
        f"{date.today():%Y-%m-%d}",
        box=box.SIMPLE_HEAD,
    )
    for heading in (
        "Interactions",
        "Customers",
        "Touchpoints of customers",
        "Wall s",
        "CPU s",
        "Peak GB",
        "Growth",
    ):
        table.add_column(heading, justify="right")
    for number, timing in enumerate(timings):
        growth = ""
        if number:
            before = timings[number - 1]
            times = timing.cost.cpu_seconds / before.cost.cpu_seconds
            growth = f"{log(times) / log(timing.interactions / before.interactions):.2f}"
        table.add_row(
            f"{timing.interactions:,}",
            f"{timing.customers:,}",
            f"{timing.matched:,}",
            f"{timing.cost.wall_seconds:.1f}",
            f"{timing.cost.cpu_seconds:.1f}",
            f"{timing.cost.peak_bytes / 1e9:.2f}",
            growth,
        )
    return table
