"""The same services in containers, where Docker gives their images soon enough."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient

from tests.services import postgres
from tests.services.kafka import broker
from tests.services.kafka.jars import version
from tests.services.process import LOOPBACK, free_port
from tests.services.waiting import until

IMAGES_WITHIN: Final = 20
START_WITHIN: Final = 60


@dataclass(frozen=True)
class Contained:
    """A service in a container."""

    address: str
    container: DockerContainer

    def close(self) -> None:
        """Remove the container."""
        self.container.stop()


def in_docker(name: str, within: float = IMAGES_WITHIN) -> Contained | None:
    """Return the service, or None where there is no Docker that gives its image in time."""
    image, make = RECIPES[name]
    helper = [] if testcontainers_config.ryuk_disabled else [testcontainers_config.ryuk_image]
    return make(image) if images_ready([image, *helper], within) else None


def images_ready(images: list[str], within: float) -> bool:
    """Get the images. In a thread that is left behind when it hangs: Docker answers late or never, and no time-out of its client ends a pull."""
    got = threading.Event()

    def get() -> None:
        try:
            client = DockerClient(timeout=max(1, int(within))).client
            held = {tag for image in client.api.images() for tag in image["RepoTags"] or ()}
            for image in images:
                if image not in held:
                    client.images.pull(image)
            client.close()
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it: this Docker is none
            print(f"no Docker: {error!r}")
        else:
            got.set()

    asking = threading.Thread(target=get, daemon=True)
    asking.start()
    asking.join(within)
    return got.is_set()


def _postgres(image: str) -> Contained | None:
    password, port = secrets.token_hex(12), free_port()
    container = DockerContainer(image).with_env("POSTGRES_PASSWORD", password).with_command(["postgres", "-c", "max_connections=200"])
    url = f"postgresql+psycopg://postgres:{password}@{LOOPBACK}:{port}/postgres"
    return _started(container, {5432: port}, url, lambda: postgres.answers(url))


def _kafka(image: str) -> Contained | None:
    port = free_port()
    address = f"{LOOPBACK}:{port}"
    settings: Mapping[str, str] = {
        **broker.SINGLE_NODE, "listeners": "CLIENTS://:9092,CONTROLLER://:9093", "advertised.listeners": f"CLIENTS://{address}",
        **broker.PLAINTEXT, "controller.quorum.voters": "1@localhost:9093",
    }  # fmt: skip
    container = DockerContainer(image)
    for name, value in settings.items():
        container.with_env("KAFKA_" + name.upper().replace(".", "_"), value)
    return _started(container, {9092: port}, address, lambda: broker.answers(address))


def _started(container: DockerContainer, ports: Mapping[int, int], address: str, answers: Callable[[], bool]) -> Contained | None:
    """Start it with its ports on the loopback address only; a container that does not come up is as good as no Docker."""
    for inside, outside in ports.items():
        container.ports[str(inside)] = (LOOPBACK, outside)  # type: ignore[assignment]  # Docker's client takes a pair, this wrapper knows no address
    try:
        container.start()
        until(answers, within=START_WITHIN, what=f"{container.image} to answer")
    except Exception as error:  # noqa: BLE001
        print(f"no Docker: {error!r}")
        container.stop()
        return None
    return Contained(address, container)


RECIPES: Final[Mapping[str, tuple[str, Callable[[str], Contained | None]]]] = {
    "postgres": ("postgres:17", _postgres),
    "kafka": (f"apache/kafka:{version()}", _kafka),
}
