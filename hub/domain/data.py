"""Checking the data of a signal against its contract: every fault at once, nothing guessed.

Inside the hub values are Avro wire values: a `date` is an integer of days since 1970-01-01, a
timestamp an integer of milliseconds. JSON is converted here and nowhere else, because Avro
libraries round, truncate and drop in silence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from hub.domain import terms
from hub.domain.contract import LONGEST_TEXT, split_null
from hub.domain.formats import FORMATS, holds_bsn

if TYPE_CHECKING:
    from hub.domain.contract import Contract

Issue = tuple[str, str]
"""A reason code and the field, such as `vorderingen[2].bedrag_cent`."""
Check = Callable[[Any, str, list[Issue]], Any]

_INT: Final = (-(2**31), 2**31 - 1)
_LONG: Final = (-(2**63), 2**63 - 1)
_DAYS: Final = ((date.min - terms.EPOCH).days, (date.max - terms.EPOCH).days)
_MILLIS: Final = (-62_135_596_800_000, 253_402_300_799_999)
_MISSING: Final = object()
_RFC3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
).fullmatch
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch


def checker(contract: Contract, *, json: bool) -> Callable[[Any], tuple[Any, list[Issue]]]:
    """Compile the check of one contract, for JSON values or for decoded Avro wire values.

    The result takes data and returns (wire values, issues); the values count only without issues.
    """
    names: dict[str, Any] = {}
    check = _record(contract.raw, names, json=json)

    def run(data: Any) -> tuple[Any, list[Issue]]:
        issues: list[Issue] = []
        return check(data, "", issues), issues

    return run


def _record(avro: dict[str, Any], names: dict[str, Any], *, json: bool) -> Check:
    fields = [(f["name"], _field(f, names, json=json), _default(f, names)) for f in avro["fields"]]

    def check(value: Any, path: str, issues: list[Issue]) -> Any:
        if type(value) is not dict:
            issues.append(("verkeerd-type", path.rstrip(".")))
            return None
        result = {}
        known = 0
        for name, inner, default in fields:
            item = value.get(name, _MISSING)
            if item is _MISSING:
                if default is _MISSING:
                    issues.append(("veld-ontbreekt", path + name))
                else:
                    result[name] = default
                continue
            known += 1
            result[name] = inner(item, path + name, issues)
        if known != len(value):
            # The name of an unknown field is content: it is not repeated.
            issues.append(("veld-onbekend", path.rstrip(".")))
        return result

    return check


def _default(field: dict[str, Any], names: dict[str, Any]) -> Any:
    """Return what a field gets when it is left out: wire values, with the defaults of the fields inside it."""
    return _field(field, names, json=False)(field["default"], "", []) if "default" in field else _MISSING


def _field(field: dict[str, Any], names: dict[str, Any], *, json: bool) -> Check:
    avro, nullable = split_null(field["type"])
    inner = _value(avro, field, names, json=json)
    if not nullable:
        return inner
    return lambda value, path, issues: None if value is None else inner(value, path, issues)


def _value(avro: Any, field: dict[str, Any], names: dict[str, Any], *, json: bool) -> Check:
    if isinstance(avro, str) and avro in names:
        avro = names[avro]
    base = avro["type"] if isinstance(avro, dict) else avro
    if base == "record":
        inner = _record(avro, names, json=json)
        return lambda value, path, issues: inner(value, f"{path}.", issues)
    if base == "array":
        return _array(_value(split_null(avro["items"])[0], field, names, json=json))
    if base == "enum":
        names[avro["name"]] = avro
        return _enum(frozenset(avro["symbols"]))
    if base == "boolean":
        return _boolean
    if base == "string":
        return _string(field)
    logical = avro.get("logicalType") if isinstance(avro, dict) else None
    return _number(base, logical, json=json)


def _number(base: str, logical: str | None, *, json: bool) -> Check:
    if logical == "date":
        return _json_date if json else _integer(*_DAYS)
    if logical == "timestamp-millis":
        return _json_moment if json else _integer(*_MILLIS)
    return _integer(*(_INT if base == "int" else _LONG))


def _array(inner: Check) -> Check:
    def check(value: Any, path: str, issues: list[Issue]) -> Any:
        if type(value) is not list:
            issues.append(("verkeerd-type", path))
            return None
        return [inner(item, f"{path}[{i}]", issues) for i, item in enumerate(value)]

    return check


def _enum(symbols: frozenset[str]) -> Check:
    def check(value: Any, path: str, issues: list[Issue]) -> Any:
        if type(value) is not str:
            issues.append(("verkeerd-type", path))
        elif value not in symbols:
            issues.append(("waarde-onbekend", path))
        return value

    return check


def _boolean(value: Any, path: str, issues: list[Issue]) -> Any:
    if type(value) is not bool:
        issues.append(("verkeerd-type", path))
    return value


def _integer(low: int, high: int) -> Check:
    def check(value: Any, path: str, issues: list[Issue]) -> Any:
        if type(value) is not int:  # neither True nor 1.0 is a whole number here
            issues.append(("verkeerd-type", path))
        elif not low <= value <= high:
            issues.append(("getal-te-groot", path))
        return value

    return check


def _string(field: dict[str, Any]) -> Check:
    is_right, code = FORMATS.get(field.get("format", ""), (None, ""))
    pattern = re.compile(field["pattern"]).fullmatch if "pattern" in field else None
    is_text = _text(field.get("maxLength", LONGEST_TEXT))
    names_nobody = "format" not in field and field.get("privacy") in {"organisation", "code"}

    def check(value: Any, path: str, issues: list[Issue]) -> Any:
        if type(value) is not str:
            issues.append(("verkeerd-type", path))
        elif is_text(value) is None:
            issues.append(("tekst-ongeldig", path))
        elif is_right is not None and not is_right(value):
            issues.append((code, path))
        elif pattern is not None and pattern(value) is None:
            issues.append(("patroon-klopt-niet", path))
        elif names_nobody and holds_bsn(value):
            issues.append(("bevat-bsn", path))
        return value

    return check


@lru_cache(maxsize=LONGEST_TEXT)
def _text(longest: int) -> Callable[[str], object]:
    """Return the match of a text of at most so many characters on one line.

    Halves of surrogate pairs are no characters; JSON can smuggle them in.
    """
    return re.compile(rf"[^\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]{{0,{longest}}}").fullmatch


def _json_date(value: Any, path: str, issues: list[Issue]) -> Any:
    if type(value) is not str:
        issues.append(("verkeerd-type", path))
        return None
    try:
        if _DATE(value):
            return (date.fromisoformat(value) - terms.EPOCH).days
    except ValueError:
        pass
    issues.append(("datum-ongeldig", path))
    return None


def _json_moment(value: Any, path: str, issues: list[Issue]) -> Any:
    if type(value) is not str:
        issues.append(("verkeerd-type", path))
        return None
    moment = parse_moment(value)
    if moment is None:
        issues.append(("tijdstip-ongeldig", path))
    return moment


def parse_moment(text: str) -> int | None:
    """Return epoch milliseconds of an RFC 3339 moment, or None if it is none, naive or out of the calendar."""
    if _RFC3339(text) is None:
        return None
    try:
        moment = terms.to_ms(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return None
    return moment if _MILLIS[0] <= moment <= _MILLIS[1] else None


def wrong_defaults(
    record: dict[str, Any], path: tuple[str | int, ...] = (), names: dict[str, Any] | None = None
) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of each field whose default the field itself could not hold.

    What a publisher leaves out gets the default, and nothing checks it after that.
    """
    names = {} if names is None else names
    for i, field in enumerate(record["fields"]):
        at = (*path, "fields", i)
        issues: list[Issue] = []
        check = _field(field, names, json=False)
        if "default" in field:
            check(field["default"], "", issues)
            if issues or (isinstance(field["type"], list) and field["default"] is not None):
                yield at
        avro, nullable = split_null(field["type"])
        inner: tuple[str | int, ...] = (*at, "type", 1) if nullable else (*at, "type")
        if isinstance(avro, dict) and avro["type"] == "array":
            avro, inner = avro["items"], (*inner, "items")
        if isinstance(avro, dict) and avro["type"] == "record":
            yield from wrong_defaults(avro, inner, names)
