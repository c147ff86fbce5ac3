"""Views: what one grant lets its recipient see, as an Avro schema of its own.

The schema is the filter. The encoder writes only what the schema names, so a field that was not
granted has no place in the bytes, whatever the data holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import fastavro
from fastavro.schema import SchemaParseException

from hub.domain.contract import split_null
from hub.domain.transforms import Circumstances, Transform, ViewError, transform

if TYPE_CHECKING:
    from hub.domain.contract import Contract, Leaf

UITGEVER: Final = "uitgever"
"""May be granted as a field: the participant that published. Not visible otherwise."""

HOUSE: Final = frozenset({"postcode", "huisnummer", "huisletter", "huisnummertoevoeging"})


@dataclass(frozen=True, slots=True)
class FieldGrant:
    """One entry of `fields`: a leaf, and how it is shown."""

    leaf: Leaf
    transform: Transform | None
    text: str
    """As the rule file says it."""

    @property
    def shown_as(self) -> str:
        """The dotted name under which the recipient finds it."""
        return self.leaf.dotted + (self.transform.suffix if self.transform else "")


@dataclass(slots=True)
class _Node:
    """Where in a record transforms apply; most records have none and are passed as they are."""

    transforms: list[tuple[str, str, Callable[[Any, Circumstances], Any]]] = field(default_factory=list)
    children: dict[str, _Node] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class View:
    """The derived schema of a grant and the way from a signal's data to it."""

    schema: dict[str, Any]
    """As recipients see it, with docs, classes and logical types."""
    wire: Any
    """The same, parsed for encoding wire values."""
    grants: tuple[FieldGrant, ...]
    shows_publisher: bool
    is_plain: bool
    """The data needs no work before encoding: no transform, no publisher shown."""
    _root: _Node

    @property
    def shown(self) -> tuple[str, ...]:
        """The dotted names of everything that the recipient finds in it."""
        return (*(grant.shown_as for grant in self.grants), *((UITGEVER,) if self.shows_publisher else ()))

    def project(self, data: dict[str, Any], publisher: str, circumstances: Circumstances) -> dict[str, Any]:
        """Return a record that the wire schema can encode; untouched data is shared, not copied."""
        record = _apply(self._root, data, circumstances)
        return {**record, UITGEVER: publisher} if self.shows_publisher else record


def without_logical(avro: Any) -> Any:
    """Return a schema in which dates and moments are plain integers: the hub's wire values."""
    if isinstance(avro, dict):
        return {key: without_logical(value) for key, value in avro.items() if key != "logicalType"}
    return [without_logical(item) for item in avro] if isinstance(avro, list) else avro


def parse_wire(schema: dict[str, Any]) -> Any:
    """Parse a schema for reading and writing wire values.

    fastavro marks what it parsed, and parses it anew at every call where the mark is missing.
    """
    return fastavro.parse_schema(without_logical(schema))


# --- reading `fields` -------------------------------------------------------------------------


def field_grant(contract: Contract, name: str, how: str | None) -> FieldGrant:
    """Read one entry of `fields`. Raises ViewError."""
    leaf = contract.leaves.get(name)
    if leaf is None:
        if any(dotted.startswith(f"{name}.") for dotted in contract.leaves):
            inside = ", ".join(d for d in contract.leaves if d.startswith(f"{name}."))
            msg = f"`{name}` is a record: grant each field in it by name"
            raise ViewError(msg, f"choose from {inside}")
        msg = f"`{name}` is no field of {contract.type}"
        raise ViewError(msg, f"known: {', '.join(contract.leaves)}")
    return FieldGrant(leaf, transform(leaf, how) if how else None, f"{name}: {how}" if how else name)


# --- deriving the schema ----------------------------------------------------------------------


def derive(contract: Contract, grant_id: str, flow: str, purpose: str, grants: list[FieldGrant], *, shows_publisher: bool) -> View:
    """Derive the view of a grant. Raises ViewError if two fields get one name or part of a house is shown."""
    by_path: dict[tuple[str, ...], list[FieldGrant]] = {}
    shown: set[str] = set()
    for grant in grants:
        if grant.shown_as in shown:
            msg = f"`{grant.shown_as}` is granted twice"
            raise ViewError(msg, "keep one of the two")
        shown.add(grant.shown_as)
        by_path.setdefault(grant.leaf.path, []).append(grant)
    _whole_house(contract, grants)
    root = _Node()
    defined: dict[str, Any] = {}
    fields = _fields(contract.raw, (), by_path, root, _named(contract.raw), defined)
    if shows_publisher:
        fields.append({"name": UITGEVER, "type": "string", "privacy": "organisation", "doc": "Wie het signaal publiceerde."})
    _unique_names(fields)
    schema = {
        "type": "record",
        "name": contract.raw["name"],
        "namespace": "nl.signaalhub.view." + ".".join(f"g_{part}" if part[:1].isdigit() else part for part in _avro_parts(grant_id)),
        "doc": contract.raw.get("doc", ""),
        "signal": contract.type,
        "grant": grant_id,
        "flow": flow,
        "purpose": purpose,
        "fields": fields,
    }
    try:
        wire = parse_wire(schema)
    except (SchemaParseException, ValueError, LookupError, TypeError, AttributeError):
        raise ViewError("the view is no Avro schema", "put the faults of the contract right first") from None
    return View(schema, wire, tuple(grants), shows_publisher, not (shows_publisher or _has_work(root)), root)


