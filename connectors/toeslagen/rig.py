"""A small Toeslagen, what lies in its mailbox, and what must come of it. All in it is invented."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import SecretStr

from connectors.kit.counterpart import Request, Respond
from connectors.kit.rigs import HttpRig, delivery
from connectors.toeslagen import CONNECTOR
from connectors.toeslagen.settings import ToeslagenSettings
from connectors.toeslagen.translate import CONFIRMED, FIELDS, INVESTIGATED, OPEN, PROCESSED, RECIPIENT, REPORTED, WITHDRAWN
from hub.client import Delivery, NewSignal

_TOKEN: Final = "verzonnen-geheim"  # noqa: S105  (of the counterpart)
_DAY: Final = "2026-11-02"
_FORMS: Final = {
    "MELDING": set(FIELDS[REPORTED]),
    "CORRECTIE": set(FIELDS[REPORTED]),
    "UITKOMST": set(FIELDS[INVESTIGATED]),
    "INTREKKING": set(FIELDS[WITHDRAWN]),
}


def asks(request: Request) -> bool:
    """Say whether a request only asks."""
    return request.path == "/adressignalen/status"


def playing(first: Callable[[Mapping[str, Any]], str], later: Callable[[str], str | None], token: str = "", day: str = _DAY) -> Respond:
    """Answer as Toeslagen does, and refuse a message with a field more or less than it takes.

    Args:
        first: The status of a message when it comes.
        later: The status of a `kenmerk` when it is asked for; None when Toeslagen does not know it.
        token: What it wants to see, if anything.
        day: Since when each status holds.
    """

    def answer(request: Request) -> Any:
        if token and request.headers.get("authorization") != f"Bearer {token}":
            return 401, {"fout": "geen-toegang"}
        if asks(request):
            found = {name: later(name) for name in request.json["kenmerken"]}
            # More than is of use to anyone else, as any system would answer.
            return {
                "berichten": [
                    {"kenmerk": name, "status": status, "sinds": day, "toelichting": "huurtoeslag herzien"}
                    for name, status in found.items()
                    if status
                ]
            }
        body = request.json
        if request.path != "/adressignalen" or request.headers.get("idempotency-key") != body["kenmerk"]:
            return 404, {"fout": "bestaat-niet"}
        if body.keys() != {"kenmerk", "soort", "keten", "betreft", "gegevens"} or body["gegevens"].keys() != _FORMS[body["soort"]]:
            return 422, {"fout": "velden"}
        status = first(body)
        return 202 if status in OPEN else 200, {"kenmerk": body["kenmerk"], "status": status, "sinds": day, "toeslagbedrag_cent": 41_200}

    return answer


def _reported(number: int, bsn: str, **more: Any) -> Delivery:
    data = {
        "gemeentecode": "0855", "bag_id": "0855010000000025", "bsn": bsn, "signaalsoort": "PERSOON_WOONT_HIER_NIET_MEER",
        "niet_woonachtig_sinds": "20260914", "adresonderzoek": "LOOPT", "adresonderzoek_start": "20260914", "geheimhouding": False,
        "betrokkene_geinformeerd": "NVT", "contactrol": "burgerzaken-adresonderzoek",
    }  # fmt: skip
    return delivery(number, RECIPIENT, REPORTED, data, correlation=f"keten-{number}", **more)


_OUTCOME: Final = {"gemeentecode": "0855", "uitkomst": "WOONT_NIET_OP_ADRES", "afgerond_op": "2026-10-30"}
_MAILBOX: Final = (
    _reported(1, "999990019"),
    _reported(2, "999990020"),
    delivery(3, RECIPIENT, "nl.signaalhub.signaal-geweigerd.v1", {"signaal_id": None, "redenen": []}),
    _reported(4, "999990019", replaces="delivery-1"),
    delivery(5, RECIPIENT, INVESTIGATED, _OUTCOME, correlation="keten-2", cause="delivery-2"),
    delivery(6, RECIPIENT, WITHDRAWN, {"redencode": "ONTERECHT"}, correlation="keten-1", cause="delivery-4"),
    _reported(7, "999990056"),
    _reported(8, "999990068"),
)
_FIRST: Final = {
    "delivery-1": "AANGEPAST", "delivery-2": "IN_BEHANDELING", "delivery-4": "ONGEWIJZIGD", "delivery-5": "PERSOON_ONBEKEND",
    "delivery-6": "MELDING_ONBEKEND", "delivery-7": "NIEUWE_STATUS", "delivery-8": "ONTVANGEN",
}  # fmt: skip
_LATER: Final = {"delivery-2": "ONGEWIJZIGD", "delivery-7": "NIEUWE_STATUS", "delivery-8": "IN_BEHANDELING"}


def _sent(taken: Delivery, kind: str, about: str | None = None) -> dict[str, Any]:
    return {"kenmerk": taken.delivery_id, "soort": kind, "keten": taken.correlation, "betreft": about, "gegevens": dict(taken.data)}


def _processed(number: int, result: str) -> tuple[str, NewSignal]:
    return RECIPIENT, NewSignal(type=PROCESSED, data={"resultaat": result, "verwerkt_op": _DAY}, cause=f"delivery-{number}")


def _confirmed(number: int, result: str) -> tuple[str, NewSignal]:
    return RECIPIENT, NewSignal(type=CONFIRMED, data={"resultaat": result}, cause=f"delivery-{number}")


RIG: Final = HttpRig(
    connector=CONNECTOR,
    settings=lambda folder, url: ToeslagenSettings(url=url, token=SecretStr(_TOKEN), state_dir=folder / "state"),
    answer=playing(lambda body: _FIRST[body["kenmerk"]], _LATER.get, _TOKEN),
    asks=asks,
    deliveries=_MAILBOX,
    items=len(_LATER),
    expects=[
        _sent(_MAILBOX[0], "MELDING"),
        _sent(_MAILBOX[1], "MELDING"),
        _sent(_MAILBOX[3], "CORRECTIE", "delivery-1"),
        _sent(_MAILBOX[4], "UITKOMST", "delivery-2"),
        _sent(_MAILBOX[5], "INTREKKING", "delivery-4"),
        _sent(_MAILBOX[6], "MELDING"),
        _sent(_MAILBOX[7], "MELDING"),
    ],
    signals=[
        _processed(1, "VERWERKT"),
        _processed(2, "ONTVANGEN"),
        _processed(2, "VERWERKT"),
        _processed(4, "VERWERKT"),
        _confirmed(4, "VERWERKT"),
        _processed(5, "NIET_HERKEND"),
        _confirmed(6, "NIET_GEVONDEN"),
        _processed(8, "ONTVANGEN"),
    ],
    public=[*(one.delivery_id for one in _MAILBOX), *_FORMS, "VERWERKT", "ONTVANGEN"],
    secret_values=["huurtoeslag herzien", "41200"],
)
