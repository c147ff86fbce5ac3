"""Reads what the CJIB says, publishes it and tells what came of it; then hands deliveries over: the I/O of the connector.

What is remembered: the number up to which was read, and under each number the signal_id by which it can be taken back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from connectors.cjib.settings import CjibSettings
from connectors.cjib.translate import PARTICIPANT, Question, confirmation, message, number_of, signal
from connectors.kit.flow import Refused, Skipped, Taken, take_all
from connectors.kit.http import Answer, HttpClient
from connectors.kit.state import State
from hub.client import Delivery, Gateway, NewSignal, RunReport, Track
from hub.errors import RefusedError, StopError

READ: Final = "gelezen"
"""The space of the number up to which was read."""
SENT: Final = "verstuurd"
"""The space of what came of messages: number -> signal_id."""
KEPT: Final = timedelta(days=549)
"""How long a decision can be taken back: eighteen months, as long as the hub keeps it."""
_UP_TO: Final = "nummer"
_NOT_TAKEN: Final = "http-422"
"""This delivery will never be taken. Any other 4xx may be our own fault, and ends the run with nothing lost."""


def ping(settings: CjibSettings) -> None:
    """Ask for messages and do nothing with them. Raises a HubError when the CJIB does not answer or does not let this connector in."""
    with _client(settings) as client:
        _messages(client, 0)


def run(settings: CjibSettings, gateway: Gateway, track: Track) -> RunReport:
    """Publish what the CJIB says and answer what it asks, then hand over what there is for it; each is counted once.

    Raises:
        StopError: The CJIB does not let this connector in, or answers in a form that is not its own.
        RefusedError: The CJIB does not take the question.
        RetryLaterError: The hub or the CJIB did not answer. What was done stays; run it again.
    """
    with State(settings.state_dir) as state, _client(settings, gateway) as client:
        state.forget(SENT, gateway.now() - KEPT)
        desk = _Desk(client, gateway, state, RunReport())
        while said := _messages(client, desk.up_to()):
            for number, one in track(said, total=len(said), label="CJIB"):
                desk.take_in(number, one)
        with gateway.mailbox(PARTICIPANT, "cjib") as mailbox:
            take_all(gateway, mailbox, desk.report, desk.hand_over)
    return desk.report


def _client(settings: CjibSettings, gateway: Gateway | None = None) -> HttpClient:
    return HttpClient(settings.url, gateway, token=settings.token, timeout_seconds=settings.timeout_seconds)


def _messages(client: HttpClient, after: int) -> list[tuple[int, Mapping[str, Any]]]:
    """Return some messages after a number, with their numbers, in order. Raises StopError when they are not that."""
    answer = client.get("/berichten", {"na": str(after)})
    said = answer.json()
    found = said.get("berichten") if isinstance(said, dict) else None
    if not isinstance(found, list):
        raise _not_cjib(answer)
    numbered: list[tuple[int, Mapping[str, Any]]] = []
    for one in found:
        number = number_of(one)
        if number is None or number <= after:
            raise _not_cjib(answer)
        numbered.append((number, one))
        after = number
    return numbered


@dataclass(frozen=True, slots=True)
class _Desk:
    """One run."""

    client: HttpClient
    gateway: Gateway
    state: State
    report: RunReport

    # --- from the CJIB --------------------------------------------------------------------

    def up_to(self) -> int:
        return int(self.state.get(READ, _UP_TO) or 0)

    def take_in(self, number: int, said: Mapping[str, Any]) -> None:
        """Do what one message asks, tell the CJIB what came of it, and then note that it was read."""
        self.report.read += 1
        found = signal(said, lambda earlier: self.state.get(SENT, str(earlier)))
        if isinstance(found, Skipped):
            self.report.skipped[found.reason] += 1
            self._tell(number, "OVERGESLAGEN", [found.reason])
        elif isinstance(found, Question):
            answer = self.gateway.may(PARTICIPANT, found.keten, found.guard)
            self._tell(number, "MAG" if answer.open else "MAG_NIET", [answer.code] if answer.code else [])
            self.report.delivered += 1
        else:
            self._publish(number, found)
        self.state.put(READ, _UP_TO, str(number), self.gateway.now())

    def _publish(self, number: int, found: NewSignal) -> None:
        (receipt,) = self.gateway.publish(PARTICIPANT, [found])
        self.report.count(receipt)
        if receipt.status != "rejected" and receipt.signal_id:
            self.state.put(SENT, str(number), receipt.signal_id, self.gateway.now())
        self._tell(number, "GEWEIGERD" if receipt.errors else "AANGENOMEN", [error.code for error in receipt.errors])

    def _tell(self, number: int, result: str, reasons: Sequence[str]) -> None:
        body = {"nummer": number, "resultaat": result, "redenen": list(reasons)}
        self.client.post("/terugmeldingen", body, key=f"terugmelding-{number}")

    # --- to the CJIB ----------------------------------------------------------------------

    def hand_over(self, delivery: Delivery) -> Taken | Skipped | Refused:
        """Give one delivery to the CJIB under its own id; when it comes again the CJIB answers and does nothing."""
        found = message(delivery)
        if isinstance(found, Skipped):
            return found
        path, body = found
        try:
            answer = self.client.post(path, body, key=delivery.delivery_id)
        except RefusedError as error:
            if error.codes != (_NOT_TAKEN,):
                raise
            return Refused(_NOT_TAKEN)
        said = answer.json()
        if not isinstance(said, dict) or said.get("kenmerk") != delivery.delivery_id:
            raise _not_cjib(answer)
        confirmed = confirmation(delivery, said.get("status"))
        return confirmed if isinstance(confirmed, Skipped) else Taken(confirmed)


def _not_cjib(answer: Answer) -> StopError:
    return StopError(f"{answer.host} gave an answer that is none to this question", "check that url is that of the CJIB")
