"""The client of the external IHC service, against a server that behaves as the service does."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihc_server import KEY, IhcServer, Reply, Request
from tributary.ihc_ledger import CREDITS_FILE, FAILURES_FILE, Ledger, Summary, read_journeys, run
from tributary.ihc_service import (
    Failure,
    IhcServiceError,
    Journey,
    Limits,
    Plan,
    Service,
    checked_redistribution,
    plan_batches,
    read_answer,
    read_redistribution,
)

RULE = {
    "direction": "any_session",
    "receive_threshold": 0.1,
    "redistribution_channel_labels": ["Direct"],
}
DOWN = Reply(500, {"statusCode": 500, "value": None})


def make_warehouse(path: Path, lengths: Mapping[str, int], channel: str = "ad") -> Path:
    """Write a warehouse whose conversions have journeys of these lengths."""
    start = datetime(2024, 1, 1, 12, 0, 0, 999_999)
    rows = [
        {
            "source": "shop",
            "conversion_id": conversion_id,
            "touchpoint_id": f"{conversion_id}-{number}",
            "conversion_type": "purchase",
            "channel": channel,
            "holder_engagement": True,
            "closer_engagement": False,
            "impression_interaction": False,
            "touched_at": start + timedelta(hours=number),
            "converted_at": start + timedelta(days=9),
            "touch_number": number,
            "journey_length": length,
        }
        for conversion_id, length in lengths.items()
        for number in range(1, length + 1)
    ]
    path.unlink(missing_ok=True)
    with duckdb.connect(str(path)) as connection:
        connection.register("rows", pa.Table.from_pylist(rows))
        connection.execute("create schema intermediate")
        connection.execute("create table intermediate.int_named_journey_touchpoints as from rows")
    return path


def conversions(count: int, length: int = 2) -> dict[str, int]:
    return {f"c{number:04}": length for number in range(count)}


class Runner:
    """Runs the client on one warehouse and one output folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = folder / "results"
        self.warehouse = make_warehouse(folder / "warehouse.duckdb", conversions(5))

    def fill(self, lengths: Mapping[str, int], channel: str = "ad") -> None:
        make_warehouse(self.warehouse, lengths, channel)

    def run(
        self,
        server: IhcServer,
        limits: Limits | None = None,
        parallel: int = 1,
        retry_failed: bool = False,
        **settings: Any,
    ) -> Summary:
        limits = limits or Limits()
        fast = {"requests_per_second": 1_000, "backoff_seconds": 0.001, "attempts": 3}
        service = Service(
            key=settings.pop("key", KEY), conv_type_id="all", url=server.url, **(fast | settings)
        )
        with duckdb.connect(str(self.warehouse), read_only=True) as connection:
            journeys = read_journeys(connection, None, "all", service.redistribution)
        with Ledger(self.output) as ledger:
            work = ledger.work(journeys, limits, retry_failed)
            return run(work, limits, service, ledger, parallel)

    def results(self, columns: str = "conversion_id, session_id, ihc") -> list[tuple[Any, ...]]:
        return duckdb.sql(
            f"select {columns} from '{self.output / CREDITS_FILE}' order by all"
        ).fetchall()

    def answered(self) -> set[str]:
        return {conversion_id for (conversion_id,) in self.results("distinct conversion_id")}


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


def only(*replies: Reply) -> Callable[[int, Request], Reply | None]:
    """Reply these to the first requests, and rightly from then on."""
    return lambda number, request: replies[number] if number < len(replies) else None


