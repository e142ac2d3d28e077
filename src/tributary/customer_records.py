"""What a business would have recorded of simulated people, with the truth about who is who.

A simulation knows each person by one id. A business does not: it sees cookies, callers, customer
records and logins, each with its own ids, contacts typed by hand, phones shared by families and
people who come back under another e-mail address. Here the same people leave such traces, and the
truth says whose each trace is, and whether the data hold enough to tell.

Every touch of the simulation is kept, as a session, a call or a form filled in, so that the truth
about its channels stays the truth.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tributary.simulation import Simulation

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Row = dict[str, Any]
Contact = int | str

MICROSECONDS_PER_DAY = 86_400_000_000

SESSION, CALL, FORM = range(3)
"""What a touch was."""

# What people do. Rates are shares of what they are named after, in [0, 1].

SECOND_DEVICE = 0.20
"""People who use a second device, with a cookie of its own, from some day on."""

SECOND_DEVICE_DAYS = 0.5
"""Days from then on that are spent on it."""

INTERESTED_TOUCHES = 10
"""Touches that make a person interested enough to call or fill in a form without ever buying."""

CALLS = 0.08
"""Touches of buyers and the interested that are calls."""

FORMS = 0.04
"""Touches of buyers and the interested that are forms filled in."""

CALLERS_ON_FILE = 0.3
"""People who called or filled in a form, never bought, and have a customer record all the same."""

LOGINS_AT_PURCHASE = 0.7
"""Purchases at which the customer is logged in."""

LOGINS_IN_SESSION = 0.1
"""Sessions of customers, once on file, in which they log in."""

VISITOR_KNOWN = 0.5
"""Calls whose tracker saw the caller's cookie on the site."""

COOKIE_KNOWN = 0.92
"""Forms that come with a cookie."""

CALL_CHANNEL_KNOWN = 0.5
"""Calls whose tracker names the channel itself."""

CALL_EMAIL_KNOWN = 0.05
"""Calls for which an e-mail address was noted."""

PHONE_GIVEN = 0.6
"""Forms with a phone number."""

EMAIL_GIVEN = 0.8
"""Forms with an e-mail address; those without a phone number always have one."""

REFERRAL_KNOWN = 0.6
"""Customers who said what brought them."""

APPOINTMENTS = 0.6
"""Paying customers with an appointment before the first payment; half as many of the others."""

ATTENDED = 0.85
"""Appointments of paying customers that were attended."""

REFUNDS = 0.04
"""Purchases refunded one to fourteen days later, if that is within the period."""

PARTIAL_REFUNDS = 0.4
"""Refunds of a part."""

# What is on file, and what goes wrong.

SECOND_PHONES = 0.25
"""People with a second phone number of their own, families and switchboards apart."""

SECOND_EMAILS = 0.2
"""People with a second e-mail address."""

FAMILY_MEMBERS = 0.12
"""Customers who share a phone with one to three others of the same family."""

SWITCHBOARD_CUSTOMERS = 15
"""Customers who gave the number of a clinic's switchboard, of at least ten times as many."""

CHANGED_NUMBERS = 0.06
"""People whose number changes; the old one stays on file as phone_2."""

DUPLICATE_RECORDS = 0.03
"""Customers with a second record, half by a typo in the name, half by another e-mail spelling."""

MISSING_BIRTH_DATES = 0.1
"""Customer records without a birth date."""

ANONYMOUS_CALLS = 0.04
"""Calls with the number withheld."""

MISTYPED_PHONES = 0.03
"""Phone numbers of calls and forms with a wrong digit."""

EXTENSIONS = 0.04
"""Phone numbers written with an extension."""

MISTYPED_EMAILS = 0.02
"""E-mail addresses in calls and forms with a wrong letter."""

UPPER_CASE_EMAILS = 0.08
"""E-mail addresses in capitals."""

TAGGED_EMAILS = 0.06
"""E-mail addresses, at providers that ignore it, with a tag after a plus."""

DOTTED_EMAILS = 0.15
"""Addresses at Gmail with dots elsewhere than usual."""

BROKEN_EMAILS = 0.003
"""E-mail addresses with two @."""

MALFORMED_ROWS = 0.002
"""Rows added to the good ones that cannot be used: no id, no time, a time in the year 2999, or a
customer who does not exist."""

WITHHELD = ("Anonymous", "anonymous", "Restricted", "unavailable", "+266696687", "+7378742833")

PHONE_FORMATS = (
    "+1{}{}{}",
    "({}) {}-{}",
    "{}-{}-{}",
    "{}.{}.{}",
    "{}{}{}",
    "1-{}-{}-{}",
    "+1 ({}) {}-{}",
    "{} {} {}",
)

EXTENSION_FORMATS = (" x{}", " ext. {}", " #{}", ";ext={}")

CITIES = (
    ("Washington", 202), ("Seattle", 206), ("New York", 212), ("Los Angeles", 213),
    ("Philadelphia", 215), ("Denver", 303), ("Miami", 305), ("Chicago", 312),
    ("Atlanta", 404), ("San Francisco", 415), ("Portland", 503), ("Austin", 512),
    ("Phoenix", 602), ("Boston", 617), ("Las Vegas", 702), ("Houston", 713),
)  # fmt: skip
"""Cities and their area codes."""

