"""The result page of the truth benchmark: tables, a picture and what they mean."""

from collections.abc import Callable, Sequence
from datetime import date
from io import BytesIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tributary.benchmarks.regimes import REGIMES
from tributary.benchmarks.truth import (
    FIRST_RESULT_SEED,
    HOLDOUT_SHARE,
    UNIFORM_GUESS,
    Plan,
    Summary,
)

# Colours of Okabe and Ito, which colour-blind people can tell apart; the best also has a mark.
_BEST, _BETTER, _WORSE, _GUESS = "#009E73", "#0072B2", "#E69F00", "#555555"
_PANEL_WIDTH, _ROW_HEIGHT = 4.0, 0.24
_LEGEND = [
    Line2D([], [], color=_BEST, marker="D", label="the best model"),
    Line2D([], [], color=_BETTER, marker="o", label="no worse than a uniform guess"),
    Line2D([], [], color=_WORSE, marker="v", label="worse than a uniform guess"),
    Line2D([], [], color=_GUESS, linestyle="--", label="uniform guess"),
]

_MEASURES = """\
## How it is measured

The simulator makes every random draw before it is known which channels are on, so any coalition of
channels can be run again on the same people. A channel's **true conversions** are its Shapley value
in that game: what it adds on average over all orders in which channels could be switched on. The
**true baseline** is what remains with all of them off. Together they are all conversions, exactly.
Touches that a channel prompted elsewhere (a brand search after a video) vanish with it. Direct
visits are behaviour, not a channel: their true share is zero, and credit for them counts as
baseline for every model, like conversions without any touchpoint.

| measure | meaning |
|---|---|
| accuracy | 1 - total variation distance between true and credited shares of the channels, the \
baseline left out: the share of the credit that goes where it belongs |
| ± | standard deviation of the accuracy between seeds; a dash for one seed, which has none |
| rank correlation | Spearman's, of true and credited conversions |
| baseline error | credited minus true share of all conversions that no channel caused; below zero \
the model gives channels what would have happened anyway |
| idle | share of the credit that goes to channels without any effect |
| coverage | how many of the 95 % intervals hold the conversions that the channel truly caused in \
that simulation, over all channels and seeds |
| expected accuracy | what the model expects of itself by its standard errors |
| uniform guess | every channel gets the same: what a model must beat to be worth having |

The warehouse is the real one, built by dbt from the simulated files with its default settings; the
models see sessions, conversions and spend, never the truth. Truth is what happened in the
simulation, luck included, so no model can be perfect.
"""


def accuracy_table(summaries: Sequence[Summary]) -> list[list[str]]:
    """Models against regimes, with mean accuracy and its spread between seeds.

    Parameters
    ----------
    summaries
        One per regime and model.

    Returns
    -------
    list of list of str
        The header, then the models: the best on average first.
    """
    regimes = _regimes(summaries)
    by_key = {(each.regime, each.model): each for each in summaries}
    table = [["model", *(REGIMES[regime].title.lower() for regime in regimes), "mean"]]
    for model in _models(summaries):
        found = [by_key.get((regime, model)) for regime in regimes]
        cells = [
            f"{each.accuracy:.3f} ± {_text(each.spread, '.3f')}" if each else "" for each in found
        ]
        mean = np.mean([each.accuracy for each in found if each])
        table.append([model, *cells, f"{mean:.3f}"])
    return table


def detail_table(summaries: Sequence[Summary], regime: str) -> list[list[str]]:
    """All measures of all models in one regime, the most accurate first; empty is a dash."""
    table = [
        [
            "model",
            "accuracy",
            "±",
            "rank correlation",
            "baseline error",
            "idle",
            "coverage",
            "expected accuracy",
        ]
    ]
    for each in (each for each in summaries if each.regime == regime):
        is_guess = each.model == UNIFORM_GUESS
        table.append(
            [
                each.model,
                f"{each.accuracy:.3f}",
                _text(each.spread, ".3f"),
                "-" if is_guess else f"{each.rank_correlation:.2f}",
                _text(each.baseline_error, "+.3f"),
                _text(each.idle_share, ".1%"),
                _text(each.coverage, ".1%") + (f" of {each.intervals:,}" if each.intervals else ""),
                _text(each.predicted_accuracy, ".3f"),
            ]
        )
    return table


