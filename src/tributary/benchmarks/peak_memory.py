"""The largest memory a process has held; imports nothing that holds memory itself."""

import resource
import sys
from pathlib import Path


def peak_megabytes() -> float:
    """Tell the largest memory this process has held, in MB (10^6 bytes)."""
    status = Path("/proc/self/status")
    if status.exists():
        # What getrusage says there may be the peak of the process that started this one.
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
