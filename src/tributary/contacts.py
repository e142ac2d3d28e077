"""Phone numbers and e-mail addresses: one spelling for each, or the reason there is none.

The parsers keep a contact as it was given beside what it means, so that whoever maintains the data
can find and mend it. What links records outside is never the contact itself but its keyed hash.

A phone number is read by Google's libphonenumber and an address by email-validator, neither of
which looks anything up on a network. Numbers of the North American Numbering Plan (US, Canada and
their neighbours) are checked against the plan beforehand, so that a mistyped code is told from a
number that is merely not assigned.
"""

import hmac
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from itertools import chain

import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc
from email_validator import EmailNotValidError, validate_email
from joblib import Parallel, delayed
from phonenumbers import PhoneNumber, ValidationResult

WITHHELD_WORDS = frozenset(
    ("anonymous", "blocked", "private", "restricted", "unavailable", "unknown", "withheld")
)
"""What a network or a provider writes in place of a caller's number."""

_KEYPAD = str.maketrans("abcdefghijklmnopqrstuvwxyz", "22233344455566677778889999")

WITHHELD_DIGITS = frozenset(word.translate(_KEYPAD) for word in WITHHELD_WORDS)
"""The same words on a telephone's keys, which providers send where only digits fit: 266696687."""

LONGEST_PHONE = 50
"""A text of this many characters is no phone number, whatever digits are in it."""

MANY_VALUES = 20_000
"""Values that one process parses at a time; of more, every core has some."""

_COUNTING_UP = "0123456789" * 5

NORTH_AMERICA = 1
"""Country code of the North American Numbering Plan."""

TOLL_FREE = frozenset(("800", "822", "833", "844", "855", "866", "877", "888"))
"""Area codes of the plan whose exchange may be N11, as in 1-800-411."""

SHORTEST_KEY = 16
"""Bytes a hash key must have: fewer can be guessed, and phone numbers then be counted through."""

HASH_DIGITS = 32
"""Hexadecimal digits kept of a hash: 128 bits.

Among a billion contacts the chance that any two collide is about 1e-21, and a key half as long
makes the joins on it faster.
"""

EMAIL_RULES = ("ignores_dots", "ignores_plus_tags", "same_as:<domain>", "disposable", "placeholder")
"""What a rule may say about a domain."""

_PHONE_SCHEMA = pa.schema(
    [
        ("number", pa.string()),
        ("e164", pa.string()),
        ("extension", pa.string()),
        ("rejection_reason", pa.string()),
    ]
)
_EMAIL_SCHEMA = pa.schema(
    [("address", pa.string()), ("email", pa.string()), ("rejection_reason", pa.string())]
)


def parse_phones(numbers: pa.Array, default_region: str) -> pa.Table:
    """Bring phone numbers into their international form, E.164.

    Parameters
    ----------
    numbers
        Numbers as people and systems write them: national or international, with `+`, `00` or the
        region's own prefix, digits of any script, letters of a keypad, an extension after `x`,
        `ext.`, `#` or `;ext=`. Empty ones are passed over.
    default_region
        Region of numbers without a country code: two capital letters of ISO 3166-1, such as US.

    Returns
    -------
    pa.Table
        One row per distinct number, sorted: number (as given), e164 (`+12024561414`), extension
        and rejection_reason. Either e164 or the reason is empty. The reasons:

        - withheld_number: the caller withheld it.
        - placeholder_number: something typed to fill a field: all digits equal, all but one of at
          least ten, digits that count up or down, numbers for films (555-01xx) and the directory.
        - impossible_area_code, impossible_exchange_code: the North American plan has no such code.
        - not_a_phone_number: no number can be read, or it is too short or too long for its country.
        - invalid_phone_number: its length is right, but its country assigns no such number.

    Raises
    ------
    ValueError
        If the region is unknown.
    """
    if default_region not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError(
            f"The default region of phone numbers is {default_region!r}; it must be a country in "
            "two capital letters (ISO 3166-1), such as US, CA, GB or DE."
        )
    return _parsed_table(_distinct(numbers), partial(_phone, region=default_region), _PHONE_SCHEMA)