# --- what is pure ---------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 7)), max_size=40),
    st.integers(1, 5),
    st.integers(7, 12),
)
def test_batches_cover_every_journey_once_within_the_limits(
    journeys: list[tuple[str, int]], max_journeys: int, max_sessions: int
) -> None:
    sources = [source for source, _ in journeys]
    counts = [count for _, count in journeys]
    batches = plan_batches(sources, counts, Limits(max_journeys, max_sessions))
    assert [position for batch in batches for position in batch] == list(range(len(journeys)))
    for batch in batches:
        assert 1 <= len(batch) <= max_journeys
        assert sum(counts[position] for position in batch) <= max_sessions
        assert len({sources[position] for position in batch}) == 1
    for left, right in pairwise(batches):
        full = len(left) == max_journeys
        heavy = sum(counts[position] for position in [*left, right[0]]) > max_sessions
        assert full or heavy or sources[left[0]] != sources[right[0]]


def test_a_journey_that_does_not_fit_is_an_error_of_the_caller() -> None:
    with pytest.raises(ValueError, match="8 sessions does not fit"):
        plan_batches(["a"], [8], Limits(max_sessions=7))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"max_journeys": 101}, "1 to 100 journeys, not 101"),
        ({"max_journeys": 0}, "1 to 100 journeys, not 0"),
        ({"max_sessions": 3_001}, "paid plan a request takes 1 to 3,000 sessions, not 3,001"),
        ({"max_sessions": 201, "plan": Plan.FREE}, "free plan a request takes 1 to 200 sessions"),
    ],
)
def test_limits_beyond_the_services_are_refused(arguments: Any, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        Limits(**arguments)


def test_limits_follow_the_plan() -> None:
    assert (Limits().sessions, Limits(plan=Plan.FREE).sessions) == (3_000, 200)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"key": ""}, "API key is empty"),
        ({"key": "two words"}, "API key is empty or holds white space"),
        ({"conv_type_id": " "}, "conv_type_id, is empty"),
        ({"url": "http://example.com"}, "begins with https"),
        ({"url": "example.com"}, "begins with https"),
        ({"requests_per_second": 0}, "Requests per second"),
        ({"attempts": 0}, "at least one attempt"),
    ],
)
def test_service_that_cannot_be_meant_is_refused(arguments: Any, expected: str) -> None:
    with pytest.raises(ValueError, match=expected) as caught:
        Service(**({"key": KEY, "conv_type_id": "all"} | arguments))
    assert KEY not in str(caught.value)
    assert KEY not in repr(Service(key=KEY, conv_type_id="all"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("r.json", json.dumps({"closer": RULE})),
        ("r.yml", "closer:\n" + "".join(f"  {k}: {json.dumps(v)}\n" for k, v in RULE.items())),
        ("r.toml", "[closer]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in RULE.items())),
    ],
)
def test_redistribution_is_read_from_json_yaml_and_toml(
    tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).write_text(text)
    assert read_redistribution(tmp_path / name) == {"closer": RULE}


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("r.json", "{", "r.json cannot be read"),
        ("r.yaml", "a: [", "r.yaml cannot be read"),
        ("r.toml", "a", "r.toml cannot be read"),
        ("r.ini", "", "must end in .json, .yaml, .yml, .toml"),
        ("r.json", "{}", "r.json: Redistribution parameters are a mapping of initializer, holder"),
        ("missing.json", None, "Cannot read .*missing.json: No such file"),
    ],
)
def test_redistribution_that_cannot_be_read_is_named(
    tmp_path: Path, name: str, text: str | None, expected: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=expected):
        read_redistribution(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"opener": RULE}, "a mapping of initializer, holder, closer"),
        ({"closer": {"direction": "any_session"}}, "closer must have exactly direction"),
        ({"closer": RULE | {"direction": "back"}}, "direction is 'back'. Allowed: earlier_"),
        ({"closer": RULE | {"receive_threshold": True}}, "receive_threshold is True"),
        ({"closer": RULE | {"receive_threshold": 2}}, "receive_threshold is 2. Allowed: 0 to 1"),
        ({"closer": RULE | {"redistribution_channel_labels": "Direct"}}, "a list of channels"),
    ],
)
def test_wrong_redistribution_is_named_with_what_is_allowed(content: Any, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        checked_redistribution(content)


def journey(conversion_id: str, *session_ids: str) -> Journey:
    return Journey("shop", conversion_id, "", [{"session_id": name} for name in session_ids])


def row(session_id: str, *values: float, conversion_id: str = "c") -> dict[str, Any]:
    names = ("initializer", "holder", "closer", "ihc")
    return {
        "conversion_id": conversion_id,
        "session_id": session_id,
        **dict(zip(names, values, strict=True)),
    }


GOOD = [row("s", 1, 0, 0.25, 0.5), row("t", 0, 0, 0.75, 0.5)]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (GOOD, None),
        (GOOD[:1], "1 sessions too few"),
        ([*GOOD, GOOD[0]], "1 sessions twice"),
        ([*GOOD, row("u", 0, 0, 0, 0)], "1 sessions that were not sent"),
        ([row("s", 1, 0, 1, 1), row("t", 1, 0, 1, 1)], "initializer adds up to 2, not 1"),
        ([row("s", 1, 0, 1, 0.5), row("t", 0, 0, 0, 0.4)], "ihc adds up to 0.9, not 1"),
        ([row("s", 1, 0, 1, 0), row("t", 0, 0, 0, 0)], "ihc adds up to 0, not 1"),
        ([row("s", 1, 0, 1, 1.5), row("t", 0, 0, 0, -0.5)], "values outside 0 to 1"),
        ([row("s", 1, 0, 1, float("nan")), row("t", 0, 0, 0, 1)], "a row of it is"),
        ([{"conversion_id": "c"}], "a row of it is"),
        ([*GOOD, row("s", 1, 0, 1, 1, conversion_id="x")], "conversions not sent, such as x"),
        (None, "not JSON with a list named value"),
    ],
)
def test_an_answer_is_taken_only_if_it_is_whole(rows: Any, expected: str | None) -> None:
    answer = read_answer({"value": rows, "partialFailureErrors": []}, [journey("c", "s", "t")])
    if expected is None:
        assert (answer.credits, answer.failures) == ({"c": GOOD}, {})
    else:
        assert not answer.credits
        assert expected in answer.failures["c"].message


