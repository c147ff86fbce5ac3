"""What a process measures of itself, for Prometheus. The names are a closed list: `docs/metrics.md` has each, and no other.

Labels hold codes only: outcomes and reason codes, never a participant, a type or anything that a signal says.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import Select, func, select, text

from hub.errors import HubError
from hub.storage.tables import Rejection, State, deliveries, rejections

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from hub.storage.database import Database
    from hub.unsent import Unsent
    from hub.work import Outcome


class Metrics:
    """The counters of one process, and what it reads from the database when it is asked."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._received = Counter("hub_received", "Records taken from ingress topics.", registry=self.registry)
        self._admitted = Counter("hub_admitted", "Signals that were accepted.", registry=self.registry)
        self._repeated = Counter("hub_repeated", "Signals that were there already.", registry=self.registry)
        self._refused = Counter("hub_refused", "Signals that were refused, by the first reason.", ["reason"], registry=self.registry)
        self._decisions = Counter("hub_decisions", "Decisions on accepted signals.", ["outcome"], registry=self.registry)
        self._deliveries = Counter("hub_deliveries", "Deliveries that left.", registry=self.registry)
        self._queues: _Queues | None = None
        self._batch = Histogram("hub_batch_seconds", "Time from a batch of records to its commit.", registry=self.registry)

    def batch(self, outcomes: Sequence[Outcome], seconds: float) -> None:
        """Count what became of a batch."""
        self._received.inc(len(outcomes))
        self._batch.observe(seconds)
        for outcome in outcomes:
            if outcome.status == "rejected":
                self._refused.labels(outcome.faults[0].code if outcome.faults else "onbekend").inc()
            else:
                (self._admitted if outcome.status == "accepted" else self._repeated).inc()
            for _, decided in outcome.decisions:
                self._decisions.labels(decided).inc()

    def sent(self, count: int) -> None:
        """Count deliveries that left."""
        self._deliveries.inc(count)

    def watch(self, database: Database, now_ms: Callable[[], int], lag: Callable[[], int], unsent: Unsent) -> None:
        """Tell from now on also how the queues of this database stand; `lag` counts what routers have yet to take."""
        self._queues = _Queues(database, now_ms, lag, unsent)
        self.registry.register(self._queues)

    def unwatch(self) -> None:
        """Tell no longer how the queues stand: the database is being closed."""
        if self._queues is not None:
            self.registry.unregister(self._queues)
            self._queues = None


class _Queues(Collector):
    """How the queues stand, read at the moment of asking. What cannot be read is left out."""

    def __init__(self, database: Database, now_ms: Callable[[], int], lag: Callable[[], int], unsent: Unsent) -> None:
        self._database = database
        self._now_ms = now_ms
        self._lag = lag
        self._unsent = unsent

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand: the registry must not ask the database while it is being made."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Yield the gauges."""
        try:
            with self._database.read() as connection:
                found = {state: connection.execute(_in(state)).one() for state in (State.READY, State.WAITING)}
                refused = connection.execute(
                    select(func.count(), func.min(rejections.c.received_at)).where(text(f"rejections.state = {int(Rejection.OPEN)}"))
                ).one()
            overdue, _, _ = self._unsent.overdue()
        except HubError:
            return
        depth = GaugeMetricFamily("hub_queue_depth", "Deliveries that are recorded and have not left.", labels=["state"])
        for state, (count, _) in found.items():
            depth.add_metric([state.name.lower()], count)
        yield depth
        unsent = found[State.READY][1]
        yield GaugeMetricFamily("hub_oldest_unsent_seconds", "Age of the oldest delivery that could leave.", value=self._age(unsent))
        yield GaugeMetricFamily("hub_unsent_overdue", "Deliveries that could leave and have not for too long.", value=overdue)
        yield GaugeMetricFamily("hub_refused_open", "Refused signals that nobody has handled yet.", value=refused[0])
        yield GaugeMetricFamily("hub_oldest_refused_seconds", "Age of the oldest of those.", value=self._age(refused[1]))
        with contextlib.suppress(HubError):
            yield GaugeMetricFamily("hub_consumer_lag", "Records on ingress topics that routers have yet to take.", value=self._lag())

    def _age(self, since: int | None) -> float:
        return 0.0 if since is None else max(self._now_ms() - since, 0) / 1000


def _in(state: State) -> Select[int, Any]:
    """Count the deliveries in a state, and find the oldest; each state that is asked for has an index of its own."""
    number = text(f"deliveries.state = {int(state)}")  # written out, or the index, which is for one state, would not be used
    return select(func.count(), func.min(deliveries.c.at)).where(number)