def parse_emails(addresses: pa.Array, rules: pa.Table) -> pa.Table:
    """Bring e-mail addresses into one spelling per mailbox.

    Blanks, `mailto:`, a display name, quotes and angle brackets around an address are removed. What
    is left is in lower case (by the book a mailbox may tell cases apart, but providers do not) and
    in Unicode's composed form (NFC), its domain by the rules of international domain names.

    Parameters
    ----------
    addresses
        Addresses as people and systems write them. Empty ones are passed over.
    rules
        Columns domain and rule, both strings. The rules:

        - ignores_dots, ignores_plus_tags: dots in the name, and what follows a `+`, do not matter.
        - same_as:<domain>: another domain of the same mailboxes, which is used in its place.
        - disposable: mailboxes for a few minutes. Holds for subdomains too.
        - placeholder: nobody's address. Holds for subdomains too. Here the domain may also be a
          full address (`none@none.com`) or a name at any domain (`noreply@*`).

        An empty table applies none.

    Returns
    -------
    pa.Table
        One row per distinct address, sorted: address (as given), email and rejection_reason
        (not_an_email_address, placeholder_email or disposable_email). Either email or the reason is
        empty.

    Raises
    ------
    ValueError
        If a rule is unknown, or a domain is the same as two others or, in the end, as itself.
    """
    parsed_rules = _EmailRules.read(rules)
    return _parsed_table(_distinct(addresses), partial(_email, rules=parsed_rules), _EMAIL_SCHEMA)


def hash_contacts(values: pa.Array, key: bytes) -> pa.Array:
    """Name contacts by a keyed hash: HMAC-SHA256 (RFC 2104), its first 32 hexadecimal digits.

    A plain hash of a phone number is no secret: all numbers there are can be hashed in minutes. It
    takes the key to do so here; the same contact under another key has another name.

    Parameters
    ----------
    values
        Contacts as parsed, strings of shape (n,).
    key
        The secret, at least 16 bytes.

    Returns
    -------
    pa.Array
        Strings of shape (n,) in the order of the values; empty where they are.

    Raises
    ------
    ValueError
        If the key is too short.
    """
    if len(key) < SHORTEST_KEY:
        raise ValueError(
            f"The key for hashing contacts has {len(key)} bytes; it must have at least "
            f"{SHORTEST_KEY}. Make one with: openssl rand -hex 32"
        )
    hashes = [
        None if value is None else hmac.digest(key, value.encode(), "sha256").hex()[:HASH_DIGITS]
        for value in values.to_pylist()
    ]
    return pa.array(hashes, pa.string())


def _distinct(values: pa.Array) -> list[str]:
    """List the distinct values that hold more than blanks, sorted by code point."""
    distinct = pc.unique(values.cast(pa.string())).to_pylist()
    return sorted(value for value in distinct if value and not value.isspace())


def _parsed_table(
    values: list[str], parse: Callable[[str], tuple[str | None, ...]], schema: pa.Schema
) -> pa.Table:
    """Parse each value; many of them on all cores, since one takes some 40 microseconds."""
    parts = [values[start : start + MANY_VALUES] for start in range(0, len(values), MANY_VALUES)]
    workers = Parallel(n_jobs=-1 if len(parts) > 1 else 1)
    return _table(
        chain.from_iterable(workers(delayed(_parse_all)(parse, p) for p in parts)), schema
    )


def _parse_all(
    parse: Callable[[str], tuple[str | None, ...]], values: list[str]
) -> list[tuple[str | None, ...]]:
    return [(value, *parse(value)) for value in values]


def _table(rows: Iterable[tuple[str | None, ...]], schema: pa.Schema) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.table([pa.array(column, pa.string()) for column in columns], schema=schema)


# Phone numbers


