"""A delivery on a real broker is read by clients that others made: nothing of ours is needed to receive."""

from __future__ import annotations

import io
import json
import uuid
from pathlib import Path

import fastavro
from avro.io import BinaryDecoder, DatumReader
from avro.schema import parse
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from confluent_kafka import Consumer

from hub.app import MovingClock, open_hub
from hub.settings import HubSettings
from hub.transport.base import IN, OUT, ROUTERS
from tests.integration.support import ROOT, TAX, TILBURG
from tests.sample import ADDRESS, address
from tests.services import own_kafka


def test_clients_of_others_read_a_delivery_its_headers_and_its_value(tmp_path: Path, clock: MovingClock) -> None:
    with own_kafka() as broker:
        settings = HubSettings(
            home=tmp_path / "home",
            rules_dir=ROOT / "rules",
            schemas_dir=ROOT / "schemas",
            kafka_bootstrap=broker.bootstrap,
            kafka_session_ms=1_500,
        )
        hub = open_hub(settings, clock=clock)
        hub.send(TILBURG, [address()])
        consumer = hub.transport.consumer(ROUTERS, IN)
        while not hub.drain(consumer) or hub.transport.lag(ROUTERS, IN):
            pass
        hub.relay_once()
        (ours,) = [hub.decoder.delivery(TAX, record.message.value, record.message.headers) for record in hub.received_by(TAX)]
        consumer.close()

        theirs = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": f"{TAX}.lezer", "auto.offset.reset": "earliest"})
        theirs.subscribe([OUT + TAX])
        message = theirs.poll(30)
        theirs.close()
        assert message is not None
        assert message.error() is None
        headers: dict[str, bytes] = dict(message.headers())  # type: ignore[arg-type]  # its type allows for more than Kafka gives
        value = message.value() or b""
        assert headers["content-type"] == b"application/avro"
        assert message.key() is None

        event = from_binary(KafkaMessage(headers=headers, key=message.key(), value=value), JSONFormat(), CloudEvent)
        assert event.get_id() == ours["delivery_id"]
        assert event.get_type() == ADDRESS
        assert event.get_source() == hub.source
        assert event.get_extension("grantid") == ours["grant"]
        assert event.get_data() in {value, value.decode()}, "their JSON format takes bytes that are text for text"

        assert value[0] == 0
        schema_id = int.from_bytes(value[1:5])
        assert event.get_dataschema() == f"{hub.source}:schema:{schema_id}"
        schema = hub.rulebooks.schema(schema_id) or {}
        hub.close()
    by_fastavro = fastavro.schemaless_reader(io.BytesIO(value[5:]), fastavro.parse_schema(schema), None)
    by_avro = DatumReader(parse(json.dumps(schema))).read(BinaryDecoder(io.BytesIO(value[5:])))
    assert isinstance(by_avro, dict)
    assert by_fastavro == by_avro
    assert by_avro.keys() == ours["data"].keys()
    assert by_avro["bag_id"] == ours["data"]["bag_id"] == address().data["bag_id"]
    assert uuid.UUID(event.get_id())
