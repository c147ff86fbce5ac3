"""Rounds of one kind of trouble each: what goes wrong under load, besides processes that are killed."""

from __future__ import annotations

import time
from typing import Any, Final

import psycopg
from kafka import KafkaConsumer, TopicPartition

from hub.transport.base import OUT
from tests.proof.cluster import RESTLESS, RESTLESS_FOR, KillingOnServices
from tests.services.postgres import plain

WORKING: Final = ("router-1", "router-2", "relay-1", "clock")
STILL: Final = 1.5
"""Seconds in which what was on its way has left, and then in which nothing may be recorded."""


def topics_dealt_anew(killing: KillingOnServices) -> None:
    """Two routers, and one that joins and leaves all the time; a batch that is under way goes to another member before it is committed."""
    with killing.working(["router-1", RESTLESS, "relay-1", "clock"]):
        time.sleep(2.5 * RESTLESS_FOR)
    killing.happened["joined and left"] = killing.joined.stat().st_size


def relays_killed(killing: KillingOnServices) -> None:
    """Relays are killed and started again while everything else goes on."""
    with killing.working(["router-1", "relay-1", "relay-2", "clock"]) as children:
        for _ in range(4):
            time.sleep(killing.random.random() * killing.life / 2)
            role = killing.random.choice(["relay-1", "relay-2"])
            killing.kill(children[role])
            children[role] = killing.serve(role)


def read_only(killing: KillingOnServices) -> None:
    """The database may only be read for a while: nothing may be recorded, so nothing may leave but what was on its way, once."""
    with killing.working(WORKING):
        time.sleep(killing.random.random() * killing.life)
        with psycopg.connect(plain(killing.database.address), autocommit=True) as connection:
            _allow_writes(connection, allowed=False)
            try:
                sent, before = _count(connection, "state = 2"), _on_the_wire(killing)
                time.sleep(STILL)
                numbered, signals = _count(connection, "sequence IS NOT NULL"), _count(connection)
                time.sleep(STILL)
                assert (_count(connection, "sequence IS NOT NULL"), _count(connection)) == (numbered, signals), "something was recorded"
                assert _on_the_wire(killing) - before <= numbered - sent, "something left that could not be noted"
            finally:
                _allow_writes(connection, allowed=True)
        killing.happened["read-only"] += 1
        time.sleep(killing.random.random() * killing.life)


def _count(connection: psycopg.Connection[tuple[Any, ...]], where: str = "true") -> int:
    """Return how many deliveries there are of which this is so."""
    row = connection.execute(f"SELECT count(*) FROM deliveries WHERE {where}".encode()).fetchone()  # noqa: S608  (from this module)
    return int(row[0]) if row else 0


def _allow_writes(connection: psycopg.Connection[tuple[Any, ...]], *, allowed: bool) -> None:
    """Let sessions write, or not, from their next transaction on."""
    connection.execute(b"ALTER SYSTEM SET default_transaction_read_only = " + (b"off" if allowed else b"on"))
    connection.execute("SELECT pg_reload_conf()")


def _on_the_wire(killing: KillingOnServices) -> int:
    """Return how many records the out topics hold."""
    consumer = KafkaConsumer(bootstrap_servers=killing.broker.bootstrap)
    try:
        topics = [TopicPartition(name, 0) for name in consumer.topics() if name.startswith(OUT)]
        return sum(consumer.end_offsets(topics).values()) if topics else 0
    finally:
        consumer.close(autocommit=False)
