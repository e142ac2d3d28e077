"""Who is one person: calls, forms, logins and customers of a user's own files."""

from collections.abc import Mapping
from pathlib import Path

import duckdb
import pytest

from .conftest import HASH_KEY, HEADERS, Build, Tables, build, run_dbt, write_csv

HEADERS_OF_PEOPLE: Mapping[str, str] = {
    **HEADERS,
    "calls": "call_id,called_at,contact_number,email,visitor_id,channel",
    "customers": "customer_id,created_at,first_name,phone_1,phone_2,email",
    "identity_links": "link_id,linked_at,kind,user_id,customer_id,phone,email,channel",
}

# Each case has cookies, customers, phones and addresses of its own: first letters tell them apart.
PEOPLE: Tables = {
    "sessions": [
        ("s1", "join-u", "2024-01-01", "ad"),
        ("s2", "nobody-u", "2024-01-01", "ad"),
        ("s3", "undated-u", "2024-01-01", "ad"),
    ],
    "conversions": [("c1", "join-u2", "2024-03-01", 10), ("c2", "nobody-u", "2024-03-01", 5)],
    "customers": [
        ("join", "2024-02-01", "Ann", "+1 (212) 736-5001", "", ""),
        ("shared-a", "2024-02-01", "Bob", "2127365002", "", ""),
        ("shared-b", "2024-02-01", "Cid", "212-736-5002", "", ""),
        ("cross-a", "2024-02-01", "Dan", "2127365003", "", ""),
        ("cross-b", "2024-02-01", "Eva", "", "", "eva@northwind-mail.com"),
        ("twice-a", "2024-02-01", "Fay", "2127365004", "", "f.a.y@gmail.com"),
        ("twice-b", "2024-02-02", "fay ", "2127365004", "", "Fay+2@googlemail.com"),
        ("son", "2024-02-01", "Gus", "2127365005", "", "family@northwind-mail.com"),
        ("father", "2024-02-01", "Hal", "2127365005", "", "family@northwind-mail.com"),
        ("bridge", "2024-02-01", "", "2127365005", "", "family@northwind-mail.com"),
        ("mute-1", "2024-02-01", "Ida", "", "", ""),
        ("mute-2", "2024-02-01", "Ida", " ", "", ""),
        ("many", "2024-02-01", "Jon", "2127365006", "", ""),
        ("undated", "", "Kim", "2127365007", "", ""),
        ("loop", "2024-02-01", "Lea", "2127365008", "2127365009", "lea@northwind-mail.com"),
        *((f"desk-{n}", "2024-02-01", f"Name{n}", "2127365010", "", "") for n in range(4)),
        ("kiosk-own", "2024-02-01", "Max", "2127365011", "", ""),
        ("planned", "2199-01-01", "Nia", "2127365014", "", ""),
        ("epoch", "1970-01-01", "Ole", "", "", ""),
    ],
    "calls": [
        ("join-k", "2024-01-03", "212.736.5001", "", "join-u", "phone"),
        ("join-k2", "2024-01-04", "001 212 736 5001", "", "join-u2", "phone"),
        ("shared-k", "2024-01-03", "2127365002", "", "", "phone"),
        ("cross-k", "2024-01-03", "2127365003", "eva@northwind-mail.com", "", "phone"),
        ("twice-k", "2024-01-03", "2127365004", "", "", "phone"),
        ("family-k", "2024-01-03", "2127365005", "", "", "phone"),
        *((f"many-{n}", "2024-01-03", "2127365006", "", "", "phone") for n in range(10_000)),
        ("undated-k", "2024-01-03", "2127365007", "", "undated-u", "phone"),
        ("loop-k", "2024-02-03", "2127365008", "lea@northwind-mail.com", "loop-u", "phone"),
        ("desk-k", "2024-01-03", "2127365010", "", "", "phone"),
        ("odd-1", "2024-01-03", "", "", "", "phone"),
        ("odd-2", "2024-01-03", "anonymous", "", "", "phone"),
        ("odd-3", "2024-01-03", "12", "a@@b", "", "phone"),
        ("odd-4", "2024-01-03", "5555555555", "none@none.com", "", "phone"),
        ("odd-5", "2024-01-03", "2127365012", "", "", "phone"),
        ("odd-6", "2024-01-04", "(212) 736-5012", "", "", "phone"),
        ("odd-7", "2024-01-03", "2127365001" * 5, "", "", "phone"),
        ("odd-8", "2024-01-03", "", "le a@northwind-mail.com", "", "phone"),
        ("planned-k", "2024-03-03", "2127365014", "", "", "phone"),
        ("script-k", "2024-03-03", "(٢١٢) ٧٣٦-٥٠١١", "", "", "phone"),  # noqa: RUF001
    ],
    "identity_links": [
        ("loop-1", "2024-02-02", "login", "loop-u", "loop", "2127365009", "", ""),
        (
            "loop-2",
            "2024-02-02",
            "form",
            "loop-u",
            "loop",
            "2127365008",
            "lea@northwind-mail.com",
            "",
        ),
        ("loop-3", "2024-02-02", "login", "loop-v", "loop", "", "", ""),
        ("loop-4", "2024-02-03", "login", "loop-u", "loop", "", "", ""),
        ("guest", "2024-02-02", "login", "guest-u", "guest", "", "", ""),
        *(
            (f"kiosk-{n}", "2024-02-02", "login", "kiosk-u", f"desk-{n}", "", "", "")
            for n in range(4)
        ),
        ("kiosk-form", "2024-02-02", "form", "kiosk-u", "", "2127365011", "", "web"),
        ("lonely", "2024-02-02", "login", "", "", "2127365011", "", ""),
    ],
}

