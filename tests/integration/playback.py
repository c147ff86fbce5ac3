"""Every example of every rule file, played in one home on one line of time, each with people of its own.

Examples show every rule at work, so whatever flow is added is played too. The values that point at a person, or say
something heavy of one, are replaced by markers; what conditions look at stays what it is.
"""

from __future__ import annotations

import copy
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest
import yaml
from sqlalchemy import select

from hub import files
from hub.client import NewSignal, Receipt
from hub.domain import terms
from hub.domain.flows import REFUSED
from hub.domain.loading import load
from hub.examples import DEFAULT_MOMENT
from hub.placing import WITHDRAWN
from hub.storage import engines
from hub.storage.tables import State, deliveries, signals
from hub.transport.base import OUT
from tests.integration.canary import OF_THE_HUB, Aviary
from tests.integration.memory import confirmation, withdrawal
from tests.integration.support import ROOT

if TYPE_CHECKING:
    from hub.app import Hub, MovingClock
    from hub.domain.conditions import Condition
    from hub.domain.contract import Leaf
    from hub.domain.rulefiles import Example, Step
    from hub.domain.ruleset import RuleSet, TypeRules

HEAVY: Final = frozenset({"identifier", "address", "financial", "sanction", "sensitive"})
"""Classes of which every value becomes a marker, if its form leaves room for one."""


# --- people -------------------------------------------------------------------------------------------

_TEXTS: Final = ("naam", "voornaam", "kenmerk", "verwijzing", "artikel", "uuid")
_OF_FORMAT: Final = {
    "bsn": ("bsn",), "postcode": ("postcode",), "bag-id": ("bag-id",), "cjib-nummer": ("cjib", "cjib-kort"), "gba-datum": ("gba",),
    "email": ("email",), "phone": ("telefoon",),
}  # fmt: skip
_OF_KIND: Final = {"date": ("geboren",), "timestamp": ("sinds",), "gba-datum": ("gba",), "int": ("huisnummer",), "long": ("bedrag",)}
_NUMBERS: Final = frozenset({"int", "long"})
_WHOLE_NUMBER: Final = re.compile(r"(?<![\w.'])\d+(?![\w.'])")


def _is_marked(leaf: Leaf) -> bool:
    return leaf.privacy in HEAVY or (leaf.privacy == "code" and leaf.kind in {"string", "gba-datum"})


def conditions_of(rules: TypeRules) -> list[Condition]:
    """Return every condition that looks at signals of a type."""
    found: list[Condition | None] = [rule.condition for rule in rules.refusals]
    for grant in rules.grants:
        found += [grant.when, *(required.condition for required in grant.requires)]
    if rules.machine is not None:
        steps = [*rules.machine.steps.get(rules.contract.type, ()), rules.machine.start]
        found += [condition for step in steps for condition in (step.when, *(value for _, value in step.assigns))]
    return [condition for condition in found if condition is not None]


