"""Client of the external IHC service: journeys out, initializer, holder, closer and ihc back.

What is pure comes first: parameters, batches, reading an answer; then the HTTP client. What keeps
the answers and makes a run resumable is in tributary.ihc_ledger; docs/methods/ihc-service.md
describes the protocol.
"""

import json
import math
import re
import threading
import time
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import tenacity
import yaml
from pyrate_limiter import Limiter, Rate

SERVICE_URL = "https://api.ihc-attribution.com"
MAX_JOURNEYS = 100
SUM_TOLERANCE = 1e-6  # published answers add up to 1 within 1e-15
LONGEST_PAUSE_SECONDS = 600.0
LONGEST_BACKOFF_SECONDS = 60.0
MESSAGE_LENGTH = 300

PHASES = ("initializer", "holder", "closer")
MEASURES = (*PHASES, "ihc")
DIRECTIONS = ("earlier_sessions_only", "any_session", "later_sessions_only")
REFUSALS = (400, 406, 413, 422)

Redistribution = dict[str, dict[str, Any]]


class Plan(StrEnum):
    """The account's plan, which limits the sessions of a request."""

    FREE = "free"
    PAID = "paid"


PLAN_SESSIONS = {Plan.FREE: 200, Plan.PAID: 3_000}


class IhcServiceError(Exception):
    """The run cannot go on; the message says why and what to do."""


class RefusedError(Exception):
    """The service refuses a request as it stands; sending it again would not help."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class NoAnswerError(Exception):
    """The service did not answer; it may answer later."""


@dataclass(frozen=True)
class Limits:
    """How much one request may hold.

    Attributes
    ----------
    max_journeys
        Journeys, 1 to 100.
    max_sessions
        Sessions, 1 to what the plan allows; None is what it allows.
    plan
        The account's plan.

    Raises
    ------
    ValueError
        If a limit is outside what the service takes.
    """

    max_journeys: int = MAX_JOURNEYS
    max_sessions: int | None = None
    plan: Plan = Plan.PAID

    def __post_init__(self) -> None:
        if not 1 <= self.max_journeys <= MAX_JOURNEYS:
            raise ValueError(
                f"A request takes 1 to {MAX_JOURNEYS} journeys, not {self.max_journeys}."
            )
        if not 1 <= self.sessions <= PLAN_SESSIONS[self.plan]:
            raise ValueError(
                f"On the {self.plan} plan a request takes 1 to {PLAN_SESSIONS[self.plan]:,} "
                f"sessions, not {self.sessions:,}."
            )

    @property
    def sessions(self) -> int:
        """Sessions that a request may hold."""
        return PLAN_SESSIONS[self.plan] if self.max_sessions is None else self.max_sessions


@dataclass(frozen=True)
class Service:
    """The service and how it is spoken to.

    Attributes
    ----------
    key
        The API key; never shown, logged or written.
    conv_type_id
        The service's own name of the conversion type, as trained there.
    url
        Base URL: https, or http on this machine.
    redistribution
        The parameter `redistribution_parameter`; None leaves it out.
    requests_per_second
        Upper limit over all threads, retries included.
    timeout_seconds
        Longest wait for a connection and for the next bytes of an answer.
    attempts
        How often one request is tried in all.
    backoff_seconds
        First wait between attempts; each next one doubles it, up to a minute, plus jitter.

    Raises
    ------
    ValueError
        If a value is out of range, the key is not one, or it would travel unencrypted.
    """

    key: str = field(repr=False)
    conv_type_id: str
    url: str = SERVICE_URL
    redistribution: Redistribution | None = None
    requests_per_second: float = 2.0
    timeout_seconds: float = 60.0
    attempts: int = 6
    backoff_seconds: float = 1.0

    def __post_init__(self) -> None:
        if not re.fullmatch("[!-~]+", self.key):
            raise ValueError("The API key is empty or holds white space or other odd characters.")
        if not self.conv_type_id.strip():
            raise ValueError("The service's conversion type, conv_type_id, is empty.")
        try:
            url = httpx.URL(self.url)
        except httpx.InvalidURL as error:
            raise ValueError(f"{self.url} is not a URL: {error}.") from None
        is_local = url.host in ("localhost", "127.0.0.1", "::1")
        if not url.host or (url.scheme != "https" and not (url.scheme == "http" and is_local)):
            raise ValueError(
                f"The service's URL is {self.url}. Give one that begins with https://, so that the "
                "key travels encrypted; http:// is for this machine only."
            )
        if not 0.001 <= self.requests_per_second <= 1_000:
            raise ValueError("Requests per second must be between 0.001 and 1,000.")
        if self.timeout_seconds <= 0 or self.attempts < 1 or self.backoff_seconds < 0:
            raise ValueError("Time limits must be positive, and there is at least one attempt.")


@dataclass(frozen=True)
class Journey:
    """One conversion's journey as the service takes it; the last session is the converting one."""

    source: str
    conversion_id: str
    fingerprint: str
    sessions: list[dict[str, Any]]


