"""One build at a time: a lock that the operating system releases when its holder ends."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

LOCK_FILE = ".build.lock"


class BuildRunningError(Exception):
    """Another build holds the lock; the message says which."""


@dataclass(frozen=True)
class BuildLock:
    """The lock of a warehouse folder, held.

    Attributes
    ----------
    descriptor
        Of the lock file. A child that inherits it holds the lock on when its parent is killed, so
        that nobody builds beside the rest of a build.
    """

    descriptor: int

    def name_holders(self, *processes: int) -> None:
        """Write who holds the lock, for whoever is refused."""
        content = {"processes": processes, "since": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"}
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, json.dumps(content).encode(), 0)


@contextmanager
def build_lock(folder: Path, *, wait: bool = False) -> Iterator[BuildLock]:
    """Hold the lock of a warehouse folder.

    Parameters
    ----------
    folder
        Made if it is not there.
    wait
        Wait for a running build to end, in place of being refused.

    Raises
    ------
    BuildRunningError
        If another build holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise BuildRunningError(_running(os.pread(descriptor, 1000, 0))) from None
        lock = BuildLock(descriptor)
        lock.name_holders(os.getpid())
        yield lock
    finally:
        # Closing releases the lock. The file stays: were it removed, one build could lock the file
        # that is gone while another locks its successor.
        os.close(descriptor)


def _running(content: bytes) -> str:
    """Say who holds the lock, by the content of its file."""
    try:
        holder: dict[str, Any] = json.loads(content)
    except ValueError:
        return "A build is running; it began this very moment."
    processes = " and ".join(str(process) for process in holder["processes"])
    return f"A build is running: process {processes}, since {holder['since']} UTC."
