"""Where everything is wired: one place that opens a hub and hands its parts to each other."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from sqlalchemy import func, select

from hub import codec, files, rulebook
from hub.backends import checked_keys, database_of, keys_of, transport_of
from hub.carryover import CarryOver, stranded
from hub.client import NewSignal, Receipt, ReceiptError
from hub.clock import Clock
from hub.codec import Received
from hub.domain import terms
from hub.domain.loading import Loaded, load
from hub.domain.registers import HUB
from hub.envelope import Envelopes
from hub.errors import FaultsError, StopError, UsageError
from hub.keys import Keys
from hub.relay import Relay
from hub.router import Router
from hub.rulebook import Rulebook, Rulebooks
from hub.stopping import Stop, never
from hub.storage.database import REVISION, Database
from hub.storage.names import Names
from hub.storage.tables import Outcome as Recorded
from hub.storage.tables import counters, decisions, signals
from hub.telemetry import log
from hub.transport.base import IN, OUT, ROUTERS, Message
from hub.unsent import Unsent
from hub.work import Outcome

if TYPE_CHECKING:
    from hub.domain.faults import Fault
    from hub.domain.ruleset import RuleSet
    from hub.settings import HubSettings
    from hub.transport.base import Consumer, Record, Transport

BATCH: Final = 500


def system_clock() -> int:
    """Return the moment now, in epoch milliseconds."""
    return terms.to_ms(datetime.now(UTC))


def random_id() -> str:
    """Return a fresh id for a signal."""
    return str(uuid.uuid4())


@dataclass(slots=True)
class MovingClock:
    """A clock that stands where it was put, for `--now`, the demo and examples."""

    now: int

    def __call__(self) -> int:
        """Return the moment at which it stands."""
        return self.now


class NeverBack:
    """The system clock, held at the latest moment that the home has seen: time never runs back."""

    def __init__(self, seen: int) -> None:
        self._seen = seen

    def __call__(self) -> int:
        """Return the moment now, or the latest seen."""
        self._seen = max(self._seen, system_clock())
        return self._seen


class Observer(Protocol):
    """Hears what a process did, to count it."""

    def batch(self, outcomes: Sequence[Outcome], seconds: float) -> None:
        """Hear what became of a batch, and how long it took."""

    def sent(self, count: int) -> None:
        """Hear how many deliveries left."""


class Hub:
    """One opened hub."""

    def __init__(
        self, database: Database, keys: Keys, transport: Transport | None, now_ms: Callable[[], int], oin: str = "00000099000000000000",
        unsent_ms: int = 300_000,
    ) -> None:  # fmt: skip
        self.database = database
        self.keys = keys
        self.now_ms = now_ms
        self.source = f"urn:nld:oin:{oin}:systeem:{HUB}"
        self.names = Names(database)
        self.rulebooks = Rulebooks(database, now_ms, CarryOver(self.names, keys, now_ms))
        self.router = Router(database, self.rulebooks, keys, self.names, now_ms, random_id)
        self.unsent = Unsent(database, now_ms, unsent_ms)
        self.clock = Clock(self.router)
        self.decoder = codec.Decoder(self.rulebooks.schema)
        self.observer: Observer | None = None
        self._transport = transport
        self._relay: Relay | None = None

    @property
    def transport(self) -> Transport:
        """The topics. Raises StopError for a hub that has none (examples)."""
        if self._transport is None:
            msg = "this hub has no transport"
            raise StopError(msg)
        return self._transport

    @property
    def relay(self) -> Relay:
        """The way from recorded deliveries to the topics."""
        if self._relay is None:
            envelopes = Envelopes(self.rulebooks, self.keys, self.names, self.now_ms, self.source)
            self._relay = Relay(self.database, self.transport, envelopes)
        return self._relay

    def with_transport(self, make: Callable[[Names], Transport]) -> Hub:
        """Give the hub its topics; they share its names."""
        self._transport = make(self.names)
        return self

    def close(self) -> None:
        """Let go of the topics and the database."""
        if self._transport is not None:
            self._transport.close()
        self.database.close()

    # --- publishing -----------------------------------------------------------------------

    def encode(self, participant: str, signal: NewSignal) -> Received:
        """Return a signal as the structured JSON event that its publisher would send."""
        found = self.rulebooks.current.ruleset.participants.find(participant)
        attributes: dict[str, Any] = {
            "id": signal.id if signal.id is not None else random_id(),
            "source": found.source if found else "",
            "type": signal.type,
            "time": _time_text(signal.time, self.now_ms()),
        }
        links = {"correlationid": signal.correlation, "causationid": signal.cause, "vervangt": signal.replaces}
        attributes |= {name: value for name, value in links.items() if value is not None}
        return Received(participant, codec.structured(attributes, signal.data))

    def publish(self, participant: str, signals: Sequence[NewSignal]) -> list[Receipt]:
        """Publish and decide at once, as `hub.client.Gateway` has it."""
        receipts: list[Receipt] = []
        for start in range(0, len(signals), BATCH):
            events = [self.encode(participant, signal) for signal in signals[start : start + BATCH]]
            outcomes = self.router.process(events)
            deferred = self._deferred([outcome.signal_id for outcome in outcomes])
            receipts += [
                replace(self.receipt(outcome), deferred=outcome.status != "rejected" and outcome.signal_id in deferred)
                for outcome in outcomes
            ]
        return receipts

    def _deferred(self, signal_ids: Iterable[bytes | None]) -> set[bytes]:
        """Return which of these signals had a delivery that had to wait; their publisher was told of each."""
        with self.database.read() as connection:
            rows = connection.execute(
                select(signals.c.signal_id).join(decisions, decisions.c.signal == signals.c.id)
                .where(signals.c.signal_id.in_(signal_ids), decisions.c.outcome == Recorded.DEFER, decisions.c.reason == "wacht-op-ruimte")
            )  # fmt: skip
            return set(rows.scalars())

    def send(self, participant: str, signals: Sequence[NewSignal]) -> None:
        """Put signals on the publisher's ingress topic; a router handles them later."""
        events = [self.encode(participant, signal) for signal in signals]
        self.transport.send(IN + participant, [Message(event.body, event.headers) for event in events])

    def receipt(self, outcome: Outcome) -> Receipt:
        """Return what a publisher may know of what became of its signal.

        A keten that it named itself comes back under that name, any other as its own handle.
        """
        errors = tuple(ReceiptError(fault.code, fault.field, fault.text) for fault in outcome.faults)
        signal_id = str(uuid.UUID(bytes=outcome.signal_id)) if outcome.signal_id else None
        correlation = None
        if outcome.keten is not None:
            correlation = outcome.correlation or str(uuid.UUID(bytes=self.keys.keten_handle(outcome.publisher, outcome.keten)))
        return Receipt(outcome.id or "", signal_id, correlation, outcome.status, errors)

    # --- running --------------------------------------------------------------------------

    def route_once(self, consumer: Consumer, stop: Stop = never) -> int:
        """Handle one batch from the ingress topics. Commits only what is recorded."""
        records = consumer.poll(BATCH, stop)
        if records:
            began = time.perf_counter()
            try:
                outcomes = self.router.process([received(record) for record in records])
                consumer.commit(records)
            except BaseException:
                consumer.rewind()
                raise
            if self.observer is not None:
                self.observer.batch(outcomes, time.perf_counter() - began)
            tally = {s: sum(o.status == s for o in outcomes) for s in ("accepted", "duplicate", "rejected")}
            log.info("batch_recorded", **tally)
        return len(records)

    def run_once(self) -> int:
        """Work until nothing is pending: ingress, due terms, relay. Returns how many things were done."""
        consumer = self.transport.consumer(ROUTERS, IN)
        total = 0
        try:
            while done := self.drain(consumer):
                total += done
        finally:
            consumer.close()
        for why in self.relay.failing.values():
            raise why
        return total

    def drain(self, consumer: Consumer, stop: Stop = never) -> int:
        """Take one turn: a batch from ingress, due terms, deliveries. Returns how many things were done."""
        done = self.route_once(consumer, stop) + self.clock.run_once(stop) + self.transport.expire()
        try:
            return done + self.relay_once(stop)
        finally:
            self.unsent.sweep()  # what is left now did not leave by itself

    def clock_once(self, stop: Stop = never) -> int:
        """Let fall due what is due, and look what stays unsent. Returns how many things changed."""
        done = self.clock.run_once(stop)
        self.unsent.sweep()
        return done

    def relay_once(self, stop: Stop = never) -> int:
        """Send the next of what is ready, unless told to stop between batches. Returns how many deliveries left."""
        sent = self.relay.run_once(stop)
        if self.observer is not None:
            self.observer.sent(sent)
        return sent

    # --- reading --------------------------------------------------------------------------

    def received_by(self, recipient: str) -> list[Record]:
        """Return everything on the topic of a recipient, from the beginning."""
        consumer = self.transport.consumer(None, OUT + recipient, exact=True)
        found: dict[bytes, Record] = {}
        while records := consumer.poll(10_000):
            for record in records:
                found.setdefault(record.message.headers["ce_id"], record)  # a repeat is dropped
        return list(found.values())

    def ever_deferred(self) -> dict[str, int]:
        """Return by recipient how many deliveries ever waited for room."""
        with self.database.read() as connection:
            rows = connection.execute(
                select(decisions.c.recipient, func.count()).where(decisions.c.outcome == Recorded.DEFER).group_by(decisions.c.recipient)
            ).all()
            return {self.names.name(connection, row[0]): row[1] for row in rows}


