from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain, combinations, pairwise
from math import exp, factorial
from time import process_time
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tributary.benchmarks.regimes import REGIMES
from tributary.simulation import (
    DEMO_CHANNELS,
    Bursts,
    Channel,
    Funnel,
    Market,
    Simulation,
    simulate,
    spend_table,
    stream_lives,
)

MARKET = Market(people=5_000, days=40, tested=("Paid Social",))
SEED = 7


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return simulate(MARKET, SEED)


def tables(simulation: Simulation) -> dict[str, pa.Table]:
    return vars(simulation)


def switched_off(market: Market, *names: str) -> Market:
    return replace(
        market,
        channels=tuple(
            replace(channel, touches_per_day=0.0, is_prompted=False)
            if channel.name in names
            else channel
            for channel in market.channels
        ),
    )


def true_conversions(simulation: Simulation) -> dict[str, float]:
    truth = simulation.truth
    return dict(
        zip(truth["channel"].to_pylist(), truth["true_conversions"].to_pylist(), strict=True)
    )


def enumerated_truth(market: Market, seed: int) -> dict[str, float]:
    """Shapley values by the book: every coalition of the market is simulated as a market."""
    names = [channel.name for channel in market.channels if not channel.is_behaviour]
    subsets = chain.from_iterable(combinations(names, size) for size in range(len(names) + 1))
    worth = {
        frozenset(names) - set(off): simulate(switched_off(market, *off), seed).conversions.num_rows
        for off in subsets
    }
    truth = {"(baseline)": float(worth[frozenset()])}
    for name in names:
        truth[name] = sum(
            (worth[members | {name}] - worth[members])
            * factorial(len(members))
            * factorial(len(names) - len(members) - 1)
            / factorial(len(names))
            for members in worth
            if name not in members
        )
    return truth


def lost(simulation: Simulation) -> dict[str, int]:
    truth = simulation.truth
    return dict(
        zip(truth["channel"].to_pylist(), truth["conversions_lost"].to_pylist(), strict=True)
    )


def in_cents(amounts: list[float]) -> int:
    return sum(round(100 * amount) for amount in amounts)


# Randomness


def test_the_same_seed_gives_the_same_tables(simulation: Simulation) -> None:
    again = tables(simulate(MARKET, SEED))

    for name, table in tables(simulation).items():
        assert table.num_rows > 0
        assert again[name].equals(table)


def test_another_seed_gives_other_tables(simulation: Simulation) -> None:
    other = tables(simulate(MARKET, SEED + 1))

    for name, table in tables(simulation).items():
        assert not other[name].equals(table)


def test_a_life_does_not_depend_on_the_number_of_people() -> None:
    market = Market(days=60)
    many = simulate(replace(market, people=12_000), SEED)

    def lives(simulation: Simulation, people: range) -> list[pa.Table]:
        users = pa.array([f"u{person}" for person in people])
        return [
            table.filter(pc.is_in(table["user_id"], value_set=users))
            for table in (simulation.sessions, simulation.conversions)
        ]

    for people in (50, 10_500):
        few = simulate(replace(market, people=people), SEED)
        the_same_people = range(people)
        assert few.conversions.num_rows > 0
        assert lives(many, the_same_people) == [few.sessions, few.conversions]


def test_no_life_is_lived_twice() -> None:
    sessions = simulate(Market(people=12_000, days=30), SEED).sessions

    assert len(pc.unique(sessions["started_at"])) == sessions.num_rows


def test_progress_counts_everybody_once() -> None:
    finished: list[int] = []
    simulate(Market(people=12_000, days=1), SEED, finished.append)

    assert len(finished) > 1
    assert sum(finished) == 12_000


# Truth


@pytest.mark.parametrize("channel", [channel.name for channel in DEMO_CHANNELS])
def test_truth_is_what_switching_the_channel_off_loses(
    simulation: Simulation, channel: str
) -> None:
    without = simulate(switched_off(MARKET, channel), SEED)
    (truth,) = simulation.truth.filter(pc.field("channel") == channel).to_pylist()

    assert truth["conversions_lost"] == (
        simulation.conversions.num_rows - without.conversions.num_rows
    )
    assert round(100 * truth["revenue_lost"]) == (
        in_cents(simulation.conversions["revenue"].to_pylist())
        - in_cents(without.conversions["revenue"].to_pylist())
    )
    assert channel not in without.sessions["channel"].to_pylist()


