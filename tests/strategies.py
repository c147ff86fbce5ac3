"""Random contracts, rule files, data and streams of records for the property tests.

What is drawn is file content: it goes through the real loader, as text. Beside it stands what the
tests must know of it themselves, so that nothing has to be asked of the code under test.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml
from hypothesis import strategies as st
from sqlalchemy import select

from hub import files
from hub.app import Hub, MovingClock
from hub.codec import Received
from hub.domain.ruleset import RuleSet
from hub.errors import HubError
from hub.keys import Keys
from hub.storage.database import Database
from hub.storage.tables import Outcome, decisions, deliveries, signals
from hub.transport.base import Consumer, Message

ROOT: Final = Path(__file__).parent.parent
TYPE: Final = "nl.proef.iets.v1"
PUBLISHER: Final = "bron"
RECIPIENTS: Final = {"o0": True, "o1": False, "o2": False}
"""National recipients, and whether each is a government body."""
LOCAL: Final = "wijk"
"""A role with a participant in every municipality, a government body."""
FLOWS: Final = ("stroom-een", "stroom-twee")
INFORMED: Final = ("JA", "NEE_SPOED", "NEE_VEILIGHEID", "NEE_NIET_BEREIKBAAR", "NVT")
HOUSE: Final = frozenset({"postcode", "huisnummer", "huisletter", "huisnummertoevoeging"})
_NAMES: Final = (
    "a", "b", "a_b", "c", "naam", "datum", "nummer", "code", "soort", "type", "package", "as", "uitgever",
    "postcode", "huisnummer", "huisletter", "deel", "rest", "a1", "b_c",
)  # fmt: skip
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


# --- a hub whose deliveries can be looked at ------------------------------------------------------


class Wire:
    """A transport that keeps what is sent in memory, as it would go over the wire."""

    def __init__(self) -> None:
        self.topics: dict[str, list[Message]] = {}

    def send(self, topic: str, messages: Sequence[Message]) -> None:
        """Keep the messages."""
        self.topics.setdefault(topic, []).extend(messages)

    def send_all(self, messages: Mapping[str, Sequence[Message]]) -> dict[str, HubError]:
        """Keep the messages."""
        for topic, ones in messages.items():
            self.send(topic, ones)
        return {}

    def lag(self, group: str, prefix: str) -> int:
        """Nobody reads here."""
        raise NotImplementedError

    def check(self) -> None:
        """Memory answers."""

    def close(self) -> None:
        """Nothing is held."""

    def consumer(self, group: str | None, prefix: str, *, exact: bool = False) -> Consumer:
        """Nobody reads here."""
        raise NotImplementedError

    def expire(self) -> int:
        """Keep everything."""
        return 0

    def alone(self, names: Collection[str]) -> AbstractContextManager[frozenset[str]]:
        """Nobody else is here."""
        return nullcontext(frozenset(names))

    def delivered(self) -> Iterator[tuple[str, Message]]:
        """Yield every delivery with its recipient."""
        for topic, messages in self.topics.items():
            for message in messages:
                yield topic.removeprefix("signals.out."), message


def wired_hub(ruleset: RuleSet, now: int, *, key: int = 0) -> tuple[Hub, Wire]:
    """Return a hub in memory with a wire; `key` makes one hub's keys differ from another's."""
    database = Database("sqlite://")
    database.create()
    wire = Wire()
    hub = Hub(database, Keys({1: bytes([key]) * 32}), None, MovingClock(now)).with_transport(lambda _: wire)
    hub.rulebooks.adopt(ruleset)
    return hub, wire


def send_all(hub: Hub) -> None:
    """Let the relay of a hub in memory send what is ready.

    Such a hub has one connection, so what the relay would look up while reading is looked up before.
    """
    with hub.database.read() as connection:
        used = connection.execute(select(deliveries.c.schema).where(deliveries.c.schema.is_not(None)).distinct()).scalars().all()
    for schema in used:
        hub.rulebooks.view(schema)
    while hub.relay.run_once():
        pass


def decided(hub: Hub, after: int = 0) -> list[tuple[int, bytes, str, str, str | None, str, str]]:
    """Return the decisions on signals of participants: (id, signal_id, type, recipient, grant, outcome, reason)."""
    name = hub.names.name
    with hub.database.read() as connection:
        rows = connection.execute(
            select(decisions, signals.c.signal_id, signals.c.type)
            .join(signals, signals.c.id == decisions.c.signal).where(decisions.c.id > after).order_by(decisions.c.id)
        ).all()  # fmt: skip
        return [
            (row.id, row.signal_id, name(connection, row.type), name(connection, row.recipient),
             name(connection, row.grant) if row.grant else None, Outcome(row.outcome).name.lower(), row.reason)
            for row in rows if not name(connection, row.type).startswith("nl.signaalhub.")
        ]  # fmt: skip


@cache
def own_files() -> Mapping[str, str]:
    """Return the files of the hub itself, without which nothing loads."""
    return {name: text for name, text in files.read(ROOT / "rules", ROOT / "schemas").items() if name.startswith("own/")}


# --- contracts ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Node:
    """One field of a random contract."""

    name: str
    shape: str
    nullable: bool = False
    array: bool = False
    privacy: str = ""
    default: tuple[Any, ...] = ()
    """Holds the default if there is one; then data may leave the field out."""
    symbols: tuple[str, ...] = ()
    type_name: str = ""
    refers: bool = False
    """An enum that an earlier field defined."""
    children: tuple[Node, ...] = ()

    @property
    def is_record(self) -> bool:
        return self.shape == "record"


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf with its place."""

    path: tuple[str, ...]
    node: Node
    nullable: bool
    in_array: bool

    @property
    def dotted(self) -> str:
        return ".".join(self.path)


