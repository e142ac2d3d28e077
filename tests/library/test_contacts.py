import csv
import re
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tributary import contacts
from tributary.contacts import hash_contacts, parse_emails, parse_phones

SEED = Path(__file__).parents[2] / "seeds" / "email_rules.csv"
NO_RULES = pa.table({"domain": pa.array([], pa.string()), "rule": pa.array([], pa.string())})
KEY = b"0123456789abcdef"


def seeded_rules() -> pa.Table:
    with SEED.open(encoding="utf-8", newline="") as file:
        return pa.Table.from_pylist(list(csv.DictReader(file)))


RULES = seeded_rules()


def rules(*rows: tuple[str, str]) -> pa.Table:
    return pa.table({"domain": [domain for domain, _ in rows], "rule": [rule for _, rule in rows]})


def phone(text: str, region: str = "US") -> tuple[str | None, str | None, str | None]:
    (row,) = parse_phones(pa.array([text]), region).to_pylist()
    assert row["number"] == text
    return row["e164"], row["extension"], row["rejection_reason"]


def email(text: str, email_rules: pa.Table = RULES) -> str | None:
    """The address, or the reason where there is none."""
    (row,) = parse_emails(pa.array([text]), email_rules).to_pylist()
    assert row["address"] == text
    assert (row["email"] is None) != (row["rejection_reason"] is None)
    address: str | None = row["email"] or row["rejection_reason"]
    return address


# Phone numbers


@pytest.mark.parametrize(
    ("text", "region", "e164", "extension"),
    [
        ("(202) 456-1414", "US", "+12024561414", None),
        (" 202.456.1414 ", "US", "+12024561414", None),
        ("1-202-456-1414", "US", "+12024561414", None),
        ("+1 202 456 1414", "DE", "+12024561414", None),
        ("tel:+1-202-456-1414;ext=12", "US", "+12024561414", "12"),
        ("202-456-1414 x12", "US", "+12024561414", "12"),
        ("202-456-1414 ext. 12", "US", "+12024561414", "12"),
        ("2024561414 #12", "US", "+12024561414", "12"),
        ("1-800-FLOWERS", "US", "+18003569377", None),
        ("1-800-411-7246", "US", "+18004117246", None),
        ("1-800-555-0123", "US", "+18005550123", None),
        ("011 44 20 7946 0018", "US", "+442079460018", None),
        ("0044 20 7946 0018", "US", "+442079460018", None),
        ("+44 (0)20 7946 0018", "US", "+442079460018", None),
        ("020 7946 0018", "GB", "+442079460018", None),
        ("0043 1 58858-0", "DE", "+431588580", None),
        ("(0043) 1 588580", "US", "+431588580", None),
        ("030 901820", "DE", "+4930901820", None),
        ("06 6982", "IT", "+39066982", None),
        ("(613) 996-1234", "CA", "+16139961234", None),
        ("+١ ٢٠٢ ٤٥٦ ١٤١٤", "US", "+12024561414", None),  # noqa: RUF001
        ("＋１ （２０２） ４５６－１４１４", "US", "+12024561414", None),  # noqa: RUF001
        ("774 8283", "IS", "+3547748283", None),
        ("00800 7253 2253", "DE", "+80072532253", None),
    ],
)
def test_a_number_has_one_form(text: str, region: str, e164: str, extension: str | None) -> None:
    assert phone(text, region) == (e164, extension, None)


@pytest.mark.parametrize(
    ("reason", "texts"),
    [
        (
            "withheld_number",
            "Anonymous|RESTRICTED|unavailable|Unknown caller|blocked|Private number|"
            "sip:anonymous@anonymous.invalid|266696687|+266696687|86282452253|7378742833|"
            "+17378742833|2562533|+7748283",
        ),
        (
            "placeholder_number",
            "0000000000|000-000-0000|1111111111|+1 111 111 1111|(999) 999-9999|555-555-5555|"
            "2222222223|1234567890|0123456789|9876543210|+1 234 567 8901|202-555-0143|"
            "(212) 555-1212|800-555-1212|1-800-555-0199|+44 7777 777777|5555555",
        ),
        (
            "impossible_area_code",
            "112-456-7890|(012) 456-7891|123-456-7891|211 456 1414|911-456-1414|291 456 1414|"
            "372-456-1414|963-456-1414",
        ),
        (
            "impossible_exchange_code",
            "202-156-1414|202 056 1414|(202) 911-1414|202-411-1414|800-156-1414",
        ),
        (
            "not_a_phone_number",
            "n/a|call me|-|#|911|456 1414|202-456-141|202-456-14141|2024561414 2024561415|"
            "2024561414/2024561415|\x00|x12|+|" + "2024561414" + " " * 40 + "1|"
            "+1 202 456 1414 (ask for Mary, mornings only please)",
        ),
        ("invalid_phone_number", "555 456 1414|+49 1 23456711"),
    ],
)
def test_a_number_that_cannot_be_used_says_why(reason: str, texts: str) -> None:
    for text in texts.split("|"):
        assert (text, phone(text)) == (text, (None, None, reason))


