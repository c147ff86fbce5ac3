"""Markers that stand for everything personal, and the search for them in everything that is said, sent, named or stored."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sqlite3
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hub.domain.registers import HUB
from hub.transport.base import IN, OUT
from tests.strategies import make_bsn

if TYPE_CHECKING:
    from hub.app import Hub
    from hub.domain.ruleset import RuleSet

BIRD: Final = "Kwartelkoning"
"""In every name, and nowhere else in this repository."""
_LETTERS: Final = "GHJKLMNPRTUVWXYZ"
"""No hexadecimal digits among them: an id could spell a postcode."""


# --- markers --------------------------------------------------------------------------------------


def _day(first: date) -> Callable[[int], date]:
    return lambda n: first + timedelta(n)


_BORN, _GBA = _day(date(1901, 1, 1)), _day(date(1922, 1, 1))
SHAPES: Final[dict[str, Callable[[int], Any]]] = {
    "naam": lambda n: f"{BIRD}-Ünal {n:04d}", "voornaam": lambda n: f"{BIRD}je {n:04d}",
    "kenmerk": lambda n: f"KK-{BIRD}{n:04d}", "verwijzing": lambda n: f"KWARTEL-9173{n:04d}",
    "artikel": lambda n: f"kwartel-917-{n:03d}kk", "uuid": lambda n: f"9173aced-9173-4bee-a173-9173{n:08x}",
    "id": lambda n: f"id-{BIRD}-{n:05d}", "keten": lambda n: f"keten-{BIRD}-{n:05d}",
    "postcode": lambda n: f"917{n // 256}{_LETTERS[n // 16 % 16]}{_LETTERS[n % 16]}", "huisnummer": lambda n: f"184627{n:04d}",
    "bag-id": lambda n: f"085501846{n:07d}", "bedrag": lambda n: f"8642097531{n:04d}",
    "telefoon": lambda n: f"+316864297{n:04d}", "email": lambda n: f"{BIRD.lower()}{n:04d}@voorbeeld.example",
    "geboren": lambda n: _BORN(n).isoformat(), "gba": lambda n: _GBA(n).strftime("%Y%m%d"),
    "sinds": lambda n: f"1921-03-04T05:06:{n // 1000:02d}.{n % 1000:03d}Z",
    "cjib": lambda n: f"5550555055{n:06d}", "cjib-kort": lambda n: f"5550{n:05d}",
}  # fmt: skip
"""Kind -> what the nth marker of that kind looks like; all of one kind are of one length. A BSN has a check digit, see below."""
ALONE: Final = frozenset({"gba"})
"""Kinds so short that eight digits of an id or a moment could spell one: found where no letter or digit stands beside it."""


def _next_bsn(known: Mapping[str, str]) -> str:
    return make_bsn(int([*known][-1][:8]) + 1 if known else 91_700_000)


@dataclass(slots=True)
class Aviary:
    """Gives out markers and remembers them."""

    count: int = 0
    kinds: dict[str, dict[str, str]] = field(default_factory=dict)
    """Kind -> marker -> what it is, such as `3.naam`."""

    def mint(self, kind: str, name: str) -> str:
        """Return a fresh marker of a kind."""
        known = self.kinds.setdefault(kind, {})
        marker = _next_bsn(known) if kind == "bsn" else str(SHAPES[kind](len(known) + 1))
        known[marker] = name
        return marker

    def take_back(self, kind: str, marker: str) -> None:
        """Forget the newest marker of a kind: it did not fit."""
        assert [*self.kinds[kind]][-1] == marker
        del self.kinds[kind][marker]
        if not self.kinds[kind]:
            del self.kinds[kind]

    def bsn(self, name: str) -> str:
        """Return a fresh BSN."""
        return self.mint("bsn", name)

    @property
    def markers(self) -> dict[str, str]:
        """Every marker, with what it is."""
        return {marker: name for kind in self.kinds.values() for marker, name in kind.items()}

    def person(self) -> tuple[int, dict[str, str]]:
        """Return a fresh person: every value is a marker."""
        self.count += 1
        kinds = {
            "bsn": "bsn", "naam": "naam", "voornaam": "voornaam", "postcode": "postcode", "huisnummer": "huisnummer", "bedrag": "bedrag",
            "telefoon": "telefoon", "email": "email", "geboren": "geboren", "sinds": "sinds", "gba": "gba", "cjib": "cjib",
            "kenmerk": "kenmerk", "bag_id": "bag-id",
        }  # fmt: skip
        return self.count, {name: self.mint(kind, f"{self.count}.{name}") for name, kind in kinds.items()}

    def found_in(self, content: bytes) -> set[str]:
        """Return which markers stand in a text as they are."""
        return {name for marker, name in self.markers.items() if marker.removeprefix("+").encode() in content}


# --- the search -----------------------------------------------------------------------------------


def _base64(text: bytes) -> Iterator[bytes]:
    """Yield what base64 makes of a text at each of its three positions, without what depends on its neighbours."""
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + text)
        yield encoded[-(-before * 8 // 6) : (before + len(text)) * 8 // 6]


def varint(number: int) -> bytes:
    """Return a number as seven bits a byte."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def _base64_at(place: int) -> Callable[[str], bytes]:
    return lambda text: list(_base64(text.encode()))[place]


