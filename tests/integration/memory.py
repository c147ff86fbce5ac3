"""A made-up flow with everything that has memory, for tests that must not depend on the flows that are shipped.

`bericht` is what gets taken back (with a queue), `dossier` what is held back until pick-up, `vraag`
and `advies` are anonymous, and `melding` opens a case with terms, guards and alarms.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Table, select

from hub.app import Hub, MovingClock
from hub.client import NewSignal, Receipt
from hub.domain import signal as signals_of
from hub.domain.contract import INFORMED
from hub.domain.processfile import REMINDER
from hub.placing import CONFIRMED, WITHDRAWN
from hub.storage.tables import State, case_steps, cases, decisions, deliveries, quota_usage, recalls, receipts, signals
from hub.transport.base import OUT
from tests.integration.support import DEFERRED, EXPIRED, REFUSED, copied, edit, opened

BERICHT: Final = "nl.proef.bericht.v1"
UITKOMST: Final = "nl.proef.uitkomst.v1"
ANTWOORD: Final = "nl.proef.antwoord.v1"
REACTIE: Final = "nl.proef.reactie.v1"
DOSSIER: Final = "nl.proef.dossier.v1"
OPGEPAKT: Final = "nl.proef.opgepakt.v1"
VRAAG: Final = "nl.proef.vraag.v1"
ADVIES: Final = "nl.proef.advies.v1"
MELDING: Final = "nl.proef.melding.v1"
VERZOEK: Final = "nl.proef.verzoek.v1"
BESLUIT: Final = "nl.proef.besluit.v1"
CONTACT: Final = "nl.proef.contact.v1"
UITGEVOERD: Final = "nl.proef.uitgevoerd.v1"
AFGEROND: Final = "nl.proef.afgerond.v1"
"""The signal types."""

BALIE: Final = "balie.0855"
"""Publishes nearly everything, and opens the ketens."""
ELSEWHERE: Final = "balie.0344"
WIJK: Final = "wijkteam.0855"
TOEZICHT: Final = "toezicht.0855"
RECHTER: Final = "beoordelaar.0855"
FONDS: Final = "fonds"
ANNA: Final = "999990019"
BEA: Final = "123456782"

_FIELDS: Final[dict[str, dict[str, Any]]] = {
    "gemeentecode": {"type": "string", "format": "gemeentecode", "privacy": "organisation"},
    "bsn": {"type": "string", "format": "bsn", "privacy": "identifier"},
    "naam": {"type": "string", "privacy": "identifier"},
    "nummer": {"type": "int", "privacy": "code"},
    "aan": {
        "type": {"type": "enum", "name": "Aan", "default": "NIEMAND", "symbols": ["WIJK", "TOEZICHT", "BEIDE", "NIEMAND"]},
        "privacy": "code",
    },
    "extra": {"type": "boolean", "privacy": "code"},
    "spoed": {"type": "boolean", "privacy": "code"},
    "dag": {"type": {"type": "int", "logicalType": "date"}, "privacy": "code"},
    "besluit": {
        "type": {"type": "enum", "name": "Besluit", "default": "ONBEKEND", "symbols": ["PAUZE", "GEEN_PAUZE", "ONBEKEND"]},
        "privacy": "code",
    },
    "betrokkene_geinformeerd": {
        "type": {"type": "enum", "name": "Geinformeerd", "default": "NVT", "symbols": list(INFORMED)},
        "privacy": "code",
    },
    "contactrol": {"type": "string", "pattern": "[a-z-]{1,40}", "privacy": "organisation"},
}
_DATA: Final[dict[str, Any]] = {
    "gemeentecode": "0855", "bsn": ANNA, "naam": "Anna Merkteken", "nummer": 1, "aan": "BEIDE", "extra": False, "spoed": False,
    "dag": "2026-12-08", "besluit": "PAUZE", "betrokkene_geinformeerd": "JA", "contactrol": "balie",
}  # fmt: skip
_PERSON: Final = ("bsn", "naam", "betrokkene_geinformeerd", "contactrol")
_TYPES: Final[dict[str, tuple[tuple[str, ...], Any, tuple[str, ...], tuple[str, ...]]]] = {
    BERICHT: (("balie", "fonds"), ["bsn"], (), ("gemeentecode", "nummer", "aan", "extra", "spoed", *_PERSON)),
    UITKOMST: (("balie", "toezicht"), "@keten", (), ("nummer",)),
    ANTWOORD: (("wijkteam", "toezicht"), "@keten", (BERICHT, UITKOMST), ("nummer",)),
    REACTIE: (("balie", "wijkteam", "toezicht"), "@keten", (), ("nummer",)),
    DOSSIER: (("balie", "toezicht"), ["bsn"], (), ("gemeentecode", "nummer", *_PERSON)),
    OPGEPAKT: (("wijkteam", "toezicht"), "@keten", (), ("nummer",)),
    VRAAG: (("wijkteam",), None, (), ("gemeentecode", "nummer")),
    ADVIES: (("toezicht",), None, (VRAAG,), ("nummer",)),
    MELDING: (("balie",), ["bsn"], (), ("gemeentecode", "nummer", "dag", *_PERSON)),
    VERZOEK: (("wijkteam", "toezicht"), "@keten", (), ("nummer",)),
    BESLUIT: (("beoordelaar",), "@keten", (VERZOEK,), ("nummer", "besluit", "dag")),
    CONTACT: (("wijkteam", "toezicht"), "@keten", (), ("nummer",)),
    UITGEVOERD: (("balie", "toezicht"), ["bsn"], (), ("gemeentecode", "nummer", *_PERSON)),
    AFGEROND: (("beoordelaar", "balie"), "@keten", (), ("nummer",)),
}
"""Type -> publishers, subject, what it answers, fields."""

REGISTERS: Final = frozenset({"participants.yaml", "agreements.yaml", "grounds.yaml", "settings.yaml", "feestdagen.yaml", "forbidden.yaml"})
_ADDED: Final = {
    "participants.yaml": "".join(
        f'  - {{id: {name}, name: Proef, government: true, per_municipality: {{"0855": {{oin: "00000099000000{number}0855"}}, '
        f'"0344": {{oin: "00000099000000{number}0344"}}}}}}\n'
        for name, number in (("balie", 91), ("wijkteam", 92), ("toezicht", 93), ("beoordelaar", 94))
    )
    + '  - {id: fonds, name: Proef, government: true, oin: "00000099000000950000"}\n',
    "grounds.yaml": """\
  - {id: proef-vast, text: Proef, status: vastgesteld, source: Proef}
  - {id: proef-toets, text: Proef, status: te-toetsen, source: Proef}
