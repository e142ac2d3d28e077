"""What the README shows works as it stands, on the demo that it speaks of."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tributary.publishing import HISTORIES

from .conftest import BIN, PROJECT, Build, build

README = (PROJECT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Build:
    # The command that runs all tests has built the demo just now.
    if "BUILT_DEMO" in os.environ:
        return Build(0, "", PROJECT / os.environ["BUILT_DEMO"])
    folder = tmp_path_factory.mktemp("demo")
    subprocess.run([BIN / "tributary", "simulate", "--output", folder / "input"], check=True)
    result = build(folder, f"{{demo_path: {folder / 'input'}}}")
    assert result.status == 0, result.output
    return result


def test_a_number_can_be_traced_to_its_rows(demo: Build) -> None:
    (block,) = re.findall(r"```sql\n(.*?)```", README, re.DOTALL)
    number, credits, journey, session, conversion = (
        demo.rows(query) for query in block.split(";") if query.strip()
    )
    (credited,) = number
    assert credited[0] == pytest.approx(14.2, abs=0.05)
    assert len(credits) > 1
    assert len(journey) == 3
    assert len(session) == len(conversion) == 1


def test_the_demos_calls_and_forms_count_to_the_channels_that_its_spend_names(demo: Build) -> None:
    channels: dict[bool, set[str]] = {True: set(), False: set()}
    for is_session, channel in demo.rows(
        "select distinct touchpoint_type = 'session', touchpoints.channel "
        "from intermediate.int_touchpoints as touchpoints "
        "inner join intermediate.int_named_touchpoints using (touchpoint_key)"
    ):
        channels[is_session].add(channel)
    assert channels[False] == channels[True]


def test_every_mart_is_listed_and_every_listed_mart_is_there(demo: Build) -> None:
    listed = set(
        re.findall(r"^\| .*", README.split("## Question → mart")[1].split("\n## ")[0], re.MULTILINE)
    )
    named = {name for line in listed for name in re.findall(r"`(\w+_\w+)`", line)}
    there = {
        name
        for (name,) in demo.rows(
            "select table_name from information_schema.tables where table_schema = 'marts'"
        )
    }
    assert there <= named
    # Publishing adds the histories.
    assert named - there == {"is_attributed", "unattributed_reason", *HISTORIES.values()}


def test_paths_of_the_readme_exist() -> None:
    for path in re.findall(r"`((?:seeds|docs|analyses)/[\w./-]*)`", README):
        assert Path(PROJECT / path).exists(), path
