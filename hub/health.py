"""Three addresses that say how a process is: `/live`, `/ready` and `/metrics`. They show codes and counts, nothing of anyone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from hub.errors import StopError

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

    from hub.metrics import Metrics

_SILENT_SECONDS: Final = 120
"""A turn that takes longer than this means that the process hangs."""


class Health:
    """How a process is: alive while its turns go on, ready while it can record."""

    def __init__(self, metrics: Metrics, ready: Callable[[], bool]) -> None:
        self._metrics = make_wsgi_app(metrics.registry)
        self._ready = ready
        self._last = time.monotonic()

    def beat(self) -> None:
        """Note that a turn was taken."""
        self._last = time.monotonic()

    def __call__(self, environ: WSGIEnvironment, respond: StartResponse) -> Iterable[bytes]:
        """Answer one request (WSGI)."""
        path = environ.get("PATH_INFO")
        if path == "/metrics":
            answer: Iterable[bytes] = self._metrics(environ, respond)
            return answer
        checks: dict[Any, Callable[[], bool]] = {"/live": lambda: time.monotonic() - self._last < _SILENT_SECONDS, "/ready": self._ready}
        check = checks.get(path)
        status = "404 Not Found" if check is None else "200 OK" if check() else "503 Service Unavailable"
        respond(status, [("Content-Type", "text/plain; charset=utf-8")])
        return [status.partition(" ")[2].lower().encode() + b"\n"]


class _Server(ThreadingMixIn, WSGIServer):
    """Answers each request in a thread, so that a slow `/metrics` holds up no `/live`."""

    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: who asks may hang up, and the log has a form of its own."""


class _Quiet(WSGIRequestHandler):
    """Writes no access log: who asks is nobody's business, and the log has a form of its own."""

    timeout = 10
    """Seconds after which a caller that says nothing is let go."""

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def served(health: Health, host: str, port: int | None) -> Iterator[int | None]:
    """Answer on a port for the length of a block; gives the port. Without a port nothing is opened.

    Raises StopError if the port is taken.
    """
    if port is None:
        yield None
        return
    try:
        server = make_server(host, port, health, server_class=_Server, handler_class=_Quiet)
    except OSError as exc:
        msg = f"the health port {port} cannot be opened ({exc.strerror})"
        raise StopError(msg, "choose another HUB_HEALTH_PORT") from None
    thread = threading.Thread(target=server.serve_forever, name="health", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
