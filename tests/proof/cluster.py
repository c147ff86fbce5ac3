"""Killing the hub as it runs on Kafka and PostgreSQL: routers, relays and a clock, each a process of its own.

The load and the books are those of `kill.py` and `books.py`; here the processes never finish by themselves.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from pydantic import SecretStr
from sqlalchemy import func, select

from hub.app import Hub
from hub.errors import RetryLaterError
from hub.storage.tables import State, deliveries
from hub.transport.base import IN, ROUTERS
from tests.proof.books import Books
from tests.proof.kill import BAD, Killing
from tests.services import own_kafka, own_postgres
from tests.services.kafka.broker import KafkaServer
from tests.services.postgres import PostgresServer

SESSION_MS: Final = 2_000
ROLES: Final = ("router-1", "router-2", "relay-1", "relay-2", "clock-1", "clock-2")
RESTLESS: Final = "restless"
"""A router that leaves its group and joins it again, over and over: each time the topics are dealt anew."""
RESTLESS_FOR: Final = 1.0
"""Seconds for which it stays."""
PATIENCE: Final = 240
"""Turns of the last run without anything to do, after which something is lost."""


class KillingOnServices(Killing):
    """The same load on a real broker and a real server."""

    def __init__(self, home: Path, seed: int, database: PostgresServer, broker: KafkaServer, *, bad: float = BAD) -> None:
        super().__init__(home, seed, bad=bad)
        self.database, self.broker = database, broker
        self.settings = self.settings.model_copy(
            update={"database_url": SecretStr(database.address), "kafka_bootstrap": broker.bootstrap, "kafka_session_ms": SESSION_MS}
        )
        self.life = 1.5
        self.happened: Counter[str] = Counter()
        self.joined = home.with_name("joined")
        """A byte for each time that a restless router joined."""

    def round(self) -> None:
        """Load, let time pass, start every process, and kill each at a random moment; the next round starts them again.

        In one round of three the broker or the database is killed first, under the load, and started again.
        """
        with self.working(ROLES):
            time.sleep(self.life * self.random.random())
            trouble = self.random.choice([None, None, None, None, self.database, self.broker])
            if trouble is not None:
                self.happened[f"{trouble.name} killed and started"] += 1
                trouble.kill()
                time.sleep(self.random.random())
                trouble.start()

    @contextlib.contextmanager
    def working(self, roles: Iterable[str]) -> Iterator[dict[str, int]]:
        """Load and let time pass; processes work for the length of a block, and are killed one by one at random moments after it."""
        self.load()
        self.let_time_pass()
        children = {role: self.serve(role) for role in roles}
        try:
            yield children
        finally:
            left = list(children.values())
            self.random.shuffle(left)
            for child in left:
                time.sleep(self.random.random() * self.life / 2)
                self.kill(child)

    def kill(self, child: int) -> None:
        """Kill a process that must still be there."""
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), "a process ended by itself"
        self.kills += 1

    def serve(self, role: str) -> int:
        """Fork a process that does its part until it is killed."""
        pid = os.fork()
        if pid == 0:
            try:
                self.settings = self.settings.model_copy(update={"kafka_instance": role if role.startswith("router") else None})
                hub = self.opened_in_the_end()
                while role == RESTLESS:
                    with self.joined.open("ab") as joined:
                        joined.write(b".")
                    _work(hub, role, until=time.monotonic() + RESTLESS_FOR)
                _work(hub, role)
            except BaseException:
                traceback.print_exc()
                raise
            finally:
                os._exit(1)
        return pid

    def opened_in_the_end(self) -> Hub:
        """Open the hub, as a supervisor does: again and again while the database does not answer."""
        while True:
            try:
                return self.open()
            except RetryLaterError:
                time.sleep(0.1)

    def balance(self) -> Counter[str]:
        """Finish what is pending, and hold everything against what was sent. Returns the figures."""
        hub = self.open()
        consumer = hub.transport.consumer(ROUTERS, IN)
        idle = left = 0
        while hub.transport.lag(ROUTERS, IN) or _unsent(hub) or not idle:
            done = hub.drain(consumer)
            left += done
            idle = 0 if done else idle + 1
            assert idle < PATIENCE, "something is left that nobody takes"
        consumer.close()
        found = Books(hub, self.sent).check()
        hub.close()
        return found + Counter(left_for_the_last_run=left)


def _work(hub: Hub, role: str, until: float = float("inf")) -> None:
    """Do what a process of this role does again and again, until a moment; while nothing can be recorded it stays in its group."""
    consumer = None if role.startswith(("relay", "clock")) else hub.transport.consumer(ROUTERS, IN)
    turn = hub.relay.run_once if role.startswith("relay") else hub.clock.run_once
    while time.monotonic() < until:
        try:
            if not (hub.route_once(consumer) if consumer else turn()):
                time.sleep(0.02)
        except RetryLaterError:
            if consumer:
                with contextlib.suppress(RetryLaterError):
                    consumer.poll(0)
            time.sleep(0.1)
    if consumer:
        consumer.close()


def _unsent(hub: Hub) -> int:
    with hub.database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(deliveries).where(deliveries.c.state == State.READY)).scalar_one())


Round = Callable[[KillingOnServices], None]


def killed(
    home: Path, seed: int, rounds: int, round_: Round = KillingOnServices.round, *, bad: float = BAD
) -> tuple[KillingOnServices, Counter[str]]:
    """Go through so many rounds on servers of their own, and return the figures of the books afterwards."""
    with own_postgres() as database, own_kafka() as broker:
        killing = KillingOnServices(home, seed, database, broker, bad=bad)
        for _ in range(rounds):
            round_(killing)
        return killing, killing.balance()


def fresh_seed() -> int:
    """Return a seed to print."""
    return random.SystemRandom().randrange(2**32)
