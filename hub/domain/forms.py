"""Reading part of a rule file into its pydantic form, strictly, with each fault on its line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

if TYPE_CHECKING:
    from hub.domain.faults import Fault
    from hub.domain.sources import Path, Source

Form = TypeVar("Form", bound=BaseModel)


def read(source: Source, form: type[Form], at: Path = ()) -> tuple[Form | None, list[Fault]]:
    """Return the part of the file at `at` in its form as far as it has it, and every fault in it.

    Nothing is coerced: `"2"` and `true` are no numbers, and a date is jjjj-mm-dd. Unknown keys are faults,
    but what stands beside them is read all the same.
    """
    value = source.value
    for step in at:
        value = value[step]
    parsed, errors = _validate(form, value)
    unknown = [error for error in errors if error["type"] == "extra_forbidden"]
    if errors and len(unknown) == len(errors):
        parsed, _ = _validate(form, _without(value, [error["loc"] for error in errors]))
    placed = [(*_place(source, at, error["loc"]), error) for error in errors]
    found: dict[tuple[Path, str], Fault] = {}
    for place, missing, error in placed:
        exact = error["type"] in {"missing", "extra_forbidden"}
        # Each branch of a union complains; the one that got furthest says what is wrong.
        if exact or not any(other[: len(place)] == place and len(other) > len(place) for other, _, _ in placed):
            same = [e["msg"] for other, _, e in placed if other == place and e["type"] not in {"missing", "extra_forbidden"}]
            message = " or ".join(dict.fromkeys(same))
            found.setdefault((place, missing if exact else ""), _fault(source, place, missing, error["type"], message))
    return parsed, list(found.values())


def _validate(form: type[Form], value: Any) -> tuple[Form | None, list[Any]]:
    try:
        return form.model_validate_json(json.dumps(value), strict=True), []
    except ValidationError as exc:
        return None, list(exc.errors(include_input=False, include_url=False, include_context=False))


def _without(value: Any, locs: list[tuple[str | int, ...]]) -> Any:
    copy: Any = json.loads(json.dumps(value))
    for loc in locs:
        inner = copy
        for step in loc[:-1]:
            if isinstance(inner, dict):
                inner = inner.get(step, inner)  # a step that names the branch of a union leads nowhere
            elif isinstance(inner, list) and isinstance(step, int):
                inner = inner[step]
        if isinstance(inner, dict):
            inner.pop(loc[-1], None)
    return copy


def _place(source: Source, at: Path, loc: tuple[str | int, ...]) -> tuple[Path, str]:
    """Return the path in the file that an error is about, and the key that is missing there if it is that.

    pydantic names the branch of a union among the steps; the file knows nothing of those.
    """
    path = at
    missing = ""
    for step in loc:
        if (*path, step) in source.lines:
            path, missing = (*path, step), ""
        else:
            missing = str(step)
    return path, missing


def _fault(source: Source, place: Path, missing: str, kind: str, message: str) -> Fault:
    name = str(place[-1]) if place else "the file"
    if kind == "extra_forbidden":
        return source.fault(place, f"unknown key `{name}`", "remove it or correct the spelling")
    if kind == "missing":
        return source.fault(place, f"`{missing}` is missing")
    where = ".".join(str(step) for step in place)
    return source.fault(place, f"`{where}`: {message}")
