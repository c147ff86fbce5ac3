"""Data of the pauzeknop and of the CJIB process, and the reminders that people heard: for the processes and the kill proof."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import func, select

from hub.app import Hub
from hub.codec import frame
from hub.domain.processfile import REMINDER
from hub.keys import unseal
from hub.storage.tables import deliveries, signals
from tests import reference as ref
from tests.reference import Reminder

PLACES: Final = ("0344", "0772")


def announcement(place: str, bsn: str, why: str, planned: str, helped: str) -> dict[str, Any]:
    """Return the data of an announced measure."""
    return {
        "gemeentecode": place, "bsn": bsn, "achternaam": "Merkteken", "geboortedatum": "19800229", "maatregelsoort": "BEEINDIGING",
        "aanleiding": why, "aantal_contactpogingen": 2, "gepland_op": planned, "bezwaar_tot": None, "extra_contact_nodig": False,
        "lopend_hulptraject": helped, "betrokkene_geinformeerd": "JA", "contactrol": "loket",
    }  # fmt: skip


def fact_data(place: str, bsn: str, day: str) -> dict[str, Any]:
    """Return the data of a measure that was carried out."""
    return {
        "gemeentecode": place, "bsn": bsn, "maatregelsoort": "KORTING", "uitgevoerd_op": day,
        "betrokkene_geinformeerd": "JA", "contactrol": "loket",
    }  # fmt: skip


def request_data(place: str, mark: str, until: str, today: str, longer: int, told: str) -> dict[str, Any]:
    """Return the data of a request at the CJIB; 2: it should be longer, and the proof of that is missing."""
    return {
        "gemeentecode": place, "persoonskenmerk": mark, "cjib_zaaknummers": ["412345678"], "zaaksoort": "WAHV",
        "verzoeksoort": "INNING_AANHOUDEN", "onderdeel": None, "gevraagd_tot": until, "verlenging": longer > 0,
        "gemeentebesluit_op": today if longer == 1 else None, "bewijs_ref": "BEWIJS-2026-1" if longer == 1 else None,
        "machtiging_ref": "MACHT-2026-88", "betaalcapaciteit_cent_per_maand": None, "betrokkene_geinformeerd": told, "contactrol": "loket-1",
    }  # fmt: skip


DECISIONS: Final[Mapping[str, tuple[str, tuple[tuple[str, str], ...], bool, bool]]] = {
    "inning": ("TOEGEWEZEN", (("INITIELE_BOETE", "AANHOUDEN"),), False, False),
    "gijzeling": ("DEELS", (), False, True),
    "taak": ("TOEGEWEZEN", (("VERHOGING", "LATEN_VERVALLEN"),), True, False),
    "regeling": ("TOEGEWEZEN", (("INITIELE_BOETE", "REGELING"),), False, False),
    "afgewezen": ("AFGEWEZEN", (), False, False),
}
"""How the CJIB can decide: decision, what becomes of which part, after a task, a detention put off."""


def decision_data(kind: str, until: str) -> dict[str, Any]:
    """Return the data of a decision of the CJIB."""
    decision, parts, task, detention = DECISIONS[kind]
    return {
        "besluit": decision, "onderdelen": [{"onderdeel": part, "actie": action} for part, action in parts], "na_taak": task,
        "gijzeling_aangehouden": detention, "cjib_zaaknummers": ["412345678"] if detention else [],
        "bedrag_cent_per_maand": 5000 if kind == "regeling" else None, "tot": until, "redencode": "GEEN",
    }  # fmt: skip


def plain_data(type_: str, day: str, outcome: str) -> dict[str, Any]:
    """Return the data of what says no more than that it happened, on a day."""
    data: dict[str, dict[str, Any]] = {
        ref.OPGEPAKT: {"reden": "AFSTEMMEN", "contactrol": "loket"},
        ref.REACTIE: {"reactie": "BEL_MIJ", "contactrol": "loket"},
        ref.HUISBEZOEK: {"woont_op_adres": "JA", "bezocht_op": day},
        ref.BEKEND: {"eerdere_melding": "ZAAK-1", "gemeld_op": day},
        ref.GEVRAAGD: {"reden": "CONTACT_LOOPT", "gevraagd_op": day, "contactrol": "loket"},
        ref.VERLENGD: {"herzien_op": day},
        ref.AFGEWEZEN: {"redencode": "AL_CONTACT", "ingangsdatum": day},
        ref.AFGEROND: {"uitkomst": outcome, "ingangsdatum": day, "vervolg_aangeboden": False},
        ref.TAAK: {"volbracht_op": day, "uren": 8},
    }
    return data[type_]


def review_data(begins: str, until: str) -> dict[str, Any]:
    """Return the data of a pause that Werk en Inkomen sets."""
    return {
        "ingangsdatum": begins, "herzien_op": until, "beslisser": "MDT", "voorwaarden": ["GESPREK"], "huisarts_aangeboden": None,
        "onderzoek_door": "SAMEN",
    }  # fmt: skip


def plan_data(mark: str, day: str) -> dict[str, Any]:
    """Return the data of a measure that the CJIB plans."""
    return {
        "persoonskenmerk": mark, "cjib_zaaknummer": "412345678", "maatregelsoort": "DWANG", "gepland_op": day,
        "betrokkene_geinformeerd": "JA", "contactrol": "loket",
    }  # fmt: skip


def heard(hub: Hub, after: int = 0) -> tuple[Counter[Reminder], int]:
    """Return the reminders that the hub recorded after a signal, as their recipients read them, and the last signal there is."""
    to: dict[int, list[str]] = {}
    with hub.database.read() as connection:
        rows = connection.execute(
            select(signals.c.id, signals.c.keten, signals.c.sealed_key, deliveries.c.schema, deliveries.c.payload, deliveries.c.recipient)
            .join(deliveries, deliveries.c.signal == signals.c.id)
            .where(signals.c.id > after, signals.c.type == hub.names.find(connection, REMINDER)).order_by(deliveries.c.id)
        ).all()  # fmt: skip
        last = connection.execute(select(func.max(signals.c.id))).scalar() or 0
        for row in rows:
            to.setdefault(row.id, []).append(hub.names.name(connection, row.recipient))
    found: Counter[Reminder] = Counter()
    for row in {row.id: row for row in rows}.values():
        said = hub.decoder.data(frame(row.schema, unseal(hub.keys.data_key(row.sealed_key), row.payload)))
        told = (said["proces"], row.keten, said["gemeentecode"], said["code"], said["staat"], said["uiterlijk"])
        found[Reminder(*told, tuple(sorted(to[row.id])))] += 1
    return found, last
