"""Refusing a signal: its bytes are kept for a while, its publisher is told, and refusing twice is once."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from hub.codec import Received, open_envelope
from hub.domain.signal import LARGEST_SIGNAL
from hub.keys import seal, unseal
from hub.storage.tables import Rejection, refusal_counts, rejections

if TYPE_CHECKING:
    from hub.domain.signal import Refused
    from hub.record import Recorder

REFUSED: Final = "nl.signaalhub.signaal-geweigerd.v1"
REFUSAL_KEPT_DAYS: Final = 14
"""How long the bytes of a refused signal are kept."""


def refuse(recorder: Recorder, event: Received, refused: Refused) -> None:
    """Keep the bytes and tell the publisher, unless nothing may be kept."""
    publisher = refused.publisher
    if not refused.keep or publisher is None:
        _count(recorder, refused.counted_as or refused.faults[0].code)
        return
    fingerprint = recorder.keys.fingerprint(publisher.id.encode() + b"\0" + raw_of(event))
    if not recorder.batch.refused_before(fingerprint) and not _open_already(recorder, event, refused):
        _keep(recorder, event, refused, publisher.id, fingerprint)
        _tell(recorder, refused, publisher.id)


def _open_already(recorder: Recorder, event: Received, refused: Refused) -> bool:
    """Say whether this signal is open for these very reasons, and differs at most in when it was published.

    A file that comes every night is published anew every night, with another time in its bytes.
    """
    if refused.signal_id is None:
        return False
    where = rejections.c.signal_id == refused.signal_id, rejections.c.state == int(Rejection.OPEN), rejections.c.sealed_key.is_not(None)
    rows = recorder.batch.connection.execute(select(rejections.c.sealed_key, rejections.c.body, rejections.c.reasons).where(*where)).all()
    now = _timeless(event)
    return any(
        row.reasons == _reasons(refused)
        and _timeless(unraw(event.participant, unseal(recorder.keys.data_key(row.sealed_key), row.body))) == now
        for row in rows
    )


def _timeless(event: Received) -> bytes:
    envelope = open_envelope(event)  # it has an id, so it can be read
    attributes = {name: value for name, value in envelope.attributes.items() if name not in {"time", "traceparent"}}
    try:
        return json.dumps([attributes, envelope.data.hex() if envelope.wire else envelope.data], sort_keys=True).encode()
    except RecursionError:
        return raw_of(event)


def _reasons(refused: Refused) -> str:
    return json.dumps([[fault.code, fault.field] for fault in refused.faults])


def _count(recorder: Recorder, code: str) -> None:
    connection = recorder.batch.connection
    where = refusal_counts.c.code == code
    if not connection.execute(refusal_counts.update().where(where).values(count=refusal_counts.c.count + 1)).rowcount:
        connection.execute(refusal_counts.insert().values(code=code, count=1))


def _keep(recorder: Recorder, event: Received, refused: Refused, publisher: str, fingerprint: bytes) -> None:
    sealed_key = body = None
    if len(event.body) <= LARGEST_SIGNAL:  # of a larger one nobody looked at the type, and it may be a forbidden one
        key, sealed_key = recorder.keys.new_data_key()
        body = seal(key, raw_of(event))
    rows, name = recorder.batch.rows, recorder.name
    rows.add("rejections", (
        rows.next("rejections"), refused.signal_id, name(publisher), name(refused.type) if refused.type else None,
        recorder.now, _reasons(refused), fingerprint, sealed_key, body, int(Rejection.OPEN), None,
        recorder.now + REFUSAL_KEPT_DAYS * 86_400_000,
    ))  # fmt: skip
    rows.flush_rejections()


def _tell(recorder: Recorder, refused: Refused, publisher: str) -> None:
    signal_id = str(uuid.UUID(bytes=refused.signal_id)) if refused.signal_id else None
    reasons = [{"code": fault.code, "veld": fault.field} for fault in refused.faults]
    recorder.address(REFUSED, {"signaal_id": signal_id, "signaaltype": refused.type, "redenen": reasons}, (publisher,), None)


def raw_of(event: Received) -> bytes:
    """Return everything received as bytes that `unraw` takes apart again, exactly."""
    headers = json.dumps({name: value.hex() for name, value in sorted(event.headers.items())}).encode()
    return len(headers).to_bytes(4) + headers + event.body


def unraw(participant: str, raw: bytes) -> Received:
    """Return the event as it was received."""
    end = 4 + int.from_bytes(raw[:4])
    headers = {name: bytes.fromhex(value) for name, value in json.loads(raw[4:end]).items()}
    return Received(participant, raw[end:], headers)