def test_each_distinct_number_has_one_row_and_empty_ones_none() -> None:
    numbers = pa.chunked_array([["202-456-1414", None, ""], ["  ", "(202) 456-1414"] * 2])

    table = parse_phones(numbers, "US")

    assert table["number"].to_pylist() == ["(202) 456-1414", "202-456-1414"]
    assert table["e164"].to_pylist() == ["+12024561414"] * 2


def test_no_values_make_empty_tables() -> None:
    for nothing in (pa.array([], pa.string()), pa.array([None, ""], pa.string()), pa.nulls(2)):
        phones, emails = parse_phones(nothing, "US"), parse_emails(nothing, RULES)
        assert phones.num_rows == emails.num_rows == 0
        assert phones.schema == parse_phones(pa.array(["1"]), "US").schema
        assert emails.schema == parse_emails(pa.array(["1"]), RULES).schema


@pytest.mark.parametrize("region", ["", "us", "USA", "UK", "001"])
def test_an_unknown_region_is_refused(region: str) -> None:
    with pytest.raises(ValueError, match="two capital letters"):
        parse_phones(pa.array(["1"]), region)


DIGITS = st.text("0123456789", max_size=16)
PHONES = st.one_of(
    st.text(max_size=20),
    st.text("0123456789+-(). x#;ext=AB１٢", max_size=24),  # noqa: RUF001
    st.builds("{}{}".format, st.sampled_from(["", "+", "00", "0", "+1", "1"]), DIGITS),
    st.from_regex(r"\+?1?[2-9][0-9]{9}", fullmatch=True),
)
REGIONS = st.sampled_from(["US", "DE", "IT", "JP", "IS", "AU", "MR"])


@given(st.lists(PHONES, max_size=20), REGIONS)
def test_any_text_gives_a_number_or_a_reason(texts: list[str], region: str) -> None:
    table = parse_phones(pa.array(texts, pa.string()), region)

    assert table["number"].to_pylist() == sorted({text for text in texts if text.strip()})
    for row in table.to_pylist():
        assert (row["e164"] is None) != (row["rejection_reason"] is None)
        assert row["e164"] is None or re.fullmatch(r"\+[1-9][0-9]{4,16}", row["e164"])
        assert row["extension"] is None or row["e164"] is not None


@given(st.lists(PHONES, max_size=20), REGIONS, REGIONS)
def test_a_parsed_number_stays_as_it_is(texts: list[str], region: str, other: str) -> None:
    e164 = parse_phones(pa.array(texts, pa.string()), region)["e164"].drop_null()

    again = parse_phones(e164, other)

    assert again["number"].to_pylist() == again["e164"].to_pylist()


@given(st.lists(st.one_of(PHONES, st.none())), st.randoms())
def test_order_and_repetition_do_not_matter(texts: list[str | None], random: object) -> None:
    shuffled = [*texts, *texts]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    before, after = pa.array(texts, pa.string()), pa.array(shuffled, pa.string())

    assert parse_phones(after, "US").equals(parse_phones(before, "US"))
    assert parse_emails(after, RULES).equals(parse_emails(before, RULES))


# E-mail addresses


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Mary.Jones@Clinic.ORG", "mary.jones@clinic.org"),
        ("  mary@clinic.org\n", "mary@clinic.org"),
        ("mailto:mary@clinic.org", "mary@clinic.org"),
        ("MAILTO:mary@clinic.org?subject=Hello", "mary@clinic.org"),
        ("<mary@clinic.org>", "mary@clinic.org"),
        ("'mary@clinic.org'", "mary@clinic.org"),
        ('"<mailto:mary@clinic.org>"', "mary@clinic.org"),
        ("Mary Jones <mary@clinic.org>", "mary@clinic.org"),
        ("M.Jones+spa@gmail.com", "mjones@gmail.com"),
        ("m.jones@googlemail.com", "mjones@gmail.com"),
        ("m.jones+spa@outlook.com", "m.jones@outlook.com"),
        ("m.jones.+spa@outlook.com", "m.jones@outlook.com"),
        ("m.jones+spa@clinic.org", "m.jones+spa@clinic.org"),
        ("Mary@MÜNCHEN.de", "mary@münchen.de"),
        ("mary@xn--mnchen-3ya.de", "mary@münchen.de"),
        ("mary@mu\u0308nchen.de", "mary@münchen.de"),
        ("JÖRG@clinic.org", "jörg@clinic.org"),
        ("jo\u0308rg@clinic.org", "jörg@clinic.org"),
        ("mary@example.com.de", "mary@example.com.de"),
    ],
)
def test_an_address_has_one_spelling(text: str, address: str) -> None:
    assert email(text) == address


