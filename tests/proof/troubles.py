"""Rounds of one kind of trouble each: what goes wrong under load, besides processes that are killed."""

from __future__ import annotations

import time
from typing import Final

import psycopg
from kafka import KafkaConsumer, TopicPartition

from hub.transport.base import OUT
from tests.proof.cluster import RESTLESS, RESTLESS_FOR, KillingOnServices
from tests.services.postgres import plain
from tests.services.waiting import until

WORKING: Final = ("router-1", "router-2", "relay-1", "clock")
STILL: Final = 1.5
"""Seconds for which nothing may leave."""


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
    """The database may only be read for a while: nothing may be recorded, so nothing may leave."""
    with killing.working(WORKING):
        time.sleep(killing.random.random() * killing.life)
        with psycopg.connect(plain(killing.database.address), autocommit=True) as connection:
            _allow_writes(connection, allowed=False)
            try:
                count = _when_still(killing)
                time.sleep(STILL)
                assert _on_the_wire(killing) == count, "something left that could not be noted"
            finally:
                _allow_writes(connection, allowed=True)
        killing.happened["read-only"] += 1
        time.sleep(killing.random.random() * killing.life)


def _allow_writes(connection: psycopg.Connection[tuple[object, ...]], *, allowed: bool) -> None:
    """Let sessions write, or not, from their next transaction on."""
    connection.execute(b"ALTER SYSTEM SET default_transaction_read_only = " + (b"off" if allowed else b"on"))
    connection.execute("SELECT pg_reload_conf()")


def _when_still(killing: KillingOnServices) -> int:
    """Wait until what was under way has left, and return how much that is in all."""
    seen = [-1]

    def still() -> bool:
        seen.append(_on_the_wire(killing))
        time.sleep(0.5)
        return seen[-1] == seen[-2]

    until(still, within=30, what="what was under way")
    return seen[-1]


def _on_the_wire(killing: KillingOnServices) -> int:
    """Return how many records the out topics hold."""
    consumer = KafkaConsumer(bootstrap_servers=killing.broker.bootstrap)
    try:
        topics = [TopicPartition(name, 0) for name in consumer.topics() if name.startswith(OUT)]
        return sum(consumer.end_offsets(topics).values()) if topics else 0
    finally:
        consumer.close(autocommit=False)
