"""Finding the connectors and consumers that are installed, also from packages outside this repository, and whose fault is whose."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from hub.errors import HubError, StopError, UsageError, whereabouts

if TYPE_CHECKING:
    from hub.client import Connector, Consumer

CONNECTORS: Final = "signaalhub.connectors"
"""The entry point group; each entry point is a `hub.client.Connector`."""
CONSUMERS: Final = "signaalhub.consumers"
"""The entry point group; each entry point is a `hub.client.Consumer`."""


KIT: Final = "signaalhub.kit"
"""The entry point group of what helps authors; the engine itself knows no connector and no kit."""


_AROUND: Final = ("hub.cli.", "hub.plugins.")
"""What runs a plugin and walks over what it gives: no call of the hub by the plugin."""


class _Named(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def settings(self) -> type[Any]: ...


Plugin = TypeVar("Plugin", bound=_Named)


def connectors() -> list[Connector]:
    """Return every installed connector that can be imported, by name."""
    return _installed(CONNECTORS)


def connector_named(name: str) -> Connector:
    """Return one installed connector. Raises UsageError, and StopError for one that cannot be imported."""
    return _pick(connectors(), name, "connector", CONNECTORS)


def consumers() -> list[Consumer]:
    """Return every installed consumer that can be imported, by name."""
    return _installed(CONSUMERS)


def consumer_named(name: str) -> Consumer:
    """Return one installed consumer. Raises UsageError, and StopError for one that cannot be imported."""
    return _pick(consumers(), name, "consumer", CONSUMERS)


def module_of(name: str) -> str:
    """Return the package of an installed connector. Raises UsageError."""
    connector_named(name)
    return next(point.module for point, plugin in _loaded(CONNECTORS) if not isinstance(plugin, str) and plugin.name == name)


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


def unusable(group: str) -> dict[str, str]:
    """Return the entry points of a group that cannot be imported, by name, and why not."""
    return {point.name: why for point, why in _loaded(group) if isinstance(why, str)}


@contextmanager
def blamed(plugin: _Named) -> Iterator[None]:
    """Turn what comes out of a plugin's own code into a StopError that names the plugin and the place, never the words.

    A HubError goes through, and so does what comes out of the hub while the plugin calls it.
    """
    try:
        yield
    except HubError:
        raise
    except Exception as exc:
        modules = [f"{frame.f_globals.get('__name__')}." for frame, _ in traceback.walk_tb(exc.__traceback__)]
        package = f"{plugin.settings.__module__.rpartition('.')[0] or plugin.settings.__module__}."
        own = _last(modules, lambda name: name.startswith(package))
        if own < _last(modules, lambda name: name.startswith("hub.") and not name.startswith(_AROUND)):
            raise
        what = f"a fault of the {type(plugin).__name__.lower()} {plugin.name} ({whereabouts(exc, plugin.settings.__module__)})"
        raise StopError(what, "report it to its author; what was accepted stays, and running it again does nothing twice") from None


def _last(modules: list[str], counts: Callable[[str], bool]) -> int:
    return max((at for at, name in enumerate(modules) if counts(name)), default=-1)


def _loaded(group: str) -> Iterator[tuple[EntryPoint, Any]]:
    """Yield every entry point with what it stands for, or with the reason why it cannot be imported."""
    for point in entry_points(group=group):
        try:
            yield point, point.load()
        except ModuleNotFoundError as exc:
            yield point, f"the module {exc.name} is missing"
        except Exception as exc:  # noqa: BLE001  (one that is broken stops no other)
            yield point, whereabouts(exc, f"{point.module}.{point.attr}")


def _installed(group: str) -> list[Plugin]:
    found: list[Plugin] = [plugin for _, plugin in _loaded(group) if not isinstance(plugin, str)]
    return sorted(found, key=lambda plugin: plugin.name)


def _pick(found: list[Plugin], name: str, what: str, group: str) -> Plugin:
    known = {plugin.name: plugin for plugin in found}
    if name not in known:
        if why := unusable(group).get(name):
            raise StopError(f"the {what} {name} cannot be imported: {why}", "install what is missing, or ask its author")
        raise UsageError(f"there is no such {what}", f"installed: {', '.join(known) or 'none'}")
    return known[name]
