"""Asks the BRP personen API about those under investigation, and publishes what changed since the last time.

What is remembered of a person: a pseudonym, the dates of the investigation, and the signal_id by which it can be taken
back. Before anything is published, what it will be called is remembered; so a run after a crash publishes the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from connectors.brp.personen import MOST, Person, Reason, Seen, Step, UnreadableError, question, read, step
from connectors.brp.translate import TYPE, is_bsn
from connectors.kit.files import lines
from connectors.kit.http import HttpClient
from connectors.kit.ids import id_key, pseudonym
from connectors.kit.state import State
from hub.client import NewSignal, RunReport
from hub.errors import StopError

if TYPE_CHECKING:
    from pathlib import Path

    from connectors.brp.settings import BrpSettings
    from connectors.kit.http import Answer
    from hub.client import Gateway, Receipt, Track

OPEN: Final = "vaststelling"
"""The space of what stands: until the end was told."""
OVER: Final = "afgelopen"
"""The space of what ended."""
KEPT: Final = timedelta(weeks=10)
"""How long what ended is remembered."""
_PATH: Final = "/personen"
_AMSTERDAM: Final = ZoneInfo("Europe/Amsterdam")
_NOBODY: Final = "000000000"
"""Has the form of a burgerservicenummer and is nobody's."""


def ping(settings: BrpSettings) -> None:
    """Ask for nobody. Raises a HubError when the API does not answer, or the list is not there."""
    set(_list(settings.persons))
    with _client(settings) as client:
        _persons(client.post(_PATH, question([_NOBODY])))


def run(settings: BrpSettings, gateway: Gateway, track: Track) -> RunReport:
    """Ask for everyone on the list, at most MOST at a time, and publish the steps; each line of the list is counted once."""
    report = RunReport()
    asked = list(_list(settings.notified or settings.persons))
    under_investigation = set(_list(settings.persons))
    key = id_key(settings.state_dir)
    with State(settings.state_dir) as state, _client(settings, gateway) as client:
        state.forget(OVER, gateway.now() - KEPT)
        municipality = settings.municipality or ""
        poll = _Poll(municipality, gateway, client, _Memory(state, key, municipality, gateway), report)
        wanted = poll.worth_asking(track(asked, total=len(asked), label="BRP"), under_investigation)
        while bsns := list(islice(wanted, MOST)):
            poll.ask(bsns)
    return report


def _client(settings: BrpSettings, gateway: Gateway | None = None) -> HttpClient:
    return HttpClient(settings.api_url or "", gateway, token=settings.token, timeout_seconds=settings.timeout_seconds)


def _list(file: Path | None) -> Iterator[str]:
    if file is not None:
        yield from (line.strip() for line in lines(file) if line.strip())


def _persons(answer: Answer) -> list[Any]:
    body = answer.json()
    persons = body.get("personen") if isinstance(body, dict) else None
    if not isinstance(persons, list):
        raise StopError(f"{answer.host} gave an answer without a list of persons", "check that api_url is that of the BRP personen API")
    return persons


@dataclass(slots=True)
class _Memory:
    """What was seen before of the persons of one municipality."""

    state: State
    key: bytes
    municipality: str
    gateway: Gateway

    def name(self, bsn: str) -> str:
        return pseudonym(self.key, "persoon", self.municipality, bsn)

    def get(self, bsn: str) -> Seen | None:
        text = self.state.get(OPEN, self.name(bsn))
        return None if text is None else Seen(**json.loads(text))

    def put(self, bsn: str, seen: Seen) -> None:
        self.state.put(OPEN, self.name(bsn), json.dumps(asdict(seen)), self.gateway.now())

    def close(self, bsn: str, seen: Seen) -> None:
        self.state.remove(OPEN, self.name(bsn))
        self.state.put(OVER, self.name(bsn), json.dumps({"onderzoek": seen.onderzoek, "einde": seen.einde}), self.gateway.now())


