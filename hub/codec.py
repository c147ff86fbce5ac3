"""Bytes to events and back: CloudEvents 1.0, Avro, and Confluent framing.

In: structured JSON (`application/cloudevents+json`), or Kafka binary mode with `ce_` headers and
Confluent-framed Avro (magic byte 0, 4-byte big-endian schema id). Out: the latter. Raw Avro
with that framing under `application/avro` is this hub's convention for the CloudEvents binding.
"""

from __future__ import annotations

import io
import json
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final, NoReturn

import fastavro

from hub.domain.signal import Envelope

AVRO: Final = "application/avro"
_FRAME: Final = struct.Struct(">bI")
_MAGIC: Final = 0


@dataclass(frozen=True, slots=True)
class Received:
    """Raw bytes from the outside, with who handed them in (by topic or credential)."""

    participant: str
    body: bytes
    headers: Mapping[str, bytes] = field(default_factory=dict)
    """Of Kafka binary mode; empty for structured JSON."""


_escaped: Final = re.compile(r"[\ud800-\udfff]").search


class UnreadableError(Exception):
    """The bytes are no event. Carries no text: texts of parsers hold content."""


def write_avro(schema: Any, record: Any) -> bytes:
    """Encode a record without framing; fields that the schema does not name are not written."""
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, schema, record)
    return buffer.getvalue()


def read_avro(writer: Any, data: bytes, reader: Any = None) -> Any:
    """Decode one record. Raises UnreadableError on bad, missing or trailing bytes."""
    buffer = io.BytesIO(data)
    try:
        record = fastavro.schemaless_reader(buffer, writer, reader)
    except (ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, TypeError, ValueError, RecursionError):
        raise UnreadableError from None
    if buffer.read(1):
        raise UnreadableError
    return record


def frame(schema_id: int, data: bytes) -> bytes:
    """Put the Confluent header before Avro bytes."""
    return _FRAME.pack(_MAGIC, schema_id) + data


def unframe(value: bytes) -> tuple[int, bytes]:
    """Return schema id and Avro bytes. Raises UnreadableError on a wrong or short header."""
    if len(value) < _FRAME.size:
        raise UnreadableError
    magic, schema_id = _FRAME.unpack_from(value)
    if magic != _MAGIC:
        raise UnreadableError
    return schema_id, value[_FRAME.size :]


def open_envelope(received: Received) -> Envelope:
    """Take a received event apart; nothing in it is believed yet.

    Raises UnreadableError.
    """
    envelope = _binary(received) if "ce_specversion" in received.headers else _structured(received.body)
    if _escaped("".join(received.headers)):  # a name that was not UTF-8 is an attribute that nobody knows
        envelope.attributes.update((name, None) for name in received.headers if _escaped(name))
    return envelope


def _structured(body: bytes) -> Envelope:
    try:
        event = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        raise UnreadableError from None
    if not isinstance(event, dict):
        raise UnreadableError
    data = event.pop("data", None)
    return Envelope(event, data)


def _no_constant(_text: str) -> NoReturn:
    raise ValueError


def _binary(received: Received) -> Envelope:
    headers = received.headers
    try:
        attributes: dict[str, Any] = {name[3:]: value.decode() for name, value in headers.items() if name[:3] == "ce_"}
        if "content-type" in headers:
            attributes["datacontenttype"] = headers["content-type"].decode()
    except UnicodeDecodeError:
        raise UnreadableError from None
    return Envelope(attributes, received.body, wire=True)


def structured(attributes: Mapping[str, Any], data: Mapping[str, Any]) -> bytes:
    """Encode an event as structured JSON."""
    event = {"specversion": "1.0", "datacontenttype": "application/json", **attributes, "data": data}
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


# --- what a recipient sees ----------------------------------------------------------------


def to_json(value: Any) -> Any:
    """Return a decoded record as JSON values: dates and moments as ISO 8601 text."""
    if isinstance(value, dict):
        return {name: to_json(item) for name, item in value.items()}
    if isinstance(value, list):
        return [to_json(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value


class Decoder:
    """Reads deliveries off the wire as any recipient would: by schema id and view."""

    def __init__(self, schema: Callable[[int], dict[str, Any] | None]) -> None:
        self._schema = schema
        self._parsed: dict[int, Any] = {}

    def data(self, value: bytes) -> dict[str, Any]:
        """Return the record in a framed value, as JSON values. Raises UnreadableError."""
        schema_id, avro = unframe(value)
        if schema_id not in self._parsed:
            raw = self._schema(schema_id)
            if raw is None:
                raise UnreadableError
            self._parsed[schema_id] = fastavro.parse_schema(raw)
        record: dict[str, Any] = to_json(read_avro(self._parsed[schema_id], avro))
        return record

    def delivery(self, recipient: str, value: bytes, headers: Mapping[str, bytes]) -> dict[str, Any]:
        """Return a delivery in the form of the command line and the API. Raises UnreadableError."""

        def header(name: str) -> str | None:
            return headers[name].decode() if name in headers else None

        return {
            "delivery_id": header("ce_id"),
            "type": header("ce_type"),
            "grant": header("ce_grantid"),
            "purpose": header("ce_purpose"),
            "recipient": recipient,
            "sequence": int(header("ce_sequence") or 0),
            "time": header("ce_time"),
            "subject": header("ce_subject"),
            "correlation": header("ce_correlationid"),
            "cause": header("ce_causationid"),
            "replaces": header("ce_vervangt"),
            "data": self.data(value),
        }