EXCHANGES = np.array([code for code in range(220, 950) if code % 100 != 11 and code != 555])

FIRST_NAMES = (
    "Aaron", "Alice", "Amir", "Anna", "Beatriz", "Ben", "Carlos", "Carol", "Chen", "Daniel",
    "Diana", "Elena", "Emma", "Eric", "Fatima", "Frank", "Grace", "Hannah", "Henry", "Ines",
    "Ivan", "Jack", "Julia", "Karen", "Kevin", "Laura", "Leo", "Linda", "Maria", "Mark",
    "Nina", "Noah", "Olga", "Oscar", "Paul", "Priya", "Rosa", "Samuel", "Sofia", "Victor",
)  # fmt: skip

LAST_NAMES = (
    "Adams", "Baker", "Brown", "Campbell", "Carter", "Clark", "Cohen", "Cooper", "Davis", "Diaz",
    "Evans", "Fischer", "Foster", "Garcia", "Green", "Hall", "Harris", "Hughes", "Jackson", "Jones",
    "Kelly", "Khan", "Kim", "Lee", "Lewis", "Lopez", "Martin", "Miller", "Moore", "Nguyen",
    "Novak", "Patel", "Reed", "Rivera", "Rossi", "Scott", "Silva", "Turner", "Walker", "Young",
)  # fmt: skip

HOME_PROVIDERS = ("gmail.com", "gmail.com", "outlook.com", "icloud.com", "yahoo.com", "comcast.net")

IGNORING_TAGS = ("gmail.com", "outlook.com", "icloud.com")

WORK_PROVIDERS = ("northwind-health.com", "lakeside-school.org", "harbor-logistics.com")

REVENUE_CENTERS = ("consultations", "treatments", "products")


@dataclass(frozen=True)
class Origin:
    """How trackers write where a touch came from.

    Attributes
    ----------
    source, medium
        As in the parameters of a tagged link.
    referral
        Id of the source in a list of referrals; none for people who came by themselves.
    click_id
        Parameter that the platform adds to the landing page, if it does.
    """

    source: str
    medium: str
    referral: str | None = None
    click_id: str | None = None


ORIGINS: Mapping[str, tuple[Origin, ...]] = {
    "Paid Search Brand": (Origin("google", "brand_cpc", "google-ads-brand", "gclid"),),
    "Paid Search Non Brand": (
        Origin("google", "nonbrand_cpc", "google-ads", "gclid"),
        Origin("bing", "nonbrand_cpc", "microsoft-ads", "msclkid"),
    ),
    "Paid Social": (Origin("linkedin", "paid_social", "linkedin-ads", "li_fat_id"),),
    "Display Retargeting": (Origin("criteo", "display_retargeting", "criteo"),),
    "Newsletter & Email": (Origin("newsletter", "email", "newsletter"),),
    "Affiliate & Partnerships": (Origin("partner", "affiliate", "partner"),),
    "Organic Search": (Origin("google", "organic", "google"),),
    "Direct": (Origin("(direct)", "(none)"),),
    "Podcast": (Origin("podcast", "audio", "podcast"),),
}
"""Where the touches of each channel come from, any of several alike. Source and medium together
tell the channel, also to the rules of the seed channel_rules. A channel that is not listed is its
own source, with the medium (not set)."""


@dataclass(frozen=True)
class CustomerRecords:
    """What a site, a call tracker, a customer database and a billing system recorded.

    Times are UTC; ids are given in the order of time. A touch of the simulation is one row of
    sessions, of calls or of identity_links with the kind form, at the same time. Calls and forms
    say where they come from by source and medium, as `ORIGINS` has it:

    ======================== ============================= ===================
    channel                  (source, medium)              on the landing page
    ======================== ============================= ===================
    Paid Search Brand        (google, brand_cpc)           gclid
    Paid Search Non Brand    (google/bing, nonbrand_cpc)   gclid or msclkid
    Paid Social              (linkedin, paid_social)       li_fat_id
    Display Retargeting      (criteo, display_retargeting)
    Newsletter & Email       (newsletter, email)
    Affiliate & Partnerships (partner, affiliate)
    Organic Search           (google, organic)
    Direct                   ((direct), (none))
    Podcast                  (podcast, audio)
    ======================== ============================= ===================

    Attributes
    ----------
    sessions
        The simulation's columns; user_id is a cookie.
    conversions
        The simulation's rows; user_id is the cookie that the buyer used on that day.
    calls
        call_id, called_at, contact_number, email, source, medium, campaign, channel, referral,
        duration (seconds), tracking_label, landing_page, visitor_id (a cookie).
    customers
        customer_id, created_at, first_name, last_name, birth_date, city, phone_1, phone_2, email_1,
        email_2, referral_source_id.
    appointments
        appointment_id, customer_id, booked_at, attended_at, status (attended, booked, cancelled or
        no_show).
    revenue
        revenue_id, customer_id, service_date, net, revenue_center, currency. One row per
        conversion, and refunds, which are negative.
    identity_links
        link_id, linked_at, kind (login or form), user_id (a cookie), customer_id, phone, email,
        source, medium, campaign, landing_page. Where a form came from is empty for a login.
    identity_truth
        entity (user, call, form or customer), entity_key, true_person (the simulation's user_id),
        is_matchable: whether the person has a customer record and the data hold evidence that the
        entity is that person's. Evidence is a contact, correctly written, that is on records of
        this person and of nobody else; for a cookie also a login, or a call or form with such a
        contact; for a call or form also that its cookie has evidence. A customer's only record is
        matchable; two records of one person are if they share such a contact. Rows that cannot be
        used are not listed.
    """

    sessions: pa.Table
    conversions: pa.Table
    calls: pa.Table
    customers: pa.Table
    appointments: pa.Table
    revenue: pa.Table
    identity_links: pa.Table
    identity_truth: pa.Table