@pytest.mark.parametrize("body", [None, [], "text", {}, {"value": {}}, {"value": [1]}])
def test_an_answer_of_another_form_fails_every_conversion(body: object) -> None:
    answer = read_answer(body, [journey("c", "s"), journey("d", "t")])
    assert set(answer.failures) == {"c", "d"}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"conversion_id": "c", "statusCode": 406, "message": "odd"}, Failure(406, "odd")),
        ({"conversion_id": "c", "status": 406, "error": "odd"}, Failure(406, "odd")),
        ({"conversion_id": ["c"], "why": 1}, Failure(None, '{"conversion_id": ["c"], "why": 1}')),
        ("odd", Failure(None, "odd")),
        ("half \ud800 a pair", Failure(None, "half ? a pair")),
    ],
)
def test_partial_errors_belong_to_the_conversion_they_name_or_to_what_is_missing(
    error: object, expected: Failure
) -> None:
    body = {"value": GOOD, "partialFailureErrors": [error]}
    journeys = [journey("c", "s", "t"), journey("d", "u")]
    names_c = isinstance(error, dict) and error["conversion_id"] == "c"
    answer = read_answer(body, journeys)
    assert answer.failures["c" if names_c else "d"] == expected


# --- against the server ---------------------------------------------------------------------------