@dataclass(frozen=True)
class Failure:
    """Why a conversion has no result; status is the service's, None where it gave none."""

    status: int | None
    message: str


@dataclass(frozen=True)
class Answer:
    """What the service answered: per conversion its rows, or why there are none."""

    credits: Mapping[str, list[dict[str, Any]]]
    failures: Mapping[str, Failure]


def read_redistribution(path: Path) -> Redistribution:
    """Read redistribution parameters from a JSON, YAML or TOML file, and check them.

    Raises
    ------
    ValueError
        If the file cannot be read or its content is not what the service takes.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ValueError(f"Cannot read {path}: {reason}.") from None
    readers: dict[str, Callable[[str], Any]] = {
        ".json": json.loads,
        ".yaml": yaml.safe_load,
        ".yml": yaml.safe_load,
        ".toml": tomllib.loads,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise ValueError(f"{path} must end in {', '.join(readers)}.")
    try:
        content = reader(text)
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(f"{path} cannot be read: {' '.join(str(error).split())}.") from None
    try:
        return checked_redistribution(content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def checked_redistribution(content: object) -> Redistribution:
    """Return redistribution parameters that the service takes.

    Parameters
    ----------
    content
        Per phase: direction, receive_threshold in [0, 1], redistribution_channel_labels.

    Raises
    ------
    ValueError
        If it is anything else; the message names the place and what is allowed.
    """
    names = {"direction", "receive_threshold", "redistribution_channel_labels"}
    if not isinstance(content, dict) or not content or not set(content) <= set(PHASES):
        raise ValueError(f"Redistribution parameters are a mapping of {', '.join(PHASES)}.")
    for phase, rule in content.items():
        if not isinstance(rule, dict) or set(rule) != names:
            raise ValueError(f"{phase} must have exactly {', '.join(sorted(names))}.")
        if rule["direction"] not in DIRECTIONS:
            raise ValueError(
                f"{phase}.direction is {rule['direction']!r}. Allowed: {', '.join(DIRECTIONS)}."
            )
        threshold = rule["receive_threshold"]
        if not _is_number(threshold) or not 0 <= threshold <= 1:
            raise ValueError(f"{phase}.receive_threshold is {threshold!r}. Allowed: 0 to 1.")
        labels = rule["redistribution_channel_labels"]
        if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
            raise ValueError(f"{phase}.redistribution_channel_labels must be a list of channels.")
    return content


def plan_batches(
    sources: Sequence[str], session_counts: Sequence[int], limits: Limits
) -> list[range]:
    """Cut journeys, in their order, into requests; none is split and no limit exceeded.

    A request holds one source only, because the service knows conversions by their id alone and
    ids are unique within a source.

    Parameters
    ----------
    sources, session_counts
        Source and number of sessions of each journey, of one length.
    limits
        What one request may hold.

    Returns
    -------
    Ranges of positions that follow one another and cover every journey.

    Raises
    ------
    ValueError
        If a journey alone has more sessions than a request may hold.
    """
    batches: list[range] = []
    start = sessions = 0
    for position, (source, count) in enumerate(zip(sources, session_counts, strict=True)):
        if count > limits.sessions:
            raise ValueError(f"A journey of {count:,} sessions does not fit into a request.")
        is_full = (
            position - start == limits.max_journeys
            or sessions + count > limits.sessions
            or source != sources[start]
        )
        if is_full:
            batches.append(range(start, position))
            start, sessions = position, 0
        sessions += count
    if start < len(sources):
        batches.append(range(start, len(sources)))
    return batches


def read_answer(body: object, journeys: Sequence[Journey]) -> Answer:
    """Check an answer against the journeys that were sent.

    A conversion has a result if the answer holds each of its sessions once and no other, every
    value is in [0, 1], ihc adds up to 1, and each phase adds up to 1 or is empty. An answer of
    another form, or about conversions that were not sent, fails every conversion of the request.

    Parameters
    ----------
    body
        The decoded JSON: {value: [...], partialFailureErrors: [...]}.
    journeys
        The journeys of the request.
    """
    asked = {journey.conversion_id: journey for journey in journeys}
    try:
        rows, errors = _answered_rows(body), _partial_errors(body, asked)
        unknown = sorted(set(rows) - set(asked))
        if unknown:
            raise ValueError(f"it has conversions not sent, such as {_shortened(unknown[0])}")
    except ValueError as error:
        failure = Failure(None, f"The answer cannot be used: {error}.")
        return Answer({}, dict.fromkeys(asked, failure))

    failures: dict[str, Failure] = {}
    for conversion_id, journey in asked.items():
        if conversion_id in errors:
            failures[conversion_id] = errors[conversion_id]
        elif conversion_id not in rows:
            failures[conversion_id] = errors.get(
                "", Failure(None, "The answer lacks the conversion.")
            )
        elif reason := _fault(rows[conversion_id], journey):
            failures[conversion_id] = Failure(None, f"The answer cannot be used: {reason}.")
    return Answer({key: rows[key] for key in asked if key not in failures}, failures)


def _answered_rows(body: object) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of the answer by conversion."""
    if not isinstance(body, dict) or not isinstance(body.get("value"), list):
        raise ValueError("it is not JSON with a list named value")
    rows = defaultdict(list)
    for row in body["value"]:
        if (
            not isinstance(row, dict)
            or not all(isinstance(row.get(name), str) for name in ("conversion_id", "session_id"))
            or not all(_is_number(row.get(name)) for name in MEASURES)
        ):
            raise ValueError(f"a row of it is {_shortened(json.dumps(row))}")
        rows[row["conversion_id"]].append(row)
    return dict(rows)