def test_truth_has_every_channel_with_its_touches(simulation: Simulation) -> None:
    touches = Counter(simulation.sessions["channel"].to_pylist())

    names = [*(channel.name for channel in DEMO_CHANNELS), "(baseline)"]
    assert simulation.truth["channel"].to_pylist() == names
    assert simulation.truth["touches"].to_pylist() == [touches[name] for name in names]


def test_a_channel_without_effect_loses_nothing() -> None:
    market = Market(
        channels=(Channel("works", 0.05, 0.0, 0.05, 3.0), Channel("idle", 0.05, 0.0, 0.0, 3.0)),
        people=2_000,
        days=30,
    )
    simulation = simulate(market, SEED)

    assert simulation.truth["touches"].to_pylist()[1] > 1_000
    assert lost(simulation)["works"] > 0
    assert lost(simulation)["idle"] == 0
    assert simulation.truth["revenue_lost"].to_pylist()[1] == 0


def test_a_channel_without_effect_counts_where_retargeting_needs_its_visits() -> None:
    market = Market(
        channels=(
            Channel("opens the door", 0.05, 0.0, 0.0, 3.0),
            Channel("retargeting", 0.05, 0.0, 0.05, 3.0, needs_visit=True),
        ),
        people=2_000,
        days=30,
    )
    simulation = simulate(market, SEED)

    assert lost(simulation)["opens the door"] == lost(simulation)["retargeting"] > 0


BUSY = Market(
    channels=(
        Channel("video", 0.10, 0.0, 0.02, 5.0, diminishing=0.5, prompts=0.2),
        Channel("brand", 0.03, 1.0, 0.08, 2.0, is_prompted=True),
        Channel("retargeting", 0.10, 0.5, 0.04, 3.0, needs_visit=True),
        Channel("idle", 0.10, 0.3, 0.0, 3.0),
        Channel("direct", 0.05, 1.0, 0.03, 1.0, is_prompted=True, is_behaviour=True),
    ),
    people=150,
    days=25,
    base_rate=0.005,
    bursts=Bursts(per_day=0.05, mean_days=4.0, lift=5.0),
    is_immediate=True,
)
"""Everything at once, and much of it."""
BUSY_MARKETS = {
    "additive": replace(BUSY, synergies=(("video", "brand", 0.05),)),
    "whole days": replace(BUSY, is_immediate=False),
    "with holdouts": replace(BUSY, tested=("video", "brand"), holdout_share=0.3),
    "multiplicative": replace(
        BUSY,
        channels=tuple(replace(each, effect=20 * each.effect) for each in BUSY.channels),
        is_multiplicative=True,
        synergies=(("video", "brand", 1.0), ("retargeting", "idle", 1.0)),
    ),
    "funnel": replace(
        BUSY,
        channels=tuple(
            replace(each, effect=0.0, moves=(0.0 if each.name == "idle" else 0.4, 5 * each.effect))
            for each in BUSY.channels
        ),
        funnel=Funnel((0.001, 0.01, 0.1), (1.0, 1.5, 3.0), rise_per_day=0.01, fall_per_day=0.1),
    ),
}


@pytest.mark.parametrize("name", BUSY_MARKETS)
def test_truth_is_the_shapley_value_over_all_simulated_coalitions(name: str) -> None:
    market = BUSY_MARKETS[name]
    simulation = simulate(market, SEED)
    truth = true_conversions(simulation)

    assert simulation.conversions.num_rows > 50
    assert truth.pop("direct") == 0
    assert truth == pytest.approx(enumerated_truth(market, SEED), abs=1e-6)


@pytest.mark.parametrize("regime", REGIMES)
def test_true_conversions_and_baseline_are_all_conversions(regime: str) -> None:
    simulation = simulate(replace(REGIMES[regime].market, people=6_000), SEED)
    truth = simulation.truth

    assert simulation.conversions.num_rows > 20
    assert pc.sum(truth["true_conversions"]).as_py() == pytest.approx(
        simulation.conversions.num_rows, abs=1e-6
    )
    assert in_cents([pc.sum(truth["true_revenue"]).as_py()]) == in_cents(
        simulation.conversions["revenue"].to_pylist()
    )
    assert pc.sum(truth["true_share"]).as_py() == pytest.approx(1)
    assert true_conversions(simulation)["Display"] == 0
    assert set(truth["kind"].to_pylist()) == {"channel", "behaviour", "baseline"}


