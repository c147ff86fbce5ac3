"""The chapters from agency format to agency format: a file of the BRP, a partner's CSV, tables of a benefit system.

Each shows lines of what went in, what came out and what was refused. Cells about a person are blacked out, also here.
"""

from __future__ import annotations

import csv
import shutil
import sqlite3
import textwrap
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hub.client import NewSignal, Receipt, RunReport
from hub.demo.story import WIDTH
from hub.gateway import HubGateway
from hub.plugins import connector_named, module_of

if TYPE_CHECKING:
    from hub.client import Item
    from hub.demo import Demo

ADDRESS_ANSWER: Final = "nl.awir.adressignaal-verwerkt.v1"
DEBT: Final = "nl.wgs.achterstand-gesignaleerd.v1"
PW: Final = "nl.participatiewet."
UTRECHT, ZAANSTAD = "0344", "0479"
_BLACK: Final = "▇▇"
_MARGIN: Final = 26
_ROOM: Final = WIDTH - 2 - _MARGIN
"""How long a line beside its mark and name may be; a chapter stands two in."""
_FILES: Final = files("hub.demo")


# --- the BRP, to Toeslagen and back -------------------------------------------------------


def persons(demo: Demo) -> Receipt:
    """Read persoonslijsten, publish, answer. Returns the receipt of one of the signals."""
    with as_file(_FILES / "persoonslijsten.csv") as file:
        report, receipts = _ran(demo, "brp", file=file, state_dir=demo.home / "brp")
        header, *rows = _cells(file, ";")
    received = demo.received("toeslagen")
    demo.at("2026-10-07T14:30")
    for delivery in received[:2]:
        demo.answer("toeslagen", ADDRESS_ANSWER, delivery, resultaat="VERWERKT", verwerkt_op="2026-10-07")
    answers = [d for d in demo.received("burgerzaken.0855") if d["type"] == ADDRESS_ANSWER]
    why = ", ".join(f"{count} {code}" for code, count in sorted(report.skipped.items()))
    demo.story.tells("Van de BRP naar Toeslagen en terug: wie staat ingeschreven maar woont er niet? (Tilburg, oktober)", [
        *_in("persoonslijsten.csv", [";".join(header), *(_blackened(header, rows[n], {"", "08.09.10", "08.83.10"}) for n in (1, 4))]),
        *_out("toeslagen", f"{len(received)} adressignalen, en niemand anders krijgt iets: {_names(received[0])}"),
        *_out("burgerzaken.0855", f"{len(answers)} keer {answers[0]['data']['resultaat']} terug: geen gevolg, geen bedrag"),
        *_not("overgeslagen", f"{report.skipped.total()} van de {report.read} personen: {why}"),
    ])  # fmt: skip
    return receipts[0]


# --- a partner's CSV, to the municipality -------------------------------------------------


def partner_file(demo: Demo) -> None:
    """Lay a housing corporation's file in its folder, and show what schuldhulp gets and what its receipt says."""
    demo.at("2026-11-02T08:30")
    folder = demo.home / "partners"
    inbox = folder / "wonen-voorbeeld"
    inbox.mkdir(parents=True)
    for name, where in (("partners.yaml", folder), ("achterstanden.csv", inbox)):
        with as_file(_FILES / name) as file:
            shutil.copy(file, where)
    header, *rows = _cells(inbox / "achterstanden.csv", ";")
    report, _ = _ran(demo, "vaste_lasten", partners=folder / "partners.yaml", state_dir=demo.home / "vaste_lasten")
    received = [d for d in demo.received(f"schuldhulp.{UTRECHT}") if d["type"] == DEBT]
    (receipt,) = inbox.glob("verwerkt/*ontvangst.csv")
    told = [(status, " ".join(filter(None, [reference, *reasons]))) for _, reference, status, *reasons, _ in _cells(receipt, ";")[1:]]
    shown = {"Contract", "Achterstand", "Contact gezocht", "Doorgeven afgewezen"}
    demo.story.tells("Van het CSV-bestand van een woningcorporatie naar de gemeente (Utrecht, november)", [
        *_in("achterstanden.csv", [";".join(header), *(_blackened(header, row, shown) for row in rows[:3])]),
        *_out(f"schuldhulp.{UTRECHT}", f"{len(received)} van de {report.read} rijen: {_names(received[0])}"),
        *_out("ontvangstbewijs", f"aangenomen: {', '.join(line for status, line in told if status == 'aangenomen')}"),
        *_not("ontvangstbewijs", *(f"geweigerd: {line}" for status, line in told if status == "geweigerd")),
    ])  # fmt: skip


