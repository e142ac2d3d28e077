"""A local HTTP server that behaves as the external IHC service does, its faults included."""

import json
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

KEY = "a-secret-key-0123456789"
SESSION = {
    "conversion_id",
    "session_id",
    "timestamp",
    "channel_label",
    "holder_engagement",
    "closer_engagement",
    "conversion",
    "impression_interaction",
}


@dataclass(frozen=True)
class Reply:
    """A reply in place of the right one; status 0 drops the connection without any."""

    status: int
    content: bytes | Mapping[str, Any] = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Request:
    """A request as the server saw it."""

    at: float
    body: dict[str, Any]
    conv_type_id: str

    @property
    def conversions(self) -> set[str]:
        """Ids of the conversions in the request."""
        return {row["conversion_id"] for row in self.body["customer_journeys"]}


Fault = Callable[[int, Request], Reply | None]


class IhcServer:
    """The service on a free port of this machine; use as a context manager.

    Parameters
    ----------
    max_sessions
        Sessions that a request may hold.
    fault
        Gets the number of the request, from 0, and the request; what it returns is replied.
    partial
        Conversions with a partial error, and its message; the others are answered with 206.
    poison
        Conversions whose whole request is refused with 400.
    change
        Changes the rows of a right answer.
    seconds
        How long a request takes.
    """

    def __init__(
        self,
        *,
        max_sessions: int = 3_000,
        fault: Fault = lambda number, request: None,
        partial: Mapping[str, str] | None = None,
        poison: frozenset[str] = frozenset(),
        change: Callable[[list[dict[str, Any]]], Any] = lambda rows: rows,
        seconds: float = 0.0,
    ) -> None:
        self.max_sessions = max_sessions
        self.fault = fault
        self.partial = partial or {}
        self.poison = poison
        self.change = change
        self.seconds = seconds
        self.requests: list[Request] = []
        self.answered: Counter[str] = Counter()
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                reply = server.handle(self)
                if reply.status == 0:
                    self.close_connection = True
                    return
                content = reply.content
                if not isinstance(content, bytes):
                    content = json.dumps(content).encode()
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._http.shutdown()
        self._http.server_close()

    def handle(self, handler: BaseHTTPRequestHandler) -> Reply:
        """Reply to one request, and keep count."""
        at = time.monotonic()
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        address = urlsplit(handler.path)
        request = Request(at, body, parse_qs(address.query).get("conv_type_id", [""])[0])
        with self._lock:
            number = len(self.requests)
            self.requests.append(request)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            time.sleep(self.seconds)
            if handler.headers.get("x-api-key") != KEY:
                return Reply(403, {"message": "Forbidden"})
            if address.path != "/v1/compute_ihc":
                return Reply(404, {"message": "Not Found"})
            return self.fault(number, request) or self._computed(request)
        finally:
            with self._lock:
                self._at_once -= 1

    def _computed(self, request: Request) -> Reply:
        journeys = defaultdict(list)
        rows = request.body["customer_journeys"]
        for row in rows:
            journeys[row["conversion_id"]].append(row)
        if len(journeys) > 100 or len(rows) > self.max_sessions:
            return _refusal("too many journeys or sessions")
        if not request.conv_type_id or self.poison & set(journeys):
            return _refusal("a journey cannot be computed")
        for row in rows:
            if set(row) != SESSION:
                return _refusal(f"fields are {sorted(row)}")
            datetime.strptime(row["timestamp"], "%Y-%m-%d %H:%M:%S")

        value, errors = [], []
        for conversion_id, sessions in journeys.items():
            marks = [session["conversion"] for session in sessions]
            message = self.partial.get(conversion_id)
            if marks != [0] * (len(sessions) - 1) + [1]:
                message = "the journey is not whole"
            if message:
                errors.append(
                    {"conversion_id": conversion_id, "statusCode": 406, "message": message}
                )
                continue
            with self._lock:
                self.answered[conversion_id] += 1
            first, last = sessions[0], sessions[-1]
            value += [
                {
                    "conversion_id": conversion_id,
                    "session_id": session["session_id"],
                    "initializer": float(session is first),
                    "holder": 0.0,
                    "closer": float(session is last),
                    "ihc": ((session is first) + (session is last)) / 2,
                }
                for session in sessions
            ]
        status = 206 if errors else 200
        return Reply(
            status,
            {
                "statusCode": status,
                "value": self.change(value),
                "partialFailureErrors": errors,
            },
        )


def _refusal(message: str) -> Reply:
    return Reply(400, {"statusCode": 400, "value": None, "message": message})
