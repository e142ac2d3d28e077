"""The benchmark of the build works on the real project; how long it takes is not judged."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tributary.cli import app

from .conftest import PROJECT


def test_the_small_benchmark_builds_measures_and_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(PROJECT)
    output = tmp_path / "performance.md"
    arguments = ["--small", "--work", str(tmp_path / "work"), "--output", str(output)]

    shown = CliRunner().invoke(app, ["benchmark", "build", *arguments])

    assert shown.exit_code == 0, shown.output
    text = output.read_text()
    for stage in ("reading", "touchpoints", "journeys", "transition counts", "channel sets"):
        (row,) = (line for line in text.splitlines() if line.startswith(f"| {stage} | "))
        *_, ratio, _ = row.strip("| ").split(" | ")
        assert float(ratio) > 0
    assert output.with_suffix(".png").exists()
