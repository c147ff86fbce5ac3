"""Conditions in CEL, checked against the types of the contract when the rules load.

Two environments a signal type: one with precise types to check in (nullable scalars as wrapper
types, array items as messages), one to run in (whatever may be null is dynamic). On top of
CEL's own checks this module compares enum symbols and date literals with the contract.

A condition is met only if it evaluates to the boolean true. The CEL library returns an error as
a value that Python takes for true, so results are judged by type, and an error is never printed:
its text holds values.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cel_expr_python import cel
from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)

from hub.domain import celtree, terms
from hub.domain.celcheck import DATE, Kind, Walk
from hub.domain.contract import split_null, value_at

if TYPE_CHECKING:
    from hub.domain.contract import Contract, Leaf

_T = cel.Type
_SCALAR: Final = {
    "string": _T.STRING, "enum": _T.STRING, "date": _T.STRING, "timestamp": _T.STRING, "gba-datum": _T.STRING,
    "int": _T.INT, "long": _T.INT, "boolean": _T.BOOL,
}  # fmt: skip
_WRAPPER: Final = {
    _T.STRING.name(): "google.protobuf.StringValue",
    _T.INT.name(): "google.protobuf.Int64Value",
    _T.BOOL.name(): "google.protobuf.BoolValue",
}
_PLAIN: Final[tuple[tuple[Any, Callable[[Any], str | int | bool]], ...]] = ((_T.STRING, str), (_T.INT, int), (_T.BOOL, bool))
_FIELD_TYPE: Final = {"int": 3, "long": 3, "boolean": 8}
_LONGEST: Final = 1_000
"""A condition that a lawyer must read fits in this many characters."""


_TYPE_NAMED: Final = {kind.name(): kind for kind, _ in _PLAIN}
_NULL: Final = _T.NULL.name()


class ConditionError(Exception):
    """A condition does not load: what is wrong, with the line inside the expression."""

    def __init__(self, faults: list[tuple[int, str]]) -> None:
        super().__init__()
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Variable:
    """A name that conditions may use, with how to check it and how to find its value."""

    check: Any
    run: Any
    kind: Kind | None = None

    def can_be(self, value: object) -> bool:
        """Say whether the variable may have this value: a text, whole number, truth or null."""
        name = str(self.check.name())
        if value is None:
            return name.endswith("_wrapper")
        return {bool: "BOOL", int: "INT", str: "STRING"}.get(type(value)) == name.removesuffix("_wrapper").upper()


@dataclass(frozen=True, slots=True)
class Given:
    """What an expression gives: the type of a variable that holds it."""

    type: str
    kind: Kind | None
    nullable: bool

    def joined(self, other: Given) -> Given | None:
        """Return the type that can hold both, or None if there is none."""
        nullable = self.nullable or other.nullable
        if _NULL in (self.type, other.type):
            known = other if self.type == _NULL else self
            return Given(known.type, known.kind, nullable)
        kinds = (self.kind, other.kind)
        enums = [kind.symbols for kind in kinds if kind is not None and kind.name == "enum"]
        if self.type != other.type or (len(enums) < len(kinds) and self.kind != other.kind):
            return None
        symbols = tuple(dict.fromkeys(symbol for some in enums for symbol in some))
        return Given(self.type, Kind("enum", symbols) if enums else self.kind, nullable)

    def variable(self) -> Variable | None:
        """Return the variable that holds it, or None if only null was ever put in it."""
        if self.type not in _TYPE_NAMED:
            return None
        return Variable(_T(_WRAPPER[self.type]) if self.nullable else _TYPE_NAMED[self.type], _T.DYN, self.kind)


class _Checked(NamedTuple):
    gives: Any
    may_be_null: bool
    kind: Kind | None
    reads: frozenset[str]


class Condition:
    """One compiled expression over the variables of a signal type, or of a case alone."""

    __slots__ = ("_eval", "text", "variables")

    def __init__(self, text: str, variables: frozenset[str], expression: Any) -> None:
        self.text = text
        self.variables = variables
        self._eval = expression.eval

    def holds(self, activation: Any) -> bool | None:
        """Return true or false, or None when it could not be evaluated (counts as not met)."""
        try:
            value = self._eval(activation)
        except RuntimeError:  # a macro that would run too long
            return None
        return value.value() is True if value.type() == _T.BOOL else None

    def number(self, activation: Any) -> int | None:
        """Return the whole number, or None for null. Raises ValueError on an error."""
        found = self.value(activation)
        if found is None or type(found) is int:
            return found
        raise ValueError

    def value(self, activation: Any) -> str | int | bool | None:
        """Return the text, whole number, truth or null. Raises ValueError on an error."""
        try:
            found = self._eval(activation)
        except RuntimeError:  # a macro that would run too long
            raise ValueError from None
        kind = found.type()
        if kind == _T.NULL:
            return None
        for known, make in _PLAIN:
            if kind == known:
                return make(found.value())
        raise ValueError


class Environment:
    """Everything that conditions on one signal type may read; without a contract, those on a case alone."""

    def __init__(self, contract: Contract | None, extra: Mapping[str, Variable], equated: Collection[date] = ()) -> None:
        pool = descriptor_pool.DescriptorPool()
        for module in (any_pb2, struct_pb2, wrappers_pb2, timestamp_pb2, duration_pb2):
            pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
        own, self.readers, self._items = _variables(contract, pool) if contract else ({}, {}, {})
        self.variables = {**extra, **own}
        functions = _functions(equated)
        self._check = cel.NewEnv(descriptor_pool=pool, functions=functions, variables={n: v.check for n, v in self.variables.items()})
        self._make_run = partial(cel.NewEnv, functions=functions, variables={n: v.run for n, v in self.variables.items()})

    @cached_property
    def _run(self) -> Any:
        """Made when something is compiled to run: an environment is slow to make."""
        return self._make_run()

    def compile(self, text: str, *, number: bool = False) -> Condition:
        """Compile a condition, or a whole number if `number`. Raises ConditionError."""
        checked = self._checked(text)
        if checked.gives != (_T.INT if number else _T.BOOL):
            what = "a whole number" if number else "true or false"
            raise ConditionError([(1, f"the expression gives {checked.gives.name()}, not {what}")])
        if checked.may_be_null and not number:
            raise ConditionError([(1, "the expression may be null: compare it with `== true`")])
        return self._runnable(text, checked)

    def compile_date(self, text: str) -> Condition:
        """Compile an expression that gives a date, or null. Raises ConditionError."""
        checked = self._checked(text)
        if checked.kind != DATE:
            raise ConditionError([(1, "the expression gives no date")])
        return self._runnable(text, checked)

    def compile_text(self, text: str) -> Condition:
        """Compile an expression that gives a text. Raises ConditionError."""
        checked = self._checked(text)
        if checked.gives != _T.STRING or checked.may_be_null:
            raise ConditionError([(1, f"the expression gives {checked.gives.name()}, not a text")])
        return self._runnable(text, checked)

    def compile_value(self, text: str) -> Condition:
        """Compile an expression for whatever `gives` says of it. Raises ConditionError."""
        return self._runnable(text, self._checked(text))

    def gives(self, text: str) -> Given:
        """Say what an expression gives and reads, without making it ready to run. Raises ConditionError."""
        checked = self._checked(text)
        if checked.gives.name() not in {*_TYPE_NAMED, _NULL}:
            raise ConditionError([(1, f"the expression gives {checked.gives.name()}, which a case cannot hold")])
        return Given(checked.gives.name(), checked.kind, nullable=checked.may_be_null or checked.gives.name() == _NULL)

    def _checked(self, text: str) -> _Checked:
        if len(text) > _LONGEST:
            raise ConditionError([(1, f"a condition has at most {_LONGEST} characters")])
        try:
            checked = self._check.compile(text)
        except RuntimeError as exc:
            raise ConditionError(_messages(str(exc))) from None
        tree = celtree.parse(checked.serialize())
        walk = Walk(tree, {n: v.kind for n, v in self.variables.items()}, self._items)
        if walk.faults:
            raise ConditionError(walk.faults)
        return _Checked(checked.return_type(), tree.may_be_null, walk.gives, frozenset(walk.used & self.variables.keys()))

    def _runnable(self, text: str, checked: _Checked) -> Condition:
        return Condition(text, checked.reads, self._run.compile(text))

    def activation(self, values: dict[str, Any]) -> Any:
        """Bind values to variables; every variable that a condition uses must be there."""
        return self._run.Activation(values)


def _messages(text: str) -> list[tuple[int, str]]:
    """Take line and sentence out of CEL's `ERROR: <input>:1:16: undeclared reference`."""
    faults = []
    for part in text.split("ERROR: <input>:")[1:]:
        line, _column, message = part.split(":", 2)
        first = message.strip().splitlines()[0].removesuffix("(in container '')").strip()
        faults.append((int(line), first))
    return faults or [(1, "the expression cannot be read")]