LATER: Tables = {
    "sessions": [("s9", "join-u", "2024-06-01", "ad"), ("s8", "a-stranger", "2023-01-01", "ad")],
    "conversions": [("c9", "a-stranger", "2024-06-01", 1)],
    "customers": [("a-stranger", "2023-01-01", "Zoe", "2127365099", "", "zoe@northwind-mail.com")],
    "calls": [
        ("a-stranger", "2023-01-02", "2127365099", "", "a-stranger", "phone"),
        ("later", "2024-06-01", "2127365001", "", "join-u9", "phone"),
        ("later-2", "2024-06-01", "2127365007", "", "", "phone"),
    ],
    "identity_links": [("later", "2024-06-01", "login", "loop-w", "loop", "", "", "")],
}

# The phone numbers in any format, the addresses, and some of the names.
PERSONAL = r"736\D{0,2}50[019]\d|[a-z]@[a-z]|Zoe|Name\d"


def write_tables(folder: Path, *deliveries: Tables) -> str:
    """Write rows of people to files and return the settings that build them."""
    for name, header in HEADERS_OF_PEOPLE.items():
        rows = [row for delivery in deliveries for row in delivery.get(name, [])]
        write_csv(folder / "input" / f"{name}.csv", header, rows)
    return f"sources: [files], files_path: {folder / 'input'}"


def build_persons(
    folder: Path, *deliveries: Tables, settings: str = "", key: str = HASH_KEY
) -> Build:
    """Build the identity marts and what they need."""
    variables = f"{{{write_tables(folder, *deliveries)}, {settings}}}"
    marts = ("+fct_identity_links", "+dim_persons", "+rpt_match_quality")
    built = run_dbt(
        folder,
        *("build", "--exclude-resource-type", "unit_test"),
        *("--indirect-selection", "cautious", "--select", *marts),
        variables=variables,
        environment={"TRIBUTARY_HASH_KEY": key},
    )
    assert built.status == 0, built.output
    return built


def persons(built: Build) -> dict[tuple[str, str], str]:
    return {
        (entity, key): person
        for entity, key, person in built.rows(
            "select entity, entity_key, person_id from marts.fct_identity_links"
        )
    }


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Build:
    folder = tmp_path_factory.mktemp("people")
    built = build(folder, f"{{{write_tables(folder, PEOPLE)}}}")
    assert built.status == 0, built.output
    return built


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """The same with more rows, under another key."""
    return build_persons(tmp_path_factory.mktemp("later"), PEOPLE, LATER, key=HASH_KEY[::-1])


