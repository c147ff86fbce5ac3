"""A small CJIB, what it says, what lies in its mailbox, and what must come of it. All in it is invented."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pydantic import SecretStr

from connectors.cjib import CONNECTOR
from connectors.cjib.settings import CjibSettings
from connectors.cjib.translate import CAPACITY, CONFIRMED, DECIDED, PARTICIPANT, PLANNED, REMINDED, REQUESTED, TASK_DONE, TO_CJIB, WITHDRAWN
from connectors.kit.counterpart import Request, Respond
from connectors.kit.rigs import HttpRig, delivery
from hub.client import Delivery, GuardAnswer, NewSignal

PAGE: Final = 3
"""How many messages it gives at a time."""
_TOKEN: Final = "verzonnen-geheim"  # noqa: S105  (of the counterpart)
_FORMS: Final[Mapping[Any, tuple[str | None, set[str]]]] = {kind: (route, set(fields)) for route, kind, fields in TO_CJIB.values()}
_ENVELOPE: Final = {"kenmerk", "soort", "keten", "betreft", "vervangt", "gegevens"}


def playing(says: Sequence[Mapping[str, Any]], status: Callable[[Mapping[str, Any]], str], token: str = "") -> Respond:
    """Say messages and take deliveries as the CJIB does; refuse a delivery with a field more or less than it takes.

    Args:
        says: Its messages, numbered from low to high.
        status: What it answers to a delivery that it takes.
        token: What it wants to see, if anything.
    """

    def answer(request: Request) -> Any:
        if token and request.headers.get("authorization") != f"Bearer {token}":
            return 401, {"fout": "geen-toegang"}
        if (request.method, request.path) == ("GET", "/berichten"):
            return {"berichten": [one for one in says if one["nummer"] > int(request.query["na"])][:PAGE]}
        body = request.json or {}
        if (request.method, request.path) == ("POST", "/terugmeldingen"):
            return {"nummer": body["nummer"]}
        route, fields = _FORMS.get(body.get("soort"), (None, set()))
        if request.path != route or request.headers.get("idempotency-key") != body.get("kenmerk"):
            return 404, {"fout": "bestaat-niet"}
        if body.keys() != _ENVELOPE or body["gegevens"].keys() != fields:
            return 422, {"fout": "velden"}
        return {"kenmerk": body["kenmerk"], "status": status(body), "behandelaar": "N. Verzonnen"}

    return answer


def decision(number: int, request: str, **more: Any) -> dict[str, Any]:
    """Return a decision to hold the collection, with more than anyone else should know."""
    return {
        "nummer": number, "soort": "BESLUIT", "verzoek": request, "uitkomst": "TOEGEWEZEN",
        "delen": [{"deel": "BOETE", "maatregel": "UITSTEL", "bedrag_cent": 10_400}], "na_taak": False, "gijzeling_opgeschort": False,
        "zaken": ["412345678"], "maandbedrag_cent": None, "tot": "2027-03-02", "reden": "GEEN",
        "feit": "te hard gereden", "pleegdatum": "2026-01-17", "andere_zaken": ["412345699"],
    } | more  # fmt: skip


def plan(number: int, request: str | None, **more: Any) -> dict[str, Any]:
    """Return an announced step, with more than anyone else should know."""
    return {
        "nummer": number, "soort": "MAATREGEL", "verzoek": request, "persoonskenmerk": "7c1e5b20-93ad-4f68-b2d7-1a0c4e86f3b9",
        "zaak": "412345678", "stap": "INNAME_RIJBEWIJS", "gepland_op": "2026-11-23", "inwoner_geinformeerd": "JA", "loket": "inning-noord",
        "feit": "te hard gereden", "toelichting": "woont begeleid",
    } | more  # fmt: skip


_SAYS: Final = (
    decision(1, "delivery-1"),
    plan(2, "delivery-1"),
    {"nummer": 3, "soort": "VRAAG", "keten": "keten-1", "stap": "GIJZELING"},
    decision(5, "delivery-1", uitkomst="SEPOT"),
    plan(6, None),
    {"nummer": 7, "soort": "INTREKKING", "betreft": 4, "reden": "ONTERECHT"},
    {"nummer": 9, "soort": "BEVESTIGING", "bericht": "delivery-8", "uitkomst": "VERWERKT"},
)
_REQUEST: Final[Mapping[str, Any]] = {
    "gemeentecode": "0344", "cjib_zaaknummers": ["412345678", "6062999900001111"], "verzoeksoort": "INNING_AANHOUDEN", "onderdeel": None,
    "gevraagd_tot": "2027-03-02", "verlenging": False, "gemeentebesluit_op": None, "bewijs_ref": "BEWIJS-2026-417",
    "machtiging_ref": "MACHT-2026-88", "betaalcapaciteit_cent_per_maand": 50_000, "contactrol": "loket-12",
}  # fmt: skip
_REMINDER: Final = {
    "gemeentecode": "0344",
    "proces": "cjib-pauze",
    "code": "pauze-verlopen",
    "staat": "beeindigd",
    "uiterlijk": "2026-11-01",
}


def _lies(number: int, type_: str, data: Mapping[str, Any], **more: Any) -> Delivery:
    return delivery(number, PARTICIPANT, type_, data, correlation="keten-1", **more)


_MAILBOX: Final = (
    _lies(1, REQUESTED, _REQUEST),
    _lies(2, REQUESTED, {**_REQUEST, "gevraagd_tot": "2027-02-01"}, replaces="delivery-1"),
    _lies(3, TASK_DONE, {"volbracht_op": "2026-10-31", "uren": 8}, cause="delivery-1"),
    _lies(4, CAPACITY, {"betaalcapaciteit_cent_per_maand": 75_000, "vastgesteld_op": "2026-10-30"}, cause="delivery-1"),
    _lies(5, REMINDED, _REMINDER),
    delivery(6, PARTICIPANT, "nl.signaalhub.signaal-geweigerd.v1", {"signaal_id": None, "redenen": []}),
    _lies(7, WITHDRAWN, {"redencode": "ANDERS"}, cause="delivery-2"),
    _lies(8, WITHDRAWN, {"redencode": "DUBBEL"}, cause="delivery-1"),
)
_STATUS: Final = {"delivery-2": "VERWERKT", "delivery-7": "NIET_GEVONDEN"}


def _sent(number: int, kind: str, about: str | None = None, *, replaces: bool = False) -> dict[str, Any]:
    taken = _MAILBOX[number - 1]
    return {
        "kenmerk": taken.delivery_id, "soort": kind, "keten": taken.correlation, "betreft": about, "vervangt": replaces,
        "gegevens": dict(taken.data),
    }  # fmt: skip


def _told(number: int, result: str, *reasons: str) -> dict[str, Any]:
    return {"nummer": number, "resultaat": result, "redenen": list(reasons)}


def _said(type_: str, data: Mapping[str, Any], cause: str | None) -> tuple[str, NewSignal]:
    return PARTICIPANT, NewSignal(type=type_, data=data, cause=cause)


_DECISION: Final = {
    "besluit": "TOEGEWEZEN", "onderdelen": [{"onderdeel": "INITIELE_BOETE", "actie": "AANHOUDEN"}], "na_taak": False,
    "gijzeling_aangehouden": False, "cjib_zaaknummers": [], "bedrag_cent_per_maand": None, "tot": "2027-03-02", "redencode": "GEEN",
}  # fmt: skip
_PLAN: Final = {
    "persoonskenmerk": "7c1e5b20-93ad-4f68-b2d7-1a0c4e86f3b9", "cjib_zaaknummer": "412345678", "maatregelsoort": "DWANG",
    "gepland_op": "2026-11-23", "betrokkene_geinformeerd": "JA", "contactrol": "inning-noord",
}  # fmt: skip

RIG: Final = HttpRig(
    connector=CONNECTOR,
    settings=lambda folder, url: CjibSettings(url=url, token=SecretStr(_TOKEN), state_dir=folder / "state"),
    answer=playing(_SAYS, lambda body: _STATUS.get(body["kenmerk"], "ONTVANGEN"), _TOKEN),
    items=len(_SAYS),
    deliveries=_MAILBOX,
    guards={(PARTICIPANT, "keten-1", "gijzeling-uitvoeren"): GuardAnswer(open=False, code="pauze-loopt")},
    expects=[
        _told(1, "AANGENOMEN"),
        _told(2, "AANGENOMEN"),
        _told(3, "MAG_NIET", "pauze-loopt"),
        _told(5, "OVERGESLAGEN", "code-onbekend"),
        _told(6, "AANGENOMEN"),
        _told(7, "OVERGESLAGEN", "bericht-niet-bekend"),
        _told(9, "AANGENOMEN"),
        _sent(1, "PAUZEVERZOEK"),
        _sent(2, "PAUZEVERZOEK", "delivery-1", replaces=True),
        _sent(3, "TAAK_VOLBRACHT", "delivery-1"),
        _sent(4, "BETAALCAPACITEIT", "delivery-1"),
        _sent(5, "HERINNERING"),
        _sent(7, "INTREKKING", "delivery-2"),
        _sent(8, "INTREKKING", "delivery-1"),
    ],
    signals=[
        _said(DECIDED, _DECISION, "delivery-1"),
        _said(PLANNED, _PLAN, "delivery-1"),
        _said(PLANNED, _PLAN, None),
        _said(CONFIRMED, {"resultaat": "VERWERKT"}, "delivery-8"),
        _said(CONFIRMED, {"resultaat": "VERWERKT"}, "delivery-2"),
        _said(CONFIRMED, {"resultaat": "NIET_GEVONDEN"}, "delivery-7"),
    ],
    public=[*(one.delivery_id for one in _MAILBOX), *_FORMS, "code-onbekend", "bericht-niet-bekend", "VERWERKT"],
    secret_values=["te hard gereden", "2026-01-17", "412345699", "woont begeleid", "N. Verzonnen"],
)
