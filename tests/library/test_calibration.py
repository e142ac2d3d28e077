from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tributary.calibration import (
    CALIBRATED_TOTALS,
    CalibratedChannel,
    Experiment,
    calibrate,
    calibrate_totals,
    posterior_ratios,
    what_to_test_next,
)

SEARCH = Experiment("search", "holdout", lift=60.0, std_error=5.0, predicted=100.0)
GROUPS = {"search": "paid", "social": "paid", "email": "owned"}
MODEL = {"search": 100.0, "social": 80.0, "email": 40.0}
ERRORS = {"search": 10.0, "social": 8.0, "email": 4.0}
DOUBTFUL = {"search", "social"}


def calibrated(*experiments: Experiment, total: float = 400.0) -> dict[str, CalibratedChannel]:
    rows = calibrate(MODEL, ERRORS, GROUPS, DOUBTFUL, experiments, total)
    return {row.channel: row for row in rows}


def test_without_experiments_nothing_changes() -> None:
    for row in calibrated().values():
        assert row.ratio == 1
        assert not row.is_calibrated
        assert (row.conversions, row.std_error) == (row.uncalibrated, row.uncalibrated_std_error)


def test_a_precise_experiment_takes_over() -> None:
    exact = replace(SEARCH, std_error=0.1)

    assert calibrated(exact)["search"].conversions == pytest.approx(60, abs=0.2)
    # What the experiment leaves is the model's own error of what it counted.
    assert calibrated(exact)["search"].std_error == pytest.approx(6, abs=0.1)


def test_experiment_and_model_meet_between() -> None:
    assert 60 < calibrated(SEARCH)["search"].conversions < 80


def test_a_vague_experiment_moves_little() -> None:
    vague = replace(SEARCH, lift=-100.0, std_error=200.0)

    assert calibrated(vague)["search"].is_calibrated
    assert 93 < calibrated(vague)["search"].conversions < 100


def test_experiments_move_channels_that_look_confounded_more() -> None:
    test = replace(SEARCH, std_error=20.0)
    sure = calibrate(MODEL, ERRORS, GROUPS, set(), [test], 400)[0]

    assert calibrated(test)["search"].conversions < sure.conversions - 5
    assert sure.conversions < 100
    assert calibrated(test)["search"].std_error > sure.std_error


def test_calibration_nears_the_truth_where_the_doubt_is_right() -> None:
    """Ratios spread as the prior says and tests as vague as they come: errors shrink on average."""
    rng = np.random.default_rng(0)
    names = [f"channel {number}" for number in range(8)]
    before, after, hits = [], [], []
    for _ in range(60):
        truth = 100 * (1 + 0.18 * rng.standard_normal(8))
        tests = [
            Experiment(name, "ghost", float(true + 30 * rng.standard_normal()), 30.0, 100.0)
            for name, true in zip(names, truth, strict=True)
        ]
        rows = calibrate(
            dict.fromkeys(names, 100.0),
            dict.fromkeys(names, 0.0),
            {name: name for name in names},
            names,
            tests,
            10_000,
        )
        error = np.array([row.conversions for row in rows]) - truth
        before.append(np.abs(truth - 100).mean())
        after.append(np.abs(error).mean())
        hits.append(np.abs(error) < 1.96 * np.array([row.std_error for row in rows]))

    assert np.mean(after) < 0.9 * np.mean(before)
    assert 0.9 < np.mean(hits) < 0.99


def test_a_group_learns_from_its_channels_and_others_do_not() -> None:
    ratios = posterior_ratios(GROUPS, DOUBTFUL, [SEARCH])
    mean = dict(zip(ratios.channels, ratios.mean, strict=True))

    assert mean["search"] < mean["social"] < 1
    assert mean["email"] == pytest.approx(1)
    assert not calibrated(SEARCH)["social"].is_calibrated


def test_more_experiments_are_more_certain() -> None:
    once = posterior_ratios(GROUPS, DOUBTFUL, [SEARCH])
    twice = posterior_ratios(GROUPS, DOUBTFUL, [SEARCH, SEARCH])

    assert twice.std_error[0] < once.std_error[0]
    assert abs(twice.mean[0] - 0.6) < abs(once.mean[0] - 0.6)


def test_posterior_is_that_of_a_sample() -> None:
    """Draw from the prior, weigh by the likelihood: the definition of the posterior."""
    rng = np.random.default_rng(0)
    tau = np.abs(rng.normal(0, 0.15, 400_000))
    shared = rng.normal(0, 0.1, 400_000)
    # Social does not look confounded: a third of the doubt.
    search = 1 + shared + tau * rng.standard_normal(400_000)
    social = 1 + (shared + tau * rng.standard_normal(400_000)) / 3
    weight = np.exp(-(((60 - 100 * search) / 10) ** 2) / 2)
    ratios = posterior_ratios(GROUPS, {"search"}, [replace(SEARCH, std_error=10.0)])

    for index, draws in enumerate((search, social)):
        mean = np.average(draws, weights=weight)
        spread = np.sqrt(np.average((draws - mean) ** 2, weights=weight))
        assert ratios.mean[index] == pytest.approx(mean, abs=0.01)
        assert ratios.std_error[index] == pytest.approx(spread, abs=0.01)


