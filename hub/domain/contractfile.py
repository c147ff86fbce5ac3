"""From a schema file to a contract: every sentence that the hub relies on later is checked here.

All faults of a file are reported together, each on its line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

import fastavro
from fastavro.schema import SchemaParseException

from hub.domain import terms
from hub.domain.contract import ANYTHING, CLASSES, INFORMED, KETEN, LONGEST_TEXT, Contract, Leaf, split_null
from hub.domain.data import wrong_defaults
from hub.domain.formats import FORMATS

if TYPE_CHECKING:
    from hub.domain.faults import Fault
    from hub.domain.sources import Path, Source

_FORBIDDEN_CLASSES: Final = {
    "free-text": "the story stays at the source; the signal carries a code and a reference",
    "special": "special categories (AVG art. 9) do not pass through the hub",
}
_SIGNAL_KEYS: Final = frozenset({"type", "publishers", "subject", "municipality", "retention", "answers", "secrecy"})
_LABEL: Final = r"(?!v[0-9]+\.)[a-z][a-z0-9]*(-[a-z0-9]+)*"
_TYPE: Final = re.compile(rf"{_LABEL}(\.{_LABEL})+\.v[1-9][0-9]*").fullmatch
_NAME: Final = re.compile(r"[a-z][a-z0-9_]*").fullmatch
_AVRO_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*").fullmatch
_CEL_WORDS: Final = frozenset({"in", "true", "false", "null"})
_SCALARS: Final = frozenset({"string", "int", "long", "boolean"})
_LOGICAL: Final = {"date": "int", "timestamp-millis": "long"}
_TYPES_TO_USE: Final = "string, int, long, boolean, enum, record, array, or null and one of these"


def load(source: Source) -> tuple[Contract | None, list[Fault]]:
    """Check one schema file. Returns every fault in it, and the contract as far as it could be read.

    A contract with faults is never put in force; the rules on it can be checked all the same.
    """
    reader = _Reader(source)
    return reader.read(), reader.faults


def cross_check(contracts: dict[str, Contract], sources: dict[str, Source], organisations: frozenset[str]) -> Iterator[Fault]:
    """Yield what only shows with everything at hand: unknown answers, types named after an organisation."""
    for contract in contracts.values():
        source = sources[contract.type]
        for i, answered in enumerate(contract.answers):
            if answered not in contracts and not (answered == ANYTHING and source.file.startswith("own/")):
                yield source.fault(("signal", "answers", i), f"answers a type that does not exist: {answered}")
        for label in contract.type.split(".")[:-1]:
            if label in organisations:
                fix = "name a register, a domain or a law (NL GOV profile for CloudEvents)"
                yield source.fault(("signal", "type"), f"the type is named after the organisation `{label}`", fix)


def _shape(avro: Any, *, in_union: bool = False) -> str | None:
    """Return what is wrong with the form of an Avro type, or None. Only sound forms are looked into."""
    if isinstance(avro, list):
        others = [branch for branch in avro if branch != "null"]
        if in_union or len(avro) != 2 or len(others) != 1:  # noqa: PLR2004
            return "has a union that is not null and one type"
        return _shape(others[0], in_union=True)
    if isinstance(avro, str):
        return None
    base = avro.get("type") if isinstance(avro, dict) else None
    if not isinstance(base, str) or not isinstance(avro.get("logicalType", ""), str):
        return "has a type that is no Avro type"
    sound: dict[str, Callable[[], bool]] = {
        "record": lambda: isinstance(avro.get("name"), str) and isinstance(avro.get("fields"), list),
        "array": lambda: "items" in avro,
        "enum": lambda: isinstance(avro.get("name"), str) and _texts(avro.get("symbols")),
    }
    if base in sound and not sound[base]():
        return f"has a {base} without what makes it one"
    return _shape(avro["items"]) if base == "array" else None


def _names(value: object) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


class _Reader:
    """Walks one schema and collects leaves and faults."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.faults: list[Fault] = []
        self.leaves: dict[str, Leaf] = {}
        self.named: dict[str, Any] = {}
        self.sound = True
        """The schema has the shape of Avro throughout, so that rules can be checked against it."""

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
        if not self.faults:
            self.compiles(raw)
        if not self.sound or not isinstance(signal.get("type"), str):
            return None
        subject = signal.get("subject")
        return Contract(
            type=signal["type"],
            raw=raw,
            publishers=_names(signal.get("publishers")),
            subject=_names(subject) if isinstance(subject, list) else subject,
            municipality=signal.get("municipality"),
            retention=str(signal.get("retention")),
            answers=_names(signal.get("answers")),
            secrecy=signal.get("secrecy"),
            leaves=self.leaves,
        )

    def compiles(self, raw: dict[str, Any]) -> None:
        """Check the defaults, and ask the Avro library for what the walk did not see."""
        for path in wrong_defaults(raw):
            self.fault((*path, "default"), "the default is no value that the field may hold", "null for a field that may be null")
        if self.faults:
            return
        try:
            fastavro.parse_schema(raw, _write_hint=False)
        except (SchemaParseException, ValueError, LookupError, TypeError, AttributeError) as exc:
            self.fault((), f"Avro does not accept the schema: {type(exc).__name__} {exc}")

    # --- the signal attribute -------------------------------------------------------------

    def signal(self, signal: dict[str, Any]) -> None:
        for key in signal.keys() - _SIGNAL_KEYS:
            self.fault(("signal", key), f"unknown key `{key}` in `signal`", f"known: {', '.join(sorted(_SIGNAL_KEYS))}")
        self.type_name(signal.get("type"))
        for key in ("publishers", "answers"):
            if not _texts(signal.get(key, [] if key == "answers" else None)):
                self.fault(("signal", key), f"`{key}` is a list of names")
        if signal.get("publishers") == []:
            self.fault(("signal", "publishers"), "no publisher may send this type", 'name roles, or ["*"] for all')
        if not isinstance(signal.get("retention"), str) or not terms.is_duration(signal["retention"]):
            self.fault(("signal", "retention"), "`retention` is an ISO 8601 duration", 'for example "P6M"')
        self.subject(signal)
        self.reference(
            signal,
            "municipality",
            "a required string with format gemeentecode",
            lambda leaf: leaf.format == "gemeentecode" and not leaf.nullable,
        )
        self.reference(signal, "secrecy", "a required boolean", lambda leaf: leaf.kind == "boolean" and not leaf.nullable)

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
        if informed is None or informed.in_array or informed.symbols != INFORMED:
            self.fault(
                ("fields",), "a contract about a person has the enum `betrokkene_geinformeerd`", f"with the symbols {', '.join(INFORMED)}"
            )
        role = self.leaves.get("contactrol")
        if role is None or role.in_array or role.kind != "string" or role.privacy != "organisation":
            self.fault(
                ("fields",),
                "a contract about a person has `contactrol`, a desk code",
                "a string of class organisation, never a personal name",
            )

    def reference(self, signal: dict[str, Any], key: str, what: str, fits: Callable[[Leaf], bool]) -> None:
        name = signal.get(key)
        if name is None:
            return
        leaf = self.leaves.get(str(name))
        if leaf is None or leaf.in_array or not fits(leaf):
            self.fault(("signal", key), f"`{key}` names `{name}`, which is not {what}")

    # --- the fields -----------------------------------------------------------------------

    def record(self, avro: dict[str, Any], path: Path, name: tuple[str, ...], *, nullable: bool, in_array: bool) -> None:
        self.name_type(avro, path)
        seen: set[str] = set()
        for i, field in enumerate(avro["fields"]):
            at: Path = (*path, "fields", i)
            if not isinstance(field, dict) or not isinstance(field.get("name"), str):
                self.fault(at, "a field is an object with a name and a type")
                self.sound = False
                continue
            dotted = ".".join((*name, field["name"]))
            if _NAME(field["name"]) is None or field["name"] in _CEL_WORDS:
                fix = "lower case letters, digits and _, and not in, true, false or null"
                self.fault((*at, "name"), f"field name `{field['name']}` is not allowed", fix)
            if field["name"] in seen:
                self.fault(at, f"`{dotted}` stands twice in its record", "give each field a name of its own")
            seen.add(field["name"])
            problem = _shape(field.get("type"))
            if problem is not None:
                self.fault(at, f"`{dotted}` {problem}", _TYPES_TO_USE)
                self.sound = False
                continue
            self.field(field, at, (*name, field["name"]), nullable=nullable, in_array=in_array)

    def name_type(self, avro: dict[str, Any], path: Path) -> None:
        named = avro.get("name")
        if isinstance(named, str):
            if _AVRO_NAME(named) is None:
                self.fault(path, f"`{named}` is no name for a type", "letters, digits and _, not starting with a digit")
            if named in self.named:
                self.fault(path, f"the named type `{named}` is defined twice", "refer to it by name the second time")
            self.named[named] = avro

    def field(self, field: dict[str, Any], path: Path, name: tuple[str, ...], *, nullable: bool, in_array: bool) -> None:
        avro, null = split_null(field["type"])
        type_path: Path = (*path, "type")
        if null:
            type_path = (*type_path, field["type"].index(avro))
            if field["type"][0] != "null":
                self.fault(path, f"`{'.'.join(name)}` names null last", 'write ["null", ...], so that null can be the default')
        self.value(field, avro, path, type_path, name, nullable=nullable or null, in_array=in_array)

    def value(
        self, field: dict[str, Any], avro: Any, path: Path, type_path: Path, name: tuple[str, ...], *, nullable: bool, in_array: bool
    ) -> None:
        dotted = ".".join(name)
        if isinstance(avro, str) and avro in self.named:
            avro = self.named[avro]
            if avro["type"] == "record":
                self.fault(path, f"`{dotted}` uses a record a second time", "give it a record of its own")
                return
        elif isinstance(avro, dict) and avro["type"] == "enum":
            self.name_type(avro, type_path)
        base = avro["type"] if isinstance(avro, dict) else avro
        if base == "array":
            self.array(field, avro, path, type_path, name, nullable=nullable, in_array=in_array)
        elif base == "record":
            self.classified(field, path, dotted, required=False)
            self.record(avro, type_path, name, nullable=nullable, in_array=in_array)
        else:
            self.leaf(field, avro, path, name, nullable=nullable, in_array=in_array)

    def array(
        self, field: dict[str, Any], avro: Any, path: Path, type_path: Path, name: tuple[str, ...], *, nullable: bool, in_array: bool
    ) -> None:
        dotted = ".".join(name)
        if in_array:
            self.fault(path, f"`{dotted}` is an array within an array", "use one level of arrays")
            return
        items, null_item = split_null(avro["items"])
        if null_item:
            self.fault(path, f"`{dotted}` has items that may be null", "leave the item out instead")
        self.value(field, items, path, (*type_path, "items"), name, nullable=nullable, in_array=True)

    def leaf(self, field: dict[str, Any], avro: Any, path: Path, name: tuple[str, ...], *, nullable: bool, in_array: bool) -> None:
        dotted = ".".join(name)
        kind = self.kind(avro, field, path, dotted)
        self.classified(field, path, dotted, required=True)
        if kind is None:
            return
        self.text_is_bound(field, kind, path, dotted)
        symbols = tuple(avro["symbols"]) if kind == "enum" else ()
        fmt = field.get("format") if kind in {"string", "gba-datum"} else None
        self.leaves[dotted] = Leaf(name, kind, nullable, in_array, str(field.get("privacy")), symbols, fmt)

    def classified(self, field: dict[str, Any], path: Path, dotted: str, *, required: bool) -> None:
        privacy = field.get("privacy")
        if isinstance(privacy, str) and privacy in _FORBIDDEN_CLASSES:
            self.fault((*path, "privacy"), f"`{dotted}` has class {privacy}, which no hub schema may hold", _FORBIDDEN_CLASSES[privacy])
        elif not (isinstance(privacy, str) and privacy in CLASSES) and (required or privacy is not None):
            self.fault(path, f"`{dotted}` is not classified", f"give it `privacy`: {', '.join(CLASSES)}")

    def kind(self, avro: Any, field: dict[str, Any], path: Path, dotted: str) -> str | None:
        base = avro["type"] if isinstance(avro, dict) else avro
        if base in {"float", "double"}:
            self.sound = False
            self.fault(path, f"`{dotted}` is a float", "money is eurocents in a long; measures are whole numbers")
        elif base == "enum":
            if avro.get("default") not in avro["symbols"]:
                self.fault(path, f"enum `{dotted}` has no default", "an older reader needs a symbol for a newer one")
            return "enum"
        elif base not in _SCALARS:
            self.sound = False
            self.fault(path, f"`{dotted}` has type {base}, which contracts do not use", _TYPES_TO_USE)
        else:
            return self.scalar_kind(avro, base, field, path, dotted)
        return None

    def scalar_kind(self, avro: Any, base: str, field: dict[str, Any], path: Path, dotted: str) -> str | None:
        logical = avro.get("logicalType") if isinstance(avro, dict) else None
        if logical is not None and _LOGICAL.get(logical) != base:
            self.fault(path, f"`{dotted}` has logical type {logical} on {base}", "use date on int, timestamp-millis on long")
            return None
        if base == "string" and field.get("format") == "gba-datum":
            return "gba-datum"
        return {"date": "date", "timestamp-millis": "timestamp", None: base}[logical]

    def text_is_bound(self, field: dict[str, Any], kind: str, path: Path, dotted: str) -> None:
        is_text = kind in {"string", "gba-datum"}
        fmt = field.get("format")
        if "format" in field and (not isinstance(fmt, str) or fmt not in FORMATS or not is_text):
            self.fault((*path, "format"), f"`{dotted}` has a format that does not exist or is for strings", f"known: {', '.join(FORMATS)}")
        if not is_text and field.keys() & {"pattern", "maxLength"}:
            self.fault(path, f"`{dotted}` is no text, so a pattern or maxLength binds nothing", "remove it")
            return
        if "pattern" in field and not _is_pattern(field["pattern"]):
            self.fault((*path, "pattern"), f"`{dotted}` has a pattern that is no regular expression")
        longest = field.get("maxLength", LONGEST_TEXT)
        if type(longest) is not int or not 0 < longest <= LONGEST_TEXT:
            self.fault((*path, "maxLength"), f"`{dotted}` may hold more than {LONGEST_TEXT} characters", "longer text is free text")
        if kind == "string" and field.get("privacy") == "code" and "pattern" not in field:
            fix = "make it an enum, boolean, number or date, or give it a `pattern`"
            self.fault(path, f"`{dotted}` has class code but could hold any text", fix)


def _is_pattern(text: object) -> bool:
    if not isinstance(text, str):
        return False
    try:
        re.compile(text)
    except re.error:
        return False
    return True
