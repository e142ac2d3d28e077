"""A real `tributary build`, whatever is done to it: dbt, 300 simulated people, one warehouse."""

import errno
import hashlib
import io
import json
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet
import pytest

from processes import PROCESSES
from tributary.build_lock import LOCK_FILE
from tributary.publishing import GENERATIONS, HISTORIES, MANIFEST, current_generation
from tributary.runs import RUNS_FILE, Run, read_runs
from tributary.simulation import Market, simulate

from .conftest import BIN, HASH_KEY, PROJECT, write_csv

FILE = "tributary.duckdb"
DISK = 400_000_000
"""Bytes of the small file system that warehouses are on, where one can be made."""

STAYS = "not published; the last publication stays whole; the next build needs no help"
Happened = Callable[[str], None]


def fault(done: str, expected: str = STAYS) -> pytest.MarkDecorator:
    """Mark a fault that takes too long for every run of the suite."""
    return pytest.mark.fault(done=done, expected=expected, long=True)


@dataclass
class Home:
    """A warehouse, its input, and the builds of it."""

    folder: Path
    is_small_disk: bool
    undisturbed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def input(self) -> Path:
        """The folder of the input."""
        return self.folder / "input"

    @property
    def warehouse(self) -> Path:
        """The folder of the warehouse."""
        return self.folder / "warehouse"

    @property
    def output(self) -> str:
        """What the last build said."""
        return (self.folder / "output.log").read_text(encoding="utf-8")

    def start(
        self,
        *arguments: str,
        settings: str = "",
        log: str = "output.log",
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a build in a group of processes of its own; unit tests need no input."""
        variables = f"{{sources: [files], files_path: {self.input}, {settings}}}"
        inherited = {name: value for name, value in os.environ.items() if "TRIBUTARY" not in name}
        with (self.folder / log).open("wb") as output:
            return subprocess.Popen(
                [
                    BIN / "tributary", "build", "--vars", variables,
                    "--warehouse", self.warehouse / FILE, *arguments,
                ],
                cwd=PROJECT,
                env={
                    **inherited,
                    "DBT_TARGET_PATH": str(self.folder / "target"),
                    "DBT_LOG_PATH": str(self.folder / "logs"),
                    "DBT_EXCLUDE_RESOURCE_TYPES": "unit_test",
                    "DBT_USE_COLORS": "false",
                    # As a user may have set it; a build that is to be published needs it.
                    "DBT_WRITE_JSON": "false",
                    "TRIBUTARY_HASH_KEY": HASH_KEY,
                    **(environment or {}),
                },
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip

    def build(self, *arguments: str, **options: Any) -> int:
        """Build to the end, and give the exit status."""
        return self.start(*arguments, **options).wait()

    @contextmanager
    def under_way(self, share: float, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
        """Start a build, and go on when dbt has done a share of its steps."""
        process = self.start(**options)
        try:
            self.wait_for(process, share)
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def wait_for(self, process: subprocess.Popen[bytes], share: float) -> None:
        """Wait until dbt has done a share of its steps."""
        while True:
            steps = re.findall(r"(\d+) of (\d+) (?:OK|PASS)", self.output)
            # Hooks are counted by themselves.
            if any(int(done) >= share * int(of) for done, of in steps if int(of) > 99):
                return
            assert process.poll() is None, self.output[-3_000:]
            time.sleep(0.02)

    def last_run(self) -> Run:
        """Give the last run of the log."""
        return read_runs(self.warehouse / RUNS_FILE)[-1]

    def published(self) -> str:
        """Name what readers see; fails unless all of it is as its manifest says."""
        name = str(current_generation(self.warehouse))
        home = self.warehouse / GENERATIONS / name
        manifest = json.loads((home / MANIFEST).read_text(encoding="utf-8"))
        assert manifest["run_id"] == name
        marts = manifest["marts"]
        assert {path.name for path in home.iterdir()} == {
            FILE, MANIFEST, "rpt_runs.parquet",
            *(f"{mart}.parquet" for mart in (*marts, *HISTORIES.values())),
        }  # fmt: skip
        with duckdb.connect(str(home / FILE), read_only=True) as connection:
            for mart, stated in marts.items():
                content = (home / f"{mart}.parquet").read_bytes()
                assert hashlib.sha256(content).hexdigest() == stated["sha256"], mart
                rows = connection.execute(f"select count(*) from marts.{mart}").fetchall()
                assert rows == [(stated["row_count"],)], mart
        return name

    def exact_marts(self) -> dict[str, Any]:
        """Give hash and rows of what is published and no sum of fractions, so always the same."""
        home = self.warehouse / "current"
        with duckdb.connect(str(home / FILE), read_only=True) as connection:
            with_fractions = {
                mart
                for (mart,) in connection.execute(
                    "select distinct table_name from duckdb_columns() "
                    "where schema_name = 'marts' and data_type like 'DOUBLE%'"
                ).fetchall()
            }
        marts = json.loads((home / MANIFEST).read_text(encoding="utf-8"))["marts"]
        return {mart: stated for mart, stated in marts.items() if mart not in with_fractions}

    def recovers(self, *arguments: str) -> None:
        """Build without help: the numbers are those of an undisturbed build."""
        before = self.published()
        assert self.build(*arguments) == 0, self.output[-3_000:]
        assert self.published() != before
        assert self.last_run().status == "published"
        assert list(self.warehouse.rglob(".partial-*")) == []
        assert self.exact_marts() == self.undisturbed

    def mount(self, *options: str) -> None:
        """Mount, or mount otherwise, the small file system of the warehouse."""
        if not self.is_small_disk:
            pytest.skip(
                "a small file system needs the right to mount: "
                "unshare --map-root-user --mount make battery"
            )
        _mount(self.warehouse, *options)


def _mount(folder: Path, *options: str) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Publish a warehouse that all tests go on with, on a small file system where permitted."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "warehouse").mkdir()
    home = Home(folder, _mount(folder / "warehouse", f"size={DISK}"))
    market = simulate(Market(people=300, days=30), seed=3)
    for name in ("sessions", "spend"):
        home.input.mkdir(exist_ok=True)
        pyarrow.parquet.write_table(getattr(market, name), home.input / f"{name}.parquet")
    conversions = market.conversions
    write_csv(
        home.input / "conversions.csv",
        ",".join(conversions.column_names),
        (row.values() for row in conversions.to_pylist()),
    )
    try:
        assert home.build() == 0, home.output[-3_000:]
        home.published()
        home.undisturbed = home.exact_marts()
        yield home
    finally:
        if home.is_small_disk:
            subprocess.run(["umount", "--lazy", home.warehouse], check=True)  # noqa: S607


def read_on_and_on(folder: Path, stop: Event, reads: Any) -> None:
    """Read what is published, as BI tools do, until told to stop; a torn read ends it."""
    while not stop.is_set():
        home = (folder / "current").resolve(strict=True)
        marts = json.loads((home / MANIFEST).read_text(encoding="utf-8"))["marts"]
        for file in (home, folder / "current"):
            with duckdb.connect(
                str(file / FILE), read_only=True, config={"threads": 1}
            ) as connection:
                ((run, conversions, attributed),) = connection.execute(
                    "select (select max(run_id) from marts.rpt_runs), "
                    "(select count(*) from marts.fct_conversions), (select sum(conversions) "
                    "from marts.rpt_channel_attribution where attribution_model = 'linear')"
                ).fetchall()
            assert abs(conversions - attributed) < 1e-6
            reads.value += 1
        runs = pyarrow.parquet.read_table(home / "rpt_runs.parquet")["run_id"].to_pylist()
        assert max(runs) == home.name
        rows = pyarrow.parquet.read_metadata(home / "fct_conversions.parquet").num_rows
        assert rows == marts["fct_conversions"]["row_count"]
        assert run >= home.name
        reads.value += 2
        time.sleep(0.1)


@pytest.fixture(scope="module", autouse=True)
def readers(home: Home, request: pytest.FixtureRequest) -> Iterator[Callable[[], int]]:
    """Let two processes read while faults are done; give what stops them and counts the reads."""
    stop = PROCESSES.Event()
    counts = [PROCESSES.Value("q", 0) for _ in range(2)]
    processes = [
        PROCESSES.Process(target=read_on_and_on, args=(home.warehouse, stop, count))
        for count in counts
    ]
    for process in processes:
        process.start()

    def finish() -> int:
        stop.set()
        for process in processes:
            process.join()
        assert [process.exitcode for process in processes] == [0, 0]
        return sum(count.value for count in counts)

    yield finish
    stop.set()
    for process in processes:
        process.join()


@fault("a build with nothing amiss", "published whole, with all of its tests")
def test_a_build_with_real_dbt_is_published_whole(home: Home) -> None:
    run = home.last_run()
    assert (run.run_id, run.status, run.failed) == (home.published(), "published", ())
    assert {each["entity"] for each in run.sources} == {"sessions", "conversions", "spend"}
    graph = json.loads((home.folder / "target/manifest.json").read_text(encoding="utf-8"))
    data_tests = [node for node in graph["nodes"].values() if node["resource_type"] == "test"]
    assert run.tests == {"pass": len(data_tests)}
    assert data_tests
    assert len(home.undisturbed) > 5


@fault("SIGKILL of a build and its dbt at five random moments")
def test_killed_at_random_moments(home: Home, happened: Happened) -> None:
    before = home.published()
    shares = [random.Random(place).uniform(place / 5, (place + 1) / 5) for place in range(5)]  # noqa: S311
    for share in shares:
        with home.under_way(share) as process:
            os.killpg(process.pid, signal.SIGKILL)
        assert home.published() == before
    home.recovers()
    runs = read_runs(home.warehouse / RUNS_FILE)
    assert [run.status for run in runs[-6:]] == ["killed"] * 5 + ["published"]
    happened(
        f"killed after {', '.join(f'{share:.0%}' for share in shares)} of dbt's steps; "
        "published whole each time; five runs logged as killed; recovered"
    )


@fault("SIGTERM to a build and its dbt, as a service manager sends it")
def test_terminated(home: Home, happened: Happened) -> None:
    before = home.published()
    with home.under_way(0.4) as process:
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait() != 0
    assert home.published() == before
    home.recovers()
    happened("the last publication stayed; recovered")


@fault("Ctrl-C in the middle of dbt")
def test_interrupted(home: Home, happened: Happened) -> None:
    # A shell's background jobs ignore Ctrl-C, and so would what they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    before = home.published()
    with home.under_way(0.4) as process:
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait() != 0
    assert home.published() == before
    assert home.last_run().failed == ("interrupted",)
    home.recovers()
    happened("logged as interrupted; the last publication stayed; recovered")


def dbt_of(home: Home) -> int:
    """Give the process of dbt, from the lock of its build."""
    lock = json.loads((home.warehouse / LOCK_FILE).read_text(encoding="utf-8"))
    return int(lock["processes"][1])


@fault("SIGKILL of dbt alone, as when the system is out of memory")
def test_dbt_killed(home: Home, happened: Happened) -> None:
    before = home.published()
    with home.under_way(0.5) as process:
        os.kill(dbt_of(home), signal.SIGKILL)
        assert process.wait() == 1
    assert "Failed: dbt, with status -9" in home.output
    assert home.published() == before
    home.recovers()
    happened("“Failed: dbt, with status -9”; the last publication stayed; recovered")


@fault(
    "SIGKILL of the build alone, its dbt goes on; another build at once, and one that waits",
    "refused, naming dbt, until that has ended; the one that waits is published then",
)
def test_dbt_goes_on(home: Home, happened: Happened) -> None:
    with home.under_way(0.2) as process:
        dbt = dbt_of(home)
        process.kill()
        process.wait()
        assert home.build(log="second.log") == 1
        refused = (home.folder / "second.log").read_text(encoding="utf-8")
        assert f"process {process.pid} and {dbt}" in refused
        waiting = home.start("--wait")
        time.sleep(2)
        assert waiting.poll() is None
        os.kill(dbt, signal.SIGKILL)
        assert waiting.wait() == 0, home.output[-3_000:]
    home.published()
    assert home.exact_marts() == home.undisturbed
    happened("the second refused, with the process of dbt; the third waited and was published")


@fault(
    "a second and a third build while one is running, the third with --wait",
    "the second is refused and names the first; first and third are published",
)
def test_second_build(home: Home, happened: Happened) -> None:
    before = home.published()
    with home.under_way(0.1) as process:
        assert home.build(log="second.log") == 1
        refused = (home.folder / "second.log").read_text(encoding="utf-8")
        assert f"A build is running: process {process.pid}" in refused
        waiting = home.start("--wait", log="third.log")
        assert process.wait() == 0, home.output[-3_000:]
    first = home.last_run()
    assert first.status == "published"
    third = (home.folder / "third.log").read_text
    assert waiting.wait() == 0, third()[-3_000:]
    assert len({before, first.run_id, home.published()}) == 3
    assert home.exact_marts() == home.undisturbed
    happened("refused with the first's process; both others published, one after the other")


@pytest.mark.parametrize(
    ("share", "failed"),
    [
        pytest.param(
            0.0,
            "No space left on device",
            marks=fault("the disk is full while the working file is copied"),
        ),
        pytest.param(0.3, "", marks=fault("the disk is full while dbt builds")),
        pytest.param(1.0, "publishing", marks=fault("the disk is full while marts are published")),
    ],
)
def test_full_disk(home: Home, happened: Happened, share: float, failed: str) -> None:
    home.mount("remount", f"size={DISK}")
    before = home.published()
    filler = home.warehouse / "filler"
    if share == 0:
        fill(filler)
        os.truncate(filler, filler.stat().st_size - 10_000_000)
        assert home.build() == 1
    else:
        with home.under_way(share) as process:
            # dbt itself needs room at its end, to note what it has built.
            while share == 1 and not list((home.warehouse / GENERATIONS).glob(".partial-*")):
                assert process.poll() is None, home.output[-3_000:]
            fill(filler)
            assert process.wait() == 1
    said = home.output
    filler.unlink()
    assert home.published() == before
    run = home.last_run()
    assert run.status == "failed"
    assert failed in " ".join(run.failed)
    assert re.search("no space|not enough space|could not write", said, re.IGNORECASE)
    home.recovers()
    happened(f"failed: {', '.join(run.failed[:2])}; the last publication stayed; recovered")


def fill(file: Path) -> None:
    """Let a file grow until its disk is full, though others write there too."""
    with file.open("ab") as content:
        disk = os.statvfs(file.parent)
        step = disk.f_bavail * disk.f_frsize
        while step >= disk.f_frsize:
            try:
                os.posix_fallocate(content.fileno(), content.seek(0, os.SEEK_END), step)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                step //= 2


@fault("the folder of the warehouse can be read only")
def test_read_only(home: Home, happened: Happened) -> None:
    home.mount("remount", "ro")
    try:
        before = home.published()
        assert home.build() == 1
        said = home.output
        assert home.published() == before
    finally:
        home.mount("remount", "rw", f"size={DISK}")
    assert "Error: Read-only file system" in said
    assert "Traceback" not in said
    home.recovers()
    happened("“Error: Read-only file system”; recovered when it was writable again")


@fault(
    "the working file is cut in half",
    "refused before dbt; the last publication stays whole; without the file, built anew",
)
def test_half_a_working_file(home: Home, happened: Happened) -> None:
    before = home.published()
    file = home.warehouse / FILE
    os.truncate(file, file.stat().st_size // 2)
    try:
        assert home.build() == 1
        assert "it is not a DuckDB file, or is damaged" in home.output
        assert home.published() == before
    finally:
        file.unlink()
    home.recovers()
    happened("“… or is damaged”; the last publication stayed; built anew")


@contextmanager
def changed(path: Path, content: bytes | None) -> Iterator[None]:
    """Let a file have other content for a while, or be gone."""
    before = path.read_bytes()
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(before)


def corrupt(content: bytes) -> bytes:
    page = pyarrow.parquet.read_metadata(io.BytesIO(content)).row_group(0).column(1)
    start = page.data_page_offset
    return content[:start] + b"\xff" * 1_000 + content[start + 1_000 :]


def halve(content: bytes) -> bytes:
    return content[: len(content) // 2]


def empty(content: bytes) -> bytes:
    return b""


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(corrupt, marks=fault("1,000 bytes of a page in a Parquet file overwritten")),
        pytest.param(halve, marks=fault("a Parquet file of which the second half is not there")),
        pytest.param(empty, marks=fault("a Parquet file of no bytes")),
    ],
)
def test_damaged_input(home: Home, happened: Happened, damage: Callable[[bytes], bytes]) -> None:
    before = home.published()
    file = home.input / "sessions.parquet"
    with changed(file, damage(file.read_bytes())):
        assert home.build() == 1
    failed = home.last_run().failed
    assert home.published() == before
    home.recovers()
    happened(f"failed: {', '.join(failed[:2])}; the last publication stayed; recovered")


@fault("an input file is gone in the middle of a build")
def test_vanishing_input(home: Home, happened: Happened) -> None:
    before = home.published()
    file = home.input / "sessions.parquet"
    with home.under_way(0.02) as process, changed(file, None):
        assert process.wait() == 1
    assert "sessions.parquet" in home.output
    failed = home.last_run().failed
    assert home.published() == before
    home.recovers()
    happened(f"failed: {', '.join(failed[:2])}; the last publication stayed; recovered")


@fault(
    "an input file grows in the middle of a build",
    "published with all rows of one moment, or not at all; the next build has all rows",
)
def test_growing_input(home: Home, happened: Happened) -> None:
    before = home.published()
    file = home.input / "conversions.csv"
    content = file.read_bytes()
    last = content.splitlines()[-1].split(b",", 1)[1]
    more = b"".join(b"more-%d,%s\r\n" % (number, last) for number in range(50))
    rows = content.count(b"\n") - 1
    with home.under_way(0.15) as process, changed(file, content + more):
        status = process.wait()
        seen = home.last_run()
        assert seen.status == ("failed" if status else "published")
        if status:
            assert home.published() == before
        else:
            assert conversions(home) in {rows, rows + 50}
        assert home.build() == 0, home.output[-3_000:]
        assert conversions(home) == rows + 50
    home.recovers()
    assert conversions(home) == rows
    happened(
        f"not published, failed: {', '.join(seen.failed[:2])}; then published with all rows"
        if status
        else "published, of one moment; then with all rows"
    )


def conversions(home: Home) -> int:
    """Count the conversions that the last run says it was delivered, all of which it published."""
    manifest = home.warehouse / GENERATIONS / home.published() / MANIFEST
    content = json.loads(manifest.read_text(encoding="utf-8"))
    (source,) = (each for each in content["sources"] if each["entity"] == "conversions")
    assert source["row_count"] == content["marts"]["fct_conversions"]["row_count"]
    return int(source["row_count"])


@pytest.mark.parametrize(
    "limits",
    [
        pytest.param(
            "memory_limit: 20MB", marks=fault("20 MB of memory for DuckDB, too little for a table")
        ),
        pytest.param(
            "memory_limit: 64MB\n        max_temp_directory_size: 0MB",
            marks=fault("64 MB of memory for DuckDB and no room to spill"),
        ),
    ],
)
def test_out_of_memory(home: Home, happened: Happened, limits: str) -> None:
    before = home.published()
    profile = (PROJECT / "profiles.yml").read_text(encoding="utf-8")
    assert "TimeZone: UTC\n" in profile
    (home.folder / "profiles.yml").write_text(
        profile.replace("TimeZone: UTC\n", f"TimeZone: UTC\n        {limits}\n"), encoding="utf-8"
    )
    assert home.build(environment={"DBT_PROFILES_DIR": str(home.folder)}) == 1
    assert "Out of Memory Error" in home.output
    assert home.published() == before
    failed = home.last_run().failed
    home.recovers()
    happened(
        f"“Out of Memory Error”: {', '.join(failed[:2])}; the last publication stayed; recovered"
    )


@fault(
    "a wrong setting, an unknown one, and --vars that are no YAML, at a real build",
    "refused before anything is built; the last publication stays whole",
)
@pytest.mark.parametrize("settings", ["lookback_days: -1", "lookback_day: 30", "a: ["])
def test_wrong_settings(home: Home, happened: Happened, settings: str) -> None:
    before = home.published()
    assert home.build(settings=settings) == 1
    assert "OK created" not in home.output
    assert home.published() == before
    happened("refused; the last publication stayed")


@fault(
    "two processes read all the time while all of the above was done",
    "no read fails, waits for a build, or mixes two publications",
)
def test_readers_never_noticed(home: Home, readers: Callable[[], int], happened: Happened) -> None:
    reads = readers()
    assert reads > 0
    count = len(read_runs(home.warehouse / RUNS_FILE))
    happened(f"{reads:,} reads beside {count} builds, none failed, none was torn")
