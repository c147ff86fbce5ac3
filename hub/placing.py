"""Where a signal belongs: its keten, its cause, its subject, and what it takes back or replaces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import select

from hub.domain.contract import ANYTHING, value_at
from hub.domain.formats import canonical
from hub.domain.reasons import text_of
from hub.domain.registers import HUB
from hub.domain.signal import Fault, Signal
from hub.storage.tables import Recall, recalls

if TYPE_CHECKING:
    from hub.batch import Batch, Stored
    from hub.keys import Keys

WITHDRAWN: Final = "nl.signaalhub.signaal-ingetrokken.v1"
"""By this type a publisher takes back the signal that it names as cause."""
CONFIRMED: Final = "nl.signaalhub.ontvangst-bevestigd.v1"
"""By this type a recipient confirms the recall that it names as cause."""


class Place(NamedTuple):
    """Where a signal belongs."""

    keten: int | None
    cause: Stored | None
    subjects: tuple[bytes, ...]
    """The pseudonyms of the person under every key, the newest first; that of the keten alone if inherited."""
    opens: bool
    replaces: Stored | None = None
    withdraws: Stored | None = None

    @property
    def subject(self) -> bytes | None:
        """The pseudonym to store."""
        return self.subjects[0] if self.subjects else None

    @property
    def recalls(self) -> Stored | None:
        """The signal that this one takes back or replaces."""
        return self.replaces or self.withdraws


def fault(code: str, field: str | None = None) -> Fault:
    """Return a reason of the hub's own."""
    return Fault(code, field, text_of(code))


def place(batch: Batch, keys: Keys, signal: Signal) -> Place | Fault:
    """Find where a signal belongs, or say why it belongs nowhere. What is not the publisher's does not exist for it."""
    return _Placing(batch, keys, signal).run()


