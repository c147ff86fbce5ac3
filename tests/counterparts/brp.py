"""The BRP personen API: refuses more than 20 persons, fields that this purpose does not need, and who has no token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.brp.rig import playing
from connectors.kit.counterpart import Counterpart, Request


class Brp(Counterpart):
    """Answers about the persons that it is given; they may change while it listens. Keeps every question, in order."""

    def __init__(self, persons: Mapping[str, Mapping[str, Any]], token: str = "") -> None:
        self.questions: list[dict[str, Any]] = []
        respond = playing(persons, token)

        def answer(request: Request) -> Any:
            if request.method == "POST":
                self.questions.append(request.json)
            return respond(request)

        super().__init__(answer)

    def __enter__(self) -> Brp:
        super().__enter__()
        return self
