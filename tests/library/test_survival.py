import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tributary.survival import (
    COEFFICIENTS,
    MEAN_LIFE_BOUNDS,
    SurvivalFit,
    fit_survival,
    fit_survival_tables,
)

TRUTH = {"a": (0.12, 1 / 3.0), "b": (0.05, 1 / 10.0), "c": (0.02, 1 / 1.5)}
END = 60.0


def simulated(seed: int, people: int) -> tuple[SurvivalFit, dict[str, int]]:
    """Touches at random; each converts its person at its own random time, the first one wins."""
    rng = np.random.default_rng(seed)
    person, day, channel = [], [], []
    for name in TRUTH:
        touched = np.repeat(np.arange(people), rng.poisson(1.0, people))
        person.append(touched)
        day.append(rng.random(len(touched)) * END)
        channel.append(np.full(len(touched), name))
    who, at, by = np.concatenate(person), np.concatenate(day), np.concatenate(channel)
    brings = rng.random(len(who)) < -np.expm1(-np.array([TRUTH[name][0] for name in by]))
    # Given a Poisson number of conversions, the first of them is what ends the journey.
    wait = rng.exponential(1 / np.array([TRUTH[name][1] for name in by]))
    when = np.where(brings, at + wait, np.inf)
    first = np.full(people, END)
    np.minimum.at(first, who, when)
    stop = first[who]
    seen = at < stop
    converted = seen & (stop < END)
    fit = fit_survival(
        by[converted].tolist(), (stop - at)[converted], who[converted],
        by[seen].tolist(), (stop - at)[seen], np.ones(int(seen.sum())),
    )  # fmt: skip
    causes = by[(when == stop) & (stop < END)].tolist()
    return fit, {name: causes.count(name) for name in TRUTH}


@pytest.fixture(scope="module")
def large() -> tuple[SurvivalFit, dict[str, int]]:
    return simulated(1, 60_000)


def test_recovers_the_parameters(large: tuple[SurvivalFit, dict[str, int]]) -> None:
    fit, _ = large
    for index, name in enumerate(fit.channels):
        assert fit.conversions_per_touch[index] == pytest.approx(TRUTH[name][0], rel=0.10)
        assert fit.decay_rates[index] == pytest.approx(TRUTH[name][1], rel=0.10)


def test_recovers_what_each_channel_brought_about(
    large: tuple[SurvivalFit, dict[str, int]],
) -> None:
    fit, causes = large
    assert dict(zip(fit.channels, fit.conversions, strict=True)) == pytest.approx(causes, rel=0.06)


def test_likelihood_never_falls(large: tuple[SurvivalFit, dict[str, int]]) -> None:
    steps = np.diff(large[0].history)
    assert len(steps) > 3
    assert np.all(steps >= -1e-6)


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.floats(0, 50), st.integers(0, 4)),
        min_size=1,
        max_size=15,
    ),
    st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 50)), max_size=15),
)
@settings(max_examples=60)
def test_credits_conserve_and_the_likelihood_never_falls(
    converted: list[tuple[str, float, int]], censored: list[tuple[str, float]]
) -> None:
    channel = [row[0] for row in converted]
    delay = np.array([row[1] for row in converted])
    conversion = np.array([row[2] for row in converted])
    fit = fit_survival(
        channel,
        delay,
        conversion,
        channel + [row[0] for row in censored],
        np.append(delay, [row[1] for row in censored]),
        np.ones(len(converted) + len(censored)),
    )

    for number in set(conversion.tolist()):
        assert fit.credits[conversion == number].sum() == pytest.approx(1)
    assert np.all(fit.credits >= 0)
    assert fit.conversions.sum() == pytest.approx(len(set(conversion.tolist())))
    assert np.all(np.diff(fit.history) >= -1e-6)


def test_std_errors_are_the_spread_of_new_markets() -> None:
    fits = [simulated(seed, 3_000)[0] for seed in range(30)]
    spread = np.std([fit.conversions for fit in fits], axis=0, ddof=1)

    assert np.mean([fit.std_error for fit in fits], axis=0) == pytest.approx(spread, rel=0.35)


def test_conversions_of_one_person_are_not_independent() -> None:
    channel, delay, days = ["a", "b", "a", "b", "a"], [1.0, 2.0, 3.0, 4.0, 1.0], np.full(20, 9.0)
    observed = (["a", "b"] * 20, np.tile(days, 2), np.ones(40))
    delays_twice = np.array(delay * 2)
    numbers = np.array([0, 0, 1, 1, 2, 3, 3, 4, 4, 5])
    alone = fit_survival(channel * 2, delays_twice, numbers, *observed)
    in_pairs = fit_survival(channel * 2, delays_twice, numbers, *observed, person=numbers % 3)

    assert in_pairs.std_error == pytest.approx(alone.std_error * np.sqrt(2))
    assert in_pairs.std_error.min() > 0


