"""What the suite needs to know of a connector: a small world in which it can run, and how that world can go wrong."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Protocol

from pydantic import BaseModel

from hub.client import Connector, Delivery, GuardAnswer, NewSignal

_LONG: Final = 6
"""Shorter values are in any text by chance."""


class Fault(StrEnum):
    """A way in which the other side fails, until it is mended."""

    UNREACHABLE = "unreachable"
    TIMEOUT = "time-out"
    CLIENT_ERROR = "4xx"
    SERVER_ERROR = "5xx"
    RATE_LIMIT = "429"
    TRUNCATED = "truncated"
    ENCODING = "encoding"


class Spoil(Protocol):
    """Makes the other side fail."""

    def __call__(self, fault: Fault, variant: int = 0) -> None:
        """Fail in this way until mended; a fault may have several forms."""
        ...


@dataclass(kw_only=True)
class World:
    """One opened world: the agency's side of one connector, in a folder of its own.

    The same rig opens the same world each time: what follows from it must not depend on when or where.
    """

    settings: BaseModel
    items: int
    """How many rows, records, messages and deliveries there are: a run must count each once."""
    signals: Sequence[tuple[str, NewSignal]]
    """Who must publish what, answers too; ids and times are not compared."""
    expects: Sequence[Any]
    """What the other side must hold after a run, in its own format; empty for a source."""
    effects: Callable[[], Sequence[Any]] = list
    """What the other side holds now."""
    deliveries: Sequence[Delivery] = ()
    guards: Mapping[tuple[str, str, str], GuardAnswer] = field(default_factory=dict)
    markers: frozenset[str] = frozenset()
    """Values that must not be seen anywhere but inside signals, deliveries and effects."""
    impatient: BaseModel | None = None
    """The settings with a time-out of some milliseconds."""
    spoil: Spoil | None = None
    variants: Mapping[Fault, int] = field(default_factory=dict)
    """How many forms a fault has; one unless it stands here."""
    odd: Sequence[Callable[[], None]] = ()
    """Each puts one cell in the input that nobody expects there, until mended."""
    mend: Callable[[], None] = lambda: None
    """Make the other side whole and put the input there as it was at the beginning."""
    attend: Callable[[Callable[[], datetime]], None] = lambda _: None
    """Take the clock by which `asked` notes requests."""
    asked: Callable[[], Sequence[datetime]] = list
    """When it was asked something, each time."""
    outwaited: Callable[[], bool] = lambda: False
    """Whether it grew tired of waiting before the connector did."""
    leaves: Callable[[], Iterable[Path]] = list
    """Finds the files and folders that the connector wrote for others to read, receipts for example; searched for markers."""


class Rig(ABC):
    """Opens worlds for one connector. Ready-made ones are in `connectors.kit.rigs`."""

    connector: Connector
    faults: frozenset[Fault] = frozenset()
    """What its worlds can suffer."""

    @abstractmethod
    def open(self, folder: Path) -> AbstractContextManager[World]:
        """Make the world in an empty folder, and clear it away at the end."""


def markers_in(values: Iterable[Any], public: Iterable[str] = ()) -> frozenset[str]:
    """Return every text and number of some length in JSON values, but for what may be seen."""
    return frozenset(found for value in values for found in _leaves(value) if len(found) >= _LONG) - frozenset(public)


def _leaves(value: Any) -> Iterable[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            yield from _leaves(item)
    elif value is not None and not isinstance(value, bool):
        yield str(value)
