"""Killing the hub as it runs on Kafka and PostgreSQL: routers, relays and a clock, each a process of its own.

The load and the books are those of `kill.py` and `books.py`; here the processes never finish by themselves.
"""

from __future__ import annotations

import os
import random
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pydantic import SecretStr
from sqlalchemy import func, select

from hub.app import Hub
from hub.errors import RetryLaterError
from hub.storage.tables import State, deliveries
from hub.transport.base import IN, ROUTERS, Consumer
from tests.proof.books import Books
from tests.proof.kill import Killing
from tests.services.kafka.broker import KafkaServer
from tests.services.postgres import PostgresServer

SESSION_MS: Final = 2_000
ROLES: Final = ("router-1", "router-2", "relay-1", "relay-2", "clock")
PATIENCE: Final = 240
"""Turns of the last run without anything to do, after which something is lost."""


class KillingOnServices(Killing):
    """The same load on a real broker and a real server."""

    def __init__(self, home: Path, seed: int, database: PostgresServer, broker: KafkaServer) -> None:
        super().__init__(home, seed)
        self.database, self.broker = database, broker
        self.settings = self.settings.model_copy(
            update={"database_url": SecretStr(database.address), "kafka_bootstrap": broker.bootstrap, "kafka_session_ms": SESSION_MS}
        )
        self.life = 1.5
        self.restarts: Counter[str] = Counter()

    def round(self) -> None:
        """Load, let time pass, start every process, and kill each at a random moment; the next round starts them again.

        In one round of three the broker or the database is killed first, under the load, and started again.
        """
        self.load()
        self.let_time_pass()
        children = [self.serve(role) for role in ROLES]
        time.sleep(self.life * self.random.random())
        trouble = self.random.choice([None, None, None, None, self.database, self.broker])
        if trouble is not None:
            self.restarts[trouble.name] += 1
            trouble.kill()
            time.sleep(self.random.random())
            trouble.start()
        self.random.shuffle(children)
        for child in children:
            time.sleep(self.random.random() * self.life / 2)
            os.kill(child, signal.SIGKILL)
        for child in children:
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
                turn, stay = _part(hub, role)
                while True:
                    try:
                        if not turn():
                            time.sleep(0.02)
                    except RetryLaterError:
                        stay()
                        time.sleep(0.1)
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


def _part(hub: Hub, role: str) -> tuple[Callable[[], int], Callable[[], object]]:
    """Return what a process does again and again, and how it stays a member of its group meanwhile."""
    if role.startswith("router"):
        consumer: Consumer = hub.transport.consumer(ROUTERS, IN)
        return lambda: hub.route_once(consumer), lambda: consumer.poll(0)
    return (hub.relay.run_once if role.startswith("relay") else hub.clock.run_once), lambda: None


def _unsent(hub: Hub) -> int:
    with hub.database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(deliveries).where(deliveries.c.state == State.READY)).scalar_one())


def killed(home: Path, seed: int, rounds: int, database: PostgresServer, broker: KafkaServer) -> tuple[KillingOnServices, Counter[str]]:
    """Kill every process in each of so many rounds, and return the figures of the books afterwards."""
    killing = KillingOnServices(home, seed, database, broker)
    for _ in range(rounds):
        killing.round()
    return killing, killing.balance()


def fresh_seed() -> int:
    """Return a seed to print."""
    return random.SystemRandom().randrange(2**32)