def page(plan: Plan, summaries: Sequence[Summary], *, day: date, command: str, picture: str) -> str:
    """Write the result page.

    Parameters
    ----------
    plan, summaries
        What was run and what came of it.
    day
        The day of the run.
    command
        The command that makes the page.
    picture
        Address of the picture, as seen from the page.

    Returns
    -------
    str
        Markdown.
    """
    kind = "result seeds, on which nothing was developed or tuned"
    if min(plan.seeds) < FIRST_RESULT_SEED:
        kind = "**development seeds**: a preview, not a result"
    parts = [
        "# Benchmark: how close does each model come to the truth?\n",
        f"Run on {day.isoformat()} with seeds {plan.seed_ranges} ({kind}). Made by:\n",
        f"```\n{command}\n```\n",
        "Nobody knows what a channel truly caused, except in a simulation. So markets are simulated"
        " in which each channel's effect is known, this warehouse is built from what they leave"
        " behind, and its models are compared with the truth.\n",
        f"![Accuracy of every model in every regime]({picture})\n",
        "Accuracy, the mean over seeds ± the standard deviation between them:\n",
        _markdown(accuracy_table(summaries)),
        "## What it shows\n",
        "\n".join(f"- {finding}" for finding in findings(summaries)) + "\n",
        "## The regimes\n",
        _markdown([["regime", "what happens", "people", "days"], *_regime_rows(plan)]),
    ]
    if plan.with_holdouts:
        parts.append(
            f"Every channel was withheld from {HOLDOUT_SHARE:.0%} of the people, others for each, "
            "and the warehouse knew the measured lifts.\n"
        )
    parts.append(_MEASURES)
    parts.append("## All measures\n")
    for regime in _regimes(summaries):
        parts += [f"### {REGIMES[regime].title}\n", _markdown(detail_table(summaries, regime))]
    return "\n".join(parts)


def findings(summaries: Sequence[Summary]) -> list[str]:
    """Say in sentences what the numbers say."""
    sentences = []
    for regime in _regimes(summaries):
        here = [each for each in summaries if each.regime == regime]
        models = [each for each in here if each.model != UNIFORM_GUESS]
        if not models:
            continue
        guess = _guess(here)
        best = max(models, key=lambda each: each.accuracy)
        worse = sum(each.accuracy < guess for each in models)
        sentences.append(
            f"**{REGIMES[regime].title}**: the best model is `{best.model}` with "
            f"{best.accuracy:.3f}; a uniform guess has {guess:.3f}. "
            f"Models worse than the guess: {worse or 'none'} of {len(models)}."
        )
    every_model = {each.model for each in summaries} - {UNIFORM_GUESS}
    for name, is_wrong, sentence in _JUDGEMENTS:
        wrong = {each.model for each in summaries if is_wrong(each)} - {UNIFORM_GUESS}
        if wrong:
            named = ", ".join(f"`{model}`" for model in sorted(wrong))
            who = f"all {len(wrong)} models" if wrong == every_model else named
            sentences.append(f"**{name}**: {sentence} {who}.")
    return sentences


_JUDGEMENTS: tuple[tuple[str, Callable[[Summary], bool], str], ...] = (
    (
        "Baseline",
        lambda each: each.baseline_error is not None and each.baseline_error < -0.1,
        "in some regime more than a tenth of all conversions, which would have happened anyway, "
        "is given to channels by",
    ),
    (
        "Idle channels",
        lambda each: each.idle_share is not None and each.idle_share > 0.05,
        "in some regime more than 5 % of the credit goes to channels without any effect by",
    ),
)


