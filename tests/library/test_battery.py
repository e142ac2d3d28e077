"""The battery says of every fault what happened, and is passed only if all is as it had to be."""

import pytest

FAULTS = '''"""Pipes | and more."""
import pytest

@pytest.mark.fault(done="{number} or more", expected="a number above {least}")
@pytest.mark.parametrize("least", [0, 1])
@pytest.mark.parametrize("number", [5, pytest.param(6, marks=pytest.mark.fault(done="six"))])
def test_numbers(number, least, happened):
    happened(f"a | {number}")
    assert number > least

@pytest.mark.fault(done="much", expected="nothing", long=True)
@pytest.mark.fault(done="little", expected="less")
def test_long():
    pass

def test_no_fault():
    assert False
'''
PASSING = [
    "**4 faults in 6 cases: 4 as expected, 0 failed, 0 skipped.**",
    "## Pipes | and more",
    r"| 5 or more | a number above 0 | a \| 5 (2 cases) |",
    r"| six | a number above 0 | a \| 6 (2 cases) |",
    "| much | nothing | as expected |",
    "| little | less | as expected |",
]


def run(
    pytester: pytest.Pytester, content: str, *arguments: str
) -> tuple[pytest.RunResult, list[str]]:
    """Run a battery, and give the lines of its page."""
    pytester.makepyfile(test_faults=content)
    page = pytester.path / "page.md"
    result = pytester.runpytest("-p", "battery", f"--battery={page}", *arguments)
    return result, page.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("processes", ["0", "2"])
def test_the_page_says_what_happened(pytester: pytest.Pytester, processes: str) -> None:
    result, lines = run(pytester, FAULTS, "--numprocesses", processes)
    assert result.ret == 0
    assert [line for line in lines if line in PASSING] == PASSING
    result.stdout.fnmatch_lines("| much | nothing | as expected |")


def test_long_faults_run_in_the_battery_alone(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(FAULTS)
    result = pytester.runpytest("-p", "battery")
    result.assert_outcomes(passed=4, failed=1, deselected=1)
    result.stdout.fnmatch_lines("battery: faults that take long ARE NOT RUN here*make battery")


@pytest.mark.parametrize(
    ("body", "happened"),
    [
        ("assert 1 == 2, 'it\\nbroke'", "**FAILED**: AssertionError: it"),
        ("pytest.skip('no disk')", "**SKIPPED**: no disk"),
    ],
)
def test_what_failed_or_was_skipped_is_said_and_the_battery_not_passed(
    pytester: pytest.Pytester, body: str, happened: str
) -> None:
    mark = '@pytest.mark.fault(done="harm", expected="nothing")'
    fixture = "@pytest.fixture\ndef broken():\n    yield\n"
    tests = (
        f"import pytest\n{fixture}    {body}\n"
        f"{mark}\ndef test_first(): pass\n{mark}\ndef test_second(): {body}\n"
        f"{mark.replace('harm', 'late')}\ndef test_broken(broken): pass\n"
    )
    result, lines = run(pytester, tests)
    assert result.ret == 1
    assert f"| harm | nothing | {happened} (2 cases) |" in lines
    assert f"| late | nothing | {happened} |" in lines


def test_a_test_that_ends_its_process_is_no_fault_passed(pytester: pytest.Pytester) -> None:
    mark = 'import os\nimport pytest\n@pytest.mark.fault(done="harm", expected="nothing")'
    result, lines = run(pytester, f"{mark}\ndef test_end(): os._exit(0)", "--numprocesses", "1")
    assert result.ret == 1
    assert any("test_end" in line and "**FAILED**" in line for line in lines)


def test_a_mark_that_says_too_little_is_refused(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("import pytest\n@pytest.mark.fault(done='harm')\ndef test_one(): pass")
    page = pytester.path / "page.md"
    result = pytester.runpytest("-p", "battery", f"--battery={page}")
    assert result.ret != 0
    assert "a fault has done, expected and maybe long" in str(result.stdout) + str(result.stderr)
    assert not page.exists()
