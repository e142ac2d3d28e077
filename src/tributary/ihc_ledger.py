"""Runs of the external IHC service: journeys of a warehouse in, a ledger of answers, files out."""

import json
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb
import pyarrow as pa

from tributary.ihc_service import (
    MEASURES,
    Answer,
    Failure,
    IhcServiceError,
    Journey,
    Limits,
    NoAnswerError,
    Redistribution,
    RefusedError,
    Service,
    ServiceClient,
    plan_batches,
)

UNANSWERED_BEFORE_STOPPING = 3
REFUSED_BEFORE_STOPPING = 3
CREDITS_FILE = "credits.parquet"
FAILURES_FILE = "failures.csv"

# grain: one row per conversion of the type that has a touchpoint.
_JOURNEYS = """
    with sessions as (

        select
            source,
            conversion_id,
            touch_number,
            converted_at,
            {
                'conversion_id': conversion_id,
                'session_id': touchpoint_id,
                'timestamp': strftime(touched_at, '%Y-%m-%d %H:%M:%S'),
                'channel_label': channel,
                'holder_engagement': cast(holder_engagement as integer),
                'closer_engagement': cast(closer_engagement as integer),
                'conversion': cast(touch_number = journey_length as integer),
                'impression_interaction': cast(impression_interaction as integer)
            } as session
        from intermediate.int_named_journey_touchpoints
        where conversion_type = $conversion_type

    ),

    journeys as (

        select
            source,
            conversion_id,
            min(converted_at) as converted_at,
            count(*) as session_count,
            list(session order by touch_number) as sessions
        from sessions
        group by source, conversion_id

    )

    select
        source,
        conversion_id,
        session_count,
        sessions,
        sha256($settings || cast(to_json(sessions) as varchar)) as fingerprint
    from journeys
    order by source, converted_at, conversion_id
"""


def read_journeys(
    warehouse: duckdb.DuckDBPyConnection,
    conversion_type: str | None,
    conv_type_id: str,
    redistribution: Redistribution | None,
) -> pa.Table:
    """Read the journeys of one conversion type from an open warehouse.

    Parameters
    ----------
    conversion_type
        A conversion type of the warehouse; None for the only one, or purchase.
    conv_type_id, redistribution
        What else the result depends on: they are part of the fingerprint.

    Returns
    -------
    source, conversion_id, session_count, sessions (as the service takes them) and fingerprint (a
    hash of everything the result depends on): one row per conversion, by source and time.

    Raises
    ------
    IhcServiceError
        If the warehouse has no journeys or no such conversion type.
    """
    settings = json.dumps([conv_type_id, redistribution], sort_keys=True)
    try:
        types = [
            value
            for (value,) in warehouse.execute(
                "select distinct conversion_type from intermediate.int_named_journey_touchpoints "
                "order by 1"
            ).fetchall()
        ]
        chosen = conversion_type or (types[0] if len(types) == 1 else "purchase")
        if types and chosen not in types:
            raise IhcServiceError(
                f"The warehouse has no journeys to {chosen}. It has: {', '.join(types)}."
            )
        return warehouse.execute(
            _JOURNEYS, {"conversion_type": chosen, "settings": settings}
        ).to_arrow_table()
    except duckdb.CatalogException:
        raise IhcServiceError(
            "The warehouse has no journeys yet. Make them with: dbt build"
        ) from None
    except duckdb.BinderException:
        raise IhcServiceError(
            "The warehouse was built by an earlier version. Build it again with: dbt build"
        ) from None


_FINISHED = pa.schema(
    {
        "source": pa.string(),
        "conversion_id": pa.string(),
        "fingerprint": pa.string(),
        "is_answered": pa.bool_(),
        "status": pa.int32(),
        "message": pa.string(),
        "finished_at": pa.timestamp("us"),
    }
)
_CREDITED = pa.schema(
    {
        "source": pa.string(),
        "conversion_id": pa.string(),
        "session_id": pa.string(),
        **{name: pa.float64() for name in MEASURES},
        "computed_at": pa.timestamp("us"),
    }
)

# What is known of a journey that has changed since is neither a result nor a failure.
_CURRENT = """
    select conversions.*
    from conversions
    left join wanted using (source, conversion_id)
    where coalesce(wanted.fingerprint = conversions.fingerprint, true)
"""


