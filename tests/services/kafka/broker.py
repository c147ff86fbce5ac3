"""Apache Kafka as a process of ours: one node that is broker and controller."""

from __future__ import annotations

import contextlib
import secrets
import signal
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kafka import KafkaAdminClient
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ACLResourcePatternType, ResourcePattern, ResourceType
from kafka.errors import KafkaError

from tests.services.kafka.access import ADMIN, Access
from tests.services.kafka.jars import jars, java
from tests.services.process import LOOPBACK, Server, free_port, listening
from tests.services.waiting import ServiceError

SINGLE_NODE: Final = {
    "process.roles": "broker,controller", "node.id": "1", "auto.create.topics.enable": "true", "group.initial.rebalance.delay.ms": "0", "group.min.session.timeout.ms": "1000",
    "broker.session.timeout.ms": "3000", "broker.heartbeat.interval.ms": "500",
    "offsets.topic.replication.factor": "1", "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1", "transaction.state.log.min.isr": "1", "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1", "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "4",
}  # fmt: skip
"""What one node alone needs. When records go to the disk is left as Kafka has it. A broker that was killed may come back when its session
is over, hence the short one."""
PLAINTEXT: Final = {
    "listener.security.protocol.map": "CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "controller.listener.names": "CONTROLLER", "inter.broker.listener.name": "CLIENTS",
}  # fmt: skip
"""A broker that lets everybody in."""
CLUSTER: Final = "c2lnbmFhbGh1Yi10ZXN0Mw"
LOG: Final = Path(__file__).with_name("log4j2.properties")
JVM: Final = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""Small, and soon there: it lives for seconds, and what the better compiler would gain it loses twice over at the start."""
FORMAT_WITHIN: Final = 60


@dataclass(frozen=True)
class Topics:
    """A place on a broker for one test: topics and groups whose names begin with its prefix are its own."""

    bootstrap: str
    prefix: str


@contextlib.contextmanager
def own_topics(bootstrap: str) -> Iterator[Topics]:
    """Give a prefix that nobody else has, and remove its topics afterwards."""
    own = Topics(bootstrap, f"t{secrets.token_hex(5)}.")
    yield own
    with KafkaAdminClient(bootstrap_servers=bootstrap) as admin:
        left = [topic for topic in admin.list_topics() if topic.startswith(own.prefix)]
        if left:
            admin.delete_topics(left)


def answers(bootstrap: str, **client: Any) -> bool:
    """Tell whether a client that logs in so finds a broker."""
    try:
        with KafkaAdminClient(bootstrap_servers=bootstrap, bootstrap_timeout_ms=5000, **client) as admin:
            return bool(admin.describe_cluster()["brokers"])
    except KafkaError:
        return False


class KafkaServer(Server):
    """A Kafka with data of its own; with `users`, one that demands SASL/SCRAM over TLS and rules for what they may do."""

    name = "Kafka"
    stop_signal = signal.SIGTERM
    end_signal = signal.SIGKILL

    def __init__(self, folder: Path, *, users: Iterable[str] | None = None, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(folder)
        self._java = [java(), "-cp", f"{jars()}/*", f"-Dlog4j2.configurationFile={LOG}", *JVM]
        self._access = None if users is None else Access.for_users(folder, users)
        self._settings = {**self._listeners(), **SINGLE_NODE, "log.dirs": str(folder / "data"), **(settings or {})}

    @property
    def address(self) -> str:
        """Where clients find it."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def bootstrap(self) -> str:
        """The same, by the name that clients have for it."""
        return self.address

    @property
    def access(self) -> Access:
        """Who may log in, and how."""
        assert self._access, "this broker lets everybody in"
        return self._access

    def client(self, user: str = ADMIN, password: str | None = None) -> dict[str, Any]:
        """Return the settings with which a client of kafka-python reaches it, as this user if it asks who that is."""
        login = self._access.client(user, password) if self._access else {}
        return {"bootstrap_servers": self.bootstrap, **login}

    def allow(self, user: str, operation: ACLOperation, name: str, *, on: ResourceType = ResourceType.TOPIC, prefix: bool = False) -> None:
        """Let a user do this with the topic (or what `on` says) of this name, or with all whose names begin so."""
        pattern = ResourcePattern(on, name, ACLResourcePatternType.PREFIXED if prefix else ACLResourcePatternType.LITERAL)
        with KafkaAdminClient(**self.client()) as admin:
            made = admin.create_acls([ACL(f"User:{user}", "*", operation, ACLPermissionType.ALLOW, pattern)])
        assert not made["failed"], made["failed"]

    def prepare(self) -> None:
        """Write the settings and make the storage."""
        properties = self.folder / "server.properties"
        properties.touch(mode=0o600)
        properties.write_text("".join(f"{name}={value}\n" for name, value in self._settings.items()))
        if self._access:
            self._access.prepare()
        users = self._access.format_options() if self._access else []
        made = subprocess.run(
            [*self._java, "kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", str(properties), *users],
            cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=FORMAT_WITHIN, check=False,
        )  # fmt: skip
        if made.returncode:
            raise ServiceError(f"Kafka's storage was not made: {made.stdout}{made.stderr}")

    def command(self) -> list[str]:
        """Return what runs the broker."""
        return [*self._java, "kafka.Kafka", "server.properties"]

    def answers(self) -> bool:
        """Tell whether a client finds a broker."""
        return listening(self.port) and answers(**self._probe())

    def _probe(self) -> dict[str, Any]:
        client = self.client()
        return {"bootstrap": client.pop("bootstrap_servers"), **client}

    def _listeners(self) -> dict[str, str]:
        controller = f"{LOOPBACK}:{free_port()}"
        security = self._access.settings() if self._access else {}
        listeners = f"CLIENTS://{self.address},CONTROLLER://{controller}"
        return {**PLAINTEXT, "listeners": listeners, "controller.quorum.voters": f"1@{controller}", **security}