def leaves(nodes: Iterable[Node], path: tuple[str, ...] = (), *, nullable: bool = False, in_array: bool = False) -> Iterator[Leaf]:
    """Yield every leaf, depth first."""
    for node in nodes:
        here, null, many = (*path, node.name), nullable or node.nullable, in_array or node.array
        if node.is_record:
            yield from leaves(node.children, here, nullable=null, in_array=many)
        else:
            yield Leaf(here, node, null, many)


def missing(node: Node) -> Any:
    """Return what a field holds that was left out, as JSON."""
    (default,) = node.default
    return {child.name: missing(child) for child in node.children} if node.is_record and default == {} else default


_LETTERS: Final = "ABCDEFGHJKLMNPRTUVWXYZ"  # without S: no postcode ends in SA, SD or SS
_TEXT: Final = st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"))
_DIGITS: Final = "0123456789"


def _digits(count: int) -> st.SearchStrategy[str]:
    return st.text(_DIGITS, min_size=count, max_size=count)


def _letters(number: int) -> str:
    return f"{number:x}".translate(str.maketrans("0123456789", "ghijklmnop"))


def make_bsn(number: int) -> str:
    """Return the first nine digits from `number` on that pass the 11-proef."""
    while True:
        digits = f"{number:08d}"
        check = sum(int(digit) * (9 - i) for i, digit in enumerate(digits)) % 11
        if check < 10 and number:
            return f"{digits}{check}"
        number += 1


def _gba_date(day: date, known: int) -> str:
    return f"{day:%Y%m%d}"[: (0, 4, 6, 8)[known]].ljust(8, "0") if day.year > 999 else "00000000"


def moment_text(ms: int, offset: int) -> str:
    """Return a moment as RFC 3339 in some zone."""
    return (_EPOCH + timedelta(milliseconds=ms)).astimezone(timezone(timedelta(minutes=offset))).isoformat(timespec="milliseconds")


EDGES: Final = (-1000, -1, 0, 1, 5, 1000)
"""Where classes of amounts begin."""
DAYS: Final = ((1, 1), (2, 28), (3, 1), (3, 29), (10, 25), (12, 31))
"""The days of a year on which things happen, so that birthdays are met."""
_DATES: Final = st.dates() | st.builds(
    lambda year, age, day: date(year - age, *day),
    st.sampled_from([2026, 2028]),
    st.sampled_from([17, 18, 26, 27, 66, 67]),
    st.sampled_from(DAYS),
)

