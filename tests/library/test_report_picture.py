"""What the picture of a report shows, read from the texts of an SVG."""

import re
from typing import Any

import pyarrow as pa
import pytest

from tributary.report import ChannelReport
from tributary.report_picture import MOST_CHANNELS, channel_picture

ROW = {"is_paid": True, "spend": 10.0, "revenue": 20.0, "cpo": 5.0, "roas": 2.0, "share": 0.5}
MEASURES = [
    f"{measure}{end}" for measure in ("conversions", "cpo", "roas") for end in ("", "_low", "_high")
]


def report_of(*names: str, has_revenue: bool = True, **changes: Any) -> ChannelReport:
    channels = pa.Table.from_pylist(
        [{"channel": name, "conversions": 4.0} | ROW | changes for name in names]
    )
    return ChannelReport(
        *("linear", "purchase", ()),
        has_revenue,
        channels,
        channels,
        rows_rejected=0,
        conversions_not_met=0.0,
    )


def estimates_of(*rows: dict[str, Any]) -> pa.Table:
    kinds = [("attribution_model", pa.string()), ("channel", pa.string())]
    schema = pa.schema([*kinds, *((name, pa.float64()) for name in MEASURES)])
    return pa.Table.from_pylist([{"attribution_model": "linear"} | row for row in rows], schema)


def texts(report: ChannelReport, estimates: pa.Table) -> list[str]:
    picture = channel_picture(
        report, estimates, title="A title", caption="A caption.", file_format="svg"
    )
    return re.findall(r"<text[^>]*>(.*?)</text>", picture.decode())


def test_channels_are_named_with_the_numbers_of_the_reported_model() -> None:
    shown = texts(
        report_of("Search", "Video"),
        estimates_of(
            {"channel": "Search", "conversions": 1234.56, "roas": 3.456},
            {"channel": "Video", "conversions": 4.0, "roas": 0.5},
            {"channel": "Video", "conversions": 9.0, "roas": 0.7, "attribution_model": "markov"},
        ),
    )

    assert {"A title", "A caption.", "Search", "Video", "1,234.6", "4.0", "3.46", "0.50"} <= {
        *shown
    }
    assert {"linear", "the other model", "revenue equals spend"} <= {*shown}
    assert not {"9.0", "0.70"} & {*shown}


@pytest.mark.parametrize(
    ("ends", "expected"), [({"conversions_low": 1.0, "conversions_high": 5.0}, True), ({}, False)]
)
def test_an_interval_is_named_where_the_model_has_one(
    ends: dict[str, float], expected: bool
) -> None:
    shown = texts(
        report_of("Search"), estimates_of({"channel": "Search", "conversions": 4.0} | ends)
    )

    assert ("its 95 % interval" in shown) == expected


def test_ratios_far_beyond_those_of_the_reported_model_do_not_press_it_flat() -> None:
    shown = texts(
        report_of("Search"),
        estimates_of(
            {"channel": "Search", "conversions": 4.0, "roas": 2.0},
            {"channel": "Search", "conversions": 4.0, "roas": 1e6, "attribution_model": "markov"},
        ),
    )

    assert "the other model (▸ beyond)" in shown
    assert not [text for text in shown if len(text) > 5 and text.isdecimal()]


def test_conversions_without_revenue_have_a_cost_each_and_no_roas() -> None:
    shown = texts(
        report_of("Search", has_revenue=False),
        estimates_of({"channel": "Search", "conversions": 4.0, "cpo": 2.5}),
    )

    assert "CPO, spend per conversion" in shown
    assert "2.50" in shown
    assert "revenue equals spend" not in shown


def test_unpaid_channels_have_no_ratio() -> None:
    shown = texts(
        report_of("Search", is_paid=False),
        estimates_of({"channel": "Search", "conversions": 4.0, "roas": 7.25}),
    )

    assert "4.0" in shown
    assert "7.25" not in shown


def test_names_are_shown_as_they_are_and_cut_where_they_are_long() -> None:
    formula, control, long = r"$\alpha$ costs $5", "two\nlines", "x" * 200
    shown = texts(report_of(formula, control, long), estimates_of())

    assert {formula, "two\N{REPLACEMENT CHARACTER}lines", "x" * 31 + "…"} <= {*shown}


def test_of_many_channels_those_with_most_conversions_are_drawn() -> None:
    names = [f"Channel {number}" for number in range(MOST_CHANNELS + 5)]
    shown = texts(report_of(*names), estimates_of())

    assert [text for text in shown if text.startswith("Channel ")] == names[:MOST_CHANNELS]
    assert "5 channels with fewer conversions are not drawn." in shown


@pytest.mark.parametrize(("file_format", "begins"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_a_report_without_rows_is_a_picture_and_the_same_every_time(
    file_format: str, begins: bytes
) -> None:
    empty = report_of("Search")
    empty = ChannelReport(
        *("linear", "purchase", ()), False, empty.channels[:0], empty.totals[:0], 0, 0.0
    )
    first, second = (
        channel_picture(empty, estimates_of(), title="", caption="", file_format=file_format)
        for _ in range(2)
    )

    assert first.startswith(begins)
    assert first == second