_CALLS = pa.schema(
    {
        "call_id": pa.string(),
        "called_at": pa.timestamp("us"),
        "contact_number": pa.string(),
        "email": pa.string(),
        "source": pa.string(),
        "medium": pa.string(),
        "campaign": pa.string(),
        "channel": pa.string(),
        "referral": pa.string(),
        "duration": pa.int64(),
        "tracking_label": pa.string(),
        "landing_page": pa.string(),
        "visitor_id": pa.string(),
    }
)
_CUSTOMERS = pa.schema(
    {
        "customer_id": pa.string(),
        "created_at": pa.timestamp("us"),
        "first_name": pa.string(),
        "last_name": pa.string(),
        "birth_date": pa.date32(),
        "city": pa.string(),
        "phone_1": pa.string(),
        "phone_2": pa.string(),
        "email_1": pa.string(),
        "email_2": pa.string(),
        "referral_source_id": pa.string(),
    }
)
_APPOINTMENTS = pa.schema(
    {
        "appointment_id": pa.string(),
        "customer_id": pa.string(),
        "booked_at": pa.timestamp("us"),
        "attended_at": pa.timestamp("us"),
        "status": pa.string(),
    }
)
_REVENUE = pa.schema(
    {
        "revenue_id": pa.string(),
        "customer_id": pa.string(),
        "service_date": pa.date32(),
        "net": pa.float64(),
        "revenue_center": pa.string(),
        "currency": pa.string(),
    }
)
_LINKS = pa.schema(
    {
        "link_id": pa.string(),
        "linked_at": pa.timestamp("us"),
        "kind": pa.string(),
        "user_id": pa.string(),
        "customer_id": pa.string(),
        "phone": pa.string(),
        "email": pa.string(),
        "source": pa.string(),
        "medium": pa.string(),
        "campaign": pa.string(),
        "landing_page": pa.string(),
    }
)
_TRUTH = pa.schema(
    {
        "entity": pa.string(),
        "entity_key": pa.string(),
        "true_person": pa.string(),
        "is_matchable": pa.bool_(),
    }
)

FAR_FUTURE = datetime(2999, 12, 31)

_PERSON = "(person)"
_CONTACTS = "(contacts)"
"""Keys of whose a row is and of what its contacts truly say; no columns of any table."""


def simulate_customer_records(simulation: Simulation, seed: int) -> CustomerRecords:
    """Let simulated people leave traces in the systems of a business.

    Parameters
    ----------
    simulation
        The people and what they did.
    seed
        Seed of all randomness here, at least 0: the same simulation and seed give the same tables.

    Returns
    -------
    CustomerRecords
        Tables sorted by time, malformed rows last, and the truth by entity and key. Takes time and
        memory in proportion to the number of touches.

    Raises
    ------
    ValueError
        If the seed is negative.
    """
    if seed < 0:
        raise ValueError(f"seed is {seed}; it must be at least 0.")
    rng = np.random.default_rng(seed)
    past = _Past.read(simulation)
    kind = _kinds(rng, past)
    cookies = _cookies(rng, past)
    people = _people(rng, past, kind)

    appointments = _appointment_rows(rng, past, people)
    files = _files(rng, past, people, appointments)
    calls = _call_rows(rng, past, people, cookies, kind)
    links = _link_rows(rng, past, people, cookies, kind, files)
    revenue = _revenue_rows(rng, past, files)

    touch_cookies, purchase_cookies = np.split(cookies, [len(kind)])
    sessions = _with_users(simulation.sessions, touch_cookies).filter(pa.array(kind == SESSION))
    conversions = _with_users(simulation.conversions, purchase_cookies)
    owner = dict(zip(cookies.tolist(), past.person.tolist(), strict=True))
    seen = {*sessions["user_id"].to_pylist(), *conversions["user_id"].to_pylist()}
    seen |= {row["visitor_id"] for row in calls} | {row["user_id"] for row in links}
    users = {user: owner[user] for user in seen if user is not None}
    truth = _truth_rows(calls, links, files.rows, users, past.names)

    def no_id_or_time(key: str, time: str) -> list[Row]:
        return [{key: None}, {time: None}, {time: FAR_FUTURE}]

    nobody = {"customer_id": "k0"}
    return CustomerRecords(
        sessions=sessions,
        conversions=conversions,
        calls=_table(rng, calls, _CALLS, no_id_or_time("call_id", "called_at")),
        customers=_table(rng, files.rows, _CUSTOMERS, [{"customer_id": None}]),
        appointments=_table(
            rng, appointments, _APPOINTMENTS, [nobody, *no_id_or_time("customer_id", "booked_at")]
        ),
        revenue=_table(
            rng, revenue, _REVENUE, [nobody, *no_id_or_time("customer_id", "service_date")]
        ),
        identity_links=_table(rng, links, _LINKS, no_id_or_time("link_id", "linked_at")),
        identity_truth=pa.Table.from_pylist(truth, schema=_TRUTH),
    )


