"""The syntax tree of a checked CEL expression.

The CEL library gives no tree, but it serialises a checked expression as the public protobuf
message `cel.expr.CheckedExpr`. This module describes the part of it that rule checks need.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory

_INT64, _INT32, _BOOL, _STRING, _MESSAGE = 3, 5, 8, 9, 11
_LAYOUT: Final[dict[str, list[tuple[str, int, int | str, bool]]]] = {
    "Constant": [("bool_value", 2, _BOOL, False), ("int64_value", 3, _INT64, False), ("string_value", 6, _STRING, False)],
    "Ident": [("name", 1, _STRING, False)],
    "Select": [("operand", 1, "Expr", False), ("field", 2, _STRING, False)],
    "Call": [("target", 1, "Expr", False), ("function", 2, _STRING, False), ("args", 3, "Expr", True)],
    "List": [("elements", 1, "Expr", True)],
    "Comprehension": [
        ("iter_var", 1, _STRING, False), ("iter_range", 2, "Expr", False), ("accu_var", 3, _STRING, False),
        ("accu_init", 4, "Expr", False), ("loop_condition", 5, "Expr", False), ("loop_step", 6, "Expr", False),
        ("result", 7, "Expr", False),
    ],
    "Expr": [
        ("id", 2, _INT64, False), ("const_expr", 3, "Constant", False), ("ident_expr", 4, "Ident", False),
        ("select_expr", 5, "Select", False), ("call_expr", 6, "Call", False), ("list_expr", 7, "List", False),
        ("comprehension_expr", 9, "Comprehension", False),
    ],
    "Type": [("wrapper", 4, _INT32, False)],
    "TypeEntry": [("key", 1, _INT64, False), ("value", 2, "Type", False)],
    "PositionEntry": [("key", 1, _INT64, False), ("value", 2, _INT32, False)],
    "SourceInfo": [("line_offsets", 3, _INT32, True), ("positions", 4, "PositionEntry", True)],
    "CheckedExpr": [
        ("type_map", 3, "TypeEntry", True), ("expr", 4, "Expr", False), ("source_info", 5, "SourceInfo", False),
    ],
}  # fmt: skip
"""Message -> (field, number, type or message name, repeated), as cel-spec publishes them."""


def _message_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="hub/celtree.proto", package="hub.celtree", syntax="proto2")
    for name, fields in _LAYOUT.items():
        message = file.message_type.add(name=name)
        for field, number, kind, repeated in fields:
            message.field.add(
                name=field, number=number, label=3 if repeated else 1,
                type=_MESSAGE if isinstance(kind, str) else kind,
                type_name=f".hub.celtree.{kind}" if isinstance(kind, str) else None,
            )  # fmt: skip
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("hub.celtree.CheckedExpr"))


_CheckedExpr: Final = _message_class()


@dataclass(frozen=True, slots=True)
class Tree:
    """The tree of one expression."""

    root: Any
    lines: dict[int, int]
    """Node id -> line inside the expression, from 1."""
    may_be_null: bool
    """The expression as a whole has a wrapper type: a value or null."""


def parse(serialized: bytes) -> Tree:
    """Return the tree of a serialised checked expression."""
    wrapper = any_pb2.Any()
    wrapper.ParseFromString(serialized)
    checked = _CheckedExpr()
    checked.ParseFromString(wrapper.value)
    ends = list(checked.source_info.line_offsets)
    lines = {entry.key: 1 + bisect_right(ends, entry.value) for entry in checked.source_info.positions}
    wrapped = {entry.key for entry in checked.type_map if entry.value.HasField("wrapper")}
    return Tree(checked.expr, lines, checked.expr.id in wrapped)


def which(node: Any) -> str:
    """Return which kind of node this is, such as `call_expr`."""
    for field, _number, _kind, _repeated in _LAYOUT["Expr"][1:]:
        if node.HasField(field):
            return field
    return ""
