"""Channels by rules: what sources say of where touchpoints came from, and rules of one's own."""

import csv
import shutil
from io import StringIO
from pathlib import Path

import pytest

from .conftest import PROJECT, Build, run_dbt, write_csv

SESSIONS = "session_id,user_id,started_at,source,medium,campaign,referrer,landing_page"
PAGE = "https://shop.example/"
LONG = "x" * 10_000

# source, medium, campaign, referrer, landing page -> channel
TRAFFIC: list[tuple[tuple[str, str, str, str, str], str]] = [
    # Click ids first, in any case of letters, with a value, in the query alone.
    (("newsletter", "email", "", "", f"{PAGE}?gclid=a"), "Paid Search"),
    (("", "", "", "", f"{PAGE}?GBRAID=a"), "Paid Search"),
    (("", "", "", "", f"{PAGE}?a=b&amp;wbraid=a"), "Paid Search"),
    (("", "", "PMax | brand", "", f"{PAGE}?gclid=a"), "Performance Max"),
    (("google", "organic", "", "", f"{PAGE}?msclkid=a"), "Microsoft Ads"),
    (("", "", "", "", f"{PAGE}?fbclid=a"), "FB & IG Ads"),
    (("", "social", "", "", f"{PAGE}?fbclid=a"), "Organic Social"),
    (("facebook", "post", "", "", f"{PAGE}?fbclid=a"), "Organic Social"),
    (("newsletter", "email", "", "", f"{PAGE}?fbclid=a"), "Organic Social"),
    (("facebook", "paid", "", "", f"{PAGE}?fbclid=a"), "FB & IG Ads"),
    (("", "", "", "", f"{PAGE}?fbclid=a&gclid=b"), "Paid Search"),
    (("", "", "", "", f"{PAGE}?ttclid=a"), "TikTok Ads"),
    (("", "", "", "", f"{PAGE}?li_fat_id=a"), "Paid Social"),
    (("", "", "", "", f"{PAGE}?twclid=a"), "Paid Social"),
    (("", "", "", "", f"{PAGE}?{LONG}={LONG}&gclid=a"), "Paid Search"),
    (("", "email", "", "", f"{PAGE}?gclid=&xgclid=1&x=gclid=2"), "Email"),
    (("", "email", "", "", f"{PAGE}#gclid=a"), "Email"),
    # Tags of columns, then of the landing page.
    (("Google", "CPC", "", "", PAGE), "Paid Search"),
    (("bing", "cpc", "", "", PAGE), "Microsoft Ads"),
    (("facebook.com", "paid_social", "", "", PAGE), "FB & IG Ads"),
    (("youtube", "cpv", "", "", PAGE), "YouTube Ads"),
    (("google", "cpc", "summer shopping", "", PAGE), "Paid Shopping"),
    (("google", "organic", "", "", PAGE), "Organic Search"),
    (("(direct)", "(none)", "", "", ""), "Direct"),
    (("partner", "affiliate", "", "", PAGE), "Affiliate & Partnerships"),
    (("", "", "", "", f"{PAGE}?utm_source=news&utm_medium=e%2Dmail"), "Email"),
    (("", "", "", "", f"{PAGE}?utm_source=tik+tok&UTM_MEDIUM=social+media"), "Organic Social"),
    (("", "sms", "", "", f"{PAGE}?utm_medium=cpc"), "SMS"),
    (("", "", "", "https://www.google.de/", f"{PAGE}?utm_medium=display"), "Display"),
    # Hosts of referrers, where there are no tags.
    (("", "", "", "https://www.google.co.uk/search?q=a", PAGE), "Organic Search"),
    (("", "", "", "HTTPS://Search.Yahoo.com:443/x", PAGE), "Organic Search"),
    (("", "", "", "android-app://com.google.android.googlequicksearchbox", PAGE), "Organic Search"),
    (("", "", "", "https://mail.google.com/mail/", PAGE), "Email"),
    (("", "", "", "https://l.instagram.com/?u=x", PAGE), "Organic Social"),
    (("", "", "", "https://t.co/abc", PAGE), "Organic Social"),
    (("", "", "", "https://user:word@notgoogle.example/x", PAGE), "Referral"),
    (("", "", "", "https://bücher.example/ü?google.com", PAGE), "Referral"),
    (("", "", "", f"https://blog.example/{LONG}", PAGE), "Referral"),
    # Nothing at all on a known page, or a click within the site.
    (("", "", "", "", PAGE), "Direct"),
    (("", "", "", "https://www.shop.example/cart", PAGE), "Direct"),
    (("", "", "", "about:blank", PAGE), "Direct"),
    # No rule.
    (("", "", "", "", ""), "(unknown)"),
    (("intranet", "", "", "", ""), "(unknown)"),
    (("it's", 'a "quoted"; {{ var }}, \\d', "two\nlines", "", ""), "(unknown)"),
    (("", "", "", "", f"{PAGE}?utm_source=%FFsome%zz&utm_medium={LONG}"), "(unknown)"),
    (("", "", "", "https://www.google.de/", f"{PAGE}?utm_source=poster"), "(unknown)"),
]


