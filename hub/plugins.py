"""Finding the connectors and consumers that are installed, also from packages outside this repository."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from hub.errors import UsageError

if TYPE_CHECKING:
    from hub.client import Connector, Consumer

CONNECTORS: Final = "signaalhub.connectors"
"""The entry point group; each entry point is a `hub.client.Connector`."""
CONSUMERS: Final = "signaalhub.consumers"
"""The entry point group; each entry point is a `hub.client.Consumer`."""


KIT: Final = "signaalhub.kit"
"""The entry point group of what helps authors; the engine itself knows no connector and no kit."""


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


def module_of(name: str) -> str:
    """Return the package of an installed connector. Raises UsageError."""
    connector_named(name)
    return next(point.module for point in entry_points(group=CONNECTORS) if point.load().name == name)


def module_in(folder: Path) -> str:
    """Make the package in a folder importable and return its name, with the packages that it lies in."""
    top = folder.resolve()
    names = [top.name]
    while (top.parent / "__init__.py").exists():
        top = top.parent
        names.insert(0, top.name)
    if str(top.parent) not in sys.path:
        sys.path.insert(0, str(top.parent))
    return ".".join(names)


def kit(tool: str) -> Any:
    """Return a tool of the connector kit. Raises UsageError when the kit is not installed."""
    for point in entry_points(group=KIT, name=tool):
        return point.load()
    raise UsageError("the connector kit is not installed", "install the package signaalhub anew: `pip install -e .`")


def _installed(group: str) -> list[Plugin]:
    found: list[Plugin] = [point.load() for point in entry_points(group=group)]
    return sorted(found, key=lambda plugin: plugin.name)


def _pick(found: list[Plugin], name: str, what: str) -> Plugin:
    known = {plugin.name: plugin for plugin in found}
    if name not in known:
        raise UsageError(f"there is no such {what}", f"installed: {', '.join(known) or 'none'}")
    return known[name]