def _time_text(time: datetime | str | None, now: int) -> str:
    if time is None:
        return terms.iso_utc(now)
    return terms.iso_utc(terms.to_ms(time)) if isinstance(time, datetime) else time  # admission judges what is not ours


def received(record: Record) -> Received:
    """Return a record of an ingress topic as an event of the topic's participant."""
    return Received(record.topic.removeprefix(IN), record.message.value, record.message.headers)


# --- opening ------------------------------------------------------------------------------


def load_files(settings: HubSettings) -> Loaded:
    """Read and check the rule and schema files; faults carry the paths that the user knows."""
    rules, schemas = folders(settings)
    loaded = load(files.read(rules, schemas))
    return Loaded(loaded.ruleset, tuple(name_faults(loaded.faults, settings)))


def incompatible(settings: HubSettings, ruleset: RuleSet) -> list[Fault]:
    """Hold contracts and processes against what a home stored under them. Changes nothing there."""
    if settings.database_url is None and not (settings.home / "hub.db").exists():
        return []
    database = database_of(settings)
    try:
        if database.revision() != REVISION:
            return []  # what an older version of the hub stored is looked at after `upgrade`
        names, keys = Names(database), keys_of(settings)
        with database.read() as connection:
            broken = rulebook.incompatible(connection, ruleset)
            if keys is None:
                return [*broken, *stranded(connection, names, ruleset)]
            return [*broken, *CarryOver(names, keys, system_clock).faults(connection, ruleset)]
    finally:
        database.close()


