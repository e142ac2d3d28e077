"""tributary benchmark: how good the models are and how fast the build is, measured."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tributary.benchmarks import truth
from tributary.benchmarks.warehouse import BenchmarkError
from tributary.cli.console import cannot_write, fail, say, table_console

BENCHMARK_WIDTH = 150

benchmark_app = typer.Typer(
    help="Measure how good the models are, and how fast.", no_args_is_help=True
)


@benchmark_app.command("truth")
def benchmark_truth_command(
    regimes: Annotated[
        str, typer.Option(help="Which markets, separated by commas.")
    ] = truth.ALL_REGIMES,
    seeds: Annotated[
        str,
        typer.Option(
            help="Seeds such as 1-3,7. Below "
            f"{truth.FIRST_RESULT_SEED} for development, from there on for results."
        ),
    ] = "1-3",
    people: Annotated[
        int | None, typer.Option(min=1, help="People per market; 100,000 if not given.")
    ] = None,
    holdouts: Annotated[
        bool, typer.Option("--holdouts", help="Withhold each channel from a tenth of the people.")
    ] = False,
    small: Annotated[
        bool, typer.Option("--small", help="One seed and few people, to see that it works.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option(help="Result page to write; its picture goes beside it.")
    ] = None,
    work: Annotated[
        Path, typer.Option(help="Folder of finished parts; an interrupted run resumes from it.")
    ] = Path("target/benchmark_truth"),
) -> None:
    """Compare every model with what channels truly caused in simulated markets."""
    # Imported here: what draws takes a moment to import, and other commands need not wait for it.
    from tributary.benchmarks import truth_page

    try:
        plan = truth.plan(regimes, seeds, people, with_holdouts=holdouts, is_small=small)
    except ValueError as error:
        raise fail(str(error)) from None
    scores: list[truth.Score] = []
    with Progress(console=say, transient=True) as progress:
        task = progress.add_task("Starting", total=len(plan.regimes) * len(plan.seeds))
        try:
            for cell in truth.run(
                plan, Path(), work, lambda step: progress.update(task, description=step)
            ):
                scores += truth.score(cell)
                progress.advance(task)
        except BenchmarkError as error:
            raise fail(str(error)) from None
    summaries = truth.summarise(scores)

    _print_parts(
        table_console(BENCHMARK_WIDTH),
        truth_page.accuracy_table(summaries),
        "Accuracy: share of the credit that goes where it belongs",
    )
    if output is None:
        say.print("For all measures and a picture add --output FILE.md.")
        return
    picture = output.with_suffix(".png")
    content = truth_page.page(
        plan, summaries, day=date.today(), command=plan.command(output), picture=picture.name
    )
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(content, encoding="utf-8")
        picture.write_bytes(truth_page.picture(summaries))
    except OSError as error:
        raise cannot_write(output, error) from None
    say.print(f"Wrote {output} and {picture}.")


@benchmark_app.command("peers")
def benchmark_peers_command(
    small: Annotated[
        bool, typer.Option("--small", help="Few journeys, to see that it works.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same journeys.")] = 1,
    time_limit: Annotated[
        int, typer.Option(min=1, help="CPU seconds after which a package is ended.")
    ] = 60,
    output: Annotated[
        Path | None, typer.Option(help="Markdown page to write, with a picture beside it.")
    ] = None,
) -> None:
    """Measure attribution packages on the same journeys: credits, CPU time, memory."""
    # Imported here: what draws takes a moment to import, and other commands need not wait for it.
    from tributary.benchmarks import peers
    from tributary.benchmarks.peer_candidates import CANDIDATES

    scenarios = peers.SMALL_SCENARIOS if small else peers.SCENARIOS
    measurements = []
    with Progress(console=say, transient=True) as progress:
        task = progress.add_task("Starting", total=len(scenarios) * len(CANDIDATES))
        for measurement in peers.run(
            scenarios, seed, time_limit, lambda doing: progress.update(task, description=doing)
        ):
            measurements.append(measurement)
            progress.advance(task)
    Console(highlight=False, width=BENCHMARK_WIDTH).print(peers.result_table(measurements))
    missing = {
        each.candidate.package for each in measurements if each.failure == peers.NOT_INSTALLED
    }
    for package in sorted(missing):
        say.print(f"{package} is not installed and was left out: pip install 'tributary[peers]'")
    if output is not None:
        command = (
            f"tributary benchmark peers{' --small' * small} --seed {seed} "
            f"--time-limit {time_limit} --output {output}"
        )
        picture = output.with_suffix(".png")
        try:
            output.write_text(peers.page(measurements, command, picture.name, date.today()))
            peers.picture(measurements).savefig(picture, dpi=110)
        except OSError as error:
            raise cannot_write(output, error) from None
        say.print(f"Wrote {output} and {picture}.")


@benchmark_app.command("identity")
def benchmark_identity_command(
    linkage: Annotated[
        Path | None,
        typer.Option(
            help="CSV of customer records: unique_id, cluster (the true person) and any of "
            "first_name, surname, dob, city, email, phone."
        ),
    ] = None,
    threshold: Annotated[
        float,
        typer.Option(min=0.01, max=1, help="Probability from which records are put together."),
    ] = 0.9,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same pairs.")] = 1,
    sizes: Annotated[
        str, typer.Option(help="Interactions to time, separated by commas.")
    ] = "100000,1000000",
) -> None:
    """Time how persons are found, or score how records of known persons are put together."""
    # Imported here: splink takes a moment to import, and other commands need not wait for it.
    from tributary.benchmarks import identity, identity_speed

    console = Console(highlight=False, width=BENCHMARK_WIDTH)
    try:
        if linkage:
            records = identity.read_labelled(linkage)
            scores = identity.linkage_scores(records, threshold, seed)
            console.print(identity.result_table(scores))
            return
        numbers = [int(size) for size in sizes.split(",")]
        timings: list[identity_speed.Timing] = []
        with Progress(console=say, transient=True) as progress:
            task = progress.add_task("Starting", total=len(numbers))
            for timing in identity_speed.time_sizes(
                Path(), numbers, lambda text: progress.update(task, description=text)
            ):
                timings.append(timing)
                progress.advance(task)
    except (ValueError, BenchmarkError) as error:
        raise fail(str(error)) from None
    console.print(identity_speed.timing_table(timings))


@benchmark_app.command("incremental")
def benchmark_incremental_command(
    touchpoints: Annotated[
        int, typer.Option(min=1, help="Touchpoints of the simulated year, about.")
    ] = 1_000_000,
    select: Annotated[str, typer.Option(help="Models to build, as dbt selects them.")] = "*",
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same year.")] = 1,
    output: Annotated[Path | None, typer.Option(help="Markdown page to write.")] = None,
    work: Annotated[Path, typer.Option(help="Folder of the simulated year, which is kept.")] = Path(
        "target/benchmark_incremental"
    ),
) -> None:
    """Time builds that go on from the one before: the next day, and late rows."""
    # Imported here: the simulator takes a moment to import, and other commands need not wait.
    from tributary.benchmarks import incremental

    try:
        with Progress(console=say, transient=True) as progress:
            task = progress.add_task("Starting", total=None)
            builds = incremental.time_builds(
                Path(),
                work / f"{touchpoints}-{seed}",
                touchpoints,
                seed,
                select,
                lambda text: progress.update(task, description=text),
            )
    except BenchmarkError as error:
        raise fail(str(error)) from None
    Console(highlight=False, width=BENCHMARK_WIDTH).print(incremental.result_table(builds))
    if output is not None:
        command = f"tributary benchmark incremental --touchpoints {touchpoints}" + (
            f" --select '{select}'" if select != "*" else ""
        )
        try:
            output.write_text(incremental.page(builds, command, date.today()), encoding="utf-8")
        except OSError as error:
            raise cannot_write(output, error) from None
        say.print(f"Wrote {output}.")


@benchmark_app.command("build")
def benchmark_build_command(
    sizes: Annotated[
        str, typer.Option(help="About how many touchpoints, separated by commas, such as 1e5,1e6.")
    ] = "1e5,1e6",
    channels: Annotated[int, typer.Option(min=1, help="How many channels; any number.")] = 30,
    models: Annotated[
        str,
        typer.Option(
            help="Attribution models to enable: target (all but ihc, survival and data_driven), "
            "all, or names, separated by commas."
        ),
    ] = "target",
    select: Annotated[
        str, typer.Option(help="What dbt builds, as dbt selects it; everything if not given.")
    ] = "",
    memory: Annotated[str, typer.Option(help="Memory that DuckDB may hold.")] = "8GB",
    spill: Annotated[
        Path | None, typer.Option(help="Folder DuckDB spills to; beside the warehouse by default.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Of dbt and DuckDB; those of the profile by default.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same people.")] = 1,
    peer_seconds: Annotated[
        int, typer.Option(min=0, help="CPU seconds after which a package is ended; 0 for none.")
    ] = 600,
    small: Annotated[
        bool, typer.Option("--small", help="Few touchpoints and models, to see that it works.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option(help="Markdown page to write, with a picture beside it.")
    ] = None,
    work: Annotated[
        Path, typer.Option(help="Folder of inputs, which are kept, and of all else that is made.")
    ] = Path("target/benchmark_build"),
) -> None:
    """Time the whole build and its stages at several sizes, beside what DuckDB needs at least."""
    # Imported here: what draws takes a moment to import, and other commands need not wait for it.
    from tributary.benchmarks import build_page, build_speed

    try:
        plan = (
            build_speed.SMALL_PLAN
            if small
            else build_speed.Plan(
                sizes=build_speed.parsed_sizes(sizes),
                channels=channels,
                models=models,
                select=tuple(select.split()),
                memory_limit=memory,
                spill=spill,
                threads=threads,
                seed=seed,
                peer_seconds=peer_seconds,
            )
        )
        results: list[build_speed.SizeResult] = []
        with Progress(console=say, transient=True) as progress:
            task = progress.add_task("Starting", total=len(plan.sizes))
            for result in build_speed.run(
                plan, Path(), work, lambda doing: progress.update(task, description=doing)
            ):
                results.append(result)
                progress.advance(task)
                if output is not None and result.cost:
                    # After each size: the largest may take hours, or all of a disk.
                    build_page.write(plan, results, output)
    except (ValueError, BenchmarkError) as error:
        raise fail(str(error)) from None
    except OSError as error:
        raise cannot_write(Path(error.filename or work), error) from None
    console = table_console(BENCHMARK_WIDTH)
    built = [result for result in results if result.cost]
    for result, before in build_page.with_before(results):
        if result.cost is None:
            say.print(f"{result.touchpoints:,} touchpoints: {result.failure}")
            continue
        stages = build_page.stage_table(result, before)
        _print_parts(console, stages, f"{result.touchpoints:,} touchpoints")
    if not built:
        raise typer.Exit(1)
    _print_parts(console, build_page.size_table(built), "The whole build")
    if any(result.peers for result in built):
        peers = build_page.peer_table(built)
        _print_parts(console, peers, "Beside other packages", name_columns=3)
    if output is None:
        say.print("For a page with a picture add --output FILE.md.")
        return
    say.print(f"Wrote {output} and {output.with_suffix('.png')}.")


def _print_parts(
    console: Console, rows: list[list[str]], title: str, name_columns: int = 1
) -> None:
    """Print rows of cells, headings first, in as many parts as it takes; each has the names."""
    columns = [
        # A heading is folded at its spaces, a cell nowhere.
        (heading.replace(" ", "\n"), *cells)
        for heading, *cells in zip(*rows, strict=True)
    ]
    names, rest = columns[:name_columns], columns[name_columns:]
    while rest:
        shown = list(names)
        while rest and (len(shown) == name_columns or _width([*shown, rest[0]]) <= console.width):
            shown.append(rest.pop(0))
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        for place, (heading, *_) in enumerate(shown):
            table.add_column(
                heading,
                justify="left" if place < name_columns else "right",
                vertical="bottom",
                no_wrap=place < name_columns,
            )
        for cells in list(zip(*shown, strict=True))[1:]:
            table.add_row(*cells)
        console.print(table)


def _width(columns: Sequence[Sequence[str]]) -> int:
    """Width of a table of these columns: their longest lines, and the room between them."""
    longest = (max(map(len, "\n".join(column).splitlines())) for column in columns)
    return sum(longest) + 3 * len(columns) - 1
