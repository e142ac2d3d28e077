from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from math import exp
from time import perf_counter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tributary.simulation import DEMO_CHANNELS, Channel, Market, Simulation, simulate

MARKET = Market(people=5_000, days=40, tested=("Paid Social",))
SEED = 7


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return simulate(MARKET, SEED)


def tables(simulation: Simulation) -> dict[str, pa.Table]:
    return vars(simulation)


def switched_off(market: Market, name: str) -> Market:
    return replace(
        market,
        channels=tuple(
            replace(channel, touches_per_day=0.0) if channel.name == name else channel
            for channel in market.channels
        ),
    )


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


def test_20_000_people_take_seconds() -> None:
    began = perf_counter()
    simulation = simulate(Market(people=20_000), SEED)
    seconds = perf_counter() - began

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
    ],
)
def test_a_market_out_of_range_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Market(**wrong)


@pytest.mark.parametrize("field", ["touches_per_day", "effect", "cost_per_touch", "cost_per_day"])
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
