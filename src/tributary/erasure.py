"""Find one person in a warehouse and in its publications, and take the person out of them.

A person is known by ids and contacts of a source. The working file of the builds says which those
are, as far as they are still delivered; the marts of a publication say as much of ids as was
delivered then, and nothing of contacts. A publication keeps its rows, so that everything in it adds
up to what it did, but ids in the person's rows give way to tokens that mean nothing.
"""

import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import duckdb
import pyarrow as pa

from tributary.contacts import parse_emails, parse_phones
from tributary.suppression import PersonKey

KINDS_OF_KEY = ("person_id", "user_id", "customer_id", "phone", "email")

CONTACTS = {
    "phone": "restricted.int_phone_numbers",
    "email": "restricted.int_email_addresses",
}
"""Kind of contact, which is also the column of its one spelling, and the table that has both."""

ENTITIES_WITH_CONTACTS = frozenset({"customer", "call", "form"})

LINKS = "marts.fct_identity_links"
_LINK_COLUMNS = ("source", "person_id", "entity", "entity_key", "evidence")

# What the columns of marts that name somebody's things hold. A token is made for each value.
_COLUMNS = {
    "person_id": "person",
    "customer_id": "customer",
    "user_id": "user",
    "conversion_id": "conversion",
    "conv_id": "conversion",
    "touchpoint_id": "touchpoint",
    "session_id": "touchpoint",
}

# What the columns of the input hold.
_INPUT_COLUMNS = {
    "user_id": "user",
    "visitor_id": "user",
    "customer_id": "customer",
    "call_id": "call",
    "link_id": "form",
    "contact_number": "phone",
    "phone": "phone",
    "email": "email",
    "conversion_id": "conversion",
    "session_id": "touchpoint",
}

_TOKENS = pa.schema(
    [
        ("source", pa.string()),
        ("kind", pa.string()),
        ("value", pa.string()),
        ("token", pa.string()),
    ]
)


class Person(NamedTuple):
    """A person of a source."""

    source: str
    person_id: str


@dataclass(frozen=True)
class Traces:
    """By what a person is known.

    Attributes
    ----------
    person
        Who it is.
    keys
        Ids of users, customers, calls and forms, and contacts that are of nobody else.
    spellings
        Kind and value of every id and contact as the sources write them.
    shared_contacts
        How many contacts are of other persons too; they are not among the keys.
    others
        What a person is called besides where these traces are of, by which other places know it.
    without_contacts
        How many of the customers, calls and forms the working file has no row of: what contacts
        they have is not known.
    """

    person: Person
    keys: frozenset[PersonKey]
    spellings: frozenset[tuple[str, str]]
    shared_contacts: int
    others: frozenset[str] = frozenset()
    without_contacts: int = 0


@dataclass(frozen=True)
class Rewriting:
    """How the marts of a publication are to change, as `tributary.publishing.rewrite` takes it."""

    row_count: int
    columns: Mapping[str, Mapping[str, str]]
    tokens: pa.Table
    values: frozenset[tuple[str, str]] = field(default_factory=frozenset)


@dataclass(frozen=True)
class InputRows:
    """Rows of an input that are a person's; the count is None where it could not be read."""

    name: str
    row_count: int | None


def find_persons(
    warehouse: duckdb.DuckDBPyConnection,
    key: str,
    by: str | None = None,
    source: str | None = None,
    default_region: str = "US",
    email_rules: pa.Table | None = None,
) -> set[Person]:
    """Find whom a key names.

    Parameters
    ----------
    warehouse
        Open on the working file, or on a publication, which knows no contacts.
    key
        A person_id; or an id of a user or customer, a phone number or an address, however written.
    by
        One of KINDS_OF_KEY; else whatever fits, where a person_id comes before all others.
    source
        Of the persons; else any.
    default_region, email_rules
        As in `tributary.contacts`; without rules, addresses count as they are spelled.

    Returns
    -------
    set[Person]
        Empty if the key names nobody.
    """
    kinds = [by] if by else list(KINDS_OF_KEY)
    known = _known(warehouse)
    if "person_id" in kinds:
        named = _query(warehouse, f"from ({known.persons}) where person_id = $key", key=key)
        if named or by:
            return _of_source(named, source)
    found: set[Person] = set()
    for kind in ("user", "customer"):
        if f"{kind}_id" in kinds:
            found |= _query(
                warehouse,
                f"select source, person_id from ({known.links}) "  # noqa: S608 - names of marts
                "where entity = $kind and entity_key = $key "
                f"union from ({known.unlinked}) where person_id = $own_id",
                kind=kind,
                key=key,
                own_id=_own_id(kind, key),
            )
    for kind, table in CONTACTS.items():
        if kind in kinds and _has(warehouse, table):
            spelled = _spelled(kind, key, default_region, email_rules)
            found |= _query(
                warehouse,
                f"""
                select entity_persons.source, entity_persons.person_id
                from {table} as contacts
                inner join intermediate.int_entity_contacts as entity_contacts
                    on contacts.contact_hash = entity_contacts.contact_hash
                inner join intermediate.int_entity_persons as entity_persons
                    using (source, entity, entity_key)
                where contacts.contact_value = $key or contacts.{kind} = $spelled
                """,  # noqa: S608 - names of this module
                key=key,
                spelled=spelled,
            )
    return _of_source(found, source)