def test_a_single_channel_has_the_error_of_its_number_of_conversions() -> None:
    fit = fit_survival(
        ["a"] * 9, np.arange(1.0, 10.0), np.arange(9), ["a"] * 40, np.full(40, 20.0), np.ones(40)
    )

    assert fit.std_error == pytest.approx([3.0])


def test_a_histogram_of_the_days_gives_the_same_fit() -> None:
    channel, delay, conversion = ["a", "b", "a"], np.array([1.0, 2.0, 3.0]), np.array([0, 0, 1])
    rows = fit_survival(
        channel, delay, conversion,
        ["a", "b", "a", "a", "a"], np.array([1.0, 2.0, 3.0, 9.0, 9.0]), np.ones(5),
    )  # fmt: skip
    counted = fit_survival(
        channel, delay, conversion,
        ["a", "b", "a", "a"], np.array([1.0, 2.0, 3.0, 9.0]), np.array([1.0, 1.0, 1.0, 2.0]),
    )  # fmt: skip

    assert counted.credits == pytest.approx(rows.credits)
    assert counted.decay_rates == pytest.approx(rows.decay_rates)


def test_names_and_order_do_not_matter() -> None:
    rng = np.random.default_rng(2)
    channel = rng.choice(list("abc"), 60)
    delay = rng.exponential(4.0, 60)
    conversion = rng.integers(0, 20, 60)
    fit = fit_survival(channel.tolist(), delay, conversion, channel.tolist(), delay, np.ones(60))
    order = rng.permutation(60)
    rename = {"a": "z", "b": "y", "c": "x"}
    other = [rename[name] for name in channel[order]]
    renamed = fit_survival(other, delay[order], conversion[order], other, delay[order], np.ones(60))

    assert renamed.credits == pytest.approx(fit.credits[order], abs=1e-3)
    assert renamed.conversions[::-1] == pytest.approx(fit.conversions, abs=1e-2)


def test_nobody_converted() -> None:
    nobody = np.array([], dtype=np.int64)
    fit = fit_survival([], np.array([]), nobody, ["a"], np.array([5.0]), np.array([10.0]))

    assert fit.conversions_per_touch.tolist() == [0.0]
    assert fit.conversions.tolist() == [0.0]


def test_nothing_at_all() -> None:
    nobody = np.array([], dtype=np.int64)
    assert fit_survival([], np.array([]), nobody, [], np.array([]), np.array([])).channels == ()


