"""The relay: recorded deliveries to the transport, in order for each recipient, whom one relay serves at a time.

A delivery gets its `sequence` at its first send, in a transaction of its own before anything
leaves. A crash between sending and noting it sends again: the same id, sequence and bytes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Select, bindparam, select, union_all

from hub import trail
from hub.envelope import COLUMNS
from hub.errors import HubError, RetryLaterError
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

    failing: dict[int, HubError] = field(default_factory=dict, init=False)
    """Recipients who could not be served at the last try, and why: their deliveries stay, and nobody else waits for them."""

    def run_once(self, stop: Stop = never) -> int:
        """Take one turn: send the next deliveries of every recipient, unless told to stop. Returns how many left."""
        recipients = self._recipients()
        sent = 0
        for start in range(0, len(recipients), _TOGETHER):
            if stop():
                break
            sent += self._serve(recipients[start : start + _TOGETHER], stop)
        if sent:
            log.info("deliveries_sent", count=sent)
        return sent

    def _recipients(self) -> list[int]:
        with self.database.read() as connection:
            return list(connection.execute(select(deliveries.c.recipient).where(deliveries.c.state == State.READY).distinct()).scalars())

    def _serve(self, recipients: Sequence[int], stop: Stop) -> int:
        """Send the next of each recipient that no other relay serves. Returns how many left."""
        owned = {f"relay {recipient}": recipient for recipient in recipients}
        with self.transport.alone(owned) as mine:
            return self._send(sorted(owned[name] for name in mine), stop) if mine else 0

    def _send(self, recipients: Sequence[int], stop: Stop) -> int:
        try:
            return self._send_batch(recipients)
        except RetryLaterError:  # the database or the brokers: so it would be for each of them
            raise
        except HubError as exc:  # such as a damaged row of one of them
            if len(recipients) == 1:
                self.failing[recipients[0]] = exc
                return 0
        return sum(self._send([recipient], stop) for recipient in recipients if not stop())

    def _send_batch(self, recipients: Sequence[int]) -> int:
        """Send the next deliveries of recipients together: one wait for the database and one for the brokers serve them all."""
        messages: dict[str, list[Message]] = defaultdict(list)
        topics: dict[int, str] = {}
        with self.database.write(beside=True) as connection:
            batch = self._numbered(connection, recipients)
            for row, (name, message) in zip(batch, self.envelopes.of(connection, batch), strict=True):
                topics[row.recipient] = OUT + name
                messages[OUT + name].append(message)
        if not batch:
            return 0
        failed = self.transport.send_all(messages)
        for recipient, topic in topics.items():
            if topic in failed:
                self.failing[recipient] = failed[topic]
            else:
                self.failing.pop(recipient, None)
        left = [row for row in batch if topics[row.recipient] not in failed]
        if left:
            self._note_sent(left)
        return len(left)

    def _note_sent(self, left: Sequence[Delivery]) -> None:
        last = {row.recipient: row.sequence for row in left}
        with self.database.write(beside=True) as connection:
            connection.execute(
                deliveries.update()
                .where(deliveries.c.id == bindparam("left"))
                .values(state=int(State.SENT), sent_at=self.envelopes.now_ms()),
                [{"left": row.id} for row in left],
            )
            connection.execute(
                sequences.update().where(sequences.c.recipient == bindparam("to")).values(sent=bindparam("place")),
                [{"to": recipient, "place": place} for recipient, place in last.items()],
            )
        if trail.is_kept():
            with self.database.read() as connection:
                trail.sent(connection, self.envelopes, left)

    def _numbered(self, connection: Connection, recipients: Sequence[int]) -> list[Delivery]:
        """Return the next deliveries of each recipient in the order of its sequence, in which each gets its place once."""
        rows = select(sequences).where(sequences.c.recipient.in_(recipients)).order_by(sequences.c.recipient).with_for_update()
        known = {row.recipient: row for row in connection.execute(rows)}  # locked, should another relay ever serve one of them too
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
