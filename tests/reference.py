"""Finds reference data, which lies outside the project and may be absent."""

import os
from pathlib import Path

import pytest

VARIABLE = "TRIBUTARY_REFERENCE_DATA"
PROJECT = Path(__file__).resolve().parents[1]


def reference_data(*parts: str) -> Path:
    """Path of a file or folder of the reference data; skips the test where it is absent."""
    folder = Path(os.environ.get(VARIABLE) or PROJECT.parent / "shared" / "data")
    path = folder.joinpath(*parts)
    if not path.exists():
        pytest.skip(
            f"NOT CHECKED, REFERENCE DATA IS ABSENT: {path}. "
            f"Set {VARIABLE} to the folder that holds {Path(*parts)}."
        )
    return path