TEXT_WAYS: Final[dict[str, Callable[[str], bytes]]] = {
    "plain": str.encode, "lower": lambda text: text.lower().encode(), "upper": lambda text: text.upper().encode(),
    "backwards": lambda text: text[::-1].encode(), "json": lambda text: json.dumps(text)[1:-1].encode(),
    "utf-16-le": lambda text: text.encode("utf-16-le"), "utf-16-be": lambda text: text.encode("utf-16-be"),
    "utf-32": lambda text: text.encode("utf-32-le"), "hex": lambda text: text.encode().hex().encode(),
    "HEX": lambda text: text.encode().hex().upper().encode(),
    **{f"base64 at {i}": _base64_at(i) for i in range(3)},
}  # fmt: skip
NUMBER_WAYS: Final[dict[str, Callable[[str], bytes]]] = {
    "big-endian": lambda bsn: struct.pack(">i", int(bsn)), "little-endian": lambda bsn: struct.pack("<i", int(bsn)),
    "varint": lambda bsn: varint(int(bsn)), "Avro varint": lambda bsn: varint(int(bsn) << 1),
    "packed decimal": lambda bsn: bytes.fromhex(bsn[:8]), "decimal, packed": lambda bsn: bytes.fromhex(f"0{bsn}"),
    "dotted": lambda bsn: f"{bsn[:3]}.{bsn[3:6]}.{bsn[6:]}".encode(), "dots in": lambda bsn: f"{bsn[:4]}.{bsn[4:6]}.{bsn[6:]}".encode(),
}  # fmt: skip
_AS_NUMBERS: Final = 12
"""Of so many BSNs the binary forms are looked for: four bytes of the many that are sealed can be anything."""


def _common_start(texts: list[bytes]) -> bytes:
    first, last = min(texts), max(texts)
    return first[: next((i for i, (a, b) in enumerate(zip(first, last, strict=True)) if a != b), len(first))]


class Needles:
    """Markers of one kind in one encoding: what they have in common is looked for, then which one it is."""

    def __init__(self, way: str, members: Mapping[bytes, str], *, alone: bool = False, binary: bool = False) -> None:
        self.way, self.members, self.alone, self.binary = way, members, alone, binary
        self.length = len(next(iter(members)))
        start = _common_start(list(members))
        end = _common_start([member[::-1] for member in members])[::-1]
        self.literal, self.offset = (start, 0) if len(start) >= len(end) else (end, self.length - len(end))
        assert {len(member) for member in members} == {self.length}
        assert len(self.literal) > 1

    def find(self, content: bytes) -> Iterator[str]:
        """Yield which markers stand in a content, and how they are written."""
        at = content.find(self.literal)
        while at >= 0:
            begin = at - self.offset
            what = self.members.get(content[begin : begin + self.length]) if begin >= 0 else None
            if what is not None and not (self.alone and _has_neighbour(content, begin, begin + self.length)):
                yield f"{what} ({self.way})"
            at = content.find(self.literal, at + 1)


def _has_neighbour(content: bytes, begin: int, end: int) -> bool:
    return content[max(begin - 1, 0) : begin].isalnum() or content[end : end + 1].isalnum()


def needles(aviary: Aviary) -> list[Needles]:
    """Return everything to search for."""
    kinds = {kind: {marker.removeprefix("+"): name for marker, name in known.items()} for kind, known in aviary.kinds.items()}
    found = [
        Needles(way, {how(marker): name for marker, name in known.items()}, alone=kind in ALONE and way in {"plain", "backwards"})
        for kind, known in ({"word": {BIRD: "the word"}} | kinds).items()
        for way, how in TEXT_WAYS.items()
    ]
    numbers = list(aviary.kinds.get("bsn", {}).items())[:_AS_NUMBERS]
    return found + [
        Needles(way, {how(bsn): name for bsn, name in numbers}, binary=len(how("917000003")) < 6)
        for way, how in NUMBER_WAYS.items()
        if numbers
    ]


