"""The data tests can fail: each is watched failing on a warehouse that was tampered with."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from .conftest import HEADERS, build, run_dbt, write_csv

FIRST = (
    "touchpoint_key = "
    "(select touchpoint_key from intermediate.int_named_touchpoints where touchpoint_id = 's1')"
)
UNTOUCHED = "(select conversion_key from intermediate.int_conversions where conversion_id = 'c2')"

TAMPERING = {
    "assert_credits_add_up": [
        f"update intermediate.int_rule_based_credits set linear = null where {FIRST}",
        "update intermediate.int_rule_based_credits set linear = linear + 1e-6",
        "update intermediate.int_rule_based_credits "
        f"set linear = case when {FIRST} then 1.5 else -0.5 end",
        f"update intermediate.int_rule_based_credits set conversion_key = {UNTOUCHED}",
        f"update intermediate.int_rule_based_credits set conversion_key = null where {FIRST}",
        "update intermediate.int_rule_based_credits set touchpoint_key = touchpoint_key + 1 "
        f"where {FIRST}",
        "update intermediate.int_rule_based_credits set channel_key = channel_key + 1 "
        f"where {FIRST}",
        "update intermediate.int_ihc_credits set touch_date = touch_date + 1",
        "insert into intermediate.int_rule_based_credits by name "
        f"select 0 as linear, {UNTOUCHED} as conversion_key, 1 as touchpoint_key",
        f"delete from intermediate.int_ihc_credits where {FIRST}",
        "delete from intermediate.int_channel_weighted_credits",
        f"update intermediate.int_ihc_credits set ihc = ihc + 0.001 where {FIRST}",
        "insert into intermediate.int_journey_touchpoints "
        "select * from intermediate.int_journey_touchpoints limit 1",
        "delete from marts.fct_conversions where is_attributed",
        "update marts.fct_conversions set is_attributed = false",
        "update intermediate.int_journey_windows set revenue = revenue + 0.01",
        f"insert into intermediate.int_baseline_credits values ({UNTOUCHED}, 'hazard', 1)",
        "update intermediate.int_baseline_credits set credit = null",
        "delete from intermediate.int_baseline_credits",
        "delete from intermediate.int_ensemble_credits where touchpoint_key = -1",
        "update intermediate.int_channel_weighted_credits set touchpoint_key = null",
    ],
    "assert_published_credits_are_all": [
        "insert into intermediate.int_ensemble_totals "
        "select * from intermediate.int_ensemble_totals",
        "delete from intermediate.int_journey_touchpoints where touch_number = 1",
        "delete from intermediate.int_daily_credits where attribution_model = 'z_shaped'",
        "delete from intermediate.int_daily_credits",
        "update intermediate.int_baseline_credits set conversion_key = conversion_key + 1 "
        "where attribution_model = 'data_driven'",
    ],
    "primary_key_int_ihc_credits": [
        "insert into intermediate.int_ihc_credits "
        "select * from intermediate.int_ihc_credits limit 1",
        "update intermediate.int_ihc_credits set touchpoint_key = null",
    ],
    "customer_journey_has_every_ihc_credit": ["delete from marts.attribution_customer_journey"],
    "assert_revenue_is_conserved": [
        "delete from marts.rpt_channel_attribution where channel = '(unattributed)'",
        "update marts.rpt_channel_performance set revenue = revenue + 0.01",
        "delete from marts.rpt_channel_performance",
    ],
    "assert_channel_roi_is_conserved": [
        "delete from marts.rpt_channel_roi where channel = 'billboard'",
        "update marts.rpt_channel_roi set revenue = revenue + 0.01 where conversions > 0",
        "delete from marts.rpt_channel_roi",
    ],
    "assert_revenue_by_center_is_conserved": [
        "update marts.rpt_revenue_by_center set revenue_center = 'shop'",
        "delete from marts.rpt_revenue_by_center where channel = '(unattributed)'",
    ],
    "assert_channel_reporting_is_the_ihc_model": [
        "update marts.channel_reporting set ihc_revenue = 0",
        "update marts.channel_reporting set ihc = 2 * ihc",
        "delete from marts.channel_reporting",
    ],
    "assert_shares_add_up_to_one": [
        "update marts.rpt_channel_attribution set share = 0.9 where attribution_model = 'markov'",
        "update marts.rpt_model_comparison set shapley = null",
        "delete from marts.rpt_model_comparison",
    ],
    "assert_ratios_are_empty_where_undefined": [
        "update marts.rpt_channel_performance set cpo = 7",
        "update marts.rpt_channel_performance set roas = null",
    ],
    "assert_spend_is_conserved": [
        "delete from marts.rpt_channel_performance where channel = 'billboard'",
        "update marts.rpt_channel_performance set spend = spend + 0.01 where conversions > 0",
        "delete from marts.channel_reporting where channel_name = 'billboard'",
    ],
    "assert_rows_in_are_used_or_rejected": [
        "delete from marts.rpt_data_quality where outcome != 'used'",
        "update marts.rpt_data_quality set row_count = row_count + 1 where entity = 'spend'",
    ],
    "assert_money_in_is_used_or_rejected": [
        "delete from restricted.int_rejected_rows",
        "update intermediate.int_spend set spend = 0",
    ],
    "checks_of_rpt_data_quality/every_rejection_has_a_severity": [
        "update marts.rpt_data_quality set severity = null"
    ],
    "checks_of_rpt_coverage/coverage_of_counts_is_a_share": [
        "update marts.rpt_coverage set share = 2 where measure = 'conversions_with_journey'",
    ],
    "checks_of_rpt_coverage/coverage_counts_every_conversion": ["delete from marts.rpt_coverage"],
    "checks_of_rpt_coverage/coverage_has_all_revenue": [
        "update marts.rpt_coverage set denominator = 0"
    ],
    "assert_billed_revenue_is_reconciled": [
        "delete from marts.rpt_revenue_reconciliation where outcome = 'rejected'",
        "update marts.rpt_revenue_reconciliation set amount = amount + 0.01",
    ],
    "assert_refunds_are_netted": [
        "update intermediate.int_payments set revenue = revenue + 0.01",
        "update intermediate.int_billing_rows set payment_id = null",
    ],
    "assert_one_currency": [
        "update intermediate.int_revenue set currency = 'EUR'",
        "update intermediate.int_conversions set currency = conversion_id",
        "update intermediate.int_conversions set currency = 'EUR' where conversion_id = 'c1'",
        "update intermediate.int_spend set currency = channel",
    ],
    "assert_customer_journey_is_unique": [
        "insert into marts.attribution_customer_journey "
        "select * from marts.attribution_customer_journey limit 1",
    ],
    "assert_lift_tests_are_used": [
        "insert into intermediate.int_lift_tests by name "
        "select 'purchase' as conversion_type, 'ad' as channel, 'x' as unused_reason",
    ],
    "assert_nobody_is_a_crowd": [
        "insert into intermediate.int_journey_touchpoints "
        "select one.* from (from intermediate.int_journey_touchpoints limit 1) as one "
        "cross join range(100000)",
    ],
    "assert_conversion_types_differ_in_more_than_case": [
        "insert into intermediate.int_conversion_types by name "
        "select upper(conversion_type) as conversion_type from intermediate.int_conversion_types",
    ],
    "assert_conversion_types_occur": [
        "insert into intermediate.int_events by name select event from seeds.conversion_types "
        "where conversion_type = 'first_attended'",
    ],
    "assert_conversions_have_times": [
        "insert into intermediate.int_conversions select one.* replace ('day' as conversion_type, "
        "timestamp '2024-01-02' as converted_at) "
        "from (from intermediate.int_conversions limit 1) as one cross join range(20)",
    ],
    "assert_channels_differ_in_more_than_case": [
        "insert into marts.dim_channels select upper(channel), channel_group, is_paid "
        "from marts.dim_channels where channel = 'billboard'",
    ],
    "assert_channels_are_grouped": [
        "update marts.dim_channels set channel_group = '(ungrouped)'",
    ],
    "no_touch_after_its_conversion": [
        "update intermediate.int_journey_touchpoints set touched_at = converted_at",
        "update intermediate.int_journey_touchpoints set converted_at = null",
    ],
    "checks_of_fct_conversions/primary_key": [
        "insert into marts.fct_conversions select * from marts.fct_conversions limit 1",
    ],
    "checks_of_fct_conversions/conversions_are_attributed_or_have_a_reason": [
        "update marts.fct_conversions set unattributed_reason = null",
        "update marts.fct_conversions set unattributed_reason = 'never_touched'",
        "update marts.fct_conversions set unattributed_reason = 'none' where not is_attributed",
    ],
    "checks_of_rpt_channel_performance/rpt_channel_performance_knows_its_channels": [
        "delete from marts.dim_channels"
    ],
    "checks_of_dim_channels/dim_channels_has_every_channel_baseline_and_unattributed": [
        "insert into marts.dim_channels values ('ghost', 'Ghosts', false)",
    ],
    "checks_of_channel_totals/int_markov_channel_totals: markov_credits_all_revenue": [
        "update intermediate.int_markov_channel_totals set revenue = revenue - 0.01",
    ],
    "checks_of_channel_totals/int_markov_shapley_channel_totals: "
    "markov_shapley_credits_all_conversions": [
        "delete from intermediate.int_markov_shapley_channel_totals",
    ],
    "checks_of_channel_totals/int_markov_channel_totals: markov_intervals_hold_their_estimate": [
        "update intermediate.int_markov_channel_totals "
        "set conversions_std_error = 1, conversions_low = 2, conversions_high = 1",
    ],
    "checks_of_channel_totals/int_markov_orders: one_markov_order_is_used_per_conversion_type": [
        "update intermediate.int_markov_orders set is_used = true",
        "update intermediate.int_markov_orders set is_used = false",
    ],
    "checks_of_channel_totals/int_path_credit_weights: path_credits_add_up_to_the_channel_totals": [
        "update intermediate.int_path_credit_weights set credited_conversions = 0",
    ],
    "checks_of_aggregates/int_channel_sets: channel_sets_have_every_path": [
        "delete from intermediate.int_channel_sets"
    ],
    "assert_listed_models_are_computed": [
        "insert into seeds.attribution_models values ('magic', 'rule_based', true, null, null, '')",
        "insert into seeds.attribution_models values (null, 'rule_based', true, null, null, '')",
    ],
    "assert_a_model_is_enabled": [
        "update seeds.attribution_models set is_enabled = false",
        "update seeds.attribution_models set is_enabled = null",
        "delete from seeds.attribution_models",
    ],
    "assert_ensemble_has_a_member": [
        "update seeds.attribution_models set is_enabled = false where ensemble_weight > 0",
        "update seeds.attribution_models set ensemble_weight = null",
    ],
    "assert_matches_of_the_demo_are_right": [
        "insert into intermediate.int_match_outcomes values "
        "('demo', 'call', 'k', 'u', true, false, 'conflict', false)",
        "insert into intermediate.int_match_outcomes values "
        "('demo', 'call', 'k', 'u', true, true, 'phone', true), "
        "('demo', 'call', 'l', 'v', false, true, 'phone', false)",
    ],
    "assert_person_keys_are_unique": [
        "insert into marts.dim_persons select * from marts.dim_persons limit 1",
    ],
    "checks_of_int_touched_persons/touches_of_persons_are_all_touches": [
        "delete from intermediate.int_touches"
    ],
    "primary_key_int_touchpoints": [
        "update intermediate.int_touchpoints set touchpoint_key = 1",
    ],
    "checks_of_dim_persons/persons_have_every_touchpoint": ["delete from marts.dim_persons"],
    "checks_of_dim_persons/persons_have_all_revenue": [
        "update marts.dim_persons set revenue = revenue + 1"
    ],
    "checks_of_dim_persons/persons_have_all_that_was_billed": [
        "update marts.dim_persons set billed = billed + 1"
    ],
    "checks_of_staged_files/stg_files__conversions: stg_files__conversions_keeps_every_row": [
        "create or replace view staging.stg_files__conversions as "
        "select * from (select 1 as source, 2 as revenue) where false",
    ],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a small warehouse in which every test passes, with the compiled tests beside it."""
    folder = tmp_path_factory.mktemp("tampering")
    write_csv(
        folder / "input" / "sessions.csv",
        "session_id,user_id,started_at,channel",
        [
            ("s1", "u", "2024-01-01", "Paid Social"),
            ("s2", "u", "2024-01-02", "Direct"),
            ("", "u", "", ""),
        ],
    )
    write_csv(
        folder / "input" / "conversions.csv",
        "conversion_id,user_id,converted_at,revenue",
        [("c1", "u", "2024-01-03", 10), ("c2", "v", "2024-01-03", 5), ("c2", "v", "", 3)],
    )
    write_csv(
        folder / "input" / "spend.csv",
        "date,channel,spend",
        [("2024-01-01", "Paid Social", 4), ("2024-01-01", "billboard", 9), ("soon", "", 1)],
    )
    write_csv(
        folder / "input" / "revenue.csv",
        "revenue_id,customer_id,service_date,net",
        [("r1", "p", "2024-01-03", 10), ("r2", "p", "2024-01-04", -4), ("r2", "p", "", 3)],
    )
    built = build(folder, f"{{sources: [files], files_path: {folder / 'input'}}}")
    assert built.status == 0, built.output
    return folder


