"""tributary erase: take a person out of all that was built, and keep the person out."""

import contextlib
import importlib.metadata
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import duckdb
import pyarrow as pa
import typer

from tributary.build_lock import LOCK_FILE
from tributary.cli.build import (
    Places,
    locked,
    log_of,
    places_of,
    project_file,
    recover,
    target_of_dbt,
)
from tributary.cli.console import DEFAULT_WAREHOUSE, WarehouseOption, fail, open_warehouse, say
from tributary.erasure import (
    Person,
    Rewriting,
    Traces,
    find_persons,
    input_rows,
    plan_rewriting,
    traces_everywhere,
    traces_of,
)
from tributary.hash_key import DEMO_KEY, hash_key
from tributary.publishing import GENERATIONS, MANIFEST, generations, new_generation, rewrite
from tributary.runs import ERASED, PUBLISHED, Run, append_run, read_runs, timestamp
from tributary.suppression import (
    ERASED_PERSONS_FILE,
    PersonKey,
    add_to_list,
    check_list,
    hash_keys,
    read_list,
    write_private,
)

EVERY_SOURCE = "all"
EXTENSIONS = Path(".venv/duckdb_extensions")


class KeyKind(StrEnum):
    """What a key may be."""

    PERSON_ID = "person_id"
    USER_ID = "user_id"
    CUSTOMER_ID = "customer_id"
    PHONE = "phone"
    EMAIL = "email"