def picture(summaries: Sequence[Summary]) -> bytes:
    """Draw a panel per regime: accuracy of each model, its spread, and the uniform guess.

    Parameters
    ----------
    summaries
        One per regime and model.

    Returns
    -------
    bytes
        A PNG.
    """
    regimes = _regimes(summaries)
    models = [model for model in _models(summaries) if model != UNIFORM_GUESS][::-1]
    columns = min(3, len(regimes))
    lines = -(-len(regimes) // columns)
    figure = Figure(
        figsize=(_PANEL_WIDTH * columns + 1.2, lines * (len(models) * _ROW_HEIGHT + 1.3) + 0.7),
        layout="constrained",
    )
    panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for panel, regime in zip(panels, regimes, strict=False):
        _draw_panel(panel, [each for each in summaries if each.regime == regime], models)
        panel.set_title(REGIMES[regime].title, loc="left", fontsize=11, fontweight="bold")
    for panel in panels[len(regimes) :]:
        panel.set_visible(False)
    lowest = min(each.accuracy - (each.spread or 0) for each in summaries)
    panels[0].set_xlim(min(0.6, float(np.floor(10 * lowest) / 10)), 1.06)
    figure.suptitle("Share of the credit that goes where it belongs", fontsize=11)
    figure.legend(
        handles=_LEGEND, loc="outside lower center", ncols=2 * columns, fontsize=9, frameon=False
    )
    sink = BytesIO()
    figure.savefig(sink, format="png", dpi=110, metadata={"Software": ""})
    return sink.getvalue()


def _draw_panel(panel: Axes, here: Sequence[Summary], models: Sequence[str]) -> None:
    guess = _guess(here)
    panel.axvline(guess, color=_GUESS, linestyle="--", linewidth=1)
    panel.axvline(1, color=_GUESS, linewidth=0.5)
    by_model = {each.model: each for each in here}
    best = max((by_model[model].accuracy for model in models if model in by_model), default=0)
    for height, model in enumerate(models):
        each = by_model.get(model)
        if each is None:
            continue
        is_best = each.accuracy == best
        colour = _BEST if is_best else _BETTER if each.accuracy >= guess else _WORSE
        panel.errorbar(
            each.accuracy,
            height,
            xerr=each.spread,
            marker="D" if is_best else "o" if each.accuracy >= guess else "v",
            markersize=6,
            color=colour,
            elinewidth=1.5,
        )
        panel.annotate(
            f"{each.accuracy:.2f}",
            (each.accuracy + (each.spread or 0), height),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    panel.set_yticks(range(len(models)), models)
    panel.grid(axis="x", linewidth=0.3)
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.tick_params(axis="y", length=0)


def _regimes(summaries: Sequence[Summary]) -> list[str]:
    found = {each.regime for each in summaries}
    return [regime for regime in REGIMES if regime in found]


def _models(summaries: Sequence[Summary]) -> list[str]:
    """Order models by their mean accuracy over regimes, the best first."""
    accuracies: dict[str, list[float]] = {}
    for each in summaries:
        accuracies.setdefault(each.model, []).append(each.accuracy)
    return sorted(accuracies, key=lambda model: (-np.mean(accuracies[model]), model))


def _guess(here: Sequence[Summary]) -> float:
    (guess,) = (each.accuracy for each in here if each.model == UNIFORM_GUESS)
    return guess


def _regime_rows(plan: Plan) -> list[list[str]]:
    rows = []
    for name in plan.regimes:
        market = plan.market(name)
        rows.append(
            [
                REGIMES[name].title.lower(),
                REGIMES[name].description,
                f"{market.people:,}",
                str(market.days),
            ]
        )
    return rows


def _text(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _markdown(table: Sequence[Sequence[str]]) -> str:
    header, *rows = table
    ruler = ["---", *("---:" for _ in header[1:])]
    if not any(character.isdigit() for row in rows for character in row[1][:1]):
        ruler[1] = "---"
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ruler, *rows)) + "\n"