@dataclass(frozen=True)
class Work:
    """What there is to do.

    Attributes
    ----------
    journeys
        Journeys to send, in the form of `read_journeys`.
    too_long
        Journeys that no request can hold, in the same form.
    answered, failed
        Conversions done in earlier runs that are not sent again.
    """

    journeys: pa.Table
    too_long: pa.Table
    answered: int
    failed: int

    def batch(self, positions: range) -> list[Journey]:
        """Return the journeys at these positions."""
        rows = self.journeys.slice(positions.start, len(positions)).to_pylist()
        return [
            Journey(row["source"], row["conversion_id"], row["fingerprint"], row["sessions"])
            for row in rows
        ]

    def plan(self, limits: Limits) -> list[range]:
        """Cut the journeys to send into requests."""
        return plan_batches(
            self.journeys["source"].to_pylist(),
            self.journeys["session_count"].to_pylist(),
            limits,
        )


class Ledger:
    """What has been answered: a DuckDB file in the output folder, one transaction per request.

    A killed run loses at most the requests under way; the next one continues from here.

    Parameters
    ----------
    folder
        Output folder; made if it is not there.
    read_only
        Only look; nothing is made.

    Raises
    ------
    IhcServiceError
        If the folder cannot be written or another run has it open.
    """

    def __init__(self, folder: Path, read_only: bool = False) -> None:
        self._folder = folder
        path = folder / "ledger.duckdb"
        is_in_memory = read_only and not path.exists()
        try:
            if not read_only:
                folder.mkdir(parents=True, exist_ok=True)
            self._connection = duckdb.connect(
                ":memory:" if is_in_memory else str(path), read_only=read_only and not is_in_memory
            )
        except OSError as error:
            raise IhcServiceError(f"Cannot write to {folder}: {error.strerror or error}.") from None
        except duckdb.IOException as error:
            reason = "another run has it open" if "lock" in str(error) else "it cannot be opened"
            raise IhcServiceError(f"{path}: {reason}.") from None
        if not read_only or is_in_memory:
            for name, schema in (("conversions", _FINISHED), ("credits", _CREDITED)):
                self._connection.register("columns", schema.empty_table())
                self._connection.execute(f"create table if not exists {name} as from columns")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.close()

    def work(self, journeys: pa.Table, limits: Limits, retry_failed: bool = False) -> Work:
        """Compare journeys with what is known and return what is missing or has changed."""
        connection = self._connection
        connection.register("journeys", journeys)
        connection.execute(
            "create or replace temporary table wanted as "
            "select source, conversion_id, fingerprint from journeys"
        )
        known = {
            (source, conversion_id): bool(is_answered)
            for source, conversion_id, is_answered in connection.execute(
                f"select source, conversion_id, is_answered from ({_CURRENT}) "  # noqa: S608
                "semi join wanted using (source, conversion_id)"
            ).fetchall()
        }
        keys = zip(
            journeys["source"].to_pylist(), journeys["conversion_id"].to_pylist(), strict=True
        )
        states = [known.get(key) for key in keys]
        is_due = [state is None or (retry_failed and not state) for state in states]
        is_short = [count <= limits.sessions for count in journeys["session_count"].to_pylist()]
        return Work(
            journeys=journeys.filter(
                pa.array([a and b for a, b in zip(is_due, is_short, strict=True)], pa.bool_())
            ),
            too_long=journeys.filter(
                pa.array([a and not b for a, b in zip(is_due, is_short, strict=True)], pa.bool_())
            ),
            answered=states.count(True),
            failed=0 if retry_failed else states.count(False),
        )

    def record(self, journeys: Sequence[Journey], answer: Answer) -> None:
        """Write what was answered for journeys of one request, all or nothing."""
        now = datetime.now(UTC).replace(tzinfo=None)
        finished: list[dict[str, Any]] = []
        credits: list[dict[str, Any]] = []
        for journey in journeys:
            key = {"source": journey.source, "conversion_id": journey.conversion_id}
            failure = answer.failures.get(journey.conversion_id)
            finished.append(
                key
                | {
                    "fingerprint": journey.fingerprint,
                    "is_answered": failure is None,
                    "status": failure.status if failure else None,
                    "message": failure.message if failure else None,
                    "finished_at": now,
                }
            )
            credits.extend(
                key
                | {"session_id": row["session_id"]}
                | {name: float(row[name]) for name in MEASURES}
                | {"computed_at": now}
                for row in answer.credits.get(journey.conversion_id, [])
            )
        connection = self._connection
        connection.register("finished", pa.Table.from_pylist(finished, _FINISHED))
        connection.register("credited", pa.Table.from_pylist(credits, _CREDITED))
        connection.begin()
        for table, rows in (("conversions", "finished"), ("credits", "credited")):
            connection.execute(
                f"delete from {table} where (source, conversion_id) in "  # noqa: S608
                "(select (source, conversion_id) from finished)"
            )
            connection.execute(f"insert into {table} select * from {rows}")  # noqa: S608
        connection.commit()

    def export(self) -> None:
        """Write credits.parquet and failures.csv: what holds for the journeys as they are now.

        Each file is replaced as a whole, so a reader never sees half of one.
        """
        credits = self._connection.sql(
            f"select credits.* from credits semi join ({_CURRENT}) "  # noqa: S608
            "using (source, conversion_id) order by source, conversion_id, session_id"
        )
        failures = self._connection.sql(
            f"select source, conversion_id, status, message from ({_CURRENT}) "  # noqa: S608
            "where not is_answered order by source, conversion_id"
        )
        for name, write in (
            (CREDITS_FILE, credits.write_parquet),
            (FAILURES_FILE, failures.write_csv),
        ):
            draft = self._folder / f".{name}.draft"
            write(str(draft))
            draft.replace(self._folder / name)