# --- a benefit system's table, to the pause flag ------------------------------------------


def benefit_table(demo: Demo) -> None:
    """Announce two measures by rows in a table; the buurtteam presses the button, and a table of the benefit system says no."""
    office, team = f"werk-en-inkomen.{ZAANSTAD}", f"buurtteam.{ZAANSTAD}"
    demo.at("2026-11-17T09:00")
    with _benefits(demo.home / "uitkering.db") as table:
        written = [
            _announce(table, "PW-2041", bsn="999990135", achternaam="Proefpersoon", gepland_op="2026-12-14"),
            _announce(table, "PW-2042", bsn="999990044", achternaam="Verzonnen", gepland_op="2026-11-17"),
        ]
        table.commit()
        said = [_asked(demo, table)]
        refused = _rows(table, "SELECT maatregel, redenen FROM signaalhub_outbox WHERE status = 'GEWEIGERD'")
        alert = demo.newest(team)
        demo.at("2026-11-25T10:00")
        said.append(_asked(demo, table))
        demo.answer(
            team, f"{PW}pauze-gevraagd.v1", alert, reden="HUISBEZOEK_GEPLAND", gevraagd_op="2026-11-25", contactrol="buurtteam-noord"
        )
        demo.at("2026-11-25T10:05")
        said.append(_asked(demo, table))
        ((announced,),) = _rows(table, "SELECT signaal_id FROM signaalhub_guard WHERE maatregel = 'PW-2041'")
        lifted = {"redencode": "AL_CONTACT", "ingangsdatum": "2026-11-27"}
        demo.at("2026-11-27T16:00")
        demo.publish(office, [NewSignal(type=f"{PW}pauze-afgewezen.v1", data=lifted, cause=announced)])
        said.append(_asked(demo, table))
    shown = ("maatregel", "bericht", "maatregelsoort", "gepland_op")
    demo.story.tells("Van de tabel van het uitkeringssysteem naar de pauzevlag (Zaanstad, november)", [
        *_in("signaalhub_outbox", [";".join((*shown, "bsn")), *(";".join((*(row[name] for name in shown), _BLACK)) for row in written)]),
        *_out(team, f"1 melding: {_names(alert)}"),
        *_out("signaalhub_guard", f"Mag PW-2041 nu? Net gemeld: {said[0]}", f"Reactietijd voorbij: {said[1]}",
              f"Het buurtteam drukt op pauze: {said[2]}", f"Werk en Inkomen heft de pauze op: {said[3]}"),
        *_not("signaalhub_outbox", *(f"geweigerd: {measure} {reasons}" for measure, reasons in refused)),
    ])  # fmt: skip


