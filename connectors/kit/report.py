"""What `hub connector check` asks for: the suite on the rig of a connector, and its signals before the rules in force."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from connectors.kit.bench import Bench
from connectors.kit.rig import Rig
from connectors.kit.suite import Result, check_all
from hub.client import Gateway
from hub.errors import StopError

OpenHub = Callable[[Path], AbstractContextManager[Gateway]]
_NAME: Final = "accepted"
_WHAT: Final = "the hub, with the rules in force, takes what the connector publishes"
_NOT_YET: Final = frozenset({"type-onbekend", "deelnemer-onbekend"})


def check(module: str, open_hub: OpenHub) -> Iterator[Result]:
    """Do every check on the rig in `<module>.rig`. Raises StopError when there is none.

    Args:
        module: The package of the connector.
        open_hub: Opens a real hub in an empty folder.
    """
    rig = rig_of(module)
    yield from check_all(rig)
    with tempfile.TemporaryDirectory(prefix="signaalhub-check-") as folder:
        yield _accepted(rig, open_hub, Path(folder))


def rig_of(module: str) -> Rig:
    """Return the rig of a connector. Raises StopError."""
    try:
        found = importlib.import_module(f"{module}.rig")
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.rig".startswith(error.name):
            raise StopError(f"{module}.rig needs the module {error.name}, which is not installed", "install it") from None
        raise StopError(f"there is no module {module}.rig", "see docs/add-a-connector.md; `hub connector new` writes one") from None
    rig = getattr(found, "RIG", None)
    if not isinstance(rig, Rig):
        raise StopError(f"{module}.rig holds no RIG", "see docs/add-a-connector.md; `hub connector new` writes one")
    return rig


def _accepted(rig: Rig, open_hub: OpenHub, folder: Path) -> Result:
    if rig.connector.kind != "source":
        return Result(_NAME, _WHAT, "not applicable", "what it answers to deliveries depends on what came before")
    bench = Bench(rig, folder)
    with open_hub(folder / "home") as hub, bench.world() as (world, _):
        report = bench.run_on(world, hub).report
    if report is None:
        return Result(_NAME, _WHAT, "failed", "the run ended with an error")
    if report.refused and report.refused.keys() <= _NOT_YET:
        return Result(_NAME, _WHAT, "not applicable", "the rules know no such participant or type yet: see docs/add-a-flow.md")
    if report.refused:
        return Result(_NAME, _WHAT, "failed", ", ".join(f"{count} x {code}" for code, count in sorted(report.refused.items())))
    return Result(_NAME, _WHAT, "passed")
