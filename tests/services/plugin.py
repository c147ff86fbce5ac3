"""What pytest needs to know of the services: their fixtures, and the beginning and end of a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.services.kafka.broker import Topics, own_topics
from tests.services.own import failing
from tests.services.postgres import EmptyDatabase, fresh_database
from tests.services.session import Session

SESSION: Final = pytest.StashKey[Session]()
FOLDER: Final = "signaalhub_services"


def session_of(config: pytest.Config) -> Session:
    """Return the run that this process belongs to; a worker of xdist was told which."""
    if SESSION not in config.stash:
        told = getattr(config, "workerinput", {}).get(FOLDER)
        config.stash[SESSION] = Session(Path(told)) if told else Session.open()
    return config.stash[SESSION]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of xdist the folder of the run."""
    node.workerinput[FOLDER] = str(session_of(node.config).folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the run, also after failures and Ctrl-C."""
    if SESSION in config.stash:
        config.stash[SESSION].close()


@pytest.fixture(scope="session")
def postgres_server(request: pytest.FixtureRequest) -> str:
    """The URL of the one PostgreSQL of the run, started when the first test asks for it."""
    with failing():
        return session_of(request.config).address("postgres")


@pytest.fixture
def postgres(postgres_server: str) -> Iterator[EmptyDatabase]:
    """A fresh, empty database on the PostgreSQL of the run."""
    with fresh_database(postgres_server) as database:
        yield database


@pytest.fixture(scope="session")
def kafka_server(request: pytest.FixtureRequest) -> str:
    """The address of the one Kafka of the run, started when the first test asks for it."""
    with failing():
        return session_of(request.config).address("kafka")


@pytest.fixture
def kafka(kafka_server: str) -> Iterator[Topics]:
    """A place on the Kafka of the run: its address and a prefix for topics and groups that nobody else has."""
    with own_topics(kafka_server) as topics:
        yield topics