def test_a_phone_in_any_format_joins_calls_cookies_and_earlier_sessions(people: Build) -> None:
    person = persons(people)
    assert {person[each] for each in person if each[1].startswith("join")} == {"join-u"}
    assert people.rows(
        "select touchpoint_id from intermediate.int_named_journey_touchpoints "
        "where conversion_id = 'c1' order by touch_number"
    ) == [("s1",), ("call:join-k",), ("call:join-k2",)]
    assert people.rows(
        "select customer_id, first_channel, customer_count, cookies, phones, emails, touchpoints, "
        "conversions, revenue, first_seen_at::varchar, last_seen_at::varchar "
        "from marts.dim_persons where person_id = 'join-u'"
    ) == [("join", "ad", 1, 2, 1, 0, 3, 1, 10, "2024-01-01 00:00:00", "2024-03-01 00:00:00")]


def test_a_cookie_that_nothing_is_tied_to_stays_a_person(people: Build) -> None:
    assert ("user", "nobody-u") not in persons(people)
    assert people.rows(
        "select is_customer, touchpoints, conversions, revenue from marts.dim_persons "
        "where person_id = 'nobody-u'"
    ) == [(False, 1, 1, 5)]


@pytest.mark.fault(
    done="two customers who share a phone",
    expected="they stay two; the call is given to neither",
)
def test_customers_who_share_a_phone_are_not_joined_and_get_no_call(people: Build) -> None:
    person = persons(people)
    assert person["customer", "shared-a"] == "customer:shared-a"
    assert person["customer", "shared-b"] == "customer:shared-b"
    assert person["call", "shared-k"] == "call:shared-k"
    assert person["call", "family-k"] == "call:family-k"


def test_what_leads_nowhere_has_no_evidence(people: Build) -> None:
    assert not people.value(
        "select count(*) from marts.fct_identity_links where (evidence is null) != (rule is null)"
    )


def test_the_nearer_of_two_customers_has_the_call(people: Build) -> None:
    assert people.rows(
        "select person_id, rule, round(confidence, 4), steps, evidence like 'email ________' "
        "from marts.fct_identity_links where entity_key = 'cross-k'"
    ) == [("call:cross-k", "email", 0.9604, 2, True)]
    assert persons(people)["customer", "cross-b"] == "call:cross-k"
    assert persons(people)["customer", "cross-a"] == "customer:cross-a"


def test_the_same_customer_twice_is_one_and_two_first_names_are_not(people: Build) -> None:
    person = persons(people)
    assert person["customer", "twice-b"] == person["customer", "twice-a"] == "call:twice-k"
    assert person["call", "twice-k"] == "call:twice-k"
    assert {person["customer", each] for each in ("son", "father", "bridge")} == {
        "customer:son",
        "customer:father",
        "customer:bridge",
    }


@pytest.mark.fault(
    done="identity links in a circle",
    expected="one person, and an end",
)
def test_ties_in_circles_are_one_person(people: Build) -> None:
    person = persons(people)
    assert {person[each] for each in person if each[1].startswith("loop")} == {"customer:loop"}


@pytest.mark.fault(
    done="10,000 calls from one phone",
    expected="one person",
)
def test_ten_thousand_calls_of_one_phone_are_one_person(people: Build) -> None:
    assert people.rows(
        "select count(*), count(distinct person_id) from marts.fct_identity_links "
        "where entity_key like 'many%'"
    ) == [(10_001, 1)]


@pytest.mark.fault(
    done="a phone and a cookie that everybody uses",
    expected="they link nobody and are counted",
)
def test_hubs_link_nobody_and_are_counted(people: Build) -> None:
    person = persons(people)
    assert person["call", "desk-k"] == "call:desk-k"
    assert person["user", "kiosk-u"] == "kiosk-u"
    # The form reaches its customer by the phone, not by the cookie that everybody uses.
    assert person["form", "kiosk-form"] == person["customer", "kiosk-own"] == "customer:kiosk-own"
    assert people.rows(
        "select entity, customers, interactions from intermediate.int_identity_hubs order by 1"
    ) == [("phone", 4, 1), ("user", 4, 1)]