@given(st.floats(-500, 2_000), st.floats(0.1, 300), st.floats(221, 1_000))
@settings(max_examples=80)
def test_channels_never_exceed_all_conversions(lift: float, error: float, total: float) -> None:
    rows = calibrated(replace(SEARCH, lift=lift, std_error=error), total=total).values()

    assert sum(row.conversions for row in rows) <= total + 1e-6
    assert all(row.conversions >= 0 and row.std_error >= 0 for row in rows)


def test_an_experiment_on_a_channel_without_credit_says_nothing_about_a_ratio() -> None:
    assert calibrated(replace(SEARCH, predicted=0.0))["search"].ratio == 1


def test_names_and_order_do_not_matter() -> None:
    social = Experiment("social", "geo", 120.0, 9.0, 80.0)
    one, other = (
        posterior_ratios(GROUPS, DOUBTFUL, [SEARCH, social]),
        posterior_ratios(dict(reversed(GROUPS.items())), DOUBTFUL, [social, SEARCH]),
    )

    assert other.mean[::-1] == pytest.approx(one.mean)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "hunch"}, "Allowed: holdout, geo, ghost"),
        ({"std_error": 0.0}, "must be positive"),
        ({"lift": float("nan")}, "lift of the experiment on search is nan"),
        ({"predicted": -1.0}, "prediction for search"),
    ],
)
def test_wrong_experiments_are_errors(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SEARCH, **change)  # type: ignore[arg-type]


def test_an_experiment_on_no_channel_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"no channel\. There are: search, social, email"):
        posterior_ratios(GROUPS, DOUBTFUL, [replace(SEARCH, channel="radio")])


def test_arguments_of_different_channels_are_an_error() -> None:
    with pytest.raises(ValueError, match="same channels"):
        calibrate(MODEL, {}, GROUPS, [], [], 400)


# What to test next


def test_flags_channels_that_follow_interest_the_largest_doubt_first() -> None:
    advice = what_to_test_next(
        {"search": 100.0, "social": 80.0, "email": 500.0, "retargeting": 300.0},
        {"search": 1.5, "social": 1.02, "email": 1.4, "retargeting": 1.2},
        {"search": 0.02, "social": 0.001, "email": 0.02, "retargeting": 0.03},
        tested=["email"],
    )

    assert [row.channel for row in advice] == ["retargeting", "search"]
    assert advice[0].priority == pytest.approx(50)
    assert advice[0].std_error_needed == pytest.approx(75)
    assert "1.20 times" in advice[0].reason


def test_chance_flags_nothing() -> None:
    assert what_to_test_next({"search": 9.0}, {"search": 1.4}, {"search": 0.2}) == []


# Tables

TOTALS = pa.table(
    {
        "conversion_type": ["purchase", "purchase", "purchase", "lead"],
        "channel": ["search", "social", "(baseline)", "search"],
        "conversions": [100.0, 80.0, 70.0, 10.0],
        "conversions_std_error": [9.0, None, 9.0, 2.0],
    }
)
TESTS = pa.Table.from_pylist(
    [
        {
            "conversion_type": "purchase", "channel": "search", "kind": "holdout",
            "lift": 30.0, "std_error": 0.1, "predicted_lift": 50.0,
        }
    ]
)  # fmt: skip
FOLLOW = pa.Table.from_pylist(
    [
        {"channel": "search", "follow_ratio": 1.5, "std_error": 0.01},
        {"channel": "social", "follow_ratio": 1.0, "std_error": 0.01},
    ]
)
CHANNELS = pa.table({"channel": ["search"], "channel_group": ["Paid Search"]})


def test_calibrates_each_conversion_type_by_its_own_tests() -> None:
    table = calibrate_totals(TOTALS, TESTS, FOLLOW, CHANNELS)
    rows = {(row["conversion_type"], row["channel"]): row for row in table.to_pylist()}

    assert table.schema == CALIBRATED_TOTALS
    assert list(rows) == [("lead", "search"), ("purchase", "search"), ("purchase", "social")]
    # The test measured three fifths of what the model says for its days: so much is left of all.
    assert rows["purchase", "search"]["conversions"] == pytest.approx(60, abs=0.5)
    assert rows["purchase", "social"]["conversions"] == 80
    assert rows["lead", "search"]["conversions"] == 10
    # Tested for purchases, not for leads.
    assert rows["purchase", "search"]["test_reason"] is None
    assert "1.50 times" in rows["lead", "search"]["test_reason"]


@pytest.mark.parametrize("predicted", [None, 0.0])
def test_a_test_that_is_not_used_does_not_count_as_one(predicted: float | None) -> None:
    unused = [{**row, "predicted_lift": predicted} for row in TESTS.to_pylist()]
    unused.append({**unused[0], "channel": "nobody", "predicted_lift": None})
    experiments = pa.Table.from_pylist(unused, schema=TESTS.schema)
    table = calibrate_totals(TOTALS, experiments, FOLLOW, CHANNELS)
    (search,) = (
        row
        for row in table.to_pylist()
        if (row["conversion_type"], row["channel"]) == ("purchase", "search")
    )

    assert not search["is_calibrated"]
    assert "1.50 times" in search["test_reason"]


def test_no_totals_give_no_rows() -> None:
    assert len(calibrate_totals(TOTALS.slice(0, 0), TESTS, FOLLOW, CHANNELS)) == 0