# What happened


@dataclass(frozen=True)
class _Past:
    """The simulation in numbers: touches first, then purchases, each in its own order.

    `person`, `at` (microseconds since 1970) and `day` (since the first) have shape (touches +
    purchases,); `names` are the simulation's user ids by the person's number.
    """

    names: list[str]
    person: IntArray
    at: IntArray
    day: IntArray
    touches: pa.Table
    purchases: pa.Table
    first_at: int
    days: int

    @classmethod
    def read(cls, simulation: Simulation) -> "_Past":
        touches, purchases = simulation.sessions, simulation.conversions
        user = pa.concat_arrays(
            [table["user_id"].combine_chunks() for table in (touches, purchases)]
        )
        times = [touches["started_at"], purchases["converted_at"]]
        at = np.concatenate([time.cast(pa.int64()).to_numpy() for time in times])
        names = pc.unique(user)
        midnight = int(at.min()) // MICROSECONDS_PER_DAY if len(at) else 0
        day = at // MICROSECONDS_PER_DAY - midnight
        return cls(
            names=names.to_pylist(),
            person=pc.index_in(user, names).to_numpy().astype(np.int64),
            at=at,
            day=day,
            touches=touches,
            purchases=purchases,
            first_at=midnight * MICROSECONDS_PER_DAY,
            days=int(day.max()) + 1 if len(at) else 1,
        )

    @property
    def last_at(self) -> int:
        """End of the last day."""
        return self.first_at + self.days * MICROSECONDS_PER_DAY

    @property
    def is_purchase(self) -> BoolArray:
        """Which of the events are purchases."""
        is_purchase: BoolArray = np.arange(len(self.at)) >= self.touches.num_rows
        return is_purchase


def _kinds(rng: np.random.Generator, past: _Past) -> IntArray:
    """Decide which touches are sessions, calls and forms, shape (touches,)."""
    size = len(past.names)
    person = past.person[~past.is_purchase]
    bought = np.bincount(past.person[past.is_purchase], minlength=size) > 0
    is_interested = bought | (np.bincount(person, minlength=size) >= INTERESTED_TOUCHES)
    luck = np.where(is_interested[person], rng.random(len(person)), 1.0)
    kind: IntArray = np.select([luck < CALLS, luck < CALLS + FORMS], [CALL, FORM], SESSION)
    return kind


def _cookies(rng: np.random.Generator, past: _Past) -> npt.NDArray[np.object_]:
    """Name the cookie in use at each event: one per person and day, shape (events,)."""
    size = len(past.names)
    since = np.where(rng.random(size) < SECOND_DEVICE, rng.integers(0, past.days, size), past.days)
    person_days, which = np.unique(past.person * past.days + past.day, return_inverse=True)
    is_elsewhere = (rng.random(len(person_days)) < SECOND_DEVICE_DAYS)[which]
    is_second = is_elsewhere & (past.day >= since[past.person])
    names = np.array([past.names, [f"{name}-2" for name in past.names]], dtype=object)
    cookies: npt.NDArray[np.object_] = names[is_second.astype(int), past.person]
    return cookies


def _with_users(table: pa.Table, users: npt.NDArray[np.object_]) -> pa.Table:
    column = table.column_names.index("user_id")
    return table.set_column(column, "user_id", pa.array(users, pa.string()))


# People and their contacts


@dataclass(frozen=True)
class _Person:
    """Somebody a business gets to know.

    Phones are ten digits, e-mail addresses in their one spelling; those after the first may be
    missing. Before `changed_at` the second phone was the only one. `seen_at` are the times of
    calls, forms and purchases, `paid_at` of purchases, in microseconds.
    """

    number: int
    first_name: str
    last_name: str
    birth_date: date
    city: str
    phones: tuple[int, ...]
    emails: tuple[str, ...]
    changed_at: int | None
    is_on_file: bool
    seen_at: tuple[int, ...]
    paid_at: tuple[int, ...]

    def phone_at(self, at: int, luck: float) -> int:
        """Tell the number in use at a time."""
        if self.changed_at is not None:
            return self.phones[int(at < self.changed_at)]
        return self.phones[int(luck * len(self.phones))]


