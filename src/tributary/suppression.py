"""Keep persons who were erased from coming back with the next delivery.

The list of erased persons holds no id and no contact, only keyed hashes of them: whoever has the
list and not the key cannot tell who is on it, not even by trying all phone numbers there are. A
build hashes what the sources deliver under the same key and leaves out what is on the list.
"""

import csv
import hashlib
import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from tributary.contacts import HASH_DIGITS, hash_contacts, parse_emails, parse_phones
from tributary.publishing import bring_to_disk

ERASED_PERSONS_FILE = "erased_persons.csv"

KEY_CHECK = "key_check"
"""Kind of the entry by which a list tells under which key it was made."""

CHECKSUM = "checksum"
"""Kind of the entry by which a list tells whether it is whole; lists had none once."""

_HEADER = ("kind", "key_hash")
_SEPARATOR = "\x1f"

ERASED_KEYS = pa.schema([("kind", pa.string()), ("key_digest", pa.string()), ("salt", pa.string())])


class PersonKey(NamedTuple):
    """Something by which a source names a person.

    Attributes
    ----------
    source
        Ids and contacts are a source's own, as persons are.
    kind
        user, customer, call, form, phone or email.
    value
        The id as delivered; a phone number in its international form, an address in its one
        spelling (`tributary.contacts`).
    """

    source: str
    kind: str
    value: str


def hash_keys(keys: Iterable[PersonKey], secret: bytes) -> list[tuple[str, str]]:
    """Hash keys of persons for the list.

    Parameters
    ----------
    keys
        Of one or more persons.
    secret
        The key of the hashes, at least 16 bytes.

    Returns
    -------
    list[tuple[str, str]]
        Kind and hash of each, sorted; the first 32 hexadecimal digits of an HMAC-SHA256.

    Raises
    ------
    ValueError
        If the secret is too short.
    """
    listed = list(keys)
    texts = pa.array([_text(*key) for key in listed], pa.string())
    hashes = hash_contacts(texts, secret).to_pylist()
    return sorted({(key.kind, digest) for key, digest in zip(listed, hashes, strict=True)})


def read_list(path: Path) -> set[tuple[str, str]]:
    """Read a list of erased persons: kind and hash of each entry; empty where there is no file.

    Raises
    ------
    ValueError
        If what is there is no such list.
    """
    if not path.is_file():
        return set()
    # Spreadsheets put a byte-order mark before the header.
    with path.open(newline="", encoding="utf-8-sig") as file:
        header, *rows = [tuple(row) for row in csv.reader(file) if row] or [()]
    if header != _HEADER or not rows or any(len(row) != len(_HEADER) for row in rows):
        raise ValueError(
            f"{path} is not the list of erased persons that tributary erase wrote: a line "
            f"{','.join(_HEADER)}, then two values a line. Restore it from a backup."
        )
    return {(kind, digest) for kind, digest in rows}


def add_to_list(path: Path, keys: Iterable[PersonKey], secret: bytes) -> int:
    """Add keys to the list of erased persons, which stays whole whatever happens.

    Parameters
    ----------
    path
        Of the list, which is made if it is not there; its owner alone may read it.
    keys
        Of the persons who are erased.
    secret
        The key of the hashes.

    Returns
    -------
    int
        How many keys were not on the list.

    Raises
    ------
    ValueError
        If the list was made under another secret, or is not whole.
    """
    listed = read_list(path)
    check_list(listed, secret)
    known = {entry for entry in listed if entry[0] != CHECKSUM}
    entries = known | set(hash_keys(keys, secret)) | {_key_check(secret)}
    # The checksum comes first, so that a list that is cut off still has it.
    lines = [_HEADER, (CHECKSUM, _checksum(entries)), *sorted(entries)]
    write_private(path, "".join(f"{kind},{digest}\n" for kind, digest in lines))
    return len(entries - known - {_key_check(secret)})