def test_customers_without_contacts_and_guests_are_persons(people: Build) -> None:
    person = persons(people)
    assert person["customer", "mute-1"] == "customer:mute-1"
    assert person["customer", "mute-2"] == "customer:mute-2"
    assert person["customer", "guest"] == person["user", "guest-u"] == "customer:guest"
    assert person["call", "undated-k"] == person["user", "undated-u"] == "customer:undated"


@pytest.mark.fault(
    done="phone numbers in other digits than 0 to 9",
    expected="the same numbers",
)
def test_digits_of_any_script_are_the_same_number(people: Build) -> None:
    assert persons(people)["call", "script-k"] == "customer:kiosk-own"


@pytest.mark.fault(
    done="a customer created at the epoch",
    expected="a customer without a time of first contact",
)
def test_a_customer_of_a_time_that_cannot_be_is_one_without_a_time(people: Build) -> None:
    assert people.rows(
        "select person_id, first_seen_at::date::varchar, last_seen_at::date::varchar "
        "from marts.dim_persons "
        "where customer_id in ('planned', 'epoch') order by person_id"
    ) == [
        ("customer:epoch", None, None),
        ("customer:planned", "2024-03-03", "2024-03-03"),
    ]


def test_unmatched_interactions_say_why(people: Build) -> None:
    outcomes: dict[str, str] = dict(
        people.rows(
            "select entity_key, outcome from intermediate.int_match_outcomes "
            "where not is_matched order by 1"
        )
    )
    assert outcomes == {
        "desk-k": "hub",
        "kiosk-u": "hub",
        "shared-k": "conflict",
        "family-k": "conflict",
        "odd-1": "no_contact",
        "odd-2": "withheld_number",
        "odd-3": "not_a_phone_number",
        "odd-4": "placeholder_email",
        "odd-5": "no_customer_has_it",
        "odd-6": "no_customer_has_it",
        "odd-7": "not_a_phone_number",
        "odd-8": "not_an_email_address",
    }
    assert persons(people)["call", "odd-6"] == persons(people)["call", "odd-5"] == "call:odd-5"
    assert people.rows(
        "select sum(interactions), round(sum(match_rate), 4), count(matchable), count(recall) "
        "from marts.rpt_match_quality where entity = 'call'"
    ) == [(10_019, round(10_008 / 10_019, 4), 0, 0)]


def test_later_and_unrelated_rows_and_another_key_change_no_person(
    people: Build, later: Build
) -> None:
    before, after = persons(people), persons(later)
    assert {each: after[each] for each in before} == before
    assert after["user", "join-u9"] == "join-u"
    assert after["user", "loop-w"] == "customer:loop"
    hashes = "select distinct contact_hash from intermediate.int_entity_contacts"
    assert set(people.rows(hashes)) & set(later.rows(hashes)) <= {(None,)}


@pytest.mark.fault(
    done="contacts in the input",
    expected="none is found in a table outside of the schema restricted",
)
@pytest.mark.parametrize("which", ["people", "later"])
def test_no_contact_leaves_the_schema_restricted(
    which: str, request: pytest.FixtureRequest
) -> None:
    built: Build = request.getfixturevalue(which)
    tables = built.rows(
        "select table_schema, table_name, "
        "string_agg(format('cast(\"{}\" as varchar)', column_name), ', ') "
        "from information_schema.columns where table_schema not in ('restricted', 'seeds', 'main') "
        "and table_schema not like 'raw_%' "
        "and (data_type like '%VARCHAR%' or data_type like 'STRUCT%') group by all"
    )
    assert len(tables) > 30
    with duckdb.connect(str(built.warehouse), read_only=True) as connection:
        for schema, table, columns in tables:
            matches = f"""select concat_ws(' ... ', {columns}) as texts from {schema}."{table}"
                where regexp_matches(texts, '{PERSONAL}') limit 1"""
            assert connection.execute(matches).fetchall() == [], (schema, table)


