"""The channel report: what each channel cost and earned under one attribution model."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import duckdb
import pyarrow as pa

UNATTRIBUTED = "(unattributed)"

DEFAULT_MODELS = (
    *("linear", "first_touch", "last_touch", "last_non_direct_touch", "last_paid_touch"),
    *("daily_share", "time_decay", "hyperbolic_decay"),
    *("position_based", "w_shaped", "z_shaped", "ihc"),
)
"""Rules, as their seed orders them but for the first; the marts have no order of models."""


class ReportError(Exception):
    """A report was asked for that the warehouse cannot give; the message says what it can."""


@dataclass(frozen=True)
class ReportRequest:
    """What to report.

    Attributes
    ----------
    attribution_model
        A model of the warehouse; None for the default one.
    conversion_type
        A conversion type of the warehouse; None for purchase or, where there is none, the one with
        most conversions.
    start, end
        First and last date, inclusive; None is open. Credits count on the date of the touchpoint,
        spend on the date it was spent, unattributed conversions on the date of the conversion.
    """

    attribution_model: str | None = None
    conversion_type: str | None = None
    start: date | None = None
    end: date | None = None


@dataclass(frozen=True)
class ChannelReport:
    """A channel report.

    Attributes
    ----------
    attribution_model, conversion_type
        The model and conversion type reported.
    other_types
        The other conversion types of the warehouse, those with most conversions first.
    has_revenue
        Whether conversions of the type, on any date, are worth anything: if not, roas says nothing.
    channels
        One row per channel, by conversions: attribution_model, conversion_type, channel,
        channel_group, is_paid, spend and revenue (currency units), conversions (credited), share
        (of the conversions that channels are credited with, in [0, 1]), cpo (spend / conversions)
        and roas (revenue / spend; null for unpaid channels).
    totals
        channel, spend, conversions, revenue, cpo and roas: one row for the paid channels and one
        for everything.
    rows_rejected
        Rows of input that the build could not use and whose content is missing for it, over all
        sources and of all time: neither rows delivered again, nor corrected, nor left out as asked.
    conversions_not_met
        Conversions that credits per touchpoint give to another channel than the model's own
        channel totals do, over all dates; 0 for models without totals of their own.
    """

    attribution_model: str
    conversion_type: str
    other_types: tuple[str, ...]
    has_revenue: bool
    channels: pa.Table
    totals: pa.Table
    rows_rejected: int
    conversions_not_met: float


_CREDITED = """
    select
        performance.attribution_model,
        performance.channel,
        channels.channel_group,
        channels.is_paid,
        performance.spend,
        performance.conversions,
        performance.revenue
    from marts.rpt_channel_performance as performance
    inner join marts.dim_channels as channels
        on performance.channel = channels.channel
    where
        ($attribution_model is null or performance.attribution_model = $attribution_model)
        and performance.conversion_type = $conversion_type
        and performance.date between
            coalesce($start, date '0001-01-01') and coalesce($end, date '9999-12-31')
"""

_MEASURES = """
        cast(coalesce(sum(spend), 0) as double) as spend,
        coalesce(sum(conversions), 0) as conversions,
        coalesce(sum(revenue), 0) as revenue,
        cast(sum(spend) as double) / nullif(sum(conversions), 0) as cpo,
"""

_CHANNELS = f"""
    select
        $attribution_model as attribution_model,
        $conversion_type as conversion_type,
        channel,
        channel_group,
        is_paid,
        {_MEASURES}
        case when is_paid then sum(revenue) / nullif(cast(sum(spend) as double), 0) end as roas,
        coalesce(
            case when channel = '{UNATTRIBUTED}' then 0 else sum(conversions) end / nullif(
                sum(case when channel = '{UNATTRIBUTED}' then 0 else sum(conversions) end) over (),
                0
            ),
            0
        ) as share
    from ({_CREDITED})
    group by channel, channel_group, is_paid
    order by channel = '{UNATTRIBUTED}', conversions desc, spend desc, channel
"""  # noqa: S608 - the only text put in is this module's own

_TOTALS = f"""
    select
        'All paid channels' as channel,
        {_MEASURES}
        sum(revenue) / nullif(cast(sum(spend) as double), 0) as roas
    from ({_CREDITED})
    where is_paid
    union all
    select
        'Everything' as channel,
        {_MEASURES}
        sum(revenue) / nullif(cast(sum(spend) as double), 0) as roas
    from ({_CREDITED})
"""  # noqa: S608 - the only text put in is this module's own

_MODELS = f"""
    select
        credited.*,
        roi.conversions_low,
        roi.conversions_high,
        roi.cpo_low,
        roi.cpo_high,
        roi.roas_low,
        roi.roas_high
    from (
        select
            attribution_model,
            channel,
            {_MEASURES}
            sum(revenue) / nullif(cast(sum(spend) as double), 0) as roas
        from ({_CREDITED})
        group by attribution_model, channel
    ) as credited
    left join marts.rpt_channel_roi as roi
        on
            credited.attribution_model = roi.attribution_model
            and credited.channel = roi.channel
            and roi.conversion_type = $conversion_type
            and $start is null
            and $end is null
    order by credited.attribution_model, credited.channel
