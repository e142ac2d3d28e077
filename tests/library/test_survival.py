import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tributary.survival import SurvivalFit, fit_survival

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