@dataclass(slots=True)
class Surfaces:
    """What is searched: everything that somebody other than a rightful recipient may see."""

    found: list[tuple[str, bytes]] = field(default_factory=list)
    seen: set[tuple[str, bytes]] = field(default_factory=set)
    sealed: set[int] = field(default_factory=set)
    """Numbers of those that are encrypted, in which any few bytes may stand by chance."""
    of_rules: set[int] = field(default_factory=set)
    """Numbers of those that state the rules and contracts, and so every code that there is."""

    def add(self, name: str, content: object, *, sealed: bool = False, of_rules: bool = False) -> None:
        """Take in one; what was said in these words before is not kept again."""
        raw = content if isinstance(content, bytes) else str(content).encode("utf-8", "surrogatepass")
        key = (name, raw if len(raw) < 64 else hashlib.blake2b(raw, digest_size=16).digest())
        if key in self.seen:
            return
        self.seen.add(key)
        self.sealed.update([len(self.found)] if sealed else ())
        self.of_rules.update([len(self.found)] if of_rules else ())
        self.found.append((name, raw))

    def leaks(self, aviary: Aviary) -> list[str]:
        """Return where a marker is, and which."""
        wanted = needles(aviary)
        return [
            f"{name}: {what}"
            for number, (name, content) in enumerate(self.found)
            for needle in wanted
            if not (needle.binary and number in self.sealed)
            for what in needle.find(content)
        ]

    def codes(self, symbols: Iterable[str]) -> list[str]:
        """Return where a code stands, but for what states the rules."""
        wanted = re.compile(rb"(?<![A-Z0-9_])(%s)(?![A-Z0-9_])" % b"|".join(sorted(symbol.encode() for symbol in symbols)))
        told = [(name, content) for number, (name, content) in enumerate(self.found) if number not in self.of_rules]
        return [f"{name}: {symbol.decode()}" for name, content in told for symbol in sorted(set(wanted.findall(content)))]

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return sum(len(content) for _, content in self.found)


def heavy_codes(ruleset: RuleSet) -> set[str]:
    """Return the codes that only fields of class sanction or sensitive have; short ones could be any word."""
    by_class: dict[bool, set[str]] = {True: set(), False: set()}
    for rules in ruleset.types.values():
        for leaf in rules.contract.leaves.values():
            by_class[leaf.privacy in {"sanction", "sensitive"}].update(leaf.symbols)
    return {symbol for symbol in by_class[True] - by_class[False] if len(symbol) > 8}


# --- what is on disk and on the wire --------------------------------------------------------------

SEALED: Final = frozenset({"sealed", "sealed_key", "sealed_name", "payload", "body", "proof"})
"""Columns that are encrypted."""


def at_rest(surfaces: Surfaces, home: Path, when: str, *, whole: bool = True) -> None:
    """Take in the name of every file under a home and every value of the database by itself, and the files as they are if `whole`."""
    for path in sorted(home.rglob("*")):
        surfaces.add("file name", str(path.relative_to(home)))
        if path.is_file() and (whole or path.suffix == ".key"):
            surfaces.add(f"{when}: {path.relative_to(home)}", path.read_bytes(), sealed=True, of_rules=True)
    connection = sqlite3.connect(f"file:{home / 'hub.db'}?mode=ro", uri=True)
    for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        cursor = connection.execute(f'SELECT * FROM "{table}"')  # noqa: S608
        columns = [column[0] for column in cursor.description]
        of_table(surfaces, when, table, columns, cursor.fetchall())
    connection.close()


def of_table(surfaces: Surfaces, when: str, table: str, columns: list[str], rows: list[tuple[Any, ...]]) -> None:
    """Take in every value of a table, column by column."""
    for number, column in enumerate(columns):
        _values(surfaces, f"{when}: %s in {table}.{column}", [row[number] for row in rows], column, table)


def _values(surfaces: Surfaces, name: str, values: list[Any], column: str, table: str) -> None:
    of_rules = table in {"rule_sets", "schemas"}
    surfaces.add(name % "numbers", "\n".join(str(value) for value in values if isinstance(value, int | float)))
    parts = [value if isinstance(value, bytes) else value.encode() for value in values if isinstance(value, bytes | str)]
    surfaces.add(name % "values", b"\n".join(parts), sealed=column in SEALED, of_rules=of_rules)
    surfaces.add(name % "what is unpacked", b"\n".join(map(_unpacked, parts)), of_rules=of_rules)


def _unpacked(value: bytes) -> bytes:
    try:
        return zlib.decompress(value)
    except zlib.error:
        return b""


def everything_on(hub: Hub) -> list[Any]:
    """Return every record on every topic."""
    reader = hub.transport.consumer(None, "")
    found: list[Any] = []
    while records := reader.poll(1000):
        found += records
    return found


def on_the_wire(surfaces: Surfaces, hub: Hub) -> Iterator[tuple[str, bytes]]:
    """Take in topic names and headers of every record, and yield the recipient and payload of each delivery."""
    for record in everything_on(hub):
        surfaces.add("topic name", record.topic)
        if record.topic.startswith(IN):  # what a publisher writes above its own record is its own
            continue
        headers = "\n".join(f"{name}: {value.decode()}" for name, value in record.message.headers.items())
        surfaces.add("headers of a delivery", headers)
        yield record.topic.removeprefix(OUT), record.message.value


# --- chance ---------------------------------------------------------------------------------------


def fixed_random() -> Callable[[int], bytes]:
    """Return bytes that are random enough and the same in every run, so that no marker turns up by chance."""
    count = iter(range(10**9))

    def some(size: int) -> bytes:
        made = b""
        while len(made) < size:
            made += hashlib.sha512(b"%d" % next(count)).digest()
        return made[:size]

    return some


OF_THE_HUB: Final = f"nl.{HUB}."
"""Begins the types of the hub's own signals."""
