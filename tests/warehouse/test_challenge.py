"""The main job on the real database of the attribution challenge."""

import subprocess
from pathlib import Path

import duckdb
import numpy as np
import pytest

from reference import reference_data
from tributary.ihc import Curve, IhcParameters, compare, fit_ihc, half_of, phase_shares
from tributary.ihc_tables import read_journeys, read_results

from .conftest import BIN, PROJECT, Build, build


def _build(folder: Path, settings: str) -> Build:
    database = reference_data("ihc", "challenge.db")
    result = build(folder, f"{{sources: [ihc], ihc_database: {database}, {settings}}}")
    assert result.status == 0, result.output
    return result


@pytest.fixture(scope="module")
def challenge(tmp_path_factory: pytest.TempPathFactory) -> Build:
    return _build(
        tmp_path_factory.mktemp("challenge"), "journey_scope: every_prior, lookback_days: none"
    )


def test_journeys_are_the_published_ones(challenge: Build) -> None:
    assert challenge.rows(
        "select count(*), count(distinct conv_id) from marts.attribution_customer_journey"
    ) == [(3703, 1940)]
    reference = duckdb.read_csv(str(reference_data("ihc", "ihc_api_results.csv")))
    with duckdb.connect(str(challenge.warehouse), read_only=True) as warehouse:
        pairs = warehouse.execute(
            "select conv_id, session_id from marts.attribution_customer_journey"
        ).fetchall()
    published = set(reference.project("conversion_id, session_id").fetchall())
    # The six published pairs beyond ours are touches at the instant of the conversion.
    assert set(pairs) < published
    assert len(published) == 3709


def test_conversions_without_a_touch_stay_visible(challenge: Build) -> None:
    assert challenge.rows(
        "select is_attributed, count(*), sum(revenue)::double from marts.fct_conversions "
        "group by is_attributed order by is_attributed"
    ) == [(False, 6, 340.41), (True, 1940, 111721.66)]


def test_touches_at_the_conversion_count_where_the_setting_says_so(tmp_path: Path) -> None:
    included = _build(tmp_path, "lookback_days: none, include_touch_at_conversion: true")
    assert included.rows(
        "select count(*), count(distinct conv_id) from marts.attribution_customer_journey"
    ) == [(3709, 1946)]


def test_channel_reporting_has_the_reference_cost_of_every_channel_and_day(
    challenge: Build,
) -> None:
    reference = {
        (channel, date): cost
        for channel, date, cost in duckdb.read_csv(
            str(reference_data("ihc", "reference_channel_reporting.csv"))
        )
        .project("channel_name, date, cost")
        .fetchall()
    }
    ours = {
        (channel, date): float(cost)
        for channel, date, cost in challenge.rows(
            "select channel_name, date, cost from marts.channel_reporting"
        )
    }
    assert ours == pytest.approx(reference, abs=1e-8)


def test_channel_reporting_totals(challenge: Build) -> None:
    assert challenge.rows(
        "select sum(cost)::double, sum(ihc), sum(ihc_revenue) from marts.channel_reporting"
    ) == [pytest.approx((293_876.849, 1940, 111_721.66), abs=1e-6)]


@pytest.mark.parametrize("mart", ["rpt_channel_attribution", "rpt_channel_performance"])
def test_every_model_splits_all_conversions_and_revenue(challenge: Build, mart: str) -> None:
    totals = challenge.rows(
        f"select attribution_model, sum(conversions), sum(revenue) from marts.{mart} "
        "where channel != '(unattributed)' group by attribution_model"
    )
    assert len(totals) == 21
    for _, conversions, revenue in totals:
        assert (conversions, revenue) == pytest.approx((1940, 111_721.66), abs=1e-6)


