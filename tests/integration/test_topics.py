"""Topics and rights follow from the rules, and a real broker keeps to them: SASL/SCRAM over TLS, an authorizer, no topic by accident."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from pydantic import SecretStr
from sqlalchemy import func, select

from hub.app import Hub, open_hub
from hub.app import MovingClock as Clock
from hub.backends import kafka_options
from hub.domain.registers import HUB
from hub.errors import HubError, RetryLaterError, StopError
from hub.settings import HubSettings
from hub.storage.tables import State, deliveries
from hub.transport import access
from hub.transport.base import IN, OUT, ROUTERS, Message
from hub.transport.kafka import KafkaTransport
from hub.transport.kafkaclient import KafkaOptions, connection, scram
from hub.transport.plan import RETENTION_MS, Plan, Right, plan
from tests.contract.test_kafka_transport import no_other
from tests.integration.process import running
from tests.integration.support import ROOT, TAX, TILBURG, settings
from tests.sample import address
from tests.services import own_kafka
from tests.services.kafka.access import ADMIN, write_certificates
from tests.services.kafka.broker import KafkaServer

CJIB = "cjib"


@pytest.fixture(scope="module")
def broker() -> Iterator[KafkaServer]:
    with own_kafka(sasl=True, users=[HUB, TILBURG, TAX, CJIB]) as broker:
        yield broker


def options(broker: KafkaServer, user: str) -> KafkaOptions:
    return KafkaOptions(
        broker.bootstrap, scram(user, broker.access.passwords[user], broker.access.ca_file), session_ms=1_500, deliver_ms=15_000
    )


def as_user(broker: KafkaServer, user: str) -> KafkaTransport:
    return KafkaTransport(options(broker, user), no_other)


def wanted(home: Path) -> Plan:
    hub = open_hub(settings(home))
    found = plan(hub.rulebooks.current.ruleset)
    hub.close()
    return found


def test_a_publisher_writes_its_own_topic_and_a_recipient_reads_its_own(tmp_path: Path) -> None:
    found = wanted(tmp_path)
    assert {right for right in found.rights if right.user == TILBURG} == {
        Right(TILBURG, "WRITE", "TOPIC", IN + TILBURG), Right(TILBURG, "READ", "TOPIC", OUT + TILBURG),
        Right(TILBURG, "READ", "GROUP", f"{TILBURG}.", prefixed=True),
    }  # fmt: skip
    assert {right for right in found.rights if right.user == HUB} == {
        Right(HUB, "READ", "TOPIC", IN, prefixed=True), Right(HUB, "READ", "GROUP", ROUTERS), Right(HUB, "WRITE", "TOPIC", OUT, prefixed=True),
    }  # fmt: skip
    assert {OUT + TAX, IN + TAX, IN + TILBURG, OUT + TILBURG} <= set(found.topics)
    for topic in found.topics:
        named = [right for right in found.rights if right.kind == "TOPIC" and right.name == topic]
        assert [(right.user, right.operation) for right in named] == [(topic.split(".", 2)[2], "WRITE" if topic.startswith(IN) else "READ")]


def test_a_municipality_of_which_the_registers_say_nothing_can_be_named(tmp_path: Path) -> None:
    hub = open_hub(settings(tmp_path))
    ruleset = hub.rulebooks.current.ruleset
    hub.close()
    assert f"{OUT}schuldhulp.0014" not in plan(ruleset).topics
    assert f"{OUT}schuldhulp.0014" in plan(ruleset, ["0014"]).topics


def test_the_plan_is_applied_once_and_what_is_otherwise_is_told(tmp_path: Path, broker: KafkaServer) -> None:
    admin, found = options(broker, ADMIN), wanted(tmp_path)
    dry = access.apply(admin, found, dry_run=True)
    first = access.apply(admin, found)
    assert [one.what for one in first] == [one.what for one in dry]
    assert all(one.mended for one in first)
    assert not any(one.mended for one in dry)
    assert access.apply(admin, found) == []
    client = KafkaAdminClient(**connection(admin))
    client.create_topics({f"{IN}vreemd": {"num_partitions": 1}})
    client.delete_topics([OUT + CJIB])
    client.close()
    told = [(one.what, one.mended) for one in access.apply(admin, found)]
    assert told == [(f"topic {OUT}{CJIB} was missing", True), (f"topic {IN}vreemd is of no participant", False)]
    shorter = Plan(found.topics, found.rights[1:])
    assert [one.mended for one in access.apply(admin, shorter) if "not in the plan" in one.what] == [False]
    assert RETENTION_MS == 604_800_000


def test_the_broker_refuses_who_writes_or_reads_anothers_topic(
    tmp_path: Path, broker: KafkaServer, caplog: pytest.LogCaptureFixture
) -> None:
    access.apply(options(broker, ADMIN), wanted(tmp_path))
    toeslagen, cjib, hub = (as_user(broker, user) for user in (TAX, CJIB, HUB))
    hub.send(OUT + TAX, [Message(b"levering")])
    assert [record.message.value for record in toeslagen.consumer(f"{TAX}.lezer", OUT + TAX).poll(10)][:1] == [b"levering"]
    for refused in (
        lambda: cjib.send(OUT + TAX, [Message(b"vals")]), lambda: cjib.send(IN + TAX, [Message(b"namens een ander")]),
        lambda: toeslagen.consumer(ROUTERS, OUT + TAX).poll(10), lambda: hub.send(IN + TAX, [Message(b"namens een ander")]),
    ):  # fmt: skip
        with pytest.raises(StopError, match="does not let"):
            refused()
    assert cjib.consumer(None, OUT + TAX).poll(10) == []  # to it the topic does not exist
    for transport in (toeslagen, cjib, hub):
        transport.close()
    reader = KafkaConsumer(**connection(options(broker, CJIB)), auto_offset_reset="earliest")
    reader.assign([TopicPartition(OUT + TAX, 0)])
    caplog.clear()
    assert reader.poll(timeout_ms=1_000) == {}
    reader.close()
    assert f"Topic {OUT}{TAX} is not authorized for this client" in caplog.text  # the answer of the broker


def test_who_has_a_wrong_password_hears_that_and_not_that_kafka_is_away(broker: KafkaServer) -> None:
    transport = KafkaTransport(replace(options(broker, HUB), security=scram(HUB, "verkeerd", broker.access.ca_file)), no_other)
    before = set(threading.enumerate())
    for refused in (
        lambda: transport.send(OUT + TAX, [Message(b"levering")]), lambda: transport.consumer(ROUTERS, IN), lambda: transport.consumer(None, IN),
        transport.check, lambda: transport.lag(ROUTERS, IN), lambda: access.apply(replace(options(broker, HUB), security=scram(HUB, "verkeerd", broker.access.ca_file)), Plan((), ())),
    ):  # fmt: skip
        with pytest.raises(StopError, match="does not let the hub in") as caught:
            refused()
        assert "HUB_KAFKA_PASSWORD" in caught.value.hint
    transport.close()
    assert set(threading.enumerate()) == before


def test_a_router_with_a_wrong_password_ends_at_once(tmp_path: Path, broker: KafkaServer) -> None:
    settings = {
        "HUB_HOME": str(tmp_path / "home"),
        "HUB_KAFKA_BOOTSTRAP": broker.bootstrap,
        "HUB_KAFKA_USER": HUB,
        "HUB_KAFKA_PASSWORD": "verkeerd",
    }
    with running(tmp_path, {**settings, "HUB_KAFKA_CA": str(broker.access.ca_file)}, "router") as (router,):
        assert router.process.wait(60) == 1
    assert "HUB_KAFKA_PASSWORD" in router.said()
    assert "retry_later" not in router.said()


def test_who_does_not_know_the_authority_of_the_brokers_hears_that(tmp_path: Path, broker: KafkaServer) -> None:
    other, _ = write_certificates()
    (tmp_path / "other.pem").write_bytes(other)
    for ca in (tmp_path / "other.pem", tmp_path / "nowhere.pem"):
        transport = KafkaTransport(replace(options(broker, HUB), security=scram(HUB, broker.access.passwords[HUB], ca)), no_other)
        with pytest.raises(StopError, match="certificate") as caught:
            transport.check()
        assert "HUB_KAFKA_CA" in caught.value.hint
        transport.close()


def test_what_is_sent_to_a_topic_that_is_not_there_names_it_and_the_remedy(broker: KafkaServer) -> None:
    hub = as_user(broker, HUB)
    with pytest.raises(HubError, match=f"no topic {OUT}nergens") as caught:
        hub.send(f"{OUT}nergens", [Message(b"levering")])
    assert "hub topics apply" in caught.value.hint
    hub.close()


def test_a_signal_goes_through_a_hub_that_has_the_rights_of_the_plan_only(tmp_path: Path, broker: KafkaServer, clock: Clock) -> None:
    access.apply(options(broker, ADMIN), wanted(tmp_path / "plan"))
    ours = HubSettings(
        home=tmp_path / "home", rules_dir=ROOT / "rules", schemas_dir=ROOT / "schemas", kafka_bootstrap=broker.bootstrap,
        kafka_user=HUB, kafka_password=SecretStr(broker.access.passwords[HUB]), kafka_ca=broker.access.ca_file, kafka_session_ms=1_500,
    )  # fmt: skip
    assert kafka_options(ours) is not None
    hub = open_hub(ours, clock=clock)
    event = hub.encode(TILBURG, address())
    publisher = as_user(broker, TILBURG)
    publisher.send(IN + TILBURG, [Message(event.body, event.headers)])
    publisher.close()
    consumer = hub.transport.consumer(ROUTERS, IN)
    while not sent(hub):
        with suppress(RetryLaterError):  # on a busy machine it may miss its session, and goes on from the last commit
            hub.drain(consumer)
    consumer.close()
    hub.close()
    recipient = as_user(broker, TAX)
    found = recipient.consumer(f"{TAX}.doorgifte", OUT + TAX).poll(500)
    recipient.close()
    assert b"nl.brp.spookbewoning-gesignaleerd.v1" in {record.message.headers.get("ce_type") for record in found}


def sent(hub: Hub) -> int:
    with hub.database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(deliveries).where(deliveries.c.state == State.SENT)).scalar_one())
