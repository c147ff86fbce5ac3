"""A process that the cluster benchmarks run and watch: `python -m tests.bench.part WHAT ARGUMENTS...`.

`hub ...` is the command line itself; `plain ...` is the same with a cipher that does nothing (measured, not an option);
`bare BOOTSTRAP URL SCHEMAS` is the loop that the router is held against.
"""

from __future__ import annotations

import os
import pickle
import sys
from typing import Any, Final
from unittest.mock import patch

from kafka import KafkaConsumer, KafkaProducer, OffsetAndMetadata
from sqlalchemy import create_engine, select

from hub.codec import read_avro, unframe, write_avro
from hub.domain.view import parse_wire
from hub.storage.rows import Inserts
from hub.storage.tables import decisions, deliveries, metadata, signals
from hub.transport.base import IN
from tests.bench.world import BATCH

TABLES: Final = {"signals": signals, "decisions": decisions, "deliveries": deliveries}
OUT_TOPIC: Final = "bare.out"


def bare(bootstrap: str, url: str, patterns: str) -> None:
    """Consume, decode, insert the rows that the router would insert, encode and produce two records, commit. For ever.

    No check, no rule, no view and no cipher; rows are prepared tuples, sends are idempotent with acks=all, the transaction and the
    offset are committed once a batch: what is left is what no router on these libraries could do without.
    """
    with open(patterns, "rb") as file:  # noqa: PTH123  (written by the benchmark itself)
        rows, schema = pickle.load(file)  # noqa: S301
    wire = parse_wire(schema)
    engine = create_engine(url)
    metadata.create_all(engine, list(TABLES.values()))
    sql = Inserts(engine.dialect).sql
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id="bare", enable_auto_commit=False, auto_offset_reset="earliest")
    consumer.subscribe(pattern=f"^{IN}.*")
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, linger_ms=5, batch_size=262_144)
    made = 0
    while True:
        found = consumer.poll(timeout_ms=200, max_records=BATCH)
        gathered: dict[str, list[tuple[Any, ...]]] = {name: [] for name in TABLES}
        sent = []
        for record in (record for records in found.values() for record in records):
            _, body = unframe(record.value)
            data = read_avro(wire, body)
            made += 1
            gathered["signals"].append(tuple({**rows["signals"][0], "id": made, "signal_id": os.urandom(16)}.values()))
            for i in (0, 1):
                place = {"id": 2 * made + i, "signal": made}
                gathered["decisions"].append(tuple((rows["decisions"][i] | place).values()))
                gathered["deliveries"].append(tuple((rows["deliveries"][i] | place).values()))
                sent.append(producer.send(OUT_TOPIC, write_avro(wire, data), partition=0, headers=record.headers))
        if not sent:
            continue
        with engine.begin() as connection:
            for name, new in gathered.items():
                connection.exec_driver_sql(sql[name], new)
        producer.flush()
        for one in sent:
            one.get(timeout=0)
        consumer.commit({place: OffsetAndMetadata(records[-1].offset + 1, "", -1) for place, records in found.items()})


def rows_of(hub: Any) -> dict[str, list[dict[str, Any]]]:
    """Return rows as the router wrote them, for the bare loop to write again."""
    with hub.database.read() as connection:
        return {
            name: [dict(row) for row in connection.execute(select(table).order_by(table.c.id.desc()).limit(2)).mappings()]
            for name, table in TABLES.items()
        }


def main() -> None:
    """Be the process that was asked for."""
    what, *arguments = sys.argv[1:]
    if what == "bare":
        bare(*arguments)
        return
    from hub.cli import main as hub  # noqa: PLC0415

    sys.argv = ["hub", *arguments]
    if what == "plain":
        with patch("hub.record.seal", new=lambda _key, data: data):
            hub()
    else:
        hub()


if __name__ == "__main__":
    main()