@pytest.mark.parametrize(
    ("channel", "delay", "observed", "touches", "message"),
    [
        (["a"], [-1.0], ["a"], [1.0], "at least 0"),
        (["a"], [1.0], ["a"], [0.0], "positive"),
        (["a"], [1.0, 2.0], ["a"], [1.0], "converted touches differ"),
        (["a"], [1.0], ["a", "b"], [1.0], "observed touches differ"),
        (["b"], [1.0], ["a"], [1.0], "not observed: b"),
    ],
)
def test_wrong_input_is_an_error(
    channel: list[str], delay: list[float], observed: list[str], touches: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        fit_survival(
            channel, np.array(delay), np.array([0]), observed, np.array([1.0]), np.array(touches)
        )


def delays(rows: list[tuple[str, int, str, float, float]]) -> pa.Table:
    names = ["conversion_type", "conversion_number", "channel", "delay_days", "weight"]
    types = [pa.string(), pa.int64(), pa.string(), pa.float64(), pa.float64()]
    columns = {
        name: pa.array([row[place] for row in rows], type=kind)
        for place, (name, kind) in enumerate(zip(names, types, strict=True))
    }
    person = pa.array([str(row[1]) for row in rows], type=pa.string())
    return pa.table(columns | {"source": pa.array(["s"] * len(rows)), "person_id": person})


def exposure(rows: list[tuple[str, str, float, int]]) -> pa.Table:
    names = ["conversion_type", "channel", "observed_days", "touches"]
    types = [pa.string(), pa.string(), pa.float64(), pa.int64()]
    return pa.table(
        {
            name: pa.array([row[place] for row in rows], type=kind)
            for place, (name, kind) in enumerate(zip(names, types, strict=True))
        }
    )


PURCHASES = [("purchase", 2, "a", 1.0), ("purchase", 2, "b", 3.0), ("purchase", 5, "a", 2.0)]
OBSERVED = [
    ("purchase", "a", 1.5, 2),
    ("purchase", "b", 3.0, 1),
    ("purchase", "a", 30.0, 7),
    ("purchase", "b", 20.0, 5),
]


def test_tables_give_the_fit_of_each_conversion_type_alone() -> None:
    lead = ("lead", 2, "b", 0.5, 1.0)
    table = fit_survival_tables(
        delays([lead] + [(*row, 1.0) for row in PURCHASES]),
        exposure([("lead", "b", 0.5, 1), ("lead", "c", 9.0, 4), *OBSERVED]),
    )
    fit = fit_survival(
        ["a", "b", "a"], np.array([1.0, 3.0, 2.0]), np.array([2, 2, 5]),
        ["a", "b", "a", "b"], np.array([1.5, 3.0, 30.0, 20.0]), np.array([2.0, 1.0, 7.0, 5.0]),
    )  # fmt: skip

    assert table.schema == COEFFICIENTS
    keys = list(
        zip(table["conversion_type"].to_pylist(), table["channel"].to_pylist(), strict=True)
    )
    assert keys == [("lead", "b"), ("lead", "c"), ("purchase", "a"), ("purchase", "b")]
    assert table["beta"].to_pylist()[1] == 0
    assert table["beta"].to_pylist()[2:] == fit.conversions_per_touch.tolist()
    assert table["omega"].to_pylist()[2:] == fit.decay_rates.tolist()
    assert table["log_likelihood"].to_pylist()[2:] == [fit.history[-1]] * 2
    assert table["steps"].to_pylist()[2:] == [len(fit.history)] * 2


def test_a_mean_life_that_was_not_found_is_told() -> None:
    # Channel a converts at once or never, b as late as early.
    fit = fit_survival(
        ["a"] * 3 + ["b"] * 4, np.array([0.0, 0.0, 0.0, 1.0, 3.0, 9.0, 27.0]), np.arange(7),
        ["a", "b"], np.array([30.0, 30.0]), np.array([9.0, 9.0]),
    )  # fmt: skip

    assert fit.decay_rates[0] == 1 / MEAN_LIFE_BOUNDS[0]
    assert fit.is_at_bound.tolist() == [True, False]


def test_a_sample_of_the_conversions_gives_the_coefficients_of_all() -> None:
    # Every conversion twice, of which the sample has one: half of the touches belong to it.
    twice = [(kind, number + 10 * copy, channel, days, 1.0)
             for copy in (0, 1) for kind, number, channel, days in PURCHASES]  # fmt: skip
    observed = exposure(
        [(kind, channel, days, 2 * count) for kind, channel, days, count in OBSERVED]
    )
    whole = fit_survival_tables(delays(twice), observed)
    sample = fit_survival_tables(delays([(*row, 2.0) for row in PURCHASES]), observed)

    assert sample["beta"].to_pylist() == pytest.approx(whole["beta"].to_pylist(), rel=1e-2)
    assert sample["omega"].to_pylist() == pytest.approx(whole["omega"].to_pylist(), rel=1e-2)


def test_bins_of_five_percent_hardly_change_the_fit() -> None:
    rng = np.random.default_rng(3)
    converted = rng.exponential(0.05, 400)
    days = np.concatenate([converted, rng.random(3_000) * 60])
    place = np.floor(20 * np.log(days))
    bins = [days[place == number] for number in np.unique(place)]
    rows = delays([("t", number, "a", float(day), 1.0) for number, day in enumerate(converted)])
    binned = fit_survival_tables(
        rows, exposure([("t", "a", float(each.mean()), len(each)) for each in bins])
    )
    exact = fit_survival_tables(rows, exposure([("t", "a", float(day), 1) for day in days]))

    assert binned["beta"].to_pylist() == pytest.approx(exact["beta"].to_pylist(), rel=1e-3)
    assert binned["omega"].to_pylist() == pytest.approx(exact["omega"].to_pylist(), rel=1e-3)


def test_tables_with_nothing_in_them() -> None:
    assert fit_survival_tables(delays([]), exposure([])).equals(COEFFICIENTS.empty_table())

    nobody = fit_survival_tables(delays([]), exposure([("t", "a", 3.0, 1)]))
    assert nobody["beta"].to_pylist() == [0.0]
    one = fit_survival_tables(delays([("t", 1, "a", 0.0, 1.0)]), exposure([("t", "a", 0.0, 1)]))
    assert one["beta"].to_pylist()[0] > 0


def test_a_weight_that_is_not_positive_is_an_error() -> None:
    with pytest.raises(ValueError, match="weight"):
        fit_survival_tables(delays([("t", 1, "a", 1.0, 0.0)]), exposure([("t", "a", 1.0, 1)]))
