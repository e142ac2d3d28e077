"""The channel report as a picture: what the reported model says, beside all the others."""

import warnings
from collections.abc import Sequence
from io import BytesIO
from math import inf
from typing import Any

import matplotlib as mpl
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from tributary.hazard import BASELINE
from tributary.report import UNATTRIBUTED, ChannelReport

MOST_CHANNELS = 30
"""So many channels are drawn, those with most conversions; the picture says how many are not."""

# Colours of Okabe and Ito, which colour-blind people can tell apart; marks differ as well.
_REPORTED, _NO_CHANNEL, _OTHER, _BREAK_EVEN = "#0072B2", "#999999", "#E69F00", "#555555"
_WIDTH, _ROW_HEIGHT, _ROOM = 11.0, 0.36, 2.0
_LONGEST_NAME = 32
# Beyond so many times the largest ratio of the reported model, others are drawn at the edge: what
# costs something and is credited with next to nothing has a CPO of millions.
_REACH = 2.0


def channel_picture(
    report: ChannelReport, models: pa.Table, *, title: str, caption: str, file_format: str
) -> bytes:
    """Draw conversions by channel, and what spend brought or they cost, as each model has it.

    Parameters
    ----------
    report
        The report. Its model is drawn as bars and diamonds, with intervals of 95 %.
    models
        What all models say; see `tributary.report.model_estimates`.
    title, caption
        Texts above and below.
    file_format
        png, svg or pdf.

    Returns
    -------
    bytes
        The content of a file: the same for the same report.
    """
    channels = report.channels.to_pylist()
    drawn = channels[:MOST_CHANNELS]
    if len(channels) > len(drawn):
        caption += f"\n{len(channels) - len(drawn)} channels with fewer conversions are not drawn."
    estimates = [
        each for each in models.to_pylist() if each["channel"] in {row["channel"] for row in drawn}
    ]
    bought = {row["channel"] for row in drawn if row["is_paid"] and row["spend"]}
    ratio, heading = (
        ("roas", "ROAS, revenue per unit of spend")
        if report.has_revenue
        else ("cpo", "CPO, spend per conversion")
    )
    # Texts stay texts, also in an SVG; what names hold is shown as it is, not typeset.
    with mpl.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": "tributary", "text.parse_math": False}
    ):
        figure = Figure(
            figsize=(_WIDTH, _ROOM + _ROW_HEIGHT * max(len(drawn), 3)), layout="constrained"
        )
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
        names = [row["channel"] for row in drawn]
        reported = report.attribution_model
        _draw(left, "conversions", "Conversions", names, estimates, reported)
        of_bought = [each for each in estimates if each["channel"] in bought]
        is_any_beyond = _draw(right, ratio, heading, names, of_bought, reported)
        left.set_yticks(range(len(names)), [_short(name) for name in names])
        left.set_ylim(max(len(names), 1) - 0.4, -0.6)
        if report.has_revenue and bought:
            right.axvline(1, color=_BREAK_EVEN, linestyle="--", linewidth=1)
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
        figure.text(0.01, 0.012, caption, fontsize=8)
        figure.legend(
            handles=_legend(
                reported,
                estimates,
                is_any_beyond=is_any_beyond,
                has_break_even=report.has_revenue and bool(bought),
            ),
            loc="outside lower right",
            ncols=4,
            fontsize=8,
            frameon=False,
        )
        return _content(figure, file_format)


def _draw(
    panel: Axes,
    measure: str,
    heading: str,
    names: Sequence[str],
    estimates: Sequence[dict[str, Any]],
    reported: str,
) -> bool:
    """Draw one measure; whether another model's lies beyond the edge."""
    ends = (measure, f"{measure}_low", f"{measure}_high")
    known = [each for each in estimates if each[measure] is not None]
    of_reported = [each for each in known if each["attribution_model"] == reported]
    others = [each for each in known if each["attribution_model"] != reported]
    numbers = [each[end] for each in of_reported for end in ends if each[end] is not None]
    edge = inf if measure == "conversions" else _REACH * max(map(abs, numbers), default=0) or 1.0
    for each in others:
        value, row = min(max(each[measure], -edge), edge), names.index(each["channel"])
        numbers.append(value)
        marker = "|" if value == each[measure] else ">" if value > 0 else "<"
        panel.plot(value, row, marker, color=_OTHER, markersize=9, zorder=2)
    for each in of_reported:
        value, row = each[measure], names.index(each["channel"])
        is_channel = each["channel"] not in (BASELINE, UNATTRIBUTED)
        colour = _REPORTED if is_channel else _NO_CHANNEL
        if measure == "conversions":
            panel.barh(row, value, height=0.6, color=colour, zorder=1)
        else:
            panel.plot(value, row, "D", color=colour, markersize=6, zorder=3)
        if each[ends[1]] is not None and each[ends[2]] is not None:
            panel.hlines(row, each[ends[1]], each[ends[2]], color="black", linewidth=1.5, zorder=4)
        panel.annotate(
            f"{value:,.1f}" if measure == "conversions" else f"{value:,.2f}",
            (1, row),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="center",
            fontsize=9,
        )
    # To the right of all that is drawn, a column of numbers.
    first, last = min([0.0, *numbers]), max([0.0, *numbers]) or 1.0
    panel.set_xlim(first - 0.02 * (last - first), last + 0.2 * (last - first))
    panel.set_title(heading, loc="left", fontsize=10)
    panel.grid(axis="x", linewidth=0.3)
    panel.set_axisbelow(True)
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.tick_params(axis="y", length=0)
    return any(abs(each[measure]) > edge for each in others)


def _short(name: str) -> str:
    shown = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in name)
    return shown if len(shown) <= _LONGEST_NAME else f"{shown[: _LONGEST_NAME - 1]}…"


def _legend(
    reported: str, estimates: Sequence[dict[str, Any]], *, is_any_beyond: bool, has_break_even: bool
) -> list[Line2D | Patch]:
    """Name what is drawn, and nothing else."""
    others = {each["attribution_model"] for each in estimates} - {reported}
    has_interval = any(
        each["attribution_model"] == reported and each["conversions_low"] is not None
        for each in estimates
    )
    legend: list[Line2D | Patch] = [Patch(color=_REPORTED, label=reported)]
    if has_interval:
        legend.append(Line2D([], [], color="black", linewidth=1.5, label="its 95 % interval"))
    if others:
        label = f"each of {len(others)} other models" if len(others) > 1 else "the other model"
        label += " (▸ beyond)" if is_any_beyond else ""
        legend.append(Line2D([], [], color=_OTHER, marker="|", linestyle="", label=label))
    if has_break_even:
        legend.append(
            Line2D([], [], color=_BREAK_EVEN, linestyle="--", label="revenue equals spend")
        )
    return legend


def _content(figure: Figure, file_format: str) -> bytes:
    """Render, without what would differ from day to day."""
    metadata = {"png": "Software", "svg": "Date", "pdf": "CreationDate"}
    sink = BytesIO()
    with warnings.catch_warnings():
        # Letters that no font here has are drawn as boxes, which is not for the reader to mend.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure.savefig(sink, format=file_format, dpi=110, metadata={metadata[file_format]: None})
    return sink.getvalue()
