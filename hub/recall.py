"""Taking back and correcting: what was sent reaches everyone again (AVG art. 19), and they confirm it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from hub.domain.decide import DELIVER, EXPIRED, RECALLED, RELEASED, Circumstances, Decision, still_applies, still_holds
from hub.domain.registers import HUB
from hub.domain.signal import Fault
from hub.placing import WITHDRAWN, Place, fault
from hub.record import Earlier
from hub.storage.tables import Recall, State, deliveries, receipts, signals

if TYPE_CHECKING:
    from hub.batch import Stored
    from hub.domain.signal import Signal
    from hub.record import Instead, Recorder

OWN_GRANT: Final = "signaalhub.ingetrokken"
"""The rule under which the hub tells of a withdrawal."""
_REACHED: Final = frozenset({State.READY, State.SENT})
_STANDING: Final = (int(State.READY), int(State.SENT), int(State.WAITING), int(State.HELD))


class Recaller:
    """The recalls, receipts and releases of one batch."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.batch = recorder.batch

    # --- who has it -----------------------------------------------------------------------

    def standing(self, original: Stored) -> list[Earlier]:
        """Return every delivery of a signal that was made or still waits, the oldest first."""
        name, connection = self.recorder.means.names.name, self.batch.connection
        rows = connection.execute(
            select(deliveries.c.id, deliveries.c.grant, deliveries.c.recipient, deliveries.c.state, deliveries.c.queue)
            .where(deliveries.c.signal == original.id, deliveries.c.state.in_(_STANDING)).order_by(deliveries.c.id)
        ).all()  # fmt: skip
        return [Earlier(r.id, name(connection, r.grant), name(connection, r.recipient), r.state, r.queue) for r in rows]

    @staticmethod
    def holders(earlier: Sequence[Earlier]) -> tuple[str, ...]:
        """Return who received it."""
        return tuple(dict.fromkeys(one.recipient for one in earlier if one.state in _REACHED))

    @staticmethod
    def instead(earlier: Sequence[Earlier], decisions: Sequence[Decision]) -> Instead:
        """Say which earlier deliveries each decision is about.

        A withdrawal is about every one that its recipient has. A correction is about one: made under
        the same rule if there is one, else whichever the recipient still has no correction of.
        """
        free = list(earlier)
        found: dict[tuple[str, str], list[Earlier]] = {}
        going = [decision for decision in decisions if decision.grant is not None and decision.outcome == DELIVER]
        for decision in going:
            if decision.grant is not None and decision.grant.id == OWN_GRANT:
                found[OWN_GRANT, decision.recipient] = [o for o in free if o.recipient == decision.recipient and o.state in _REACHED]
        for same_rule in (True, False):
            for decision in going:
                at = (decision.grant.id if decision.grant else "", decision.recipient)
                if at in found or at[0] == OWN_GRANT:
                    continue
                fits = [
                    one for one in free
                    if one.recipient == at[1] and (one.grant == at[0] if same_rule else one.state in _REACHED)
                ]  # fmt: skip
                if fits:
                    found[at] = [fits[0]]
                    free.remove(fits[0])
        return found

    # --- carrying it out ------------------------------------------------------------------

    def carry_out(self, by: Stored, original: Stored, earlier: Sequence[Earlier], instead: Instead) -> None:
        """Record that a signal was taken back or replaced: its queue left, its recipients to be told and to confirm."""
        rows, name = self.batch.rows, self.recorder.name
        kind = Recall.WITHDRAWN if by.type == WITHDRAWN else Recall.CORRECTED
        reason = "ingetrokken" if kind == Recall.WITHDRAWN else "gecorrigeerd"
        matched = {one.id for many in instead.values() for one in many}
        for one in earlier:
            self.recorder.decided(original.id, one.grant, one.recipient, RECALLED, reason, None)
            if one.state not in _REACHED and one.id not in self.recorder.places_taken:
                self.recorder.leave_queue(one, original.keten)
        rows.add("recalls", (original.id, by.id, int(kind), self.recorder.now))
        for recipient in dict.fromkeys(one.recipient for one in earlier if one.id in matched and one.state in _REACHED):
            rows.add("receipts", (by.id, name(recipient), original.id, None))
        left_out = [one for one in earlier if one.state in _REACHED and one.id not in matched]
        if left_out and kind == Recall.CORRECTED:
            self._withdraw_from(original, left_out)

    def _withdraw_from(self, original: Stored, left_out: Sequence[Earlier]) -> None:
        """Tell who had the original and is not granted the correction that the original no longer counts."""
        recorder = self.recorder
        signal = recorder.own(WITHDRAWN, {"redencode": "ANDERS"}, recorder.means.random_id())
        signal.municipality = original.municipality
        about: dict[tuple[str, str], list[Earlier]] = defaultdict(list)
        for one in left_out:
            about[OWN_GRANT, one.recipient].append(one)
        holders = tuple(recipient for _, recipient in about)
        place = Place(original.keten, original, (original.subject,) if original.subject else (), opens=False)
        by = recorder.emit(signal, place, Circumstances(recorder.now, recorder.today, holders=holders), instead=about)
        for recipient in holders:
            self.batch.rows.add("receipts", (by.id, recorder.name(recipient), original.id, None))

    # --- receipts -------------------------------------------------------------------------

    def confirmable(self, place: Place, recipient: str) -> Fault | None:
        """Return why a recipient has nothing to confirm."""
        cause = place.cause
        if cause is None:
            return fault("niets-te-bevestigen", "causationid")
        number = self.recorder.means.names.find(self.batch.connection, recipient)
        row = self.batch.connection.execute(
            select(receipts.c.confirmed_at).where(receipts.c.signal == cause.id, receipts.c.recipient == number)
        ).one_or_none()  # fmt: skip
        if row is None:
            return fault("niets-te-bevestigen", "causationid")
        return None if row.confirmed_at is None else fault("al-bevestigd", "causationid")

    def confirm(self, cause: Stored, recipient: str) -> None:
        """Record that a recipient confirmed a recall."""
        mine = (receipts.c.signal == cause.id, receipts.c.recipient == self.recorder.name(recipient))
        self.batch.change(receipts.update().where(*mine).values(confirmed_at=self.recorder.now), cause.keten)

    def concerned(self, cause: Stored | None) -> str | None:
        """Return who published a signal; for a withdrawal that the hub made, who published the original."""
        if cause is not None and cause.type == WITHDRAWN and cause.publisher == HUB and cause.cause is not None:
            return self.batch.by_id(cause.cause).publisher
        return cause.publisher if cause else None

    # --- releases -------------------------------------------------------------------------

    def release(self, signal: Signal, keten: int, by: Circumstances) -> None:
        """Let go what was held back in a keten until its recipient published a signal of this type."""
        recorder, recipient = self.recorder, signal.publisher.id
        for id_ in self.batch.held(keten, recipient):
            row = self.batch.connection.execute(
                select(signals, deliveries.c.grant).join(deliveries, deliveries.c.signal == signals.c.id).where(deliveries.c.id == id_)
            ).one()  # fmt: skip
            grant_id = recorder.means.names.name(self.batch.connection, row.grant)
            grant = recorder.book.ruleset.grants.get(grant_id)
            if grant is not None and grant.release_on != signal.rules.contract.type:
                continue
            kept = row.sealed_key is not None and row.erase_at > recorder.now
            held = recorder.read_back(row) if kept else None
            holds = still_holds(recorder.book.ruleset, grant_id, held, recipient, recorder.today) if held else None
            if held is None or holds is None or not still_applies(recorder.book.ruleset, *holds, held, by):
                gone = {"state": int(State.DROPPED)}
                self.batch.change(deliveries.update().where(deliveries.c.id == id_).values(gone), keten)
                reason = "regel-vervallen" if kept else "bewaartermijn-verstreken"
                recorder.decided(row.id, grant_id, recipient, EXPIRED, reason, None)
                continue
            schema, payload = recorder.project(held, holds[0], recipient, recorder.keys.data_key(row.sealed_key))
            ready = {"state": int(State.READY), "schema": schema, "payload": payload, "at": recorder.now}
            self.batch.change(deliveries.update().where(deliveries.c.id == id_).values(ready), keten)
            recorder.decided(row.id, grant_id, recipient, RELEASED, "opgepakt", None)
