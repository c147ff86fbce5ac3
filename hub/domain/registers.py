"""The registers behind the rules: participants, agreements, grounds and settings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hub.domain.formats import is_municipality

if TYPE_CHECKING:
    from datetime import date

    from hub.domain.rulefiles import Agreement, ParticipantEntry, SettingValue

HUB: Final = "signaalhub"
"""The hub itself, as publisher of its own signals."""
TEST_OIN: Final = "00000099"
"""OINs that begin so are for tests (OIN-Stelsel); `te-toetsen` works among these only."""


@dataclass(frozen=True, slots=True)
class Participant:
    """One party that publishes or receives, resolved to one municipality and team if it has those."""

    id: str
    role: str
    name: str
    oin: str | None
    government: bool
    municipality: str | None = None
    """The municipality that it is part of."""
    works_in: frozenset[str] | None = None
    """Where a company works; None is everywhere."""

    @property
    def source(self) -> str:
        """Its CloudEvents `source` (NL GOV profile: organisation, then system)."""
        return f"urn:nld:oin:{self.oin}:systeem:{self.id}"

    @property
    def is_test(self) -> bool:
        """It exists for tests only. Who has no OIN may be real."""
        return self.id == HUB or (self.oin is not None and self.oin.startswith(TEST_OIN))

    def covers(self, municipality: str | None) -> bool:
        """Say whether it may speak for this municipality."""
        if self.municipality is not None:
            return municipality == self.municipality
        return self.works_in is None or municipality in self.works_in


class Participants:
    """Who takes part. Look-ups are remembered: the register does not change while loaded."""

    def __init__(self, entries: Iterable[ParticipantEntry]) -> None:
        self.entries = tuple(entries)
        self._by_id = {entry.id: entry for entry in self.entries}
        self._local: dict[str, list[ParticipantEntry]] = {}
        for entry in self.entries:
            if entry.per_municipality is not None:
                self._local.setdefault(entry.role or entry.id, []).append(entry)
        self._national: dict[str, tuple[str, ...]] = {}
        for entry in self.entries:
            if entry.per_municipality is None:
                self._national[entry.role or entry.id] = (*self._national.get(entry.role or entry.id, ()), entry.id)
        self._seen: dict[str, Participant | None] = {}
        self._seen[HUB] = Participant(HUB, HUB, "Signaalhub", None, government=True)

    def find(self, participant_id: str) -> Participant | None:
        """Return the participant, or None if it is not in the register."""
        if participant_id in self._seen:
            return self._seen[participant_id]
        found = self._resolve(participant_id)
        if found is not None:  # what strangers call themselves is not remembered
            self._seen[participant_id] = found
        return found

    def _resolve(self, participant_id: str) -> Participant | None:
        base, *rest = participant_id.split(".")
        entry = self._by_id.get(base)
        if entry is None:
            return None
        role = entry.role or entry.id
        if entry.per_municipality is None:
            works_in = frozenset(entry.municipalities) if entry.municipalities is not None else None
            return None if rest else Participant(base, role, entry.name, entry.oin, entry.government, None, works_in)
        if not rest or len(rest) > 2 or not is_municipality(rest[0]):  # noqa: PLR2004
            return None
        code = rest[0]
        oin = entry.oin.replace("{gemeentecode}", code) if entry.oin else None
        if entry.per_municipality != "all":
            local = entry.per_municipality.get(code)
            if local is None or (len(rest) == 2 and rest[1] not in local.teams):  # noqa: PLR2004
                return None
            oin = local.oin or oin
        elif len(rest) == 2:  # noqa: PLR2004
            return None
        return Participant(participant_id, role, f"{entry.name} {code}", oin, entry.government, code)

    def all_in(self, municipalities: Iterable[str]) -> Iterator[Participant]:
        """Yield everyone who takes part: nationally, in each municipality that the register names, and of "all" in these."""
        codes = sorted(municipalities)
        for entry in self.entries:
            ids = [entry.id]
            if entry.per_municipality is not None:
                named = codes if entry.per_municipality == "all" else sorted(entry.per_municipality)
                teams = {} if entry.per_municipality == "all" else {code: local.teams for code, local in entry.per_municipality.items()}
                ids = [f"{entry.id}.{code}" for code in named]
                ids += [f"{entry.id}.{code}.{team}" for code in named for team in teams.get(code, ())]
            yield from (found for id_ in ids if (found := self.find(id_)) is not None)

    def roles(self) -> frozenset[str]:
        """Return every role that some participant has."""
        return frozenset(entry.role or entry.id for entry in self.entries)

    def role_is_local(self, role: str) -> bool:
        """Say whether the role exists once per municipality."""
        return role in self._local

    def national(self, role: str) -> tuple[str, ...]:
        """Return the ids of the participants in this role that are of no one municipality."""
        return self._national.get(role, ())

    def local_id(self, role: str, municipality: str) -> str:
        """Return the id of a per-municipality role in one municipality, registered or not."""
        entries = self._local[role]
        here = [e for e in entries if e.per_municipality == "all" or municipality in (e.per_municipality or ())]
        return f"{(here or entries)[0].id}.{municipality}"

    def unclear_roles(self) -> Iterator[tuple[str, str]]:
        """Yield (participant id, what is wrong) where a role does not lead to one participant."""
        for role, entries in self._local.items():
            if role in self._national:
                yield entries[0].id, f"the role `{role}` is both per municipality and not"
            for i, entry in enumerate(entries):
                for other in entries[:i]:
                    both = "all" in (entry.per_municipality, other.per_municipality)
                    if both or set(entry.per_municipality or ()) & set(other.per_municipality or ()):
                        yield entry.id, f"the role `{role}` is also that of `{other.id}` in the same municipality"


def covering(agreements: Iterable[Agreement], party: Participant, municipality: str | None, today: date) -> Agreement | None:
    """Return the first agreement that covers this party and municipality on this day."""
    for agreement in agreements:
        if (
            (party.role in agreement.parties or party.id in agreement.parties)
            and (agreement.municipalities == "all" or municipality in agreement.municipalities)
            and agreement.from_ <= today
            and (agreement.until is None or today <= agreement.until)
        ):
            return agreement
    return None


class Settings:
    """The numbers that nobody states, by municipality and day."""

    def __init__(self, values: Mapping[str, Mapping[str, tuple[SettingValue, ...]]]) -> None:
        self.values = values

    def value(self, name: str, municipality: str | None, today: date) -> int | bool | str | None:
        """Return the value in force, the municipality's own before the general one."""
        by_municipality = self.values.get(name, {})
        for key in (municipality, "*"):
            for entry in by_municipality.get(key or "*", ()):
                if entry.from_ <= today and (entry.until is None or today <= entry.until):
                    return entry.value
        return None
