"""The canary through Apache Kafka and PostgreSQL: publishers and recipients with clients of their own, and all that a cluster says on the way.

What goes in comes through real topics, under keys that are markers too. What a recipient's client sees, the text of `/metrics`, every
line of the log at its loudest and every row of the database are searched like the surfaces of one machine (`test_canary.py`).
"""

from __future__ import annotations

import json
import logging
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from sqlalchemy import select

from hub import explain, rejections
from hub.app import Hub
from hub.client import NewSignal
from hub.codec import Received, frame, write_avro
from hub.domain import terms
from hub.health import Health, served
from hub.metrics import Metrics
from hub.storage.tables import metadata
from hub.telemetry import EVENTS
from hub.transport.base import IN, OUT, ROUTERS
from tests.integration.canary import of_table
from tests.integration.flight import flying, measured
from tests.integration.support import LANDLORD, TILBURG
from tests.integration.test_canary import (
    CASE,
    EVERYTHING,
    EVERYWHERE,
    GRANTED,
    STEP,
    Proof,
    broken_avro,
    event,
    refused_data,
    refused_events,
)
from tests.sample import ADDRESS, DEBT
from tests.services import EmptyDatabase, KafkaServer, own_kafka

SEEN_BY_DEBT: Final = ("naam", "voornaam", "geboren", "postcode", "telefoon", "email", "bedrag")


@pytest.fixture
def broker() -> Iterator[KafkaServer]:
    """A broker of this test alone: the topics of a hub have one name everywhere."""
    with own_kafka() as server:
        yield server


@pytest.fixture
def flight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres: EmptyDatabase, broker: KafkaServer) -> Iterator[Proof]:
    """A flight on a cluster. At debug the client of Kafka logs requests whole, and nothing in the hub turns it up that far."""
    monkeypatch.setenv("HUB_DATABASE_URL", postgres.url)
    monkeypatch.setenv("HUB_KAFKA_BOOTSTRAP", broker.bootstrap)
    monkeypatch.setenv("HUB_KAFKA_SESSION_MS", "2000")
    client = logging.getLogger("kafka")
    before = client.level
    client.setLevel(logging.INFO)
    with flying(tmp_path, monkeypatch, Proof) as made:
        yield made
    client.setLevel(before)


class Clients:
    """The clients of participants: they know brokers and topics, and nothing of the hub."""

    def __init__(self, flight: Proof, broker: KafkaServer) -> None:
        self.flight, self.broker = flight, broker
        self.sent = 0
        self.own_names = 0

    def publish(self, *events: Received) -> None:
        """Put records on the topics of their publishers, each under a marker as its key."""
        producer = KafkaProducer(**self.broker.client(), acks="all")
        for one in events:
            key = self.flight.aviary.mint("id", "sleutel").encode()
            producer.send(IN + one.participant, value=one.body, key=key, headers=list(one.headers.items())).get(30)
            self.sent += 1
        producer.close()

    def is_own(self, recipient: str, name: str, value: bytes) -> bool:
        """Say whether a header is the name that this recipient itself gave to a keten."""
        own = recipient == TILBURG and name == "ce_correlationid" and value.decode() in self.flight.aviary.kinds["keten"]
        self.own_names += own
        return own

    def read(self, hub: Hub) -> None:
        """Read everything that the hub sent, and keep apart what a recipient may see: the value of a delivery, and nothing beside it."""
        flight = self.flight
        flight.received.clear()
        consumer = KafkaConsumer(**self.broker.client(), auto_offset_reset="earliest", enable_auto_commit=False)
        topics = sorted(consumer.topics())
        flight.surfaces.add("topic names", "\n".join(topics))
        held = [TopicPartition(topic, part) for topic in topics if topic.startswith(OUT) for part in consumer.partitions_for_topic(topic)]
        ends = consumer.end_offsets(held)
        consumer.assign(held)
        while any(consumer.position(partition) < end for partition, end in ends.items()):
            for partition, records in consumer.poll(timeout_ms=500).items():
                for record in records:
                    beside = repr((record.topic, record.partition, record.timestamp, record.key))
                    flight.surfaces.add("beside a delivery", beside)
                    recipient = partition.topic.removeprefix(OUT)
                    headers = [f"{name}: {value.decode()}" for name, value in record.headers if not self.is_own(recipient, name, value)]
                    flight.surfaces.add("headers of a delivery", "\n".join(headers))
                    data = json.dumps(hub.decoder.data(record.value), ensure_ascii=False).encode()
                    flight.received[recipient] = flight.received.get(recipient, b"") + record.value + data + b"\n"
        consumer.close()


def in_avro(hub: Hub, flight: Proof, data: dict[str, Any]) -> Received:
    """Return a signal in Kafka binary mode."""
    book = hub.rulebooks.current
    wire, issues = book.ruleset.types[EVERYTHING].check_json(data)
    assert not issues
    found = event(TILBURG, EVERYTHING, flight.aviary.mint("id", "avro.id"), None)
    headers = {f"ce_{name}": str(value).encode() for name, value in found.items() if name != "data"}
    return Received(TILBURG, frame(book.contract_ids[EVERYTHING], write_avro(book.ruleset.types[EVERYTHING].wire, wire)), headers)


def route(hub: Hub, clients: Clients) -> None:
    """Let one router, a clock and a relay take all that was published, and say in the log what they do."""
    consumer = hub.transport.consumer(ROUTERS, IN)
    turns = 200
    while clients.sent and turns:
        clients.sent -= hub.route_once(consumer)
        turns -= 1
    consumer.close()
    assert clients.sent == 0
    while hub.clock.run_once() + hub.relay_once():
        pass