@contextmanager
def _benefits(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a benefit system: an SQLite file with the two tables of the connector."""
    with closing(sqlite3.connect(path)) as table:
        table.executescript(_sql("sqlite.sql"))
        yield table


def _sql(name: str) -> str:
    """Return SQL that the connector gives to benefit systems."""
    return (files(module_of("werk_en_inkomen")) / "sql" / name).read_text(encoding="utf-8")


def _announce(table: sqlite3.Connection, measure: str, **changed: Any) -> Mapping[str, Any]:
    """Write a row as the benefit system does, and return it."""
    row = {
        "maatregel": measure, "bericht": "VOORGENOMEN", "gemeentecode": ZAANSTAD, "geboortedatum": "19700101", "maatregelsoort": "KORTING",
        "aanleiding": "STUKKEN_ONTBREKEN", "aantal_contactpogingen": 2, "extra_contact_nodig": False, "lopend_hulptraject": "JA",
        "betrokkene_geinformeerd": "JA", "contactrol": "loket-inkomen",
    } | changed  # fmt: skip
    marks = ", ".join(f":{name}" for name in row)
    table.execute(f"INSERT INTO signaalhub_outbox ({', '.join(row)}) VALUES ({marks})", row)  # noqa: S608  (names from here)
    return row


def _asked(demo: Demo, table: sqlite3.Connection) -> str:
    """Let the connector run, then ask as the benefit system does before it stops a payment."""
    _ran(demo, "werk_en_inkomen", database_url=f"sqlite:///{demo.home / 'uitkering.db'}")
    now = HubGateway(demo.hub).now().strftime("%Y-%m-%d %H:%M:%S")
    ((allowed,),) = table.execute(_sql("may-sqlite.sql"), {"maatregel": "PW-2041", "nu": now}).fetchall()
    ((code,),) = _rows(table, "SELECT code FROM signaalhub_guard WHERE maatregel = 'PW-2041'")
    return "ja" if allowed else f"nee ({code})"


def _rows(table: sqlite3.Connection, sql: str) -> list[Any]:
    return table.execute(sql).fetchall()


# --- running, and showing -----------------------------------------------------------------


class _Keeping(HubGateway):
    """A gateway that keeps the receipts and waits for nothing."""

    def __init__(self, demo: Demo) -> None:
        super().__init__(demo.hub)
        self.demo = demo
        self.receipts: list[Receipt] = []

    def publish(self, participant: str, signals: Sequence[NewSignal]) -> list[Receipt]:
        """Publish, count and keep."""
        found = self.demo.publish(participant, signals)
        self.receipts += found
        return found

    def pause(self, seconds: float) -> None:
        """Go on at once: nobody else writes here."""


def _ran(demo: Demo, name: str, **settings: Any) -> tuple[RunReport, list[Receipt]]:
    """Run an installed connector, whichever package it comes from."""
    connector, kept = connector_named(name), _Keeping(demo)
    if (folder := settings.get("state_dir")) is not None:
        folder.mkdir(exist_ok=True)
    return connector.run(connector.settings(**settings), kept, _no_bar), kept.receipts


def _no_bar(items: Iterable[Item], *, total: int | None, label: str) -> Iterable[Item]:  # noqa: ARG001
    return items


def _cells(file: Path, separator: str) -> list[list[str]]:
    with file.open(encoding="utf-8-sig", newline="") as text:
        return list(csv.reader(text, delimiter=separator))


def _blackened(header: Sequence[str], row: Sequence[str], shown: Collection[str]) -> str:
    """Return a row as its file has it, with every filled cell blacked out but those of some columns."""
    return ";".join(cell if not cell or name in shown else _BLACK for name, cell in zip(header, row, strict=False))


def _names(delivery: Mapping[str, Any]) -> str:
    """Return which fields a recipient got and no content."""
    return ", ".join(name for name, value in delivery["data"].items() if value is not None)


def _in(what: str, lines: Iterable[str]) -> list[str]:
    """Return what went in: lines of a file or table, each cut off where the screen ends."""
    return _beside("in", what, [line if len(line) <= _ROOM else f"{line[: _ROOM - 1]}…" for line in lines])


def _out(who: str, *lines: str) -> list[str]:
    """Return what somebody got."""
    return _beside("uit", who, [part for line in lines for part in textwrap.wrap(line, _ROOM)])


def _not(what: str, *lines: str) -> list[str]:
    """Return what was left out or refused, and why."""
    return _beside("niet", what, [part for line in lines for part in textwrap.wrap(line, _ROOM, break_on_hyphens=False)])


def _beside(mark: str, what: str, lines: Sequence[str]) -> list[str]:
    heads = [f"{mark:<5}{what:<20} ", *[" " * _MARGIN] * len(lines)]
    return [f"{head}{line}" for head, line in zip(heads, lines, strict=False)]
