"""What the integration tests share: homes, edited rules, deliveries as recipients see them, the command line."""

from __future__ import annotations

import contextlib
import io
import json
import multiprocessing
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier as ProcessBarrier
from pathlib import Path
from typing import Any, Final

import pytest

from hub import explain
from hub.app import Hub, MovingClock, open_hub
from hub.cli import main
from hub.client import NewSignal, Receipt
from hub.domain import terms
from hub.settings import HubSettings
from hub.telemetry import configure
from tests.sample import ADDRESS, DEBT, address, debt

SPAWN: Final = multiprocessing.get_context("spawn")
ROOT: Final = Path(__file__).parents[2]
TILBURG: Final = "burgerzaken.0855"
TAX: Final = "toeslagen"
EINDHOVEN: Final = "schuldhulp.0772"
LANDLORD: Final = "wonen-voorbeeld"
REFUSED: Final = "nl.signaalhub.signaal-geweigerd.v1"
DEFERRED: Final = "nl.signaalhub.signaal-uitgesteld.v1"
EXPIRED: Final = "nl.signaalhub.signaal-verlopen.v1"


def settings(home: Path, rules: Path | None = None, schemas: Path | None = None) -> HubSettings:
    """Return the settings of a home, with the rules of the repository unless others are given."""
    return HubSettings(home=home, rules_dir=rules or ROOT / "rules", schemas_dir=schemas or ROOT / "schemas")


@contextlib.contextmanager
def opened(home: Path, clock: MovingClock, rules: Path | None = None, schemas: Path | None = None) -> Iterator[Hub]:
    """Open the hub of a home for one block."""
    hub = open_hub(settings(home, rules, schemas), clock=clock)
    try:
        yield hub
    finally:
        hub.close()


def copied(kind: str, to: Path) -> Path:
    """Copy the rule or schema files of the repository, to be changed."""
    return Path(shutil.copytree(ROOT / kind, to))


def edit(folder: Path, file: str, old: str, new: str, count: int = -1) -> None:
    """Replace a text that must be there."""
    path = folder / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, count), encoding="utf-8")


def without_examples(rules: Path, file: str = "vaste-lasten.yaml") -> None:
    """Take the examples off a rule file: they name what a test changes, or take long."""
    path = rules / file
    path.write_text(path.read_text(encoding="utf-8").partition("\nexamples:")[0] + "\n", encoding="utf-8")


def limit(rules: Path, number: int | None, per: str = "month") -> None:
    """Set the cap of Eindhoven, and the period over which every cap counts."""
    text = f"    limit: {number}\n" if number is not None else ""
    edit(rules, "agreements.yaml", '    municipalities: ["0772"]\n    from: 2018-07-01\n    limit: 50\n',
         f'    municipalities: ["0772"]\n    from: 2018-07-01\n{text}')  # fmt: skip
    edit(rules, "vaste-lasten.yaml", "per: month", f"per: {per}")


def add_grant(rules: Path, grant: str, signal: str, to: str, fields: str, *lines: str, ground: str = "wbrp-1-7") -> None:
    """Add a rule file with one grant; `lines` are more lines of it, or of the file when they are not indented."""
    own = [line for line in lines if line.startswith(" ")]
    top = [line for line in lines if not line.startswith(" ")]
    text = [
        f"flow: {grant.partition('.')[0]}", "purpose: Proef", "activity: https://signaalhub.example/proef", "grants:",
        f"  - id: {grant}", f"    signal: {signal}", f"    to: {to}", f"    legal_basis: [{ground}]", f"    fields: [{fields}]",
        "    retention: P6M", "    explain: Dit is een proef.", *own, *top,
    ]  # fmt: skip
    (rules / f"{grant}.yaml").write_text("\n".join(text) + "\n", encoding="utf-8")


def tick(hub: Hub, clock: MovingClock, moment: str) -> None:
    """Move the clock and let the hub do all that is due."""
    clock.now = terms.moment(moment)
    hub.run_once()


def received(hub: Hub, recipient: str, type_: str | None = None) -> list[dict[str, Any]]:
    """Return what is on the topic of a recipient, as it decodes it, after everything pending was sent."""
    hub.run_once()
    found = [hub.decoder.delivery(recipient, record.message.value, record.message.headers) for record in hub.received_by(recipient)]
    return [delivery for delivery in found if type_ in {None, delivery["type"]}]


def amounts(hub: Hub, recipient: str = EINDHOVEN) -> list[int]:
    """Return the amounts of the arrears that a recipient got, in order: they number the signals of a test."""
    return [delivery["data"]["bedrag_cent"] for delivery in received(hub, recipient, DEBT)]