def test_every_journey_is_answered_and_written(runner: Runner) -> None:
    runner.fill({"a": 1, "b": 3})
    with IhcServer() as server:
        summary = runner.run(server, redistribution={"closer": RULE})
    assert (summary.sent, summary.answered, summary.requests) == (2, 2, 1)
    assert runner.results() == [
        ("a", "a-1", 1),
        ("b", "b-1", 0.5),
        ("b", "b-2", 0),
        ("b", "b-3", 0.5),
    ]
    assert runner.results("distinct source, initializer + closer, computed_at <= now()")[-1] == (
        "shop",
        2,
        True,
    )
    (request,) = server.requests
    assert request.conv_type_id == "all"
    assert request.body["redistribution_parameter"] == {"closer": RULE}
    assert request.body["customer_journeys"][1] == {
        "conversion_id": "b",
        "session_id": "b-1",
        "timestamp": "2024-01-01 13:00:00",
        "channel_label": "ad",
        "holder_engagement": 1,
        "closer_engagement": 0,
        "conversion": 0,
        "impression_interaction": 0,
    }


@pytest.mark.parametrize("plan", Plan)
def test_requests_stay_within_the_services_limits(runner: Runner, plan: Plan) -> None:
    runner.fill(conversions(150, 3) | {"long": 201, "longer": 3_001})
    limits = Limits(plan=plan)
    with IhcServer(max_sessions=limits.sessions) as server:
        summary = runner.run(server, limits)
    assert not summary.failures
    assert summary.answered == (150 if plan is Plan.FREE else 151)
    assert len(server.requests) == (3 if plan is Plan.FREE else 2)


def test_a_journey_too_long_is_told_and_stops_nothing(runner: Runner) -> None:
    runner.fill({"short": 2, "long": 5})
    with duckdb.connect(str(runner.warehouse), read_only=True) as connection:
        journeys = read_journeys(connection, None, "all", None)
    with Ledger(runner.output) as ledger:
        work = ledger.work(journeys, Limits(max_sessions=4))
    assert work.too_long["conversion_id"].to_pylist() == ["long"]
    assert work.journeys["conversion_id"].to_pylist() == ["short"]


@pytest.mark.fault(
    done="the IHC service refuses one journey of a batch",
    expected="the others are answered; the one is told",
)
def test_partial_errors_fail_their_conversions_only(runner: Runner) -> None:
    with IhcServer(partial={"c0001": "no engagement"}) as server:
        summary = runner.run(server)
    assert summary.failures == {("shop", "c0001"): Failure(406, "no engagement")}
    assert runner.answered() == {"c0000", "c0002", "c0003", "c0004"}
    assert (runner.output / FAILURES_FILE).read_text() == (
        "source,conversion_id,status,message\nshop,c0001,406,no engagement\n"
    )


@pytest.mark.fault(
    done="the IHC service refuses a batch for one journey in it",
    expected="the batch is halved down to that one",
)
def test_a_refused_request_is_halved_down_to_the_journey_at_fault(runner: Runner) -> None:
    runner.fill(conversions(64))
    with IhcServer(poison=frozenset({"c0040"})) as server:
        summary = runner.run(server)
    assert summary.failures == {("shop", "c0040"): Failure(400, "a journey cannot be computed")}
    assert summary.answered == 63
    assert summary.requests == len(server.requests) == 1 + 2 * 6  # 64 journeys halve six times
    assert max(server.answered.values()) == 1


def test_a_service_that_refuses_everything_is_not_asked_about_every_journey(
    runner: Runner,
) -> None:
    runner.fill(conversions(100))
    with IhcServer(fault=lambda number, request: Reply(400, {"message": "bad type"})) as server:
        summary = runner.run(server)
    assert "refuses journey after journey: bad type" in (summary.stopped or "")
    assert len(server.requests) < 20
    assert summary.sent + summary.not_sent == 100


@pytest.mark.fault(
    done="the IHC service answers 500, 503 or 429, or hangs up",
    expected="tried again",
)
@pytest.mark.parametrize(
    "reply",
    [DOWN, Reply(200, DOWN.content), Reply(503, b"<html>"), Reply(429), Reply(0)],
    ids=["500", "500 in the body", "503", "429", "dropped"],
)
def test_what_passes_is_tried_again(runner: Runner, reply: Reply) -> None:
    with IhcServer(fault=only(reply, reply)) as server:
        summary = runner.run(server)
    assert (summary.answered, len(server.requests)) == (5, 3)