""",
    "agreements.yaml": """\
  - {id: proef-altijd, name: Proef, parties: [balie, fonds], municipalities: all, from: 2020-01-01}
""",
    "settings.yaml": """
proef_dagen:
  "*": [{value: 5, from: 2020-01-01, source: Proef}]
  "0344": [{value: 3, from: 2026-11-10, source: Proef}]
""",
}


def _grant(id_: str, signal: str, to: str, fields: str, more: str = "") -> str:
    """Return one grant of a rule file."""
    return (
        f"  - {{id: {id_}, signal: {signal}, to: {to}, legal_basis: [proef-vast], fields: [{fields}], retention: P6M, "
        f"explain: Proef.{', ' if more else ''}{more}}}\n"
    )


def _flow(name: str, *grants: str, more: str = "") -> str:
    return f"flow: {name}\npurpose: Proef {name}\nactivity: https://signaalhub.example/proef\ngrants:\n{''.join(grants)}{more}"


_QUOTA: Final = "quota: {name: proef, limit: 2, per: month, key: [recipient], overflow: defer, exempt: s.spoed}"
_FLOWS: Final = {
    "bericht": _flow(
        "bericht",
        _grant("bericht.wijk", BERICHT, "wijkteam", "gemeentecode, nummer, bsn",
               f"agreements: [proef-altijd], when: s.aan == 'WIJK' || s.aan == 'BEIDE', {_QUOTA}"),
        _grant("bericht.toezicht", BERICHT, "toezicht", "nummer", "when: s.aan == 'TOEZICHT' || s.aan == 'BEIDE'"),
        _grant("bericht.extra", BERICHT, "toezicht", "nummer, bsn", "when: s.extra"),
        _grant("bericht.uitkomst", UITKOMST, "wijkteam", "nummer", f"follows: {BERICHT}"),
        _grant("bericht.uitkomst-toezicht", UITKOMST, "toezicht", "nummer", f"follows: {BERICHT}"),
        _grant("bericht.antwoord", ANTWOORD, "$publisher", "nummer"),
        _grant("bericht.reactie", REACTIE, "$starter", "nummer"),
        more=f"refuse:\n  - {{signal: {BERICHT}, when: s.nummer == 0, code: proef-nul, text: Nul kan niet.}}\n",
    ),
    "dossier": _flow(
        "dossier",
        _grant("dossier.wijk", DOSSIER, "wijkteam", "nummer"),
        _grant("dossier.toezicht", DOSSIER, "toezicht", "nummer"),
        _grant("dossier.wie", DOSSIER, "wijkteam", "nummer, bsn, naam", f"release_on: {OPGEPAKT}, agreements: [proef-altijd]"),
        _grant("dossier.wie-toezicht", DOSSIER, "toezicht", "nummer, bsn", f"release_on: {OPGEPAKT}"),
        _grant("dossier.opgepakt", OPGEPAKT, "balie", "nummer"),
    ),
    "overleg": _flow(
        "overleg",
        _grant("overleg.vraag", VRAAG, "toezicht", "gemeentecode, nummer"),
        _grant("overleg.advies", ADVIES, "$publisher", "nummer"),
    ),
    "traject": _flow(
        "traject",
        _grant("traject.melding", MELDING, "wijkteam", "nummer, dag"),
        _grant("traject.melding-toezicht", MELDING, "toezicht", "nummer"),
        _grant("traject.melding-beoordelaar", MELDING, "beoordelaar", "nummer"),
        _grant("traject.verzoek", VERZOEK, "beoordelaar", "nummer"),
        _grant("traject.besluit", BESLUIT, "$publisher", "nummer, besluit, dag"),
        _grant("traject.contact", CONTACT, "beoordelaar", "nummer", "when: c.state == 'gepauzeerd'"),
        _grant("traject.uitgevoerd", UITGEVOERD, "wijkteam", "nummer"),
        _grant("traject.afgerond", AFGEROND, "wijkteam", "nummer", f"follows: {MELDING}"),
        more=f"""\