def test_truth_does_not_depend_on_names() -> None:
    renamed = replace(
        BUSY,
        channels=tuple(replace(each, name=f"z{n}") for n, each in enumerate(BUSY.channels)),
    )

    assert (
        simulate(renamed, SEED).truth["true_conversions"]
        == simulate(BUSY, SEED).truth["true_conversions"]
    )


def test_prompted_visits_and_what_they_cause_belong_to_who_prompted_them() -> None:
    market = Market(
        channels=(
            Channel("video", 0.05, 0.0, 0.0, 5.0, prompts=0.1),
            Channel("direct", 0.0, 0.0, 0.05, 2.0, is_prompted=True, is_behaviour=True),
        ),
        people=2_000,
        days=30,
    )
    simulation = simulate(market, SEED)
    truth = true_conversions(simulation)

    assert simulation.truth["touches"].to_pylist()[1] > 500
    assert truth["direct"] == 0
    assert truth["video"] == lost(simulation)["video"] > 50
    assert lost(simulation)["direct"] is None


def test_a_diminishing_channel_is_worth_its_first_touches() -> None:
    def often(diminishing: float) -> tuple[float, int]:
        channel = Channel("often", 0.1, 0.0, 0.002, 3.0, diminishing=diminishing)
        market = Market(channels=(channel,), people=10_000, days=60, is_immediate=True)
        simulation = simulate(market, SEED)
        return true_conversions(simulation)["often"], simulation.sessions.num_rows

    conversions_per_touch = 0.002 * (0.5 + exp(-1 / 3) / (1 - exp(-1 / 3)))
    (lasting, touches), (only_first, same_touches) = often(1.0), often(0.0)
    assert touches == same_touches > 50_000
    # The period ends before the last touches have had their effect.
    assert lasting == pytest.approx(0.95 * touches * conversions_per_touch, rel=0.1)
    assert only_first == pytest.approx(10_000 * conversions_per_touch, rel=0.25)


def test_synergy_takes_two() -> None:
    def market(*pairs: tuple[str, str, float]) -> Market:
        channels = tuple(Channel(name, 0.05, 0.0, 0.0, 5.0) for name in ("a", "b", "c"))
        return Market(channels=channels, people=3_000, days=30, synergies=pairs)

    alone = true_conversions(simulate(market(), SEED))
    together = true_conversions(simulate(market(("a", "b", 0.05)), SEED))

    assert alone["a"] == alone["b"] == together["c"] == 0
    assert together["a"] == together["b"] > 20


def test_touches_move_people_through_the_funnel() -> None:
    opens = Channel("opens", 0.05, 0.0, 0.0, 1.0, moves=(1.0, 0.0))
    closes = Channel("closes", 0.05, 0.0, 0.0, 1.0, moves=(0.0, 1.0))
    market = Market(channels=(opens, closes), people=2_000, days=30, funnel=Funnel((0.0, 0.0, 0.1)))

    both = true_conversions(simulate(market, SEED))
    assert both["opens"] == both["closes"] > 100
    assert both["(baseline)"] == 0


# Time of the day

IDLE = Channel("idle", 0.1, 0.0, 0.0, 3.0)


def day_order(simulation: Simulation, channel: str) -> Counter[bool]:
    """Count conversions on the day of a channel's touch: after it, or before."""
    converted_at = {
        (row["user_id"], row["converted_at"].date()): row["converted_at"]
        for row in simulation.conversions.to_pylist()
    }
    return Counter(
        converted_at[row["user_id"], row["started_at"].date()] > row["started_at"]
        for row in simulation.sessions.to_pylist()
        if row["channel"] == channel and (row["user_id"], row["started_at"].date()) in converted_at
    )


def test_an_immediate_touch_acts_from_its_own_moment_on() -> None:
    market = Market(
        channels=(Channel("works", 0.1, 0.0, 0.1, 0.2),),
        people=10_000,
        days=30,
        base_rate=0.01,
        is_immediate=True,
    )
    simulation = simulate(market, SEED)
    works = day_order(simulation, "works")
    idle = day_order(simulate(replace(market, channels=(IDLE,)), SEED), "idle")

    # The baseline falls before and after the touch alike, what the touch adds falls after it.
    assert idle[False] > 100
    assert abs(idle[True] - idle[False]) < 3 * idle.total() ** 0.5
    caused = true_conversions(simulation)["works"]
    assert works[True] - works[False] == pytest.approx(caused, rel=0.12)