def traces_of(
    warehouse: duckdb.DuckDBPyConnection, person: Person, known_by: Iterable[PersonKey] = ()
) -> Traces:
    """Collect by what a person is known in the working file or in a publication.

    Parameters
    ----------
    warehouse
        Open on either.
    person
        As it is called there or elsewhere.
    known_by
        Keys by which it is known elsewhere: whoever has one of them is this person.
    """
    known = _known(warehouse)
    elsewhere = set(known_by)
    persons = {person.person_id, *(own.person_id for own in _find(warehouse, known, elsewhere))}
    own = {"source": person.source, "persons": sorted(persons)}
    entities: set[tuple[str, str]] = set(
        warehouse.execute(
            f"select entity, entity_key from ({known.links}) "  # noqa: S608 - names of marts
            "where source = $source and list_contains($persons, person_id)",
            own,
        ).fetchall()
    )
    if not entities and not elsewhere:
        # Nothing ties the person to anything: a cookie, or a customer only the billing knows.
        entities = {("user", person.person_id)}
        if person.person_id.startswith("customer:"):
            entities.add(("customer", person.person_id.removeprefix("customer:")))
    keys = {PersonKey(person.source, kind, value) for kind, value in entities}
    spellings = set(entities)
    shared = 0
    for kind, table in CONTACTS.items():
        if not _has(warehouse, table):
            continue
        rows = warehouse.execute(
            f"""
            with persons as (

                select
                    contacts.contact_hash,
                    max(not list_contains($persons, entity_persons.person_id)) as is_shared
                from intermediate.int_entity_contacts as contacts
                inner join intermediate.int_entity_persons as entity_persons
                    using (source, entity, entity_key)
                where contacts.source = $source and contacts.contact_type = '{kind}'
                group by contacts.contact_hash
                having max(list_contains($persons, entity_persons.person_id))

            )

            select values.contact_value, values.{kind}, persons.is_shared
            from persons
            inner join {table} as values using (contact_hash)
            """,  # noqa: S608 - names of this module
            own,
        ).fetchall()
        shared += len({spelled for _, spelled, is_shared in rows if is_shared})
        for written, spelled, is_shared in rows:
            if not is_shared:
                keys.add(PersonKey(person.source, kind, spelled))
                spellings |= {(kind, written), (kind, spelled)}
    return Traces(
        person,
        frozenset(keys),
        frozenset(spellings),
        shared,
        frozenset(persons - {person.person_id}),
    )


def traces_everywhere(
    working: duckdb.DuckDBPyConnection,
    publications: Sequence[duckdb.DuckDBPyConnection],
    traces: Traces,
) -> Traces:
    """Add to traces of one place all by which the others know the person, however indirectly.

    What is delivered no more, a publication still ties to the person: a login that became too old,
    customers whose file was missing from the last build.

    Parameters
    ----------
    working
        Open on the working file.
    publications
        Open on each that is kept.
    traces
        As any of these places has them.

    Returns
    -------
    Traces
        `others` are those whom the working file has as persons of their own.
    """
    keys = traces.keys
    while True:
        in_working, *published = (
            traces_of(place, traces.person, keys) for place in (working, *publications)
        )
        found = keys.union(in_working.keys, *(each.keys for each in published))
        if found == keys:
            break
        keys = found
    return replace(
        in_working,
        keys=keys,
        spellings=traces.spellings.union(
            in_working.spellings, *(each.spellings for each in published)
        ),
        without_contacts=len(
            {key for key in keys if key.kind in ENTITIES_WITH_CONTACTS} - in_working.keys
        ),
    )


