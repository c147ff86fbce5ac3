"""What `hub connector new` asks for: the folder of a connector that passes the suite as it is, to be changed step by step."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from connectors.kit.files import REASONS
from hub.errors import StopError, UsageError

KINDS: Final = ("source", "sink", "both")
PLACEHOLDERS: Final = frozenset({"voorbeeld", "nl.voorbeeld.melding-gedaan.v1"})
"""The participant and the signal type that a new source names until its author names real ones."""
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{1,30}").fullmatch
_SOURCES: Final = {"source": "source", "sink": "http", "both": "http"}
"""Kind -> the folder of its templates."""


def write(name: str, kind: str, folder: Path, package: str) -> list[Path]:
    """Write `folder/name` and return its files. Raises UsageError for a bad name or kind, or a folder that is there.

    Args:
        name: The name of the connector and of its folder.
        kind: One of KINDS.
        folder: Where its folder is made.
        package: The name under which the folder can be imported.
    """
    if _NAME(name) is None or keyword.iskeyword(name) or name in sys.stdlib_module_names:
        raise UsageError("a connector is named with small letters, digits and `_`", "and not as a module of Python is")
    if kind not in KINDS:
        raise UsageError("there is no such kind of connector", f"it is one of {', '.join(KINDS)}")
    target = folder / name
    if target.exists():
        raise UsageError(f"{target} is there already", "nothing was written; choose another name, or another folder with --in")
    words: dict[str, Any] = {
        "name": name,
        "reasons": REASONS,
        "kind": kind,
        "package": package,
        "class_name": "".join(part.title() for part in name.split("_")),
    }
    with as_file(files("connectors.kit") / "templates") as templates:
        environment = Environment(
            loader=FileSystemLoader(templates), undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True,
            autoescape=False,  # noqa: S701  (Python, not HTML)
        )  # fmt: skip
        environment.globals["imports"] = lambda *lines: _imports(lines, package)
        texts = {
            file.name.removesuffix(".j2").replace("NAME", name): environment.get_template(f"{part}/{file.name}").render(words)
            for part in ("any", _SOURCES[kind])
            for file in sorted((templates / part).iterdir())
        }
    try:
        target.mkdir()
        for file_name, text in texts.items():
            (target / file_name).write_text(text, encoding="utf-8")
    except OSError as exc:
        raise StopError(f"{target} cannot be written ({exc.strerror})", "check the rights on the folder") from None
    return [target / file_name for file_name in sorted(texts)]


def _imports(lines: Sequence[str], package: str) -> str:
    """Return import lines as isort has them: what is installed first, then the author's own."""
    own = {package.partition(".")[0]} | ({"hub"} if package.startswith("connectors.") else set())
    by_module = sorted((line for line in lines if line), key=lambda line: line.split()[1])
    parts = [[line for line in by_module if (line.split()[1].partition(".")[0] in own) is ours] for ours in (False, True)]
    return "\n\n".join("\n".join(part) for part in parts if part)
