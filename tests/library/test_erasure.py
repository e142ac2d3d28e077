"""A person is found by any key, and taken out of marts that otherwise stay what they were."""

import errno
import os
import pkgutil
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import duckdb
import pytest
from typer.testing import CliRunner, Result

from processes import PROCESSES
from tributary.build_lock import LOCK_FILE, build_lock
from tributary.cli import app
from tributary.cli.erase import _remove_files_with
from tributary.erasure import (
    InputRows,
    Person,
    find_persons,
    input_rows,
    plan_rewriting,
    traces_everywhere,
    traces_of,
)
from tributary.publishing import generations, make_current, new_generation, publish
from tributary.runs import ERASED, RUNS_FILE, read_runs, runs_table
from tributary.suppression import PersonKey, add_to_list, hash_keys, read_list

# The person "u1" has a cookie "u1", a customer "k1", a call, a phone and an address; the phone of
# the customer "k2" is also that of "k3"; "alone" is tied to nothing, "k9" only billed.
WAREHOUSE = """
    create schema marts; create schema intermediate; create schema restricted;
    create table marts.fct_identity_links as from (values
        ('crm', 'u1', 'user', 'u1', 'customer k1'), ('crm', 'u1', 'customer', 'k1', null),
        ('crm', 'u1', 'call', 'c1', 'phone 11111111'),
        ('crm', 'customer:k2', 'customer', 'k2', null),
        ('crm', 'customer:k3', 'customer', 'k3', null), ('shop', 'u1', 'customer', 'k1', null)
    ) as links(source, person_id, entity, entity_key, evidence);
    create table intermediate.int_entity_persons as from marts.fct_identity_links;
    create table marts.dim_persons as
        select distinct source, person_id, null::varchar as customer_id
        from marts.fct_identity_links
        union all values ('crm', 'alone', null), ('crm', 'customer:k9', null);
    update marts.dim_persons set customer_id = 'k1' where person_id = 'u1';
    create table marts.fct_touchpoint_credits as from (values
        ('crm', 't1', 'o1', 'u1', 0.5), ('crm', 'call:c1', 'o1', 'u1', 0.5),
        ('crm', 't2', 'o2', 'alone', 1.0), ('shop', 't1', 'o1', 'u1', 1.0)
    ) as credits(source, touchpoint_id, conversion_id, person_id, credit);
    create table marts.attribution_customer_journey as
        select conversion_id as conv_id, touchpoint_id as session_id, credit as ihc
        from marts.fct_touchpoint_credits where source = 'crm';
    create table intermediate.int_entity_contacts as from (values
        ('crm', 'customer', 'k1', 'phone', '11111111a'),
        ('crm', 'call', 'c1', 'phone', '11111111a'),
        ('crm', 'customer', 'k1', 'email', '22222222a'), ('crm', 'customer', 'k2', 'phone', '33aa'),
        ('crm', 'customer', 'k3', 'phone', '33aa')
    ) as contacts(source, entity, entity_key, contact_type, contact_hash);
    create table restricted.int_phone_numbers as from (values
        ('(212) 736-5001', '+12127365001', '11111111a'),
        ('2127365001', '+12127365001', '11111111a'),
        ('2127365003', '+12127365003', '33aa')
    ) as phones(contact_value, phone, contact_hash);
    create table restricted.int_email_addresses as from (values
        ('Zelda@northwind-mail.com', 'zelda@northwind-mail.com', '22222222a')
    ) as emails(contact_value, email, contact_hash);
"""
ZELDA = Person("crm", "u1")
PHONE = ("--person", "+1 212 736 5001", "--source", "crm")
KEY = "a key that only tests have"


@pytest.fixture
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(WAREHOUSE)
        yield connection


