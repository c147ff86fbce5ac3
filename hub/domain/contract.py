"""A contract: what a signal type may say, by whom, and how each field is classified.

A contract is a plain Avro record with attributes that Avro allows as metadata. Loading checks
every sentence that the hub relies on later and reports all faults of a file together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import fastavro
from fastavro.schema import SchemaParseException

from hub.domain import terms
from hub.domain.formats import FORMATS

if TYPE_CHECKING:
    from hub.domain.faults import Fault
    from hub.domain.sources import Path, Source

CLASSES: Final = {
    "organisation": "no person",
    "code": "a neutral code about a person",
    "identifier": "identifies a person: BSN, name, birth date, contact",
    "address": "a house address or an id of one",
    "financial": "an amount of a person's money",
    "sensitive": "a neutral code that still hints at health or need",
    "sanction": "CJIB or suspicion, treated as AVG art. 10",
}
"""The privacy classes. `free-text` and `special` (AVG art. 9) do not exist in a hub schema."""

_FORBIDDEN_CLASSES: Final = {
    "free-text": "the story stays at the source; the signal carries a code and a reference",
    "special": "special categories (AVG art. 9) do not pass through the hub",
}
_SIGNAL_KEYS: Final = frozenset({"type", "publishers", "subject", "municipality", "retention", "answers", "secrecy"})
_TYPE: Final = re.compile(r"[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)+\.v[1-9][0-9]*").fullmatch
_NAME: Final = re.compile(r"[a-z][a-z0-9_]*").fullmatch
_CEL_WORDS: Final = frozenset({"in", "true", "false", "null"})
_SCALARS: Final = frozenset({"string", "int", "long", "boolean"})
_LOGICAL: Final = {"date": "int", "timestamp-millis": "long"}
INFORMED: Final = ("JA", "NEE_SPOED", "NEE_VEILIGHEID", "NEE_NIET_BEREIKBAAR", "NVT")
KETEN: Final = "@keten"
LONGEST_TEXT: Final = 200


@dataclass(frozen=True, slots=True)
class Leaf:
    """One scalar of a contract, or of the records in one of its arrays."""

    path: tuple[str, ...]
    kind: str
    """`string`, `int`, `long`, `boolean`, `enum`, `date`, `timestamp` or `gba-datum`."""
    nullable: bool
    in_array: bool
    privacy: str
    symbols: tuple[str, ...] = ()
    format: str | None = None

    @property
    def dotted(self) -> str:
        """The name by which rules grant it, such as `adres.postcode`."""
        return ".".join(self.path)


@dataclass(frozen=True, slots=True)
class Contract:
    """One signal type. Immutable; `raw` is the schema as its file states it."""

    type: str
    raw: dict[str, Any]
    publishers: tuple[str, ...]
    subject: tuple[str, ...] | str | None
    """Names of the identifying fields, `@keten` (inherited), or None (anonymous)."""
    municipality: str | None
    retention: str
    answers: tuple[str, ...]
    secrecy: str | None
    leaves: dict[str, Leaf]

    @property
    def inherits_subject(self) -> bool:
        """The subject is that of the keten, which the signal must then name."""
        return self.subject == KETEN

    def may_publish(self, role: str) -> bool:
        """Say whether a participant in this role may publish the type."""
        return "*" in self.publishers or role in self.publishers


def split_null(avro: Any) -> tuple[Any, bool]:
    """Return the type without null, and whether null was allowed."""
    if isinstance(avro, list) and len(avro) == 2 and "null" in avro:  # noqa: PLR2004
        return next(branch for branch in avro if branch != "null"), True
    return avro, False


def load(source: Source) -> tuple[Contract | None, list[Fault]]:
    """Check one schema file. Returns the contract, or None with every fault in the file."""
    reader = _Reader(source)
    contract = reader.read()
    return (None if reader.faults else contract), reader.faults


def cross_check(contracts: dict[str, Contract], sources: dict[str, Source]) -> Iterator[Fault]:
    """Yield what only shows with all contracts at hand: answers to types that do not exist."""
    for contract in contracts.values():
        for i, answered in enumerate(contract.answers):
            if answered not in contracts:
                yield sources[contract.type].fault(("signal", "answers", i), f"answers a type that does not exist: {answered}")


class _Reader:
    """Walks one schema and collects leaves and faults."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.faults: list[Fault] = []
        self.leaves: dict[str, Leaf] = {}
        self.named: dict[str, Any] = {}

    def fault(self, path: Path, what: str, fix: str = "") -> None:
        self.faults.append(self.source.fault(path, what, fix))

    def read(self) -> Contract | None:
        raw = self.source.value
        if not isinstance(raw, dict) or raw.get("type") != "record" or not isinstance(raw.get("fields"), list):
            self.fault((), "a contract is an Avro record with fields")
            return None
        self.record(raw, (), (), nullable=False, in_array=False)
        signal = raw.get("signal")
        if not isinstance(signal, dict):
            self.fault((), "the attribute `signal` is missing", "state type, publishers, subject and retention")
            return None
        self.signal(signal)
        self.compiles(raw)
        if self.faults:
            return None
        subject = signal.get("subject")
        return Contract(
            type=signal["type"],
            raw=raw,
            publishers=tuple(signal["publishers"]),
            subject=tuple(subject) if isinstance(subject, list) else subject,
            municipality=signal.get("municipality"),
            retention=signal["retention"],
            answers=tuple(signal.get("answers", ())),
            secrecy=signal.get("secrecy"),
            leaves=self.leaves,
        )

    def compiles(self, raw: dict[str, Any]) -> None:
        try:
            fastavro.parse_schema(raw, _write_hint=False)
        except (SchemaParseException, ValueError, KeyError, TypeError) as exc:
            self.fault((), f"Avro does not accept the schema: {type(exc).__name__} {exc}")

    # --- the signal attribute -------------------------------------------------------------

    def signal(self, signal: dict[str, Any]) -> None:
        for key in signal.keys() - _SIGNAL_KEYS:
            self.fault(("signal", key), f"unknown key `{key}` in `signal`", f"known: {', '.join(sorted(_SIGNAL_KEYS))}")
        self.type_name(signal.get("type"))
        for key in ("publishers", "answers"):
            value = signal.get(key, [] if key == "answers" else None)
            if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
                self.fault(("signal", key), f"`{key}` is a list of names")
        if signal.get("publishers") == []:
            self.fault(("signal", "publishers"), "no publisher may send this type", 'name roles, or ["*"] for all')
        if not isinstance(signal.get("retention"), str) or not terms.is_duration(signal["retention"]):
            self.fault(("signal", "retention"), "`retention` is an ISO 8601 duration", 'for example "P6M"')
        self.subject(signal)
        self.scalar_reference(
            signal,
            "municipality",
            "a required string with format gemeentecode",
            lambda leaf: leaf.format == "gemeentecode" and not leaf.nullable,
        )
        self.scalar_reference(signal, "secrecy", "a required boolean", lambda leaf: leaf.kind == "boolean" and not leaf.nullable)

    def type_name(self, name: object) -> None:
        path = ("signal", "type")
        if not isinstance(name, str) or _TYPE(name) is None:
            self.fault(path, "the type name is no reverse domain with one version", "for example nl.wgs.achterstand-gesignaleerd.v1")
        elif self.source.file.rsplit("/", 1)[-1] != f"{name}.avsc":
            self.fault(path, "the file name is not the type name", f"call the file {name}.avsc")

    def subject(self, signal: dict[str, Any]) -> None:
        path = ("signal", "subject")
        subject = signal.get("subject", "missing")
        if subject == KETEN:
            return
        if subject is None:
            for held in self.leaves.values():
                if held.privacy in {"identifier", "address"}:
                    self.fault(path, f"an anonymous signal holds `{held.dotted}`, which points at a person")
            return
        if not isinstance(subject, list) or not subject:
            self.fault(path, "`subject` must be stated", 'field names, "@keten", or null for an anonymous signal')
            return
        for i, name in enumerate(subject):
            leaf = self.leaves.get(str(name))
            if leaf is None or leaf.in_array or leaf.privacy not in {"identifier", "address"}:
                self.fault((*path, i), f"subject field `{name}` is no identifier or address of this contract")
        self.informed()

    def informed(self) -> None:
        informed = self.leaves.get("betrokkene_geinformeerd")
        if informed is None or informed.symbols != INFORMED:
            self.fault(
                ("fields",), "a contract about a person has the enum `betrokkene_geinformeerd`", f"with the symbols {', '.join(INFORMED)}"
            )
        role = self.leaves.get("contactrol")
        if role is None or role.kind != "string" or role.privacy != "organisation":
            self.fault(
                ("fields",),
                "a contract about a person has `contactrol`, a desk code",
                "a string of class organisation, never a personal name",
            )

    def scalar_reference(self, signal: dict[str, Any], key: str, what: str, fits: Any) -> None:
        name = signal.get(key)
        if name is None:
            return
        leaf = self.leaves.get(str(name))
        if leaf is None or leaf.in_array or not fits(leaf):
            self.fault(("signal", key), f"`{key}` names `{name}`, which is not {what}")

    # --- the fields -----------------------------------------------------------------------

    def record(self, avro: dict[str, Any], path: Path, name: tuple[str, ...], *, nullable: bool, in_array: bool) -> None:
        self.name_type(avro, path)
        for i, field in enumerate(avro.get("fields", ())):
            at: Path = (*path, "fields", i)
            if not isinstance(field, dict) or not isinstance(field.get("name"), str):
                self.fault(at, "a field is an object with a name and a type")
                continue
            if _NAME(field["name"]) is None or field["name"] in _CEL_WORDS:
                self.fault(
                    (*at, "name"),
                    f"field name `{field['name']}` is not allowed",
                    "lower case letters, digits and _, and not in, true, false or null",
                )
            self.field(field, at, (*name, field["name"]), nullable=nullable, in_array=in_array)

    def name_type(self, avro: dict[str, Any], path: Path) -> None:
        named = avro.get("name")
        if isinstance(named, str):
            if named in self.named:
                self.fault(path, f"the named type `{named}` is defined twice", "refer to it by name the second time")
            self.named[named] = avro

    def field(self, field: dict[str, Any], path: Path, name: tuple[str, ...], *, nullable: bool, in_array: bool) -> None:
        avro, null = split_null(field.get("type"))
        nullable = nullable or null
        if null and field["type"][0] != "null":
            self.fault(path, f"`{'.'.join(name)}` names null last", 'write ["null", ...], so that null can be the default')
        if isinstance(avro, str) and avro in self.named:
            avro = self.named[avro]
            if avro.get("type") == "record":
                self.fault(path, f"`{'.'.join(name)}` uses a record a second time", "give it a record of its own")
                return
        elif isinstance(avro, dict) and avro.get("type") == "enum":
            self.name_type(avro, (*path, "type"))
        if isinstance(avro, dict) and avro.get("type") == "array":
            if in_array:
                self.fault(path, f"`{'.'.join(name)}` is an array within an array", "use one level of arrays")
                return
            items, null_item = split_null(avro.get("items"))
            if null_item:
                self.fault(path, f"`{'.'.join(name)}` has items that may be null", "leave the item out instead")
            self.field({**field, "type": items}, path, name, nullable=nullable, in_array=True)
        elif isinstance(avro, dict) and avro.get("type") == "record":
            self.record(avro, (*path, "type"), name, nullable=nullable, in_array=in_array)
        else:
            self.leaf(field, avro, path, name, nullable=nullable, in_array=in_array)

    def leaf(self, field: dict[str, Any], avro: Any, path: Path, name: tuple[str, ...], *, nullable: bool, in_array: bool) -> None:
        dotted = ".".join(name)
        kind = self.kind(avro, field, path, dotted)
        privacy = field.get("privacy")
        if privacy in _FORBIDDEN_CLASSES:
            self.fault((*path, "privacy"), f"`{dotted}` has class {privacy}, which no hub schema may hold", _FORBIDDEN_CLASSES[privacy])
        elif privacy not in CLASSES:
            self.fault(path, f"`{dotted}` is not classified", f"give it `privacy`: {', '.join(CLASSES)}")
        if kind is None:
            return
        self.text_is_bound(field, kind, path, dotted)
        symbols = tuple(avro.get("symbols", ())) if isinstance(avro, dict) else ()
        fmt = field.get("format") if kind in {"string", "gba-datum"} else None
        self.leaves[dotted] = Leaf(name, kind, nullable, in_array, str(privacy), symbols, fmt)

    def kind(self, avro: Any, field: dict[str, Any], path: Path, dotted: str) -> str | None:
        base = avro.get("type") if isinstance(avro, dict) else avro
        if base in {"float", "double"}:
            self.fault(path, f"`{dotted}` is a float", "money is eurocents in a long; measures are whole numbers")
        elif base == "enum":
            if avro.get("default") not in avro.get("symbols", ()):
                self.fault(path, f"enum `{dotted}` has no default", "an older reader needs a symbol for a newer one")
            return "enum"
        elif base not in _SCALARS:
            self.fault(
                path,
                f"`{dotted}` has type {base}, which contracts do not use",
                "string, int, long, boolean, enum, record, array, or one of these and null",
            )
        else:
            return self.scalar_kind(avro, base, field, path, dotted)
        return None

    def scalar_kind(self, avro: Any, base: str, field: dict[str, Any], path: Path, dotted: str) -> str | None:
        logical = avro.get("logicalType") if isinstance(avro, dict) else None
        if logical is not None and _LOGICAL.get(logical) != base:
            self.fault(path, f"`{dotted}` has logical type {logical} on {base}", "use date on int, timestamp-millis on long")
            return None
        if field.get("format") == "gba-datum":
            return "gba-datum"
        return {"date": "date", "timestamp-millis": "timestamp", None: base}[logical]

    def text_is_bound(self, field: dict[str, Any], kind: str, path: Path, dotted: str) -> None:
        fmt, pattern, longest = field.get("format"), field.get("pattern"), field.get("maxLength", LONGEST_TEXT)
        if fmt is not None and (fmt not in FORMATS or kind not in {"string", "gba-datum"}):
            self.fault((*path, "format"), f"`{dotted}` has a format that does not exist or is for strings", f"known: {', '.join(FORMATS)}")
        if pattern is not None and not _is_pattern(pattern):
            self.fault((*path, "pattern"), f"`{dotted}` has a pattern that is no regular expression")
        if not isinstance(longest, int) or not 0 < longest <= LONGEST_TEXT:
            self.fault((*path, "maxLength"), f"`{dotted}` may hold more than {LONGEST_TEXT} characters", "longer text is free text")
        if kind == "string" and field.get("privacy") == "code" and pattern is None:
            self.fault(
                path,
                f"`{dotted}` has class code but could hold any text",
                "make it an enum, boolean, number or date, or give it a `pattern`",
            )


def _is_pattern(text: object) -> bool:
    try:
        re.compile(str(text))
    except re.error:
        return False
    return isinstance(text, str)