_VALUES: Final[dict[str, st.SearchStrategy[Any]]] = {
    "tekst": st.one_of(st.text(_TEXT, max_size=40).filter(lambda text: re.search("[0-9]{9}", text) is None), st.integers(0, 2**40).map(lambda n: f"geheim «{_letters(n)}»")),
    "kort": st.text(_TEXT, max_size=5),
    "patroon": st.integers(0, 10**8 - 1).map(lambda n: f"KM-{n}"),  # no nine digits: that could be a BSN
    "bsn": st.integers(1, 10**8 - 100).map(make_bsn),
    "gemeentecode": st.integers(1, 1998).map(lambda n: f"{n:04d}"),
    "bag-id": _digits(16),
    "postcode": st.builds(
        lambda n, a, b, gap, low: f"{n}{gap}{a}{b}".lower() if low else f"{n}{gap}{a}{b}",
        st.integers(1000, 9999), st.sampled_from(_LETTERS), st.sampled_from(_LETTERS), st.sampled_from(["", " "]), st.booleans(),
    ),
    "oin": _digits(20),
    "cjib-nummer": st.one_of(_digits(9), _digits(16)),
    "gba-datum": st.builds(_gba_date, _DATES, st.integers(0, 3)),
    "email": st.integers(0, 2**40).map(lambda n: f"kanarie.{n:x}@voorbeeld.example"),
    "phone": _digits(9).map(lambda n: f"0{n}"),
    "brin": st.builds(lambda n, a, b: f"{n:02d}{a}{b}", st.integers(0, 99), st.sampled_from(_LETTERS), st.sampled_from(_LETTERS)),
    "int": st.sampled_from(EDGES) | st.integers(-(2**31), 2**31 - 1),
    "long": st.sampled_from(EDGES) | st.integers(-(2**63), 2**63 - 1),
    "boolean": st.booleans(),
    "date": _DATES.map(date.isoformat),
    "timestamp": st.builds(moment_text, st.integers(-(10**13), 2 * 10**14), st.integers(-840, 840)),
}  # fmt: skip
_FORMATS: Final = frozenset({"bsn", "gemeentecode", "bag-id", "postcode", "oin", "cjib-nummer", "gba-datum", "email", "phone", "brin"})
_TEXTS: Final = _FORMATS | {"tekst", "kort", "patroon"}
_SHAPES: Final = (*_VALUES, "enum")
_PATTERN: Final = "^KM-[0-9]{1,10}$"
CLASSES: Final = ("organisation", "code", "identifier", "address", "financial", "sensitive", "sanction")


@dataclass(slots=True)
class _Types:
    """The named types that one contract has defined so far."""

    count: int = 0
    enums: list[Node] = field(default_factory=list)

    def name(self, kind: str) -> str:
        self.count += 1
        return f"{kind}{self.count}"


@st.composite
def _leaf(draw: st.DrawFn, name: str, types: _Types, *, in_array: bool) -> Node:
    shape = draw(st.sampled_from(_SHAPES))
    classes = [c for c in CLASSES if c != "code" or shape not in _TEXTS - {"patroon", "gba-datum"}]
    node = Node(name, shape, nullable=draw(st.booleans()), privacy=draw(st.sampled_from(classes)))
    node = replace(node, array=not in_array and draw(st.integers(0, 3)) == 0)
    if shape == "enum":
        reuse = draw(st.booleans())
        if types.enums and reuse:
            known = draw(st.sampled_from(types.enums))
            node = replace(node, symbols=known.symbols, type_name=known.type_name, refers=True)
        else:
            count = draw(st.integers(1, 4))
            node = replace(node, symbols=tuple(f"S{i}" for i in range(count)), type_name=types.name("Soort"))
            types.enums.append(node)
    return replace(node, default=draw(_default(node)))


@st.composite
def _default(draw: st.DrawFn, node: Node) -> tuple[Any, ...]:
    if not draw(st.booleans()):
        return ()
    if node.nullable:
        return (None,)
    if node.array:
        return ([],)
    if node.shape == "enum":
        return (node.symbols[-1],)
    return (draw(_VALUES[node.shape]),) if node.shape in {"int", "long", "boolean", "tekst", "patroon"} else ()


@st.composite
def _nodes(draw: st.DrawFn, types: _Types, depth: int, *, in_array: bool) -> tuple[Node, ...]:
    names = draw(st.lists(st.sampled_from(_NAMES), min_size=1, max_size=5 if depth == 2 else 3, unique=True))
    found: list[Node] = []
    for name in names:
        if depth and draw(st.integers(0, 3)) == 0:
            type_name = types.name("Deel")
            array = not in_array and draw(st.booleans())
            children = draw(_nodes(types, depth - 1, in_array=in_array or array))
            node = Node(name, "record", draw(st.booleans()), array, type_name=type_name, children=children)
            if node.nullable or array:
                node = replace(node, default=draw(_default(node)))
            elif all(child.default for child in children) and draw(st.booleans()):
                node = replace(node, default=({},))
            found.append(node)
        else:
            found.append(draw(_leaf(name, types, in_array=in_array)))
    return tuple(found)


def value_of(node: Node) -> st.SearchStrategy[Any]:
    """Return JSON values that are right for a field."""
    one: st.SearchStrategy[Any]
    if node.is_record:
        one = data_of(node.children)
    elif node.shape == "enum":
        one = st.sampled_from(node.symbols)
    else:
        one = _VALUES[node.shape]
    if node.array:
        one = st.lists(one, max_size=3)
    return st.none() | one if node.nullable else one


def data_of(nodes: Iterable[Node]) -> st.SearchStrategy[dict[str, Any]]:
    """Return JSON records that are right; fields with a default are left out now and then."""
    required = {node.name: value_of(node) for node in nodes if not node.default}
    optional = {node.name: value_of(node) for node in nodes if node.default}
    return st.fixed_dictionaries(required, optional=optional)