def name_faults(faults: Iterable[Fault], settings: HubSettings) -> list[Fault]:
    """Return faults with the paths of the files as the user knows them."""
    rules, schemas = folders(settings)
    return [_named(fault, {"rules": rules, "schemas": schemas}) for fault in faults]


def folders(settings: HubSettings) -> tuple[Path, Path]:
    """Return the folders of rules and schemas."""
    return settings.rules_dir or files.default_folder("rules"), settings.schemas_dir or files.default_folder("schemas")


def _named(fault: Fault, folders: Mapping[str, Path]) -> Fault:
    kind, _, name = fault.file.partition("/")
    return replace(fault, file=str(folders[kind] / name)) if kind in folders and name else fault


def open_hub(settings: HubSettings, *, now: int | None = None, clock: Callable[[], int] | None = None, adopt: bool = True) -> Hub:
    """Open the hub of a home, making what is not there yet, with the rules in force.

    A broken rule set is not taken up: the one that was in force stays, with a warning. Raises
    FaultsError if there was none, StopError for a wrong key or damaged database, UsageError for a
    `now` before what the home has seen.
    """
    home = settings.home
    _make_home(home)
    given = keys_of(settings)
    database = database_of(settings)
    try:
        database.upgrade()
        keys = checked_keys(database, given, settings)
        now_ms = clock or _clock(database, now)
        hub = Hub(database, keys, None, now_ms, settings.oin, settings.unsent_alarm_seconds * 1000)
        hub.with_transport(lambda names: transport_of(settings, database, keys, names, now_ms))
        if adopt or hub.rulebooks.resume() is None:
            _take_up(hub, settings)
    except BaseException:
        database.close()
        raise
    return hub


def _make_home(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as exc:
        msg = f"the home {home} cannot be made ({exc.strerror})"
        raise StopError(msg, "choose another with --home, or check the rights") from None


def _clock(database: Database, now: int | None) -> Callable[[], int]:
    with database.read() as connection:
        seen = connection.execute(select(counters.c.value).where(counters.c.name == "now")).scalar() or 0
    if now is None:
        return NeverBack(seen)
    if now < seen:
        msg = f"this home has already seen {terms.iso_utc(seen)}; its clock cannot go back"
        raise UsageError(msg, "give a later --now, or use a fresh --home")
    return MovingClock(now)


def _take_up(hub: Hub, settings: HubSettings) -> Rulebook:
    try:
        return hub.rulebooks.adopt(load_files(settings).unwrap())
    except FaultsError as exc:
        resumed = hub.rulebooks.resume()
        if resumed is None:
            raise
        log.error("rules_refused", faults=len(exc.faults))
        return resumed


def open_for_examples(ruleset: RuleSet, clock: MovingClock, like: Hub | None = None) -> Hub:
    """Open a hub in memory that lives for one example, with fixed keys and no topics.

    `like` is an earlier one with the same rules in which nothing has happened: its tables are copied, which is
    quicker than to make them.
    """
    database = Database("sqlite://")
    if like is None:
        database.create()
    else:
        database.copy_of(like.database)
    hub = Hub(database, Keys({1: bytes(32)}), None, clock)
    hub.rulebooks.adopt(ruleset)
    return hub