class _Placing:
    def __init__(self, batch: Batch, keys: Keys, signal: Signal) -> None:
        self.batch = batch
        self.keys = keys
        self.signal = signal
        self.contract = signal.rules.contract
        self.publisher = signal.publisher

    def run(self) -> Place | Fault:
        replaced = self.replaced()
        if isinstance(replaced, Fault):
            return replaced
        signal, contract = self.signal, self.contract
        anonymous = contract.subject is None
        if anonymous and (signal.correlation or (signal.cause and not contract.answers)):
            return fault("keten-niet-toegestaan")
        cause = self.cause(replaced)
        if isinstance(cause, Fault):
            return cause
        found = Place(None, cause, (), opens=False) if anonymous else self.in_keten(cause, replaced)
        if isinstance(found, Fault):
            return found
        if replaced is not None:
            return self.corrects(found, replaced)
        return self.withdraws(found) if contract.type == WITHDRAWN else found

    @property
    def is_own_fact(self) -> bool:
        """It happened, and it names the person itself: whatever its links are worth, it is taken in."""
        machine = self.signal.rules.machine
        return machine is not None and machine.is_fact(self.contract.type) and not self.contract.inherits_subject

    # --- what it names --------------------------------------------------------------------

    def cause(self, replaced: Stored | None) -> Stored | Fault | None:
        signal, answers = self.signal, self.contract.answers
        if signal.cause is None and replaced is not None and replaced.cause is not None:
            return self.batch.by_id(replaced.cause)  # a correction answers what the original answered
        cause = self.batch.known_to(self.publisher.id, signal.cause) if signal.cause else None
        if signal.cause and cause is None:
            return None if self.is_own_fact else fault("keten-onbekend", "causationid")
        if replaced is not None and cause is not None and cause.id != replaced.cause:
            return fault("oorzaak-past-niet", "causationid")  # else a correction could go to who asked in another keten
        if answers and cause is None:
            return fault("oorzaak-ontbreekt", "causationid")
        if cause and answers and cause.type not in answers and ANYTHING not in answers:
            return fault("oorzaak-past-niet", "causationid")
        return cause

    def replaced(self) -> Stored | Fault | None:
        """Return the signal that this one corrects."""
        if self.signal.replaces is None:
            return None
        original = self.batch.known_to(self.publisher.id, self.signal.replaces)
        if original is None:
            return fault("keten-onbekend", "vervangt")
        if original.publisher != self.publisher.id:
            return fault("niet-uw-signaal", "vervangt")
        if original.type in {WITHDRAWN, CONFIRMED}:
            return fault("niet-intrekbaar", "vervangt")
        if original.type != self.contract.type:
            return fault("correctie-ander-type", "vervangt")
        return self.standing(original, "vervangt") or original

    def standing(self, original: Stored, field: str) -> Fault | None:
        """Return why a signal cannot be taken back any more."""
        self.batch.settle(original.keten)
        kind = self.batch.connection.execute(select(recalls.c.kind).where(recalls.c.original == original.id)).scalar()
        if kind is None:
            return None
        return fault("al-ingetrokken" if kind == Recall.WITHDRAWN else "al-gecorrigeerd", field)

    def withdraws(self, found: Place) -> Place | Fault:
        original = found.cause
        if original is None:
            return fault("oorzaak-ontbreekt", "causationid")
        if original.publisher != self.publisher.id:
            return fault("niet-uw-signaal", "causationid")
        if original.type in {WITHDRAWN, CONFIRMED} or original.publisher == HUB:
            return fault("niet-intrekbaar", "causationid")
        return self.standing(original, "causationid") or found._replace(withdraws=original)

    def corrects(self, found: Place, original: Stored) -> Place | Fault:
        if self.signal.municipality != original.municipality:
            return fault("correctie-andere-gemeente", self.contract.municipality)
        if original.fingerprint is None:
            return fault("origineel-gewist", "vervangt")
        if original.subject is not None and original.subject not in found.subjects:
            return fault("correctie-andere-persoon")
        return found._replace(replaces=original)

    # --- where it belongs -----------------------------------------------------------------

    def in_keten(self, cause: Stored | None, replaced: Stored | None) -> Place | Fault:
        contract, signal = self.contract, self.signal
        keten = self.keten(replaced or cause)
        if isinstance(keten, Fault):
            return self.apart() if self.is_own_fact else keten
        if keten is None and contract.inherits_subject:
            if cause is not None and ANYTHING in contract.answers:  # about an anonymous signal, so anonymous itself
                signal.municipality = cause.municipality
                return Place(None, cause, (), opens=False)
            return fault("keten-onbekend", "correlationid")
        opener = self.batch.by_id(keten) if keten is not None else None
        if contract.municipality is None:
            of_keten = opener.municipality if opener else None
            signal.municipality = of_keten or self.publisher.municipality
        if contract.inherits_subject:
            return Place(keten, cause, (opener.subject,) if opener and opener.subject else (), opens=False)
        found = Place(keten, cause, self.subjects(), opens=keten is None)
        return self.of_person(found, opener) if opener is not None and replaced is None and self.by_person else found

    def keten(self, earlier: Stored | None) -> int | Fault | None:
        """Return the keten that the signal names or that follows from an earlier one; None if it opens its own."""
        signal = self.signal
        keten = earlier.keten if earlier else None
        if earlier is not None and keten is None and (signal.correlation or ANYTHING not in self.contract.answers):
            return fault("keten-niet-toegestaan", "correlationid" if signal.correlation else "causationid")
        if signal.correlation:
            named = self.batch.keten(self.publisher.id, signal.correlation)
            if earlier is not None and named != keten:
                return fault("keten-onbekend", "correlationid")
            keten = named
        return keten

    def of_person(self, found: Place, opener: Stored) -> Place | Fault:
        """Hold the person that a signal names against that of its keten."""
        same = opener.subject is None or opener.subject in found.subjects
        if self.is_own_fact:
            return found if same else self.apart()
        if opener.publisher != self.publisher.id:  # one answer, whoever it is about: else a guess could be tried
            return fault("zaak-bestaat-al")
        return found if same else fault("keten-andere-persoon", "correlationid" if self.signal.correlation else "causationid")

    @property
    def by_person(self) -> bool:
        """It belongs to a process that guards a person, and names the person itself."""
        machine = self.signal.rules.machine
        return machine is not None and machine.by_subject

    def apart(self) -> Place:
        """Give a fact a keten of its own, under no name: the one that it named is another's or another person's."""
        self.signal.correlation = None
        return Place(None, None, self.subjects(), opens=True)

    def subjects(self) -> tuple[bytes, ...]:
        parts = []
        for name in self.contract.subject or ():
            leaf = self.contract.leaves[name]
            value = value_at(self.signal.data, leaf.path)
            parts.append("" if value is None else canonical(leaf.format, str(value)))
        return self.keys.subjects("\x1f".join(parts))
