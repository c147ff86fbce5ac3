"""Hands deliveries to Toeslagen, asks again about what it has not answered, and publishes the answers: the I/O.

What Toeslagen has not answered yet is remembered as the delivery_id and the kind of message, nothing of its content.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Any, Final, cast

from connectors.kit.flow import Refused, Skipped, Taken, take_all
from connectors.kit.http import Answer, HttpClient
from connectors.kit.state import State
from connectors.toeslagen.settings import ToeslagenSettings
from connectors.toeslagen.translate import RECIPIENT, Kind, Reply, kind_of, message, reply
from hub.client import Delivery, Gateway, RunReport, Track
from hub.errors import RefusedError, StopError

WAITING: Final = "wacht"
"""The space of what Toeslagen has and did not answer yet."""
KEPT: Final = timedelta(days=184)
"""How long an answer is waited for: half a year, as long as the hub keeps the signal."""
MOST: Final = 100
"""About how many messages is asked at a time."""
_SIGNALS: Final = "/adressignalen"
_STATUS: Final = "/adressignalen/status"
_NOT_TAKEN: Final = "http-422"
"""This message will never be taken. Any other 4xx may be our own fault, and ends the run with nothing lost."""


def ping(settings: ToeslagenSettings) -> None:
    """Ask about no message. Raises a HubError when Toeslagen does not answer or does not let this connector in."""
    with _client(settings) as client:
        _ask(client, [])


def run(settings: ToeslagenSettings, gateway: Gateway, track: Track) -> RunReport:
    """Hand over what there is, then ask about what has no answer yet; each delivery and each question is counted once.

    Raises:
        StopError: Toeslagen does not let this connector in, or answers in a form that is not its own.
        RefusedError: Toeslagen does not take the question.
        RetryLaterError: The hub or Toeslagen did not answer. What was done stays; run it again.
    """
    with State(settings.state_dir) as state, _client(settings, gateway) as client:
        desk = _Desk(client, gateway, state, RunReport())
        with gateway.mailbox(RECIPIENT, "toeslagen") as mailbox:
            take_all(gateway, mailbox, desk.report, desk.hand_over)
        desk.give_up()
        waiting = state.entries(WAITING)
        asked = iter(track(list(waiting), total=len(waiting), label="Toeslagen"))
        while names := list(islice(asked, MOST)):
            desk.ask_again({name: cast("Kind", waiting[name][0]) for name in names})
    return desk.report


def _client(settings: ToeslagenSettings, gateway: Gateway | None = None) -> HttpClient:
    return HttpClient(settings.url, gateway, token=settings.token, timeout_seconds=settings.timeout_seconds)


@dataclass(frozen=True, slots=True)
class _Desk:
    """One run."""

    client: HttpClient
    gateway: Gateway
    state: State
    report: RunReport

    def hand_over(self, delivery: Delivery) -> Taken | Skipped | Refused:
        """Give one delivery to Toeslagen under its own id; when it comes again Toeslagen answers and does nothing."""
        kind = kind_of(delivery)
        if kind is None:
            return Skipped("ander-type")
        name = delivery.delivery_id
        try:
            answer = self.client.post(_SIGNALS, message(delivery, kind), key=name)
        except RefusedError as error:
            if error.codes != (_NOT_TAKEN,):
                raise
            return Refused(_NOT_TAKEN)
        said = answer.json()
        if not isinstance(said, dict) or said.get("kenmerk") != name:
            raise _not_toeslagen(answer)
        found = reply(kind, said)
        if isinstance(found, Skipped) or not found.final:
            self.state.put(WAITING, name, kind, self.gateway.now())
        return found if isinstance(found, Skipped) else Taken(found.signals)

    def give_up(self) -> None:
        """Wait no longer for what is too old, and count it."""
        if gone := self.state.forget(WAITING, self.gateway.now() - KEPT):
            self.report.read += gone
            self.report.skipped["nooit-beantwoord"] += gone

    def ask_again(self, waiting: dict[str, Kind]) -> None:
        """Ask about some messages and publish what is final."""
        said = _ask(self.client, list(waiting))
        for name, kind in waiting.items():
            self.report.read += 1
            found = reply(kind, said[name]) if name in said else Skipped("kenmerk-onbekend")
            if isinstance(found, Skipped):
                self.report.skipped[found.reason] += 1
            elif not found.final:
                self.report.skipped["nog-in-behandeling"] += 1
            else:
                self._publish(name, found)

    def _publish(self, name: str, found: Reply) -> None:
        first, *more = self.gateway.publish(RECIPIENT, found.signals)
        self.report.count(first)
        for receipt in more:
            self.report.answered(receipt)
        if all(receipt.status != "rejected" for receipt in (first, *more)):
            self.state.remove(WAITING, name)  # what the hub refused is asked about again


def _ask(client: HttpClient, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return what Toeslagen says of each message that it knows."""
    answer = client.post(_STATUS, {"kenmerken": names})
    said = answer.json()
    found = said.get("berichten") if isinstance(said, dict) else None
    if not isinstance(found, list):
        raise _not_toeslagen(answer)
    return {one["kenmerk"]: one for one in found if isinstance(one, dict) and isinstance(one.get("kenmerk"), str)}


def _not_toeslagen(answer: Answer) -> StopError:
    return StopError(f"{answer.host} gave an answer that is not about this message", "check that url is that of Toeslagen")
