"""What the hazard model learns from and what it says, as tables of the warehouse."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from tributary.hazard import (
    BASELINE,
    NORMAL_97_5,
    Feature,
    PersonTime,
    PersonTimeSample,
    alike,
    fit_hazard,
)

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def read_person_time(
    exposure: pa.Table,
    events: pa.Table,
    points: pa.Table | None = None,
    point_touches: pa.Table | None = None,
) -> dict[str, PersonTime]:
    """Arrange exposures and features, given as rows, into arrays.

    Parameters
    ----------
    exposure
        Columns conversion_type, channel, ordinal, decay_days, is_baseline, exposure and
        repeat_exposure, the part of it after a person's first conversion; one row per feature; any
        further columns.
    events
        Columns conversion_type, source, moment_id (of the conversion), channel, ordinal, weight
        and one column left_<days> per decay: the height of that feature. One row per conversion
        and channel and ordinal that is present, and one of `BASELINE`, which alone has a weight
        and whose height is 1; any further columns. With a column person_key, which the rows of
        `BASELINE` have, conversions of one person are told.
    points
        Sample of person-time: columns conversion_type, point_key and is_repeat, whether the person
        had converted before; any further columns. None for no sample.
    point_touches
        What is present at the points, for all conversion types: point_key in place of
        conversion_type, source and moment_id, and else the columns of the events.

    Returns
    -------
    dict
        Conversion type to its data, sorted; conversions are sorted by source and id, points by key.

    Raises
    ------
    ValueError
        If a moment has a feature that has no exposure row, or no row of the baseline.
    """
    key = ["channel", "ordinal", "decay_days"]
    exposures = {
        conversion_type: exposure.filter(
            pc.equal(exposure["conversion_type"], conversion_type)
        ).sort_by([(name, "ascending") for name in key])
        for conversion_type in sorted(exposure["conversion_type"].unique().to_pylist())
    }
    features_of = {
        conversion_type: tuple(
            Feature(str(channel), int(ordinal), float(decay_days), bool(is_baseline))
            for channel, ordinal, decay_days, is_baseline in zip(
                *(part[name].to_pylist() for name in [*key, "is_baseline"]), strict=True
            )
        )
        for conversion_type, part in exposures.items()
    }
    seen = None
    if points is not None and point_touches is not None:
        seen = _SeenTouches.of(point_touches, sorted(set().union(*features_of.values())))
    read = {}
    for conversion_type, features in features_of.items():
        present = events.filter(pc.equal(events["conversion_type"], conversion_type))
        moments = present.filter(pc.equal(present["channel"], BASELINE)).sort_by(
            [("source", "ascending"), ("moment_id", "ascending")]
        )
        row = _row_of(present, moments)
        if row.null_count:
            raise ValueError(f"A person of type {conversion_type} is not at risk: no baseline row.")
        sample = None
        if points is not None and seen is not None:
            part = points.filter(pc.equal(points["conversion_type"], conversion_type))
            sample = seen.sample(part, features)
        read[conversion_type] = PersonTime(
            features=features,
            exposure=exposures[conversion_type]["exposure"].cast(pa.float64()).to_numpy(),
            values=_heights(present, row.to_numpy(), len(moments), features),
            weights=moments["weight"].cast(pa.float64()).to_numpy(),
            points=sample,
            persons=_persons(moments),
            repeat_exposure=exposures[conversion_type]["repeat_exposure"]
            .cast(pa.float64())
            .to_numpy(),
        )
    return read


@dataclass(frozen=True)
class _SeenTouches:
    """What is present at points, of all conversion types.

    Attributes
    ----------
    keys
        Shape (q,): keys of the points, sorted.
    features
        The p features of all conversion types.
    values
        Sparse, shape (q, p): the features of touches; nothing of the baseline.
    weights
        Shape (q,): person-days each point stands for.
    """

    keys: IntArray
    features: tuple[Feature, ...]
    values: sparse.csr_array
    weights: FloatArray

    @classmethod
    def of(cls, point_touches: pa.Table, features: Sequence[Feature]) -> "_SeenTouches":
        """Arrange them."""
        is_baseline = pc.equal(point_touches["channel"], BASELINE)
        points = point_touches.filter(is_baseline).sort_by("point_key")
        touches = point_touches.filter(pc.invert(is_baseline))
        keys = points["point_key"].to_numpy()
        row = np.searchsorted(keys, touches["point_key"].to_numpy())
        return cls(
            keys=keys,
            features=tuple(features),
            values=_heights(touches, row, len(keys), features),
            weights=points["weight"].cast(pa.float64()).to_numpy(),
        )

    def sample(self, points: pa.Table, features: Sequence[Feature]) -> PersonTimeSample:
        """Give the points of one conversion type, with its features and its baseline."""
        points = points.sort_by("point_key")
        row = np.searchsorted(self.keys, points["point_key"].to_numpy())
        place = {feature: index for index, feature in enumerate(self.features)}
        seen = self.values[row]
        touches = seen[:, [place[feature] for feature in features]]
        own = {feature: index for index, feature in enumerate(features)}
        at_risk = np.array(
            [own.get(Feature(BASELINE, ordinal, 0.0, is_baseline=True), -1) for ordinal in (0, 1)]
        )[points["is_repeat"].cast(pa.int64()).to_numpy()]
        if touches.nnz < seen.nnz or (at_risk < 0).any():
            raise ValueError("A point has a feature without exposure.")
        baseline = sparse.csr_array(
            (np.ones(len(row)), at_risk, np.arange(len(row) + 1)), shape=touches.shape
        )
        return PersonTimeSample(sparse.csr_array(touches + baseline), self.weights[row])


def _heights(
    present: pa.Table, row: IntArray, rows: int, features: Sequence[Feature]
) -> sparse.csr_array:
    """Arrange heights of features into a sparse array, of shape (rows, features)."""
    is_baseline = pc.equal(present["channel"], BASELINE)
    channels, ordinals = present["channel"], present["ordinal"].to_numpy()
    heights = {
        float(name.removeprefix("left_")): present[name]
        for name in present.column_names
        if name.startswith("left_")
    }
    heights[0.0] = pc.if_else(is_baseline, 1.0, None)
    places, columns, values = [], [], []
    for decay_days, height in heights.items():
        (some,) = np.nonzero(height.is_valid().to_numpy())
        column = _column_of(channels.take(some), ordinals[some], decay_days, features)
        if (column < 0).any():
            raise ValueError("A person has a feature without exposure.")
        places.append(row[some])
        columns.append(column)
        values.append(height.take(some).cast(pa.float64()).to_numpy())
    placed = (np.concatenate(values), (np.concatenate(places), np.concatenate(columns)))
    return sparse.csr_array(placed, shape=(rows, len(features)))


def _persons(moments: pa.Table) -> IntArray | None:
    """Tell whose conversion each is, as numbers from 0; None where each is of another person."""
    if "person_key" not in moments.column_names:
        return None
    codes = moments["person_key"].combine_chunks().dictionary_encode()
    if len(codes.dictionary) == len(moments):
        return None
    return np.asarray(codes.indices.to_numpy(), dtype=np.int64)


def _row_of(present: pa.Table, moments: pa.Table) -> pa.ChunkedArray:
    """Which of the moments each row is of; null where it is none of them."""
    separator = "\x1f"  # no id contains it: it is the unit separator of text
    wanted, known = (
        pc.binary_join_element_wise(part["source"], part["moment_id"], separator)
        for part in (present, moments)
    )
    return pc.index_in(wanted, known.combine_chunks())


def _column_of(
    channels: pa.ChunkedArray, ordinals: IntArray, decay_days: float, features: Sequence[Feature]
) -> IntArray:
    """Which feature each row with one decay is of, shape (rows,); -1 where it is none."""
    names = pa.array(sorted({feature.channel for feature in features}), pa.string())
    place = {name: number for number, name in enumerate(names.to_pylist())}
    highest = max((feature.ordinal for feature in features), default=0)
    column = np.full((len(names) + 1, max(highest, ordinals.max(initial=0)) + 1), -1)
    for number, feature in enumerate(features):
        if feature.decay_days == decay_days:
            column[place[feature.channel], feature.ordinal] = number
    named = pc.fill_null(pc.index_in(channels, names), len(names)).to_numpy()
    return np.asarray(column[named, ordinals])


RESULTS = pa.schema(
    [
        pa.field("conversion_type", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("ordinal", pa.int32()),
        pa.field("decay_days", pa.float64()),
        pa.field("is_baseline", pa.bool_()),
        pa.field("value", pa.float64(), nullable=False),
        pa.field("std_error", pa.float64()),
        pa.field("low", pa.float64()),
        pa.field("high", pa.float64()),
    ]
)
"""One fit has four kinds of rows: coefficient, channel_total, channel_total_without_baseline (of
these name is a channel) and diagnostic."""


def attribute_person_time(
    exposure: pa.Table,
    events: pa.Table,
    points: pa.Table | None = None,
    point_touches: pa.Table | None = None,
) -> pa.Table:
    """Fit the hazard of each conversion type.

    Parameters
    ----------
    exposure, events, points, point_touches
        See `read_person_time`.

    Returns
    -------
    pyarrow.Table
        Schema `RESULTS`, sorted. Channel totals add up to the conversions of the events.
    """
    rows: list[dict[str, object]] = []
    for conversion_type, data in read_person_time(exposure, events, points, point_touches).items():
        fit = fit_hazard(data)
        of_touches_reach = NORMAL_97_5 * fit.of_touches_std_error
        rows += [
            {
                "conversion_type": conversion_type,
                "kind": "channel_total",
                "name": channel,
                "value": fit.conversions[index],
                "std_error": fit.std_error[index],
                "low": fit.low[index],
                "high": fit.high[index],
            }
            for index, channel in enumerate(fit.channels)
        ]
        rows += [
            {
                "conversion_type": conversion_type,
                "kind": "channel_total_without_baseline",
                "name": channel,
                "value": fit.of_touches[index],
                "std_error": fit.of_touches_std_error[index],
                "low": max(fit.of_touches[index] - of_touches_reach[index], 0.0),
                "high": fit.of_touches[index] + of_touches_reach[index],
            }
            for index, channel in enumerate(fit.channels)
            if channel != BASELINE
        ]
        rows += [
            {
                "conversion_type": conversion_type,
                "kind": "coefficient",
                "name": feature.channel,
                "ordinal": feature.ordinal,
                "decay_days": feature.decay_days,
                "is_baseline": feature.is_baseline,
                "value": coefficient,
            }
            for feature, coefficient in zip(fit.features, fit.coefficients, strict=True)
        ]
        diagnostics = {
            "conversions": float(data.weights.sum()),
            "conversions_fitted": float(len(data.weights)),
            "is_log_link": float(fit.is_log),
        }
        if any(feature.is_at_risk_again for feature in fit.features):
            diagnostics["repeat_factor"] = fit.repeat_factor
        diagnostics |= {f"held_out_{form}": value for form, value in fit.held_out.items()}
        diagnostics |= {f"alike: {', '.join(pair)}": cosine for pair, cosine in alike(data).items()}
        rows += [
            {"conversion_type": conversion_type, "kind": "diagnostic", "name": name, "value": value}
            for name, value in diagnostics.items()
        ]
    return pa.Table.from_pylist(rows, schema=RESULTS)
