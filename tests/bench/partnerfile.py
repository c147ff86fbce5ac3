"""A partner's file through the vaste-lasten connector: time and peak memory, each file in a process of its own.

`python -m tests.bench.partnerfile` measures all of them and prints them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

from openpyxl import Workbook

from connectors.kit.memory import MemoryGateway
from connectors.vaste_lasten import CONNECTOR
from connectors.vaste_lasten.settings import VasteLastenSettings
from hub.app import MovingClock, open_hub
from hub.client import NewSignal, Receipt
from hub.domain.terms import moment
from hub.gateway import HubGateway
from hub.settings import HubSettings
from hub.telemetry import configure
from tests.partnerfiles import COLUMNS, HEADER, csv_bytes, row, settings_file

if TYPE_CHECKING:
    from hub.client import Item

ROOT: Final = Path(__file__).parents[2]
SIZES: Final = (5_000, 50_000)
UTRECHT: Final = "0344"
EINDHOVEN: Final = "0772"
CASES: Final = {
    "CSV": (".csv", UTRECHT, True),
    "CSV, all but 50 over the agreed number": (".csv", EINDHOVEN, True),
    "Excel": (".xlsx", UTRECHT, True),
    "CSV, the connector alone": (".csv", UTRECHT, False),
    "Excel, the connector alone": (".xlsx", UTRECHT, False),
}
"""What is measured -> suffix, municipality, and whether there is a hub behind it."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One file."""

    seconds: float
    peak: float
    """MiB."""


class Nobody(MemoryGateway):
    """A hub that takes everything and keeps nothing."""

    def publish(self, participant: str, signals: Sequence[NewSignal]) -> list[Receipt]:  # noqa: ARG002
        """Say yes to all."""
        return [Receipt(signal.id or "", "x", None, "accepted") for signal in signals]


def _silent(items: Iterable[Item], *, total: int | None, label: str) -> Iterable[Item]:  # noqa: ARG001
    return items


def partner_files() -> dict[str, list[Measured]]:
    """Measure each case at each size. The file is made by another process, so that the peak is that of reading it."""
    found: dict[str, list[Measured]] = {}
    for name, (suffix, municipality, with_hub) in CASES.items():
        for size in SIZES:
            with tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT) as folder:  # on the disk of the repository
                _step("make", folder, suffix, municipality, str(size))
                told = json.loads(_step("measure", folder, "hub" if with_hub else "alone", str(size)))
                found.setdefault(name, []).append(Measured(**told))
    return found


def section(found: dict[str, list[Measured]]) -> str:
    """Return the figures as they are."""
    return f"""Rows of twenty-one columns through the `vaste_lasten` connector, from the file in the folder to the receipt, each in a
process of its own; peak resident memory. What grows with a hub behind it is the hub (see above); a spreadsheet keeps
its texts in a table that is in memory while it is read. Aim: 50,000 rows below 30 s, flat memory.

| file | {" | ".join(f"{size:,} rows" for size in SIZES)} |
|---|---|---|
{lines(found)}
"""


def lines(found: dict[str, list[Measured]]) -> str:
    """Return the figures as rows of a table."""
    return "\n".join(
        f"| {name} | {small.seconds:.1f} s, {small.peak:.0f} MiB | {large.seconds:.1f} s, {large.peak:.0f} MiB |"
        for name, (small, large) in found.items()
    )


def _step(*arguments: str) -> str:
    command = [sys.executable, "-m", "tests.bench.partnerfile", *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def _make(folder: Path, suffix: str, municipality: str, size: int) -> None:
    settings_file(folder)
    rows = (row(number, gemeentecode=municipality, achternaam=f"Verzonnen-{number}") for number in range(size))
    path = folder / "in" / f"bestand{suffix}"
    if suffix == ".csv":
        path.write_bytes(csv_bytes(rows))
        return
    book = Workbook()  # as Excel does: texts in one table, numbers and dates as such
    book.worksheets[0].append(HEADER)
    for cells in rows:
        book.worksheets[0].append([_typed(field, cell) for field, cell in zip(COLUMNS, cells, strict=True)])
    book.save(path)


def _typed(field: str, cell: str) -> object:
    match field:
        case "geboortedatum":
            return date(1985, 3, 14)
        case "huisnummer" | "achterstand_maanden" | "herinneringen":
            return int(cell)
        case "bedrag":
            return float(cell.replace(",", "."))
    return cell or None


def _measure(folder: Path, size: int, *, with_hub: bool) -> Measured:
    settings = HubSettings(home=folder / "home", rules_dir=ROOT / "rules", schemas_dir=ROOT / "schemas")
    hub = open_hub(settings, clock=MovingClock(moment("2026-11-02T09:00"))) if with_hub else None
    gateway = HubGateway(hub) if hub is not None else Nobody()
    start = time.perf_counter()
    report = CONNECTOR.run(VasteLastenSettings(partners=folder / "partners.yaml", state_dir=folder / "state"), gateway, _silent)
    seconds = time.perf_counter() - start
    if report.accepted != size:
        sys.exit("a row of the benchmark was refused")
    if hub is not None:
        hub.close()
    return Measured(seconds, _peak_mib())


def _peak_mib() -> float:
    """Return the most memory that this process had in RAM. `ru_maxrss` will not do: it counts that of the process that started it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main(arguments: list[str]) -> None:
    """Do one step, or without arguments measure and print everything."""
    configure("critical")
    match arguments:
        case ["make", folder, suffix, municipality, size]:
            _make(Path(folder), suffix, municipality, int(size))
        case ["measure", folder, behind, size]:
            print(json.dumps(asdict(_measure(Path(folder), int(size), with_hub=behind == "hub"))))
        case _:
            print(lines(partner_files()))


if __name__ == "__main__":
    main(sys.argv[1:])
