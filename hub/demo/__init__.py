"""The demonstration: some months of sample traffic under a moving clock, in a temporary home.

Everything goes through the surface that agencies use: connectors read an agency's file or table, signals are published
and delivered, answers come back. People, firms and settings are invented.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hub.app import MovingClock, open_hub
from hub.cases import counts
from hub.client import NewSignal, Receipt
from hub.demo import formats, memory
from hub.demo.formats import DEBT, ZAANSTAD
from hub.demo.story import Story
from hub.domain.terms import moment
from hub.explain import find
from hub.files import packaged_folder
from hub.quotas import stands
from hub.settings import HubSettings

if TYPE_CHECKING:
    from hub.app import Hub

EINDHOVEN, UTRECHT = "0772", "0344"
_SHOWN: Final = (
    "toeslagen", "burgerzaken.0855", f"schuldhulp.{EINDHOVEN}", f"schuldhulp.{UTRECHT}", "wonen-voorbeeld", "cjib",
    f"werk-en-inkomen.{UTRECHT}", f"buurtteam.{UTRECHT}", f"handhaving.{UTRECHT}", f"werk-en-inkomen.{ZAANSTAD}",
    f"buurtteam.{ZAANSTAD}", f"handhaving.{ZAANSTAD}",
)  # fmt: skip
_NAMES: Final = ("Aydin", "Bakker", "Çelik", "Dijkgraaf", "El Idrissi", "Fransen", "Groot", "Haïdara", "Ibáñez", "Jansen")
_COLUMNS: Final = ("achternaam", "voorletters", "postcode", "huisnummer", "bedrag_cent", "maanden")


@dataclass(slots=True)
class Demo:
    """The hub of the demonstration and what happened in it."""

    hub: Hub
    clock: MovingClock
    home: Path
    story: Story = field(default_factory=Story)
    published: Counter[str] = field(default_factory=Counter)

    def publish(self, participant: str, signals: Sequence[NewSignal]) -> list[Receipt]:
        """Publish and keep count; connectors publish through this too."""
        receipts = self.hub.publish(participant, signals)
        self.published.update(receipt.status for receipt in receipts)
        return receipts

    def at(self, when: str) -> None:
        """Let what is ready leave, move the clock to a Dutch moment, and let the hub do what is due."""
        self.hub.run_once()
        self.clock.now = moment(when)
        self.hub.run_once()

    def received(self, recipient: str) -> list[dict[str, Any]]:
        """Return what a recipient has received so far, as it decodes it."""
        self.hub.run_once()
        records = self.hub.received_by(recipient)
        return [self.hub.decoder.delivery(recipient, r.message.value, r.message.headers) for r in records]

    def newest(self, recipient: str) -> dict[str, Any]:
        """Return what a recipient received last."""
        return self.received(recipient)[-1]

    def answer(self, participant: str, type_: str, delivery: dict[str, Any], **data: Any) -> Receipt:
        """Publish an answer to something received."""
        return self.publish(participant, [NewSignal(type=type_, data=data, cause=delivery["delivery_id"])])[0]

    def follow(self, participant: str, type_: str, earlier: Receipt, **data: Any) -> Receipt:
        """Publish something in the keten of an own earlier signal."""
        return self.publish(participant, [NewSignal(type=type_, data=data, cause=earlier.signal_id)])[0]


def play() -> Story:
    """Play the demonstration and return its story. Leaves nothing behind."""
    with tempfile.TemporaryDirectory(prefix="signaalhub-demo-") as folder, _opened(Path(folder)) as demo:
        with demo.story.timed():
            reported = formats.persons(demo)
            formats.partner_file(demo)
            _vaste_lasten(demo)
            _refusal(demo)
            formats.benefit_table(demo)
            _next_month(demo)
            asked = memory.benefit(demo)
            memory.broken(demo)
            memory.withdrawal(demo, reported)
            memory.fines(demo)
            _finish(demo, asked)
        return demo.story


@contextmanager
def _opened(home: Path) -> Iterator[Demo]:
    clock = MovingClock(moment("2026-10-05T09:00"))
    hub = open_hub(HubSettings(home=home, rules_dir=packaged_folder("rules"), schemas_dir=packaged_folder("schemas")), clock=clock)
    try:
        yield Demo(hub, clock, home)
    finally:
        hub.close()


# --- the flows ----------------------------------------------------------------------------


def _vaste_lasten(demo: Demo) -> None:
    demo.at("2026-11-03T10:00")
    before = len([d for d in demo.received(f"schuldhulp.{UTRECHT}") if d["type"] == DEBT])
    eindhoven = demo.publish("wonen-voorbeeld", [_debt(row, EINDHOVEN) for row in _partner_rows(60)])
    utrecht = demo.publish("wonen-voorbeeld", [_debt(row, UTRECHT) for row in _partner_rows(60)])
    demo.at("2026-11-12T16:20")
    crisis = demo.publish("wonen-voorbeeld", [_debt(next(_partner_rows(1)), EINDHOVEN, crisis=True)])
    here = [d for d in demo.received(f"schuldhulp.{EINDHOVEN}") if d["type"] == DEBT]
    there = [d for d in demo.received(f"schuldhulp.{UTRECHT}") if d["type"] == DEBT][before:]
    demo.story.tells("Een woningcorporatie meldt huurachterstanden (november)", [
        f"Eindhoven, hoogstens 50 per maand: {len(eindhoven)} gemeld, {len(here) - len(crisis)} geleverd, {_waiting(demo)} wachten; "
        f"{len(crisis)} crisis gaat toch door",
        f"Utrecht, geen grens: {len(utrecht)} gemeld, {len(there)} geleverd",
    ])  # fmt: skip


def _refusal(demo: Demo) -> None:
    demo.at("2026-11-16T11:00")
    wrong = _debt(next(_partner_rows(1)), EINDHOVEN, persoonlijk_contact_gezocht=False, herinneringen=0, doorgeven_geweigerd=True)
    receipt = demo.publish("wonen-voorbeeld", [wrong])[0]
    told = ", ".join(error.code for error in receipt.errors)
    demo.story.tells("Een melding zonder voorwerk wordt geweigerd, met alle redenen tegelijk", [told])


def _next_month(demo: Demo) -> None:
    before = len([d for d in demo.received(f"schuldhulp.{EINDHOVEN}") if d["type"] == DEBT])
    demo.at("2026-12-01T00:00")
    after = len([d for d in demo.received(f"schuldhulp.{EINDHOVEN}") if d["type"] == DEBT])
    demo.story.tells("1 december, 0.00 uur: een nieuwe maand", [
        f"{after - before} wachtende meldingen alsnog geleverd, de oudste eerst; {_waiting(demo)} wachten nog",
    ])  # fmt: skip


def _finish(demo: Demo, asked: str) -> None:
    story = demo.story
    explanation = find(demo.hub, asked)
    if explanation is not None:
        story.explains(explanation.as_prose())
    story.published = demo.published
    for entry in _SHOWN:
        own = [d["type"].startswith("nl.signaalhub.") for d in demo.received(entry)]
        if own.count(False):
            story.deliveries[entry] = own.count(False)
        if own.count(True):
            story.notices[entry] = own.count(True)
    story.deferred = demo.hub.ever_deferred()
    story.cases = counts(demo.hub)


def _waiting(demo: Demo) -> int:
    return sum(row["waiting"] for row in stands(demo.hub))


# --- sample data --------------------------------------------------------------------------


def _partner_rows(count: int) -> Iterator[dict[str, str]]:
    """Yield rows as a partner's CSV would hold them: text only."""
    for number in range(1, count + 1):
        name = _NAMES[number % len(_NAMES)]
        yield dict(zip(_COLUMNS, (name, "A.", f"{5600 + number} AB", str(number), str(40_000 + 1_250 * number), "2"), strict=True))


def _debt(row: dict[str, str], municipality: str, *, crisis: bool = False, **changed: Any) -> NewSignal:
    data: dict[str, Any] = {
        "gemeentecode": municipality, "achternaam": row["achternaam"], "voorletters": row["voorletters"],
        "geboortedatum": None, "postcode": row["postcode"], "huisnummer": int(row["huisnummer"]),
        "partnersoort": "HUUR", "bedrag_cent": int(row["bedrag_cent"]), "achterstand_maanden": int(row["maanden"]),
        "crisissignaal": crisis, "natuurlijk_persoon": True, "persoonlijk_contact_gezocht": True,
        "gewezen_op_schuldhulp": True, "herinneringen": 1, "doorgeven_aangeboden": True, "doorgeven_geweigerd": False,
        "betrokkene_geinformeerd": "JA", "contactrol": "incasso",
    }  # fmt: skip
    return NewSignal(type=DEBT, data=data | changed)
