"""Finding the connectors that are installed, also from packages outside this repository."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Final

from hub.errors import UsageError

if TYPE_CHECKING:
    from hub.client import Connector

GROUP: Final = "signaalhub.connectors"
"""The entry point group; each entry point is a `hub.client.Connector`."""


def connectors() -> list[Connector]:
    """Return every installed connector, by name."""
    return sorted((point.load() for point in entry_points(group=GROUP)), key=lambda connector: str(connector.name))


def connector_named(name: str) -> Connector:
    """Return one installed connector. Raises UsageError."""
    known = {connector.name: connector for connector in connectors()}
    if name not in known:
        raise UsageError("there is no such connector", f"installed: {', '.join(known) or 'none'}")
    return known[name]