@pytest.mark.fault(
    done="the IHC service is too slow",
    expected="given up and asked again",
)
def test_a_slow_answer_is_given_up_and_asked_for_again(runner: Runner) -> None:
    def slow(number: int, request: Request) -> None:
        if number == 0:
            time.sleep(1.5)

    with IhcServer(fault=slow) as server:
        summary = runner.run(server, timeout_seconds=0.75)
    assert (summary.answered, len(server.requests)) == (5, 2)


def test_no_answer_is_sent_again_by_the_next_run(runner: Runner) -> None:
    with IhcServer(fault=only(*[DOWN] * 3)) as server:
        first = runner.run(server)
        assert (first.sent, first.unanswered, first.failures) == (5, 5, {})
        assert runner.run(server).answered == 5


@pytest.mark.fault(
    done="the IHC service is down",
    expected="the run stops, and says what is left to do",
)
def test_a_service_that_is_down_stops_the_run(runner: Runner) -> None:
    runner.fill(conversions(10))
    with IhcServer(fault=lambda number, request: DOWN) as server:
        summary = runner.run(server, Limits(max_journeys=1))
    assert "does not answer (status 500" in (summary.stopped or "")
    assert (summary.unanswered, summary.not_sent, len(server.requests)) == (3, 7, 9)


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_honoured_by_every_thread(runner: Runner, form: str) -> None:
    runner.fill(conversions(8))
    told = "1" if form == "seconds" else format_datetime(datetime.now(UTC) + timedelta(seconds=4))
    throttled = Reply(429, {"message": "slow down"}, {"Retry-After": told})
    with IhcServer(fault=only(throttled), seconds=0.05) as server:
        summary = runner.run(server, Limits(max_journeys=1), parallel=3)
    assert summary.answered == 8
    waits = [request.at - server.requests[0].at for request in server.requests]
    # At most the three that were under way already; then nobody sends, up to the time told.
    assert sum(wait < 0.8 for wait in waits) <= 3
    assert max(waits) < 30


@pytest.mark.fault(
    done="the IHC service asks to wait for a day",
    expected="the run ends and says so",
)
def test_a_pause_too_long_to_wait_ends_the_run(runner: Runner) -> None:
    with IhcServer(fault=only(Reply(429, b"", {"Retry-After": "86400"}))) as server:
        summary = runner.run(server)
    assert "asks to wait 86,400 seconds" in (summary.stopped or "")
    assert len(server.requests) == 1


@pytest.mark.fault(
    done="the IHC service answers with what is no JSON, or other JSON",
    expected="the conversions of the request are told as failed",
)
@pytest.mark.parametrize("content", [b"{", b"\xff", b"[]", b'{"value": null}'])
def test_a_malformed_answer_fails_its_conversions(runner: Runner, content: bytes) -> None:
    with IhcServer(fault=only(Reply(200, content))) as server:
        summary = runner.run(server, Limits(max_journeys=2))
    assert set(summary.failures) == {("shop", "c0000"), ("shop", "c0001")}
    assert runner.answered() == {"c0002", "c0003", "c0004"}


@pytest.mark.fault(
    done="the IHC service gives shares that add up to 2",
    expected="they are not taken",
)
def test_shares_of_a_split_journey_are_not_taken(runner: Runner) -> None:
    def doubled(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            item | {"ihc": 1.0, "initializer": 1.0, "closer": 1.0}
            if item["conversion_id"] == "c0002"
            else item
            for item in rows
        ]

    with IhcServer(change=doubled) as server:
        summary = runner.run(server)
    (failure,) = summary.failures.values()
    assert "adds up to 2, not 1" in failure.message
    assert "c0002" not in runner.answered()