refuse:
  - {{signal: {MELDING}, when: s.nummer == 0, code: proef-nul, text: Nul kan niet.}}
  - {{signal: {VERZOEK}, when: s.nummer == 0, code: proef-nul, text: Nul kan niet.}}
  - {{signal: {VERZOEK}, when: c.keren > 1 && s.nummer == 13, code: proef-dertien, text: Dertien kan niet.}}
  - {{signal: {AFGEROND}, when: s.nummer == 0, code: proef-nul, text: Nul kan niet.}}
  - {{signal: {BESLUIT}, when: s.nummer == 0, code: proef-nul, text: Nul kan niet.}}
  - {{signal: {UITGEVOERD}, when: s.nummer == 0, code: proef-nul, text: Nul kan niet.}}
processes:
  - id: traject
    case: e.correlationid
    scope: subject
    legal_basis: [proef-vast]
    start: {{on: {MELDING}, to: aangekondigd, set: {{dag: s.dag, keren: 0}}}}
    final: [uitgevoerd, afgerond, vervallen]
    sets: {{open: [aangekondigd, doorgang, gepauzeerd, ingesteld, geescaleerd]}}
    transitions:
      - from: [aangekondigd, doorgang]
        on: {VERZOEK}
        when: c.keren < 2
        unmet: {{code: te-vaak-gevraagd, text: Vaker dan twee keer kan niet.}}
        to: gepauzeerd
        set: {{keren: c.keren + 1}}
      - {{from: gepauzeerd, withdrawn: {VERZOEK}, to: aangekondigd}}
      - {{from: [gepauzeerd, geescaleerd], on: {BESLUIT}, when: s.besluit == 'PAUZE', to: ingesteld, set: {{herzien_op: s.dag}}}}
      - {{from: [gepauzeerd, geescaleerd], on: {BESLUIT}, to: doorgang}}
      - {{from: open, on: {CONTACT}}}
      - {{from: open, withdrawn: {MELDING}, to: vervallen}}
      - {{from: open, on: {UITGEVOERD}, to: uitgevoerd, fact: true}}
      - {{from: open, on: {AFGEROND}, to: afgerond, notify: [toezicht, $starter], code: zaak-klaar, text: De zaak is klaar.}}
    terms:
      - {{in: aangekondigd, after: werkdagen(cfg.proef_dagen), to: doorgang, notify: [beoordelaar, $starter], code: geen-reactie, text: Stil.}}
      - {{in: gepauzeerd, after: P2W, to: geescaleerd, notify: [beoordelaar, toezicht, wijkteam], code: geen-besluit, text: Stil.}}
      - {{in: ingesteld, before: [c.herzien_op, werkdagen(2)], notify: [beoordelaar], code: herziening-nadert, text: Bijna.}}
      - {{in: ingesteld, at: c.herzien_op, to: geescaleerd, notify: [beoordelaar, wijkteam], code: herziening-verlopen, text: Over.}}
      - {{in: [aangekondigd, doorgang], before: [c.dag, P3W], notify: [wijkteam], code: dag-nadert, text: Bijna.}}
    guards:
      - {{name: uitvoeren, closed_in: [aangekondigd, gepauzeerd, ingesteld, geescaleerd], code: pauze-loopt, text: Er loopt een pauze.}}
    alarms:
      - {{on: {UITGEVOERD}, in: [gepauzeerd, ingesteld, geescaleerd], notify: [beoordelaar, wijkteam], code: toch-uitgevoerd, text: Toch.}}
