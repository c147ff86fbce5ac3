"""A signal: one published event, as the hub sees it after admission."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from hub.domain.registers import Participant
    from hub.domain.ruleset import TypeRules

LARGEST_SIGNAL: Final = 64 * 1024
"""Bytes of a signal as structured JSON (NL GOV profile: what intermediaries must forward)."""
LATEST_AHEAD_MS: Final = 5 * 60 * 1000
"""How far a publisher's clock may be ahead of the hub's."""


def signal_id(source: str, id_: str) -> bytes:
    """Return the 16 bytes of the UUIDv5 of (source, id): the hub's name for a signal.

    Publishers can compute it; recipients never see it.
    """
    name = uuid.NAMESPACE_URL.bytes + f"{source} {id_}".encode()
    digest = bytearray(hashlib.sha1(name, usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    return bytes(digest)


@dataclass(frozen=True, slots=True)
class Fault:
    """One reason why a signal is refused. Never holds a value of the signal."""

    code: str
    field: str | None
    text: str


@dataclass(slots=True)
class Signal:
    """An admitted signal, its data checked and encoded once."""

    rules: TypeRules
    publisher: Participant
    id: str
    signal_id: bytes
    time_ms: int
    data: dict[str, Any]
    """Avro wire values."""
    encoded: bytes
    """The data in Avro, under the contract's schema."""
    municipality: str | None = None
    correlation: str | None = None
    cause: str | None = None
    replaces: str | None = None
    addressees: tuple[str, ...] = ()
    """Whom the hub addresses with a signal of its own."""


@dataclass(slots=True)
class Refused:
    """What is known of a signal that was not admitted."""

    faults: tuple[Fault, ...]
    id: str = ""
    signal_id: bytes | None = None
    """None if the id itself is at fault: then it is repeated nowhere."""
    type: str | None = None
    publisher: Participant | None = None
    counted_as: str | None = None
    """The code to count it under when nothing else is kept; that of the first fault if absent."""
    keep: bool = True
    """Whether the bytes may be kept: not of strangers, not of forbidden types."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """The attributes of a received event and its data, not yet believed."""

    attributes: dict[str, Any]
    data: Any
    wire: bool = field(default=False)
    """Whether data is framed Avro, still to be read (else JSON values)."""