@dataclass(slots=True)
class _Poll:
    """One run over the list."""

    municipality: str
    gateway: Gateway
    client: HttpClient
    memory: _Memory
    report: RunReport

    def worth_asking(self, list_: Iterable[str], under_investigation: set[str]) -> Iterator[str]:
        """Yield whom to ask for; count the others."""
        seen: set[str] = set()
        for bsn in list_:
            self.report.read += 1
            if not is_bsn(bsn):
                self._skip("bsn-ongeldig")
            elif bsn not in under_investigation:
                self._skip("geen-open-onderzoek")
            elif bsn in seen:
                self._skip("dubbel-op-de-lijst")
            else:
                seen.add(bsn)
                yield bsn

    def ask(self, bsns: Sequence[str]) -> None:
        """Ask for some persons and publish what follows."""
        found = _readable(_persons(self.client.post(_PATH, question(bsns))))
        now = self.gateway.now().astimezone(_AMSTERDAM).isoformat(timespec="milliseconds")
        steps: dict[str, Step] = {}
        for bsn in bsns:
            outcome = self._compared(found.get(bsn, "persoon-niet-gevonden"), bsn, now)
            if isinstance(outcome, Step):
                steps[bsn] = outcome
            else:
                self._skip(outcome)
        if steps:
            self._publish(steps)

    def _compared(self, person: Person | Reason, bsn: str, now: str) -> Step | Reason:
        if not isinstance(person, Person):
            return person
        seen = self.memory.get(bsn)
        if seen is not None and seen.signal_id is None and (told := self._told_before(bsn, seen)):
            seen = replace(seen, signal_id=told)
            self.memory.put(bsn, seen)
        return step(person, seen, self.municipality, now)

    def _told_before(self, bsn: str, seen: Seen) -> str | None:
        """Return the signal that a run published and did not live to remember; None if it did not come to that."""
        begun = datetime.fromisoformat(seen.begonnen)
        history = self.gateway.history(f"burgerzaken.{self.municipality}", [TYPE])
        told = [item.id for item in history if item.own and item.time >= begun and item.data and item.data["bsn"] == bsn]
        return told[-1] if told else None

    def _publish(self, steps: dict[str, Step]) -> None:
        self._remember(steps, lambda bsn, taken: self.memory.put(bsn, taken.seen) if taken.kind != "wijziging" else None)
        signals = [_named(taken, self.memory.key) for taken in steps.values()]
        receipts = dict(zip(steps, self.gateway.publish(f"burgerzaken.{self.municipality}", signals), strict=True))
        for receipt in receipts.values():
            self.report.count(receipt)
        self._remember(steps, lambda bsn, taken: self._told(bsn, taken, receipts[bsn]))

    def _told(self, bsn: str, taken: Step, receipt: Receipt) -> None:
        if receipt.status == "rejected":
            return  # counted; the next run tries again
        if taken.kind == "einde":
            self.memory.close(bsn, taken.seen)
        else:
            self.memory.put(bsn, replace(taken.seen, signal_id=receipt.signal_id))

    def _remember(self, steps: dict[str, Step], work: Callable[[str, Step], None]) -> None:
        with self.memory.state.together():
            for bsn, taken in steps.items():
                work(bsn, taken)

    def _skip(self, reason: Reason) -> None:
        self.report.skipped[reason] += 1


def _readable(persons: Iterable[Any]) -> dict[str, Person | Reason]:
    """Return the persons by burgerservicenummer; those that cannot be read as the reason for it."""
    found: dict[str, Person | Reason] = {}
    for answer in persons:
        bsn = answer.get("burgerservicenummer") if isinstance(answer, dict) else None
        if isinstance(bsn, str):
            try:
                found[bsn] = read(answer)
            except UnreadableError:
                found[bsn] = "antwoord-onleesbaar"
    return found


def _named(taken: Step, key: bytes) -> NewSignal:
    """Give a step the id that follows from what it says and which establishment it is about."""
    signal = taken.signal
    return replace(signal, id=f"brp-{pseudonym(key, signal.type, signal.data, taken.seen.begonnen, signal.cause, signal.replaces)}")