@pytest.mark.parametrize(
    ("key", "by", "expected"),
    [
        ("u1", None, {"u1"}),
        ("k1", None, {"u1"}),
        ("k1", "customer_id", {"u1"}),
        ("k1", "user_id", set()),
        ("+1 212 736 5001", None, {"u1"}),
        ("zelda@NORTHWIND-mail.com", None, {"u1"}),
        ("zelda@NORTHWIND-mail.com", "phone", set()),
        ("2127365003", None, {"customer:k2", "customer:k3"}),
        ("alone", None, {"alone"}),
        ("alone", "user_id", {"alone"}),
        ("k9", "customer_id", {"customer:k9"}),
        ("nobody", None, set()),
        ("", None, set()),
        ("' or 1 = 1 --", None, set()),
    ],
)
def test_a_person_is_found_by_any_key(
    warehouse: duckdb.DuckDBPyConnection, key: str, by: str | None, expected: set[str]
) -> None:
    found = find_persons(warehouse, key, by, source="crm")
    assert found == {Person("crm", person) for person in expected}


def test_two_sources_may_call_two_persons_the_same(warehouse: duckdb.DuckDBPyConnection) -> None:
    assert find_persons(warehouse, "u1") == {ZELDA, Person("shop", "u1")}


def test_a_person_is_known_by_ids_and_by_contacts_of_nobody_else(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    traces = traces_of(warehouse, ZELDA)
    assert {(key.kind, key.value) for key in traces.keys} == {
        ("user", "u1"),
        ("customer", "k1"),
        ("call", "c1"),
        ("phone", "+12127365001"),
        ("email", "zelda@northwind-mail.com"),
    }
    assert ("phone", "(212) 736-5001") in traces.spellings
    assert traces.shared_contacts == 0
    shared = traces_of(warehouse, Person("crm", "customer:k2"))
    assert shared.keys == {PersonKey("crm", "customer", "k2")}
    assert shared.shared_contacts == 1
    billed = traces_of(warehouse, Person("crm", "customer:k9"))
    assert PersonKey("crm", "customer", "k9") in billed.keys


def test_what_only_publications_tie_to_a_person_is_the_persons_too() -> None:
    with duckdb.connect() as working, duckdb.connect() as newer, duckdb.connect() as older:
        working.execute(WAREHOUSE)
        # Neither the call nor the login of u1 is delivered any more.
        for table in ("marts.fct_identity_links", "intermediate.int_entity_persons"):
            working.execute(
                f"delete from {table} where source = 'crm' and entity in ('call', 'user'); "
                f"update {table} set person_id = 'customer:k1' "
                "where source = 'crm' and entity_key = 'k1'"
            )
        working.execute("delete from intermediate.int_entity_contacts where entity = 'call'")
        for place, links in (
            (newer, "('crm', 'u1', 'user', 'u1', ''), ('crm', 'u1', 'customer', 'k1', '')"),
            (older, "('crm', 'u0', 'customer', 'k1', ''), ('crm', 'u0', 'call', 'c0', '')"),
        ):
            place.execute(
                "create schema marts; create table marts.fct_identity_links as "
                f"from (values {links}) as links(source, person_id, entity, entity_key, evidence)"
            )
        traces = traces_everywhere(working, [newer, older], traces_of(working, ZELDA))
    assert {(key.kind, key.value) for key in traces.keys} == {
        ("user", "u1"),
        ("customer", "k1"),
        ("call", "c0"),
        ("phone", "+12127365001"),
        ("email", "zelda@northwind-mail.com"),
    }
    assert traces.person == ZELDA
    assert traces.others == {"customer:k1"}
    assert (traces.shared_contacts, traces.without_contacts) == (0, 1)


def rewritten(
    warehouse: duckdb.DuckDBPyConnection, *persons: Person
) -> dict[str, list[tuple[object, ...]]]:
    """Rows of each mart after an erasure, and before it under `before <mart>`."""
    plan = plan_rewriting(warehouse, [traces_of(warehouse, person) for person in persons])
    warehouse.register("tokens", plan.tokens)
    rows = {}
    for (mart,) in warehouse.execute(
        "select table_name from information_schema.tables where table_schema = 'marts'"
    ).fetchall():
        changes = ", ".join(
            f"{expression} as {column}" for column, expression in plan.columns.get(mart, {}).items()
        )
        replace = f"replace ({changes})" if changes else ""
        rows[mart] = warehouse.execute(f"select * {replace} from marts.{mart} as mart").fetchall()
        rows[f"before {mart}"] = warehouse.execute(f"from marts.{mart}").fetchall()
    return rows


def test_ids_give_way_to_tokens_and_nothing_else_changes(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    rows = rewritten(warehouse, ZELDA)
    for mart in ("fct_identity_links", "dim_persons", "fct_touchpoint_credits"):
        others = [row for row in rows[f"before {mart}"] if row not in rows[mart]]
        assert others
        assert all(row[0] == "crm" and "u1" in row for row in others), mart
    credits = rows["fct_touchpoint_credits"]
    tokens = {row[3] for row in credits if str(row[3]).startswith("erased-")}
    assert len(tokens) == 1
    assert len({row[1] for row in credits}) == 4
    journey = {(conversion, touch) for conversion, touch, _ in rows["attribution_customer_journey"]}
    assert journey == {(row[2], row[1]) for row in credits if row[0] == "crm"}
    left = {
        value
        for mart, table in rows.items()
        if not mart.startswith("before ")
        for row in table
        if row[0] != "shop"
        for value in row
    }
    assert left.isdisjoint(
        {"u1", "k1", "c1", "call:c1", "t1", "o1", "customer k1", "phone 11111111"}
    )


def test_who_was_tied_otherwise_in_an_older_publication_is_found_there(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    traces = traces_of(warehouse, ZELDA)
    warehouse.execute(
        "update marts.fct_identity_links set person_id = 'u0' where source = 'crm' "
        "and person_id = 'u1' and entity != 'user'; "
        "delete from marts.fct_identity_links where entity = 'user'; "
        "insert into marts.dim_persons values ('crm', 'u0', 'k1')"
    )
    plan = plan_rewriting(warehouse, [traces])
    assert {("person", "u0"), ("person", "u1"), ("customer", "k1")} <= plan.values


def test_who_is_not_published_changes_nothing(warehouse: duckdb.DuckDBPyConnection) -> None:
    traces = traces_of(warehouse, Person("crm", "never seen"))
    plan = plan_rewriting(warehouse, [traces])
    assert (plan.row_count, plan.columns, len(plan.tokens)) == (0, {}, 0)


def test_marts_without_persons_are_no_obstacle() -> None:
    with duckdb.connect() as marts:
        marts.execute("create schema marts; create table marts.rpt as select 1 as one")
        assert find_persons(marts, "u1") == set()


def test_input_that_still_has_the_person_is_named(tmp_path: Path) -> None:
    for name, rows in (("one", "u1,a\n u1 ,b\nu2,c\n"), ("it's two", "u3,d\n")):
        (tmp_path / f"{name}.csv").write_text(f"user_id,channel\n{rows}")
    gone = tmp_path / "gone.csv"
    gone.write_text("user_id\nu1\n")
    one, two = (str(tmp_path / name).replace("'", "''") for name in ("one.csv", "it's two.csv"))
    with duckdb.connect() as warehouse:
        warehouse.execute("create schema raw_files")
        warehouse.execute(
            "create view raw_files.sessions as "
            f"from read_csv(['{one}', '{two}'], all_varchar = true)"
        )
        warehouse.execute(f"create view raw_files.calls as select * from read_csv('{gone}')")
        warehouse.execute(
            "create view raw_files.customers as select ['(212)', 'x'] as phone, 'k' as customer_id"
        )
        gone.unlink()
        found = input_rows(warehouse, {("user", "u1"), ("phone", "(212)"), ("form", "d")})
    assert found == [
        InputRows("files.calls", None),
        InputRows("files.customers", 1),
        InputRows(str(tmp_path / "one.csv"), 2),
    ]


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one publication, and a working file that knows nobody any more."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dbt_project.yml").write_text("vars: {}")
    monkeypatch.delenv("DBT_LOG_PATH", raising=False)
    monkeypatch.delenv("DBT_TARGET_PATH", raising=False)
    monkeypatch.setenv("TRIBUTARY_HASH_KEY", KEY)
    build = tmp_path / "build.duckdb"
    with duckdb.connect(str(build)) as connection:
        connection.execute(WAREHOUSE)
    folder = tmp_path / "warehouse"
    marts = ["dim_persons", "fct_identity_links", "fct_touchpoint_credits"]
    publish(build, folder, new_generation(datetime.now(UTC)), marts, {}, runs_table([]))
    with duckdb.connect(str(folder / "tributary.duckdb")) as connection:
        connection.execute("create schema marts")
    for name, text in (("of-k1.log", "the value of k1"), ("other.log", "the value of x")):
        (tmp_path / "logs").mkdir(exist_ok=True)
        (tmp_path / "logs" / name).write_text(text)
    return folder


def erase(folder: Path, *arguments: str, file: str = "tributary.duckdb") -> Result:
    warehouse = ["--warehouse", str(folder / file)]
    return CliRunner().invoke(app, ["erase", "--yes", *arguments, *warehouse])


def test_who_is_in_publications_alone_is_erased_from_them(published: Path) -> None:
    done = erase(published, "--person", "k1", "--source", "crm")
    assert done.exit_code == 0, done.output
    (name,) = generations(published)
    with duckdb.connect(str(published / "current" / "tributary.duckdb"), read_only=True) as marts:
        assert find_persons(marts, "u1") == {Person("shop", "u1")}
    (run,) = read_runs(published / "runs.jsonl")
    assert (run.status, run.erased) == (ERASED, {"persons": 1, "keys": 3, "rows": {name: 6}})
    assert {kind for kind, _ in read_list(published / "erased_persons.csv")} == {
        "call", "checksum", "customer", "key_check", "user",
    }  # fmt: skip
    assert [path.name for path in Path("logs").iterdir()] == ["other.log"]
    assert not (published / "tributary.duckdb").exists()


def test_who_is_named_twice_is_one_person(published: Path) -> None:
    with duckdb.connect(str(published / "tributary.duckdb")) as working:
        working.execute(
            "create table marts.dim_persons as "
            "from (values ('crm', 'u1'), ('crm', 'customer:k1')) as persons(source, person_id)"
        )
    done = erase(published, "--person", "u1", "--person", "customer:k1", "--source", "crm")
    assert done.exit_code == 0, done.output
    (run,) = (run for run in read_runs(published / RUNS_FILE) if run.erased)
    assert run.erased is not None
    assert run.erased["persons"] == 1


def test_a_lock_is_not_taken_for_a_log_that_names_somebody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with build_lock(Path("target/build")):
        lock, log = Path("target/build") / LOCK_FILE, Path("target/run.log")
        log.write_text("processes")
        # Part of what a lock says of who holds it.
        assert _remove_files_with({"processes"}) == [log]
        assert lock.exists()


def test_ids_that_the_last_build_did_not_get_are_listed_too(published: Path) -> None:
    with duckdb.connect(str(published / "tributary.duckdb")) as working:
        working.execute(
            "create table marts.dim_persons as "
            "from (values ('crm', 'u1'), ('crm', 'customer:k1')) as persons(source, person_id)"
        )
    done = erase(published, "--person", "u1", "--source", "crm")
    assert done.exit_code == 0, done.output
    assert "the working file has as others: customer:k1. They are erased too." in done.output
    assert "Of 2 of these customers, calls and forms the working file has no row" in done.output
    listed = read_list(published / "erased_persons.csv")
    keys = [PersonKey("crm", "customer", "k1"), PersonKey("crm", "call", "c1")]
    assert set(hash_keys(keys, KEY.encode())) < listed


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--person", "u1"], "u1 is of 2 persons: u1 (crm), u1 (shop). Say which: --source NAME"),
        (["--person", "nobody"], "nobody is nobody here"),
        (["--person", "alone", "--by", "phone"], "no phone of any source is called so"),
        (["--person", "k1", "--source", "web"], "of web is called so"),
    ],
)
def test_a_key_of_nobody_or_of_several_changes_nothing(
    published: Path, arguments: list[str], expected: str
) -> None:
    done = erase(published, *arguments)
    assert done.exit_code == 1
    assert expected in done.output
    assert "Nothing was changed" in done.output
    assert {path.name for path in published.iterdir()} == {
        ".build.lock", "current", "generations", "tributary.duckdb",
    }  # fmt: skip


