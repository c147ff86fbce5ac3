"""What an author must know of the signal types: who may publish them, and of each field its form, class and meaning."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from hub.domain.contract import split_null

if TYPE_CHECKING:
    from hub.domain.contract import Contract

_FORMS: Final = {"string": "text", "int": "whole number", "long": "whole number", "boolean": "true or false"}
_LOGICAL: Final = {"date": "date, ISO 8601 text", "timestamp-millis": "moment, RFC 3339 text with a zone"}


def types(contracts: Iterable[Contract]) -> list[dict[str, Any]]:
    """Return every signal type with the roles that may publish it and what it means, by name."""
    found = [{"type": one.type, "publishers": list(one.publishers), "meaning": one.raw.get("doc", "")} for one in contracts]
    return sorted(found, key=lambda one: str(one["type"]))


def fields(contract: Contract) -> list[dict[str, Any]]:
    """Return every field that holds a value, in the order of the contract.

    A field inside another is named with a dot, one in the records of a list with `[]` before the dot. What is not `required`
    may be left out; what is `nullable` may be null.
    """
    return list(_fields(contract.raw, "", {}))


def _fields(record: dict[str, Any], path: str, names: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for field in record["fields"]:
        avro, nullable = split_null(field["type"])
        many = ""
        if isinstance(avro, dict) and avro["type"] == "array":
            avro, many = split_null(avro["items"])[0], "[]"
        if isinstance(avro, dict) and avro["type"] == "record":
            yield from _fields(avro, f"{path}{field['name']}{many}.", names)
            continue
        yield {
            "field": path + field["name"], "form": f"{'list of ' if many else ''}{_form(field, avro, names)}",
            "required": "default" not in field, "nullable": nullable,
            "privacy": field["privacy"], "meaning": field.get("doc", ""),
        }  # fmt: skip


def _form(field: dict[str, Any], avro: Any, names: dict[str, Any]) -> str:
    if isinstance(avro, str) and avro in names:
        avro = names[avro]
    if isinstance(avro, dict) and avro["type"] == "enum":
        names[avro["name"]] = avro
        return f"one of {', '.join(avro['symbols'])}"
    if isinstance(avro, dict) and avro.get("logicalType") in _LOGICAL:
        return _LOGICAL[avro["logicalType"]]
    form = _FORMS[avro["type"] if isinstance(avro, dict) else avro]
    limits = [field[name] for name in ("format", "pattern") if name in field]
    if "maxLength" in field:
        limits.append(f"at most {field['maxLength']} characters")
    return f"{form}: {', '.join(limits)}" if limits else form