def plan_rewriting(marts: duckdb.DuckDBPyConnection, traces: Iterable[Traces]) -> Rewriting:
    """Plan how ids of persons give way to tokens in the marts of a publication.

    Parameters
    ----------
    marts
        Open on the DuckDB file of the publication.
    traces
        Of the persons. Who had fewer ids or more when this was published is found by any of them.

    Returns
    -------
    Rewriting
        Which rows name the persons, what takes the place of which columns, and the table `tokens`
        that the expressions read. Each value has one token, so that rows which shared an id still
        do, and tables still join. `values` are the kinds and ids that went.
    """
    known = _known(marts)
    persons = _find(marts, known, {key for each in traces for key in each.keys})
    values = {(source, "person", person_id) for source, person_id in persons}
    for source, entity, entity_key, evidence in marts.execute(
        f"select source, entity, entity_key, evidence from ({known.links}) "  # noqa: S608
        "semi join erased_persons using (source, person_id)"
    ).fetchall():
        # Evidence names the entity next on the way: in the person's rows, or for others this one.
        values |= {
            (source, entity, entity_key),
            (source, "evidence", f"{_evidence(entity)} {entity_key}"),
            *([(source, "evidence", evidence)] if evidence else []),
        }
    row_count = 0
    for table, columns in known.tables.items():
        if not {"source", "person_id"} <= columns:
            continue
        named = sorted(columns & _COLUMNS.keys())
        rows = marts.execute(
            f"select source, {', '.join(named)} from marts.{table} "  # noqa: S608
            "semi join erased_persons using (source, person_id)"
        ).fetchall()
        row_count += len(rows)
        for source, *ids in rows:
            values |= {
                (source, _COLUMNS[column], value)
                for column, value in zip(named, ids, strict=True)
                if value is not None
            }
    tokens = [
        (source, kind, value, f"erased-{secrets.token_hex(8)}")
        for source, kind, value in sorted(values)
    ]
    return Rewriting(
        row_count=row_count,
        columns=_expressions(known.tables) if persons else {},
        tokens=pa.table(_columns_of(tokens, _TOKENS.names), schema=_TOKENS),
        values=frozenset((kind, value) for _, kind, value in values if kind != "evidence"),
    )


def input_rows(
    warehouse: duckdb.DuckDBPyConnection,
    values: Iterable[tuple[str, str]],
    extensions: Path | None = None,
) -> list[InputRows]:
    """Find the input that still has rows of persons, which only its owner can remove there.

    Parameters
    ----------
    warehouse
        Open on the working file, whose schemas raw_<source> know where the input is.
    values
        Kind and value of ids and contacts as written.
    extensions
        Folder of DuckDB's extensions, for SQLite databases.

    Returns
    -------
    list[InputRows]
        By file, or by entity where that is a table; only those that have rows or cannot be read.
    """
    by_kind: dict[str, list[str]] = {}
    for kind, value in values:
        by_kind.setdefault(kind, []).append(value)
    found = []
    with duckdb.connect() as reader:
        if extensions:
            reader.execute("set extension_directory = ?", [str(extensions)])
        for schema, view, sql in warehouse.execute(
            "select schema_name, view_name, sql from duckdb_views() "
            "where schema_name like 'raw\\_%' escape '\\' order by all"
        ).fetchall():
            name = f"{schema.removeprefix('raw_')}.{view}"
            for file, query in _queries(sql):
                row_count = _matching(reader, query, by_kind)
                if row_count != 0:
                    found.append(InputRows(file or name, row_count))
    return found


_FILES = re.compile(r"(?<=\()main\.list_value\(('(?:[^']|'')*'(?:, '(?:[^']|'')*')*)\)(?=, \()")


def _queries(view: str) -> list[tuple[str | None, str]]:
    """Split what a view reads into files, each with the query that reads it."""
    query = view.split(" AS ", 1)[1].rstrip(";")
    files = _FILES.search(query)
    if files is None:
        return [(None, query)]
    literals = re.findall(r"'(?:[^']|'')*'", files[1])
    before, after = query[: files.start()], query[files.end() :]
    return [
        (literal[1:-1].replace("''", "'"), f"{before}main.list_value({literal}){after}")
        for literal in literals
    ]


def _matching(
    reader: duckdb.DuckDBPyConnection, query: str, by_kind: Mapping[str, Sequence[str]]
) -> int | None:
    """Count the rows of a query that hold any of the values; None where it cannot be read."""
    try:
        columns = reader.execute(f"describe {query}").fetchall()
        conditions = []
        parameters = {}
        for column, column_type, *_ in columns:
            kind = _INPUT_COLUMNS.get(column)
            if kind is not None and kind in by_kind:
                parameters[kind] = by_kind[kind]
                conditions.append(
                    f'list_has_any("{column}", ${kind})'
                    if column_type.endswith("[]")
                    else f'list_contains(${kind}, trim(cast("{column}" as varchar)))'
                )
        if not conditions:
            return 0
        ((row_count,),) = reader.execute(
            f"select count(*) from ({query}) where {' or '.join(conditions)}",  # noqa: S608
            parameters,
        ).fetchall()
    except duckdb.Error:
        return None
    return int(row_count)