def _avro_type(node: Node) -> Any:
    plain: dict[str, Any] = {
        "int": "int", "long": "long", "boolean": "boolean",
        "date": {"type": "int", "logicalType": "date"}, "timestamp": {"type": "long", "logicalType": "timestamp-millis"},
    }  # fmt: skip
    avro = plain.get(node.shape, "string")
    if node.is_record:
        avro = {"type": "record", "name": node.type_name, "fields": [_avro(child) for child in node.children]}
    elif node.shape == "enum":
        full = {"type": "enum", "name": node.type_name, "symbols": list(node.symbols), "default": node.symbols[-1]}
        avro = node.type_name if node.refers else full
    if node.array:
        avro = {"type": "array", "items": avro}
    return ["null", avro] if node.nullable else avro


def _avro(node: Node) -> dict[str, Any]:
    result: dict[str, Any] = {"name": node.name, "type": _avro_type(node)}
    if node.privacy:
        result["privacy"] = node.privacy
    if node.shape in _FORMATS:
        result["format"] = node.shape
    if node.shape == "patroon":
        result["pattern"] = _PATTERN
    if node.shape == "kort":
        result["maxLength"] = 5
    if node.default:
        result["default"] = node.default[0]
    return result


# --- grants ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Transform:
    """How a field is shown; `args` as the rule file has them."""

    name: str
    args: tuple[str, ...] = ()

    @property
    def suffix(self) -> str:
        return "" if self.name == "waarden" else f"_{self.name}"

    @property
    def text(self) -> str:
        return f"{self.name}({'; '.join(self.args)})" if self.args else self.name


Entries = dict[tuple[str, ...], tuple[Transform | None, ...]]
"""Leaf -> how it is granted; None is as it is."""


@dataclass(frozen=True, slots=True)
class GrantSpec:
    """One random grant."""

    id: str
    flow: str
    to: str
    entries: Entries
    publisher: bool
    """Whether `uitgever` is granted."""
    when: str | None = None
    requires: tuple[tuple[str, str], ...] = ()

    def recipient(self, municipality: str | None) -> str | None:
        """Return who gets it."""
        if self.to != LOCAL:
            return self.to
        return f"{LOCAL}.{municipality}" if municipality else None


@st.composite
def _transforms(draw: st.DrawFn, leaf: Leaf) -> tuple[Transform | None, ...]:
    shape = leaf.node.shape
    options: list[Transform | None] = [None, Transform("aanwezig")]
    if shape in _TEXTS - {"gba-datum"}:
        options.append(Transform("pseudoniem"))
    if shape == "postcode":
        options.append(Transform("pc4"))
    if shape in {"date", "gba-datum"}:
        options += [Transform("jaar"), Transform("maand"), Transform("leeftijdsklasse")]
    if shape in {"int", "long"}:
        edges = draw(st.lists(st.sampled_from(EDGES), min_size=1, max_size=3, unique=True).map(sorted))
        options.append(Transform("klasse", tuple(map(str, edges))))
    if shape == "enum":
        kept = draw(st.lists(st.sampled_from(leaf.node.symbols), unique=True))
        other = draw(st.sampled_from(["ANDERS", *leaf.node.symbols]))
        options.append(Transform("waarden", (*kept, f"anders:{other}")))
    chosen = draw(st.lists(st.sampled_from(options), min_size=1, max_size=2, unique=True))
    names = {option.name if option else "" for option in chosen}
    return tuple(chosen[:1]) if names == {"", "waarden"} else tuple(chosen)


@st.composite
def _entries(draw: st.DrawFn, all_leaves: list[Leaf]) -> Entries:
    chosen = draw(st.lists(st.sampled_from(all_leaves), unique_by=lambda leaf: leaf.path, max_size=len(all_leaves)))
    entries: Entries = {leaf.path: draw(_transforms(leaf)) for leaf in chosen}
    for path in [p for p, how in entries.items() if None in how and p[-1] in HOUSE]:
        for leaf in all_leaves:  # whoever gets part of a house address gets all of it
            if leaf.path[:-1] == path[:-1] and leaf.path[-1] in HOUSE and None not in entries.get(leaf.path, ()):
                entries[leaf.path] = (None,)
    return entries


# --- conditions -----------------------------------------------------------------------------------

