"""Dienst Toeslagen: takes messages about addresses with exactly the fields of the view, and answers now or later."""

from __future__ import annotations

from typing import Any

from connectors.kit.counterpart import Counterpart
from connectors.toeslagen.rig import asks, playing


class Toeslagen(Counterpart):
    """Answers with what a test says, which may change while it listens.

    Attributes:
        first: The status of a message when it comes, by its kind.
        later: The status of every message when it is asked for; None when Toeslagen knows none of them.
    """

    def __init__(self, token: str = "", day: str = "2026-11-02") -> None:
        self.first = {"MELDING": "AANGEPAST", "CORRECTIE": "AANGEPAST", "UITKOMST": "ONGEWIJZIGD", "INTREKKING": "AANGEPAST"}
        self.later: str | None = "IN_BEHANDELING"
        super().__init__(playing(lambda body: self.first[body["soort"]], lambda _: self.later, token, day), asks=asks)

    def __enter__(self) -> Toeslagen:
        super().__enter__()
        return self

    @property
    def taken(self) -> list[dict[str, Any]]:
        """The messages that it took, in order."""
        return list(self.held.values())