def _expressions(tables: Mapping[str, frozenset[str]]) -> dict[str, dict[str, str]]:
    """Say for each column that names somebody's things what takes its place."""
    expressions: dict[str, dict[str, str]] = {}
    for table, columns in tables.items():
        same_source = "tokens.source = mart.source and " if "source" in columns else ""
        kinds = {column: f"'{_COLUMNS[column]}'" for column in columns & _COLUMNS.keys()}
        if {"entity", "entity_key"} <= columns:
            kinds["entity_key"] = "mart.entity"
        if "evidence" in columns:
            kinds["evidence"] = "'evidence'"
        for column, kind in sorted(kinds.items()):
            expressions.setdefault(table, {})[column] = (
                f"coalesce((select max(tokens.token) from tokens where {same_source}"  # noqa: S608
                f"tokens.kind = {kind} and tokens.value = mart.{column}), mart.{column})"
            )
    return expressions


class _Known(NamedTuple):
    """What the marts say of persons: their columns by name, and queries of persons and links."""

    tables: Mapping[str, frozenset[str]]
    persons: str
    links: str
    unlinked: str


def _known(connection: duckdb.DuckDBPyConnection) -> _Known:
    """Look which marts name persons, of which a project may have fewer or more."""
    tables = {
        name: frozenset(columns)
        for name, columns in connection.execute(
            "select table_name, list(column_name) from information_schema.columns "
            "where table_schema = 'marts' and table_catalog = current_database() "
            "group by table_name order by table_name"
        ).fetchall()
    }
    columns = ", ".join(_LINK_COLUMNS)
    nobody = f"select {columns} from (values ('', '', '', '', '')) as one({columns}) where false"  # noqa: S608
    has_links = LINKS.removeprefix("marts.") in tables
    links = f"select {columns} from {LINKS}" if has_links else nobody  # noqa: S608 - constants
    persons = " union ".join(
        [
            f"select source, person_id from ({nobody})",  # noqa: S608 - names of marts
            *(
                f'select source, person_id from marts."{name}"'  # noqa: S608
                for name, columns in tables.items()
                if {"source", "person_id"} <= columns
            ),
        ]
    )
    unlinked = f"from ({persons}) anti join ({links}) using (source, person_id)"
    return _Known(tables, persons, links, unlinked)


def _find(
    connection: duckdb.DuckDBPyConnection, known: _Known, keys: Iterable[PersonKey]
) -> set[Person]:
    """Find who has any of the keys, and leave it in the table `erased_persons`."""
    connection.register(
        "erased_keys",
        pa.table(
            _columns_of(
                [(key.source, key.kind, key.value, _own_id(key.kind, key.value)) for key in keys],
                ("source", "entity", "entity_key", "person_id"),
            )
        ),
    )
    connection.execute(
        f"""
        create or replace temporary table erased_persons as
        select source, person_id from ({known.links})
        semi join erased_keys using (source, entity, entity_key)
        union
        from ({known.unlinked}) semi join erased_keys using (source, person_id)
        """  # noqa: S608 - names of marts
    )
    return _query(connection, "from erased_persons")


def _query(connection: duckdb.DuckDBPyConnection, sql: str, **values: str | None) -> set[Person]:
    """Query persons: source and person_id."""
    return {Person(*row) for row in connection.execute(sql, values or None).fetchall()}


def _has(connection: duckdb.DuckDBPyConnection, table: str) -> bool:
    schema, name = table.split(".")
    rows = connection.execute(
        "select 1 from information_schema.tables where table_schema = $schema "
        "and table_name = $name and table_catalog = current_database()",
        {"schema": schema, "name": name},
    ).fetchall()
    return bool(rows)


def _spelled(kind: str, text: str, region: str, rules: pa.Table | None) -> str | None:
    """Bring a contact into its one spelling; None where it has none."""
    values = pa.array([text], pa.string())
    if kind == "phone":
        parsed = parse_phones(values, region)["e164"]
    else:
        no_rules = pa.table(_columns_of([], ("domain", "rule")))
        parsed = parse_emails(values, no_rules if rules is None else rules)["email"]
    spelled: list[str | None] = parsed.to_pylist()
    return spelled[0] if spelled else None


def _of_source(persons: Iterable[Person], source: str | None) -> set[Person]:
    return {person for person in persons if source in (None, person.source)}


def _own_id(kind: str, value: str) -> str:
    """Name the person of an entity that nothing is tied to, as the macro own_person_id does."""
    return value if kind == "user" else f"{kind}:{value}"


def _evidence(entity: str) -> str:
    """Say how evidence calls an entity."""
    return "cookie" if entity == "user" else entity


def _columns_of(rows: Iterable[tuple[str, ...]], names: Sequence[str]) -> dict[str, pa.Array]:
    listed = list(rows)
    return {
        name: pa.array([row[position] for row in listed], pa.string())
        for position, name in enumerate(names)
    }
