"""The result page of the build's speed: tables, a picture and how to read them."""

from collections.abc import Callable, Sequence
from datetime import date
from io import BytesIO
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tributary.benchmarks.build_speed import (
    BETWEEN,
    LEFT_OUT,
    OTHER_MODELS,
    START_UP,
    TARGET_MODELS,
    Plan,
    SizeResult,
    StageCost,
    growth,
    with_floor,
)
from tributary.benchmarks.peer_candidates import LOOKBACK_DAYS
from tributary.benchmarks.peers import machine

NODES_SHOWN = 20
FITTED = "python_models"

_OURS, _FLOOR = "#0072B2", "#E69F00"  # of Okabe and Ito, told apart by colour-blind people

Table = list[list[str]]
"""Rows of cells, the headings first."""


def size_table(results: Sequence[SizeResult]) -> Table:
    """Give one row per size: the whole run."""
    table = [
        [
            "Touchpoints",
            "Conversions",
            "Wall s",
            "Start-up s",
            "CPU s",
            "Growth",
            "Peak GB",
            "Written GB",
            "File GB",
            "Rows/s",
            "Floored s",
            "Floors s",
            "Ratio",
            "CPU ratio",
        ]
    ]
    for result, before in with_before(results):
        row = [f"{result.touchpoints:,}", f"{result.conversions:,}"]
        if result.cost is None:
            table.append([*row, result.failure.splitlines()[0], *[""] * (len(table[0]) - 3)])
            continue
        floored = with_floor(result)
        wall = sum(each.wall_seconds for each in floored)
        floor = sum(each.floor.wall_seconds for each in floored if each.floor)
        cpu = sum(each.cpu_seconds for each in floored)
        floor_cpu = sum(each.floor.cpu_seconds for each in floored if each.floor)
        table.append(
            [
                *row,
                f"{result.cost.wall_seconds:.1f}",
                f"{result.cost.wall_seconds - result.beyond_start_up:.1f}",
                f"{result.cost.cpu_seconds:.1f}",
                _growth(before, result, lambda each: each.beyond_start_up),
                f"{max(each.peak_bytes for each in result.stages) / 1e9:.2f}",
                f"{sum(each.written_bytes for each in result.stages) / 1e9:.2f}",
                f"{result.warehouse_bytes / 1e9:.2f}",
                f"{result.touchpoints / max(result.beyond_start_up, 1e-9):,.0f}",
                f"{wall:.1f}",
                f"{floor:.1f}",
                _times(wall, floor),
                _times(cpu, floor_cpu),
            ]
        )
    return table


def stage_table(result: SizeResult, before: SizeResult | None) -> Table:
    """Give one row per stage of a size, with its growth since the size before."""
    table = [
        [
            "Stage",
            "Nodes",
            "Wall s",
            "CPU s",
            "Peak GB",
            "Written MB",
            "Rows/s",
            "Growth",
            "Floor s",
            "Floor CPU s",
            "Floor GB",
            "Ratio",
            "CPU ratio",
        ]
    ]
    for stage in result.stages:
        floor = stage.floor
        table.append(
            [
                stage.stage,
                f"{stage.nodes or ''}",
                f"{stage.wall_seconds:.1f}",
                f"{stage.cpu_seconds:.1f}",
                f"{stage.peak_bytes / 1e9:.2f}",
                f"{stage.written_bytes / 1e6:,.0f}",
                f"{result.touchpoints / max(stage.wall_seconds, 1e-9):,.0f}",
                ""
                if stage.stage in (START_UP, BETWEEN)
                else _growth(before, result, _cpu_of(stage.stage)),
                *(
                    [
                        f"{floor.wall_seconds:.2f}",
                        f"{floor.cpu_seconds:.2f}",
                        f"{floor.peak_bytes / 1e9:.2f}",
                        _times(stage.wall_seconds, floor.wall_seconds),
                        _times(stage.cpu_seconds, floor.cpu_seconds),
                    ]
                    if floor
                    else [""] * 5
                ),
            ]
        )
    return table


def node_table(result: SizeResult) -> Table:
    """List the nodes that took the most CPU time."""
    return [
        ["Node", "Layer", "CPU s", "Wall s, its part", "from start to end"],
        *(
            [
                each.timing.name,
                each.timing.layer,
                f"{each.cpu_seconds:.1f}",
                f"{each.wall_seconds:.1f}",
                f"{each.timing.seconds:.1f}",
            ]
            for each in result.nodes[:NODES_SHOWN]
        ),
    ]


def fit_table(results: Sequence[SizeResult]) -> Table:
    """Put the Python models' CPU seconds side by side: a row per model, a column per size."""
    by_size = [
        {each.timing.name: each.cpu_seconds for each in result.nodes if each.timing.layer == FITTED}
        for result in results
    ]
    names = sorted({name for costs in by_size for name in costs})
    return [
        ["Model", *(f"{result.touchpoints:,}" for result in results)],
        *(
            [name, *(f"{costs[name]:.1f}" if name in costs else "" for costs in by_size)]
            for name in names
        ),
    ]


