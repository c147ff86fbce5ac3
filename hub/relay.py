"""The relay: recorded deliveries to the transport, in order for each recipient, whom one relay serves at a time.

A delivery gets its `sequence` at its first send, in a transaction of its own before anything
leaves. A crash between sending and noting it sends again: the same id, sequence and bytes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Select, bindparam, select, union_all

from hub import trail
from hub.envelope import COLUMNS
from hub.errors import HubError
from hub.stopping import Stop, never
from hub.storage.tables import State, deliveries, sequences, signals
from hub.telemetry import log
from hub.transport.base import OUT

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from hub.envelope import Delivery, Envelopes
    from hub.storage.database import Database
    from hub.transport.base import Message, Transport

BATCH: Final = 500
_TOGETHER: Final = 25
"""How many recipients are served at once."""


@dataclass(slots=True)
class Relay:
    """Sends what is ready. Raises RetryLaterError when the transport or the database does not answer."""

    database: Database
    transport: Transport
    envelopes: Envelopes

    def run_once(self, stop: Stop = never) -> int:
        """Send everything that is ready now, unless told to stop between batches. Returns how many deliveries left."""
        sent = 0
        failed: HubError | None = None
        while not stop() and (recipients := self._recipients()):
            before = sent
            for start in range(0, len(recipients), _TOGETHER):
                if stop():
                    break
                count, error = self._serve(recipients[start : start + _TOGETHER])
                sent, failed = sent + count, failed or error
            if sent == before:
                break
        if sent:
            log.info("deliveries_sent", count=sent)
        if failed is not None:
            raise failed
        return sent

    def _recipients(self) -> list[int]:
        with self.database.read() as connection:
            return list(connection.execute(select(deliveries.c.recipient).where(deliveries.c.state == State.READY).distinct()).scalars())

    def _serve(self, recipients: Sequence[int]) -> tuple[int, HubError | None]:
        """Send the next of each recipient that no other relay serves. Returns how many left, and what went wrong."""
        owned = {f"relay {recipient}": recipient for recipient in recipients}
        try:
            with self.transport.alone(owned) as mine:
                return self._send([owned[name] for name in sorted(mine)]) if mine else (0, None)
        except HubError as exc:
            return 0, exc

    def _send(self, recipients: Sequence[int]) -> tuple[int, HubError | None]:
        try:
            return self._send_batch(recipients), None
        except HubError as exc:
            if len(recipients) <= 1:
                return 0, exc
        failed = None
        sent = 0
        for recipient in recipients:  # such as a topic that is not there: no other recipient waits for it
            count, error = self._send([recipient])
            sent, failed = sent + count, failed or error
        return sent, failed

    def _send_batch(self, recipients: Sequence[int]) -> int:
        """Send the next deliveries of recipients together: one wait for the database and one for the brokers serve them all."""
        messages: dict[str, list[Message]] = defaultdict(list)
        with self.database.write(beside=True) as connection:
            batch = self._numbered(connection, recipients)
            for name, message in self.envelopes.of(connection, batch):
                messages[OUT + name].append(message)
        if not batch:
            return 0
        self.transport.send_all(messages)
        last = {row.recipient: row.sequence for row in batch}
        with self.database.write(beside=True) as connection:
            connection.execute(
                deliveries.update()
                .where(deliveries.c.id == bindparam("left"))
                .values(state=int(State.SENT), sent_at=self.envelopes.now_ms()),
                [{"left": row.id} for row in batch],
            )
            connection.execute(
                sequences.update().where(sequences.c.recipient == bindparam("to")).values(sent=bindparam("place")),
                [{"to": recipient, "place": place} for recipient, place in last.items()],
            )
        if trail.is_kept():
            with self.database.read() as connection:
                trail.sent(connection, self.envelopes, batch)
        return len(batch)

    def _numbered(self, connection: Connection, recipients: Sequence[int]) -> list[Delivery]:
        """Return the next deliveries of each recipient in the order of its sequence, in which each gets its place once."""
        known = {row.recipient: row for row in connection.execute(select(sequences).where(sequences.c.recipient.in_(recipients)))}
        limit = max(1, BATCH // len(recipients))
        behind = {recipient for recipient, row in known.items() if row.sent < row.last}
        heads = [_head(recipient, limit, behind=recipient in behind) for recipient in recipients]
        found = connection.execute(union_all(*heads)).all()
        if not found:
            return []
        last = {row.recipient: known[row.recipient].last if row.recipient in known else 0 for row in found}
        places = []
        for row in sorted((row for row in found if row.sequence is None), key=attrgetter("id")):
            last[row.recipient] += 1
            places.append({"fresh": row.id, "place": last[row.recipient]})
        if places:
            connection.execute(deliveries.update().where(deliveries.c.id == bindparam("fresh")).values(sequence=bindparam("place")), places)
        self._note(connection, last, known)
        return list(
            connection.execute(
                select(*COLUMNS)
                .select_from(deliveries.join(signals, signals.c.id == deliveries.c.signal))
                .where(deliveries.c.id.in_([row.id for row in found]))
                .order_by(deliveries.c.recipient, deliveries.c.sequence)
            )
        )

    @staticmethod
    def _note(connection: Connection, last: Mapping[int, int], known: Collection[int]) -> None:
        """Store up to where the sequences are given out, also when that is where it was: what cannot be noted must not leave."""
        new = [{"recipient": recipient, "last": place} for recipient, place in last.items() if recipient not in known]
        longer = [{"to": recipient, "place": place} for recipient, place in last.items() if recipient in known]
        if new:
            connection.execute(sequences.insert(), new)
        if longer:
            connection.execute(sequences.update().where(sequences.c.recipient == bindparam("to")).values(last=bindparam("place")), longer)


def _head(recipient: int, limit: int, *, behind: bool) -> Select[Any]:
    """Select the next deliveries of a recipient.

    What has a place and is not known to have left goes first, in its order: the relay that gave the place did not come to note more.
    Only who is `behind` has such, so that a long queue need not be sorted for nobody.
    """
    order = (deliveries.c.sequence.is_(None), deliveries.c.sequence, deliveries.c.id) if behind else (deliveries.c.id,)
    found = (
        select(deliveries.c.id, deliveries.c.recipient, deliveries.c.sequence)
        .where(deliveries.c.recipient == recipient, deliveries.c.state == State.READY)
        .order_by(*order)
        .limit(limit)
    )
    return select(found.subquery())
