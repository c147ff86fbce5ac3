"""Finding the connectors and consumers that are installed, also from packages outside this repository."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from hub.errors import UsageError

if TYPE_CHECKING:
    from hub.client import Connector, Consumer

CONNECTORS: Final = "signaalhub.connectors"
"""The entry point group; each entry point is a `hub.client.Connector`."""
CONSUMERS: Final = "signaalhub.consumers"
"""The entry point group; each entry point is a `hub.client.Consumer`."""


class _Named(Protocol):
    @property
    def name(self) -> str: ...


Plugin = TypeVar("Plugin", bound=_Named)


def connectors() -> list[Connector]:
    """Return every installed connector, by name."""
    return _installed(CONNECTORS)


def connector_named(name: str) -> Connector:
    """Return one installed connector. Raises UsageError."""
    return _pick(connectors(), name, "connector")


def consumers() -> list[Consumer]:
    """Return every installed consumer, by name."""
    return _installed(CONSUMERS)


def consumer_named(name: str) -> Consumer:
    """Return one installed consumer. Raises UsageError."""
    return _pick(consumers(), name, "consumer")


def _installed(group: str) -> list[Plugin]:
    found: list[Plugin] = [point.load() for point in entry_points(group=group)]
    return sorted(found, key=lambda plugin: plugin.name)


def _pick(found: list[Plugin], name: str, what: str) -> Plugin:
    known = {plugin.name: plugin for plugin in found}
    if name not in known:
        raise UsageError(f"there is no such {what}", f"installed: {', '.join(known) or 'none'}")
    return known[name]