def test_ihc_is_the_external_service_to_the_third_decimal(challenge: Build) -> None:
    service = reference_data("ihc", "ihc_api_results.csv")
    with duckdb.connect(str(challenge.warehouse), read_only=True) as warehouse:
        warehouse.execute(
            """
            create temporary table compared as
            select
                journey.channel,
                ours.ihc,
                service.ihc as service_ihc,
                abs(ours.ihc - service.ihc) as difference,
                greatest(
                    abs(ours.initializer - service.initializer),
                    abs(ours.holder - service.holder),
                    abs(ours.closer - service.closer)
                ) as difference_of_phases,
                count(*) over (partition by ours.conversion_key) as sessions
            from intermediate.int_ihc_credits as ours
            join intermediate.int_named_journey_touchpoints as journey
                using (conversion_key, touchpoint_key)
            join read_csv($service) as service
                on journey.conversion_id = service.conversion_id
                and journey.touchpoint_id = service.session_id
            where service.journey_intact
            """,
            {"service": str(service)},
        )
        one, several = warehouse.execute(
            """
            select
                count(*), max(difference), avg(difference), avg(difference_of_phases),
                corr(ihc, service_ihc)
            from compared
            group by sessions > 1
            order by sessions > 1
            """
        ).fetchall()
        channels = warehouse.execute(
            "select channel, sum(ihc) / sum(service_ihc) - 1 from compared group by channel"
        ).fetchall()
    assert one[:2] == (1132, 0)
    count, largest, mean, mean_of_phases, correlation = several
    assert count == 2427
    assert largest < 0.003
    assert mean < 0.0002
    assert mean_of_phases < 0.001
    assert correlation > 0.99999
    assert len(channels) == 13
    assert dict(channels) == pytest.approx(dict.fromkeys(dict(channels), 0), abs=0.001)


def test_phases_by_channel_add_up(challenge: Build) -> None:
    assert challenge.rows(
        """
        select
            sum(initializer), sum(closer), sum(initializer_credit + holder_credit + closer_credit)
        from marts.rpt_ihc_phases
        """
    ) == [pytest.approx((1940, 1940, 1940), abs=1e-6)]
    assert challenge.rows(
        "select sum(ihc), sum(share) from marts.rpt_ihc_phases where channel != '(unattributed)'"
    ) == [pytest.approx((1940, 1), abs=1e-6)]
    assert challenge.rows(
        "select ihc, holder from marts.rpt_ihc_phases where channel = '(unattributed)'"
    ) == [(6, 0)]


def test_the_library_and_the_warehouse_compute_the_same_ihc(challenge: Build) -> None:
    curves, weights, factors = (
        challenge.rows(f"select * from seeds.{seed} order by all")
        for seed in ("ihc_curves", "ihc_phase_weights", "ihc_channel_factors")
    )
    points = {
        phase: np.array([point[1:] for point in curves if point[0] == phase]).T
        for phase in ("initializer", "closer")
    }
    parameters = IhcParameters(
        initializer=Curve(*points["initializer"]),
        closer=Curve(*points["closer"]),
        phase_weights=dict(weights),
        channel_factors={
            phase: {channel: factor for of_phase, channel, factor in factors if of_phase == phase}
            for phase, _ in weights
        },
    )
    with duckdb.connect(str(challenge.warehouse), read_only=True) as warehouse:
        shares = phase_shares(read_journeys(warehouse), parameters)
    credits = challenge.rows(
        """
        select credits.initializer, credits.holder, credits.closer, credits.ihc
        from intermediate.int_ihc_credits as credits
        join intermediate.int_named_journey_touchpoints as touchpoints
            using (conversion_key, touchpoint_key)
        order by source, conversion_id, touch_number
        """
    )
    ours = np.column_stack([shares.initializer, shares.holder, shares.closer, shares.ihc])
    assert np.abs(ours - np.array(credits)).max() < 1e-9


