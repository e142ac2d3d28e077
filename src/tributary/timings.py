"""Where the time of a dbt run went, from what dbt wrote about it.

dbt leaves run_results.json (what ran, when, and how it ended) and manifest.json (what each node is)
in its target folder. Nodes run side by side, so that their seconds add up to more than the clock
showed. Whoever shares each moment among the nodes that ran in it gets parts of the whole.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

TEST_KINDS = ("test", "unit_test")


@dataclass(frozen=True)
class Timing:
    """One node of a run.

    Attributes
    ----------
    name
        Of the model, seed, snapshot, test or hook.
    kind
        dbt's resource type: model, seed, test, unit_test, operation, …
    layer
        Of a model: its folders, such as intermediate/journeys, or python_models. Of others: their
        kind.
    tested
        Of a test: the model, seed or source that it is about; empty where it is about several.
    materialized
        Of a model: table, view, incremental, …; empty for others.
    seconds
        From start to end on the clock, compilation included.
    begin, end
        Moments, in seconds since 1970, UTC.
    status
        As dbt gives it: success, pass, warn, error, …
    """

    name: str
    kind: str
    layer: str
    tested: str
    materialized: str
    seconds: float
    begin: float
    end: float
    status: str


class NoRunError(Exception):
    """There is no run to read, in words for the one who asked."""


def read_timings(target: Path) -> list[Timing]:
    """Read the last run of a target folder: the nodes that ran, in the order they ended.

    Raises
    ------
    NoRunError
        If there is no run, or its files are not dbt's.
    """
    try:
        results = json.loads((target / "run_results.json").read_text(encoding="utf-8"))["results"]
        manifest = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
        nodes = {**manifest["nodes"], **manifest["unit_tests"]}
        return [
            _timing(result, nodes.get(result["unique_id"], {}))
            for result in results
            if result["timing"]  # what was skipped has none
        ]
    except FileNotFoundError as error:
        raise NoRunError(f"There is no {error.filename}. Make it with: dbt build") from None
    except (KeyError, TypeError, ValueError) as error:
        raise NoRunError(f"Cannot read the run in {target}: {error!r}.") from None


def _timing(result: dict[str, Any], node: dict[str, Any]) -> Timing:
    kind, _, name, *rest = result["unique_id"].split(".")
    if kind == "unit_test":
        tested, name = name, ".".join(rest)
    else:
        tested = _tested(node) if kind == "test" else ""
    return Timing(
        name=name,
        kind=kind,
        layer=_layer(kind, node.get("original_file_path", "")),
        tested=tested,
        materialized=node.get("config", {}).get("materialized", "") if kind == "model" else "",
        seconds=result["execution_time"],
        begin=min(_moment(step["started_at"]) for step in result["timing"]),
        end=max(_moment(step["completed_at"]) for step in result["timing"]),
        status=result["status"],
    )


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _layer(kind: str, path: str) -> str:
    """Give a model's folders within models/; python models have one layer of their own."""
    if kind != "model":
        return kind
    folders = Path(path).parent.parts
    return "/".join(folders[1:] if folders[:1] == ("models",) else folders)


def _tested(node: dict[str, Any]) -> str:
    """Name what a test is about: by its own word, else the one node that it reads."""
    read: list[str] = node.get("depends_on", {}).get("nodes", [])
    about: str = node.get("attached_node") or (read[0] if len(read) == 1 else "")
    return about.split(".")[-1]


def shares_of_moments(timings: Sequence[Timing], moments: FloatArray) -> FloatArray:
    """Share each span of time equally among the nodes that ran in it.

    Parameters
    ----------
    timings
        The n nodes.
    moments
        Shape (spans + 1,): where the spans begin and end, in seconds since 1970, not falling.

    Returns
    -------
    numpy.ndarray
        Shape (n + 1, spans): the share of each span that belongs to each node, and in the last row
        to none of them (dbt itself). Every column adds up to 1.
    """
    spans = len(moments) - 1
    shares = np.zeros((len(timings) + 1, spans))
    # Cut where anything begins or ends: within a cut the same nodes run from end to end.
    events = np.array([edge for each in timings for edge in (each.begin, each.end)])
    cuts = np.unique(
        np.concatenate([moments, events[(events > moments[0]) & (events < moments[-1])]])
    )
    lengths, middles = np.diff(cuts), (cuts[:-1] + cuts[1:]) / 2
    span_of = np.searchsorted(moments, middles, side="right") - 1
    begin = np.array([each.begin for each in timings])
    end = np.array([each.end for each in timings])
    for middle, length, span in zip(middles, lengths, span_of, strict=True):
        (running,) = np.nonzero((begin <= middle) & (middle < end))
        shares[running if len(running) else -1, span] += length / max(1, len(running))
    whole = np.diff(moments)
    parts: FloatArray = np.divide(shares, whole, out=np.zeros_like(shares), where=whole > 0)
    return parts


def own_seconds(timings: Sequence[Timing]) -> FloatArray:
    """Give each node its part of the clock, shape (n,): what ran side by side shares the time."""
    if not timings:
        return np.zeros(0)
    moments = np.array(
        [min(each.begin for each in timings), max(each.end for each in timings)], dtype=np.float64
    )
    own: FloatArray = shares_of_moments(timings, moments)[:-1, 0] * (moments[1] - moments[0])
    return own


@dataclass(frozen=True)
class LayerTiming:
    """The nodes of a layer together.

    `seconds` are their parts of the clock, which over all layers add up to the time that anything
    ran.
    """

    layer: str
    nodes: int
    seconds: float


def by_layer(timings: Sequence[Timing]) -> list[LayerTiming]:
    """Add up nodes by layer, the longest first."""
    own = own_seconds(timings)
    layers: dict[str, list[float]] = {}
    for timing, seconds in zip(timings, own.tolist(), strict=True):
        layers.setdefault(timing.layer, []).append(seconds)
    summed = [LayerTiming(layer, len(each), sum(each)) for layer, each in layers.items()]
    return sorted(summed, key=lambda each: (-each.seconds, each.layer))


def longest(timings: Iterable[Timing]) -> list[Timing]:
    """Sort nodes, the longest first; equal ones by name."""
    return sorted(timings, key=lambda each: (-each.seconds, each.name))
