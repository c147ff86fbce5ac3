"""Two recipients that lay side by side all that they received cannot join it, but by what was granted to both.

Every flow is played with people of its own in each example, in several municipalities. Outside the payload no two
recipients share a value, except those that say what a delivery is, why and when, and what is said of the rule itself.
"""

from __future__ import annotations

import re
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import Connection, select

from hub import cases
from hub.app import Hub, MovingClock
from hub.client import NewSignal
from hub.domain import terms
from hub.placing import CONFIRMED, WITHDRAWN
from hub.storage.tables import metadata, signals
from hub.telemetry import configure
from tests.integration.canary import OF_THE_HUB, Aviary
from tests.integration.memory import BALIE, BERICHT, WIJK, confirmation, withdrawal, world
from tests.integration.memory import MELDING as MELDING_PROEF
from tests.integration.memory import new as proef
from tests.integration.playback import Arrived, Playback, quick_disk
from tests.integration.support import accepted, codes, opened, received
from tests.integration.support import one as published_by

SHARED: Final = frozenset({"content-type", "ce_source", "ce_specversion", "ce_time", "ce_type", "ce_purpose"})
"""What two recipients may have in common: what it is, of which kind, for which purpose, and when the hub decided it."""
OF_THE_RULE: Final = frozenset({"ce_grantid", "ce_dataschema"})
"""What two deliveries under the same rule have in common besides: the rule, and the number of its view."""
COUNTED: Final = "ce_sequence"
"""Counts from 1 for each recipient, so that it says nothing of what others get."""
LONGEST_COMMON: Final = 8
"""Hexadecimal digits in a row that private values of two deliveries of one signal may share by chance."""


# --- what each recipient holds --------------------------------------------------------------------


@dataclass(slots=True)
class Holding:
    """Everything that one participant ever got outside a payload."""

    private: dict[str, str] = field(default_factory=dict)
    """Value, in one spelling -> where it stood."""
    rules: dict[str, str] = field(default_factory=dict)
    """Rule -> the number of its view."""
    sequence: list[int] = field(default_factory=list)

    def take(self, where: str, value: str) -> None:
        """Keep a value, and each part of it by which it could be recognised."""
        for part in {value, *(part for part in value.split("-") if len(part) > 15)}:
            self.private[part.replace("-", "").casefold()] = where


def private(one: Arrived) -> dict[str, str]:
    """Return the values of a delivery outside its payload that nobody else may have."""
    found = {name: value for name, value in one.headers.items() if name not in SHARED | OF_THE_RULE | {COUNTED}}
    if one.headers["ce_type"].startswith(OF_THE_HUB):  # a message of the hub can name a signal in what it says
        found |= {f"{name} in it": value for name, value in one.data.items() if isinstance(value, str) and _names_one(value)}
    return found


def _names_one(value: str) -> bool:
    return re.fullmatch(r"[0-9a-f-]{32,36}", value) is not None


def holdings(playback: Playback) -> dict[str, Holding]:
    """Return what each participant received, and what it was told when it published."""
    found: dict[str, Holding] = defaultdict(Holding)
    for one in playback.arrived:
        mine = found[one.recipient]
        for name, value in private(one).items():
            mine.take(name, value)
        mine.rules[one.headers["ce_grantid"]] = one.headers["ce_dataschema"]
        mine.sequence.append(int(one.headers[COUNTED]))
    for published in playback.published:
        for name in ("id", "signal_id", "correlation"):
            if value := getattr(published.receipt, name):
                found[published.participant].take(f"{name} of a receipt", value)
    return dict(found)


def joined(one: Holding, other: Holding) -> Iterator[str]:
    """Yield everything by which two participants could join what they hold."""
    for value in one.private.keys() & other.private.keys():
        yield f"{one.private[value]} is {other.private[value]}"
    for rule in one.rules.keys() & other.rules.keys():
        if one.rules[rule] != other.rules[rule]:
            yield f"one rule, {rule}, has two views"
    views = {view: rule for rule, view in one.rules.items()}
    for rule, view in other.rules.items():
        if views.get(view, rule) != rule:
            yield f"two rules, {rule} and {views[view]}, have one view"


def longest_common(first: Arrived, second: Arrived) -> int:
    """Return how many hexadecimal digits in a row the private values of two deliveries share at most."""
    one, other = ("|".join(value.replace("-", "") for value in private(arrived).values()) for arrived in (first, second))
    longest = 0
    for start in range(len(one)):
        while "|" not in (piece := one[start : start + longest + 1]) and len(piece) > longest and piece in other:
            longest += 1
    return longest


