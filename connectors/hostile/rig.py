"""The system that the hostile connector speaks with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from connectors.hostile import CONNECTOR
from connectors.hostile.translate import RECIPIENT, answer, taken, translate
from connectors.kit.counterpart import Request
from connectors.kit.rigs import HttpRig, delivery
from hub.client import Connector

ROWS: Final = [
    {"kenmerk": "K-100001", "naam": "Aukje Verzonnen"},
    {"kenmerk": "", "naam": "Wie Weetniet"},
    {"kenmerk": "K-100002", "naam": "Bram Bedacht-Voorbeeld"},
    {"kenmerk": "K-100003", "naam": "Carla Fictief"},
]
DELIVERIES: Final = [
    delivery(number, RECIPIENT, "nl.voorbeeld.bericht.v1", {"bsn": bsn}) for number, bsn in enumerate(("999990019", "999990020"), 1)
]


def _answer(request: Request) -> Any:
    return ROWS if request.method == "GET" else {"status": "VERWERKT"}


def _settings(model: Connector) -> Any:
    def make(folder: Path, url: str) -> Any:
        return model.settings(url=url, token="geheim-van-de-proef", state_dir=folder / "state")  # noqa: S106

    return make


def rig(made: Connector) -> HttpRig:
    """Return the rig for a connector with some misdeeds."""
    answers = [(RECIPIENT, replace(answer("VERWERKT"), cause=one.delivery_id)) for one in DELIVERIES]
    return HttpRig(
        connector=made, settings=_settings(made), answer=_answer, items=len(ROWS), deliveries=DELIVERIES,
        signals=[*(found for row in ROWS if isinstance(found := translate(row), tuple)), *answers],
        expects=[taken(one) for one in DELIVERIES], public=["VERWERKT", *(d.delivery_id for d in DELIVERIES)],
        secret_values=[value for row in ROWS for value in row.values()],
    )  # fmt: skip


RIG: Final = rig(CONNECTOR)