# Intent


def test_bursts_of_intent_bring_touches_and_conversions_together() -> None:
    market = Market(
        channels=(Channel("search", 0.01, 1.0, 0.0, 3.0), Channel("broad", 0.01, 0.0, 0.0, 3.0)),
        people=5_000,
        days=60,
        interest_spread=0.0,
        base_rate=0.002,
        bursts=Bursts(per_day=0.01, mean_days=5.0, lift=10.0),
    )
    simulation = simulate(market, SEED)
    burst_share = 0.05 / 1.05
    lift = 1 + 9 * burst_share
    touches = simulation.truth["touches"].to_pylist()

    assert touches == pytest.approx([3_000 * lift, 3_000, 0], rel=0.08)
    assert simulation.conversions.num_rows == pytest.approx(600 * lift, rel=0.1)
    assert true_conversions(simulation) == {
        "search": 0,
        "broad": 0,
        "(baseline)": simulation.conversions.num_rows,
    }
    search, broad = day_order(simulation, "search"), day_order(simulation, "broad")
    assert sum(search.values()) > 2 * sum(broad.values())


def test_profiles_tell_roughly_who_is_interested() -> None:
    market = Market(people=10_000, days=40, base_rate=0.002, profiles=5)
    simulation = simulate(market, SEED)
    profile_of = dict(
        zip(
            simulation.sessions["user_id"].to_pylist(),
            simulation.sessions["profile"].to_pylist(),
            strict=True,
        )
    )
    buyers = Counter(profile_of.get(row["user_id"]) for row in simulation.conversions.to_pylist())

    assert set(profile_of.values()) == {f"profile {number}" for number in range(1, 6)}
    assert buyers["profile 5"] > 2 * buyers["profile 1"] > 0
    assert "profile" not in simulate(replace(market, profiles=0), SEED).sessions.column_names


# Hold-outs

TESTED = Market(
    channels=(
        Channel("works", 0.05, 0.0, 0.05, 3.0),
        Channel("idle", 0.05, 0.0, 0.0, 3.0),
        Channel("untested", 0.05, 0.0, 0.02, 3.0),
    ),
    people=10_000,
    days=30,
    base_rate=0.001,
    tested=("works", "idle"),
)


def test_a_channel_is_withheld_from_its_share_of_people_and_from_nobody_else() -> None:
    simulation = simulate(TESTED, SEED)
    withheld = {row["user_id"]: row["channel"] for row in simulation.holdouts.to_pylist()}
    touched = {(row["user_id"], row["channel"]) for row in simulation.sessions.to_pylist()}

    assert simulation.holdouts.num_rows == len(withheld)
    counts = Counter(withheld.values())
    assert set(counts) == {"works", "idle"}
    assert list(counts.values()) == pytest.approx([1_000, 1_000], rel=0.1)
    assert not touched & set(withheld.items())
    assert sum((user, "untested") in touched for user in withheld) > 1_000


def test_experiments_are_what_the_tables_show() -> None:
    simulation = simulate(TESTED, SEED)
    holdouts = {row["user_id"]: row for row in simulation.holdouts.to_pylist()}
    first_touch: dict[tuple[str, str], datetime] = {}
    for row in simulation.sessions.to_pylist():
        first_touch.setdefault((row["channel"], row["user_id"]), row["started_at"])
    conversions: Counter[tuple[str, str]] = Counter()
    for row in simulation.conversions.to_pylist():
        user = row["user_id"]
        for channel in ("works", "idle"):
            reached = first_touch.get((channel, user))
            group = "control"
            if user in holdouts:
                group = "held out" if holdouts[user]["channel"] == channel else "other"
            if group == "held out":
                reached = holdouts[user]["first_withheld_at"]
            conversions[channel, group] += reached is not None and row["converted_at"] > reached
    people = Counter(row["channel"] for row in holdouts.values())
    control = TESTED.people - len(holdouts)

    assert simulation.experiments["channel"].to_pylist() == ["works", "idle"]
    for row in simulation.experiments.to_pylist():
        held_out = people[row["channel"]]
        rate = (
            conversions[row["channel"], "control"] / control
            - conversions[row["channel"], "held out"] / held_out
        )
        assert (row["people_held_out"], row["people_control"]) == (held_out, control)
        assert row["lift"] == pytest.approx(rate * (TESTED.people - held_out))
        assert (row["start_date"], row["end_date"]) == (
            TESTED.first_day,
            TESTED.first_day + timedelta(days=29),
        )