def test_half_of_the_service_answers_predict_the_other_half(challenge: Build) -> None:
    service = reference_data("ihc", "ihc_api_results.csv")
    with duckdb.connect(str(challenge.warehouse), read_only=True) as warehouse:
        journeys, observed = read_results(warehouse, service)
    conversions = int(journeys.conversion[-1]) + 1
    assert conversions == 1919
    half = half_of(range(conversions), seed=1)
    rest = ~half[journeys.conversion]
    fitted = fit_ihc(journeys.of(half), observed.of(~rest))
    held_out = journeys.of(~half)
    comparison = compare(held_out, phase_shares(held_out, fitted), observed.of(rest))
    assert comparison.mean_absolute_error["ihc"] < 0.001
    assert comparison.correlation > 0.9999
    differences = {
        channel: difference
        for channel, difference in comparison.channel_differences.items()
        if comparison.channel_totals[channel] > 1
    }
    assert len(differences) == 12
    assert differences == pytest.approx(dict.fromkeys(differences, 0), abs=0.005)


def fit_command(warehouse: Path, output: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "tributary", "fit-ihc", "--warehouse", warehouse, "--output", output, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_fit_ihc_writes_the_seeds_of_the_project(challenge: Build, tmp_path: Path) -> None:
    service = reference_data("ihc", "ihc_api_results.csv")
    output = tmp_path / "a" / "new folder"
    done = fit_command(challenge.warehouse, output, "--results", str(service))
    assert done.returncode == 0, done.stderr
    assert "Held-out half: 388 journeys" in done.stdout
    assert "Next: copy them into seeds/, dbt build" in done.stderr
    for name in ("ihc_curves", "ihc_phase_weights", "ihc_channel_factors"):
        written = duckdb.read_csv(str(output / f"{name}.csv")).fetchall()
        ours = duckdb.read_csv(str(PROJECT / "seeds" / f"{name}.csv")).fetchall()
        assert [row[:-1] for row in written] == [row[:-1] for row in ours]
        assert [row[-1] for row in written] == pytest.approx([row[-1] for row in ours], abs=2e-4)


def test_fit_ihc_learns_from_the_journeys_alone(challenge: Build, tmp_path: Path) -> None:
    done = fit_command(challenge.warehouse, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Learnt from the journeys alone" in done.stderr
    weights = duckdb.read_csv(str(tmp_path / "ihc_phase_weights.csv")).fetchall()
    assert [weight for _, weight in weights] == [0.3333, 0.3333, 0.3333]
    assert (tmp_path / "ihc_channel_factors.csv").read_text() == "phase,channel,factor\n"


@pytest.mark.fault(
    done="tributary fit-ihc where other parameters are, and nobody to ask",
    expected="refused; they are as they were; --yes replaces them",
)
def test_fit_ihc_asks_before_it_replaces_other_parameters(challenge: Build, tmp_path: Path) -> None:
    weights = tmp_path / "ihc_phase_weights.csv"
    weights.write_text("mine")
    refused = fit_command(challenge.warehouse, tmp_path)
    assert refused.returncode == 1
    assert f"There are other parameters in {weights}." in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == [weights.name]
    assert weights.read_text() == "mine"
    assert fit_command(challenge.warehouse, tmp_path, "--yes").returncode == 0
    # What is the same is not asked for.
    again = fit_command(challenge.warehouse, tmp_path)
    assert (again.returncode, "Replace" in again.stderr) == (0, False)


def test_fit_ihc_says_what_is_wrong(challenge: Build, tmp_path: Path) -> None:
    def said(results: Path, output: Path = tmp_path, warehouse: Path = challenge.warehouse) -> str:
        done = fit_command(warehouse, output, "--results", str(results))
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        return done.stderr

    assert "Cannot read" in said(tmp_path / "absent.csv")
    results = tmp_path / "results.csv"
    results.write_text("conversion_id,session_id,holder\nc,s,0\n")
    assert "has no column closer, ihc, initializer." in said(results)
    results.write_text("conversion_id,session_id,initializer,holder,closer,ihc\nc,s,1,0,1,1\n")
    assert "No journey of the warehouse can be used" in said(results)
    assert "There is no warehouse at" in said(results, warehouse=tmp_path / "absent.duckdb")
    # Before anything is fitted.
    assert "Cannot write" in said(results, output=results)