def _input(folder: Path, sessions: list[tuple[str, str, str, str, str]]) -> str:
    """Write sessions and one conversion; return the settings of the build."""
    shutil.rmtree(folder / "input", ignore_errors=True)
    write_csv(
        folder / "input" / "sessions.csv",
        SESSIONS,
        [(f"s{i}", "u", "2024-01-01", *values) for i, values in enumerate(sessions)],
    )
    write_csv(
        folder / "input" / "conversions.csv",
        "conversion_id,user_id,converted_at,revenue",
        [("c", "u", "2024-01-05", 80)],
    )
    return f"{{sources: [files], files_path: {folder / 'input'}}}"


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the project into a folder: one copy is parsed once, whatever rows its seeds get."""
    folder = tmp_path_factory.mktemp("copied")
    shutil.copytree(
        PROJECT,
        folder / "project",
        ignore=shutil.ignore_patterns(".*", "target", "logs", "data", "warehouse", "library"),
    )
    return folder


def _with_rows(copied: Path, seeds: dict[str, list[str]]) -> Path:
    """Give the copy of the project the rows of the project's own seeds, and more."""
    project = copied / "project"
    shutil.copytree(PROJECT / "seeds", project / "seeds", dirs_exist_ok=True)
    for seed, rows in seeds.items():
        with (project / "seeds" / f"{seed}.csv").open("a", encoding="utf-8") as file:
            file.writelines(row + "\n" for row in rows)
    return project


def _build_channels(folder: Path, variables: str, project: Path = PROJECT) -> Build:
    """Build touchpoints and what is reported of their channels, and nothing after that."""
    built = run_dbt(
        folder,
        "build",
        "--exclude-resource-type",
        "unit_test",
        "--select",
        "+rpt_unmapped_traffic",
        "+dim_channel_groupings",
        "--indirect-selection",
        "cautious",
        variables=variables,
        project=project,
    )
    assert built.status == 0, built.output
    return built


CHANNELS = (
    "select touchpoint_id, touchpoints.channel from intermediate.int_touchpoints as touchpoints "
    "inner join intermediate.int_named_touchpoints using (touchpoint_key)"
)


@pytest.fixture(scope="module")
def classified(tmp_path_factory: pytest.TempPathFactory) -> Build:
    folder = tmp_path_factory.mktemp("rules")
    return _build_channels(folder, _input(folder, [values for values, _ in TRAFFIC]))


def test_every_kind_of_traffic_has_its_channel(classified: Build) -> None:
    found: dict[str, str] = dict(classified.rows(CHANNELS))
    assert [(values, found[f"s{i}"]) for i, (values, _) in enumerate(TRAFFIC)] == TRAFFIC


@pytest.mark.fault(
    done="traffic whose source is very long or has line breaks",
    expected="reports show it cut, on one line",
)
def test_values_are_bounded_and_on_one_line(classified: Build) -> None:
    assert classified.value("select max(length(traffic)) from intermediate.int_sessions") < 1_000
    assert (
        classified.value(
            "select campaign from marts.rpt_unmapped_traffic where traffic_source = 'it''s'"
        )
        == "two lines"
    )


