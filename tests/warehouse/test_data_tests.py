"""The data tests can fail: each is watched failing on a warehouse that was tampered with."""

import json
from pathlib import Path

import duckdb

from .conftest import build, run_dbt, write_csv

TAMPERING = {
    "assert_credits_add_up_to_one": (
        "update intermediate.int_rule_based_credits set linear = null where touchpoint_id = 's1'"
    ),
    "assert_credited_revenue_is_revenue": (
        "update intermediate.int_ihc_credits set ihc = ihc + 0.01 where touchpoint_id = 's2'"
    ),
    "assert_revenue_is_conserved": (
        "delete from marts.rpt_channel_attribution where channel = '(unattributed)'"
    ),
    "assert_shares_add_up_to_one": (
        "update marts.rpt_channel_attribution set share = 0.9 where attribution_model = 'markov'"
    ),
    "assert_spend_is_conserved": (
        "delete from marts.rpt_channel_performance where channel = 'billboard'"
    ),
    "assert_rows_in_are_used_or_rejected": "delete from intermediate.int_rejected_rows",
    "assert_one_currency": (
        "update intermediate.int_conversions set currency = "
        "case when conversion_id = 'c1' then 'EUR' else 'USD' end"
    ),
    "no_touch_after_its_conversion": (
        "update intermediate.int_journey_touchpoints set touched_at = converted_at "
        "where touchpoint_id = 's1'"
    ),
    "primary_key_fct_conversions": (
        "insert into marts.fct_conversions select * from marts.fct_conversions limit 1"
    ),
    "relationships_rpt_channel_performance": "delete from marts.dim_channels",
    "same_total_int_shapley_channel_totals": (
        "update intermediate.int_shapley_channel_totals set revenue = revenue - 0.01"
    ),
    "same_total_stg_files__conversions": (
        "create or replace view staging.stg_files__conversions as "
        "select * from (select * from raw_files.conversions) where false"
    ),
}


def test_every_accounting_identity_is_watched_failing(tmp_path: Path) -> None:
    folder = tmp_path / "input"
    write_csv(
        folder / "sessions.csv",
        "session_id,user_id,started_at,channel",
        [("s1", "u", "2024-01-01", "ad"), ("s2", "u", "2024-01-02", "b"), ("", "u", "", "")],
    )
    write_csv(
        folder / "conversions.csv",
        "conversion_id,user_id,converted_at,revenue",
        [("c1", "u", "2024-01-03", 10), ("c2", "v", "2024-01-03", 5)],
    )
    write_csv(folder / "spend.csv", "date,channel,spend", [("2024-01-01", "billboard", 9)])
    variables = f"{{sources: [files], files_path: {folder}}}"
    built = build(tmp_path, variables)
    assert built.status == 0, built.output

    with duckdb.connect(str(built.warehouse)) as warehouse:
        for statement in TAMPERING.values():
            warehouse.execute(statement)
    tested = run_dbt(tmp_path, "test", "--select", "test_type:data", variables=variables)
    assert tested.status == 1, tested.output
    results = json.loads((tmp_path / "target" / "run_results.json").read_text())["results"]
    caught = {
        result["unique_id"].split(".")[2]
        for result in results
        if result["status"] in ("fail", "error")
    }
    for name in TAMPERING:
        assert any(test.startswith(name) for test in caught), f"{name} did not catch its fault"
