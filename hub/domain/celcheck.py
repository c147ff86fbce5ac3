"""What CEL's own checker does not see: codes that do not exist, and literals beside a date that are no date."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from hub.domain import celtree, terms
from hub.domain.formats import is_gba_date

_COMPARISONS: Final = frozenset({"_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "@in"})


@dataclass(frozen=True, slots=True)
class Kind:
    """What CEL's types do not tell: that a string is a date, or one of these symbols."""

    name: str
    symbols: tuple[str, ...] = ()


_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{3}Z").fullmatch
DATE: Final = Kind("date")


class Walk:
    """Compares literals with the enum or date that they stand beside.

    A list has the kind of its items, so `filter`, `map` and the variable of a macro keep it.
    """

    def __init__(self, tree: celtree.Tree, kinds: Mapping[str, Kind | None], items: Mapping[str, Mapping[str, Kind | None]]) -> None:
        self._lines = tree.lines
        self._kinds = kinds
        self._items = items
        self._literals: dict[str, Any] = {}
        """Variable of a macro over a list of literals -> that list."""
        self._seen: dict[int, Kind | str | None] = {}
        self.used: set[str] = set()
        self.faults: list[tuple[int, str]] = []
        found = self.kind(tree.root, {})
        self.gives = found if isinstance(found, Kind) else None
        """What kind of text the whole expression gives."""

    def _fault(self, node: Any, what: str) -> None:
        fault = (self._lines.get(node.id, 1), what)
        if fault not in self.faults:
            self.faults.append(fault)

    def kind(self, node: Any, scope: dict[str, Kind | str | None]) -> Kind | str | None:
        """Return the kind of a node: a Kind, or the name of the array whose item it is."""
        if node.id not in self._seen:
            self._seen[node.id] = None
            self._seen[node.id] = self._kind(node, scope)
        return self._seen[node.id]

    def _kind(self, node: Any, scope: dict[str, Kind | str | None]) -> Kind | str | None:
        which = celtree.which(node)
        if which == "ident_expr":
            name = node.ident_expr.name
            self.used.add(name)
            if name in scope:
                return scope[name]
            return name if name in self._items else self._kinds.get(name)
        if which == "select_expr":
            return self._select(node.select_expr, scope)
        if which == "call_expr":
            return self._call(node, scope)
        if which == "list_expr":
            kinds = [self.kind(element, scope) for element in node.list_expr.elements]
            return next((kind for kind in kinds if kind is not None), None)
        if which == "comprehension_expr":
            return self._comprehension(node.comprehension_expr, scope)
        return None

    def _select(self, select: Any, scope: dict[str, Kind | str | None]) -> Kind | str | None:
        operand = self.kind(select.operand, scope)
        if not isinstance(operand, str):
            return None
        array, _, prefix = operand.partition("#")
        path = f"{prefix}.{select.field}" if prefix else select.field
        return self._items[array].get(path, f"{array}#{path}")

    def _comprehension(self, loop: Any, scope: dict[str, Kind | str | None]) -> Kind | str | None:
        item = self.kind(loop.iter_range, scope)
        if celtree.which(loop.iter_range) == "list_expr":
            self._literals[loop.iter_var] = loop.iter_range
        inner = {**scope, loop.iter_var: item, loop.accu_var: None}
        for part in (loop.accu_init, loop.loop_condition, loop.loop_step):
            self.kind(part, inner)
        # `filter` and `map` gather a list: what they add to it is what it is made of.
        inner[loop.accu_var] = self._gathered(loop.loop_step, inner)
        return self.kind(loop.result, inner)

    def _gathered(self, step: Any, scope: dict[str, Kind | str | None]) -> Kind | str | None:
        if celtree.which(step) == "list_expr":
            return self.kind(step, scope)
        if celtree.which(step) == "call_expr" and step.call_expr.function in {"_+_", "_?_:_"}:
            return next((kind for arg in step.call_expr.args if (kind := self._gathered(arg, scope)) is not None), None)
        return None

    def _call(self, node: Any, scope: dict[str, Kind | str | None]) -> Kind | str | None:
        call = node.call_expr
        if call.HasField("target"):
            self.kind(call.target, scope)
        kinds = [self.kind(arg, scope) for arg in call.args]
        if call.function in _COMPARISONS:
            self._compare(node, call.args[0], call.args[1], kinds)
        if call.function in {"plus", "werkdagen"}:
            self._beside(DATE, call.args[0], scope)
            if call.function == "plus":
                self._duration(call.args[1])
            return DATE
        if call.function == "_?_:_":
            return kinds[1] or kinds[2]
        return kinds[0] if call.function == "_[_]" else None

    def _compare(self, node: Any, left: Any, right: Any, kinds: list[Kind | str | None]) -> None:
        for kind, other in zip(kinds, (right, left), strict=True):
            if isinstance(kind, Kind):
                if kind.name == "enum" and node.call_expr.function not in {"_==_", "_!=_", "@in"}:
                    self._fault(node, "a code has no order: compare it with == or !=")
                self._beside(kind, other, {})
        for kind, one in zip(kinds, (left, right), strict=True):
            if isinstance(kind, Kind):
                self._beside(kind, one, {})  # a branch of a condition may be a literal of the wrong kind

    def _beside(self, kind: Kind, other: Any, scope: dict[str, Kind | str | None]) -> None:
        """Check that `other` can stand beside something of this kind."""
        which = celtree.which(other)
        if which == "ident_expr" and other.ident_expr.name in self._literals:
            self._beside(kind, self._literals[other.ident_expr.name], scope)
        elif which == "list_expr":
            for element in other.list_expr.elements:
                self._beside(kind, element, scope)
        elif which == "call_expr" and other.call_expr.function == "_?_:_":
            for branch in other.call_expr.args[1:]:
                self._beside(kind, branch, scope)
        elif which == "const_expr":
            if other.const_expr.HasField("string_value"):
                self._literal(kind, other)
        elif kind.name in {"date", "gba-datum", "timestamp"} and self.kind(other, scope) != kind:
            self._fault(other, f"a {kind.name} is compared with something that is no {kind.name}")

    def _literal(self, kind: Kind, node: Any) -> None:
        text = node.const_expr.string_value
        if kind.name == "enum" and text not in kind.symbols:
            self._fault(node, f"'{text}' is no symbol here; known: {', '.join(kind.symbols)}")
        elif kind.name == "date" and not _is_date(text):
            self._fault(node, f"'{text}' stands beside a date but is no date jjjj-mm-dd")
        elif kind.name == "timestamp" and _MOMENT(text) is None:
            self._fault(node, f"'{text}' stands beside a moment but is none in UTC as 2026-11-02T08:00:00.000Z")
        elif kind.name == "gba-datum" and not is_gba_date(text):
            self._fault(node, f"'{text}' stands beside a gba-datum but is no jjjjmmdd")

    def _duration(self, node: Any) -> None:
        text = node.const_expr.string_value
        if celtree.which(node) == "const_expr" and not terms.is_shift(text):
            self._fault(node, f"'{text}' is no ISO 8601 duration of whole days, such as P4M")


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
