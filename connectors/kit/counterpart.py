"""A small real HTTP server that plays an agency's system, and fails when it is told to."""

from __future__ import annotations

import json
import select
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from connectors.kit.memory import START
from connectors.kit.rig import Fault

RETRY_AFTER: Final = 7
"""The seconds that it asks for with a 429."""
_PATIENCE: Final = 1.0
"""For how many seconds it keeps a request without answering."""
_FORMS: Final[Mapping[Fault, tuple[int, ...]]] = {
    Fault.CLIENT_ERROR: (422, 403, 400),
    Fault.SERVER_ERROR: (503, 500),
    Fault.RATE_LIMIT: (429,),
}
_BEFORE: Final = frozenset({*_FORMS, Fault.UNREACHABLE})
"""The faults that come before it did anything; with the others it did what was asked, and only its answer is lost."""
VARIANTS: Final = {fault: len(forms) for fault, forms in _FORMS.items()} | {Fault.ENCODING: 2, Fault.TRUNCATED: 5}
FAULTS: Final = frozenset(Fault)


@dataclass(frozen=True, slots=True)
class Request:
    """What it was asked."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes = field(repr=False)

    @property
    def json(self) -> Any:
        """The body, None if there is none."""
        return json.loads(self.body) if self.body else None


Respond = Callable[[Request], Any]
"""Gives the JSON of the answer, or a pair of status and JSON."""


class Counterpart:
    """Listens on 127.0.0.1 while the block lasts.

    Args:
        answer: What it answers when all is well.
        key: By what it knows a repeat; without a key every request is a new one. By default the header Idempotency-Key.
        asks: Whether a request only asks and leaves nothing behind. By default a GET; some systems are asked by POST, so that
            no number of a person stands in an address.
    """

    def __init__(
        self, answer: Respond, key: Callable[[Request], str | None] | None = None, asks: Callable[[Request], bool] | None = None
    ) -> None:
        self._answer = answer
        self._key = key or (lambda request: request.headers.get("idempotency-key"))
        self._asks = asks or (lambda request: request.method == "GET")
        self._lock = threading.Lock()
        self._fault: Fault | None = None
        self._variant = 0
        self.held: dict[str, Any] = {}
        """What was sent to it and did not only ask, by key: a repeat changes nothing."""
        self.asked: list[datetime] = []
        self.now: Callable[[], datetime] = lambda: START
        self.outwaited = False
        self._server = _Server(("127.0.0.1", 0), _handler_of(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def spoil(self, fault: Fault, variant: int = 0) -> None:
        """Fail in this way from now on."""
        self._fault, self._variant = fault, variant

    def mend(self) -> None:
        """Be well again."""
        self._fault = None

    def __enter__(self) -> Counterpart:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    # --- one request ----------------------------------------------------------------------

    def handle(self, handler: BaseHTTPRequestHandler, request: Request) -> None:
        """Do what is asked, and answer or fail."""
        fault = self._fault
        with self._lock:
            self.asked.append(self.now())
            found = self._answer(request)
            if not self._asks(request) and fault not in _BEFORE:
                self._hold(request)
        status, body = found if isinstance(found, tuple) else (200, found)
        whole = json.dumps(body, ensure_ascii=False).encode()
        if fault is None:
            _send(handler, status, whole)
        elif fault is Fault.TIMEOUT:
            self._keep_waiting(handler.connection)
        elif fault is Fault.TRUNCATED:
            _send(handler, status, whole[: len(whole) * (self._variant + 1) // 6], length=len(whole))
        elif fault is Fault.ENCODING:
            _send(handler, status, whole.decode().encode("utf-16") if self._variant else whole[:-1] + b'\xe9\xff"' + whole[-1:])
        elif fault in _FORMS:
            said = {
                "error": "no",
                "headers": dict(request.headers),
                "sent": request.body.decode("utf-8", "replace"),
                "query": request.query,
            }
            more = {"Retry-After": str(RETRY_AFTER)} if fault is Fault.RATE_LIMIT else {}
            _send(handler, _FORMS[fault][self._variant], json.dumps(said).encode(), headers=more)
        handler.close_connection = handler.close_connection or fault is not None

    def _hold(self, request: Request) -> None:
        key = self._key(request) or f"without a key {len(self.held)}"
        if key in self.held and self.held[key] != request.json:
            key = f"{key} with other content {len(self.held)}"
        self.held[key] = request.json

    def _keep_waiting(self, connection: socket.socket) -> None:
        gone, _, _ = select.select([connection], [], [], _PATIENCE)
        if not gone:
            self.outwaited = True


def _send(
    handler: BaseHTTPRequestHandler, status: int, body: bytes, length: int | None = None, headers: Mapping[str, str] | None = None
) -> None:
    handler.send_response(status)
    for name, value in {"Content-Type": "application/json", "Content-Length": str(length or len(body)), **(headers or {})}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


class _Server(ThreadingHTTPServer):
    block_on_close = True
    daemon_threads = False

    def handle_error(self, *_: Any) -> None:
        """Say nothing: a connector that went away is what is tested."""


def _handler_of(counterpart: Counterpart) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 30

        def handle_one(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            counterpart.handle(self, Request(self.command, parts.path, query, headers, body))

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_one  # noqa: N815  (the names of the library)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Handler