# --- all flows ------------------------------------------------------------------------------------


def test_no_two_recipients_share_a_value_outside_the_payload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    quick_disk(monkeypatch)
    clock = MovingClock(terms.moment("2020-01-01T00:00"))
    with opened(tmp_path / "home", clock) as hub:
        playback = Playback(hub, clock, Aviary())
        anonymous = Anonymous(playback)
        playback.at_moments = anonymous.at_moments
        playback.play()
        anonymous.check_rest()
        held, origins = holdings(playback), playback.origins(playback.arrived)
        stories = {published.example for published in playback.published}
        unnamed = anonymous.check_wire(origins)
    pairs = list(combinations(sorted(held), 2))
    found = [f"{a} and {b}: {what}" for a, b in pairs for what in joined(held[a], held[b])]
    assert found == []
    assert [name for name, holding in held.items() if holding.sequence != list(range(1, len(holding.sequence) + 1))] == []
    assert shared_names(playback) <= SHARED | OF_THE_RULE | {COUNTED}
    longest = same_signal(playback, origins)
    assert max(longest, default=0) <= LONGEST_COMMON
    assert flows_apart(playback) > 0
    values = sum(len(holding.private) for holding in held.values())
    with capsys.disabled():
        print(f"\nunlinkability: {len(playback.arrived)} deliveries of {len(set(origins.values()))} signals in {len(stories)} stories, to "
              f"{len(held)} participants; {values} private values, none shared by any of {len(pairs)} pairs; "
              f"{len(longest)} pairs of deliveries of one signal, with at most {max(longest)} digits in common; "
              f"shared: {', '.join(sorted(shared_names(playback)))}; {len(anonymous.signals)} signals without a person or about one, {unnamed} deliveries of them, "
              f"held against {anonymous.compared:,} random values of other rows")  # fmt: skip


def shared_names(playback: Playback) -> set[str]:
    """Return the headers of which two recipients ever had the same value."""
    who: dict[tuple[str, str], set[str]] = defaultdict(set)
    for one in playback.arrived:
        for item in one.headers.items():
            who[item].add(one.recipient)
    return {name for (name, _), recipients in who.items() if len(recipients) > 1}


def same_signal(playback: Playback, origins: dict[str, str]) -> list[int]:
    """Return, for each two deliveries of one signal to two recipients, how much of their private values is the same."""
    of: dict[str, list[Arrived]] = defaultdict(list)
    for one in playback.arrived:
        of[origins[one.headers["ce_id"]]].append(one)
    return [longest_common(a, b) for many in of.values() for a, b in combinations(many, 2) if a.recipient != b.recipient]


def flows_apart(playback: Playback) -> int:
    """See to it that one recipient cannot join two flows by what stands for a person. Returns how many pseudonyms there were.

    A withdrawal speaks of the person as the delivery did that it takes back.
    """
    flows: dict[tuple[str, str], set[str]] = defaultdict(set)
    by_id = {one.headers["ce_id"]: one for one in playback.arrived}
    for one in playback.arrived:
        about = by_id[one.headers["ce_causationid"]] if one.headers["ce_type"] == WITHDRAWN else one
        if "ce_subject" in one.headers:
            flows[one.recipient, one.headers["ce_subject"]].add(playback.ruleset.grants[about.headers["ce_grantid"]].flow)
    assert {key: names for key, names in flows.items() if len(names) > 1} == {}
    return len(flows)


def test_receipts_do_not_join_two_flows_about_one_person(tmp_path: Path, clock: MovingClock) -> None:
    with world(tmp_path, clock).open() as hub:
        for type_ in (BERICHT, MELDING_PROEF):
            first = accepted(hub, BALIE, proef(type_))
            received(hub, WIJK)
            accepted(hub, BALIE, withdrawal(first.signal_id))
            accepted(hub, WIJK, confirmation(received(hub, WIJK, WITHDRAWN)[-1]["delivery_id"]))
        subjects = [receipt["subject"] for receipt in received(hub, BALIE, CONFIRMED)]
    assert len(subjects) == 2
    assert subjects[0] is None or subjects[0] != subjects[1]


# --- without a person -----------------------------------------------------------------------------

_LINKED: Final = {
    "signals": ("id", "cause"), "decisions": ("signal",), "deliveries": ("signal",), "recalls": ("original", "by"),
    "receipts": ("signal", "original"), "case_steps": ("signal",), "keten_names": ("keten",), "cases": ("keten",),
}  # fmt: skip
"""Columns that hold the number of a signal."""


