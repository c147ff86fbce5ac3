"""The pauzeknop and the CJIB process once more, from their Dutch rule texts: what the hub is held against.

Nothing of `hub/` is used. Here every case stands at once as it should at any moment, however late
a clock runs; working days, edges and reminders are worked out anew. Days are ISO texts.
"""

from __future__ import annotations

import calendar
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

AMSTERDAM: Final = ZoneInfo("Europe/Amsterdam")
PAUZE: Final = "uitkering-pauze"
CJIB: Final = "cjib-pauze"
STARTER: Final = "$starter"
Value = str | bool
Data = Mapping[str, Any]

# --- days -----------------------------------------------------------------------------------------

EQUATED: Final = frozenset(
    date.fromisoformat(day)
    for day in ("2026-01-02", "2026-05-04", "2026-05-15", "2027-04-26", "2027-05-07", "2028-04-28", "2028-05-26")
)  # fmt: skip
"""rules/feestdagen.yaml."""


@cache
def holidays(year: int) -> frozenset[date]:
    """Return the days of Algemene termijnenwet art. 3 in a year; Easter by the rule of Meeus, Jones and Butcher."""
    a, b, c = year % 19, year // 100, year % 100
    h = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    k = (32 + 2 * (b % 4) + 2 * (c // 4) - h - c % 4) % 7
    m = (a + 11 * h + 22 * k) // 451
    month, day = divmod(h + k - 7 * m + 114, 31)
    easter = date(year, month, day + 1)
    king = date(year, 4, 26 if date(year, 4, 27).weekday() == 6 else 27)
    around = {easter + timedelta(days) for days in (-2, 0, 1, 39, 49, 50)}
    return frozenset(around | {king, date(year, 1, 1), date(year, 5, 5), date(year, 12, 25), date(year, 12, 26)})


def working_days(day: str, count: int) -> str:
    """Return the day that lies so many working days after (or before) another."""
    at, left = date.fromisoformat(day), abs(count)
    while left:
        at += timedelta(1 if count > 0 else -1)
        left -= at.weekday() < 5 and at not in holidays(at.year) and at not in EQUATED
    return at.isoformat()


def days(day: str, count: int) -> str:
    """Return the day that lies so many days later."""
    return (date.fromisoformat(day) + timedelta(count)).isoformat()


def months(day: str, count: int) -> str:
    """Return the same day so many months later, or the last one of that month."""
    at = date.fromisoformat(day)
    year, month = divmod(at.year * 12 + at.month - 1 + count, 12)
    return date(year, month + 1, min(at.day, calendar.monthrange(year, month + 1)[1])).isoformat()


def midnight(day: str) -> int:
    """Return the moment at which a day begins, in epoch milliseconds."""
    return int(datetime.fromisoformat(day).replace(tzinfo=AMSTERDAM).timestamp()) * 1000


def day_of(ms: int) -> str:
    """Return the Dutch day of a moment."""
    return datetime.fromtimestamp(ms // 1000, UTC).astimezone(AMSTERDAM).date().isoformat()


def numbers(place: str | None) -> Data:
    """Return what rules/settings.yaml says for a municipality."""
    utrecht = place == "0344"
    own = {"reactie": 3, "pauze": 5, "langst": 4} if utrecht else {"reactie": 5, "pauze": 10, "langst": 3}
    return {**own, "nadert": 2, "vervalt": 120, "cjib": 5}


# --- who may send what ----------------------------------------------------------------------------

MELDING, OPGEPAKT, REACTIE, HUISBEZOEK, BEKEND, GEVRAAGD, INGESTELD, VERLENGD, AFGEWEZEN, AFGEROND, UITGEVOERD = (
    f"nl.participatiewet.{name}.v1"
    for name in ("maatregel-voorgenomen", "melding-opgepakt", "reactie-gegeven", "huisbezoek-resultaat", "melding-bekend",
                 "pauze-gevraagd", "pauze-ingesteld", "pauze-verlengd", "pauze-afgewezen", "pauze-afgerond", "maatregel-uitgevoerd")
)  # fmt: skip
VERZOCHT, BESLUIT, VOORNEMEN, TAAK, CAPACITEIT = (
    f"nl.wahv.{name}.v1"
    for name in ("pauze-verzocht", "pauze-besluit", "maatregel-voorgenomen", "taak-volbracht", "betaalcapaciteit-vastgesteld")
)
REACTIONS: Final = (OPGEPAKT, REACTIE, HUISBEZOEK, BEKEND)
_TEAMS: Final = ("buurtteam", "handhaving")
_WENI: Final = ("werk-en-inkomen",)
PUBLISHERS: Final[Mapping[str, tuple[str, ...]]] = {
    MELDING: ("werk-en-inkomen", "handhaving"), **dict.fromkeys((*REACTIONS, GEVRAAGD), _TEAMS),
    **dict.fromkeys((INGESTELD, VERLENGD, AFGEWEZEN, AFGEROND, UITGEVOERD), _WENI),
    VERZOCHT: ("schuldhulp", "buurtteam", "begeleid-wonen"), BESLUIT: ("cjib",), VOORNEMEN: ("cjib",),
    TAAK: ("buurtteam", "schuldhulp"), CAPACITEIT: ("buurtteam", "schuldhulp"),
}  # fmt: skip
PROCESS: Final = {type_: CJIB if type_.startswith("nl.wahv") else PAUZE for type_ in PUBLISHERS}
PERSON: Final = {MELDING: "bsn", UITGEVOERD: "bsn", VERZOCHT: "persoonskenmerk", VOORNEMEN: "persoonskenmerk"}
"""Types that name the person themselves, and so may begin a keten."""
FACTS: Final = {UITGEVOERD, VOORNEMEN}
"""What happened is never refused for how a case stands."""
STARTS: Final = {PAUZE: MELDING, CJIB: VERZOCHT}


# --- cases ----------------------------------------------------------------------------------------


class Move(NamedTuple):
    """Where something takes a case."""

    to: str | None = None
    sets: Mapping[str, Value] = {}
    tells: str | None = None
    """The code of a reminder to `cjib` and who began the keten."""


@dataclass(slots=True)
class Case:
    """One case as it should be."""

    process: str
    keten: int
    person: str
    place: str | None
    starter: str
    state: str = ""
    entered: int = 0
    v: Mapping[str, Value] = field(default_factory=dict)
    lasting: dict[str, int] = field(default_factory=dict)
    """Terms that count from when their states were entered."""
    fired: set[tuple[str, int]] = field(default_factory=set)
    by: tuple[int, str, str] | None = None
    """The signal that moved it last: number, type, publisher."""
    earlier: tuple[str, Mapping[str, Value]] = ("", {})
    """State and variables before that signal."""
    newest: dict[str, int] = field(default_factory=dict)
    """Type -> the latest signal of it that moved the case."""
    closed: int | None = None


class Reminder(NamedTuple):
    """What people must hear of."""

    process: str
    keten: int
    place: str | None
    code: str
    state: str
    until: str | None
    to: tuple[str, ...]


class Term(NamedTuple):
    """One term that runs: when it falls due, where it leads, the last day that it names, and who hears it."""

    code: str
    due: int
    to: str | None
    until: str
    tells: tuple[str, ...]
    sets: Mapping[str, Value] = {}


WAIT: Final = frozenset({"aangekondigd", "gepauzeerd", "ingesteld", "geescaleerd"})
OPEN: Final = WAIT | {"doorgang"}
DONE: Final = frozenset({"afgerond", "uitgevoerd", "vervallen"})
_EVERYONE: Final = ("werk-en-inkomen", "handhaving", "buurtteam")


def pauze_step(case: Case, type_: str, s: Data, today: str) -> Move | str | None:
    """Return what a signal does to an announced measure, why it may not, or None where it does not belong."""
    n, state, v = numbers(case.place), case.state, case.v
    if type_ in REACTIONS and state in OPEN:
        return Move()
    if type_ == GEVRAAGD and state in {"aangekondigd", "doorgang"}:
        if not v["gevraagd"]:
            until = working_days(today, n["pauze"])
            return Move("gepauzeerd", {"gevraagd": True, "teruggetrokken": False, "besloten": False, "pauze_tot": until})
        again = v["teruggetrokken"] and today <= str(v["pauze_tot"])
        return Move("gepauzeerd", {"teruggetrokken": False, "besloten": False}) if again else "pauze-al-gevraagd"
    if type_ == INGESTELD and state in OPEN - {"ingesteld"}:
        return Move("ingesteld", {"herzien_op": s["herzien_op"], "besloten": True})
    if type_ == VERLENGD and state == "ingesteld":
        later = s["herzien_op"] > v["herzien_op"]
        return Move("ingesteld", {"herzien_op": s["herzien_op"]}) if later else "herziening-niet-later"
    if type_ == AFGEWEZEN and state in {"gepauzeerd", "ingesteld", "geescaleerd"}:
        return Move("doorgang")
    if type_ == AFGEROND and state == "uitgevoerd":
        return Move() if s["uitkomst"] == "HERSTELD" else "al-uitgevoerd"
    if type_ == AFGEROND and state in OPEN:
        ends = s["uitkomst"] == "BEEINDIGD_NA_OVERLEG"
        return Move("doorgang", {"gevraagd": True, "teruggetrokken": False}) if ends else Move("afgerond")
    return Move("uitgevoerd") if type_ == UITGEVOERD and state in OPEN else None


def pauze_undone(case: Case, type_: str, today: str) -> Move | str:
    """Return what taking back a signal that moved an announced measure does to it."""
    state, v = case.state, case.v
    if type_ == MELDING and state in OPEN:
        return Move("vervallen")
    if type_ == GEVRAAGD and state == "gepauzeerd":
        return Move("aangekondigd" if today <= str(v["reageren_tot"]) else "doorgang", {"teruggetrokken": True})
    if type_ == GEVRAAGD and state == "geescaleerd" and not v["besloten"]:
        return Move("doorgang", {"teruggetrokken": True})
    if type_ in {INGESTELD, VERLENGD} and state == "ingesteld":
        return Move("geescaleerd")
    return Move("geescaleerd", {"besloten": True}) if type_ in {AFGEWEZEN, AFGEROND} and state == "doorgang" else Move()


def pauze_terms(case: Case) -> Iterator[Term]:
    """Yield the terms of an announced measure as it stands."""
    n, v = numbers(case.place), case.v
    if case.state == "aangekondigd":
        yield _at("geen-reactie", str(v["reageren_tot"]), "doorgang", "werk-en-inkomen")
    if case.state == "gepauzeerd":
        yield _at("geen-besluit", str(v["pauze_tot"]), "geescaleerd", *_EVERYONE)
    if case.state == "ingesteld":
        review = str(v["herzien_op"])
        yield Term("herziening-nadert", midnight(working_days(review, -n["nadert"])), None, review, _WENI)
        yield _at("herziening-verlopen", review, "geescaleerd", *_EVERYONE)
    for code in ("melding-vervalt", "besluit-bleef-uit"):
        if code in case.lasting:
            yield _since(case, code, "vervallen", *_EVERYONE)


STILL: Final = frozenset({"gepauzeerd", "verlenging-gevraagd"})
HELD: Final = frozenset({"gijzeling-aangehouden", "gijzeling-verlenging-gevraagd"})
TASK: Final = frozenset({"taak-afgesproken", "taak-volbracht"})
ACTIVE: Final = STILL | HELD | TASK | {"verzocht", "verlenging-open", "geregeld"}
_BACK: Final = {
    "verlenging-gevraagd": "gepauzeerd", "gijzeling-verlenging-gevraagd": "gijzeling-aangehouden", "verlenging-open": "beeindigd",
}  # fmt: skip
"""What goes on when a longer pause was asked and is not given."""
_LONGER: Final = {asked: state for state, asked in _BACK.items()}


def cjib_step(case: Case, type_: str, s: Data, today: str) -> Move | str | None:
    """Return what a signal does to a request at the CJIB, why it may not, or None where it does not belong."""
    state, v = case.state, case.v
    if type_ == VERZOCHT and state in _BACK.values():
        if not s["verlenging"] or v["verlengd"]:
            return "verlengen-kan-niet"
        return Move(_LONGER[state], {"verlengd": True, "grens": months(today if state == "beeindigd" else str(v["tot"]), 8)})
    if type_ == BESLUIT:
        return _decided(case, s, today)
    if type_ == TAAK and state == "taak-afgesproken":
        return Move("taak-volbracht")
    if type_ == CAPACITEIT and state in ACTIVE:
        agreed = s["regeling_cent_per_maand"]
        return Move(tells="regeling-boven-capaciteit" if agreed is not None and agreed > s["betaalcapaciteit_cent_per_maand"] else None)
    return None


def _decided(case: Case, s: Data, today: str) -> Move | str | None:
    state, no = case.state, s["besluit"] == "AFGEWEZEN"
    if state not in ACTIVE:
        return None
    if no and state in {"verzocht", *TASK}:
        return Move("afgewezen")
    if no and state in _BACK:
        end: Mapping[str, Value] = {} if state == "verlenging-open" else {"grens": case.v["tot"]}
        return Move(_BACK[state], {"verlengd": False, **end})
    if no:
        return "trek-besluit-in"
    if state == "taak-afgesproken" and not s["na_taak"]:
        return "taak-niet-volbracht"
    if s["na_taak"]:
        to = "taak-afgesproken"
    elif any(part["actie"] == "AANHOUDEN" for part in s["onderdelen"]):
        to = "gepauzeerd"
    else:
        to = "gijzeling-aangehouden" if s["gijzeling_aangehouden"] else "geregeld"
    first: Mapping[str, Value] = {"grens": months(today, 4)} if state == "verzocht" else {}
    return Move(to, {"tot": s["tot"], **first})


def cjib_undone(case: Case, type_: str, _today: str) -> Move | str:
    """Return what taking back a signal that moved a request at the CJIB does to it."""
    state = case.state
    if state == "afgesloten":
        return "stap-al-gezet"
    if type_ == VERZOCHT:
        if state in _BACK:
            end: Mapping[str, Value] = {} if state == "verlenging-open" else {"grens": case.v["tot"]}
            return Move(_BACK[state], {"verlengd": False, **end})
        return Move() if state == "beeindigd" else Move("beeindigd", {"verlengd": True} if state == "verzocht" else {})
    if type_ == BESLUIT and state not in {"verzocht", "verlenging-open", "beeindigd"}:
        return Move("verzocht", {"verlengd": False})
    return Move("taak-afgesproken") if type_ == TAAK and state == "taak-volbracht" else Move()


def cjib_terms(case: Case) -> Iterator[Term]:
    """Yield the terms of a request at the CJIB as it stands, in the order of the rules."""
    state, until = case.state, str(case.v["tot"])
    both = (STARTER, "cjib")
    if "geen-besluit" in case.lasting:
        yield _since(case, "geen-besluit", None, *both)
    if state in STILL | HELD | {"taak-afgesproken"}:
        yield Term("einde-nadert", midnight(days(until, -14)), None, until, (STARTER,))
    if state in {"gepauzeerd", "gijzeling-aangehouden"}:
        yield _at("pauze-verlopen", until, "beeindigd", *both)
    if state in {"verlenging-gevraagd", "gijzeling-verlenging-gevraagd"}:
        yield _at("pauze-verlopen-zonder-antwoord", until, "verlenging-open", *both)
    if state == "taak-afgesproken":
        yield _at("taak-niet-op-tijd", until, "beeindigd", *both)
    if "verzoek-vervallen" in case.lasting:
        yield _since(case, "verzoek-vervallen", "beeindigd", *both)._replace(sets={"verlengd": True})
    if state == "geregeld":
        yield _at("regeling-afgelopen", until, "beeindigd")
    if "zaak-gesloten" in case.lasting:
        yield _since(case, "zaak-gesloten", "afgesloten")


def _at(code: str, day: str, to: str, *tells: str) -> Term:
    """A day on which one may still act: the term falls due when the next one begins."""
    return Term(code, midnight(days(day, 1)), to, day, tells)


def _since(case: Case, code: str, to: str | None, *tells: str) -> Term:
    due = case.lasting[code]
    return Term(code, due, to, day_of(due - 1), tells)


LASTING: Final[Mapping[str, Mapping[str, frozenset[str]]]] = {
    PAUZE: {"melding-vervalt": frozenset({"doorgang"}), "besluit-bleef-uit": frozenset({"geescaleerd"})},
    CJIB: {
        "geen-besluit": frozenset({"verzocht", "verlenging-gevraagd", "gijzeling-verlenging-gevraagd", "verlenging-open", "taak-volbracht"}),
        "verzoek-vervallen": frozenset({"verzocht", "verlenging-open"}), "zaak-gesloten": frozenset({"afgewezen", "beeindigd"}),
    },
}  # fmt: skip
"""Terms that count from the entry into these states, and run on while a case moves between them."""


def last_day(code: str, entered: str, place: str | None) -> str:
    """Return the last day of such a term; the day of entry does not count."""
    n = numbers(place)
    count = {"melding-vervalt": n["vervalt"], "besluit-bleef-uit": n["vervalt"], "geen-besluit": n["cjib"]}.get(code)
    return months(entered, 6) if count is None else working_days(entered, count)


ENDED: Final = {PAUZE: DONE, CJIB: frozenset({"afgesloten"})}
STEP: Final = {PAUZE: pauze_step, CJIB: cjib_step}
UNDONE: Final = {PAUZE: pauze_undone, CJIB: cjib_undone}
TERMS: Final = {PAUZE: pauze_terms, CJIB: cjib_terms}


LEADS: Final[Mapping[str, frozenset[str]]] = {
    GEVRAAGD: frozenset({"gepauzeerd"}), INGESTELD: frozenset({"ingesteld"}), VERLENGD: frozenset({"ingesteld"}),
    AFGEWEZEN: frozenset({"doorgang"}), AFGEROND: frozenset({"doorgang", "afgerond"}),
    VERZOCHT: frozenset(_BACK), TAAK: frozenset({"taak-volbracht"}),
    BESLUIT: frozenset({"afgewezen", "taak-afgesproken", "gepauzeerd", "gijzeling-aangehouden", "geregeld", "beeindigd"}),
}  # fmt: skip
"""Where a type takes a case: who sends one when the last of it did so hears that it was done."""


# --- content --------------------------------------------------------------------------------------


def content(type_: str, s: Data, today: str, place: str | None) -> set[str]:
    """Return what can be wrong with a signal however a case stands."""
    n = numbers(place)
    match type_:
        case "nl.participatiewet.maatregel-voorgenomen.v1":
            silent = s["maatregelsoort"] == "BEEINDIGING" and s["aanleiding"] in {"GEEN_REACTIE", "NIET_VERSCHENEN", "ADRES_ONZEKER"}
            return _codes({"niet-vooraf": s["gepland_op"] <= today,
                           "te-kort-tevoren": silent and s["gepland_op"] < working_days(today, n["reactie"])})  # fmt: skip
        case "nl.participatiewet.huisbezoek-resultaat.v1":
            return _codes({"datum-in-de-toekomst": s["bezocht_op"] > today})
        case "nl.participatiewet.melding-bekend.v1":
            return _codes({"datum-in-de-toekomst": s["gemeld_op"] > today})
        case "nl.participatiewet.pauze-gevraagd.v1":
            return _codes({"datum-in-de-toekomst": s["gevraagd_op"] > today})
        case "nl.participatiewet.pauze-ingesteld.v1":
            return _codes({"herziening-in-verleden": s["herzien_op"] < today, "herziening-voor-ingang": s["herzien_op"] < s["ingangsdatum"],
                           "herziening-te-ver": s["herzien_op"] > months(today, n["langst"])})  # fmt: skip
        case "nl.participatiewet.pauze-verlengd.v1":
            return _codes({"herziening-te-ver": s["herzien_op"] > months(today, n["langst"])})
        case "nl.wahv.pauze-verzocht.v1":
            return _codes({"datum-in-het-verleden": s["gevraagd_tot"] < today, "inwoner-weet-het-niet": s["betrokkene_geinformeerd"] != "JA",
                           "langer-dan-vier-maanden": not s["verlenging"] and s["gevraagd_tot"] > months(today, 4),
                           "gemeentebesluit-ontbreekt": s["verlenging"] and s["gemeentebesluit_op"] is None,
                           "bewijs-ontbreekt": s["verlenging"] and s["bewijs_ref"] is None})  # fmt: skip
        case "nl.wahv.pauze-besluit.v1":
            return _codes({"datum-in-het-verleden": s["tot"] < today})
        case "nl.wahv.taak-volbracht.v1":
            return _codes({"datum-in-de-toekomst": s["volbracht_op"] > today})
        case "nl.wahv.betaalcapaciteit-vastgesteld.v1":
            return _codes({"datum-in-de-toekomst": s["vastgesteld_op"] > today})
    return set()


def too_long(type_: str, s: Data, v: Mapping[str, Value]) -> set[str]:
    """Return what is wrong with a signal for how its case stands after it."""
    if type_ == VERZOCHT:
        return _codes({"langer-dan-acht-maanden": s["verlenging"] and s["gevraagd_tot"] > v["grens"]})
    if type_ != BESLUIT:
        return set()
    still = s["gijzeling_aangehouden"] or s["na_taak"] or any(part["actie"] == "AANHOUDEN" for part in s["onderdelen"])
    return _codes({"pauze-te-lang": still and s["tot"] > v["grens"]})


def _codes(wrong: Mapping[str, Any]) -> set[str]:
    return {code for code, so in wrong.items() if so}


# --- everything together --------------------------------------------------------------------------


@dataclass(slots=True)
class Sent:
    """A signal that was accepted."""

    number: int
    type: str
    publisher: str
    data: Data
    keten: int
    moved: str | None
    """The process of the case that it moved, if it did."""
    at: int
    recalled: str | None = None


@dataclass(slots=True)
class Told:
    """What one request is: who sends what, and to what it belongs."""

    type: str
    publisher: str
    data: Data
    keten: int | None = None
    """None: a keten of its own, or none that is known."""
    cause: str | None = None
    """The type of the signal that it names as cause."""
    replaces: int | None = None
    withdraws: int | None = None


class Reference:
    """Every case, keten and reminder as it should be at any moment."""

    def __init__(self) -> None:
        self.cases: dict[tuple[str, int], Case] = {}
        self.ketens: dict[int, tuple[str, str | None]] = {}
        """Keten -> who began it, and its municipality."""
        self.forgotten: set[int] = set()
        """Ketens of which the hub no longer knows whom they are about."""
        self.sent: dict[int, Sent] = {}
        self.reminders: Counter[Reminder] = Counter()
        self.seen: Counter[str] = Counter()
        """States entered and left, terms fired, what was refused: for the proof to print."""

    # --- time -----------------------------------------------------------------------------

    def advance(self, now: int) -> None:
        """Let everything fall due that is due, each at its own moment."""
        for case in self.cases.values():
            while (term := self.next_of(case)) is not None and term.due <= now:
                self.fire(case, term)

    @staticmethod
    def next_of(case: Case) -> Term | None:
        """Return the term of a case that falls due first."""
        if case.state in ENDED[case.process]:
            return None
        running = [term for term in TERMS[case.process](case) if (term.code, term.due) not in case.fired]
        return min(running, key=lambda term: term.due, default=None)

    def fire(self, case: Case, term: Term) -> None:
        """Let one term fall due."""
        self.seen[f"term {case.process} {term.code}"] += 1
        case.fired.add((term.code, term.due))
        case.lasting.pop(term.code, None)
        entered = max(term.due, case.entered)
        if term.to is not None:
            case.by = None
            self._enter(case, term.to, term.sets, entered)
        if term.tells:
            self._remind(case, term.code, term.until, term.tells)

    def _enter(self, case: Case, to: str | None, sets: Mapping[str, Value], at: int) -> None:
        before, case.state, case.v = case.state, to or case.state, {**case.v, **sets}
        if case.state != before:
            self.seen[f"left {case.process} {before}"] += bool(before)
            self.seen[f"entered {case.process} {case.state}"] += 1
            case.entered = at
            for code, states in LASTING[case.process].items():
                if case.state not in states:
                    case.lasting.pop(code, None)
                elif before not in states:
                    case.lasting[code] = midnight(days(last_day(code, day_of(at), case.place), 1))
        if case.state in ENDED[case.process]:
            case.closed = at if case.closed is None else case.closed

    def _remind(self, case: Case, code: str, until: str | None, tells: tuple[str, ...]) -> None:
        to = sorted(case.starter if who == STARTER else who if who == "cjib" else f"{who}.{case.place}" for who in tells)
        self.reminders[Reminder(case.process, case.keten, case.place, code, case.state, until, tuple(to))] += 1

    # --- asking ---------------------------------------------------------------------------

    def may(self, guard: str, keten: int) -> str | None:
        """Return why something may not be done now, or None."""
        if guard == "maatregel-uitvoeren":
            own = self.cases.get((PAUZE, keten))
            if own is None:
                return "zaak-onbekend"
            if own.state in WAIT or any(other.state in WAIT for other in self.about(own.place, own.person)):
                return "pauze-loopt"
            return "melding-gesloten" if own.state in DONE else None
        own = self.cases.get((CJIB, keten))
        if own is None:
            return "zaak-onbekend"
        reasons: Mapping[str, Mapping[str, frozenset[str]]] = {
            "inning-voortzetten": {"pauze-loopt": STILL},
            "gijzeling-uitvoeren": {"pauze-loopt": STILL, "gijzeling-is-aangehouden": HELD, "taak-loopt": TASK},
            "verhoging-innen": {"pauze-loopt": STILL, "taak-loopt": TASK},
            "verhoging-laten-vervallen": {"taak-niet-volbracht": frozenset({"taak-afgesproken"})},
        }
        return next((code for code, states in reasons[guard].items() if own.state in states), None)

    def about(self, place: str | None, *persons: str) -> list[Case]:
        """Return the open announcements about these persons in one municipality; another one's are no matter of its."""
        pauses = (case for case in self.cases.values() if case.process == PAUZE and case.place == place)
        return [case for case in pauses if case.person in persons and case.state in OPEN]

    # --- a request ------------------------------------------------------------------------

    def judge(self, told: Told, now: int) -> tuple[set[str], Move | None]:
        """Return every reason to refuse a request, or what it does to a case. Changes nothing."""
        today, role = day_of(now), told.publisher.partition(".")[0]
        here = told.publisher.partition(".")[2] or None
        place = told.data.get("gemeentecode")
        if wrong := _codes({"geen-publicatierecht": role not in PUBLISHERS[told.type],
                            "gemeente-niet-toegestaan": place is not None and here is not None and place != here}):  # fmt: skip
            return wrong, None
        if misplaced := self._misplaced(told):
            return {misplaced}, None
        original = self.sent[told.replaces] if told.replaces is not None else None
        keten = original.keten if original else self.place(told)
        place = place or (self.ketens[keten][1] if keten is not None else here)
        case = self.cases.get((PROCESS[told.type], keten)) if keten is not None else None
        move = self._corrects(original, case, told, today) if original else self._moves(case, told, today)
        wrong = content(told.type, told.data, today, place)
        if isinstance(move, str):
            return {move, *wrong}, None
        after: Mapping[str, Value] = {**(case.v if case else {}), **(move.sets if move else {})}
        if original and original.moved and case:
            after = {**case.earlier[1], **(move.sets if move else {})}
        return wrong | too_long(told.type, told.data, after), move

    def _misplaced(self, told: Told) -> str | None:
        original = self.sent[told.replaces] if told.replaces is not None else None
        if original is not None:
            if told.publisher != original.publisher:
                return "niet-uw-signaal"
            if told.type != original.type:
                return "correctie-ander-type"
            if original.recalled:
                return original.recalled
            names = PERSON.get(told.type)
            return "correctie-andere-persoon" if names and told.data[names] != self._person(original.number) else None
        if told.type == BESLUIT and told.cause != VERZOCHT:
            return "oorzaak-ontbreekt" if told.cause is None else "oorzaak-past-niet"
        if told.keten is None and told.type not in PERSON:
            return "keten-onbekend"
        if told.type != MELDING or told.keten is None:
            return None
        if self.ketens[told.keten][0] != told.publisher:  # whoever it is about: nobody may try a guess in another's keten
            return "zaak-bestaat-al"
        return "keten-andere-persoon" if self._is_another(told) else None

    def _is_another(self, told: Told) -> bool:
        """Say whether an announcement or its execution names a keten that is about another person, or about none any more."""
        if told.keten is None or told.keten in self.forgotten or told.type not in {MELDING, UITGEVOERD}:
            return False
        return bool(told.data["bsn"] != self._person(told.keten))

    def place(self, told: Told) -> int | None:
        """Return the keten that a signal belongs to: what was done to another person begins one of its own."""
        return None if self._is_another(told) else told.keten

    def _person(self, number: int) -> str:
        """Return whom a signal is about: by itself, or by the first of its keten."""
        sent = self.sent[number]
        names = PERSON.get(sent.type)
        return str(sent.data[names]) if names else self._person(sent.keten)

    def _moves(self, case: Case | None, told: Told, today: str) -> Move | str | None:
        """Return what a signal does, a reason against it, or None: nothing, for there is nothing to do it to."""
        process = PROCESS[told.type]
        if case is None:
            if told.type == STARTS[process]:
                return self._start(told, today)
            return None if told.type in FACTS else "zaak-onbekend"
        found = STEP[process](case, told.type, told.data, today)
        if found is not None or told.type in FACTS:
            return found
        if told.type == MELDING:
            return "zaak-bestaat-al"
        if case.by and case.by[1] == told.type and case.state in LEADS.get(told.type, ()):
            return "al-gedaan" if case.by[2] == told.publisher else "ander-was-voor"
        return "staat-past-niet"

    @staticmethod
    def _start(told: Told, today: str) -> Move | str:
        s = told.data
        if told.type == VERZOCHT:
            sets = {"tot": s["gevraagd_tot"], "grens": months(today, 4), "verlengd": False}
            return "geen-lopende-pauze" if s["verlenging"] else Move("verzocht", sets)
        until = working_days(today, numbers(s["gemeentecode"])["reactie"])
        return Move("aangekondigd", {"reageren_tot": until, "gevraagd": False, "teruggetrokken": False, "pauze_tot": today, "besloten": False,
                                     "bekend": s["lopend_hulptraject"] == "JA", "aangekondigd_door": told.publisher.partition(".")[0]})  # fmt: skip

    def _corrects(self, original: Sent, case: Case | None, told: Told, today: str) -> Move | str | None:
        """Return what a correction sets, taking the step of its original again from where the case stood before it."""
        if original.moved is None or case is None:
            return None
        if case.by is None or case.by[0] != original.number:
            return "stap-al-gezet"
        state, v = case.earlier
        before = Case(case.process, case.keten, case.person, case.place, case.starter, state, case.entered, v)
        found = STEP[case.process](before, told.type, told.data, today) if state else self._start(told, today)
        if isinstance(found, str):
            return found
        return found if found is not None and (found.to or state) == case.state else "stap-voorwaarde"

    def judge_withdrawal(self, publisher: str, number: int | None, now: int) -> tuple[str | None, Move | None]:
        """Return why a signal may not be taken back, or what that does to the case that it moved."""
        if number is None:
            return "oorzaak-ontbreekt", None
        sent = self.sent[number]
        if sent.publisher != publisher:
            return "niet-uw-signaal", None
        if sent.recalled:
            return sent.recalled, None
        if sent.moved is None:
            return None, None
        case = self.cases[sent.moved, sent.keten]
        found = UNDONE[sent.moved](case, sent.type, day_of(now))
        if case.newest[sent.type] != number and found != Move():  # what a later one made of the case stays
            found = Move() if sent.moved == PAUZE else "stap-al-gezet"
        return (found, None) if isinstance(found, str) else (None, found)

    # --- what follows ---------------------------------------------------------------------

    def accept(self, told: Told, number: int, keten: int, move: Move | None, now: int) -> None:
        """Take in a request that was accepted, as signal `number` in `keten`."""
        original = self.sent[told.replaces] if told.replaces is not None else None
        here = told.publisher.partition(".")[2] or None
        self.ketens.setdefault(keten, (told.publisher, told.data.get("gemeentecode") or here))
        process = PROCESS[told.type]
        case = self.cases.get((process, keten))
        if original is None:
            self._alarms(told, case)
        elif original.moved is not None and case is not None:
            case.v = case.earlier[1]
        if case is None and told.type == STARTS[process]:
            starter, place = self.ketens[keten]
            case = Case(process, keten, told.data[PERSON[told.type]], told.data.get("gemeentecode") or place, starter)
            self.cases[process, keten] = case
        moved = case is not None and move is not None and self._apply(case, move, (number, told.type, told.publisher), original, now)
        self.sent[number] = Sent(number, told.type, told.publisher, told.data, keten, process if moved else None, now)
        if original is not None:
            original.recalled = "al-gecorrigeerd"
        self.seen[f"accepted {told.type}"] += 1

    def _apply(self, case: Case, move: Move, by: tuple[int, str, str], original: Sent | None, now: int) -> bool:
        """Do what a signal does to a case. Returns whether it moved the case."""
        if original is not None:  # the step was taken before: only what it set counts anew, and nobody hears it twice
            if original.moved:
                case.by, case.newest[by[1]] = by, by[0]
                self._enter(case, None, move.sets, now)
            return original.moved is not None
        moves = bool((move.to or case.state) != case.state or move.sets)
        if moves:
            case.by, case.earlier, case.newest[by[1]] = by, (case.state, case.v), by[0]
            self._enter(case, move.to, move.sets, now)
        if move.tells is not None:
            self._remind(case, move.tells, None, ("cjib", STARTER))
        return moves  # also when it says the same as the one before: the case stands so by the newest

    def _alarms(self, told: Told, own: Case | None) -> None:
        """A fact that should not have been is heard of in every case that it concerns."""
        if told.type == UITGEVOERD:
            others = self.about(told.data["gemeentecode"], told.data["bsn"], *([own.person] if own else []))
            for case in [*([own] if own else []), *(other for other in others if other is not own)]:
                if case.state in WAIT:
                    self._remind(case, "pauze-doorbroken", None, _EVERYONE)
                elif case.state in {"afgerond", "vervallen"}:
                    self._remind(case, "gesloten-toch-uitgevoerd", None, _EVERYONE)
        if told.type == VOORNEMEN and own is not None and own.state in STILL | HELD | {"taak-afgesproken"}:
            self._remind(own, "maatregel-tijdens-pauze", None, ("cjib", STARTER))

    def withdraw(self, number: int, move: Move | None, now: int) -> None:
        """Take in a withdrawal that was accepted."""
        sent = self.sent[number]
        sent.recalled = "al-ingetrokken"
        self.seen["accepted withdrawal"] += 1
        if sent.moved is None or move is None:
            return
        case = self.cases[sent.moved, sent.keten]
        if (move.to or case.state) != case.state or move.sets:
            case.by = None
            self._enter(case, move.to, move.sets, now)
