"""Which database, keys and topics the settings name. One machine or a cluster is configuration, not another program."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlalchemy import insert, select

from hub.errors import StopError
from hub.keys import Keys, load_keys
from hub.storage.database import Database
from hub.storage.tables import keys as keys_table
from hub.transport.embedded import EmbeddedTransport

if TYPE_CHECKING:
    from hub.settings import HubSettings
    from hub.storage.names import Names
    from hub.transport.base import Transport
    from hub.transport.kafkaclient import KafkaOptions


def database_of(settings: HubSettings) -> Database:
    """Return the database that the settings name, as it is."""
    if settings.database_url is not None:
        return Database(settings.database_url.get_secret_value())
    return Database.embedded(settings.home)


def keys_of(settings: HubSettings) -> Keys | None:
    """Return the keys of a home that has any, without making one."""
    given = settings.master_key.get_secret_value() if settings.master_key is not None else None
    folder = settings.home / "keys"
    return load_keys(folder, given) if given is not None or any(folder.glob("*.key")) else None


def transport_of(settings: HubSettings, database: Database, keys: Keys, names: Names, now_ms: Callable[[], int]) -> Transport:
    """Return the topics that the settings name."""
    shared = database.alone if settings.database_url is not None else None
    embedded = EmbeddedTransport(database, keys, names, settings.home / "locks", now_ms, shared)
    options = kafka_options(settings)
    if options is None:
        return embedded
    from hub.transport.kafka import KafkaTransport  # noqa: PLC0415  (slow to import, and not needed on one machine)

    return KafkaTransport(options, embedded.alone)


def kafka_options(settings: HubSettings) -> KafkaOptions | None:
    """Return how to reach Kafka, or None for a hub without one."""
    if settings.kafka_bootstrap is None:
        return None
    from hub.transport.kafkaclient import KafkaOptions, scram  # noqa: PLC0415  (see transport_of)

    security = {}
    if settings.kafka_user is not None:
        password = settings.kafka_password.get_secret_value() if settings.kafka_password is not None else ""
        security = scram(settings.kafka_user, password, settings.kafka_ca)
    return KafkaOptions(settings.kafka_bootstrap, security, settings.kafka_instance, session_ms=settings.kafka_session_ms)


def checked_keys(database: Database, given: Keys | None, settings: HubSettings) -> Keys:
    """Return the keys with which a database was written; a new one gets keys of its own."""
    with database.read() as connection:
        proofs = {row.version: row.proof for row in connection.execute(select(keys_table))}
    given = given or keys_of(settings)  # another process may have made them since: it does so before it writes their proof
    if proofs and given is None:
        msg = f"the keys of this home are missing from {settings.home / 'keys'}"
        raise StopError(msg, "put them back; without them what is stored cannot be read")
    keys = given or load_keys(settings.home / "keys", None)
    for number, proof in proofs.items():
        keys.check(number, proof)
    fresh = keys.versions.keys() - proofs.keys()
    if fresh:
        with database.write() as connection:
            known = set(connection.execute(select(keys_table.c.version)).scalars())
            for number in fresh - known:
                connection.execute(insert(keys_table).values(version=number, proof=keys.proof(number)))
    return keys