def _partial_errors(body: object, asked: Mapping[str, Journey]) -> dict[str, Failure]:
    """Return the partial errors by conversion; under "" the last that names no conversion sent."""
    errors = body.get("partialFailureErrors") if isinstance(body, dict) else None
    if not isinstance(errors or [], list):
        raise ValueError("its partialFailureErrors are not a list")
    failures: dict[str, Failure] = {}
    for error in errors or []:
        entry = error if isinstance(error, dict) else {"message": error}
        named = entry.get("conversion_id")
        conversion_id = named if isinstance(named, str) and named in asked else ""
        values = (entry.get(name) for name in ("statusCode", "status", "code"))
        statuses = (value for value in values if isinstance(value, int) and 100 <= value < 600)
        failures[conversion_id] = Failure(next(statuses, None), _message(entry))
    return failures


def _fault(rows: Sequence[Mapping[str, Any]], journey: Journey) -> str | None:
    """Say what is wrong with the rows of one conversion, or nothing."""
    answered = Counter(row["session_id"] for row in rows)
    asked = {session["session_id"] for session in journey.sessions}
    for count, what in (
        (len(set(answered) - asked), "sessions that were not sent"),
        (len(asked - set(answered)), "sessions too few"),
        (answered.total() - len(answered), "sessions twice"),
    ):
        if count:
            return f"it has {count} {what}"
    if any(not 0 <= row[name] <= 1 for row in rows for name in MEASURES):
        return "it has values outside 0 to 1"
    for name in MEASURES:
        total = math.fsum(row[name] for row in rows)
        is_empty_phase = name in PHASES and total == 0
        if abs(total - 1) > SUM_TOLERANCE and not is_empty_phase:
            return f"{name} adds up to {total:g}, not 1"
    return None


def _is_number(value: object) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and -math.inf < value < math.inf
    )


def _message(entry: Mapping[str, Any]) -> str:
    """Take the message out of an error, whatever it is called; else the error as it is."""
    for name in ("message", "errorMessage", "error"):
        if isinstance(entry.get(name), str) and entry[name].strip():
            return _shortened(entry[name])
    return _shortened(json.dumps(entry, ensure_ascii=False))


def _shortened(text: str) -> str:
    # JSON may hold half of a character pair, which no file can.
    line = " ".join(text.encode(errors="replace").decode().split())
    return line if len(line) <= MESSAGE_LENGTH else line[:MESSAGE_LENGTH] + "…"