def _phone(text: str, region: str) -> tuple[str | None, str | None, str | None]:
    """E.164, extension and rejection reason of a number."""

    def rejected(reason: str) -> tuple[None, None, str]:
        return None, None, reason

    text = text.strip()
    raw_digits = _digits(text)
    if not raw_digits and not WITHHELD_WORDS.isdisjoint(re.findall("[a-z]+", text.lower())):
        return rejected("withheld_number")
    if _is_filler(raw_digits):
        return rejected("placeholder_number")
    number = _parsed(text, region) if len(text) < LONGEST_PHONE else None
    is_valid = number is not None and phonenumbers.is_valid_number(number)
    if _is_withheld(text, raw_digits, region, is_valid):
        return rejected("withheld_number")
    if number is None:
        return rejected("not_a_phone_number")
    national = phonenumbers.national_significant_number(number)
    if _is_filler(national) or _is_filler(f"{number.country_code}{national}"):
        return rejected("placeholder_number")
    if number.country_code == NORTH_AMERICA and len(national) == 10:
        reason = _north_american_reason(national)
        if reason:
            return rejected(reason)
    if is_valid:
        e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        return e164, number.extension, None
    possible = phonenumbers.is_possible_number_with_reason(number)
    if possible == ValidationResult.IS_POSSIBLE:
        return rejected("invalid_phone_number")
    return rejected("not_a_phone_number")


def _digits(text: str) -> str:
    """Write the decimal digits of a text, of whatever script, as 0 to 9."""
    if text.isascii():
        return "".join(filter(str.isdigit, text))
    return "".join(str(unicodedata.decimal(letter)) for letter in text if letter.isdecimal())


def _parsed(text: str, region: str) -> PhoneNumber | None:
    """Read a number, the prefix 00 as a plus where the region itself has no use for it."""
    number = _parsed_as_it_is(text, region)
    prefixed = re.match(r"\D{0,2}0\s?0", text)
    if prefixed and (number is None or not phonenumbers.is_valid_number(number)):
        international = _parsed_as_it_is("+" + text[prefixed.end() :], region)
        if international is not None and phonenumbers.is_valid_number(international):
            return international
    return number


def _parsed_as_it_is(text: str, region: str) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None


def _is_withheld(text: str, digits: str, region: str, is_valid: bool) -> bool:
    """Whether the digits spell a word for a withheld number.

    Without a plus they may also be somebody's number where numbers are that short, as in Iceland.
    """
    is_american = phonenumbers.country_code_for_region(region) == NORTH_AMERICA
    is_spelled = digits in WITHHELD_DIGITS or digits.removeprefix("1") in WITHHELD_DIGITS
    return is_spelled and (is_american or text.startswith(("+", "\uff0b")) or not is_valid)


def _is_filler(digits: str) -> bool:
    """Whether digits are all equal, or all but one of at least ten, or count up or down."""
    if len(digits) < 7:
        return False
    most = max(map(digits.count, set(digits)))
    is_run = digits in _COUNTING_UP or digits in _COUNTING_UP[::-1]
    return is_run or most == len(digits) or (len(digits) >= 10 and most == len(digits) - 1)


def _north_american_reason(national: str) -> str | None:
    """Tell what the numbering plan (NANPA; ATIS-0300051) excludes in ten digits, if anything."""
    area, exchange, line = national[:3], national[3:6], national[6:]
    # N11 are service codes, N9X is kept for longer numbers, 37X and 96X are set aside.
    if not re.fullmatch("[2-9](?!11|9)..", area) or area[:2] in ("37", "96"):
        return "impossible_area_code"
    is_toll_free = area in TOLL_FREE
    if exchange[0] in "01" or (exchange.endswith("11") and not is_toll_free):
        return "impossible_exchange_code"
    if exchange == "555":
        is_for_films = line == "0199" if is_toll_free else line.startswith("01")
        if is_for_films or line == "1212":
            return "placeholder_number"
    return None


# E-mail addresses