def test_requests_keep_to_the_rate_and_run_side_by_side(runner: Runner) -> None:
    runner.fill(conversions(12))
    with IhcServer(seconds=0.25) as server:
        runner.run(server, Limits(max_journeys=1), parallel=4, requests_per_second=10)
    times = sorted(request.at for request in server.requests)
    assert len(times) == 12
    assert 2 <= server.most_at_once <= 4
    # 11 intervals of 0.1 s, where four threads alone would have begun the last after 0.5 s.
    assert times[-1] - times[0] >= 0.9


@pytest.mark.fault(
    done="a wrong key for the IHC service",
    expected="the run stops at once; the key is not repeated",
)
def test_a_wrong_key_stops_at_once_and_is_not_repeated(runner: Runner) -> None:
    with IhcServer() as server:
        summary = runner.run(server, Limits(max_journeys=1), key="wrong")
    assert "answers 403: Forbidden. Check the key" in (summary.stopped or "")
    assert len(server.requests) == 1


@pytest.mark.fault(
    done="the IHC service repeats the key in its message",
    expected="the key is taken out",
)
def test_the_key_is_taken_out_of_what_the_service_repeats(runner: Runner) -> None:
    message = "x" * 290 + KEY
    with IhcServer(partial={"c0001": message}, poison=frozenset({"c0003"})) as server:
        runner.run(server)
    with IhcServer(fault=lambda number, request: Reply(403, KEY.encode())) as server:
        runner.fill(conversions(5), channel="new")
        stopped = runner.run(server).stopped or ""
    assert "(key)" in stopped
    written = b"".join(path.read_bytes() for path in runner.output.iterdir())
    assert KEY[:6] not in stopped
    assert KEY[:6].encode() not in written


# --- what is sent again ---------------------------------------------------------------------------


def test_only_what_is_missing_or_has_changed_is_sent_again(runner: Runner) -> None:
    with IhcServer() as server:
        runner.run(server)
        assert runner.run(server).sent == 0
        runner.fill(conversions(5) | {"c0001": 3, "new": 2})
        assert runner.run(server).sent == 2
        assert server.requests[-1].conversions == {"c0001", "new"}
        assert runner.run(server, redistribution={"closer": RULE}).sent == 6
    assert [count for (count,) in runner.results("count(*)")] == [13]


def test_what_failed_is_sent_again_only_when_asked(runner: Runner) -> None:
    with IhcServer(partial={"c0001": "odd"}) as server:
        runner.run(server)
        assert runner.run(server).sent == 0
        server.partial = {}
        summary = runner.run(server, retry_failed=True)
    assert (summary.sent, summary.answered) == (1, 1)
    assert runner.answered() == set(conversions(5))
    assert (runner.output / FAILURES_FILE).read_text().count("\n") == 1


def test_results_of_a_journey_that_has_changed_since_are_not_exported(runner: Runner) -> None:
    with IhcServer() as server:
        runner.run(server)
        runner.fill(conversions(4) | {"c0001": 3})
        server.fault = lambda number, request: DOWN
        runner.run(server)
    # c0004 is no longer in the warehouse; its result still holds.
    assert runner.answered() == {"c0000", "c0002", "c0003", "c0004"}


@pytest.mark.fault(
    done="tributary ihc-api twice at the same time",
    expected="the second is refused",
)
def test_a_second_run_at_the_same_time_is_refused(runner: Runner) -> None:
    code = "import sys, pathlib, tributary.ihc_ledger as l; l.Ledger(pathlib.Path(sys.argv[1]))"
    with Ledger(runner.output):
        other = subprocess.run(
            [sys.executable, "-c", code, runner.output], capture_output=True, text=True, check=False
        )
    assert "another run has it open" in other.stderr


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("drop schema intermediate cascade", "has no journeys yet"),
        (
            "alter table intermediate.int_named_journey_touchpoints drop closer_engagement",
            "built by an earlier version",
        ),
        (
            "update intermediate.int_named_journey_touchpoints set conversion_type = touchpoint_id",
            "no journeys to purchase. It has: c0000-1, ",
        ),
    ],
)
def test_a_warehouse_without_such_journeys_is_named(
    runner: Runner, statement: str, expected: str
) -> None:
    with duckdb.connect(str(runner.warehouse)) as connection:
        connection.execute(statement)
        with pytest.raises(IhcServiceError, match=expected):
            read_journeys(connection, None, "all", None)


