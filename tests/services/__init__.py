"""The one provider of services for tests: real PostgreSQL and real Apache Kafka.

A test takes the fixture `postgres` (an empty database) or `kafka` (a broker and a prefix of its own), on servers that a whole run shares.
A test that kills, stops or locks its server takes a server of its own: `own_postgres()`, `own_kafka()`.
"""

from __future__ import annotations

from tests.services.kafka.broker import KafkaServer, Topics
from tests.services.own import own_kafka, own_postgres
from tests.services.postgres import EmptyDatabase, PostgresServer

__all__ = ["EmptyDatabase", "KafkaServer", "PostgresServer", "Topics", "own_kafka", "own_postgres"]