""",
    ),
}  # fmt: skip


def _contract(name: str) -> dict[str, Any]:
    publishers, subject, answers, fields = _TYPES[name]
    about: dict[str, Any] = {"type": name, "publishers": list(publishers), "subject": subject, "retention": "P6M"}
    if "gemeentecode" in fields:
        about["municipality"] = "gemeentecode"
    if answers:
        about["answers"] = list(answers)
    label = "Proef" + name.split(".")[2].capitalize()
    return {
        "type": "record", "name": label, "namespace": "nl.proef.v1", "signal": about,
        "fields": [{"name": field, **_FIELDS[field]} for field in fields],
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class World:
    """A home with the shipped registers, this flow beside them, and a clock that stands still."""

    home: Path
    rules: Path
    schemas: Path
    clock: MovingClock

    @contextmanager
    def open(self) -> Iterator[Hub]:
        """Open its hub for one block."""
        with opened(self.home, self.clock, self.rules, self.schemas) as hub:
            yield hub

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace a text in a rule file that must be there."""
        edit(self.rules, file, old, new)


def world(folder: Path, clock: MovingClock) -> World:
    """Write the rules and schemas of the made-up flow beside a copy of the shipped registers."""
    rules, schemas = copied("rules", folder / "rules"), folder / "schemas"
    schemas.mkdir()
    for path in rules.iterdir():
        if path.name not in REGISTERS:  # the shipped flows have tests of their own, and take long to load
            path.unlink()
    for file, text in _ADDED.items():
        path = rules / file
        path.write_text(path.read_text(encoding="utf-8").rstrip() + "\n" + text, encoding="utf-8")
    for name, text in _FLOWS.items():
        (rules / f"proef-{name}.yaml").write_text(text, encoding="utf-8")
    for name in _TYPES:
        (schemas / f"{name}.avsc").write_text(json.dumps(_contract(name)), encoding="utf-8")
    return World(folder / "home", rules, schemas, clock)


# --- signals ------------------------------------------------------------------------------


def new(
    type_: str, *, id_: str | None = None, correlation: str | None = None, cause: str | None = None, replaces: str | None = None,
    **changed: Any,
) -> NewSignal:  # fmt: skip
    """Return a signal of the made-up flow with sample data."""
    data = {name: _DATA[name] for name in _TYPES[type_][3]} | changed
    return NewSignal(type=type_, data=data, id=id_, correlation=correlation, cause=cause, replaces=replaces)


def withdrawal(of: str | None, reason: str = "ONTERECHT", **links: str | None) -> NewSignal:
    """Return the withdrawal of an own signal."""
    return NewSignal(type=WITHDRAWN, data={"redencode": reason}, cause=of, **links)


def confirmation(of: str | None, result: str = "VERWERKT", **links: str | None) -> NewSignal:
    """Return the receipt for a delivered recall."""
    return NewSignal(type=CONFIRMED, data={"resultaat": result}, cause=of, **links)


