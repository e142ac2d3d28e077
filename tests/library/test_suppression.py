"""Who is on the list of erased persons is recognised, and nobody can read who that is."""

import errno
import re
import stat
from pathlib import Path

import pyarrow as pa
import pytest

from tributary.suppression import (
    KEY_CHECK,
    PersonKey,
    add_to_list,
    find_erased_keys,
    hash_keys,
    read_list,
    write_private,
)

SECRET = b"a secret that only tests have"
NO_RULES = pa.table({"domain": pa.array([], pa.string()), "rule": pa.array([], pa.string())})
ERASED = [
    PersonKey("crm", "customer", "k1"),
    PersonKey("crm", "phone", "+12127365001"),
    PersonKey("crm", "email", "zelda@northwind-mail.com"),
]


def found(listed: list[PersonKey], delivered: list[PersonKey], secret: bytes = SECRET) -> list[str]:
    """Kinds of the keys that are recognised."""
    entries = hash_keys([*listed, PersonKey("", KEY_CHECK, "erased_persons.csv")], SECRET)
    hashes = pa.table({"kind": [kind for kind, _ in entries], "key_hash": [h for _, h in entries]})
    keys = pa.table(
        {
            name: pa.array([key[position] for key in delivered], pa.string())
            for position, name in enumerate(PersonKey._fields)
        }
    )
    kinds: list[str] = find_erased_keys(hashes, keys, secret, "US", NO_RULES)["kind"].to_pylist()
    return kinds


def test_keys_are_recognised_however_contacts_are_written() -> None:
    delivered = [
        PersonKey("crm", "customer", "k1"),
        PersonKey("crm", "phone", "(212) 736-5001"),
        PersonKey("crm", "phone", "001 212 736 5001"),
        PersonKey("crm", "email", "Zelda@Northwind-Mail.com"),
    ]
    assert found(ERASED, delivered) == ["customer", "email", "phone", "phone"]


@pytest.mark.parametrize(
    "other",
    [
        PersonKey("shop", "customer", "k1"),
        PersonKey("crm", "user", "k1"),
        PersonKey("crm", "customer", "K1"),
        PersonKey("crm", "phone", "2127365002"),
        PersonKey("crm", "phone", "anonymous"),
        PersonKey("crm", "email", ""),
    ],
)
def test_nobody_else_is(other: PersonKey) -> None:
    assert found(ERASED, [other]) == []
    assert found([], [other]) == []


def test_a_list_of_another_secret_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="made under another TRIBUTARY_HASH_KEY"):
        found(ERASED, ERASED, secret=SECRET[::-1])
    path = tmp_path / "erased_persons.csv"
    add_to_list(path, ERASED, SECRET)
    with pytest.raises(ValueError, match="made under another TRIBUTARY_HASH_KEY"):
        add_to_list(path, ERASED, SECRET[::-1])


def test_a_list_grows_says_nothing_and_is_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "erased_persons.csv"
    assert read_list(path) == set()
    assert add_to_list(path, ERASED[:2], SECRET) == 2
    assert add_to_list(path, ERASED, SECRET) == 1
    assert {kind for kind, _ in read_list(path)} == {
        "checksum", "customer", "email", "key_check", "phone",
    }  # fmt: skip
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert not any(key.value in text for key in ERASED)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("lost", [1, 10, 38, 81])
def test_a_list_that_was_cut_off_is_refused(tmp_path: Path, lost: int) -> None:
    path = tmp_path / "erased_persons.csv"
    add_to_list(path, ERASED, SECRET)
    path.write_text(path.read_text()[: -lost - 1])
    with pytest.raises(ValueError, match="was cut off or changed: who is missing would come back"):
        add_to_list(path, ERASED, SECRET)
    kinds, hashes = zip(*sorted(read_list(path)), strict=True)
    listed = pa.table({"kind": kinds, "key_hash": hashes})
    delivered = pa.table({"source": ["crm"], "kind": ["customer"], "value": ["k1"]})
    with pytest.raises(ValueError, match="was cut off or changed"):
        find_erased_keys(listed, delivered, SECRET, "US", NO_RULES)


def test_a_full_disk_leaves_no_half_of_a_private_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "open_erasure.json"
    write_private(path, "before")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_private(path, "somebody")
    assert [each.read_text() for each in tmp_path.iterdir()] == ["before"]


def test_a_list_of_which_the_header_is_left_lets_nobody_in() -> None:
    # What int_erased_hashes makes of it.
    nothing = pa.table({"kind": ["checksum"], "key_hash": [""]})
    delivered = pa.table({"source": ["crm"], "kind": ["customer"], "value": ["k1"]})
    with pytest.raises(ValueError, match="was cut off or changed"):
        find_erased_keys(nothing, delivered, SECRET, "US", NO_RULES)


def test_a_list_without_a_checksum_is_read_and_gets_one(tmp_path: Path) -> None:
    path = tmp_path / "erased_persons.csv"
    add_to_list(path, ERASED[:2], SECRET)
    path.write_text(re.sub("checksum.*\n", "", path.read_text()))
    assert add_to_list(path, ERASED, SECRET) == 1
    assert path.read_text().startswith("kind,key_hash\nchecksum,")


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_list_that_a_spreadsheet_saved_is_read(tmp_path: Path, end: str) -> None:
    path = tmp_path / "erased_persons.csv"
    add_to_list(path, ERASED, SECRET)
    before = read_list(path)
    path.write_text(path.read_text() + end, encoding="utf-8-sig")
    assert read_list(path) == before


@pytest.mark.parametrize(
    "content", ["", "kind;key_hash\n", "customer,1f\n", "kind,key_hash\nx\n", "kind,key_hash\n"]
)
def test_what_is_no_list_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "erased_persons.csv"
    path.write_text(content)
    with pytest.raises(ValueError, match="is not the list of erased persons that tributary erase"):
        read_list(path)


def test_digests_of_two_builds_have_nothing_in_common() -> None:
    entries = hash_keys([*ERASED, PersonKey("", KEY_CHECK, "erased_persons.csv")], SECRET)
    hashes = pa.table({"kind": [kind for kind, _ in entries], "key_hash": [h for _, h in entries]})
    keys = pa.table({"source": ["crm"], "kind": ["customer"], "value": ["k1"]})
    one, two = (find_erased_keys(hashes, keys, SECRET, "US", NO_RULES) for _ in range(2))
    assert one["key_digest"] != two["key_digest"]
    assert "k1" not in one["key_digest"].to_pylist()