# --- variables of a contract ------------------------------------------------------------------


def _variables(
    contract: Contract, pool: descriptor_pool.DescriptorPool
) -> tuple[dict[str, Variable], dict[str, Callable[[dict[str, Any]], Any]], dict[str, dict[str, Kind | None]]]:
    variables: dict[str, Variable] = {}
    readers: dict[str, Callable[[dict[str, Any]], Any]] = {}
    items: dict[str, dict[str, Kind | None]] = {}
    for leaf in contract.leaves.values():
        if not leaf.in_array:
            run = _SCALAR[leaf.kind]
            check = _T(_WRAPPER[run.name()]) if leaf.nullable else run
            name = f"s.{leaf.dotted}"
            variables[name] = Variable(check, _T.DYN if leaf.nullable else run, _kind(leaf))
            readers[name] = partial(_read, leaf.path, _to_cel(leaf.kind))
    for path, item in _arrays(contract.raw, ()):
        name = f"s.{'.'.join(path)}"
        leaves = {leaf.path[len(path) :]: leaf for leaf in contract.leaves.values() if leaf.path[: len(path)] == path}
        if () in leaves:
            variables[name] = Variable(_T.List(_SCALAR[leaves[()].kind]), _T.DYN, _kind(leaves[()]))
        else:
            message = _message(item, name, pool)
            variables[name] = Variable(_T.List(_T(message)), _T.DYN)
            items[name] = {".".join(rest): _kind(leaf) for rest, leaf in leaves.items()}
        readers[name] = partial(_read, path, partial(_list_to_cel, leaves))
    return variables, readers, items


