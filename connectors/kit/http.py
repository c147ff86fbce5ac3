"""HTTP to an agency's system: bounded in time, tried again when that may help, and silent about what was said.

    answer                              what a connector gets
    2xx                                 `Answer`
    401, 403, 407                       StopError: nothing will be taken until a person looks
    408, 425, 429, 5xx, no answer,      tried again, after Retry-After or longer each time; then RetryLaterError
    cut off half-way
    other 4xx                           RefusedError with the reason code `http-<status>`: count the item, or let it end the run
    anything else, redirects too        StopError: what is said for this address is not said to another

No message, log line or address holds what was sent or answered. Put identifiers in bodies, never in a path or query.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential
from tenacity.stop import stop_base

from hub.client import Gateway
from hub.errors import RefusedError, RetryLaterError, StopError

_CLOSED_TO_US: Final = frozenset({401, 403, 407})
_AGAIN: Final = frozenset({408, 425, 429})
_SERVER: Final = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whole. Its repr shows no content."""

    status: int
    body: bytes = field(repr=False)
    host: str

    def json(self) -> Any:
        """Return the body as JSON. Raises StopError when it is none, or not UTF-8 (RFC 8259)."""
        try:
            return json.loads(self.body.decode())
        except (ValueError, RecursionError):
            fault = f"{self.host} answered {self.status} with something that is no UTF-8 JSON"
        raise StopError(fault, "ask who runs it what changed; nothing of that answer was used")


class _AgainError(Exception):
    """The same request may succeed later; `after` seconds if the other side said so."""

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class _TooLong(stop_base):
    """Stops when the next wait is longer than a process should stand still."""

    def __init__(self, longest: float) -> None:
        self._longest = longest

    def __call__(self, retry_state: RetryCallState) -> bool:
        return retry_state.upcoming_sleep > self._longest


class HttpClient:
    """Requests to one address. A context manager.

    Args:
        url: What every path begins with: the scheme, host and port, and a path perhaps.
        gateway: Where waiting and the time come from; None for a ping, which tries once.
        token: Sent as a bearer token.
        headers: Sent with every request.
        timeout_seconds: How long connecting, or a silence in between, may last.
        attempts: How often a request is tried in all.
        longest_wait_seconds: When the other side asks for more patience than this, the run ends with RetryLaterError.
    """

    def __init__(
        self,
        url: str,
        gateway: Gateway | None = None,
        *,
        token: SecretStr | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float = 10.0,
        attempts: int = 4,
        longest_wait_seconds: float = 120.0,
    ) -> None:
        self._now = gateway.now if gateway else None
        own = {**(headers or {}), **({"Authorization": f"Bearer {token.get_secret_value()}"} if token else {})}
        try:
            self.host = urlsplit(url).hostname or ""
            self._client = httpx.Client(base_url=url, headers=own, timeout=timeout_seconds, trust_env=False, verify=_tls())
        except (httpx.InvalidURL, ValueError):
            self.host = ""
        if not self.host:
            raise StopError("the address of the other side is no URL", "for example https://host.example/api")
        self._retrying = Retrying(
            retry=retry_if_exception_type(_AgainError),
            stop=stop_after_attempt(attempts if gateway else 1) | _TooLong(longest_wait_seconds),
            wait=self._wait,
            sleep=gateway.pause if gateway else _never,
            reraise=True,
        )

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Answer:
        """Ask for something; no identifier in path or params."""
        return self._request("GET", path, params=params)

    def post(self, path: str, body: Any, *, key: str | None = None) -> Answer:
        """Send JSON. With a `key`, sent as Idempotency-Key, the other side can tell a repeat: give what follows from the item."""
        return self._request("POST", path, json=body, headers={"Idempotency-Key": key} if key else None)

    def _request(self, method: str, path: str, **more: Any) -> Answer:
        message = ""
        try:
            return self._retrying(self._once, method, path, **more)
        except _AgainError as error:
            message = str(error)
        raise RetryLaterError(message, "nothing to do: run again later; if it stays so, ask who runs it")

    def _once(self, method: str, path: str, **more: Any) -> Answer:
        try:
            response = self._client.request(method, path, **more)
        except httpx.TimeoutException:
            fault = f"{self.host} did not answer in time"
        except (httpx.TransportError, httpx.DecodingError):
            fault = f"{self.host} cannot be reached, or broke off its answer"
        else:
            return self._judged(response)
        raise _AgainError(fault)  # out here: what httpx raises holds the request

    def _judged(self, response: httpx.Response) -> Answer:
        status = response.status_code
        if response.is_success:
            return Answer(status, response.content, self.host)
        if status in _AGAIN or status >= _SERVER:
            raise _AgainError(f"{self.host} answered {status}", self._after(response.headers.get("Retry-After")))
        if status in _CLOSED_TO_US:
            raise StopError(f"{self.host} answered {status}: it does not let this connector in", "check the token or certificate")
        if response.is_client_error:
            raise RefusedError([f"http-{status}"], f"{self.host} answered {status}", "compare what is sent with what it takes")
        raise StopError(f"{self.host} answered {status}, which is no answer to this", "check the address")

    def _after(self, header: str | None) -> float | None:
        """Read Retry-After (RFC 9110 section 10.2.3): seconds, or a moment."""
        if header is None or self._now is None:
            return None
        if header.strip().isdecimal():
            return float(header)
        try:
            moment = parsedate_to_datetime(header)
        except ValueError:
            return None
        return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - self._now()).total_seconds())

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, _AgainError) and error.after is not None:
            return error.after
        return wait_exponential(multiplier=1, max=30)(state)

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def __enter__(self) -> HttpClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@cache
def _tls() -> ssl.SSLContext:
    """Return whom to trust: the authorities of the machine. Reading them takes a while, once."""
    return ssl.create_default_context()


def _never(_seconds: float) -> None:
    """A single try has nothing to wait for."""