def signal_id(hub: Hub, participant: str, id_: str) -> str:
    """Return the signal_id that a publisher computes for its own id, before the hub has said anything."""
    found = hub.rulebooks.current.ruleset.participants.find(participant)
    assert found is not None
    return str(uuid.UUID(bytes=signals_of.signal_id(found.source, id_)))


def together(hub: Hub, *events: tuple[str, NewSignal]) -> list[Receipt]:
    """Handle signals of several participants in one batch, and so in one transaction."""
    return [hub.receipt(outcome) for outcome in hub.router.process([hub.encode(participant, signal) for participant, signal in events])]


def through_topics(hub: Hub, *events: tuple[str, NewSignal]) -> None:
    """Put signals on ingress topics one by one, each handled before the next is sent."""
    for participant, signal in events:
        hub.send(participant, [signal])
        hub.run_once()


# --- what arrives -------------------------------------------------------------------------

NOTICES: Final = frozenset({REFUSED, DEFERRED, EXPIRED})
_SHORT: Final = {WITHDRAWN: "ingetrokken", CONFIRMED: "bevestigd", REMINDER: "herinnering"}


class Wire:
    """Everything that leaves the hub, on every topic. Each call gives what came since the last one."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self._reader = hub.transport.consumer(None, OUT)

    def __call__(self, *, notices: bool = False) -> list[dict[str, Any]]:
        """Return the deliveries since the last call, as their recipients decode them; notices about handling on request."""
        self.hub.run_once()
        found: list[dict[str, Any]] = []
        while records := self._reader.poll(1_000):
            for record in records:
                recipient = record.topic.removeprefix(OUT)
                found.append(self.hub.decoder.delivery(recipient, record.message.value, record.message.headers))
        return [delivery for delivery in found if notices or delivery["type"] not in NOTICES]

    def told(self) -> list[tuple[str, str, Any]]:
        """Return who got what since the last call, sorted: recipient, rule, and the number or code that it holds."""
        return sorted((one["recipient"], one["grant"], _said(one["data"])) for one in self())


def _said(data: dict[str, Any]) -> Any:
    return next(data[name] for name in ("nummer", "redencode", "resultaat", "code") if name in data)


# --- what is recorded ---------------------------------------------------------------------


def rows(hub: Hub, table: Table) -> list[tuple[Any, ...]]:
    """Return every row of a table, as it is stored."""
    with hub.database.read() as connection:
        return [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key.columns))]


def books(hub: Hub) -> dict[str, list[tuple[Any, ...]]]:
    """Return everything that a refused signal must leave as it is: all but the refusal itself and its notice."""
    found = {table.name: rows(hub, table) for table in (case_steps, recalls, receipts, quota_usage)}
    at = list(cases.c.keys()).index("sealed")  # sealed anew it looks different, so what is in it is compared
    found["cases"] = [(*row[:at], row[at] and hub.keys.open_log(row[at]), *row[at + 1 :]) for row in rows(hub, cases)]
    with hub.database.read() as connection:
        notice = hub.names.find(connection, REFUSED) or 0
        found["signals"] = [
            tuple(row) for row in connection.execute(select(signals).where(signals.c.type != notice).order_by(signals.c.id))
        ]
        for table in (decisions, deliveries):
            joined = select(table).join(signals, signals.c.id == table.c.signal).where(signals.c.type != notice).order_by(table.c.id)
            found[table.name] = [tuple(row) for row in connection.execute(joined)]
    return found


def states(hub: Hub, signal: str | None) -> list[tuple[str, State]]:
    """Return the rule and the state of every delivery of a signal, in order."""
    with hub.database.read() as connection:
        found = connection.execute(
            select(deliveries.c.grant, deliveries.c.state).join(signals, signals.c.id == deliveries.c.signal)
            .where(signals.c.signal_id == uuid.UUID(signal or "").bytes).order_by(deliveries.c.id)
        ).all()  # fmt: skip
        return [(hub.names.name(connection, row.grant), State(row.state)) for row in found]


def only(found: list[dict[str, Any]], recipient: str, grant: str | None = None) -> dict[str, Any]:
    """Return the one delivery to a recipient (under a rule)."""
    (one,) = [one for one in found if one["recipient"] == recipient and grant in {None, one["grant"]}]
    return one