def test_one_person_of_each_source_may_be_meant(published: Path) -> None:
    assert erase(published, "--person", "u1", "--source", "all").exit_code == 0
    with duckdb.connect(str(published / "current" / "tributary.duckdb"), read_only=True) as marts:
        assert find_persons(marts, "u1") == set()


def test_a_warehouse_may_have_any_name(published: Path) -> None:
    for file in [published / "tributary.duckdb", *published.glob("generations/*/tributary.duckdb")]:
        file.rename(file.with_name("my-warehouse.db"))
    done = erase(published, "--person", "alone", file="my-warehouse.db")
    assert done.exit_code == 0, done.output
    with duckdb.connect(str(published / "current" / "my-warehouse.db"), read_only=True) as marts:
        assert find_persons(marts, "alone") == set()
    assert not (published / "my-warehouse.db").exists()


@pytest.mark.parametrize("file", ["tributary.duckdb", "manifest.json"])
@pytest.mark.parametrize("is_there", [True, False])
def test_a_publication_that_is_not_whole_is_named_before_anything_is_changed(
    published: Path, file: str, is_there: bool
) -> None:
    (home,) = (published / "generations").iterdir()
    (home / file).unlink()
    if is_there:
        (home / file).write_text("no such file as this was")
    done = erase(published, "--person", "alone")
    assert done.exit_code == 1
    assert f"The publication {home} is not whole" in done.output
    assert f"remove what is left: rm -rf {home}; then erase. Nothing was changed." in done.output
    assert not (published / "erased_persons.csv").exists()
    shutil.rmtree(home)
    assert "is nobody here" in erase(published, "--person", "alone").output