class Costumes:
    """Dresses the data of one example: the same value becomes the same marker, and what the rules say of it stays true."""

    def __init__(self, ruleset: RuleSet, aviary: Aviary, label: str) -> None:
        self.ruleset, self.aviary, self.label = ruleset, aviary, label
        self._known: dict[tuple[str, Any], Any] = {}

    def fit(self, sent: Iterable[tuple[str, Any]]) -> None:
        """Give the numbers in data of these types their markers, from small to large, so that they compare as they did."""
        numbers: dict[tuple[int, str], list[tuple[TypeRules, Leaf]]] = {}
        for type_, data in sent:
            rules = self.ruleset.types.get(type_)
            for leaf in rules.contract.leaves.values() if rules else ():
                for value in values_at(data, leaf.path):
                    if rules and leaf.kind in _NUMBERS and type(value) is int and _is_marked(leaf):
                        numbers.setdefault((value, leaf.kind), []).append((rules, leaf))
        for (value, kind), at in sorted(numbers.items(), key=lambda item: item[0]):
            self._number(value, kind, at)

    def other(self, subject: Sequence[str]) -> Costumes:
        """Return costumes in which the same persons, known by these fields, say other things."""
        made = Costumes(self.ruleset, self.aviary, f"{self.label}'")
        made._known = {key: marker for key, marker in self._known.items() if key[0] in subject}
        return made

    def dress(self, type_: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return data in which every value that there is a marker for is one."""
        rules, made = self.ruleset.types[type_], copy.deepcopy(dict(data))
        for leaf in rules.contract.leaves.values():
            if _is_marked(leaf):
                _replace(made, leaf.path, partial(self._worn, rules, leaf, data))
        return made

    def _worn(self, rules: TypeRules, leaf: Leaf, data: Mapping[str, Any], value: Any) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if leaf.kind in _NUMBERS:
            return self._known.get((f"number {leaf.kind}", value), value)
        if leaf.kind == "enum" or not isinstance(value, str) or _looked_at(rules, leaf, value):
            return value
        key = (leaf.path[-1], value)
        if key not in self._known:
            self._known[key] = self._text(rules, leaf, value, data)
        return self._known[key]

    def _text(self, rules: TypeRules, leaf: Leaf, value: str, data: Mapping[str, Any]) -> str:
        """Return a marker that is as right, or as wrong, as the value was; the value itself if there is none."""
        before = rules.check_json(data)[1]
        if any(dotted.partition("[")[0].split(".")[0] == leaf.path[0] for _, dotted in before):
            return value
        for kind in _OF_FORMAT.get(leaf.format or "") or _OF_KIND.get(leaf.kind) or _TEXTS:
            marker = self.aviary.mint(kind, f"{self.label}.{leaf.dotted}")
            tried = copy.deepcopy(dict(data))
            _replace(tried, leaf.path, partial(_swapped, value, marker))
            if rules.check_json(tried)[1] == before and (len(marker) == len(value) or leaf.format != "cjib-nummer"):
                return marker
            self.aviary.take_back(kind, marker)
        return value

    def _number(self, value: int, kind: str, at: Sequence[tuple[TypeRules, Leaf]]) -> None:
        """Note the marker of a number; the number itself if a condition of where it stands would tell the two apart."""
        shape = _OF_KIND[kind][0]
        marker = int(self.aviary.mint(shape, f"{self.label}.{at[0][1].dotted}"))
        reads = [c for rules, leaf in at for c in conditions_of(rules) if f"s.{leaf.dotted}" in c.variables]
        edges = {int(number) for condition in reads for number in _WHOLE_NUMBER.findall(condition.text)} | {0}
        same = all((value > edge) == (marker > edge) and value != edge for edge in edges)
        if not same:
            self.aviary.take_back(shape, str(marker))
        self._known[f"number {kind}", value] = marker if same else value


def _looked_at(rules: TypeRules, leaf: Leaf, value: str) -> bool:
    """Say whether the rules compare this value: dates with the day, texts with a text that they name."""
    reads = [condition.text for condition in conditions_of(rules) if f"s.{leaf.dotted}" in condition.variables]
    return bool(reads) and (leaf.kind != "string" or any(f"'{value}'" in text for text in reads))


def values_at(data: Any, path: Sequence[str]) -> Iterator[Any]:
    """Yield every value at a path, through lists as well."""
    if isinstance(data, list):
        for item in data:
            yield from values_at(item, path)
    elif not path:
        yield data
    elif isinstance(data, dict) and path[0] in data:
        yield from values_at(data[path[0]], path[1:])


def _replace(data: Any, path: Sequence[str], change: Callable[[Any], Any]) -> None:
    if isinstance(data, list):
        for item in data:
            _replace(item, path, change)
    elif isinstance(data, dict) and path[0] in data:
        found = data[path[0]]
        if len(path) > 1:
            _replace(found, path[1:], change)
        else:
            data[path[0]] = [change(item) for item in found] if isinstance(found, list) else change(found)


def _swapped(old: Any, new: Any, value: Any) -> Any:
    return new if value == old else value


# --- what the rule files say ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fields:
    """The `fields` of one grant, read from its rule file without the help of the hub."""

    to: str
    plain: frozenset[str] = frozenset()
    changed: Mapping[str, str] = field(default_factory=dict)
    """Field -> the transform by which it is shown."""

    def names(self) -> set[str]:
        """Return the names that a recipient finds in a delivery."""
        return {name.partition(".")[0] for name in (*self.plain, *(name + _suffix(how) for name, how in self.changed.items()))}


def _suffix(how: str) -> str:
    name = how.partition("(")[0]
    return "" if name == "waarden" else f"_{name}"


def granted(*folders: Path) -> dict[str, Fields]:
    """Return what the rule files grant, by grant."""
    found: dict[str, Fields] = {}
    for path in sorted(file for folder in folders for file in folder.glob("*.yaml")):
        text = path.read_text(encoding="utf-8").partition("\nexamples:")[0]
        for grant in yaml.safe_load(text).get("grants", ()):
            plain = frozenset(name for name in grant["fields"] if isinstance(name, str))
            changed = {name: how for entry in grant["fields"] if isinstance(entry, dict) for name, how in entry.items()}
            found[grant["id"]] = Fields(grant["to"], plain, changed)
    return found


def quick_disk(patch: pytest.MonkeyPatch) -> None:
    """Let databases not wait for the disk: nothing here is about a power cut, and thousands of signals are sent."""
    patch.setattr(engines, "_PRAGMAS", tuple(pragma.replace("=FULL", "=OFF") for pragma in engines._PRAGMAS))


# --- playing --------------------------------------------------------------------------------------


class Published(NamedTuple):
    """One signal as it was sent, and what its publisher heard."""

    example: int
    participant: str
    signal: NewSignal
    receipt: Receipt
    moment: int


class Arrived(NamedTuple):
    """One delivery as it stands on the topic of its recipient."""

    recipient: str
    headers: dict[str, str]
    value: bytes
    data: dict[str, Any]


class _Event(NamedTuple):
    moment: int
    order: int
    do: Callable[[], None]


def shipped_examples() -> list[Example]:
    """Return the examples of every rule file of the repository."""
    ruleset = load(files.read(ROOT / "rules", ROOT / "schemas")).unwrap()
    return [example for flow in ruleset.examples.values() for example, _ in flow]


def _sent(example: Example) -> int:
    return sum(step.repeat for step in example.steps or (example,))


def _nothing(*_: object) -> None:
    """Do nothing."""


@dataclass(slots=True)
class _Part:
    """One example that is played, or the beginning of one."""

    number: int
    name: str
    costumes: Costumes
    may_wait: bool = False
    """A quota is shared with other examples, so what it answers may not have come yet."""
    signals: dict[str, str] = field(default_factory=dict)
    """Step -> signal_id."""
    ketens: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Playback:
    """Plays the examples of the rules of a hub, and keeps everything that was sent and received."""

    hub: Hub
    clock: MovingClock
    aviary: Aviary
    published: list[Published] = field(default_factory=list)
    arrived: list[Arrived] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    """Steps that were refused, or not, other than their example says."""
    after: Callable[[Published], None] = _nothing
    """Is called after each signal."""
    at_moments: Callable[[], None] = _nothing
    """Is called when the clock has moved."""
    _events: list[_Event] = field(default_factory=list)
    _reader: Any = None

    @property
    def ruleset(self) -> RuleSet:
        """The rules in force."""
        return self.hub.rulebooks.current.ruleset

    # --- the line of time -----------------------------------------------------------------

    def play(self) -> None:
        """Play every example, and after the first signal of each type what can be said of it later."""
        examples = sorted(shipped_examples(), key=_sent)  # those that fill a quota last, so that the others find room
        for number, example in enumerate(examples):
            self._plan(number, example, len(example.steps or (example,)))
        for type_, (number, last) in self._first_of_each_type(examples).items():
            for how in (self._withdrawn, self._corrected):
                self._plan(len(examples) + len(self._events), examples[number], last + 1, partial(how, type_))
        for event in sorted(self._events, key=lambda event: event[:2]):
            self.advance(event.moment)
            event.do()
        self.advance(self.clock.now)

    def advance(self, moment: int) -> None:
        """Move the clock, never back, and let the hub do what is due."""
        if moment > self.clock.now:
            self.clock.now = moment
            self.hub.run_once()
            self._read()
            self.at_moments()

    def _plan(self, number: int, example: Example, count: int, then: Callable[[_Part], None] | None = None) -> None:
        steps = list(example.steps or (example,))[:count]
        types = [self.ruleset.types[step.signal] for step in steps if step.signal and step.signal in self.ruleset.types]
        may_wait = any(grant.quota for rules in types for grant in rules.grants)
        part = _Part(number, example.name, Costumes(self.ruleset, self.aviary, str(number)), may_wait)
        part.costumes.fit((step.signal or "", step.data) for step in steps)
        moment = terms.moment(example.at or DEFAULT_MOMENT)
        for step in steps:
            moment = terms.moment(step.tick or step.at or "") if step.tick or step.at else moment
            if step.signal is not None:
                self._events.append(_Event(moment, len(self._events), partial(self._step, part, step)))
            else:
                self._events.append(_Event(moment, len(self._events), _nothing))
        if then is not None:
            self._events.append(_Event(moment, len(self._events), partial(then, part)))

    def _first_of_each_type(self, examples: Sequence[Example]) -> dict[str, tuple[int, int]]:
        """Return for each type the first example that publishes it and expects it to be accepted, and at which step."""
        found: dict[str, tuple[int, int]] = {}
        for number, example in enumerate(examples):
            for at, step in enumerate(example.steps or (example,)):
                goes = step.expect is not None and REFUSED not in step.expect and step.replaces is None
                if step.signal and goes and not step.signal.startswith(OF_THE_HUB):
                    found.setdefault(step.signal, (number, at))
        return found

    # --- one signal -----------------------------------------------------------------------

    def _step(self, part: _Part, step: Step) -> None:
        type_, participant = step.signal or "", step.as_ or ""
        data = part.costumes.dress(type_, step.data or {}) if type_ in self.ruleset.types else dict(step.data or {})
        links = {
            name: self.known_as(participant, part.signals[value])
            for name, value in (("cause", step.cause), ("replaces", step.replaces))
            if value
        }
        keten = self._keten(part, step)
        for _ in range(step.repeat):
            receipt = self.send(part, participant, NewSignal(type=type_, data=data, correlation=keten, **links))
            if receipt.signal_id and step.name:
                part.signals[step.name] = receipt.signal_id
            told = {error.code for error in receipt.errors}
            if step.expect is not None and told != set(step.expect.get(REFUSED, ())) and not (told == {"keten-onbekend"} and part.may_wait):
                self.unexpected.append(f"{part.name}: {step.name or step.signal}: {sorted(told)}")

    def _keten(self, part: _Part, step: Step) -> str | None:
        """Return the name that a publisher gives to a keten: a marker. In every other example it names what it opens."""
        rules = self.ruleset.types.get(step.signal or "")
        opens = rules is not None and isinstance(rules.contract.subject, tuple) and not (step.cause or step.replaces or step.repeat > 1)
        name = step.correlation or (f"number {len(self.published)}" if opens and part.number % 2 else None)
        if name is not None and name not in part.ketens:
            part.ketens[name] = self.aviary.mint("keten", f"{part.number}.keten")
        return part.ketens[name] if name is not None else None

    def send(self, part: _Part, participant: str, signal: NewSignal) -> Receipt:
        """Publish one signal under a marker as its id."""
        signal = replace(signal, id=self.aviary.mint("id", f"{part.number}.id"))
        (receipt,) = self.hub.publish(participant, [signal])
        self.published.append(Published(part.number, participant, signal, receipt, self.clock.now))
        self.after(self.published[-1])
        return receipt

    def known_as(self, participant: str, signal_id: str) -> str:
        """Return an earlier signal as a participant knows it: by what it received, else by the signal_id."""
        with self.hub.database.read() as connection:
            found = connection.execute(
                select(deliveries.c.delivery_id).join(signals, signals.c.id == deliveries.c.signal)
                .where(signals.c.signal_id == uuid.UUID(signal_id).bytes, deliveries.c.state.in_((State.READY, State.SENT)))
                .where(deliveries.c.recipient == self.hub.names.find(connection, participant)).order_by(deliveries.c.id)
            ).scalars().first()  # fmt: skip
        return str(uuid.UUID(bytes=found)) if found else signal_id

    # --- what can be said of it later -----------------------------------------------------

    def _last(self, part: _Part, type_: str) -> Published | None:
        sent = [one for one in self.published if one.example == part.number and one.signal.type == type_]
        return sent[-1] if sent and sent[-1].receipt.status == "accepted" else None

    def _withdrawn(self, type_: str, part: _Part) -> None:
        """Take the last signal back: who got it may not, its publisher may, once; then who got it confirms."""
        last = self._last(part, type_)
        if last is None:
            return
        of = last.receipt.signal_id or ""
        got = [one for one in self._read() if self.meant(one) == of]
        for one in got:
            self.send(part, one.recipient, withdrawal(one.headers["ce_id"]))
            self.send(part, one.recipient, confirmation(one.headers["ce_id"]))
        self._take_back(part, last.participant, of)
        self.send(part, last.participant, withdrawal(of))

    def _corrected(self, type_: str, part: _Part) -> None:
        """Correct the last signal, have that confirmed, and take the correction back."""
        last = self._last(part, type_)
        if last is None:
            return
        self._read()
        of, subject = last.receipt.signal_id, self.ruleset.types[type_].contract.subject
        other = part.costumes.other(subject if isinstance(subject, tuple) else ())
        plain = self._plain(part, last)
        other.fit([(type_, plain)])
        data = other.dress(type_, plain)
        receipt = self.send(part, last.participant, NewSignal(type=type_, data=data, replaces=of))
        self._confirm(part)
        if receipt.status == "accepted" and receipt.signal_id:
            self._take_back(part, last.participant, receipt.signal_id)
            self.send(part, last.participant, withdrawal(of))

    def _plain(self, part: _Part, last: Published) -> dict[str, Any]:
        """Return the data of a signal as its example states it."""
        back = {marker: value for (_, value), marker in part.costumes._known.items()}

        def undressed(value: Any) -> Any:
            if isinstance(value, dict):
                return {name: undressed(item) for name, item in value.items()}
            if isinstance(value, list):
                return [undressed(item) for item in value]
            return value if isinstance(value, bool) else back.get(value, value)

        found: dict[str, Any] = undressed(last.signal.data)
        return found

    def _take_back(self, part: _Part, participant: str, signal_id: str) -> None:
        self.send(part, participant, withdrawal(signal_id, "DUBBEL"))
        self._confirm(part)

    def _confirm(self, part: _Part) -> None:
        """Let everyone who hears of a recall now confirm it, twice."""
        for one in self._read():
            if one.headers["ce_type"] == WITHDRAWN or "ce_vervangt" in one.headers:
                for _ in range(2):
                    self.send(part, one.recipient, confirmation(one.headers["ce_id"]))
        self._read()

    # --- what arrives ---------------------------------------------------------------------

    def _read(self) -> list[Arrived]:
        """Return what arrived since the last call."""
        self._reader = self._reader or self.hub.transport.consumer(None, OUT)
        while self.hub.relay.run_once():
            pass
        found: list[Arrived] = []
        while records := self._reader.poll(1_000):
            for record in records:
                headers = {name: value.decode() for name, value in record.message.headers.items()}
                value = record.message.value
                found.append(Arrived(record.topic.removeprefix(OUT), headers, value, self.hub.decoder.data(value)))
        self.arrived += found
        return found

    def meant(self, one: Arrived) -> str:
        """Return the signal_id of the signal that a delivery is of."""
        return self.origins([one])[one.headers["ce_id"]]

    def origins(self, many: Sequence[Arrived]) -> dict[str, str]:
        """Return by delivery id the signal_id of the signal that it is of."""
        with self.hub.database.read() as connection:
            joined = select(deliveries.c.delivery_id, signals.c.signal_id).join(signals, signals.c.id == deliveries.c.signal)
            if len(many) == 1:
                joined = joined.where(deliveries.c.id == self.hub.keys.delivery_of(uuid.UUID(many[0].headers["ce_id"]).bytes))
            found = connection.execute(joined).all()
        return {str(uuid.UUID(bytes=row[0])): str(uuid.UUID(bytes=row[1])) for row in found}
