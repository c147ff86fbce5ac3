"""A small outbox and what must come of it: how the conformance suite sees the connector. All in it is invented."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

from pydantic import SecretStr
from sqlalchemy import Connection, text

from connectors.kit.ids import ID_LETTERS, letters
from connectors.kit.memory import MemoryGateway
from connectors.kit.rigs import TableRig
from connectors.werk_en_inkomen import CONNECTOR
from connectors.werk_en_inkomen.benefit import create, post
from connectors.werk_en_inkomen.settings import WerkEnInkomenSettings
from connectors.werk_en_inkomen.translate import ANNOUNCED, CARRIED_OUT, GUARD, WITHDRAWN, Message, participant
from hub.client import GuardAnswer, NewSignal

UTRECHT: Final = participant("0344")
FAR: Final = date(2099, 1, 5)
"""A day on which every announcement still comes beforehand."""


def plan(bsn: str = "999990019", gepland_op: date = FAR, **changed: Any) -> dict[str, Any]:
    """Return what an announcement says beside its measure and municipality, as the columns of the outbox have it."""
    return {
        "bsn": bsn, "achternaam": "Van Voorbeeld", "geboortedatum": "19570300", "maatregelsoort": "KORTING",
        "aanleiding": "STUKKEN_ONTBREKEN", "aantal_contactpogingen": 2, "gepland_op": gepland_op, "extra_contact_nodig": False,
        "lopend_hulptraject": "JA",
        "betrokkene_geinformeerd": "JA", "contactrol": "loket-inkomen",
    } | changed  # fmt: skip


def fact(bsn: str = "999990019", uitgevoerd_op: date = date(2026, 11, 2), **changed: Any) -> dict[str, Any]:
    """Return what is said of a measure that was carried out."""
    return {
        "bsn": bsn, "maatregelsoort": "KORTING", "uitgevoerd_op": uitgevoerd_op, "betrokkene_geinformeerd": "JA",
        "contactrol": "loket-inkomen",
    } | changed  # fmt: skip


def _announced(**changed: Any) -> dict[str, Any]:
    return {"gemeentecode": "0344", "bezwaar_tot": None} | plan() | {"gepland_op": "2099-01-05"} | changed


def _done(**changed: Any) -> dict[str, Any]:
    return {"gemeentecode": "0344"} | fact() | {"uitgevoerd_op": "2026-11-02"} | changed


def _key(number: int) -> str:
    return f"rij-{number}"


def _handed(number: int) -> tuple[str, str]:
    """Return the signal_id and keten that the hub in memory gives what row n says."""
    signal = NewSignal(type=ANNOUNCED, data={}, id=f"wi-{letters(_key(number).encode(), (), ID_LETTERS)}")
    receipt = MemoryGateway().publish(UTRECHT, [signal])[0]
    return receipt.signal_id or "", receipt.correlation or ""


def _posted(connection: Connection, *messages: tuple[Message, str, dict[str, Any]]) -> None:
    """Make the tables and write messages, with keys that are the same each time."""
    create(connection)
    for message, measure, columns in messages:
        post(connection, message, measure, "0344", **columns)
    connection.execute(text("UPDATE signaalhub_outbox SET sleutel = 'rij-' || nummer"))


def holds(connection: Connection) -> Sequence[Any]:
    """Return what the connector wrote: of each row what became of it, of each measure the answer."""
    rows = connection.execute(text("SELECT nummer, status, redenen FROM signaalhub_outbox WHERE status IS NOT NULL ORDER BY nummer"))
    answers = connection.execute(
        text("SELECT maatregel, mag, code FROM signaalhub_guard WHERE code IS NOT NULL OR gevraagd_op IS NOT NULL ORDER BY maatregel")
    )
    return [*([row.nummer, row.status, row.redenen] for row in rows), *([row.maatregel, bool(row.mag), row.code] for row in answers)]


_FIRST, _CORRECTED, _SECOND = _handed(1), _handed(2), _handed(4)

RIG: Final = TableRig(
    connector=CONNECTOR,
    settings=lambda _, url: WerkEnInkomenSettings(database_url=SecretStr(url)),
    create=lambda connection: _posted(
        connection,
        (Message.ANNOUNCED, "PW-2026-0001", plan()),
        (Message.ANNOUNCED, "PW-2026-0001", plan(gepland_op=date(2099, 2, 2))),
        (Message.CARRIED_OUT, "PW-2026-0002", fact("999990020")),
        (Message.ANNOUNCED, "PW-2026-0003", plan("999990056")),
        (Message.CARRIED_OUT, "PW-2026-0003", fact("999990056")),
        (Message.WITHDRAWN, "PW-2026-0004", {"redencode": "DUBBEL"}),
        (Message.ANNOUNCED, "PW-2026-0005", plan("999990044")),
    ),
    items=7,
    signals=[
        (UTRECHT, NewSignal(type=ANNOUNCED, data=_announced())),
        (UTRECHT, NewSignal(type=ANNOUNCED, data=_announced(gepland_op="2099-02-02"), replaces=_FIRST[0])),
        (UTRECHT, NewSignal(type=CARRIED_OUT, data=_done(bsn="999990020"))),
        (UTRECHT, NewSignal(type=ANNOUNCED, data=_announced(bsn="999990056"))),
        (UTRECHT, NewSignal(type=CARRIED_OUT, data=_done(bsn="999990056"), cause=_SECOND[0])),
        (UTRECHT, NewSignal(type=ANNOUNCED, data=_announced(bsn="999990044"))),
    ],
    guards={(UTRECHT, _CORRECTED[1], GUARD): GuardAnswer(open=True)},
    holds=holds,
    expects=[
        *([number, "AANGENOMEN", None] for number in (1, 2, 3, 4, 5, 7)),
        [6, "GEWEIGERD", "maatregel-onbekend"],
        ["PW-2026-0001", True, None],
        ["PW-2026-0002", False, "uitgevoerd"],
        ["PW-2026-0003", False, "uitgevoerd"],
        ["PW-2026-0005", False, "keten-onbekend"],
    ],
    public=[
        "AANGENOMEN",
        "GEWEIGERD",
        "maatregel-onbekend",
        "maatregel-gesloten",
        "uitgevoerd",
        "keten-onbekend",
        "2099-01-05",
        "2026-11-02",
    ],
)


def _withdrawn(connection: Connection) -> None:
    _posted(
        connection,
        (Message.WITHDRAWN, "PW-2026-0006", {"redencode": "ONTERECHT"}),
        (Message.ANNOUNCED, "PW-2026-0007", plan("999990044")),
    )
    connection.execute(
        text(
            "INSERT INTO signaalhub_guard (maatregel, mag, stand, laatste_rij, gemeentecode, signaal_id, keten) "
            "VALUES ('PW-2026-0006', true, 'OPEN', 0, '0344', 'gemeld-signaal', 'gemelde-keten'), "
            "('PW-2026-0007', false, 'DICHT', 0, '0344', NULL, NULL)"
        )
    )


WITHDRAWAL: Final = TableRig(
    connector=CONNECTOR,
    settings=RIG.settings,
    create=_withdrawn,
    items=2,
    signals=[(UTRECHT, NewSignal(type=WITHDRAWN, data={"redencode": "ONTERECHT"}, cause="gemeld-signaal"))],
    holds=holds,
    expects=[[1, "AANGENOMEN", None], [2, "GEWEIGERD", "maatregel-gesloten"], ["PW-2026-0006", False, "ingetrokken"]],
    public=["AANGENOMEN", "GEWEIGERD", "ingetrokken", "maatregel-gesloten"],
)
"""Two measures of an earlier run: one is withdrawn, the other is closed already."""