def test_touches_are_withheld_when_they_would_have_happened() -> None:
    """The draws of a person do not depend on what is withheld."""
    simulation = simulate(TESTED, SEED)
    everything = simulate(replace(TESTED, tested=("works", "idle"), holdout_share=0.0), SEED)
    first_touch: dict[tuple[str, str], datetime] = {}
    for row in everything.sessions.to_pylist():
        first_touch.setdefault((row["user_id"], row["channel"]), row["started_at"])

    assert simulation.holdouts["first_withheld_at"].null_count > 0
    for row in simulation.holdouts.to_pylist():
        assert row["first_withheld_at"] == first_touch.get((row["user_id"], row["channel"]))


def test_the_lift_estimates_the_truth_with_its_standard_error() -> None:
    deviations = []
    for seed in range(10, 20):
        simulation = simulate(TESTED, seed)
        truth = true_conversions(simulation)
        deviations += [
            (row["lift"] - truth[row["channel"]]) / row["std_error"]
            for row in simulation.experiments.to_pylist()
        ]

    assert max(map(abs, deviations)) < 4
    assert 0.4 < sum(each**2 for each in deviations) / len(deviations) < 2.2


def test_groups_too_small_to_compare_measure_nothing() -> None:
    assert simulate(replace(TESTED, people=2), SEED).experiments.num_rows == 0


def test_retargeting_reaches_only_people_seen_before(simulation: Simulation) -> None:
    first_seen: dict[str, datetime] = {}
    retargeted = 0
    for session in simulation.sessions.to_pylist():
        if session["channel"] == "Display Retargeting":
            retargeted += 1
            assert first_seen[session["user_id"]] < session["started_at"]
        else:
            first_seen.setdefault(session["user_id"], session["started_at"])

    assert retargeted > 0


def test_a_touch_adds_its_fading_effect_to_the_hazard() -> None:
    channel = Channel("only", 0.05, 0.0, effect=0.008, decay_days=3.0)
    simulation = simulate(Market(channels=(channel,), people=20_000, days=120), SEED)
    conversions_per_touch = channel.effect / (1 - exp(-1 / channel.decay_days))

    assert lost(simulation)["only"] == pytest.approx(
        simulation.sessions.num_rows * conversions_per_touch, rel=0.08
    )


def test_a_conversion_uses_up_the_touches_before_it() -> None:
    channel = Channel("irresistible", 0.02, 0.0, effect=100.0, decay_days=30.0)
    market = Market(channels=(channel,), people=100, days=50, base_rate=0.0)
    simulation = simulate(market, SEED)

    def days(table: pa.Table, time: str) -> list[tuple[str, object]]:
        times = table[time].to_pylist()
        return sorted(zip(table["user_id"].to_pylist(), (at.date() for at in times), strict=True))

    assert simulation.sessions.num_rows > 50
    assert days(simulation.conversions, "converted_at") == days(simulation.sessions, "started_at")


def test_people_are_touched_and_convert_at_the_rates_given() -> None:
    market = Market(
        channels=(
            Channel("broad", 0.01, 0.0, 0.0, 3.0),
            Channel("of interest", 0.01, 1.0, 0.0, 3.0),
        ),
        people=20_000,
        days=50,
        base_rate=0.002,
    )
    simulation = simulate(market, SEED)
    touches = simulation.truth["touches"].to_pylist()

    assert touches == pytest.approx([10_000, 10_000, 0], rel=0.05)
    assert simulation.conversions.num_rows == pytest.approx(2_000, rel=0.08)
    assert pc.mean(simulation.conversions["revenue"]).as_py() == pytest.approx(60, rel=0.05)