@pytest.fixture
def warehouse(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the warehouse for one test and leave it as it was."""
    with duckdb.connect(str(folder / "tributary.duckdb")) as connection:
        connection.execute("begin")
        yield connection
        connection.execute("rollback")


@pytest.mark.fault(
    done="numbers of a built warehouse changed: credits lost, revenue added, rows doubled …",
    expected="the data test for it fails, so that no build with such numbers is published",
)
@pytest.mark.parametrize(
    ("name", "statement"),
    [(name, statement) for name, statements in TAMPERING.items() for statement in statements],
)
def test_data_test_notices_what_was_done(
    folder: Path, warehouse: duckdb.DuckDBPyConnection, name: str, statement: str
) -> None:
    name, _, check = name.partition("/")
    (compiled,) = (folder / "target" / "compiled").rglob(f"{name}*.sql")
    data_test = compiled.read_text(encoding="utf-8")
    if check:  # one of several of a test, whose rows begin with what they fail
        data_test = f"from ({data_test}) where starts_with(failed_check, '{check}')"
    before = len(warehouse.execute(data_test).fetchall())
    warehouse.execute(statement)
    assert len(warehouse.execute(data_test).fetchall()) > before
    # Only the warning about channels without a group has something to say of good data.
    assert before == 0 or name == "assert_channels_are_grouped"


def test_what_fails_or_warns_says_what_it_found_and_how_to_fix_it(tmp_path: Path) -> None:
    files = tmp_path / "input"
    write_csv(
        files / "sessions.csv", HEADERS["sessions"], [("s", "u", "2024-01-01", "Street\x1b[8m")]
    )
    write_csv(
        files / "experiments.csv",
        "channel,kind,start_date,end_date,lift,std_error",
        [("Nobody", "geo", "2024-01-01", "2024-01-02", 5, 1)],
    )

    def output(currency: str, *tests: str) -> str:
        write_csv(
            files / "conversions.csv",
            f"{HEADERS['conversions']},currency",
            [("c1", "u", "2024-01-02", 5, "EUR"), ("c2", "u", "2024-01-03", 5, currency)],
        )
        return run_dbt(
            tmp_path,
            *("build", "--exclude-resource-type", "unit_test", "--select"),
            *(f"+{test}" for test in tests),
            variables=f"{{sources: [files], files_path: '{files}'}}",
        ).output

    warned = output("EUR", "assert_channels_are_grouped", "assert_lift_tests_are_used")
    assert "assert_channels_are_grouped: Street [8m. Warns of channels" in warned
    assert "add a row for each to seeds/channel_groups.csv" in warned
    assert "assert_lift_tests_are_used: Nobody, from 2024-01-01: " in warned
    failed = output("CHF", "assert_one_currency")
    assert "assert_one_currency: files, revenue: CHF to EUR in 2 of 2 rows. Revenue and" in failed
    assert "set reporting_currency and fill the seed currency_rates" in failed