class Anonymous:
    """The signals without a person, what is said of them later, and everything that is about somebody."""

    def __init__(self, playback: Playback) -> None:
        self.hub, self.playback = playback.hub, playback
        types = playback.ruleset.types
        self.types = {name for name, rules in types.items() if rules.contract.subject is None and not name.startswith(OF_THE_HUB)}
        self.signals: set[str] = set()
        self.compared = 0
        self.moves = 0

    def at_moments(self) -> None:
        """Look at what is stored now and then: in the end all of it is erased."""
        self.moves += 1
        if self.moves % 10 == 1:
            self.check_rest()

    # --- at rest --------------------------------------------------------------------------

    def check_rest(self) -> None:
        """See to it that no row about anything else holds a number or a random value of theirs, and that no case knows them."""
        with self.hub.database.read() as connection:
            about = self._about(connection)
            own: Counter[bytes] = Counter()
            others: set[bytes] = set()
            for table, columns in _LINKED.items():
                for row in connection.execute(select(metadata.tables[table])).mappings():
                    values = {value for value in row.values() if isinstance(value, bytes)}
                    if not {row[column] for column in columns} & about:
                        others |= values
                    else:
                        assert table not in {"keten_names", "cases", "case_steps"}, f"{table} knows an anonymous signal"
                        own.update(values)
        assert not own.keys() & others
        assert [value for value, count in own.items() if count > 1] == []
        self.compared += len(others)

    def _about(self, connection: Connection) -> set[int]:
        """Return the numbers of the anonymous signals, and of what takes back, corrects or confirms one."""
        numbers = [self.hub.names.find(connection, name) for name in self.types]
        about = {row.id for row in connection.execute(select(signals.c.id).where(signals.c.type.in_(numbers)))}
        while more := {row.id for row in connection.execute(select(signals.c.id).where(signals.c.cause.in_(about)))} - about:
            about |= more
        for row in connection.execute(select(signals).where(signals.c.id.in_(about))):
            assert (row.keten, row.subject) == (None, None)
            assert row.cause is None or row.cause in about
            self.signals.add(str(uuid.UUID(bytes=row.signal_id)))
        return about

    # --- on the wire ----------------------------------------------------------------------

    def check_wire(self, origins: Mapping[str, str]) -> int:
        """See to it that nothing outside the payload joins them to another delivery. Returns how many arrived."""
        asked = {published.receipt.signal_id: published.participant for published in self.playback.published}
        mine = [one for one in self.playback.arrived if origins[one.headers["ce_id"]] in self.signals]
        other = [one for one in self.playback.arrived if origins[one.headers["ce_id"]] not in self.signals]
        for one in mine:
            assert not {"ce_subject", "ce_correlationid"} & one.headers.keys(), one
            if self.playback.ruleset.types[one.headers["ce_type"]].contract.answers and one.headers["ce_type"] in self.types:
                assert asked[one.headers["ce_causationid"]] == one.recipient, "an answer goes to whoever asked"
        for recipient in {one.recipient for one in mine}:
            held = [{value for one in many if one.recipient == recipient for value in private(one).values()} for many in (mine, other)]
            assert not held[0] & held[1], recipient
        for published in self.playback.published:
            assert published.signal.type not in self.types or published.receipt.correlation is None
        return len(mine)


VRAAG: Final = "nl.sociaal-domein.overleg-vraag.v1"
ANTWOORD: Final = "nl.sociaal-domein.overleg-antwoord.v1"
MELDING: Final = "nl.participatiewet.maatregel-voorgenomen.v1"
OPGEPAKT: Final = "nl.participatiewet.melding-opgepakt.v1"
VERZOEK: Final = "nl.wahv.pauze-verzocht.v1"
TEAM: Final = "buurtteam.0344"
OTHER_TEAM: Final = "handhaving.0344"
_DATA: Final[dict[str, dict[str, Any]]] = {
    VRAAG: {"gemeentecode": "0344", "teamcode": "overvecht", "thema": "BEEINDIGING", "situaties": ["GEEN_REACTIE", "KWETSBAAR"],
            "vraag": "WACHTEN_MOGELIJK", "urgentie": "DEZE_WEEK"},
    ANTWOORD: {"advies": "WACHT_EN_ONDERZOEK", "ruimte_in_wet": "pw-18-1", "geldig_tot": "2026-12-31"},
    MELDING: {"gemeentecode": "0344", "bsn": "999990019", "achternaam": "Van Voorbeeld", "geboortedatum": "19570300",
              "maatregelsoort": "BEEINDIGING", "aanleiding": "NIET_VERSCHENEN", "aantal_contactpogingen": 2, "gepland_op": "2026-11-16",
              "extra_contact_nodig": False, "lopend_hulptraject": "JA", "betrokkene_geinformeerd": "JA", "contactrol": "loket"},
    OPGEPAKT: {"reden": "AFSTEMMEN", "contactrol": "loket"},
    VERZOEK: {"gemeentecode": "0344", "persoonskenmerk": "6f1d2c3b-8a47-4e1f-9c20-5b7e0d9a4c11", "cjib_zaaknummers": ["412345678"],
              "zaaksoort": "WAHV", "verzoeksoort": "INNING_AANHOUDEN", "gevraagd_tot": "2027-03-02", "verlenging": False,
              "machtiging_ref": "MACHT-2026-88", "betrokkene_geinformeerd": "JA", "contactrol": "loket-12"},
}  # fmt: skip