"""  # noqa: S608 - the only text put in is this module's own


_TYPES = """
    select reported.conversion_type
    from (select distinct conversion_type from marts.rpt_channel_performance) as reported
    left join (
        select conversion_type, count(*) as conversions
        from marts.fct_conversions
        group by conversion_type
    ) as counted
        on reported.conversion_type = counted.conversion_type
    order by
        reported.conversion_type != 'purchase',
        counted.conversions desc nulls last,
        reported.conversion_type
"""


def default_model(models: Sequence[str]) -> str:
    """Choose among the models there are: linear, another rule, or else the first by name."""
    rules = [model for model in DEFAULT_MODELS if model in models]
    return (rules or sorted(models) or DEFAULT_MODELS)[0]


def channel_report(warehouse: duckdb.DuckDBPyConnection, request: ReportRequest) -> ChannelReport:
    """Read a channel report from the marts of an open warehouse.

    Raises
    ------
    ReportError
        If the marts are not there, no model is enabled, the model or conversion type is not in
        them, or the dates are reversed.
    """
    if request.start and request.end and request.start > request.end:
        raise ReportError(f"The report starts on {request.start}, after its end, {request.end}.")
    try:
        models, types = (
            [value for (value,) in warehouse.execute(query).fetchall()]
            for query in (
                "select distinct attribution_model from marts.rpt_channel_performance order by 1",
                _TYPES,
            )
        )
    except duckdb.CatalogException:
        raise ReportError("The warehouse has no marts yet. Make them with: dbt build") from None

    if not models and _is_no_model_enabled(warehouse):
        raise ReportError(
            "No attribution model is enabled: nothing is credited, and no spend is reported. "
            "Set is_enabled to true for a model of seeds/attribution_models.csv, and build anew."
        )
    # An empty warehouse has neither: the report is then empty, whatever is asked for.
    attribution_model = request.attribution_model or default_model(models)
    if models and attribution_model not in models:
        raise ReportError(
            f"The warehouse has no model {attribution_model}. It has: {', '.join(models)}."
        )
    conversion_type = request.conversion_type or (types[0] if types else "purchase")
    if types and conversion_type not in types:
        raise ReportError(
            f"The warehouse has no conversion type {conversion_type}. "
            f"It has: {', '.join(sorted(types))}."
        )
    parameters = {
        "attribution_model": attribution_model,
        "conversion_type": conversion_type,
        "start": request.start,
        "end": request.end,
    }
    return ChannelReport(
        attribution_model=attribution_model,
        conversion_type=conversion_type,
        other_types=tuple(each for each in types if each != conversion_type),
        has_revenue=_has_revenue(warehouse, conversion_type),
        channels=warehouse.execute(_CHANNELS, parameters).to_arrow_table(),
        totals=warehouse.execute(_TOTALS, parameters).to_arrow_table(),
        rows_rejected=_rows_rejected(warehouse),
        conversions_not_met=_conversions_not_met(warehouse, attribution_model, conversion_type),
    )


def model_estimates(
    warehouse: duckdb.DuckDBPyConnection, report: ChannelReport, request: ReportRequest
) -> pa.Table:
    """Read what every model says of the channels of a report, to compare with the reported one.

    Returns
    -------
    pyarrow.Table
        One row per attribution_model and channel: spend, conversions, revenue, cpo and roas, and
        the ends of 95 % intervals (conversions_low, conversions_high, cpo_low …): null for models
        without, and where the request is of other dates than the whole reporting period.
    """
    parameters = {
        "attribution_model": None,
        "conversion_type": report.conversion_type,
        "start": request.start,
        "end": request.end,
    }
    return warehouse.execute(_MODELS, parameters).to_arrow_table()


def _is_no_model_enabled(warehouse: duckdb.DuckDBPyConnection) -> bool:
    """Tell, where no model has a row, whether none is enabled or there is nothing to report.

    With a model enabled every conversion has a row. Without conversions only the seed tells; what
    is published has no seeds, but passed the data test that a model is enabled.
    """
    ((has_conversions,),) = warehouse.execute(
        "select exists (select 1 from marts.fct_conversions)"
    ).fetchall()
    if has_conversions:
        return True
    try:
        ((is_any_enabled,),) = warehouse.execute(
            "select exists (select 1 from seeds.attribution_models where is_enabled)"
        ).fetchall()
    except duckdb.CatalogException:
        return False
    return not is_any_enabled


def _has_revenue(warehouse: duckdb.DuckDBPyConnection, conversion_type: str) -> bool:
    ((has_revenue,),) = warehouse.execute(
        "select exists (select 1 from marts.rpt_channel_performance "
        "where conversion_type = ? and revenue != 0)",
        [conversion_type],
    ).fetchall()
    return bool(has_revenue)


def _rows_rejected(warehouse: duckdb.DuckDBPyConnection) -> int:
    ((count,),) = warehouse.execute(
        "select cast(coalesce(sum(row_count), 0) as bigint) from marts.rpt_data_quality "
        "where severity in ('warn', 'error') and outcome != 'duplicate_id'"
    ).fetchall()
    return int(count)


def _conversions_not_met(
    warehouse: duckdb.DuckDBPyConnection, attribution_model: str, conversion_type: str
) -> float:
    ((conversions,),) = warehouse.execute(
        "select coalesce(sum(abs(credited_conversions - target_conversions)) / 2, 0) "
        "from marts.rpt_path_credit_audit where attribution_model = ? and conversion_type = ?",
        [attribution_model, conversion_type],
    ).fetchall()
    return float(conversions)