@dataclass
class Summary:
    """What a run did.

    Attributes
    ----------
    requests
        Requests answered or given up, retries not counted.
    answered
        Conversions that now have a result.
    failures
        Conversions that the service refused or answered wrongly, by source and id.
    unanswered
        Conversions sent without any answer; the next run sends them again.
    not_sent
        Conversions that the run did not come to.
    stopped
        Why the run stopped before its end, or None.
    """

    requests: int = 0
    answered: int = 0
    failures: dict[tuple[str, str], Failure] = field(default_factory=dict)
    unanswered: int = 0
    not_sent: int = 0
    stopped: str | None = None

    @property
    def sent(self) -> int:
        """Conversions that were sent."""
        return self.answered + len(self.failures) + self.unanswered


def run(
    work: Work,
    limits: Limits,
    service: Service,
    ledger: Ledger,
    parallel: int = 4,
    advance: Callable[[int], None] = lambda finished: None,
    stop: threading.Event | None = None,
) -> Summary:
    """Send all work, record each answer as it comes, and export the results.

    A refused request is halved until the journey at fault stands alone. The run stops early where
    going on is pointless: no request can succeed, several in a row had no answer, or the service
    refuses single journeys and has answered nothing.

    Parameters
    ----------
    parallel
        Requests under way at one time, at least 1.
    advance
        Told how many conversions are finished, each time some are.
    stop
        Once set, the requests under way end, and no other is sent.
    """
    queue = deque(work.plan(limits))
    under_way: dict[Future[Answer], tuple[range, list[Journey]]] = {}
    summary = Summary()
    unanswered_in_a_row = refused_alone = 0
    stop = stop or threading.Event()

    def halt(reason: str) -> None:
        summary.stopped = summary.stopped or reason
        stop.set()

    def settle(journeys: list[Journey], answer: Answer) -> None:
        ledger.record(journeys, answer)
        summary.answered += len(answer.credits)
        for journey in journeys:
            if journey.conversion_id in answer.failures:
                key = (journey.source, journey.conversion_id)
                summary.failures[key] = answer.failures[journey.conversion_id]
        advance(len(journeys))

    with ServiceClient(service, stop) as client, ThreadPoolExecutor(parallel) as pool:
        try:
            while under_way or (queue and not stop.is_set()):
                while queue and len(under_way) < parallel and not stop.is_set():
                    positions = queue.popleft()
                    journeys = work.batch(positions)
                    under_way[pool.submit(client.compute, journeys)] = positions, journeys
                done, _ = wait(under_way, return_when=FIRST_COMPLETED)
                for future in done:
                    positions, journeys = under_way.pop(future)
                    summary.requests += 1
                    try:
                        settle(journeys, future.result())
                        unanswered_in_a_row = 0
                    except RefusedError as error:
                        unanswered_in_a_row = 0
                        if len(journeys) > 1:
                            middle = len(positions) // 2
                            queue.extendleft((positions[middle:], positions[:middle]))
                            continue
                        failure = Failure(error.status, str(error))
                        settle(journeys, Answer({}, {journeys[0].conversion_id: failure}))
                        refused_alone += 1
                        if refused_alone >= REFUSED_BEFORE_STOPPING and not summary.answered:
                            halt(
                                f"The service refuses journey after journey: {error}. Check the "
                                "conversion type and the redistribution parameters."
                            )
                    except NoAnswerError as error:
                        summary.unanswered += len(journeys)
                        unanswered_in_a_row += 1
                        if unanswered_in_a_row >= UNANSWERED_BEFORE_STOPPING:
                            halt(f"The service does not answer ({error}).")
                    except IhcServiceError as error:
                        summary.unanswered += len(journeys)
                        halt(str(error))
        finally:
            stop.set()  # so that no thread waits on when this one cannot go on
    if queue and not summary.stopped:
        summary.stopped = "Interrupted."
    summary.not_sent = sum(len(positions) for positions in queue)
    ledger.export()
    return summary