def peer_table(results: Sequence[SizeResult]) -> Table:
    """Put what packages took on the same journeys beside our whole build."""
    table = [["Touchpoints", "What", "Package", "Wall s", "CPU s", "Peak GB"]]
    for result in results:
        size = f"{result.touchpoints:,}"
        if result.cost is not None and result.peers:
            table.append(
                [
                    size,
                    "the whole build",
                    "tributary, dbt",
                    f"{result.cost.wall_seconds:.1f}",
                    f"{result.cost.cpu_seconds:.1f}",
                    f"{max(each.peak_bytes for each in result.stages) / 1e9:.2f}",
                ]
            )
        for peer in result.peers:
            row = [size, peer.candidate.model, peer.candidate.package]
            if peer.failure:
                table.append([*row, peer.failure, "", ""])
                continue
            table.append(
                [
                    *row,
                    f"{peer.wall_seconds:.2f}",
                    f"{peer.cpu_seconds:.2f}",
                    f"{peer.peak_bytes / 1e9:.2f}",
                ]
            )
    return table


def with_before(
    results: Sequence[SizeResult],
) -> list[tuple[SizeResult, SizeResult | None]]:
    """Pair each size with the last one before it that was built."""
    pairs: list[tuple[SizeResult, SizeResult | None]] = []
    before = None
    for result in results:
        pairs.append((result, before))
        before = result if result.cost is not None else before
    return pairs


def _cpu_of(stage: str) -> Callable[[SizeResult], float]:
    return lambda result: sum(each.cpu_seconds for each in result.stages if each.stage == stage)


def _growth(
    before: SizeResult | None, result: SizeResult, cost: Callable[[SizeResult], float]
) -> str:
    if before is None:
        return ""
    exponent = growth((before.touchpoints, cost(before)), (result.touchpoints, cost(result)))
    return "" if exponent is None else f"{exponent:.2f}"


def _times(cost: float, floor: float) -> str:
    return f"{cost / floor:.1f}" if floor > 0 else ""


def write(plan: Plan, results: Sequence[SizeResult], output: Path) -> None:
    """Write the page, and its picture beside it."""
    picture_file = output.with_suffix(".png")
    content = page(plan, results, plan.command(output), picture_file.name, date.today())
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(content, encoding="utf-8")
    picture_file.write_bytes(picture(results))


def page(
    plan: Plan, results: Sequence[SizeResult], command: str, picture_name: str, today: date
) -> str:
    """Write the result page, Markdown."""
    models = (
        f"all attribution models but {', '.join(LEFT_OUT)}"
        if plan.models == TARGET_MODELS
        else f"attribution models: {plan.models}"
    )
    parts = [
        "# How fast the build is",
        "",
        f"Measured on {today} on {machine()}, with",
        "",
        "```",
        command,
        "```",
        "",
        f"{plan.channels} channels, {models}. DuckDB may hold {plan.memory_limit} of memory; beyond"
        " that it spills to disk.",
        "",
        f"![Seconds by touchpoints]({picture_name})",
        "",
        *_markdown(size_table(results)),
        "",
        *_whole_growth(results),
    ]
    for result, before in with_before(results):
        if result.cost is not None:
            parts += [
                f"## {result.touchpoints:,} touchpoints",
                "",
                *_markdown(stage_table(result, before)),
                "",
            ]
    built = [result for result in results if result.cost is not None]
    if built:
        parts += [
            f"## Where the time goes at {built[-1].touchpoints:,} touchpoints",
            "",
            *_markdown(node_table(built[-1])),
            "",
            "Of any run of dbt: `tributary timings`.",
            "",
        ]
        parts += [
            "## Fitting",
            "",
            "CPU seconds of the Python models by touchpoints, reading their input included. Models"
            " of aggregates alone should not grow with traffic.",
            "",
            *_markdown(fit_table(built)),
            "",
        ]
    if any(result.peers for result in results):
        parts += ["## Beside other packages", "", *_markdown(peer_table(results)), "", _PEERS, ""]
    return "\n".join([*parts, _HOW_TO_READ.strip(), ""])


def _whole_growth(results: Sequence[SizeResult]) -> list[str]:
    """Tell how the whole build grows from the smallest size to the largest."""
    built = [result for result in results if result.cost is not None]
    if len(built) < 2:
        return []
    smallest, largest = built[0], built[-1]
    exponent = _growth(smallest, largest, lambda each: each.beyond_start_up)
    return [
        f"From {smallest.touchpoints:,} to {largest.touchpoints:,} touchpoints the seconds beyond "
        f"the start-up grow with the power {exponent}.",
        "",
    ]