def send_what_is_right(hub: Hub, flight: Proof, clients: Clients) -> None:
    aviary = flight.aviary
    one, other, opened, debt, address = aviary.everything(), aviary.everything(), aviary.everything(), aviary.debt(), aviary.address()
    keten = aviary.mint("keten", "keten")
    clients.publish(
        hub.encode(TILBURG, NewSignal(type=EVERYTHING, data=one, id=aviary.mint("id", "id"), correlation=keten)),
        in_avro(hub, flight, other),
        hub.encode(TILBURG, NewSignal(type=CASE, data=opened, correlation=aviary.mint("keten", "zaak"))),
        hub.encode(LANDLORD, NewSignal(type=DEBT, data=debt)),
        hub.encode(TILBURG, NewSignal(type=ADDRESS, data=address)),
    )
    route(hub, clients)
    for data in (one, other):
        for recipient in (*EVERYWHERE, "schuldhulp.0855"):  # to the last of these one a month, so the second is released in December
            flight.expect(recipient, data, GRANTED[recipient])
    flight.expect("toeslagen", opened, ("kenmerk", "bsn"))
    flight.expect("cjib", opened, ("cjib",))
    flight.expect("schuldhulp.0772", debt, SEEN_BY_DEBT)
    flight.expect("toeslagen", address, ("bsn", "bag_id", "gba"))
    step, (case,) = aviary.step(1), flight.known(hub, "toeslagen", CASE)
    clients.publish(hub.encode("toeslagen", NewSignal(type=STEP, data=step, cause=case)))
    route(hub, clients)
    flight.expect(TILBURG, step, ("stap-kenmerk",))


def send_what_is_wrong(hub: Hub, flight: Proof, clients: Clients) -> None:
    known = hub.rulebooks.current.ruleset.participants
    wrong = refused_events(flight.aviary) + broken_avro(hub, flight.aviary)
    wrong += [hub.encode(TILBURG, NewSignal(type=EVERYTHING, data=data)) for data in refused_data(flight.aviary)]
    clients.publish(*(one for one in wrong if known.find(one.participant)))  # a stranger has no topic
    route(hub, clients)
    failed = flight.aviary.everything()

    def breaks(*given: object) -> Any:
        raise ValueError(json.dumps(failed), given)

    clients.publish(hub.encode(TILBURG, NewSignal(type=EVERYTHING, data=failed)))
    with flight.patch.context() as patch:
        patch.setattr("hub.work.decide", breaks)
        route_one(hub, clients)
    route(hub, clients)


def route_one(hub: Hub, clients: Clients) -> None:
    """Let a router take what was published while the rest stands still."""
    consumer = hub.transport.consumer(ROUTERS, IN)
    while clients.sent:
        clients.sent -= hub.route_once(consumer)
    consumer.close()


def ask(hub: Hub, flight: Proof, metrics: Metrics) -> None:
    """Ask for everything that an operator asks for."""
    add = flight.surfaces.add
    with served(Health(metrics, lambda: True), "127.0.0.1", 0) as port:
        for path in ("metrics", "live", "ready"):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=20) as answer:
                add(f"/{path}", answer.read())
                add(f"/{path} (headers)", str(answer.headers))
    for entry in rejections.listing(hub):
        add("rejection", json.dumps(rejections.show(hub, entry["rejection"]), ensure_ascii=False))
    for recipient in EVERYWHERE:
        for id_ in flight.known(hub, recipient, EVERYTHING):
            told = explain.find(hub, id_)
            assert told is not None
            add("why", told.as_prose())
    for command in ("unsent list --all", "unsent list --all --json", "rejections list --all", "topics plan", "quota show"):
        flight.run(*command.split(), of_rules=command == "topics plan")
    with hub.database.read() as connection:
        for table in metadata.sorted_tables:
            rows = [tuple(row) for row in connection.execute(select(table)).all()]
            of_table(flight.surfaces, "on PostgreSQL", table.name, list(table.columns.keys()), rows)


def test_on_a_cluster_the_markers_appear_in_deliveries_that_grant_them_and_nowhere_else(
    flight: Proof, broker: KafkaServer, capsys: pytest.CaptureFixture[str]
) -> None:
    clients = Clients(flight, broker)
    with flight.opened() as hub:
        metrics = measured(hub)
        send_what_is_right(hub, flight, clients)
        send_what_is_wrong(hub, flight, clients)
        ask(hub, flight, metrics)
        flight.clock.now = terms.moment("2026-12-01T00:00")
        hub.clock.run_once()
        flight.clock.now += 3_600_000
        hub.clock_once()  # what was released has not left for an hour
        ask(hub, flight, metrics)
        route(hub, clients)
        clients.read(hub)
        assert clients.own_names > 0
    logged = flight.printed(capsys)

    events = {json.loads(line)["event"] for line in logged.splitlines() if line.startswith("{")}
    assert events <= EVENTS.keys()
    assert events >= {
        "signal_received",
        "signal_recorded",
        "signal_decided",
        "delivery_sent",
        "batch_recorded",
        "signal_failed",
        "deliveries_unsent",
    }
    leaks = flight.surfaces.leaks(flight.aviary)
    assert not leaks, "\n".join(leaks[:40])
    for recipient, content in flight.received.items():
        assert flight.aviary.found_in(content) == flight.seen_by.get(recipient, set()), recipient
    assert flight.seen_by.keys() <= flight.received.keys()
    assert {name for name, _ in flight.surfaces.found} >= {
        "/metrics",
        "headers of a delivery",
        "beside a delivery",
        "topic names",
        "standard error",
    }
