"""Clients of kafka-python: how one is made, what it says when a broker lets it in or not, and what its errors mean."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from kafka.errors import (
    AuthorizationError,
    CommitFailedError,
    FencedInstanceIdError,
    IllegalGenerationError,
    IllegalSaslStateError,
    KafkaConfigurationError,
    KafkaError,
    MessageSizeTooLargeError,
    RebalanceInProgressError,
    SaslAuthenticationFailedError,
    UnknownMemberIdError,
    UnsupportedSaslMechanismError,
)
from kafka.net.compat import KafkaNetClient
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector

from hub.errors import HubError, RetryLaterError, StopError

_MOVED: Final = (CommitFailedError, IllegalGenerationError, RebalanceInProgressError, UnknownMemberIdError)
_NOT_IN: Final = (SaslAuthenticationFailedError, UnsupportedSaslMechanismError, IllegalSaslStateError)
BOOTSTRAP_MS: Final = 8_000
"""How long the first answer of the brokers may take."""
_CONNECT_MS: Final = 3_000
_RECONNECT_MS: Final = 1_000


@dataclass(frozen=True, slots=True)
class KafkaOptions:
    """How to reach the brokers, and how patient to be. Times are milliseconds."""

    bootstrap: str
    security: Mapping[str, Any] = field(default_factory=dict)
    """Options of kafka-python for TLS and SASL."""
    instance: str | None = None
    """A name that a router keeps when it starts again: then its partitions wait for it (static membership)."""
    wait_ms: int = 200
    """How long one poll waits for records."""
    fresh_ms: int = 5_000
    """How soon a new topic is seen."""
    session_ms: int = 10_000
    """After how long without a sign of life the partitions of a member go to another."""
    deliver_ms: int = 30_000
    """How long a send may take, with all repeats."""


def scram(user: str, password: str, ca: Path | None) -> dict[str, Any]:
    """Return the security options for SASL/SCRAM-SHA-512 over TLS."""
    return {
        "security_protocol": "SASL_SSL", "sasl_mechanism": "SCRAM-SHA-512", "sasl_plain_username": user, "sasl_plain_password": password,
        "ssl_cafile": None if ca is None else str(ca),
    }  # fmt: skip


def connection(options: KafkaOptions) -> dict[str, Any]:
    """Return how every client of kafka-python reaches the brokers."""
    return {
        "bootstrap_servers": options.bootstrap, "client_id": "signaalhub", "bootstrap_timeout_ms": BOOTSTRAP_MS,
        "reconnect_backoff_max_ms": _RECONNECT_MS, **options.security,
    }  # fmt: skip


class Link(KafkaConnectionManager):  # type: ignore[misc]
    """The connections of one client.

    It notes why a broker does not let it in. The library forgets that while a connection begins, and what a broker says
    just before it hangs up: a wrong password would look like a broker that is away.
    """

    def __init__(self, net: NetworkSelector, **config: Any) -> None:
        super().__init__(net, **{**config, "socket_connection_setup_timeout_ms": _CONNECT_MS})
        self.refused: Exception | None = None
        """Why the last broker that was asked did not let it in; None once one did."""

    @property
    def connected(self) -> bool:
        """Whether there is a connection to any broker now."""
        return any(one.connected for one in list(self._conns.values()))

    def get_connection(self, node_id: Any, *args: Any, **how: Any) -> Any:
        """Return the connection to a broker, as the library does; a new one is listened to."""
        if self.refused is not None and not self.bootstrapped:
            raise self.refused
        known = node_id in self._conns
        found = super().get_connection(node_id, *args, **how)
        if not known:
            found.init_future.add_errback(self._note)
            found.init_future.add_callback(partial(self._note, None))
        return found

    async def _build_transport(self, *args: Any, **how: Any) -> Any:
        transport = await super()._build_transport(*args, **how)
        transport._sock_recv = partial(_last_words, transport._sock_recv)  # noqa: SLF001
        return transport

    def _note(self, error: Exception | None, *_: object) -> None:
        if error is None:
            self.refused = None
        elif isinstance(error, _NOT_IN) or isinstance(error.__context__, ssl.SSLCertVerificationError):
            self.refused = error
        elif isinstance(error, OSError) and isinstance(error, FileNotFoundError | PermissionError | ssl.SSLError):
            self.refused = error  # the file with the certificates, not the network


def _last_words(receive: Callable[[], tuple[bytes, Exception | None]]) -> tuple[bytes, Exception | None]:
    """Hand on what came before the connection ended, and the end when there is nothing more."""
    data, end = receive()
    return data, None if data else end


def opened(make: Callable[..., Any], options: KafkaOptions, **more: Any) -> tuple[Any, Link]:
    """Return a client of this class of kafka-python, and its connections. Call it within `translated`.

    When it cannot be made nothing of it stays behind: the library would leave its thread running.
    """
    links: list[KafkaNetClient] = []

    def network(**config: Any) -> KafkaNetClient:
        net = NetworkSelector(**config)
        links.append(KafkaNetClient(net, Link(net, **config), **config))
        return links[-1]

    try:
        client = make(**{**connection(options), "kafka_client": network, **more})
    except BaseException:
        for one in links:
            one.close()
        _raise_refusal(links[-1]._manager if links else None)  # noqa: SLF001  (made three lines up)
        raise
    return client, links[-1]._manager  # noqa: SLF001


def _raise_refusal(link: Link | None) -> None:
    if link is not None and link.refused is not None:
        raise not_let_in(link.refused) from None


def not_let_in(why: Exception) -> StopError:
    """Return what a refusal to let the hub in means."""
    if isinstance(why, _NOT_IN):
        return StopError("Kafka does not let the hub in", "check HUB_KAFKA_USER and HUB_KAFKA_PASSWORD")
    return StopError("the certificate of the brokers cannot be checked", "check the file of HUB_KAFKA_CA")


@contextlib.contextmanager
def translated(link: Link | None = None) -> Iterator[None]:
    """Turn what a client raises into what to do about it."""
    try:
        yield
    except HubError:
        raise
    except KafkaError as exc:
        _raise_refusal(link)
        raise meaning(exc) from None


def meaning(exc: KafkaError) -> HubError:
    """Return what to do about what a client raised."""
    if isinstance(exc, _NOT_IN):
        return not_let_in(exc)
    if isinstance(exc, AuthorizationError):
        return StopError("Kafka does not let the hub do this", "check its user and its rights: `hub topics plan` lists them")
    if isinstance(exc, KafkaConfigurationError | MessageSizeTooLargeError):
        return StopError(f"Kafka cannot be used so ({type(exc).__name__})", "check the HUB_KAFKA_ settings")
    if isinstance(exc, FencedInstanceIdError):
        return StopError("another process has the same HUB_KAFKA_INSTANCE", "give each router a name of its own")
    if isinstance(exc, _MOVED):
        return RetryLaterError("the partitions went to another member of the group", "nothing to do: it goes on from the last commit")
    return RetryLaterError("Kafka does not answer", "check that its brokers run, then try again")