def erase_command(
    person: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY",
            help="A person_id; or a user id, customer id, phone number or e-mail address. "
            "Repeat it for several persons. Without it, an erasure that was cut off is finished.",
        ),
    ] = None,
    by: Annotated[
        KeyKind | None, typer.Option(help="What KEY is, where it could be several things.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(help="Of which source, where several know KEY; all: one person of each."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    warehouse: WarehouseOption = DEFAULT_WAREHOUSE,
) -> None:
    """Remove a person from all that was built here, and keep the person out of later builds.

    In publications, rows stay and ids become tokens, so that everything adds up as before. The
    working file and logs go; the next build makes them anew. Ids and contacts are put on a list,
    as keyed hashes, by which later builds leave the person out. What cannot be undone is asked
    first.
    """
    project_file()
    places = places_of(warehouse)
    if not places.open_erasure.is_file() and not places.warehouse.is_file():
        raise fail(
            f"There is no working file at {places.warehouse}: only it knows all that a person is "
            "known by. Make it with: tributary build; then erase."
        )
    keys = sorted(set(person or ()))
    asked = {"keys": keys, "by": by, "source": source}
    try:
        with locked(places.folder, wait=False), locked(target_of_dbt() / "build", wait=False):
            recover(places)
            _check_publications(places)
            erasure = _begun(places, asked)
            is_agreed = yes or erasure is not None
            if erasure is None:
                with open_warehouse(places.warehouse) as working:
                    traces = _traces(working, places, keys, by, source)
                began = datetime.now(UTC)
                erasure = _Erasure(new_generation(began), timestamp(began), asked, traces)
            secret = _secret(places, erasure.traces)
            plans = _plans(places, erasure.traces)
            values = {value for each in erasure.traces for value in each.spellings}
            values = values.union(*(plan.values for plan in plans.values()))
            rows = []
            if places.warehouse.is_file():
                with open_warehouse(places.warehouse) as working:
                    values |= plan_rewriting(working, erasure.traces).values
                    say.print("Looking for rows in the input …")
                    rows = input_rows(working, values, EXTENSIONS.absolute())
            _say_plan(erasure.traces, plans)
            if not is_agreed:
                typer.confirm("Erase? This cannot be undone", abort=True, err=True)
            _erase(places, erasure, plans, secret, {value for _, value in values})
    except OSError as error:
        stopped = f"{error.strerror or error}: {error.filename or places.folder}."
        raise fail(f"{stopped} {_what_now(places)}") from None
    except (duckdb.Error, ValueError) as error:
        raise fail(f"{error} {_what_now(places)}") from None
    for each in rows:
        count = "cannot be read now; look there" if each.row_count is None else each.row_count
        say.print(f"Still in your input: {each.name}: {count}")
    say.print(
        "Next: remove the rows from your own input, backups and exports; then tributary build, "
        "which leaves the person out whether you have done so or not."
    )


@dataclass(frozen=True)
class _Erasure:
    """An erasure: as which run it is logged, how it was asked for, and of whom it is."""

    run_id: str
    started_at: str
    asked: Mapping[str, Any]
    traces: list[Traces]

    def as_json(self) -> str:
        """Write what it takes to finish this, whatever becomes of the files that persons are in."""
        traces = [
            {
                **each.person._asdict(),
                "keys": sorted(each.keys),
                "spellings": sorted(each.spellings),
            }
            for each in self.traces
        ]
        return json.dumps({**vars(self), "traces": traces})

    @classmethod
    def of_json(cls, text: str) -> "_Erasure":
        """Read what `as_json` wrote."""
        content = json.loads(text)
        traces = [
            Traces(
                Person(each["source"], each["person_id"]),
                frozenset(PersonKey(*key) for key in each["keys"]),
                frozenset((kind, value) for kind, value in each["spellings"]),
                shared_contacts=0,
            )
            for each in content["traces"]
        ]
        return cls(**{**content, "traces": traces})


def _begun(places: Places, asked: Mapping[str, Any]) -> _Erasure | None:
    """Read the erasure that was cut off, if there is one: then nothing else can be asked for."""
    if not places.open_erasure.is_file():
        if not asked["keys"]:
            raise fail("No erasure was cut off. Say who is to be erased: --person KEY.")
        return None
    erasure = _Erasure.of_json(places.open_erasure.read_text(encoding="utf-8"))
    if asked["keys"] and asked != erasure.asked:
        raise fail(
            "Another erasure was not finished. Finish it first, with its own command or only: "
            "tributary erase. Then: tributary build, and this command again. Nothing was changed."
        )
    say.print(f"This erasure began at {erasure.started_at} and was not finished; it goes on.")
    return erasure


def _what_now(places: Places) -> str:
    """Say how things stand after an error."""
    if places.open_erasure.is_file():
        return "The erasure is not finished: correct this and give the same command again."
    return "Nothing was changed."


def _check_publications(places: Places) -> None:
    """Refuse to begin where a publication cannot be rewritten, which would stop it half-way."""
    for name in generations(places.folder):
        folder = places.folder / GENERATIONS / name
        try:
            json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            with _publication(places, name):
                pass
        except (OSError, ValueError, duckdb.Error) as error:
            raise fail(
                f"The publication {folder} is not whole: {error}. Nobody can be erased from it. "
                f"Restore it from a backup, or remove what is left: rm -rf {folder}; then erase. "
                "Nothing was changed."
            ) from None


def _traces(
    working: duckdb.DuckDBPyConnection,
    places: Places,
    keys: Iterable[str],
    by: str | None,
    source: str | None,
) -> list[Traces]:
    """Find by what each person is known, in the working file and in every publication.

    The working file says whom a key names; what it does not know, the newest publication that does.
    """
    settings: Mapping[str, Any] = {}
    for run in read_runs(places.log):
        if run.status == PUBLISHED:
            settings = run.settings
    region = str(settings.get("default_phone_region") or "US")
    rules = _email_rules(working, settings)

    def search(marts: duckdb.DuckDBPyConnection, key: str) -> list[Traces]:
        one_source = None if source == EVERY_SOURCE else source
        persons = find_persons(marts, key, by, one_source, region, rules)
        _check_unambiguous(key, persons, source == EVERY_SOURCE)
        return [traces_of(marts, each) for each in sorted(persons)]

    found: dict[Person, Traces] = {}
    with contextlib.ExitStack() as stack:
        publications = [
            stack.enter_context(_publication(places, name))
            for name in reversed(generations(places.folder))
        ]
        for key in keys:
            named: list[Traces] = []
            for place in (working, *publications):
                named = named or search(place, key)
            if not named:
                raise fail(
                    f"{key} is nobody here: no {by or 'person, user, customer or contact'} of "
                    f"{source or 'any source'} is called so, in the working file or in what is "
                    "published. Nothing was changed."
                )
            for each in named:
                # Who was named by another key already, as publications know, is one person.
                if not any(each.keys <= known.keys for known in found.values()):
                    found[each.person] = traces_everywhere(working, publications, each)
    return list(found.values())


def _check_unambiguous(key: str, persons: set[Person], one_of_each: bool) -> None:
    """Refuse a key of several persons, unless they are of sources that all are meant."""
    sources = {person.source for person in persons}
    if len(persons) <= 1 or (one_of_each and len(sources) == len(persons)):
        return
    named = ", ".join(f"{each.person_id} ({each.source})" for each in sorted(persons)[:5])
    raise fail(
        f"{key} is of {len(persons)} persons: {named}. Say which: --source NAME (or "
        f"{EVERY_SOURCE}, if they are one), --by {', '.join(KeyKind)}, or the person_id as KEY. "
        "Nothing was changed."
    )


def _email_rules(
    working: duckdb.DuckDBPyConnection, settings: Mapping[str, Any]
) -> pa.Table | None:
    """Read by which rules addresses were brought into one spelling."""
    try:
        return working.execute(
            "select domain, rule from seeds.email_rules "
            "where $use_provider_rules or rule in ('disposable', 'placeholder')",
            {
                "use_provider_rules": str(settings.get("email_provider_rules", True)).lower()
                != "false"
            },
        ).to_arrow_table()
    except duckdb.CatalogException:
        return None


def _secret(places: Places, traces: Iterable[Traces]) -> bytes:
    """Read the key of the hashes; only simulated people do with the public one.

    Raises
    ------
    ValueError
        If the list of erased persons cannot be added to under it.
    """
    secret = hash_key()
    if secret == DEMO_KEY.encode() and any(each.person.source != "demo" for each in traces):
        raise fail(
            "TRIBUTARY_HASH_KEY is not set. The list of erased persons is made under it, so that "
            "it tells nobody who is on it. Set the key that your builds have, or make one: "
            "export TRIBUTARY_HASH_KEY=$(openssl rand -hex 32)"
        )
    check_list(read_list(places.folder / ERASED_PERSONS_FILE), secret)
    return secret


@contextlib.contextmanager
def _publication(places: Places, name: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the marts of a generation."""
    file = places.folder / GENERATIONS / name / places.warehouse.name
    with duckdb.connect(str(file), read_only=True) as connection:
        yield connection


def _plans(places: Places, traces: list[Traces]) -> dict[str, Rewriting]:
    """Plan what changes in each generation that knows the persons."""
    plans = {}
    for name in generations(places.folder):
        with _publication(places, name) as marts:
            plan = plan_rewriting(marts, traces)
        if plan.row_count:
            plans[name] = plan
    return plans


def _say_plan(traces: list[Traces], plans: dict[str, Rewriting]) -> None:
    """Say who was found, and where."""
    for each in traces:
        kinds = Counter(key.kind for key in each.keys)
        known = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        say.print(f"Person {each.person.person_id} of {each.person.source}, known by: {known}.")
        if each.shared_contacts:
            say.print(
                f"{each.shared_contacts} contacts are of other persons too and are not put on the "
                "list of erased persons."
            )
        if each.others:
            say.print(
                "Publications tie to this person whom the working file has as others: "
                f"{', '.join(sorted(each.others))}. They are erased too."
            )
        if each.without_contacts:
            say.print(
                f"Of {each.without_contacts} of these customers, calls and forms the working file "
                "has no row of their own: what contacts they have is not known and not put on the "
                "list. If files were missing from the last build, put them back, tributary build, "
                "and then erase."
            )
    for name, plan in plans.items():
        say.print(f"Published in {name}: {plan.row_count:,} rows.")


def _erase(
    places: Places,
    erasure: _Erasure,
    plans: dict[str, Rewriting],
    secret: bytes,
    values: set[str],
) -> None:
    """Erase persons; each step can be done again, and the record of all goes last."""
    write_private(places.open_erasure, erasure.as_json())
    keys = [key for each in erasure.traces for key in each.keys]
    add_to_list(places.folder / ERASED_PERSONS_FILE, keys, secret)
    say.print(f"Put {len(hash_keys(keys, secret))} hashes on {ERASED_PERSONS_FILE}.")
    # Before publications, which say more of what may be in them.
    removed = _remove_files_with(values)
    if removed:
        say.print(f"Removed logs and artefacts of dbt that named the person: {len(removed)}.")
    for number, (name, plan) in enumerate(plans.items(), start=1):
        say.print(f"Rewriting {name} ({number} of {len(plans)}) …")
        erasures = _erasures(places, name)
        erasures.append({"run_id": erasure.run_id, "rows": plan.row_count})
        rewrite(
            places.folder,
            name,
            places.warehouse.name,
            plan.columns,
            {"tokens": plan.tokens},
            {"erasures": erasures},
        )
    if erasure.run_id not in {run.run_id for run in read_runs(places.log)}:
        append_run(places.log, _run(places, erasure))
    spill = places.warehouse.with_name(f"{places.warehouse.name}.tmp")
    shutil.rmtree(spill, ignore_errors=True)
    log_of(places.warehouse).unlink(missing_ok=True)
    places.warehouse.unlink(missing_ok=True)
    places.open_erasure.unlink()
    say.print("Removed the working file; the next build makes it anew.")


def _erasures(places: Places, generation: str) -> list[dict[str, Any]]:
    """Read from a manifest which erasures rewrote the generation, and how many of its rows."""
    manifest = places.folder / GENERATIONS / generation / MANIFEST
    erasures: list[dict[str, Any]] = json.loads(manifest.read_text(encoding="utf-8")).get(
        "erasures", []
    )
    return erasures


def _run(places: Places, erasure: _Erasure) -> Run:
    """Give the run that the log knows the erasure as."""
    rows = {
        name: each["rows"]
        for name in generations(places.folder)
        for each in _erasures(places, name)
        if each["run_id"] == erasure.run_id
    }
    return Run(
        run_id=erasure.run_id,
        status=ERASED,
        started_at=erasure.started_at,
        package_version=importlib.metadata.version("tributary"),
        settings={},
        seeds={},
        erased={
            "persons": len(erasure.traces),
            "keys": len({key for each in erasure.traces for key in each.keys}),
            "rows": rows,
        },
    ).ended(ERASED, datetime.now(UTC))


def _remove_files_with(values: set[str]) -> list[Path]:
    """Remove logs and artefacts of dbt in which one of the values occurs."""
    folders = {Path(os.environ.get("DBT_LOG_PATH", "logs")), target_of_dbt()}
    texts = [value.encode() for value in values]
    removed = []
    for path in sorted(path for folder in folders for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        # Whoever removes a lock lets in a second one; it names nobody.
        if path.name != LOCK_FILE and any(text in content for text in texts):
            path.unlink()
            removed.append(path)
    return removed