class ServiceClient:
    """Sends requests from any number of threads, within one rate limit, with retries.

    Parameters
    ----------
    service
        The service and how it is spoken to.
    stop
        Once set, waiting ends and nothing is tried again.
    """

    def __init__(self, service: Service, stop: threading.Event) -> None:
        self._service = service
        self._stop = stop
        self._resume_at = 0.0
        # One permit per interval spaces requests evenly, without a burst at the start.
        interval = math.ceil(1000 / service.requests_per_second)
        self._limiter = Limiter(Rate(1, interval), buffer_ms=1)
        self._http = httpx.Client(
            headers={"x-api-key": service.key}, timeout=service.timeout_seconds
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._http.close()
        self._limiter.close()

    def compute(self, journeys: Sequence[Journey]) -> Answer:
        """Send journeys of one source as one request and return the checked answer.

        Raises
        ------
        RefusedError
            If the service refuses the request (400 and the like).
        NoAnswerError
            If it was throttled, failed or out of reach on every attempt.
        IhcServiceError
            If no request can succeed: a wrong key or address, or a pause asked for that is too
            long to wait.
        """
        service = self._service
        body: dict[str, Any] = {
            "customer_journeys": [row for journey in journeys for row in journey.sessions]
        }
        if service.redistribution is not None:
            body["redistribution_parameter"] = service.redistribution
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(NoAnswerError),
            wait=tenacity.wait_exponential_jitter(
                multiplier=service.backoff_seconds,
                max=LONGEST_BACKOFF_SECONDS,
                jitter=service.backoff_seconds,
            ),
            stop=tenacity.stop_after_attempt(service.attempts)
            | tenacity.stop_when_event_set(self._stop),
            sleep=tenacity.sleep_using_event(self._stop),
            reraise=True,
        )
        return attempts(self._attempt, body, journeys)

    def _attempt(self, body: Mapping[str, Any], journeys: Sequence[Journey]) -> Answer:
        self._wait_for_turn()
        try:
            response = self._http.post(
                f"{self._service.url.rstrip('/')}/v1/compute_ihc",
                params={"conv_type_id": self._service.conv_type_id},
                json=body,
            )
        except (httpx.TransportError, httpx.DecodingError) as error:
            reason = self._without_key(_shortened(str(error))) or type(error).__name__
            raise NoAnswerError(f"no connection: {reason}") from None

        content: Any = None
        with suppress(ValueError):
            content = self._without_key(response.json())
        status = response.status_code
        # Behind a gateway the status of the computation may stand in the body alone.
        if status == 200 and isinstance(content, dict) and _is_number(content.get("statusCode")):
            status = int(content["statusCode"])
        if status in (200, 206):
            return read_answer(content, journeys)

        text = _shortened(self._without_key(response.text)) or response.reason_phrase
        message = _message(content) if isinstance(content, dict) else text
        if status == 429:
            self._pause(response.headers.get("retry-after", ""))
        if status == 429 or status >= 500:
            raise NoAnswerError(f"status {status}: {message}")
        if status in REFUSALS:
            raise RefusedError(status, message)
        advice = (
            "Check the key in TRIBUTARY_IHC_API_KEY"
            if status in (401, 403)
            else "Check the address and the conversion type"
        )
        raise IhcServiceError(f"The service answers {status}: {message}. {advice}.")

    def _wait_for_turn(self) -> None:
        """Wait until no pause is asked for and the rate limit allows a request."""
        while (pause := self._resume_at - time.monotonic()) > 0 and not self._stop.is_set():
            self._stop.wait(pause)
        self._limiter.try_acquire("requests")

    def _pause(self, retry_after: str) -> None:
        """Let every thread wait as long as the service asks: seconds or an HTTP date."""
        seconds = 0.0
        if retry_after.strip().isdecimal():
            seconds = float(retry_after)
        elif retry_after:
            with suppress(ValueError):
                # An HTTP date is in GMT, whatever else stands there.
                until = parsedate_to_datetime(retry_after).replace(tzinfo=UTC)
                seconds = (until - datetime.now(UTC)).total_seconds()
        if seconds > LONGEST_PAUSE_SECONDS:
            raise IhcServiceError(
                f"The service asks to wait {seconds:,.0f} seconds. Run the command again then: "
                "only what is missing is sent."
            )
        self._resume_at = max(self._resume_at, time.monotonic() + seconds)

    def _without_key(self, content: Any) -> Any:
        """Take the key out of text, alone or within JSON, should the service repeat it."""
        if isinstance(content, str):
            return content.replace(self._service.key, "(key)")
        if isinstance(content, list):
            return [self._without_key(item) for item in content]
        if isinstance(content, dict):
            return {name: self._without_key(item) for name, item in content.items()}
        return content
