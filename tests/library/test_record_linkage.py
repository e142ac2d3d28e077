import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from reference import reference_data
from tributary.benchmarks.identity import THRESHOLD, deterministic_pairs, read_labelled
from tributary.cli import app
from tributary.record_linkage import LEAST_RECORDS, LinkageQuality, linkage_quality, match_records

BEST_PUBLISHED_F1 = 0.86


def people(n: int, seed: int = 1) -> pa.Table:
    """Make n persons with two records each, the second with a typo here and there."""
    rng = np.random.default_rng(seed)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))

    def words(count: int) -> list[str]:
        return ["".join(rng.choice(letters, 7)) for _ in range(count)]

    firsts, lasts, cities = words(30), words(60), words(8)
    rows: list[dict[str, Any]] = []
    for person in range(n):
        last = str(rng.choice(lasts))
        row = {
            "first_name": str(rng.choice(firsts)),
            "last_name": last,
            "birth_date": f"{rng.integers(1940, 2005)}-{rng.integers(1, 13):02}-15",
            "city": str(rng.choice(cities)),
            "email": f"{words(1)[0]}@example.org",
        }
        again: dict[str, Any] = dict(row)
        spoilt = rng.integers(0, 4)
        if spoilt == 0:
            again["last_name"] = last[:3] + last[4:]
        elif spoilt == 1:
            again["email"] = None
        elif spoilt == 2:
            again["city"] = str(rng.choice(cities))
        rows += [
            {"record_key": f"r{2 * person + place:04}", "cluster": person, **each}
            for place, each in enumerate((row, again))
        ]
    return pa.Table.from_pylist(rows)


@pytest.fixture(scope="module")
def records() -> pa.Table:
    return people(80)


@pytest.fixture(scope="module")
def pairs(records: pa.Table) -> pa.Table:
    return match_records(records, 0.5)


def test_finds_records_of_one_person_in_spite_of_typos(records: pa.Table, pairs: pa.Table) -> None:
    quality = linkage_quality(pairs, records)

    assert quality.precision > 0.95
    assert quality.recall > 0.95
    assert pairs.column_names == ["left_key", "right_key", "probability"]
    assert pc.all(pc.less(pairs["left_key"], pairs["right_key"])).as_py()
    assert pc.min(pairs["probability"]).as_py() >= 0.5


def test_a_higher_threshold_keeps_the_likelier_pairs(records: pa.Table, pairs: pa.Table) -> None:
    middle = float(np.median(pairs["probability"]))
    likelier = pairs.filter(pc.field("probability") >= middle)

    assert 0 < likelier.num_rows < pairs.num_rows
    assert match_records(records, middle).to_pylist() == likelier.to_pylist()


def test_order_and_case_and_kinds_and_empty_columns_change_nothing(
    records: pa.Table, pairs: pa.Table
) -> None:
    changed = pa.table(
        {
            "phone": pa.array([" "] * len(records)),
            "email": records["email"],
            "city": pc.binary_join_element_wise("", pc.utf8_upper(records["city"]), " "),
            "birth_date": pc.cast(records["birth_date"], pa.date32()),
            "last_name": records["last_name"],
            "first_name": pc.utf8_upper(records["first_name"]),
            "record_key": range(len(records)),
            "something_else": pa.nulls(len(records)),
        }
    ).take(np.random.default_rng(2).permutation(len(records)))

    result = match_records(changed, 0.5)

    assert result["left_key"].type == result["right_key"].type == pa.int64()
    for side in ("left_key", "right_key"):
        assert [f"r{key:04}" for key in result[side].to_pylist()] == pairs[side].to_pylist()
    assert result["probability"].to_pylist() == pairs["probability"].to_pylist()


def test_a_phone_shared_by_a_crowd_joins_nobody(records: pa.Table) -> None:
    crowd = records.append_column("phone", pa.array(["+4930123456"] * len(records)))
    quality = linkage_quality(match_records(crowd, 0.9), records)

    assert quality.precision > 0.95


def test_says_nothing_and_leaves_no_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    level = logging.getLogger("splink").level
    assert match_records(people(30), 0.5).num_rows > 0

    assert capfd.readouterr() == ("", "")
    assert os.listdir(tmp_path) == []  # noqa: PTH208
    assert logging.getLogger("splink").level == level


@pytest.mark.parametrize("n", [0, 1, 2, LEAST_RECORDS - 1])
def test_too_few_records_match_nothing(records: pa.Table, n: int) -> None:
    result = match_records(records.slice(0, n), 0.5)

    assert result.num_rows == 0
    assert result.schema.types == [pa.string(), pa.string(), pa.float64()]


def test_the_least_number_of_records_is_enough(records: pa.Table) -> None:
    assert match_records(records.slice(0, LEAST_RECORDS), 0.5).num_rows > 0


def test_two_columns_are_enough_and_one_is_not(records: pa.Table) -> None:
    two = match_records(records.select(["record_key", "last_name", "birth_date"]), 0.5)

    assert linkage_quality(two, records).f1 > 0.9
    assert match_records(records.select(["record_key", "birth_date"]), 0.5).num_rows == 0


def test_where_names_are_missing_contacts_do(records: pa.Table) -> None:
    two = match_records(records.select(["record_key", "birth_date", "email"]), 0.5)

    assert two.num_rows > 0
    assert linkage_quality(two, records).precision > 0.9