def new(type_: str, **links: str | None) -> NewSignal:
    return NewSignal(type=type_, data=_DATA[type_], **links)


def got(hub: Hub, recipient: str, type_: str) -> list[dict[str, Any]]:
    """Return what a recipient got of a type."""
    return received(hub, recipient, type_)


def test_nobody_can_join_a_question_to_a_person_not_even_who_asked_it(
    hub: Hub, clock: MovingClock, capsys: pytest.CaptureFixture[str]
) -> None:
    configure("debug")
    question = accepted(hub, TEAM, new(VRAAG))
    announced = accepted(hub, OTHER_TEAM, new(MELDING, correlation="zaak-1"))
    (asked,), (told,) = got(hub, OTHER_TEAM, VRAAG), got(hub, TEAM, MELDING)
    known_as = {TEAM: (question.signal_id, told["delivery_id"]), OTHER_TEAM: (asked["delivery_id"], announced.signal_id)}
    for participant, (about_nobody, about_somebody) in known_as.items():
        for type_ in (MELDING, OPGEPAKT, VERZOEK):
            assert codes(published_by(hub, participant, new(type_, cause=about_nobody))) in _REFUSED, (participant, type_)
        for links in (
            {"cause": about_somebody},
            {"correlation": told["correlation"]},
            {"correlation": "zaak-1"},
            {"correlation": about_nobody},
        ):
            assert codes(published_by(hub, participant, new(VRAAG, **links))) == ["keten-niet-toegestaan"], links
        for keten in (about_nobody, question.signal_id, asked["delivery_id"]):
            assert cases.may(hub, "maatregel-uitvoeren", participant, keten or "").code == "keten-onbekend"
            assert cases.keten_of(hub, participant, keten or "") is None
    clock.now += 86_400_000
    answer = accepted(hub, OTHER_TEAM, new(ANTWOORD, cause=asked["delivery_id"]))
    taken_back = accepted(hub, OTHER_TEAM, withdrawal(answer.signal_id))
    heard = [found for found in received(hub, TEAM) if found["type"] in {ANTWOORD, WITHDRAWN}]
    confirmed = accepted(hub, TEAM, confirmation(heard[-1]["delivery_id"]))
    receipt = got(hub, OTHER_TEAM, CONFIRMED)[-1]
    for found in (asked, *heard, receipt):
        assert (found["subject"], found["correlation"]) == (None, None)
    assert [found["cause"] for found in heard] == [question.signal_id, heard[0]["delivery_id"]]
    assert {receipt.correlation for receipt in (question, answer, taken_back, confirmed)} == {None}
    said = capsys.readouterr()
    ids = [value for found in (asked, *heard, receipt) for value in (found["delivery_id"], found["cause"]) if value]
    assert not [id_ for id_ in (*ids, question.signal_id or "") if id_ in said.out + said.err]


_REFUSED: Final = (["keten-niet-toegestaan"], ["geen-publicatierecht", "keten-niet-toegestaan"], ["geen-publicatierecht"])


def test_two_questions_of_the_same_words_have_nothing_in_common_at_rest(hub: Hub) -> None:
    for team in (TEAM, TEAM, "buurtteam.0479"):
        accepted(hub, team, NewSignal(type=VRAAG, data=_DATA[VRAAG] | {"gemeentecode": team[-4:]}))
    with hub.database.read() as connection:
        rows = connection.execute(select(signals)).mappings().all()
    found = Counter(value for row in rows for value in row.values() if isinstance(value, bytes))
    assert [value.hex() for value, count in found.items() if count > 1] == []