_CONDITIONS: Final[dict[str, tuple[str, ...]]] = {
    "boolean": ("{0} == true", "{0} != false"),
    "int": ("{0} >= 0", "1000 / {0} > 3", "{0} * 9000000000000000000 > 5", "{0} % 2 == 0"),
    "long": ("{0} < 0", "1000 / {0} > 3", "{0} + {0} > 7"),
    "enum": ("{0} == '{1}'", "{0} in ['{1}']"),
    "date": ("{0} < today", "plus({0}, 'P400Y') > today", "{0} >= '2000-01-01'"),
    "timestamp": ("{0} < '2026-11-02T00:00:00.000Z'",),
    "gba-datum": ("{0} < '20200101'",),
}
_TEXT_CONDITIONS: Final = ("{0} == 'KM-1'", "size({0}) > 8", "{0}.startsWith('geheim')", "{0} < 'k'")
_OTHER_CONDITIONS: Final = (
    f"e.role == '{PUBLISHER}'", f"e.participant != '{PUBLISHER}'", "today > '2026-06-30'", "e.correlationid == ''",
)  # fmt: skip


@st.composite
def conditions(draw: st.DrawFn, nodes: tuple[Node, ...]) -> str:
    """Return a condition that loads; a null, a zero or a far date can make it fail at run time."""
    simple = list(_OTHER_CONDITIONS)
    for leaf in leaves(nodes):
        name = f"s.{leaf.dotted}"
        if not leaf.in_array:
            symbol = leaf.node.symbols[0] if leaf.node.symbols else ""
            simple += [text.format(name, symbol) for text in _CONDITIONS.get(leaf.node.shape, _TEXT_CONDITIONS)]
            simple += [f"{name} != null"] if leaf.nullable else []
        elif leaf.node.array:
            simple.append(f"size({name}) > 1")
    parts = draw(st.lists(st.sampled_from(simple), min_size=1, max_size=3))
    text = parts[0]
    for part in parts[1:]:
        text = f"({text}) {draw(st.sampled_from(['&&', '||', '&& !', '|| !']))}({part})"
    return text


# --- worlds ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class World:
    """A random contract and the rules about it."""

    nodes: tuple[Node, ...]
    subject: tuple[str, ...] | None
    municipality: bool
    secrecy: bool
    grants: tuple[GrantSpec, ...]
    refuse: tuple[str, ...] = ()
    as_yaml: bool = False

    def content(self) -> dict[str, str]:
        """Return the rule and schema files as text."""
        write = _yaml if self.as_yaml else _json
        rules = {"participants.yaml": {"participants": _participants()}, "grounds.yaml": _grounds()}
        rules |= {f"{flow}.yaml": self._flow(flow) for flow in FLOWS}
        return {**own_files(), **{f"rules/{name}": write(value) for name, value in rules.items()},
                f"schemas/{TYPE}.avsc": _json(self._schema())}  # fmt: skip

    def _schema(self) -> dict[str, Any]:
        signal: dict[str, Any] = {"type": TYPE, "publishers": [PUBLISHER], "retention": "P6M"}
        signal["subject"] = list(self.subject) if self.subject else None
        if self.municipality:
            signal["municipality"] = "gemeente"
        if self.secrecy:
            signal["secrecy"] = "geheim"
        return {"type": "record", "name": "Iets", "namespace": "nl.proef.v1", "signal": signal, "fields": [_avro(n) for n in self.nodes]}

    def _flow(self, name: str) -> dict[str, Any]:
        flow: dict[str, Any] = {"flow": name, "purpose": f"Doel van {name}", "activity": "https://voorbeeld.example/v"}
        flow["grants"] = [self._grant(grant) for grant in self.grants if grant.flow == name]
        if name == FLOWS[0]:
            flow["refuse"] = [
                {"signal": TYPE, "when": when, "code": f"mag-niet-{i}", "text": "Mag niet."} for i, when in enumerate(self.refuse)
            ]
        return flow

    @staticmethod
    def _grant(grant: GrantSpec) -> dict[str, Any]:
        fields: list[Any] = []
        for path, how in grant.entries.items():
            fields += [".".join(path) if way is None else {".".join(path): way.text} for way in how]
        result: dict[str, Any] = {
            "id": grant.id, "signal": TYPE, "to": grant.to, "legal_basis": ["grond"], "retention": "P6M",
            "fields": [*fields, "uitgever"] if grant.publisher else fields,
            "explain": "U krijgt dit.", "privacy_decision": "Besloten.", "sanction_basis": "grond",
        }  # fmt: skip
        if grant.when:
            result["when"] = grant.when
        if grant.requires:
            result["requires"] = dict(grant.requires)
        return result


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1)


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, allow_unicode=True, sort_keys=False)


def oin(number: int) -> str:
    """Return a test OIN."""
    return f"00000099{number:012d}"


def _participants() -> list[dict[str, Any]]:
    national = [{"id": name, "name": name, "oin": oin(i), "government": RECIPIENTS[name]} for i, name in enumerate(RECIPIENTS, 1)]
    return [
        {"id": PUBLISHER, "name": "Bron", "oin": oin(99)}, *national,
        {"id": LOCAL, "name": "Wijk", "government": True, "per_municipality": "all", "oin": "0000009900000012{gemeentecode}"},
    ]  # fmt: skip