def test_search_finds_the_interested_and_broad_reach_does_not() -> None:
    market = Market(
        channels=(
            Channel("broad", 0.02, 0.0, 0.0, 3.0),
            Channel("of interest", 0.02, 1.0, 0.0, 3.0),
        ),
        people=10_000,
        days=50,
        base_rate=0.002,
    )
    simulation = simulate(market, SEED)
    buyers = pc.unique(simulation.conversions["user_id"])
    of_buyers = simulation.sessions.filter(
        pc.is_in(simulation.sessions["user_id"], value_set=buyers)
    )
    touches = Counter(of_buyers["channel"].to_pylist())

    assert touches["of interest"] > 1.5 * touches["broad"]


# Tables


def test_times_lie_inside_the_period_and_rows_are_sorted(simulation: Simulation) -> None:
    first = datetime.combine(MARKET.first_day, datetime.min.time())
    end = first + timedelta(days=MARKET.days)

    for table, time, key in (
        (simulation.sessions, "started_at", "session_id"),
        (simulation.conversions, "converted_at", "conversion_id"),
    ):
        rows = list(zip(table[time].to_pylist(), table[key].to_pylist(), strict=True))
        assert all(first <= at < end for at, _ in rows)
        assert all(row < following for row, following in pairwise(rows))

    assert {at.date() for at in simulation.sessions["started_at"].to_pylist()} == {
        MARKET.first_day + timedelta(days=day) for day in range(MARKET.days)
    }


def test_ids_are_unique(simulation: Simulation) -> None:
    for table, key in (
        (simulation.sessions, "session_id"),
        (simulation.conversions, "conversion_id"),
    ):
        assert len(pc.unique(table[key])) == table.num_rows


def test_a_conversion_follows_every_touch_of_its_day(simulation: Simulation) -> None:
    converted_at = {
        (user, at.date()): at
        for user, at in zip(
            simulation.conversions["user_id"].to_pylist(),
            simulation.conversions["converted_at"].to_pylist(),
            strict=True,
        )
    }
    waits = [
        converted_at[user, at.date()] - at
        for user, at in zip(
            simulation.sessions["user_id"].to_pylist(),
            simulation.sessions["started_at"].to_pylist(),
            strict=True,
        )
        if (user, at.date()) in converted_at
    ]

    assert len(waits) > 50
    assert min(waits) > timedelta(0)


def test_spend_is_touches_times_cost_and_fixed_cost(simulation: Simulation) -> None:
    for channel in DEMO_CHANNELS:
        touches = simulation.sessions.filter(pc.field("channel") == channel.name).num_rows
        spend = simulation.spend.filter(pc.field("channel") == channel.name)
        assert in_cents(spend["spend"].to_pylist()) == (
            touches * round(100 * channel.cost_per_touch)
            + MARKET.days * round(100 * channel.cost_per_day)
        )


def test_spend_falls_on_the_day_and_campaign_of_its_touches() -> None:
    channel = Channel("paid", 0.05, 0.0, 0.0, 3.0, cost_per_touch=0.25, cost_per_day=7.0)
    market = Market(channels=(channel, Channel("free", 0.05, 0.0, 0.0, 3.0)), people=500, days=10)
    simulation = simulate(market, SEED)
    expected: Counter[tuple[str, object, str]] = Counter()
    for session in simulation.sessions.to_pylist():
        if session["channel"] == "paid":
            expected["paid", session["started_at"].date(), session["campaign"]] += 25
        else:
            assert session["campaign"] is None
    for day in range(market.days):
        expected["paid", market.first_day + timedelta(days=day), "evergreen"] += 700

    assert {campaign for _, _, campaign in expected} == {"launch", "evergreen"}
    assert {
        (row["channel"], row["date"], row["campaign"]): round(100 * row["spend"])
        for row in simulation.spend.to_pylist()
    } == expected
    assert simulation.spend.num_rows == len(expected)


def test_without_people_tables_are_empty_with_the_same_schemas(simulation: Simulation) -> None:
    nobody = simulate(replace(MARKET, people=0), SEED)

    for name, table in tables(nobody).items():
        assert table.schema == tables(simulation)[name].schema
    assert nobody.sessions.num_rows == 0
    assert nobody.conversions.num_rows == 0
    assert set(nobody.spend["channel"].to_pylist()) == {"Podcast"}
    assert set(lost(nobody).values()) == {0, None}
    assert set(nobody.truth["true_conversions"].to_pylist()) == {0}