def test_unmapped_traffic_names_each_value_and_the_row_to_add(classified: Build) -> None:
    rows = classified.rows(
        "select traffic_source, touchpoints, share_of_touchpoints, row_to_add "
        "from marts.rpt_unmapped_traffic"
    )
    assert len(rows) == 5
    assert {share for _, _, share, _ in rows} == {1 / len(TRAFFIC)}
    added = {source: next(csv.reader(StringIO(row))) for source, _, _, row in rows if row}
    assert added["it's"][1:5] == ["", "it's", r'a "quoted"; \{\{ var \}\}, \\d', "two lines"]
    assert added["intranet"][1:] == ["", "intranet", "", "", "", "", "", "", "(unknown)", ""]
    assert [row for source, _, _, row in rows if source is None] == [None]
    assert len({row[0] for row in added.values()}) == len(added)


def test_groupings_are_whole(classified: Build) -> None:
    assert classified.rows(
        "select grouping, count(*) = (select count(*) from marts.dim_channels), "
        "count(*) filter (channel_group = '(ungrouped)') "
        "from marts.dim_channel_groupings group by grouping order by grouping"
    ) == [("paid_owned_earned", True, 0), ("standard", True, 0)]


def test_the_rows_to_add_give_their_channel(copied: Path, classified: Build) -> None:
    rows = [
        row.replace(",(unknown),", ",Referral,")
        for (row,) in classified.rows(
            "select row_to_add from marts.rpt_unmapped_traffic where row_to_add is not null"
        )
    ]
    built = _build_channels(
        copied,
        _input(copied, [values for values, _ in TRAFFIC]),
        _with_rows(copied, {"channel_rules": rows}),
    )
    assert built.rows(
        "select count(*) from intermediate.int_touchpoints where channel = '(unknown)'"
    ) == [(1,)]


def test_calls_forms_and_referrals_have_channels_too(copied: Path) -> None:
    settings = _input(copied, [])
    write_csv(
        copied / "input" / "calls.csv",
        "call_id,called_at,contact_number,channel,referral,tracking_label,landing_page",
        [
            ("given", "2024-01-01", "1", "TV", "r1", "Google Ads", f"{PAGE}?gclid=1"),
            ("label", "2024-01-01", "1", "", "", "google ads north", ""),
            ("page", "2024-01-01", "1", "", "", "", f"{PAGE}?msclkid=1"),
            ("id", "2024-01-01", "1", "", "R1", "", ""),
            ("own rule", "2024-01-01", "1", "", "", "Van (red)", ""),
            ("none", "2024-01-01", "1", "", "", "Poster", PAGE),
        ],
    )
    write_csv(
        copied / "input" / "customers.csv",
        "customer_id,created_at,referral_source_id",
        [
            ("a", "2024-01-02", "r1"),
            ("b", "", "r1"),
            ("c", "2024-01-03", "r2"),
            ("d", "2024-01-03", ""),
            ("e", "2999-01-03", "r1"),
            ("f", "2024-01-04", "r3"),
        ],
    )
    write_csv(
        copied / "input" / "identity_links.csv",
        "link_id,linked_at,user_id,kind,landing_page",
        [
            ("f", "2024-01-01", "u", "form", f"{PAGE}?utm_medium=email"),
            ("g", "2024-01-01", "u", "", PAGE),
        ],
    )
    built = _build_channels(
        copied,
        settings,
        _with_rows(
            copied,
            {
                "referral_sources": [",r1,Referral,A colleague", "demo,r1,Email,Elsewhere"],
                "channel_rules": [
                    r"3500,,,,,,van \(red\),,,Lead Generation,Mine",
                    "3501,,,,,,,r3,,(unknown),To be decided",
                ],
            },
        ),
    )
    assert built.rows(f"{CHANNELS} where touchpoint_id != 'call:given' order by 1") == [
        ("call:id", "Referral"),
        ("call:label", "Paid Search"),
        ("call:none", "(unknown)"),
        ("call:own rule", "Lead Generation"),
        ("call:page", "Microsoft Ads"),
        ("form:f", "Email"),
        ("referral:a", "Referral"),
        ("referral:f", "(unknown)"),
    ]
    assert ("call:given", "TV") in built.rows(CHANNELS)
    assert built.value(
        "select person_id from intermediate.int_named_touchpoints "
        "where touchpoint_id = 'referral:a'"
    ) == built.value(
        "select person_id from intermediate.int_entity_persons "
        "where entity = 'customer' and entity_key = 'a'"
    )
    assert built.rows(
        "select touchpoint_type, tracking_label, referral_source_id, touchpoints "
        "from marts.rpt_unmapped_traffic order by 1, 3"
    ) == [
        ("call", "poster", None, 1),
        ("referral", None, "r2", 1),
        ("referral", None, "r3", 1),
    ]