def _grounds() -> dict[str, Any]:
    return {"grounds": [{"id": "grond", "text": "Grond", "status": "vastgesteld", "source": "proef"}]}


@st.composite
def contracts(draw: st.DrawFn) -> World:
    """Return a world without grants."""
    nodes = draw(_nodes(_Types(), 2, in_array=False))
    municipality, secrecy = draw(st.booleans()), draw(st.integers(0, 4)) == 0
    if municipality:
        nodes = (*nodes, Node("gemeente", "gemeentecode", privacy="organisation"))
    if secrecy:
        nodes = (*nodes, Node("geheim", "boolean", privacy="code"))
    personal = [leaf for leaf in leaves(nodes) if leaf.node.privacy in {"identifier", "address"}]
    if not personal:
        return World(nodes, None, municipality, secrecy, ())
    nodes = (*nodes, Node("betrokkene_geinformeerd", "enum", privacy="code", symbols=INFORMED, type_name="Geinformeerd"))
    nodes = (*nodes, Node("contactrol", "patroon", privacy="organisation"))
    usable = [leaf.dotted for leaf in personal if not leaf.in_array]
    if not usable:
        nodes = (*nodes, Node("persoon", "bsn", privacy="identifier"))
        usable = ["persoon"]
    subject = draw(st.lists(st.sampled_from(usable), min_size=1, max_size=3, unique=True))
    return World(nodes, tuple(subject), municipality, secrecy, ())


@st.composite
def worlds(draw: st.DrawFn, *, conditional: bool = False) -> World:
    """Return a random contract with one to four grants over two flows."""
    world = draw(contracts())
    all_leaves = list(leaves(world.nodes))
    named_uitgever = any(node.name == "uitgever" for node in world.nodes)
    grants = []
    for number in range(draw(st.integers(1, 4))):
        entries = draw(_entries(all_leaves))
        publisher = not named_uitgever and draw(st.booleans())
        if not entries and not publisher:
            entries = {all_leaves[0].path: (Transform("aanwezig"),)}
        to = draw(st.sampled_from([*RECIPIENTS, LOCAL]))
        name = draw(st.sampled_from(["regel.{}", "regel-{}", "r_{}.a-b", "r.e{}.gel"])).format(number)
        grant = GrantSpec(name, draw(st.sampled_from(FLOWS)), to, entries, publisher)
        if conditional:
            when = draw(st.none() | conditions(world.nodes))
            required = draw(st.lists(conditions(world.nodes), max_size=2))
            grant = replace(grant, when=when, requires=tuple((f"eis-{i}", text) for i, text in enumerate(required)))
        grants.append(grant)
    refuse = draw(st.lists(conditions(world.nodes), max_size=1)) if conditional else []
    return replace(world, grants=tuple(grants), refuse=tuple(refuse), as_yaml=draw(st.booleans()))


MOMENTS: Final = st.builds(
    lambda year, day, minutes: int((datetime(year, day[0], day[1], tzinfo=UTC) + timedelta(minutes=minutes)).timestamp()) * 1000,
    st.sampled_from([2026, 2028]), st.sampled_from(DAYS), st.sampled_from([-61, -60, -1, 0, 480, 1319, 1320, 1379, 1380, 1439]),
)  # fmt: skip
"""Moments, many of them just before or after midnight in the Netherlands."""


# --- streams of records ---------------------------------------------------------------------------

REPORT, REPLY, QUESTION = "nl.proef.melding.v1", "nl.proef.antwoord.v1", "nl.proef.vraag.v1"
SOURCES: Final = {"bron-a": oin(1), "bron-b": oin(2), "hulp.0772": "00000099000000110772"}
STREAM_LIMIT: Final = 3