def _markdown(table: Table) -> list[str]:
    heading, *rows = table
    texts = ("Stage", "Node", "Layer", "Model", "What", "Package")
    rule = ["---" if cell in texts else "--:" for cell in heading]
    return ["| " + " | ".join(row) + " |" for row in (heading, rule, *rows)]


_PEERS = f"""\
Same journeys for all: those that converted and those left open, within {LOOKBACK_DAYS} days. The
packages get distinct path strings with their counts in a data frame, the lines of tributary the
touches in a Parquet file; making either is not counted. Pandas begins with the raw files and is
counted from reading them; it makes journeys and three rules and nothing else: no checks, no
identities, no spend, no marts. What the answers are worth beside each other:
[peers](benchmarks/peers.md).\
"""

_HOW_TO_READ = f"""
## How to read it

**Input.** The simulator's streaming mode (`tributary simulate --stream`): the market of the demo,
its channels cut into so many, people who live the same lives as in the demo; Parquet, one file
per week, ids of 20 characters, nobody's rows together. No calls, no customers: cookies are
persons.

**Run.** One whole `dbt build`, data tests included, into a new file; unit tests have inputs of
their own and are left out. "{START_UP}" is what passes until the first node begins: Python,
parsing the project without a cache, connecting. "{OTHER_MODELS}" is what models cost that the
targets leave out: next to nothing in a run that does not enable them.

**Stages.** Nodes run side by side. Ten times a second it is noted what all processes of the build
use; what was used in a moment is shared equally by the nodes that ran in it. So seconds, CPU
seconds and bytes of the stages add up to the run. Peak memory is that of all processes, while a
node of the stage ran. Views cost nothing where they are made and something where they are read:
much of "reading" is in "touchpoints". Written is what went to disk, spilling and rewriting
included.

**Rows/s** are touchpoints of the input by second on the clock. **Growth** is the exponent between
a size and the one before: seconds beyond the start-up for the whole, CPU seconds for stages. 1 is
proportional; fixed costs pull small sizes below it.

**Floor.** Plain DuckDB, the same memory limit, the same rows, in the same run: one statement per
stage that does what the stage cannot do without, on integers for persons and channels that were
made beforehand. Read and sum; sort by person and time into a table; journeys by a hash join with
the window as an inequality; transition counts by `lead` over packed integers; sets of channels by
`bit_or` of masks; credits of three rules into a table; ordered lists of channels by sorting
packed integers. Stages do more than their floors: ids, all sources, quality, identities, several
conversion types, more rules. **Ratio** is seconds on the clock over those of the floor, **CPU
ratio** the same of CPU seconds, which a busy machine changes less. **Floored s** is the sum over
the stages that have a floor, **Floors s** the sum of those floors.
"""


def picture(results: Sequence[SizeResult]) -> bytes:
    """Draw seconds by size, and the stages of the largest size beside their floors; PNG.

    At least one size was built; of one alone there are no seconds by size to draw.
    """
    built = [result for result in results if result.cost is not None]
    has_sizes = len(built) > 1
    figure = Figure(figsize=(11.0 if has_sizes else 6.5, 4.8), layout="constrained")
    *rest, stages = figure.subplots(1, 1 + has_sizes, squeeze=False).ravel()
    for whole in rest:
        _draw_sizes(whole, built)
    _draw_stages(stages, [each for each in built[-1].stages if each.stage != START_UP])
    stages.set(title=f"{built[-1].touchpoints:,} touchpoints", xlabel="CPU seconds")
    content = BytesIO()
    figure.savefig(content, dpi=110, format="png")
    return content.getvalue()


def _draw_sizes(panel: Axes, built: Sequence[SizeResult]) -> None:
    sizes = [result.touchpoints for result in built]
    for label, colour, seconds in (
        ("whole build, beyond start-up", _OURS, [result.beyond_start_up for result in built]),
        (
            "sum of the floors",
            _FLOOR,
            [
                sum(each.floor.wall_seconds for each in with_floor(result) if each.floor)
                for result in built
            ],
        ),
    ):
        panel.plot(sizes, seconds, color=colour, marker="o", label=label)
    panel.set(xscale="log", yscale="log", xlabel="touchpoints", ylabel="seconds")
    panel.grid(alpha=0.3)
    panel.legend(fontsize="small")


def _draw_stages(panel: Axes, stages: Sequence[StageCost]) -> None:
    places = range(len(stages))
    panel.barh(
        [place - 0.2 for place in places],
        [each.cpu_seconds for each in stages],
        height=0.4,
        color=_OURS,
        label="stage",
    )
    panel.barh(
        [place + 0.2 for place in places],
        [each.floor.cpu_seconds if each.floor else 0.0 for each in stages],
        height=0.4,
        color=_FLOOR,
        label="its floor",
    )
    panel.set_yticks(list(places), [each.stage for each in stages])
    panel.invert_yaxis()
    panel.legend(fontsize="small")
    panel.grid(axis="x", alpha=0.3)
