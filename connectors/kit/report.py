"""What `hub connector check` asks for: the suite on the rig of a connector, and its signals before the rules in force."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, cast

from connectors.kit.bench import Bench
from connectors.kit.rig import Rig
from connectors.kit.scaffold import PLACEHOLDERS
from connectors.kit.suite import NOT_TRIED, Result, check_all
from hub.client import Gateway, NewSignal, Receipt
from hub.errors import StopError, whereabouts

OpenHub = Callable[[Path], AbstractContextManager[Gateway]]
_NAME: Final = "accepted"
_WHAT: Final = "the hub, with the rules in force, takes what the connector publishes"


def check(module: str, open_hub: OpenHub) -> Iterator[Result]:
    """Do every check on the rig in `<module>.rig`. Raises StopError when there is none.

    Args:
        module: The package of the connector.
        open_hub: Opens a real hub in an empty folder.
    """
    rig = rig_of(module)
    _require_world(rig, module)
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
    except Exception as error:  # noqa: BLE001  (an author's module may raise anything, and say values)
        raise StopError(f"{module}.rig cannot be imported: {whereabouts(error, f'{module}.rig')}", "put it right there") from None
    rig = getattr(found, "RIG", None)
    if not isinstance(rig, Rig):
        raise StopError(f"{module}.rig holds no RIG", "see docs/add-a-connector.md; `hub connector new` writes one")
    return rig


def _require_world(rig: Rig, module: str) -> None:
    """Open the world once. Raises StopError with the place for anything that an author's rig may raise."""
    try:
        with tempfile.TemporaryDirectory(prefix="signaalhub-check-") as folder, rig.open(Path(folder)):
            pass
    except Exception as error:  # noqa: BLE001  (as above)
        raise StopError(f"{module}.rig opens no world: {whereabouts(error, f'{module}.rig')}", "put it right there") from None


def _accepted(rig: Rig, open_hub: OpenHub, folder: Path) -> Result:
    if rig.connector.kind != "source":
        return Result(_NAME, _WHAT, "not applicable", "what it answers to deliveries depends on what came before")
    bench = Bench(rig, folder)
    if bench.trouble:
        return Result(_NAME, _WHAT, "not tried", NOT_TRIED)
    with open_hub(folder / "home") as hub, bench.world() as (world, _):
        noting = _Noting(hub)
        ran = bench.run_on(world, cast("Gateway", noting))
    if ran.report is None:
        return Result(_NAME, _WHAT, "failed", f"the run ended with an error: {ran.cause}")
    if noting.unknown and {name for _, name in noting.unknown} <= PLACEHOLDERS:
        return Result(
            _NAME, _WHAT, "not applicable", "translate.py names the placeholders of `hub connector new`: see docs/add-a-connector.md"
        )
    if noting.unknown:
        found = ", ".join(f"the {what} {name}" for what, name in sorted(noting.unknown))
        return Result(_NAME, _WHAT, "failed", f"the rules do not know {found}: look at the spelling, or see docs/add-a-flow.md")
    if ran.report.refused:
        return Result(_NAME, _WHAT, "failed", ", ".join(f"{count} x {code}" for code, count in sorted(ran.report.refused.items())))
    return Result(_NAME, _WHAT, "passed")


class _Noting:
    """A gateway that notes which participants and types the rules do not know."""

    def __init__(self, hub: Gateway) -> None:
        self._hub = hub
        self.unknown: set[tuple[str, str]] = set()
        """What it is, and its name."""

    def publish(self, participant: str, signals: Sequence[NewSignal]) -> list[Receipt]:
        receipts = self._hub.publish(participant, signals)
        for signal, receipt in zip(signals, receipts, strict=True):
            codes = {error.code for error in receipt.errors}
            self.unknown |= {("participant", participant)} if "deelnemer-onbekend" in codes else set()
            self.unknown |= {("type", signal.type)} if "type-onbekend" in codes else set()
        return receipts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._hub, name)