BAD_ROWS = {
    "channel_rules": {
        "40,,a,,,,,,,Email,": "priority 40, channel Email: another rule has the same priority",
        "4.5,,a,,,,,,,Email,": "priority 4.5, channel Email: its priority is no whole number",
        "1001,,a,,,,,,,Emial,": "priority 1001, channel Emial: its channel is unknown. Allowed: a",
        "1002,,a,,,,,,,,": "priority 1002, channel (none): it names no channel",
        "1003,,,cpc(,,,,,,Email,": "priority 1003, channel Email: its medium is 'cpc('",
        '1004,,"(?=a)b",,,,,,,Email,': "its traffic_source is '(?=a)b', which is no regular",
        "1005,,,a)(b,,,,,,Email,": "its medium is 'a)(b', which is no regular",
        "1006,,,,,,,,,Email,": "priority 1006, channel Email: it has no pattern and matches",
        "1500,epik,,,,,,,,Email,": "priority 1500, channel Email: it asks for a click id after the",
        "9999,,,AFFILIATES?|partners?,,,,,,Email,": "priority 9999, channel Email: it never",
    },
    "referral_sources": {
        ",r1,Emial,": "Seed referral_sources, referral_source_id r1, channel Emial: its channel is",
        ",r2,Email,": "referral_source_id r2, channel Email: another row has the same id",
        ",R2,SMS,": "referral_source_id R2, channel SMS: another row has the same id",
    },
}


def _build_traffic(copied: Path, seeds: dict[str, list[str]]) -> str:
    """Build what channel rules need with more rows in the seeds, which must fail; the output."""
    built = run_dbt(
        copied,
        "build",
        "--select",
        "+int_traffic_channels",
        "--exclude-resource-type",
        "unit_test",
        variables=_input(copied, []),
        project=_with_rows(copied, seeds),
    )
    assert built.status != 0
    assert "Traceback" not in built.output
    return " ".join(built.output.split())


@pytest.mark.fault(
    done="channel rules with patterns that are none, unknown channels, or a priority twice",
    expected="the build stops and names each row of the seed",
)
def test_rules_that_cannot_be_used_are_named(copied: Path) -> None:
    output = _build_traffic(copied, {seed: list(rows) for seed, rows in BAD_ROWS.items()})
    for rows in BAD_ROWS.values():
        for expected in rows.values():
            assert expected in output


@pytest.mark.fault(
    done="a rule for tags before the rules for click ids",
    expected="the build stops and names that rule, not those that come after it",
    long=True,
)
def test_of_rules_in_the_wrong_order_the_fewer_are_named(copied: Path) -> None:
    output = _build_traffic(copied, {"channel_rules": ["5,,,mine,,,,,,Email,"]})
    assert "priority 5, channel Email: it asks for tags before the rule of priority 130," in output
    assert "it asks for a click id after" not in output


@pytest.mark.fault(
    done="a click id that is no name of a parameter",
    expected="the build stops and names the row of the seed",
    long=True,
)
def test_a_click_id_that_cannot_be_used_is_named(copied: Path) -> None:
    output = _build_traffic(copied, {"click_ids": ["my id,Mine"]})
    assert "The seed click_ids has the parameter 'my id'. Allowed: the name" in output


@pytest.mark.fault(
    done="a seed that lacks a column",
    expected="the build stops before anything runs; file, column and what is there are named",
    long=True,
)
def test_a_seed_that_lacks_a_column_is_named(copied: Path) -> None:
    project = _with_rows(copied, {})
    seed = project / "seeds" / "channel_groups.csv"
    seed.write_text('\ufeffChannel,"channel_group"\r\nad,Paid\r\n', encoding="utf-8")
    built = run_dbt(
        copied,
        *("build", "--select", "channel_groups", "click_ids"),
        variables=_input(copied, []),
        project=project,
    )
    assert built.status != 0
    assert (
        "seeds/channel_groups.csv has no column is_paid. It has: channel, channel_group. "
        "Needed: channel, channel_group, is_paid." in " ".join(built.output.split())
    )
    assert "OK loaded" not in built.output
