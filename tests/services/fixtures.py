"""What tests ask for: an empty database, a broker, or a service of their own that they may kill."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql

from tests.services import shared
from tests.services.local import LocalKafka, LocalPostgres, plain


@pytest.fixture
def postgres() -> Iterator[str]:
    """The address of an empty PostgreSQL database, gone after the test."""
    with fresh_database(shared.postgres()) as url:
        yield url


@pytest.fixture
def kafka() -> str:
    """The address of a Kafka broker that other tests use too: use topics and groups with names of your own."""
    return shared.kafka()


@contextmanager
def fresh_database(server: str) -> Iterator[str]:
    """Make a database on a server, and drop it afterwards."""
    name = f"test_{uuid.uuid4().hex[:16]}"
    admin = plain(server)
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0 STRATEGY file_copy").format(sql.Identifier(name)))
    try:
        yield f"{server.rpartition('/')[0]}/{name}"
    finally:
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def own_postgres() -> Iterator[LocalPostgres]:
    """A PostgreSQL server of the test's own, to stop, kill and start again."""
    server = LocalPostgres(shared.owner())
    server.start()
    try:
        yield server
    finally:
        server.process.stop()
        shutil.rmtree(server.folder)


@contextmanager
def own_kafka(users: Mapping[str, str] | None = None) -> Iterator[LocalKafka]:
    """A Kafka broker of the test's own, to stop, kill and start again; with users it demands SASL/SCRAM over TLS."""
    broker = LocalKafka(shared.owner(), users)
    broker.start()
    try:
        yield broker
    finally:
        broker.process.stop()
        shutil.rmtree(broker.folder)
