"""From deliveries to what the CJIB takes, and from what it says to signals; pure: no request, no clock, no settings.

Nothing passes that is not on a list here: not why someone was fined, not what help or care there is. A field that the other side adds
stays with the other side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from connectors.kit.flow import Skipped
from connectors.kit.ids import spelled
from hub.client import Delivery, NewSignal

PARTICIPANT: Final = "cjib"
REQUESTED: Final = "nl.wahv.pauze-verzocht.v1"
TASK_DONE: Final = "nl.wahv.taak-volbracht.v1"
CAPACITY: Final = "nl.wahv.betaalcapaciteit-vastgesteld.v1"
DECIDED: Final = "nl.wahv.pauze-besluit.v1"
PLANNED: Final = "nl.wahv.maatregel-voorgenomen.v1"
WITHDRAWN: Final = "nl.signaalhub.signaal-ingetrokken.v1"
CONFIRMED: Final = "nl.signaalhub.ontvangst-bevestigd.v1"
REMINDED: Final = "nl.signaalhub.herinnering.v1"

# --- to the CJIB --------------------------------------------------------------------------

Route = Literal["/verzoeken", "/werkvoorraad"]
TO_CJIB: Final[Mapping[str, tuple[Route, str, tuple[str, ...]]]] = {
    REQUESTED: (
        "/verzoeken", "PAUZEVERZOEK",
        ("gemeentecode", "cjib_zaaknummers", "verzoeksoort", "onderdeel", "gevraagd_tot", "verlenging", "gemeentebesluit_op", "bewijs_ref",
         "machtiging_ref", "betaalcapaciteit_cent_per_maand", "contactrol"),
    ),
    TASK_DONE: ("/verzoeken", "TAAK_VOLBRACHT", ("volbracht_op", "uren")),
    CAPACITY: ("/verzoeken", "BETAALCAPACITEIT", ("betaalcapaciteit_cent_per_maand", "vastgesteld_op")),
    WITHDRAWN: ("/verzoeken", "INTREKKING", ("redencode",)),
    REMINDED: ("/werkvoorraad", "HERINNERING", ("gemeentecode", "proces", "code", "staat", "uiterlijk")),
}  # fmt: skip
"""By signal type: where it is sent, what the CJIB calls it, and every field that goes along."""
CONFIRMATIONS: Final[Mapping[str, str | None]] = {"ONTVANGEN": None, "VERWERKT": "VERWERKT", "NIET_GEVONDEN": "NIET_GEVONDEN"}
"""By status of the CJIB: the `resultaat` of CONFIRMED, or None when it comes later as a message."""


def message(delivery: Delivery) -> tuple[Route, dict[str, Any]] | Skipped:
    """Give where a delivery is sent and what is said, or the one reason why the CJIB is told nothing."""
    if delivery.type not in TO_CJIB:
        return Skipped("ander-type")
    path, kind, fields = TO_CJIB[delivery.type]
    return path, {
        "kenmerk": delivery.delivery_id,
        "soort": kind,
        "keten": delivery.correlation,
        "betreft": delivery.replaces or delivery.cause,
        "vervangt": delivery.replaces is not None,
        "gegevens": {name: delivery.data[name] for name in fields if name in delivery.data},
    }


def confirmation(delivery: Delivery, status: Any) -> tuple[NewSignal, ...] | Skipped:
    """Give what follows from the status with which the CJIB took a delivery: of a withdrawal or correction, that it was acted on."""
    if not isinstance(status, str) or status not in CONFIRMATIONS:
        return Skipped("antwoord-onbekend")
    result = CONFIRMATIONS[status]
    if result is None or not (delivery.type == WITHDRAWN or delivery.replaces):
        return ()
    return (_confirmed(delivery.delivery_id, result),)


def _confirmed(name: str, result: str) -> NewSignal:
    return NewSignal(type=CONFIRMED, data={"resultaat": result}, id=f"cjib-bevestigd-{spelled(name)}", cause=name)


# --- from the CJIB ------------------------------------------------------------------------

GUARDS: Final[Mapping[str, str]] = {
    "INNING": "inning-voortzetten",
    "GIJZELING": "gijzeling-uitvoeren",
    "AANMANING_1": "verhoging-innen",
    "AANMANING_2": "verhoging-innen",
    "VERHOGING_LATEN_VERVALLEN": "verhoging-laten-vervallen",
    "INNAME_RIJBEWIJS": "inning-voortzetten",
    "BUITENGEBRUIKSTELLING": "inning-voortzetten",
    "VERHAAL": "inning-voortzetten",
}
"""By step that the CJIB wants to take: which guard says whether it may now."""
_STEPS: Final[Mapping[str, str]] = {
    "AANMANING_1": "VERHOGING_1",
    "AANMANING_2": "VERHOGING_2",
    "GIJZELING": "GIJZELING",
    # Which means it is, nobody needs to know.
    "INNAME_RIJBEWIJS": "DWANG",
    "BUITENGEBRUIKSTELLING": "DWANG",
    "VERHAAL": "DWANG",
}
_DECISIONS: Final = {"TOEGEWEZEN": "TOEGEWEZEN", "DEELS_TOEGEWEZEN": "DEELS", "AFGEWEZEN": "AFGEWEZEN"}
_PARTS: Final = {"BOETE": "INITIELE_BOETE", "VERHOGING": "VERHOGING", "KOSTEN": "INCASSOKOSTEN"}
_ACTIONS: Final = {"UITSTEL": "AANHOUDEN", "REGELING": "REGELING", "VERVALT": "LATEN_VERVALLEN"}
_REASONS: Final = {
    "GEEN": "GEEN",
    "BEWIJS": "BEWIJS_ONVOLDOENDE",
    "DEURWAARDER": "DEURWAARDER_INGESCHAKELD",
    "VALT_ER_NIET_ONDER": "ZAAK_VALT_ER_NIET_ONDER",
    "AFSPRAAK_NIET_NAGEKOMEN": "EERDERE_AFSPRAAK_NIET_NAGEKOMEN",
    "ANDERS": "ANDERS",
}
_INFORMED: Final = {name: name for name in ("JA", "NEE_SPOED", "NEE_VEILIGHEID", "NEE_NIET_BEREIKBAAR")}
_WITHDRAWALS: Final = {"ONTERECHT": "ONTERECHT", "DUBBEL": "DUBBEL", "PAUZE_GESTOPT": "ANDERS", "ANDERS": "ANDERS"}
_RESULTS: Final = {name: result for name, result in CONFIRMATIONS.items() if result is not None}


@dataclass(frozen=True, slots=True)
class Question:
    """The CJIB asks whether a step may be taken now."""

    keten: str
    guard: str


class _UnreadableError(Exception):
    """A message that cannot be read; the argument is the reason code."""


def number_of(said: Any) -> int | None:
    """Return the number of a message of the CJIB, None if it has none."""
    number = said.get("nummer") if isinstance(said, Mapping) else None
    return number if isinstance(number, int) and not isinstance(number, bool) and number > 0 else None


def signal(said: Mapping[str, Any], sent: Callable[[int], str | None]) -> NewSignal | Question | Skipped:
    """Give what a message of the CJIB says, or the one reason why nothing follows from it.

    The id of a signal follows from the number of the message, so a message that is read twice is one signal.

    Args:
        said: The message, with a number. What is not on a list is left alone.
        sent: Gives the signal_id of what came of an earlier message, by its number.
    """
    kind = said.get("soort")
    try:
        if kind == "BESLUIT":
            return _named(said, NewSignal(type=DECIDED, data=_decision(said), cause=_text(said, "verzoek")))
        if kind == "MAATREGEL":
            # Without a request nobody gets it; that is for the rules to say.
            return _named(said, NewSignal(type=PLANNED, data=_plan(said), cause=_text(said, "verzoek") if said.get("verzoek") else None))
        if kind == "INTREKKING":
            return _withdrawal(said, sent)
        if kind == "BEVESTIGING":
            return _confirmed(_text(said, "bericht"), _code(_RESULTS, said, "uitkomst"))
        if kind == "VRAAG":
            return Question(_text(said, "keten"), _code(GUARDS, said, "stap"))
    except _UnreadableError as error:
        return Skipped(str(error))
    return Skipped("soort-onbekend")


def _named(said: Mapping[str, Any], found: NewSignal) -> NewSignal:
    return NewSignal(type=found.type, data=found.data, cause=found.cause, id=f"cjib-{spelled(str(said['nummer']))}")


def _decision(said: Mapping[str, Any]) -> dict[str, Any]:
    held = _given(said, "gijzeling_opgeschort")
    return {
        "besluit": _code(_DECISIONS, said, "uitkomst"),
        "onderdelen": [
            {"onderdeel": _code(_PARTS, part, "deel"), "actie": _code(_ACTIONS, part, "maatregel")} for part in _list(said, "delen")
        ],
        "na_taak": _given(said, "na_taak"),
        "gijzeling_aangehouden": held,
        # Only for the police, and they hear of nothing but a detention that is put off.
        "cjib_zaaknummers": list(_list(said, "zaken")) if held is True else [],
        "bedrag_cent_per_maand": said.get("maandbedrag_cent"),
        "tot": _text(said, "tot"),
        "redencode": _code(_REASONS, said, "reden"),
    }


def _plan(said: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "persoonskenmerk": _text(said, "persoonskenmerk"),
        "cjib_zaaknummer": _text(said, "zaak"),
        "maatregelsoort": _code(_STEPS, said, "stap"),
        "gepland_op": _text(said, "gepland_op"),
        "betrokkene_geinformeerd": _code(_INFORMED, said, "inwoner_geinformeerd"),
        "contactrol": _text(said, "loket"),
    }


def _withdrawal(said: Mapping[str, Any], sent: Callable[[int], str | None]) -> NewSignal | Skipped:
    number = number_of({"nummer": said.get("betreft")})
    cause = sent(number) if number is not None else None
    if cause is None:
        return Skipped("bericht-niet-bekend")
    return _named(said, NewSignal(type=WITHDRAWN, data={"redencode": _code(_WITHDRAWALS, said, "reden")}, cause=cause))


def _given(said: Any, name: str) -> Any:
    if not isinstance(said, Mapping) or name not in said:
        raise _UnreadableError("bericht-onvolledig")
    return said[name]


def _text(said: Mapping[str, Any], name: str) -> str:
    value = _given(said, name)
    if not isinstance(value, str):
        raise _UnreadableError("bericht-onvolledig")
    return value


def _list(said: Mapping[str, Any], name: str) -> Sequence[Any]:
    value = _given(said, name)
    if not isinstance(value, list):
        raise _UnreadableError("bericht-onvolledig")
    return value


def _code(table: Mapping[str, str], said: Any, name: str) -> str:
    value = _given(said, name)
    if not isinstance(value, str) or value not in table:
        raise _UnreadableError("code-onbekend")
    return table[value]