def stream_content(
    limit: int | None = STREAM_LIMIT, *, per: str = "month", retention: str = "P6M", metered: bool = True, **changed: Any
) -> dict[str, str]:
    """Return a small fixed rule set: a metered report, its reply, and an anonymous question.

    `metered` says whether the grant of the report is there at all; `changed` overrides keys of it.
    """
    number = {"name": "nummer", "type": "int", "privacy": "code"}
    code = {"name": "gemeentecode", "type": "string", "format": "gemeentecode", "privacy": "organisation"}
    report = {
        "type": "record", "name": "Melding", "namespace": "nl.proef.v1",
        "signal": {"type": REPORT, "publishers": ["bron"], "subject": ["postcode"], "municipality": "gemeentecode", "retention": retention},
        "fields": [
            code, number, {"name": "postcode", "type": "string", "format": "postcode", "privacy": "address"},
            {"name": "dringend", "type": "boolean", "privacy": "code"},
            {"name": "deler", "type": "int", "privacy": "code", "default": 1},
            {"name": "betrokkene_geinformeerd", "privacy": "code", "default": "NVT",
             "type": {"type": "enum", "name": "Geinformeerd", "symbols": list(INFORMED), "default": "NVT"}},
            {"name": "contactrol", "type": "string", "privacy": "organisation", "default": "loket"},
        ],
    }  # fmt: skip
    reply = {
        "type": "record",
        "name": "Antwoord",
        "namespace": "nl.proef.v1",
        "signal": {"type": REPLY, "publishers": ["*"], "subject": "@keten", "answers": [REPORT], "retention": "P6M"},
        "fields": [number],
    }
    question = {
        "type": "record",
        "name": "Vraag",
        "namespace": "nl.proef.v1",
        "signal": {"type": QUESTION, "publishers": ["bron"], "subject": None, "municipality": "gemeentecode", "retention": "P6M"},
        "fields": [code, number],
    }
    base = {"legal_basis": ["grond"], "retention": "P6M", "explain": "U krijgt dit."}
    quota = {"name": "grens", "limit": limit, "per": per, "key": ["agreement", "recipient"], "overflow": "defer", "exempt": "s.dringend"}
    report_grant = {"id": "proef.melding", "signal": REPORT, "to": "hulp", "agreements": ["afspraak"], "quota": quota,
               "requires": {"te-vaak-gedeeld": "100 / s.deler > 1"}, "fields": ["gemeentecode", "nummer", "postcode"], **base} | changed  # fmt: skip
    grants = [
        *([report_grant] if metered else []),
        {
            "id": "proef.melding-kort",
            "signal": REPORT,
            "to": "teller",
            "fields": [{"postcode": "pc4"}],
            "when": "s.nummer % 3 == 0",
            **base,
        },
        {"id": "proef.antwoord", "signal": REPLY, "to": "teller", "fields": ["nummer"], **base},
        {"id": "proef.vraag", "signal": QUESTION, "to": "hulp", "fields": ["nummer", "uitgever"], **base},
    ]
    flow = {
        "flow": "proef", "purpose": "Proef", "activity": "https://voorbeeld.example/v", "grants": grants,
        "refuse": [{"signal": QUESTION, "when": "10 / s.nummer > 4", "code": "te-klein", "text": "Te klein."}],
    }  # fmt: skip
    participants = [
        {"id": "bron-a", "role": "bron", "name": "A", "oin": oin(1)}, {"id": "bron-b", "role": "bron", "name": "B", "oin": oin(2)},
        {"id": "teller", "name": "Teller", "oin": oin(3)},
        {"id": "hulp", "name": "Hulp", "government": True, "per_municipality": "all", "oin": "0000009900000011{gemeentecode}"},
    ]  # fmt: skip
    agreement = {"id": "afspraak", "name": "Afspraak", "parties": ["bron"], "municipalities": "all", "from": "2020-01-01"}
    forbidden = {"type": "*verboden*", "code": "dat-niet", "text": "Dat niet."}
    return {
        **own_files(),
        "rules/participants.yaml": _json({"participants": participants}), "rules/grounds.yaml": _json(_grounds()),
        "rules/agreements.yaml": _json({"agreements": [agreement]}), "rules/forbidden.yaml": _json({"forbidden": [forbidden]}),
        "rules/proef.yaml": _json(flow),
        f"schemas/{REPORT}.avsc": _json(report), f"schemas/{REPLY}.avsc": _json(reply), f"schemas/{QUESTION}.avsc": _json(question),
    }  # fmt: skip


def source_of(participant: str) -> str:
    """Return the CloudEvents source of a participant of the stream."""
    return f"urn:nld:oin:{SOURCES.get(participant, oin(0))}:systeem:{participant}"


def event(participant: str, type_: str, id_: Any, data: Any, **attributes: Any) -> dict[str, Any]:
    """Return a structured event."""
    return {"specversion": "1.0", "id": id_, "source": source_of(participant), "type": type_, "data": data, **attributes}


_IDS: Final = st.sampled_from(["1", "2", "3", "4", "5", "6", "zaak", "x y", "", "123456782"])
_WHO: Final = st.sampled_from(["bron-a", "bron-a", "bron-b", "hulp.0772", "vreemd"])
_LINK: Final = st.sampled_from(["keten-1", "keten-2", "12345678-1234-4234-8234-123456789abc", "999990019", ""])
_ODD: Final = st.one_of(
    st.none(), st.booleans(), st.floats(), st.integers(-(2**70), 2**70), st.text(max_size=8),
    st.just([]), st.just({}), st.just({"a": [1]}), st.just("\ud800"), st.just("x" * 300),
)  # fmt: skip


