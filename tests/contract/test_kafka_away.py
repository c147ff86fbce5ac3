"""Brokers that are away, that are silent, that come back: said in time, and nothing is left behind."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from hub.app import MovingClock
from hub.errors import HubError, RetryLaterError
from hub.health import Health, served
from hub.metrics import Metrics
from hub.transport.base import IN, OUT, ROUTERS, Message
from hub.transport.kafka import KafkaTransport
from hub.transport.kafkaclient import KafkaOptions
from tests.contract.test_kafka_transport import no_other
from tests.contract.transport_suite import messages, texts
from tests.integration.support import opened
from tests.integration.test_operate import asked
from tests.services import own_kafka
from tests.services.process import free_port
from tests.services.waiting import until


def transport_to(bootstrap: str) -> KafkaTransport:
    return KafkaTransport(KafkaOptions(bootstrap, wait_ms=100, fresh_ms=300, session_ms=6_000, deliver_ms=3_000), no_other)


@contextmanager
def silent() -> Iterator[int]:
    """Accept connections and never answer; gives the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@contextmanager
def refusing() -> Iterator[int]:
    """Give a port on which nobody listens."""
    yield free_port()


@pytest.mark.parametrize("away", [silent, refusing])
def test_metrics_answer_while_the_brokers_are_away_and_leave_no_threads(
    tmp_path: Path, clock: MovingClock, away: Callable[[], AbstractContextManager[int]]
) -> None:
    with away() as port, opened(tmp_path / "home", clock) as hub:
        transport = transport_to(f"127.0.0.1:{port}")
        metrics = Metrics()
        metrics.watch(hub.database, hub.now_ms, lambda: transport.lag(ROUTERS, IN), hub.unsent)
        with served(Health(metrics, lambda: True), "127.0.0.1", 0) as health:
            assert health is not None
            seen = []
            for _ in range(3):
                status, text = asked(health, "/metrics")  # within five seconds
                seen.append((status, "hub_queue_depth" in text, "hub_consumer_lag" in text, clients()))
        transport.close()
    assert seen == [(200, True, False, 0)] * 3


def clients() -> int:
    """Count the threads of clients of Kafka."""
    return sum(thread.name.startswith("kafka-io") for thread in threading.enumerate())


@pytest.mark.parametrize("away", [silent, refusing])
def test_everything_says_that_kafka_does_not_answer_and_leaves_no_threads(away: Callable[[], AbstractContextManager[int]]) -> None:
    before = set(threading.enumerate())
    with away() as port:
        transport = transport_to(f"127.0.0.1:{port}")
        for ask in (lambda: transport.send("t", [Message(b"")]), lambda: transport.consumer(ROUTERS, IN), transport.check):
            with pytest.raises(RetryLaterError, match="does not answer"):
                ask()
        transport.close()
        until(lambda: set(threading.enumerate()) <= before, within=10, what="the end of the threads of Kafka")


def test_brokers_that_go_away_are_missed_and_one_connection_is_kept_while_they_are_there() -> None:
    with own_kafka(settings={"auto.create.topics.enable": "false"}) as broker:
        transport = transport_to(broker.bootstrap)
        with pytest.raises(RetryLaterError, match=f"no topic {OUT}nergens") as caught:
            transport.send(f"{OUT}nergens", messages("a"))
        assert "hub topics apply" in caught.value.hint
        make(transport, f"{IN}a")
        for one in ("a", "b"):  # nobody gets anything again for the sake of a topic that is not there
            failed = transport.send_all({f"{IN}a": messages(one), f"{OUT}nergens": messages("x"), f"{OUT}ook-niet": messages("y")})
            assert {topic: f"no topic {topic}" in why.message for topic, why in failed.items()} == {
                f"{OUT}nergens": True,
                f"{OUT}ook-niet": True,
            }
        member = transport.consumer(ROUTERS, IN)
        found: list[str] = []
        while len(found) < 2:
            found += texts(member.poll(10))
        threads = []
        for _ in range(3):
            assert transport.lag(ROUTERS, IN) == 2
            threads.append(clients())
        assert len(set(threads)) == 1
        broker.kill()
        until(lambda: missed(lambda: member.poll(10)), within=30, what="a member to miss its brokers")
        for ask in (transport.check, lambda: transport.lag(ROUTERS, IN), lambda: member.poll(0)):
            assert missed(ask)
            assert clients() <= threads[0]
        broker.start()
        until(lambda: not missed(transport.check), within=30, what="the brokers to be found again")
        until(lambda: not missed(lambda: member.poll(10)), within=30, what="a member to find its brokers again")
        assert transport.lag(ROUTERS, IN) == 2
        assert clients() <= threads[0]
        transport.close()
        assert clients() == 0


def missed(ask: Callable[[], object]) -> bool:
    """Tell whether this says that Kafka does not answer."""
    try:
        ask()
    except HubError as exc:
        return "does not answer" in exc.message
    return False


def make(transport: KafkaTransport, topic: str) -> None:
    """Make a topic."""
    transport._lookout._ask(
        lambda admin: admin.create_topics({topic: {"num_partitions": 1, "replication_factor": 1}}, wait_for_metadata=True)
    )
