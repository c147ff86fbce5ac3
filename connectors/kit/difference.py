"""Says how two books differ: by the types of signals and the names of fields, never by a value."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

_SIGNAL: Final = ("its publisher", "its type", "its data", "its cause", "its replaces")
_NAME: Final = re.compile(r"(?!.*[0-9]{4})(its )?[A-Za-z][A-Za-z0-9_.-]{0,80}").fullmatch
"""Not many digits: a name that was made of input could hold a number of a person."""
_SHOWN: Final = 3


def difference(missing: Counter[str], extra: Counter[str]) -> str:
    """Return in a few words how entries that are missing differ from those that are there instead.

    Each that is missing is laid beside the one of its type that is most like it.
    """
    rest = [_parts(text) for text in extra.elements()]
    found: Counter[str] = Counter()
    for kind, fields in map(_parts, missing.elements()):
        like = min((one for one in rest if one[0] == kind), key=lambda one: len(_other(fields, one[1])), default=None)
        if like is None:
            found[f"{kind} is missing"] += 1
            continue
        rest.remove(like)
        found[f"{kind} differs in {', '.join(sorted(_other(fields, like[1])))}"] += 1
    found.update(f"{kind} should not be there" for kind, _ in rest)
    told = [f"{count} x {what}" for what, count in found.most_common(_SHOWN)]
    return "; ".join([*told, "and so on"] if len(found) > _SHOWN else told)


def _parts(text: str) -> tuple[str, Mapping[str, Any]]:
    """Return what an entry of the books is, and its fields by name."""
    item = json.loads(text)
    if not isinstance(item, list) or len(item) != len(_SIGNAL):
        return "an effect", dict(_leaves(item, ""))
    parts = dict(zip(_SIGNAL, item, strict=True))
    return _shown(str(parts.pop("its type"))), {**dict(_leaves(parts.pop("its data"), "")), **parts}


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, f"{name}.{key}" if name else key)
    else:
        yield name or "its content", value


def _other(one: Mapping[str, Any], other: Mapping[str, Any]) -> set[str]:
    """Return the names of the fields that are not the same; one that is null is not one that is left out."""
    gone = object()
    return {_shown(name) for name in one.keys() | other.keys() if one.get(name, gone) != other.get(name, gone)}


def _shown(name: str) -> str:
    return name if _NAME(name) else "a name that is not shown"