def test_nobody_is_erased_outside_of_the_project_whose_logs_may_name_the_person(
    published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(published)
    done = erase(published, "--person", "alone")
    assert done.exit_code == 1
    assert "There is no dbt project in" in done.output
    assert (published / "tributary.duckdb").exists()


def test_nobody_is_erased_where_the_working_file_is_a_link(published: Path) -> None:
    elsewhere = published.parent / "elsewhere.duckdb"
    (published / "tributary.duckdb").rename(elsewhere)
    (published / "tributary.duckdb").symlink_to(elsewhere)
    done = erase(published, "--person", "alone")
    assert done.exit_code == 1
    assert f"tributary.duckdb is a link to {elsewhere}. The working file is" in done.output
    assert not (published / "erased_persons.csv").exists()


def test_real_people_are_not_listed_under_the_public_key(
    published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRIBUTARY_HASH_KEY")
    done = erase(published, "--person", "alone")
    assert done.exit_code == 1
    assert "TRIBUTARY_HASH_KEY is not set" in done.output
    assert not (published / "erased_persons.csv").exists()


def test_an_erasure_goes_on_where_nobody_reads_what_it_says(published: Path) -> None:
    reader, nobody_reads = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [
            *(sys.executable, "-c", "import tributary.cli; tributary.cli.main()"),
            *("erase", "--person", "alone", "--yes"),
            *("--warehouse", str(published / "tributary.duckdb")),
        ],
        stdout=nobody_reads,
        stderr=nobody_reads,
        check=False,
    )
    os.close(nobody_reads)
    assert done.returncode == 0
    assert not (published / "tributary.duckdb").exists()
    assert [run.status for run in read_runs(published / "runs.jsonl")] == [ERASED]


def make_working_file(folder: Path, sql: str) -> None:
    (folder / "tributary.duckdb").unlink(missing_ok=True)
    with duckdb.connect(str(folder / "tributary.duckdb")) as working:
        working.execute(sql)


def kill(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def erase_killed(folder: Path, place: str, argument: str) -> None:
    """Erase the person u1 by phone, until a function is called so, and be killed there."""
    os.chdir(folder.parent)
    os.environ |= {"TRIBUTARY_HASH_KEY": KEY, "DBT_LOG_PATH": "logs", "DBT_TARGET_PATH": "target"}
    called = pkgutil.resolve_name(place)

    def call(*arguments: Any, **options: Any) -> Any:
        return (kill if argument in str(arguments) else called)(*arguments, **options)

    with mock.patch(place, call):
        erase(folder, *PHONE)


@pytest.mark.parametrize(
    ("place", "argument", "is_built_between"),
    [
        ("tributary.cli.erase.add_to_list", "", True),
        ("tributary.cli.erase._remove_files_with", "", True),
        ("tributary.cli.erase.rewrite", "a-first", True),
        ("tributary.cli.erase.rewrite", "b-second", True),
        ("tributary.cli.erase.rewrite", "b-second", False),
        ("tributary.cli.erase.append_run", "", True),
        ("tributary.cli.erase.log_of", "", True),
        ("pathlib.Path.unlink", "open_erasure.json", False),
    ],
)
def test_an_erasure_that_was_killed_is_finished_by_the_same_command(
    published: Path, place: str, argument: str, is_built_between: bool
) -> None:
    make_working_file(published, WAREHOUSE)
    home = published / "generations"
    (one,) = generations(published)
    make_current(published, (home / one).rename(home / "a-first").name)
    shutil.copytree(home / "a-first", home / "b-second")
    process = PROCESSES.Process(target=erase_killed, args=(published, place, argument))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert stat.S_IMODE((published / "open_erasure.json").stat().st_mode) == 0o600
    for refused in (
        CliRunner().invoke(app, ["build", "--warehouse", str(published / "tributary.duckdb")]),
        erase(published, "--person", "alone"),
    ):
        assert refused.exit_code == 1
        assert "was not finished" in refused.output

    if is_built_between:
        # As dbt does: from the list, without the person.
        make_working_file(published, "create schema marts")
    done = erase(published, *PHONE)
    assert done.exit_code == 0, done.output
    for name in generations(published):
        with duckdb.connect(str(home / name / "tributary.duckdb"), read_only=True) as marts:
            assert find_persons(marts, "k1", source="crm") == set()
    assert [path.name for path in Path("logs").iterdir()] == ["other.log"]
    (run,) = read_runs(published / "runs.jsonl")
    assert run.erased == {"persons": 1, "keys": 5, "rows": {"a-first": 6, "b-second": 6}}
    (phone,) = hash_keys([PersonKey("crm", "phone", "+12127365001")], KEY.encode())
    assert phone in read_list(published / "erased_persons.csv")
    assert {path.name for path in published.iterdir()} == {
        ".build.lock", "current", "erased_persons.csv", "generations", "runs.jsonl",
    }  # fmt: skip


def test_an_erasure_that_was_cut_off_is_finished_without_knowing_whose_it_is(
    published: Path,
) -> None:
    def fill_the_disk(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with mock.patch("tributary.cli.erase.rewrite", fill_the_disk):
        cut_off = erase(published, "--person", "alone")
    assert cut_off.exit_code == 1
    assert "The erasure is not finished: correct this and give the same command" in cut_off.output
    done = erase(published)
    assert done.exit_code == 0, done.output
    with duckdb.connect(str(published / "current" / "tributary.duckdb"), read_only=True) as marts:
        assert find_persons(marts, "alone") == set()
    make_working_file(published, "create schema marts")
    assert "No erasure was cut off. Say who is to be erased" in erase(published).output


def test_an_erasure_that_cannot_begin_is_not_open(published: Path) -> None:
    keys = [PersonKey("crm", "user", "x")]
    add_to_list(published / "erased_persons.csv", keys, b"another key than that")
    done = erase(published, "--person", "alone")
    assert done.exit_code == 1
    assert "under another TRIBUTARY_HASH_KEY" in done.output
    assert "Nothing was changed" in done.output
    assert not (published / "open_erasure.json").exists()
