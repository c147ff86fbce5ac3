"""Services from Docker, through testcontainers. A Docker that cannot give the image in 20 seconds counts as none."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLateError
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS: Final = 20
POSTGRES: Final = "postgres:15-alpine"
KAFKA: Final = "apache/kafka:4.1.0"


def answers() -> bool:
    """Say whether there is a Docker at all."""
    kind, _, path = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").partition("://")
    if kind == "unix" and not Path(path).is_socket():
        return False
    import docker  # noqa: PLC0415  (slow to import, and seldom there)

    try:
        client = docker.from_env(timeout=2)
        client.ping()
        client.close()
    except Exception:  # noqa: BLE001  (whatever is wrong with it, it is of no use)
        return False
    return True


def started(make: Callable[[], Any]) -> Any | None:
    """Return a started container, or None when there is no Docker or the image does not come in time."""
    if not answers():
        return None
    os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"  # the run ends its containers itself, see `shared.py`
    pool = ThreadPoolExecutor(1)
    try:
        return pool.submit(lambda: make().start()).result(SECONDS)
    except TooLateError:
        return None
    except Exception:  # noqa: BLE001  (such as an image that may not be pulled)
        return None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def postgres() -> Any:
    """Return a PostgreSQL that is not started yet."""
    from testcontainers.postgres import PostgresContainer  # noqa: PLC0415

    return PostgresContainer(POSTGRES, username="postgres", password="postgres", dbname="postgres", driver="psycopg")  # noqa: S106


def kafka() -> Any:
    """Return a Kafka that is not started yet."""
    from testcontainers.kafka import KafkaContainer  # noqa: PLC0415

    return KafkaContainer(KAFKA).with_kraft().with_env("KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS", "1000")
