"""tributary build: build the warehouse, and publish its marts if all is well."""

import contextlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import duckdb
import typer
import yaml

from tributary.build_lock import BuildLock, BuildRunningError, build_lock
from tributary.cli.console import (
    DEFAULT_WAREHOUSE,
    WarehouseOption,
    fail,
    open_warehouse,
    say,
    some_of,
)
from tributary.publishing import (
    CURRENT,
    GENERATIONS,
    MANIFEST,
    PARTIAL,
    current_generation,
    damaged_histories,
    finish_rewrites,
    generations,
    new_generation,
    prune,
    publish,
    remove_generation,
    remove_leftovers,
)
from tributary.runs import (
    FAILED,
    KILLED,
    PUBLISHED,
    RUNS_FILE,
    Run,
    append_run,
    read_results,
    read_runs,
    resolved_settings,
    run_of,
    runs_table,
    seed_hashes,
    source_rows,
    timestamp,
)

CODE = (
    *("models", "python_models", "macros", "seeds", "tests", "analyses", "src"),
    *("dbt_project.yml", "profiles.yml", "selectors.yml", "pyproject.toml", "requirements.lock"),
)
"""Folders and files of a project that are code; others hold data, reports and what is built."""


@dataclass(frozen=True)
class Places:
    """Where a build works: the working file, and what lies beside it.

    The private file has the name of the working file, because DuckDB calls a database by the name
    of its file and views keep that name. It is always in the same folder, so that dbt finds the
    profile as it was and does not parse the project anew.
    """

    warehouse: Path

    @property
    def folder(self) -> Path:
        """What this command writes is in here."""
        return self.warehouse.parent

    @property
    def private_folder(self) -> Path:
        """For the time of one build."""
        return self.folder / f"{PARTIAL}build"

    @property
    def private(self) -> Path:
        """The file that dbt builds in."""
        return self.private_folder / self.warehouse.name

    @property
    def begun(self) -> Path:
        """The record of the run that is under way."""
        return self.private_folder / "run.json"

    @property
    def open_erasure(self) -> Path:
        """The record of an erasure that has begun and is not finished."""
        return self.folder / "open_erasure.json"

    @property
    def log(self) -> Path:
        """The log of all runs."""
        return self.folder / RUNS_FILE


def places_of(warehouse: Path) -> Places:
    """Find the places of a working file.

    Raises
    ------
    typer.Exit
        If it is a link: replacing or removing that would leave the file it leads to. If `current`
        beside it is none: it would stay what readers see, whatever is published or erased.
    """
    if warehouse.is_symlink():
        raise fail(
            f"{warehouse} is a link to {warehouse.readlink()}. The working file is replaced whole: "
            "give that file itself with --warehouse, or move it here in the place of the link."
        )
    current = warehouse.parent / CURRENT
    if current.exists() and not current.is_symlink():
        kept = generations(warehouse.parent)
        link = f"; ln -s {GENERATIONS}/{kept[-1]} {current}" if kept else ""
        raise fail(
            f"{current} is no link to a publication, but a copy: readers of it would not see what "
            f"is published or erased. Put the link in its place: rm -r {current}{link}"
        )
    return Places(warehouse.absolute())


def build_command(
    variables: Annotated[
        str, typer.Option("--vars", metavar="YAML", help="Settings, as for dbt build.")
    ] = "{}",
    full_refresh: Annotated[
        bool, typer.Option("--full-refresh", help="Begin with an empty file.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for a running build, in place of refusing.")
    ] = False,
    warehouse: WarehouseOption = DEFAULT_WAREHOUSE,
) -> None:
    """Build the warehouse and publish its marts, if all is well.

    dbt builds in a private copy of the warehouse's file. Only if every test of severity error
    passes do the marts become the current generation, and the copy the warehouse's file.
    """
    places = places_of(warehouse)
    _check_environment()
    try:
        settings = _settings(variables)
        _check_seeds()
        with (
            locked(places.folder, wait) as lock,
            # dbt writes its account of a run into the project, whichever warehouse it builds.
            locked(target_of_dbt() / "build", wait) as target_lock,
            _working_file(places.warehouse) as working_file,
        ):
            _refuse_open_erasure(places)
            recover(places)
            run = _begin(places, settings)
            try:
                if not full_refresh:
                    _take_over(working_file, places)
                _build(places, run, variables, full_refresh, lock, target_lock)
            except KeyboardInterrupt:
                _log_unless_logged(places, run, "interrupted")
                raise
            except OSError as error:
                # On a full disk there is no room for the log either, until the copy is gone.
                places.private.unlink(missing_ok=True)
                _log_unless_logged(places, run, str(error.strerror))
                raise
    except OSError as error:
        raise fail(f"{error.strerror or error}: {error.filename or places.folder}.") from None


