"""Asks an invented system for rows and hands it deliveries: right, but for the misdeeds that it was made with."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import httpx

from connectors.hostile.settings import CarelessSettings, HostileSettings, Misdeed
from connectors.hostile.translate import RECIPIENT, answer, taken, translate
from connectors.kit.flow import Outgoing, Refused, Skipped, Taken, publish_all, take_all
from connectors.kit.http import HttpClient
from connectors.kit.ids import id_key, identified
from hub.client import Connector, Delivery, Gateway, Mailbox, RunReport, Track
from hub.errors import RefusedError, RetryLaterError

_FOREVER: Final = 3600.0
_FIELD: Final = re.compile(r'"(\w+)": "([^"]*)').findall


def connector(misdeeds: frozenset[Misdeed]) -> Connector:
    """Return a connector that commits these misdeeds, and is right in all else."""
    hostile = _Hostile(misdeeds)
    return Connector(
        name="hostile", summary="Does wrong on purpose, to test the conformance suite.", kind="both",
        settings=CarelessSettings if Misdeed.SETTINGS in misdeeds else HostileSettings, ping=hostile.ping, run=hostile.run,
    )  # fmt: skip


class _Hostile:
    def __init__(self, misdeeds: frozenset[Misdeed]) -> None:
        self._misdeeds = misdeeds

    def ping(self, settings: Any) -> None:
        if Misdeed.PING not in self._misdeeds:
            with self._client(settings, None) as client:
                client.get("/ping")

    def run(self, settings: Any, gateway: Gateway, track: Track) -> RunReport:
        report = RunReport()
        for part in (self._publish, self._deliver):
            try:
                part(settings, gateway, track, report)
            except RetryLaterError:
                if not {Misdeed.UNREACHABLE, Misdeed.HUB_AWAY} & self._misdeeds:
                    raise
        if Misdeed.REFUSED in self._misdeeds:
            report.read -= report.refused.total()
            report.refused, report.answers = Counter(), Counter()
        return report

    # --- rows -----------------------------------------------------------------------------

    def _publish(self, settings: Any, gateway: Gateway, track: Track, report: RunReport) -> None:
        if Misdeed.SECRETS in self._misdeeds:
            logging.getLogger("hostile").warning("token %s", settings.token.get_secret_value())
        rows = self._rows(settings, gateway)
        key = id_key(settings.state_dir)
        publish_all(gateway, report, self._signals(track(rows, total=len(rows), label="hostile"), key))

    def _rows(self, settings: Any, gateway: Gateway) -> Sequence[Mapping[str, str]]:
        with self._client(settings, gateway) as client:
            if {Misdeed.TRUNCATED, Misdeed.ENCODING} & self._misdeeds:
                return self._read_raw(settings)
            rows: Sequence[Mapping[str, str]] = self._insistently(lambda: client.get("/rijen")).json()
            return rows

    def _read_raw(self, settings: Any) -> Sequence[Mapping[str, str]]:
        """Take what came, whether it was all of it and whatever it was."""
        found = bytearray()
        try:
            with httpx.stream("GET", f"{settings.url}/rijen", timeout=self._patience(settings), trust_env=False) as response:
                for chunk in response.iter_bytes():
                    found += chunk
        except httpx.TransportError:
            if Misdeed.TRUNCATED not in self._misdeeds:
                raise RetryLaterError("the system did not answer") from None
        text = found.decode("utf-8", "strict" if Misdeed.ENCODING in self._misdeeds else "ignore")
        return [dict(_FIELD(part)) for part in text.split("{")[1:]]

    def _signals(self, rows: Any, key: bytes) -> Iterator[Outgoing | Skipped]:
        for row in rows:
            if Misdeed.CANARY in self._misdeeds:
                logging.getLogger("hostile").info("row %s", row)
            outcome = translate(row)
            if isinstance(outcome, Skipped):
                if Misdeed.TOTAL not in self._misdeeds:
                    yield outcome
                continue
            participant, signal = outcome
            if Misdeed.ROUND_TRIP in self._misdeeds:
                signal = replace(signal, data={**signal.data, "naam": "iemand anders"})
            yield participant, signal if Misdeed.TWICE in self._misdeeds else identified(signal, key, "hostile")

    # --- deliveries -----------------------------------------------------------------------

    def _deliver(self, settings: Any, gateway: Gateway, _track: Track, report: RunReport) -> None:
        with self._client(settings, gateway) as client, gateway.mailbox(RECIPIENT, "hostile") as mailbox:
            hasty = _Hasty(mailbox) if Misdeed.KILLED in self._misdeeds else mailbox
            take_all(gateway, hasty, report, lambda delivery: self._hand_over(client, delivery))

    def _hand_over(self, client: HttpClient, delivery: Delivery) -> Taken | Refused:
        key = None if Misdeed.REPEATS in self._misdeeds else delivery.delivery_id
        try:
            found = self._insistently(lambda: client.post("/berichten", taken(delivery), key=key)).json()
        except RefusedError as error:
            return Refused(error.codes[0])
        return Taken([answer(found["status"])])

    # --- asking ---------------------------------------------------------------------------

    def _client(self, settings: Any, gateway: Gateway | None) -> HttpClient:
        eager = gateway if gateway is None or not {Misdeed.SERVER_ERROR, Misdeed.RATE_LIMIT} & self._misdeeds else _Eager(gateway)
        return HttpClient(settings.url, eager, token=settings.token, timeout_seconds=self._patience(settings))  # type: ignore[arg-type]

    def _patience(self, settings: Any) -> float:
        return _FOREVER if Misdeed.TIMEOUT in self._misdeeds else settings.timeout_seconds

    def _insistently(self, ask: Callable[[], Any]) -> Any:
        """Ask again what was refused, if that is the misdeed."""
        for _ in range(4 if Misdeed.CLIENT_ERROR in self._misdeeds else 0):
            try:
                return ask()
            except RefusedError:
                continue
        return ask()


class _Eager:
    """A gateway on which nobody waits."""

    def __init__(self, gateway: Gateway) -> None:
        self.now = gateway.now

    def pause(self, seconds: float) -> None:
        """Go on at once."""


class _Hasty:
    """A mailbox that says done before anything is."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    def next(self, limit: int = 500) -> list[Delivery]:
        found = self._mailbox.next(limit)
        self._mailbox.done(found)
        return found

    def done(self, deliveries: Sequence[Delivery]) -> None:
        """It was said already."""

    def close(self) -> None:
        self._mailbox.close()

    def __enter__(self) -> _Hasty:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