@pytest.mark.fault(
    done="a key in the environment",
    expected="its bytes are in no file of a build: warehouse, logs, artefacts",
)
def test_the_key_is_written_nowhere(people: Build) -> None:
    for path in people.warehouse.parent.rglob("*"):
        if path.is_file():
            assert HASH_KEY.encode() not in path.read_bytes(), path


@pytest.mark.fault(
    done="contacts of real people and no key for their hashes, or a short one",
    expected="the build stops before it reads them, and the key is not repeated",
)
@pytest.mark.parametrize(
    ("key", "expected"),
    [("", "TRIBUTARY_HASH_KEY is not set"), ("too short", "is shorter than 16 characters")],
)
@pytest.mark.parametrize("entity", ["calls", "customers", "identity_links"])
def test_contacts_of_real_people_need_a_key(
    tmp_path: Path, entity: str, key: str, expected: str
) -> None:
    settings = write_tables(tmp_path, {})
    for name in HEADERS_OF_PEOPLE:
        if name not in (*HEADERS, entity):
            (tmp_path / "input" / f"{name}.csv").unlink()
    result = run_dbt(
        tmp_path, "build", variables=f"{{{settings}}}", environment={"TRIBUTARY_HASH_KEY": key}
    )
    output = " ".join(result.output.split())
    assert result.status != 0
    assert f"Source files delivers {entity}" in output
    assert expected in output
    assert "openssl rand -hex 32" in output
    assert "too short" not in output
    assert "OK created" not in output


def test_settings_of_identities_matter(tmp_path: Path) -> None:
    tables: Tables = {
        "customers": [
            ("a", "2024-02-01", "Ann", "020 7946 1234", "", "a.b+c@gmail.com"),
            ("b", "2024-02-01", "Bob", "020 7946 1234", "", ""),
        ],
        "calls": [("k", "2024-01-03", "+442079461234", "ab@gmail.com", "", "phone")],
    }
    built = build_persons(
        tmp_path,
        tables,
        settings="default_phone_region: GB, email_provider_rules: false, "
        "identity_max_customers_per_contact: 1",
    )
    assert built.rows(
        "select entity, customers, interactions from intermediate.int_identity_hubs"
    ) == [("phone", 2, 1)]
    assert built.value("select outcome from intermediate.int_match_outcomes") == "hub"
    assert persons(built)["call", "k"] == "call:k"


def test_probable_customers_of_one_first_name_are_one_if_asked(tmp_path: Path) -> None:
    first = ("Ann", "Bob", "Cid", "Dan", "Eva", "Fay", "Gus", "Hal", "Ida", "Jon")
    last = ("Adams", "Baker", "Cohen", "Davis", "Evans", "Foster")
    cities = ("Austin", "Boston", "Denver", "Miami")
    customers = [
        (
            *(f"c{n}", first[n % 10], last[n // 10]),
            *(f"{1950 + n % 37}-{1 + n % 12:02}-{1 + n % 28:02}", cities[n % 4]),
            f"+1212736{5000 + n}",
        )
        for n in range(60)
    ]
    again = [
        (f"again-{key}", name, f"{rest[0]}s", *rest[1:]) for key, name, *rest in customers[:30]
    ]
    twins = [(f"twin-{key}", "Zoe", *rest) for key, _, *rest in customers[30:]]
    settings = write_tables(tmp_path, {})
    write_csv(
        tmp_path / "input" / "customers.csv",
        "customer_id,first_name,last_name,birth_date,city,phone",
        [*customers, *again, *twins],
    )
    built = run_dbt(
        tmp_path,
        *("build", "--exclude-resource-type", "unit_test", "test"),
        *("--select", "+int_same_customers"),
        variables=f"{{{settings}, probabilistic_matching: true}}",
    )
    assert built.status == 0, built.output
    assert {
        frozenset(pair)
        for pair in built.rows(
            "select left_customer_id, right_customer_id from intermediate.int_same_customers "
            "where rule = 'probabilistic'"
        )
    } == {frozenset((key, f"again-{key}")) for key, *_ in customers[:30]}
    assert built.value("select count(*) from restricted.customer_matches") >= 30