# --- the command ----------------------------------------------------------------------------------


def command(runner: Runner, server: IhcServer, *arguments: str) -> tuple[list[str], dict[str, str]]:
    inherited = {name: value for name, value in os.environ.items() if "TRIBUTARY" not in name}
    words = [sys.executable, "-c", "from tributary.cli import main; main()", "ihc-api"]
    words += ["--conv-type-id", "all", "--url", server.url, "--output", str(runner.output)]
    words += ["--warehouse", str(runner.warehouse), "--per-second", "1000", *arguments]
    return words, inherited | {"TRIBUTARY_IHC_API_KEY": KEY, "COLUMNS": "200"}


def test_the_command_tells_what_it_did_and_never_the_key(runner: Runner) -> None:
    runner.fill(conversions(5) | {"long": 9})
    with IhcServer(partial={"c0001": f"odd {KEY}"}) as server:
        words, environment = command(runner, server, "--max-sessions", "8")
        dry = subprocess.run(
            [*words, "--dry-run"], env=environment, capture_output=True, text=True, check=False
        )
        assert (dry.returncode, len(server.requests)) == (0, 0), dry.stderr
        assert not runner.output.exists()
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        again = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    requests = [line.split() for line in dry.stdout.splitlines() if "shop" in line]
    assert requests == [["shop", "1", "4", "8"], ["shop", "2", "1", "2"]]
    assert done.returncode == 1
    assert "Sent 5 conversions in 2 requests: 4 answered, 1 failed" in done.stderr
    assert "shop c0001: 406: odd (key)" in done.stderr
    assert "shop long: 9 sessions" in done.stderr
    assert f"dbt build --vars '{{ihc_results_path: {runner.output}}}'" in done.stderr
    assert again.returncode == 0
    assert "4 answered, 1 failed (--retry-failed sends them again)" in again.stderr
    assert KEY not in dry.stdout + dry.stderr + done.stdout + done.stderr


def test_a_missing_key_is_told(runner: Runner) -> None:
    with IhcServer() as server:
        words, environment = command(runner, server)
        done = subprocess.run(
            words,
            env=environment | {"TRIBUTARY_IHC_API_KEY": " "},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert "Put it into the environment variable TRIBUTARY_IHC_API_KEY" in done.stderr


@pytest.mark.fault(
    done="tributary ihc-api is ended by SIGKILL, SIGINT, SIGTERM",
    expected="the next run goes on and sends nothing twice",
)
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_ended_goes_on_without_sending_twice(
    runner: Runner, end: signal.Signals
) -> None:
    runner.fill(conversions(40))
    with IhcServer(seconds=0.1) as server:
        words, environment = command(runner, server, "--max-journeys", "1", "--parallel", "2")
        process = subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True)
        while len(server.answered) < 10:
            time.sleep(0.01)
        process.send_signal(end)
        _, told = process.communicate(timeout=20)
        assert process.returncode == (-end if end is signal.SIGKILL else 1)
        assert (runner.output / CREDITS_FILE).exists() == (end is not signal.SIGKILL), told
        before = len(server.requests)
        assert before < 40
        server.seconds = 0
        summary = runner.run(server, parallel=2)
    assert runner.answered() == set(conversions(40))
    assert len(runner.results()) == 80
    # An interrupted run keeps what was under way; a killed one loses at most two requests, and
    # may be killed before it has written the last two answers.
    repeated = sum(server.answered.values()) - 40
    assert repeated <= (4 if end is signal.SIGKILL else 0)
    assert summary.sent == 40 - (before - repeated)