def decisions(hub: Hub, signal_id: str | None) -> list[tuple[str, str | None, str, str]]:
    """Return recipient, grant, outcome and reason of every decision on a signal, in order."""
    found = explain.find(hub, signal_id or "")
    assert found is not None
    return [(told.recipient, told.grant, told.outcome, told.reason) for told in found.decisions]


def one(hub: Hub, participant: str, signal: NewSignal) -> Receipt:
    """Publish one signal."""
    return hub.publish(participant, [signal])[0]


def accepted(hub: Hub, participant: str, signal: NewSignal) -> Receipt:
    """Publish one signal that must be accepted."""
    receipt = one(hub, participant, signal)
    assert receipt.status == "accepted", receipt.errors
    return receipt


def codes(receipt: Receipt) -> list[str]:
    """Return the codes of a refusal, in order."""
    return [error.code for error in receipt.errors]


def debts(hub: Hub, numbers: Sequence[int], participant: str = LANDLORD, **changed: Any) -> list[Receipt]:
    """Publish arrears in one batch, numbered by their amounts; each must be accepted."""
    receipts = hub.publish(participant, [debt(bedrag_cent=number, **changed) for number in numbers])
    assert {receipt.status for receipt in receipts} == {"accepted"}
    return receipts


def outcomes(hub: Hub, receipts: Sequence[Receipt]) -> list[str]:
    """Return the newest outcome of each signal that has one decision series."""
    return [decisions(hub, receipt.signal_id)[-1][2] for receipt in receipts]


def at_rest(home: Path) -> bytes:
    """Return every byte that the hub keeps, but for its keys."""
    return b"".join(path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file() and path.parent.name != "keys")


def some_address(number: int = 0) -> NewSignal:
    """Return one of many address signals."""
    return address(bag_id=f"0855010000{number:06d}")


# --- at once ------------------------------------------------------------------------------


def at_once(*works: Callable[[], object]) -> None:
    """Run each in a thread of its own, all begun at the same moment. What one raises fails the test."""
    barrier = threading.Barrier(len(works), timeout=60)

    def run(work: Callable[[], object]) -> None:
        barrier.wait()
        work()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def in_processes(work: Callable[[Path, int, Callable[[], object]], None], home: Path, count: int) -> None:
    """Run `work(home, number, ready)` in so many fresh processes; each calls `ready` and goes on when all have."""
    barrier = SPAWN.Barrier(count, timeout=60)
    processes = [SPAWN.Process(target=_in_process, args=(work, home, number, barrier)) for number in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * count


def _in_process(work: Callable[[Path, int, Callable[[], object]], None], home: Path, number: int, barrier: ProcessBarrier) -> None:
    configure("critical")
    work(home, number, barrier.wait)


# --- the command line ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document that it printed."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """The JSON documents that it printed, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def said(self) -> str:
        """Everything that it printed."""
        return self.out + self.err


class Cli:
    """Runs `hub` in this process, by the same entry that the installed program has."""

    def __init__(self, home: Path, patch: pytest.MonkeyPatch) -> None:
        self.home = home
        self.rules = ROOT / "rules"
        self.schemas = ROOT / "schemas"
        self.now: str | None = "2026-11-02T09:00:00+01:00"
        self._patch = patch

    def options(self) -> list[str]:
        """Return the global options."""
        options = ["--home", str(self.home), "--rules", str(self.rules), "--schemas", str(self.schemas)]
        return [*options, "--now", self.now] if self.now else options

    def __call__(self, *arguments: str, stdin: bytes = b"") -> Ran:
        """Run one command with the global options."""
        return self.bare(*self.options(), *arguments, stdin=stdin)

    def bare(self, *arguments: str, stdin: bytes = b"") -> Ran:
        """Run one command with these arguments only."""
        out, err = io.StringIO(), io.StringIO()
        with self._patch.context() as patch:
            patch.setattr(sys, "argv", ["hub", *arguments])
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            try:
                main()
                code: Any = 0
            except SystemExit as exc:
                code = exc.code
            finally:
                configure("critical")  # the command pointed the log at a stream that ends here
        return Ran(int(code or 0), out.getvalue(), err.getvalue())

    def publish(self, data: Any, *more: str, participant: str = TILBURG, type_: str = ADDRESS) -> Ran:
        """Publish data (bytes as they are, anything else as JSON) and print JSON."""
        raw = data if isinstance(data, bytes) else json.dumps(data).encode()
        return self("publish", "--as", participant, "--type", type_, "--data", "-", "--json", *more, stdin=raw)