def target_of_dbt() -> Path:
    """Name the folder that dbt writes its account of a run into."""
    return Path(os.environ.get("DBT_TARGET_PATH", "target"))


def _check_environment() -> None:
    """Refuse values of variables that dbt and DuckDB would answer with a stack trace."""
    threads = os.environ.get("TRIBUTARY_THREADS")
    if threads is not None and not re.fullmatch("[1-9][0-9]{0,3}", threads):
        raise fail(f"TRIBUTARY_THREADS is '{threads}'. Allowed: a whole number from 1.")
    limit = os.environ.get("TRIBUTARY_MEMORY_LIMIT")
    try:
        duckdb.connect(config={"memory_limit": limit} if limit else {}).close()
    except duckdb.Error:
        raise fail(
            f"TRIBUTARY_MEMORY_LIMIT is '{limit}'. Allowed: a number and a unit, such as 4GB."
        ) from None


def _settings(variables: str) -> dict[str, Any]:
    """Resolve the vars of the project in this folder."""
    project = project_file()
    try:
        given = yaml.safe_load(variables)
        if isinstance(given, dict) and all(isinstance(name, str) for name in given):
            declared = yaml.safe_load(project.read_text(encoding="utf-8"))["vars"]
            return resolved_settings(declared, given, os.environ)
    except (yaml.YAMLError, TypeError, ValueError, RecursionError):
        pass  # What YAML can say and settings cannot, such as keys of several types.
    raise fail(f"--vars is '{variables}'. Write it as YAML: --vars '{{lookback_days: 30}}'.")


def _check_seeds() -> None:
    """Refuse to build without the file of a seed: dbt knows no more than a node that is missing."""
    project = yaml.safe_load(project_file().read_text(encoding="utf-8"))
    for folder in map(Path, project.get("seed-paths", ["seeds"])):
        for properties in sorted(folder.glob("*.yml")):
            described = yaml.safe_load(properties.read_text(encoding="utf-8")) or {}
            for seed in described.get("seeds", []):
                file = folder / f"{seed['name']}.csv"
                if not file.exists():
                    raise fail(
                        f"The seed {seed['name']} is missing: there is no file {file}. Get it "
                        f"back, as with: git checkout -- {file}. Or make it with this line alone, "
                        f"for no rows: {','.join(seed.get('config', {}).get('column_types', {}))}"
                    )


def project_file() -> Path:
    """Find the project in this folder, where dbt's logs and artefacts are, too.

    Raises
    ------
    typer.Exit
        If there is none.
    """
    project = Path("dbt_project.yml")
    if not project.is_file():
        raise fail(f"There is no dbt project in {Path.cwd()}. Go to the folder of dbt_project.yml.")
    return project


@contextlib.contextmanager
def locked(folder: Path, wait: bool) -> Iterator[BuildLock]:
    """Hold the lock of a folder; refuse, or wait, where another build does."""
    with contextlib.ExitStack() as stack:
        try:
            lock = stack.enter_context(build_lock(folder))
        except BuildRunningError as error:
            if not wait:
                raise fail(f"{error} Try again when it has ended, or add --wait.") from None
            say.print(f"{error} Waiting for it to end …")
            lock = stack.enter_context(build_lock(folder, wait=True))
        yield lock


def _refuse_open_erasure(places: Places) -> None:
    """Refuse to copy and publish persons whom an erasure did not come to."""
    if places.open_erasure.exists():
        raise fail(
            "An erasure of persons was not finished. Give the same command again, or only: "
            "tributary erase. Then: tributary build."
        )


