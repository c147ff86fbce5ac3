"""The CJIB: takes requests and reminders with exactly the fields of the views, decides, plans, and asks before it acts."""

from __future__ import annotations

from typing import Any

from connectors.cjib.rig import decision, plan, playing
from connectors.kit.counterpart import Counterpart


class Cjib(Counterpart):
    """Says what a test lets it say; carries out a step only after it asked and heard that it may.

    Attributes:
        status: With which status it takes a delivery, by what it calls it; ONTVANGEN for any other.
    """

    def __init__(self, token: str = "") -> None:
        self.status: dict[str, str] = {}
        self._says: list[dict[str, Any]] = []
        super().__init__(playing(self._says, lambda body: self.status.get(body["soort"], "ONTVANGEN"), token))

    def __enter__(self) -> Cjib:
        super().__enter__()
        return self

    # --- what it says ---------------------------------------------------------------------

    def say(self, kind: str, **more: Any) -> int:
        """Say something of this kind; return the number of the message."""
        number = len(self._says) + 1
        self._says.append({"nummer": number, "soort": kind, **more})
        return number

    def decides(self, request: str, **more: Any) -> int:
        """Decide on a request, by default to hold the collection."""
        return self.say("BESLUIT", **_unnumbered(decision(1, request, **more)))

    def plans(self, request: str | None, **more: Any) -> int:
        """Announce a step."""
        return self.say("MAATREGEL", **_unnumbered(plan(1, request, **more)))

    def asks_whether(self, keten: str, step: str) -> int:
        """Ask whether a step may be taken now."""
        return self.say("VRAAG", keten=keten, stap=step)

    # --- what it heard --------------------------------------------------------------------

    def told(self, number: int) -> tuple[str, list[str]]:
        """What came of a message: the result and the reasons."""
        body = self.held[f"terugmelding-{number}"]
        return body["resultaat"], body["redenen"]

    @property
    def taken(self) -> list[dict[str, Any]]:
        """The deliveries that it took, in order."""
        return [body for body in self.held.values() if "kenmerk" in body]

    @property
    def worklist(self) -> list[tuple[str, str | None]]:
        """Code and last day of the reminders that its people have to look at, in order."""
        reminders = [body["gegevens"] for body in self.taken if body["soort"] == "HERINNERING"]
        return [(body["code"], body["uiterlijk"]) for body in reminders]


def _unnumbered(said: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in said.items() if name not in {"nummer", "soort"}}
