"""Servers of one test alone, which it may kill, stop and start again; always processes of ours, for a container or a given address gives no such hold."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import pytest

from tests.services.kafka.broker import KafkaServer
from tests.services.postgres import PostgresServer
from tests.services.process import Server
from tests.services.session import new_folder
from tests.services.waiting import ServiceError

Own = TypeVar("Own", bound=Server)


@contextlib.contextmanager
def own_postgres(*, fsync: bool = True, settings: Mapping[str, str] | None = None) -> Iterator[PostgresServer]:
    """Start a PostgreSQL for this test alone; what it committed is on the disk unless `fsync` says otherwise."""
    with _folder() as folder, _running(lambda: PostgresServer(folder, fsync=fsync, settings=settings)) as server:
        yield server


@contextlib.contextmanager
def own_kafka(*, sasl: bool = False, users: Iterable[str] = (), settings: Mapping[str, str] | None = None) -> Iterator[KafkaServer]:
    """Start a Kafka for this test alone.

    With `sasl` it takes SASL/SCRAM-SHA-512 over TLS only, from its administrator and these users, who may do nothing until `allow` says so.
    """
    with _folder() as folder, _running(lambda: KafkaServer(folder, users=users if sasl else None, settings=settings)) as server:
        yield server


@contextlib.contextmanager
def failing() -> Iterator[None]:
    """Fail the test with the one line that says what to do, without a traceback of this provider."""
    said = ""
    try:
        yield
    except ServiceError as error:
        said = str(error)
    if said:  # not in the handler, or the error's own traceback would be shown as well
        pytest.fail(said, pytrace=False)


@contextlib.contextmanager
def _running(make: Callable[[], Own]) -> Iterator[Own]:
    with failing():
        server = make()
        server.start()
    try:
        yield server
    finally:
        server.close()


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    folder = new_folder()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