@pytest.mark.parametrize(
    ("reason", "texts"),
    [
        (
            "not_an_email_address",
            "mary|mary@|@clinic.org|mary@clinic|mary jones@clinic.org|mary@clinic .org|"
            "mary@@clinic.org|mary@a.org@b.org|mary@clinic.org, tom@clinic.org|mary@clinic..org|"
            ".mary@clinic.org|n/a|mary@127.0.0.1|mary@[127.0.0.1]|mailto:|<>|+@gmail.com|"
            "mary@printer.local|\x00@clinic.org|<a@b.org><c@d.org>|" + "m" * 65 + "@clinic.org",
        ),
        (
            "placeholder_email",
            "none@none.com|Test@Test.com|mary@example.com|mary@mail.example.org|mary@clinic.test|"
            "mary@clinic.invalid|mary@localhost|noreply@clinic.org|No-Reply@clinic.org|"
            "noreply+1@gmail.com|none@clinic.org",
        ),
        ("disposable_email", "mary@mailinator.com|mary@eu.mailinator.com|mary@YOPMAIL.com"),
    ],
)
def test_an_address_that_cannot_be_used_says_why(reason: str, texts: str) -> None:
    for text in texts.split("|"):
        assert (text, email(text)) == (text, reason)


def test_rules_apply_only_where_given() -> None:
    assert email("M.Jones+spa@googlemail.com", NO_RULES) == "m.jones+spa@googlemail.com"
    assert email("noreply@mailinator.com", NO_RULES) == "noreply@mailinator.com"
    assert email("mary@clinic.test", NO_RULES) == "not_an_email_address"
    assert email("m.j@a.org", rules((" A.org", "ignores_dots"))) == "mj@a.org"


def test_a_domain_leads_to_the_last_that_is_the_same() -> None:
    chain = rules(("a.org", "same_as:b.org"), ("b.org", "same_as:C.org"), ("c.org", "ignores_dots"))

    assert email("m.j@a.org", chain) == "mj@c.org"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("a.org", "ignores_case")], "must be one of ignores_dots"),
        ([("a.org", "same_as:")], "must be one of"),
        ([("a.org", None)], "must be one of"),
        ([("a.org", "same_as:b.org"), ("a.org", "same_as:c.org")], "one domain only"),
        ([("a.org", "same_as:b.org"), ("b.org", "same_as:a.org")], "a.org = b.org = a.org"),
    ],
)
def test_wrong_rules_are_refused(rows: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_emails(pa.array(["m@a.org"]), rules(*rows))


NAMES = st.text("abAB.+-_üÜİß'", min_size=1, max_size=8)
DOMAINS = st.sampled_from(
    [
        "gmail.com",
        "GoogleMail.com",
        "outlook.com",
        "mailinator.com",
        "a.test",
        "münchen.de",
        "b.org",
    ]
)
EMAILS = st.one_of(
    st.text(max_size=20),
    st.emails(),
    st.builds("{}@{}".format, NAMES, DOMAINS),
    st.builds("{}@{}.org".format, NAMES, st.text(min_size=1, max_size=6)),
    st.text("@.<>\"'mailto: +ab", max_size=16),
)


@given(st.lists(EMAILS, max_size=20), st.sampled_from([RULES, NO_RULES]))
def test_any_text_gives_an_address_that_stays_as_it_is(texts: list[str], given: pa.Table) -> None:
    table = parse_emails(pa.array(texts, pa.string()), given)

    assert table["address"].to_pylist() == sorted({text for text in texts if text.strip()})
    for row in table.to_pylist():
        assert (row["email"] is None) != (row["rejection_reason"] is None)
    again = parse_emails(table["email"].drop_null(), given)
    assert again["address"].to_pylist() == again["email"].to_pylist()


# Hashes


def test_a_hash_is_the_published_one() -> None:
    # RFC 4231, test case 2 has a short key; case 6 (131 bytes of 0xaa) hashes a text.
    text = "Test Using Larger Than Block-Size Key - Hash Key First"

    (digits,) = hash_contacts(pa.array([text]), b"\xaa" * 131).to_pylist()

    assert digits == "60e431591ee0b67f0d8a26aacbf5b77f"


def test_hashes_keep_order_and_empty_values_and_depend_on_the_key() -> None:
    values = pa.chunked_array([["+12024561414", None], ["m@a.org", "+12024561414"]])

    first, nothing, address, again = hash_contacts(values, KEY).to_pylist()

    assert nothing is None
    assert first == again != address
    assert hash_contacts(values, KEY + b"0").to_pylist()[0] != first
    assert hash_contacts(pa.array([], pa.string()), KEY).to_pylist() == []


@pytest.mark.parametrize("key", [b"", b"0123456789abcde"])
def test_a_short_key_is_refused(key: bytes) -> None:
    with pytest.raises(ValueError, match="at least 16"):
        hash_contacts(pa.array(["+12024561414"]), key)


def test_many_contacts_are_parsed_as_few_are(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = pa.array([f"(212) 736-{line:04d}" for line in range(40)])
    addresses = pa.array([f"person{number}@northwind-mail.com" for number in range(40)])
    few = parse_phones(numbers, "US"), parse_emails(addresses, RULES)
    monkeypatch.setattr(contacts, "MANY_VALUES", 7)
    assert (parse_phones(numbers, "US"), parse_emails(addresses, RULES)) == few