@contextlib.contextmanager
def _working_file(warehouse: Path) -> Iterator[BinaryIO | None]:
    """Open the working file, if there is one, and keep a dbt build beside this one from it."""
    # A publication that has lost its file is of no other warehouse.
    published = (warehouse.parent / CURRENT).glob("*")
    if any(path.name != warehouse.name and _is_duckdb(path) for path in published):
        raise fail(
            f"{warehouse.parent} has the publications of another warehouse. "
            "Choose a folder of its own: --warehouse FOLDER/tributary.duckdb."
        )
    if not warehouse.exists():
        yield None
        return
    # Closing a file gives up all locks that the process has on it: DuckDB has to close it first.
    with warehouse.open("rb") as content, open_warehouse(warehouse):
        yield content


def _is_duckdb(path: Path) -> bool:
    """Tell whether a file is a database of DuckDB, by what it begins with."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(12)[8:] == b"DUCK"


def _take_over(working_file: BinaryIO | None, places: Places) -> None:
    """Begin the private file as a copy of the working file."""
    if working_file is None:
        return
    with places.private.open("wb") as copy:
        shutil.copyfileobj(working_file, copy, length=1 << 24)
    if log_of(places.warehouse).exists():
        shutil.copyfile(log_of(places.warehouse), log_of(places.private))


def recover(places: Places) -> None:
    """Write into the log what a killed build could not, and remove what it left."""
    if places.begun.is_file():
        with contextlib.suppress(ValueError, TypeError):
            run = run_of(json.loads(places.begun.read_text(encoding="utf-8")))
            _log_unless_logged(places, run)
    leftovers = remove_leftovers(places.folder)
    finish_rewrites(places.folder)
    if leftovers:
        say.print(f"Removed what an earlier build left: {some_of([p.name for p in leftovers])}.")


def _log_unless_logged(places: Places, run: Run, reason: str | None = None) -> None:
    """Log how a run ended that did not say so itself: published, or failed or killed before."""
    if run.run_id in {logged.run_id for logged in read_runs(places.log)}:
        return
    generation = places.folder / GENERATIONS / run.run_id
    if current_generation(places.folder) == run.run_id:
        run = run_of(json.loads((generation / MANIFEST).read_text(encoding="utf-8")))
    else:
        if generation.is_dir():
            remove_generation(places.folder, run.run_id)
        if reason is None:
            run = replace(run, status=KILLED)
        else:
            run = run.ended(FAILED, datetime.now(UTC), reason)
    append_run(places.log, run)


def _begin(places: Places, settings: dict[str, Any]) -> Run:
    """Open the private folder with the record of a run that is under way."""
    moment = datetime.now(UTC)
    project = yaml.safe_load(Path("dbt_project.yml").read_text(encoding="utf-8"))
    commit, is_changed = _code()
    run = Run(
        run_id=new_generation(moment),
        status="running",
        started_at=timestamp(moment),
        package_version=importlib.metadata.version("tributary"),
        code_commit=commit,
        code_is_changed=is_changed,
        settings=settings,
        seeds=seed_hashes(Path(), project.get("seed-paths", ["seeds"])),
    )
    places.private_folder.mkdir(mode=0o700)
    places.begun.write_text(json.dumps(run.as_json()), encoding="utf-8")
    return run


def _code() -> tuple[str | None, bool | None]:
    """Name the commit of the project, and whether code differs from it; None without Git."""
    git = shutil.which("git")
    if git is None:
        return None, None
    commit, changes = (
        subprocess.run([git, *arguments], capture_output=True, text=True, check=False)  # noqa: S603
        for arguments in (
            ["rev-parse", "HEAD"],
            ["status", "--porcelain", "--untracked-files=normal", "--", *CODE],
        )
    )
    if commit.returncode or changes.returncode:
        return None, None
    return commit.stdout.strip(), bool(changes.stdout.strip())


def _build(places: Places, run: Run, variables: str, full_refresh: bool, *locks: BuildLock) -> None:
    """Build in the private file, and publish."""
    status = _run_dbt(places.private, target_of_dbt(), variables, full_refresh, *locks)
    results = read_results(target_of_dbt())
    run = replace(run, tests=results.tests, failed=results.failed, warned=results.warned)
    if status != 0 or not results.marts:
        # Without a model or test to blame, the project could not be read, or dbt was killed.
        other = "settings or input" if status in {1, 2} else f"dbt, with status {status}"
        run = run.ended(FAILED, datetime.now(UTC), *([] if run.failed else [other]))
        append_run(places.log, run)
        raise _not_published(places, run)
    try:
        run = _publish(places, run, results.marts)
    except (OSError, duckdb.Error) as error:
        say.print(f"Cannot publish: {error}")
        run = run.ended(FAILED, datetime.now(UTC), "publishing")
        append_run(places.log, run)
        raise _not_published(places, run) from None
    append_run(places.log, run)
    _replace(places.private, places.warehouse)
    prune(
        places.folder,
        int(str(run.settings["keep_generations"])),
        [each.run_id for each in read_runs(places.log)],
    )
    shutil.rmtree(places.private_folder)


_PARTS_OF_A_BUILD = frozenset(
    f"DBT_{prefix}{option}"
    for prefix in ("", "ENGINE_")
    for option in ("RESOURCE_TYPES", "EXCLUDE_RESOURCE_TYPES", "EMPTY", "SAMPLE", "DEFER")
)
"""Variables by which dbt would leave out tests, seeds or rows: what is published has them all."""


def _run_dbt(
    private: Path, target: Path, variables: str, full_refresh: bool, *locks: BuildLock
) -> int:
    """Run dbt build in the private file, its output shown, and return its exit status."""
    (target / "run_results.json").unlink(missing_ok=True)
    dbt_program = str(Path(sys.executable).with_name("dbt"))
    # What is published is read from dbt's account of its run, which a user may have switched off.
    command = [dbt_program, "build", "--write-json", "--vars", variables]
    with subprocess.Popen(  # noqa: S603 - a list, no shell
        [*command, "--full-refresh"] if full_refresh else command,
        env={
            **{name: value for name, value in os.environ.items() if name not in _PARTS_OF_A_BUILD},
            "TRIBUTARY_WAREHOUSE": str(private),
        },
        pass_fds=[lock.descriptor for lock in locks],
    ) as dbt:
        for lock in locks:
            lock.name_holders(os.getpid(), dbt.pid)
        return dbt.wait()


def _publish(places: Places, run: Run, marts: tuple[str, ...]) -> Run:
    """Publish the marts of the private file, and give the run as it is logged."""
    # Opening for writing takes in what the write-ahead log may still hold.
    duckdb.connect(str(places.private)).close()
    run = replace(run, sources=source_rows(places.private)).ended(PUBLISHED, datetime.now(UTC))
    for history in damaged_histories(places.folder):
        say.print(f"{history} cannot be read: what it alone knows is left out of the history.")
    published = publish(
        places.private,
        places.folder,
        run.run_id,
        marts,
        run.as_json(),
        runs_table([*read_runs(places.log), run]),
        places.warehouse.name,
    )
    row_count = sum(mart.row_count for mart in published.values())
    say.print(
        f"Published {run.run_id}: {len(published)} marts, {row_count:,} rows, in "
        f"{places.folder / CURRENT}."
    )
    say.print(
        "Next: tributary report; tributary check says what moved; tributary runs shows all builds."
    )
    return run


def _replace(private: Path, warehouse: Path) -> None:
    """Make the private file the working file, with the rights that one had."""
    private.chmod(warehouse.stat().st_mode & 0o777 if warehouse.exists() else 0o600)
    # The log of a dbt build that was killed belongs to the file that goes.
    log_of(warehouse).unlink(missing_ok=True)
    private.replace(warehouse)


def log_of(database: Path) -> Path:
    """Where DuckDB keeps what it has not yet written into a file."""
    return database.with_name(f"{database.name}.wal")


def _not_published(places: Places, run: Run) -> typer.Exit:
    """Say what failed, what readers see and what to do; the caller raises the returned exit."""
    current = current_generation(places.folder)
    error = fail(f"Not published. Failed: {some_of(run.failed)}.")
    say.print(f"Readers still see {current}." if current else "Nothing is published yet.")
    if places.private.exists():
        say.print(f"What was built is in {places.private} until the next build.")
    say.print("Next: correct what failed (messages above, and in logs/dbt.log); tributary build")
    return error