@dataclass(frozen=True)
class _EmailRules:
    """Rules by what they say; placeholders are domains, addresses and `name@*`."""

    same_as: dict[str, str] = field(default_factory=dict)
    ignores_dots: set[str] = field(default_factory=set)
    ignores_plus_tags: set[str] = field(default_factory=set)
    disposable: set[str] = field(default_factory=set)
    placeholder: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, table: pa.Table) -> "_EmailRules":
        """Read rules from a table of the columns domain and rule."""
        rules = cls()
        for row in table.select(["domain", "rule"]).to_pylist():
            domain, rule = _spelled(row["domain"] or ""), row["rule"] or ""
            name, _, other = rule.partition(":")
            other = _spelled(other)
            if name == "same_as" and other:
                if rules.same_as.setdefault(domain, other) != other:
                    raise ValueError(
                        f"{domain} is the same as {rules.same_as[domain]} and {other}; "
                        "it can be the same as one domain only."
                    )
            elif rule in EMAIL_RULES:
                getattr(rules, rule).add(domain)
            else:
                raise ValueError(
                    f"{domain} has the rule {rule!r}; it must be one of {', '.join(EMAIL_RULES)}."
                )
        for domain in rules.same_as:
            rules.main_domain(domain)
        return rules

    def main_domain(self, domain: str) -> str:
        """Find the domain that stands for a domain and all that are the same."""
        passed = [domain]
        while domain in self.same_as:
            domain = self.same_as[domain]
            if domain in passed:
                raise ValueError(
                    f"{domain} is the same as itself: {' = '.join([*passed, domain])}."
                )
            passed.append(domain)
        return domain

    def is_placeholder(self, name: str, domain: str) -> bool:
        """Whether an address, its name or its domain is a placeholder."""
        patterns = {f"{name}@{domain}", f"{name}@*", *_with_parents(domain)}
        return not self.placeholder.isdisjoint(patterns)

    def is_disposable(self, domain: str) -> bool:
        """Whether a domain or a domain above it is disposable."""
        return not self.disposable.isdisjoint(_with_parents(domain))


def _email(text: str, rules: _EmailRules) -> tuple[str | None, str | None]:
    """Address in its one spelling and rejection reason."""
    text = _spelled(_unwrapped(text))
    address = _validated(text)
    if address is None:
        # A reserved domain such as example.test is refused as such; under another it is read.
        name, domain = _validated(f"{text}.com") or ("", "")
        if rules.is_placeholder(name, domain.removesuffix(".com")):
            return None, "placeholder_email"
        return None, "not_an_email_address"
    name, domain = address
    domain = rules.main_domain(domain)
    if domain in rules.ignores_plus_tags:
        # A dot before the tag would be left at the end, where no name may have one.
        name = name.partition("+")[0].rstrip(".")
    if domain in rules.ignores_dots:
        name = name.replace(".", "")
    if not name:
        return None, "not_an_email_address"
    if rules.is_placeholder(name, domain):
        return None, "placeholder_email"
    if rules.is_disposable(domain):
        return None, "disposable_email"
    return f"{name}@{domain}", None


def _unwrapped(text: str) -> str:
    """Take off what mail programs and spreadsheets put around an address."""
    inner = re.sub(r"^[^<>]*<([^<>]*)>$", r"\1", text.strip())
    inner = re.sub(r"^mailto:([^?]*).*$", r"\1", inner, flags=re.IGNORECASE | re.DOTALL)
    inner = re.sub(r"^([\"'])(.*)\1$", r"\2", inner, flags=re.DOTALL)
    return inner if inner == text else _unwrapped(inner)


def _spelled(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text.strip()).lower())


def _validated(text: str) -> tuple[str, str] | None:
    """Name and domain of a well-formed address."""
    try:
        address = validate_email(text, check_deliverability=False, strict=True)
    except EmailNotValidError:
        return None
    return address.local_part, address.domain


def _with_parents(domain: str) -> list[str]:
    """List a domain and the domains above it: a.b.c, b.c and c."""
    labels = domain.split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]
