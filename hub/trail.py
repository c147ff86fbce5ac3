"""The trail of a signal in the log, at level debug: received, recorded, decided, sent, in whichever process that happens.

What joins the lines is a trace id that nothing else uses: `Keys.trace` of the signal_id, so that it needs no place of its own and
a replay has the same. What leaves the hub bears a trace context that is fresh for every delivery (`relay`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from hub.domain.signal import Refused, Signal
from hub.refusing import raw_of
from hub.storage.database import after_commit
from hub.storage.tables import Outcome as Recorded
from hub.telemetry import log

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from hub.batch import Batch
    from hub.codec import Received
    from hub.domain.signal import Fault
    from hub.envelope import Delivery, Envelopes
    from hub.keys import Keys


def is_kept() -> bool:
    """Say whether anybody reads it. Asked once a batch: without a reader it must cost nothing."""
    return bool(log.is_enabled_for(logging.DEBUG))


def trace_of(keys: Keys, event: Received, signal_id: bytes | None) -> str:
    """Return the trace id of a received event; of its bytes when it has no id that can be read."""
    return keys.trace(signal_id or event.participant.encode() + b"\0" + raw_of(event))


def received(keys: Keys, events: Sequence[Received], admitted: Sequence[Signal | Refused]) -> None:
    """Log what came in, before anything is recorded. Of what may not be kept no line is kept either."""
    for event, one in zip(events, admitted, strict=True):
        if isinstance(one, Signal) or one.keep:
            log.debug("signal_received", trace=trace_of(keys, event, one.signal_id), type=_type(one))


def recorded(
    connection: Connection,
    keys: Keys,
    events: Sequence[Received],
    admitted: Sequence[Signal | Refused],
    outcomes: Sequence[tuple[str, Sequence[Fault]]],
) -> None:
    """Log what became of each event, its status and the reasons against it, once that is committed."""
    for event, one, (status, faults) in zip(events, admitted, outcomes, strict=True):
        if isinstance(one, Signal) or one.keep:
            line = {"trace": trace_of(keys, event, one.signal_id), "type": _type(one), "status": status}
            after_commit(connection, partial(log.debug, "signal_recorded", **line, reasons=[fault.code for fault in faults]))


def decided(batch: Batch, rows: Sequence[tuple[Any, ...]]) -> None:
    """Log decisions, once they are committed; `rows` are those of their table."""
    name = partial(batch.names.name, batch.connection)
    for _, signal, grant, _, outcome, reason, *_ in rows:
        line = {"trace": batch.keys.trace(batch.by_id(signal).signal_id), "grant": name(grant) if grant else None}
        after_commit(batch.connection, partial(log.debug, "signal_decided", **line, outcome=Recorded(outcome).name.lower(), reason=reason))


def sent(connection: Connection, envelopes: Envelopes, batch: Sequence[Delivery]) -> None:
    """Log deliveries that left, now that this is committed."""
    for row in batch:
        line = {"trace": envelopes.keys.trace(row.signal_id), "type": envelopes.names.name(connection, row.type)}
        log.debug("delivery_sent", **line, grant=envelopes.rulebooks.view(row.schema)["grant"])


def _type(one: Signal | Refused) -> str:
    return one.rules.contract.type if isinstance(one, Signal) else one.type or "unknown"