@pytest.mark.parametrize("processes", [1, 2])
def test_streamed_people_live_the_same_lives(processes: int) -> None:
    market = replace(MARKET, people=10_500, days=12, profiles=3)
    whole = simulate(market, SEED)

    parts = list(stream_lives(market, SEED, processes))

    assert [part.people for part in parts] == [10_000, 500]
    assert pa.concat_tables(part.sessions for part in parts).sort_by(
        [("started_at", "ascending"), ("session_id", "ascending")]
    ) == (whole.sessions)
    assert pa.concat_tables(part.conversions for part in parts).sort_by(
        [("converted_at", "ascending"), ("conversion_id", "ascending")]
    ) == (whole.conversions)
    counts = np.sum([part.touch_counts for part in parts], axis=0)
    assert spend_table(market, counts) == whole.spend


def test_a_market_of_too_many_channels_can_be_streamed_and_has_no_truth() -> None:
    channels = tuple(Channel(f"c{number}", 0.1, 0.0, 0.0, 1.0) for number in range(70))
    market = Market(channels=channels, people=200, days=5)

    (part,) = stream_lives(market, SEED)

    assert len(pc.unique(part.sessions["channel"])) == 70
    with pytest.raises(ValueError, match="There are 70 channels; the truth is computed for at"):
        simulate(market, SEED)


def test_20_000_people_take_seconds() -> None:
    began = process_time()
    simulation = simulate(Market(people=20_000), SEED)
    seconds = process_time() - began

    assert seconds < 10
    assert simulation.sessions.num_rows > 100_000


# Errors


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"people": -1}, "people is -1; it must be at least 0"),
        ({"days": 0}, "days is 0; it must be at least 1"),
        ({"channels": ()}, "channels is 0; it must be at least 1"),
        ({"base_rate": -0.1}, "base_rate is -0.1"),
        ({"interest_spread": -1.0}, "interest_spread is -1.0"),
        ({"mean_revenue": float("nan")}, "mean_revenue is nan"),
        ({"profiles": -1}, "profiles is -1"),
        ({"holdout_share": 1.5}, "holdout_share is 1.5; it must be between 0 and 1"),
        ({"tested": ("Fax",)}, "Fax cannot be tested; each of these can, once: Paid Search Brand"),
        ({"tested": ("Direct", "Direct")}, "Direct cannot be tested"),
        ({"tested": ("Direct", "Podcast"), "holdout_share": 0.5}, "leave nobody to compare with"),
        ({"synergies": (("Direct", "Fax", 1.0),)}, "Direct and Fax are not"),
        ({"synergies": (("Direct", "Podcast", -1.0),)}, "synergies is -1"),
    ],
)
def test_a_market_out_of_range_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Market(**wrong)


@pytest.mark.parametrize(
    "field",
    ["touches_per_day", "interest_bias", "effect", "cost_per_touch", "cost_per_day", "prompts"],
)
def test_a_negative_rate_effect_or_cost_is_refused(field: str) -> None:
    wrong: dict[str, Any] = {field: -1.0}
    with pytest.raises(ValueError, match=f"{field} is -1"):
        replace(DEMO_CHANNELS[0], **wrong)


def test_an_effect_without_life_is_refused() -> None:
    with pytest.raises(ValueError, match="decay_days is 0"):
        replace(DEMO_CHANNELS[0], decay_days=0.0)


def test_two_channels_of_one_name_are_refused() -> None:
    twin = Channel("twin", 0.01, 0.0, 0.0, 3.0)
    with pytest.raises(ValueError, match="distinct: twin, twin"):
        Market(channels=(twin, twin))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"diminishing": 1.1}, "diminishing is 1.1"), ({"moves": (0.5, 2.0)}, "moves is 2.0")],
)
def test_a_share_out_of_range_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(DEMO_CHANNELS[0], **wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rates": (0.1, 0.0, 0.2)}, "rates are .* must not fall"),
        ({"interest": (0.5, 1.0, 1.0)}, "interest is 0.5"),
        ({"rise_per_day": 0.6, "fall_per_day": 0.6}, "rise_or_fall_per_day is 1.2"),
    ],
)
def test_a_funnel_out_of_range_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(Funnel((0.0, 0.1, 0.2)), **wrong)


@pytest.mark.parametrize("wrong", [{"per_day": 2.0}, {"mean_days": 0.5}, {"lift": 0.9}])
def test_bursts_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        replace(Bursts(0.1, 2.0, 3.0), **wrong)
