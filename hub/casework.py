"""What a signal, its withdrawal or a term does to a case, inside the transaction of a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from hub.casebook import Moment, StoredCase, standing, step_row
from hub.domain import process, terms
from hub.domain.decide import Circumstances, Conditions
from hub.domain.machine import Machine
from hub.domain.process import Arrived, Calendar, Case, Corrected, Mover, Step, Told, Withdrawn
from hub.domain.processfile import REMINDER
from hub.domain.signal import Fault, Signal
from hub.placing import Place
from hub.storage.tables import case_steps
from hub.telemetry import log

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.batch import Stored
    from hub.record import Recorder


_KETEN_ONLY: Final = frozenset({"e.correlationid"})


class Taken(NamedTuple):
    """The step that a signal takes in a case, not yet recorded."""

    machine: Machine
    before: StoredCase | None
    """None: the case begins, or there is none."""
    after: StoredCase | None
    step: Step
    trigger: str
    corrects: bool = False
    told: tuple[tuple[StoredCase, Told], ...] = ()
    """Reminders to send, each in the keten of its case."""

    @property
    def case(self) -> Case | None:
        """The case as grants see it."""
        return self.after.case if self.after else None


class Casework:
    """The cases of one batch."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.batch = recorder.batch
        self.ruleset = recorder.book.ruleset

    # --- a signal -------------------------------------------------------------------------

    def arrive(self, signal: Signal, place: Place, id_: int, keten: int | None) -> Taken | Fault | None:
        """Return the step that a signal takes, None if it belongs to no process, or why it may not."""
        machine = signal.rules.machine
        if machine is None or keten is None:
            return None
        keys = self._keys(machine, signal, keten)
        begins = place.opens and machine.keys[signal.rules.contract.type].variables <= _KETEN_ONLY
        found = None if begins else self._find(keys)  # a keten that begins now holds no case yet
        before = self.overdue(found) if found else None
        by = Mover(id_, signal.rules.contract.type, signal.publisher.id)
        step = self._step(machine, before, Arrived(by, self._bind(signal, keten)), signal.municipality)
        if isinstance(step, Fault):
            return step
        after = None
        if before is not None:
            after = self._after(before, step)
        elif step.case.state:
            after = self._opened(machine, place, signal, keys[0], keten, step)
        told = [*self._alarms(machine, signal, before, place), *((after, told) for told in step.told if after)]
        return Taken(machine, before, after, step, by.type, told=tuple(told))

    def withdraw(self, original: Stored) -> Taken | Fault | None:
        """Return the step that taking back a signal means for the case that it moved."""
        machine, before = self._moved_by(original)
        if machine is None or before is None:
            return None
        trigger = Withdrawn(Mover(original.id, original.type, original.publisher))
        return self._again(machine, self.overdue(before), trigger, original.type)

    def correct(self, signal: Signal, original: Stored, id_: int, keten: int | None) -> Taken | Fault | None:
        """Return the step that a correction means for the case that the original moved."""
        machine, before = self._moved_by(original)
        if keten is None or signal.rules.machine is None:
            return None
        if machine is None or before is None:  # the original moved nothing, so neither does this: grants see the case as it is
            found = self._find(self._keys(signal.rules.machine, signal, keten))
            stays = self.overdue(found) if found else None
            return Taken(signal.rules.machine, stays, stays, Step(stays.case), original.type) if stays else None
        by = Mover(id_, signal.rules.contract.type, signal.publisher.id)
        return self._again(machine, self.overdue(before), Corrected(original.id, by, self._bind(signal, keten)), original.type)

    def _again(self, machine: Machine, before: StoredCase, trigger: Withdrawn | Corrected, name: str) -> Taken | Fault:
        step = self._step(machine, before, trigger, before.municipality)
        if isinstance(step, Fault):
            return step
        after = self._after(before, step)
        told = tuple((after, told) for told in step.told)
        return Taken(machine, before, after, step, name, isinstance(trigger, Corrected), told)

    def settle(self, taken: Taken, signal: int) -> None:
        """Record a step: the case as it is now, the step itself, and the reminders that it sends."""
        after = taken.after
        if after is not None:
            if taken.before is None:
                self.batch.cases.add(after)
            elif taken.before.case != after.case:
                self.batch.cases.put(after)
            self._note(after, taken.before.case if taken.before else None, signal, taken.trigger, corrects=taken.corrects)
        for stored, told in taken.told:
            self._remind(taken.machine, stored, told, f"{stored.id} {told.notice.code} {signal}")

    # --- terms ----------------------------------------------------------------------------

    def overdue(self, stored: StoredCase) -> StoredCase:
        """Let every term of a case that is due now fall due, the oldest first, and return the case as it is then."""
        machine = self.ruleset.machines.get(stored.process)
        if machine is None:
            return stored
        for due, step in process.overdue(machine, stored.case, self._calendar(stored.municipality), self.recorder.now):
            self._report(machine, step)
            after = self._after(stored, step)
            self.batch.cases.put(after)
            self._note(after, stored.case, None, due.code)
            for told in step.told:
                self._remind(machine, after, told, f"{after.id} {due.code} {due.at_ms}")
            stored = after
        return stored

    # --- parts ----------------------------------------------------------------------------

    def _keys(self, machine: Machine, signal: Signal, keten: int) -> list[bytes]:
        """Return what can stand for the case of a signal at rest, under every key of the hub, the newest first."""
        keys = self.recorder.keys
        found = []
        for version in sorted(keys.versions, reverse=True):
            by = Circumstances(self.recorder.now, self.recorder.today, keys.fingerprint(b"keten %d" % keten, version).hex())
            value = machine.keys[signal.rules.contract.type].value(Conditions(self.ruleset, signal, by).under(None))
            found.append(keys.fingerprint(f"case {machine.id} {value}".encode(), version))
        return found

    def _find(self, keys: list[bytes]) -> StoredCase | None:
        return next((stored for key in keys if (stored := self.batch.cases.find(key)) is not None), None)

    def _bind(self, signal: Signal, keten: int) -> Callable[[Case], Any]:
        recorder = self.recorder
        correlation = recorder.keys.fingerprint(b"keten %d" % keten).hex()

        def bind(case: Case) -> Any:
            by = Circumstances(recorder.now, recorder.today, correlation, case=case)
            return Conditions(self.ruleset, signal, by).under(None)

        return bind

    def _step(self, machine: Machine, stored: StoredCase | None, trigger: process.SignalTrigger, municipality: str | None) -> Step | Fault:
        step = process.step(machine, stored.case if stored else None, trigger, self._calendar(municipality), self.recorder.now)
        if not isinstance(step, Fault):
            self._report(machine, step)
        elif step.code == "voorwaarde-fout":
            log.error("condition_failed", rule=machine.id, type=trigger.by.type)
        return step

    def _calendar(self, municipality: str | None) -> Calendar:
        return Calendar(self.ruleset.settings, municipality)

    def _report(self, machine: Machine, step: Step) -> None:
        for code in step.failed:
            log.error("condition_failed", rule=f"{machine.id}.{code}", type=REMINDER)

    def _opened(self, machine: Machine, place: Place, signal: Signal, key: bytes, keten: int, step: Step) -> StoredCase:
        now = self.recorder.now
        subject = place.subject
        if len(place.subjects) > 1:  # one pseudonym a person, also across a change of keys
            known = self.batch.cases.about(machine.id, place.subjects, signal.municipality)
            subject = known[0].subject if known else subject
        id_ = self.batch.rows.next("cases")
        opened = StoredCase(id_, machine.id, key, subject, keten, signal.municipality, now, now, None, None, step.case)
        return self._after(opened, step)

    def _after(self, stored: StoredCase, step: Step) -> StoredCase:
        return standing(stored, step.case, self.ruleset, self.recorder.now)

    def _alarms(self, machine: Machine, signal: Signal, own: StoredCase | None, place: Place) -> list[tuple[StoredCase, Told]]:
        """Return the alarms that a fact raises, in its own case and in the others about the same person."""
        name = signal.rules.contract.type
        if name not in machine.alarms:
            return []
        seen = [own] if own else []
        if machine.by_subject:
            subjects = place.subjects if own is None or own.subject is None else (own.subject, *place.subjects)
            others = [
                self.overdue(stored)
                for stored in self.batch.cases.about(machine.id, subjects, signal.municipality)
                if own is None or stored.id != own.id
            ]
            seen += [stored for stored in others if stored.closed_at is None]
        return [(stored, told) for stored in seen for told in process.alarms(machine, name, stored.case)]

    def _moved_by(self, original: Stored) -> tuple[Machine | None, StoredCase | None]:
        """Return the case that a signal moved, with its machine; (None, None) if it moved none."""
        id_ = self.batch.connection.execute(
            case_steps.select().with_only_columns(case_steps.c.case)
            .where(case_steps.c.signal == original.id, case_steps.c.moved == 1)
            .order_by(case_steps.c.id.desc()).limit(1)
        ).scalar()  # fmt: skip
        stored = self.batch.cases.by_id(id_) if id_ is not None else None
        return (self.ruleset.machines.get(stored.process), stored) if stored else (None, None)

    def _note(self, stored: StoredCase, before: Case | None, signal: int | None, trigger: str, *, corrects: bool = False) -> None:
        """Append a step. A correction stands for the step of its original, so withdrawing it undoes that step."""
        rows, recorder = self.batch.rows, self.recorder
        after = stored.case
        moved = corrects or before is None or before.mover != after.mover or before.state != after.state
        moment = Moment(trigger, signal, recorder.now, recorder.book.id)
        state = before.state if before else None
        rows.add("case_steps", step_row(rows.next("case_steps"), stored, state, moment, recorder.name, recorder.keys, moved=moved))

    def _remind(self, machine: Machine, stored: StoredCase, told: Told, about: str) -> None:
        """Send a reminder in the keten of a case. Its id follows from what it is about, so it cannot go out twice."""
        recorder = self.recorder
        data = {
            "gemeentecode": stored.municipality, "proces": machine.id, "code": told.notice.code, "staat": told.state,
            "uiterlijk": None if told.until is None else (told.until - terms.EPOCH).days,
        }  # fmt: skip
        id_ = recorder.keys.fingerprint(f"reminder {about}".encode()).hex()
        signal = recorder.own(REMINDER, data, id_)
        signal.municipality = stored.municipality
        starter = self.batch.by_id(stored.keten).publisher
        place = Place(stored.keten, None, (stored.subject,) if stored.subject else (), opens=False)
        recorder.emit(signal, place, Circumstances(recorder.now, recorder.today, starter=starter), told.notice.grants)