def test_records_that_agree_on_nothing_match_nothing() -> None:
    strangers = pa.table(
        {
            "record_key": range(LEAST_RECORDS),
            "email": [f"{number}@x.org" for number in range(LEAST_RECORDS)],
            "birth_date": [f"{1950 + number}-01-01" for number in range(LEAST_RECORDS)],
        }
    )

    assert match_records(strangers, 0.5).num_rows == 0


@pytest.mark.parametrize("threshold", [0, -0.1, 1.01, float("nan")])
def test_an_impossible_threshold_is_refused(records: pa.Table, threshold: float) -> None:
    with pytest.raises(ValueError, match="more than 0 and at most 1"):
        match_records(records, threshold)


@pytest.mark.parametrize(
    ("records", "message"),
    [
        (pa.table({"email": ["a"]}), "no column record_key"),
        (pa.table({"record_key": ["a", None]}), "1 empty"),
        (pa.table({"record_key": ["a", "a"]}), "repeated"),
    ],
)
def test_records_without_proper_keys_are_refused(records: pa.Table, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        match_records(records, 0.5)


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=8),
)
def test_quality_counts_pairs_of_joined_records(
    clusters: list[int], ends: list[tuple[int, int]]
) -> None:
    n = len(clusters)
    ends = [(left % n, right % n) for left, right in ends]
    joined = list(range(n))
    for _ in range(n):
        for left, right in ends:
            joined[left] = joined[right] = min(joined[left], joined[right])
    every_pair = [(left, right) for right in range(n) for left in range(right)]
    found = {pair for pair in every_pair if joined[pair[0]] == joined[pair[1]]}
    true = {pair for pair in every_pair if clusters[pair[0]] == clusters[pair[1]]}

    quality = linkage_quality(
        pa.table(
            {
                "left_key": pa.array([end[0] for end in ends], pa.int64()),
                "right_key": pa.array([end[1] for end in ends], pa.int64()),
            }
        ),
        pa.table({"record_key": list(range(n)), "cluster": clusters}),
    )

    assert quality == LinkageQuality(found=len(found), true=len(true), right=len(found & true))


def test_quality_of_nothing_is_whole_and_of_strangers_is_refused() -> None:
    nothing = LinkageQuality(found=0, true=0, right=0)
    assert (nothing.precision, nothing.recall, nothing.f1) == (1, 1, 1)
    with pytest.raises(ValueError, match="1 pairs have a right_key that is no record"):
        linkage_quality(
            pa.table({"left_key": [1], "right_key": [2]}),
            pa.table({"record_key": [1], "cluster": [0]}),
        )


def test_beats_the_best_published_quality_and_the_exact_rules() -> None:
    records = read_labelled(reference_data("identity", "fake_1000.csv"))
    probable = linkage_quality(match_records(records, THRESHOLD), records)
    exact = linkage_quality(deterministic_pairs(records), records)

    assert probable.true == 2_031
    assert probable.f1 >= BEST_PUBLISHED_F1
    assert probable.precision > 0.99
    assert exact.f1 < probable.f1
    assert exact.precision > 0.9


def test_exact_rules_ask_for_both_contacts_where_there_are_both() -> None:
    records = pa.table(
        {
            "record_key": [1, 2, 3, 4, 5],
            "first_name": ["Ann", "ann ", None, "Bob", "Ann"],
            "email": ["a@x.org", "A@x.org", "a@x.org", "a@x.org", "a@x.org"],
            "phone": ["1", "1", "1", "1", "2"],
        }
    )
    both = deterministic_pairs(records)
    email_alone = deterministic_pairs(records.drop_columns("phone"))
    no_contact = deterministic_pairs(records.select(["record_key", "first_name"]))

    assert both.to_pydict() == {"left_key": [1, 1, 2, 3], "right_key": [2, 3, 3, 4]}
    assert email_alone.num_rows == both.num_rows + 3
    assert no_contact.num_rows == 0


def write_labelled(path: Path, records: pa.Table) -> None:
    names = {"record_key": "unique_id", "last_name": "surname", "birth_date": "dob"}
    columns = [names.get(column, column) for column in records.column_names]
    pyarrow.csv.write_csv(records.rename_columns(columns), path)


def test_the_command_compares_rules_probability_and_both(tmp_path: Path, records: pa.Table) -> None:
    file = tmp_path / "labelled.csv"
    write_labelled(file, records)
    result = CliRunner().invoke(app, ["benchmark", "identity", "--linkage", str(file)])

    assert result.exit_code == 0
    rows = [line.split() for line in result.stdout.splitlines()]
    assert {row[0] for row in rows if row} >= {"deterministic", "probabilistic", "both"}
    default = next(row for row in rows if row[:2] == ["both", f"{THRESHOLD:g}"])
    assert float(default[4]) > 0.95


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "Cannot read"),
        ("unique_id,email\n1,a@x.org\n", "has no column cluster"),
    ],
)
def test_the_command_says_what_is_wrong_with_a_file(
    tmp_path: Path, content: str | None, message: str
) -> None:
    file = tmp_path / "labelled.csv"
    if content is not None:
        file.write_text(content)
    result = CliRunner().invoke(app, ["benchmark", "identity", "--linkage", str(file)])

    assert result.exit_code == 1
    assert message in result.stderr
