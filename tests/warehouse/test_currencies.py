"""Amounts of several currencies become one, at the rate of their day, and none without a rate."""

from datetime import date
from pathlib import Path

import duckdb
import pytest

from .conftest import Build, run_dbt, write_csv

CONVERTED = ("int_delivered_conversions", "int_revenue", "int_spend")


def _build(folder: Path, *selected: str) -> Build:
    return run_dbt(
        folder,
        "build",
        "--exclude-resource-type",
        "unit_test",
        "--select",
        *selected,
        "--indirect-selection",
        "cautious",
        variables=f"{{sources: [files], files_path: {folder / 'input'}, reporting_currency: EUR}}",
    )


@pytest.mark.fault(
    done="amounts in a currency without a rate on their day",
    expected="the build stops and names currency, days and the row to add",
)
def test_amounts_are_converted_and_a_missing_rate_is_named(tmp_path: Path) -> None:
    files = tmp_path / "input"
    write_csv(files / "sessions.csv", "session_id,user_id,started_at,channel", [])
    write_csv(
        files / "conversions.csv",
        "conversion_id,user_id,converted_at,revenue,currency",
        [
            ("january", "u", "2024-01-31 23:59:59", "100.01", "usd"),
            ("february", "u", "2024-02-01", "100.01", "USD"),
            ("home", "u", "2023-01-01", "7", "EUR"),
            # The same amount in another currency is another content.
            ("twice", "u", "2024-01-01", "5", "EUR"),
            ("twice", "u", "2024-01-01", "5", "USD"),
        ],
    )
    write_csv(
        files / "revenue.csv",
        "revenue_id,customer_id,service_date,net,currency",
        [("r", "p", "2024-01-01", "-10", "GBP"), ("s", "", "2024-01-01", "3", "XXX")],
    )
    write_csv(
        files / "spend.csv",
        "date,channel,spend,currency",
        [("2024-01-01", "ad", "0.001", "USD"), ("2024-01-01", "ad", "0.001", "USD")],
    )
    without = _build(tmp_path, *(f"+{name}" for name in CONVERTED), "+int_rejected_rows")
    assert without.status != 0
    output = " ".join(without.output.split())
    assert (
        "Source files: 3 rows of conversions are in USD, from 2024-01-01 to 2024-02-01, and have "
        "no rate to EUR. Add a row to seeds/currency_rates.csv: USD,2024-01-01," in output
    )
    assert "revenue are in GBP" in output
    # Rejected rows need no rate.
    assert "XXX" not in output

    with duckdb.connect(str(without.warehouse)) as warehouse:
        warehouse.executemany(
            "insert into seeds.currency_rates values (?, ?, ?)",
            [
                ("USD", date(2024, 1, 1), 0.9),
                ("usd ", date(2024, 2, 1), 0.91234567),
                ("GBP", date(2020, 1, 1), 1.15),
            ],
        )
    built = _build(tmp_path, *CONVERTED, "assert_money_in_is_used_or_rejected")
    assert built.status == 0, built.output
    assert built.rows(
        "select conversion_id, revenue::varchar, currency, original_revenue::double, "
        "original_currency from intermediate.int_delivered_conversions order by 1"
    ) == [
        ("february", "91.2436904567", "EUR", 100.01, "USD"),
        ("home", "7.0000000000", "EUR", 7, "EUR"),
        ("january", "90.0090000000", "EUR", 100.01, "USD"),
        ("twice", "5.0000000000", "EUR", 5, "EUR"),
    ]
    assert built.rows("select net::double, original_net::double from intermediate.int_revenue") == [
        (-11.5, -10)
    ]
    assert built.value("select sum(spend)::varchar from intermediate.int_spend") == "0.0018000000"
    assert built.rows(
        "select entity, rejection_reason, amount::double from restricted.int_rejected_rows "
        "order by 1"
    ) == [("conversions", "duplicate_id", 5), ("revenue", "missing_person", 3)]