@st.composite
def _good(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    who, id_ = draw(st.sampled_from(["bron-a", "bron-b"])), draw(st.sampled_from("123456"))
    kind = draw(st.sampled_from([REPORT, REPORT, REPORT, QUESTION, REPLY]))
    number = draw(st.integers(0, 9))
    if kind == REPORT:
        data = {"gemeentecode": draw(st.sampled_from(["0772", "0855"])), "nummer": number, "postcode": draw(st.sampled_from(["5611AB", "5611 ab"])),
                "dringend": draw(st.booleans()), "deler": draw(st.sampled_from([1, 1, 1, 0, 100]))}  # fmt: skip
        found = event(who, kind, id_, data)
    elif kind == QUESTION:
        found = event(who, kind, id_, {"gemeentecode": "0772", "nummer": number})
    else:
        found = event(who, kind, f"r{id_}", {"nummer": number}, causationid=own_signal_id(who, draw(st.sampled_from("123456"))))
    if kind != QUESTION and draw(st.integers(0, 3)) == 0:
        found["correlationid"] = draw(_LINK)
    return who, found


def own_signal_id(participant: str, id_: str) -> str:
    """Return the signal_id as its publisher can compute it (RFC 9562, version 5)."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{source_of(participant)} {id_}"))


@st.composite
def _mutated(draw: st.DrawFn) -> Received:
    who, found = draw(_good())
    where = draw(st.sampled_from(["envelope", "data", "both"]))
    parts: list[dict[str, Any]] = [part for name, part in (("envelope", found), ("data", found["data"])) if where in {name, "both"}]
    for part in parts:
        name = draw(st.sampled_from([*part, "onbekend", "vervangt", "time", "traceparent"]))
        if draw(st.booleans()):
            part.pop(name, None)
        else:
            part[name] = draw(_ODD | _IDS)
    return Received(draw(st.just(who) | _WHO), _body(found))


def _body(found: Any) -> bytes:
    return json.dumps(found).encode("utf-8", "surrogatepass")


@st.composite
def _broken(draw: st.DrawFn) -> Received:
    who, found = draw(_good())
    body = bytearray(_body(found))
    at = draw(st.integers(0, len(body) - 1))
    match draw(st.sampled_from(["cut", "flip", "double", "garbage"])):
        case "cut":
            del body[at:]
        case "flip":
            body[at] ^= draw(st.integers(1, 255))
        case "double":
            body[at:at] = body[: draw(st.integers(0, 40))]
        case _:
            body = bytearray(draw(st.binary(max_size=80)))
    return Received(who, bytes(body))


@dataclass(frozen=True, slots=True)
class Binary:
    """A record in Kafka binary mode; its schema id is only known once a hub is there."""

    participant: str
    headers: dict[str, bytes]
    schema: str
    """A signal type, a grant (its view), or no known schema at all."""
    avro: bytes


@st.composite
def _binary(draw: st.DrawFn) -> Binary:
    who, found = draw(_good())
    headers = {f"ce_{name}": str(value).encode() for name, value in found.items() if name != "data"}
    if draw(st.integers(0, 3)) == 0:
        headers[draw(st.sampled_from([*headers, "ce_extra", "content-type"]))] = draw(st.binary(max_size=12))
    schema = draw(st.sampled_from([found["type"], found["type"], REPORT, REPLY, QUESTION, "proef.melding-kort", "?"]))
    good = (
        b"\x080772\x0a\x0c5611AB\x00\x02\x00\x0aloket"
        if found["type"] == REPORT
        else b"\x080772\x06"
        if found["type"] == QUESTION
        else b"\x08"
    )
    return Binary(who, headers, schema, draw(st.just(good) | st.binary(max_size=40) | st.just(good + b"\x00")))


def _sound() -> st.SearchStrategy[Received]:
    return _good().map(lambda found: Received(found[0], _body(found[1])))


RECORDS: Final = st.lists(
    st.one_of(
        _sound(), _sound(), _sound(), _sound(), _mutated(), _broken(), _binary(),
        st.builds(lambda who, type_, id_: Received(who, _body(event(who, type_, id_, {}))), _WHO,
                  st.sampled_from(["nl.proef.verboden.v1", "nl.proef.niets.v1", REPORT]), _IDS),
    ),
    min_size=1, max_size=24,
).flatmap(lambda found: st.lists(st.sampled_from(found), max_size=6).map(lambda again: [*found, *again]))  # fmt: skip
"""Good, changed, repeated and broken records, in any order, of known and unknown senders."""