def _unique_names(fields: list[dict[str, Any]]) -> None:
    """A transform can give a field the name of another; the Avro library would not notice."""
    names = [field["name"] for field in fields]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ViewError(f"`{twice[0]}` would stand twice in the view", "show one of the two otherwise")


def _avro_parts(grant_id: str) -> list[str]:
    return re.sub(r"[^A-Za-z0-9_.]", "_", grant_id).split(".")


def _whole_house(contract: Contract, grants: list[FieldGrant]) -> None:
    """Part of a house address points at the wrong house, so it is granted whole or not at all."""
    plain = {g.leaf.path for g in grants if g.transform is None and g.leaf.path[-1] in HOUSE}
    for path in plain:
        whole = {leaf.path for leaf in contract.leaves.values() if leaf.path[:-1] == path[:-1] and leaf.path[-1] in HOUSE}
        if missing := sorted(".".join(part) for part in whole - plain):
            msg = "the grant shows part of a house address"
            raise ViewError(msg, f"also grant {', '.join(missing)}, or use pc4")


def _named(avro: Any) -> dict[str, Any]:
    """Collect the named types of a schema, so that a later use can be written out in a view."""
    found: dict[str, Any] = {}
    if isinstance(avro, dict):
        if avro.get("type") in ("enum", "record") and isinstance(avro.get("name"), str):
            found[avro["name"]] = avro
        for value in avro.values():
            found |= _named(value)
    elif isinstance(avro, list):
        for value in avro:
            found |= _named(value)
    return found


def _fields(
    record: dict[str, Any], path: tuple[str, ...], by_path: dict[tuple[str, ...], list[FieldGrant]],
    node: _Node, named: dict[str, Any], defined: dict[str, Any],
) -> list[dict[str, Any]]:  # fmt: skip
    fields: list[dict[str, Any]] = []
    for original in record["fields"]:
        here = (*path, original["name"])
        avro, nullable = split_null(original["type"])
        is_array = isinstance(avro, dict) and avro["type"] == "array"
        inner = split_null(avro["items"])[0] if is_array else avro
        if isinstance(inner, dict) and inner["type"] == "record":
            child = _Node()
            inside = _fields(inner, here, by_path, child, named, defined)
            if inside:
                node.children[original["name"]] = child
                shown = {**inner, "fields": inside}
                field_ = {**original, "type": _wrap(shown, is_array=is_array, nullable=nullable)}
                if field_.get("default") is not None:
                    del field_["default"]  # it may name what was not granted
                fields.append(field_)
            continue
        for grant in by_path.get(here, ()):
            shown = grant.transform.avro if grant.transform else inner
            fields.append(_field(original, grant, shown, named, defined, is_array=is_array, nullable=nullable))
            if grant.transform:
                node.transforms.append((original["name"], fields[-1]["name"], _null_safe(grant.transform, is_array=is_array)))
    return fields


def _field(
    original: dict[str, Any], grant: FieldGrant, shown: Any, named: dict[str, Any], defined: dict[str, Any],
    *, is_array: bool, nullable: bool,
) -> dict[str, Any]:  # fmt: skip
    if isinstance(shown, str) and shown in named:
        shown = named[shown]
    if grant.transform and isinstance(shown, dict) and shown["name"] in named:
        shown = {**shown, "name": f"{shown['name']}View"}  # the contract has this name for another enum
    if isinstance(shown, dict) and shown["type"] == "enum":
        if defined.get(shown["name"]) == shown:
            shown = shown["name"]
        else:
            defined[shown["name"]] = shown
    result = {**original, "name": original["name"], "type": _wrap(shown, is_array=is_array, nullable=nullable)}
    transform_ = grant.transform
    if transform_ is None:
        return result
    for attribute in ("format", "pattern", "maxLength", "default"):
        result.pop(attribute, None)
    if transform_.nullable is False:  # says something of the field as a whole
        is_array = nullable = False
    elif transform_.nullable and is_array:
        shown = ["null", shown]
    elif transform_.nullable:
        nullable = True
    result["name"] = original["name"] + transform_.suffix
    result["type"] = _wrap(shown, is_array=is_array, nullable=nullable)
    result["transform"] = grant.text.partition(": ")[2]
    return result


def _wrap(avro: Any, *, is_array: bool, nullable: bool) -> Any:
    if is_array:
        avro = {"type": "array", "items": avro}
    return ["null", avro] if nullable else avro


def _null_safe(transform_: Transform, *, is_array: bool) -> Callable[[Any, Circumstances], Any]:
    apply = transform_.apply
    if transform_.name == "aanwezig":
        return apply
    if is_array:
        return lambda value, by: None if value is None else [apply(item, by) for item in value]
    return lambda value, by: None if value is None else apply(value, by)


def _has_work(node: _Node) -> bool:
    return bool(node.transforms) or any(_has_work(child) for child in node.children.values())


def _apply(node: _Node, record: Any, by: Circumstances) -> Any:
    if record is None:
        return None
    if isinstance(record, list):
        return [_apply(node, item, by) for item in record]
    result = dict(record)
    for source, target, apply in node.transforms:
        result[target] = apply(record[source], by)
    for name, child in node.children.items():
        if _has_work(child):
            result[name] = _apply(child, record[name], by)
    return result