def _kind(leaf: Leaf) -> Kind | None:
    if leaf.kind in {"date", "gba-datum", "timestamp"}:
        return Kind(leaf.kind)
    return Kind("enum", leaf.symbols) if leaf.kind == "enum" else None


def _arrays(record: dict[str, Any], path: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any]]:
    found = []
    for field in record["fields"]:
        avro, _ = split_null(field["type"])
        here = (*path, field["name"])
        if isinstance(avro, dict) and avro["type"] == "record":
            found += _arrays(avro, here)
        elif isinstance(avro, dict) and avro["type"] == "array":
            found.append((here, avro["items"]))
    return found


def _message(record: dict[str, Any], name: str, pool: descriptor_pool.DescriptorPool) -> str:
    """Describe the items of an array to CEL's checker, so that it knows their fields too."""
    package = f"hub.{name}"  # with its dots: `b_c` and `b.c` are two
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    file.dependency.append("google/protobuf/wrappers.proto")

    def add(avro: dict[str, Any]) -> str:
        message = file.message_type.add(name=f"M{len(file.message_type)}")
        for number, field in enumerate(avro["fields"], 1):
            inner, nullable = split_null(field["type"])
            base = inner["type"] if isinstance(inner, dict) else inner
            if isinstance(inner, dict) and "logicalType" in inner:
                base = "string"  # dates and moments are ISO text in CEL
            if base == "record":
                message.field.add(name=field["name"], number=number, label=1, type=11, type_name=add(inner))
            else:
                kind = _FIELD_TYPE.get(base, 9)
                wrapper = {3: "Int64Value", 8: "BoolValue", 9: "StringValue"}[kind]
                message.field.add(
                    name=field["name"], number=number, label=1,
                    type=11 if nullable else kind,
                    type_name=f".google.protobuf.{wrapper}" if nullable else None,
                )  # fmt: skip
        return f".{package}.{message.name}"

    full_name = add(record)
    pool.AddSerializedFile(file.SerializeToString())
    return full_name[1:]


# --- from wire values to what CEL compares ----------------------------------------------------


def _to_cel(kind: str) -> Callable[[Any], Any]:
    convert: Callable[[int], str] | None = {"date": terms.iso_date, "timestamp": terms.iso_utc}.get(kind)
    if convert is None:
        return lambda value: value
    return lambda value: None if value is None else convert(value)


def _read(path: tuple[str, ...], convert: Callable[[Any], Any], data: dict[str, Any]) -> Any:
    return convert(value_at(data, path))


def _list_to_cel(leaves: dict[tuple[str, ...], Leaf], items: list[Any] | None) -> Any:
    if items is None:
        return None
    if () in leaves:
        return [_to_cel(leaves[()].kind)(item) for item in items]
    return [_record_to_cel(leaves, item, ()) for item in items]


def _record_to_cel(leaves: dict[tuple[str, ...], Leaf], item: Any, path: tuple[str, ...]) -> Any:
    if path in leaves:
        return _to_cel(leaves[path].kind)(item)
    if item is None:
        return None
    return {name: _record_to_cel(leaves, value, (*path, name)) for name, value in item.items()}


# --- functions --------------------------------------------------------------------------------


def _functions(equated: Collection[date]) -> list[Any]:
    def plus(day: str, duration: str) -> str:
        return terms.plus(date.fromisoformat(day), duration).isoformat()

    def werkdagen(day: str, count: int) -> str:
        return terms.working_days(date.fromisoformat(day), count, equated).isoformat()

    text, number = _T.STRING, _T.INT
    return [
        cel.FunctionDecl("plus", [cel.Overload("plus_date_duration", text, [text, text], False, plus)]),  # noqa: FBT003
        cel.FunctionDecl("werkdagen", [cel.Overload("werkdagen_date_int", text, [text, number], False, werkdagen)]),  # noqa: FBT003
    ]