def _phone(area: int, number: int) -> int:
    """Spread the numbers of an area: different ones for different numbers below five million."""
    # A prime that does not divide the number of lines walks through all of them.
    place = number * 3_999_971 % (len(EXCHANGES) * 9_000)
    return area * 10**7 + int(EXCHANGES[place // 9_000]) * 10**4 + 1_000 + place % 9_000


def _people(rng: np.random.Generator, past: _Past, kind: IntArray) -> dict[int, _Person]:
    """Make up those who call, fill in a form or buy, in the order of their numbers."""
    is_known = np.concatenate([kind != SESSION, np.ones(past.purchases.num_rows, dtype=bool)])
    seen, paid = defaultdict(list), defaultdict(list)
    for number, at in zip(past.person[is_known].tolist(), past.at[is_known].tolist(), strict=True):
        seen[number].append(at)
    for number, at in zip(
        past.person[past.is_purchase].tolist(), past.at[past.is_purchase].tolist(), strict=True
    ):
        paid[number].append(at)
    known = sorted(seen)
    lucks = rng.random((len(known), 12)).tolist()
    on_file = {
        number
        for number, luck in zip(known, lucks, strict=True)
        if number in paid or luck[0] < CALLERS_ON_FILE
    }
    household, switchboard = _households(rng, sorted(on_file))

    people = {}
    for number, luck in zip(known, lucks, strict=True):
        home, place = household.get(number, (number, 0))
        city, area = CITIES[home % len(CITIES)]
        last_name = LAST_NAMES[home // len(CITIES) % len(LAST_NAMES)]
        # One after the other in a family, so that nobody has another's name.
        first = home + place if number in household else int(luck[1] * len(FIRST_NAMES))
        first_name = FIRST_NAMES[first % len(FIRST_NAMES)]
        phones: tuple[int, ...] = (_phone(area, 3 * number),)
        changed_at = None
        other = _phone(area, 3 * number + 1)
        if number in household:
            phones = (_phone(area, 3 * home + 2), *phones[: luck[2] < 0.5])
        elif number in switchboard:
            phones = (_phone(CITIES[0][1], 3 * switchboard[0] + 2), *phones[: luck[2] < 0.5])
        elif luck[2] < CHANGED_NUMBERS:
            phones = (*phones, other)
            changed_at = past.first_at + int(luck[3] * (past.last_at - past.first_at))
        elif luck[2] < CHANGED_NUMBERS + SECOND_PHONES:
            phones = (*phones, other)
        provider = HOME_PROVIDERS[int(luck[4] * len(HOME_PROVIDERS))]
        emails: tuple[str, ...] = (f"{first_name}.{last_name}{number}@{provider}".lower(),)
        if luck[5] < SECOND_EMAILS:
            employer = WORK_PROVIDERS[int(luck[6] * len(WORK_PROVIDERS))]
            emails = (*emails, f"{first_name[0]}{last_name}.{number}@{employer}".lower())
        people[number] = _Person(
            number=number,
            first_name=first_name,
            last_name=last_name,
            birth_date=date(1940, 1, 1) + timedelta(days=int(luck[7] * 365 * 65)),
            city=city,
            phones=phones,
            emails=emails,
            changed_at=changed_at,
            is_on_file=number in on_file,
            seen_at=tuple(sorted(seen[number])),
            paid_at=tuple(sorted(paid[number])),
        )
    return people


def _households(
    rng: np.random.Generator, on_file: list[int]
) -> tuple[dict[int, tuple[int, int]], list[int]]:
    """Put customers into families of two to four, and some behind a switchboard.

    Returns
    -------
    tuple
        For each member of a family, its first member and the place among them; and the customers
        behind the switchboard.
    """
    order = rng.permutation(on_file).tolist()
    behind = SWITCHBOARD_CUSTOMERS if len(order) >= 10 * SWITCHBOARD_CUSTOMERS else 0
    switchboard, others = order[:behind], order[behind:]
    members: dict[int, tuple[int, int]] = {}
    start, end = 0, round(FAMILY_MEMBERS * len(others))
    while end - start >= 2:
        family = others[start : min(start + int(rng.integers(2, 5)), end)]
        members.update((number, (family[0], place)) for place, number in enumerate(family))
        start += len(family)
    return members, switchboard


# How contacts are written


def _written_phone(phone: int, luck: Sequence[float]) -> str:
    """Write a number in one of many formats; `luck` holds three uniform draws."""
    digits = str(phone)
    form = PHONE_FORMATS[int(luck[0] * len(PHONE_FORMATS))]
    text = form.format(digits[:3], digits[3:6], digits[6:])
    if luck[1] < EXTENSIONS:
        text += EXTENSION_FORMATS[int(luck[2] * len(EXTENSION_FORMATS))].format(
            10 + int(luck[1] / EXTENSIONS * 90)
        )
    return text


def _mistyped_phone(phone: int, luck: float) -> int:
    """Change one of the last four digits."""
    place = (1, 10, 100, 1_000)[int(luck * 4)]
    digit = phone // place % 10
    return phone + ((digit + 5) % 10 - digit) * place


def _written_email(address: str, luck: Sequence[float]) -> tuple[str, bool]:
    """Write an address as people do, and tell whether it can be read; `luck` holds four draws."""
    name, provider = address.split("@")
    if provider == "gmail.com" and luck[0] < DOTTED_EMAILS:
        name = name.replace(".", "") if luck[0] < DOTTED_EMAILS / 2 else f"{name[0]}.{name[1:]}"
    if provider in IGNORING_TAGS and luck[1] < TAGGED_EMAILS:
        name += ("+booking", "+news")[luck[1] < TAGGED_EMAILS / 2]
    text = f"{name}@{provider}"
    if luck[2] < UPPER_CASE_EMAILS:
        text = text.upper() if luck[2] < UPPER_CASE_EMAILS / 2 else text.title()
    is_broken = luck[3] < BROKEN_EMAILS
    return (text.replace("@", "@@") if is_broken else text), not is_broken


def _typo(name: str, luck: float) -> str:
    """Swap two neighbouring letters after the first, or leave one out if they are the same."""
    place = 1 + int(luck * (len(name) - 2))
    before, after = name[place], name[place + 1]
    if before == after:
        return name[:place] + name[place + 1 :]
    return name[:place] + after + before + name[place + 2 :]


# Customers, appointments and revenue


@dataclass(frozen=True)
class _Files:
    """Customer records, and which of them an event at a time goes to."""

    rows: list[Row]
    of_person: dict[int, list[Row]]

    def customer_id(self, number: int, at: int, luck: float) -> str | None:
        """Id of the person's record at a time; a second one takes half of what comes after it."""
        existing = [row for row in self.of_person.get(number, ()) if row["created_at"] <= _time(at)]
        return existing[int(luck * len(existing))]["customer_id"] if existing else None


def _appointment_rows(
    rng: np.random.Generator, past: _Past, people: Mapping[int, _Person]
) -> list[Row]:
    fortnight = 14 * MICROSECONDS_PER_DAY
    rows: list[Row] = []
    customers = [person for person in people.values() if person.is_on_file]
    for person, luck in zip(customers, rng.random((len(customers), 5)).tolist(), strict=True):
        is_paying = bool(person.paid_at)
        if luck[0] >= (APPOINTMENTS if is_paying else APPOINTMENTS / 2):
            continue
        # Before the first payment or, of those who never paid, after they were first seen.
        start, end = person.seen_at[0], min(person.seen_at[0] + fortnight, past.last_at)
        if is_paying:
            start, end = max(past.first_at, person.paid_at[0] - fortnight), person.paid_at[0]
        booked_at = start + int(0.7 * luck[1] * (end - start))
        attended_at = booked_at + int((0.3 + 0.6 * luck[2]) * (end - booked_at))
        is_attended = luck[3] < (ATTENDED if is_paying else ATTENDED / 2)
        missed = ("booked", "cancelled", "no_show")[int(luck[4] * 3)]
        rows.append(
            {
                _PERSON: person.number,
                "booked_at": _time(booked_at),
                "attended_at": _time(attended_at) if is_attended else None,
                "status": "attended" if is_attended else missed,
            }
        )
    return _numbered(rows, "appointment_id", "a", "booked_at")


def _first_channels(past: _Past) -> dict[int, str]:
    """Channel of the first touch of each person who was touched; touches are in order of time."""
    persons, first = np.unique(past.person[~past.is_purchase], return_index=True)
    channels = past.touches["channel"].take(pa.array(first)).to_pylist()
    return dict(zip(persons.tolist(), channels, strict=True))


def _files(
    rng: np.random.Generator,
    past: _Past,
    people: Mapping[int, _Person],
    appointments: Iterable[Row],
) -> _Files:
    """Write the customer records and give the appointments their customers."""
    booked_at = {row[_PERSON]: row["booked_at"] for row in appointments}
    first_channel = _first_channels(past)
    rows: list[Row] = []
    customers = [person for person in people.values() if person.is_on_file]
    for person, luck in zip(customers, rng.random((len(customers), 30)).tolist(), strict=True):
        first_seen = person.seen_at[0]
        created_at = min(_time(first_seen), booked_at.get(person.number, FAR_FUTURE))
        origin = None
        if luck[0] < REFERRAL_KNOWN:
            origin = _origin(first_channel.get(person.number, "Direct"), luck[1])
        row = {
            _PERSON: person.number,
            "created_at": created_at,
            "first_name": person.first_name,
            "last_name": person.last_name,
            "birth_date": None if luck[2] < MISSING_BIRTH_DATES else person.birth_date,
            "city": person.city,
            "referral_source_id": origin and origin.referral,
            **_contacts_on_file(person, luck[3:13]),
        }
        rows.append(row)
        if luck[13] < DUPLICATE_RECORDS:
            later = first_seen + int(luck[14] * (past.last_at - first_seen))
            copy = {**row, "created_at": _time(later), **_contacts_on_file(person, luck[15:25])}
            copy["referral_source_id"] = None
            if luck[25] < 0.5:
                name = ("first_name", "last_name")[luck[26] < 0.5]
                copy[name] = _typo(row[name], luck[27])
            else:
                copy["email_1"] = copy["email_1"].swapcase()
            rows.append(copy)
    _numbered(rows, "customer_id", "k", "created_at")
    of_person = defaultdict(list)
    for row in rows:
        of_person[row[_PERSON]].append(row)
    for appointment in appointments:
        appointment["customer_id"] = of_person[appointment[_PERSON]][0]["customer_id"]
    return _Files(rows, of_person)


def _contacts_on_file(person: _Person, luck: Sequence[float]) -> Row:
    """Write the contacts of a record; `luck` holds ten draws."""
    phones = [_written_phone(phone, luck[2 * place :]) for place, phone in enumerate(person.phones)]
    emails = [_written_email(email, luck[5 + place :]) for place, email in enumerate(person.emails)]
    readable = [email for email, (_, is_read) in zip(person.emails, emails, strict=True) if is_read]
    return {
        "phone_1": phones[0],
        "phone_2": phones[1] if len(phones) > 1 else None,
        "email_1": emails[0][0],
        "email_2": emails[1][0] if len(emails) > 1 else None,
        _CONTACTS: {*person.phones, *readable},
    }


def _revenue_rows(rng: np.random.Generator, past: _Past, files: _Files) -> list[Row]:
    rows: list[Row] = []
    purchases = past.purchases.select(["revenue", "currency"]).to_pylist()
    is_purchase = past.is_purchase
    events = zip(
        purchases,
        past.person[is_purchase].tolist(),
        past.at[is_purchase].tolist(),
        rng.random((len(purchases), 6)).tolist(),
        strict=True,
    )
    last_date = _time(past.first_at).date() + timedelta(days=past.days - 1)
    for purchase, number, at, luck in events:
        row = {
            "customer_id": files.customer_id(number, at, luck[0]),
            "service_date": _time(at).date(),
            "net": purchase["revenue"],
            "revenue_center": REVENUE_CENTERS[int(luck[1] * len(REVENUE_CENTERS))],
            "currency": purchase["currency"],
        }
        rows.append(row)
        refunded_on = row["service_date"] + timedelta(days=1 + int(luck[2] * 14))
        if luck[3] < REFUNDS and refunded_on <= last_date:
            share = 0.2 + 0.6 * luck[5] if luck[4] < PARTIAL_REFUNDS else 1.0
            refund = -round(share * row["net"], 2)
            rows.append({**row, "service_date": refunded_on, "net": refund})
    return _numbered(rows, "revenue_id", "r", "service_date")


# Calls, forms and logins


def _touch_rows(past: _Past, is_chosen: BoolArray) -> list[tuple[int, int, Row]]:
    """Person, time and columns of the chosen touches."""
    (chosen,) = np.nonzero(is_chosen)
    touches = past.touches.select(["channel", "campaign"]).take(pa.array(chosen)).to_pylist()
    return list(zip(past.person[chosen].tolist(), past.at[chosen].tolist(), touches, strict=True))


def _call_rows(
    rng: np.random.Generator,
    past: _Past,
    people: Mapping[int, _Person],
    cookies: npt.NDArray[np.object_],
    kind: IntArray,
) -> list[Row]:
    is_call = kind == CALL
    touches = _touch_rows(past, is_call)
    users = cookies[: len(kind)][is_call].tolist()
    seconds = np.ceil(rng.lognormal(4.8, 0.9, len(touches))).astype(int).tolist()
    lucks = rng.random((len(touches), 20)).tolist()
    rows: list[Row] = []
    for (number, at, touch), user, duration, luck in zip(
        touches, users, seconds, lucks, strict=True
    ):
        contact, contacts = _given_phone(people[number], at, luck[:6])
        if luck[6] < ANONYMOUS_CALLS:
            contact, contacts = WITHHELD[int(luck[7] * len(WITHHELD))], set()
        email = None
        if luck[8] < CALL_EMAIL_KNOWN:
            email, noted = _given_email(people[number], luck[9:16])
            contacts |= noted
        origin = _origin(touch["channel"], luck[16])
        rows.append(
            {
                _PERSON: number,
                _CONTACTS: contacts,
                "called_at": _time(at),
                "contact_number": contact,
                "email": email,
                **_came_from(origin, touch["campaign"], luck[17]),
                "channel": touch["channel"] if luck[18] < CALL_CHANNEL_KNOWN else None,
                "referral": origin.referral,
                "duration": duration,
                "tracking_label": f"{origin.source} / {origin.medium}",
                "visitor_id": user if luck[19] < VISITOR_KNOWN else None,
            }
        )
    return _numbered(rows, "call_id", "call", "called_at")


def _link_rows(
    rng: np.random.Generator,
    past: _Past,
    people: Mapping[int, _Person],
    cookies: npt.NDArray[np.object_],
    kind: IntArray,
    files: _Files,
) -> list[Row]:
    """Forms filled in and logins, together."""
    is_form = kind == FORM
    touches = _touch_rows(past, is_form)
    users = cookies[: len(kind)][is_form].tolist()
    lucks = rng.random((len(touches), 20)).tolist()
    rows: list[Row] = []
    for (number, at, touch), user, luck in zip(touches, users, lucks, strict=True):
        phone, email = None, None
        contacts: set[Contact] = set()
        if luck[0] < PHONE_GIVEN:
            phone, contacts = _given_phone(people[number], at, luck[1:7])
        if luck[7] < EMAIL_GIVEN or phone is None:
            email, given = _given_email(people[number], luck[8:15])
            contacts |= given
        rows.append(
            {
                _PERSON: number,
                _CONTACTS: contacts,
                "linked_at": _time(at),
                "kind": "form",
                "user_id": user if luck[15] < COOKIE_KNOWN else None,
                "phone": phone,
                "email": email,
                **_came_from(_origin(touch["channel"], luck[16]), touch["campaign"], luck[17]),
            }
        )
    is_visit = np.append(kind == SESSION, np.zeros(past.purchases.num_rows, dtype=bool))
    luck_of = rng.random(len(past.at))
    (logged_in,) = np.nonzero(
        (is_visit & (luck_of < LOGINS_IN_SESSION))
        | (past.is_purchase & (luck_of < LOGINS_AT_PURCHASE))
    )
    for event, pick in zip(logged_in, rng.random(len(logged_in)).tolist(), strict=True):
        number, at = int(past.person[event]), int(past.at[event])
        customer_id = files.customer_id(number, at, pick)
        if customer_id:
            rows.append(
                {
                    _PERSON: number,
                    _CONTACTS: set(),
                    "linked_at": _time(at),
                    "kind": "login",
                    "user_id": cookies[event],
                    "customer_id": customer_id,
                }
            )
    return _numbered(rows, "link_id", "l", "linked_at")


def _given_phone(person: _Person, at: int, luck: Sequence[float]) -> tuple[str, set[Contact]]:
    """Write the number a person gives, and what it truly says; `luck` holds six draws."""
    phone = person.phone_at(at, luck[0])
    if luck[1] < MISTYPED_PHONES:
        phone = _mistyped_phone(phone, luck[2])
    return _written_phone(phone, luck[3:]), {phone}


def _given_email(person: _Person, luck: Sequence[float]) -> tuple[str, set[Contact]]:
    """Write the address a person gives, and what it truly says; `luck` holds seven draws."""
    address = person.emails[int(luck[0] * len(person.emails))]
    if luck[1] < MISTYPED_EMAILS:
        # Before the first dot: moving the dot itself would change nothing at Gmail.
        name, _, rest = address.partition(".")
        address = f"{_typo(name, luck[2])}.{rest}"
    text, is_read = _written_email(address, luck[3:])
    return text, {address} if is_read else set()


def _origin(channel: str, luck: float) -> Origin:
    origins = ORIGINS.get(channel) or (Origin(channel, "(not set)"),)
    return origins[int(luck * len(origins))]


def _came_from(origin: Origin, campaign: str | None, luck: float) -> Row:
    """Columns that say where a call or form came from."""
    page = f"https://clinic.example/{('book', 'contact', 'prices')[int(luck * 3)]}"
    if origin.click_id:
        page += f"?{origin.click_id}={int(luck * 2**53):014x}"
    return {
        "source": origin.source,
        "medium": origin.medium,
        "campaign": campaign,
        "landing_page": page,
    }


# Truth and tables


def _truth_rows(
    calls: Iterable[Row],
    links: Iterable[Row],
    customers: Iterable[Row],
    users: Mapping[str, int],
    names: Sequence[str],
) -> list[Row]:
    """Say whose each entity is, and whether the data hold evidence for it."""
    owners: dict[Contact, set[int]] = defaultdict(set)
    records: dict[int, list[set[Contact]]] = defaultdict(list)
    for row in customers:
        records[row[_PERSON]].append(row[_CONTACTS])
        for contact in row[_CONTACTS]:
            owners[contact].add(row[_PERSON])

    def has_own_contact(row: Row) -> bool:
        return any(owners.get(contact) == {row[_PERSON]} for contact in row[_CONTACTS])

    touches = [("call", "call_id", "visitor_id", row) for row in calls]
    touches += [("form", "link_id", "user_id", row) for row in links if row["kind"] == "form"]
    known_users = {row["user_id"] for row in links if row["kind"] == "login"}
    known_users |= {row[user] for _, _, user, row in touches if has_own_contact(row)}
    known_users.discard(None)

    entities = [("user", user, number, user in known_users) for user, number in users.items()]
    for entity, key, user, row in touches:
        is_matchable = has_own_contact(row) or row[user] in known_users
        entities.append((entity, row[key], row[_PERSON], is_matchable))
    for row in customers:
        own = {contact for contact in row[_CONTACTS] if owners[contact] == {row[_PERSON]}}
        others = [contacts for contacts in records[row[_PERSON]] if contacts is not row[_CONTACTS]]
        is_matchable = not others or any(own & contacts for contacts in others)
        entities.append(("customer", row["customer_id"], row[_PERSON], is_matchable))
    return [
        {
            "entity": entity,
            "entity_key": key,
            "true_person": names[number],
            "is_matchable": is_matchable,
        }
        for entity, key, number, is_matchable in sorted(entities)
    ]


def _time(microseconds: int) -> datetime:
    return datetime(1970, 1, 1) + timedelta(microseconds=microseconds)


def _numbered(rows: list[Row], key: str, prefix: str, time: str) -> list[Row]:
    """Sort rows by time and give them ids in that order."""
    rows.sort(key=lambda row: row[time])
    for number, row in enumerate(rows, start=1):
        row[key] = f"{prefix}{number}"
    return rows


def _table(
    rng: np.random.Generator, rows: list[Row], schema: pa.Schema, defects: Sequence[Row]
) -> pa.Table:
    """Make a table of rows and a few copies of them, with ids of their own, that are malformed."""
    key = schema.names[0]
    chosen = rng.permutation(len(rows))[: round(MALFORMED_ROWS * len(rows))].tolist()
    malformed = [
        {**rows[place], key: f"{rows[place][key]}-copy", **defects[count % len(defects)]}
        for count, place in enumerate(chosen)
    ]
    return pa.Table.from_pylist([*rows, *malformed], schema=schema)
