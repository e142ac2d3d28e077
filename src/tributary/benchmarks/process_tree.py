"""What a process and those it starts use while they run: CPU time, memory, bytes written."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

SECONDS_BETWEEN = 0.1


@dataclass(frozen=True)
class Usage:
    """What was used, at moments from the first to the last that was looked at.

    Attributes
    ----------
    moments
        Shape (n,): seconds since 1970, rising.
    cpu_seconds, written_bytes
        Shape (n,): so far, of all cores and processes; not falling. Written is what went on its way
        to a disk; rewritten pages count again.
    memory_bytes
        Shape (n,): resident at that moment, summed over the processes.
    """

    moments: FloatArray
    cpu_seconds: FloatArray
    written_bytes: FloatArray
    memory_bytes: FloatArray


class Watch:
    """Looks at a process and its descendants over and over; Linux alone tells what they use."""

    def __init__(self, process_id: int) -> None:
        self._process_id = process_id
        self._rows: list[tuple[float, float, float, float]] = []
        # Of processes that have ended, what they had used when last seen.
        self._cpu: dict[int, float] = {}
        self._written: dict[int, float] = {}

    def look(self) -> None:
        """Note what is used now."""
        memory = 0.0
        for process_id in _tree(self._process_id):
            root = Path("/proc") / str(process_id)
            try:
                fields = (root / "stat").read_text().rpartition(")")[2].split()
                io = dict(line.split(": ") for line in (root / "io").read_text().splitlines())
            except OSError:
                continue
            # Fields 14, 15 and 24 of proc(5); two stand before the bracket.
            self._cpu[process_id] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            self._written[process_id] = int(io["write_bytes"])
            memory += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
        self._rows.append(
            (time.time(), sum(self._cpu.values()), sum(self._written.values()), memory)
        )

    def usage(self) -> Usage:
        """Give what was noted so far."""
        columns = np.array(self._rows, dtype=np.float64).reshape(-1, 4).T
        return Usage(*columns)


@contextmanager
def watched(process_id: int) -> Iterator[Watch]:
    """Look at a process while the block runs, ten times a second."""
    watch = Watch(process_id)
    is_over = threading.Event()

    def look_on() -> None:
        while not is_over.wait(SECONDS_BETWEEN):
            watch.look()

    watch.look()
    thread = threading.Thread(target=look_on, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        is_over.set()
        thread.join()


def _tree(process_id: int) -> Iterator[int]:
    """Give a process and its descendants; those that end meanwhile are left out."""
    yield process_id
    for children in Path(f"/proc/{process_id}/task").glob("*/children"):
        try:
            listed = children.read_text().split()
        except OSError:
            continue
        for child in listed:
            yield from _tree(int(child))