def write_private(path: Path, text: str) -> None:
    """Write a file that its owner alone may read: all of it, or what was there stays."""
    partial = path.with_name(f".partial-{path.name}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    bring_to_disk(path.parent)


def check_list(listed: set[tuple[str, str]], secret: bytes) -> None:
    """Refuse a list that would let back in who is or was on it.

    Raises
    ------
    ValueError
        If it was made under another secret, or is not what was written; or if the secret is too
        short for any list.
    """
    checksums = {value for kind, value in listed if kind == CHECKSUM}
    if checksums and checksums != {_checksum(listed)}:
        raise ValueError(
            "The list of erased persons was cut off or changed: who is missing would come back. "
            f"Restore it from a backup ({ERASED_PERSONS_FILE})."
        )
    # Asked also where nothing is listed: a secret that is too short is refused here.
    own_check = _key_check(secret)
    if listed and own_check not in listed:
        raise ValueError(
            "The list of erased persons was made under another TRIBUTARY_HASH_KEY. Set that key: "
            f"under this one nobody on the list would be recognised ({ERASED_PERSONS_FILE})."
        )


def find_erased_keys(
    hashes: pa.Table,
    delivered: pa.Table,
    secret: bytes,
    default_region: str,
    email_rules: pa.Table,
) -> pa.Table:
    """Find which of the ids and contacts that sources deliver belong to erased persons.

    Parameters
    ----------
    hashes
        The list: columns kind and key_hash.
    delivered
        Columns source, kind and value, strings: every distinct id, phone number and e-mail address
        as delivered.
    secret
        The key of the hashes.
    default_region
        Of phone numbers, as in `tributary.contacts.parse_phones`.
    email_rules
        As in `tributary.contacts.parse_emails`.

    Returns
    -------
    pa.Table
        One row per key that is on the list: kind, key_digest and salt. A digest is the MD5 of salt,
        source and value, so that rows can be compared in SQL and the ids themselves are nowhere. A
        salt is random and serves one build.

    Raises
    ------
    ValueError
        If the list was made under another secret, or is not whole.
    """
    listed = set(zip(*(hashes[name].to_pylist() for name in _HEADER), strict=True))
    check_list(listed, secret)
    spellings: dict[str, Mapping[str, str | None]] = {}
    if any(kind == "phone" for kind, _ in listed):
        phones = parse_phones(_values(delivered, "phone"), default_region)
        spellings["phone"] = _pairs(phones, "number", "e164")
    if any(kind == "email" for kind, _ in listed):
        emails = parse_emails(_values(delivered, "email"), email_rules)
        spellings["email"] = _pairs(emails, "address", "email")
    salt = secrets.token_hex(16)
    found: dict[str, list[str]] = {"kind": [], "text": []}
    for kind in sorted({kind for kind, _ in listed} - {CHECKSUM, KEY_CHECK}):
        keys = delivered.filter(pc.field("kind") == kind)
        sources, values = keys["source"].to_pylist(), keys["value"].to_pylist()
        spelling = spellings.get(kind)
        spelled = values if spelling is None else [spelling.get(value) for value in values]
        texts = [
            None if value is None else _text(source, kind, value)
            for source, value in zip(sources, spelled, strict=True)
        ]
        digests = hash_contacts(pa.array(texts, pa.string()), secret).to_pylist()
        for source, value, digest in zip(sources, values, digests, strict=True):
            if (kind, digest) in listed:
                found["kind"].append(kind)
                found["text"].append(_SEPARATOR.join((salt, source, value)))
    return pa.table(
        [
            pa.array(found["kind"], pa.string()),
            pa.array([_digest(text) for text in found["text"]], pa.string()),
            pa.array([salt] * len(found["kind"]), pa.string()),
        ],
        schema=ERASED_KEYS,
    )


def _digest(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _text(source: str, kind: str, value: str) -> str:
    """Give what is hashed: an id of one kind and source is not the same one of another."""
    return _SEPARATOR.join((kind, source, value))


def _key_check(secret: bytes) -> tuple[str, str]:
    ((_, digest),) = hash_keys([PersonKey("", KEY_CHECK, ERASED_PERSONS_FILE)], secret)
    return KEY_CHECK, digest


def _checksum(entries: Iterable[tuple[str, str]]) -> str:
    texts = sorted(f"{kind},{digest}" for kind, digest in entries if kind != CHECKSUM)
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:HASH_DIGITS]


def _values(delivered: pa.Table, kind: str) -> pa.Array:
    return delivered.filter(pc.field("kind") == kind)["value"].combine_chunks()


def _pairs(parsed: pa.Table, written: str, spelled: str) -> dict[str, str | None]:
    return dict(zip(parsed[written].to_pylist(), parsed[spelled].to_pylist(), strict=True))
